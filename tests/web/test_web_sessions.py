"""Sessions and the file they are kept in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from appliance.web.sessions import HOUR_MS, MOST_OF_ONE, Sessions

T0 = 1_700_000_000_000


async def test_a_token_finds_its_session_after_a_restart_of_the_process(tmp_path: Path) -> None:
    first = await Sessions.open(tmp_path / "web.db", T0)
    token = await first.start("ana", "agent", "10.0.0.5", T0)
    await first.close()
    second = await Sessions.open(tmp_path / "web.db", T0 + 1000)
    found = await second.find(token, T0 + 1000)
    await second.close()
    assert found is not None
    assert found.person == "ana"


async def test_the_file_holds_no_token_and_is_closed_to_others(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    token = await sessions.start("ana", "agent", "10.0.0.5", T0)
    await sessions.close()
    assert (tmp_path / "web.db").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "web.db") as db:
        assert db.execute("SELECT count(*) FROM session").fetchone() == (1,)
    assert token.encode() not in (tmp_path / "web.db").read_bytes()


async def test_an_agent_is_signed_out_after_twelve_idle_hours(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    token = await sessions.start("ana", "agent", "", T0)
    assert await sessions.find(token, T0 + 12 * HOUR_MS - 1) is not None
    assert await sessions.find(token, T0 + 12 * HOUR_MS) is None
    await sessions.close()


async def test_an_administrator_is_signed_out_after_half_an_idle_hour(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    token = await sessions.start("root", "admin", "", T0)
    assert await sessions.find(token, T0 + HOUR_MS // 2 - 1) is not None
    assert await sessions.find(token, T0 + HOUR_MS // 2) is None
    await sessions.close()


async def test_use_keeps_a_session_but_not_over_its_whole_length(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    token = await sessions.start("ana", "agent", "", T0)
    for hour in range(1, 24):
        found = await sessions.find(token, T0 + hour * HOUR_MS)
        assert found is not None
        await sessions.touch(found.key, T0 + hour * HOUR_MS)
    assert await sessions.find(token, T0 + 24 * HOUR_MS) is None
    await sessions.close()


async def test_one_person_cannot_pile_up_sessions(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    tokens = [await sessions.start("ana", "agent", "", T0 + n) for n in range(MOST_OF_ONE + 3)]
    assert len(sessions.of("ana")) == MOST_OF_ONE
    assert await sessions.find(tokens[0], T0) is None
    assert await sessions.find(tokens[-1], T0) is not None
    await sessions.close()


class Disk:
    """Stands before the database of sessions and refuses writes while it is `full`."""

    def __init__(self, sessions: Sessions) -> None:
        self.full = True
        self._db = sessions._db
        self._commit = self._db.commit
        self._db.commit = self.commit  # type: ignore[method-assign]

    async def commit(self) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        await self._commit()


async def test_people_can_sign_in_and_out_while_the_disk_is_full(tmp_path: Path) -> None:
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    before = await sessions.start("bo", "agent", "", T0)
    disk = Disk(sessions)
    token = await sessions.start("ana", "agent", "", T0)
    short = await sessions.start("cy", "agent", "", T0)
    assert await sessions.find(token, T0) is not None
    for one in (before, short):
        found = await sessions.find(one, T0)
        assert found is not None
        await sessions.end(found.key)
        assert await sessions.find(one, T0) is None
    disk.full = False
    await sessions.start("dan", "agent", "", T0)
    await sessions.close()
    again = await Sessions.open(tmp_path / "web.db", T0)
    known = [await again.find(one, T0) is not None for one in (token, before, short)]
    await again.close()
    assert known == [True, False, False]


async def test_a_file_that_is_no_database_keeps_nobody_from_signing_in(tmp_path: Path) -> None:
    (tmp_path / "web.db").write_bytes(b"not a database at all" * 500)
    sessions = await Sessions.open(tmp_path / "web.db", T0)
    token = await sessions.start("ana", "agent", "", T0)
    assert await sessions.find(token, T0) is not None
    await sessions.close()
