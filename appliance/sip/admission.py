"""Who may do what: telling trunks from phones, passwords, lock-out.

Nothing here lets a stranger learn which extensions exist: a request without a good password gets
the same challenge whatever it names, in the same time.
"""

from __future__ import annotations

import logging

from appliance.sip.context import Context
from appliance.sip.digest import DigestServer, Verdict
from appliance.sip.events import Source
from appliance.sip.flow import Hop
from appliance.sip.headers import HeaderError, parse_address, split_list
from appliance.sip.lockout import Lockout
from appliance.sip.message import Message
from appliance.sip.register import TrunkClient
from appliance.sip.uri import Uri, UriError, parse_uri

_log = logging.getLogger("centrala.sip")


class Admission:
    def __init__(self, ctx: Context, trunks: dict[str, TrunkClient]) -> None:
        self._ctx = ctx
        self._trunks = trunks
        self._lockout = Lockout()
        self._digest = DigestServer(ctx.config.realm, ctx.config.sha256, ctx.entropy)

    def configure(self) -> None:
        """Take over realm and algorithms of a new configuration."""
        config = self._ctx.config
        if (config.realm, config.sha256) != (self._digest.realm, self._digest.sha256):
            self._digest = DigestServer(config.realm, config.sha256, self._ctx.entropy)

    def trunk_of(self, request: Message, hop: Hop) -> str | None:
        """The trunk that this request comes from: by the token of our registered contact, by its
        address and port, or by its address alone unless a phone of ours speaks."""
        uri = request_uri(request)
        line = uri.params.get("line", "")
        here = [
            (trunk, client)
            for trunk, client in self._trunks.items()
            if hop.host in client.addresses or (line and client.line == line)
        ]
        for trunk, client in here:
            if line and client.line == line:
                return trunk
        for trunk, client in here:
            if client.config.username is not None and client.config.username == uri.number:
                return trunk
        for trunk, client in here:
            if client.config.port == hop.port:
                return trunk
        caller = request.sender.uri.number if request.sender is not None else ""
        if here and caller not in self._ctx.config.phones:
            return here[0][0]
        return None

    def phone_of(self, request: Message, hop: Hop, now: int) -> str | None:
        """The extension whose password the request proves. Without one the request is answered
        here, and None returned."""
        locked = self._lockout.locked_ms(hop.host, now)
        if locked:
            wait = [("retry-after", str(locked // 1000 + 1))]
            self._ctx.reply(request, hop, 503, wait)
            return None
        credentials = self._digest.credentials(request)
        verdict = Verdict.NONE
        username = ""
        if credentials is not None:
            username = credentials.username
            secret = self._ctx.config.phones.get(username)
            verdict = self._digest.check(request, credentials, secret, now)
        if verdict is Verdict.GOOD:
            if username in self._ctx.config.tls_only and hop.flow.transport != "tls":
                _log.warning("phone %s must use TLS; it came by %s", username, hop.flow.transport)
                self._ctx.reply(request, hop, 403, reason="TLS Required")
                return None
            return username
        if verdict is Verdict.WRONG and self._lockout.failed(hop.host, now):
            _log.warning("%s sent too many wrong passwords and is locked out", hop.host)
        challenge = self._digest.challenge(now, verdict is Verdict.STALE)
        self._ctx.reply(request, hop, 401, challenge)
        return None


def request_uri(request: Message) -> Uri:
    """The Request-URI, which `parse` has verified."""
    return parse_uri(request.uri)


def caller_of(request: Message, source: Source) -> tuple[str | None, str | None]:
    """Number and name of the caller; None when withheld (RFC 3323, RFC 3325). A phone is who it
    proved to be; only a trunk's identity headers are believed."""
    address = request.sender
    assert address is not None
    name = address.display.strip()
    if source.kind == "phone":
        return source.id, name or None
    for header in ("p-asserted-identity", "remote-party-id"):
        try:
            identity = parse_address(split_list(request.get(header) or "")[0])
        except HeaderError:
            continue
        address, name = identity, identity.display.strip() or name
        break
    number = address.uri.number
    hidden = {"id", "user", "header", "full"} & request.tokens("privacy")
    if hidden or number.lower() in ("anonymous", "", "unknown", "restricted"):
        return None, None
    return number, name or None


def called_number(request: Message, username: str | None) -> str:
    """The number called: the Request-URI, or, when a provider calls the very contact that we
    registered, the To."""
    try:
        number = parse_uri(request.uri).number
    except UriError:
        number = ""
    if (not number or number == username) and request.target is not None:
        return request.target.uri.number or number
    return number
