"""Do not disturb, forwarding, and sitting at another desk."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch import personal
from appliance.switch.reform import reform
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, Office, site

PHONE = sip.Source("phone", "101")


def ready(extra: str = "") -> Office:
    office = Office(site(extra))
    office.on_duty("ana", "bo")
    for phone in ("101", "102"):
        office.sip(sip.Registered(phone, 1, "192.0.2.50:5060"))
    return office


def test_do_not_disturb_refuses_direct_calls_but_not_the_queues() -> None:
    office = ready()
    office.ask(live.SetDnd("ana", True))
    office.incoming("in1", "201", PHONE)
    assert office.last(act.SipReject).code == 486
    office.ask(live.SetAgentState("bo", "not_ready", "Break"))
    office.queue_call()
    assert office.last(e.Offer).agent == "ana"
    assert office.last(e.AgentSetting) == e.AgentSetting(
        at=office.now, agent="ana", setting="dnd", value="on"
    )


def test_always_goes_elsewhere_at_once() -> None:
    office = ready()
    office.ask(live.SetForward("ana", "always", "202"))
    office.incoming("in1", "201", PHONE)
    office.answer("bo")
    office.talk()
    assert office.last(e.Bridged).b == "agent:bo"
    assert office.last(e.Forwarded).why == "always"


def test_busy_and_no_answer() -> None:
    office = ready()
    office.ask(live.SetForward("ana", "no_answer", "102"))
    office.incoming("in1", "201", PHONE)
    office.wait(61)
    assert office.last(act.SipInvite).target == "102"
    assert office.w.desks["ana"].call is None
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    assert office.last(e.Bridged).b == "phone:102"
    office.sip(sip.HungUp("in1", "normal"))
    office.ask(live.SetForward("ana", "busy", "102"))
    office.incoming("in2", "201", PHONE)
    office.ask(live.AgentAction("ana", "reject"))
    assert office.last(e.Forwarded).why == "busy"
    assert office.last(act.SipInvite).target == "102"


def test_circles_are_refused_and_end_all_the_same() -> None:
    office = ready()
    office.ask(live.SetForward("ana", "always", "202"))
    with pytest.raises(Unwilling, match="circle"):
        office.ask(live.SetForward("bo", "always", "201"))
    with pytest.raises(Unwilling, match="circle"):
        office.ask(live.SetForward("ana", "busy", "201"))
    office.w.desks["bo"].forward["always"] = "201"
    office.incoming("in1", "201", PHONE)
    assert len(office.all(e.Forwarded)) <= 3
    office.switch.stop(office.now)
    assert not office.w.calls


def test_a_forward_abroad_is_the_persons_own_to_answer_for() -> None:
    office = Office(site(country="ro"))
    office.on_duty("ana")
    with pytest.raises(Unwilling, match="kind of number"):
        office.ask(live.SetForward("ana", "always", "0004930123"))
    office.ask(live.SetForward("ana", "always", "00212345678"))
    office.incoming("out", "5550199", sip.Source("trunk", "voip"), "5550123")
    office.incoming("in1", "201", PHONE)
    assert office.last(e.Dialled).by == "agent:ana"


def sign_in(office: Office, phone: str, code: str, ok: bool) -> None:
    office.incoming(f"pin{office.now}", code, sip.Source("phone", phone), phone)
    if any(isinstance(a, act.CheckPin) for a in office.actions):
        wanted = office.last(act.CheckPin)
        office.switch.pin_checked(wanted.call, ok, office.now)
        office._take()
    said = office.last(act.Speak)
    office.media(p.PlayEnded(said.leg, said.token, "done"))


def test_signing_in_at_a_phone_brings_the_queues_calls_there() -> None:
    office = ready()
    office.ask(live.SetAgentState("bo", "not_ready", "Break"))
    sign_in(office, "101", "*31201*1234", True)
    assert office.last(e.HotDesk) == e.HotDesk(at=office.now, agent="ana", phone="101")
    assert office.last(act.CheckPin).pin == "1234"
    assert not office.w.calls
    office.queue_call()
    assert office.last(act.SipInvite).target == "101"
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    assert office.last(e.Connect).agent == "ana"
    office.media(p.LineHungUp("l2", "tone"))
    office.incoming("back", "*32", PHONE)
    assert office.w.desks["ana"].at_phone is None
    assert office.w.acd.agent("ana").phase in ("offline", "wrap")


def test_the_owner_of_the_phone_gives_way() -> None:
    office = ready()
    office.ask(live.SetAgentState("pip", "ready"))
    sign_in(office, "102", "*31201*1234", True)
    assert office.w.desks["pip"].phone is None
    assert not office.w.acd.agent("pip").reachable
    office.ask(live.AgentDesk("ana", None))
    assert office.w.desks["pip"].phone == "102"
    assert office.w.acd.agent("pip").reachable


def test_five_wrong_pins_lock_the_phone_and_the_person_out() -> None:
    office = ready()
    for _ in range(5):
        sign_in(office, "101", "*31201*0000", False)
        office.wait(1)
    checked = len(office.all(act.CheckPin))
    assert checked == 5
    sign_in(office, "101", "*31202*1234", True)
    sign_in(office, "102", "*31201*1234", True)
    assert len(office.all(act.CheckPin)) == 5
    assert not [f for f in office.all(e.HotDesk) if f.ok]
    office.wait(901)
    sign_in(office, "101", "*31201*1234", True)
    assert office.w.desks["ana"].at_phone == "101"


def test_codes_on_the_phone_set_the_same() -> None:
    office = ready()
    source = sip.Source("phone", "102")
    for key, (code, check) in enumerate(
        {
            "*78": lambda d: d.dnd,
            "*79": lambda d: not d.dnd,
            "*72101": lambda d: d.forward == {"always": "101"},
            "*73": lambda d: not d.forward,
            "*74101": lambda d: d.forward == {"busy": "101"},
        }.items()
    ):
        office.incoming(f"in{key}", code, source, "102")
        said = office.last(act.Speak)
        assert said.prompts[0].text == "Done."
        assert check(office.w.desks["pip"])
        office.media(p.PlayEnded(said.leg, said.token, "done"))
    assert not office.w.calls


def test_settings_come_back_after_a_restart() -> None:
    office = ready()
    office.ask(live.SetDnd("ana", True))
    office.ask(live.SetForward("bo", "busy", "101"))
    office.ask(live.AgentDesk("bo", "101"))
    again = Office()
    personal.restore(again.w, personal.saved(office.w))
    assert again.w.desks["ana"].dnd
    assert again.w.desks["bo"].forward == {"busy": "101"}
    assert again.w.desks["bo"].phone == "101"


def test_nobody_sits_at_a_phone_that_is_gone_from_the_document() -> None:
    office = ready()
    office.ask(live.AgentDesk("ana", "101"))
    phones = {"102": office.w.site.phones["102"]}
    reform(office.w, office.w.site.model_copy(update={"phones": phones}))
    assert office.w.desks["ana"].at_phone is None
    assert office.w.facts[-1] == e.HotDesk(at=office.now, agent="ana", phone=None)


def test_a_line_that_is_not_there_yet_is_passed_over_in_an_emergency() -> None:
    office = ready()
    lines = dict(office.w.site.lines)
    new = {"l9": lines["l1"].model_copy(update={"device": "/dev/l9"}), **lines}
    reform(office.w, office.w.site.model_copy(update={"lines": new}))
    office.sip(sip.TrunkState("voip", True, ""))
    for line in ("voip", "l1", "l2"):
        assert line in new
    office.incoming("in1", "911", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    assert office.last(p.DialLine).number == "911"


# --- keyed in a call ------------------------------------------------------------------------


def desk_phone_talks() -> tuple[Office, int]:
    office = Office()
    office.phone_on_duty("pip", "102")
    office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    office.queue_call()
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    return office, next(leg.id for leg in office.w.legs.values() if leg.agent == "pip")


def press(office: Office, leg: int, keys: str) -> None:
    for digit in keys:
        office.media(p.Key(leg, digit, "rfc4733"))


def test_a_phone_consults_and_completes_by_keys() -> None:
    office, leg = desk_phone_talks()
    press(office, leg, "*2101#")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    press(office, leg, "*6")
    office.talk()
    assert office.last(e.Bridged).b == "phone:101"


def test_a_phone_parks_and_hears_where() -> None:
    office, leg = desk_phone_talks()
    press(office, leg, "*7")
    said = office.last(act.Speak)
    assert (said.leg, said.prompts[0].text) == (leg, "7 0 1")
    assert not office.all(e.Parked)
    office.media(p.PlayEnded(said.leg, said.token, "done"))
    assert office.last(e.Parked).orbit == "701"


def test_hold_mute_and_conference_by_keys() -> None:
    office, leg = desk_phone_talks()
    press(office, leg, "*0")
    assert office.last(e.HoldOn).agent == "pip"
    press(office, leg, "*0")
    assert office.last(e.HoldOff)
    press(office, leg, "*8")
    assert next(m for m in office.last(p.Room).members if m.leg == leg).heard_by == ()
    press(office, leg, "*8")
    press(office, leg, "*2101#")
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    press(office, leg, "*3")
    assert len(office.last(p.Room).members) == 3


def test_a_code_is_forgotten_after_a_pause_and_callers_have_none() -> None:
    office, leg = desk_phone_talks()
    press(office, leg, "*")
    office.wait(5)
    press(office, leg, "0")
    assert not office.all(e.HoldOn)
    caller = next(one.id for one in office.w.legs.values() if one.line is not None)
    press(office, caller, "*0")
    assert not office.all(e.HoldOn)


def test_who_has_a_second_call_at_the_desk_phone_stays_engaged_and_cannot_move() -> None:
    office = Office()
    office.phone_on_duty("pip", "102")
    for name in ("in1", "in2"):
        office.incoming(name, "0555777" if name == "in1" else "112", sip.Source("phone", "102"))
    first, second = office.w.calls.values()
    assert office.w.desks["pip"].call is first
    office.sip(sip.Cancelled("in1"))
    assert office.w.desks["pip"].call is second
    assert office.w.acd.agent("pip").engaged
    with pytest.raises(Unwilling, match="present call"):
        office.ask(live.AgentDesk("pip", None))
