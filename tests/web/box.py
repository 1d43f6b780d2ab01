"""A web process in the test's own loop: a control peer behind it, HTTP clients before it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from appliance.live import Live
from appliance.site.model import Site
from appliance.site.secrets import Secrets
from appliance.web.main import run
from tests.web import scenes
from tests.web.control_peer import ControlPeer

PASSWORD = "correct horse battery"


class Box:
    def __init__(self, site: Site, data: Path, control: ControlPeer) -> None:
        self.site, self.data, self.control = site, data, control
        self.http = f"http://127.0.0.1:{site.web.http_port}"
        self.https = f"https://127.0.0.1:{site.web.https_port}"
        self._clients = contextlib.AsyncExitStack()

    async def client(self, base: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A browser's headers, nobody signed in."""
        base = base or self.http
        return await self._clients.enter_async_context(
            httpx.AsyncClient(
                base_url=base,
                verify=False,
                headers={"Origin": base, "Sec-Fetch-Site": "same-origin", **headers},
            )
        )

    async def signed_in(self, person: str, base: str | None = None) -> httpx.AsyncClient:
        client = await self.client(base)
        answer = await client.post("/api/v1/login", json={"person": person, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return client

    @asynccontextmanager
    async def socket(
        self, client: httpx.AsyncClient | None = None, session: str = "page-0001", **more: Any
    ) -> AsyncIterator[ClientConnection]:
        """The live socket with the client's cookies."""
        base = str(client.base_url).rstrip("/") if client else self.http
        headers = {}
        if client is not None and client.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
        context = None
        if base.startswith("https"):
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        url = f"{base.replace('http', 'ws', 1)}/api/v1/live?session={session}"
        options: dict[str, Any] = {"origin": base, "additional_headers": headers, **more}
        async with connect(url, ssl=context, proxy=None, **options) as socket:
            yield socket

    async def close(self) -> None:
        await self._clients.aclose()


@asynccontextmanager
async def box(
    data: Path,
    free_port: Callable[[], int],
    live: Live | None = None,
    *,
    control_runs: bool = True,
    passwords: tuple[str, ...] = ("ana", "boris", "dina", "root"),
    **web: Any,
) -> AsyncIterator[Box]:
    (data / "secrets.toml").touch(0o600)
    (data / "secrets.toml").write_bytes(_secrets(passwords))
    control = ControlPeer(data / "control.sock", live or scenes.quiet(bool(web.get("demo"))))
    if control_runs:
        await control.start()
    for last in (False, False, True):
        site = scenes.site(http_port=free_port(), https_port=free_port(), **web)
        process = asyncio.create_task(run(site, data, data / "control.sock"))
        running = Box(site, data, control)
        try:
            try:
                await _answering(running, process, 200 if control_runs else 503)
            except OSError:
                # Another program took the port between the choice and its use.
                if last:
                    raise
                continue
            yield running
            break
        finally:
            await running.close()
            process.cancel()
            await asyncio.gather(process, return_exceptions=True)
            if last or not process.done() or process.cancelled():
                await control.stop()


async def _answering(running: Box, process: asyncio.Task[None], wanted: int) -> None:
    """Returns when health answers with the status wanted; raises what ended the process."""
    async with httpx.AsyncClient() as probe, asyncio.timeout(20):
        while True:
            if process.done():
                return process.result()
            with contextlib.suppress(httpx.TransportError):
                answer = await probe.get(f"{running.http}/api/v1/health")
                if answer.status_code == wanted:
                    return None
            await asyncio.sleep(0.01)


@functools.cache
def _secrets(passwords: tuple[str, ...]) -> bytes:
    """A secrets file with `PASSWORD` for each person; hashing is slow by design, so done once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secrets.toml"
        secrets = Secrets.load(path)
        for person in passwords:
            secrets.set_password(person, PASSWORD)
        secrets.ensure(scenes.site())
        secrets.save()
        return path.read_bytes()
