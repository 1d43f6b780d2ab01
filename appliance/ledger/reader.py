"""The read side: what pages and reports ask, from any process, while calls are being written.

There is no table of calls to keep in step: a row is computed from the facts of that call when it
is asked for, found by indexes, so it cannot differ from a recomputation. Every answer comes from
one snapshot. Before the first start there is no ledger yet, which reads as an empty one.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from appliance.events import (
    AgentState,
    CallbackDialled,
    Fact,
    MessageStarted,
    RecordingEnded,
    RecordingStarted,
)
from appliance.ledger.codec import Stored, decode
from appliance.ledger.errors import LedgerError
from appliance.ledger.projection import (
    CallRow,
    Entry,
    MessageRow,
    RecordingRow,
    project_call,
    project_entry,
    project_messages,
    recording_row,
)

MAX_SEARCH: Final = 100
"""Characters of a search that are looked at."""

MAX_ROWS: Final = 10_000
"""Most rows of one answer, whatever was asked for."""

_OF_CALLBACKS: Final = (
    "kind IN ('callback_requested', 'callback_dialled', 'callback_missed', 'callback_ended')"
)

_TEXT_HITS: Final = """
    SELECT call FROM facts INDEXED BY calls_opened WHERE kind = 'call_opened' AND (
        body ->> '$.caller' LIKE :part ESCAPE '\\' OR body ->> '$.called' LIKE :part ESCAPE '\\'
        OR body ->> '$.caller_name' LIKE :text ESCAPE '\\')
    UNION SELECT call FROM facts INDEXED BY callers_known WHERE kind = 'caller_known' AND (
        body ->> '$.caller' LIKE :part ESCAPE '\\'
        OR body ->> '$.caller_name' LIKE :text ESCAPE '\\')
    UNION SELECT call FROM facts INDEXED BY agents_connected
        WHERE kind = 'connect' AND agent = :exact
    UNION SELECT call FROM facts INDEXED BY entries_entered
        WHERE kind = 'q_enter' AND queue = :exact
"""


class EntryFacts(NamedTuple):
    """The facts of entries, and the last `seq` of the snapshot that they come from."""

    last_seq: int
    facts: list[Stored]


class Reader:
    """A read-only connection, opened at the first question; may be used from any thread.

    All methods block and raise `LedgerError` when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._turn = threading.RLock()

    def close(self) -> None:
        with self._turn:
            if self._db is not None:
                self._db.close()
                self._db = None

    def last_seq(self) -> int:
        """`seq` of the newest fact, 0 without any."""
        with self._snapshot() as db:
            return _last_seq(db)

    def identity(self) -> tuple[int, int] | None:
        """Changes when another file takes the ledger's place; None without one."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def facts(self, after_seq: int, limit: int = 1000) -> list[Stored]:
        """The next facts in order, for whoever follows the ledger."""
        with self._snapshot() as db:
            return _stored(
                _rows(
                    db,
                    "SELECT seq, kind, body FROM facts WHERE seq > ? ORDER BY seq LIMIT ?",
                    (after_seq, min(limit, MAX_ROWS)),
                )
            )

    def calls(
        self, limit: int = 50, before: int | None = None, search: str | None = None
    ) -> list[CallRow]:
        """Calls, newest first. `before` is the `seq` of the oldest row of the page before.

        `search` finds parts of numbers and names (letter case does not matter, nor do spaces and
        hyphens in a number) and the exact id of a queue, or of an agent who spoke.
        """
        search = _text(search or "")[:MAX_SEARCH]
        values: dict[str, Any] = {
            "before": 2**62 if before is None else min(before, 2**62),
            "limit": max(0, min(limit, MAX_ROWS)),
        }
        if search:
            hits = f"AND call IN ({_TEXT_HITS})"
            values |= {
                "part": f"%{_escaped(_squeezed(search))}%",
                "text": f"%{_escaped(search)}%",
                "exact": search,
            }
        else:
            hits = ""
        with self._snapshot() as db:
            ids = _rows(
                db,
                "SELECT call FROM facts INDEXED BY calls_opened WHERE kind = 'call_opened'"
                f" AND seq < :before {hits} ORDER BY seq DESC LIMIT :limit",
                values,
            )
            rows = (project_call(_call_facts(db, call)) for (call,) in ids)
            return [row for row in rows if row is not None]

    def call(self, call: str) -> CallRow | None:
        """One call with its journey; None when there is none of that id."""
        return project_call(self.call_facts(call))

    def call_facts(self, call: str) -> list[Stored]:
        """All facts of one call, in order."""
        with self._snapshot() as db:
            return _call_facts(db, call)

    def entries(self, since_ms: int, until_ms: int) -> list[Entry]:
        """The entries whose wait began in `since_ms <= at < until_ms`, in that order, with what
        became of them up to now."""
        by_entry: dict[str, list[Fact]] = {}
        for _, fact in self.entry_facts(since_ms, until_ms).facts:
            by_entry.setdefault(getattr(fact, "entry", ""), []).append(fact)
        found = (entry for entry in map(project_entry, by_entry.values()) if entry is not None)
        return sorted(found, key=lambda entry: (entry.enter_at, entry.entry))

    def entry_facts(self, since_ms: int, until_ms: int) -> EntryFacts:
        """The facts, in order, of the entries whose wait began in the window."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT seq, kind, body FROM facts WHERE entry IN ("
                " SELECT entry FROM facts INDEXED BY entries_entered"
                " WHERE kind = 'q_enter' AND at >= ? AND at < ?) ORDER BY seq",
                (since_ms, until_ms),
            )
            return EntryFacts(_last_seq(db), _stored(rows))

    def agent_states(self, since_ms: int, until_ms: int) -> list[AgentState]:
        """The states that agents chose in the window, and before them the one that each agent was
        in when it began; in the order of time."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT seq, kind, body FROM facts INDEXED BY agent_states"
                " WHERE kind = 'agent_state' AND at >= ? AND at < ?",
                (since_ms, until_ms),
            )
            agents = _rows(
                db,
                "SELECT DISTINCT agent FROM facts INDEXED BY agent_states"
                " WHERE kind = 'agent_state'",
            )
            for (agent,) in agents:
                rows += _rows(
                    db,
                    "SELECT seq, kind, body FROM facts INDEXED BY agent_states"
                    " WHERE kind = 'agent_state' AND agent = ? AND at < ?"
                    " ORDER BY at DESC, seq DESC LIMIT 1",
                    (agent, since_ms),
                )
        return [fact for _, fact in _stored(sorted(rows)) if isinstance(fact, AgentState)]

    def line_facts(self, since_ms: int, until_ms: int) -> list[Fact]:
        """`LineSeized` and `LineBusy` in the window, in order: what the lines were offered."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT seq, kind, body FROM facts INDEXED BY lines_used"
                " WHERE kind IN ('line_seized', 'line_busy') AND at >= ? AND at < ? ORDER BY seq",
                (since_ms, until_ms),
            )
        return [fact for _, fact in _stored(rows)]

    def open_callbacks(self) -> list[Fact]:
        """The facts, in order, of the call-backs that have no end yet, with `Connect` and `QLeave`
        of the entries that their tries led to."""
        with self._snapshot() as db:
            requests = _rows(
                db,
                "SELECT body ->> '$.callback' FROM facts INDEXED BY callbacks_requested"
                " WHERE kind = 'callback_requested' EXCEPT SELECT body ->> '$.callback'"
                f" FROM facts INDEXED BY callbacks WHERE {_OF_CALLBACKS}"
                " AND kind = 'callback_ended'",
            )
            return self._callback_facts(db, [name for (name,) in requests])

    def callbacks(self, since_ms: int, until_ms: int) -> list[Fact]:
        """The same of the call-backs that were asked for in the window, ended or not."""
        with self._snapshot() as db:
            requests = _rows(
                db,
                "SELECT body ->> '$.callback' FROM facts INDEXED BY callbacks_requested"
                " WHERE kind = 'callback_requested' AND at >= ? AND at < ?",
                (since_ms, until_ms),
            )
            return self._callback_facts(db, [name for (name,) in requests])

    def _callback_facts(self, db: sqlite3.Connection | None, names: list[str]) -> list[Fact]:
        rows: list[Any] = []
        for name in names:
            rows += _rows(
                db,
                f"SELECT seq, kind, body FROM facts INDEXED BY callbacks WHERE {_OF_CALLBACKS}"
                " AND body ->> '$.callback' = ?",
                (name,),
            )
        entries = {fact.entry for _, fact in _stored(rows) if isinstance(fact, CallbackDialled)}
        for entry in entries:
            rows += _rows(
                db,
                "SELECT seq, kind, body FROM facts WHERE entry = ?"
                " AND kind IN ('connect', 'q_leave')",
                (entry,),
            )
        return [fact for _, fact in _stored(sorted(rows))]

    def messages(self, since_ms: int) -> list[MessageRow]:
        """Messages kept since then that are still in their boxes, oldest first."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT seq, kind, body FROM facts INDEXED BY messages"
                " WHERE kind IN ('message_kept', 'message_heard', 'message_deleted')"
                " AND body ->> '$.message' IN ("
                "  SELECT body ->> '$.message' FROM facts INDEXED BY messages_kept"
                "  WHERE kind = 'message_kept' AND at >= ?) ORDER BY seq",
                (since_ms,),
            )
        return project_messages(fact for _, fact in _stored(rows))

    def messages_gone(self, since_ms: int) -> list[str]:
        """The paths of messages that were deleted, or were none after all, since then."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT body ->> '$.path' FROM facts INDEXED BY messages_gone"
                " WHERE kind IN ('message_dropped', 'message_deleted') AND at >= ?",
                (since_ms,),
            )
        return [path for (path,) in rows]

    def first_seq_at(self, at_ms: int) -> int:
        """About where the facts of this moment begin; some of before may be among them. Found by
        halving, since `at` follows `seq` but for a clock that was set."""
        with self._snapshot() as db:
            low, high = 0, _last_seq(db)
            while low < high:
                middle = (low + high) // 2
                rows = _rows(db, "SELECT at FROM facts WHERE seq > ? LIMIT 1", (middle,))
                if rows and rows[0][0] < at_ms:
                    low = middle + 1
                else:
                    high = middle
        return low

    def recording(self, recording: str) -> RecordingRow | None:
        """One recording of a call; None when there is none of that id, and for messages: those are
        heard by the people of their box."""
        with self._snapshot() as db:
            rows = _rows(
                db,
                "SELECT call FROM facts INDEXED BY recordings_started"
                " WHERE kind = 'recording_started' AND body ->> '$.recording' = ? LIMIT 1",
                (_text(recording),),
            )
            facts = [fact for (call,) in rows for _, fact in _call_facts(db, call)]
        start: RecordingStarted | None = None
        end: RecordingEnded | None = None
        for fact in facts:
            if isinstance(fact, RecordingStarted) and fact.recording == recording:
                start = fact
            elif isinstance(fact, RecordingEnded) and fact.recording == recording:
                end = fact
            elif isinstance(fact, MessageStarted) and fact.recording == recording:
                return None
        return None if start is None else recording_row(start, end)

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """A consistent view; None while there is no ledger."""
        with self._turn:
            try:
                db = self._connected()
                if db is None:
                    yield None
                    return
                db.execute("BEGIN")
                try:
                    yield db
                finally:
                    db.execute("COMMIT")
            except sqlite3.Error as error:
                raise LedgerError(f"{self.path} cannot be read: {error}") from error

    def _connected(self) -> sqlite3.Connection | None:
        if self._db is None:
            if not self.path.exists():
                return None
            db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            db.execute("PRAGMA busy_timeout = 5000")
            db.execute("PRAGMA query_only = ON")
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                db.close()
                return None
            self._db = db
        return self._db


def _rows(
    db: sqlite3.Connection | None, sql: str, values: tuple[Any, ...] | dict[str, Any] = ()
) -> list[Any]:
    return [] if db is None else db.execute(sql, values).fetchall()


def _last_seq(db: sqlite3.Connection | None) -> int:
    rows = _rows(db, "SELECT coalesce(max(seq), 0) FROM facts")
    return int(rows[0][0]) if rows else 0


def _call_facts(db: sqlite3.Connection | None, call: str) -> list[Stored]:
    return _stored(
        _rows(db, "SELECT seq, kind, body FROM facts WHERE call = ? ORDER BY seq", (_text(call),))
    )


def _stored(rows: Iterable[Any]) -> list[Stored]:
    return [Stored(seq, decode(kind, body)) for seq, kind, body in rows]


def _text(text: str) -> str:
    """Text that SQLite takes: nothing ends at a NUL, nothing is half a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _escaped(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return text


def _squeezed(text: str) -> str:
    """A number as people write it -> as it is signalled; other text stays."""
    bare = text.translate({ord(c): None for c in " -./()\u00a0"})
    return bare if bare.removeprefix("+").isdigit() else text
