"""The team's list of missed callers: one row for each number, gone once somebody reached them.

Missed is a caller, not a ringing: a call from outside that had a number, asked for somebody (it
stood in a queue or was sent to a phone) and ended without anybody of the team having spoken with
it. Five phones that rang are no five missed calls. Who only listened to a menu has not been missed.
Whoever speaks with this number later, in whichever direction, clears the row; who took care of the
caller otherwise marks it, until the caller is missed again. Who asked to be
called back is in the hands of the call-back and comes onto the list only when that ends in vain.

A fold over the facts, in their order: the same list from the whole ledger or fact by fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from appliance.events import (
    Bridged,
    CallbackEnded,
    CallbackRequested,
    CallerKnown,
    CallOpened,
    Connect,
    Disconnect,
    Fact,
    IvrIn,
    IvrOut,
    MissedHandled,
    QEnter,
    QLeave,
)

KEEP_MS: Final = 14 * 86_400_000
"""Who has not called again since is not waiting for us any more."""
MAX_ROWS: Final = 5_000
SAME_DIGITS: Final = 9
"""Numbers that end alike are the same: `0721 000 111` and `+40721000111`."""
_IN_VAIN: Final = frozenset({"unreachable", "expired", "abandoned"})
_ASKED: Final = frozenset({"queue", "phone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCaller:
    """One caller nobody has spoken with. Times (UTC ms) are those at which their calls began."""

    number: str
    """As signalled with the last call."""
    name: str | None
    first_at: int
    last_at: int
    times: int
    queue: str | None
    """The last queue they stood in."""
    reason: str
    """Why the last call came to nothing: a reason of `QLeave`, the cause of the hang-up, or the
    result of a call-back."""
    call: str | None
    """The last call."""
    handled_by: str | None = None
    """The agent who took care of the caller otherwise, at `handled_at`, as `note` says."""
    handled_at: int | None = None
    note: str = ""


@dataclass(slots=True)
class _Call:
    opened_at: int
    incoming: bool
    number: str | None
    name: str | None
    asked: bool = True
    """Somebody of the team was asked for; not while all there was is a menu."""
    talked: bool = False
    callback: bool = False
    queue: str | None = None
    reason: str | None = None


def same_digits(number: str) -> str:
    """What two spellings of a number have in common; empty where there are no digits."""
    return "".join(each for each in number if each in "0123456789")[-SAME_DIGITS:]


@dataclass(slots=True)
class Missed:
    """`key` gives the same text for all spellings of one number, empty for none."""

    key: Callable[[str], str] = same_digits
    _calls: dict[str, _Call] = field(default_factory=dict)
    _rows: dict[str, MissedCaller] = field(default_factory=dict)
    _wishes: dict[str, CallbackRequested] = field(default_factory=dict)

    def apply(self, fact: Fact) -> None:
        """Take the next fact."""
        match fact:
            case CallOpened():
                self._opened(fact)
            case CallbackRequested():
                self._wishes[fact.callback] = fact
                if fact.call is not None and (call := self._calls.get(fact.call)) is not None:
                    call.callback = True
            case CallbackEnded():
                wish = self._wishes.pop(fact.callback, None)
                if wish is not None and fact.result in _IN_VAIN:
                    self._miss(wish.number, None, wish.since, wish.queue, fact.result, wish.call)
            case MissedHandled():
                key = self.key(fact.number)
                if (row := self._rows.get(key)) is not None:
                    self._rows[key] = replace(
                        row, handled_by=fact.agent, handled_at=fact.at, note=fact.note
                    )
            case Disconnect():
                if (call := self._calls.pop(fact.call, None)) is not None:
                    self._ended(fact, call)
            case _:
                call = self._calls.get(getattr(fact, "call", None) or "")
                if call is not None:
                    self._happened(fact, call)

    def rows(self, now: int) -> tuple[MissedCaller, ...]:
        """The list at this moment, the latest caller first, those taken care of at the end."""
        fresh = [row for row in self._rows.values() if now - row.last_at <= KEEP_MS]
        return tuple(
            sorted(fresh, key=lambda row: (row.handled_by is not None, -row.last_at, row.number))
        )

    def _opened(self, fact: CallOpened) -> None:
        if fact.direction == "internal":
            return
        incoming = fact.direction == "in"
        self._calls[fact.call] = _Call(
            opened_at=fact.at,
            incoming=incoming,
            number=fact.caller if incoming else fact.called,
            name=fact.caller_name,
        )

    def _happened(self, fact: Fact, call: _Call) -> None:
        match fact:
            case CallerKnown() if call.incoming:
                call.number = fact.caller if fact.caller is not None else call.number
                call.name = fact.caller_name if fact.caller_name is not None else call.name
            case IvrIn():
                call.asked = False
            case IvrOut():
                call.asked = call.asked or fact.result in _ASKED
            case QEnter():
                call.asked, call.queue = True, fact.queue
            case QLeave():
                call.reason = fact.reason
            case Connect() | Bridged():
                self._reached(call)

    def _reached(self, call: _Call) -> None:
        """Somebody speaks with this number: its row goes, and other calls of it that are still
        open will not be missed."""
        call.talked = True
        key = self.key(call.number or "")
        if key:
            self._rows.pop(key, None)
            for other in self._calls.values():
                if other.number is not None and self.key(other.number) == key:
                    other.talked = True

    def _ended(self, fact: Disconnect, call: _Call) -> None:
        if call.talked or call.callback or not call.incoming or not call.asked:
            return
        reason = call.reason or fact.cause
        if call.number and not self._waits(call.number):
            self._miss(call.number, call.name, call.opened_at, call.queue, reason, fact.call)

    def _waits(self, number: str) -> bool:
        """Somebody with this number is to be called back."""
        key = self.key(number)
        return any(self.key(wish.number) == key for wish in self._wishes.values())

    def _miss(
        self,
        number: str,
        name: str | None,
        at: int,
        queue: str | None,
        reason: str,
        call: str | None,
    ) -> None:
        key = self.key(number)
        if not key:
            return
        # Taken out and put in again: the rows stand in the order of their last miss.
        known = self._rows.pop(key, None)
        row = MissedCaller(
            number=number,
            name=name,
            first_at=at,
            last_at=at,
            times=1,
            queue=queue,
            reason=reason,
            call=call,
        )
        if known is not None:
            row = replace(
                row,
                name=name or known.name,
                first_at=min(known.first_at, at),
                last_at=max(known.last_at, at),
                times=known.times + 1,
                queue=queue or known.queue,
            )
        self._rows[key] = row
        while len(self._rows) > MAX_ROWS:
            del self._rows[next(iter(self._rows))]


def missed_callers(facts: Iterable[Fact], now: int) -> tuple[MissedCaller, ...]:
    """The list that these facts add up to."""
    missed = Missed()
    for fact in facts:
        missed.apply(fact)
    return missed.rows(now)
