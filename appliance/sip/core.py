"""The SIP door without sockets and clock: bytes and time in, bytes and events out.

Theory of operation. `receive` sorts each message to where it belongs: a response to its client
transaction; a request to its server transaction (a retransmission), its leg (by our tag), or, when
it starts something, to the registrar or a new call. What is refused before anybody is known is
answered without keeping state, so strangers cannot fill tables. The owner of the core calls
`take_output` and `take_events` after each call into it, and `tick` when `next_deadline` is
reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from appliance.sip import sdp
from appliance.sip.admission import Admission, called_number, caller_of, request_uri
from appliance.sip.context import (
    ALLOW,
    Context,
    answer_hop,
    is_address,
    is_symmetric,
    stamp_via,
)
from appliance.sip.dialog import SavedDialog, target_of
from appliance.sip.events import (
    Event,
    Failed,
    Incoming,
    PhoneTarget,
    Registered,
    SipConfig,
    Source,
    Target,
    TrunkConfig,
    TrunkState,
    TrunkTarget,
    Unregistered,
)
from appliance.sip.flow import Flow, Hop
from appliance.sip.headers import HeaderError, number_of, quote_string
from appliance.sip.incoming import IncomingLeg
from appliance.sip.leg import Leg
from appliance.sip.message import REASONS, Message, MessageError, body_of, parse
from appliance.sip.orphans import Orphans
from appliance.sip.outgoing import OutgoingCall, OutgoingLeg
from appliance.sip.register import TrunkClient
from appliance.sip.registrar import Registrar, SavedBinding
from appliance.sip.sdp import Offer, SdpError
from appliance.sip.session_timer import MIN_SE, too_short
from appliance.sip.subscription import PACKAGES, Published, SavedSubscription, Subscriptions
from appliance.sip.uri import bracketed, parse_uri, printable

MAX_CALLS: Final = 500
"""Calls at a time; the next gets 503."""
_KNOWN: Final = frozenset({"100rel", "timer"})
"""Extensions that a peer may require."""
_METHODS: Final = frozenset(ALLOW.split(", "))
_OTHER_METHODS: Final = frozenset({"MESSAGE", "PUBLISH"})

MakeOffer = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Stats:
    """What is alive, trunks' own requests left out. After the last call all but `bindings` and
    `subscriptions` come down to 0."""

    calls: int
    dialogs: int
    transactions: int
    timers: int
    bindings: int
    subscriptions: int = 0


class Core:
    """`entropy(n)` gives n random bytes; `route(host)` is our address on the way to `host`."""

    def __init__(
        self,
        config: SipConfig,
        entropy: Callable[[int], bytes],
        route: Callable[[str], str],
        now: int,
    ) -> None:
        self._ctx = Context(config, entropy, route)
        self._registrar = Registrar()
        self._trunks: dict[str, TrunkClient] = {}
        self._admission = Admission(self._ctx, self._trunks)
        self._subscriptions = Subscriptions(self._ctx, self._find_phone, self._registrar.contacts)
        self._orphans = Orphans(self._ctx, self._find_phone, self._credentials_of, self._knows_name)
        self._stopping = False
        self._set_trunks(now)

    # --- the owner's side -------------------------------------------------------------------

    def receive(self, flow: Flow, source: tuple[str, int], data: bytes, now: int) -> None:
        """One datagram, or one message of a stream."""
        if flow.connection:
            self._ctx.connections.add(flow.connection)
        try:
            message = parse(data)
        except MessageError:
            return
        if message.status:
            if not self._ctx.transactions.response(message, now):
                self._ctx.background.response(message, now)
        else:
            self._request(message, flow, source, now)

    def tick(self, now: int) -> None:
        """Do what is due."""
        self._ctx.timers.run(now)
        self._ctx.background.timers.run(now)
        self._gone(self._registrar.expire(now))
        for client in self._trunks.values():
            client.tick(now)

    def next_deadline(self) -> int | None:
        """When `tick` is to be called next, None when nothing is due ever."""
        dues = [self._ctx.timers.next_deadline(), self._ctx.background.timers.next_deadline()]
        dues.append(self._registrar.next_expiry())
        dues += [client.due for client in self._trunks.values()]
        return min((due for due in dues if due is not None), default=None)

    def take_output(self) -> list[tuple[Hop, bytes]]:
        output, self._ctx.output = self._ctx.output, []
        return output

    def take_events(self) -> list[Event]:
        events, self._ctx.events = self._ctx.events, []
        return events

    def take_kept(self) -> list[tuple[str, SavedDialog | None]]:
        """What has changed since the last look about how answered calls are to be ended: by our
        tag, None when one is over. To be given to `end_dialogs` of a later process."""
        kept, self._ctx.kept = self._ctx.kept, []
        return kept

    def end_dialogs(self, saved: Iterable[SavedDialog], now: int) -> None:
        """Tell the peers of an earlier process that its calls are over."""
        self._orphans.end(saved, now)

    def closed(self, connection: int, now: int) -> None:
        """A TCP connection is gone: so are the contacts that came by it and what waits on it."""
        self._ctx.connections.discard(connection)
        self._gone(self._registrar.closed(connection))
        for layer in (self._ctx.transactions, self._ctx.background):
            layer.broken(lambda hop: hop.flow.connection == connection, now)

    def unreachable(self, host: str, port: int, now: int) -> None:
        """The connection that we made to this address failed or broke."""

        def ours(hop: Hop) -> bool:
            connecting = hop.reliable and not hop.flow.connection
            return connecting and (hop.host, hop.port) == (host, port)

        for layer in (self._ctx.transactions, self._ctx.background):
            layer.broken(ours, now)
        for client in self._trunks.values():
            if client.config.transport != "udp" and host in client.addresses:
                client.disturbed(now)

    def resolved(self, trunk: str, addresses: tuple[str, ...], now: int) -> None:
        """The addresses of a trunk's host name; addresses resolve by themselves."""
        client = self._trunks.get(trunk)
        if client is not None:
            client.resolved(addresses, now)
            self._orphans.look_again(now)

    def names(self) -> dict[str, str]:
        """Trunk -> host name, of those trunks whose host wants resolving."""
        hosts = {trunk: client.config.host for trunk, client in self._trunks.items()}
        return {t: host for t, host in hosts.items() if not is_address(host.strip("[]"))}

    def tls_name(self, host: str, port: int) -> tuple[str, bool]:
        """Whose certificate a TLS connection to this address must show, and whether it is looked
        at: that of the trunk which is there."""
        for client in self._trunks.values():
            config = client.config
            if config.transport == "tls" and host in client.addresses and config.port == port:
                return config.host.strip("[]"), config.verify
        return host, True

    def in_use(self, connection: int) -> bool:
        """A phone is registered by this connection."""
        return any(
            binding.hop.flow.connection == connection
            for extension in self._ctx.config.phones
            for binding in self._registrar.contacts(extension)
        )

    def stats(self) -> Stats:
        ctx = self._ctx
        return Stats(
            len(ctx.calls),
            len(ctx.legs),
            len(ctx.transactions),
            len(ctx.timers),
            len(self._registrar),
            len(self._subscriptions),
        )

    def reconfigure(self, config: SipConfig, now: int) -> None:
        """Take a new configuration. Calls go on; phones that are gone or have a new password
        must register anew; trunks that changed start over."""
        old, self._ctx.config = self._ctx.config, config
        self._admission.configure()
        changed = {e for e, secret in old.phones.items() if config.phones.get(e) != secret}
        self._gone(self._registrar.remove(changed))
        self._subscriptions.forget(changed, now)
        self._set_trunks(now)

    def shutdown(self, now: int) -> None:
        """End every call, log out of the trunks, take nothing new."""
        self._stopping = True
        for call in list(self._ctx.calls.values()):
            if isinstance(call, IncomingLeg) and not call.up:
                call.reject(503, now)
            self.hangup(call.key, now)
        for client in self._trunks.values():
            client.stop(now)

    @property
    def idle(self) -> bool:
        """No request of ours waits for an answer."""
        layers = (self._ctx.transactions, self._ctx.background)
        return all(client.done for layer in layers for client in layer.clients.values())

    # --- the switch's side ------------------------------------------------------------------

    def publish(self, package: str, resource: str, state: Published | None, now: int) -> None:
        self._subscriptions.publish(package, resource, state, now)

    def registered(self, extension: str) -> bool:
        return bool(self._registrar.contacts(extension))

    def ring(self, call: str, now: int) -> None:
        leg = self._ctx.calls.get(call)
        if isinstance(leg, IncomingLeg):
            leg.ring(now)

    def progress(self, call: str, text: str, now: int) -> None:
        leg = self._ctx.calls.get(call)
        if isinstance(leg, IncomingLeg):
            leg.progress(text, now)

    def answer(self, call: str, text: str, now: int) -> None:
        leg = self._ctx.calls.get(call)
        if isinstance(leg, IncomingLeg):
            leg.answer(text, now)

    def reject(self, call: str, code: int, now: int) -> None:
        if not 300 <= code <= 699:
            raise ValueError(f"{code} does not refuse a call; use 400 to 699")
        leg = self._ctx.calls.get(call)
        if isinstance(leg, IncomingLeg):
            leg.reject(code, now)

    def hangup(self, call: str, now: int) -> None:
        leg = self._ctx.calls.pop(call, None)
        if leg is not None:
            leg.hangup(now)

    def reoffer(self, call: str, text: str, now: int) -> None:
        leg = self._leg(call)
        if leg is not None:
            leg.reoffer(text, now)

    def reanswer(self, call: str, text: str | None, now: int) -> None:
        leg = self._leg(call)
        if leg is not None:
            leg.reanswer(text, now)

    def refer_done(self, call: str, status: int, now: int) -> None:
        leg = self._leg(call)
        if leg is not None:
            leg.refer_done(status, now)

    def invite(
        self,
        target: Target,
        caller_number: str | None,
        caller_name: str | None,
        make_offer: MakeOffer,
        now: int,
    ) -> str:
        """Call a phone or a number; `make_offer(local_host)` gives the SDP."""
        call = OutgoingCall(self._ctx, self._ctx.token())
        failure = 480
        if self._stopping or len(self._ctx.calls) > MAX_CALLS:
            failure = 503
        elif isinstance(target, PhoneTarget):
            self._invite_phone(call, target, caller_number, caller_name, make_offer, now)
        else:
            failure = self._invite_trunk(call, target, caller_number, caller_name, make_offer, now)
        if not call.legs:
            self._ctx.calls.pop(call.key, None)
            self._ctx.emit(Failed(call.key, failure, REASONS[failure]))
        return call.key

    def _invite_phone(
        self,
        call: OutgoingCall,
        target: PhoneTarget,
        number: str | None,
        name: str | None,
        make_offer: MakeOffer,
        now: int,
    ) -> None:
        for binding in self._registrar.contacts(target.extension):
            hop = binding.hop
            host = bracketed(hop.flow.local_host)
            leg = OutgoingLeg(
                self._ctx,
                call,
                Source("phone", target.extension),
                None,
                hop,
                binding.contact,
                f"<sip:{target.extension}@{host}>",
                _sender(number, name, host),
                "centrala",
                make_offer(hop.flow.local_host),
                now,
            )
            leg.find_phone_by(self._find_phone)
            call.add(leg)

    def _invite_trunk(
        self,
        call: OutgoingCall,
        target: TrunkTarget,
        number: str | None,
        name: str | None,
        make_offer: MakeOffer,
        now: int,
    ) -> int:
        client = self._trunks.get(target.trunk)
        hop = client.hop() if client is not None else None
        if client is None or hop is None:
            return 503
        config = client.config
        host = bracketed(config.host.strip("[]"))
        called = quote(target.number, safe="+*")
        leg = OutgoingLeg(
            self._ctx,
            call,
            Source("trunk", target.trunk),
            client.credentials,
            hop,
            client.uri(called),
            f"<sip:{called}@{host}>",
            _sender(None if target.withheld else number or config.username, name, host),
            quote(config.username or "centrala", safe="+"),
            make_offer(hop.flow.local_host),
            now,
            _identity(config, number or config.username, host, target),
        )
        call.add(leg)
        return 0

    def _leg(self, call: str) -> Leg | None:
        found = self._ctx.calls.get(call)
        return found.winner if isinstance(found, OutgoingCall) else found

    # --- requests ---------------------------------------------------------------------------

    def _request(self, request: Message, flow: Flow, source: tuple[str, int], now: int) -> None:
        hop = answer_hop(request, flow, source)
        stamp_via(request, source)
        method = request.method
        if request.fault is not None:
            if method != "ACK":
                self._ctx.reply(request, hop, request.fault[0], reason=request.fault[1])
            return
        server = self._ctx.transactions.find(request)
        if method == "ACK":
            self._acknowledged(request, flow, source, now)
        elif method == "CANCEL":
            self._cancel(request, hop, now)
        elif server is not None:
            server.repeated()
        elif request.to_tag:
            self._in_dialog(request, hop, source, now)
        else:
            self._initial(request, hop, source, now)

    def _acknowledged(
        self, request: Message, flow: Flow, source: tuple[str, int], now: int
    ) -> None:
        server = self._ctx.transactions.find(request)
        if server is not None and server.final >= 300:
            server.acknowledged(now)
            return
        leg = self._ctx.legs.get(request.to_tag)
        if leg is not None and leg.dialog is not None and _belongs(request, leg):
            leg.acknowledged(request, Hop(flow, *source), now)

    def _cancel(self, request: Message, hop: Hop, now: int) -> None:
        repeated = self._ctx.transactions.find(request)
        if repeated is not None:
            repeated.repeated()
            return
        invite = self._ctx.transactions.find(request, "INVITE")
        if invite is None or invite.request.call_id != request.call_id:
            self._ctx.reply(request, hop, 481)
            return
        server = self._ctx.transactions.open(request, hop)
        leg = invite.owner
        tag = leg.tag if isinstance(leg, IncomingLeg) else ""
        self._ctx.respond(server, 200, now, tag)
        if isinstance(leg, IncomingLeg) and not leg.up:
            leg.cancelled(now)

    def _in_dialog(self, request: Message, hop: Hop, source: tuple[str, int], now: int) -> None:
        if request.method == "SUBSCRIBE" and request.to_tag in self._subscriptions:
            self._subscribed_again(request, hop, source, now)
            return
        leg = self._ctx.legs.get(request.to_tag)
        if leg is None or not _belongs(request, leg):
            self._ctx.reply(request, hop, 481)
            return
        missing = request.tokens("require") - _KNOWN
        if missing:
            self._ctx.reply(request, hop, 420, [("unsupported", ", ".join(sorted(missing)))])
            return
        server = self._ctx.transactions.open(request, hop)
        leg.receive(request, server, Hop(hop.flow, *source), now)

    def _initial(self, request: Message, hop: Hop, source: tuple[str, int], now: int) -> None:
        """A request outside any dialog."""
        method = request.method
        reply = self._ctx.reply
        if method == "REFER" or method not in (*_METHODS, "REGISTER", *_OTHER_METHODS):
            status = {"REFER": 603, "NOTIFY": 489}.get(method, 501)
            reply(request, hop, status, [("allow", ALLOW)] if status == 501 else None)
            return
        uri = request_uri(request)
        if uri.scheme not in ("sip", "tel"):
            reply(request, hop, 416)
            return
        missing = (request.tokens("require") | request.tokens("proxy-require")) - _KNOWN
        if missing:
            reply(request, hop, 420, [("unsupported", ", ".join(sorted(missing)))])
        elif method == "OPTIONS":
            reply(
                request,
                hop,
                200,
                [
                    ("allow", ALLOW),
                    ("accept", "application/sdp"),
                    ("supported", "timer"),
                    ("allow-events", ", ".join(PACKAGES)),
                ],
            )
        elif method == "REGISTER":
            self._register(request, hop, source, now)
        elif method == "SUBSCRIBE":
            self._subscribed(request, hop, source, now)
        elif method == "INVITE":
            self._invited(request, hop, source, now)
        elif method in _OTHER_METHODS:
            reply(request, hop, 405, [("allow", ALLOW)])
        else:
            reply(request, hop, 481)

    def _register(self, request: Message, hop: Hop, source: tuple[str, int], now: int) -> None:
        extension = self._admission.phone_of(request, hop, now)
        if extension is None:
            return
        server = self._ctx.transactions.open(request, hop)
        assert request.target is not None
        if request.target.uri.number != extension:
            self._ctx.respond(server, 403, now, self._ctx.token())
            return
        place = self._phone_hop(request, hop, source)
        outcome = self._registrar.register(extension, request, place, now)
        self._ctx.respond(server, outcome.status, now, self._ctx.token(), list(outcome.headers))
        if outcome.fresh:
            count = len(self._registrar.contacts(extension))
            self._ctx.emit(Registered(extension, count, outcome.fresh))
            self._subscriptions.registered(extension, outcome.fresh, now)
            self._orphans.look_again(now)
        if outcome.gone:
            self._ctx.emit(Unregistered(extension))

    def _subscribed(self, request: Message, hop: Hop, source: tuple[str, int], now: int) -> None:
        problem = self._subscriptions.refuse(request)
        if problem is not None:
            self._ctx.reply(request, hop, *problem)
            return
        extension = self._admission.phone_of(request, hop, now)
        if extension is None:
            return
        server = self._ctx.transactions.open(request, hop)
        place = self._phone_hop(request, hop, source)
        self._subscriptions.subscribe(request, server, place, extension, now)

    def _subscribed_again(
        self, request: Message, hop: Hop, source: tuple[str, int], now: int
    ) -> None:
        problem = self._subscriptions.refuse(request)
        if problem is not None:
            self._ctx.reply(request, hop, *problem)
            return
        server = self._ctx.transactions.open(request, hop)
        place = self._phone_hop(request, hop, source)
        self._subscriptions.refresh(request, server, place, now)

    def _phone_hop(self, request: Message, hop: Hop, source: tuple[str, int]) -> Hop:
        """Where a phone wants its requests."""
        if not is_symmetric(request, hop.flow, source):
            target = target_of(request)
            contact = parse_uri(target) if target is not None else None
            if contact is not None and is_address(contact.host):
                return Hop(hop.flow, contact.host, contact.port or 5060)
        return Hop(hop.flow, *source)

    def _invited(self, request: Message, hop: Hop, source: tuple[str, int], now: int) -> None:
        problem = _unacceptable(request)
        if problem is not None:
            self._ctx.reply(request, hop, *problem)
            return
        trunk = self._admission.trunk_of(request, Hop(hop.flow, *source))
        if trunk is not None:
            if self._trunks[trunk].config.tls_only and hop.flow.transport != "tls":
                self._ctx.reply(request, hop, 403, reason="TLS Required")
                return
            caller = Source("trunk", trunk)
            credentials = self._trunks[trunk].credentials
            username = self._trunks[trunk].config.username
        else:
            extension = self._admission.phone_of(request, hop, now)
            if extension is None:
                return
            caller, credentials, username = Source("phone", extension), None, None
        if self._ctx.transactions.merged(request):
            self._ctx.reply(request, hop, 482)
            return
        if self._stopping or len(self._ctx.calls) >= MAX_CALLS:
            self._ctx.reply(request, hop, 503, [("retry-after", "5")])
            return
        text = body_of(request, "application/sdp")
        offer: Offer | None = None
        if text is not None:
            try:
                offer = sdp.parse(text)
            except SdpError:
                self._ctx.reply(request, hop, 400, reason="Malformed Session Description")
                return
            if offer.audio is None:
                self._ctx.reply(request, hop, 488)
                return
        nat = caller.kind == "phone" and is_symmetric(request, hop.flow, source)
        server = self._ctx.transactions.open(request, hop)
        leg = IncomingLeg(
            self._ctx,
            self._ctx.token(),
            caller,
            credentials,
            server,
            Hop(hop.flow, *source),
            nat,
            offer,
            now,
        )
        leg.find_phone_by(self._find_phone)
        self._ctx.calls[leg.key] = leg
        number, name = caller_of(request, caller)
        self._ctx.emit(
            Incoming(
                leg.key,
                caller,
                number,
                printable(name, 80) if name else None,
                called_number(request, username),
                offer,
                hop.flow.local_host,
                hop.flow.transport,
                source[0],
                _waited(request) if caller.kind == "trunk" else None,
            )
        )

    # --- phones and trunks ------------------------------------------------------------------

    def _find_phone(self, extension: str, target: str) -> Hop | None:
        """The phone's present connection: the binding with this contact, or its only one."""
        bindings = self._registrar.contacts(extension)
        same = [b for b in bindings if b.contact == target]
        if same:
            return same[0].hop
        return bindings[0].hop if len(bindings) == 1 else None

    def _credentials_of(self, trunk: str) -> tuple[str, str] | None:
        client = self._trunks.get(trunk)
        return None if client is None else client.credentials

    def _knows_name(self, trunk: str, host: str) -> bool:
        client = self._trunks.get(trunk)
        return client is None or host in client.addresses

    def saved_bindings(self) -> list[SavedBinding]:
        """Contacts worth keeping over a restart."""
        return self._registrar.saved()

    def restore_bindings(self, saved: Iterable[SavedBinding], now: int) -> None:
        """Take back the contacts of phones that are still configured."""
        known = [one for one in saved if one.extension in self._udp_phones()]
        for extension in self._registrar.restore(known, self._ctx.config.port, now):
            contacts = self._registrar.contacts(extension)
            self._ctx.emit(Registered(extension, len(contacts), contacts[-1].hop.address))
            self._subscriptions.registered(extension, "", now)

    def saved_subscriptions(self) -> list[SavedSubscription]:
        """Subscriptions worth keeping over a restart."""
        return self._subscriptions.saved()

    def restore_subscriptions(self, saved: Iterable[SavedSubscription], now: int) -> None:
        """Take back those of phones that are still configured; what they watch is published."""
        known = [one for one in saved if one.extension in self._udp_phones()]
        self._subscriptions.restore(known, self._ctx.config.port, now)

    def _udp_phones(self) -> set[str]:
        config = self._ctx.config
        return set(config.phones) - config.tls_only

    def _gone(self, extensions: list[str]) -> None:
        for extension in extensions:
            self._ctx.emit(Unregistered(extension))

    def _set_trunks(self, now: int) -> None:
        wanted = self._ctx.config.trunks
        for trunk, client in list(self._trunks.items()):
            if wanted.get(trunk) != client.config:
                client.stop(now)
                del self._trunks[trunk]
                self._ctx.emit(TrunkState(trunk, False, "changed by configuration"))
        for trunk, config in wanted.items():
            if trunk not in self._trunks:
                client = TrunkClient(self._ctx, trunk, config, now)
                self._trunks[trunk] = client
                host = config.host.strip("[]")
                if is_address(host):
                    client.resolved((host,), now)


def _belongs(request: Message, leg: Leg) -> bool:
    return leg.dialog is None or (
        request.call_id == leg.dialog.call_id and request.from_tag == leg.dialog.remote_tag
    )


def _unacceptable(request: Message) -> tuple[int, list[tuple[str, str]]] | None:
    """What keeps an INVITE from being looked at, whoever it is from."""
    if too_short(request):
        return 422, [("min-se", str(MIN_SE))]
    accept = {value.partition(";")[0].strip() for value in request.tokens("accept")}
    if accept and not accept & {"application/sdp", "application/*", "*/*"}:
        return 406, []
    encoding = request.tokens("content-encoding") - {"identity"}
    optional = "handling=optional" in (request.get("content-disposition") or "").lower()
    if encoding or (request.body and not optional and body_of(request, "application/sdp") is None):
        return 415, [("accept", "application/sdp")]
    if request.get("contact") is None or request.get("contact") == "*":
        return 400, []
    return None


def _identity(
    config: TrunkConfig, number: str | None, host: str, target: TrunkTarget
) -> list[tuple[str, str]]:
    """What a trunk is told of the caller besides From, and that it is to be kept back (RFC 3323,
    RFC 3325 section 9)."""
    headers = list(target.headers)
    if number is not None and config.identity != "from":
        header = f"p-{config.identity}-identity"
        headers.append((header, f"<sip:{quote(number, safe='+*')}@{host}>"))
    if target.withheld:
        headers.append(("privacy", "id"))
    return headers


def _waited(request: Message) -> int | None:
    """Seconds of a day at most; anything else was not written by one of us."""
    try:
        return number_of(request.get("x-queue-wait") or "", 86_400)
    except HeaderError:
        return None


def _sender(number: str | None, name: str | None, host: str) -> str:
    """The From of a call of ours; a withheld number as RFC 3323 has it."""
    if number is None:
        return '"Anonymous" <sip:anonymous@anonymous.invalid>'
    display = quote_string(name[:80]) + " " if name else ""
    return f"{display}<sip:{quote(number, safe='+*')}@{host}>"
