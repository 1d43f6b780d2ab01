"""Values of header fields (RFC 3261 section 20 and 25): lists, parameters, Via, addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from appliance.sip.uri import Uri, UriError, parse_uri, printable

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]+"
_TOKEN: Final = re.compile(TOKEN)
# Display names without quotes are tokens; letters beyond ASCII come from real phones.
_DISPLAY: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t\x80-\U0010ffff]*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_VIA: Final = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({TOKEN})\s+"
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_][A-Za-z0-9\-._]{0,253})(?:\s*:\s*([0-9]{1,5}))?\s*(;.*)?",
    re.IGNORECASE | re.DOTALL,
)
_VALUE: Final = re.compile(r"[^\s\",;<>]*")


class HeaderError(ValueError):
    """The value of a header field is malformed."""


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value. `host` in lower case without brackets."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str]

    @property
    def branch(self) -> str:
        return self.params.get("branch", "")


@dataclass(frozen=True, slots=True)
class Address:
    """A name-addr or addr-spec with its header parameters. `text` is the URI as written."""

    display: str
    text: str
    uri: Uri
    params: dict[str, str]

    @property
    def tag(self) -> str:
        return self.params.get("tag", "")


def split_list(value: str, separator: str = ",") -> list[str]:
    """Split at separators that stand outside quotes and angle brackets. Raises HeaderError on
    quotes or brackets that do not close."""
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(separator)]
    parts: list[str] = []
    start = 0
    quoted = angled = escaped = False
    for index, char in enumerate(value):
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"' and not angled:
            quoted = True
        elif char == "<":
            angled = True
        elif char == ">":
            angled = False
        elif char == separator and not angled:
            parts.append(value[start:index].strip())
            start = index + 1
    if quoted or angled:
        raise HeaderError("unbalanced quotes or brackets")
    parts.append(value[start:].strip())
    return parts


def parse_params(text: str) -> dict[str, str]:
    """`;name=value;flag` -> dict with lower-case names; a flag's value is "". The first of a
    repeated name counts. Raises HeaderError."""
    text = text.strip()
    if not text:
        return {}
    if text[0] != ";":
        raise HeaderError("parameter expected")
    params: dict[str, str] = {}
    for part in split_list(text[1:], ";"):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if _TOKEN.fullmatch(name) is None:
            raise HeaderError("malformed parameter")
        if value.startswith('"'):
            value = unquote_string(value)
        elif _VALUE.fullmatch(value) is None or (equals and not value):
            raise HeaderError("malformed parameter value")
        params.setdefault(name.lower(), value)
    return params


def unquote_string(text: str) -> str:
    """The inside of a quoted-string. Raises HeaderError when it is none."""
    match = _QUOTED.fullmatch(text)
    if match is None:
        raise HeaderError("malformed quoted string")
    inside = match.group(1)
    return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL) if "\\" in inside else inside


def quote_string(text: str) -> str:
    """A quoted-string of any text; control characters are left out."""
    kept = "".join(c for c in text if c.isprintable())
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_via(value: str) -> Via:
    """One Via value (already split). Raises HeaderError."""
    match = _VIA.fullmatch(value)
    if match is None:
        raise HeaderError("malformed Via")
    transport, host, port, params = match.groups()
    if port is not None and not 0 < int(port) < 65536:
        raise HeaderError("Via port out of range")
    return Via(
        transport.upper(),
        host.strip("[]").lower(),
        int(port) if port is not None else None,
        parse_params(params or ""),
    )


def parse_address(value: str) -> Address:
    """A From, To, Contact, Route or identity value. Raises HeaderError."""
    value = value.strip()
    display = ""
    if value.startswith('"'):
        match = _QUOTED.match(value)
        if match is None:
            raise HeaderError("unterminated display name")
        display = unquote_string(match.group())
        value = value[match.end() :].lstrip()
        if not value.startswith("<"):
            raise HeaderError("address expected after the display name")
    start = value.find("<")
    try:
        if start >= 0:
            if start and _DISPLAY.fullmatch(value[:start]) is None:
                raise HeaderError("display name needs quotes")
            display = display or value[:start].strip()
            end = value.find(">", start)
            if end < 0:
                raise HeaderError("'>' is missing")
            text = value[start + 1 : end]
            return Address(display, text, parse_uri(text), parse_params(value[end + 1 :]))
        text, semicolon, rest = value.partition(";")
        text = text.strip()
        if "?" in text or "," in text:
            raise HeaderError("this URI needs angle brackets")
        return Address("", text, parse_uri(text), parse_params(semicolon + rest))
    except UriError as error:
        raise HeaderError(str(error)) from None


def parse_addresses(values: list[str]) -> list[Address]:
    """All values of a header field that may come as a list. Raises HeaderError."""
    return [parse_address(part) for value in values for part in split_list(value)]


def number_of(text: str, limit: int) -> int:
    """A decimal number of at most `limit`. Raises HeaderError."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > limit:
        raise HeaderError("number out of range")
    return int(text)


def display_name(address: Address) -> str | None:
    """The display name fit for a screen, None without one."""
    return printable(address.display.strip(), 80) or None
