"""What the readers of a finished ledger may rely on, checked without the product's own recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from appliance.events import (
    AgentState,
    CallOpened,
    Connect,
    Disconnect,
    Fact,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrOut,
    LegQuality,
    LineReleased,
    LineSeized,
    MessageDropped,
    MessageKept,
    MessageStarted,
    Offer,
    OfferEnd,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    WrapEnd,
    WrapStart,
)


def broken(facts: Iterable[Fact]) -> list[str]:
    """Everything that is open, doubled or out of order in a ledger whose day is over."""
    facts = list(facts)
    wrong: list[str] = []
    pairs = (
        ("call", CallOpened, Disconnect, lambda f: f.call),
        ("line", LineSeized, LineReleased, lambda f: (f.call, f.line)),
        ("menu", IvrIn, IvrOut, lambda f: f.call),
        ("entry", QEnter, QLeave, lambda f: f.entry),
        ("offer", Offer, OfferEnd, lambda f: f.offer),
        ("part", Connect, WrapStart, lambda f: f.entry),
        ("wrap-up", WrapStart, WrapEnd, lambda f: (f.entry, f.agent)),
        ("recording", RecordingStarted, RecordingEnded, lambda f: f.recording),
        ("message", MessageStarted, (MessageKept, MessageDropped), lambda f: f.message),
        ("hold", HoldOn, HoldOff, lambda f: (f.call, f.agent)),
    )
    for name, opening, closing, key in pairs:
        balance: Counter[object] = Counter()
        opened: Counter[object] = Counter()
        for fact in facts:
            if isinstance(fact, opening):
                balance[key(fact)] += 1
                opened[key(fact)] += 1
            elif isinstance(fact, closing):
                balance[key(fact)] -= 1
                if balance[key(fact)] < 0:
                    wrong.append(f"{name} {key(fact)} closed twice or before it was opened")
        wrong += [f"{name} {which} is open" for which, count in balance.items() if count > 0]
        if name != "hold":
            wrong += [f"{name} {which} opened twice" for which, n in opened.items() if n > 1]
    connects = {f.entry: f for f in facts if isinstance(f, Connect)}
    for fact in facts:
        if isinstance(fact, QLeave):
            connect = connects.get(fact.entry)
            if (fact.reason == "answered") != (connect is not None):
                wrong.append(f"entry {fact.entry} left as {fact.reason}")
            elif connect is not None and connect.at != fact.at:
                wrong.append(f"entry {fact.entry} left at another time than it was connected")
    over: set[str] = set()
    for fact in facts:
        call = getattr(fact, "call", None)
        if call in over and not isinstance(fact, WrapStart | WrapEnd | LegQuality):
            wrong.append(f"{type(fact).__name__} of {call} after its Disconnect")
        if isinstance(fact, Disconnect):
            over.add(fact.call)
    last: dict[str, str] = {f.agent: f.state for f in facts if isinstance(f, AgentState)}
    wrong += [f"agent {agent} is {state}" for agent, state in last.items() if state != "offline"]
    return wrong
