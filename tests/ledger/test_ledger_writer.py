"""Appending: all or nothing, in order, on disk, and never changed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.events import (
    KINDS,
    CallerKnown,
    CallOpened,
    Disconnect,
    Fact,
    IvrKey,
    SystemStarted,
    kind_of,
)
from appliance.ledger import schema
from appliance.ledger.codec import Stored, decode, encode_body
from appliance.ledger.errors import LedgerError, LedgerInUse
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Ledger
from tests.ledger.stories import office_day


async def test_facts_come_back_in_order_with_gapless_numbers(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    day = office_day(1, 10)
    assert await ledger.append(day[:50]) == 51
    assert await ledger.append(day[50:]) == len(day) + 1
    await ledger.close()
    stored = Reader(tmp_path / "ledger.db").facts(0, 10_000)
    assert stored[1:] == [Stored(n, fact) for n, fact in enumerate(day, start=2)]


async def test_an_empty_group_writes_nothing(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    assert await ledger.append([]) == 1
    await ledger.close()


async def test_groups_of_many_tasks_are_all_written(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    groups = [[IvrKey(at=5, call=f"c{n}", menu="m", key="1", valid=True)] * 3 for n in range(40)]
    seqs = await asyncio.gather(*(ledger.append(group) for group in groups))
    assert sorted(seqs) == list(range(4, 4 + 3 * 40, 3))
    await ledger.close()


async def test_a_cancelled_append_leaves_the_ledger_usable(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    day = office_day(3, 5)
    task = asyncio.create_task(ledger.append(day))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    last = await ledger.append([CallOpened(at=9, call="x", direction="in", door="line:1")])
    assert last in (2, len(day) + 2)
    await ledger.close()


async def test_a_value_that_is_no_known_fact_is_refused_with_its_group(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    with pytest.raises(ValueError, match="Fact is not a kind"):
        await ledger.append([*office_day(1, 1), Fact(at=5)])
    assert Reader(tmp_path / "ledger.db").last_seq() == 1
    await ledger.close()


async def test_a_closed_ledger_says_that_it_is_closed(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    await ledger.close()
    with pytest.raises(LedgerError, match="is closed"):
        await ledger.append(office_day(1, 1))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET at = 5",
        "DELETE FROM facts WHERE seq = 1",
        "INSERT OR REPLACE INTO facts(seq, at, kind, body) VALUES (1, 5, 'x', '{}')",
    ],
)
async def test_a_written_fact_cannot_be_changed(tmp_path: Path, statement: str) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    await ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()


async def test_the_database_syncs_every_commit(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    modes = [
        (await ledger._read(f"PRAGMA {name}"))[0][0] for name in ("journal_mode", "synchronous")
    ]
    assert modes == ["wal", 2]
    await ledger.close()


async def test_a_second_process_is_told_that_the_ledger_is_in_use(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    with pytest.raises(LedgerInUse, match="another process"):
        await Ledger.open(tmp_path / "ledger.db", 2)
    await ledger.close()
    await (await Ledger.open(tmp_path / "ledger.db", 3)).close()


async def test_a_file_that_is_no_database_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"these are not the facts" * 500)
    with pytest.raises(LedgerError, match="cannot be used as ledger"):
        await Ledger.open(path, 1)
    assert path.read_bytes() == b"these are not the facts" * 500


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("CREATE TABLE facts(x)")
    db.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        await Ledger.open(tmp_path / "ledger.db", 1)


async def test_a_ledger_of_a_newer_version_is_opened_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await (await Ledger.open(path, 1)).close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE facts ADD COLUMN shade TEXT DEFAULT 'new'")
        db.execute("CREATE TABLE later(x)")
        db.execute("PRAGMA user_version = 99")
        db.execute(
            """INSERT INTO facts(at, kind, call, body) VALUES (5, 'smelled', 'c', '{"at":5}')"""
        )
    db.close()
    ledger = await Ledger.open(path, 9)
    assert await ledger._read("PRAGMA user_version") == [(99,)]
    reader = Reader(path)
    assert [stored.fact for stored in reader.facts(0)] == [
        SystemStarted(at=1, version="0.1.0", clean=True),
        Fact(at=5),
        SystemStarted(at=9, version="0.1.0", clean=False),
    ]
    reader.close()
    await ledger.close()


def test_migrations_cut_between_two_go_on_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    first = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, "CREATE TABLE a(x); CREATE TABLE a(x)"))
    db = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(db)
    assert db.execute("PRAGMA user_version").fetchone() == (len(first),)
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, "CREATE TABLE a(x)"))
    assert schema.migrate(db) == len(first)
    assert db.execute("PRAGMA user_version").fetchone() == (len(first) + 1,)
    db.close()


async def test_a_backup_taken_between_appends_is_a_ledger_of_its_own(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    day = office_day(2, 20)
    await ledger.append(day[:100])
    await ledger.backup(tmp_path / "copy.db")
    await ledger.append(day[100:])
    await ledger.close()
    copy = Reader(tmp_path / "copy.db")
    assert [s.fact for s in copy.facts(1)] == day[:100]
    copy.close()
    await (await Ledger.open(tmp_path / "copy.db", 10**9)).close()


async def test_a_backup_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1)
    with pytest.raises(LedgerError, match="no copy"):
        await ledger.backup(tmp_path / "nowhere" / "copy.db")
    await ledger.close()


TEXT = st.text(st.characters(codec=None), max_size=30)


@given(TEXT, TEXT)
def test_any_text_of_a_caller_is_written_and_read(number: str, name: str) -> None:
    fact = CallerKnown(at=3, call="c", caller=number, caller_name=name)
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    group = f'[["caller_known",{encode_body(fact).decode()}]]'
    db.execute(schema.INSERT_GROUP, (group,))
    ((kind, body),) = db.execute("SELECT kind, body FROM facts").fetchall()
    db.close()
    clean = [text.encode("utf-8", "replace").decode() for text in (number, name)]
    assert decode(kind, body) == CallerKnown(at=3, call="c", caller=clean[0], caller_name=clean[1])


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fact_survives_its_encoding(seed: int) -> None:
    for fact in office_day(seed, 10):
        assert decode(kind_of(fact), encode_body(fact).decode()) == fact


def test_every_kind_has_a_decoder() -> None:
    for kind in KINDS:
        assert decode(kind, '{"at": 7}').at == 7


def test_words_of_a_newer_version_are_kept() -> None:
    body = '{"at":7,"call":"c","side":"robot","cause":"normal","mood":3}'
    assert decode("disconnect", body) == Disconnect(
        at=7,
        call="c",
        side="robot",  # type: ignore[arg-type]
        cause="normal",
    )
