"""Days of a small office as facts, drawn from a seed: what the ledger's tests are fed with."""

from __future__ import annotations

from random import Random

from appliance.events import (
    AgentState,
    Answered,
    Bridged,
    CallerKnown,
    CallOpened,
    Connect,
    Disconnect,
    Fact,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrKey,
    IvrOut,
    LineBusy,
    LineReleased,
    LineSeized,
    Offer,
    OfferEnd,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    Transfer,
    WrapEnd,
    WrapStart,
)

QUEUES = ("sales", "support")
AGENTS = ("ana", "bogdan", "chen")


def office_day(
    seed: int, calls: int, start: int = 1_000_000, every_ms: int = 20_000, prefix: str = ""
) -> list[Fact]:
    """Facts of a day in the order in which they happen, everything closed at its end. Ids are
    unique for the seed and prefix."""
    rng = Random(seed)
    day: list[Fact] = []
    for agent in AGENTS:
        day.append(AgentState(at=start, agent=agent, state="ready"))
        pause = start + rng.randrange(calls * every_ms)
        day.append(AgentState(at=pause, agent=agent, state="not_ready", reason="Lunch"))
    at = start
    for number in range(calls):
        at += rng.choice((0, rng.randrange(2 * every_ms)))
        day += one_call(rng, f"{prefix}{seed}-{number}", at)
    end = max(fact.at for fact in day)
    day += [AgentState(at=end, agent=agent, state="offline") for agent in AGENTS]
    return sorted(day, key=lambda fact: fact.at)


def one_call(rng: Random, call: str, at: int) -> list[Fact]:
    """One whole call; times often coincide, as they do when one event causes several facts."""
    clock = _Clock(rng, at)
    if rng.random() < 0.1:
        return _call_out(rng, call, clock)
    caller = rng.choice((None, f"+407{rng.randrange(10**8):08d}"))
    facts: list[Fact] = [
        CallOpened(at=clock.now, call=call, direction="in", door="line:1", called="0211"),
        LineSeized(at=clock.now, call=call, line="1", direction="in"),
    ]
    if caller is not None:
        facts.append(CallerKnown(at=clock.tick(), call=call, caller=caller, caller_name="Ion"))
    if rng.random() < 0.05:
        facts.append(LineBusy(at=clock.now, line="2"))
    facts.append(Answered(at=clock.tick(), call=call, party="line:1"))
    facts.append(IvrIn(at=clock.now, call=call, menu="main"))
    facts.append(IvrKey(at=clock.tick(), call=call, menu="main", key="1", valid=rng.random() < 0.8))
    if rng.random() < 0.1:
        facts.append(IvrOut(at=clock.tick(), call=call, menu="main", result="abandoned"))
        return facts + _hang_up(call, clock, "caller", "normal")
    queue = rng.choice(QUEUES)
    facts.append(
        IvrOut(at=clock.tick(), call=call, menu="main", result="queue", target=f"queue:{queue}")
    )
    entry, parent = f"{call}.e0", None
    for turn in range(3):
        stay, spoke = _stay(rng, call, entry, queue, parent, caller, clock)
        facts += stay
        if not spoke or rng.random() < 0.8 or turn == 2:
            break
        other = rng.choice(QUEUES)
        facts.insert(
            len(facts) - 2,
            Transfer(
                at=facts[-2].at,
                call=call,
                mode="queue",
                by=f"agent:{spoke}",
                to=f"queue:{other}",
                entry=entry,
            ),
        )
        parent, entry, queue = entry, f"{call}.e{turn + 1}", other
    return facts + _hang_up(call, clock, rng.choice(("caller", "callee")), "normal")


class _Clock:
    def __init__(self, rng: Random, now: int) -> None:
        self._rng = rng
        self.now = now

    def tick(self) -> int:
        self.now += self._rng.choice((0, 1, 999, 5_000, self._rng.randrange(60_000)))
        return self.now


def _stay(
    rng: Random,
    call: str,
    entry: str,
    queue: str,
    parent: str | None,
    caller: str | None,
    clock: _Clock,
) -> tuple[list[Fact], str | None]:
    ids = {"call": call, "entry": entry, "queue": queue}
    facts: list[Fact] = [
        QEnter(at=clock.now, caller=caller, parent=parent, priority=rng.randrange(3), **ids)
    ]
    roll = rng.random()
    if roll < 0.08:
        reason = rng.choice(("full", "closed", "no_agent"))
        return [*facts, QLeave(at=clock.now, reason=reason, **ids)], None
    for attempt in range(rng.randrange(3)):
        agent = rng.choice(AGENTS)
        offer = {"offer": f"{entry}.o{attempt}", "agent": agent, **ids}
        facts.append(Offer(at=clock.tick(), **offer))
        facts.append(OfferEnd(at=clock.tick(), result=rng.choice(("missed", "rejected")), **offer))
    if roll < 0.35:
        reason = rng.choice(("abandoned", "abandoned", "timeout", "key_exit", "overflow"))
        return [*facts, QLeave(at=clock.tick(), reason=reason, **ids)], None
    agent = rng.choice(AGENTS)
    offer = {"offer": f"{entry}.last", "agent": agent, **ids}
    recording = {"call": call, "recording": f"{entry}.r"}
    part = {"agent": agent, **ids}
    facts.append(Offer(at=clock.tick(), **offer))
    facts.append(OfferEnd(at=clock.tick(), result="accepted", **offer))
    facts.append(Connect(at=clock.now, **part))
    facts.append(QLeave(at=clock.now, reason="answered", agent=agent, **ids))
    facts.append(Bridged(at=clock.now, call=call, a="line:1", b=f"agent:{agent}"))
    facts.append(
        RecordingStarted(
            at=clock.now,
            path=f"recordings/{entry}.wav",
            entry=entry,
            agent=agent,
            **recording,
        )
    )
    began = clock.now
    for _ in range(rng.choice((0, 0, 1, 2))):
        facts.append(HoldOn(at=clock.tick(), call=call, agent=agent, entry=entry))
        facts.append(HoldOff(at=clock.tick(), call=call, agent=agent, entry=entry))
    ended = clock.tick()
    facts.append(RecordingEnded(at=ended, duration_ms=ended - began, reason="done", **recording))
    facts.append(WrapStart(at=ended, **part))
    facts.append(WrapEnd(at=ended + rng.choice((0, 4_000, 15_000)), **part))
    return facts, agent


def _call_out(rng: Random, call: str, clock: _Clock) -> list[Fact]:
    agent = rng.choice(AGENTS)
    facts: list[Fact] = [
        CallOpened(
            at=clock.now,
            call=call,
            direction="out",
            door=f"agent:{agent}",
            caller=agent,
            called="0722123456",
        ),
        LineSeized(at=clock.tick(), call=call, line="2", direction="out"),
    ]
    if rng.random() < 0.5:
        facts.append(Answered(at=clock.tick(), call=call, party="line:2"))
        facts.append(Bridged(at=clock.now, call=call, a=f"agent:{agent}", b="line:2"))
        return facts + _hang_up(call, clock, "callee", "normal", line="2")
    return facts + _hang_up(call, clock, "callee", rng.choice(("busy", "no_answer")), line="2")


def _hang_up(call: str, clock: _Clock, side: str, cause: str, line: str = "1") -> list[Fact]:
    at = clock.tick()
    return [
        LineReleased(at=at, call=call, line=line),
        Disconnect(at=at, call=call, side=side, cause=cause),  # type: ignore[arg-type]
    ]
