"""Legs of two real media processes, joined by links over loopback: voice, keys and recording pass
as in one. Prints what a link adds to the delay."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from appliance.media import g711, rtp
from appliance.media import protocol as p
from appliance.media.client import MediaClient
from appliance.media.finish import finish
from appliance.switch.pool import MediaPool
from appliance.switch.ports import PortPool
from tests.media.endpoint import HOST, RtpEndpoint, level_dbm0, sine

pytestmark = pytest.mark.timeout(90)


class Processes:
    """Two media processes behind a pool, as control has them."""

    def __init__(self, folder: Path, ports: PortPool) -> None:
        self.paths = [folder / f"media{n}.sock" for n in range(2)]
        self.children = [self._start(path) for path in self.paths]
        self.clients = [MediaClient() for _ in self.paths]
        self.pool = MediaPool(2, ports, p.Setup((), "us", reserve_bytes=0))
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

    def open(self, leg: int, process: int, end: RtpEndpoint, port: int) -> None:
        for n in range(2):
            stats = p.MediaStats(0, 0, 0.0 if n == process else 9.0, 0.0, True, 1)
            self.pool.event(n, stats, self.now())
        self.pool.take()
        end.remote = (HOST, port)
        self.send(p.OpenRtp(leg, HOST, port), p.AimRtp(leg, HOST, end.port, 0, 101, 101))
        assert self.pool.home(leg) == process

    def kill(self, process: int) -> None:
        self.children[process].kill()
        self.children[process].wait()
        self.children[process] = self._start(self.paths[process])


@asynccontextmanager
async def two_processes(
    folder: Path, free_port: Callable[[], int]
) -> AsyncIterator[tuple[Processes, Callable[[RtpEndpoint], RtpEndpoint]]]:
    base = free_port()
    async with contextlib.AsyncExitStack() as stack:
        both = Processes(folder, PortPool(base + 2, base + 60))
        tasks = [asyncio.create_task(both.listen(n)) for n in range(2)]

        def run(end: RtpEndpoint) -> RtpEndpoint:
            tasks.append(asyncio.create_task(end.run()))
            stack.callback(end.close)
            return end

        try:
            await both.until(lambda: both.pool.complete)
            yield both, run
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for child in both.children:
                child.terminate()
                child.wait()


async def test_a_bridge_over_a_link_carries_voice_keys_and_recording(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with two_processes(tmp_path, free_port) as (both, run):
        left = run(RtpEndpoint(g711.ulaw_encode(sine(700, -15, 8000))))
        right = run(RtpEndpoint(g711.ulaw_encode(sine(1100, -15, 8000))))
        both.open(1, 0, left, free_port())
        both.open(2, 1, right, free_port())
        path = tmp_path / "day" / "r.wav"
        both.send(p.Listen(1, keys=True), p.Bridge(5, 1, 2), p.StartRecording("r", str(path), 1, 2))
        await both.until(lambda: p.BridgeLive(5) in both.events)
        await asyncio.sleep(1.5)
        left.heard(), right.heard()
        left.press(7, 101)
        await both.until(lambda: p.Key(1, "7", "rfc4733") in both.events)
        await asyncio.sleep(1.0)
        keys = [packet for packet in right.packets if packet.payload_type == 101]
        assert {packet.payload[0] for packet in keys} == {7}
        for end, other in ((left, 1100), (right, 700)):
            heard = end.heard()[-4000:]
            assert level_dbm0(heard, other) == pytest.approx(-15, abs=0.5)
        # The process that records dies; what it had on disk and what follows is one recording.
        await asyncio.sleep(1.0)
        both.kill(0)
        await both.until(lambda: both.pool.complete)
        await asyncio.sleep(2.5)
        left.heard(), right.heard()
        await asyncio.sleep(0.6)
        assert level_dbm0(left.heard()[-4000:], 1100) == pytest.approx(-15, abs=0.5)
        assert level_dbm0(right.heard()[-4000:], 700) == pytest.approx(-15, abs=0.5)
        both.send(p.StopRecording("r"))
        await both.until(lambda: isinstance(both.events[-1], p.RecordingClosed))
        closed = both.events[-1]
        assert isinstance(closed, p.RecordingClosed)
        assert finish(path, "wav") == path
        raw = np.frombuffer(path.read_bytes()[58:], np.uint8).reshape(-1, 2)
        assert abs(len(raw) // 8 - closed.duration_ms) <= 20
        for side, hz in ((0, 700), (1, 1100)):
            last = g711.ULAW_DECODE[raw[-8000:, side]]
            assert level_dbm0(last, hz) == pytest.approx(-15, abs=0.5)
        assert not list(path.parent.glob("*.part-*"))


async def test_a_room_over_a_link_is_one_room_and_a_whisper_stays_one(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    tones = {1: 500.0, 2: 900.0, 3: 1500.0}
    async with two_processes(tmp_path, free_port) as (both, run):
        ends = {}
        for leg, hz in tones.items():
            ends[leg] = run(RtpEndpoint(g711.ulaw_encode(sine(hz, -20, 8000))))
            both.open(leg, leg // 2, ends[leg], free_port())

        async def heard() -> dict[int, set[int]]:
            await asyncio.sleep(1.0)
            for end in ends.values():
                end.heard()
            await asyncio.sleep(0.6)
            found = {}
            for leg, end in ends.items():
                audio = end.heard()[-4000:]
                found[leg] = {n for n, hz in tones.items() if abs(level_dbm0(audio, hz) + 20) < 1}
            return found

        both.send(p.Room(9, tuple(p.Member(leg) for leg in tones)))
        assert await heard() == {1: {2, 3}, 2: {1, 3}, 3: {1, 2}}
        whisperer = p.Member(3, heard_by=(1,))
        both.send(p.Room(9, (p.Member(1), p.Member(2), whisperer)))
        assert await heard() == {1: {2, 3}, 2: {1}, 3: {1, 2}}


class Clapper(RtpEndpoint):
    """Silence with a clap now and then; keeps when it was sent, and when one was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.claps: list[float] = []
        self.heard_claps: list[float] = []
        self._frames = self._rhythm()

    def _rhythm(self) -> Iterator[bool]:
        while True:
            yield True
            yield from [False] * 16

    def send_frame(self) -> None:
        clap = next(self._frames)
        if clap:
            self.claps.append(time.monotonic())
        payload = bytes((0x00 if clap else 0xFF,)) * 160
        self.send(0, payload, self.timestamp)
        self.timestamp += 160

    async def listen(self) -> None:
        """Hears within a millisecond, where `run` looks each 20 ms."""
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(self.sock, 2048)
            packet = rtp.parse(data)
            if packet is not None and packet.payload[:1] in (b"\x00", b"\x80"):
                self.heard_claps.append(time.monotonic())

    def collect(self) -> None:
        pass


def delays_ms(sender: Clapper, hearer: Clapper) -> list[float]:
    return [
        1000 * min(at - clap for at in hearer.heard_claps if at > clap)
        for clap in sender.claps[5:-3]
    ]


async def test_a_link_adds_little_delay(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with two_processes(tmp_path, free_port) as (both, run):
        medians = []
        for n, homes in enumerate(((0, 0), (0, 1))):
            a, b = run(Clapper()), run(Clapper())
            listening = asyncio.create_task(b.listen())
            both.open(10 + n, homes[0], a, free_port())
            both.open(20 + n, homes[1], b, free_port())
            both.send(p.Bridge(n, 10 + n, 20 + n))
            await asyncio.sleep(6)
            listening.cancel()
            delays = delays_ms(a, b)
            assert len(delays) > 8
            medians.append(statistics.median(delays))
            both.send(p.CloseLeg(10 + n), p.CloseLeg(20 + n))
        print(f"one process {medians[0]:.1f} ms, over a link {medians[1]:.1f} ms")
        # Two ticks that do not know of each other and one more jitter buffer.
        assert medians[1] - medians[0] < 100
