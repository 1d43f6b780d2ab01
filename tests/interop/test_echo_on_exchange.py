"""A talk over an analog line with bad hybrids, through the modem emulator, the real line driver and
the engine: the agent must not hear himself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from appliance.lines import line as li
from appliance.lines.modem import ModemLine
from appliance.media import g711, rtp, tones
from appliance.media.engine import Engine
from appliance.simulator import sound
from appliance.simulator.rig import ExchangeRig
from tests.media import echo_corpus as corpus

TALK_S = 6.0


class NoTape:
    def feed(
        self, recording: str, left: g711.Bytes | None, right: g711.Bytes | None, frames: int
    ) -> None:
        raise AssertionError("nothing is recorded")


class Call:
    """An agent and a line in a bridge, at the engine's beat."""

    def __init__(self, driver: ModemLine) -> None:
        self.driver = driver
        self.engine = Engine(tones.plan_for("us"), NoTape())
        self.line = self.engine.open(1, "line", "l1")
        self.agent = self.engine.open(2, "peer", "anna")
        self.engine.bridge(1, 1, 2)
        self.raw: list[g711.Bytes] = []
        self.heard: list[g711.Bytes] = []
        self.event = asyncio.Event()
        self.off_hook = False

    def line_event(self, line: str, event: li.LineEvent) -> None:
        self.off_hook = self.off_hook or isinstance(event, li.OffHook)
        self.event.set()

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
        start = loop.time()
        for number, frame in enumerate(says):
            self.engine.begin_tick()
            packet = rtp.Packet(0, False, number, number * 160, 1, frame.tobytes())
            self.engine.ring.put(self.agent.slot, packet)
            self.engine.tick()
            out = self.engine.out
            self.driver.write(g711.ULAW_DECODE[out[self.line.slot]].astype("<i2").tobytes())
            self.heard.append(out[self.agent.slot].copy())
            await asyncio.sleep(max(0.0, start + (number + 1) * 0.02 - loop.time()))


def powers(frames: list[g711.Bytes]) -> npt.NDArray[np.float64]:
    """Of each 100 ms."""
    pcm = g711.ULAW_DECODE[np.stack(frames)].astype(np.float64)
    return np.mean(np.square(pcm[: len(pcm) // 5 * 5].reshape(-1, 800)), axis=1)


async def test_the_agent_does_not_hear_himself(tmp_path: Path) -> None:
    near, far = sound.hybrid(8.0, 600, 4.0), sound.hybrid(16.0, 900, 3.0)
    async with ExchangeRig(
        tmp_path / "lines", lines=1, hybrid=far, modem={"echo_taps": near}
    ) as rig:
        driver = ModemLine("l1", "us", {"device": str(rig.device(1)), "cid_wait_s": "1.0"})
        call = Call(driver)
        task = asyncio.create_task(driver.run(call))
        try:
            async with asyncio.timeout(30):
                await call.event.wait()
                caller = await rig.call(line=1)
                await asyncio.sleep(0.5)
                driver.answer()
                while not call.off_hook:
                    call.event.clear()
                    await call.event.wait()
                await caller.answered()
            await call.talk(corpus.coded(corpus.speech(TALK_S, 21)))
        finally:
            task.cancel()
            await asyncio.wait([task])
    before, after = powers(call.raw), powers(call.heard)
    assert call.engine.echo.found(call.line.slot)
    # From 1 s of the agent's voice on; windows in which there is an echo at all.
    loud = before > g711.dbm0_to_rms(-38.0) ** 2
    loud[: int(1.0 / 0.1) + 2] = False
    assert loud.sum() > 15
    enhancement = 10 * np.log10(before[loud] / after[loud])
    assert np.median(enhancement) >= 30
