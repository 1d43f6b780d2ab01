"""Another site document while calls are on: nobody waits in vain, nobody is cut off."""

from __future__ import annotations

import tomllib
from typing import Any

from appliance import live
from appliance.events import AgentState, Connect, Disconnect, QLeave
from appliance.media import protocol as p
from appliance.site.effect import effective
from appliance.site.model import Site
from appliance.switch import actions as act
from appliance.switch.snapshot import snapshot
from tests.switch.office import SITE, Office


def changed(office: Office, change: Any) -> None:
    """Change the document as a person would and make it hold."""
    document: dict[str, Any] = tomllib.loads(SITE)
    change(document)
    office.switch.reform(effective(office.w.site, Site.model_validate(document)), office.now)
    office._take()


def shown(office: Office) -> live.Live:
    return snapshot(office.w, seq=1, now=office.now, ready=True, facts=0)


def test_a_waiting_caller_keeps_waiting_through_every_change_and_is_answered() -> None:
    office = Office()
    office.queue_call("l2")
    office.wait(5)

    def rename(document: Any) -> None:
        document["queues"]["sales"] |= {"name": "Verkauf", "strategy": "linear", "max_wait_s": 90}
        document["menus"]["main"]["prompt"] = {"text": "Press 2."}

    changed(office, rename)
    (waiting,) = shown(office).waiting
    assert waiting.queue == "sales"
    assert shown(office).queues[0].name == "Verkauf"
    office.on_duty("ana")
    office.wait(1)
    office.answer("ana")
    office.talk()
    assert office.last(Connect).agent == "ana"


def test_callers_of_a_queue_that_is_gone_are_served_out() -> None:
    office = Office()
    office.queue_call("l2")

    def gone(document: Any) -> None:
        document["queues"]["help"] = document["queues"].pop("sales") | {"extension": "302"}
        document["lines"]["l2"]["route"] = "queue:help"
        document["lines"]["voip"]["route"] = "queue:help"
        document["menus"]["main"] |= {"default": "queue:help", "keys": {"1": {"go": "queue:help"}}}

    changed(office, gone)
    office.on_duty("ana")
    office.wait(1)
    office.answer("ana")
    office.talk()
    assert [fact.reason for fact in office.all(QLeave)] == ["answered"]


def test_a_caller_in_a_menu_finishes_it_as_it_was_and_finds_the_queue_gone() -> None:
    office = Office()
    office.ring("l1")
    office.pick_up("l1")

    def gone(document: Any) -> None:
        document["queues"]["help"] = document["queues"].pop("sales") | {"extension": "302"}
        document["lines"]["l2"]["route"] = "queue:help"
        document["lines"]["voip"]["route"] = "queue:help"
        document["menus"]["main"] |= {"default": "queue:help", "keys": {"1": {"go": "queue:help"}}}

    changed(office, gone)
    (call,) = office.w.calls.values()
    office.media(p.Key(call.a.id, "1", "inband"))
    said = office.last(act.Speak).prompts[0].text or ""
    assert said.startswith("We are closed")
    assert not office.all(QLeave)


def test_somebody_new_can_sign_in_and_take_calls_at_once() -> None:
    office = Office()
    office.queue_call("l2")

    def hire(document: Any) -> None:
        document["people"]["eve"] = {"name": "Eve", "extension": "204"}
        document["queues"]["sales"]["agents"] = ["ana", "bo", "pip", "eve"]

    changed(office, hire)
    office.on_duty("eve")
    office.wait(1)
    office.answer("eve")
    office.talk()
    assert office.last(Connect).agent == "eve"
    assert "eve" in [one.id for one in shown(office).agents]


def test_somebody_who_is_gone_finishes_the_call_and_is_signed_out() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call("l2")
    office.wait(1)
    office.answer("ana")
    office.talk()

    def fire(document: Any) -> None:
        del document["people"]["ana"]
        document["queues"]["sales"]["agents"] = ["bo", "pip"]

    changed(office, fire)
    assert not office.all(Disconnect)
    office.media(p.LineHungUp("l2", "tone"))
    office.wait(20)
    assert office.all(AgentState)[-1].state == "offline"
    assert "ana" not in [one.id for one in shown(office).agents]


def test_a_strategy_changes_between_two_offers() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    changed(office, lambda d: d["queues"]["sales"].update(strategy="ring_all"))
    office.queue_call("l2")
    office.wait(1)
    ringing = {one.id for one in shown(office).agents if one.phase == "offered"}
    assert ringing == {"ana", "bo"}
