"""Messages: left by callers, heard by phone, shown by lamps, on simulated time."""

from __future__ import annotations

import pytest

from appliance import live
from appliance.events import (
    Disconnect,
    MessageDeleted,
    MessageDropped,
    MessageHeard,
    MessageKept,
    MessageStarted,
    QLeave,
    RecordingStarted,
)
from appliance.ivr.actions import Recorded
from appliance.ledger.projection import MessageRow
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.sip.summary import MessageSummary
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import START, Office, site

BOXES = """
[boxes.pip]
name = "Pip"
person = "pip"
[boxes.sales]
name = "Sales"
queues = ["sales"]
phones = ["101"]
most = 2
"""
TRUNK = sip.Source("trunk", "voip")
DESK = sip.Source("phone", "102")
RECEPTION = sip.Source("phone", "101")


def office(extra: str = "", then: str = "") -> Office:
    document = site(BOXES + extra)
    if then:
        queue = document.queues["sales"].model_copy(update={"then": then, "max_wait_s": 10})
        document = document.model_copy(update={"queues": {"sales": queue}})
    made = Office(document)
    made.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    made.sip(sip.Registered("102", 1, "192.0.2.50:5060"))
    return made


def said(office: Office) -> None:
    """What is being said is over."""
    speak = office.last(act.Speak)
    office.media(p.PlayEnded(speak.leg, speak.token, "done"))
    office.wait(0.01)


def lamp(office: Office, phone: str) -> tuple[int, int]:
    told = [
        one
        for one in office.all(act.SipPublish)
        if (one.package, one.resource) == ("message-summary", phone)
    ]
    assert told[-1].state is not None
    document = told[-1].state.document
    assert isinstance(document, MessageSummary)
    return document.fresh, document.old


def to_pip(office: Office) -> None:
    """A customer calls Pip by the trunk, and hears the greeting of Pip's box."""
    document = office.w.site.lines["voip"].model_copy(update={"numbers": {"55": "phone:203"}})
    lines = {**office.w.site.lines, "voip": document}
    office.w.site = office.w.site.model_copy(update={"lines": lines})
    office.incoming("in1", "55", TRUNK, "+40721000001")


def leg(office: Office) -> int:
    (call,) = office.w.calls.values()
    return call.a.id


def hang_up(office: Office, key: str = "in1") -> None:
    office.sip(sip.HungUp(key, "normal"))


def leave_one(office: Office, seconds: float = 6) -> MessageKept:
    """A whole message for Pip."""
    to_pip(office)
    office.wait(26)
    said(office)
    office.wait(seconds)
    hang_up(office)
    return office.last(MessageKept)


def test_who_does_not_answer_gets_a_message() -> None:
    box = office()
    to_pip(box)
    assert box.last(act.SipInvite).target == "102"
    box.wait(24)
    assert not box.all(act.SipAnswer)
    box.wait(2)
    assert box.all(act.SipHangUp)
    assert "Pip" in (box.last(act.Speak).prompts[0].text or "")  # type: ignore[union-attr]
    assert not box.commands(p.StartRecording)
    said(box)
    started = box.last(p.StartRecording)
    assert (started.left, started.right) == (leg(box), None)
    assert box.commands(p.Listen)[-1].level
    box.wait(6)
    hang_up(box)
    kept = box.last(MessageKept)
    assert (kept.box, kept.caller, kept.duration_ms // 1000) == ("pip", "+40721000001", 6)
    assert started.path.endswith(kept.path)
    assert lamp(box, "102") == (1, 0)
    assert lamp(box, "101") == (0, 0)
    facts = [type(fact) for fact in box.facts]
    assert facts.index(RecordingStarted) < facts.index(MessageStarted)
    assert facts.index(MessageKept) < facts.index(Disconnect)
    stop = box.commands(p.StopRecording)
    assert [one.recording for one in stop] == [kept.recording]


@pytest.mark.parametrize("why", ["dnd", "busy", "away", "rejected"])
def test_whoever_cannot_be_had_has_a_box(why: str) -> None:
    box = office()
    match why:
        case "dnd":
            box.ask(live.SetDnd("pip", True))
        case "busy":
            box.incoming("own", "101", DESK)
        case "away":
            box.sip(sip.Unregistered("102"))
    to_pip(box)
    if why == "rejected":
        box.sip(sip.Failed(box.last(act.SipInvite).sip, 603, "Decline"))
    (call,) = [one for one in box.w.calls.values() if one.caller == "+40721000001"]
    assert call.menu is not None
    assert call.menu.menu == "voicemail:pip"


def test_a_box_that_takes_nothing_by_itself_is_left_alone() -> None:
    box = Office(site(BOXES.replace('person = "pip"', 'person = "pip"\ntakes = ["no_answer"]')))
    to_pip(box)
    assert box.last(Disconnect).cause == "unreachable"


def test_a_queue_overflows_into_a_box() -> None:
    box = office(then="voicemail:sales")
    box.incoming("in1", "55", TRUNK, "+40721000001")
    box.wait(11)
    assert box.last(QLeave).reason == "timeout"
    assert box.last(act.HoldMusic).file is None
    said(box)
    box.wait(5)
    box.media(p.Key(leg(box), "#", "inband"))
    assert not box.all(MessageKept)
    box.media(p.Key(leg(box), "1", "inband"))
    assert box.last(MessageKept).box == "sales"
    said(box)
    assert not box.w.calls
    assert lamp(box, "101") == (1, 0)
    ana = next(one for one in _live(box).agents if one.id == "ana")
    assert ana.messages == 1


def _live(office: Office) -> live.Live:
    from appliance.switch.snapshot import snapshot

    return snapshot(office.w, seq=1, now=office.now, ready=True, facts=0, version=0)


def test_it_is_recorded_again_and_the_first_one_goes() -> None:
    box = office(then="voicemail:sales")
    box.incoming("in1", "55", TRUNK)
    box.wait(11)
    said(box)
    box.wait(5)
    box.media(p.Key(leg(box), "#", "inband"))
    box.media(p.Key(leg(box), "2", "inband"))
    assert box.last(MessageDropped).reason == "again"
    said(box)
    box.wait(4)
    hang_up(box)
    kept = box.last(MessageKept)
    assert kept.recording != box.last(MessageDropped).recording
    assert len(box.all(MessageStarted)) == 2


def test_too_short_is_not_kept_but_silence_after_speech_ends_it() -> None:
    box = office()
    to_pip(box)
    box.wait(26)
    said(box)
    box.wait(1)
    hang_up(box)
    assert box.last(MessageDropped).reason == "short"
    to_pip(box)
    box.wait(26)
    said(box)
    for second in range(12):
        box.wait(1)
        if box.w.calls:
            box.media(p.LegLevel(leg(box), None, second < 3))
    assert box.last(MessageKept).duration_ms // 1000 == 11


def test_nothing_said_is_nothing_kept() -> None:
    box = office()
    to_pip(box)
    box.wait(26)
    for _ in range(3):
        said(box)
        for _ in range(8):
            box.wait(1)
            box.media(p.LegLevel(leg(box), None, False))
    assert {fact.reason for fact in box.facts if isinstance(fact, MessageDropped)} == {"silent"}
    assert not box.all(MessageKept)
    said(box)
    assert not box.w.calls


def test_a_full_box_says_so() -> None:
    box = office(then="voicemail:sales")
    for turn in range(3):
        box.incoming(f"in{turn}", "55", TRUNK)
        box.wait(11)
        if turn == 2:
            break
        said(box)
        box.wait(4)
        hang_up(box, f"in{turn}")
    assert "later" in (box.last(act.Speak).prompts[0].text or "")  # type: ignore[union-attr]
    assert len(box.all(MessageStarted)) == 2


def test_a_full_disk_takes_no_message() -> None:
    box = office()
    box.w.recording_allowed = False
    to_pip(box)
    box.wait(26)
    assert "later" in (box.last(act.Speak).prompts[0].text or "")  # type: ignore[union-attr]


def test_it_is_heard_by_phone_and_the_lamp_goes_out() -> None:
    box = office()
    kept = leave_one(box)
    box.incoming("listen", "*98", DESK, "102")
    speak = box.last(act.Speak)
    assert Recorded(kept.path) in speak.prompts
    assert "one" in (speak.prompts[0].text or "")  # type: ignore[union-attr]
    assert lamp(box, "102") == (1, 0)
    said(box)
    assert box.last(MessageHeard).agent == "pip"
    assert lamp(box, "102") == (0, 1)
    box.wait(7)
    assert "no more" in (box.last(act.Speak).prompts[0].text or "").lower()  # type: ignore[union-attr]
    said(box)
    assert not box.w.calls


def test_keys_go_on_delete_and_call_back() -> None:
    box = office()
    first, second = leave_one(box), leave_one(box)
    box.incoming("listen", "*98", DESK, "102")
    box.media(p.Key(leg(box), "3", "rfc4733"))
    assert box.last(MessageDeleted).path == first.path
    assert Recorded(second.path) in box.last(act.Speak).prompts
    box.media(p.Key(leg(box), "1", "rfc4733"))
    assert box.last(MessageHeard).message == second.message
    assert Recorded(second.path) in box.last(act.Speak).prompts
    box.media(p.Key(leg(box), "5", "rfc4733"))
    (call,) = box.w.calls.values()
    assert call.listening is None
    assert call.called is not None
    assert "40721000001" in call.called or "721000001" in call.called
    assert lamp(box, "102") == (0, 1)


def test_whoever_hangs_up_in_the_middle_has_not_heard_it() -> None:
    box = office()
    leave_one(box)
    box.incoming("listen", "*98", DESK, "102")
    box.wait(2)
    hang_up(box, "listen")
    assert not box.all(MessageHeard)
    assert lamp(box, "102") == (1, 0)


def test_from_another_phone_only_with_the_pin() -> None:
    box = office()
    kept = leave_one(box)
    box.incoming("no", "*98203*0000", RECEPTION)
    check = box.last(act.CheckPin)
    assert (check.person, check.pin) == ("pip", "0000")
    box.switch.pin_checked(check.call, False, box.now)
    box._take()
    said(box)
    assert not any(Recorded(kept.path) in one.prompts for one in box.all(act.Speak))
    box.incoming("yes", "*98203*1234", RECEPTION)
    box.switch.pin_checked(box.last(act.CheckPin).call, True, box.now)
    box._take()
    assert Recorded(kept.path) in box.last(act.Speak).prompts
    # Hearing messages signs nobody in.
    assert box.w.desks["pip"].at_phone is None


def test_reception_hears_the_box_whose_lamp_it_has() -> None:
    box = office()
    box.incoming("listen", "*98", RECEPTION)
    assert "no messages" in (box.last(act.Speak).prompts[0].text or "").lower()  # type: ignore[union-attr]


def test_the_page_marks_and_deletes() -> None:
    box = office()
    kept = leave_one(box)
    box.ask(live.MarkMessage("pip", kept.message))
    assert lamp(box, "102") == (0, 1)
    box.ask(live.MarkMessage("pip", kept.message, new=True))
    assert lamp(box, "102") == (1, 0)
    box.ask(live.DeleteMessage("pip", kept.message))
    assert lamp(box, "102") == (0, 0)
    with pytest.raises(Unwilling):
        box.ask(live.DeleteMessage("pip", kept.message))


def test_what_lay_there_before_the_start_and_what_is_too_old() -> None:
    box = office()
    row = MessageRow(
        message="m0",
        box="pip",
        call="c0",
        recording="c0-1",
        path="recordings/2023-11-01/c0-1.wav",
        at=START - 1000,
        duration_ms=3000,
    )
    box.switch.remember_messages([row], box.now)
    box._take()
    assert lamp(box, "102") == (1, 0)
    box.switch.forget_messages(START, box.now)
    box._take()
    assert lamp(box, "102") == (0, 0)


def test_the_lamp_follows_whoever_sits_there() -> None:
    box = office()
    leave_one(box)
    box.ask(live.AgentDesk("pip", "101"))
    assert lamp(box, "101") == (1, 0)
    withdrawn = [one for one in box.all(act.SipPublish) if one.resource == "102"]
    assert withdrawn[-1].state is None
