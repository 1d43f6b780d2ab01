"""How a leg sounded, in one word and with the reason: what people read of a `LegQuality`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from appliance.events import LegQuality

Verdict = Literal["good", "fair", "poor"]
Trouble = Literal["loss", "far_loss", "delay", "jitter"]

GOOD_MOS: Final = 3.6
"""R 70: "some users dissatisfied" begins below it (ITU-T G.109)."""
FAIR_MOS: Final = 3.1
"""R 60: "nearly all users dissatisfied" begins below it."""
_LOSS: Final = 0.005
_DELAY_MS: Final = 300.0
_JITTER_MS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """One leg. Shares 0 to 1, times in ms."""

    party: str
    door: str
    verdict: Verdict
    """Of the worse direction."""
    trouble: Trouble | None
    """What is to blame for less than good: loss of what the party sends or hears, delay, jitter."""
    mos: float
    """As we heard the party."""
    far_mos: float | None
    """As the party heard us; None when its end did not say."""
    loss: float
    """Of what it sent, with what came too late."""
    far_loss: float | None
    jitter_ms: float
    far_jitter_ms: float | None
    round_trip_ms: float | None
    delay_ms: float
    concealed: int
    clock_ppm: float | None
    secure: bool


def verdict(mos: float, far_mos: float | None = None) -> Verdict:
    worse = mos if far_mos is None else min(mos, far_mos)
    if worse >= GOOD_MOS:
        return "good"
    return "fair" if worse >= FAIR_MOS else "poor"


def loss(packets: int, lost: int, late: int) -> float:
    """Share of a leg's packets that could not be played."""
    expected = packets + lost
    return min(1.0, (lost + late) / expected) if expected > 0 else 0.0


def trouble(
    loss: float,
    far_loss: float | None,
    round_trip_ms: float | None,
    jitter_ms: float,
    far_jitter_ms: float | None,
) -> Trouble | None:
    """What a person should look at first."""
    if max(loss, far_loss or 0.0) >= _LOSS:
        return "loss" if loss >= (far_loss or 0.0) else "far_loss"
    if (round_trip_ms or 0.0) >= _DELAY_MS:
        return "delay"
    if max(jitter_ms, far_jitter_ms or 0.0) >= _JITTER_MS:
        return "jitter"
    return None


def quality_row(fact: LegQuality) -> QualityRow:
    """The row of one fact. A line has no packets: its share is of frames that were not there."""
    share = loss(fact.packets, fact.lost, fact.late)
    judged = verdict(fact.mos, fact.far_mos)
    return QualityRow(
        party=fact.party,
        door=fact.door,
        verdict=judged,
        trouble=None
        if judged == "good"
        else trouble(share, fact.far_lost, fact.round_trip_ms, fact.jitter_ms, fact.far_jitter_ms),
        mos=fact.mos,
        far_mos=fact.far_mos,
        loss=round(share, 4),
        far_loss=fact.far_lost,
        jitter_ms=fact.jitter_ms,
        far_jitter_ms=fact.far_jitter_ms,
        round_trip_ms=fact.round_trip_ms,
        delay_ms=fact.delay_ms,
        concealed=fact.concealed,
        clock_ppm=fact.clock_ppm,
        secure=fact.secure,
    )
