"""Less common ways into a box: past a forward, and from a page."""

from __future__ import annotations

from typing import Literal

import pytest

from appliance import live
from appliance.events import Dialled, Forwarded, MessageDropped, MessageKept, MessageStarted
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from tests.switch.office import Office, site
from tests.switch.test_messages import DESK, RECEPTION, TRUNK, said

BOXES = """
[boxes.pip]
name = "Pip"
person = "pip"
[boxes.bo]
name = "Bo"
person = "bo"
takes = []
"""


def office() -> Office:
    made = Office(site(BOXES))
    made.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    made.sip(sip.Registered("102", 1, "192.0.2.50:5060"))
    return made


@pytest.mark.parametrize("to", ["05550777", "202"])
def test_who_forwards_to_where_nobody_answers_has_the_message(to: str) -> None:
    box = office()
    box.on_duty("bo")
    box.ask(live.SetForward("pip", "no_answer", to))
    box.incoming("in1", "203", RECEPTION)
    box.wait(26)
    assert [fact.to for fact in box.all(Forwarded)] == [to]
    assert not box.all(act.Speak)
    box.wait(61)
    (call,) = box.w.calls.values()
    assert call.menu is not None
    assert call.menu.menu == "voicemail:pip"
    assert box.w.desks["pip"].call is None
    assert box.w.desks["bo"].call is None
    said(box)
    box.wait(4)
    box.sip(sip.HungUp("in1", "normal"))
    assert box.last(MessageKept).box == "pip"


@pytest.mark.parametrize("when", ["always", "no_answer", "busy"])
@pytest.mark.parametrize("door", ["phone", "page"])
def test_who_forwards_to_the_outside_has_the_message_when_no_line_is_to_be_had(
    when: Literal["always", "no_answer", "busy"], door: str
) -> None:
    box = office()
    box.on_duty("ana")
    box.ask(live.SetForward("pip", when, "05550777"))
    if when == "busy":
        box.ask(live.SetDnd("pip", True))
    for line in ("l1", "l2"):
        box.media(p.LineDown(line, "unplugged"))
    box.sip(sip.TrunkState("voip", False, "away"))
    if door == "phone":
        box.incoming("in1", "203", RECEPTION)
    else:
        box.ask(live.AgentDial("ana", "203"))
    box.wait(26)
    assert [fact.to for fact in box.all(Forwarded)] == ["05550777"]
    (call,) = box.w.calls.values()
    assert call.menu is not None
    assert call.menu.menu == "voicemail:pip"
    assert {command.tone for command in box.commands(p.PlayTone)} <= {None, "ringback"}
    said(box)
    box.wait(4)
    if door == "phone":
        box.sip(sip.HungUp("in1", "normal"))
    else:
        box.ask(live.AgentAction("ana", "hangup"))
    assert box.last(MessageKept).box == "pip"


def test_who_has_no_box_for_it_is_told_by_the_door() -> None:
    box = office()
    box.on_duty("bo")
    box.ask(live.SetForward("bo", "always", "05550777"))
    for line in ("l1", "l2"):
        box.media(p.LineDown(line, "unplugged"))
    box.sip(sip.TrunkState("voip", False, "away"))
    box.incoming("in1", "202", RECEPTION)
    assert box.last(act.SipReject).code == 503


def test_the_keys_of_a_page_count_where_the_box_speaks() -> None:
    box = office()
    box.on_duty("ana")
    box.sip(sip.Unregistered("102"))
    box.ask(live.AgentDial("ana", "203"))
    said(box)
    box.wait(5)
    box.ask(live.AgentKeys("ana", "#2"))
    assert box.last(MessageDropped).reason == "again"
    said(box)
    assert len(box.all(MessageStarted)) == 2
    box.wait(4)
    box.ask(live.AgentKeys("ana", "#1"))
    assert box.last(MessageKept).duration_ms // 1000 == 4
    said(box)
    assert not box.w.calls
    assert box.w.desks["ana"].call is None


@pytest.mark.parametrize(
    ("country", "shown", "dialled"),
    [
        ("ro", "0721000001", "0721000001"),
        ("ro", "+40721000001", "0721000001"),
        ("ro", "0049301234567", "0049301234567"),
        ("us", "112", None),
        ("us", "911", None),
    ],
)
def test_called_back_is_who_left_it_and_no_emergency_number(
    country: str, shown: str, dialled: str | None
) -> None:
    document = site(BOXES, country=country)
    numbering = document.numbering.model_copy(
        update={"abroad": ("+",), "calls": ("local", "national", "international")}
    )
    box = Office(document.model_copy(update={"numbering": numbering}))
    box.sip(sip.Registered("102", 1, "192.0.2.50:5060"))
    voip = box.w.site.lines["voip"].model_copy(update={"route": "voicemail:pip"})
    box.w.site = box.w.site.model_copy(update={"lines": {**box.w.site.lines, "voip": voip}})
    box.incoming("in1", "55", TRUNK, shown)
    said(box)
    box.wait(4)
    box.sip(sip.HungUp("in1", "normal"))
    assert box.last(MessageKept).caller == shown
    box.incoming("listen", "*98", DESK, "102")
    (call,) = box.w.calls.values()
    box.media(p.Key(call.a.id, "5", "rfc4733"))
    if dialled is not None:
        assert box.last(Dialled).number == dialled
    else:
        assert not box.all(Dialled)
        assert not box.all(act.SipInvite)
