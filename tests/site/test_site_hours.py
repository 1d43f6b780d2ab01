"""Opening hours are what the clock on the office's wall shows."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.site.hours import is_open
from appliance.site.model import Hours, Office

BUCHAREST = ZoneInfo("Europe/Bucharest")
MONTREAL = ZoneInfo("America/Montreal")
OFFICE = Hours.model_validate(
    {
        "mon": ["09:00-12:00", "13:00-17:30"],
        "sat": ["22:00-24:00"],
        "sun": ["01:30-02:30", "03:15-03:45"],
        "holidays": ["2026-11-30"],
    }
)


def ms(text: str, zone: ZoneInfo = BUCHAREST, fold: int = 0) -> int:
    when = datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)
    return round(when.timestamp() * 1000)


@pytest.mark.parametrize(
    ("local", "open_"),
    [
        ("2026-11-23T08:59:59.999", False),
        ("2026-11-23T09:00", True),
        ("2026-11-23T11:59:59.999", True),
        ("2026-11-23T12:00", False),
        ("2026-11-23T13:00", True),
        ("2026-11-23T17:30", False),
        ("2026-11-24T10:00", False),
        ("2026-11-30T10:00", False),
        ("2026-11-28T23:59:59.999", True),
        ("2026-11-29T00:00", False),
    ],
)
def test_a_span_counts_from_its_first_minute_up_to_its_last(local: str, open_: bool) -> None:
    assert is_open(OFFICE, BUCHAREST, ms(local)) is open_


def test_the_same_wall_clock_holds_in_summer_and_winter() -> None:
    summer = round(datetime(2026, 7, 6, 6, 0, tzinfo=UTC).timestamp() * 1000)
    winter = round(datetime(2026, 12, 7, 6, 0, tzinfo=UTC).timestamp() * 1000)
    assert is_open(OFFICE, BUCHAREST, summer), "09:00 in summer"
    assert not is_open(OFFICE, BUCHAREST, winter), "08:00 in winter"


def test_the_hour_that_a_clock_change_repeats_counts_both_times() -> None:
    for fold in (0, 1):
        at = ms("2020-11-01T01:45", MONTREAL, fold)
        assert is_open(OFFICE, MONTREAL, at)
    first, second = (ms("2020-11-01T01:45", MONTREAL, fold) for fold in (0, 1))
    assert second - first == 3_600_000


def test_the_hour_that_a_clock_change_skips_is_never_open() -> None:
    # 2026-03-29 in Bucharest: 03:00 becomes 04:00.
    before = ms("2026-03-29T02:59")
    assert not any(is_open(OFFICE, BUCHAREST, before + minute * 60_000) for minute in range(1, 61))


def test_an_office_names_its_zone() -> None:
    assert Office(timezone="Europe/Bucharest").zone == BUCHAREST
