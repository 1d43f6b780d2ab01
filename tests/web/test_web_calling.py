"""What people do with calls over the API, as it arrives at control; and numbers hidden by role."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import live
from appliance.ledger.writer import Ledger
from appliance.web.hub import LiveHub
from appliance.web.masking import Mask, mask_for
from tests.web import scenes
from tests.web.box import Box, box
from tests.web.history import answered


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    now = scenes.clock()
    ledger = await Ledger.open(tmp_path / "ledger.db", now - 600_000, reserve_bytes=0)
    await ledger.append(answered("c1", now - 500_000, "ana", "+40721555014", None))
    await ledger.close()
    async with box(tmp_path, free_port, privacy={"shown_digits": {"agent": 3}}) as one:
        yield one


@pytest.mark.parametrize(
    ("path", "body", "request_"),
    [
        ("consult", {"step": "start", "number": "101"}, live.AgentConsult("", "start", "101")),
        ("consult", {"step": "complete"}, live.AgentConsult("", "complete")),
        ("park", {}, live.AgentPark("")),
        ("fetch", {"orbit": "701"}, live.AgentFetch("", "701")),
        ("pickup", {"colleague": "boris"}, live.AgentPickup("", "boris")),
        ("supervise", {"mode": "whisper", "of": "ana"}, live.Supervise("", "whisper", "ana")),
        ("supervise", {"mode": "stop"}, live.Supervise("", "stop")),
        ("look", {"call": "c1"}, live.LookAt("", "c1")),
        ("dnd", {"on": True}, live.SetDnd("", True)),
        ("forward", {"when": "busy", "number": "202"}, live.SetForward("", "busy", "202")),
        ("forward", {"when": "busy"}, live.SetForward("", "busy")),
        ("desk", {"phone": "101"}, live.AgentDesk("", "101")),
        ("redial", {"call": "c1"}, live.AgentDial("", "+40721555014")),
    ],
)
async def test_each_is_a_request_of_whoever_is_signed_in(
    running: Box, path: str, body: dict[str, Any], request_: Any
) -> None:
    client = await running.signed_in("dina")
    answer = await client.post(f"/api/v1/agent/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert running.control.requests[-1] == msgspec.structs.replace(request_, agent="dina")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("consult", {"step": "start"}, 422),
        ("consult", {"step": "cancel", "number": "101"}, 422),
        ("supervise", {"mode": "listen"}, 422),
        ("supervise", {"mode": "listen", "of": "boris"}, 403),
        ("fetch", {"orbit": "x"}, 422),
        ("forward", {"when": "sometimes"}, 422),
        ("redial", {"call": "nope"}, 404),
    ],
)
async def test_what_makes_no_sense_or_is_not_allowed_never_reaches_control(
    running: Box, path: str, body: dict[str, Any], status: int
) -> None:
    client = await running.signed_in("ana")
    assert (await client.post(f"/api/v1/agent/{path}", json=body)).status_code == status
    assert running.control.requests == []


async def test_an_agent_sees_the_last_digits_and_a_supervisor_all(running: Box) -> None:
    ana = await running.signed_in("ana")
    dina = await running.signed_in("dina")
    mine = (await ana.get("/api/v1/calls/c1")).json()
    assert mine["caller"] == "•" * 9 + "014"
    assert "40721555" not in json.dumps(mine)
    theirs = (await dina.get("/api/v1/calls/c1")).json()
    assert theirs["caller"] == "+40721555014"
    found = await ana.get("/api/v1/calls", params={"search": "0721555"})
    assert found.json()["calls"] == []
    assert len((await dina.get("/api/v1/calls", params={"search": "721555"})).json()["calls"]) == 1


def test_no_number_is_left_in_what_an_agents_page_is_sent() -> None:
    site = scenes.site(privacy={"shown_digits": {"agent": 2}})
    hub = LiveHub(lambda live, now: {}, lambda role: mask_for(site, role))
    hub.on_live(scenes.busy())
    whole = hub.text(None, "supervisor")
    hidden = hub.text(None, "agent")
    for number in ("+40721555014", "+40265312044", "0212345678"):
        assert number in whole
        assert number not in hidden
        assert number[-2:] in hidden
    assert json.loads(hub.text(None, None))["live"] == json.loads(hidden)["live"]


def test_agents_are_not_told_who_listens() -> None:
    state = scenes.busy()
    calls = (msgspec.structs.replace(state.calls[0], watched=("dina",)), *state.calls[1:])
    state = msgspec.structs.replace(state, calls=calls)
    assert Mask(None, supervises=False).live(state).calls[0].watched == ()  # type: ignore[union-attr]
    assert Mask(None).live(state) is state


def test_extensions_and_words_stay() -> None:
    mask = Mask(2)
    assert mask.text("Desk 201") == "Desk 201"
    assert mask.text("+40721555014 local line:l1") == "••••••••••14 local line:l1"
    assert mask.text(None) is None
