"""The web process's line to the control process: one connection, made again for ever.

While control is away, requests raise `ControlAway` at once and the pages say that the box is
restarting; nothing here ever gives up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from appliance.ipc import Connection, Disconnected, Refused, connect
from appliance.live import Done, GetHealth, Health, Live, Subscribe

log = logging.getLogger("centrala.web")

RETRY_S: Final = 0.2
PULSE_S: Final = 2.0
"""How often control is asked whether it lives: a hung process keeps its socket open."""
PULSE_TIMEOUT_S: Final = 4.0


class ControlAway(Exception):
    """Control cannot be reached, or does not answer in time."""


class ControlLink:
    """`on_live` gets every `Live`; `on_away` is called when the connection was lost; `on_up`
    when a new one has been subscribed."""

    def __init__(
        self,
        path: Path,
        on_live: Callable[[Live], None],
        on_away: Callable[[], None],
        on_up: Callable[[], None],
    ) -> None:
        self._path = path
        self._on_live, self._on_away, self._on_up = on_live, on_away, on_up
        self._connection: Connection | None = None

    @property
    def up(self) -> bool:
        return self._connection is not None and not self._connection.closed

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                connection = await connect(self._path, Live)
            except (Disconnected, OSError):
                await asyncio.sleep(RETRY_S)
                continue
            pulse = asyncio.create_task(self._keep(connection))
            try:
                async for incoming in connection.messages():
                    if isinstance(incoming.body, Live):
                        self._on_live(incoming.body)
            finally:
                pulse.cancel()
                connection.close()
                await asyncio.gather(pulse, return_exceptions=True)
                if self._connection is connection:
                    self._connection = None
                    log.info("control is away")
                    self._on_away()
            await asyncio.sleep(RETRY_S)

    async def _keep(self, connection: Connection) -> None:
        """Subscribe, then ask for its health until it no longer answers."""
        try:
            await connection.request(Subscribe(), Done)
            self._connection = connection
            self._on_up()
            while True:
                await connection.request(GetHealth(), Health, PULSE_TIMEOUT_S)
                await asyncio.sleep(PULSE_S)
        except (Disconnected, Refused, TimeoutError):
            connection.close()

    async def ask(self, body: Any, reply_type: Any, timeout: float = 5.0) -> Any:
        """Send a request. Raises `Refused` with control's words, or `ControlAway`."""
        if self._connection is None:
            raise ControlAway
        try:
            return await self._connection.request(body, reply_type, timeout)
        except (Disconnected, TimeoutError) as error:
            raise ControlAway from error
