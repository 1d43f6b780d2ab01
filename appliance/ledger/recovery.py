"""What a crash left open, and the facts that close it.

Table of what opens and what closes, folded over the facts in order. A thing is named by its kind
and ids; whatever is still there at the end was open when the process died. Pure: the writer runs
it at each start and appends the result in one transaction, so a second crash during recovery
leaves either all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.events import (
    AgentState,
    CallOpened,
    Connect,
    ConsultEnd,
    ConsultStart,
    DialEnded,
    Dialled,
    Disconnect,
    Fact,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrOut,
    LineReleased,
    LineSeized,
    MessageDropped,
    MessageKept,
    MessageStarted,
    Offer,
    OfferEnd,
    Parked,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    SuperviseOff,
    SuperviseOn,
    SystemStarted,
    SystemStopped,
    Unparked,
    WrapEnd,
    WrapStart,
)

Key = tuple[str, ...]

_OPENS: Final[dict[type[Fact], Callable[[Any], Key]]] = {
    IvrIn: lambda f: ("menu", f.call),
    Offer: lambda f: ("offer", f.offer),
    QEnter: lambda f: ("entry", f.entry),
    HoldOn: lambda f: ("hold", f.call, f.agent),
    Connect: lambda f: ("part", f.entry),
    WrapStart: lambda f: ("wrap", f.entry, f.agent),
    MessageStarted: lambda f: ("message", f.message),
    RecordingStarted: lambda f: ("recording", f.recording),
    ConsultStart: lambda f: ("consult", f.call),
    Parked: lambda f: ("park", f.call),
    SuperviseOn: lambda f: ("watch", f.call, f.by),
    Dialled: lambda f: ("dial", f.dial),
    LineSeized: lambda f: ("line", f.call, f.line),
    CallOpened: lambda f: ("call", f.call),
}
_CLOSES: Final[dict[type[Fact], Callable[[Any], Key]]] = {
    IvrOut: lambda f: ("menu", f.call),
    OfferEnd: lambda f: ("offer", f.offer),
    QLeave: lambda f: ("entry", f.entry),
    HoldOff: lambda f: ("hold", f.call, f.agent),
    WrapStart: lambda f: ("part", f.entry),
    WrapEnd: lambda f: ("wrap", f.entry, f.agent),
    MessageKept: lambda f: ("message", f.message),
    MessageDropped: lambda f: ("message", f.message),
    RecordingEnded: lambda f: ("recording", f.recording),
    ConsultEnd: lambda f: ("consult", f.call),
    Unparked: lambda f: ("park", f.call),
    SuperviseOff: lambda f: ("watch", f.call, f.by),
    DialEnded: lambda f: ("dial", f.dial),
    LineReleased: lambda f: ("line", f.call, f.line),
    Disconnect: lambda f: ("call", f.call),
}
_ORDER: Final = (
    *("menu", "offer", "entry", "consult", "park", "watch", "hold", "part", "wrap", "message"),
    "recording",
    *("dial", "line", "call"),
)
"""The order in which things are closed: the inner ones first, the call's `Disconnect` last."""


@dataclass(slots=True)
class OpenState:
    """The things that are open after the facts applied so far."""

    things: dict[Key, tuple[int, Fact]] = field(default_factory=dict)
    agents: dict[str, tuple[int, AgentState]] = field(default_factory=dict)
    connected: dict[str, Connect] = field(default_factory=dict)
    """Entries whose wait is over but whose `QLeave` has not come yet."""
    taped: dict[str, int] = field(default_factory=dict)
    """Recordings of open messages that are complete -> milliseconds."""
    last_seq: int = 0
    last_at: int = 0
    """Time of the latest fact."""
    alive_at: int = 0
    """When the process was last known to be up, if it said so after the latest fact."""
    stopped: bool = True
    """The last word about the process is that it stopped in order, or it never ran."""

    def apply(self, seq: int, fact: Fact) -> None:
        """Take the next fact, in the order of `seq`."""
        self.last_seq = seq
        self.last_at = max(self.last_at, fact.at)
        kind = type(fact)
        closes = _CLOSES.get(kind)
        if closes is not None:
            self.things.pop(closes(fact), None)
        opens = _OPENS.get(kind)
        if opens is not None:
            key = opens(fact)
            first = self.things[key][0] if key in self.things else seq
            self.things[key] = (first, fact)
        elif isinstance(fact, AgentState):
            if fact.state == "offline":
                self.agents.pop(fact.agent, None)
            else:
                self.agents[fact.agent] = (seq, fact)
        self.stopped = kind is SystemStopped
        if isinstance(fact, MessageStarted):
            self.taped[fact.recording] = 0
        elif isinstance(fact, MessageKept | MessageDropped):
            self.taped.pop(fact.recording, None)
        elif isinstance(fact, RecordingEnded) and fact.recording in self.taped:
            self.taped[fact.recording] = fact.duration_ms
        if isinstance(fact, Connect):
            self.connected[fact.entry] = fact
        elif isinstance(fact, QLeave):
            self.connected.pop(fact.entry, None)

    def open_from(self) -> int:
        """The first `seq` that recovery has to read again: nothing before it is open."""
        seqs = [seq for seq, _ in self.things.values()]
        seqs += [seq for seq, _ in self.agents.values()]
        return min(seqs, default=self.last_seq + 1)


def missing_facts(
    open: OpenState, now: int, durations: Mapping[str, int] | None = None
) -> list[Fact]:
    """The facts that close what is open, in a valid order.

    They carry the last moment at which the process is known to have run, not `now`: a night
    without power is neither talk time nor waiting time. An entry that had its `Connect` leaves as
    `answered` at that moment. `durations`: recording id -> milliseconds found in the file.
    """
    at = max(open.last_at, min(open.alive_at, now))
    durations = {**open.taped, **(durations or {})}
    found = sorted(open.things.items(), key=lambda item: (_ORDER.index(item[0][0]), item[1][0]))
    facts: list[Fact] = []
    for key, (_, fact) in found:
        facts.extend(_closing(key[0], fact, at, open.connected, durations))
    for agent, _ in sorted(open.agents.items(), key=lambda item: item[1][0]):
        facts.append(AgentState(at=at, agent=agent, state="offline", reason="system_failure"))
    return facts


def started(open: OpenState, now: int, version: str) -> SystemStarted:
    """The fact that the process came up; its time never lies before the latest fact's."""
    return SystemStarted(at=max(now, open.last_at), version=version, clean=open.stopped)


def open_recordings(open: OpenState) -> Iterator[RecordingStarted]:
    """The recordings whose files have to be repaired and measured."""
    for _, fact in open.things.values():
        if isinstance(fact, RecordingStarted):
            yield fact


def _closing(
    what: str,
    fact: Any,
    at: int,
    connected: Mapping[str, Connect],
    durations: Mapping[str, int],
) -> list[Fact]:
    match what:
        case "menu":
            return [IvrOut(at=at, call=fact.call, menu=fact.menu, result="system_failure")]
        case "offer":
            return [
                OfferEnd(
                    at=at,
                    call=fact.call,
                    entry=fact.entry,
                    queue=fact.queue,
                    offer=fact.offer,
                    agent=fact.agent,
                    result="system_failure",
                )
            ]
        case "entry":
            connect = connected.get(fact.entry)
            return [
                QLeave(
                    at=connect.at if connect else at,
                    call=fact.call,
                    entry=fact.entry,
                    queue=fact.queue,
                    reason="answered" if connect else "system_failure",
                    agent=connect.agent if connect else None,
                )
            ]
        case "hold":
            return [HoldOff(at=at, call=fact.call, agent=fact.agent, entry=fact.entry)]
        case "part":
            ids = {
                "agent": fact.agent,
                "call": fact.call,
                "entry": fact.entry,
                "queue": fact.queue,
            }
            return [WrapStart(at=at, **ids), WrapEnd(at=at, **ids)]
        case "wrap":
            return [
                WrapEnd(at=at, agent=fact.agent, call=fact.call, entry=fact.entry, queue=fact.queue)
            ]
        case "message":
            lasted = durations.get(fact.recording, 0)
            ids = {
                "call": fact.call,
                "message": fact.message,
                "recording": fact.recording,
                "path": fact.path,
            }
            if not lasted or lasted < fact.least_ms:
                return [MessageDropped(at=at, reason="system_failure", **ids)]
            who = {"caller": fact.caller, "caller_name": fact.caller_name}
            return [MessageKept(at=at, box=fact.box, duration_ms=lasted, **ids, **who)]
        case "recording":
            return [
                RecordingEnded(
                    at=at,
                    call=fact.call,
                    recording=fact.recording,
                    duration_ms=durations.get(fact.recording, 0),
                    reason="system_failure",
                )
            ]
        case "consult":
            return [ConsultEnd(at=at, call=fact.call, by=fact.by, to=fact.to, result="failed")]
        case "park":
            return [Unparked(at=at, call=fact.call, orbit=fact.orbit, result="gone")]
        case "watch":
            return [SuperviseOff(at=at, call=fact.call, agent=fact.agent, by=fact.by)]
        case "dial":
            # Nobody knows how long they spoke: for the ceiling it was all the time since.
            ids = {"call": fact.call, "dial": fact.dial, "by": fact.by, "kind": fact.kind}
            return [DialEnded(at=at, talk_ms=max(0, at - fact.at), **ids)]
        case "line":
            return [LineReleased(at=at, call=fact.call, line=fact.line)]
        case _:
            return [Disconnect(at=at, call=fact.call, side="system", cause="system_failure")]
