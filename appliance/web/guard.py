"""The door of the web process: what every request must satisfy before any route sees it.

- The `Host` is ours: an IP address, localhost, the box's own name, or a name the site document
  lists. A stranger's name that was made to point here (DNS rebinding) is turned away.
- Plain HTTP is for the box itself. Another machine's page request is sent on to HTTPS, where the
  microphone works and the cookie is safe; its API requests are refused, except for health.
- What changes something comes from a page of ours: `Origin` equals the address asked for,
  `Sec-Fetch-Site` (where the browser sends it) is same-origin, and the body is JSON, or sound where
  sounds are taken.
- Bodies are small; a sound may be as long as `MOST_SOUND`.

Every answer carries the security headers.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.web.errors import problem_response

MOST_BODY: Final = 64 * 1024
MOST_SOUND: Final = 24 * 1024 * 1024
MOST_SITE: Final = 512 * 1024
SITE: Final = "/api/v1/site"
SOUNDS: Final = "/api/v1/sounds/"
OPEN_ON_HTTP: Final = frozenset({"/api/v1/health"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "microphone=(self), speaker-selection=(self), autoplay=(self), camera=(), geolocation=(), "
        "display-capture=(), payment=(), usb=(), serial=(), hid=(), bluetooth=()"
    ),
}


def host_name(host: str) -> str | None:
    """The name in a `Host` header, lower case and without port; None when it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname
        _ = parts.port
    except ValueError:
        return None
    if not name or parts.path or parts.query or parts.fragment or "@" in host:
        return None
    return name.rstrip(".")


def is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_office_network(address: str) -> bool:
    """Loopback, link-local or private addresses: the box itself and the network around it."""
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _most(scope: Scope) -> int:
    """Bytes that the body of a request may have."""
    uploads = scope["type"] == "http" and scope["method"] == "PUT"
    if uploads and scope["path"].startswith(SOUNDS):
        return MOST_SOUND
    return MOST_SITE if uploads and scope["path"] == SITE else MOST_BODY


class Guard:
    """ASGI middleware, see the module's text. `https_port` is where HTTPS is served."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], https_port: int) -> None:
        own = socket.gethostname().split(".")[0].lower()
        self._app = app
        self._names = {own, f"{own}.local", *(name.lower().rstrip(".") for name in hosts)}
        self._https_port = https_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        websocket = scope["type"] == "websocket"
        secure = scope["scheme"] in ("https", "wss")

        async def guarded_send(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, headers, secure=secure, websocket=websocket)
        if refusal is not None:
            if websocket:
                # Closing before accepting is an HTTP 403 to the browser.
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
                return
            await refusal(scope, receive, guarded_send)
            return
        if websocket or scope["method"] in _SAFE:
            await self._app(scope, receive, guarded_send)
            return
        await self._app(scope, self._limited(receive, _most(scope)), guarded_send)

    def _refusal(
        self, scope: Scope, headers: Headers, *, secure: bool, websocket: bool
    ) -> ASGIApp | None:
        host = headers.get("host", "")
        name = host_name(host)
        if name is None or not self._known(name):
            return problem_response(
                421,
                "host",
                "The box is not known under this name.",
                "Open it by its address, or add the name to [web] hosts in the site document.",
            )
        path = scope["path"]
        client = scope["client"][0] if scope.get("client") else ""
        at_home = is_loopback(name) and is_loopback(client)
        if not secure and not at_home and path not in OPEN_ON_HTTP:
            return self._to_https(scope, name, websocket=websocket)
        unsafe = websocket or scope["method"] not in _SAFE
        if unsafe:
            ours = f"{'https' if secure else 'http'}://{host}".lower()
            site = headers.get("sec-fetch-site")
            if headers.get("origin", "").lower() != ours or (
                # Browsers send Sec-Fetch-Site on a WebSocket handshake in their newer versions.
                site is not None and site != "same-origin"
            ):
                return problem_response(
                    403,
                    "origin",
                    "This request did not come from the box's own page.",
                    "Programs must send an Origin header that equals the address they use.",
                )
        if unsafe and not websocket:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            sound = _most(scope) == MOST_SOUND and (
                kind.startswith(("audio/", "video/")) or kind == "application/octet-stream"
            )
            if kind != "application/json" and not sound:
                return problem_response(415, "json", "Only JSON is understood here.")
            length = headers.get("content-length")
            if length is not None and (not length.isdigit() or int(length) > _most(scope)):
                return problem_response(413, "too_large", "That is too large.")
        return None

    def _known(self, name: str) -> bool:
        if is_loopback(name) or name in self._names:
            return True
        try:
            # Rebinding needs a name: a page opened by address belongs to that very address.
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _to_https(self, scope: Scope, name: str, *, websocket: bool) -> ASGIApp:
        host = f"[{name}]" if ":" in name else name
        port = "" if self._https_port == 443 else f":{self._https_port}"
        base = f"https://{host}{port}"
        if websocket or scope["method"] not in _SAFE or scope["path"].startswith("/api/"):
            return problem_response(403, "https", "Use HTTPS.", f"Open {base}/ instead.")
        query = scope["query_string"].decode("ascii", "replace")
        target = (
            base + scope["raw_path"].decode("ascii", "replace") + (f"?{query}" if query else "")
        )
        return problem_response(
            307, "https", "Use HTTPS.", f"Open {base}/ instead.", {"Location": target}
        )

    @staticmethod
    def _limited(receive: Receive, most: int) -> Receive:
        """`receive` that ends a body without a length when it grows too large."""
        got = 0

        async def limited() -> Message:
            nonlocal got
            message = await receive()
            if message["type"] == "http.request":
                got += len(message.get("body", b""))
                if got > most:
                    return {"type": "http.disconnect"}
            return message

        return limited
