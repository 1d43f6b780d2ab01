"""A talk over an analog line with bad hybrids, through the modem emulator, the real line driver and
the engine: the agent must not hear himself.

All of it runs in real time. A machine that is too busy for that cuts holes into the sound, which is
noticed, and only what was whole is judged.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from appliance.lines import line as li
from appliance.lines.modem import ModemLine
from appliance.media import g711, rtp, tones
from appliance.media.engine import Engine
from appliance.simulator import sound
from appliance.simulator.rig import ExchangeRig
from tests.media import echo_corpus as corpus

TALK_S = 6.0
WHOLE_S = 3.5
LATE_S = 0.03
ATTEMPTS = 3


class NoTape:
    def feed(
        self, recording: str, left: g711.Bytes | None, right: g711.Bytes | None, frames: int
    ) -> None:
        raise AssertionError("nothing is recorded")


class Call:
    """An agent and a line in a bridge, at the engine's beat."""

    def __init__(self, driver: ModemLine, rig: ExchangeRig) -> None:
        self.driver, self.rig = driver, rig
        self.holes: list[int] = []
        """How many there were by each tick."""
        self.engine = Engine(tones.plan_for("us"), NoTape())
        self.line = self.engine.open(1, "line", "l1")
        self.agent = self.engine.open(2, "peer", "anna")
        self.engine.bridge(1, 1, 2)
        self.raw: list[g711.Bytes] = []
        self.heard: list[g711.Bytes] = []
        self.events: list[li.LineEvent] = []
        self._changed = asyncio.Event()

    def line_event(self, line: str, event: li.LineEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def wait(self, kind: type[li.LineEvent]) -> None:
        while not any(isinstance(event, kind) for event in self.events):
            self._changed.clear()
            await self._changed.wait()

    def line_audio(self, line: str, pcm: bytes) -> None:
        samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.int16)
        self.engine.ring.put_stream(self.line.slot, g711.ulaw_encode(samples).tobytes())

    async def talk(self, says: g711.Bytes) -> None:
        """The agent says these frames; what the line brings is kept before and after the engine."""
        loop = asyncio.get_running_loop()
        read = self.engine.ring.read

        def spy(count: int) -> tuple[g711.Bytes, npt.NDArray[np.float32]]:
            ulaw, pcm = read(count)
            self.raw.append(ulaw[self.line.slot].copy())
            return ulaw, pcm

        self.engine.ring.read = spy  # type: ignore[method-assign]
        start, late = loop.time(), 0
        for number, frame in enumerate(says):
            late += loop.time() - start - number * 0.02 > LATE_S
            self.engine.begin_tick()
            packet = rtp.Packet(0, False, number, number * 160, 1, frame.tobytes())
            self.engine.ring.put(self.agent.slot, packet)
            self.engine.tick()
            out = self.engine.out
            self.driver.write(g711.ULAW_DECODE[out[self.line.slot]].astype("<i2").tobytes())
            self.heard.append(out[self.agent.slot].copy())
            concealed = int(self.engine.ring.concealed[self.line.slot])
            self.holes.append(late + concealed + self.rig.slips + self.rig.modem(1).underruns)
            await asyncio.sleep(max(0.0, start + (number + 1) * 0.02 - loop.time()))


def powers(frames: list[g711.Bytes]) -> npt.NDArray[np.float64]:
    """Of each 100 ms."""
    pcm = g711.ULAW_DECODE[np.stack(frames)].astype(np.float64)
    return np.mean(np.square(pcm[: len(pcm) // 5 * 5].reshape(-1, 800)), axis=1)


def whole(holes: list[int]) -> tuple[int, int]:
    """The longest stretch of ticks without a hole."""
    cuts = [0, *(np.flatnonzero(np.diff(holes)) + 1).tolist(), len(holes)]
    return max(pairwise(cuts), key=lambda cut: cut[1] - cut[0])


async def talk(directory: Path) -> Call:
    near, far = sound.hybrid(8.0, 600, 4.0), sound.hybrid(16.0, 900, 3.0)
    async with ExchangeRig(directory, lines=1, hybrid=far, modem={"echo_taps": near}) as rig:
        driver = ModemLine("l1", "us", {"device": str(rig.device(1)), "cid_wait_s": "1.0"})
        call = Call(driver, rig)
        task = asyncio.create_task(driver.run(call))
        try:
            async with asyncio.timeout(30):
                await call.wait(li.Up)
                caller = await rig.call(line=1)
                await call.wait(li.Ringing)
                driver.answer()
                await call.wait(li.OffHook)
                await caller.answered()
            await call.talk(corpus.coded(corpus.speech(TALK_S, 21)))
        finally:
            task.cancel()
            await asyncio.wait([task])
    return call


async def test_the_agent_does_not_hear_himself(tmp_path: Path) -> None:
    for attempt in range(ATTEMPTS):
        call = await talk(tmp_path / f"lines{attempt}")
        start, end = whole(call.holes)
        if (end - start) * 0.02 >= WHOLE_S:
            break
    else:
        pytest.skip("this machine was too busy for a talk in real time")
    before, after = powers(call.raw[start:end]), powers(call.heard[start:end])
    assert call.engine.echo.found(call.line.slot)
    # From 1 s of the agent's voice on, which takes 0.2 s to come back.
    loud = before > g711.dbm0_to_rms(-38.0) ** 2
    loud[:12] = False
    assert loud.sum() > 10
    assert np.median(10 * np.log10(before[loud] / after[loud])) >= 30
