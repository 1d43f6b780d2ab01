"""Transactions (RFC 3261 section 17 with the corrections of RFC 6026).

Theory of operation. A transaction is one request and its responses on one hop. It retransmits on
unreliable transports, absorbs what the peer retransmits, and stays a while after its end so that
late packets find it:

    server INVITE   proceeding -> accepted (2xx, timer L) | completed (G H) -> confirmed (I)
    server other    trying -> completed (J)
    client INVITE   calling (A B) -> proceeding -> accepted (2xx, M) | completed (ACK, D)
    client other    trying (E F) -> completed (K)

A 2xx to INVITE is end to end: it is the dialog that repeats it and its ACK (`Repeater`). A client
transaction that gets no answer tells its user with a 408 of its own, and with a 503 when the
connection breaks; such responses have no header fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance.sip.flow import Hop
from appliance.sip.message import REASONS, Message
from appliance.sip.timers import Timer, Timers

T1: Final = 500
"""Round trip estimate in ms (RFC 3261 table 4)."""
T2: Final = 4000
"""Longest interval between retransmissions of anything but INVITE."""
T4: Final = 5000
"""How long a packet may stay in the network."""
TIMEOUT: Final = 64 * T1
COOKIE: Final = "z9hG4bK"
"""Branches that start so are unique (RFC 3261 section 8.1.1.7)."""

Send = Callable[[Hop, bytes], None]
Handler = Callable[[Message, int], None]


class Repeater:
    """Sends a message again and again, T1 apart and doubling, until stopped; gives up after
    64 T1. Used for 2xx and reliable provisional responses, over every transport."""

    def __init__(
        self,
        layer: Transactions,
        hop: Hop,
        data: bytes,
        now: int,
        give_up: Callable[[int], None],
        longest: int = T2,
    ) -> None:
        self._layer = layer
        self._hop = hop
        self._data = data
        self._longest = longest
        self._interval = T1
        self._timer: Timer | None = layer.timers.at(now + T1, self._again)
        self._limit: Timer | None = layer.timers.at(now + TIMEOUT, self._over)
        self._give_up = give_up

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._limit is not None:
            self._limit.cancel()

    def _again(self, now: int) -> None:
        self._layer.send(self._hop, self._data)
        self._interval = min(self._interval * 2, self._longest)
        self._timer = self._layer.timers.at(now + self._interval, self._again)

    def _over(self, now: int) -> None:
        self.stop()
        self._give_up(now)


class Server:
    """A request that we answer. `owner` is the leg that an INVITE belongs to."""

    def __init__(self, layer: Transactions, key: tuple[str, ...], request: Message, hop: Hop):
        self.request = request
        self.hop = hop
        self.owner: object | None = None
        self.final = 0
        """Status of the final response, 0 before it."""
        self._layer = layer
        self._key = key
        self._last: bytes | None = None
        self._timers: list[Timer] = []
        self._invite = request.method == "INVITE"
        self._confirmed = False
        self._interval = T1

    def respond(self, response: Message, now: int) -> bytes:
        """Send a response; anything after the final one is ignored. Returns the bytes."""
        data = response.encode()
        if self.final:
            return data
        self._last = data
        self._layer.send(self.hop, data)
        if response.status >= 200:
            self.final = response.status
            if not self._invite:
                self._end_after(now, 0 if self.hop.reliable else TIMEOUT)
            elif response.status < 300:
                self._end_after(now, TIMEOUT)
            else:
                self._end_after(now, TIMEOUT)
                if not self.hop.reliable:
                    self._timers.append(self._layer.timers.at(now + T1, self._again))
        return data

    def repeated(self) -> None:
        """The peer sent the request again. After a 2xx the dialog repeats by itself."""
        if self._last is not None and not (self._invite and 200 <= self.final < 300):
            self._layer.send(self.hop, self._last)

    def acknowledged(self, now: int) -> None:
        """The ACK of a 3xx-6xx came."""
        if not self._confirmed and self.final >= 300:
            self._confirmed = True
            self._end_after(now, 0 if self.hop.reliable else T4)

    def _again(self, now: int) -> None:
        if self._last is not None:
            self._layer.send(self.hop, self._last)
        self._interval = min(self._interval * 2, T2)
        self._timers.append(self._layer.timers.at(now + self._interval, self._again))

    def _end_after(self, now: int, delay: int) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        if delay:
            self._timers.append(self._layer.timers.at(now + delay, self._end))
        else:
            self._end(now)

    def _end(self, now: int) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        self._layer.servers.pop(self._key, None)
        self._layer.identities.discard(_identity(self.request))


class Client:
    """A request of ours. The handler gets every provisional response, the final one once, and
    for INVITE each repeated or forked 2xx."""

    def __init__(
        self,
        layer: Transactions,
        request: Message,
        hop: Hop,
        branch: str,
        handler: Handler,
        now: int,
        *,
        proceeding: bool = False,
    ) -> None:
        """`proceeding`: an earlier process sent it and was told that it is worked on."""
        self.request = request
        self.hop = hop
        self.branch = branch
        self.done = False
        """A final response was delivered."""
        self.proceeding = proceeding
        self._layer = layer
        self._handler = handler
        self._data = request.encode()
        self._invite = request.method == "INVITE"
        self._ack: bytes | None = None
        self._accepted = False
        self._cancelled = False
        self._interval = T1
        self._repeat: Timer | None = None
        if not proceeding:
            layer.send(hop, self._data)
        if not (hop.reliable or proceeding):
            self._repeat = layer.timers.at(now + T1, self._again)
        self._limit: Timer | None = layer.timers.at(now + TIMEOUT, self._timeout)

    @property
    def key(self) -> tuple[str, str]:
        return self.branch, self.request.method

    def receive(self, response: Message, now: int) -> None:
        if response.status < 200:
            self._provisional(response, now)
        elif self.done:
            if self._accepted and response.status < 300:
                self._handler(response, now)
            elif self._ack is not None and response.status >= 300:
                self._layer.send(self.hop, self._ack)
        elif not self._invite:
            self._finish(now, 0 if self.hop.reliable else T4)
            self._handler(response, now)
        elif response.status < 300:
            self._accepted = True
            self._finish(now, TIMEOUT)
            self._handler(response, now)
        else:
            self._ack = self._acknowledgement(response).encode()
            self._layer.send(self.hop, self._ack)
            self._finish(now, 0 if self.hop.reliable else TIMEOUT)
            self._handler(response, now)

    def cancel(self, now: int) -> None:
        """CANCEL the INVITE (allowed once a provisional response came, RFC 3261 section 9.1)."""
        if not self._invite or self.done or self._cancelled or not self.proceeding:
            return
        self._cancelled = True
        keep = ("via", "from", "to", "call-id", "route")
        headers = [pair for pair in self.request.headers if pair[0] in keep]
        headers.append(("cseq", f"{_cseq_number(self.request)} CANCEL"))
        headers.append(("max-forwards", "70"))
        cancel = Message("CANCEL", self.request.uri, headers=headers)
        self._layer.start(Client(self._layer, cancel, self.hop, self.branch, _ignore, now))
        # A peer that answers the CANCEL but never the INVITE must not keep us for ever.
        self._limit = self._layer.timers.at(now + TIMEOUT, self._timeout)

    def fail(self, status: int, now: int) -> None:
        """End with a response of our own (no answer, no connection)."""
        if self.done:
            return
        self._finish(now, 0)
        self._handler(Message("", "", status, REASONS[status]), now)

    def _provisional(self, response: Message, now: int) -> None:
        if self.done:
            return
        if self._invite:
            if not self.proceeding:
                self._stop()
            self.proceeding = True
        elif not self.proceeding:
            self.proceeding = True
            self._interval = T2
        self._handler(response, now)

    def _again(self, now: int) -> None:
        self._layer.send(self.hop, self._data)
        longest = TIMEOUT if self._invite else T2
        self._interval = min(self._interval * 2, longest)
        self._repeat = self._layer.timers.at(now + self._interval, self._again)

    def _timeout(self, now: int) -> None:
        self._limit = None
        self.fail(408, now)

    def _finish(self, now: int, delay: int) -> None:
        self.done = True
        self._stop()
        if delay:
            self._limit = self._layer.timers.at(now + delay, self._end)
        else:
            self._end(now)

    def _stop(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
        if self._limit is not None:
            self._limit.cancel()
        self._repeat = self._limit = None

    def _end(self, now: int) -> None:
        self._stop()
        self._layer.clients.pop(self.key, None)

    def _acknowledgement(self, response: Message) -> Message:
        """The ACK of a 3xx-6xx (RFC 3261 section 17.1.1.3)."""
        keep = ("via", "from", "call-id", "route")
        headers = [pair for pair in self.request.headers if pair[0] in keep]
        headers.append(("to", response.get("to") or ""))
        headers.append(("cseq", f"{_cseq_number(self.request)} ACK"))
        headers.append(("max-forwards", "70"))
        return Message("ACK", self.request.uri, headers=headers)


def _cseq_number(request: Message) -> str:
    return (request.get("cseq") or "").partition(" ")[0]


def _ignore(response: Message, now: int) -> None:
    """The answer to a CANCEL says nothing that matters."""


class Transactions:
    """All live transactions, found by branch (RFC 3261 section 17.1.3 and 17.2.3)."""

    def __init__(self, timers: Timers, send: Send, token: Callable[[], str]) -> None:
        self.timers = timers
        self.send = send
        self._token = token
        self.servers: dict[tuple[str, ...], Server] = {}
        self.clients: dict[tuple[str, str], Client] = {}
        self.identities: set[tuple[str, int, str, str]] = set()

    def __len__(self) -> int:
        return len(self.servers) + len(self.clients)

    # --- servers ----------------------------------------------------------------------------

    def find(self, request: Message, method: str = "") -> Server | None:
        """The transaction that this request (or its INVITE, for ACK and CANCEL) belongs to."""
        return self.servers.get(_server_key(request, method or request.method))

    def open(self, request: Message, hop: Hop) -> Server:
        key = _server_key(request, request.method)
        server = Server(self, key, request, hop)
        self.servers[key] = server
        self.identities.add(_identity(request))
        return server

    def merged(self, request: Message) -> bool:
        """The same request reached us by two ways (RFC 3261 section 8.2.2.2)."""
        return not request.to_tag and _identity(request) in self.identities

    # --- clients ----------------------------------------------------------------------------

    def request(self, request: Message, hop: Hop, handler: Handler, now: int) -> Client:
        """Send a request; a Via with a new branch is put on top."""
        branch = COOKIE + self._token()
        request.headers.insert(0, ("via", hop.via(branch)))
        return self.start(Client(self, request, hop, branch, handler, now))

    def start(self, client: Client) -> Client:
        self.clients[client.key] = client
        return client

    def acknowledge(self, ack: Message, hop: Hop) -> bytes:
        """Send the ACK of a 2xx: a transaction of its own that expects nothing."""
        ack.headers.insert(0, ("via", hop.via(COOKIE + self._token())))
        data = ack.encode()
        self.send(hop, data)
        return data

    def response(self, response: Message, now: int) -> bool:
        """Deliver a response; False when no transaction waits for it."""
        client = self.clients.get((response.via.branch, response.cseq_method))
        if client is not None:
            client.receive(response, now)
        return client is not None

    def broken(self, matches: Callable[[Hop], bool], now: int) -> None:
        """Connections are gone: requests that still wait on them fail."""
        for client in [c for c in self.clients.values() if matches(c.hop)]:
            client.fail(503, now)


def _identity(request: Message) -> tuple[str, int, str, str]:
    return request.call_id, request.cseq, request.from_tag, request.method


def _server_key(request: Message, method: str) -> tuple[str, ...]:
    method = "INVITE" if method == "ACK" else method
    via = request.via
    sent_by = f"{via.host}:{via.port or 5060}"
    if via.branch.startswith(COOKIE) and len(via.branch) > len(COOKIE):
        return via.branch, sent_by, method
    # RFC 2543 peers: no unique branch, so everything that a retransmission repeats.
    return request.call_id, str(request.cseq), request.from_tag, sent_by, method
