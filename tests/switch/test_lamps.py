"""Lamps for colleagues and parking places follow what their phones and pages do."""

from __future__ import annotations

from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.sip.dialog_info import DialogInfo
from appliance.switch import actions as act
from tests.switch.office import SESSION, Office, site

PHONE = sip.Source("phone", "101")


def ready(extra: str = "") -> Office:
    office = Office(site(extra))
    office.on_duty("ana", "bo")
    for phone in ("101", "102"):
        office.sip(sip.Registered(phone, 1, "192.0.2.50:5060"))
    return office


def lamp(office: Office, resource: str) -> list[tuple[str, str, str | None]]:
    """What was published last: direction, state and remote number of each call."""
    states = [
        one.state
        for one in office.all(act.SipPublish)
        if (one.package, one.resource) == ("dialog", resource)
    ]
    assert states[-1] is not None
    document = states[-1].document
    assert isinstance(document, DialogInfo)
    return [(one.direction, one.state, one.remote) for one in document.dialogs]


def test_everybody_and_every_place_has_a_lamp_from_the_start() -> None:
    office = ready()
    for resource in ("101", "102", "201", "202", "203", "701"):
        assert lamp(office, resource) == []


def test_a_lamp_blinks_while_it_rings_and_burns_during_the_talk() -> None:
    office = ready()
    office.incoming("in1", "102", PHONE)
    assert lamp(office, "102") == [("recipient", "early", "101")]
    assert lamp(office, "101") == [("initiator", "confirmed", "102")], "who dials is busy"
    office.sip(sip.Answered(office.last_invite(), SESSION))
    assert lamp(office, "102") == [("recipient", "confirmed", "101")]
    assert lamp(office, "203") == lamp(office, "102"), "Pip sits there"
    office.sip(sip.HungUp("in1", "normal"))
    assert lamp(office, "102") == lamp(office, "101") == lamp(office, "203") == []


def test_a_queues_call_that_rings_on_a_page_blinks_too() -> None:
    office = ready()
    office.queue_call("l2")
    rung = "201" if office.w.desks["ana"].ringing else "202"
    assert lamp(office, rung) == [("recipient", "early", "5550123")]
    office.answer("ana" if rung == "201" else "bo")
    assert [one[1] for one in lamp(office, rung)] == ["confirmed"]


def test_a_parking_place_burns_while_somebody_waits_there() -> None:
    office = ready()
    office.ask(live.SetAgentState("bo", "not_ready", "Break"))
    office.queue_call("l2")
    office.answer("ana")
    office.talk()
    office.ask(live.AgentPark("ana"))
    assert lamp(office, "701") == [("recipient", "confirmed", "5550123")]
    office.ask(live.AgentFetch("bo", "701"))
    assert lamp(office, "701") == []


def test_numbers_that_agents_may_not_see_are_on_no_lamp() -> None:
    office = ready("[privacy.shown_digits]\nagent = 3\n")
    office.queue_call("l2")
    rung = "201" if office.w.desks["ana"].ringing else "202"
    assert lamp(office, rung) == [("recipient", "early", None)]


def test_a_change_of_the_document_takes_lamps_away_and_brings_new_ones() -> None:
    office = ready()
    document = site()
    people = {name: one for name, one in document.people.items() if name != "bo"}
    people["eve"] = document.people["bo"].model_copy(update={"extension": "209", "name": "Eve"})
    queues = {
        "sales": document.queues["sales"].model_copy(update={"agents": ("ana", "pip")}),
    }
    office.switch.reform(
        document.model_copy(update={"people": people, "queues": queues}), office.now
    )
    office._take()
    last = {
        one.resource: one.state for one in office.all(act.SipPublish) if one.package == "dialog"
    }
    assert last["202"] is None
    assert last["209"] is not None


def test_nothing_is_published_while_nothing_changes() -> None:
    office = ready()
    office.queue_call("l2")
    before = len(office.all(act.SipPublish))
    office.media(p.LineCallerId("l2", "5550123", "CALLER"))
    office.wait(1)
    assert len(office.all(act.SipPublish)) == before
