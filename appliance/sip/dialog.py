"""The state that both ends of a call share (RFC 3261 section 12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from appliance.sip.events import Source, Transport
from appliance.sip.flow import Flow, Hop
from appliance.sip.headers import Address, HeaderError, parse_address, split_list
from appliance.sip.message import Message

_BROKEN: Final = -1
"""Number of a connection that an earlier process had: none has it now."""
_OF_AN_INVITE: Final = ("via", "from", "to", "call-id", "cseq", "contact", "max-forwards")
"""What its CANCEL, or its refusal, repeats."""


@dataclass(frozen=True, slots=True)
class SavedDialog:
    """What ends a call, as it is kept in case this process dies. `at` is UTC ms; `theirs` tells
    that the peer made the connection. Of a call that is not answered yet there is `invite`, the
    header of its INVITE (`ours` or the peer's), and of the dialog nothing but `local_tag` and
    `target`."""

    at: int
    kind: Literal["phone", "trunk"]
    source: str
    nat: bool
    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    cseq: int
    target: str
    routes: tuple[str, ...]
    transport: Transport
    theirs: bool
    host: str
    port: int
    local_host: str
    invite: str = ""
    ours: bool = False

    def hop(self, local_port: int) -> Hop:
        """Where its peer was."""
        connection = _BROKEN if self.theirs else 0
        return Hop(
            Flow(self.transport, connection, self.local_host, local_port), self.host, self.port
        )


def saved_invite(
    request: Message, hop: Hop, source: Source, nat: bool, tag: str, ours: bool, now: int
) -> SavedDialog:
    """A call that is not answered yet."""
    headers = [pair for pair in request.headers if pair[0] in _OF_AN_INVITE]
    head = Message(request.method, request.uri, headers=headers).encode()
    return SavedDialog(
        now,
        source.kind,
        source.id,
        nat,
        "",
        "",
        "",
        tag,
        "",
        0,
        request.uri,
        (),
        hop.flow.transport,
        hop.flow.connection != 0,
        hop.host,
        hop.port,
        hop.flow.local_host,
        head.decode("utf-8", "surrogateescape"),
        ours,
    )


@dataclass(slots=True)
class Dialog:
    """`local`, `remote` are whole From/To values, tags included. `target` is the URI requests go
    to; `routes` the route set as Route values, first hop first."""

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    local_cseq: int
    remote_cseq: int
    target: str
    hop: Hop
    contact: str
    routes: list[str] = field(default_factory=list)

    @classmethod
    def answering(cls, request: Message, hop: Hop, tag: str, contact: str) -> Dialog:
        """The dialog that our response to this INVITE makes (section 12.1.1)."""
        to = request.get("to") or ""
        return cls(
            request.call_id,
            f"{to};tag={tag}",
            request.get("from") or "",
            tag,
            request.from_tag,
            0,
            request.cseq,
            target_of(request) or "",
            hop,
            contact,
            _routes(request),
        )

    @classmethod
    def calling(cls, request: Message, response: Message, tag: str, hop: Hop) -> Dialog:
        """The dialog that this response to our INVITE makes (section 12.1.2)."""
        cseq = int((request.get("cseq") or "1").partition(" ")[0])
        return cls(
            request.get("call-id") or "",
            request.get("from") or "",
            response.get("to") or "",
            tag,
            response.to_tag,
            cseq,
            0,
            target_of(response) or request.uri,
            hop,
            request.get("contact") or "",
            _routes(response)[::-1],
        )

    @classmethod
    def restored(cls, saved: SavedDialog, local_port: int, gap: int) -> Dialog:
        """The dialog of an earlier process, which may have sent up to `gap` more requests."""
        return cls(
            saved.call_id,
            saved.local,
            saved.remote,
            saved.local_tag,
            saved.remote_tag,
            saved.cseq + gap,
            0,
            saved.target,
            saved.hop(local_port),
            "",
            list(saved.routes),
        )

    def saved(self, source: Source, nat: bool, now: int) -> SavedDialog:
        """To be given to `restored` of a later process."""
        flow = self.hop.flow
        return SavedDialog(
            now,
            source.kind,
            source.id,
            nat,
            self.call_id,
            self.local,
            self.remote,
            self.local_tag,
            self.remote_tag,
            self.local_cseq,
            self.target,
            tuple(self.routes),
            flow.transport,
            flow.connection != 0,
            self.hop.host,
            self.hop.port,
            flow.local_host,
        )

    def request(self, method: str, cseq: int | None = None) -> Message:
        """A request within the dialog. `cseq` is given for ACK only."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.target, self.routes
        if routes and not self._loose(routes[0]):
            # A strict router (RFC 2543) wants itself in the Request-URI and the target at the end.
            uri, routes = parse_address(routes[0]).text, [*routes[1:], f"<{self.target}>"]
        headers = [
            ("max-forwards", "70"),
            *(("route", route) for route in routes),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE"):
            headers.append(("contact", self.contact))
        return Message(method, uri, headers=headers)

    def refresh(self, message: Message) -> None:
        """Take a new remote target (section 12.2)."""
        target = target_of(message)
        if target is not None:
            self.target = target

    def next_hop(self) -> Address | None:
        """The URI whose address the next request goes to."""
        try:
            return parse_address(self.routes[0] if self.routes else f"<{self.target}>")
        except HeaderError:
            return None

    @staticmethod
    def _loose(route: str) -> bool:
        return "lr" in parse_address(route).uri.params


def target_of(message: Message) -> str | None:
    """The URI of the one Contact that makes or refreshes a dialog; None without a SIP URI."""
    value = message.get("contact")
    if value is None:
        return None
    try:
        address = parse_address(split_list(value)[0])
    except HeaderError:
        return None
    return address.text if address.uri.scheme in ("sip", "sips") else None


def _routes(message: Message) -> list[str]:
    routes: list[str] = []
    for value in message.all("record-route"):
        routes += split_list(value)
    return routes[:20]
