"""Calls of phones and trunks: to each other, to queues, to the outside."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import PHONE_SDP, SESSION, Office

RECEPTION = sip.Source("phone", "101")
TRUNK = sip.Source("trunk", "voip")


def registered(*extensions: str) -> Office:
    office = Office()
    for extension in extensions:
        office.sip(sip.Registered(extension, 1, "192.0.2.50:5060"))
    return office


def test_a_phone_calls_a_phone_and_they_are_bridged_when_it_answers() -> None:
    office = registered("101", "102")
    office.incoming("in1", "102", RECEPTION)
    invite = office.last(act.SipInvite)
    assert (invite.target, invite.trunk, invite.caller) == ("102", None, "101")
    assert office.all(act.SipRing) == [act.SipRing("in1")]
    office.sip(sip.Answered(invite.sip, SESSION))
    assert office.last(act.SipAnswer).sip == "in1"
    bridge = office.last(p.Bridge)
    assert bridge.a != bridge.b
    office.talk()
    assert {office.last(e.Bridged).a, office.last(e.Bridged).b} == {"phone:101", "phone:102"}
    office.sip(sip.HungUp("in1", "normal"))
    assert office.last(act.SipHangUp).sip == invite.sip
    assert len(office.w.ports) == 500


def test_an_unregistered_phone_is_said_to_be_unavailable() -> None:
    office = registered("101")
    office.incoming("in1", "102", RECEPTION)
    assert office.last(act.SipReject) == act.SipReject("in1", 480)
    assert office.last(e.Disconnect).cause == "unreachable"


def test_an_unknown_number_is_answered_404() -> None:
    office = registered("101")
    office.incoming("in1", "77", RECEPTION)
    assert office.last(act.SipReject).code == 404


def test_a_busy_phone_gives_busy_and_a_cancelled_call_stops_ringing() -> None:
    office = registered("101", "102")
    office.incoming("in1", "102", RECEPTION)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, "Busy Here"))
    assert office.last(act.SipReject) == act.SipReject("in1", 486)
    office.incoming("in2", "102", RECEPTION)
    ringing = office.last(act.SipInvite).sip
    office.sip(sip.Cancelled("in2"))
    assert office.last(act.SipHangUp).sip == ringing
    assert office.last(e.Disconnect).cause == "abandoned"


def test_nobody_answering_ends_after_the_ring_time() -> None:
    office = registered("101", "102")
    office.incoming("in1", "102", RECEPTION)
    office.wait(61)
    assert office.last(act.SipReject) == act.SipReject("in1", 480)
    assert not office.w.calls


def test_a_desk_phone_agent_gets_queue_calls_on_the_phone() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.queue_call()
    invite = office.last(act.SipInvite)
    assert invite.target == "102"
    office.sip(sip.Answered(invite.sip, SESSION))
    office.talk()
    assert office.last(e.Connect).agent == "pip"
    office.sip(sip.HungUp(invite.sip, "normal"))
    assert office.last(e.WrapStart).agent == "pip"
    assert office.last(e.Disconnect).side == "callee"


def test_a_desk_phone_that_refuses_leaves_the_caller_waiting_for_the_next_agent() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.queue_call()
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, "Busy Here"))
    assert office.last(e.OfferEnd).result == "rejected"
    assert not office.all(e.QLeave)


def test_a_desk_phone_that_nobody_picks_up_is_a_missed_offer() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.queue_call()
    first = office.last(act.SipInvite).sip
    office.wait(21)
    assert act.SipHangUp(first) in office.actions
    assert next(x.result for x in office.all(e.OfferEnd)) == "missed"


def test_a_trunk_call_is_answered_into_the_queue_and_takes_a_channel() -> None:
    office = Office()
    office.incoming("t1", "5550000", TRUNK, "5550123")
    assert office.last(act.SipAnswer).sip == "t1"
    assert office.last(e.QEnter).caller == "5550123"
    office.incoming("t2", "5550000", TRUNK, "5550124")
    assert office.last(act.SipReject) == act.SipReject("t2", 486)
    assert office.last(e.LineBusy).line == "voip"
    office.sip(sip.HungUp("t1", "normal"))
    office.incoming("t3", "5550000", TRUNK, "5550125")
    assert office.last(act.SipAnswer).sip == "t3"


def test_a_trunk_number_may_lead_straight_to_a_phone() -> None:
    office = registered("101")
    office.incoming("t1", "5550199", TRUNK, "5550123")
    assert office.last(act.SipInvite).target == "101"
    assert not office.all(act.SipAnswer)


def test_a_trunk_never_reaches_the_outside() -> None:
    office = registered("101")
    office.incoming("t1", "0555123456", TRUNK, "5550123")
    assert not office.all(act.SipInvite)
    assert office.last(e.QEnter).queue == "sales"


def test_an_outside_call_takes_the_trunk_and_then_the_line() -> None:
    office = registered("101", "102")
    office.incoming("in1", "0555123", RECEPTION)
    invite = office.last(act.SipInvite)
    assert (invite.target, invite.trunk) == ("555123", "voip")
    office.incoming("in2", "0555777", sip.Source("phone", "102"), "102")
    assert office.last(p.DialLine) == p.DialLine("l1", "555777")
    office.media(p.LineOffHook("l1", sure=False))
    assert office.last(act.SipAnswer).sip == "in2"
    assert office.last(p.Bridge)
    office.sip(sip.HungUp("in2", "normal"))
    assert office.last(p.HangUpLine).line == "l1"


def test_a_busy_far_end_on_a_line_is_busy_for_the_phone() -> None:
    office = registered("101")
    office.incoming("in1", "0555777", RECEPTION)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, "Busy Here"))
    assert office.last(act.SipReject).code == 486


def test_emergency_numbers_need_no_prefix() -> None:
    office = registered("101")
    office.incoming("in1", "112", RECEPTION)
    assert office.last(act.SipInvite).target == "112"


def test_hold_by_a_phone_gives_the_other_side_music_and_mirrors_the_direction() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.queue_call()
    invite = office.last(act.SipInvite).sip
    office.sip(sip.Answered(invite, SESSION))
    office.talk()
    office.w.by_sip[invite].local_host = "192.0.2.1"
    from appliance.sip import sdp

    office.sip(sip.Reoffered(invite, sdp.parse(PHONE_SDP + "a=sendonly\r\n")))
    assert "a=recvonly" in office.last(act.SipReanswer).sdp
    assert office.last(e.HoldOn).agent == "pip"
    office.sip(sip.Reoffered(invite, sdp.parse(PHONE_SDP)))
    assert office.last(e.HoldOff).agent == "pip"
    assert len(office.commands(p.Bridge)) == 2


def test_keys_by_sip_info_go_on_to_the_line_and_rfc4733_is_left_to_the_media_process() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.queue_call()
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    bridge = office.last(p.Bridge)
    office.media(p.Key(bridge.b, "5", "rfc4733"))
    assert not office.commands(p.SendKeys)
    office.sip(sip.Digit(office.last(act.SipInvite).sip, "5"))
    assert office.last(p.SendKeys) == p.SendKeys(bridge.a, "5")


def test_a_phone_without_power_ends_its_call_after_half_a_minute_of_silence() -> None:
    office = Office()
    office.incoming("t1", "5550000", TRUNK, "5550123")
    leg = office.last(p.OpenRtp).leg
    office.media(p.LegQuiet(leg, 5000))
    assert office.w.calls
    office.media(p.LegQuiet(leg, 30_000))
    assert office.last(e.Disconnect).cause == "media_lost"


def test_a_browser_agent_dials_a_phone() -> None:
    office = registered("101")
    office.on_duty("ana")
    office.ask(live.AgentDial("ana", "101"))
    invite = office.last(act.SipInvite)
    assert (invite.target, invite.caller) == ("101", "201")
    assert office.w.acd.agent("ana").phase == "busy"
    office.sip(sip.Answered(invite.sip, SESSION))
    office.talk()
    office.ask(live.AgentAction("ana", "hangup"))
    assert office.w.acd.agent("ana").phase == "ready"
    assert office.last(e.Disconnect).side == "caller"


def test_a_browser_agent_answers_a_direct_call() -> None:
    office = registered("101")
    office.on_duty("ana")
    office.incoming("in1", "201", RECEPTION)
    assert office.w.desks["ana"].call is not None
    office.ask(live.AgentAction("ana", "answer"))
    office.talk()
    assert office.last(e.Bridged).b == "agent:ana"


def test_requests_that_cannot_be_done_say_why() -> None:
    office = Office()
    with pytest.raises(Unwilling, match="no person"):
        office.ask(live.SetAgentState("zed", "ready"))
    office.on_duty("ana")
    with pytest.raises(Unwilling, match="no longer yours"):
        office.ask(live.AgentAction("ana", "hangup"))
    with pytest.raises(Unwilling, match="no extension"):
        office.ask(live.AgentDial("ana", "9"))


def test_a_recording_outlives_the_media_process_as_one() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.incoming("t1", "5550000", TRUNK, "5550123")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.wait(3)
    for _ in range(2):
        office.media_lost()
    office.wait(1)
    told = [c for c in office.media_up() if isinstance(c, p.StartRecording)]
    assert len(told) == 1
    assert told[0].path.endswith(".part-4000.wav")
    office.wait(2)
    office.sip(sip.HungUp("t1", "normal"))
    office.media(p.RecordingClosed(told[0].recording, 2000, "done"))
    assert len(office.all(e.RecordingStarted)) == 1
    ended = office.all(e.RecordingEnded)
    assert [(f.duration_ms, f.reason) for f in ended] == [(6000, "done")]


def test_a_media_restart_gives_every_sip_leg_again_on_its_port() -> None:
    office = registered("101", "102")
    office.incoming("in1", "102", RECEPTION)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    ports = {c.port for c in office.commands(p.OpenRtp)}
    office.media_lost()
    again = office.media_up()
    assert {c.port for c in again if isinstance(c, p.OpenRtp)} == ports
    assert len([c for c in again if isinstance(c, p.AimRtp)]) == 2
    assert len([c for c in again if isinstance(c, p.Bridge)]) == 1
    assert not office.all(e.Disconnect)
