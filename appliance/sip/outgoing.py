"""A call of ours: one INVITE for each contact, the first answer wins (RFC 3261 section 13.2)."""

from __future__ import annotations

from typing import Final

from appliance.sip import sdp
from appliance.sip.context import ALLOW, SERVER, Context
from appliance.sip.dialog import Dialog
from appliance.sip.events import Answered, Failed, Progress, Source
from appliance.sip.exchange import Exchange
from appliance.sip.flow import Hop
from appliance.sip.leg import Leg
from appliance.sip.message import REASONS, Message, body_of
from appliance.sip.sdp import SdpError, Session
from appliance.sip.session_timer import terms_as_client

_UNANSWERED_MS: Final = 10 * 60 * 1000
"""The longest a call of ours may ring; the switch gives up much sooner."""


class OutgoingLeg(Leg):
    """The INVITE to one contact. `to` and `sender` are whole header values without tags,
    `extra` more headers."""

    def __init__(
        self,
        ctx: Context,
        call: OutgoingCall,
        source: Source,
        credentials: tuple[str, str] | None,
        hop: Hop,
        uri: str,
        to: str,
        sender: str,
        user: str,
        offer: str,
        now: int,
        extra: list[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(ctx, call.key, source, credentials, source.kind == "phone")
        self._call = call
        self._given_up = False
        self.hop = hop
        body = self.publish(offer)
        request = Message(
            "INVITE",
            uri,
            headers=[
                ("max-forwards", "70"),
                ("from", f"{sender};tag={self.tag}"),
                ("to", to),
                ("call-id", ctx.entropy(12).hex()),
                ("cseq", "1 INVITE"),
                ("contact", hop.contact(user)),
                ("allow", ALLOW),
                ("supported", "timer"),
                ("user-agent", SERVER[1]),
                *(extra or ()),
                ("content-type", "application/sdp"),
            ],
            body=body.encode(),
        )
        self.call_id = request.get("call-id")
        self._guard_ring = ctx.timers.at(now + _UNANSWERED_MS, self._rang_too_long)
        self._invite = Exchange(ctx, request, hop, self._response, now, credentials)

    def hangup(self, now: int) -> None:
        """Cancel while it rings, BYE after that."""
        if self.dialog is not None:
            super().hangup(now)
            return
        self.ended = True
        self._given_up = True
        self._guard_ring.cancel()
        self._invite.cancel(now)

    def close(self) -> None:
        self._guard_ring.cancel()
        super().close()

    def _called_by_us(self) -> bool:
        return True

    def _response(self, response: Message, now: int) -> None:
        if response.status < 200:
            self._provisional(response, now)
        elif response.status < 300:
            self._accepted(response, now)
        elif self.dialog is None:
            self.close()
            if not self._given_up:
                self.ended = True
                self._call.failed(self, response.status, response.reason, now)

    def _provisional(self, response: Message, now: int) -> None:
        self.keep_invite(self._invite.request, self.hop, True, now)
        if self._given_up:
            self._invite.cancel(now)
        elif response.status > 100 and not self.ended:
            self.note_allow(response)
            self._call.progress(self, response.status, self._early(response))

    def _early(self, response: Message) -> Session | None:
        text = body_of(response, "application/sdp")
        if text is None:
            return None
        try:
            session = sdp.agree(sdp.parse(self.sdp), sdp.parse(text))
        except SdpError:
            return None
        self.session = session or self.session
        return session

    def _accepted(self, response: Message, now: int) -> None:
        cseq = self._invite.cseq
        if self.dialog is not None:
            if response.to_tag == self.dialog.remote_tag:
                self.acknowledge_again(cseq)
            else:
                self._end_fork(response, now)
            return
        self._guard_ring.cancel()
        self.dialog = Dialog.calling(self._invite.request, response, self.tag, self.hop)
        self.acknowledge(cseq, now)
        if self._given_up:
            self._bye(now)
            return
        self.up = True
        self.keep(now)
        self.note_allow(response)
        self.follow_terms(terms_as_client(response), now)
        session = self._agree(response) if response.body else self.session
        if session is None:
            self.ended = True
            self._bye(now)
            self._call.failed(self, 488, REASONS[488], now)
        else:
            self._call.answered(self, session, now)

    def _end_fork(self, response: Message, now: int) -> None:
        """Another branch of a forking proxy answered too: acknowledge it and hang it up."""
        fork = Dialog.calling(self._invite.request, response, self.tag, self.hop)
        first, self.dialog = self.dialog, fork
        hop = self.next_hop()
        self.dialog = first
        self.ctx.transactions.acknowledge(fork.request("ACK", self._invite.cseq), hop)
        Exchange(self.ctx, fork.request("BYE"), hop, _ignore, now, self._credentials)

    def _rang_too_long(self, now: int) -> None:
        self.hangup(now)
        self._call.failed(self, 408, REASONS[408], now)


class OutgoingCall:
    """One call of ours with all its legs; after the answer only the winner remains."""

    def __init__(self, ctx: Context, key: str) -> None:
        self.key = key
        self.legs: list[OutgoingLeg] = []
        self.winner: OutgoingLeg | None = None
        self._ctx = ctx
        self._best: tuple[int, str] | None = None
        self._several = False
        self._rang = False
        ctx.calls[key] = self

    def add(self, leg: OutgoingLeg) -> None:
        self._several = self._several or bool(self.legs)
        self.legs.append(leg)

    def hangup(self, now: int) -> None:
        self._ctx.calls.pop(self.key, None)
        for leg in self.legs:
            leg.hangup(now)

    def progress(self, leg: OutgoingLeg, code: int, session: Session | None) -> None:
        """Several phones ring as one: a single 180, and nobody's early audio."""
        if not self._several:
            self._ctx.emit(Progress(self.key, code, session))
        elif not self._rang:
            self._rang = True
            self._ctx.emit(Progress(self.key, 180, None))

    def answered(self, leg: OutgoingLeg, session: Session, now: int) -> None:
        self.winner = leg
        others = [other for other in self.legs if other is not leg]
        self.legs = [leg]
        for other in others:
            other.hangup(now)
        self._ctx.emit(Answered(self.key, session, leg.hop.host))

    def failed(self, leg: OutgoingLeg, code: int, reason: str, now: int) -> None:
        self.legs = [other for other in self.legs if other is not leg]
        if self._best is None or _rank(code) < _rank(self._best[0]):
            self._best = (code, reason)
        if code >= 600:
            for other in self.legs:
                other.hangup(now)
            self.legs = []
        self.settle()

    def settle(self) -> None:
        """Tell of the failure once no leg is left."""
        if not self.legs and self._ctx.calls.pop(self.key, None) is not None:
            code, reason = self._best or (480, REASONS[480])
            self._ctx.emit(Failed(self.key, code, reason or REASONS.get(code, "")))


def _rank(code: int) -> tuple[int, int]:
    """RFC 3261 section 16.7: 6xx decides; what a phone said beats that it said nothing."""
    if code >= 600:
        return 0, code
    return (2, code) if code in (408, 503) else (1, code)


def _ignore(response: Message, now: int) -> None:
    """Whatever a superfluous branch says to its BYE."""
