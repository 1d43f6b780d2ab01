"""Theory: Poisson callers through this very code agree with Erlang C within sampling error."""

from __future__ import annotations

import heapq
import math
import random
import statistics

import pytest

from appliance.acd import Acd
from appliance.acd.actions import Action, Link, Ring
from appliance.acd.events import Accepted, Enter, Event, Linked, Reachable, Released, SetState
from appliance.events import Connect, Fact, QEnter
from appliance.site.model import Queue

SERVERS = 14
ARRIVALS_PER_S = 100 / 1800
HANDLE_S = 180.0
TARGET_S = 20
HOUR_MS = 3_600_000
DAY_MS = 8 * HOUR_MS
WARM_UP_MS = HOUR_MS
DAYS = 24


def erlang_c(a: float, n: int) -> float:
    """P(wait)."""
    b = 1.0
    for k in range(1, n + 1):
        b = a * b / (k + a * b)
    return n * b / (n - a * (1 - b))


def waits_of_a_day(seed: int) -> list[int]:
    """Waits (ms) of one simulated day after its first hour."""
    rng = random.Random(seed)
    names = [f"agent{n}" for n in range(SERVERS)]
    office = Queue(
        name="Sales",
        agents=tuple(names),
        wrap_up_s=0,
        max_wait_s=0,
        max_waiting=0,
        announce_position=False,
    )
    acd = Acd({"sales": office}, names, lambda prefix: f"{prefix}{rng.random()}")
    entered: dict[str, int] = {}
    waits: list[int] = []
    todo: list[tuple[int, int, Event]] = []
    count = 0

    def later(at: int, event: Event) -> None:
        nonlocal count
        count += 1
        heapq.heappush(todo, (at, count, event))

    def work(out: list[Fact | Action], now: int) -> None:
        for each in out:
            match each:
                case QEnter():
                    entered[each.entry] = now
                case Ring():
                    work(acd.handle(Accepted(each.agent, each.offer), now), now)
                case Link():
                    work(acd.handle(Linked(each.entry), now), now)
                case Connect():
                    if entered[each.entry] >= WARM_UP_MS:
                        waits.append(now - entered[each.entry])
                    talk_ms = round(rng.expovariate(1 / HANDLE_S) * 1000)
                    later(now + talk_ms, Released(each.agent))

    for name in names:
        work(acd.handle(Reachable(name, True), 0), 0)
        work(acd.handle(SetState(name, "ready"), 0), 0)
    at = 0.0
    while (at := at + rng.expovariate(ARRIVALS_PER_S) * 1000) < DAY_MS:
        later(round(at), Enter(f"c{at}", f"e{at}", "sales"))
    while todo:
        now, _, event = heapq.heappop(todo)
        work(acd.handle(event, now), now)
    assert len(waits) == sum(since >= WARM_UP_MS for since in entered.values())
    return waits


def test_the_formula_gives_the_known_values() -> None:
    a = ARRIVALS_PER_S * HANDLE_S
    c = erlang_c(a, SERVERS)
    assert c == pytest.approx(0.17413193, abs=1e-8)
    level = 1 - c * math.exp(-(SERVERS - a) * TARGET_S / HANDLE_S)
    assert level == pytest.approx(0.88835002, abs=1e-8)


def test_simulated_days_agree_with_erlang_c() -> None:
    a = ARRIVALS_PER_S * HANDLE_S
    c = erlang_c(a, SERVERS)
    theory = {
        "P(wait)": c,
        "service level": 1 - c * math.exp(-(SERVERS - a) * TARGET_S / HANDLE_S),
        "ASA": c * HANDLE_S / (SERVERS - a),
    }
    days = [waits_of_a_day(seed) for seed in range(DAYS)]
    measured = {
        "P(wait)": [sum(w > 0 for w in day) / len(day) for day in days],
        "service level": [sum(w <= TARGET_S * 1000 for w in day) / len(day) for day in days],
        "ASA": [sum(day) / len(day) / 1000 for day in days],
    }
    for name, expected in theory.items():
        mean = statistics.mean(measured[name])
        error = statistics.stdev(measured[name]) / math.sqrt(DAYS)
        print(f"{name}: theory {expected:.4f}, simulated {mean:.4f} +- {error:.4f}")
        assert abs(mean - expected) < 3 * error
        assert error < 0.15 * expected, "enough days to mean anything"
