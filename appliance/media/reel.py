"""The reel: what the recorded legs said lately, on its way to the tape.

Each recording has a strip, a row of one array, into which every tick puts 20 ms of both its sides;
so who speaks on a side may change at any tick. A strip is `REEL_TICKS` long and goes round. Once in
a round it is handed over, the strips of one turn together: the disk does not get all at once, and
nobody is woken up for one recording. What the strips hold lies as the legs said it, one side after
the other in each tick: to bring the two together is left to who writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.jitter import FRAME
from appliance.media.rooms import add
from appliance.media.slots import room_for, together

REEL_TICKS: Final = 20
"""0.4 s, the most that a killed process takes with it."""
TURNS: Final = 5
"""Parts of the strips, each with a tick of its own at which it is handed over."""
_TURN_TICKS: Final = REEL_TICKS // TURNS
_MAX_SKIP: Final = 3000
"""Silence that a recording gets for a clock that jumped: a minute; more is no call any more."""

Sides = tuple[int | None, tuple[int, ...]]
"""The slot on the left, None for nobody, and all that speak on the right."""
_I64 = npt.NDArray[np.int64]


class Tape(Protocol):
    """Where recordings go, see `appliance.media.recorder.Recorder`."""

    def feed(self, recordings: Sequence[str | None], said: g711.Bytes, first: int) -> None:
        """What was said in these, (recordings, frames, 2, 160) mu-law, left and right of each
        frame. Frame `first` is the oldest, those before it the newest. None: nothing there."""

    def silence(self, recording: str, frames: int) -> None:
        """So many frames in which nothing was heard."""


@dataclass(slots=True, eq=False)
class _Strip:
    recording: str
    row: int
    since: int
    """Tick from which the tape has nothing yet, unless a whole round was handed over since."""
    fresh: bool = True
    """No whole round has been filled since then."""


class Reel:
    """The strips of all recordings. `follow` says who speaks, `add` is the tick."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        # Memory that is not written to is not taken: strips may never be used.
        self._said: g711.Bytes = np.empty((0, REEL_TICKS, 2, FRAME), np.uint8)
        self._strips: dict[str, _Strip] = {}
        self._rows: list[_Strip | None] = []
        self._next = 0
        """All that was said in ticks before this one has been added."""
        self._from: Any = None
        """Slots of all sides, two for each row; None: nobody speaks anywhere."""
        self._silent: tuple[_I64, _I64] | None = None
        """Rows and sides on which nobody speaks."""
        self._crowds: list[tuple[int, tuple[int, ...]]] = []
        """Rows with more than one on the right."""

    def follow(self, recordings: Mapping[str, Sides], now: int) -> None:
        """From tick `now` on these are recorded and no others."""
        self._next = now
        for name in [name for name in self._strips if name not in recordings]:
            self.hand_over(name)
            self._rows[self._strips.pop(name).row] = None
        while self._rows and self._rows[-1] is None:
            self._rows.pop()
        for name in recordings:
            if name not in self._strips:
                self._begin(name)
        slots = np.zeros((len(self._rows), 2), np.int64)
        heard = np.zeros((len(self._rows), 2), np.bool_)
        self._crowds = []
        for name, (left, right) in recordings.items():
            row = self._strips[name].row
            for side, slot in enumerate((left, right[0] if right else None)):
                if slot is not None:
                    slots[row, side], heard[row, side] = slot, True
            if len(right) > 1:
                self._crowds.append((row, right))
        self._from = together(slots.reshape(-1)) if heard.any() else None
        rows, sides = np.nonzero(~heard)
        self._silent = (rows, sides) if len(rows) else None

    def _begin(self, recording: str) -> None:
        row = self._rows.index(None) if None in self._rows else len(self._rows)
        if row == len(self._rows):
            self._rows.append(None)
        if row >= len(self._said):
            said = np.empty((room_for(row + 1), *self._said.shape[1:]), np.uint8)
            said[: len(self._said)] = self._said
            self._said = said
        self._rows[row] = self._strips[recording] = _Strip(recording, row, self._next)

    def add(self, ulaw: g711.Bytes, now: int) -> None:
        """What every slot said in this tick, (slots, 160); hands over those whose turn it is."""
        if not self._strips:
            return
        count, at = len(self._rows), now % REEL_TICKS
        frame = self._said[:count, at]
        if self._from is None:
            frame[:] = g711.ULAW_SILENCE
        else:
            frame[:] = ulaw[self._from].reshape(count, 2, FRAME)
            if self._silent is not None:
                frame[self._silent] = g711.ULAW_SILENCE
        for row, slots in self._crowds:
            frame[row, 1] = add([ulaw[slot] for slot in slots])
        self._next = now + 1
        if at % _TURN_TICKS == _TURN_TICKS - 1:
            self._hand_over_turn(at // _TURN_TICKS)

    def skip(self, ticks: int) -> None:
        """The clock moved on without us: recordings keep their time."""
        self.hand_over_all()
        self._next += ticks
        for name, strip in self._strips.items():
            strip.since = self._next
            self._tape.silence(name, min(ticks, _MAX_SKIP))

    # --- to the tape ------------------------------------------------------------------------

    def hand_over_all(self) -> None:
        for name in self._strips:
            self.hand_over(name)

    def hand_over(self, recording: str) -> None:
        """All that was said in this recording so far goes to the tape."""
        strip = self._strips.get(recording)
        if strip is None:
            return
        since, strip.since, strip.fresh = self._since(strip), self._next, True
        if since < self._next:
            columns = np.arange(since, self._next) % REEL_TICKS
            self._tape.feed([recording], self._said[strip.row, columns][None], 0)

    def _since(self, strip: _Strip) -> int:
        """The first tick that the tape has not got."""
        turn = (strip.row % TURNS + 1) * _TURN_TICKS
        return max(strip.since, self._next - (self._next - turn) % REEL_TICKS)

    def _hand_over_turn(self, turn: int) -> None:
        strips = self._rows[turn::TURNS]
        whole = [None if strip is None or strip.fresh else strip.recording for strip in strips]
        if any(whole):
            said = self._said[turn : len(self._rows) : TURNS].copy()
            self._tape.feed(whole, said, self._next % REEL_TICKS)
        for strip in strips:
            if strip is not None and strip.fresh:
                self._hand_over_first(strip)

    def _hand_over_first(self, strip: _Strip) -> None:
        """What there is of a strip's first round; from now on it is handed over as a whole."""
        columns = np.arange(strip.since, self._next) % REEL_TICKS
        strip.fresh = False
        if len(columns):
            self._tape.feed([strip.recording], self._said[strip.row, columns][None], 0)
