"""A whole box for tests: all its processes as `centrala run` starts them, on ports of its own, with
the test's own exchange on its lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from appliance import events as e
from appliance import ipc, live
from appliance.app import Office, Places
from appliance.ledger.reader import Reader
from appliance.simulator.rig import ExchangeRig
from appliance.site.load import load
from appliance.site.secrets import Secrets
from tests.ports import rtp_ports

SITE = """
demo = true
pause_reasons = ["Break"]
[office]
name = "Test office"
country = "us"
[lines.line1]
kind = "modem"
name = "Line 1"
device = "@LINES@/line1"
route = "@ROUTE1@"
cid_wait_s = 3.0
[lines.line2]
kind = "modem"
name = "Line 2"
device = "@LINES@/line2"
route = "queue:sales"
[people.ana]
name = "Ana"
extension = "201"
[people.bo]
name = "Bo"
extension = "202"
[people.pip]
name = "Pip"
extension = "203"
door = "phone"
phone = "102"
[phones.101]
name = "Reception"
[phones.102]
name = "Pip's desk"
[queues.sales]
name = "Sales"
extension = "301"
agents = ["ana", "bo", "pip"]
wrap_up_s = 20
leave_when_empty = false
[menus.main]
prompt = { text = "Welcome. For sales, press one." }
default = "queue:sales"
timeout_s = 5
[menus.main.keys]
1 = { go = "queue:sales" }
[numbering]
outside_prefix = "0"
outgoing = ["line1"]
[recording]
format = "wav"
[sip]
host = "127.0.0.1"
port = @SIP@
rtp_ports = [@RTP@, @RTP_END@]
[web]
host = "127.0.0.1"
http_port = @HTTP@
https_port = @HTTPS@
"""


class Box:
    """Use as an async context manager; inside, the box is ready for calls.

    `edit` changes the site document's text, `lines` is how many analog lines the exchange has.
    """

    def __init__(
        self,
        folder: Path,
        free_port: Callable[[], int],
        *,
        route1: str = "menu:main",
        edit: Callable[[str], str] = lambda text: text,
        simulator: bool = True,
    ) -> None:
        self.places = Places(folder / "data")
        self.places.make()
        self.http_port = free_port()
        self.sip_port = free_port()
        low, high = rtp_ports()
        values = {
            "LINES": str(self.places.lines),
            "ROUTE1": route1,
            "SIP": str(self.sip_port),
            "RTP": str(low),
            "RTP_END": str(high),
            "HTTP": str(self.http_port),
            "HTTPS": str(free_port()),
        }
        text = edit(SITE)
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        self.site_path = folder / "site.toml"
        self.site_path.write_text(text)
        self.site = load(self.site_path)
        self.log = folder / "box.log"
        self.office = Office(self.site, self.site_path, self.places, log=self.log)
        self.rig = ExchangeRig(self.places.lines, lines=2) if simulator else None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def exchange(self) -> ExchangeRig:
        assert self.rig is not None
        return self.rig

    async def __aenter__(self) -> Self:
        if self.rig is not None:
            await self.rig.__aenter__()
        self._task = asyncio.create_task(self.office.run())
        try:
            async with asyncio.timeout(60):
                await self.office.wait_ready()
                await self.state(
                    lambda s: all(line.state == "idle" for line in s.lines) or self.rig is None
                )
                await self.web_ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.rig is not None:
            await self.rig.__aexit__(kind, error, trace)
        sys.stderr.write(self.said())

    def said(self) -> str:
        """What the processes wrote to stderr so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def web_ready(self) -> None:
        """Wait until the pages answer."""
        while True:
            try:
                if (await self.get("/api/v1/health"))["status"] != "starting":
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)

    async def get(self, path: str) -> Any:
        def fetch() -> Any:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)

        return await asyncio.to_thread(fetch)

    def secret(self, extension: str) -> str:
        """SIP password of a phone."""
        found = Secrets.load(self.places.data / "secrets.toml").phone(extension)
        assert found is not None
        return found

    async def state(
        self, condition: Callable[[live.Live], bool] = lambda _: True, timeout: float = 20.0
    ) -> live.Live:
        """The live state as soon as it fits."""
        async with asyncio.timeout(timeout):
            while True:
                connection = await ipc.connect(self.places.control, live.Live, patience=timeout)
                subscribed = asyncio.ensure_future(connection.request(live.Subscribe(), live.Done))
                try:
                    async for message in connection.messages():
                        if condition(message.body):
                            return message.body  # type: ignore[no-any-return]
                finally:
                    subscribed.cancel()
                    await asyncio.wait([subscribed])
                    connection.close()

    async def ask(self, request: live.Request, reply: Any = live.Done) -> Any:
        """A request as the web process makes it."""
        connection = await ipc.connect(self.places.control, live.Live, patience=10)
        reader = asyncio.create_task(_drain(connection))
        try:
            return await connection.request(request, reply)
        finally:
            connection.close()
            reader.cancel()

    def agent(self, state: live.Live, agent: str) -> live.LiveAgent:
        return next(a for a in state.agents if a.id == agent)

    def facts(self) -> list[e.Fact]:
        """Everything in the ledger, oldest first."""
        reader = Reader(self.places.data / "ledger.db")
        try:
            return [stored.fact for stored in reader.facts(0, 1_000_000)]
        finally:
            reader.close()

    async def fact(self, kind: type[e.Fact], count: int = 1, timeout: float = 20.0) -> e.Fact:
        """The `count`-th fact of this kind, once it is in the ledger."""
        async with asyncio.timeout(timeout):
            while True:
                found = [f for f in self.facts() if isinstance(f, kind)]
                if len(found) >= count:
                    return found[count - 1]
                await asyncio.sleep(0.05)

    def kill(self, name: str, signal: int = 9) -> int:
        """kill -9 one process of the box, of an audio process the one that carries the calls;
        returns its pid."""
        pid = self.office.processes[name].pid
        if name in self.office.media_names():
            (worker,) = psutil.Process(pid).children()
            pid = worker.pid
        os.kill(pid, signal)
        return pid


async def _drain(connection: ipc.Connection) -> None:
    async for _ in connection.messages():
        pass
