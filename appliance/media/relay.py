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

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp
from appliance.media.jitter import FRAME
from appliance.media.slots import Views

_I64 = npt.NDArray[np.int64]
_U32 = npt.NDArray[np.uint32]
_Bool = npt.NDArray[np.bool_]

MAX_STEP: Final = 100
"""Packets that may be missing before one that is passed on."""
MAX_STRAGGLE: Final = 16
"""Packets that may have overtaken it."""
MAX_JUMP: Final = 8000
"""Timestamp units: a pause of a second is still the same stream."""
MIN_EVENT: Final = rtp.HEADER_BYTES + 4
_PLAIN: Final = rtp.HEADER_BYTES + FRAME


_MARKER: Final = np.frombuffer(bytes((0, 0x80, 0, 0)), np.uint32)[0]
"""The marker bit in the first word of a header, as it lies in memory."""
_BE32: Final = np.dtype(">u4")
_STEP: Final = np.array([1, FRAME, 0, 1, FRAME, 0], np.uint32)
"""What the next packet changes in both headers."""
_HEADER: Final = struct.Struct("!BBHII")
_NUMBERS: Final = struct.Struct("!HI")


@dataclass(frozen=True, slots=True)
class Kinds:
    """Payload types on the way from one leg to another; -1 for none."""

    audio_in: int
    audio_out: int
    event_in: int = -1
    event_out: int = -1


class Passed(NamedTuple):
    """What is to be sent of a batch of packets."""

    words: _U32
    """(packets, 3): their new headers, as they lie in memory."""
    audio: _I64 | None
    """Indices of the 20 ms packets among them, None for all."""
    events: Sequence[int] = ()
    """Indices of key events."""


class Relay:
    """Who is passed on to whom. Slots are rows of the arrays."""

    def __init__(self, capacity: int) -> None:
        self.upset = False
        """Whether a stream has broken since somebody looked."""
        self.recoding = False
        """Whether any source's payload goes through a table."""
        self._even = 0
        """Steps in which no sequence number can run over; 0 when it is not known."""
        self._allocate(capacity)

    def _allocate(self, capacity: int) -> None:
        self.to: _I64 = np.full(capacity, -1, np.int64)
        """By source: who hears it directly, -1 for nobody."""
        self.heard: _Bool = np.zeros(capacity, np.bool_)
        """By listener: whether it hears somebody directly."""
        self.wait: _I64 = np.zeros(capacity, np.int64)
        """By listener: ticks in which the mix only repeats what was passed on."""
        self.broken: _Bool = np.zeros(capacity, np.bool_)
        """By source: something came that cannot be passed on."""
        self.recoded: _Bool = np.zeros(capacity, np.bool_)
        """By source: whether its payload goes through a table."""
        self.last: _I64 = np.zeros(capacity, np.int64)
        """By source: tick of the last packet."""
        self._kinds: _I64 = np.full((capacity, 4), -1, np.int64)
        # Two headers for each source: that of the packet which comes next, if all goes well,
        # and what it becomes. So the usual case is a comparison and a copy of whole words.
        self._headers: g711.Bytes = np.zeros((capacity, 2 * rtp.HEADER_BYTES), np.uint8)
        self._views = Views(self._headers, 2 * rtp.HEADER_BYTES)
        self._words: _U32 = self._headers.view(np.uint32)
        self._numbers = self._headers.view(">u2")[:, 1::6]
        self._stamps = self._headers.view(">u4")[:, 1::3]

    def reserve(self, capacity: int) -> None:
        """Make room for `capacity` slots."""
        old = {k: v for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        self._allocate(capacity)
        for name, value in old.items():
            getattr(self, name)[: len(value)] = value

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
        self._even = 0
        self.heard[listener] = True
        self.wait[listener] = 0
        self.broken[source] = False
        self.recoded[source] = kinds.audio_in != kinds.audio_out
        self.recoding = bool(self.recoded.any())
        self.last[source] = now
        self._kinds[source] = kinds.audio_in, kinds.audio_out, kinds.event_in, kinds.event_out
        for half, kind, numbers in ((0, kinds.audio_in, came), (1, kinds.audio_out, sent)):
            ssrc, sequence, timestamp = numbers
            header = rtp.build(kind, sequence + 1, timestamp + FRAME, ssrc, b"")
            at = half * rtp.HEADER_BYTES
            self._headers[source, at : at + rtp.HEADER_BYTES] = np.frombuffer(header, np.uint8)

    def end(self, source: int, behind: int) -> tuple[int, int, int]:
        """Back to the mix, whose reader is so many frames behind. Returns who listened, the
        sequence number that its next packet has, and the timestamp that its last one had."""
        listener = int(self.to[source])
        self.to[source] = -1
        self.recoded[source] = False
        self.recoding = bool(self.recoded.any())
        self.heard[listener] = False
        self.wait[listener] = behind
        return listener, int(self._numbers[source, 1]), int(self._stamps[source, 1]) - FRAME

    def heard_until(self, listener: int) -> int:
        """The timestamp of the last packet that went to this listener."""
        return int(self._stamps[int((self.to == listener).argmax()), 1]) - FRAME

    def pass_on(self, slots: _I64, words: _U32, sizes: _I64, now: int) -> Passed:
        """Packets of passed-on sources, each slot at most once; `words` (n, 3) are their headers
        as they lie in memory, `sizes` bytes."""
        both = self._words[slots]
        made = both[:, 3:].copy()
        # Bytes are compared in no time, and nearly always all are as they should be.
        if words.tobytes() == both[:, :3].tobytes() and (sizes == _PLAIN).all():
            self._step(slots, both, now)
            return Passed(made, None)
        differences = words ^ both[:, :3]
        marker = differences[:, 0] & _MARKER
        differences[:, 0] ^= marker
        made[:, 0] |= marker
        plain = ~differences.any(axis=1) & (sizes == _PLAIN)
        self._step(slots[plain], both[plain], now)
        events: list[int] = []
        for index in np.flatnonzero(~plain).tolist():
            slot, size = int(slots[index]), int(sizes[index])
            header = self._unusual(slot, words[index].tobytes(), size, now)
            if header is not None:
                made[index] = np.frombuffer(header, np.uint32)
                if header[1] & 0x7F == self._kinds[slot, 1]:
                    plain[index] = True
                else:
                    events.append(index)
        return Passed(made, np.flatnonzero(plain), events)

    def _step(self, slots: _I64, both: _U32, now: int) -> None:
        """The usual packet of these came, whose headers are `both`, a copy."""
        own = both.view(_BE32).astype(np.uint32)
        own += _STEP
        if self._even <= 0:
            # A number that ran over went on in the payload type.
            over = own[:, 0::3]
            over -= (over & 0xFFFF == 0).astype(np.uint32) << 16
        self._words[slots] = own.astype(_BE32).view(np.uint32)
        self.last[slots] = now
        self._even -= 1
        if self._even < 0:
            numbers = self._numbers[self.to >= 0]
            self._even = 0xFFFF - int(numbers.max()) if len(numbers) else 0

    def pass_one(self, slot: int, header: bytes, size: int, now: int) -> bytes | None:
        """The same for one packet: its new header, None if it is not passed on."""
        self._even = 0
        both = self._views[slot]
        if size != _PLAIN or header != both[: rtp.HEADER_BYTES]:
            return self._unusual(slot, header, size, now)
        made = bytes(both[rtp.HEADER_BYTES :])
        for at in (2, rtp.HEADER_BYTES + 2):
            sequence, stamp = _NUMBERS.unpack_from(both, at)
            _NUMBERS.pack_into(both, at, (sequence + 1) & 0xFFFF, (stamp + FRAME) & 0xFFFFFFFF)
        self.last[slot] = now
        return made

    def _unusual(self, slot: int, header: bytes, size: int, now: int) -> bytes | None:
        """The new header of a packet that is not simply the next; None if it is not passed on."""
        first, second, sequence, timestamp, ssrc = _HEADER.unpack(header)
        kind = second & 0x7F
        audio_in, audio_out, event_in, event_out = self._kinds[slot].tolist()
        due, due_stamp, own = _HEADER.unpack(self._headers[slot, : rtp.HEADER_BYTES].tobytes())[2:]
        step = ((sequence - due + 0x8000) & 0xFFFF) - 0x8000
        jump = ((timestamp - due_stamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        again = step == -1 and ssrc == own
        good = first == 0x80 and ssrc == own and -MAX_STRAGGLE < step < MAX_STEP and not again
        if good and kind == audio_in and size == _PLAIN:
            # What is later in one way has to be later in the other.
            good = -MAX_JUMP <= jump <= MAX_JUMP and (jump > -FRAME) == (step >= 0)
            kind_out = audio_out
        elif good and kind == event_in and event_out >= 0 and size >= MIN_EVENT:
            good = -MAX_JUMP <= jump <= MAX_JUMP
            kind_out = event_out
        else:
            good = False
        if not good:
            if first >> 6 == 2 and kind in (g711.PCMU, g711.PCMA) and size > 0 and not again:
                self.broken[slot] = self.upset = True
            return None
        made = _HEADER.unpack(self._headers[slot, rtp.HEADER_BYTES :].tobytes())
        if step >= 0:
            self._even = 0
            self._numbers[slot] += np.uint16(step + 1)
            ahead = jump + FRAME if kind == audio_in else 0
            self._stamps[slot] += np.uint32(ahead & 0xFFFFFFFF)
            self.last[slot] = now
        return rtp.build(
            kind_out, made[2] + step, made[3] + jump, made[4], b"", bool(second & 0x80)
        )
