"""The queues' machine with 200 agents and 500 waiting callers: CPU time of one decision.

A decision is one call of `handle` with everything that follows from it. Each strategy runs a busy
hour with all its kinds of event; the worst is the 99.9th percentile over them, so that the
collector's pauses of other work on the machine do not decide.
"""

from __future__ import annotations

import gc
import random
import time

from appliance.acd import Acd
from appliance.acd import events as acd
from appliance.acd.actions import Link, Ring
from appliance.events import QEnter, QLeave
from appliance.site.model import Queue

AGENTS = 200
WAITING = 500
QUEUES = 10
DECISIONS = 6000
STRATEGIES = (
    "longest_idle",
    "round_robin",
    "linear",
    "fewest_calls",
    "least_talk",
    "random",
    "weighted",
    "skills",
    "ring_all",
)


class Floor:
    """A full house that stays full: who leaves is replaced by a newcomer."""

    def __init__(self, strategy: str, per_queue: int) -> None:
        self.rng = random.Random(7)
        self.ids = 0
        self.now = 1_700_000_000_000
        self.waiting: dict[str, None] = {}
        self.spent: dict[str, list[float]] = {}
        self.names = [f"a{n}" for n in range(AGENTS)]
        self.queues = {
            f"q{n}": Queue.model_validate(
                {
                    "name": "Queue",
                    "agents": self.rng.sample(self.names, per_queue),
                    "strategy": strategy,
                    "max_waiting": 0,
                    "max_wait_s": 3600,
                    "skill_level": 3,
                    "last_agent_days": 30,
                    "wrap_up_s": 0,
                    "priority": n % 3,
                }
            )
            for n in range(QUEUES)
        }
        self.acd = Acd(self.queues, self.names, self.new_id)
        for name in self.names:
            self.do(acd.Reachable(name, True))
            self.do(acd.SetState(name, "ready"))
        for _ in range(WAITING + AGENTS):
            self.enter()
        self.answer_all()

    def new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    def do(self, event: acd.Event) -> list[object]:
        self.now += 20
        start = time.thread_time()
        out = self.acd.handle(event, self.now)
        self.acd.next_deadline()
        self.spent.setdefault(type(event).__name__, []).append(time.thread_time() - start)
        self.rings = [each for each in out if isinstance(each, Ring)]
        self.links = [each for each in out if isinstance(each, Link)]
        for each in out:
            if isinstance(each, QEnter):
                self.waiting[each.entry] = None
            elif isinstance(each, QLeave):
                del self.waiting[each.entry]
        return list(out)

    def enter(self) -> None:
        entry = self.new_id("e")
        queue = self.rng.choice(list(self.queues))
        self.do(acd.Enter(f"c{entry}", entry, queue, f"+4072{self.rng.randrange(9999):04}"))

    def answer_all(self) -> None:
        while rung := [n for n in self.names if self.acd.agent(n).phase == "offered"]:
            for name in rung:
                offer = self.acd.agent(name).offer
                if offer is not None:
                    self.answer(name, offer)

    def answer(self, agent: str, offer: str) -> None:
        self.do(acd.Accepted(agent, offer))
        for link in self.links:
            self.do(acd.Linked(link.entry))

    def hour(self) -> None:
        self.spent.clear()
        for _ in range(DECISIONS // 5):
            for _ in range(WAITING - len(self.waiting)):
                self.enter()
            match self.rng.randrange(8):
                case 0:
                    self.do(acd.Gone(self.rng.choice(list(self.waiting))))
                case 1:
                    self.do(acd.SetState(self.rng.choice(self.names), "not_ready", "Break"))
                case 2:
                    self.do(acd.SetState(self.rng.choice(self.names), "ready"))
                case _:
                    busy = [n for n in self.names if self.acd.agent(n).linked]
                    if busy:
                        self.do(acd.Released(self.rng.choice(busy)))
            for ring in self.rings[:1]:
                self.answer(ring.agent, ring.offer)


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def run() -> dict[str, float]:
    found: dict[str, float] = {}
    per_second: list[float] = []
    served, spent = 0, 0.0
    for strategy in STRATEGIES:
        floor = Floor(strategy, AGENTS)
        gc.collect()
        gc.freeze()
        floor.hour()
        gc.unfreeze()
        times = [t for each in floor.spent.values() for t in each]
        found[f"acd_{strategy}_p50_ms"] = quantile(times, 0.5) * 1000
        found[f"acd_{strategy}_p999_ms"] = quantile(times, 0.999) * 1000
        found[f"acd_{strategy}_p99_ms"] = quantile(times, 0.99) * 1000
        served += len(floor.spent.get("Linked", ()))
        spent += sum(times)
        if strategy != "ring_all":
            per_second.append(len(times) / sum(times))
    found["acd_decisions_per_s"] = min(per_second)
    found["acd_calls_per_s"] = served / spent
    found["acd_decision_p999_ms"] = max(
        found[f"acd_{strategy}_p999_ms"] for strategy in STRATEGIES if strategy != "ring_all"
    )
    return found
