"""The tables of the ledger and how they came to be.

One append-only table. Triggers refuse every change of what was written, so `seq` has no gaps and
its order is the order of commits. Partial indexes keep a commit cheap: a fact is entered only in
the indexes that its readers use.

Migrations only add (tables, indexes, columns with defaults): the older of two installed versions
must be able to open a ledger that the newer one has written. `PRAGMA user_version` counts the
migrations that ran.
"""

from __future__ import annotations

import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x43544C47
"""`CTLG` in the header of the file, so that no other database is taken for a ledger."""

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE facts (
        seq   INTEGER PRIMARY KEY,
        at    INTEGER NOT NULL,
        kind  TEXT NOT NULL,
        call  TEXT,
        entry TEXT,
        queue TEXT,
        agent TEXT,
        body  TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER facts_keep_values BEFORE UPDATE ON facts
    BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
    CREATE TRIGGER facts_keep_rows BEFORE DELETE ON facts
    BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;
    CREATE TRIGGER facts_keep_place BEFORE INSERT ON facts
    WHEN EXISTS (SELECT 1 FROM facts WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'facts are never replaced'); END;

    CREATE INDEX facts_by_call ON facts(call) WHERE call IS NOT NULL;
    CREATE INDEX facts_by_entry ON facts(entry) WHERE entry IS NOT NULL;
    CREATE INDEX calls_opened ON facts(seq) WHERE kind = 'call_opened';
    CREATE INDEX callers_known ON facts(seq) WHERE kind = 'caller_known';
    CREATE INDEX entries_entered ON facts(at, queue) WHERE kind = 'q_enter';
    CREATE INDEX agents_connected ON facts(agent) WHERE kind = 'connect';
    CREATE INDEX agent_states ON facts(agent, at) WHERE kind = 'agent_state';
    CREATE INDEX lines_used ON facts(at) WHERE kind IN ('line_seized', 'line_busy');
    CREATE INDEX recordings_started ON facts(body ->> '$.recording')
        WHERE kind = 'recording_started';
    CREATE INDEX starts ON facts(seq) WHERE kind = 'system_started';

    CREATE TABLE mark (
        id        INTEGER PRIMARY KEY CHECK (id = 1),
        at        INTEGER NOT NULL,
        open_from INTEGER NOT NULL
    ) STRICT;
    """,
    """
    CREATE INDEX callbacks ON facts(body ->> '$.callback') WHERE kind IN
        ('callback_requested', 'callback_dialled', 'callback_missed', 'callback_ended');
    CREATE INDEX callbacks_requested ON facts(at) WHERE kind = 'callback_requested';
    """,
    """
    CREATE INDEX messages_kept ON facts(at) WHERE kind = 'message_kept';
    CREATE INDEX messages ON facts(body ->> '$.message') WHERE kind IN
        ('message_kept', 'message_heard', 'message_deleted');
    """,
    """
    CREATE INDEX messages_gone ON facts(at) WHERE kind IN ('message_dropped', 'message_deleted');
    """,
)

INSERT_GROUP: Final = """
    INSERT INTO facts(at, kind, call, entry, queue, agent, body)
    SELECT value ->> '$[1].at', value ->> '$[0]', value ->> '$[1].call', value ->> '$[1].entry',
           value ->> '$[1].queue', value ->> '$[1].agent', value -> '$[1]'
    FROM json_each(?)
"""
"""One statement for a whole group: SQLite makes it one transaction, so no failure and no cancelled
task can leave a transaction open or a group half written."""

WRITER_PRAGMAS: Final[tuple[str, ...]] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA recursive_triggers = ON",  # INSERT OR REPLACE then runs the DELETE trigger too
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_size_limit = 16777216",
)


def migrate(db: sqlite3.Connection) -> int:
    """Bring the tables up to this version and return the version found.

    Each migration is one transaction with its count, so a cut between two is harmless. `db` is in
    autocommit mode. Raises `sqlite3.Error`, and ValueError when the file is another program's.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    identity = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if tables and identity != APPLICATION_ID:
        raise ValueError("this database is not a ledger")
    for version, script in enumerate(MIGRATIONS[found:], start=found + 1):
        try:
            db.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {version}; COMMIT;"
            )
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    return found
