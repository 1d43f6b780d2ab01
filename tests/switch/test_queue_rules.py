"""What the queues decide beyond first come, first served, as the switch carries it out."""

from __future__ import annotations

from appliance import events as e
from appliance import live
from appliance.acd.events import Spoke
from appliance.media import protocol as p
from appliance.site.model import Site
from appliance.switch import actions as act
from tests.switch.office import START, Office, site


def with_rules(**rules: object) -> Site:
    document = site().model_dump(exclude_none=True)
    document["queues"]["sales"].update(rules)
    return Site.model_validate(document)


def test_overflow_goes_where_the_queue_says() -> None:
    office = Office(with_rules(overflow_after_s=30, overflow_to="menu:main"))
    office.queue_call()
    office.wait(31)
    assert office.last(e.QLeave).reason == "overflow"
    assert office.last(e.IvrIn).menu == "main"


def test_the_agent_who_spoke_with_the_caller_last_is_asked_first() -> None:
    office = Office(with_rules(last_agent_days=7, last_agent_wait_s=20))
    office.switch.remember([Spoke("bo", "5550123", START - 3_600_000)], START)
    office.on_duty("ana")
    office.wait(60)
    office.on_duty("bo")
    office.ring("l2", "5550123")
    assert office.last(e.Offer).agent == "bo"


def test_linear_keeps_the_order_of_the_document() -> None:
    office = Office(with_rules(strategy="linear"))
    office.on_duty("bo")
    office.wait(60)
    office.on_duty("ana")
    office.queue_call()
    assert office.last(e.Offer).agent == "ana"


def test_a_transfer_to_the_queue_keeps_the_place_of_the_first_wait() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call("l2")
    office.answer("ana")
    office.talk()
    office.wait(5)
    office.ring("l1")
    office.pick_up("l1")
    office.media(p.Key(office.last(p.OpenLine).leg, "1", "inband"))
    first = office.all(e.CallOpened)[0].call
    office.ask(live.AgentTransfer("ana", "301"))
    assert office.w.acd.waiting()[0].call == first


def test_the_expected_wait_is_said_once_there_is_history() -> None:
    office = Office(with_rules(announce_wait=True, wrap_up_s=0))
    office.on_duty("ana")
    for _ in range(6):
        office.ask(live.SetAgentState("ana", "not_ready", "Break"))
        office.queue_call()
        office.wait(40)
        office.ask(live.SetAgentState("ana", "ready"))
        office.answer("ana")
        office.talk()
        office.media(p.LineHungUp("l2", "tone"))
    office.ask(live.SetAgentState("ana", "not_ready", "Break"))
    office.actions.clear()
    office.queue_call()
    office.wait(31)
    said = [prompt.text or "" for s in office.all(act.Speak) for prompt in s.prompts]
    assert any("Your wait will be" in text for text in said), said
