"""Attended transfer and conference: who hears whom at each step, and who is left when one goes."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, Office, site


def consulting(number: str = "101", extra: str = "") -> tuple[Office, str]:
    """An agent talks to a caller of the queue and calls somebody meanwhile."""
    office = Office(site(extra))
    office.on_duty("ana", "bo")
    office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    office.queue_call()
    by = office.last(e.Offer).agent
    office.answer(by)
    office.talk()
    office.wait(10)
    office.ask(live.AgentConsult(by, "start", number))
    return office, by


def answered() -> tuple[Office, str]:
    office, by = consulting()
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.wait(5)
    return office, by


def legs(office: Office) -> dict[str, int]:
    return {leg.party: leg.id for leg in office.w.legs.values()}


def step(office: Office, by: str, what: str) -> None:
    office.ask(live.AgentConsult(by, what))  # type: ignore[arg-type]


def test_the_caller_hears_music_and_the_two_speak_apart() -> None:
    office, by = answered()
    ids = legs(office)
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == {ids[f"agent:{by}"], ids["phone:101"]}
    music = office.all(act.HoldMusic)[-1]
    assert (music.leg, music.file) == (ids["line:l2"], "")
    assert office.last(e.HoldOn).agent == by
    recording = office.last(p.StartRecording)
    assert (recording.left, recording.right) == (None, None)


def test_complete_leaves_the_caller_with_the_one_consulted() -> None:
    office, by = answered()
    step(office, by, "complete")
    ids = legs(office)
    assert set(ids) == {"line:l2", "phone:101"}
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == set(ids.values())
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"
    assert office.last(e.ConsultEnd).result == "completed"
    assert (office.last(e.Transfer).mode, office.last(e.Transfer).to) == ("attended", "phone:101")
    assert office.last(e.WrapStart).agent == by
    office.media(p.LineHungUp("l2", "tone"))
    assert not office.w.legs
    assert len(office.all(e.Disconnect)) == 1


def test_hanging_up_completes_too_also_while_it_rings() -> None:
    office, by = consulting()
    office.ask(live.AgentAction(by, "hangup"))
    assert office.last(p.PlayTone).tone == "ringback"
    assert office.last(e.Transfer).mode == "attended"
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"


def test_a_transfer_while_it_rings_comes_back_when_nobody_answers() -> None:
    office, by = consulting()
    step(office, by, "complete")
    office.wait(61)
    call = office.w.desks[by].call
    assert call is not None
    office.answer(by)
    office.talk()
    assert office.last(e.Bridged).b == f"agent:{by}"


def test_swap_goes_to_and_fro() -> None:
    office, by = answered()
    ids = legs(office)
    step(office, by, "swap")
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == {ids["line:l2"], ids[f"agent:{by}"]}
    assert office.all(act.HoldMusic)[-1].leg == ids["phone:101"]
    step(office, by, "swap")
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == {ids["phone:101"], ids[f"agent:{by}"]}


def test_cancel_goes_back_to_the_caller() -> None:
    office, by = answered()
    step(office, by, "cancel")
    ids = legs(office)
    assert set(ids) == {"line:l2", f"agent:{by}"}
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == set(ids.values())
    assert office.last(e.ConsultEnd).result == "cancelled"
    assert office.last(e.HoldOff)


def test_the_one_consulted_hangs_up_and_the_caller_still_waits() -> None:
    office, by = answered()
    office.sip(sip.HungUp(office.last(act.SipInvite).sip, "normal"))
    assert office.last(e.ConsultEnd).result == "failed"
    call = office.w.desks[by].call
    assert call is not None
    assert call.held_by == by
    office.ask(live.AgentAction(by, "resume"))
    assert len(call.people) == 2
    assert call.joined


def test_nobody_there_leaves_the_caller_with_the_agent() -> None:
    office, by = consulting()
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, ""))
    assert office.last(p.PlayTone).tone == "busy"
    assert office.last(e.ConsultEnd).result == "failed"
    assert office.w.desks[by].call is not None


def test_the_caller_hangs_up_and_the_two_go_on() -> None:
    office, by = answered()
    office.media(p.LineHungUp("l2", "tone"))
    ids = legs(office)
    assert set(ids) == {f"agent:{by}", "phone:101"}
    assert office.last(e.WrapStart).agent == by
    assert office.w.acd.agent(by).engaged
    office.sip(sip.HungUp(office.last(act.SipInvite).sip, "normal"))
    assert not office.w.calls
    assert not office.w.acd.agent(by).engaged


def test_a_conference_is_a_room_of_three_and_goes_on_with_two() -> None:
    office, by = answered()
    ids = legs(office)
    step(office, by, "conference")
    room = office.last(p.Room)
    assert {member.leg for member in room.members} == set(ids.values())
    recording = office.last(p.StartRecording)
    assert recording.left == ids["line:l2"]
    assert {recording.right, *recording.more} == {ids[f"agent:{by}"], ids["phone:101"]}
    office.ask(live.AgentAction(by, "hangup"))
    assert office.last(e.PartyLeft).party == f"agent:{by}"
    assert office.last(p.Room) == p.Room(room.room, ())
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == {ids["line:l2"], ids["phone:101"]}
    assert office.last(e.WrapStart).agent == by
    office.media(p.LineHungUp("l2", "tone"))
    assert not office.w.calls


def test_one_who_holds_in_a_conference_is_out_of_it_and_the_others_go_on() -> None:
    office, by = answered()
    step(office, by, "conference")
    office.ask(live.AgentAction(by, "hold"))
    ids = legs(office)
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == {ids["line:l2"], ids["phone:101"]}
    office.ask(live.AgentAction(by, "resume"))
    assert len(office.last(p.Room).members) == 3


def test_a_conference_grows_to_eight_and_no_further() -> None:
    phones = "".join(f'[phones.{n}]\nname = "P{n}"\n' for n in range(130, 140))
    office, by = consulting(extra=phones)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    step(office, by, "conference")
    for number in range(130, 135):
        office.sip(sip.Registered(str(number), 1, "192.0.2.51:5060"))
        office.ask(live.AgentConsult(by, "start", str(number)))
        office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
        step(office, by, "conference")
    assert len(office.last(p.Room).members) == 8
    office.sip(sip.Registered("135", 1, "192.0.2.51:5060"))
    with pytest.raises(Unwilling, match="full"):
        office.ask(live.AgentConsult(by, "start", "135"))
    office.switch.stop(office.now)
    assert not office.w.legs


def test_while_one_consults_the_others_of_a_conference_go_on() -> None:
    phones = '[phones.110]\nname = "P"\n'
    office, by = consulting(extra=phones)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    step(office, by, "conference")
    office.sip(sip.Registered("110", 1, "192.0.2.51:5060"))
    office.ask(live.AgentConsult(by, "start", "110"))
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    ids = legs(office)
    pairs = [{b.a, b.b} for b in office.commands(p.Bridge)[-2:]]
    assert {ids["line:l2"], ids["phone:101"]} in pairs
    assert {ids[f"agent:{by}"], ids["phone:110"]} in pairs
    step(office, by, "complete")
    assert {m.leg for m in office.last(p.Room).members} == {
        ids["line:l2"],
        ids["phone:101"],
        ids["phone:110"],
    }


def test_a_page_that_is_lost_in_a_conference_comes_back_into_it() -> None:
    office, by = answered()
    step(office, by, "conference")
    office.media(p.PeerState(by, "lost"))
    assert len(office.w.calls) == 1
    pair = office.last(p.Bridge)
    ids = legs(office)
    assert {pair.a, pair.b} == {ids["line:l2"], ids["phone:101"]}
    office.media(p.PeerState(by, "connected"))
    assert len(office.last(p.Room).members) == 3
    office.media(p.PeerState(by, "lost"))
    office.wait(31)
    assert office.last(e.PartyLeft).party == f"agent:{by}"
    assert office.w.desks[by].call is None


def test_a_colleague_is_consulted_at_the_page() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    office.queue_call()
    by = office.last(e.Offer).agent
    other = "bo" if by == "ana" else "ana"
    office.answer(by)
    office.talk()
    office.ask(live.AgentConsult(by, "start", {"ana": "201", "bo": "202"}[other]))
    office.answer(other)
    step(office, by, "complete")
    office.talk()
    assert office.last(e.Bridged).b == f"agent:{other}"
    assert office.w.acd.agent(by).phase == "wrap"
    office.ask(live.AgentAction(other, "hangup"))
    assert not office.w.calls
