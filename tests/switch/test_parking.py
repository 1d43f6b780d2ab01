"""Park and fetch; picking up what rings at a colleague."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, Office, site

PHONE = sip.Source("phone", "101")
SEVENS = '[phones.701]\nname = "Seven"\n[people.kim]\nname = "Kim"\nextension = "702"\n'


def parked() -> tuple[Office, str]:
    office = Office()
    office.on_duty("ana", "bo")
    office.queue_call()
    by = office.last(e.Offer).agent
    office.answer(by)
    office.talk()
    office.wait(5)
    office.ask(live.AgentPark(by))
    return office, by


def test_the_caller_hears_music_and_the_agent_is_free() -> None:
    office, by = parked()
    assert office.last(e.Parked).orbit == "701"
    assert office.last(e.WrapStart).agent == by
    assert [leg.party for leg in office.w.legs.values()] == ["line:l2"]
    assert office.all(act.HoldMusic)[-1].file == ""


def test_a_colleague_fetches_at_the_page() -> None:
    office, by = parked()
    other = "bo" if by == "ana" else "ana"
    office.ask(live.AgentFetch(other, "701"))
    office.talk()
    assert office.last(e.Unparked).result == "fetched"
    assert office.last(e.Bridged).b == f"agent:{other}"
    assert office.all(act.HoldMusic)[-1].file is None
    with pytest.raises(Unwilling, match="Nobody is parked"):
        office.ask(live.AgentFetch(by, "701"))


def test_a_phone_dials_the_place() -> None:
    office, _ = parked()
    office.incoming("in1", "701", PHONE)
    assert office.last(act.SipAnswer).sip == "in1"
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"
    assert len(office.w.calls) == 1
    office.sip(sip.HungUp("in1", "normal"))
    assert not office.w.legs


def test_nobody_there_is_said_to_a_phone() -> None:
    office = Office()
    office.incoming("in1", "702", PHONE)
    said = office.last(act.Speak)
    assert said.prompts[0].text == "That is not possible."
    office.media(p.PlayEnded(said.leg, said.token, "done"))
    assert not office.w.calls


def test_nobody_fetches_and_the_call_comes_back_to_who_parked_it() -> None:
    office, by = parked()
    office.wait(121)
    assert office.last(e.Unparked).result == "timeout"
    call = office.w.desks[by].call
    assert call is not None
    office.answer(by)
    office.talk()
    assert office.last(e.Bridged).b == f"agent:{by}"


def test_the_caller_gives_up() -> None:
    office, _ = parked()
    office.media(p.LineHungUp("l2", "tone"))
    assert office.last(e.Unparked).result == "gone"
    assert not office.w.calls


def test_places_run_out() -> None:
    office = Office(site('[features]\norbits = ["701"]\n'))
    office.on_duty("ana", "bo")
    for line in ("l2", "l1"):
        office.ring(line)
        office.pick_up(line)
    office.wait(20)
    first = office.last(e.Offer).agent
    office.answer(first)
    office.talk()
    office.ask(live.AgentPark(first))
    other = "bo" if first == "ana" else "ana"
    office.ask(live.AgentDial(other, "112"))
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    with pytest.raises(Unwilling, match="taken"):
        office.ask(live.AgentPark(other))


def test_the_usual_places_give_way_to_extensions() -> None:
    office = Office(site(SEVENS))
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentPark("ana"))
    assert office.last(e.Parked).orbit == "703"
    office.sip(sip.Registered("701", 1, "192.0.2.51:5060"))
    office.incoming("in1", "701", PHONE)
    assert office.last(act.SipInvite).target == "701"


def test_places_that_were_asked_for_do_not() -> None:
    with pytest.raises(ValidationError, match="701 is already that of"):
        site('[phones.701]\nname = "Seven"\n[features]\norbits = ["701"]\n')


@pytest.mark.parametrize("verb", ["park", "transfer"])
def test_a_supervisor_goes_with_the_agent_who_passes_the_call_on(verb: str) -> None:
    office = Office(site('[people.sue]\nname = "Sue"\nrole = "supervisor"\nextension = "205"\n'))
    office.on_duty("ana")
    office.media(p.PeerState("sue", "connected"))
    office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.Supervise("sue", "listen", "ana"))
    office.ask(live.AgentPark("ana") if verb == "park" else live.AgentTransfer("ana", "101"))
    (call,) = office.w.calls.values()
    assert call.watchers == []
    assert office.last(e.SuperviseOff).by == "sue"
    assert office.w.desks["sue"].call is None
    assert not any(leg.agent == "sue" for leg in office.w.legs.values())


# --- pick-up --------------------------------------------------------------------------------


def test_a_queues_call_that_rings_at_a_colleague_is_answered_by_who_takes_it() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.media(p.PeerState("bo", "connected"))
    office.ask(live.AgentPickup("bo", "ana"))
    office.talk()
    assert office.last(e.Connect).agent == "bo"
    results = {(f.agent, f.result) for f in office.all(e.OfferEnd)}
    assert results == {("ana", "withdrawn"), ("bo", "accepted")}
    office.ask(live.AgentAction("bo", "hangup"))
    assert not office.w.calls
    assert not office.w.acd.agent("bo").engaged


def test_a_phone_takes_it_by_code() -> None:
    office = Office()
    office.on_duty("ana")
    office.sip(sip.Registered("102", 1, "192.0.2.50:5060"))
    office.queue_call()
    office.incoming("in1", "*80201", sip.Source("phone", "102"), "102")
    office.talk()
    assert office.last(e.Connect).agent == "pip"
    assert {leg.party for leg in office.w.legs.values()} == {"line:l2", "phone:102"}
    office.sip(sip.HungUp("in1", "normal"))
    assert not office.w.calls
    assert not office.w.acd.agent("pip").engaged
    assert office.last(e.WrapStart).agent == "pip"


def test_a_direct_call_is_taken_from_a_ringing_phone() -> None:
    office = Office()
    office.on_duty("ana")
    office.sip(sip.Registered("101", 1, "192.0.2.50:5060"))
    office.ring("l1")
    office.pick_up("l1")
    office.media(p.Key(next(iter(office.w.legs)), "2", "inband"))
    assert office.last(act.SipInvite).target == "101"
    ringing = office.last(act.SipInvite).sip
    office.incoming("in1", "*80101", sip.Source("phone", "102"), "102")
    assert office.last(act.SipHangUp).sip == ringing
    office.talk()
    assert office.last(e.Bridged).b == "phone:102"


def test_a_direct_call_to_a_colleague_is_taken_at_the_page() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    office.incoming("in1", "201", PHONE)
    office.ask(live.AgentPickup("bo", "ana"))
    office.talk()
    assert office.last(e.Bridged).b == "agent:bo"
    assert office.w.desks["ana"].call is None
    assert not office.w.acd.agent("ana").engaged
    with pytest.raises(Unwilling, match="Nothing rings"):
        office.ask(live.AgentPickup("ana", "bo"))
