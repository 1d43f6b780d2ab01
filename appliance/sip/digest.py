"""Digest authentication, both sides (RFC 7616, RFC 3261 section 22, RFC 8760).

Nonces carry their own proof (time, serial number, HMAC), so a challenge costs no memory; only
nonces that were used are remembered, for as long as they would be good. A good password with an
old or replayed nonce gets `stale=true` and so never counts as wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from appliance.sip.headers import HeaderError, parse_params, split_list
from appliance.sip.message import Message

NONCE_LIFE_MS: Final = 5 * 60 * 1000
MAX_USED: Final = 20_000
"""Used nonces remembered at most; the oldest go first."""
_HASHES: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    "MD5": hashlib.md5,
    "SHA-256": hashlib.sha256,
}


class Verdict(Enum):
    GOOD = "good"
    STALE = "stale"
    """The password is right, the nonce is not: challenge again with stale=true."""
    WRONG = "wrong"
    NONE = "none"
    """No usable credentials were given: challenge."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer's Authorization header says."""

    params: Mapping[str, str] = field(repr=False)

    @property
    def username(self) -> str:
        return self.params.get("username", "")


def parse_digest(value: str) -> dict[str, str] | None:
    """`Digest a=b, c="d"` -> parameters; None for another scheme or a malformed one."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    try:
        return parse_params(";" + ";".join(_escaped(p) for p in split_list(rest) if p))
    except HeaderError:
        return None


def _escaped(part: str) -> str:
    """A parameter whose value may hold characters that end one elsewhere gets quotes."""
    name, equals, value = part.partition("=")
    value = value.strip()
    if equals and value and not value.startswith('"'):
        return f'{name.strip()}="{value}"'
    return part


def response_hash(
    algorithm: str,
    username: str,
    realm: str,
    secret: str,
    method: str,
    params: Mapping[str, str],
    body: bytes = b"",
) -> str:
    """The `response` value for these parameters (RFC 7616 section 3.4.1)."""
    digest = _HASHES[algorithm]

    def h(text: str) -> str:
        return digest(text.encode("utf-8", "surrogateescape")).hexdigest()

    ha1 = h(f"{username}:{realm}:{secret}")
    qop = params.get("qop", "")
    a2 = f"{method}:{params.get('uri', '')}"
    if qop == "auth-int":
        a2 += ":" + digest(body).hexdigest()
    nonce = params.get("nonce", "")
    if qop:
        return h(f"{ha1}:{nonce}:{params.get('nc', '')}:{params.get('cnonce', '')}:{qop}:{h(a2)}")
    return h(f"{ha1}:{nonce}:{h(a2)}")


class DigestServer:
    """Challenges and checks for one realm."""

    def __init__(self, realm: str, sha256: bool, entropy: Callable[[int], bytes]) -> None:
        self.realm = realm
        self.sha256 = sha256
        self._key = entropy(32)
        self._serial = int.from_bytes(entropy(4), "big")
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def challenge(self, now: int, stale: bool = False) -> list[tuple[str, str]]:
        """WWW-Authenticate fields. MD5 alone unless SHA-256 is switched on: some phones fail on
        merely seeing a SHA-256 challenge."""
        fields = []
        for algorithm in ("SHA-256", "MD5") if self.sha256 else ("MD5",):
            value = (
                f'Digest realm="{self.realm}", nonce="{self._nonce(now)}", '
                f'algorithm={algorithm}, qop="auth"'
            )
            fields.append(("www-authenticate", value + (", stale=true" if stale else "")))
        return fields

    def credentials(self, request: Message) -> Credentials | None:
        """The credentials of the request that are meant for us."""
        for value in request.all("authorization"):
            params = parse_digest(value)
            if params is not None and params.get("realm") == self.realm:
                return Credentials(params)
        return None

    def check(
        self, request: Message, credentials: Credentials, secret: str | None, now: int
    ) -> Verdict:
        """Is the password right? `secret` None (no such user) takes the same time and is wrong."""
        params = credentials.params
        algorithm = params.get("algorithm", "MD5").upper()
        if algorithm not in _HASHES or (algorithm == "SHA-256" and not self.sha256):
            return Verdict.NONE
        if params.get("qop", "") not in ("", "auth"):
            return Verdict.NONE
        expected = response_hash(
            algorithm,
            credentials.username,
            self.realm,
            secret if secret is not None else "\x00none",
            request.method,
            params,
        )
        given = params.get("response", "").lower().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(expected.encode(), given) or secret is None:
            return Verdict.WRONG
        return Verdict.GOOD if self._fresh(params, now) else Verdict.STALE

    def _nonce(self, now: int) -> str:
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        head = now.to_bytes(6, "big") + self._serial.to_bytes(4, "big")
        return base64.urlsafe_b64encode(head + self._proof(head)).decode().rstrip("=")

    def _proof(self, head: bytes) -> bytes:
        return hmac.digest(self._key, head, "sha256")[:14]

    def _fresh(self, params: Mapping[str, str], now: int) -> bool:
        nonce = params.get("nonce", "")
        try:
            raw = base64.b64decode(nonce.encode("ascii"), b"-_", validate=True)
        except ValueError:
            return False
        head, proof = raw[:10], raw[10:]
        if not hmac.compare_digest(self._proof(head), proof):
            return False
        made = int.from_bytes(head[:6], "big")
        if not 0 <= now - made <= NONCE_LIFE_MS:
            return False
        try:
            count = int(params.get("nc", "1")[:8], 16) if params.get("qop") else 1
        except ValueError:
            return False
        last = self._used.get(nonce, (0, 0))[0]
        if count <= last:
            return False
        self._used[nonce] = (count, made)
        while self._used:
            oldest, (_, made) = next(iter(self._used.items()))
            if now - made <= NONCE_LIFE_MS and len(self._used) <= MAX_USED:
                break
            del self._used[oldest]
        return True


def authorize(
    request: Message,
    response: Message,
    username: str,
    secret: str,
    entropy: Callable[[int], bytes],
) -> tuple[str, str] | None:
    """The header field that answers the best challenge of a 401 or 407, None when we cannot."""
    name = "proxy-authenticate" if response.status == 407 else "www-authenticate"
    best: dict[str, str] | None = None
    for value in response.all(name):
        params = parse_digest(value)
        if params is None or not params.get("nonce") or "realm" not in params:
            continue
        algorithm = params.get("algorithm", "MD5").upper()
        if algorithm not in _HASHES:
            continue
        params["algorithm"] = algorithm
        if best is None or (algorithm == "SHA-256" and best["algorithm"] == "MD5"):
            best = params
    if best is None:
        return None
    values = {"uri": request.uri, "nonce": best["nonce"]}
    offered = {q.strip().lower() for q in best.get("qop", "").split(",")} - {""}
    if offered:
        if not offered & {"auth", "auth-int"}:
            return None
        values["qop"] = "auth" if "auth" in offered else "auth-int"
        values["nc"] = "00000001"
        values["cnonce"] = entropy(8).hex()
    answer = response_hash(
        best["algorithm"], username, best["realm"], secret, request.method, values, request.body
    )
    fields = [
        f'Digest username="{_text(username)}"',
        f'realm="{_text(best["realm"])}"',
        f'nonce="{_text(best["nonce"])}"',
        f'uri="{request.uri}"',
        f'response="{answer}"',
        f"algorithm={best['algorithm']}",
    ]
    if "qop" in values:
        fields += [f"qop={values['qop']}", "nc=00000001", f'cnonce="{values["cnonce"]}"']
    if "opaque" in best:
        fields.append(f'opaque="{_text(best["opaque"])}"')
    field_name = "proxy-authorization" if response.status == 407 else "authorization"
    return field_name, ", ".join(fields)


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
