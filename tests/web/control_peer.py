"""The other end of the control socket for tests of the web process: the real messages, a state
that the test sets, and a list of what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.ipc import Connection, Refused, serve
from appliance.live import Done, GetHealth, Health, Live, Request, Subscribe
from tests.web.scenes import clock

Handler = Callable[[Any], Awaitable[Any]]


class ControlPeer:
    def __init__(self, path: Path, live: Live) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self._connections: list[Connection] = []
        self._subscribed: list[Connection] = []
        self._changed = asyncio.Event()
        self.live = live
        self.health = Health("ready")
        self.requests: list[Any] = []
        self.handlers: dict[type, Handler] = {}
        """By type of request; without one the reply is `Done`."""

    async def start(self) -> None:
        self._server = await serve(self._path, Request, self._on_connection)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._subscribed.clear()
        self._path.unlink(missing_ok=True)

    def show(self, live: Live) -> None:
        """Publish a new state."""
        self.live = msgspec.structs.replace(live, seq=self.live.seq + 1, now=clock())
        for connection in self._subscribed:
            connection.post(self.live)

    def asked(self, kind: type) -> list[Any]:
        return [one for one in self.requests if isinstance(one, kind)]

    async def wait_for(self, kind: type, count: int = 1) -> Any:
        """The `count`th request of a kind, once it has come."""
        async with asyncio.timeout(15):
            while len(self.asked(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.asked(kind)[count - 1]

    async def _on_connection(self, connection: Connection) -> None:
        self._connections.append(connection)
        async for incoming in connection.messages():
            body = incoming.body
            if not isinstance(body, GetHealth | Subscribe):
                self.requests.append(body)
                self._changed.set()
            if isinstance(body, GetHealth):
                incoming.reply(self.health)
            elif isinstance(body, Subscribe):
                incoming.reply(Done())
                self._subscribed.append(connection)
                connection.post(msgspec.structs.replace(self.live, now=clock()))
            elif type(body) in self.handlers:
                try:
                    incoming.reply(await self.handlers[type(body)](body))
                except Refused as refusal:
                    incoming.refuse(str(refusal))
            else:
                incoming.reply(Done())
