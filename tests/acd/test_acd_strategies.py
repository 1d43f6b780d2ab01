"""Who is rung: each strategy, skills that relax, the agent who spoke with the caller last."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import pytest

from appliance.acd import strategies
from appliance.acd.events import LinkFailed, QueuesChanged, Released, SetState, Spoke
from appliance.acd.strategies import STRATEGIES, Ask, pick, required_level, seeded
from appliance.events import OfferEnd
from appliance.site.model import Queue
from tests.acd.acd_office import START, Office, only, queue

DAY_MS = 86_400_000
THREE = ("a", "b", "c")


@dataclass
class Seen:
    """A candidate as a test writes one down."""

    name: str
    index: int
    idle_since: int = 0
    calls: int = 0
    talk_ms: int = 0
    turns: int = 0
    level: int = 1


def chosen(strategy: str, *agents: Seen, after: int = -1, **refused: int) -> list[str]:
    ask = Ask(lambda n: n - 1, after, refused)
    return [agent.name for agent in pick(strategy, agents, ask)]


def served(office: Office, count: int, name: str = "sales") -> list[str]:
    """Who answers `count` calls that come one after the other."""
    found = []
    for number in range(count):
        office.enter(f"{name}{office.now}-{number}", name)
        agent = next(iter(office.rung()))
        office.answer(agent)
        office.now += 1000
        office.finish(agent)
        found.append(agent)
    return found


def test_the_site_document_and_the_table_name_the_same_strategies() -> None:
    known = Queue.model_fields["strategy"].annotation
    assert set(STRATEGIES) == set(known.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("longest_idle", "c"),
        ("linear", "a"),
        ("fewest_calls", "b"),
        ("least_talk", "a"),
        ("weighted", "c"),
        ("skills", "b"),
        ("random", "c"),
    ],
)
def test_each_strategy_has_its_own_measure(strategy: str, expected: str) -> None:
    a = Seen("a", 0, idle_since=3, calls=2, talk_ms=10, turns=5, level=2)
    b = Seen("b", 1, idle_since=2, calls=1, talk_ms=20, turns=6, level=3)
    c = Seen("c", 2, idle_since=1, calls=3, talk_ms=30, turns=4, level=1)
    assert chosen(strategy, c, a, b) == [expected]


def test_equals_go_by_idleness_and_then_by_the_list() -> None:
    a, b, c = Seen("a", 0, idle_since=5), Seen("b", 1, idle_since=4), Seen("c", 2, idle_since=4)
    for strategy in ("fewest_calls", "least_talk", "weighted", "skills", "longest_idle"):
        assert chosen(strategy, c, a, b) == ["b"]


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"ring_all"}))
def test_who_let_this_caller_ring_in_vain_comes_last(strategy: str) -> None:
    a, b = Seen("a", 0), Seen("b", 1, 9, 9, 9, 9)
    assert chosen(strategy, a, b, a=1) == ["b"]
    assert len(chosen(strategy, a, b, a=1, b=1)) == 1


def test_ring_all_rings_in_the_order_of_the_list() -> None:
    assert chosen("ring_all", Seen("b", 1), Seen("a", 0), b=3) == ["a", "b"]


def test_linear_always_begins_at_the_head_of_the_list() -> None:
    """mikopbx #998: linear order ignored."""
    office = Office({"sales": queue(*THREE, strategy="linear")}, THREE)
    office.sign_in("c", "b", "a")
    assert served(office, 3) == ["a", "a", "a"]


def test_linear_goes_on_down_the_list_when_the_first_does_not_answer() -> None:
    office = Office({"sales": queue(*THREE, strategy="linear", ring_s=10)}, THREE)
    office.sign_in(*THREE)
    office.enter("e1")
    office.advance(10_000)
    assert office.rung() == {"b": "e1"}


def test_round_robin_goes_on_behind_the_one_who_was_rung_last() -> None:
    office = Office({"sales": queue(*THREE, strategy="round_robin")}, THREE)
    office.sign_in("b", "a", "c")
    assert served(office, 4) == ["a", "b", "c", "a"]
    office.do(SetState("b", "not_ready"))
    assert served(office, 2) == ["c", "a"]


def test_round_robin_remembers_its_turn_through_a_change_of_the_list() -> None:
    office = Office({"sales": queue(*THREE, strategy="round_robin")}, (*THREE, "d"))
    office.sign_in(*THREE, "d")
    assert served(office, 2) == ["a", "b"]
    office.do(QueuesChanged({"sales": queue("d", "a", "c", strategy="round_robin")}, (*THREE, "d")))
    assert served(office, 3) == ["c", "d", "a"]


def test_fewest_calls_evens_out() -> None:
    office = Office({"sales": queue(*THREE, strategy="fewest_calls")}, THREE)
    office.sign_in(*THREE)
    assert set(Counter(served(office, 9)).values()) == {3}


def test_who_signs_in_late_does_not_get_all_the_calls() -> None:
    office = Office({"sales": queue("a", "b", strategy="fewest_calls")}, ("a", "b"))
    office.sign_in("a")
    served(office, 20)
    office.sign_in("b")
    assert Counter(served(office, 10)) == {"a": 5, "b": 5}


def test_least_talk_rings_who_talked_least() -> None:
    office = Office({"sales": queue("a", "b", strategy="least_talk")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.answer("a")
    office.now += 600_000
    office.finish("a")
    office.enter("e2")
    office.answer("b")
    office.now += 1000
    office.finish("b")
    assert served(office, 1) == ["b"]


def test_weights_are_shares_of_the_calls() -> None:
    rules = queue(*THREE, strategy="weighted", weights={"a": 5, "b": 3, "c": 2})
    office = Office({"sales": rules}, THREE)
    office.sign_in(*THREE)
    assert Counter(served(office, 40)) == {"a": 20, "b": 12, "c": 8}


def test_random_takes_its_chance_from_outside() -> None:
    def run(seed: int) -> list[str]:
        rules = {"sales": queue(*THREE, strategy="random")}
        office = Office(rules, THREE, choose=seeded(seed))
        office.sign_in(*THREE)
        return served(office, 60)

    assert run(1) == run(1)
    assert run(1) != run(2)
    shares = Counter(run(3))
    assert all(abs(shares[agent] - 20) < 4 * math.sqrt(60 * 2 / 9) for agent in THREE)


# --- skills ---------------------------------------------------------------------------------


def test_the_most_skilled_is_rung_first() -> None:
    rules = queue(*THREE, strategy="skills", levels={"b": 5, "c": 9})
    office = Office({"sales": rules}, THREE)
    office.sign_in(*THREE)
    office.enter("e1")
    assert office.rung() == {"c": "e1"}


def test_a_required_level_relaxes_over_the_wait() -> None:
    rules = queue(
        "a", "b", strategy="skills", levels={"b": 3}, skill_level=3, skill_relax_s=20, ring_s=60
    )
    office = Office({"sales": rules}, ("a", "b"))
    office.sign_in("a")
    office.enter("e1")
    office.advance(39_999)
    assert office.rung() == {}
    office.advance(1)
    assert office.rung() == {"a": "e1"}


def test_a_caller_whom_nobody_free_can_serve_does_not_hold_up_the_next_one() -> None:
    rules = {
        "sales": queue("a", strategy="skills", skill_level=2, skill_relax_s=0),
        "all": queue("a"),
    }
    office = Office(rules, ("a",))
    office.sign_in("a")
    office.enter("e1", "sales")
    office.enter("e2", "all")
    assert office.rung() == {"a": "e2"}


def test_required_levels() -> None:
    assert [required_level(3, 30, ms) for ms in (0, 29_999, 30_000, 60_000, 900_000)] == [
        3,
        3,
        2,
        1,
        1,
    ]
    assert required_level(3, 0, 900_000) == 3
    assert strategies.next_relaxation_ms(3, 30, 0) == 30_000
    assert strategies.next_relaxation_ms(3, 30, 30_000) == 60_000
    assert strategies.next_relaxation_ms(3, 30, 60_000) is None


# --- last agent -----------------------------------------------------------------------------


def known(**rules: object) -> Office:
    """An office where b spoke with the caller (+40) a day ago, and a has been idle for longer."""
    told = {"last_agent_days": 7, "last_agent_wait_s": 30, **rules}
    spoke = {"+40": ("b", START - DAY_MS)}
    office = Office({"sales": queue("a", "b", **told)}, ("a", "b"), spoke=spoke)
    office.sign_in("a", "b")
    return office


def test_who_spoke_with_the_caller_last_gets_the_call_first() -> None:
    office = known()
    office.enter("e1")
    assert office.rung() == {"b": "e1"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_last_agent_comes_before_every_strategy(strategy: str) -> None:
    office = known(strategy=strategy)
    office.enter("e1")
    assert office.rung() == {"b": "e1"}


def test_the_wait_for_the_last_agent_is_bounded() -> None:
    office = known()
    office.enter("e1")
    office.answer("b")
    office.enter("e2")
    assert office.rung() == {}, "b talks, the caller waits for b"
    office.advance(29_999)
    assert office.rung() == {}
    office.advance(1)
    assert office.rung() == {"a": "e2"}


def test_while_one_waits_for_the_last_agent_others_go_on() -> None:
    office = known()
    office.enter("e1")
    office.answer("b")
    office.enter("e2")
    office.acd.handle(Spoke("a", "+41", office.now), office.now)
    office.enter("e3", priority=None)
    assert office.rung() == {}, "all three came from the same number"
    office.do(Released("b"))
    office.advance(15_000)
    assert office.rung() == {"b": "e2"}


def test_nobody_waits_for_an_agent_who_is_not_there() -> None:
    office = known()
    office.do(SetState("b", "not_ready"))
    office.enter("e1")
    assert office.rung() == {"a": "e1"}


def test_when_the_last_agent_goes_the_caller_goes_to_the_others() -> None:
    office = known()
    office.enter("e1")
    office.answer("b")
    office.enter("e2")
    office.do(SetState("b", "not_ready", "Lunch"))
    assert office.rung() == {}, "b talks still"
    office.finish("b")
    assert office.rung() == {"a": "e2"}


def test_a_refusal_of_the_last_agent_opens_the_call_to_the_others() -> None:
    office = known()
    office.enter("e1")
    office.decline("b")
    assert office.rung() == {"a": "e1"}


def test_after_the_days_it_is_forgotten() -> None:
    office = known()
    office.now += 6 * DAY_MS + 1000
    office.enter("e1")
    assert office.rung() == {"a": "e1"}


def test_without_a_wait_only_a_free_last_agent_counts() -> None:
    office = known(last_agent_wait_s=0)
    office.enter("e1")
    assert office.rung() == {"b": "e1"}
    office.answer("b")
    office.enter("e2")
    assert office.rung() == {"a": "e2"}


def test_the_queues_remember_their_own_calls() -> None:
    office = known()
    office.enter("e1")
    office.decline("b")
    office.answer("a")
    office.finish("a")
    office.now += 10_000
    office.enter("e2")
    assert office.rung() == {"a": "e2"}


# --- changed live ---------------------------------------------------------------------------


@pytest.mark.parametrize("before", sorted(STRATEGIES))
@pytest.mark.parametrize("after", sorted(STRATEGIES))
def test_a_change_of_strategy_loses_and_reorders_nobody(before: str, after: str) -> None:
    office = Office({"sales": queue(*THREE, strategy=before, wrap_up_s=0)}, THREE)
    office.do(SetState("a", "not_ready"))
    for number in range(5):
        office.enter(f"e{number}", priority=number % 2)
        office.now += 1000
    order = office.waiting()
    office.sign_in("b")
    assert office.rung() == {"b": order[0]}
    office.do(QueuesChanged({"sales": queue(*THREE, strategy=after, wrap_up_s=0)}, THREE))
    assert office.waiting() == order
    assert office.rung() == {"b": order[0]}, "who rings goes on ringing"
    got = []
    while office.waiting():
        got.append(office.answer("b"))
        office.do(Released("b"))
    assert got == order


def test_changed_to_ring_all_the_idle_are_rung_at_once() -> None:
    office = Office({"sales": queue(*THREE)}, THREE)
    office.sign_in(*THREE)
    office.enter("e1")
    assert office.rung() == {"a": "e1"}
    office.do(QueuesChanged({"sales": queue(*THREE, strategy="ring_all")}, THREE))
    assert office.rung() == dict.fromkeys(THREE, "e1")


def test_changed_from_ring_all_the_first_answer_still_wins() -> None:
    office = Office({"sales": queue(*THREE, strategy="ring_all")}, THREE)
    office.sign_in(*THREE)
    office.enter("e1")
    office.enter("e2")
    office.do(QueuesChanged({"sales": queue(*THREE, strategy="linear")}, THREE))
    assert office.rung() == dict.fromkeys(THREE, "e1")
    out = office.accept("b")
    assert [end.agent for end in only(out, OfferEnd)] == ["a", "c"]
    assert office.rung() == {"b": "e1", "a": "e2"}
    office.do(LinkFailed("e1", "b"))
    assert office.waiting() == ["e1", "e2"]
