"""One order by priority-adjusted wait: head starts, the bound on being overtaken, kept waits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.acd.events import Enter, SetState
from appliance.acd.line import BOUND_MS, STEP_MS, head_start_ms
from tests.acd.acd_office import Office, queue

QUEUES = ("sales", "support", "vip")


def office() -> Office:
    rules = {
        "sales": queue("a", max_waiting=0, max_wait_s=0),
        "support": queue("a", max_waiting=0, max_wait_s=0),
        "vip": queue("a", max_waiting=0, max_wait_s=0, priority=10),
    }
    found = Office(rules, ("a",))
    found.do(SetState("a", "not_ready"))
    return found


def test_a_step_of_priority_is_worth_ninety_seconds() -> None:
    shop = office()
    shop.enter("early")
    shop.now += 89_999
    shop.enter("vip", priority=1)
    assert shop.waiting() == ["vip", "early"]
    shop.now += 1
    shop.enter("late", priority=1)
    assert shop.waiting() == ["vip", "early", "late"]


def test_head_starts_are_bounded() -> None:
    assert head_start_ms(1) == STEP_MS == 90_000
    assert head_start_ms(10**9) - head_start_ms(-(10**9)) == BOUND_MS


def test_after_a_transfer_the_first_wait_counts() -> None:
    shop = office()
    shop.enter("e1", "sales")
    shop.now += 60_000
    first = shop.now - 120_000
    shop.do(Enter("c", "moved", "support", "+40", since=first))
    assert shop.waiting() == ["moved", "e1"]
    assert shop.acd.waiting()[0].since == shop.now, "its own wait is its own"


def test_a_wanted_place_does_not_pass_who_came_long_before() -> None:
    shop = office()
    shop.enter("old")
    shop.now += BOUND_MS + 1
    shop.enter("new")
    shop.acd.handle(Enter("c", "pushy", "sales", None, position=1), shop.now)
    assert shop.waiting() == ["old", "pushy", "new"]


def test_a_wanted_place_does_not_pass_a_higher_priority_of_another_queue() -> None:
    shop = office()
    shop.enter("e1", "sales")
    shop.now += 100_000
    shop.enter("vip", "support", priority=1)
    assert shop.waiting() == ["e1", "vip"]
    shop.acd.handle(Enter("c", "pushy", "sales", None, position=1), shop.now)
    assert shop.waiting() == ["e1", "vip", "pushy"]


def test_wanted_places_go_before_one_another_again_and_again() -> None:
    shop = office()
    for name in ("e1", "e2"):
        shop.enter(name)
    for number in range(50):
        shop.acd.handle(Enter("c", f"w{number}", "sales", None, position=2), shop.now)
    waiting = shop.waiting()
    assert waiting == ["e1", *(f"w{n}" for n in reversed(range(50))), "e2"]
    assert shop.acd.waiting()[0].position == 1


arrivals = st.lists(
    st.tuples(
        st.sampled_from(QUEUES),
        st.one_of(st.none(), st.integers(-12, 12), st.integers(-(10**6), 10**6)),
        st.one_of(st.none(), st.none(), st.integers(1, 5)),
        st.integers(0, 900_000),
    ),
    min_size=2,
    max_size=25,
)


@settings(max_examples=300)
@given(arrivals)
def test_nobody_is_overtaken_by_who_came_more_than_the_bound_later(
    callers: list[tuple[str, int | None, int | None, int]],
) -> None:
    """Whoever comes, with any priority and any wanted place: the order never puts a caller behind
    one who came more than `BOUND_MS` later, and of two waiting callers it never changes."""
    shop = office()
    came: dict[str, int] = {}
    ahead: set[tuple[str, str]] = set()
    for number, (name, priority, wanted, pause) in enumerate(callers):
        shop.now += pause
        entry = f"e{number}"
        came[entry] = shop.now
        shop.acd.handle(Enter("c", entry, name, None, priority, position=wanted), shop.now)
        order = shop.waiting()
        assert len(order) == number + 1
        for index, first in enumerate(order):
            for second in order[index + 1 :]:
                assert came[first] - came[second] <= BOUND_MS
                assert (second, first) not in ahead
                ahead.add((first, second))


@given(arrivals)
def test_a_newcomer_goes_before_the_first_of_lower_priority(
    callers: list[tuple[str, int | None, int | None, int]],
) -> None:
    """The rule itself, with priorities that grow by a step each 90 s of waiting."""
    shop = office()
    facts: dict[str, tuple[int, int]] = {}
    expected: list[str] = []
    for number, (name, priority, _, pause) in enumerate(callers):
        shop.now += pause
        given_ = max(-10, min(10, priority or 0))
        entry = f"e{number}"

        def present(other: str) -> float:
            base, since = facts[other]
            return base + (shop.now - since) / STEP_MS

        place = next((i for i, o in enumerate(expected) if present(o) < given_), len(expected))
        expected.insert(place, entry)
        facts[entry] = (given_, shop.now)
        shop.acd.handle(Enter("c", entry, name, None, given_), shop.now)
    assert shop.waiting() == expected
