"""One order of waiting, places that callers are told, and the ways out of a queue."""

from __future__ import annotations

import pytest

from appliance.acd.actions import Announce, Leave
from appliance.acd.events import Enter, Gone, LinkFailed, Released, SetState
from appliance.events import OfferEnd, QEnter, QLeave
from tests.acd.acd_office import Office, only, queue


def test_first_come_first_served_over_several_queues() -> None:
    """asterisk #108: the longest waiter of all queues goes first."""
    rules = {"sales": queue("a"), "support": queue("a")}
    office = Office(rules, ("a",))
    office.sign_in("a")
    office.do(SetState("a", "not_ready"))
    office.enter("e1", "support")
    office.now += 1000
    office.enter("e2", "sales")
    office.do(SetState("a", "ready"))
    assert office.rung() == {"a": "e1"}


def test_higher_priority_goes_first_and_a_queue_has_its_own() -> None:
    office = Office({"sales": queue("a"), "vip": queue("a", priority=3)}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1", "sales")
    office.enter("e2", "vip")
    office.enter("e3", "sales", priority=5)
    assert office.waiting() == ["e3", "e2", "e1"]


def test_callers_are_served_in_the_order_of_waiting() -> None:
    """freeswitch #2511: the 8th of 13 was connected first."""
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    served = []
    for n in range(13):
        office.enter(f"e{n}")
    for _ in range(13):
        served.append(office.answer("a"))
        office.do(Released("a"))
    assert served == [f"e{n}" for n in range(13)]


# (priority, wanted place) of twelve callers and the place each should get; the thirteenth number,
# None, is a caller who finds the queue full. A scenario that Asterisk's own tests run, too.
JOINS = [
    (0, None, 1),
    (0, None, 2),
    (1, None, 1),
    (1, None, 2),
    (2, None, 1),
    (0, 5, 5),
    (0, 200, 7),
    (0, 1, 4),
    (8, 3, 1),
    (1, 7, 5),
    (1, 4, 4),
    (2, 5, None),
]


def test_a_wanted_place_never_passes_a_higher_priority() -> None:
    office = Office({"sales": queue("a", max_waiting=11)}, ("a",))
    office.acd.handle(SetState("a", "not_ready"), office.now)
    for number, (priority, wanted, place) in enumerate(JOINS, 1):
        entry = str(number)
        event = Enter("c" + entry, entry, "sales", None, priority, position=wanted)
        out = office.acd.handle(event, office.now)
        if place is None:
            assert [leave.reason for leave in only(list(out), QLeave)] == ["full"]
        else:
            assert office.waiting().index(entry) + 1 == place
    assert office.waiting() == ["9", "5", "3", "11", "4", "10", "8", "1", "6", "2", "7"]


def test_the_announced_place_never_goes_up_again() -> None:
    """fusionpbx PR #6743: a caller heard 8th, having been 7th."""
    office = Office({"sales": queue("a", announce_every_s=10)}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    office.enter("e2")
    office.enter("vip", priority=9)
    told = [(a.entry, a.position) for a in only(office.advance(10_000), Announce)]
    assert told == [("vip", 1), ("e1", 1), ("e2", 2)]
    office.hang_up("vip")
    office.hang_up("e1")
    assert ("e2", 1) in [(a.entry, a.position) for a in only(office.advance(10_000), Announce)]


def test_places_count_in_the_callers_own_queue() -> None:
    office = Office({"sales": queue("a"), "support": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1", "support")
    office.enter("e2", "sales")
    office.enter("e3", "support")
    assert [(v.entry, v.position) for v in office.acd.waiting()] == [
        ("e1", 1),
        ("e2", 1),
        ("e3", 2),
    ]


def test_a_caller_whose_agent_rings_at_once_hears_no_place() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    assert not only(office.enter("e1"), Announce)
    assert only(office.enter("e2"), Announce) == [Announce("e2", "call-e2", "sales", 2)]


def test_places_are_announced_only_where_the_queue_says_so() -> None:
    office = Office({"sales": queue("a", announce_position=False, max_wait_s=0)}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    assert office.acd.next_deadline() is None
    assert office.log == [each for each in office.log if not isinstance(each, Announce)]


@pytest.mark.parametrize("strategy", ["longest_idle", "ring_all"])
def test_nobody_answers_and_the_caller_leaves_by_timeout(strategy: str) -> None:
    office = Office({"sales": queue("a", "b", strategy=strategy, max_wait_s=30)}, ("a", "b"))
    office.sign_in("a")
    office.do(SetState("b", "not_ready", "Lunch"))
    office.enter("e1")
    out = office.advance(30_000)
    assert {end.agent for end in only(out, OfferEnd)} == {"a"}, "only who is not paused is rung"
    assert only(out, Leave) == [Leave("e1", "call-e1", "sales", "timeout", "hangup")]
    assert office.outcome("e1") == "timeout"


def test_the_longest_wait_does_not_cut_off_a_caller_who_is_being_connected() -> None:
    office = Office({"sales": queue("a", max_wait_s=10)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.now += 9_999
    office.accept("a")
    office.now += 500
    office.tick()
    assert office.outcome("e1") is None
    office.do(LinkFailed("e1", "a"))
    assert office.outcome("e1") == "timeout"


def test_a_full_queue_sends_the_caller_on_at_once() -> None:
    office = Office({"sales": queue("a", max_waiting=2)}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    office.enter("e2")
    out = office.enter("e3")
    assert [type(each) for each in out] == [QEnter, QLeave, Leave]
    assert office.outcome("e3") == "full"


def test_a_closed_queue_sends_the_caller_on_at_once() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    out = office.do(Enter("c1", "e1", "sales", open=False))
    assert [type(each) for each in out] == [QEnter, QLeave, Leave]
    assert office.outcome("e1") == "closed"


def test_with_nobody_signed_in_the_caller_does_not_wait_for_nobody() -> None:
    office = Office({"sales": queue("a")}, ("a", "other"))
    office.sign_in("other")
    office.enter("e1")
    assert office.outcome("e1") == "no_agent"


def test_a_paused_agent_counts_as_signed_in() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    assert office.waiting() == ["e1"]


def test_when_the_last_agent_signs_out_the_waiting_callers_are_sent_on() -> None:
    rules = {"sales": queue("a"), "patient": queue("a", leave_when_empty=False)}
    office = Office(rules, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1", "sales")
    office.enter("e2", "patient")
    office.do(SetState("a", "offline"))
    assert office.outcome("e1") == "no_agent"
    assert office.waiting() == ["e2"]


def test_a_caller_may_leave_by_a_key() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    out = office.do(Gone("e1", "key_exit"))
    assert office.outcome("e1") == "key_exit"
    assert not only(out, Leave), "the switch knows already"


def test_an_unknown_queue_is_a_closed_one() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.enter("e1", "nowhere")
    assert office.outcome("e1") == "closed"


def test_counts_tell_waiting_and_staff_of_a_queue() -> None:
    office = Office({"sales": queue("a", "b", "c", "d", "e")}, ("a", "b", "c", "d", "e"))
    office.sign_in("a", "b")
    office.do(SetState("c", "not_ready"))
    office.do(SetState("d", "ready"))
    since = office.now
    office.enter("e1")
    counts = office.acd.counts("sales")
    assert (counts.waiting, counts.oldest_since) == (1, since)
    assert (counts.ready, counts.busy, counts.not_ready) == (1, 1, 2)
