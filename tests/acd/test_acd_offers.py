"""Who is rung, who wins, and what happens when it goes wrong."""

from __future__ import annotations

from appliance.acd.actions import Link, Ring, StopRinging
from appliance.acd.events import (
    Accepted,
    Engaged,
    Linked,
    LinkFailed,
    Reachable,
    Released,
    SetState,
    Take,
    WrapDone,
)
from appliance.acd.machine import AUTO_PAUSE_REASON, LINK_MS, REST_MS
from appliance.events import AgentState, Connect, OfferEnd, QLeave
from tests.acd.acd_office import Office, only, queue


def test_the_longest_idle_agent_is_rung() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("b", "a")
    rings = only(office.enter("e1"), Ring)
    assert [(ring.agent, ring.call, ring.queue) for ring in rings] == [("b", "call-e1", "sales")]
    assert rings[0].until == office.now + 20_000


def test_idleness_counts_from_the_end_of_wrap_up() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.answer("a")
    office.now += 1000
    office.finish("a")
    office.enter("e2")
    assert office.rung() == {"b": "e2"}


def test_answering_connects_and_states_the_one_outcome() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.now += 4000
    assert only(office.accept("a"), Link) == [Link("e1", "call-e1", "a")]
    office.now += 300
    out = office.do(Linked("e1"))
    connect, leave = only(out, Connect)[0], only(out, QLeave)[0]
    assert connect.at == leave.at == office.now
    assert (connect.agent, leave.reason, leave.agent) == ("a", "answered", "a")
    assert office.acd.agent("a").phase == "busy"
    assert office.acd.agent("a").call == "call-e1"


def test_ring_all_rings_every_free_agent_and_the_first_answer_wins() -> None:
    office = Office({"sales": queue("a", "b", "c", strategy="ring_all")}, ("a", "b", "c"))
    office.sign_in("a", "b", "c")
    office.enter("e1")
    assert office.rung() == {"a": "e1", "b": "e1", "c": "e1"}
    late = office.offer_of("c")
    out = office.accept("b")
    assert {(s.agent, s.result) for s in only(out, StopRinging)} == {
        ("a", "withdrawn"),
        ("c", "withdrawn"),
    }
    assert [link.agent for link in only(out, Link)] == ["b"]
    # Two agents answering the same call (asterisk #176): the second finds the offer closed.
    second = office.do(Accepted("c", late))
    assert second == [StopRinging(late, "e1", "c", "withdrawn")]
    office.do(Linked("e1"))
    assert office.acd.agent("c").phase == "ready"


def test_ring_all_goes_on_when_the_first_to_answer_is_gone_before_audio() -> None:
    """asterisk #1557: everybody had stopped ringing and the caller stayed behind."""
    office = Office({"sales": queue("a", "b", strategy="ring_all")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.enter("e2")
    office.accept("a")
    assert office.rung() == {"a": "e1", "b": "e2"}
    out = office.do(LinkFailed("e1", "a"))
    assert only(out, OfferEnd)[0].result == "failed"
    assert office.waiting() == ["e1", "e2"], "the caller keeps the place"
    office.decline("b")
    office.advance(REST_MS)
    assert office.rung() == {"a": "e1", "b": "e1"}


def test_an_agent_who_joins_during_ring_all_is_rung_too() -> None:
    office = Office({"sales": queue("a", "b", strategy="ring_all")}, ("a", "b"))
    office.sign_in("a")
    office.enter("e1")
    office.sign_in("b")
    assert office.rung() == {"a": "e1", "b": "e1"}


def test_an_accepted_call_without_audio_does_not_stay_stuck() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.accept("a")
    office.advance(LINK_MS)
    assert office.rung() == {"b": "e1"}


def test_an_offer_not_answered_in_time_is_missed_and_the_next_agent_rung() -> None:
    office = Office({"sales": queue("a", "b", ring_s=10)}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    out = office.advance(10_000)
    assert [(end.agent, end.result) for end in only(out, OfferEnd)] == [("a", "missed")]
    assert office.rung() == {"b": "e1"}


def test_a_refused_call_goes_to_everybody_else_before_it_comes_back() -> None:
    office = Office({"sales": queue("a", "b", "c")}, ("a", "b", "c"))
    office.sign_in("a", "b", "c")
    office.enter("e1")
    for agent in ("a", "b"):
        office.decline(agent)
        office.advance(REST_MS)
    assert office.rung() == {"c": "e1"}


def test_a_phone_that_refuses_by_itself_is_not_rung_in_a_loop() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.decline("a")
    assert office.rung() == {}
    assert office.acd.next_deadline() == office.now + REST_MS
    office.advance(REST_MS)
    assert office.rung() == {"a": "e1"}


def test_three_missed_offers_in_a_row_pause_the_agent() -> None:
    office = Office({"sales": queue("a", max_wait_s=0, announce_position=False)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    out = office.advance(600_000)
    assert [end.result for end in only(out, OfferEnd)] == ["missed"] * 3
    assert [(s.state, s.reason) for s in only(out, AgentState)] == [
        ("not_ready", AUTO_PAUSE_REASON)
    ]
    assert office.waiting() == ["e1"]
    office.do(SetState("a", "ready"))
    assert office.rung() == {"a": "e1"}


def test_the_queue_says_after_how_many_misses_and_zero_is_never() -> None:
    for limit, state in ((1, "not_ready"), (0, "ready")):
        office = Office({"sales": queue("a", max_wait_s=0, auto_pause=limit)}, ("a",))
        office.sign_in("a")
        office.enter("e1")
        office.advance(200_000)
        assert office.acd.agent("a").state == state


def test_misses_count_over_all_queues_of_the_agent() -> None:
    rules = {name: queue("a", max_wait_s=0, auto_pause=2) for name in ("one", "two")}
    office = Office(rules, ("a",))
    office.sign_in("a")
    for name in ("one", "two"):
        office.enter(name, name)
        office.decline("a", "missed")
        office.hang_up(name)
        office.advance(REST_MS)
    assert office.acd.agent("a").reason == AUTO_PAUSE_REASON


def test_one_failure_of_the_phone_is_nobodys_miss_but_more_are() -> None:
    office = Office({"sales": queue("a", max_wait_s=0, auto_pause=1)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.decline("a", "failed")
    assert office.acd.agent("a").state == "ready"
    office.advance(REST_MS)
    office.decline("a", "failed")
    assert office.acd.agent("a").reason == AUTO_PAUSE_REASON
    office.do(SetState("a", "ready"))
    office.decline("a", "failed")
    assert office.acd.agent("a").state == "ready", "forgiven anew"


def test_refusing_by_hand_is_no_miss() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    for result in ("missed", "missed", "rejected", "rejected", "rejected", "missed", "missed"):
        office.decline("a", result)
        office.advance(REST_MS)
    assert office.acd.agent("a").state == "ready"


def test_an_answer_between_misses_starts_the_count_again() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.decline("a", "missed")
    office.advance(REST_MS)
    office.decline("a", "failed")
    office.advance(REST_MS)
    office.answer("a")
    office.do(Released("a"))
    office.enter("e2")
    office.decline("a", "missed")
    assert office.acd.agent("a").state == "ready"


def test_an_unreachable_agent_is_never_rung_and_keeps_the_state() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(SetState("a", "ready"))
    assert not only(office.enter("e1"), Ring)
    assert office.acd.agent("a").state == "ready"
    assert only(office.do(Reachable("a", True)), Ring)


def test_losing_the_door_while_ringing_passes_the_call_on_at_once() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    out = office.do(Reachable("a", False))
    assert [end.result for end in only(out, OfferEnd)] == ["failed"]
    assert office.rung() == {"b": "e1"}


def test_an_agent_in_a_call_of_their_own_is_not_rung_and_not_paused() -> None:
    """Asterisk's ring-in-use scenario: a busy member is neither rung nor paused for it."""
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.do(Engaged("a", True))
    office.enter("e1")
    assert office.rung() == {"b": "e1"}
    assert office.acd.agent("a").phase == "busy"
    office.answer("b")
    office.enter("e2")
    assert office.rung() == {}
    office.do(Engaged("a", False))
    assert office.rung() == {"a": "e2"}
    assert office.acd.agent("a").state == "ready"


def test_dialling_out_while_ringing_withdraws_the_offer() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    out = office.do(Engaged("a", True))
    assert [end.result for end in only(out, OfferEnd)] == ["withdrawn"]
    assert office.rung() == {"b": "e1"}


def test_choosing_a_pause_while_ringing_refuses_the_offer() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    out = office.do(SetState("a", "not_ready", "Lunch"))
    assert [end.result for end in only(out, OfferEnd)] == ["rejected"]
    assert office.acd.agent("a").phase == "not_ready"
    assert office.rung() == {"b": "e1"}


def test_a_freed_agent_gets_the_next_call_in_the_same_step() -> None:
    """OpenSIPS #2679: free agents got the waiting call late."""
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.enter("e2")
    assert [ring.entry for ring in only(office.do(Released("a")), Ring)] == ["e2"]


def test_a_caller_who_hangs_up_while_ringing_stops_the_ringing() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    out = office.hang_up("e1")
    assert [stop.result for stop in only(out, StopRinging)] == ["withdrawn"]
    assert office.outcome("e1") == "abandoned"
    assert office.acd.agent("a").phase == "ready"


def test_a_caller_who_hangs_up_between_answer_and_audio_frees_the_agent_without_wrap_up() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.enter("e2")
    office.accept("a")
    office.hang_up("e1")
    assert office.outcome("e1") == "abandoned"
    assert office.rung() == {"a": "e2"}
    assert office.do(Linked("e1")) == []


def test_an_agent_leg_that_ends_before_audio_counts_as_failed() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.accept("a")
    out = office.do(Released("a"))
    assert [end.result for end in only(out, OfferEnd)] == ["failed"]
    assert office.rung() == {"b": "e1"}


def test_events_about_nobody_change_nothing() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    for event in (
        SetState("x", "ready"),
        Reachable("x", True),
        Engaged("x", True),
        Linked("x"),
        LinkFailed("x", "a"),
        Released("x"),
        Released("a"),
        WrapDone("a"),
    ):
        assert office.do(event) == []
    assert office.do(Accepted("a", "x")) == [StopRinging("x", "", "a", "withdrawn")]


def test_an_agent_takes_what_rings_at_a_colleague() -> None:
    office = Office({"sales": queue("a")}, ("a", "b"))
    office.sign_in("a")
    office.enter("e1")
    acd = office.acd
    out = acd.handle(Take("b", "e1"), office.now)
    assert {(end.agent, end.result) for end in only(out, OfferEnd)} == {("a", "withdrawn")}
    assert only(out, Link) == [Link("e1", "call-e1", "b")]
    assert not only(out, Ring)
    connect = only(acd.handle(Linked("e1"), office.now), Connect)[0]
    assert connect.agent == "b"
    assert acd.agent("a").phase == "ready"


def test_what_somebody_answered_cannot_be_taken_nor_by_who_talks_with_a_queues_caller() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.accept("a")
    assert not only(office.acd.handle(Take("b", "e1"), office.now), Link)
    office.do(Linked("e1"))
    office.enter("e2")
    assert office.rung() == {"b": "e2"}
    assert not office.acd.handle(Take("a", "e2"), office.now)
