"""Overflow to another office: told how long the caller waited, and nobody lost when it fails."""

from __future__ import annotations

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import actions as act
from tests.switch.office import SESSION, Office, site

NORTH = '[sites.north]\nname = "North"\nnumber = "5550300"\nlines = ["voip", "l1"]\nring_s = 20\n'
TRUNK = sip.Source("trunk", "voip")


def office(extra: str = NORTH, trunk: dict[str, object] | None = None, **rules: object) -> Office:
    values = site(extra).model_dump(exclude_none=True)
    values["queues"]["sales"].update(
        {"overflow_to": "site:north", "overflow_after_s": 30, "max_wait_s": 300, **rules}
    )
    values["lines"]["voip"].update(trunk or {})
    return Office(Site.model_validate(values))


def overflowed(box: Office) -> act.SipInvite:
    box.queue_call("l2")
    box.wait(30)
    assert box.last(e.QLeave).reason == "overflow"
    return box.last(act.SipInvite)


def test_the_other_office_hears_how_long_the_caller_waited() -> None:
    box = office()
    invite = overflowed(box)
    assert (invite.trunk, invite.target) == ("voip", "5550300")
    assert invite.headers == (("x-queue-wait", "30"),)
    assert box.last(e.Dialled).by == "site:north"
    box.sip(sip.Answered(invite.sip, SESSION))
    box.talk()
    assert box.last(e.Bridged).b == "trunk:voip"
    box.wait(600)
    assert not box.all(e.Disconnect), "the two go on talking"


def test_the_callers_number_is_kept_where_the_trunk_shows_any() -> None:
    assert overflowed(office(trunk={"any_caller_id": True})).caller == "5550123"
    ours = overflowed(office(trunk={"caller_id": "5550199"}))
    assert (ours.caller, ours.withheld) == ("5550199", False)


def test_a_withheld_caller_stays_withheld() -> None:
    box = office(trunk={"caller_id": "5550199"})
    box.ring("l2", None)
    box.pick_up("l2")
    box.wait(30)
    invite = box.last(act.SipInvite)
    assert (invite.caller, invite.withheld) == ("5550199", True)


def test_the_wait_is_not_told_where_the_document_says_so() -> None:
    assert overflowed(office(NORTH + "tell_wait = false\n")).headers == ()


def test_the_next_line_is_tried_when_the_first_fails() -> None:
    box = office()
    box.sip(sip.Failed(overflowed(box).sip, 503, ""))
    assert box.last(p.DialLine) == p.DialLine("l1", "5550300")


def test_busy_there_goes_on_to_what_the_queue_says() -> None:
    box = office(then="menu:main")
    box.sip(sip.Failed(overflowed(box).sip, 486, ""))
    assert box.last(e.IvrIn).menu == "main"
    assert not box.all(e.Disconnect)


def test_nobody_there_in_time_brings_the_caller_back_to_their_place() -> None:
    box = office()
    overflowed(box)
    box.ring("l1")
    box.pick_up("l1")
    box.media(p.Key(box.last(p.OpenLine).leg, "1", "inband"))
    box.wait(20)
    first, second = (view.call for view in box.w.acd.waiting())
    assert first == box.all(e.CallOpened)[0].call, "the longer wait is still ahead"
    assert second == box.all(e.CallOpened)[1].call
    assert box.last(e.QEnter).parent is not None
    box.on_duty("ana")
    box.answer("ana")
    box.talk()
    assert box.last(e.Connect).call == first


def test_a_caller_who_came_back_is_not_sent_there_again() -> None:
    box = office()
    invite = overflowed(box)
    box.sip(sip.Failed(invite.sip, 486, ""))
    box.wait(120)
    assert box.last(act.SipInvite) is invite
    assert len(box.w.acd.waiting()) == 1


def test_a_caller_who_hangs_up_while_it_rings_there_is_gone() -> None:
    box = office()
    invite = overflowed(box)
    box.media(p.LineHungUp("l2", "tone"))
    assert box.last(act.SipHangUp).sip == invite.sip
    assert not box.w.calls


def test_an_agent_who_gets_ready_meanwhile_changes_nothing_for_who_rings_there() -> None:
    box = office()
    invite = overflowed(box)
    box.on_duty("ana")
    assert not box.all(e.Offer)
    box.sip(sip.Failed(invite.sip, 486, ""))
    assert box.last(e.Offer).agent == "ana"


def test_who_comes_from_another_office_keeps_their_wait_and_is_not_passed_on_again() -> None:
    box = office()
    box.queue_call("l2")
    box.wait(10)
    box.sip(
        sip.Incoming(
            "in1", TRUNK, "5550777", None, "5550100", None, "192.0.2.1", "udp", "", waited_s=45
        )
    )
    call = box.all(e.CallOpened)[1].call
    assert box.w.acd.waiting()[0].call == call, "45 s there are more than 10 s here"
    box.wait(40)
    assert [d.call for d in box.all(e.Dialled)] == [box.all(e.CallOpened)[0].call]
    assert call in {view.call for view in box.w.acd.waiting()}


def test_the_days_ceiling_holds() -> None:
    box = office(NORTH + "[numbering.ceiling]\ncalls = 0\n", then="menu:main")
    box.queue_call("l2")
    box.wait(30)
    assert box.last(e.DialRefused).reason == "ceiling"
    assert box.last(e.IvrIn).menu == "main"


def test_a_key_of_the_menu_may_lead_there_too() -> None:
    values = site(NORTH).model_dump(exclude_none=True)
    values["menus"]["main"]["keys"]["3"] = {"go": "site:north"}
    box = Office(Site.model_validate(values))
    box.ring("l1")
    box.pick_up("l1")
    box.media(p.Key(box.last(p.OpenLine).leg, "3", "inband"))
    assert box.last(act.SipInvite).target == "5550300"
    box.sip(sip.Failed(box.last_invite(), 486, ""))
    box.wait(5)
    assert box.last(e.Disconnect).cause == "busy"


def test_campaign_goes_before_person_and_only_what_the_trunk_owns_is_shown() -> None:
    values = site().model_dump(exclude_none=True)
    values["campaigns"] = {
        "spring": {"name": "Spring", "caller_id": "5550111"},
        "secret": {"name": "Secret", "caller_id": "withheld"},
    }
    values["people"]["ana"]["caller_id"] = "5550199"
    values["lines"]["voip"]["caller_id"] = "5550111"
    values["lines"]["voip"]["channels"] = 5
    box = Office(Site.model_validate(values))
    box.on_duty("ana")

    def shown(**label: str) -> tuple[str | None, bool]:
        box.ask(live.AgentDial("ana", "05557770", **label))
        invite = box.last(act.SipInvite)
        box.ask(live.AgentAction("ana", "hangup"))
        return invite.caller, invite.withheld

    assert shown() == ("5550199", False)
    assert shown(campaign="spring") == ("5550111", False)
    assert shown(campaign="secret") == ("5550111", True)
    assert shown(queue="sales") == ("5550199", False), "the queue has none of its own"
