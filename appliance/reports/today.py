"""Today's figures per queue for the live page.

Asked twice a second: the entries of the day are kept and moved on by the new facts alone, and the
figures are computed again only for queues that changed or where somebody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Final

from appliance.ledger.codec import Stored
from appliance.ledger.projection import Entry, Projection
from appliance.ledger.reader import Reader
from appliance.reports.intervals import day_of
from appliance.reports.kpi import QueueFigures, QueueRules, figures, max_wait

__all__ = ["QueueRules", "Today", "today_figures"]

_CHUNK: Final = 5_000


class Today:
    """The entries of the current local day of one ledger. Not for several threads at once."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._day: tuple[int, int] = (0, 0)
        self._identity: tuple[int, int] | None = None
        self._seq = 0
        self._projection = Projection()
        self._known: dict[tuple[str, QueueRules], QueueFigures] = {}
        self._by_queue: dict[str, list[Entry]] = {}

    def figures(
        self, reader: Reader, queues: Mapping[str, QueueRules], now: int
    ) -> dict[str, QueueFigures]:
        """The figures of each queue of `queues` over the entries since local midnight.

        Raises `LedgerError` when the ledger cannot be read.
        """
        self._follow(reader, now)
        return {queue: self._of(queue, rules, now) for queue, rules in queues.items()}

    def _follow(self, reader: Reader, now: int) -> None:
        last, identity = reader.last_seq(), reader.identity()
        if not self._day[0] <= now < self._day[1] or identity != self._identity or last < self._seq:
            self._day, self._identity = day_of(now, self._zone), identity
            self._projection = Projection()
            self._seq, facts = reader.entry_facts(*self._day)
            self._take(facts)
            self._group()
        while self._seq < last:
            facts = reader.facts(self._seq, _CHUNK)
            if not facts:
                break
            self._take(facts)
            self._seq = facts[-1].seq
            self._group()

    def _take(self, facts: list[Stored]) -> None:
        for stored in facts:
            self._projection.apply(stored)

    def _group(self) -> None:
        self._known.clear()
        self._by_queue.clear()
        since, until = self._day
        for entry in self._projection.entries():
            if since <= entry.enter_at < until:
                self._by_queue.setdefault(entry.queue, []).append(entry)

    def _of(self, queue: str, rules: QueueRules, now: int) -> QueueFigures:
        entries = self._by_queue.get(queue, [])
        known = self._known.get((queue, rules))
        if known is None:
            known = self._known[queue, rules] = figures(entries, rules, now)
        if not known.waiting:
            return known
        # Only the longest wait moves while nothing happens.
        return replace(known, max_wait_ms=max_wait(entries, now))


_TODAY: dict[tuple[Path, str], Today] = {}
_TURN = threading.Lock()


def today_figures(
    reader: Reader, queues: Mapping[str, QueueRules], zone: tzinfo, now: int
) -> dict[str, QueueFigures]:
    """Today's figures of each queue of `queues`; may be called from any thread.

    The day so far is remembered by file and zone, so that a reader of one question costs nothing.
    Raises `LedgerError` when the ledger cannot be read.
    """
    with _TURN:
        today = _TODAY.setdefault((reader.path.absolute(), str(zone)), Today(zone))
        return today.figures(reader, queues, now)
