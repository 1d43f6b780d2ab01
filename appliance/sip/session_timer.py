"""Session timers (RFC 4028): what was agreed, and when to act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.sip.headers import HeaderError, number_of, parse_params
from appliance.sip.message import Message

MIN_SE: Final = 90
"""Shortest interval in seconds that the RFC allows."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The session lives `interval` seconds after each refresh; `ours`: we refresh it."""

    interval: int
    ours: bool

    @property
    def act_ms(self) -> int:
        """When to act after a refresh: half way to refresh, or shortly before the end to give
        the call up (section 10)."""
        if self.ours:
            return self.interval * 500
        return (self.interval - min(32, self.interval // 3)) * 1000

    def as_client(self) -> tuple[str, str]:
        """The header field of a request of ours that keeps these terms."""
        return "session-expires", f"{self.interval};refresher={'uac' if self.ours else 'uas'}"

    def as_server(self) -> tuple[str, str]:
        """The header field of a 2xx of ours."""
        return "session-expires", f"{self.interval};refresher={'uas' if self.ours else 'uac'}"


def _asked(message: Message) -> tuple[int, str] | None:
    value = message.get("session-expires")
    if value is None:
        return None
    seconds, semicolon, params = value.partition(";")
    try:
        interval = number_of(seconds, 2**31 - 1)
        return interval, parse_params(semicolon + params).get("refresher", "").lower()
    except HeaderError:
        return None


def too_short(request: Message) -> bool:
    """Answer 422: the interval is under ours and the peer can choose another one."""
    asked = _asked(request)
    return asked is not None and asked[0] < MIN_SE and "timer" in request.tokens("supported")


def terms_as_server(request: Message) -> Terms | None:
    """What our 2xx to this INVITE or UPDATE agrees to; None without a timer. A peer that does
    not know timers (a proxy asked) leaves the refreshing to us."""
    asked = _asked(request)
    if asked is None:
        return None
    supported = "timer" in request.tokens("supported") | request.tokens("require")
    return Terms(max(asked[0], MIN_SE), asked[1] == "uas" or not supported)


def terms_as_client(response: Message) -> Terms | None:
    """What this 2xx to our INVITE or UPDATE agreed to. Without a refresher it is us: some phones
    ask for a timer that nobody offered."""
    asked = _asked(response)
    if asked is None:
        return None
    return Terms(max(asked[0], MIN_SE), asked[1] != "uas")
