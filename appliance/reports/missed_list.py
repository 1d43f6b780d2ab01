"""The missed callers of one ledger, moved on by the new facts: every open page asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from appliance.ledger.reader import Reader
from appliance.reports.missed import KEEP_MS, Missed, MissedCaller

_CHUNK: Final = 5_000


class MissedList:
    """`key` gives the same text for all spellings of one number, empty for none. May be asked from
    any thread."""

    def __init__(self, key: Callable[[str], str]) -> None:
        self._key = key
        self._missed = Missed(key)
        self._identity: tuple[int, int] | None = None
        self._seq = 0
        self._turn = threading.Lock()

    def rows(self, reader: Reader, now: int) -> tuple[MissedCaller, ...]:
        """The list at this moment. Raises `LedgerError` when the ledger cannot be read."""
        with self._turn:
            last, identity = reader.last_seq(), reader.identity()
            if identity != self._identity or last < self._seq:
                self._identity, self._missed = identity, Missed(self._key)
                self._seq = reader.first_seq_at(now - KEEP_MS)
            while self._seq < last:
                facts = reader.facts(self._seq, _CHUNK)
                if not facts:
                    break
                for stored in facts:
                    self._missed.apply(stored.fact)
                self._seq = facts[-1].seq
            return self._missed.rows(now)
