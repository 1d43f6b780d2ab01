"""Whether the office is open at an instant."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from appliance.site.model import Hours, parse_span

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(hours: Hours, zone: ZoneInfo, now_ms: int) -> bool:
    """Open from the first minute of a span up to, and not including, its last.

    Spans are what the clock on the office's wall shows: the hour that a clock change repeats
    counts both times. A holiday is closed all day.
    """
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    if local.date() in hours.holidays:
        return False
    spans: tuple[str, ...] = getattr(hours, DAYS[local.weekday()])
    wall = local.time()
    return any(opens <= wall < closes for opens, closes in map(parse_span, spans))
