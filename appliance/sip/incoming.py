"""A call that comes in: from its INVITE to the ACK of our 2xx (RFC 3261 section 13.3)."""

from __future__ import annotations

from typing import Final

from appliance.sip.context import ALLOW, Context
from appliance.sip.dialog import Dialog
from appliance.sip.events import Answered, Cancelled, HungUp, Source
from appliance.sip.flow import Hop
from appliance.sip.leg import Leg
from appliance.sip.message import Message
from appliance.sip.sdp import Offer, Session
from appliance.sip.timers import Timer
from appliance.sip.transaction import TIMEOUT, Repeater, Server

_REMIND_MS: Final = 60_000
"""Provisional responses are repeated this often: proxies give up after three minutes."""


class IncomingLeg(Leg):
    """The callee's half. Provisional responses are sent reliably (RFC 3262) only when the INVITE
    requires it; then one at a time, and the 2xx waits for the last PRACK."""

    def __init__(
        self,
        ctx: Context,
        key: str,
        source: Source,
        credentials: tuple[str, str] | None,
        server: Server,
        dialog_hop: Hop,
        nat: bool,
        offer: Offer | None,
        now: int,
    ) -> None:
        super().__init__(ctx, key, source, credentials, nat)
        request = server.request
        self.dialog = Dialog.answering(
            request, dialog_hop, self.tag, dialog_hop.contact("centrala")
        )
        self.note_allow(request)
        self._server = server
        self._first_offer = offer
        self._reliable = "100rel" in request.tokens("require")
        self._rseq = 1 + int.from_bytes(ctx.entropy(2), "big")
        self._repeater: Repeater | None = None
        self._line: list[tuple[int, str]] = []
        """Responses that wait for a PRACK."""
        self._body_settled = False
        """Our answer went out in a reliable response: the 2xx must not repeat it."""
        self._last: tuple[int, str] | None = None
        self._reminder: Timer | None = None
        server.owner = self
        ctx.respond(server, 100, now)

    # --- what the switch asks for -----------------------------------------------------------

    def ring(self, now: int) -> None:
        self._provide(180, "", now)

    def progress(self, text: str, now: int) -> None:
        self._provide(183, text, now)

    def answer(self, text: str, now: int) -> None:
        if self._server.final or any(status == 200 for status, _ in self._line):
            return
        if self._repeater is not None:
            self._line.append((200, text))
        else:
            self._answer(text, now)

    def reject(self, code: int, now: int) -> None:
        if not self._server.final:
            self.ended = True
            self.ctx.respond(self._server, code, now, self.tag)
            self.end(None)
            self.close()

    def hangup(self, now: int) -> None:
        if self._server.final:
            super().hangup(now)
            self.ctx.calls.pop(self.key, None)
        else:
            self.reject(480, now)

    # --- what the peer sends ----------------------------------------------------------------

    def cancelled(self, now: int) -> None:
        """A CANCEL came; after our final response it changes nothing (RFC 3261 section 9.2)."""
        if not self._server.final:
            self.ctx.respond(self._server, 487, now, self.tag)
            self.end(Cancelled(self.key))
            self.close()

    def prack(self, request: Message, server: Server, now: int) -> None:
        expected = f"{self._rseq} {self._server.request.cseq} INVITE"
        if self._repeater is None or (request.get("rack") or "").split() != expected.split():
            self.ctx.respond(server, 481, now)
            return
        self._repeater.stop()
        self._repeater = None
        self._rseq += 1
        self.ctx.respond(server, 200, now)
        if self._line:
            status, text = self._line.pop(0)
            if status == 200:
                self._answer(text, now)
            else:
                self._provide(status, text, now)

    def _bye_received(self, server: Server, now: int) -> None:
        if not self._server.final:
            # A BYE in an early dialog gives the call up like a CANCEL (section 15.1.2).
            self.ctx.respond(server, 200, now)
            self.cancelled(now)
            return
        super()._bye_received(server, now)

    def confirmed(self, first: bool, late: bool, remote: Session | None, now: int) -> None:
        if not first:
            super().confirmed(first, late, remote, now)
            return
        if late and remote is None:
            self.end(HungUp(self.key, "protocol"))
            self._bye(now)
            return
        self.up = True
        self.tell(Answered(self.key, remote))

    def close(self) -> None:
        self._quiet()
        super().close()

    # --- responses --------------------------------------------------------------------------

    def _provide(self, status: int, text: str, now: int) -> None:
        if self._server.final:
            return
        assert self.dialog is not None
        self.keep_invite(self._server.request, self._server.hop, False, now)
        headers = [("contact", self.dialog.contact), *self._record_route()]
        if self._reliable:
            if self._first_offer is None:
                # The first reliable response would have to carry our offer; the 2xx does.
                return
            if self._repeater is not None:
                if not any(waiting == 200 for waiting, _ in self._line):
                    self._line = [(status, text)]
                return
            headers += [("require", "100rel"), ("rseq", str(self._rseq))]
        body = self.publish(text) if text else ""
        if text and self._first_offer is not None:
            self._take(self._first_offer, text)
        data = self.ctx.respond(self._server, status, now, self.tag, headers, body)
        if self._reliable:
            self._body_settled = self._body_settled or bool(text)
            self._repeater = Repeater(
                self.ctx.transactions, self._server.hop, data, now, self._never_pracked, TIMEOUT
            )
            return
        self._last = (status, text)
        if self._reminder is not None:
            self._reminder.cancel()
        self._reminder = self.ctx.timers.at(now + _REMIND_MS, self._remind)

    def _remind(self, now: int) -> None:
        self._reminder = None
        if self._last is not None:
            self._provide(*self._last, now)

    def _answer(self, text: str, now: int) -> None:
        assert self.dialog is not None
        self._quiet()
        headers, terms = self.timer_headers(self._server.request)
        headers += [
            ("contact", self.dialog.contact),
            ("allow", ALLOW),
            ("supported", "timer"),
            *self._record_route(),
        ]
        body = self.publish(text)
        if self._first_offer is not None:
            self._take(self._first_offer, text)
        if self._body_settled:
            body = ""
        data = self.ctx.respond(self._server, 200, now, self.tag, headers, body)
        self.keep(now)
        self.await_ack(self._server, data, self._first_offer is None, True, now)
        self.follow_terms(terms, now)

    def _record_route(self) -> list[tuple[str, str]]:
        request = self._server.request
        return [("record-route", value) for value in request.all("record-route")]

    def _never_pracked(self, now: int) -> None:
        self._repeater = None
        if not self._server.final:
            self.ctx.respond(self._server, 504, now, self.tag)
            self.end(Cancelled(self.key))
            self.close()

    def _quiet(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None
