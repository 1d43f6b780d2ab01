"""Questions of pages and reports, asked while the ledger is written."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.events import (
    AgentState,
    CallerKnown,
    CallOpened,
    Connect,
    Disconnect,
    LineBusy,
    LineSeized,
    MessageDeleted,
    MessageDropped,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
)
from appliance.ledger.codec import Stored
from appliance.ledger.errors import LedgerError
from appliance.ledger.projection import Projection
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Ledger
from tests.ledger.stories import office_day


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1, reserve_bytes=4096)
    yield ledger
    await ledger.close()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "ledger.db")


def test_before_the_first_start_the_ledger_reads_as_empty(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "ledger.db")
    assert reader.last_seq() == 0
    assert reader.calls() == []
    assert reader.call("c") is None
    assert reader.entries(0, 10**15) == []
    assert reader.recording("r") is None
    assert not (tmp_path / "ledger.db").exists()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"x" * 5000)
    with pytest.raises(LedgerError, match="cannot be read"):
        Reader(tmp_path / "ledger.db").last_seq()


async def test_a_reader_follows_the_writer(ledger: Ledger, reader: Reader) -> None:
    assert reader.last_seq() == 1
    day = office_day(1, 5)
    await ledger.append(day)
    assert reader.last_seq() == ledger.last_seq
    assert [fact for _, fact in reader.facts(1, 3)] == day[:3]
    assert reader.facts(ledger.last_seq) == []


async def test_a_reader_may_not_write(ledger: Ledger, reader: Reader) -> None:
    with reader._snapshot() as db:
        assert db is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("INSERT INTO facts(at, kind, body) VALUES (1, 'x', '{}')")


async def test_rows_equal_those_computed_from_all_facts(ledger: Ledger, reader: Reader) -> None:
    day = office_day(7, 60)
    await ledger.append(day[:-40])  # some calls are still up
    projection = Projection()
    for one in reader.facts(0, 10_000):
        projection.apply(one)
    newest_first = sorted(projection.calls(), key=lambda row: -row.seq)
    assert reader.calls(1000) == newest_first
    assert [reader.call(row.call) for row in newest_first] == newest_first
    assert reader.entries(0, 10**15) == sorted(
        projection.entries(), key=lambda e: (e.enter_at, e.entry)
    )


async def test_pages_of_calls_cover_each_call_once(ledger: Ledger, reader: Reader) -> None:
    await ledger.append(office_day(7, 25))
    seen: list[str] = []
    before: int | None = None
    while page := reader.calls(4, before):
        seen += [row.call for row in page]
        before = page[-1].seq
    assert sorted(seen) == sorted(f"7-{n}" for n in range(25))


async def fill(ledger: Ledger) -> None:
    def opened(call: str, caller: str | None, name: str | None = None) -> CallOpened:
        return CallOpened(
            at=5, call=call, direction="in", door="line:1", caller=caller, caller_name=name
        )

    ids = {"call": "late", "entry": "e", "queue": "sales"}
    await ledger.append(
        [
            opened("trunk", "+40722123456", "Popescu 100%"),
            opened("named", None, "ION Ionescu"),
            opened("late", None),
            CallerKnown(at=6, call="late", caller="0311000"),
            QEnter(at=7, **ids),
            Connect(at=8, agent="ana", **ids),
        ]
    )


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("0722", ["trunk"]),
        ("+40 722-123", ["trunk"]),
        ("popescu", ["trunk"]),
        ("ion", ["named"]),
        ("311", ["late"]),
        ("ana", ["late"]),
        ("sales", ["late"]),
        ("100%", ["trunk"]),
        ("%", ["trunk"]),
        ("_", []),
        ("'; DROP TABLE facts", []),
        ("\x00\ud800", []),
    ],
)
async def test_search_finds_numbers_names_agents_and_queues(
    ledger: Ledger, reader: Reader, search: str, found: list[str]
) -> None:
    await fill(ledger)
    assert [row.call for row in reader.calls(search=search)] == found


async def test_entries_belong_to_the_window_of_their_enter(ledger: Ledger, reader: Reader) -> None:
    def stay(entry: str, enter: int, leave: int) -> list[QEnter | QLeave]:
        ids = {"call": "c", "entry": entry, "queue": "q"}
        return [QEnter(at=enter, **ids), QLeave(at=leave, reason="abandoned", **ids)]

    await ledger.append(
        [*stay("before", 99, 150), *stay("first", 100, 900), *stay("after", 200, 201)]
    )
    assert [(e.entry, e.leave_at) for e in reader.entries(100, 200)] == [("first", 900)]


async def test_a_recording_is_found_by_its_id(ledger: Ledger, reader: Reader) -> None:
    start = RecordingStarted(at=5, call="c", recording="r1", path="recordings/r1.wav")
    other = RecordingStarted(at=5, call="c", recording="r2", path="recordings/r2.wav")
    await ledger.append([start, other])
    running = reader.recording("r1")
    assert running is not None
    assert (running.path, running.duration_ms) == ("recordings/r1.wav", None)
    await ledger.append(
        [RecordingEnded(at=9, call="c", recording="r1", duration_ms=4000, reason="done")]
    )
    done = reader.recording("r1")
    assert done is not None
    assert (done.call, done.duration_ms) == ("c", 4000)
    assert reader.recording("r3") is None


async def test_sounds_of_messages_that_went_are_known(ledger: Ledger, reader: Reader) -> None:
    def deleted(at: int) -> MessageDeleted:
        return MessageDeleted(at=at, message=f"m{at}", agent="ana", path=f"recordings/x/{at}.wav")

    dropped = MessageDropped(
        at=7, call="c", message="m7", recording="c-1", path="recordings/x/7.wav", reason="again"
    )
    await ledger.append([deleted(3), deleted(6), dropped])
    assert reader.messages_gone(5) == ["recordings/x/6.wav", "recordings/x/7.wav"]


async def test_agent_states_begin_with_the_one_before_the_window(
    ledger: Ledger, reader: Reader
) -> None:
    old, older = (AgentState(at=at, agent="ana", state="ready") for at in (50, 10))
    new = AgentState(at=100, agent="ana", state="offline")
    other = AgentState(at=20, agent="bo", state="not_ready", reason="Lunch")
    await ledger.append([older, other, old, new])
    assert reader.agent_states(100, 200) == [other, old, new]


async def test_line_facts_of_a_window(ledger: Ledger, reader: Reader) -> None:
    seized = LineSeized(at=100, call="c", line="1", direction="in")
    busy = LineBusy(at=150, line="2")
    await ledger.append([seized, busy, LineBusy(at=200, line="2")])
    assert reader.line_facts(100, 200) == [seized, busy]


async def test_one_reader_serves_many_threads(ledger: Ledger, reader: Reader) -> None:
    await ledger.append(office_day(7, 25))
    rows = reader.calls(25)
    answers = await asyncio.gather(*(asyncio.to_thread(reader.calls, 25) for _ in range(8)))
    assert answers == [rows] * 8
    reader.close()
    assert reader.calls(25) == rows


async def test_a_fact_of_an_unknown_kind_is_passed_over(ledger: Ledger, reader: Reader) -> None:
    await fill(ledger)
    await ledger._db.execute_insert(
        "INSERT INTO facts(at, kind, call, entry, body) VALUES (9, 'smelled', 'late', 'e', ?)",
        ('{"at":9}',),
    )
    await ledger.append([Disconnect(at=10, call="late", side="caller", cause="normal")])
    row = reader.call("late")
    assert row is not None
    assert (row.ended_at, len(row.steps)) == (10, 5)
    assert isinstance(reader.facts(0)[-2], Stored)
