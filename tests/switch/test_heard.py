"""Tones of the exchange after dialling, and fax machines that call."""

from __future__ import annotations

import tomllib

import pytest

from appliance import live
from appliance.events import ConsultEnd, Disconnect, IvrOut, QLeave, Transfer, Unparked
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import actions as act
from tests.switch.office import SITE, Office, site

FAX = "[lines.l3]\nkind = 'modem'\nname = 'Fax'\ndevice = '/dev/l3'\nfax = 'phone:101'\nroute = "


def office(route: str = "menu:main") -> Office:
    made = Office(site(f"{FAX}'{route}'\n"))
    made.phone_on_duty("pip", "101")
    return made


def dialled() -> tuple[Office, int]:
    """An agent who has dialled out on an analog line: the office and the line's leg."""
    made = Office()
    made.on_duty("ana")
    made.w.trunks["voip"] = (False, "down")
    made.ask(live.AgentDial("ana", "0555777"))
    made.media(p.LineOffHook("l1", sure=False))
    return made, made.last(p.OpenLine).leg


@pytest.mark.parametrize(
    ("tone", "cause"),
    [
        ("sit_vacant", "unknown_number"),
        ("sit_no_circuit", "no_line"),
        ("sit", "unreachable"),
    ],
)
def test_special_information_ends_a_dialled_call_with_its_cause(tone: str, cause: str) -> None:
    made, leg = dialled()
    made.media(p.ToneHeard(leg, tone))  # type: ignore[arg-type]
    assert made.last(Disconnect).cause == cause
    assert made.last(p.HangUpLine) == p.HangUpLine("l1")


def test_busy_after_dialling_is_busy() -> None:
    made, leg = dialled()
    made.media(p.ToneHeard(leg, "busy"))
    made.media(p.LineHungUp("l1", "tone"))
    assert made.last(Disconnect).cause == "busy"


def test_busy_after_the_far_end_rang_is_the_end_of_a_talk() -> None:
    made, leg = dialled()
    made.media(p.ToneHeard(leg, "ringback"))
    made.wait(20)
    made.media(p.ToneHeard(leg, "busy"))
    made.media(p.LineHungUp("l1", "tone"))
    assert made.last(Disconnect).cause == "normal"


def test_tones_after_a_minute_tell_nothing_of_the_dialling() -> None:
    made, leg = dialled()
    made.wait(61)
    made.media(p.ToneHeard(leg, "sit_vacant"))
    assert made.all(Disconnect) == []


def test_only_lines_with_a_fax_route_listen_for_fax_machines() -> None:
    made = office()
    made.ring("l1")
    made.pick_up("l1")
    assert not made.last(p.Listen).fax
    made.ring("l3")
    made.pick_up("l3")
    assert made.last(p.Listen).fax


def test_a_fax_in_the_menu_goes_to_the_fax() -> None:
    made = office()
    made.ring("l3")
    made.pick_up("l3")
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert made.last(IvrOut).result == "phone"
    assert made.last(p.OpenRtp)
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert len(made.commands(p.OpenRtp)) == 1


def test_a_fax_in_the_queue_goes_to_the_fax() -> None:
    made = office("queue:sales")
    made.ring("l3")
    made.pick_up("l3")
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert made.last(QLeave).reason == "key_exit"
    assert made.last(p.OpenRtp)


def test_a_fax_that_an_agent_answered_goes_to_the_fax_and_the_agent_is_free() -> None:
    made = office("queue:sales")
    made.on_duty("ana")
    made.ring("l3")
    made.pick_up("l3")
    made.answer("ana")
    made.talk()
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert made.last(Transfer).to == "phone:101"
    assert made.w.desks["ana"].call is None
    assert made.last(p.OpenRtp)


def test_a_fax_without_a_route_is_left_alone() -> None:
    made = office()
    made.ring("l1")
    made.pick_up("l1")
    before = len(made.actions)
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert len(made.actions) == before


def test_a_fax_that_was_parked_goes_to_the_fax() -> None:
    made = office("queue:sales")
    made.on_duty("ana")
    made.ring("l3")
    made.pick_up("l3")
    made.answer("ana")
    made.talk()
    made.ask(live.AgentPark("ana"))
    made.media(p.FaxHeard(made.last(p.OpenLine).leg, "cng"))
    assert made.last(Unparked).result == "gone"
    assert made.last(act.SipInvite).target == "101"


def test_a_fax_that_rings_a_person_goes_to_the_fax_and_the_person_is_free() -> None:
    made = office("phone:202")
    made.on_duty("bo")
    made.ring("l3")
    made.pick_up("l3")
    assert made.w.desks["bo"].call is not None
    made.media(p.FaxHeard(1, "cng"))
    assert made.w.desks["bo"].call is None
    assert made.last(act.SipInvite).target == "101"


def test_information_tones_of_a_consulted_number_leave_the_caller_with_the_agent() -> None:
    made = Office()
    made.on_duty("ana")
    made.w.trunks["voip"] = (False, "down")
    made.queue_call()
    made.answer("ana")
    made.talk()
    made.ask(live.AgentConsult("ana", "start", "0555777"))
    made.media(p.LineOffHook("l1", sure=False))
    made.media(p.ToneHeard(made.last(p.OpenLine).leg, "sit_vacant"))
    assert made.last(ConsultEnd).result == "failed"
    assert made.last(p.HangUpLine) == p.HangUpLine("l1")
    assert made.all(Disconnect) == []


@pytest.mark.parametrize(
    ("setting", "line", "trunk"),
    [("", True, False), ("agc = true\n", True, True), ("agc = false\n", False, False)],
)
def test_callers_are_evened_out_as_their_line_is_set(setting: str, line: bool, trunk: bool) -> None:
    text = SITE
    for header in ("[lines.l1]\n", "[lines.voip]\n"):
        text = text.replace(header, header + setting)
    made = Office(Site.model_validate(tomllib.loads(text)))
    made.media(p.LineRinging("l1"))
    made.media(p.LineCallerId("l1", None, None, "missing"))
    made.media(p.LineOffHook("l1"))
    assert made.last(p.OpenLine).agc is line
    made.incoming("s1", "5550000", sip.Source("trunk", "voip"), "5550123")
    assert made.last(p.AimRtp).agc is trunk
