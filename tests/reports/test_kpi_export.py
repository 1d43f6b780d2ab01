"""CSV that opens in a spreadsheet without running what a caller sent."""

from __future__ import annotations

import csv
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ledger.projection import CallRow
from appliance.reports.export import (
    CALL_COLUMNS,
    INTERVAL_COLUMNS,
    calls_csv,
    intervals_csv,
    safe,
)
from appliance.reports.intervals import intervals
from appliance.reports.kpi import QueueRules, figures

ZONE = ZoneInfo("Europe/Bucharest")


def call(name: str | None) -> CallRow:
    return CallRow(
        call="c",
        seq=1,
        opened_at=1_700_000_000_000,
        direction="in",
        door="line:1",
        caller="+40722123456",
        caller_name=name,
        wait_ms=12_340,
    )


def test_a_call_is_one_line_with_local_times_and_seconds() -> None:
    header, row = csv.reader(calls_csv([call('Ion, "Jr"')], ZONE))
    assert tuple(header) == CALL_COLUMNS
    found = dict(zip(header, row, strict=True))
    assert found["opened"] == "2023-11-15T00:13:20+02:00"
    assert found["caller"] == "'+40722123456"
    assert found["caller_name"] == 'Ion, "Jr"'
    assert found["wait_s"] == "12.3"
    assert found["talk_s"] == ""


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "|calc", "\x00=1"]
)
def test_a_name_that_looks_like_a_formula_becomes_text(name: str) -> None:
    assert safe(name).startswith("'")


@pytest.mark.parametrize("name", ["Ana", "می‌روم", "Șțefan", "12", ""])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert safe(name) == name


@given(st.text(max_size=20))
def test_no_text_breaks_a_line_or_starts_a_formula(name: str) -> None:
    rows = list(csv.reader(calls_csv([call(name)], ZONE)))
    assert [len(row) for row in rows] == [len(CALL_COLUMNS)] * 2
    assert not rows[1][5].lstrip().startswith(tuple("=+-@"))


def test_intervals_have_a_row_each_and_empty_cells_without_a_value() -> None:
    rows = intervals(date(2024, 1, 1), date(2024, 1, 1), ZONE)
    empty = figures([], QueueRules(), 0)
    lines = list(csv.reader(intervals_csv((row, "sales", empty) for row in rows)))
    assert tuple(lines[0]) == INTERVAL_COLUMNS
    assert len(lines) == 49
    assert lines[1][:4] == ["2024-01-01T00:00+02:00", "sales", "0", "0"]
    assert lines[1][INTERVAL_COLUMNS.index("SL_ALL")] == ""
