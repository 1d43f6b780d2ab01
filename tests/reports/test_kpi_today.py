"""Today's figures follow the ledger and equal a recomputation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.events import Connect, QEnter, QLeave
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Ledger
from appliance.reports.intervals import day_start
from appliance.reports.kpi import QueueRules, figures
from appliance.reports.today import today_figures
from tests.ledger.stories import QUEUES, office_day

ZONE = ZoneInfo("Europe/Bucharest")
MIDNIGHT = day_start(date(2024, 5, 6), ZONE)
DAY = 86_400_000
RULES = {queue: QueueRules(20, 5) for queue in QUEUES}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1, reserve_bytes=4096)
    yield ledger
    await ledger.close()


async def test_figures_move_with_each_group_and_equal_a_recomputation(ledger: Ledger) -> None:
    reader = Reader(ledger.path)
    day = office_day(5, 60, start=MIDNIGHT + 1000)
    for start in range(0, len(day), 37):
        await ledger.append(day[start : start + 37])
        now = day[min(start + 36, len(day) - 1)].at
        entries = reader.entries(MIDNIGHT, MIDNIGHT + DAY)
        assert today_figures(reader, RULES, ZONE, now) == {
            queue: figures([e for e in entries if e.queue == queue], rules, now)
            for queue, rules in RULES.items()
        }
    assert entries


async def test_only_entries_of_the_local_day_count(ledger: Ledger) -> None:
    def stay(entry: str, enter: int) -> list[QEnter | Connect | QLeave]:
        ids = {"call": "c", "entry": entry, "queue": "sales"}
        leave = QLeave(at=enter + 5, reason="abandoned", **ids)
        return [QEnter(at=enter, **ids), leave]

    await ledger.append(
        [*stay("yesterday", MIDNIGHT - 1), *stay("first", MIDNIGHT), *stay("second", MIDNIGHT + 9)]
    )
    reader = Reader(ledger.path)

    def abandoned(now: int) -> int:
        return today_figures(reader, RULES, ZONE, now)["sales"].abandoned

    assert abandoned(MIDNIGHT + 50) == 2
    assert abandoned(MIDNIGHT - 1) == 1
    assert abandoned(MIDNIGHT + DAY) == 0


async def test_a_wait_grows_while_nothing_happens(ledger: Ledger) -> None:
    await ledger.append([QEnter(at=MIDNIGHT + 5, call="c", entry="e", queue="sales")])
    longest = [
        today_figures(Reader(ledger.path), RULES, ZONE, MIDNIGHT + after)["sales"].max_wait_ms
        for after in (5, 700, 9_000)
    ]
    assert longest == [0, 695, 8_995]


async def test_changed_rules_change_the_figures_at_once(ledger: Ledger) -> None:
    ids = {"call": "c", "entry": "e", "queue": "sales"}
    await ledger.append(
        [
            QEnter(at=MIDNIGHT, **ids),
            Connect(at=MIDNIGHT + 15_000, agent="ana", **ids),
            QLeave(at=MIDNIGHT + 15_000, reason="answered", agent="ana", **ids),
        ]
    )
    reader = Reader(ledger.path)
    levels = [
        today_figures(reader, {"sales": QueueRules(t, 5)}, ZONE, MIDNIGHT + 20_000)["sales"].sl_all
        for t in (20, 10, 20)
    ]
    assert levels == [1.0, 0.0, 1.0]


async def test_a_restored_backup_is_read_afresh(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path, 1, reserve_bytes=4096)
    await ledger.append([QEnter(at=MIDNIGHT, call="c", entry="e", queue="sales")])
    await ledger.backup(tmp_path / "copy.db")
    await ledger.append([QEnter(at=MIDNIGHT, call="d", entry="f", queue="sales")])
    assert today_figures(Reader(path), RULES, ZONE, MIDNIGHT + 1)["sales"].offered == 2
    await ledger.close()
    (tmp_path / "copy.db").rename(path)
    assert today_figures(Reader(path), RULES, ZONE, MIDNIGHT + 1)["sales"].offered == 1


def test_without_a_ledger_every_queue_has_empty_figures(tmp_path: Path) -> None:
    found = today_figures(Reader(tmp_path / "none.db"), RULES, ZONE, MIDNIGHT)
    assert found.keys() == RULES.keys()
    assert found["sales"].offered == 0
