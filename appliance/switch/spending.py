"""What calls to the outside have cost today, in calls and minutes, against the site's ceiling.

A pure book: it is told when a try begins, is answered and ends, and says whether one more is too
much. After a restart it is filled from the facts of the day, so switching the box off and on buys
no new day. Emergency calls never enter it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from appliance.events import DialEnded, Dialled, Fact
from appliance.site.model import Ceiling

MINUTE_MS: Final = 60_000
ABROAD: Final = frozenset({"international", "premium"})
"""What thieves are after."""


@dataclass(slots=True)
class _Running:
    payer: str
    kind: str
    up: int | None = None


@dataclass(slots=True)
class Spending:
    """Talk is counted on the day on which it ends; what still runs counts up to now."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    day: date | None = None
    calls: Counter[str] = field(default_factory=Counter)
    talk_ms: Counter[str] = field(default_factory=Counter)
    abroad_ms: int = 0
    running: dict[str, _Running] = field(default_factory=dict)

    def begin(self, dial: str, payer: str, kind: str, now: int) -> None:
        self._turn(now)
        if kind != "emergency":
            self.calls[payer] += 1
            self.running[dial] = _Running(payer, kind)

    def answered(self, dial: str, now: int) -> None:
        if (one := self.running.get(dial)) is not None and one.up is None:
            one.up = now

    def end(self, dial: str, now: int) -> None:
        self._turn(now)
        one = self.running.pop(dial, None)
        if one is not None and one.up is not None:
            self._add(one.payer, one.kind, max(0, now - one.up))

    def exceeded(self, ceiling: Ceiling, payer: str, kind: str, now: int) -> bool:
        """One more call of this kind would be too much."""
        self._turn(now)
        theirs = [one for one in self.running.values() if one.payer == payer]
        live = Counter[str]()
        abroad = self.abroad_ms
        for one in self.running.values():
            ms = 0 if one.up is None else max(0, now - one.up)
            live[one.payer] += ms
            abroad += ms if one.kind in ABROAD else 0
        total = self.talk_ms.total() + live.total()
        return (
            self.calls.total() >= ceiling.calls
            or self.calls[payer] >= ceiling.person_calls
            or len(self.running) >= ceiling.at_once
            or len(theirs) >= ceiling.person_at_once
            or total >= ceiling.minutes * MINUTE_MS
            or self.talk_ms[payer] + live[payer] >= ceiling.person_minutes * MINUTE_MS
            or (kind in ABROAD and abroad >= ceiling.abroad_minutes * MINUTE_MS)
        )

    def restore(self, facts: Iterable[Fact], now: int) -> None:
        """Take what the ledger knows of today; nothing of it runs any more."""
        self._turn(now)
        for fact in facts:
            if self._date(fact.at) != self.day:
                continue
            if isinstance(fact, Dialled) and fact.kind != "emergency":
                self.calls[fact.by] += 1
            elif isinstance(fact, DialEnded) and fact.kind != "emergency":
                self._add(fact.by, fact.kind, fact.talk_ms)

    def _add(self, payer: str, kind: str, ms: int) -> None:
        self.talk_ms[payer] += ms
        if kind in ABROAD:
            self.abroad_ms += ms

    def _turn(self, now: int) -> None:
        today = self._date(now)
        if today != self.day:
            self.day = today
            self.calls, self.talk_ms, self.abroad_ms = Counter(), Counter(), 0

    def _date(self, at: int) -> date:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone).date()
