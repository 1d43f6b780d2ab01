"""Legs of two real media processes, joined by links over loopback: voice, keys and recording pass
as in one. Prints what a link adds to the delay."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from appliance.media import g711, rtp
from appliance.media import protocol as p
from appliance.media.finish import finish
from appliance.switch.ports import PortPool
from tests.media.endpoint import RtpEndpoint, level_dbm0, sine
from tests.media.processes import Processes
from tests.media.srtp_phone import SecurePhone, keys

pytestmark = pytest.mark.timeout(90)


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
            both.end()


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
        pairs = [(run(Clapper()), run(Clapper())) for _ in range(2)]
        listening = [asyncio.create_task(b.listen()) for _, b in pairs]
        for n, ((a, b), home) in enumerate(zip(pairs, (0, 1), strict=True)):
            both.open(10 + n, 0, a, free_port())
            both.open(20 + n, home, b, free_port())
            both.send(p.Bridge(n, 10 + n, 20 + n))
        await asyncio.sleep(6)
        for task in listening:
            task.cancel()
        delays = [delays_ms(a, b) for a, b in pairs]
        assert min(map(len, delays)) > 8
        medians = [statistics.median(each) for each in delays]
        print(f"one process {medians[0]:.1f} ms, over a link {medians[1]:.1f} ms")
        # Two ticks that do not know of each other and one more jitter buffer.
        assert medians[1] - medians[0] < 100


async def test_encrypted_calls_and_rooms_come_back_after_a_kill(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with two_processes(tmp_path, free_port) as (both, run):
        tones = [500 + 350 * n for n in range(5)]
        voices = [g711.ulaw_encode(sine(hz, -18, 8000)) for hz in tones]
        secure = [SecurePhone(voice) for voice in voices[:2]]
        ends = [run(end) for end in (*secure, *map(RtpEndpoint, voices[2:]))]
        # The encrypted ones in a bridge, the others in a room across both processes.
        for leg, (end, home) in enumerate(zip(ends, (0, 0, 0, 0, 1), strict=True), 1):
            both.open(leg, home, end, free_port(), keys() if leg <= 2 else None)
        both.send(p.Bridge(5, 1, 2), p.Room(6, tuple(p.Member(leg) for leg in (3, 4, 5))))

        def heard() -> bool:
            sounds = [end.heard()[-2400:] for end in ends]
            return all(
                len(sounds[n]) == 2400
                and all(abs(level_dbm0(sounds[n], tones[m]) + 18) < 0.5 for m in others)
                for n, others in enumerate(((1,), (0,), (3, 4), (2, 4), (2, 3)))
            )

        async def all_hear() -> None:
            async with asyncio.timeout(20):
                while not heard():  # noqa: ASYNC110 - packets come without an event
                    await asyncio.sleep(0.5)

        await all_hear()
        both.kill(0)
        await both.until(lambda: not both.pool.complete)
        await both.until(lambda: both.pool.complete)
        for end in ends:
            end.heard()
        await all_hear()
        assert [end.clear for end in secure] == [0, 0]
