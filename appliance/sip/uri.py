"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

# '#' is not allowed unescaped, but phones that dial "*21#" send it.
_USER: Final = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+"
_HOST: Final = r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9\-._]{0,253})"
_SIP: Final = re.compile(
    rf"(?i:(sips?)):(?:({_USER})(?::[^@\s<>\"]*)?@)?({_HOST})(?::([0-9]{{1,5}}))?"
    r"((?:;[^;?\s<>\",]+)*)(\?[^\s<>\"]*)?"
)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"]+")
_TEL: Final = re.compile(r"(?i:tel):(\+?[0-9A-Da-d*#\-.()]+)((?:;[^;?\s<>\",]+)*)")
_VISUAL: Final = re.compile(r"\+?[0-9*#\-.()]+")
_SEPARATORS: Final = str.maketrans("", "", "-.()")


class UriError(ValueError):
    """The text is not a URI."""


@dataclass(frozen=True, slots=True)
class Uri:
    """A parsed URI. `user` and parameter values are as written (escaped); `host` is in lower
    case, without the brackets of an IPv6 address. Schemes that we do not speak keep only their
    `scheme`."""

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    headers: str = ""

    @property
    def number(self) -> str:
        """The user part for people and routing: unescaped, without user parameters and, in a
        phone number, without visual separators."""
        plain = unquote((self.user or "").partition(";")[0], errors="replace")
        if _VISUAL.fullmatch(plain):
            plain = plain.translate(_SEPARATORS)
        return printable(plain, 64)

    @property
    def key(self) -> tuple[str, str, str, int | None, str]:
        """What two URIs of one contact have in common (RFC 3261 section 19.1.4, as far as it
        tells contacts apart)."""
        user = unquote(self.user or "", errors="replace")
        return self.scheme, user, self.host, self.port, self.params.get("transport", "").lower()


def printable(text: str, limit: int) -> str:
    """Text from outside for screens and logs: no control characters, no lone surrogates."""
    kept = "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")
    return kept[:limit]


def bracketed(host: str) -> str:
    """The host as it stands in a URI or Via: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_uri(text: str) -> Uri:
    """Parse one URI. Raises UriError when it is none, with why."""
    match = _SIP.fullmatch(text)
    if match is not None:
        scheme, user, host, port, params, headers = match.groups()
        if port is not None and not 0 < int(port) < 65536:
            raise UriError("port out of range")
        return Uri(
            scheme.lower(),
            user,
            host.strip("[]").lower(),
            int(port) if port is not None else None,
            _params(params),
            headers or "",
        )
    match = _TEL.fullmatch(text)
    if match is not None:
        return Uri("tel", match.group(1), "", None, _params(match.group(2)))
    scheme = text.partition(":")[0].lower()
    if scheme in ("sip", "sips", "tel") or _SCHEME.fullmatch(text) is None:
        raise UriError("malformed URI")
    return Uri(scheme, None, "")


def _params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, _, value = part.partition("=")
        params.setdefault(name.lower(), value)
    return params
