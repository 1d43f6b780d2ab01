"""Talks to a running simulator over its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance import ipc
from appliance.simulator import protocol
from appliance.simulator.script import AnyStep, HangUp, Press, Say


class ExchangeClient:
    """`async with ExchangeClient(directory) as exchange: ...`; `lines` is always up to date.

    Requests raise `ipc.Refused` with the simulator's words.
    """

    def __init__(self, directory: Path, *, patience: float = 5.0) -> None:
        self._path = directory / protocol.SOCKET
        self._patience = patience
        self._connection: ipc.Connection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self.lines: dict[int, protocol.LineInfo] = {}
        self.practice = False

    async def __aenter__(self) -> Self:
        self._connection = await ipc.connect(self._path, protocol.Lines, patience=self._patience)
        self._reader = asyncio.create_task(self._read(self._connection))
        self._take(await self._connection.request(protocol.Follow(), protocol.Lines))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def call(
        self,
        line: int = 0,
        number: str = "5550123",
        name: str = "",
        script: tuple[AnyStep, ...] = (),
        *,
        caller_id: bool = True,
        ring_patience_ms: int = 120_000,
    ) -> int:
        """Have somebody call; returns the line (0 takes the first free one)."""
        request = protocol.PlaceCall(line, number, name, script, caller_id, ring_patience_ms)
        # Speech is synthesised before the line rings, which takes a while on a small machine.
        return await self._done(request, timeout=60.0)

    async def act(self, line: int, *steps: AnyStep) -> None:
        await self._done(protocol.Act(line, steps), timeout=60.0)

    async def press(self, line: int, keys: str) -> None:
        await self.act(line, Press(keys))

    async def say(self, line: int, text: str) -> None:
        await self.act(line, Say(text))

    async def hang_up(self, line: int, *, at_once: bool = True) -> None:
        """At once, or after what the caller still has to do."""
        if at_once:
            await self._done(protocol.HangUpCaller(line))
        else:
            await self.act(line, HangUp())

    async def unplug(self, line: int) -> None:
        await self._done(protocol.Unplug(line))

    async def replug(self, line: int) -> None:
        await self._done(protocol.Replug(line))

    async def set_practice(self, on: bool, interval_ms: int = 30_000) -> None:
        await self._done(protocol.SetPractice(on, interval_ms))

    async def save_heard(self, line: int, path: Path) -> None:
        """See `protocol.SaveHeard`."""
        await self._done(protocol.SaveHeard(line, str(path)))

    async def until(
        self, line: int, condition: Callable[[protocol.LineInfo], bool], timeout: float = 10.0
    ) -> protocol.LineInfo:
        """Wait until the line is as wanted. Raises TimeoutError, `ipc.Disconnected`."""
        async with asyncio.timeout(timeout), self._changed:
            while not condition(self.lines[line]):
                if self._connection is None or self._connection.closed:
                    raise ipc.Disconnected
                await self._changed.wait()
            return self.lines[line]

    async def _done(self, request: protocol.Message, timeout: float = 5.0) -> int:
        if self._connection is None:
            raise ipc.Disconnected
        done = await self._connection.request(request, protocol.Done, timeout)
        assert isinstance(done, protocol.Done)
        return done.line

    async def _read(self, connection: ipc.Connection) -> None:
        async for message in connection.messages():
            self._take(message.body)
            async with self._changed:
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    def _take(self, lines: protocol.Lines) -> None:
        self.lines = {one.line: one for one in lines.lines}
        self.practice = lines.practice
