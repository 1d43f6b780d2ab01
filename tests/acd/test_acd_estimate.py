"""Expected waits as ranges: when nothing is said, what is said, and that it holds."""

from __future__ import annotations

import heapq
import random

from appliance.acd.actions import Announce
from appliance.acd.estimate import HISTORY_MS, LEAST_HISTORY, Range, Waited, expected
from appliance.acd.events import Released
from tests.acd.acd_office import Office, only, queue


def test_too_little_history_says_nothing() -> None:
    history = [Waited(0, 1, 60_000)] * (LEAST_HISTORY - 1)
    assert expected(history, 1, 0) is None
    assert expected([*history, Waited(0, 1, 60_000)], 1, 0) is not None


def test_old_waits_do_not_count() -> None:
    assert expected([Waited(0, 1, 60_000)] * 9, 1, HISTORY_MS + 1) is None


def test_a_steady_queue_is_foretold_exactly() -> None:
    history = [Waited(0, place, place * 60_000) for place in (1, 2, 3, 4, 5)]
    assert expected(history, 3, 0) == Range(180_000, 180_000)


def test_an_uneven_queue_gets_a_wider_range_that_never_begins_below_zero() -> None:
    history = [Waited(0, 1, ms) for ms in (1_000, 5_000, 400_000, 20_000, 90_000)]
    found = expected(history, 1, 0)
    assert found is not None
    assert found.low_ms == 0
    assert found.high_ms > 103_000


def test_minutes_are_never_narrower_than_the_range() -> None:
    assert Range(59_000, 61_000).minutes == (0, 2)
    assert Range(120_000, 180_000).minutes == (2, 3)
    assert Range(0, 0).minutes == (0, 1)


def test_about_four_of_five_waits_lie_in_the_range() -> None:
    """A busy queue with random service times, each wait foretold on entering."""
    rng = random.Random(5)
    servers, now = [0.0] * 4, 0.0
    starts: list[float] = []
    done: list[tuple[float, Waited]] = []
    history: list[Waited] = []
    inside = total = 0
    for _ in range(6000):
        now += rng.expovariate(1 / 33_000)
        while done and done[0][0] <= now:
            history.append(heapq.heappop(done)[1])
        starts = [start for start in starts if start > now]
        begin = max(now, heapq.heappop(servers))
        heapq.heappush(servers, begin + rng.expovariate(1 / 120_000))
        if begin <= now:
            continue
        starts.append(begin)
        wait = round(begin - now)
        found = expected(history[-60:], len(starts), round(now))
        heapq.heappush(done, (begin, Waited(round(begin), len(starts), wait)))
        if found is not None:
            total += 1
            inside += found.low_ms <= wait <= found.high_ms
    assert total > 1000
    assert 0.7 < inside / total < 0.9


def test_the_announcement_carries_the_range() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0, announce_every_s=600)}, ("a",))
    office.sign_in("a")
    office.enter("e0")
    office.answer("a")
    for number in range(1, 8):
        told = only(office.enter(f"e{number}"), Announce)
        office.advance(60_000)
        office.do(Released("a"))
        office.answer("a")
    assert told[-1].expected == Range(60_000, 60_000)
    assert office.acd.expected_wait("sales", office.now, 2) == Range(120_000, 120_000)
