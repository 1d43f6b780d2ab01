"""The private names of aiortc that the fast way stands on."""

from __future__ import annotations

import asyncio
from asyncio import selector_events

import aioice.ice
import pylibsrtp
import pytest
import uvloop
from aiortc import RTCRtpReceiver, RTCRtpSender

from appliance.browser import peer
from appliance.browser.contract import check, drainable


def test_the_installed_aiortc_is_as_assumed() -> None:
    assert check() == []
    assert peer.BROKEN == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (aioice.ice.CandidatePair, "remote_addr"),
        (aioice.ice.Connection, "build_request"),
        (aioice.ice.Connection, "get_component_candidates"),
        (aioice.ice.StunProtocol, "send_stun"),
        (pylibsrtp.Session, "protect"),
        (pylibsrtp.Session, "unprotect_rtcp"),
        (RTCRtpSender, "send"),
        (RTCRtpReceiver, "receive"),
    ],
)
def test_a_name_that_is_gone_is_reported(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, name)
    (broken,) = check()
    assert name in broken


def test_a_function_that_changed_its_arguments_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send(self: RTCRtpSender, parameters: object, transport: object) -> None: ...

    monkeypatch.setattr(RTCRtpSender, "send", send)
    (broken,) = check()
    assert "RTCRtpSender.send" in broken


async def _endpoint() -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    return transport


async def test_a_socket_can_be_taken_off_the_loop_and_put_back() -> None:
    loop, transport = asyncio.get_running_loop(), await _endpoint()
    assert drainable(loop, transport)
    transport.close()


def test_another_event_loop_keeps_its_sockets() -> None:
    async def look() -> bool:
        transport = await _endpoint()
        try:
            return drainable(asyncio.get_running_loop(), transport)
        finally:
            transport.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert not runner.run(look())


@pytest.mark.parametrize("name", ["_read_ready", "_sock_fd"])
async def test_a_transport_that_has_changed_keeps_its_socket(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = await _endpoint()
    owner = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        if name in vars(owner):
            patch.delattr(owner, name)
        else:
            patch.setattr(transport, name, None)
        assert not drainable(asyncio.get_running_loop(), transport)
    transport.close()
