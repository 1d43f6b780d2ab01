"""What all parts of the core share: timers, transactions, output, events, randomness."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.sip.events import Event, SipConfig, Transport
from appliance.sip.flow import Flow, Hop
from appliance.sip.message import Message, response_to
from appliance.sip.timers import Timers
from appliance.sip.transaction import Server, Transactions

if TYPE_CHECKING:
    from appliance.sip.dialog import SavedDialog
    from appliance.sip.incoming import IncomingLeg
    from appliance.sip.leg import Leg
    from appliance.sip.outgoing import OutgoingCall

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE"
SERVER = ("server", "Centrala")


class Context:
    """`entropy(n)` gives n random bytes; `route(host)` our address on the way to a peer."""

    def __init__(
        self,
        config: SipConfig,
        entropy: Callable[[int], bytes],
        route: Callable[[str], str],
    ) -> None:
        self.config = config
        self.entropy = entropy
        self.timers = Timers()
        self.output: list[tuple[Hop, bytes]] = []
        self.events: list[Event] = []
        self.connections: set[int] = set()
        """TCP connections that are open."""
        self.legs: dict[str, Leg] = {}
        """Legs by our tag, until their last transaction is over."""
        self.calls: dict[str, IncomingLeg | OutgoingCall] = {}
        """Calls by key, as long as the switch may speak of them."""
        self.kept: list[tuple[str, SavedDialog | None]] = []
        """How answered calls are ended after a crash: by our tag, None when one is over."""
        self.transactions = Transactions(self.timers, self.send, self.token)
        self.background = Transactions(Timers(), self.send, self.token)
        """Those of trunks, apart, so that nothing is left of the others when no call is."""
        self._route = route

    def send(self, hop: Hop, data: bytes) -> None:
        self.output.append((hop, data))

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def token(self) -> str:
        """64 random bits: tags, branches, keys."""
        return self.entropy(8).hex()

    def hop(self, transport: Transport, host: str, port: int) -> Hop:
        """The way to an address, over UDP or the TCP connection to there."""
        own = Flow(transport, 0, self._route(host), self.config.port_of(transport))
        return Hop(own, host, port)

    def alive(self, hop: Hop) -> bool:
        connection = hop.flow.connection
        return connection == 0 or connection in self.connections

    def reply(
        self,
        request: Message,
        hop: Hop,
        status: int,
        headers: list[tuple[str, str]] | None = None,
        reason: str = "",
    ) -> None:
        """Answer without keeping state (RFC 3261 section 8.2.7): a repeated request is answered
        anew. The tag depends on the request alone, so all its answers carry the same."""
        tag = f"{hash((request.call_id, request.from_tag, request.cseq)) & 0xFFFFFFFFFFFFFFFF:x}"
        response = response_to(request, status, reason, tag, [SERVER, *(headers or [])])
        self.send(hop, response.encode())

    def respond(
        self,
        server: Server,
        status: int,
        now: int,
        tag: str = "",
        headers: list[tuple[str, str]] | None = None,
        body: str = "",
    ) -> bytes:
        """Answer within a transaction. Returns the bytes sent."""
        response = response_to(server.request, status, "", tag, [SERVER, *(headers or [])], body)
        return server.respond(response, now)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def answer_hop(request: Message, flow: Flow, source: tuple[str, int]) -> Hop:
    """Where the responses to a request go (RFC 3261 section 18.2.2, RFC 3581): back down its
    connection, or to its source address, at the source port if the peer asked for that. `maddr`
    is not obeyed, so nobody can aim our answers at others."""
    host, port = source
    if flow.transport == "udp" and "rport" not in request.via.params:
        port = request.via.port or 5060
    return Hop(flow, host, port)


def is_symmetric(request: Message, flow: Flow, source: tuple[str, int]) -> bool:
    """The peer wants its requests where its own come from, not at its Contact: behind a NAT, over
    a connection, or with rport."""
    via = request.via
    return flow.transport != "udp" or "rport" in via.params or via.host != source[0]


def stamp_via(request: Message, source: tuple[str, int]) -> None:
    """Note in the top Via where the request really came from (RFC 3581 section 4)."""
    via = request.via
    host, port = source
    asked = "rport" in via.params
    if via.host == host and not asked:
        return
    for index, (name, value) in enumerate(request.headers):
        if name == "via":
            top, comma, rest = _top(value)
            pieces = [p for p in top.split(";") if not _is_stamp(p)]
            pieces.append(f"received={host}")
            if asked:
                pieces.append(f"rport={port}")
            request.headers[index] = (name, ";".join(pieces) + comma + rest)
            return


def _top(value: str) -> tuple[str, str, str]:
    return value.partition(",") if '"' not in value else (value, "", "")


def _is_stamp(piece: str) -> bool:
    return piece.partition("=")[0].strip().lower() in ("received", "rport")
