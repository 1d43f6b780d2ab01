"""How loud callers are on each analog line, from the levels that the media process reports, and
advice where they are hard to understand whatever is done about it.

One quiet caller is a quiet caller; a line on which several in a row were is a matter for whoever
looks after it. Levels are those of speech as it comes from the line (ITU-T P.56, dBm0), before any
automatic control. Lines that we dial ring first, which is no caller.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from appliance.media import protocol as p

if TYPE_CHECKING:
    from appliance.site.model import Site
    from appliance.switch.model import World

QUIET_DBM0: Final = -28.0
"""10 dB below what telephones send: people ask each other to speak up."""
MENDED_DB: Final = 12.0
"""By which the automatic control lifts at most."""
LOUD_DBM0: Final = -9.0
"""Active speech has peaks 12 dB above: it is clipped."""
ENOUGH_S: Final = 10
"""Seconds with speech that tell how loud a caller is."""
REMEMBERED: Final = 5
CALLS: Final = 3
"""So many calls make it the line's."""


@dataclass(slots=True)
class LoudnessBook:
    """What was heard. `power` is the sum over the seconds with speech, relative to 0 dBm0."""

    now: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Leg -> power, seconds."""
    calls: dict[str, deque[float]] = field(default_factory=dict)
    """Line -> level of its last calls."""


def lines_changed(w: World, before: Site) -> None:
    """A line that is gone, or set otherwise, is judged anew."""
    for line in list(w.loudness.calls):
        if w.site.lines.get(line) != before.lines.get(line):
            del w.loudness.calls[line]
            w.clear(f"loudness:{line}")


def heard(w: World, event: p.LegLevel) -> None:
    """One second of one leg."""
    leg = w.legs.get(event.leg)
    if leg is None or leg.line is None or not leg.incoming or event.level_dbm0 is None:
        return
    book = w.loudness
    power, seconds = book.now.get(leg.id, (0.0, 0))
    power, seconds = power + 10 ** (event.level_dbm0 / 10), seconds + 1
    if seconds == 1:
        for gone in [each for each in book.now if each not in w.legs]:
            del book.now[gone]
    book.now[leg.id] = power, seconds
    if seconds == ENOUGH_S:
        calls = book.calls.setdefault(leg.line, deque(maxlen=REMEMBERED))
        calls.append(10 * math.log10(power / seconds))
        _judge(w, leg.line, calls)


def _judge(w: World, line: str, calls: deque[float]) -> None:
    key = f"loudness:{line}"
    settings = w.site.lines.get(line)
    if len(calls) < CALLS or settings is None:
        return
    level = median(calls)
    lifted = MENDED_DB if settings.agc else 0.0
    if level < QUIET_DBM0 - lifted:
        advice = "Ask the telephone company to measure the line; look for splitters and long cable."
        if not settings.agc:
            advice = "Switch the line's level control on: agc = true in the site document."
        what = "hard to hear"
    elif level > LOUD_DBM0:
        what = "too loud and distorted"
        advice = "Lower the receive gain of the modem or gateway, if it has one."
    else:
        w.clear(key)
        return
    w.alarm(
        key,
        "warning",
        f"Callers on {settings.name} are {what}",
        f"The last {len(calls)} spoke at {level:.0f} dBm0; -15 to -25 is usual.",
        advice,
    )
