"""A supervisor in an agent's call: who hears whom, the facts, and who may."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, Office, site

SUE = '[people.sue]\nname = "Sue"\nrole = "supervisor"\nextension = "205"\n'


def talking(extra: str = SUE) -> Office:
    office = Office(site(extra))
    office.on_duty("ana")
    office.media(p.PeerState("sue", "connected"))
    office.queue_call()
    office.answer("ana")
    office.talk()
    return office


def heard_by(office: Office, who: str) -> tuple[int, ...] | None:
    leg = next(leg.id for leg in office.w.legs.values() if leg.agent == who)
    return next(m.heard_by for m in office.last(p.Room).members if m.leg == leg)


def leg_of(office: Office, who: str) -> int:
    return next(leg.id for leg in office.w.legs.values() if leg.agent == who)


def test_listen_whisper_and_barge_differ_in_who_hears_the_supervisor() -> None:
    office = talking()
    office.ask(live.Supervise("sue", "listen", "ana"))
    assert heard_by(office, "sue") == ()
    recording = office.last(p.StartRecording)
    assert leg_of(office, "sue") not in (recording.left, recording.right, *recording.more)
    office.ask(live.Supervise("sue", "whisper", "ana"))
    assert heard_by(office, "sue") == (leg_of(office, "ana"),)
    office.ask(live.Supervise("sue", "barge", "ana"))
    assert heard_by(office, "sue") is None
    assert leg_of(office, "sue") in office.last(p.StartRecording).more
    office.ask(live.Supervise("sue", "stop"))
    assert {office.last(p.Bridge).a, office.last(p.Bridge).b} == {
        leg.id for leg in office.w.legs.values()
    }
    modes = [f.mode for f in office.all(e.SuperviseOn)]
    assert modes == ["listen", "whisper", "barge"]
    assert len(office.all(e.SuperviseOff)) == 3
    assert office.w.desks["sue"].call is None


def test_take_over_leaves_the_caller_with_the_supervisor() -> None:
    office = talking()
    office.ask(live.Supervise("sue", "take_over", "ana"))
    assert {leg.party for leg in office.w.legs.values()} == {"line:l2", "agent:sue"}
    assert office.last(e.WrapStart).agent == "ana"
    assert office.last(e.PartyJoined) == e.PartyJoined(
        at=office.now, call=office.last(e.Connect).call, party="agent:sue", how="take_over"
    )
    office.ask(live.AgentAction("sue", "hold"))
    office.ask(live.AgentAction("sue", "hangup"))
    assert not office.w.legs


def test_the_agent_who_hangs_up_takes_the_supervisor_along_only_out_of_the_role() -> None:
    office = talking()
    office.ask(live.Supervise("sue", "whisper", "ana"))
    office.media(p.LineHungUp("l2", "tone"))
    assert not office.w.calls
    assert not office.w.legs
    assert office.all(e.SuperviseOff)


def test_while_the_caller_is_on_hold_the_supervisor_can_still_whisper() -> None:
    office = talking()
    office.ask(live.Supervise("sue", "whisper", "ana"))
    office.ask(live.AgentAction("ana", "hold"))
    assert {m.leg for m in office.last(p.Room).members} == {
        leg_of(office, "ana"),
        leg_of(office, "sue"),
    }


def test_only_supervisors_may_and_only_where_somebody_talks() -> None:
    office = talking()
    office.on_duty("bo")
    with pytest.raises(Unwilling, match="Only supervisors"):
        office.ask(live.Supervise("bo", "listen", "ana"))
    with pytest.raises(Unwilling, match="not speaking"):
        office.ask(live.Supervise("sue", "listen", "bo"))
    with pytest.raises(Unwilling, match="own call"):
        office.ask(live.Supervise("sue", "listen", "sue"))
    assert not office.all(e.SuperviseOn)


def test_it_is_announced_where_the_site_says_so() -> None:
    office = talking(SUE + '[features]\nsupervise_notice = { text = "A supervisor listens." }\n')
    office.ask(live.Supervise("sue", "listen", "ana"))
    told = {
        one.leg for one in office.all(act.Speak) if one.prompts[0].text == "A supervisor listens."
    }
    assert told == {leg.id for leg in office.w.legs.values() if leg.agent != "sue"}


def test_a_desk_phone_listens_by_code_and_by_request() -> None:
    extra = SUE + 'door = "phone"\nphone = "101"\n'
    office = talking(extra)
    office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    office.incoming("in1", "*41201", sip.Source("phone", "101"))
    assert office.last(act.SipAnswer).sip == "in1"
    assert heard_by(office, "sue") == (leg_of(office, "ana"),)
    assert office.last(e.Disconnect).cause == "joined"
    office.sip(sip.HungUp("in1", "normal"))
    assert office.last(p.Bridge)
    assert len(office.w.calls) == 1
    office.ask(live.Supervise("sue", "barge", "ana"))
    assert office.last(act.SipInvite).target == "101"
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    assert heard_by(office, "sue") is None
