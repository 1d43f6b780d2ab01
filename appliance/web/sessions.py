"""Who is signed in: opaque tokens, kept as hashes in the web process's own small database.

A token is 256 random bits and is known only to the browser. The database survives a restart of
the web process, so an update does not sign agents out in the middle of a shift. When the disk
takes no writes, sessions live in memory and are written down later: whoever is to make room on the
disk must be able to sign in.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import sqlite3
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

import aiosqlite

log = logging.getLogger("centrala.web")

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
        self._stored = set(known)
        """Keys that have a row."""
        self._unwritten: set[bytes] = set()
        """Keys whose row is not (or no longer) what is known of the session."""
        self._writing = asyncio.Lock()
        self._full = False

    @classmethod
    async def open(cls, path: Path, now: int) -> Sessions:
        """Raises OSError when the folder cannot be written. A database that cannot be used is
        done without: the pages work, and everybody signs in anew."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            return await cls._open(str(path), now)
        except sqlite3.Error as error:
            log.error("sessions cannot be kept in %s (%s); they live in memory", path, error)
            return await cls._open(":memory:", now)

    @classmethod
    async def _open(cls, name: str, now: int) -> Sessions:
        db = await aiosqlite.connect(name)
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
        await self._write(session.key)
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
        await self._write(key)

    async def end(self, key: bytes) -> None:
        if self._known.pop(key, None) is not None:
            await self._write(key)

    async def _write(self, key: bytes) -> None:
        """Bring the row of this session, and of those that could not be written, up to date."""
        self._unwritten.add(key)
        async with self._writing:
            # A session that came and went while nothing could be written leaves nothing to do.
            self._unwritten &= self._known.keys() | self._stored
            keys = list(self._unwritten)
            live = [self._known[one] for one in keys if one in self._known]
            gone = [one for one in keys if one not in self._known]
            try:
                await self._db.executemany(
                    "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?)",
                    [astuple(one) for one in live],
                )
                await self._db.executemany(
                    "DELETE FROM session WHERE key = ?", [(one,) for one in gone]
                )
                await self._db.commit()
            except sqlite3.Error as error:
                if not self._full:
                    log.error("sessions cannot be written (%s); they live in memory", error)
                self._full = True
                with contextlib.suppress(sqlite3.Error):
                    await self._db.rollback()
                return
            self._full = False
            self._stored = (self._stored | {one.key for one in live}) - set(gone)
            for one in live:
                if self._known.get(one.key) is one:
                    self._unwritten.discard(one.key)
            self._unwritten.difference_update(gone)
