"""Emergency calls: from every door, by every line, whatever else is going on."""

from __future__ import annotations

from typing import Any

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from tests.switch.office import SESSION, Office, site

PHONE = sip.Source("phone", "101")


def dialled(office: Office, kind: str = "emergency") -> list[e.Dialled]:
    return [fact for fact in office.all(e.Dialled) if fact.kind == kind]


def busy_trunk(office: Office) -> str:
    """Reception talks to the outside by the trunk's only channel."""
    office.incoming("out1", "0555777", PHONE)
    invite = office.last(act.SipInvite)
    office.sip(sip.Answered(invite.sip, SESSION))
    office.talk()
    return next(iter(office.w.calls))


@pytest.mark.parametrize(
    ("country", "number"),
    [("ro", "112"), ("us", "911"), ("gb", "999"), ("gb", "112"), ("fr", "15"), ("cn", "119")],
)
@pytest.mark.parametrize("prefix", ["", "0"])
def test_the_countrys_numbers_are_known_with_and_without_the_prefix(
    country: str, number: str, prefix: str
) -> None:
    office = Office(site(country=country))
    office.incoming("in1", prefix + number, PHONE)
    assert office.last(act.SipInvite).target == number
    assert dialled(office)[0].number == number


def test_nobody_needs_a_permission() -> None:
    office = Office(site("[numbering.ceiling]\ncalls = 0\n", country="ro"))
    office.w.site = office.w.site.model_copy(
        update={"numbering": office.w.site.numbering.model_copy(update={"calls": ()})}
    )
    office.incoming("in1", "112", PHONE)
    assert dialled(office)
    assert not office.all(e.DialRefused)


def test_an_agent_who_is_being_rung_can_dial_it() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.ask(live.AgentDial("ana", "112"))
    assert office.last(act.SipInvite).target == "112"
    assert office.last(e.OfferEnd).result == "withdrawn"


def test_a_call_out_gives_up_its_channel() -> None:
    office = Office()
    office.media(p.LineDown("l1", "unplugged"))
    office.media(p.LineDown("l2", "unplugged"))
    victim = busy_trunk(office)
    office.incoming("in2", "112", sip.Source("phone", "102"), "102")
    assert office.last(e.Disconnect) == e.Disconnect(
        at=office.now, call=victim, side="system", cause="preempted"
    )
    assert office.last(act.SipInvite).target == "112"
    assert dialled(office)[0].preempted == victim


def test_an_analog_line_is_given_up_dialled_when_it_is_on_hook() -> None:
    office = Office()
    office.sip(sip.TrunkState("voip", False, "away"))
    office.media(p.LineDown("l2", "unplugged"))
    office.incoming("out1", "0555777", PHONE)
    office.media(p.LineOffHook("l1", sure=False))
    office.incoming("in2", "112", sip.Source("phone", "102"), "102")
    # The trunk that says it is away is tried all the same: first come, first served.
    assert office.last(act.SipInvite).target == "112"
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    assert office.last(p.HangUpLine).line == "l1"
    assert office.commands(p.DialLine)[-1].number != "112"
    office.media(p.LineHungUp("l1", "local"))
    assert office.last(p.DialLine) == p.DialLine("l1", "112")


def test_calls_out_go_before_calls_in_and_the_waiting_before_those_who_talk() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call("l2")
    office.answer("ana")
    office.talk()
    talking = office.last(e.Connect).call
    office.ring("l1")
    office.pick_up("l1")
    busy_trunk(office)
    office.incoming("in2", "112", sip.Source("phone", "102"), "102")
    preempted = [f.call for f in office.all(e.Disconnect) if f.cause == "preempted"]
    assert len(preempted) == 1
    assert preempted[0] != talking
    assert office.last(act.SipInvite).target == "112"


def test_another_emergency_is_never_the_victim() -> None:
    office = Office()
    office.media(p.LineDown("l1", "unplugged"))
    office.media(p.LineDown("l2", "unplugged"))
    office.incoming("in1", "112", PHONE)
    office.incoming("in2", "112", sip.Source("phone", "102"), "102")
    assert len(dialled(office)) == 1
    assert not office.all(e.Disconnect)
    assert office.last(act.SipRing).sip == "in2"
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, ""))
    office.wait(4)
    assert len(office.w.calls) == 2


def test_a_line_that_fails_is_followed_by_the_next_until_the_caller_gives_up() -> None:
    office = Office()
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, "Busy Here"))
    assert office.last(p.DialLine) == p.DialLine("l1", "112")
    office.media(p.LineHungUp("l1", "no_dialtone"))
    assert office.last(p.DialLine) == p.DialLine("l2", "112")
    office.media(p.LineHungUp("l2", "busy"))
    assert not office.all(act.SipReject)
    office.wait(3)
    assert len(dialled(office)) >= 4
    office.wait(90)
    assert office.w.calls
    office.sip(sip.Cancelled("in1"))
    assert not office.w.calls
    assert not office.w.wants_line


def off_hook(office: Office, line: str = "l1") -> int:
    """An emergency call that the trunk refused and that this line has dialled; its leg."""
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    office.media(p.LineOffHook(line, sure=False))
    return office.last(p.OpenLine).leg


@pytest.mark.parametrize("source", ["busy", "tone", "dle", "silence"])
def test_a_line_that_hears_busy_after_dialling_is_followed_by_the_next(source: Any) -> None:
    office = Office()
    leg = off_hook(office)
    office.talk()
    office.media(p.ToneHeard(leg, "busy"))
    office.media(p.LineHungUp("l1", source))
    assert not office.all(e.Disconnect)
    assert office.last(p.DialLine) == p.DialLine("l2", "112")
    assert office.last(p.PlayTone).tone == "ringback"
    assert office.w.lines["l1"].state == "idle"
    office.media(p.LineOffHook("l2", sure=False))
    bridge = office.last(p.Bridge)
    assert {office.w.legs[bridge.a].party, office.w.legs[bridge.b].party} == {
        "phone:101",
        "line:l2",
    }
    office.talk()
    office.sip(sip.HungUp("in1", "normal"))
    assert office.last(e.Disconnect).cause == "normal"
    assert len(office.all(e.DialEnded)) == len(dialled(office)) == 3


def test_it_goes_on_until_the_caller_gives_up_when_every_line_hears_busy() -> None:
    office = Office()
    off_hook(office)
    office.media(p.LineHungUp("l1", "tone"))
    for _ in range(6):
        seized = office.last(p.DialLine).line
        office.media(p.LineOffHook(seized, sure=False))
        office.media(p.LineHungUp(seized, "tone"))
        office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, "Busy Here"))
        office.wait(3.1)
    assert not office.all(e.Disconnect)
    assert len(dialled(office)) >= 8
    office.sip(sip.HungUp("in1", "normal"))
    assert not office.w.calls
    assert not office.w.wants_line


@pytest.mark.parametrize("heard", ["ringback", "time", "answer"])
def test_after_somebody_may_have_answered_a_hang_up_is_the_end(heard: str) -> None:
    office = Office()
    leg = off_hook(office)
    office.talk()
    if heard == "ringback":
        office.media(p.ToneHeard(leg, "ringback"))
    elif heard == "time":
        office.wait(61)
    else:
        office.w.legs[leg].rang = True
    office.media(p.LineHungUp("l1", "tone"))
    assert office.last(e.Disconnect).cause == "normal"
    assert not office.w.calls


def test_a_line_that_says_that_somebody_answered_is_believed() -> None:
    office = Office()
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    office.media(p.LineOffHook("l1", sure=True))
    office.media(p.LineHungUp("l1", "tone"))
    assert office.last(e.Disconnect).cause == "normal"


@pytest.mark.parametrize("gone", [p.LineHungUp("l1", "device"), p.LineDown("l1", "unplugged")])
def test_a_modem_that_vanishes_in_mid_talk_is_followed_by_the_next_line(gone: p.Event) -> None:
    office = Office()
    off_hook(office)
    office.talk()
    office.wait(90)
    office.media(gone)
    assert not office.all(e.Disconnect)
    assert office.last(p.DialLine) == p.DialLine("l2", "112")
    assert len(dialled(office)) == 3


def test_a_trunk_that_is_lost_in_mid_talk_is_followed_by_a_line() -> None:
    office = Office()
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Answered(office.last_invite(), SESSION))
    office.talk()
    office.sip(sip.HungUp(office.last_invite(), "unreachable"))
    assert office.last(p.DialLine) == p.DialLine("l1", "112")
    assert not office.all(e.Disconnect)


def test_one_that_is_consulted_with_the_emergency_number_is_dialled_again() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentConsult("ana", "start", "112"))
    office.sip(sip.Failed(office.last_invite(), 503, ""))
    office.media(p.LineOffHook("l1", sure=False))
    office.media(p.LineHungUp("l1", "tone"))
    assert not office.all(e.ConsultEnd)
    office.wait(3.1)
    assert len(dialled(office)) >= 3


def test_an_ordinary_call_ends_when_its_line_hears_busy() -> None:
    office = Office()
    office.w.trunks["voip"] = (False, "down")
    office.incoming("in1", "0555777", PHONE)
    office.media(p.LineOffHook("l1", sure=False))
    office.media(p.ToneHeard(office.last(p.OpenLine).leg, "busy"))
    office.media(p.LineHungUp("l1", "tone"))
    assert office.last(e.Disconnect).cause == "busy"


def test_it_is_never_counted_nor_cut() -> None:
    office = Office(site("[numbering.ceiling]\ncall_minutes = 1\n"))
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.wait(600)
    assert office.w.calls
    assert not office.w.spending.running


def test_an_agent_in_a_call_consults_the_emergency_number() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentConsult("ana", "start", "112"))
    assert office.last(act.SipInvite).target == "112"
    assert dialled(office)


def test_dialling_it_in_a_call_needs_no_other_button() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentDial("ana", "112"))
    assert office.last(act.SipInvite).target == "112"
    assert office.last(e.HoldOn).agent == "ana"
    office.ask(live.AgentDial("bo", "201"))
    office.ask(live.AgentDial("bo", "112"))
    assert len(office.w.wants_line) + len(dialled(office)) == 2


@pytest.mark.parametrize("tone", ["sit", "sit_vacant", "sit_no_circuit"])
def test_information_tones_never_end_it(tone: p.Sit) -> None:
    office = Office()
    office.w.trunks["voip"] = (False, "down")
    office.incoming("in1", "112", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    office.media(p.LineOffHook("l1", sure=False))
    office.media(p.ToneHeard(office.last(p.OpenLine).leg, tone))
    assert not office.all(e.Disconnect)
    assert not office.commands(p.HangUpLine)
    assert {leg.party for leg in office.w.legs.values()} == {"phone:101", "line:l1"}


def test_a_parking_place_never_hides_it() -> None:
    office = Office(site('[features]\norbits = ["911"]\n'))
    office.incoming("in1", "911", PHONE)
    assert office.last(act.SipInvite).target == "911"
