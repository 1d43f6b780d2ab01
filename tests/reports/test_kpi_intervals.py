"""Rows of a day by the office's wall clock, on days when that clock is changed too."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ledger.projection import Entry
from appliance.reports.intervals import day_of, day_start, interval_figures, intervals
from appliance.reports.kpi import QueueRules

MONTREAL = ZoneInfo("America/Montreal")
HOUR = 3_600_000


def labels(day: date, zone: str, minutes: int = 60) -> list[str]:
    return [row.label[11:] for row in intervals(day, day, ZoneInfo(zone), minutes)]


def test_the_repeated_hour_in_montreal_is_two_rows() -> None:
    rows = labels(date(2020, 11, 1), "America/Montreal")
    assert rows[:4] == ["00:00-04:00", "01:00-04:00", "01:00-05:00", "02:00-05:00"]
    assert len(rows) == 25


def test_the_skipped_hour_in_montreal_is_no_row() -> None:
    rows = labels(date(2020, 3, 8), "America/Montreal", 30)
    assert rows[2:6] == ["01:00-05:00", "01:30-05:00", "03:00-04:00", "03:30-04:00"]
    assert len(rows) == 46


def test_a_day_that_begins_after_a_skipped_midnight() -> None:
    rows = labels(date(2018, 11, 4), "America/Sao_Paulo")
    assert (rows[0], len(rows)) == ("01:00-02:00", 23)


def test_a_clock_change_of_half_an_hour_is_a_border() -> None:
    rows = labels(date(2021, 4, 4), "Australia/Lord_Howe")
    assert rows[:4] == ["00:00+11:00", "01:00+11:00", "01:30+10:30", "02:00+10:30"]


def test_rows_of_a_zone_with_an_odd_offset_follow_its_wall() -> None:
    assert labels(date(2024, 6, 1), "Asia/Kathmandu", 30)[:2] == ["00:00+05:45", "00:30+05:45"]


def test_a_date_that_an_island_skipped_has_no_rows() -> None:
    assert labels(date(2011, 12, 30), "Pacific/Apia") == []


def test_a_row_length_that_does_not_divide_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="do not divide a day"):
        intervals(date(2024, 1, 1), date(2024, 1, 1), MONTREAL, 7)


@given(
    st.dates(date(1975, 1, 1), date(2037, 12, 1)),
    st.sampled_from(
        [
            "Europe/Bucharest",
            "Europe/Sofia",
            "Asia/Tehran",
            "Europe/Moscow",
            "Asia/Shanghai",
            "America/Montreal",
            "Australia/Lord_Howe",
            "America/Havana",
            "UTC",
        ]
    ),
    st.sampled_from([15, 30, 60]),
)
def test_rows_cover_the_day_without_gaps(day: date, name: str, minutes: int) -> None:
    zone = ZoneInfo(name)
    rows = intervals(day, day, zone, minutes)
    assert rows[0].start_ms == day_start(day, zone)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(rows))
    assert all(0 < row.end_ms - row.start_ms <= minutes * 60_000 for row in rows)
    assert day_of(rows[0].start_ms, zone) == (rows[0].start_ms, rows[-1].end_ms)
    assert day_of(rows[-1].end_ms - 1, zone) == (rows[0].start_ms, rows[-1].end_ms)
    assert len({row.label for row in rows}) == len(rows)


def test_an_entry_counts_in_the_row_in_which_it_entered() -> None:
    day = date(2020, 11, 1)
    rows = intervals(day, day, MONTREAL, 60)
    first, second = rows[1], rows[2]

    def at(enter: int) -> Entry:
        return Entry(
            entry=str(enter),
            call="c",
            queue="q",
            caller=None,
            priority=0,
            parent=None,
            enter_at=enter,
            leave_at=enter + 3 * HOUR,
            reason="abandoned",
        )

    entries = [
        at(first.start_ms - 24 * HOUR),
        at(first.start_ms),
        at(first.end_ms - 1),
        at(second.start_ms),
        at(rows[-1].end_ms),
    ]
    found = interval_figures(entries, rows, QueueRules(), 10**15)
    counts = {row.label[11:]: f.offered for row, f in found if f.offered}
    assert counts == {"01:00-04:00": 2, "01:00-05:00": 1}
