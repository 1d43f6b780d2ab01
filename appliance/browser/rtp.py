"""RTP and RTCP of one audio stream in each direction (RFC 3550, RFC 4733): bytes in, bytes out.

No clock and no socket: times are arguments, in seconds of a clock that never runs back unless
a name says otherwise. `rate` is the codec's RTP clock in Hz.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

FRAME_S = 0.02

# A pause of the writer longer than this is audio that was not sent (RFC 3550 section 5.1: the
# timestamp follows the sampling clock also over periods without packets). The beat makes up for
# up to 60 ms of lateness and skips what is more, so that shorter ones are its own jitter and must
# not show in the timestamps.
PAUSE_S = 0.085

_HEADER = struct.Struct("!BBHII")
_FIELDS = struct.Struct("!HII")
_BLOCK = struct.Struct("!IIIIII")
_KEYS = "0123456789*#ABCD"
_SR, _RR, _SDES = 200, 201, 202
_NTP_EPOCH_S = 2_208_988_800
# Sender reports whose echo may still come.
_REPORTS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """A report block: what the page says of our stream. `lost_share` since its report before,
    `lost` since the beginning; `jitter_ms` as RFC 3550 section 6.4.1 has it."""

    lost_share: float
    lost: int
    jitter_ms: float
    round_trip_ms: float | None


class Incoming:
    """What the page sends: takes packets apart and counts them for the receiver report."""

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter",
        "_rate",
        "_received_before",
        "_report_at",
        "_report_id",
        "_top",
        "_transit",
        "received",
        "ssrc",
    )

    def __init__(self, rate: int = 8000) -> None:
        self._rate = rate
        self._report_at = 0.0
        self._report_id = 0
        self._start(0, 0)
        self.received = 0
        self.ssrc: int | None = None

    def _start(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._base = self._top = sequence
        self._cycles = 0
        self._expected_before = self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._report_id = 0

    def take(self, packet: bytes, now: float) -> tuple[int, int, int, bytes] | None:
        """(payload type, sequence, timestamp, payload) of one RTP packet; None if it is none."""
        if len(packet) < 12 or packet[0] & 0xC0 != 0x80:
            return None
        sequence, timestamp, ssrc = _FIELDS.unpack_from(packet, 2)
        payload = packet[12:] if packet[0] == 0x80 else _payload(packet)
        if payload is None:
            return None
        if ssrc != self.ssrc:
            self._start(ssrc, sequence)
        self.received += 1
        if (sequence - self._top) & 0xFFFF < 0x8000:
            if sequence < self._top:
                self._cycles += 0x10000
            self._top = sequence
        # Interarrival jitter, RFC 3550 section 6.4.1. Differences over half of the timestamp
        # range are wraps; over a second they are pauses, which say nothing about the network.
        transit = now * self._rate - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._rate:
                self._jitter += (change - self._jitter) / 16
        self._transit = transit
        return packet[1] & 0x7F, sequence, timestamp, payload

    def take_rtcp(self, compound: bytes, now: float) -> None:
        """Note the page's sender report, whose middle time stamp our next report returns."""
        for kind, report in _reports(compound):
            if kind == _SR and len(report) >= 28:
                self._report_id = int.from_bytes(report[10:14], "big")
                self._report_at = now

    @property
    def expected(self) -> int:
        """Packets that the page has sent since the stream began, as far as its numbers tell."""
        return self._cycles + self._top - self._base + 1 if self.received else 0

    @property
    def lost(self) -> int:
        return max(self.expected - self.received, 0)

    @property
    def jitter_ms(self) -> float:
        return self._jitter / self._rate * 1000

    def report(self, now: float) -> bytes:
        """The 24-octet report block about the page's stream; empty before its first packet."""
        if not self.received:
            return b""
        expected = self.expected
        lost = expected - self.received
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        fraction = (lost_now << 8) // expected_now if expected_now > 0 and lost_now > 0 else 0
        delay = int((now - self._report_at) * 65536) if self._report_id else 0
        return _BLOCK.pack(
            self.ssrc,
            min(fraction, 255) << 24 | max(-0x800000, min(lost, 0x7FFFFF)) & 0xFFFFFF,
            self._cycles + self._top & 0xFFFFFFFF,
            min(int(self._jitter), 0xFFFFFFFF),
            self._report_id,
            min(delay, 0xFFFFFFFF),
        )


def _reports(compound: bytes) -> Iterator[tuple[int, bytes]]:
    """(packet type, whole packet) of a compound RTCP packet, up to the first that is cut off."""
    at = 0
    while at + 4 <= len(compound):
        size = 4 * (1 + int.from_bytes(compound[at + 2 : at + 4], "big"))
        if at + size > len(compound):
            return
        yield compound[at + 1], compound[at : at + size]
        at += size


def _payload(packet: bytes) -> bytes | None:
    """The payload behind contributing sources and a header extension, without padding."""
    start = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet)
    if packet[0] & 0x20:
        if not packet[-1]:
            return None
        end -= packet[-1]
    return packet[start:end] if start <= end else None


class Outgoing:
    """What we send: numbers the frames and counts them for the sender report."""

    __slots__ = (
        "_frame_ticks",
        "_rate",
        "_reported",
        "_written_at",
        "octets",
        "packets",
        "payload_type",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self, ssrc: int, payload_type: int, sequence: int, timestamp: int, rate: int = 8000
    ) -> None:
        self._rate = rate
        self._frame_ticks = round(rate * FRAME_S)
        self._reported: dict[int, float] = {}
        """When the sender reports were made, by the middle of their NTP time stamp."""
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.packets = 0
        self.octets = 0
        self._written_at: float | None = None

    def packet(self, payload: bytes, now: float) -> bytes:
        """The next RTP packet. The first one after a pause carries the marker bit (RFC 3551
        section 4.1) and a timestamp that counts the pause."""
        marker = 0
        if self._written_at is None:
            marker = 0x80
        elif now - self._written_at > PAUSE_S:
            marker = 0x80
            frames = round((now - self._written_at) / FRAME_S) - 1
            self.timestamp = self.timestamp + frames * self._frame_ticks & 0xFFFFFFFF
        self._written_at = now
        header = _HEADER.pack(
            0x80, marker | self.payload_type, self.sequence, self.timestamp, self.ssrc
        )
        self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + self._frame_ticks & 0xFFFFFFFF
        self.packets += 1
        self.octets += len(payload)
        return header + payload

    def report(self, block: bytes, cname: str, now: float, unix_time: float) -> bytes:
        """A compound RTCP packet: sender report (receiver report before the first packet) with
        `block` about the other direction, then the canonical name (RFC 3550 section 6.1).

        `unix_time` is the wall clock's seconds since 1970 at `now`.
        """
        count = len(block) // 24
        if self._written_at is None:
            report = struct.pack("!BBHI", 0x80 | count, _RR, 1 + 6 * count, self.ssrc)
        else:
            ntp = int((unix_time + _NTP_EPOCH_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
            since = round((now - self._written_at) * self._rate)
            self._reported[ntp >> 16 & 0xFFFFFFFF] = now
            if len(self._reported) > _REPORTS_KEPT:
                del self._reported[next(iter(self._reported))]
            report = struct.pack(
                "!BBHIQIII",
                0x80 | count,
                _SR,
                6 + 6 * count,
                self.ssrc,
                ntp,
                # the timestamp that a packet sampled now would carry
                self.timestamp - self._frame_ticks + since & 0xFFFFFFFF,
                self.packets & 0xFFFFFFFF,
                self.octets & 0xFFFFFFFF,
            )
        name = cname.encode()[:255]
        chunk = struct.pack("!IBB", self.ssrc, 1, len(name)) + name + b"\0"
        chunk += bytes(-len(chunk) % 4)
        return report + block + struct.pack("!BBH", 0x81, _SDES, len(chunk) // 4) + chunk

    def heard(self, compound: bytes, now: float) -> Heard | None:
        """What the page says in an RTCP packet of our stream, if anything."""
        for kind, report in _reports(compound):
            start = {_SR: 28, _RR: 8}.get(kind)
            if start is None:
                continue
            for at in range(start, min(start + 24 * (report[0] & 0x1F), len(report) - 23), 24):
                ssrc, loss, _, jitter, last, delay = _BLOCK.unpack_from(report, at)
                if ssrc != self.ssrc:
                    continue
                sent_at = self._reported.get(last)
                lost = loss & 0xFFFFFF
                return Heard(
                    lost_share=(loss >> 24) / 256,
                    lost=max(lost - 0x1000000 if lost & 0x800000 else lost, 0),
                    jitter_ms=jitter / self._rate * 1000,
                    round_trip_ms=None
                    if sent_at is None
                    else max(now - sent_at - delay / 65536, 0.0) * 1000,
                )
        return None


class Keys:
    """Telephone events (RFC 4733 section 2.3) as key presses, each once.

    A press is told at its first packet: all packets of one press carry the timestamp of its
    start, and a late packet of an earlier press is older than that.
    """

    __slots__ = ("_started",)

    def __init__(self) -> None:
        self._started: int | None = None

    def take(self, timestamp: int, payload: bytes) -> str | None:
        """The digit, if this packet starts a press."""
        if len(payload) < 4 or payload[0] >= len(_KEYS):
            return None
        if self._started is not None:
            age = timestamp - self._started & 0xFFFFFFFF
            if age == 0 or age >= 0x80000000:
                return None
        self._started = timestamp
        return _KEYS[payload[0]]
