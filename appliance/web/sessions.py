"""Who is signed in: opaque tokens, kept as hashes in the web process's own small database.

A token is 256 random bits and is known only to the browser. The database survives a restart of
the web process, so an update does not sign agents out in the middle of a shift.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiosqlite

HOUR_MS: Final = 3_600_000
TOUCH_MS: Final = 60_000
"""Use of a session is written down at most this often."""
MOST_OF_ONE: Final = 20
"""Sessions of one person; a new one ends the oldest."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session (
    key BLOB PRIMARY KEY,
    person TEXT NOT NULL,
    role TEXT NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_person ON session (person);
"""


@dataclass(frozen=True, slots=True)
class Session:
    """`key` is the hash of the token; times are UTC milliseconds."""

    key: bytes
    person: str
    role: str
    created: int
    seen: int
    address: str


def expired(session: Session, now: int) -> bool:
    """Administrators: 30 minutes idle, 12 hours in all. Others: 12 and 24 hours."""
    idle, whole = (
        (HOUR_MS // 2, 12 * HOUR_MS)
        if session.role == "admin"
        else (
            12 * HOUR_MS,
            24 * HOUR_MS,
        )
    )
    return now - session.seen >= idle or now - session.created >= whole


def key_of(token: str) -> bytes:
    # A plain hash is enough: the token itself has 256 bits, there is nothing to guess.
    return hashlib.sha256(token.encode("ascii", "replace")).digest()


class Sessions:
    """The table of sessions, mirrored in memory; this process is its only writer."""

    def __init__(self, db: aiosqlite.Connection, known: dict[bytes, Session]) -> None:
        self._db = db
        self._known = known

    @classmethod
    async def open(cls, path: Path, now: int) -> Sessions:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = await aiosqlite.connect(path)
        try:
            await db.execute("PRAGMA journal_mode=WAL")
            await db.executescript(_SCHEMA)
            rows = await db.execute_fetchall(
                "SELECT key, person, role, created, seen, address FROM session"
            )
            sessions = [Session(*row) for row in rows]
            known = {one.key: one for one in sessions if not expired(one, now)}
            gone = [(one.key,) for one in sessions if one.key not in known]
            await db.executemany("DELETE FROM session WHERE key = ?", gone)
            await db.commit()
        except BaseException:
            await db.close()
            raise
        return cls(db, known)

    async def close(self) -> None:
        await self._db.close()

    async def start(self, person: str, role: str, address: str, now: int) -> str:
        """A new session; returns its token."""
        token = secrets.token_urlsafe(32)
        session = Session(key_of(token), person, role, now, now, address)
        mine = sorted(self.of(person), key=lambda one: one.seen)
        for old in mine[: max(0, len(mine) + 1 - MOST_OF_ONE)]:
            await self.end(old.key)
        self._known[session.key] = session
        await self._db.execute(
            "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)",
            (session.key, person, role, now, now, address),
        )
        await self._db.commit()
        return token

    async def find(self, token: str, now: int) -> Session | None:
        """The live session of a token; an expired one is removed."""
        session = self._known.get(key_of(token))
        if session is not None and expired(session, now):
            await self.end(session.key)
            return None
        return session

    def of(self, person: str) -> list[Session]:
        """All sessions of one person."""
        return [one for one in self._known.values() if one.person == person]

    def still(self, key: bytes, now: int) -> bool:
        """Whether a session that was found before is alive."""
        session = self._known.get(key)
        return session is not None and not expired(session, now)

    async def touch(self, key: bytes, now: int) -> None:
        """The person did something."""
        session = self._known.get(key)
        if session is None or now - session.seen < TOUCH_MS:
            return
        self._known[key] = replace(session, seen=now)
        await self._db.execute("UPDATE session SET seen = ? WHERE key = ?", (now, key))
        await self._db.commit()

    async def end(self, key: bytes) -> None:
        if self._known.pop(key, None) is not None:
            await self._db.execute("DELETE FROM session WHERE key = ?", (key,))
            await self._db.commit()
