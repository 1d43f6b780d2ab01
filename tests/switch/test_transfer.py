"""Blind transfers: to a queue, a phone, a colleague, the outside; and what is refused."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, Office


def talking() -> Office:
    office = Office()
    office.on_duty("ana", "bo")
    office.queue_call()
    office.answer(office.last(e.Offer).agent)
    office.talk()
    office.wait(10)
    return office


def agent(office: Office) -> str:
    return office.last(e.Connect).agent


def test_to_a_queue_keeps_the_caller_and_the_first_entry() -> None:
    office = talking()
    first, by = office.last(e.QEnter), agent(office)
    office.ask(live.AgentTransfer(by, "301"))
    again = office.last(e.QEnter)
    assert (again.call, again.parent) == (first.call, first.entry)
    assert office.last(e.Transfer).to == "queue:sales"
    assert office.last(e.WrapStart).agent == by
    other = office.last(e.Offer).agent
    assert other != by
    office.answer(other)
    office.talk()
    assert office.last(e.Connect).entry == again.entry
    office.media(p.LineHungUp("l2", "tone"))
    assert len(office.all(e.Disconnect)) == 1
    assert len(office.all(e.QLeave)) == 2


def test_to_a_phone_rings_it_with_the_callers_number_and_bridges() -> None:
    office = talking()
    office.sip(sip.Registered("101", 1, "192.0.2.50:5060"))
    office.ask(live.AgentTransfer(agent(office), "101"))
    invite = office.last(act.SipInvite)
    assert (invite.target, invite.caller) == ("101", "5550123")
    assert office.last(p.PlayTone).tone == "ringback"
    office.sip(sip.Answered(invite.sip, SESSION))
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"
    assert office.last(e.Transfer).mode == "blind"
    office.media(p.LineHungUp("l2", "tone"))
    assert not office.w.legs


def test_to_a_colleague_rings_their_page() -> None:
    office = talking()
    by = agent(office)
    other = "bo" if by == "ana" else "ana"
    office.ask(live.AgentTransfer(by, {"ana": "201", "bo": "202"}[other]))
    office.ask(live.AgentAction(other, "answer"))
    office.talk()
    assert office.last(e.Bridged).b == f"agent:{other}"
    assert office.w.acd.agent(other).phase == "busy"


def test_nobody_answering_brings_the_caller_back_to_who_passed_the_call_on() -> None:
    office = talking()
    by = agent(office)
    office.sip(sip.Registered("101", 1, "192.0.2.50:5060"))
    office.ask(live.AgentTransfer(by, "101"))
    office.wait(61)
    assert office.last(act.SipHangUp)
    call = office.w.desks[by].call
    assert call is not None
    assert call.b is not None
    assert call.b.party == f"agent:{by}"
    office.answer(by)
    office.talk()
    assert office.last(e.Bridged).b == f"agent:{by}"


def test_when_nobody_takes_it_back_either_the_caller_is_at_the_head_of_the_queue_again() -> None:
    office = talking()
    by = agent(office)
    first = office.last(e.QEnter)
    office.sip(sip.Registered("101", 1, "192.0.2.50:5060"))
    office.ask(live.AgentTransfer(by, "101"))
    office.ask(live.SetAgentState(by, "not_ready", "Break"))
    office.wait(61)
    office.wait(61)
    again = office.last(e.QEnter)
    assert (again.call, again.parent) == (first.call, first.entry)
    other = office.last(e.Offer).agent
    assert other != by
    office.answer(other)
    office.talk()
    assert office.last(e.Connect).entry == again.entry


def test_a_call_of_no_queue_that_nobody_takes_hears_it_and_ends() -> None:
    office = Office()
    office.on_duty("ana")
    for phone in ("101", "102"):
        office.sip(sip.Registered(phone, 1, "192.0.2.50:5060"))
    office.incoming("in1", "5550199", sip.Source("trunk", "voip"), "5550123")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.sip(sip.Referred(office.last(act.SipInvite).sip, "102", None))
    office.wait(61)
    office.wait(61)
    assert office.last(p.PlayTone).tone == "reorder"
    office.wait(5)
    assert office.last(e.Disconnect).cause == "no_answer"
    assert not office.w.calls


def test_what_can_be_seen_to_fail_is_refused_and_the_talk_goes_on() -> None:
    office = talking()
    by = agent(office)
    for number, why in (("101", "not connected"), ("99", "no extension"), ("203", "reached")):
        with pytest.raises(Unwilling, match=why):
            office.ask(live.AgentTransfer(by, number))
    assert not office.all(e.Transfer)
    assert office.w.desks[by].call is not None


def test_an_agent_passes_on_a_call_that_they_made() -> None:
    office = Office()
    office.on_duty("ana")
    office.sip(sip.Registered("101", 1, "192.0.2.50:5060"))
    office.ask(live.AgentDial("ana", "0555123"))
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.ask(live.AgentTransfer("ana", "101"))
    assert office.last(act.SipInvite).target == "101"
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    assert {office.last(e.Bridged).a, office.last(e.Bridged).b} == {"trunk:voip", "phone:101"}
    assert office.w.acd.agent("ana").phase == "ready"
