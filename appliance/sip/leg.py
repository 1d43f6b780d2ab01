"""One call at this door once its dialog stands: what the two ways of making one share.

Theory of operation. At any time at most one change of media is under way (RFC 3261 section 14,
RFC 6141):

    _ours     a re-INVITE or UPDATE of ours waits for its answer; theirs get 491
    _theirs   one of theirs waits for `reanswer`; another gets 500 with Retry-After
    _unacked  our 2xx to an INVITE is repeated until its ACK comes
    _queued   what `reoffer` wants next, sent when none of these is set

`ended` means that the switch and the leg are done with each other; the leg stays until its BYE is
answered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from appliance.sip import sdp
from appliance.sip.context import Context, is_address
from appliance.sip.dialog import Dialog, saved_invite
from appliance.sip.events import (
    Digit,
    Event,
    HungUp,
    Reanswered,
    Referred,
    Reoffered,
    Source,
)
from appliance.sip.exchange import Exchange
from appliance.sip.flow import Hop
from appliance.sip.message import Message, body_of
from appliance.sip.refer import Replaces, news, parse_refer, wants_news
from appliance.sip.sdp import Offer, SdpError, Session
from appliance.sip.session_timer import (
    MIN_SE,
    Terms,
    terms_as_client,
    terms_as_server,
    too_short,
)
from appliance.sip.timers import Timer
from appliance.sip.transaction import T1, Repeater, Server

PROCEEDING_MS: Final = 60_000
"""The longest that a peer may think about a re-INVITE."""
REANSWER_MS: Final = 10_000
"""A re-INVITE that the switch leaves unanswered this long is refused."""
_GONE: Final = (408, 481, 503)
"""Answers within a dialog that mean there is nobody there any more (RFC 5057)."""
_SIGNALS: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


@dataclass(slots=True)
class _Unacked:
    """Our 2xx that waits for its ACK. `late`: it carried our offer, the ACK has the answer."""

    cseq: int
    repeater: Repeater
    late: bool
    first: bool


class Leg:
    """`nat`: requests go where the peer's come from, not to its Contact. `credentials` answer
    the challenges of a trunk."""

    def __init__(
        self,
        ctx: Context,
        key: str,
        source: Source,
        credentials: tuple[str, str] | None,
        nat: bool,
        tag: str = "",
    ) -> None:
        self.ctx = ctx
        self.key = key
        self.source = source
        self.nat = nat
        self.tag = tag or ctx.token()
        self.dialog: Dialog | None = None
        self.session: Session | None = None
        self.up = False
        self.ended = False
        self.kept = False
        self.sdp = ""
        self._credentials = credentials
        self._sdp_id = int.from_bytes(ctx.entropy(4), "big")
        self._sdp_version = 0
        self._ours: Exchange | None = None
        self._theirs: Server | None = None
        self._offer: Offer | None = None
        self._guard: Timer | None = None
        self._unacked: _Unacked | None = None
        self._queued: str | None = None
        self._retry: Timer | None = None
        self._bye_after_ack = False
        self._acks: dict[int, tuple[Hop, bytes]] = {}
        self._terms: Terms | None = None
        self._session_timer: Timer | None = None
        self._updates = False
        self._referring = False
        self._refer_news = True
        self._find_phone: Callable[[str, str], Hop | None] | None = None
        ctx.legs[self.tag] = self

    # --- what the switch asks for -----------------------------------------------------------

    def hangup(self, now: int) -> None:
        self.ended = True
        self._bye(now)

    def reoffer(self, text: str, now: int) -> None:
        """Change the media; the newest wish wins while the dialog is busy."""
        self._queued = text
        self._next(now)

    def reanswer(self, text: str | None, now: int) -> None:
        """Answer the pending re-INVITE or UPDATE; None refuses it."""
        server, offer = self._theirs, self._offer
        if server is None or offer is None:
            return
        self._clear_theirs()
        if text is None:
            self.ctx.respond(server, 488, now, self.tag)
        else:
            self._take(offer, text)
            self._accept(server, self.publish(text), False, now)
        self._next(now)

    # --- what the peer sends ----------------------------------------------------------------

    def receive(self, request: Message, server: Server, hop: Hop, now: int) -> None:
        """A request within the dialog, ACK and CANCEL excepted."""
        dialog = self.dialog
        if dialog is None or request.from_tag != dialog.remote_tag:
            self.ctx.respond(server, 481, now)
            return
        if request.cseq <= dialog.remote_cseq:
            self.ctx.respond(server, 500, now)
            return
        dialog.remote_cseq = request.cseq
        if self.nat or hop.reliable:
            dialog.hop = hop
        method = request.method
        if method == "BYE":
            self._bye_received(server, now)
        elif method in ("INVITE", "UPDATE"):
            self._change_received(request, server, now)
        elif method == "INFO":
            self._info_received(request, server, now)
        elif method == "REFER":
            self._refer_received(request, server, now)
        elif method == "PRACK":
            self.prack(request, server, now)
        elif method == "OPTIONS":
            self.ctx.respond(server, 200, now, headers=[("accept", "application/sdp")])
        else:
            self.ctx.respond(server, 489 if method in ("NOTIFY", "SUBSCRIBE") else 501, now)

    def acknowledged(self, request: Message, hop: Hop, now: int) -> None:
        """The ACK of our 2xx."""
        unacked = self._unacked
        if unacked is None or request.cseq != unacked.cseq:
            return
        unacked.repeater.stop()
        self._unacked = None
        if self.dialog is not None and (self.nat or hop.reliable):
            self.dialog.hop = hop
        if self._bye_after_ack:
            self._bye(now)
            return
        if self.ended:
            return
        remote: Session | None = None
        if unacked.late:
            remote = self._agree(request)
        self.confirmed(unacked.first, unacked.late, remote, now)
        self._next(now)

    # --- for the subclasses -----------------------------------------------------------------

    def confirmed(self, first: bool, late: bool, remote: Session | None, now: int) -> None:
        """Our 2xx is acknowledged. `remote`: the answer to a late offer of ours, if usable."""
        if late:
            self.tell(Reanswered(self.key, remote))

    def prack(self, request: Message, server: Server, now: int) -> None:
        self.ctx.respond(server, 481, now)

    def tell(self, event: Event) -> None:
        if not self.ended:
            self.ctx.emit(event)

    def end(self, event: Event | None) -> None:
        """The call is over for the switch."""
        if event is not None:
            self.tell(event)
        self.ended = True
        self.ctx.calls.pop(self.key, None)

    def close(self) -> None:
        """Nothing of the leg remains."""
        self._settle()
        self.ctx.legs.pop(self.tag, None)
        if self.kept:
            self.kept = False
            self.ctx.kept.append((self.tag, None))

    def keep_invite(self, request: Message, hop: Hop, ours: bool, now: int) -> None:
        """It rings: from now on its peer must not be left alone with that."""
        if not self.kept:
            self.kept = True
            saved = saved_invite(request, hop, self.source, self.nat, self.tag, ours, now)
            self.ctx.kept.append((self.tag, saved))

    def keep(self, now: int) -> None:
        """The call is answered: from now on its peer must not be left alone with it."""
        assert self.dialog is not None
        self.kept = True
        self.ctx.kept.append((self.tag, self.dialog.saved(self.source, self.nat, now)))

    def publish(self, text: str) -> str:
        """Our description under this dialog's origin; the version grows with each change."""
        body = sdp.with_origin(text, self._sdp_id, self._sdp_version)
        if body != self.sdp:
            self._sdp_version += 1
            body = sdp.with_origin(text, self._sdp_id, self._sdp_version)
        self.sdp = body
        return body

    def follow_terms(self, terms: Terms | None, now: int) -> None:
        """Start, restart or stop the session timer."""
        if self._session_timer is not None:
            self._session_timer.cancel()
            self._session_timer = None
        self._terms = terms
        if terms is not None and not self.ended:
            self._session_timer = self.ctx.timers.at(now + terms.act_ms, self._session_due)

    def timer_headers(self, request: Message) -> tuple[list[tuple[str, str]], Terms | None]:
        """What our 2xx says of session timers."""
        terms = terms_as_server(request)
        if terms is None:
            return [], None
        headers = [terms.as_server()]
        if not terms.ours:
            headers.append(("require", "timer"))
        return headers, terms

    def note_allow(self, message: Message) -> None:
        allow = message.tokens("allow")
        if allow:
            self._updates = "update" in allow

    def await_ack(self, server: Server, data: bytes, late: bool, first: bool, now: int) -> None:
        repeater = Repeater(self.ctx.transactions, server.hop, data, now, self._never_acked)
        self._unacked = _Unacked(server.request.cseq, repeater, late, first)

    def acknowledge(self, cseq: int, now: int) -> None:
        """ACK a 2xx to our INVITE; repeated 2xx get the same ACK again."""
        assert self.dialog is not None
        hop = self.next_hop()
        data = self.ctx.transactions.acknowledge(self.dialog.request("ACK", cseq), hop)
        self._acks = {cseq: (hop, data)}

    def acknowledge_again(self, cseq: int) -> None:
        if cseq in self._acks:
            self.ctx.send(*self._acks[cseq])

    def next_hop(self) -> Hop:
        """Where requests of this dialog go. Phones are reached where they come from; a trunk by
        its route set or Contact when that is an address we can use, else where it comes from."""
        dialog = self.dialog
        assert dialog is not None
        hop = dialog.hop
        if self.nat or hop.reliable:
            if self.ctx.alive(hop):
                return hop
            found = self._find_phone(self.source.id, dialog.target) if self._find_phone else None
            if found is not None:
                return found
        address = dialog.next_hop()
        if address is None or not is_address(address.uri.host):
            return hop
        uri = address.uri
        if _private(uri.host) and not _private(hop.host):
            return hop
        transport = uri.params.get("transport", "udp").lower()
        if transport == "tls" or uri.scheme == "sips":
            return self.ctx.hop("tls", uri.host, uri.port or 5061)
        return self.ctx.hop("tcp" if transport == "tcp" else "udp", uri.host, uri.port or 5060)

    def find_phone_by(self, find: Callable[[str, str], Hop | None]) -> None:
        """How to find a phone again whose connection broke."""
        if self.source.kind == "phone":
            self._find_phone = find

    # --- changes of media -------------------------------------------------------------------

    def _busy(self) -> bool:
        return (
            not self.up
            or self._ours is not None
            or self._theirs is not None
            or self._unacked is not None
            or self._retry is not None
        )

    def _next(self, now: int) -> None:
        if self._queued is not None and not self.ended and not self._busy():
            text, self._queued = self._queued, None
            self._offer_ours(text, True, now)

    def _offer_ours(self, text: str, asked: bool, now: int) -> None:
        """Send a re-INVITE; `asked` by the switch, else a refresh that it hears nothing of."""
        assert self.dialog is not None
        request = self.dialog.request("INVITE")
        request.headers += self._refresh_headers()
        request.headers.append(("content-type", "application/sdp"))
        request.body = self.publish(text).encode()
        answered: list[Message] = []

        def response(response: Message, now: int) -> None:
            if response.status < 200:
                if self.ended:
                    self._give_up_ours(now)
                return
            if answered:
                self.acknowledge_again(int((response.get("cseq") or "0 ").split()[0]))
                return
            answered.append(response)
            limit.cancel()
            exchange, self._ours = self._ours, None
            if exchange is None:
                return
            if response.status < 300:
                self._offer_taken(response, exchange.cseq, asked, now)
            elif response.status == 491 and not self.ended:
                self._retry = self.ctx.timers.at(now + self._glare_ms(), again)
            elif response.status in _GONE and not self.ended:
                self._lost(now)
            elif asked:
                self.tell(Reanswered(self.key, None))
            self._next(now)

        def again(now: int) -> None:
            self._retry = None
            if self._queued is None and asked:
                self._queued = text
            self._next(now)

        limit = self.ctx.timers.at(now + PROCEEDING_MS, self._give_up_ours)
        self._ours = self._exchange(request, response, now)

    def _give_up_ours(self, now: int) -> None:
        """CANCEL a re-INVITE that the peer leaves hanging after a provisional response; without
        an answer to that it counts as gone."""
        if self._ours is not None:
            self._ours.cancel(now)

    def _offer_taken(self, response: Message, cseq: int, asked: bool, now: int) -> None:
        self._retarget(response, now)
        self.acknowledge(cseq, now)
        self.follow_terms(terms_as_client(response), now)
        session = self._agree(response)
        if asked:
            self.tell(Reanswered(self.key, session))

    def _agree(self, message: Message) -> Session | None:
        """What the answer in the message agrees to with our last description."""
        text = body_of(message, "application/sdp")
        if text is None:
            return None
        try:
            session = sdp.agree(sdp.parse(self.sdp), sdp.parse(text), self.session)
        except SdpError:
            return None
        self.session = session or self.session
        return session

    def _take(self, offer: Offer, answer: str) -> None:
        """Note what our answer to an offer agreed to."""
        self.session = sdp.agree(sdp.parse(answer), offer, self.session) or self.session

    def _glare_ms(self) -> int:
        """RFC 3261 section 14.1: the caller waits longer, so that they do not meet again."""
        draw = int.from_bytes(self.ctx.entropy(2), "big")
        return 2100 + draw % 1900 if self._called_by_us() else draw % 2000

    def _called_by_us(self) -> bool:
        return False

    def _change_received(self, request: Message, server: Server, now: int) -> None:
        """A re-INVITE or UPDATE."""
        invite = request.method == "INVITE"
        if too_short(request):
            self.ctx.respond(server, 422, now, headers=[("min-se", str(MIN_SE))])
            return
        text = body_of(request, "application/sdp")
        if request.body and text is None:
            self.ctx.respond(server, 415, now, headers=[("accept", "application/sdp")])
            return
        if text is None and not invite:
            self._refreshed(request, server, now)
            return
        unacked = self._unacked
        if self._ours is not None or (unacked is not None and unacked.late):
            self.ctx.respond(server, 491, now)
            return
        if self._theirs is not None or not (self.up or (unacked is not None and invite)):
            wait = str(self.ctx.entropy(1)[0] % 10)
            self.ctx.respond(server, 500, now, headers=[("retry-after", wait)])
            return
        if unacked is not None:
            # The peer goes on without the ACK we wait for: it got our answer, the ACK was lost.
            unacked.repeater.stop()
            self._unacked = None
            self.confirmed(unacked.first, False, None, now)
        if text is None:
            self._retarget(request, now)
            self._accept(server, self.publish(self.sdp), True, now)
            return
        try:
            offer = sdp.parse(text)
        except SdpError:
            self.ctx.respond(server, 400, now)
            return
        self._theirs, self._offer = server, offer
        self._guard = self.ctx.timers.at(now + REANSWER_MS, self._unanswered)
        self.tell(Reoffered(self.key, offer))
        if self.ended:
            self._refuse_theirs(now)

    def _refreshed(self, request: Message, server: Server, now: int) -> None:
        """An UPDATE without media: new target, session timer."""
        assert self.dialog is not None
        self._retarget(request, now)
        headers, terms = self.timer_headers(request)
        headers.append(("contact", self.dialog.contact))
        self.ctx.respond(server, 200, now, headers=headers)
        self.follow_terms(terms, now)

    def _accept(self, server: Server, body: str, late: bool, now: int) -> None:
        dialog = self.dialog
        assert dialog is not None
        self._retarget(server.request, now)
        self.note_allow(server.request)
        headers, terms = self.timer_headers(server.request)
        headers += [("contact", dialog.contact), ("supported", "timer")]
        data = self.ctx.respond(server, 200, now, self.tag, headers, body)
        if server.request.method == "INVITE":
            self.await_ack(server, data, late, False, now)
        self.follow_terms(terms, now)

    def _retarget(self, message: Message, now: int) -> None:
        """Take a new remote target (section 12.2)."""
        assert self.dialog is not None
        before = self.dialog.target
        self.dialog.refresh(message)
        if self.kept and self.dialog.target != before:
            self.keep(now)

    def _unanswered(self, now: int) -> None:
        self._guard = None
        server = self._theirs
        self._clear_theirs()
        if server is not None:
            self.ctx.respond(server, 488, now)
        self._next(now)

    def _clear_theirs(self) -> None:
        self._theirs = self._offer = None
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None

    def _refuse_theirs(self, now: int) -> None:
        server = self._theirs
        self._clear_theirs()
        if server is not None:
            self.ctx.respond(server, 487, now, self.tag)

    # --- end of the call --------------------------------------------------------------------

    def _bye_received(self, server: Server, now: int) -> None:
        self.ctx.respond(server, 200, now)
        self._refuse_theirs(now)
        self._give_up_ours(now)
        self._bye_after_ack = False
        self.end(HungUp(self.key, "normal"))
        self.close()

    def _bye(self, now: int) -> None:
        """Send BYE; a callee may do so only after the ACK (RFC 3261 section 15)."""
        self._refuse_theirs(now)
        self._give_up_ours(now)
        if self._unacked is not None and self._unacked.first:
            self._bye_after_ack = True
            return
        assert self.dialog is not None
        self._bye_after_ack = False
        self._settle()
        self._exchange(self.dialog.request("BYE"), self._bye_answered, now)

    def _bye_answered(self, response: Message, now: int) -> None:
        if response.status >= 200:
            self.close()

    def _never_acked(self, now: int) -> None:
        unacked, self._unacked = self._unacked, None
        if self._bye_after_ack or (unacked is not None and not self.ended):
            self.end(HungUp(self.key, "unreachable"))
            self._bye(now)

    def _lost(self, now: int) -> None:
        self.end(HungUp(self.key, "unreachable"))
        self._bye(now)

    def _settle(self) -> None:
        """Stop everything that runs."""
        for timer in (self._guard, self._retry, self._session_timer):
            if timer is not None:
                timer.cancel()
        self._guard = self._retry = self._session_timer = None
        self._queued = None
        if self._unacked is not None:
            self._unacked.repeater.stop()
            self._unacked = None

    # --- session timer ----------------------------------------------------------------------

    def _session_due(self, now: int) -> None:
        self._session_timer = None
        terms = self._terms
        if self.ended or terms is None:
            return
        if not terms.ours:
            self._lost(now)
        elif self._busy():
            self._session_timer = self.ctx.timers.at(now + 2 * T1, self._session_due)
        elif self._updates:
            self._refresh(now)
        else:
            self._offer_ours(self.sdp, False, now)

    def _refresh(self, now: int) -> None:
        assert self.dialog is not None
        request = self.dialog.request("UPDATE")
        request.headers += self._refresh_headers()

        def response(response: Message, now: int) -> None:
            if response.status < 200:
                return
            self._ours = None
            if self.ended:
                return
            if response.status < 300:
                self._retarget(response, now)
                self.follow_terms(terms_as_client(response) or self._terms, now)
            elif response.status in _GONE:
                self._lost(now)
                return
            elif response.status == 491:
                self._session_timer = self.ctx.timers.at(now + self._glare_ms(), self._session_due)
            else:
                self._updates = False
                self._session_timer = self.ctx.timers.at(now + T1, self._session_due)
            self._next(now)

        self._ours = self._exchange(request, response, now)

    def _refresh_headers(self) -> list[tuple[str, str]]:
        headers = [("supported", "timer")]
        if self._terms is not None:
            headers.append(self._terms.as_client())
        return headers

    # --- transfer ---------------------------------------------------------------------------

    def _refer_received(self, request: Message, server: Server, now: int) -> None:
        """The phone wants the other party elsewhere; a trunk may not want anything."""
        if self.source.kind != "phone" or not self.up:
            self.ctx.respond(server, 603, now)
            return
        wish = parse_refer(request)
        if wish is None:
            self.ctx.respond(server, 400, now)
            return
        if self._referring:
            self.ctx.respond(server, 500, now, headers=[("retry-after", "5")])
            return
        replaced = None if wish.replaces is None else self._other(wish.replaces)
        self._referring, self._refer_news = True, wants_news(request)
        assert self.dialog is not None
        headers = [("contact", self.dialog.contact)]
        if not self._refer_news:
            headers.append(("refer-sub", "false"))
        self.ctx.respond(server, 202, now, headers=headers)
        self._tell_phone(100, now)
        if wish.replaces is not None and replaced is None:
            self.refer_done(481, now)
            return
        self.tell(Referred(self.key, wish.number, replaced))

    def _other(self, wanted: Replaces) -> str | None:
        """Another call of the same phone by its dialog; some phones swap the tags."""
        for ours, theirs in (
            (wanted.to_tag, wanted.from_tag),
            (wanted.from_tag, wanted.to_tag),
        ):
            leg = self.ctx.legs.get(ours)
            if (
                leg is not None
                and leg is not self
                and leg.source == self.source
                and leg.dialog is not None
                and (leg.dialog.call_id, leg.dialog.remote_tag) == (wanted.call_id, theirs)
            ):
                return leg.key
        return None

    def refer_done(self, status: int, now: int) -> None:
        """What became of the transfer that the phone asked for."""
        if self._referring:
            self._referring = False
            self._tell_phone(status, now)

    def _tell_phone(self, status: int, now: int) -> None:
        if not self._refer_news or self.dialog is None or self.ended:
            return
        request = self.dialog.request("NOTIFY")
        news(request, self.dialog.contact, status)
        self._exchange(request, lambda response, now: None, now)

    # --- the rest ---------------------------------------------------------------------------

    def _exchange(
        self, request: Message, handler: Callable[[Message, int], None], now: int
    ) -> Exchange:
        def next_cseq() -> int:
            assert self.dialog is not None
            self.dialog.local_cseq += 1
            return self.dialog.local_cseq

        return Exchange(
            self.ctx, request, self.next_hop(), handler, now, self._credentials, next_cseq
        )

    def _info_received(self, request: Message, server: Server, now: int) -> None:
        """DTMF by INFO (application/dtmf-relay, application/dtmf); an empty INFO is a
        keep-alive."""
        kind = (request.get("content-type") or "").partition(";")[0].strip().lower()
        if request.body and kind not in ("application/dtmf-relay", "application/dtmf"):
            accept = "application/dtmf-relay, application/dtmf"
            self.ctx.respond(server, 415, now, headers=[("accept", accept)])
            return
        self.ctx.respond(server, 200, now)
        digit = dtmf_digit(request.body[:200].decode("ascii", "replace"))
        if digit is not None:
            self.tell(Digit(self.key, digit))


def dtmf_digit(body: str) -> str | None:
    """`Signal=5` lines or a bare `5` -> the key; None for a hook flash or anything else."""
    signal = body.strip()
    for line in body.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() == "signal":
            signal = value.strip()
    signal = _SIGNALS.get(signal, signal.upper())
    return signal if len(signal) == 1 and signal in "0123456789*#ABCD" else None


def _private(host: str) -> bool:
    return ipaddress.ip_address(host).is_private
