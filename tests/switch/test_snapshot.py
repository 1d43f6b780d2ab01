"""What pages see is what the switch has."""

from __future__ import annotations

import msgspec

from appliance import live
from appliance.switch.snapshot import snapshot
from tests.switch.office import Office


def seen(office: Office) -> live.Live:
    """The state after a trip over the wire."""
    state = snapshot(office.w, seq=1, now=office.now, ready=True, facts=7)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=live.Live)


def agent(office: Office, name: str) -> live.LiveAgent:
    return next(a for a in seen(office).agents if a.id == name)


def test_an_idle_office() -> None:
    state = seen(Office())
    assert [q.id for q in state.queues] == ["sales"]
    assert {line.id: line.state for line in state.lines} == {
        "l1": "idle",
        "l2": "idle",
        "voip": "idle",
    }
    assert all(a.phase == "offline" for a in state.agents)


def test_an_offered_call_shows_caller_queue_and_waited_time() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.wait(2)
    row = agent(office, "ana")
    assert row.phase == "offered"
    assert row.call is not None
    assert (row.call.phase, row.call.caller, row.call.queue_name) == ("ringing", "5550123", "Sales")
    assert row.call.waited_ms == 2000
    waiting = seen(office).waiting[0]
    assert (waiting.position, waiting.offered_to) == (1, ("ana",))


def test_talk_hold_and_wrap_up_follow_each_other() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    assert agent(office, "ana").call.phase == "connecting"  # type: ignore[union-attr]
    office.talk()
    assert agent(office, "ana").call.phase == "talking"  # type: ignore[union-attr]
    assert seen(office).calls[0].recording
    office.ask(live.AgentAction("ana", "hold"))
    assert agent(office, "ana").call.phase == "held"  # type: ignore[union-attr]
    assert seen(office).calls[0].phase == "held"
    office.ask(live.AgentAction("ana", "hangup"))
    row = agent(office, "ana")
    assert (row.phase, row.call) == ("wrap", None)
    assert row.wrap_until == office.now + 10_000
