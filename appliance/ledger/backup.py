"""A copy of the ledger while it is being written.

`VACUUM INTO` reads one snapshot, however long it takes, and does not hold up the writer. The copy
gets its final name only when it is complete, checked and on disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from appliance.ledger.errors import LedgerError


def backup(source: Path, target: Path) -> None:
    """Write a complete copy of the ledger `source` to `target`, replacing what is there.

    Blocking: run it off the event loop. Raises `LedgerError`; `target` is then as it was.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with contextlib.closing(_connect(source)) as db:
            db.execute("VACUUM INTO ?", (str(part),))
        with contextlib.closing(_connect(part)) as copy:
            verdict = str(copy.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if verdict != "ok":
            raise LedgerError(f"the copy of {source} is damaged ({verdict}); check the disk")
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise LedgerError(f"no copy of {source} could be written to {target}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
