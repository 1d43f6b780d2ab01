"""How loud each side of a call speaks, while somebody looks.

The active speech level (ITU-T P.56) of a leg costs about 2 microseconds a tick, for all legs of a
busy box a tenth of its work. So a page asks for the call that it shows, again and again while it
does, and what was not asked for any more is measured no more. Levels are those that the other side
hears, behind the automatic control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from appliance import live
from appliance.media import protocol as p
from appliance.switch.loudness import LOUD_DBM0, QUIET_DBM0

if TYPE_CHECKING:
    from appliance.switch.model import Call, Leg, World

LOOK_MS: Final = 30_000
"""So long after the last request a call is measured."""
PACE_MS: Final = 5_000
"""From one figure to the next on pages: to be read, not to flicker."""
_NEWEST: Final = 0.25
"""Share of a second with speech in the figure."""


@dataclass(slots=True)
class Meter:
    """Of one leg. `power` is relative to 0 dBm0, 0 until somebody spoke."""

    power: float = 0.0
    shown: int | None = None
    """Level in dBm0 on pages, and when it was put there."""
    shown_at: int = 0


def look(w: World, call: Call) -> None:
    """Somebody looks at the call, for another while."""
    call.looked_until = w.now + LOOK_MS
    for leg in call.people:
        if leg.meter is None and leg.state == "up":
            leg.meter = Meter()
            _listen(w, leg)


def look_away(w: World, call: Call) -> None:
    """Nobody has asked for long enough."""
    call.looked_until = None
    for leg in call.legs:
        if leg.meter is not None:
            leg.meter = None
            _listen(w, leg)


def _listen(w: World, leg: Leg) -> None:
    # `World.media` asks for the level as well while there is a meter.
    w.media(leg.hears or p.Listen(leg.id, keys=False))


def heard(w: World, event: p.LegLevel) -> None:
    """One second of one leg."""
    leg = w.legs.get(event.leg)
    if leg is None or leg.meter is None or event.level_dbm0 is None:
        return
    meter = leg.meter
    power = 10 ** ((event.level_dbm0 + event.gain_db) / 10)
    meter.power += (power - meter.power) * (_NEWEST if meter.power else 1.0)
    if meter.shown is None or w.now - meter.shown_at >= PACE_MS:
        meter.shown, meter.shown_at = round(10 * math.log10(meter.power)), w.now


def levels(call: Call) -> tuple[live.LiveLevel, ...]:
    """Of everybody who talks, as far as it is measured."""
    return tuple(
        live.LiveLevel(leg.party, leg.meter.shown, _hint(leg.meter.shown))
        for leg in call.people
        if leg.meter is not None
    )


def _hint(level: int | None) -> live.LevelHint | None:
    if level is None or QUIET_DBM0 <= level <= LOUD_DBM0:
        return None
    return "quiet" if level < QUIET_DBM0 else "loud"
