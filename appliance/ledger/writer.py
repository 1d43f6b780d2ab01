"""The one writer of the ledger: appends groups of facts and closes what a crash left open.

A group is one SQL statement and so one transaction; with WAL and `synchronous = FULL` it is on
disk when `append` returns. The database has a thread of its own (aiosqlite): the event loop never
waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import aiosqlite

from appliance import __version__
from appliance.events import Fact
from appliance.ledger import schema
from appliance.ledger.backup import backup
from appliance.ledger.codec import decode, encode_group
from appliance.ledger.errors import LedgerError, LedgerFull, LedgerInUse
from appliance.ledger.recovery import OpenState, missing_facts, open_recordings, started
from appliance.ledger.reserve import RESERVE_BYTES, Reserve

log = logging.getLogger("centrala.ledger")

Repair = Callable[[str], int]
"""Makes the audio file at a path (relative to the data directory) playable; returns its length
in milliseconds. Runs in a worker thread; may raise OSError or ValueError. Repairing a repaired
file must change nothing, since recovery may be cut and run again."""

RESTORE_EVERY_MS: Final = 60_000
"""How often a released ballast is tried again: soon enough after somebody made room, and rarely
enough to cost nothing."""

_NO_ROOM: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)
"""Primary result codes of a disk that does not take writes. A limit on the size of files and a
failing disk are I/O errors; a file system that went read-only after errors is READONLY."""

_CHUNK: Final = 5_000
"""Facts read at a time during recovery."""


class Ledger:
    """The write side. Get one by `open`; call its methods from one event loop."""

    def __init__(self, path: Path, db: aiosqlite.Connection, lock: int, reserve: Reserve) -> None:
        self.path = path
        self.last_seq = 0
        """`seq` of the last fact known to be on disk."""
        self.last_at = 0
        """Time of the last fact: the clock that the machines get must not lie before it."""
        self.recovered: tuple[Fact, ...] = ()
        """What `open` had to close after a crash."""
        self._db = db
        self._lock = lock
        self._reserve = reserve
        self._restore_at: int | None = None
        self._open = OpenState()

    @classmethod
    async def open(
        cls,
        path: Path,
        now: int,
        *,
        repair: Repair | None = None,
        version: str = __version__,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> Ledger:
        """Open or create the ledger, bring its tables up to date and recover.

        `repair` measures the recordings that were cut; without it their length is 0. Raises
        `LedgerInUse`, `LedgerFull`, or `LedgerError` when the file cannot be used.
        """
        reserve = Reserve(path.with_suffix(".reserve"), reserve_bytes)
        lock = await asyncio.to_thread(_lock, path)
        db: aiosqlite.Connection | None = None
        try:
            await asyncio.to_thread(_migrate, path, reserve)
            db = await aiosqlite.connect(path, isolation_level=None)
            for pragma in schema.WRITER_PRAGMAS:
                await db.execute_fetchall(pragma)
            ledger = cls(path, db, lock, reserve)
            await ledger.recover(now, repair=repair, version=version)
        except BaseException as error:
            if db is not None:
                await db.close()
            os.close(lock)
            if isinstance(error, sqlite3.Error | ValueError):
                raise _unusable(path, error) from error
            raise
        if not await asyncio.to_thread(reserve.restore):
            ledger._restore_at = now + RESTORE_EVERY_MS
            log.warning("disk nearly full: no room for the ledger's reserve %s", reserve.path)
        return ledger

    async def append(self, facts: Sequence[Fact]) -> int:
        """Write a group of facts, all or none; they are on disk when this returns.

        Returns the `seq` of the last fact (of the ledger, if the group is empty). When cancelled,
        the group may have been written. Raises `LedgerFull`: nothing of the group was written and
        the same facts may be appended again.
        """
        if not facts:
            return self.last_seq
        group = encode_group(facts)
        row = await self._write(self._db.execute_insert, schema.INSERT_GROUP, (group,))
        self.last_seq = int(row[0])
        self.last_at = max(self.last_at, facts[-1].at)
        if self._restore_at is not None and self.last_at >= self._restore_at:
            self._restore_at = self.last_at + RESTORE_EVERY_MS
            if await asyncio.to_thread(self._reserve.restore):
                self._restore_at = None
        return self.last_seq

    async def alive(self, now: int) -> None:
        """Note that the process runs at `now`, and where recovery has to start reading.

        Called every ten seconds or so while calls are up, it bounds the error in the durations of
        calls that a crash cut, and keeps starts quick after months without a restart. Raises
        `LedgerFull`.
        """
        await self._follow()
        await self._write(
            self._db.execute_insert,
            "INSERT INTO mark(id, at, open_from) VALUES (1, ?, ?)"
            " ON CONFLICT(id) DO UPDATE SET at = excluded.at, open_from = excluded.open_from",
            (now, self._open.open_from()),
        )

    async def recover(
        self, now: int, *, repair: Repair | None = None, version: str = __version__
    ) -> None:
        """Close what is open and append `SystemStarted`, in one transaction.

        `open` has done it already. Raises `LedgerFull`.
        """
        self._open = state = OpenState()
        rows = await self._read("SELECT coalesce(max(seq), 0) FROM facts")
        last = int(rows[0][0])
        rows = await self._read(
            "SELECT coalesce(max(seq), 1) FROM facts INDEXED BY starts"
            " WHERE kind = 'system_started'"
        )
        first = int(rows[0][0])
        for at, open_from in await self._read("SELECT at, open_from FROM mark"):
            state.alive_at = int(at)
            first = max(first, int(open_from))
        state.last_seq = min(first, last) - 1
        await self._follow()
        durations = await asyncio.to_thread(_repair_all, state, repair)
        missing = missing_facts(state, now, durations)
        if missing:
            log.warning("stopped without order: %d facts closed what was open", len(missing))
        await self.append([*missing, started(state, now, version)])
        self.recovered = tuple(missing)

    async def backup(self, target: Path) -> None:
        """Write a complete copy to `target` while calls go on. Raises `LedgerError`."""
        await asyncio.to_thread(backup, self.path, target)

    async def close(self) -> None:
        """Let go of the file. What was appended is on disk already."""
        try:
            await self._db.close()
        except sqlite3.Error as error:
            log.error("the ledger %s could not be closed in order: %s", self.path, error)
        finally:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    async def _follow(self) -> None:
        """Fold the facts since the last time into the state of what is open."""
        while True:
            rows = await self._read(
                "SELECT seq, kind, body FROM facts WHERE seq > ? ORDER BY seq LIMIT ?",
                (self._open.last_seq, _CHUNK),
            )
            for seq, kind, body in rows:
                self._open.apply(seq, decode(kind, body))
            if len(rows) < _CHUNK:
                return

    async def _read(self, sql: str, values: Iterable[Any] = ()) -> list[Any]:
        return list(await self._db.execute_fetchall(sql, values))

    async def _write(self, execute: Callable[..., Any], sql: str, values: Iterable[Any]) -> Any:
        """Run one writing statement; a full disk costs the ballast first, then `LedgerFull`."""
        if self._lock < 0:
            raise LedgerError(f"{self.path} is closed")
        try:
            return await execute(sql, values)
        except sqlite3.Error as error:
            if not _no_room(error):
                raise LedgerError(f"{self.path} cannot be written: {error}") from error
            if not await asyncio.to_thread(self._reserve.release):
                raise self._full(error) from error
        self._restore_at = self.last_at + RESTORE_EVERY_MS
        log.error("disk full: the ledger's reserve %s was released", self._reserve.path)
        try:
            return await execute(sql, values)
        except sqlite3.Error as error:
            raise self._full(error) from error

    def _full(self, error: sqlite3.Error) -> LedgerFull:
        return LedgerFull(
            f"the disk with {self.path} takes no more writes ({error}); make room on it"
        )


def _lock(path: Path) -> int:
    """Hold the ledger for this process until the descriptor is closed; a crash lets go of it."""
    name = path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise LedgerError(f"{name} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LedgerInUse(
            f"another process writes {path}; stop it first, or give this one its own data directory"
        ) from None
    return descriptor


def _migrate(path: Path, reserve: Reserve) -> None:
    for attempt in (1, 2):
        try:
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
                for pragma in schema.WRITER_PRAGMAS:
                    db.execute(pragma).fetchall()
                schema.migrate(db)
            return
        except sqlite3.Error as error:
            if not _no_room(error):
                raise
            if attempt == 2 or not reserve.release():
                raise LedgerFull(
                    f"the disk with {path} takes no writes ({error}); make room on it"
                ) from error


def _repair_all(state: OpenState, repair: Repair | None) -> dict[str, int]:
    durations: dict[str, int] = {}
    if repair is None:
        return durations
    for recording in open_recordings(state):
        try:
            durations[recording.recording] = repair(recording.path)
        except (OSError, ValueError) as error:
            log.warning("recording %s cannot be repaired: %s", recording.path, error)
    return durations


def _no_room(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM


def _unusable(path: Path, error: Exception) -> LedgerError:
    return LedgerError(
        f"{path} cannot be used as ledger: {error}. Restore a backup of it, or move it away to"
        " start with an empty one"
    )
