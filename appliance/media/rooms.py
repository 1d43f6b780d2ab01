"""Rooms: who hears whom among more than two legs, summed for all rooms at once.

A room has one sum of everybody who speaks to all; each listener hears it less himself, plus those
who speak to him alone. So a tick costs a handful of numpy calls and work in proportion to the
legs, however large the rooms are. The plan is made anew when a room changes, `mix` is the tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.jitter import FRAME

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seat:
    """One leg of a room. `heard_by` None: everybody else; otherwise these slots alone."""

    slot: int
    heard_by: frozenset[int] | None = None
    hears: bool = True


def _index(values: Iterable[int]) -> _I64:
    return np.fromiter(values, np.int64)


class Mixer:
    """The sums of all rooms; a slot sits in one room at most."""

    def __init__(self, rooms: Iterable[Sequence[Seat]] = ()) -> None:
        speakers: list[int] = []
        starts: list[int] = []
        listeners: list[int] = []
        sums: list[int] = []
        """Which sum each listener hears; the last is that of nobody."""
        own: list[int] = []
        """Listeners who are in that sum themselves."""
        beside: list[tuple[int, int]] = []
        """Listener, and who speaks to him but not to all."""
        for seats in rooms:
            to_all = [seat.slot for seat in seats if seat.heard_by is None]
            if to_all:
                starts.append(len(speakers))
                speakers += to_all
            for seat in seats:
                if not seat.hears:
                    continue
                if seat.heard_by is None:
                    own.append(len(listeners))
                beside += [
                    (len(listeners), other.slot)
                    for other in seats
                    if other is not seat and other.heard_by and seat.slot in other.heard_by
                ]
                sums.append(len(starts) - 1 if to_all else -1)
                listeners.append(seat.slot)
        self.listeners = _index(listeners)
        """Slots whose ears `mix` fills."""
        self._speakers = _index(speakers)
        self._starts = _index(starts)
        self._which = _index(sums)
        self._own = _index(own)
        self._own_slots = self.listeners[self._own]
        self._beside_of = _index(slot for _, slot in beside)
        # Listeners come in order, so that each one's whisperers are neighbours.
        rows = [row for row, _ in beside]
        self._beside_starts = _index(
            i for i, row in enumerate(rows) if i == 0 or row != rows[i - 1]
        )
        self._beside_rows = _index(dict.fromkeys(rows))
        self._said = np.empty((len(speakers), FRAME), np.float32)
        self._sums = np.zeros((len(starts) + 1, FRAME), np.float32)
        self._ears = np.empty((len(listeners), FRAME), np.float32)

    def mix(self, pcm: _F32, out: g711.Bytes) -> None:
        """Fill the listeners' rows of `out` (mu-law) from what all slots say (16-bit scale)."""
        if not len(self.listeners):
            return
        ears = self._ears
        if len(self._starts):
            np.take(pcm, self._speakers, axis=0, out=self._said, mode="clip")
            np.add.reduceat(self._said, self._starts, axis=0, out=self._sums[:-1])
        np.take(self._sums, self._which, axis=0, out=ears, mode="wrap")
        if len(self._own):
            ears[self._own] -= pcm[self._own_slots]
        if len(self._beside_of):
            whispers = np.add.reduceat(pcm[self._beside_of], self._beside_starts, axis=0)
            ears[self._beside_rows] += whispers
        np.clip(ears, -32768, 32767, out=ears)
        out[self.listeners] = g711.ulaw_encode(ears.astype(np.int16))


def add(parts: Sequence[g711.Bytes]) -> g711.Bytes:
    """The sum of mu-law of one shape, clipped to what mu-law can say."""
    total = g711.ULAW_DECODE[parts[0]].astype(np.int32)
    for part in parts[1:]:
        total += g711.ULAW_DECODE[part]
    return g711.ulaw_encode(np.clip(total, -32768, 32767).astype(np.int16))
