"""Where each phone is (RFC 3261 section 10).

A binding keeps the flow that its REGISTER came by: phones on TCP put a port into their Contact
where nobody listens, phones behind a NAT an address that nobody reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from appliance.sip.flow import Flow, Hop
from appliance.sip.headers import Address, HeaderError, number_of, parse_addresses
from appliance.sip.message import Message
from appliance.sip.uri import printable

MIN_EXPIRES: Final = 60
MAX_EXPIRES: Final = 300
"""Granted at most, in seconds: a phone on TCP is back this soon after a restart of the box."""
MAX_CONTACTS: Final = 10
"""Per extension; the oldest makes room."""


@dataclass(slots=True)
class Binding:
    """One contact. `contact` is the URI as the phone wrote it, `instance` its +sip.instance."""

    contact: str
    key: tuple[str, str, str, int | None, str]
    instance: str
    hop: Hop
    call_id: str
    cseq: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class SavedBinding:
    """A binding as it is kept over a restart."""

    extension: str
    contact: str
    instance: str
    host: str
    port: int
    local_host: str
    call_id: str
    cseq: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a REGISTER. `fresh` is the address of a new or moved contact, `gone` tells
    that the last one went."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    fresh: str = ""
    gone: bool = False


class Registrar:
    """Bindings by extension."""

    def __init__(self) -> None:
        self._bindings: dict[str, list[Binding]] = {}
        self._next: int | None = None

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._bindings.values())

    def contacts(self, extension: str) -> list[Binding]:
        return list(self._bindings.get(extension, ()))

    def next_expiry(self) -> int | None:
        return self._next

    def register(self, extension: str, request: Message, hop: Hop, now: int) -> Outcome:
        """Carry out an authenticated REGISTER."""
        values = request.all("contact")
        if values == ["*"]:
            return self._clear(extension, request)
        try:
            contacts = parse_addresses(values)
            default = number_of(request.get("expires") or str(MAX_EXPIRES), 2**32 - 1)
            wanted = [
                (c, number_of(c.params.get("expires") or str(default), 2**32 - 1)) for c in contacts
            ]
        except HeaderError:
            return Outcome(400)
        if len(contacts) > MAX_CONTACTS or any(
            contact.uri.scheme not in ("sip", "sips") for contact in contacts
        ):
            return Outcome(400)
        if any(0 < seconds < MIN_EXPIRES for _, seconds in wanted):
            return Outcome(423, (("min-expires", str(MIN_EXPIRES)),))
        bindings = self._bindings.get(extension, [])
        if any(
            binding.call_id == request.call_id
            and request.cseq <= binding.cseq
            and any(_same(binding, contact) for contact in contacts)
            for binding in bindings
        ):
            return Outcome(500)
        had = bool(bindings)
        bindings = list(bindings)
        fresh = ""
        for contact, seconds in wanted:
            old = [b for b in bindings if _same(b, contact)]
            if seconds:
                # The same address under another Call-ID: the phone came back after a restart.
                old += [
                    b
                    for b in bindings
                    if b.hop == hop and b.call_id != request.call_id and b not in old
                ]
            bindings = [b for b in bindings if b not in old]
            if seconds:
                seconds = min(seconds, MAX_EXPIRES)
                binding = _binding(contact, request, hop, now + seconds * 1000)
                if not any(b.contact == binding.contact and b.hop == hop for b in old):
                    fresh = hop.address
                bindings.append(binding)
        self._keep(extension, bindings[-MAX_CONTACTS:])
        listed = tuple(
            ("contact", f"<{b.contact}>;expires={max(1, (b.expires_at - now) // 1000)}")
            for b in bindings[-MAX_CONTACTS:]
        )
        date = ("date", formatdate(now / 1000, usegmt=True))
        return Outcome(200, (*listed, date), fresh, had and not bindings)

    def _clear(self, extension: str, request: Message) -> Outcome:
        if (request.get("expires") or "").strip() != "0":
            return Outcome(400)
        gone = extension in self._bindings
        self._keep(extension, [])
        return Outcome(200, (), "", gone)

    def saved(self) -> list[SavedBinding]:
        """The contacts that outlive this process: those on UDP, since connections do not."""
        return [
            SavedBinding(
                extension,
                b.contact,
                b.instance,
                b.hop.host,
                b.hop.port,
                b.hop.flow.local_host,
                b.call_id,
                b.cseq,
                b.expires_at,
            )
            for extension, bindings in self._bindings.items()
            for b in bindings
            if b.hop.flow.transport == "udp"
        ]

    def restore(self, saved: Iterable[SavedBinding], local_port: int, now: int) -> list[str]:
        """Take back what an earlier process saved; returns the extensions with a contact. What
        ran out or cannot be read is left out: the phone will say it again."""
        restored = []
        for one in saved:
            try:
                contact = parse_addresses([f"<{one.contact}>"])[0]
            except (HeaderError, IndexError):
                continue
            if one.expires_at <= now or one.expires_at > now + MAX_EXPIRES * 1000:
                continue
            hop = Hop(Flow("udp", 0, one.local_host, local_port), one.host, one.port)
            binding = Binding(
                one.contact,
                contact.uri.key,
                one.instance,
                hop,
                one.call_id,
                one.cseq,
                one.expires_at,
            )
            bindings = [*self._bindings.get(one.extension, ()), binding]
            self._keep(one.extension, bindings[-MAX_CONTACTS:])
            restored.append(one.extension)
        return list(dict.fromkeys(restored))

    def expire(self, now: int) -> list[str]:
        """Drop what ran out; returns the extensions that have no contact left."""
        if self._next is None or now < self._next:
            return []
        return self._drop(lambda extension, binding: binding.expires_at <= now)

    def closed(self, connection: int) -> list[str]:
        """A connection broke: its contacts are gone. Returns as `expire`."""
        return self._drop(lambda extension, binding: binding.hop.flow.connection == connection)

    def remove(self, extensions: set[str]) -> list[str]:
        """Phones that are no longer configured, or under another password. Returns as
        `expire`."""
        return self._drop(lambda extension, binding: extension in extensions)

    def _drop(self, gone: Callable[[str, Binding], bool]) -> list[str]:
        empty = []
        for extension, bindings in list(self._bindings.items()):
            kept = [binding for binding in bindings if not gone(extension, binding)]
            if len(kept) != len(bindings):
                self._keep(extension, kept)
                if not kept:
                    empty.append(extension)
        self._plan()
        return empty

    def _keep(self, extension: str, bindings: list[Binding]) -> None:
        if bindings:
            self._bindings[extension] = bindings
        else:
            self._bindings.pop(extension, None)
        self._plan()

    def _plan(self) -> None:
        self._next = min(
            (b.expires_at for bindings in self._bindings.values() for b in bindings), default=None
        )


def _same(binding: Binding, contact: Address) -> bool:
    instance = contact.params.get("+sip.instance", "")
    if instance and binding.instance:
        return instance == binding.instance
    return contact.uri.key == binding.key


def _binding(contact: Address, request: Message, hop: Hop, expires_at: int) -> Binding:
    instance = printable(contact.params.get("+sip.instance", ""), 100)
    return Binding(
        contact.text, contact.uri.key, instance, hop, request.call_id, request.cseq, expires_at
    )
