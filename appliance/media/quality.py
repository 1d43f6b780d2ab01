"""How each leg sounds, from what its jitter buffer and the other side's reports say.

`Meter` is one leg's account, without clock or socket. It adds up counts over all streams that the
leg had (a phone that changes its SSRC starts its numbers anew) and turns them into the MOS of the
E-model: of the whole leg, and of the time since the last report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from appliance.media import emodel, protocol

REPORT_TICKS: Final = 500
"""10 s between reports of a running leg."""
SAMPLE_TICKS: Final = 100
"""Counts are read each 2 s; what a stream that ended in between lost is not known any more."""
FRAME_MS: Final = 20.0
_OWN_MS: Final = 2 * FRAME_MS
"""One frame fills a packet, and one tick passes before what was read is sent on."""
_FAR_BUFFER_MS: Final = 40.0
"""The least that phones wait in their own jitter buffers."""
ROBUSTNESS: Final = emodel.BPL_CONCEALED
"""Of what we do about a lost packet, see `appliance.media.plc`."""
MAX_JITTER_MS: Final = 5000.0

Door = Literal["rtp", "line", "peer"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of a leg's incoming audio."""

    received: int = 0
    lost: int = 0
    late: int = 0
    concealed: int = 0
    gaps: int = 0

    def plus(self, more: Counts) -> Counts:
        return Counts(
            self.received + more.received,
            self.lost + more.lost,
            self.late + more.late,
            self.concealed + more.concealed,
            self.gaps + more.gaps,
        )

    def minus(self, less: Counts) -> Counts:
        return Counts(
            self.received - less.received,
            self.lost - less.lost,
            self.late - less.late,
            self.concealed - less.concealed,
            self.gaps - less.gaps,
        )

    @property
    def loss(self) -> float:
        """Share of packets that did not come in time, 0 to 1. Doubled packets make up for lost
        ones in the count (RFC 3550 appendix A.3)."""
        expected = self.received + self.lost
        if expected <= 0:
            return 0.0
        return min(1.0, max(0, self.lost + self.late) / expected)

    @property
    def bursts(self) -> float:
        """BurstR of G.107: mean length of a gap over what random loss would make of it."""
        if self.gaps <= 0 or self.lost <= 0:
            return 1.0
        return max(1.0, self.lost / self.gaps * (1 - self.loss))


@dataclass(frozen=True, slots=True)
class Far:
    """The other side, as far as it is known. Shares 0 to 1, times in ms."""

    sent: int = 0
    lost: float | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    clock_ppm: float | None = None
    mos: float | None = None
    """Its own judgement, when it sends one (RFC 3611)."""
    secure: bool = False


class Meter:
    """One leg's account. `frames` are ticks of 20 ms."""

    __slots__ = ("_before", "_frames_before", "_last", "_stream", "door", "frames", "leg", "total")

    def __init__(self, leg: int, door: Door) -> None:
        self.leg = leg
        self.door: Door = door
        self.frames = 0
        """How long audio was expected from this leg."""
        self.total = Counts()
        self._last = Counts()
        self._stream = -1
        self._before = Counts()
        self._frames_before = 0

    def sample(self, stream: int, counts: Counts) -> None:
        """The counts of the stream with this SSRC, as its jitter buffer has them now."""
        if stream < 0:
            return
        if stream != self._stream or counts.received < self._last.received:
            # Late and concealed frames are counted on over streams, the rest anew.
            kept = self._last if self._stream >= 0 else Counts()
            self._last = replace(kept, received=0, lost=0)
            if counts.concealed < kept.concealed or counts.late < kept.late:
                self._last = Counts()
            self._stream = stream
        self.total = self.total.plus(counts.minus(self._last))
        self._last = counts

    def report(
        self, jitter_ms: float, delay_ms: float, far: Far | None, closed: bool
    ) -> protocol.LegQuality:
        """The account so far; the recent part of the next one begins here."""
        recent = self.total.minus(self._before)
        frames = self.frames - self._frames_before
        self._before, self._frames_before = self.total, self.frames
        far = far or Far()
        one_way = _OWN_MS + (far.round_trip_ms or 0.0) / 2
        return protocol.LegQuality(
            leg=self.leg,
            door=self.door,
            closed=closed,
            packets=self.total.received,
            lost=max(0, self.total.lost),
            late=self.total.late,
            concealed=self.total.concealed,
            jitter_ms=round(min(max(0.0, jitter_ms), MAX_JITTER_MS), 1),
            delay_ms=round(max(0.0, delay_ms), 1),
            mos=self._mos(self.total, self.frames, one_way + max(0.0, delay_ms)),
            recent_mos=self._mos(recent, frames, one_way + max(0.0, delay_ms)),
            sent=far.sent,
            round_trip_ms=_rounded(far.round_trip_ms),
            clock_ppm=_rounded(far.clock_ppm),
            far_lost=None if far.lost is None else round(far.lost, 4),
            far_jitter_ms=_rounded(far.jitter_ms),
            far_mos=_far_mos(far),
            secure=far.secure,
        )

    def _mos(self, counts: Counts, frames: int, delay_ms: float) -> float:
        if self.door == "line":
            # A line has no packets that could be missed, only frames that were not there.
            loss = counts.concealed / frames if frames > 0 else 0.0
            return round(emodel.score(delay_ms, loss, 1.0, ROBUSTNESS), 2)
        return round(emodel.score(delay_ms, counts.loss, counts.bursts, ROBUSTNESS), 2)


def _far_mos(far: Far) -> float | None:
    if far.mos is not None:
        return far.mos
    if far.lost is None:
        return None
    delay = _OWN_MS + (far.round_trip_ms or 0.0) / 2
    delay += max(_FAR_BUFFER_MS, 2 * (far.jitter_ms or 0.0))
    return round(emodel.score(delay, far.lost, 1.0, emodel.BPL_CONCEALED), 2)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
