"""The private names of aiortc that the fast way stands on."""

from __future__ import annotations

import aioice.ice
import pylibsrtp
import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender

from appliance.browser import peer
from appliance.browser.contract import check


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
