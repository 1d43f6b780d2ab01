"""RTP and its telephone events, without sockets.

RFC 3550 headers, parsed one packet at a time (`parse`) or a whole batch of equal ones by columns
(see `appliance.media.jitter`); RFC 4733 key presses received and sent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

HEADER_BYTES: Final = 12
COMFORT_NOISE: Final = 13
EVENT_DIGITS: Final = "0123456789*#ABCD"
"""RFC 4733 table 3: event codes 0 to 15."""

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet. `sequence` 16 bits, `timestamp` and `ssrc` 32 bits."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes | memoryview) -> Packet | None:
    """The packet in `data`, or None when it is none: RFC 3550 section 5.1 and appendix A.1."""
    size = len(data)
    if size < HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    # 72 to 76 with the marker bit are RTCP packet types (RFC 5761 section 4).
    if first >> 6 != 2 or 200 <= second <= 204:
        return None
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if size < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = size
    if first & 0x20:
        padding = data[size - 1]
        if padding == 0:
            return None
        end -= padding
    if start > end:
        return None
    return Packet(
        second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, bytes(data[start:end])
    )


def build(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool = False,
) -> bytes:
    """One RTP packet without extension or padding; numbers are taken modulo their width."""
    return (
        _HEADER.pack(
            0x80,
            payload_type | (0x80 if marker else 0),
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc & 0xFFFFFFFF,
        )
        + payload
    )


class EventReceiver:
    """Turns telephone-event packets of one leg into key presses, each reported once.

    A press is named by its RTP timestamp, which all its packets share (RFC 4733 section 2.5.1.2);
    so lost starts, repeated ends and late packets neither lose nor double a key. A press longer
    than 8 seconds comes as segments whose timestamps follow each other; they are one key.
    """

    __slots__ = ("_code", "_end", "_timestamp")

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._end = 0
        self._code = -1

    def packet(self, timestamp: int, payload: bytes) -> str | None:
        """The digit of a press that was not reported yet, else None."""
        if len(payload) < 4:
            return None
        code, _, duration = _EVENT.unpack_from(payload)
        if code >= len(EVENT_DIGITS):
            return None
        last = self._timestamp
        if last is not None:
            age = (timestamp - last) & 0xFFFFFFFF
            if age == 0 or age >= 1 << 31:
                if age == 0:
                    self._end = max(self._end, duration)
                    return None
                # Older than the newest press: a straggler, unless the stream started anew.
                if (last - timestamp) & 0xFFFFFFFF < 8000 * 60:
                    return None
            elif code == self._code and self._end >= 0xFFFF - 800 and age <= 0xFFFF:
                self._timestamp, self._end = timestamp, duration
                return None
        self._timestamp, self._end, self._code = timestamp, duration, code
        return EVENT_DIGITS[code]


KEY_MS: Final = 100
KEY_GAP_MS: Final = 100
PAUSE_MS: Final = 1000
"""Of a comma in a digit string."""
_FRAME: Final = 160
_VOLUME: Final = 10
END_PACKETS: Final = 3
"""The end of an event is sent three times (RFC 4733 section 2.5.1.4)."""


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send instead of audio: payload, marker and the event's own timestamp."""

    payload: bytes
    marker: bool
    timestamp: int


class EventSender:
    """Sends digits of one leg as telephone events, one packet each 20 ms.

    `tick` is called once a frame with the RTP timestamp that audio would have now.
    """

    __slots__ = ("_elapsed", "_queue", "_start", "_wait")

    def __init__(self) -> None:
        self._queue: list[int] = []
        self._start: int | None = None
        self._elapsed = 0
        self._wait = 0

    def push(self, digits: str) -> None:
        """Queue digits; a comma is a pause, anything that is no key is left out."""
        for digit in digits.upper():
            if digit == ",":
                self._queue.append(-1)
            elif digit in EVENT_DIGITS:
                self._queue.append(EVENT_DIGITS.index(digit))

    @property
    def busy(self) -> bool:
        return bool(self._queue) or self._wait > 0

    def tick(self, timestamp: int) -> tuple[EventPacket, ...] | None:
        """Packets of this frame; None when audio is to be sent. Empty is a pause between keys."""
        if self._wait > 0:
            self._wait -= _FRAME
            return ()
        if not self._queue:
            return None
        code = self._queue[0]
        if code < 0:
            self._queue.pop(0)
            self._wait = PAUSE_MS * 8 - _FRAME
            return ()
        first = self._start is None
        if self._start is None:
            self._start, self._elapsed = timestamp, 0
        self._elapsed += _FRAME
        end = self._elapsed >= KEY_MS * 8
        payload = _EVENT.pack(code, (0x80 if end else 0) | _VOLUME, self._elapsed)
        packet = EventPacket(payload, first, self._start)
        if not end:
            return (packet,)
        self._queue.pop(0)
        self._start = None
        self._wait = KEY_GAP_MS * 8
        return (packet,) * END_PACKETS
