"""Packets that are passed on as they come, between two legs to which nothing is added.

The mix hears a leg one or two frames late and speaks once in 20 ms. Where a listener is to hear one
leg's bytes and nothing else, its packets are sent on a few milliseconds after they came instead,
with a new header: our SSRC, the listener's payload types, and the source's sequence numbers and
timestamps moved by a constant, so that loss, order and silences stay what they were.

The listener must not notice when the path changes; its stream goes on in sequence and time.

- *Mix to relay.* What the jitter buffer still holds of the source was not heard yet; it is sent at
  once (`Relay.begin`, and the caller sends `ahead` frames). The stream is early from then on.
- *Relay to mix.* The jitter buffer's reader is behind what was passed on; while it is (`wait`), the
  mix sends this listener nothing. Then it goes on with the first frame that was not heard.

A source is passed on only while its stream is plain: 20 ms packets of the agreed payload type in
one numbering, and the keys of RFC 4733 where the listener takes them too. Anything else makes it
`broken`, and the mix, which can play anything, takes over. Slots are those of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp
from appliance.media.jitter import FRAME

_I64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

MAX_STEP: Final = 100
"""Packets that may be missing before one that is passed on."""
MAX_STRAGGLE: Final = 16
"""Packets that may have overtaken it."""
MAX_JUMP: Final = 8000
"""Timestamp units: a pause of a second is still the same stream."""
MIN_EVENT: Final = rtp.HEADER_BYTES + 4
_PLAIN: Final = rtp.HEADER_BYTES + FRAME


@dataclass(frozen=True, slots=True)
class Kinds:
    """Payload types on the way from one leg to another; -1 for none."""

    audio_in: int
    audio_out: int
    event_in: int = -1
    event_out: int = -1


class Passed(NamedTuple):
    """What to do with a batch of packets of passed-on sources, by their rows."""

    audio: _Bool
    """To be sent on with the new header."""
    event: _Bool
    """The same, but of any length."""
    heads: g711.Bytes
    """(rows, 12): the new headers."""


class Relay:
    """Who is passed on to whom."""

    def __init__(self, capacity: int) -> None:
        self._allocate(capacity)

    def _allocate(self, capacity: int) -> None:
        self.to: _I64 = np.full(capacity, -1, np.int64)
        """By source: who hears it directly, -1 for nobody."""
        self.heard: _Bool = np.zeros(capacity, np.bool_)
        """By listener: whether it hears somebody directly."""
        self.wait: _I64 = np.zeros(capacity, np.int64)
        """By listener: ticks in which the mix only repeats what was passed on."""
        self.broken: _Bool = np.zeros(capacity, np.bool_)
        self.last: _I64 = np.zeros(capacity, np.int64)
        """By source: tick of the last packet."""
        self.next_sequence: _I64 = np.zeros(capacity, np.int64)
        self.timestamp: _I64 = np.zeros(capacity, np.int64)
        """By listener: the number after the highest that was sent, and its timestamp."""
        # By source: newest numbers that came, how far they are moved, and the names.
        self._sequence: _I64 = np.zeros(capacity, np.int64)
        self._timestamp: _I64 = np.zeros(capacity, np.int64)
        self._ssrc: _I64 = np.zeros(capacity, np.int64)
        self._sequence_by: _I64 = np.zeros(capacity, np.int64)
        self._time_by: _I64 = np.zeros(capacity, np.int64)
        self._new_ssrc: _I64 = np.zeros(capacity, np.int64)
        self._kinds: _I64 = np.full((4, capacity), -1, np.int64)
        self.alaw_out: _Bool = np.zeros(capacity, np.bool_)
        self.recoded: _Bool = np.zeros(capacity, np.bool_)
        """By source: whether its payload goes through a table."""

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` slots."""
        old = vars(self).copy()
        self._allocate(capacity)
        for name, value in old.items():
            getattr(self, name)[..., : value.shape[-1]] = value

    @property
    def active(self) -> bool:
        return bool(self.heard.any())

    def begin(
        self,
        source: int,
        listener: int,
        kinds: Kinds,
        came: tuple[int, int, int],
        sent: tuple[int, int, int],
        now: int,
    ) -> None:
        """Pass `source` on to `listener` from its next packet on.

        `came` is SSRC, sequence number and timestamp of the source's newest packet, `sent` what
        that packet has, or would have, in the listener's stream.
        """
        self.to[source] = listener
        self.heard[listener] = True
        self.wait[listener] = 0
        self.broken[source] = False
        self.last[source] = now
        self._ssrc[source], self._sequence[source], self._timestamp[source] = came
        self._new_ssrc[source] = sent[0]
        self._sequence_by[source] = sent[1] - came[1]
        self._time_by[source] = sent[2] - came[2]
        self.next_sequence[listener] = sent[1] + 1
        self.timestamp[listener] = sent[2]
        self._kinds[:, source] = kinds.audio_in, kinds.audio_out, kinds.event_in, kinds.event_out
        self.recoded[source] = kinds.audio_in != kinds.audio_out
        self.alaw_out[source] = kinds.audio_out == g711.PCMA

    def end(self, source: int, behind: int) -> int:
        """Back to the mix, whose reader is so many frames behind; returns who listened."""
        listener = int(self.to[source])
        self.to[source] = -1
        self.heard[listener] = False
        self.wait[listener] = behind
        return listener

    def pass_on(self, slots: _I64, heads: g711.Bytes, sizes: _I64, now: int) -> Passed:
        """Packets of passed-on sources, each slot at most once; `heads` (n, 12) are theirs."""
        words = heads[:, 4:12].copy().view(">u4").astype(np.int64)
        sequence = heads[:, 2:4].copy().view(">u2")[:, 0].astype(np.int64)
        kind = (heads[:, 1] & 0x7F).astype(np.int64)
        audio_in, audio_out, event_in, event_out = self._kinds[:, slots]
        step = ((sequence - self._sequence[slots] + 0x8000) & 0xFFFF) - 0x8000
        jump = ((words[:, 0] - self._timestamp[slots] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        straight = (heads[:, 0] == 0x80) & (words[:, 1] == self._ssrc[slots])
        in_order = (step > 0) & (step < MAX_STEP) & (jump > 0) & (jump <= MAX_JUMP)
        overtaken = (step < 0) & (step > -MAX_STRAGGLE) & (jump < 0) & (jump >= -MAX_JUMP)
        audio: _Bool = straight & (kind == audio_in) & (sizes == _PLAIN) & (in_order | overtaken)
        event: _Bool = straight & (kind == event_in) & (event_out >= 0) & (sizes >= MIN_EVENT)
        event &= (step > -MAX_STRAGGLE) & (step < MAX_STEP) & (step != 0)
        event &= np.abs(jump) <= MAX_JUMP
        # What is no RTP, comfort noise and repetitions leave the stream as it is.
        other = ~audio & ((heads[:, 0] >> 6) == 2) & ((kind == g711.PCMU) | (kind == g711.PCMA))
        other &= (step != 0) | (words[:, 1] != self._ssrc[slots])
        if other.any():
            self.broken[slots[other]] = True
        new = ((audio | event) & (step > 0)).nonzero()[0]
        ahead = slots[new]
        self._sequence[ahead] = sequence[new]
        self._timestamp[ahead] = words[new, 0]
        self.last[ahead] = now
        sequence = sequence + self._sequence_by[slots]
        stamp = words[:, 0] + self._time_by[slots]
        listeners = self.to[ahead]
        self.next_sequence[listeners] = sequence[new] + 1
        self.timestamp[listeners] = stamp[new]
        words[:, 0] = stamp
        words[:, 1] = self._new_ssrc[slots]
        made = np.empty_like(heads)
        made[:, 0] = 0x80
        made[:, 1] = (heads[:, 1] & 0x80) | np.where(event, event_out, audio_out).astype(np.uint8)
        made[:, 2:4] = sequence.astype(">u2").view(np.uint8).reshape(-1, 2)
        made[:, 4:] = words.astype(">u4").view(np.uint8).reshape(-1, 8)
        return Passed(audio, event, made)
