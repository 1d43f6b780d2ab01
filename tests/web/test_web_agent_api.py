"""What an agent's buttons become on the control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.ipc import Refused
from appliance.live import (
    AgentAction,
    AgentDial,
    AgentKeys,
    AgentPeer,
    PeerSdp,
    SetAgentState,
)
from tests.web.box import Box, box


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    async with box(tmp_path, free_port) as one:
        yield one


@pytest.mark.parametrize(
    ("path", "body", "request_"),
    [
        ("state", {"state": "ready"}, SetAgentState("ana", "ready")),
        (
            "state",
            {"state": "not_ready", "reason": "Lunch"},
            SetAgentState("ana", "not_ready", "Lunch"),
        ),
        ("action", {"action": "answer", "call": "c1"}, AgentAction("ana", "answer", "c1")),
        ("action", {"action": "wrap_end"}, AgentAction("ana", "wrap_end")),
        ("dial", {"number": " +40721555014 "}, AgentDial("ana", "+40721555014")),
        ("keys", {"digits": "12#"}, AgentKeys("ana", "12#")),
    ],
)
async def test_a_button_becomes_a_request_for_the_signed_in_agent(
    running: Box, path: str, body: dict[str, Any], request_: Any
) -> None:
    client = await running.signed_in("ana")
    answer = await client.post(f"/api/v1/agent/{path}", json=body)
    assert answer.status_code == 200
    assert running.control.requests[-1] == request_


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("state", {"state": "busy"}),
        ("state", {"state": "ready", "agent": "boris"}),
        ("action", {"action": "explode"}),
        ("dial", {"number": "12;34"}),
        ("dial", {"number": ""}),
        ("dial", {"number": "1" * 30}),
        ("keys", {"digits": "12 34"}),
        ("peer", {"session": "short", "sdp": "v=0\r\n" * 9}),
        ("peer", {"session": "a" * 16, "sdp": ""}),
    ],
)
async def test_what_makes_no_sense_never_reaches_control(
    running: Box, path: str, body: dict[str, Any]
) -> None:
    client = await running.signed_in("ana")
    answer = await client.post(f"/api/v1/agent/{path}", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert running.control.requests == []


async def test_an_offer_is_answered_with_the_box_s_description(running: Box) -> None:
    async def answer(body: AgentPeer) -> PeerSdp:
        return PeerSdp(f"answer to {body.session}")

    running.control.handlers[AgentPeer] = answer
    client = await running.signed_in("ana")
    body = {"session": "page-0001", "sdp": "v=0\r\n" * 400}
    reply = await client.post("/api/v1/agent/peer", json=body)
    assert reply.json() == {"sdp": "answer to page-0001"}
    assert running.control.requests[-1] == AgentPeer("ana", "page-0001", body["sdp"])


async def test_a_refusal_comes_with_control_s_own_words(running: Box) -> None:
    async def refuse(_: AgentDial) -> None:
        raise Refused("Line 1 and Line 2 are in use; try again when one is free.")

    running.control.handlers[AgentDial] = refuse
    client = await running.signed_in("ana")
    answer = await client.post("/api/v1/agent/dial", json={"number": "0123"})
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Line 1 and Line 2")


async def test_while_control_is_away_the_answer_says_so(running: Box) -> None:
    client = await running.signed_in("ana")
    await running.control.stop()
    answer = await client.post("/api/v1/agent/state", json={"state": "ready"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "restarting"
    assert answer.headers["retry-after"] == "2"
