"""A busy office whose callers may ask to be called back, and whose box dies at any moment.

Simulated time and persons around `Acd` and `CallBacks`. What a step decides is carried out only
after its facts are on disk; a crash keeps the first few facts of a step, or all of them, and
carries out nothing. A witness that reads the disk alone counts doubles and overtakes.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from appliance import events as facts
from appliance.acd import Acd, callback
from appliance.acd import events as acd
from appliance.acd.actions import Dial, Leave, Link, Ring
from appliance.acd.callback import CallBacks
from appliance.acd.line import head_start_ms
from appliance.site.model import Queue

START = 1_700_000_000_000
AGENTS = tuple(f"a{n}" for n in range(6))


@dataclass
class Tally:
    calls: int = 0
    crashes: int = 0
    requests: int = 0
    dialled: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    doubles: int = 0
    overtakes: int = 0
    too_many: int = 0


def queues() -> dict[str, Queue]:
    rules = {
        "name": "Queue",
        "max_waiting": 0,
        "max_wait_s": 1800,
        "leave_when_empty": False,
        "callback_retry_s": 60,
        "callback_keep_h": 2,
        "wrap_up_s": 5,
    }
    return {
        "sales": Queue.model_validate({**rules, "agents": AGENTS[:4]}),
        "support": Queue.model_validate({**rules, "agents": AGENTS[2:], "priority": 1}),
    }


class CallbackOffice:
    """`run(calls)` lets so many callers come; `crash` is the chance of a crash in one step."""

    def __init__(self, seed: int, crash: float) -> None:
        self.rng = random.Random(seed)
        self.crash = crash
        self.now = START
        self.tally = Tally()
        self.queues = queues()
        self.disk: list[facts.Fact] = []
        self.todo: list[tuple[int, int, int, object]] = []
        self.count = 0
        self.epoch = 0
        # The witness: who stands in line (moment, queue), who has an agent at work for them.
        self.line: dict[str, tuple[int, str]] = {}
        self.served: set[str] = set()
        self.requests: dict[str, facts.CallbackRequested] = {}
        self.results: dict[str, str] = {}
        self.in_flight: dict[str, str] = {}
        self.callback_of: dict[str, str] = {}
        self.connected: Counter[str] = Counter()
        self.boot()

    # --- the box ----------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def boot(self) -> None:
        self.acd = Acd(self.queues, AGENTS, self.new_id)
        self.back = CallBacks(self.queues, self.new_id)
        self.step(self.back.restore(tuple(self.disk), self.now))
        for agent in AGENTS:
            self.later(self.rng.randrange(500, 20_000), acd.Reachable(agent, True))
            self.later(20_000, acd.SetState(agent, "ready"))

    def later(self, ms: int, event: object) -> None:
        self.count += 1
        heapq.heappush(self.todo, (self.now + ms, self.count, self.epoch, event))

    def step(self, first: list[object]) -> None:
        """Everything that follows from one event, then the disk, then the world."""
        queue: deque[object] = deque(first)
        written: list[facts.Fact] = []
        actions: list[object] = []
        while queue:
            each = queue.popleft()
            if isinstance(each, facts.Fact):
                written.append(each)
                if isinstance(each, facts.QLeave):
                    left = callback.Left(each.entry, each.reason, each.agent)
                    queue.extendleft(reversed(self.back.handle(left, self.now)))
            elif isinstance(each, Dial):
                turn = callback.Turn(each.booking, each.agent)
                queue.extendleft(reversed(self.back.handle(turn, self.now)))
                self.check_dial()
            elif isinstance(each, acd.Book | acd.Unbook | acd.Met | acd.Gone):
                queue.extendleft(reversed(self.acd.handle(each, self.now)))
            else:
                actions.append(each)
        if self.rng.random() < self.crash:
            kept = self.rng.randrange(len(written) + 1)
            for fact in written[:kept]:
                self.write(fact)
            self.die()
            return
        for fact in written:
            self.write(fact)
        for action in actions:
            self.carry_out(action)

    def check_dial(self) -> None:
        kept = [b.agent for b in self.acd.bookings() if b.agent is not None]
        flying = [v for v in self.back.open() if v.call is not None and not v.picked_up]
        self.tally.too_many += len(flying) > len(set(kept)) or len(kept) != len(set(kept))

    def die(self) -> None:
        """The box is gone; what the ledger's recovery writes at the next start."""
        self.tally.crashes += 1
        self.epoch += 1
        last = {f.entry: f for f in self.disk if isinstance(f, facts.QEnter)}
        linked = {f.entry: f.agent for f in self.disk if isinstance(f, facts.Connect)}
        for fact in self.disk:
            if isinstance(fact, facts.QLeave):
                last.pop(fact.entry, None)
        for entry, enter in last.items():
            agent = linked.get(entry)
            reason = "system_failure" if agent is None else "answered"
            self.write(
                facts.QLeave(
                    at=self.now,
                    call=enter.call,
                    entry=entry,
                    queue=enter.queue,
                    reason=reason,  # type: ignore[arg-type]
                    agent=agent,
                )
            )
        self.compact()
        self.line = {name: at for name, at in self.line.items() if name in self.requests}
        self.served.clear()
        self.in_flight.clear()
        self.now += self.rng.randrange(1_000, 30_000)
        self.boot()

    def compact(self) -> None:
        """Facts of what is over do not come back: keeps long runs short."""
        open_ = {name for name in self.requests if name not in self.results}
        entries = {e for e, name in self.callback_of.items() if name in open_}
        self.disk = [
            f
            for f in self.disk
            if getattr(f, "callback", None) in open_ or getattr(f, "entry", None) in entries
        ]

    # --- the world --------------------------------------------------------------------------

    def carry_out(self, action: object) -> None:
        rng = self.rng
        match action:
            case Ring():
                if rng.random() < 0.92:
                    self.later(rng.randrange(500, 9_000), acd.Accepted(action.agent, action.offer))
            case Link():
                self.later(300, acd.Linked(action.entry))
                self.later(rng.randrange(20_000, 200_000), acd.Released(action.agent))
                self.later(400_000, acd.SetState(action.agent, "ready"))
            case callback.Place():
                if rng.random() < 0.65:
                    self.later(rng.randrange(2_000, 25_000), callback.PickedUp(action.call))
                elif rng.random() < 0.7:
                    failed = callback.Failed(action.call, "busy")
                    self.later(rng.randrange(1_000, 35_000), failed)
            case Leave():
                pass

    def arrive(self) -> None:
        self.tally.calls += 1
        name = self.new_id("e")
        number = f"+4072{self.count}"
        queue = self.rng.choice(tuple(self.queues))
        self.step(list(self.acd.handle(acd.Enter("c" + name, name, queue, number), self.now)))
        roll = self.rng.random()
        if roll < 0.35:
            self.later(self.rng.randrange(5_000, 90_000), ("wish", name, queue, number))
        elif roll < 0.55:
            self.later(self.rng.randrange(1_000, 300_000), acd.Gone(name))

    def wish(self, entry: str, queue: str, number: str) -> None:
        """The caller presses the key, twice where the first one took long."""
        view = next((v for v in self.acd.waiting() if v.entry == entry), None)
        if view is None or view.linking:
            return
        asked = callback.Request(queue, number, view.since, view.priority, view.call, entry)
        out: list[object] = list(self.back.handle(asked, self.now))
        out += self.back.handle(asked, self.now)
        # The place is booked before the caller leaves theirs, or the agent who rings for them
        # would go to the next one.
        self.step([*out, acd.Gone(entry, "callback_requested")])

    def do(self, event: object) -> None:
        match event:
            case ("wish", entry, queue, number):
                self.wish(entry, queue, number)
            case callback.PickedUp() | callback.Failed():
                self.step(self.back.handle(event, self.now))
                if isinstance(event, callback.PickedUp) and self.rng.random() < 0.1:
                    entry = next((f for f in self.callback_of if f in self.line), None)
                    if entry is not None:
                        self.later(self.rng.randrange(100, 9_000), acd.Gone(entry))
            case _:
                self.step(list(self.acd.handle(event, self.now)))  # type: ignore[arg-type]

    def run(self, calls: int, gap_ms: int = 19_000) -> Tally:
        arrival = self.now
        target = self.tally.calls + calls
        while True:
            times = [
                self.todo[0][0] if self.todo else None,
                self.acd.next_deadline(),
                self.back.next_deadline(),
                arrival if self.tally.calls < target else None,
            ]
            due = [at for at in times if at is not None]
            idle = not self.line and not self.back.open() and self.tally.calls >= target
            if not due or idle:
                return self.tally
            self.now = max(self.now, min(due))
            if self.todo and self.todo[0][0] <= self.now:
                _, _, epoch, event = heapq.heappop(self.todo)
                if epoch == self.epoch:
                    self.do(event)
            elif self.tally.calls < target and arrival <= self.now:
                arrival = self.now + round(self.rng.expovariate(1 / gap_ms))
                self.arrive()
            else:
                self.step([*self.acd.tick(self.now), *self.back.tick(self.now)])

    # --- the witness ------------------------------------------------------------------------

    def write(self, fact: facts.Fact) -> None:
        self.disk.append(fact)
        tally = self.tally
        match fact:
            case facts.QEnter():
                name = self.callback_of.get(fact.entry)
                if name is None:
                    self.line[fact.entry] = (fact.at - head_start_ms(fact.priority), fact.queue)
                else:
                    self.line[fact.entry] = self.line.pop(name)
            case facts.Offer():
                self.served_now(fact.entry, fact.agent)
            case facts.OfferEnd() if fact.result != "accepted":
                self.served.discard(fact.entry)
            case facts.QLeave():
                self.line.pop(fact.entry, None)
                self.served.discard(fact.entry)
            case facts.Connect():
                if (name := self.callback_of.get(fact.entry)) is not None:
                    self.connected[name] += 1
                    tally.doubles += self.connected[name] > 1
            case facts.CallbackRequested():
                tally.requests += 1
                self.requests[fact.callback] = fact
                self.line[fact.callback] = (
                    fact.since - head_start_ms(fact.priority),
                    fact.queue,
                )
            case facts.CallbackDialled():
                tally.dialled += 1
                open_already = fact.callback in self.in_flight or fact.callback in self.results
                tally.doubles += open_already or fact.callback in self.connected
                self.in_flight[fact.callback] = fact.call
                self.callback_of[fact.entry] = fact.callback
                self.served_now(fact.callback, fact.agent)
            case facts.CallbackMissed():
                self.in_flight.pop(fact.callback, None)
                self.served.discard(fact.callback)
                # Between two tries nobody waits for an agent: back in line with the next one.
                request = self.requests[fact.callback]
                moment = request.since - head_start_ms(request.priority)
                self.line[fact.callback] = (moment, request.queue)
                self.pausing(fact.callback)
            case facts.CallbackEnded():
                assert fact.callback not in self.results, "one outcome"
                self.results[fact.callback] = fact.result
                tally.ended[fact.result] += 1
                self.in_flight.pop(fact.callback, None)
                self.line.pop(fact.callback, None)
                self.served.discard(fact.callback)

    def pausing(self, name: str) -> None:
        self.served.add(name)

    def served_now(self, name: str, agent: str) -> None:
        """This agent is given to this one: nobody further ahead could have had them."""
        place = self.line.get(name)
        if place is None:
            return
        met = name in self.callback_of
        booked = {b.booking: b.dialling for b in self.acd.bookings()}
        for other, (moment, queue) in self.line.items():
            if other == name or other in self.served or moment >= place[0] or met:
                continue
            if other in self.requests and other not in booked:
                continue
            if agent in self.queues[queue].agents:
                self.tally.overtakes += 1
        self.served.add(name)
