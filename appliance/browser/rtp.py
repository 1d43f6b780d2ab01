"""RTP and RTCP of one audio stream in each direction (RFC 3550, RFC 4733): bytes in, bytes out.

No clock and no socket: times are arguments, in seconds of a clock that never runs back unless
a name says otherwise. All of it is for an 8 kHz codec.
"""

from __future__ import annotations

import struct

CLOCK_RATE = 8000
FRAME_SAMPLES = 160
PCMU = 0
PCMA = 8

# A pause of the writer longer than this is silence that was not sent (RFC 3550 section 5.1: the
# timestamp follows the sampling clock also over periods without packets). Shorter ones are the
# tick's own jitter and must not show in the timestamps.
PAUSE_S = 0.2

_HEADER = struct.Struct("!BBHII")
_FIELDS = struct.Struct("!HII")
_KEYS = "0123456789*#ABCD"
_SR, _RR, _SDES = 200, 201, 202
_NTP_EPOCH_S = 2_208_988_800
_REMEMBERED = 16


def mulaw_to_linear(code: int) -> int:
    """One mu-law octet as a 16-bit sample (ITU-T G.711 table 2)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def _linear_to_alaw(sample: int) -> int:
    """A 16-bit sample as one A-law octet (ITU-T G.711 table 1)."""
    sign = 0x80 if sample >= 0 else 0
    magnitude = (sample if sample >= 0 else ~sample) >> 3
    segment = max(magnitude.bit_length() - 5, 0)
    return (sign | segment << 4 | magnitude >> max(segment, 1) & 0x0F) ^ 0x55


MULAW_TO_ALAW = bytes(_linear_to_alaw(mulaw_to_linear(code)) for code in range(256))
"""For `bytes.translate`: mu-law octets to the A-law octets of the same level."""


class Incoming:
    """What the page sends: takes packets apart and counts them for the receiver report."""

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter",
        "_received_before",
        "_report_at",
        "_report_id",
        "_top",
        "_transit",
        "received",
        "ssrc",
    )

    def __init__(self) -> None:
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
        transit = now * CLOCK_RATE - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < CLOCK_RATE:
                self._jitter += (change - self._jitter) / 16
        self._transit = transit
        return packet[1] & 0x7F, sequence, timestamp, payload

    def take_rtcp(self, compound: bytes, now: float) -> None:
        """Note the page's sender report, whose middle time stamp our next report returns."""
        at = 0
        while at + 4 <= len(compound):
            kind = compound[at + 1]
            size = 4 * (1 + int.from_bytes(compound[at + 2 : at + 4], "big"))
            if kind == _SR and size >= 28 and at + size <= len(compound):
                self._report_id = int.from_bytes(compound[at + 10 : at + 14], "big")
                self._report_at = now
            at += size

    def report(self, now: float) -> bytes:
        """The 24-octet report block about the page's stream; empty before its first packet."""
        if not self.received:
            return b""
        expected = self._cycles + self._top - self._base + 1
        lost = expected - self.received
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        fraction = (lost_now << 8) // expected_now if expected_now > 0 and lost_now > 0 else 0
        delay = int((now - self._report_at) * 65536) if self._report_id else 0
        return struct.pack(
            "!IIIIII",
            self.ssrc,
            min(fraction, 255) << 24 | max(-0x800000, min(lost, 0x7FFFFF)) & 0xFFFFFF,
            self._cycles + self._top & 0xFFFFFFFF,
            min(int(self._jitter), 0xFFFFFFFF),
            self._report_id,
            min(delay, 0xFFFFFFFF),
        )


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
        "_written_at",
        "octets",
        "packets",
        "payload_type",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, ssrc: int, payload_type: int, sequence: int, timestamp: int) -> None:
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
            frames = round((now - self._written_at) * CLOCK_RATE / FRAME_SAMPLES) - 1
            self.timestamp = self.timestamp + frames * FRAME_SAMPLES & 0xFFFFFFFF
        self._written_at = now
        header = _HEADER.pack(
            0x80, marker | self.payload_type, self.sequence, self.timestamp, self.ssrc
        )
        self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + len(payload) & 0xFFFFFFFF
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
            since = round((now - self._written_at) * CLOCK_RATE)
            report = struct.pack(
                "!BBHIQIII",
                0x80 | count,
                _SR,
                6 + 6 * count,
                self.ssrc,
                ntp,
                # the timestamp that a packet sampled now would carry
                self.timestamp - FRAME_SAMPLES + since & 0xFFFFFFFF,
                self.packets & 0xFFFFFFFF,
                self.octets & 0xFFFFFFFF,
            )
        name = cname.encode()[:255]
        chunk = struct.pack("!IBB", self.ssrc, 1, len(name)) + name + b"\0"
        chunk += bytes(-len(chunk) % 4)
        return report + block + struct.pack("!BBH", 0x81, _SDES, len(chunk) // 4) + chunk


class Told:
    """What the page's reports say of the audio that we send it."""

    __slots__ = ("_sent", "_ssrc", "jitter", "lost", "round_trip_s")

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._sent: dict[int, float] = {}
        """Our last sender reports by the middle of their NTP time, which the page returns."""
        self.lost: int | None = None
        self.jitter = 0
        """In samples."""
        self.round_trip_s: float | None = None

    def reported(self, compound: bytes, now: float) -> None:
        """We send this report of ours now."""
        if compound[1] == _SR:
            self._sent[int.from_bytes(compound[10:14], "big")] = now
            if len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]

    def take(self, compound: bytes, now: float) -> None:
        at = 0
        while at + 8 <= len(compound):
            count, kind = compound[at] & 0x1F, compound[at + 1]
            end = at + 4 * (1 + int.from_bytes(compound[at + 2 : at + 4], "big"))
            if end > len(compound):
                return
            if kind in (_SR, _RR):
                first = at + (28 if kind == _SR else 8)
                for start in range(first, min(first + 24 * count, end - 23), 24):
                    self._block(compound[start : start + 24], now)
            at = end

    def _block(self, block: bytes, now: float) -> None:
        ssrc, loss, _, jitter, last, delay = struct.unpack("!IIIIII", block)
        if ssrc != self._ssrc:
            return
        lost = loss & 0xFFFFFF
        self.lost, self.jitter = lost - ((lost & 0x800000) << 1), jitter
        sent_at = self._sent.get(last)
        if sent_at is not None:
            self.round_trip_s = max(0.0, now - sent_at - delay / 65536)


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
