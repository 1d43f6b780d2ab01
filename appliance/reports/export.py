"""Calls and interval figures as CSV, a line at a time.

A spreadsheet runs a cell that starts like a formula, and callers choose their names: such text
gets an apostrophe in front, which a spreadsheet takes as "this is text". Numbers of callers with
a leading `+` are among them. Times are local ISO 8601 with offset; durations are seconds
rounded to one decimal, rates fractions; no value is an empty cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final
from unicodedata import category

from appliance.ledger.projection import CallRow
from appliance.reports.intervals import Interval
from appliance.reports.kpi import QueueFigures

Cell = str | int | float | None

_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠|%")
"""What a cell must not start with (OWASP, CSV injection), with the full-width forms that
spreadsheets in East Asian languages take for the same, and the starts of DDE commands."""

CALL_COLUMNS: Final = (
    "call",
    "opened",
    "direction",
    "door",
    "caller",
    "caller_name",
    "called",
    "answered",
    "ended",
    "outcome",
    "hung_up_by",
    "cause",
    "queue",
    "agent",
    "wait_s",
    "talk_s",
    "recordings",
)
INTERVAL_COLUMNS: Final = (
    "interval",
    "queue",
    "offered",
    "answered",
    "answered_within",
    "abandoned",
    "short_abandons",
    "timeouts",
    "no_agent",
    "key_exits",
    "callbacks",
    "overflows",
    "full",
    "closed",
    "failures",
    "abandon_rate",
    "SL_ALL",
    "SL_SHORT",
    "ASA_s",
    "AWT_s",
    "max_wait_s",
    "p90_wait_s",
    "ATT_s",
    "hold_time_s",
    "ACW_s",
    "AHT_s",
    "transfer_rate",
)


def calls_csv(rows: Iterable[CallRow], zone: tzinfo) -> Iterator[str]:
    """Lines of CSV (RFC 4180) with a header, one call each."""
    yield _line(CALL_COLUMNS)
    for row in rows:
        yield _line(
            (
                row.call,
                _time(row.opened_at, zone),
                row.direction,
                row.door,
                row.caller,
                row.caller_name,
                row.called,
                _time(row.answered_at, zone),
                _time(row.ended_at, zone),
                row.outcome,
                row.side,
                row.cause,
                row.queue,
                row.agent,
                _seconds(row.wait_ms),
                _seconds(row.talk_ms),
                len(row.recordings),
            )
        )


def intervals_csv(rows: Iterable[tuple[Interval, str, QueueFigures]]) -> Iterator[str]:
    """Lines of CSV with a header, one interval of one queue each; the columns of figures carry the
    names of their definitions."""
    yield _line(INTERVAL_COLUMNS)
    for interval, queue, f in rows:
        yield _line(
            (
                interval.label,
                queue,
                f.offered,
                f.answered,
                f.answered_within,
                f.abandoned,
                f.short_abandons,
                f.timeouts,
                f.no_agent,
                f.key_exits,
                f.callbacks,
                f.overflows,
                f.full,
                f.closed,
                f.failures,
                _rate(f.abandon_rate),
                _rate(f.sl_all),
                _rate(f.sl_short),
                _seconds(f.asa_ms),
                _seconds(f.awt_ms),
                _seconds(f.max_wait_ms),
                _seconds(f.p90_wait_ms),
                _seconds(f.att_ms),
                _seconds(f.hold_ms),
                _seconds(f.acw_ms),
                _seconds(f.aht_ms),
                _rate(f.transfer_rate),
            )
        )


def safe(text: str) -> str:
    """Text that no spreadsheet runs. Control characters but tabs and line ends are dropped."""
    clean = "".join(c for c in text if c in "\t\r\n" or category(c) not in ("Cc", "Cs"))
    return "'" + clean if clean.lstrip(" \u00a0\u3000").startswith(_FORMULA) else clean


def _line(cells: Iterable[Cell]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def _time(at: int | None, zone: tzinfo) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at // 1000, UTC).astimezone(zone).isoformat()


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)


def _rate(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)
