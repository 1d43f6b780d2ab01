"""Somebody listens to their messages by phone.

First how many there are, then one after another, the new ones first: when it came and from whom,
the message, and what can be done with it. Keys count at any time. Whoever hangs up in the middle
of a message has not heard it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from appliance.ivr.actions import Recorded
from appliance.ivr.dates import full_date
from appliance.ivr.phrases import message_counts, phrase, received
from appliance.ivr.saying import clock_time, digits
from appliance.site.model import Language, Prompt

PAUSE_MS: Final = 6_000
"""After what can be done was said; then the next message follows."""
LONGEST_MS: Final = 2_400_000
"""What is said counts as said after this, should its end never be told."""
AGAIN, NEXT, DELETE, CALL_BACK, END = "1", "2", "3", "5", "#"


@dataclass(frozen=True, slots=True)
class Item:
    """One message; `path` is its recording."""

    message: str
    path: str
    at: int
    caller: str | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """Say this; then what became of the message that was said before. `call` is who is to be
    called back: like `over` it ends the listening."""

    say: tuple[Prompt | Recorded, ...] = ()
    heard: str | None = None
    deleted: str | None = None
    call: str | None = None
    over: bool = False


@dataclass(slots=True)
class Listening:
    """From `begin` to a turn with `call` or `over`."""

    items: Sequence[Item]
    language: Language
    zone: ZoneInfo
    deadline: int | None = None
    _at: int = -1
    _gone: set[str] = field(default_factory=set)
    _saying: bool = False

    def begin(self, now: int) -> Turn:
        self.items = sorted(self.items, key=lambda one: (not one.fresh, one.at))
        if not self.items:
            return self._end(())
        fresh = sum(one.fresh for one in self.items)
        counts = message_counts(fresh, len(self.items) - fresh, self.language)
        return self._next((counts,), now)

    def key(self, digit: str, now: int) -> Turn:
        if self._over or not self._known:
            return Turn()
        item = self.items[self._at]
        if digit == AGAIN:
            return self._play((), now, heard=item.message)
        if digit == NEXT:
            return self._next((), now, heard=item.message)
        if digit == DELETE:
            self._gone.add(item.message)
            return self._next(
                (phrase("message_deleted", self.language),), now, deleted=item.message
            )
        if digit == CALL_BACK and item.caller:
            self.deadline = None
            self._at = len(self.items)
            return Turn(heard=item.message, call=item.caller)
        if digit == END:
            return self._end((), heard=item.message)
        return Turn()

    def said(self, now: int) -> Turn:
        """All that was to be said is said."""
        if not self._saying or not self._known:
            return Turn()
        self._saying = False
        self.deadline = now + PAUSE_MS
        return Turn(heard=self.items[self._at].message)

    def tick(self, now: int) -> Turn:
        if self.deadline is None or now < self.deadline or not self._known:
            return Turn()
        if self._saying:
            return self.said(now)
        return self._next((), now)

    @property
    def _known(self) -> bool:
        return 0 <= self._at < len(self.items)

    @property
    def _over(self) -> bool:
        return self._at >= len(self.items)

    def _next(
        self,
        before: tuple[Prompt, ...],
        now: int,
        heard: str | None = None,
        deleted: str | None = None,
    ) -> Turn:
        self._at += 1
        while self._known and self.items[self._at].message in self._gone:
            self._at += 1
        if self._over:
            return self._end(before, heard, deleted)
        return self._play(before, now, heard, deleted)

    def _play(
        self,
        before: tuple[Prompt, ...],
        now: int,
        heard: str | None = None,
        deleted: str | None = None,
    ) -> Turn:
        item = self.items[self._at]
        self._saying = True
        self.deadline = now + LONGEST_MS
        came = datetime.fromtimestamp(item.at / 1000, self.zone)
        intro = received(
            full_date(came.date(), self.language, with_year=False),
            clock_time(came.time(), self.language),
            digits(item.caller, self.language) if item.caller else None,
            self.language,
        )
        keys = phrase("message_keys", self.language)
        return Turn((*before, intro, Recorded(item.path), keys), heard, deleted)

    def _end(
        self, before: tuple[Prompt, ...], heard: str | None = None, deleted: str | None = None
    ) -> Turn:
        self._at = len(self.items)
        self.deadline = None
        word = phrase("no_more_messages" if self.items else "no_messages", self.language)
        return Turn((*before, word), heard, deleted, over=True)
