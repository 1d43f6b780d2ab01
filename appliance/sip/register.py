"""Our side of a trunk: logging in there, or asking whether it is there (RFC 3261 10.2, 11)."""

from __future__ import annotations

from typing import Final

from appliance.sip.context import SERVER, Context
from appliance.sip.events import TrunkConfig, TrunkState
from appliance.sip.exchange import Exchange
from appliance.sip.flow import Hop
from appliance.sip.headers import HeaderError, number_of, parse_addresses
from appliance.sip.message import Message
from appliance.sip.uri import bracketed, printable

EXPIRES: Final = 600
"""Seconds that we ask for."""
_PROBE_MS: Final = 60_000
"""Between two OPTIONS to a trunk without registration."""
_FIRST_RETRY_MS: Final = 5_000
_LONGEST_RETRY_MS: Final = 300_000
_KEEPALIVE_MS: Final = 25_000
"""Below the shortest UDP timeout of common routers (30 s), so that calls find their way in."""


class TrunkClient:
    """One trunk. `addresses` are those of its host, resolved outside. Not part of any call, so
    its deadline is kept apart from the timers of calls."""

    def __init__(self, ctx: Context, trunk: str, config: TrunkConfig, now: int) -> None:
        self.config = config
        self.line = ctx.token()
        """Token in our Contact: whoever calls it heard of it from the trunk."""
        self.addresses: tuple[str, ...] = ()
        self.ok: bool | None = None
        self.due: int | None = now
        self._ctx = ctx
        self._trunk = trunk
        self._call_id = ctx.entropy(12).hex()
        self._cseq = 0
        self._expires = EXPIRES
        self._retry_ms = _FIRST_RETRY_MS
        self._refresh_at: int | None = None
        self._exchange: Exchange | None = None
        self._stopping = False

    @property
    def credentials(self) -> tuple[str, str] | None:
        config = self.config
        if config.username is None or config.secret is None:
            return None
        return config.username, config.secret

    def hop(self) -> Hop | None:
        """The way to the trunk, None while its name has no address."""
        if not self.addresses:
            return None
        return self._ctx.hop(self.config.transport, self.addresses[0], self.config.port)

    def uri(self, user: str | None = None) -> str:
        """The trunk's URI, with a user part that is ready for use."""
        at = f"{user}@" if user else ""
        transport = self.config.transport
        usual = 5061 if transport == "tls" else 5060
        port = f":{self.config.port}" if self.config.port != usual else ""
        by = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{at}{bracketed(self.config.host)}{port}{by}"

    def resolved(self, addresses: tuple[str, ...], now: int) -> None:
        """The addresses of the host, empty when it has none."""
        changed = addresses != self.addresses
        self.addresses = addresses
        if not addresses:
            self._state(False, f"the name {self.config.host} has no address; check it and DNS")
        elif changed:
            self.due = now

    def tick(self, now: int) -> None:
        if self.due is None or now < self.due:
            return
        self.due = None
        hop = self.hop()
        if hop is None or self._exchange is not None or self._stopping:
            return
        if not self.config.registration and not self.config.probe:
            self._state(True, "taken to be there")
        elif not self.config.registration:
            self._exchange = Exchange(
                self._ctx,
                self._request("OPTIONS", hop),
                hop,
                self._probed,
                now,
                self.credentials,
                self._next_cseq,
                self._ctx.background,
            )
        elif self._refresh_at is not None and now < self._refresh_at:
            self._ctx.send(hop, b"\r\n\r\n")
            self._plan(now)
        else:
            self._send_register(self._expires, hop, now)

    def disturbed(self, now: int) -> None:
        """The connection to the trunk broke: log in again soon."""
        if self.config.registration and not self._stopping:
            self._refresh_at = None
            self.due = now + self._retry_ms

    def stop(self, now: int) -> bool:
        """Log out; True when an answer is to be waited for."""
        self._stopping = True
        self.due = None
        hop = self.hop()
        if hop is None or not (self.config.registration and self.ok):
            return False
        self._send_register(0, hop, now)
        return True

    # --- requests and answers ---------------------------------------------------------------

    def _request(self, method: str, hop: Hop) -> Message:
        self._cseq += 1
        own = f"<{self.uri(self.config.username)}>"
        return Message(
            method,
            self.uri(),
            headers=[
                ("max-forwards", "70"),
                ("from", f"{own};tag={self._ctx.token()}"),
                ("to", own),
                ("call-id", self._call_id),
                ("cseq", f"{self._cseq} {method}"),
                ("user-agent", SERVER[1]),
            ],
        )

    def _send_register(self, expires: int, hop: Hop, now: int) -> None:
        request = self._request("REGISTER", hop)
        contact = hop.contact(self.config.username or "centrala")
        request.headers.append(("contact", f"{contact[:-1]};line={self.line}>"))
        request.headers.append(("expires", str(expires)))
        self._exchange = Exchange(
            self._ctx,
            request,
            hop,
            self._registered,
            now,
            self.credentials,
            self._next_cseq,
            self._ctx.background,
        )

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _registered(self, response: Message, now: int) -> None:
        if response.status < 200:
            return
        self._exchange = None
        if self._stopping:
            return
        if response.status < 300:
            granted = self._granted(response)
            self._retry_ms = _FIRST_RETRY_MS
            self._refresh_at = now + max(granted * 500, granted * 1000 - 60_000, 1_000)
            self._plan(now)
            self._state(True, "logged in")
            return
        self._refresh_at = None
        if response.status == 423 and self._longer(response):
            self.due = now
            return
        if response.status in (401, 403, 404, 407):
            detail = "the trunk refuses the user name or password; check both"
            self._retry_ms = _LONGEST_RETRY_MS
        elif response.status == 408:
            detail = "the trunk does not answer; check its address and the network"
        elif response.status == 503:
            detail = "no connection to the trunk; check its address and the network"
        else:
            detail = f"the trunk refuses: {response.status} {printable(response.reason, 60)}"
        self._fail(detail, now)

    def _probed(self, response: Message, now: int) -> None:
        if response.status < 200:
            return
        self._exchange = None
        if not response.headers:
            self._fail("the trunk does not answer; check its address and the network", now)
            return
        # Whatever it says to OPTIONS, it is there.
        self._retry_ms = _FIRST_RETRY_MS
        self.due = now + _PROBE_MS
        self._state(True, "answers")

    def _fail(self, detail: str, now: int) -> None:
        self.due = now + self._retry_ms
        self._retry_ms = min(self._retry_ms * 2, _LONGEST_RETRY_MS)
        self._state(False, detail)

    def _plan(self, now: int) -> None:
        assert self._refresh_at is not None
        self.due = self._refresh_at
        if self.config.transport == "udp":
            self.due = min(self.due, now + _KEEPALIVE_MS)

    def _state(self, ok: bool, detail: str) -> None:
        if self.ok is not ok:
            self.ok = ok
            self._ctx.emit(TrunkState(self._trunk, ok, detail))

    def _granted(self, response: Message) -> int:
        """Seconds that the registrar granted to our contact."""
        try:
            for contact in parse_addresses(response.all("contact")):
                if contact.uri.params.get("line") == self.line and "expires" in contact.params:
                    return max(1, number_of(contact.params["expires"], 2**32 - 1))
            return max(1, number_of(response.get("expires") or str(self._expires), 2**32 - 1))
        except HeaderError:
            return self._expires

    def _longer(self, response: Message) -> bool:
        try:
            shortest = number_of(response.get("min-expires") or "0", 24 * 3600)
        except HeaderError:
            return False
        if shortest <= self._expires:
            return False
        self._expires = shortest
        return True
