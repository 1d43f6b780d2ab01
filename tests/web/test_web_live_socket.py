"""The live socket: snapshots, presence, and readers that fall behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from appliance.live import AgentPeer, AgentPresence, PeerSdp
from appliance.web.diffs import apply
from tests.web import scenes
from tests.web.box import Box, box


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    async with box(tmp_path, free_port) as one:
        yield one


_states: WeakKeyDictionary[ClientConnection, dict[str, Any]] = WeakKeyDictionary()


async def until(socket: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    """The first message for which `wanted` holds; differences come as the whole they lead to."""
    async with asyncio.timeout(15):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "diff":
                message = {
                    **_states[socket],
                    **message,
                    "type": "live",
                    "live": apply(_states[socket]["live"], message.get("live", {})),
                    "figures": _states[socket]["figures"] | message.get("figures", {}),
                }
            if message["type"] == "live":
                _states[socket] = message
            if wanted(message):
                return message


def snapshot(message: Any) -> bool:
    return message["type"] == "live" and message["live"] is not None


async def test_the_first_message_after_the_greeting_is_the_whole_state(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        message = await until(socket, snapshot)
    assert message["control"] == "up"
    assert [one["id"] for one in message["live"]["agents"]] == ["ana", "boris", "chen", "dina"]


async def test_a_change_in_the_switch_comes_by_itself(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        first = await until(socket, snapshot)
        running.control.show(scenes.busy())
        message = await until(socket, lambda m: snapshot(m) and m["live"]["calls"])
    assert message["seq"] > first["seq"]
    assert len(message["live"]["waiting"]) == 2


async def test_a_page_that_comes_back_gets_what_it_missed(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        had = await until(socket, snapshot)
    running.control.show(scenes.busy())
    where = f"page-0001&boot={had['boot']}&since={had['seq']}"
    async with running.socket(client, session=where) as socket:
        _states[socket] = had
        while True:
            raw = json.loads(await socket.recv())
            if raw["type"] == "diff":
                break
        assert raw["since"] == had["seq"]
        assert "waiting" in raw["live"]["tables"]
    for where in (f"page-0001&boot=other&since={had['seq']}", "page-0001&since=9", "p&since=²"):
        async with running.socket(client, session=where) as socket:
            kinds = [json.loads(await socket.recv())["type"] for _ in range(2)]
        assert kinds == ["audio", "live"]


async def test_a_burst_of_changes_is_coalesced_to_the_newest(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        await until(socket, snapshot)
        for n in range(200):
            running.control.show(msgspec.structs.replace(scenes.quiet(), office=f"Office {n}"))
        got = 1
        while (await until(socket, snapshot))["live"]["office"] != "Office 199":
            got += 1
    assert got < 20


async def test_nobody_sees_the_state_without_a_sign_in(running: Box) -> None:
    async with running.socket() as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_signing_out_closes_the_pages_of_that_session(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        await until(socket, snapshot)
        await client.post("/api/v1/logout", json={})
        with pytest.raises(ConnectionClosed) as closed:
            await until(socket, lambda _: False)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_ping_is_answered_with_the_box_s_clock(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        await socket.send(json.dumps({"type": "ping", "active": True}))
        pong = await until(socket, lambda m: m["type"] == "pong")
    assert abs(pong["now"] - scenes.clock()) < 60_000


@pytest.mark.parametrize("garbage", ["", "[]", "{}", "null", '{"type": 5}', "[" * 5000, b"\x00"])
async def test_garbage_closes_the_socket_and_nothing_else(
    running: Box, garbage: str | bytes
) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        await until(socket, snapshot)
        await socket.send(garbage)
        with pytest.raises(ConnectionClosed):
            await until(socket, lambda _: False)
    assert (await client.get("/api/v1/health")).status_code == 200


async def test_a_flood_of_pings_closes_the_socket(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client) as socket:
        for _ in range(40):
            await socket.send(json.dumps({"type": "ping"}))
        with pytest.raises(ConnectionClosed):
            await until(socket, lambda _: False)


async def test_control_hears_of_an_agent_s_page_and_of_its_end(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client, session="page-0042") as socket:
        await until(socket, snapshot)
        opened = await running.control.wait_for(AgentPresence)
        assert opened == AgentPresence("ana", "page-0042", True)
    closed = await running.control.wait_for(AgentPresence, 2)
    assert closed == AgentPresence("ana", "page-0042", False)


async def test_while_control_is_away_the_pages_say_so_and_come_back(running: Box) -> None:
    client = await running.signed_in("ana")
    async with running.socket(client, session="page-0042") as socket:
        await until(socket, snapshot)
        await running.control.wait_for(AgentPresence)
        await running.control.stop()
        await until(socket, lambda m: m.get("control") == "away" and m["live"] is not None)
        await running.control.start()
        await until(socket, lambda m: m.get("control") == "up")
        again = await running.control.wait_for(AgentPresence, 2)
    assert again == AgentPresence("ana", "page-0042", True)


async def test_an_agent_s_pages_are_told_which_of_them_has_the_sound(running: Box) -> None:
    async def answer(_: AgentPeer) -> PeerSdp:
        return PeerSdp("v=0")

    running.control.handlers[AgentPeer] = answer
    client = await running.signed_in("ana")
    async with running.socket(client, session="page-000A") as one:
        assert (await until(one, lambda m: m["type"] == "audio"))["session"] is None
        async with running.socket(client, session="page-000B") as two:
            await until(two, snapshot)
            offer = {"session": "page-000B", "sdp": "v=0 and so on"}
            await client.post("/api/v1/agent/peer", json=offer)
            assert await until(one, lambda m: m["type"] == "audio" and m["session"])
        gone = await until(one, lambda m: m["type"] == "audio")
    assert gone["session"] is None


async def test_a_demo_office_shows_its_state_to_guests(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port, demo=True) as demo, demo.socket() as socket:
        message = await until(socket, snapshot)
        assert message["live"]["demo"] is True
    assert demo.control.asked(AgentPresence) == []
