"""The end of a call for the agent: longer wrap-up, its limit, pauses that the queues impose."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import personal
from appliance.switch.requests import Unwilling
from tests.switch.office import Office, site

PIPS = sip.Source("phone", "102")


def talked(office: Office, agent: str = "ana") -> None:
    office.queue_call("l2")
    office.answer(agent)
    office.talk()
    office.wait(5)


def test_one_tap_in_the_wrap_up_adds_to_it() -> None:
    office = Office(site("[wrap_up]\nlonger_s = 60\nreason = 'Cool down'\n"))
    office.on_duty("ana")
    talked(office)
    office.ask(live.AgentAction("ana", "hangup"))
    office.ask(live.AgentAction("ana", "wrap_longer"))
    fact = office.last(e.WrapLonger)
    assert (fact.agent, fact.seconds, fact.reason, fact.queue) == ("ana", 60, "Cool down", "sales")
    office.wait(69)
    assert office.w.acd.agent("ana").phase == "wrap"
    office.wait(1)
    assert office.w.acd.agent("ana").phase == "ready"
    start, end = office.last(e.WrapStart).at, office.last(e.WrapEnd).at
    assert end - start == 70_000


def test_the_day_has_its_limit_and_the_next_one_begins_anew() -> None:
    office = Office(site("[wrap_up]\nlonger_per_day = 2\n"))
    office.on_duty("ana")
    talked(office)
    for _ in range(2):
        office.ask(live.AgentAction("ana", "wrap_longer"))
    with pytest.raises(Unwilling, match="used up"):
        office.ask(live.AgentAction("ana", "wrap_longer"))
    saved = personal.saved(office.w)
    office.start()
    personal.restore(office.w, saved)
    office.on_duty("ana")
    talked(office)
    with pytest.raises(Unwilling, match="used up"):
        office.ask(live.AgentAction("ana", "wrap_longer"))
    office.wait(86_400)
    office.on_duty("ana")
    talked(office)
    office.ask(live.AgentAction("ana", "wrap_longer"))


def test_without_a_queue_call_there_is_nothing_to_make_longer() -> None:
    office = Office()
    office.on_duty("ana")
    with pytest.raises(Unwilling, match="no queue call"):
        office.ask(live.AgentAction("ana", "wrap_longer"))


def wrapping_at_the_phone() -> Office:
    office = Office(site("[wrap_up]\nlonger_s = 60\n"))
    office.phone_on_duty("pip", "102")
    office.queue_call("l2")
    key = office.last_invite()
    office.sip(sip.Answered(key, None, "192.0.2.50"))
    office.talk()
    office.sip(sip.HungUp(key, "normal"))
    assert office.w.acd.agent("pip").phase == "wrap"
    return office


def test_the_phones_codes_make_it_longer_and_end_it() -> None:
    office = wrapping_at_the_phone()
    office.incoming("in1", "*47", PIPS, "102")
    assert office.last(e.WrapLonger).agent == "pip"
    office.wait(12)
    assert office.w.acd.agent("pip").phase == "wrap"
    office.incoming("in2", "*48", PIPS, "102")
    assert office.last(e.WrapEnd).agent == "pip"


def test_the_phone_chooses_a_reason_for_the_pause_by_its_number() -> None:
    document = Site.model_validate(
        {**site().model_dump(exclude_none=True), "pause_reasons": ["Break", "Lunch"]}
    )
    office = Office(document)
    office.phone_on_duty("pip", "102")
    for index, (dialled, reason) in enumerate((("*46", "Break"), ("*462", "Lunch"))):
        office.incoming(f"in{index}", dialled, PIPS, "102")
        assert office.w.acd.agent("pip").reason == reason
    office.incoming("in9", "*463", PIPS, "102")
    assert office.w.acd.agent("pip").reason == "Lunch", "there is no third one"


def test_an_agent_who_misses_is_paused_and_everybody_is_told_until_they_are_back() -> None:
    values = site().model_dump(exclude_none=True)
    values["queues"]["sales"]["auto_pause"] = 2
    office = Office(Site.model_validate(values))
    office.on_duty("ana")
    office.queue_call("l2")
    office.wait(50)
    alarm = office.w.alarms.get("missed:ana")
    assert office.w.acd.agent("ana").reason == "missed"
    assert alarm is not None
    assert "Ana" in alarm.title
    office.ask(live.SetAgentState("ana", "ready"))
    assert "missed:ana" not in office.w.alarms
