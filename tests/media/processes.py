"""Two real media processes behind a pool, as control has them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from appliance.media import protocol as p
from appliance.media.client import MediaClient
from appliance.switch.pool import MediaPool
from appliance.switch.ports import PortPool
from tests.media.endpoint import HOST, RtpEndpoint

Event = TypeVar("Event", bound=p.Message)


class Processes:
    """Their commands go through the pool, and so do their events."""

    def __init__(self, folder: Path, ports: PortPool, lines: tuple[p.LineSetup, ...] = ()) -> None:
        self.paths = [folder / f"media{n}.sock" for n in range(2)]
        self.children = [self._start(path) for path in self.paths]
        self.clients = [MediaClient() for _ in self.paths]
        self.pool = MediaPool(2, ports, p.Setup(lines, "us", reserve_bytes=0))
        self.events: list[p.Event] = []
        self._changed = asyncio.Event()

    @staticmethod
    def _start(path: Path) -> subprocess.Popen[bytes]:
        program = "import sys, pathlib; from appliance.media.process import main; "
        return subprocess.Popen(
            [sys.executable, "-c", program + "main(pathlib.Path(sys.argv[1]))", str(path)]
        )

    def now(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def listen(self, process: int) -> None:
        while True:
            await self.clients[process].connect(self.paths[process], patience=20)
            self.pool.connected(process)
            self._pass_on()
            async for event in self.clients[process].events():
                self.pool.event(process, event, self.now())
                self._pass_on()
            self.pool.lost(process, self.now())
            self._pass_on()

    def send(self, *commands: p.Command) -> None:
        for command in commands:
            self.pool.command(command, self.now())
            self._pass_on()

    def _pass_on(self) -> None:
        commands, events = self.pool.take()
        for process, command in commands:
            self.clients[process].send(command)
        self.events += events
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def wait(self, kind: type[Event]) -> Event:
        """The first event of that kind; it is taken out of the list."""
        await self.until(lambda: any(isinstance(event, kind) for event in self.events))
        found = next(event for event in self.events if isinstance(event, kind))
        self.events.remove(found)
        return found

    def fill(self, other: int) -> None:
        """Let that process have so much to do that the next leg comes to the other."""
        for n in range(2):
            stats = p.MediaStats(0, 0, 9.0 if n == other else 0.0, 0.0, True, 1)
            self.pool.event(n, stats, self.now())
        self.pool.take()

    def open(
        self,
        leg: int,
        process: int,
        end: RtpEndpoint,
        port: int,
        srtp: p.SrtpKeys | None = None,
    ) -> None:
        self.fill(other=1 - process)
        end.remote = (HOST, port)
        aim = p.AimRtp(leg, HOST, end.port, 0, 101, 101, srtp=srtp)
        self.send(p.OpenRtp(leg, HOST, port), aim)
        assert self.pool.home(leg) == process

    def kill(self, process: int) -> None:
        self.children[process].kill()
        self.children[process].wait()
        self.children[process] = self._start(self.paths[process])

    def end(self) -> None:
        for child in self.children:
            child.terminate()
            child.wait()
