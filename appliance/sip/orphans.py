"""Calls of an earlier process that died: nobody speaks in them any more, so their peers are told
that they are over.

A call leaves a `SavedDialog` when it rings and another one when it is answered, and takes them back
when nothing of it remains (`Context.kept`). What a process has left there when it died the next one
ends: what was answered with a BYE, a phone that rings with a CANCEL (and a BYE should it be
quicker), a caller who hears it ring with a refusal. The sequence number of a BYE skips `CSEQ_GAP`,
so that nothing has to be kept while a call goes on: a peer takes any number that is higher (RFC
3261 section 12.2.2).

Some cannot be told at once: a phone on TCP or TLS may listen nowhere and be reached by its own
connection alone, and the certificate of a trunk is known by its name, which is looked up first.
They are told as soon as that is there, or never after `HOLD_MS`: by then session timers and missing
audio have done it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from appliance.sip.context import Context
from appliance.sip.dialog import Dialog, SavedDialog
from appliance.sip.events import Source
from appliance.sip.flow import Hop
from appliance.sip.leg import Leg
from appliance.sip.message import Message, MessageError, parse
from appliance.sip.transaction import Client, Server

CSEQ_GAP: Final = 10_000
"""More requests than we make in one call."""
OLDEST_MS: Final = 24 * 3600 * 1000
"""Calls that were answered before that are over for any peer."""
MOST: Final = 1000
"""The newest of so many are told; each of `MAX_CALLS` has two legs."""
HOLD_MS: Final = 300_000
"""Phones on TCP are back by then, see `registrar.MAX_EXPIRES`."""


class OrphanLeg(Leg):
    """One end of a call that is over for everybody but its peer, until its BYE is answered."""

    def __init__(
        self,
        ctx: Context,
        saved: SavedDialog,
        credentials: tuple[str, str] | None,
        unreached: Callable[[SavedDialog, int], None],
    ) -> None:
        """`unreached` takes over what could not be sent."""
        source = Source(saved.kind, saved.source)
        super().__init__(ctx, "", source, credentials, saved.nat, saved.local_tag)
        self.dialog = Dialog.restored(saved, ctx.config.port_of(saved.transport), CSEQ_GAP)
        self.kept = True
        self._saved = saved
        self._unreached = unreached

    def receive(self, request: Message, server: Server, hop: Hop, now: int) -> None:
        """The peer may be quicker with its own BYE; for all else there is no such call."""
        if request.method == "BYE":
            super().receive(request, server, hop, now)
        else:
            self.ctx.respond(server, 481, now)

    def _bye_answered(self, response: Message, now: int) -> None:
        # What our own transaction says has no header fields.
        if response.status >= 200 and not response.headers and self._saved.theirs:
            self.kept = False
            self._unreached(self._saved, now)
        super()._bye_answered(response, now)


class OrphanInvite(Leg):
    """A phone that still rings for us, until it has said that it does not any more."""

    def __init__(
        self,
        ctx: Context,
        saved: SavedDialog,
        invite: Message,
        credentials: tuple[str, str] | None,
        unreached: Callable[[SavedDialog, int], None],
        find_phone: Callable[[str, str], Hop | None],
        now: int,
    ) -> None:
        source = Source(saved.kind, saved.source)
        super().__init__(ctx, "", source, credentials, saved.nat, saved.local_tag)
        self.find_phone_by(find_phone)
        self.kept = self.ended = True
        self._saved = saved
        self._unreached = unreached
        self._request = invite
        # A CANCEL goes where its INVITE went (RFC 3261 section 9.1).
        port = ctx.config.port_of(saved.transport)
        self._hop = saved.hop(port)
        if saved.theirs:
            self.dialog = Dialog.restored(saved, port, 0)
            self._hop, self.dialog = self.next_hop(), None
        layer = ctx.transactions
        client = Client(
            layer, invite, self._hop, invite.via.branch, self._response, now, proceeding=True
        )
        layer.start(client).cancel(now)

    def _response(self, response: Message, now: int) -> None:
        if response.status >= 300:
            if not response.headers and self._saved.theirs:
                self.kept = False
                self._unreached(self._saved, now)
            self.close()
        elif response.status >= 200 and self.dialog is not None:
            self.acknowledge_again(self._request.cseq)
        elif response.status >= 200:
            # Somebody picked up before our CANCEL came.
            self.dialog = Dialog.calling(self._request, response, self.tag, self._hop)
            self.acknowledge(self._request.cseq, now)
            self._bye(now)


class Orphans:
    """`find_phone(extension, contact)` is a phone's present way; `credentials(trunk)` what a trunk
    may ask for; `named(trunk, host)` whether we know by now whose certificate that host shows."""

    def __init__(
        self,
        ctx: Context,
        find_phone: Callable[[str, str], Hop | None],
        credentials: Callable[[str], tuple[str, str] | None],
        named: Callable[[str, str], bool],
    ) -> None:
        self._ctx = ctx
        self._find_phone = find_phone
        self._credentials = credentials
        self._named = named
        self._held: list[SavedDialog] = []
        self._until = 0

    def end(self, saved: Iterable[SavedDialog], now: int) -> None:
        """End what an earlier process left."""
        newest = sorted(saved, key=lambda one: one.at)
        if not newest:
            return
        self._until = now + HOLD_MS
        self._ctx.background.timers.at(self._until, self._give_up)
        for one in newest[:-MOST]:
            self._forget(one)
        for one in newest[-MOST:]:
            if one.at <= now - OLDEST_MS:
                self._forget(one)
            elif one.kind == "phone" or self._reachable(one):
                self._end(one, now)
            else:
                self._hold(one, now)

    def look_again(self, now: int) -> None:
        """A phone or a trunk can be reached that could not be before."""
        for one in [one for one in self._held if self._reachable(one)]:
            self._held.remove(one)
            self._end(one, now)

    def _reachable(self, one: SavedDialog) -> bool:
        if one.kind == "trunk":
            return one.transport != "tls" or self._named(one.source, one.host)
        return one.transport == "udp" or self._find_phone(one.source, one.target) is not None

    def _end(self, one: SavedDialog, now: int) -> None:
        if not one.invite:
            self._bye(one, now)
            return
        try:
            invite = parse(one.invite.encode("utf-8", "surrogateescape"))
        except MessageError:
            self._forget(one)
            return
        if one.ours:
            OrphanInvite(
                self._ctx,
                one,
                invite,
                self._credentials_of(one),
                self._hold,
                self._find_phone,
                now,
            )
        else:
            if not one.theirs:
                hop = one.hop(self._ctx.config.port_of(one.transport))
                server = self._ctx.transactions.open(invite, hop)
                self._ctx.respond(server, 503, now, one.local_tag)
            self._forget(one)

    def _credentials_of(self, one: SavedDialog) -> tuple[str, str] | None:
        return self._credentials(one.source) if one.kind == "trunk" else None

    def _bye(self, one: SavedDialog, now: int) -> None:
        credentials = self._credentials_of(one)
        leg = OrphanLeg(self._ctx, one, credentials, self._hold)
        leg.find_phone_by(self._find_phone)
        leg.hangup(now)

    def _hold(self, one: SavedDialog, now: int) -> None:
        if now < self._until:
            self._held.append(one)
        else:
            self._forget(one)

    def _give_up(self, now: int) -> None:
        for one in self._held:
            self._forget(one)
        self._held.clear()

    def _forget(self, one: SavedDialog) -> None:
        self._ctx.kept.append((one.local_tag, None))
