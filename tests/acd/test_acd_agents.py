"""States of agents across queues: wrap-up, choices made during a call, signing out."""

from __future__ import annotations

from appliance.acd.actions import Leave
from appliance.acd.events import (
    Enter,
    Linked,
    QueuesChanged,
    Reachable,
    Released,
    SetState,
    WrapDone,
    WrapLonger,
)
from appliance.events import AgentState, Connect, WrapEnd, WrapStart
from tests.acd.acd_office import START, Office, only, queue


def test_wrap_up_holds_in_every_queue_of_the_agent() -> None:
    """asterisk #1006 and the shared wrap-up scenario: m1, m2, nobody."""
    rules = {
        "one": queue("m1", "m2", wrap_up_s=3600),
        "two": queue("m1", "m2", wrap_up_s=0),
    }
    office = Office(rules, ("m1", "m2"))
    office.sign_in("m1", "m2")
    office.enter("e1", "one")
    office.answer("m1")
    office.do(Released("m1"))
    office.enter("e2", "two")
    assert office.rung() == {"m2": "e2"}
    office.answer("m2")
    office.enter("e3", "one")
    assert office.rung() == {}


def test_wrap_up_ends_by_time() -> None:
    office = Office({"sales": queue("a", wrap_up_s=15)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(Released("a"))
    view = office.acd.agent("a")
    assert (view.phase, view.wrap_until, view.since) == ("wrap", office.now + 15_000, office.now)
    assert not only(office.advance(14_999), WrapEnd)
    assert only(office.advance(1), WrapEnd)
    assert office.acd.agent("a").phase == "ready"


def test_wrap_up_ends_by_the_agent() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(Released("a"))
    assert [type(each) for each in office.do(WrapDone("a"))] == [WrapEnd]


def test_a_longer_wrap_up_is_added_to_what_is_left() -> None:
    office = Office({"sales": queue("a", wrap_up_s=15)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(Released("a"))
    office.advance(10_000)
    office.do(WrapLonger("a", 60_000))
    office.do(WrapLonger("a", 60_000))
    assert not only(office.advance(124_999), WrapEnd)
    assert only(office.advance(1), WrapEnd)
    assert office.acd.agent("a").longer_ms == 0


def test_a_longer_wrap_up_may_be_asked_for_in_the_talk_and_ended_early() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0), "more": queue("a")}, ("a",))
    office.sign_in("a")
    office.do(WrapLonger("a", 60_000))
    office.enter("e1")
    office.answer("a")
    office.do(WrapLonger("a", 60_000))
    assert not only(office.do(Released("a")), WrapEnd)
    office.enter("e2", "more")
    assert office.rung() == {}, "in every queue"
    office.do(WrapDone("a"))
    assert office.rung() == {"a": "e2"}


def test_without_wrap_up_both_its_facts_are_written_at_once() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    assert [type(each) for each in office.do(Released("a"))] == [WrapStart, WrapEnd]


def test_a_pause_chosen_in_a_call_takes_effect_after_wrap_up() -> None:
    office = Office({"sales": queue("a", wrap_up_s=15)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    assert office.do(SetState("a", "not_ready", "Lunch")) == []
    assert office.acd.agent("a").next_state == "not_ready"
    office.do(Released("a"))
    out = office.advance(15_000)
    assert [type(each) for each in out] == [WrapEnd, AgentState]
    assert office.acd.agent("a").reason == "Lunch"


def test_a_choice_taken_back_in_the_call_leaves_no_trace() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(SetState("a", "not_ready", "Lunch"))
    office.do(SetState("a", "ready"))
    assert office.acd.agent("a").next_state is None
    assert not only(office.do(Released("a")), AgentState)


def test_signing_out_in_wrap_up_ends_it() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(Released("a"))
    out = office.do(SetState("a", "offline"))
    assert [type(each) for each in out] == [WrapEnd, AgentState]
    assert office.acd.agent("a").phase == "offline"


def test_signing_out_in_a_call_waits_for_its_end_and_leaves_no_wrap_up() -> None:
    office = Office({"sales": queue("a", wrap_up_s=60)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(SetState("a", "offline"))
    out = office.do(Released("a"))
    assert [type(each) for each in out] == [WrapStart, WrapEnd, AgentState]


def test_a_pause_chosen_between_answer_and_audio_takes_effect_when_the_link_fails() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.accept("a")
    office.do(SetState("a", "not_ready", "Break"))
    out = office.do(Released("a"))
    assert [state.reason for state in only(out, AgentState)] == ["Break"]


def test_the_same_choice_twice_is_one_fact() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    assert office.do(SetState("a", "not_ready", "Lunch"))
    assert office.do(SetState("a", "not_ready", "Lunch")) == []
    assert office.do(SetState("a", "not_ready", "Break"))


def test_a_phase_is_shown_with_the_time_it_began() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    assert office.acd.agent("a").since == 0
    office.do(SetState("a", "ready"))
    office.now += 5000
    office.do(Reachable("a", True))
    assert office.acd.agent("a").since == START
    office.enter("e1")
    assert (office.acd.agent("a").phase, office.acd.agent("a").since) == ("offered", office.now)


def test_a_changed_strategy_keeps_the_waiting_callers() -> None:
    """mikopbx/Core #998: a change needed delete and re-create."""
    office = Office({"sales": queue("a", "b", strategy="ring_all")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.do(QueuesChanged({"sales": queue("a", "b")}, ("a", "b")))
    assert office.waiting() == ["e1"]
    assert office.answer("b") == "e1"


def test_an_agent_taken_out_of_the_queue_stops_ringing() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.do(QueuesChanged({"sales": queue("b")}, ("a", "b")))
    assert office.rung() == {"b": "e1"}


def test_an_agent_taken_out_of_the_document_ends_the_call_first() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.answer("a")
    assert office.do(QueuesChanged({"sales": queue("b")}, ("b",))) == []
    assert office.acd.agents() == ("a", "b")
    out = office.do(Released("a"))
    assert [type(each) for each in out] == [WrapStart, WrapEnd, AgentState]
    assert office.acd.agents() == ("b",)


def test_callers_of_a_queue_that_is_gone_are_served_by_its_old_rules() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0), "old": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.do(Reachable("a", True))
    office.enter("e1", "old")
    office.do(QueuesChanged({"sales": queue("a")}, ("a",)))
    office.do(Enter("c2", "e2", "old"))
    assert office.outcome("e2") == "closed"
    office.do(SetState("a", "ready"))
    assert office.answer("a") == "e1"


def test_removing_the_last_agent_sends_the_waiting_callers_on() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    out = office.do(QueuesChanged({"sales": queue("a")}, ()))
    assert [leave.reason for leave in only(out, Leave)] == ["no_agent"]


def test_an_agent_who_comes_back_into_the_document_in_time_stays() -> None:
    office = Office({"sales": queue("a", wrap_up_s=0)}, ("a",))
    office.sign_in("a")
    office.enter("e1")
    office.answer("a")
    office.do(QueuesChanged({"sales": queue("a")}, ()))
    office.do(QueuesChanged({"sales": queue("a", wrap_up_s=0)}, ("a",)))
    assert not only(office.do(Released("a")), AgentState)
    assert office.acd.agent("a").phase == "ready"


def test_a_transfer_to_a_queue_names_its_parent() -> None:
    office = Office({"sales": queue("a", "b")}, ("a", "b"))
    office.sign_in("a", "b")
    office.enter("e1")
    office.answer("a")
    office.do(Enter("call-e1", "e2", "sales", parent="e1"))
    office.do(Released("a"))
    office.accept("b")
    out = office.do(Linked("e2"))
    assert [connect.call for connect in only(out, Connect)] == ["call-e1"]
    assert office.witness.entered["e2"].parent == "e1"
