"""Transfer asked for by a phone: what a REFER wants (RFC 3515), which other call of the phone it
replaces (RFC 3891), and the news of it (RFC 3420)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from appliance.sip.headers import HeaderError, parse_address
from appliance.sip.message import REASONS, Message

LONGEST: Final = 400
"""Characters of a Replaces that are looked at."""


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as the one who is asked to replace it names it: `to_tag` is ours."""

    call_id: str
    to_tag: str
    from_tag: str


@dataclass(frozen=True, slots=True)
class Refer:
    """`number` is whom to call; with `replaces` the call meant stands already."""

    number: str
    replaces: Replaces | None = None


def parse_refer(request: Message) -> Refer | None:
    """What the REFER asks for; None when it cannot be understood."""
    values = request.all("refer-to")
    if len(values) != 1:
        return None
    try:
        uri = parse_address(values[0]).uri
    except HeaderError:
        return None
    if uri.scheme not in ("sip", "sips", "tel") or not uri.number:
        return None
    method = uri.params.get("method", "INVITE").upper()
    if method != "INVITE":
        return None
    for field in uri.headers.removeprefix("?").split("&"):
        name, _, value = field.partition("=")
        if name.lower() == "replaces":
            replaces = _replaces(unquote(value[:LONGEST], errors="replace"))
            return None if replaces is None else Refer(uri.number, replaces)
    return Refer(uri.number)


def _replaces(text: str) -> Replaces | None:
    call_id, *params = [piece.strip() for piece in text.split(";")]
    tags = {name.lower(): value for name, _, value in (piece.partition("=") for piece in params)}
    if not call_id or not tags.get("to-tag") or not tags.get("from-tag"):
        return None
    return Replaces(call_id, tags["to-tag"], tags["from-tag"])


def wants_news(request: Message) -> bool:
    """RFC 4488: `Refer-Sub: false` spares us the NOTIFYs."""
    return (request.get("refer-sub") or "").strip().lower() != "false"


def news(request: Message, contact: str, status: int) -> None:
    """Make a NOTIFY of the dialog the news of this status."""
    final = status >= 200
    request.headers += [
        ("contact", contact),
        ("event", "refer"),
        ("subscription-state", "terminated;reason=noresource" if final else "active;expires=60"),
        ("content-type", "message/sipfrag;version=2.0"),
    ]
    request.body = f"SIP/2.0 {status} {REASONS[status]}\r\n".encode()
