"""What the facts add up to: the row of a call and the entry of a queue.

Each row is a function of the facts of that one call or entry and of nothing else, so it is the
same whether it is computed at once, fact by fact, or by another process. An `Entry` does not
depend on the order of its facts either; a `CallRow` reads them in the order of `seq`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from appliance.events import (
    Answered,
    Bridged,
    CallbackDialled,
    CallbackMissed,
    CallbackRequested,
    CallerKnown,
    CallOpened,
    Connect,
    ConsultEnd,
    ConsultStart,
    DialEnded,
    Dialled,
    DialRefused,
    Disconnect,
    Fact,
    Forwarded,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrKey,
    IvrOut,
    LegQuality,
    LineReleased,
    LineSeized,
    MessageDeleted,
    MessageDropped,
    MessageHeard,
    MessageKept,
    MessageStarted,
    Offer,
    OfferEnd,
    Parked,
    PartyJoined,
    PartyLeft,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    SuperviseOff,
    SuperviseOn,
    Transfer,
    Unparked,
    WrapEnd,
    WrapLonger,
    WrapStart,
    kind_of,
)
from appliance.ledger.codec import Stored
from appliance.ledger.quality import QualityRow, quality_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stay of one caller in one queue. Times are UTC milliseconds."""

    entry: str
    call: str
    queue: str
    caller: str | None
    priority: int
    parent: str | None
    """The entry that this one was transferred from."""
    enter_at: int
    connect_at: int | None = None
    leave_at: int | None = None
    reason: str | None = None
    """One of `LEAVE_REASONS`; None while waiting."""
    agent: str | None = None
    """Who answered."""
    offers: int = 0
    transfers: tuple[str, ...] = ()
    """How the call was passed on from here, in order: `blind`, `attended`, `queue`."""
    part_end_at: int | None = None
    """End of the agent's part, where the wrap-up begins."""
    wrap_end_at: int | None = None
    hold_ms: int | None = None
    """None until the agent's part has ended; the same for `talk_ms`."""
    asked_at: int | None = None
    """Of somebody who was called back: when they asked for it."""

    @property
    def wait_start_at(self) -> int:
        """When the wait began: on entering, or with the wish to be called back."""
        return self.enter_at if self.asked_at is None else self.asked_at

    @property
    def wait_end_at(self) -> int | None:
        """When the wait ended, by connect or by leaving; None while waiting."""
        return self.connect_at if self.connect_at is not None else self.leave_at

    @property
    def wait_ms(self) -> int | None:
        """The wait; None while it goes on."""
        end = self.wait_end_at
        return None if end is None else end - self.wait_start_at

    @property
    def answered(self) -> bool:
        return self.connect_at is not None

    @property
    def talk_ms(self) -> int | None:
        """Connect to the end of the agent's part, without holds."""
        if self.connect_at is None or self.part_end_at is None or self.hold_ms is None:
            return None
        return self.part_end_at - self.connect_at - self.hold_ms

    @property
    def wrap_ms(self) -> int | None:
        """The wrap-up; None until it has ended."""
        if self.part_end_at is None or self.wrap_end_at is None:
            return None
        return self.wrap_end_at - self.part_end_at


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One audio file of a call. `path` is relative to the data directory."""

    recording: str
    call: str
    path: str
    started_at: int
    entry: str | None = None
    agent: str | None = None
    duration_ms: int | None = None
    """None while it is being recorded."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """One message in a box. `path` as that of a recording."""

    message: str
    box: str
    call: str
    recording: str
    path: str
    at: int
    duration_ms: int
    caller: str | None = None
    caller_name: str | None = None
    heard_at: int | None = None
    """None while it is new."""
    heard_by: str | None = None


def project_messages(facts: Iterable[Fact]) -> list[MessageRow]:
    """The messages that are still in their boxes, oldest first; `facts` in order."""
    rows: dict[str, MessageRow] = {}
    for fact in facts:
        match fact:
            case MessageKept():
                rows[fact.message] = MessageRow(
                    message=fact.message,
                    box=fact.box,
                    call=fact.call,
                    recording=fact.recording,
                    path=fact.path,
                    at=fact.at,
                    duration_ms=fact.duration_ms,
                    caller=fact.caller,
                    caller_name=fact.caller_name,
                )
            case MessageHeard(message=message) if message in rows:
                rows[message] = replace(
                    rows[message],
                    heard_at=None if fact.new else fact.at,
                    heard_by=None if fact.new else fact.agent,
                )
            case MessageDeleted():
                rows.pop(fact.message, None)
    return sorted(rows.values(), key=lambda row: (row.at, row.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One station of a call's journey: what happened, to or by whom, and with what result."""

    at: int
    kind: str
    """Kind of the fact, such as `q_enter`."""
    who: str | None = None
    """A party (`agent:<id>`, `line:<id>` ...), `queue:<id>` or `menu:<id>`."""
    what: str | None = None
    """Key, result, reason, mode or cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call from the first ring to the last hang-up. Times are UTC milliseconds."""

    call: str
    seq: int
    """Place of its `CallOpened`: pass it as `before` to get older calls."""
    opened_at: int
    direction: str
    door: str
    caller: str | None = None
    caller_name: str | None = None
    called: str | None = None
    answered_at: int | None = None
    """First two-way audio between two people; a menu does not answer."""
    ended_at: int | None = None
    side: str | None = None
    cause: str | None = None
    queue: str | None = None
    """The last queue it was in."""
    agent: str | None = None
    """The last agent who spoke."""
    wait_ms: int | None = None
    """All waits in queues so far that have ended, end to end; None without a queue."""
    talk_ms: int | None = None
    """From `answered_at` to the end without later waits in queues; None until the call ended."""
    outcome: str = "open"
    """`open`, `answered`, `system_failure`, the reason by which the last queue was left, or
    `abandoned` (the caller hung up before anybody was asked), the cause of the hang-up, or
    `voicemail`: nobody answered, and a message was left."""
    recordings: tuple[RecordingRow, ...] = ()
    steps: tuple[Step, ...] = ()
    quality: tuple[QualityRow, ...] = ()
    """How each leg sounded, in the order in which they ended."""


def project_entry(facts: Iterable[Fact]) -> Entry | None:
    """The entry that these facts (all with its id) describe; None without its `QEnter`."""
    enter: QEnter | None = None
    connect: Connect | None = None
    leave: QLeave | None = None
    part_end: int | None = None
    wrap_end: int | None = None
    offers = 0
    holds_on: list[int] = []
    holds_off: list[int] = []
    transfers: list[tuple[int, str]] = []
    asked_at: int | None = None
    for fact in facts:
        match fact:
            case CallbackDialled():
                asked_at = fact.asked_at
            case QEnter():
                enter = fact
            case Offer():
                offers += 1
            case Connect():
                connect = fact
            case QLeave():
                leave = fact
            case HoldOn():
                holds_on.append(fact.at)
            case HoldOff():
                holds_off.append(fact.at)
            case Transfer():
                transfers.append((fact.at, fact.mode))
            case WrapStart():
                part_end = fact.at
            case WrapEnd():
                wrap_end = fact.at
    if enter is None:
        return None
    return Entry(
        entry=enter.entry,
        call=enter.call,
        queue=enter.queue,
        caller=enter.caller,
        priority=enter.priority,
        parent=enter.parent,
        enter_at=enter.at,
        connect_at=connect.at if connect else None,
        leave_at=leave.at if leave else None,
        reason=leave.reason if leave else None,
        agent=connect.agent if connect else None,
        offers=offers,
        transfers=tuple(mode for _, mode in sorted(transfers)),
        part_end_at=part_end,
        wrap_end_at=wrap_end,
        hold_ms=None if part_end is None else _held(holds_on, holds_off, part_end),
        asked_at=asked_at,
    )


def project_call(facts: Sequence[Stored]) -> CallRow | None:
    """The row of the call that these facts (all with its id, in order) describe.

    None without its `CallOpened`.
    """
    opened = next((s for s in facts if isinstance(s.fact, CallOpened)), None)
    if opened is None:
        return None
    first = opened.fact
    assert isinstance(first, CallOpened)
    caller, caller_name = first.caller, first.caller_name
    end: Disconnect | None = None
    answered_at: int | None = None
    agent: str | None = None
    by_entry: dict[str, list[Fact]] = {}
    recordings: dict[str, RecordingStarted] = {}
    recorded: dict[str, RecordingEnded] = {}
    quality: list[QualityRow] = []
    kept = False
    steps: list[Step] = []
    for _, fact in facts:
        step = _STEPS.get(type(fact))
        if step is not None:
            who, what = step(fact)
            steps.append(Step(at=fact.at, kind=kind_of(fact), who=who, what=what))
        entry = getattr(fact, "entry", None)
        if entry is not None:
            by_entry.setdefault(entry, []).append(fact)
        match fact:
            case CallerKnown():
                caller = fact.caller if fact.caller is not None else caller
                caller_name = fact.caller_name if fact.caller_name is not None else caller_name
            case Connect() | Bridged():
                answered_at = fact.at if answered_at is None else min(answered_at, fact.at)
                agent = _agent_of(fact) or agent
            case RecordingStarted():
                recordings[fact.recording] = fact
            case RecordingEnded():
                recorded[fact.recording] = fact
            case LegQuality():
                quality.append(quality_row(fact))
            case MessageStarted():
                # Whoever may hear the call may not hear what somebody said to a box.
                recordings.pop(fact.recording, None)
            case MessageKept():
                kept = True
            case Disconnect():
                end = fact
    entries = [e for e in map(project_entry, by_entry.values()) if e is not None]
    talk_ms: int | None = None
    if end is not None and answered_at is not None:
        later = sum(e.wait_ms or 0 for e in entries if e.enter_at >= answered_at)
        talk_ms = max(0, end.at - answered_at - later)
    return CallRow(
        call=first.call,
        seq=opened.seq,
        opened_at=first.at,
        direction=first.direction,
        door=first.door,
        caller=caller,
        caller_name=caller_name,
        called=first.called,
        answered_at=answered_at,
        ended_at=end.at if end else None,
        side=end.side if end else None,
        cause=end.cause if end else None,
        queue=entries[-1].queue if entries else None,
        agent=agent,
        wait_ms=sum(e.wait_ms or 0 for e in entries) if entries else None,
        talk_ms=talk_ms,
        outcome=_outcome(end, answered_at, entries, kept=kept),
        recordings=tuple(recording_row(r, recorded.get(i)) for i, r in recordings.items()),
        steps=tuple(steps),
        quality=tuple(quality),
    )


def recording_row(start: RecordingStarted, end: RecordingEnded | None) -> RecordingRow:
    return RecordingRow(
        recording=start.recording,
        call=start.call,
        path=start.path,
        started_at=start.at,
        entry=start.entry,
        agent=start.agent,
        duration_ms=end.duration_ms if end else None,
        reason=end.reason if end else None,
    )


class Projection:
    """Calls and entries kept up to date fact by fact; a row is computed when it is asked for."""

    def __init__(self) -> None:
        self._calls: dict[str, list[Stored]] = {}
        self._entries: dict[str, list[Fact]] = {}
        self._rows: dict[str, CallRow | None] = {}
        self._known: dict[str, Entry | None] = {}

    def apply(self, stored: Stored) -> None:
        """Take the next fact, in the order of `seq`."""
        call = getattr(stored.fact, "call", None)
        if call is not None:
            self._calls.setdefault(call, []).append(stored)
            self._rows.pop(call, None)
        entry = getattr(stored.fact, "entry", None)
        if entry is not None:
            self._entries.setdefault(entry, []).append(stored.fact)
            self._known.pop(entry, None)

    def call(self, call: str) -> CallRow | None:
        if call not in self._rows:
            self._rows[call] = project_call(self._calls.get(call, ()))
        return self._rows[call]

    def entry(self, entry: str) -> Entry | None:
        if entry not in self._known:
            self._known[entry] = project_entry(self._entries.get(entry, ()))
        return self._known[entry]

    def calls(self) -> Iterator[CallRow]:
        """In the order in which their first facts came."""
        return (row for row in map(self.call, self._calls) if row is not None)

    def entries(self) -> Iterator[Entry]:
        """In the order in which their first facts came."""
        return (entry for entry in map(self.entry, self._entries) if entry is not None)


def _held(on: list[int], off: list[int], part_end: int) -> int:
    """Time on hold; a hold that nobody ended lasted until the agent's part did."""
    ends = sorted(off) + [part_end] * (len(on) - len(off))
    return sum(max(0, end - start) for start, end in zip(sorted(on), ends, strict=False))


def _agent_of(fact: Connect | Bridged) -> str | None:
    if isinstance(fact, Connect):
        return fact.agent
    agents = [p.removeprefix("agent:") for p in (fact.a, fact.b) if p.startswith("agent:")]
    return agents[-1] if agents else None


def _outcome(
    end: Disconnect | None, answered_at: int | None, entries: Sequence[Entry], *, kept: bool
) -> str:
    if answered_at is not None:
        return "answered"
    if kept and end is not None:
        return "voicemail"
    if end is None:
        return "open"
    if end.cause == "system_failure":
        return "system_failure"
    if entries and entries[-1].reason is not None:
        return entries[-1].reason
    if end.side == "caller" and end.cause == "normal":
        return "abandoned"
    return end.cause


def _agent(name: str | None) -> str | None:
    return None if name is None else f"agent:{name}"


_STEPS: Final[dict[type[Fact], Callable[[Any], tuple[str | None, str | None]]]] = {
    CallOpened: lambda f: (f.door, f.direction),
    CallerKnown: lambda f: (None, f.caller),
    LineSeized: lambda f: (f"line:{f.line}", f.direction),
    LineReleased: lambda f: (f"line:{f.line}", None),
    Answered: lambda f: (f.party, None),
    Bridged: lambda f: (f.a, f.b),
    Disconnect: lambda f: (f.side, f.cause),
    IvrIn: lambda f: (f"menu:{f.menu}", None),
    IvrKey: lambda f: (f"menu:{f.menu}", f.key if f.valid else f"{f.key} (not valid)"),
    IvrOut: lambda f: (f"menu:{f.menu}", f.result if f.target is None else f.target),
    QEnter: lambda f: (f"queue:{f.queue}", None),
    Offer: lambda f: (_agent(f.agent), None),
    OfferEnd: lambda f: (_agent(f.agent), f.result),
    Connect: lambda f: (_agent(f.agent), f"queue:{f.queue}"),
    HoldOn: lambda f: (_agent(f.agent), None),
    HoldOff: lambda f: (_agent(f.agent), None),
    Transfer: lambda f: (f.by, f"{f.mode} {f.to}"),
    Dialled: lambda f: (f.by, f"{f.number} {f.kind} line:{f.line}"),
    DialEnded: lambda f: (f.by, None),
    DialRefused: lambda f: (f.by, f"{f.number} {f.reason}"),
    ConsultStart: lambda f: (f.by, f.to),
    ConsultEnd: lambda f: (f.by, f"{f.result} {f.to}"),
    PartyJoined: lambda f: (f.party, f.how),
    PartyLeft: lambda f: (f.party, None),
    Parked: lambda f: (f.by, f.orbit),
    Unparked: lambda f: (f.by, f"{f.result} {f.orbit}"),
    SuperviseOn: lambda f: (_agent(f.by), f"{f.mode} {_agent(f.agent)}"),
    SuperviseOff: lambda f: (_agent(f.by), None),
    Forwarded: lambda f: (f.by, f"{f.why} {f.to}"),
    QLeave: lambda f: (f"queue:{f.queue}", f.reason),
    CallbackRequested: lambda f: (f"queue:{f.queue}", f.number),
    CallbackDialled: lambda f: (f"queue:{f.queue}", str(f.attempt)),
    CallbackMissed: lambda f: (None, f.cause),
    MessageStarted: lambda f: (f"box:{f.box}", None),
    MessageKept: lambda f: (f"box:{f.box}", None),
    MessageDropped: lambda f: (None, f.reason),
    WrapStart: lambda f: (_agent(f.agent), None),
    WrapLonger: lambda f: (_agent(f.agent), f"{f.seconds} {f.reason}"),
    WrapEnd: lambda f: (_agent(f.agent), None),
    RecordingStarted: lambda f: (_agent(f.agent), f.recording),
    RecordingEnded: lambda f: (None, f.reason),
}
