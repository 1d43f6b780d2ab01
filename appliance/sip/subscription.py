"""Who wants to be told of what, and the telling (RFC 6665).

Theory of operation. The switch publishes a document for a resource of a package ("message-summary"
of 201); a phone subscribes to it, and gets the document at once and after each change. One NOTIFY
at a time is under way for each subscription; what changes meanwhile is told by the next, so a slow
phone misses states but never the last one. A subscription ends with its time, by the phone's wish,
when the phone or the resource is gone, and when a NOTIFY is not taken.

Phones that never subscribe are told by a NOTIFY of its own, where the package is made for that
(`unasked`): with each change, and when they register.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from appliance.sip.admission import request_uri
from appliance.sip.context import Context
from appliance.sip.dialog import Dialog, target_of
from appliance.sip.exchange import Exchange
from appliance.sip.flow import Flow, Hop
from appliance.sip.headers import HeaderError, number_of
from appliance.sip.message import Message
from appliance.sip.registrar import Binding
from appliance.sip.timers import Timer
from appliance.sip.transaction import Server
from appliance.sip.uri import bracketed

MIN_EXPIRES: Final = 60
MAX_EXPIRES: Final = 300
"""Granted at most, in seconds: after a restart of the box a phone is back this soon."""
MAX_OF_PHONE: Final = 200
"""Subscriptions of one extension; a phone with three key modules has 180 lamps."""
MAX_SUBSCRIPTIONS: Final = 4000
SKIPPED: Final = 1000
"""After a restart numbers go on this much later: some were used after the last were saved."""


@dataclass(frozen=True, slots=True)
class Package:
    """`content_type` is that of its documents. With `own`, who asks for a resource that is not
    there gets their own: phones ask for the number of the voicemail instead of theirs."""

    content_type: str
    own: bool = False
    unasked: bool = False


PACKAGES: Final[dict[str, Package]] = {
    "message-summary": Package("application/simple-message-summary", own=True, unasked=True),
    "dialog": Package("application/dialog-info+xml"),
}
"""By the name in Event (RFC 3842, RFC 4235)."""


class Document(Protocol):
    """The state of a resource. Equal ones are told once."""

    def body(self, version: int, entity: str) -> str:
        """What the phone is sent; `version` counts the NOTIFYs of a subscription from 0, `entity`
        is the URI that it asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """`watchers`: the extensions that may subscribe; None for all."""

    document: Document
    watchers: frozenset[str] | None = None

    def open_to(self, extension: str) -> bool:
        return self.watchers is None or extension in self.watchers


@dataclass(slots=True, eq=False)
class Subscription:
    """One phone's interest. `dirty`: something is to be told after the NOTIFY under way."""

    extension: str
    package: str
    resource: str
    entity: str
    event: str
    """As the phone wrote it, its id included."""
    dialog: Dialog
    expires_at: int
    timer: Timer | None = None
    version: int = 0
    busy: bool = False
    dirty: bool = False
    over: str | None = None
    """Why it ended; told by the last NOTIFY."""
    told: Document | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SavedSubscription:
    """A subscription as it is kept over a restart. `local_cseq` is what was used at that time."""

    extension: str
    package: str
    resource: str
    entity: str
    event: str
    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    local_cseq: int
    remote_cseq: int
    target: str
    host: str
    port: int
    local_host: str
    contact: str
    routes: list[str]
    version: int
    expires_at: int


class Subscriptions:
    """`place(extension, target)` is where that contact is now, `contacts(extension)` all of a
    phone's."""

    def __init__(
        self,
        ctx: Context,
        place: Callable[[str, str], Hop | None],
        contacts: Callable[[str], list[Binding]],
    ) -> None:
        self._ctx = ctx
        self._place = place
        self._contacts = contacts
        self._published: dict[tuple[str, str], Published] = {}
        self._by_tag: dict[str, Subscription] = {}
        self._deaf: set[tuple[str, str]] = set()
        """Package and contact of phones that refuse what they did not ask for."""

    def __len__(self) -> int:
        return len(self._by_tag)

    def __contains__(self, tag: str) -> bool:
        return tag in self._by_tag

    # --- the switch's side ------------------------------------------------------------------

    def publish(self, package: str, resource: str, state: Published | None, now: int) -> None:
        """The state of a resource from now on; None: there is no such resource any more."""
        key = (package, resource)
        old = self._published.get(key)
        if old == state:
            return
        if state is None:
            del self._published[key]
        else:
            self._published[key] = state
        for one in [s for s in self._by_tag.values() if (s.package, s.resource) == key]:
            if state is None or not state.open_to(one.extension):
                self._end(one, "noresource" if state is None else "rejected", now)
            else:
                self._tell(one, now)
        if state is not None and (old is None or old.document != state.document):
            self.tell_unasked(package, resource, now)

    def tell_unasked(self, package: str, extension: str, now: int, contact: str = "") -> None:
        """Tell the phone's contacts (or that one) that have no subscription to their own state."""
        state = self._published.get((package, extension))
        if state is None or not PACKAGES[package].unasked:
            return
        asked = {
            one.dialog.target
            for one in self._by_tag.values()
            if one.package == package and one.extension == extension
        }
        for binding in self._contacts(extension):
            known = binding.contact in asked or (package, binding.contact) in self._deaf
            if not known and contact in ("", binding.hop.address):
                self._send_unasked(package, extension, binding, state.document, now)

    def registered(self, extension: str, address: str, now: int) -> None:
        """A phone has a new contact: it is told how things stand."""
        for package in PACKAGES:
            self._deaf -= {(package, b.contact) for b in self._contacts(extension)}
            self.tell_unasked(package, extension, now, address)

    def forget(self, extensions: set[str], now: int) -> None:
        """Phones that are no longer configured, or under another password."""
        for one in [s for s in self._by_tag.values() if s.extension in extensions]:
            self._end(one, "rejected", now)

    def saved(self) -> list[SavedSubscription]:
        """Those that outlive this process: on UDP, since connections do not."""
        return [
            SavedSubscription(
                one.extension,
                one.package,
                one.resource,
                one.entity,
                one.event,
                one.dialog.call_id,
                one.dialog.local,
                one.dialog.remote,
                one.dialog.local_tag,
                one.dialog.remote_tag,
                one.dialog.local_cseq,
                one.dialog.remote_cseq,
                one.dialog.target,
                one.dialog.hop.host,
                one.dialog.hop.port,
                one.dialog.hop.flow.local_host,
                one.dialog.contact,
                list(one.dialog.routes),
                one.version,
                one.expires_at,
            )
            for one in self._by_tag.values()
            if one.over is None and one.dialog.hop.flow.transport == "udp"
        ]

    def restore(self, saved: Iterable[SavedSubscription], local_port: int, now: int) -> None:
        """Go on with what an earlier process saved; each is told how things stand now."""
        for one in saved:
            left = one.expires_at - now
            known = one.package in PACKAGES and (one.package, one.resource) in self._published
            if not known or not 0 < left <= MAX_EXPIRES * 1000 or len(self) >= MAX_SUBSCRIPTIONS:
                continue
            hop = Hop(Flow("udp", 0, one.local_host, local_port), one.host, one.port)
            dialog = Dialog(
                one.call_id,
                one.local,
                one.remote,
                one.local_tag,
                one.remote_tag,
                one.local_cseq + SKIPPED,
                one.remote_cseq,
                one.target,
                hop,
                one.contact,
                list(one.routes),
            )
            back = Subscription(
                one.extension,
                one.package,
                one.resource,
                one.entity,
                one.event,
                dialog,
                one.expires_at,
                version=one.version + SKIPPED,
            )
            self._by_tag[one.local_tag] = back
            back.timer = self._ctx.background.timers.at(
                one.expires_at, functools.partial(self._expire, back)
            )
            self._tell(back, now)

    # --- the phone's side -------------------------------------------------------------------

    def refuse(self, request: Message) -> tuple[int, list[tuple[str, str]]] | None:
        """What keeps a SUBSCRIBE from being looked at, whoever it is from."""
        package = PACKAGES.get(_package(request))
        if package is None:
            return 489, [("allow-events", ", ".join(PACKAGES))]
        accept = {value.partition(";")[0].strip() for value in request.tokens("accept")}
        if accept and not accept & {package.content_type, "application/*", "*/*"}:
            return 406, []
        try:
            seconds = _wanted(request)
        except HeaderError:
            return 400, []
        if 0 < seconds < MIN_EXPIRES:
            return 423, [("min-expires", str(MIN_EXPIRES))]
        return None if target_of(request) is not None else (400, [])

    def subscribe(
        self, request: Message, server: Server, hop: Hop, extension: str, now: int
    ) -> None:
        """A SUBSCRIBE outside of a dialog, of a phone that proved its password; `hop` is where it
        wants its requests. `refuse` had nothing against it."""
        package = _package(request)
        uri = request_uri(request)
        resource = uri.number
        state = self._published.get((package, resource))
        if state is None and PACKAGES[package].own:
            resource = extension
            state = self._published.get((package, resource))
        tag = self._ctx.token()
        status = 404 if state is None else 200 if state.open_to(extension) else 403
        held = [one for one in self._by_tag.values() if one.extension == extension]
        target = target_of(request) or ""
        for one in held:
            # The phone came back after a restart: its old subscription would tell it everything
            # twice, and pile up.
            same = (one.package, one.resource, one.dialog.target) == (package, resource, target)
            if same and status == 200:
                self._drop(one)
        full = len(held) >= MAX_OF_PHONE or len(self._by_tag) >= MAX_SUBSCRIPTIONS
        if status == 200 and full:
            status = 503
        if status != 200:
            self._ctx.respond(server, status, now, tag)
            return
        entity = f"sip:{resource}@{bracketed(uri.host)}"
        dialog = Dialog.answering(request, hop, tag, hop.contact(resource))
        one = Subscription(
            extension, package, resource, entity, request.get("event") or package, dialog, now
        )
        self._by_tag[tag] = one
        self._accept(one, request, server, now)

    def refresh(self, request: Message, server: Server, hop: Hop, now: int) -> None:
        """A SUBSCRIBE within a dialog of ours. `refuse` had nothing against it."""
        one = self._by_tag.get(request.to_tag)
        known = one is not None and (request.call_id, request.from_tag) == (
            one.dialog.call_id,
            one.dialog.remote_tag,
        )
        if one is None or not known or one.over is not None:
            self._ctx.respond(server, 481, now)
            return
        if request.cseq <= one.dialog.remote_cseq:
            self._ctx.respond(server, 500, now)
            return
        one.dialog.remote_cseq = request.cseq
        one.dialog.refresh(request)
        one.dialog.hop = hop
        self._accept(one, request, server, now)

    def _accept(self, one: Subscription, request: Message, server: Server, now: int) -> None:
        seconds = min(_wanted(request), MAX_EXPIRES)
        one.expires_at = now + seconds * 1000
        headers = [("expires", str(seconds)), ("contact", one.dialog.contact)]
        self._ctx.respond(server, 200, now, one.dialog.local_tag, headers)
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        if not seconds:
            self._end(one, "timeout", now)
            return
        one.timer = self._ctx.background.timers.at(one.expires_at, lambda at: self._expire(one, at))
        # A refresh is answered by the state as well (RFC 6665 section 4.2.1.4).
        one.told = None
        self._tell(one, now)

    # --- telling ----------------------------------------------------------------------------

    def _expire(self, one: Subscription, now: int) -> None:
        one.timer = None
        self._end(one, "timeout", now)

    def _end(self, one: Subscription, reason: str, now: int) -> None:
        if one.over is None:
            one.over = reason
            self._tell(one, now)

    def _tell(self, one: Subscription, now: int) -> None:
        if one.busy:
            one.dirty = True
            return
        one.dirty = False
        state = self._published.get((one.package, one.resource))
        document = None if state is None else state.document
        if one.over is None and document == one.told:
            return
        hop = self._hop(one)
        if hop is None:
            self._drop(one)
            return
        request = one.dialog.request("NOTIFY")
        request.headers += [("contact", one.dialog.contact), ("event", one.event)]
        if one.over is not None:
            ending = f"terminated;reason={one.over}"
            request.headers.append(("subscription-state", ending))
        else:
            left = max(1, (one.expires_at - now) // 1000)
            request.headers.append(("subscription-state", f"active;expires={left}"))
        if document is not None and one.over in (None, "timeout"):
            _fill(request, one.package, document, one.version, one.entity)
            one.version += 1
        one.told, one.busy = document, True
        Exchange(
            self._ctx,
            request,
            hop,
            lambda response, at: self._told(one, response, at),
            now,
            layer=self._ctx.background,
        )

    def _told(self, one: Subscription, response: Message, now: int) -> None:
        if response.status < 200:
            return
        one.busy = False
        if response.status >= 300 or (one.over is not None and not one.dirty):
            # RFC 6665 section 4.2.2: who does not take it is told no more.
            self._drop(one)
        elif one.dirty:
            self._tell(one, now)

    def _hop(self, one: Subscription) -> Hop | None:
        """Where the phone is: by the way it asked, or by that of its present registration."""
        if self._ctx.alive(one.dialog.hop):
            return one.dialog.hop
        return self._place(one.extension, one.dialog.target)

    def _drop(self, one: Subscription) -> None:
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        self._by_tag.pop(one.dialog.local_tag, None)

    def _send_unasked(
        self, package: str, extension: str, binding: Binding, document: Document, now: int
    ) -> None:
        host = bracketed(binding.hop.flow.local_host)
        entity = f"sip:{extension}@{host}"
        request = Message(
            "NOTIFY",
            binding.contact,
            headers=[
                ("max-forwards", "70"),
                ("from", f"<{entity}>;tag={self._ctx.token()}"),
                ("to", f"<{entity}>"),
                ("call-id", self._ctx.token()),
                ("cseq", "1 NOTIFY"),
                ("contact", binding.hop.contact(extension)),
                ("event", package),
                ("subscription-state", "terminated;reason=noresource"),
            ],
        )
        _fill(request, package, document, 0, entity)

        def answered(response: Message, at: int) -> None:
            if 400 <= response.status < 500 and response.status != 408:
                self._deaf.add((package, binding.contact))

        Exchange(self._ctx, request, binding.hop, answered, now, layer=self._ctx.background)


def _fill(request: Message, package: str, document: Document, version: int, entity: str) -> None:
    request.headers.append(("content-type", PACKAGES[package].content_type))
    request.body = document.body(version, entity).encode()


def _package(request: Message) -> str:
    return (request.get("event") or "").partition(";")[0].strip().lower()


def _wanted(request: Message) -> int:
    """Seconds that the phone wants to be told for. Raises HeaderError."""
    return number_of(request.get("expires") or str(MAX_EXPIRES), 2**32 - 1)
