"""Phones that know their passwords, for the simulated wire."""

from __future__ import annotations

from appliance.sip.digest import parse_digest, response_hash
from appliance.sip.flow import Flow
from appliance.sip.message import Message
from tests.sip.wire import UDP, US, Box, request


def credentials(
    challenge: Message,
    method: str,
    username: str,
    secret: str,
    nc: int = 1,
    algorithm: str = "MD5",
    uri: str = f"sip:200@{US}",
) -> str:
    """The Authorization line that answers a 401."""
    offers = [parse_digest(value) for value in challenge.all("www-authenticate")]
    offer = next(o for o in offers if o is not None and o["algorithm"] == algorithm)
    params = {
        "uri": uri,
        "nonce": offer["nonce"],
        "qop": "auth",
        "nc": f"{nc:08x}",
        "cnonce": "abc",
    }
    answer = response_hash(algorithm, username, offer["realm"], secret, method, params)
    return (
        f'Authorization: Digest username="{username}", realm="{offer["realm"]}", '
        f'nonce="{offer["nonce"]}", uri="{uri}", response="{answer}", '
        f'algorithm={algorithm}, qop=auth, nc={nc:08x}, cnonce="abc"\r\n'
    )


def registration(
    extension: str,
    source: tuple[str, int],
    cseq: int,
    extra: str = "",
    call_id: str = "",
    contact: str | None = None,
) -> str:
    text = request(
        "REGISTER",
        call_id=call_id or f"reg-{extension}-{source[0]}-{source[1]}",
        cseq=cseq,
        extra=extra,
        source=source,
        user=extension,
    ).replace(f"To: <sip:200@{US}>", f"To: <sip:{extension}@{US}>")
    if contact is not None:
        text = text.replace(
            f"Contact: <sip:{extension}@{source[0]}:{source[1]}>\r\n",
            f"Contact: {contact}\r\n" if contact else "",
        )
    return text


def register(
    box: Box,
    extension: str,
    secret: str,
    source: tuple[str, int],
    *,
    extra: str = "Expires: 300\r\n",
    cseq: int = 1,
    flow: Flow = UDP,
    contact: str | None = None,
    call_id: str = "",
    algorithm: str = "MD5",
) -> Message:
    """REGISTER, challenge, REGISTER with password; returns the last response."""
    [challenge] = box.feed(
        registration(extension, source, cseq, extra, call_id, contact), source, flow
    )
    assert challenge.status == 401
    login = credentials(challenge, "REGISTER", extension, secret, algorithm=algorithm)
    last, *_ = box.feed(
        registration(extension, source, cseq + 1, extra + login, call_id, contact), source, flow
    )
    return last
