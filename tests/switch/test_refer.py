"""Desk phones that transfer by their own buttons."""

from __future__ import annotations

from appliance import events as e
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from tests.switch.office import SESSION, Office


def talking() -> tuple[Office, str]:
    """Pip's phone talks to a caller of the queue."""
    office = Office()
    office.phone_on_duty("pip", "102")
    office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    office.queue_call()
    leg = office.last(act.SipInvite).sip
    office.sip(sip.Answered(leg, SESSION))
    office.talk()
    return office, leg


def test_blind() -> None:
    office, leg = talking()
    office.sip(sip.Referred(leg, "101", None))
    done, bye = [a for a in office.actions if getattr(a, "sip", "") == leg][-2:]
    assert done == act.SipReferDone(leg, 200)
    assert isinstance(bye, act.SipHangUp)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"
    assert office.last(e.WrapStart).agent == "pip"


def test_what_cannot_be_is_told_and_the_talk_goes_on() -> None:
    office, leg = talking()
    office.sip(sip.Referred(leg, "99", None))
    assert office.last(act.SipReferDone) == act.SipReferDone(leg, 603)
    assert office.w.by_sip[leg].state == "up"
    office.sip(sip.Referred(leg, "101", "nothing"))
    assert office.last(act.SipReferDone).code == 603


def test_attended_brings_the_two_others_together() -> None:
    office, leg = talking()
    office.incoming("second", "101", sip.Source("phone", "102"), "102")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.sip(sip.Referred(leg, "101", "second"))
    assert len(office.w.calls) == 1
    assert {one.party for one in office.w.legs.values()} == {"line:l2", "phone:101"}
    pair = office.last(p.Bridge)
    assert {pair.a, pair.b} == set(office.w.legs)
    office.talk()
    assert office.last(e.Transfer).mode == "attended"
    assert office.last(e.Disconnect).cause == "joined"
    assert office.last(e.WrapStart).agent == "pip"
    office.media(p.LineHungUp("l2", "tone"))
    assert not office.w.calls
    assert not office.w.legs


def test_the_callers_call_stays_whichever_of_the_two_is_named() -> None:
    office, leg = talking()
    first = next(iter(office.w.calls))
    office.incoming("second", "101", sip.Source("phone", "102"), "102")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.sip(sip.Referred("second", "0", leg))
    assert list(office.w.calls) == [first]


def test_one_that_still_rings_cannot_be_brought_together() -> None:
    office, leg = talking()
    office.incoming("second", "101", sip.Source("phone", "102"), "102")
    office.sip(sip.Referred(leg, "101", "second"))
    assert office.last(act.SipReferDone).code == 603
    assert len(office.w.calls) == 2
