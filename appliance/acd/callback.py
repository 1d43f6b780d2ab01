"""Call-backs instead of waiting: the place is kept, and everybody is called exactly once.

How it works
------------
A request takes a place in the queues' one order (`acd.events.Book`) that counts from when the
person began to wait. When its turn comes the queues keep an agent free and say `Dial`; only then
the box calls. So there are never more calls in flight than agents kept for them, a call-back
overtakes nobody, and nobody who came later overtakes it.

A try is written down (`CallbackDialled`) before the call goes out. When the person answers, they
enter the queue at the kept place (`Met`), and the agent is rung at once. A try that comes to
nothing gives up the place and takes it again after the pause, as long as tries are left. Somebody
who phones in meanwhile stands in line themselves (`OnTheLine`); their request rests until they were
served or have hung up.

Exactly once: a request ends when its person was connected, whatever happens afterwards, and
everything needed to know that is in the facts. `restore` reads them: a try that was open when the
box went down counts as made, and as connected where the ledger has the connection, since that is
written before the agent hears the caller. Of one number and queue there is at most one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance import events as facts
from appliance.acd import events as acd
from appliance.acd.timers import Timers
from appliance.events import CallbackResult, Fact, LeaveReason
from appliance.site.model import Language, Queue

MAX_REQUESTS: Final = 1_000
"""Open at the same time: what comes in by web form is bounded."""
SURE_MS: Final = 5_000
"""Who answered is reported this long after it must be known at the latest, or never."""
LATER_MS: Final = 30_000
"""A call that cannot go out now (closed, all lines busy) is looked at again after this."""


# --- what happens ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """Call this number back. `since` (UTC ms) is when the wait began; None: now. The queues get
    the `Book` that follows before the caller's own `Gone`, or an agent who rings for the caller
    would go to the next one."""

    queue: str
    number: str
    since: int | None = None
    priority: int | None = None
    call: str | None = None
    entry: str | None = None
    by: str | None = None
    """Who asked on the person's behalf: `agent:<id>` or `key:<name>`."""
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """By the person, the team or the API; `by` as in `Request`."""

    callback: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody of the team speaks with this number in another call."""

    number: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The queues said `Dial`."""

    callback: str
    agent: str


@dataclass(frozen=True, slots=True)
class NotNow:
    """The queues said `Dial`, but no call can go out: the office is closed, or no line is free.
    The place is kept and this is no try."""

    callback: str


@dataclass(frozen=True, slots=True)
class OnTheLine:
    """The person is on the phone with the box and stands in line themselves (`yes`), or is no
    longer and has spoken with nobody."""

    callback: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody or something answered: until `until` (UTC ms) it turns out who, by `PickedUp` or
    `Failed`. It does not ring any more."""

    call: str
    until: int


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The person answered."""

    call: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The call came to nothing: busy, no answer, no line ..."""

    call: str
    cause: str


@dataclass(frozen=True, slots=True)
class Left:
    """The entry of a person who had answered left its queue (`QLeave`)."""

    entry: str
    reason: LeaveReason
    agent: str | None = None


Event = Request | Cancel | Reached | Turn | NotNow | OnTheLine | Answered | PickedUp | Failed | Left


# --- what is to be done ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Open this call and dial; answer with `PickedUp` or `Failed` until `until` (UTC ms)."""

    callback: str
    call: str
    number: str
    queue: str
    until: int
    language: Language | None = None
    """What the person hears is said in it; None: the office's."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Hang this call up if the person has not answered; nothing more is expected of it."""

    call: str


Output = list[Fact | Place | Drop | acd.Event]
"""Facts first go to disk; events of `acd.events` are for the queues' machine."""


# --- state ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Try:
    call: str
    entry: str
    number: int
    picked_up: bool = False


@dataclass(slots=True)
class _Open:
    id: str
    queue: str
    number: str
    since: int
    priority: int
    asked_at: int
    language: Language | None = None
    tries: int = 0
    retry_at: int = 0
    booked: bool = False
    here: bool = False
    """The person stands in line themselves."""
    current: _Try | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackView:
    """One open request. `retry_at` (UTC ms) is set between two tries."""

    callback: str
    queue: str
    number: str
    since: int
    asked_at: int
    tries: int
    call: str | None
    picked_up: bool
    retry_at: int | None
    here: bool = False
    """The person is on the phone and stands in line themselves."""


def _view(found: _Open) -> CallbackView:
    return CallbackView(
        callback=found.id,
        queue=found.queue,
        number=found.number,
        since=found.since,
        asked_at=found.asked_at,
        tries=found.tries,
        call=found.current.call if found.current else None,
        picked_up=found.current is not None and found.current.picked_up,
        retry_at=None if found.booked or found.current else found.retry_at,
        here=found.here,
    )


@dataclass(slots=True)
class CallBacks:
    """All open requests. `now` is UTC milliseconds; `new_id(prefix)` gives ids that never come
    again; `queues` are those of the site document, replaced with `rules` when it changes."""

    queues: Mapping[str, Queue]
    new_id: Callable[[str], str]
    _open: dict[str, _Open] = field(default_factory=dict)
    _by_number: dict[tuple[str, str], str] = field(default_factory=dict)
    _by_call: dict[str, str] = field(default_factory=dict)
    _by_entry: dict[str, str] = field(default_factory=dict)
    _due: Timers[tuple[str, str]] = field(default_factory=Timers)
    _now: int = 0
    _out: Output = field(default_factory=list)

    def handle(self, event: Event, now: int) -> Output:
        """Take one event; what follows, in order. Unknown calls and requests change nothing."""
        self._now = now
        match event:
            case Request():
                self._request(event)
            case Cancel(callback, by):
                if (found := self._open.get(callback)) is not None:
                    self._end(found, "cancelled", by=by)
            case Reached(number):
                for found in [o for o in self._open.values() if o.number == number]:
                    if found.current is None or not found.current.picked_up:
                        self._end(found, "reached")
            case Turn(callback, agent):
                self._turn(callback, agent)
            case NotNow(callback):
                found = self._open.get(callback)
                if found is not None and found.booked and found.current is None:
                    self._give_place_back(found)
                    found.retry_at = self._now + LATER_MS
                    self._due.set(("retry", found.id), found.retry_at)
            case OnTheLine(callback, yes):
                if (found := self._open.get(callback)) is not None and found.here != yes:
                    self._on_the_line(found, yes)
            case Answered(call, until):
                found = self._of(self._by_call, call)
                if found is not None and found.current and not found.current.picked_up:
                    self._due.set(("ring", found.id), max(until, self._now) + SURE_MS)
            case PickedUp(call):
                self._picked_up(call)
            case Failed(call, cause):
                found = self._of(self._by_call, call)
                if found is not None and found.current and not found.current.picked_up:
                    self._missed(found, found.current, cause)
            case Left():
                self._left(event)
        return self._take()

    def tick(self, now: int) -> Output:
        """Carry out what has fallen due."""
        self._now = now
        while (key := self._due.pop_due(now)) is not None:
            kind, callback = key
            found = self._open.get(callback)
            if found is None:
                continue
            if kind == "retry":
                if not found.here and found.current is None:
                    self._book(found)
            elif kind == "ring" and found.current is not None:
                self._missed(found, found.current, "no_answer")
            elif kind == "expire" and found.current is None:
                self._end(found, "expired")
        return self._take()

    def next_deadline(self) -> int | None:
        return self._due.next()

    def rules(self, queues: Mapping[str, Queue], now: int) -> Output:
        """The document changed. Requests of queues that are gone end as cancelled."""
        self.queues, self._now = queues, now
        for found in list(self._open.values()):
            if found.queue not in queues and found.current is None:
                self._end(found, "cancelled")
        return self._take()

    def restore(self, past: Iterable[Fact], now: int) -> Output:
        """Take up the requests of an earlier run from its facts, oldest first: those of
        call-backs, `Connect` and `QLeave`; others are passed over. Gives the facts that close what
        the crash left open, and the places for the queues' machine. For an empty machine."""
        self._now = now
        answered: dict[str, str | None] = {}
        for fact in past:
            match fact:
                case facts.CallbackRequested():
                    self._keep(fact)
                case facts.CallbackDialled():
                    if (found := self._open.get(fact.callback)) is not None:
                        found.tries = fact.attempt
                        self._try(found, _Try(fact.call, fact.entry, fact.attempt))
                case facts.CallbackMissed():
                    found = self._open.get(fact.callback)
                    if found is not None and found.current is not None:
                        self._over(found)
                        found.retry_at = fact.at + self._retry_ms(found)
                case facts.CallbackEnded():
                    if (found := self._open.get(fact.callback)) is not None:
                        self._forget(found)
                case facts.Connect():
                    answered[fact.entry] = fact.agent
                case facts.QLeave() if fact.reason in ("answered", "abandoned"):
                    answered[fact.entry] = fact.agent if fact.reason == "answered" else None
        for found in list(self._open.values()):
            current = found.current
            if current is not None and current.entry in answered:
                agent = answered[current.entry]
                self._end(found, "abandoned" if agent is None else "connected", agent)
            elif current is not None:
                self._missed(found, current, "system_failure")
            elif found.tries >= self._tries(found):
                self._end(found, "unreachable")
            elif found.retry_at > now:
                self._due.set(("retry", found.id), found.retry_at)
            else:
                self._book(found)
        # Places are those of this run: nothing of the last one is left to give up.
        self._out = [each for each in self._out if not isinstance(each, acd.Unbook | Drop)]
        return self._take()

    def open(self) -> tuple[CallbackView, ...]:
        """All open requests, longest wait first."""
        return tuple(_view(each) for each in sorted(self._open.values(), key=lambda o: o.since))

    def view(self, callback: str) -> CallbackView | None:
        """One request; None when it is not open (any more)."""
        found = self._open.get(callback)
        return None if found is None else _view(found)

    def of(self, queue: str, number: str) -> str | None:
        """The open request of this number, if there is one."""
        return self._by_number.get((queue, number))

    # --- requests ---------------------------------------------------------------------------

    def _request(self, event: Request) -> None:
        rules = self.queues.get(event.queue)
        if (
            rules is None
            or (event.queue, event.number) in self._by_number
            or len(self._open) >= MAX_REQUESTS
        ):
            return
        fact = facts.CallbackRequested(
            at=self._now,
            callback=self.new_id("cb"),
            queue=event.queue,
            number=event.number,
            since=self._now if event.since is None else min(event.since, self._now),
            priority=rules.priority if event.priority is None else event.priority,
            call=event.call,
            entry=event.entry,
            by=event.by,
            language=event.language,
        )
        self._out.append(fact)
        self._book(self._keep(fact))

    def _keep(self, fact: facts.CallbackRequested) -> _Open:
        found = _Open(
            fact.callback,
            fact.queue,
            fact.number,
            fact.since,
            fact.priority,
            asked_at=fact.at,
            language=fact.language,
        )
        self._open[found.id] = found
        self._by_number[found.queue, found.number] = found.id
        self._due.set(("expire", found.id), fact.at + self._keep_ms(found))
        return found

    def _book(self, found: _Open) -> None:
        found.booked = True
        self._out.append(acd.Book(found.id, found.queue, found.since, found.priority))

    # --- tries ------------------------------------------------------------------------------

    def _turn(self, callback: str, agent: str) -> None:
        found = self._open.get(callback)
        if found is None or found.current is not None or not found.booked:
            self._out.append(acd.Unbook(callback))
            return
        found.tries += 1
        current = _Try(self.new_id("c"), self.new_id("e"), found.tries)
        self._try(found, current)
        rules = self.queues.get(found.queue)
        until = self._now + (rules.callback_ring_s if rules else 30) * 1000
        self._due.set(("ring", found.id), until)
        self._out.append(
            facts.CallbackDialled(
                at=self._now,
                callback=found.id,
                queue=found.queue,
                call=current.call,
                entry=current.entry,
                attempt=current.number,
                agent=agent,
                asked_at=found.asked_at,
            )
        )
        self._out.append(
            Place(found.id, current.call, found.number, found.queue, until, found.language)
        )

    def _on_the_line(self, found: _Open, yes: bool) -> None:
        found.here = yes
        if not yes:
            if found.current is None and not found.booked:
                self._book(found)
            return
        self._due.cancel(("retry", found.id))
        if found.current is not None and not found.current.picked_up:
            # Our call meets the person on the phone with us.
            self._missed(found, found.current, "busy")
        self._give_place_back(found)

    def _try(self, found: _Open, current: _Try) -> None:
        found.current = current
        self._by_call[current.call] = found.id
        self._by_entry[current.entry] = found.id

    def _picked_up(self, call: str) -> None:
        found = self._of(self._by_call, call)
        if found is None or found.current is None:
            self._out.append(Drop(call))
            return
        if found.current.picked_up:
            return
        found.current.picked_up = True
        found.booked = False
        self._due.cancel(("ring", found.id))
        self._out.append(acd.Met(found.id, call, found.current.entry, found.number))

    def _left(self, event: Left) -> None:
        found = self._of(self._by_entry, event.entry)
        if found is None or found.current is None:
            return
        if event.reason == "answered":
            self._end(found, "connected", event.agent)
        elif event.reason in ("abandoned", "key_exit"):
            self._end(found, "abandoned")
        else:
            self._missed(found, found.current, event.reason)

    def _missed(self, found: _Open, current: _Try, cause: str) -> None:
        self._out.append(
            facts.CallbackMissed(
                at=self._now,
                callback=found.id,
                call=current.call,
                attempt=current.number,
                cause=cause,
            )
        )
        if not current.picked_up:
            self._out.append(Drop(current.call))
        self._over(found)
        if found.tries >= self._tries(found):
            self._end(found, "unreachable")
            return
        self._give_place_back(found)
        found.retry_at = self._now + self._retry_ms(found)
        if not found.here:
            self._due.set(("retry", found.id), found.retry_at)
        expire = found.asked_at + self._keep_ms(found)
        self._due.set(("expire", found.id), expire)

    def _over(self, found: _Open) -> None:
        current, found.current = found.current, None
        if current is not None:
            self._by_call.pop(current.call, None)
            self._by_entry.pop(current.entry, None)
        self._due.cancel(("ring", found.id))

    def _end(
        self,
        found: _Open,
        result: CallbackResult,
        agent: str | None = None,
        by: str | None = None,
    ) -> None:
        current = found.current
        if current is not None and not current.picked_up:
            self._out.append(Drop(current.call))
        self._give_place_back(found)
        self._forget(found)
        self._out.append(
            facts.CallbackEnded(at=self._now, callback=found.id, result=result, agent=agent, by=by)
        )

    def _give_place_back(self, found: _Open) -> None:
        if found.booked:
            found.booked = False
            self._out.append(acd.Unbook(found.id))

    def _forget(self, found: _Open) -> None:
        self._over(found)
        del self._open[found.id]
        self._by_number.pop((found.queue, found.number), None)
        for kind in ("retry", "expire"):
            self._due.cancel((kind, found.id))

    # --- small questions --------------------------------------------------------------------

    def _of(self, index: Mapping[str, str], key: str) -> _Open | None:
        return self._open.get(index.get(key, ""))

    def _tries(self, found: _Open) -> int:
        rules = self.queues.get(found.queue)
        return rules.callback_tries if rules else 1

    def _retry_ms(self, found: _Open) -> int:
        rules = self.queues.get(found.queue)
        return (rules.callback_retry_s if rules else 300) * 1000

    def _keep_ms(self, found: _Open) -> int:
        rules = self.queues.get(found.queue)
        return (rules.callback_keep_h if rules else 24) * 3_600_000

    def _take(self) -> Output:
        out, self._out = self._out, []
        return out
