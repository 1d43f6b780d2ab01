"""Rows of a day: UTC instants, cut where the clock on the office's wall says so.

At a clock change the repeated hour is two rows and the skipped one none, because rows follow the
instants and only their labels follow the wall.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from appliance.ledger.projection import Entry
from appliance.reports.kpi import QueueFigures, QueueRules, figures

HALF_HOUR: Final = 30
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Interval:
    """`start_ms <= t < end_ms`, UTC milliseconds. `label` is local ISO time with its offset, which
    tells the two rows of a repeated hour apart: `2020-11-01T01:00-04:00`."""

    start_ms: int
    end_ms: int
    label: str


def day_start(day: date, zone: tzinfo) -> int:
    """The first instant of a local date. Where the clock skips midnight it is the first instant
    after the gap."""
    return _ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def local_date(at: int, zone: tzinfo) -> date:
    """The date on the office's wall at an instant."""
    return _local(at, zone).date()


def day_of(at: int, zone: tzinfo) -> tuple[int, int]:
    """Start and end of the local day that an instant lies in."""
    day = local_date(at, zone)
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


def intervals(first: date, last: date, zone: tzinfo, minutes: int = HALF_HOUR) -> list[Interval]:
    """The rows of the local dates `first` to `last`, both included.

    `minutes` divides a day. Borders lie on multiples of it on the wall clock and at each change of
    the clock that falls between two.
    """
    if minutes <= 0 or 1440 % minutes:
        raise ValueError(f"{minutes} minutes do not divide a day; take 15, 30 or 60")
    start, stop = day_start(first, zone), day_start(last + timedelta(days=1), zone)
    rows: list[Interval] = []
    while start < stop:
        end = min(_next_border(start, zone, minutes), stop)
        label = _local(start, zone).isoformat(timespec="minutes")
        rows.append(Interval(start, end, label))
        start = end
    return rows


def interval_figures(
    entries: Sequence[Entry], rows: Sequence[Interval], rules: QueueRules, now: int
) -> list[tuple[Interval, QueueFigures]]:
    """The figures of each row: an entry belongs to the one in which its wait began. `rows` follow
    one another without gaps; entries outside of them are left out."""
    groups: list[list[Entry]] = [[] for _ in rows]
    starts = [row.start_ms for row in rows]
    for entry in entries:
        at = bisect_right(starts, entry.enter_at) - 1
        if at >= 0 and entry.enter_at < rows[at].end_ms:
            groups[at].append(entry)
    return [(row, figures(group, rules, now)) for row, group in zip(rows, groups, strict=True)]


def _next_border(start: int, zone: tzinfo, minutes: int) -> int:
    wall = _local(start, zone)
    into = (wall.hour * 60 + wall.minute) % minutes
    end = start + (minutes - into) * _MINUTE_MS
    offset = wall.utcoffset()
    if _local(end, zone).utcoffset() == offset:
        return end
    low, high = start, end
    while high - low > _MINUTE_MS:
        middle = low + (high - low) // (2 * _MINUTE_MS) * _MINUTE_MS
        if _local(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC).astimezone(zone)


def _ms(local: datetime) -> int:
    return int(local.timestamp()) * 1000
