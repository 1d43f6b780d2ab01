"""What `takeover.py` and `peer.py` assume about private names of their libraries.

The dependencies are pinned, but a box may be built with others one day. Then the audio must not
break in the middle of a call: the assumptions are looked at before the first, and where one
does not hold, peers use aiortc's public tracks.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from asyncio import selector_events
from typing import Any

import pylibsrtp
from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.rtcrtpparameters import RTCRtpSendParameters


def check() -> list[str]:
    """Each broken assumption in words; empty when audio can be taken over. Needs no event loop."""
    broken: list[str] = []

    def need(holds: bool, what: str) -> None:
        if not holds:
            broken.append(what)

    def parameters(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters) if callable(function) else []

    try:
        ice_transport = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        dtls = RTCDtlsTransport(ice_transport, [RTCCertificate.generateCertificate()])
    except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        return [f"aiortc's transports cannot be made as before: {error}"]
    connection = getattr(ice_transport, "_connection", None)
    need(hasattr(dtls, "_rx_srtp"), "RTCDtlsTransport._rx_srtp is gone")
    need(hasattr(dtls, "_tx_srtp"), "RTCDtlsTransport._tx_srtp is gone")
    need(dtls.transport is ice_transport, "RTCDtlsTransport.transport is another object")
    need(isinstance(connection, Connection), "RTCIceTransport._connection is no aioice Connection")
    need(
        isinstance(getattr(connection, "_nominated", None), dict),
        "aioice Connection._nominated is no table of pairs",
    )
    need(
        isinstance(getattr(connection, "_protocols", None), list),
        "aioice Connection._protocols is no list",
    )
    need(hasattr(connection, "remote_password"), "aioice Connection.remote_password is gone")
    need(
        parameters(getattr(connection, "build_request", None)) == ["pair", "nominate"],
        "aioice Connection.build_request takes other arguments",
    )
    need(
        parameters(getattr(connection, "get_component_candidates", None))[:2]
        == ["component", "addresses"],
        "aioice Connection.get_component_candidates takes other arguments",
    )
    need(
        isinstance(inspect.getattr_static(CandidatePair, "remote_addr", None), property),
        "aioice CandidatePair.remote_addr is gone",
    )
    need(
        "protocol" in CandidatePair.__init__.__code__.co_names,
        "aioice CandidatePair.protocol is gone",
    )
    need(
        "transport" in getattr(StunProtocol, "__annotations__", {}),
        "aioice StunProtocol.transport is gone",
    )
    need(
        parameters(getattr(StunProtocol, "send_stun", None)) == ["self", "message", "addr"],
        "aioice StunProtocol.send_stun takes other arguments",
    )
    for name in ("protect", "unprotect", "protect_rtcp", "unprotect_rtcp"):
        need(
            parameters(getattr(pylibsrtp.Session, name, None)) == ["self", "packet"],
            f"pylibsrtp Session.{name} takes other arguments",
        )
    need("_ssrc" in RTCRtpSender.__init__.__code__.co_names, "RTCRtpSender._ssrc is gone")
    for owner, name in ((RTCRtpSender, "send"), (RTCRtpReceiver, "receive")):
        function = getattr(owner, name, None)
        need(
            inspect.iscoroutinefunction(function)
            and parameters(function) == ["self", "parameters"],
            f"{owner.__name__}.{name} takes other arguments",
        )
    need(
        hasattr(RTCRtpSendParameters().rtcp, "cname"),
        "RTCRtpSendParameters.rtcp.cname is gone",
    )
    return broken


def drainable(loop: object, transport: object) -> bool:
    """Whether a UDP socket can be taken off this event loop, read by somebody else, and put back.

    With another loop than asyncio's own it cannot, nor should a later Python have other names:
    the loop wakes up for each packet then, and all works as well for three times the cost.
    """
    return (
        isinstance(loop, asyncio.SelectorEventLoop)
        and isinstance(transport, getattr(selector_events, "_SelectorDatagramTransport", ()))
        and all(callable(getattr(loop, name, None)) for name in ("_add_reader", "_remove_reader"))
        and callable(getattr(transport, "_read_ready", None))
        and isinstance(getattr(transport, "_sock", None), socket.socket)
        and isinstance(getattr(transport, "_sock_fd", None), int)
    )
