"""SIP messages: bytes to `Message` and back (RFC 3261 section 7).

`parse` takes what can be taken and notes in `Message.fault` what is wrong, so that a request with
a readable Via, From, To, Call-ID and CSeq gets its 4xx, and anything less is dropped. Header names
are lower case and never compact; text is UTF-8 with surrogate escapes, so what we echo is byte for
byte what came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from appliance.sip.headers import (
    TOKEN,
    Address,
    HeaderError,
    Via,
    number_of,
    parse_address,
    parse_addresses,
    parse_via,
    split_list,
)
from appliance.sip.uri import UriError, parse_uri

MAX_HEAD: Final = 16 * 1024
"""Bytes of start line and header fields."""
MAX_BODY: Final = 64 * 1024
MAX_FIELDS: Final = 200

_COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
}
_NAMES: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "rseq": "RSeq",
    "rack": "RAck",
    "min-se": "Min-SE",
}
_SINGLE: Final = (
    "from",
    "to",
    "call-id",
    "cseq",
    "max-forwards",
    "content-length",
    "content-type",
    "expires",
)
REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
}
_REQUEST: Final = re.compile(rf"({TOKEN}) ([^\s<>]+) SIP/2\.0")
_VERSION: Final = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_LOOSE_REQUEST: Final = re.compile(rf"({TOKEN})\s.*\s*SIP/([0-9]+\.[0-9]+)\s*", re.IGNORECASE)
_STATUS: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?")
_FOLD: Final = re.compile(r"[ \t]*\r\n[ \t]+")
_NAME: Final = re.compile(rf"({TOKEN})[ \t]*:")
_NO_VIA: Final = Via("", "", None, {})


class MessageError(ValueError):
    """Not a SIP message, or too broken to be answered."""


@dataclass(slots=True)
class Message:
    """A request (`method` set) or a response (`status` not 0).

    The fields from `via` on are filled by `parse`; messages of our own are lists of header fields
    only. `fault` is the (status, reason) that this request deserves, None for a good one.
    """

    method: str
    uri: str
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    via: Via = _NO_VIA
    sender: Address | None = None
    target: Address | None = None
    call_id: str = ""
    cseq: int = 0
    cseq_method: str = ""
    fault: tuple[int, str] | None = None

    def get(self, name: str) -> str | None:
        """The first value of a header field."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def tokens(self, name: str) -> set[str]:
        """The values of a header field that is a list of tokens, in lower case."""
        found: set[str] = set()
        for value in self.all(name):
            found.update(token.strip().lower() for token in value.split(","))
        found.discard("")
        return found

    def set(self, name: str, value: str) -> None:
        """Replace a header field, or add it."""
        self.headers = [pair for pair in self.headers if pair[0] != name]
        self.headers.append((name, value))

    @property
    def from_tag(self) -> str:
        return self.sender.tag if self.sender is not None else ""

    @property
    def to_tag(self) -> str:
        return self.target.tag if self.target is not None else ""

    def encode(self) -> bytes:
        """The message as it goes out, with its Content-Length."""
        if self.status:
            lines = [f"SIP/2.0 {self.status} {self.reason}"]
        else:
            lines = [f"{self.method} {self.uri} SIP/2.0"]
        lines += [
            f"{_NAMES.get(name) or name.title()}: {value}"
            for name, value in self.headers
            if name != "content-length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


def parse(data: bytes) -> Message:
    """One message. In a datagram, bytes beyond Content-Length are ignored (RFC 3261 18.3).

    Raises MessageError when it cannot even be answered: no start line, no header, or a response
    with anything wrong in it.
    """
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank or len(head) > MAX_HEAD or len(body) > MAX_BODY:
        raise MessageError("no end of header, or too long")
    text = head.decode("utf-8", "surrogateescape")
    start, _, rest = text.partition("\r\n")
    message = _start_line(start)
    if "\r\n " in rest or "\r\n\t" in rest:
        rest = _FOLD.sub(" ", rest)
    lines = rest.split("\r\n")
    if len(lines) > MAX_FIELDS:
        raise MessageError("too many header fields")
    for line in lines:
        match = _NAME.match(line)
        if match is None:
            message.fault = message.fault or (400, "Malformed Header Field")
            continue
        name = match.group(1).lower()
        message.headers.append((_COMPACT.get(name, name), line[match.end() :].strip()))
    message.body = body
    if "\x00" in rest or "\r" in "".join(lines) or "\n" in "".join(lines):
        message.fault = message.fault or (400, "Control Character In Header")
    _identify(message)
    if message.fault is None:
        try:
            _verify(message)
        except (HeaderError, UriError) as error:
            message.fault = (400, f"Bad Request: {error}")
    if message.status and message.fault is not None:
        raise MessageError(message.fault[1])
    return message


def _start_line(line: str) -> Message:
    if line[:4].upper() == "SIP/":
        match = _STATUS.fullmatch(line)
        if match is None:
            raise MessageError("malformed status line")
        return Message("", "", int(match.group(1)), match.group(2) or "")
    match = _REQUEST.fullmatch(line)
    if match is not None:
        return Message(match.group(1), match.group(2))
    match = _LOOSE_REQUEST.fullmatch(line)
    if match is None:
        raise MessageError("not a SIP request")
    message = Message(match.group(1), "")
    if match.group(2) != "2.0":
        message.fault = (505, REASONS[505])
    else:
        message.fault = (400, "Malformed Request Line")
    return message


def _identify(message: Message) -> None:
    """Fill what a response needs: Via, From, To, Call-ID, CSeq. Raises MessageError without."""
    try:
        vias = message.get("via")
        sender, target = message.get("from"), message.get("to")
        call_id, cseq = message.get("call-id"), message.get("cseq")
        if vias is None:
            raise MessageError("no Via")
        message.via = parse_via(_first(vias))
    except HeaderError as error:
        raise MessageError(str(error)) from None
    for name, value in (("From", sender), ("To", target), ("Call-ID", call_id), ("CSeq", cseq)):
        if not value:
            message.fault = message.fault or (400, f"Missing {name}")
    try:
        message.call_id = call_id or ""
        number, _, method = (cseq or "").strip().partition(" ")
        message.cseq_method = method.strip()
        if sender:
            message.sender = parse_address(sender)
        if target:
            message.target = parse_address(target)
        if cseq:
            message.cseq = number_of(number, 2**31 - 1)
    except HeaderError as error:
        message.fault = message.fault or (400, f"Bad Request: {error}")


def _first(value: str) -> str:
    """The first of a comma-separated list, without looking at the rest."""
    return value if "," not in value else split_list(value)[0]


def _verify(message: Message) -> None:
    """Everything else that RFC 3261 wants of a message before it is worked on."""
    names = [name for name, _ in message.headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise HeaderError(f"more than one {name}")
    for value in message.all("via"):
        if "," in value:
            for part in split_list(value):
                parse_via(part)
    if not message.call_id.isprintable() or " " in message.call_id:
        raise HeaderError("malformed Call-ID")
    length = message.get("content-length")
    if length is not None:
        size = number_of(length, MAX_BODY)
        if size > len(message.body):
            raise HeaderError("body shorter than Content-Length")
        message.body = message.body[:size]
    if message.status:
        if not message.cseq_method:
            raise HeaderError("CSeq without method")
    else:
        if message.cseq_method != message.method:
            raise HeaderError("CSeq is of another method")
        if parse_uri(message.uri).headers:
            raise HeaderError("header fields in the Request-URI")
    limits = {"max-forwards": 255, "expires": 2**32 - 1, "min-expires": 2**32 - 1}
    for name, value in message.headers:
        if name in limits:
            number_of(value, limits[name])
    if message.get("contact") not in (None, "*"):
        parse_addresses(message.all("contact"))
    for name in ("route", "record-route"):
        parse_addresses(message.all(name))


# --- building -------------------------------------------------------------------------------


def response_to(
    request: Message,
    status: int,
    reason: str = "",
    tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: str = "",
) -> Message:
    """A response with what it must echo (RFC 3261 8.2.6); `tag` goes into a To without one."""
    echoed = [pair for pair in request.headers if pair[0] == "via"]
    for name in ("from", "to", "call-id", "cseq"):
        value = request.get(name)
        if value is not None:
            tagged = name == "to" and tag and request.target is not None and not request.to_tag
            echoed.append((name, f"{value};tag={tag}" if tagged else value))
    reply = Message("", "", status, reason or REASONS.get(status, "Unknown"), echoed)
    reply.headers += headers
    if body:
        reply.headers.append(("content-type", "application/sdp"))
        reply.body = body.encode()
    return reply


def body_of(message: Message, content_type: str) -> str | None:
    """The body, or its part in a multipart body, of that type; None without one. RFC 5621."""
    if not message.body:
        return None
    kind, _, params = (message.get("content-type") or "application/sdp").partition(";")
    kind = kind.strip().lower()
    if kind == content_type:
        return message.body.decode("utf-8", "replace")
    if not kind.startswith("multipart/"):
        return None
    match = re.search(r'boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', params, re.IGNORECASE)
    if match is None:
        return None
    boundary = (match.group(1) or match.group(2)).encode("utf-8", "surrogateescape")
    for part in message.body.split(b"--" + boundary)[1:20]:
        head, blank, body = part.lstrip(b"\r\n").partition(b"\r\n\r\n")
        fields = _FOLD.sub(" ", head.decode("utf-8", "replace")).lower().split("\r\n")
        for line in fields:
            name, _, value = line.partition(":")
            kind = value.partition(";")[0].strip()
            if blank and name.strip() in ("content-type", "c") and kind == content_type:
                return body.decode("utf-8", "replace").rstrip("\r\n") + "\r\n"
    return None
