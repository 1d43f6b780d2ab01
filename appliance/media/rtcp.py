"""RTCP of one stream in each direction, without sockets or a clock (RFC 3550 section 6).

`parse` and `build` are the bytes; `Session` is one leg's side of the conversation: when a report is
due, what it says about what came, and what the other side says about what we send, with the round
trip. Times are seconds of a clock that never runs back.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import Final

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_BYE: Final = 203
_XR: Final = 207
_CNAME: Final = 1
_VOIP_METRICS: Final = 7
"""Block type of RFC 3611 section 4.7."""
_NTP_EPOCH: Final = 2208988800
_HEADER = struct.Struct("!BBHI")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_MAX_PACKETS: Final = 64
"""Of one compound packet; a datagram of ours could hold more only if they said nothing."""

INTERVAL_S: Final = 5.0
"""RFC 3550 section 6.2: a call's two members never need more than the minimum."""
_COMPENSATION: Final = 1.21828
"""e - 3/2, section 6.3.1: what the random factor makes of the mean interval."""
_REMEMBERED: Final = 16
"""Own sender reports whose echo is believed; an answer to an older one is no round trip."""
_MAX_ROUND_TRIP_S: Final = 10.0
_CLOCK_S: Final = 60.0
"""Two sender reports this far apart tell the pace of the other clock to some 20 ppm."""
_MAX_PPM: Final = 1000.0
"""More is no clock but a timestamp that was set anew."""
_RATE: Final = 8000


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What the other side says about what we send, or we about what it sends (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """In 256ths, since the last report."""
    lost: int
    highest: int
    jitter: int
    """In timestamp units of 1/8000 s."""
    last_sr: int
    delay: int
    """Since that SR, in 65536ths of a second."""


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """What a phone knows of its own hearing (RFC 3611 section 4.7), as far as it is of use."""

    ssrc: int
    """Of the stream that it hears."""
    lost: float
    discarded: float
    """Shares, 0 to 1."""
    mos: float | None
    """Listening quality, 1 to 5; None when the phone does not say."""
    buffer_ms: int
    """Its jitter buffer's delay now."""


@dataclass(frozen=True, slots=True)
class Report:
    """A parsed compound packet."""

    ssrc: int
    ntp_middle: int | None
    """Middle 32 bits of the sender's NTP time; None in a receiver report."""
    blocks: tuple[ReportBlock, ...]
    metrics: tuple[VoipMetrics, ...] = ()
    cname: str | None = None
    bye: bool = False
    timestamp: int = 0
    """RTP time of a sender report."""


def ntp_time(unix_s: float) -> int:
    """64-bit NTP time."""
    return int((unix_s + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def is_rtcp(data: bytes | memoryview) -> bool:
    """Whether a packet that came on a shared port is RTCP (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def parse(data: bytes) -> Report | None:
    """The compound packet in `data`; None for what RFC 3550 appendix A.2 does not let pass."""
    ssrc, middle, bye, timestamp = 0, None, False, 0
    cname: str | None = None
    blocks: list[ReportBlock] = []
    metrics: list[VoipMetrics] = []
    at, size = 0, len(data)
    for number in range(_MAX_PACKETS):
        if at == size:
            break
        if at + 8 > size:
            return None
        first, kind, words, sender = _HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > size or words == 0:
            return None
        if number == 0:
            if kind not in (_SR, _RR):
                return None
            ssrc = sender
        if kind in (_SR, _RR):
            start = at + (28 if kind == _SR else 8)
            if start > end:
                return None
            if kind == _SR and number == 0:
                middle, _, timestamp = struct.unpack_from("!IHI", data, at + 10)
            blocks += _blocks(data, start, min(first & 0x1F, (end - start) // _BLOCK.size))
        elif kind == _SDES and cname is None:
            cname = _cname(data[at + 8 : end])
        elif kind == _BYE:
            bye = True
        elif kind == _XR:
            metrics += _metrics(data, at + 8, end)
        at = end
    if at != size or size == 0:
        return None
    return Report(ssrc, middle, tuple(blocks), tuple(metrics), cname, bye, timestamp)


def _blocks(data: bytes, start: int, count: int) -> list[ReportBlock]:
    blocks = []
    for index in range(count):
        ssrc, loss, high, jitter, last, delay = _BLOCK.unpack_from(data, start + 24 * index)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, high, jitter, last, delay))
    return blocks


def _cname(items: bytes) -> str | None:
    at = 0
    while at + 2 <= len(items) and items[at]:
        value = items[at + 2 : at + 2 + items[at + 1]]
        if items[at] == _CNAME:
            return value.decode("utf-8", "replace")
        at += 2 + items[at + 1]
    return None


def _metrics(data: bytes, at: int, end: int) -> list[VoipMetrics]:
    found = []
    while at + 4 <= end:
        kind = data[at]
        after = at + 4 * (1 + int.from_bytes(data[at + 2 : at + 4], "big"))
        if after > end:
            break
        if kind == _VOIP_METRICS and after - at == 36:
            mos = data[at + 26]
            found.append(
                VoipMetrics(
                    int.from_bytes(data[at + 4 : at + 8], "big"),
                    data[at + 8] / 256,
                    data[at + 9] / 256,
                    mos / 10 if 10 <= mos <= 50 else None,
                    int.from_bytes(data[at + 30 : at + 32], "big"),
                )
            )
        at = after
    return found


def build(
    *,
    ssrc: int,
    cname: str,
    ntp: int,
    timestamp: int,
    packets: int,
    octets: int,
    block: ReportBlock | None,
    bye: bool = False,
) -> bytes:
    """A compound SR (RR when nothing was sent) with at most one report block, SDES CNAME, and
    BYE with the last one."""
    body = b""
    if block is not None:
        body = _BLOCK.pack(
            block.ssrc,
            (block.fraction_lost & 0xFF) << 24 | (block.lost & 0xFFFFFF),
            block.highest & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_sr & 0xFFFFFFFF,
            block.delay & 0xFFFFFFFF,
        )
    kind = _RR
    if packets:
        kind = _SR
        body = (
            _SENDER.pack(ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
            + body
        )
    name = cname.encode()[:255]
    item = struct.pack("!BB", _CNAME, len(name)) + name
    item += b"\0" * (4 - len(item) % 4)
    data = (
        _HEADER.pack(0x80 | (block is not None), kind, 1 + len(body) // 4, ssrc)
        + body
        + _HEADER.pack(0x81, _SDES, 1 + len(item) // 4, ssrc)
        + item
    )
    return data + _HEADER.pack(0x81, _BYE, 1, ssrc) if bye else data


@dataclass(frozen=True, slots=True)
class Sent:
    """What we have sent so far: of a sender report."""

    packets: int
    octets: int
    timestamp: int
    """That audio sampled now would have."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came so far of the stream that is on: of a report block."""

    ssrc: int
    received: int
    lost: int
    highest: int
    jitter: int


class Session:
    """One leg's RTCP. `random` gives numbers of [0, 1); `unix_s` is the wall clock at `now`."""

    __slots__ = (
        "_clock_from",
        "_cname",
        "_due",
        "_epoch",
        "_expected",
        "_far_ssrc",
        "_lost",
        "_sent",
        "_sr_at",
        "_sr_middle",
        "bye",
        "clock_ppm",
        "far",
        "metrics",
        "round_trip_s",
        "ssrc",
    )

    def __init__(self, ssrc: int, cname: str, now: float, unix_s: float, random: float) -> None:
        self.ssrc = ssrc
        self._cname = cname
        self._epoch = unix_s - now
        """Our NTP time is the clock that never runs back, set once: a corrected wall clock must
        not show as a round trip."""
        self._due = now + INTERVAL_S / 2 * (0.5 + random) / _COMPENSATION
        self._expected = self._lost = 0
        self._far_ssrc = -1
        self._sr_middle = 0
        self._sr_at = 0.0
        self._sent = array("I")
        self.far: ReportBlock | None = None
        """What the other side last said about what we send."""
        self.metrics: VoipMetrics | None = None
        self.round_trip_s: float | None = None
        self.bye = False
        self._clock_from: tuple[int, int, float] | None = None
        """SSRC, RTP time and arrival of the report that the other clock is measured from."""
        self.clock_ppm: float | None = None
        """How much faster than ours the other side's sampling clock runs, when known."""

    def due(self, now: float) -> bool:
        return now >= self._due

    def take(self, data: bytes, now: float) -> bool:
        """A packet of the other side; False when it is no RTCP."""
        report = parse(data)
        if report is None:
            return False
        self.bye = report.bye
        if report.ntp_middle is not None:
            self._far_ssrc, self._sr_middle, self._sr_at = report.ssrc, report.ntp_middle, now
            self._time_clock(report, now)
        for block in report.blocks:
            if block.ssrc == self.ssrc:
                self.far = block
                if block.last_sr in self._sent:
                    took = (self._middle(now) - block.last_sr - block.delay) & 0xFFFFFFFF
                    # A little less than nothing is the roundness of both clocks.
                    seconds = 0.0 if took > 0xFFFFF000 else took / 65536
                    if seconds <= _MAX_ROUND_TRIP_S:
                        self.round_trip_s = seconds
        for metrics in report.metrics:
            if metrics.ssrc == self.ssrc:
                self.metrics = metrics
        return True

    def _time_clock(self, report: Report, now: float) -> None:
        first = self._clock_from
        if first is None or first[0] != report.ssrc:
            self._clock_from = (report.ssrc, report.timestamp, now)
            return
        passed = now - first[2]
        if passed < _CLOCK_S:
            return
        counted = ((report.timestamp - first[1]) & 0xFFFFFFFF) / _RATE
        ppm = (counted / passed - 1) * 1e6
        if abs(ppm) > _MAX_PPM:
            self._clock_from = (report.ssrc, report.timestamp, now)
        else:
            self.clock_ppm = ppm

    def report(
        self, now: float, sent: Sent, heard: Heard | None, random: float, bye: bool = False
    ) -> bytes:
        """The next compound packet; sets when the one after it is due (section 6.3.1)."""
        self._due = now + INTERVAL_S * (0.5 + random) / _COMPENSATION
        ntp = self._ntp(now)
        if sent.packets:
            self._sent.append(ntp >> 16 & 0xFFFFFFFF)
            del self._sent[:-_REMEMBERED]
        return build(
            ssrc=self.ssrc,
            cname=self._cname,
            ntp=ntp,
            timestamp=sent.timestamp,
            packets=sent.packets,
            octets=sent.octets,
            block=None if heard is None else self._block(heard, now),
            bye=bye,
        )

    def _block(self, heard: Heard, now: float) -> ReportBlock:
        expected = heard.lost + heard.received
        if expected < self._expected:
            # The stream began anew.
            self._expected = self._lost = 0
        new, gone = expected - self._expected, heard.lost - self._lost
        self._expected, self._lost = expected, heard.lost
        answers = heard.ssrc == self._far_ssrc
        return ReportBlock(
            heard.ssrc,
            max(0, min(255, gone * 256 // new)) if new > 0 else 0,
            max(-0x800000, min(0x7FFFFF, heard.lost)),
            heard.highest,
            heard.jitter,
            self._sr_middle if answers else 0,
            min(int((now - self._sr_at) * 65536), 0xFFFFFFFF) if answers else 0,
        )

    def _ntp(self, now: float) -> int:
        return ntp_time(self._epoch + now)

    def _middle(self, now: float) -> int:
        return self._ntp(now) >> 16 & 0xFFFFFFFF
