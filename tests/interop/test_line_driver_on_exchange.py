"""The modem driver on the exchange's modems: two rooms that never saw each other.

Each story has an exchange of its own. They mostly wait for a cadence, so they happen at the same
time; the tests look at what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from appliance.lines import line as li
from appliance.lines.modem import ModemLine
from appliance.simulator.rig import ExchangeRig


class Sink:
    """Collects what a line says; `wait` gives the next event that fits."""

    def __init__(self) -> None:
        self.events: list[li.LineEvent] = []
        self.audio = bytearray()
        self._changed = asyncio.Event()

    def line_event(self, line: str, event: li.LineEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def line_audio(self, line: str, pcm: bytes) -> None:
        self.audio += pcm
        self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout: float = 15.0) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def wait(self, kind: type[li.LineEvent], timeout: float = 15.0) -> li.LineEvent:
        await self.until(lambda: any(isinstance(e, kind) for e in self.events), timeout)
        found = next(e for e in self.events if isinstance(e, kind))
        del self.events[: self.events.index(found) + 1]
        return found

    def samples(self) -> np.ndarray:
        return np.frombuffer(bytes(self.audio[: len(self.audio) & ~1]), "<i2").astype(float)


class Speaker:
    """Feeds the line 20 ms of tone each 20 ms, as the engine does."""

    def __init__(self, line: ModemLine, hz: float, peak: float) -> None:
        self._line, self._hz, self._peak = line, hz, peak

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        start, frame = loop.time(), 0
        while True:
            t = (np.arange(160) + frame * 160) / 8000
            pcm = (self._peak * np.sin(2 * np.pi * self._hz * t)).astype("<i2")
            self._line.write(pcm.tobytes())
            frame += 1
            await asyncio.sleep(max(0.0, start + frame * 0.02 - loop.time()))


@asynccontextmanager
async def plugged(
    tmp_path: Path, **options: object
) -> AsyncIterator[tuple[ExchangeRig, ModemLine, Sink]]:
    async with ExchangeRig(tmp_path / "lines", lines=1, **options) as rig:  # type: ignore[arg-type]
        line = ModemLine("l1", "us", {"device": str(rig.device(1)), "cid_wait_s": "3.0"})
        sink = Sink()
        task = asyncio.create_task(line.run(sink))
        try:
            await sink.wait(li.Up, timeout=30)
            yield rig, line, sink
        finally:
            task.cancel()
            await asyncio.wait([task])


def level_db(samples: np.ndarray, hz: float) -> float:
    """Level of one tone in dB of full scale amplitude."""
    t = np.arange(len(samples)) / 8000
    value = 2 * np.abs((samples * np.exp(-2j * np.pi * hz * t)).mean())
    return float(20 * np.log10(max(value, 1e-3) / 32768))


async def a_call_is_heard_both_ways(tmp_path: Path, variant: str) -> None:
    async with plugged(tmp_path, variant=variant) as (rig, line, sink):
        call = await rig.call(line=1, number="5550123", name="ANA")
        await sink.wait(li.Ringing)
        assert await sink.wait(li.CallerId) == li.CallerId("5550123", "ANA")
        line.answer()
        await sink.wait(li.OffHook)
        await call.answered()
        speaker = asyncio.create_task(Speaker(line, 1004, 8000).run())
        t = np.arange(16000) / 8000
        await call.say((8000 * np.sin(2 * np.pi * 700 * t)).astype(np.int16))
        speaker.cancel()
        heard = call.heard()[-8000:].astype(float)
        assert level_db(heard, 1004) == pytest.approx(20 * np.log10(8000 / 32768), abs=0.5)
        mine = sink.samples()
        loudest = max(level_db(mine[i : i + 4000], 700) for i in range(0, len(mine) - 4000, 800))
        assert loudest == pytest.approx(20 * np.log10(8000 / 32768), abs=0.5)
        line.hangup()
        assert await sink.wait(li.HungUp) == li.HungUp("local")
        assert rig.modem(1).violations == []


async def a_withheld_number_and_a_silent_exchange_are_told_apart(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (rig, _, sink):
        call = await rig.call(line=1, number="P")
        assert await sink.wait(li.CallerId) == li.CallerId(None, None, "private")
        await call.hangup()
        await sink.wait(li.RingEnded, timeout=20)
        await rig.call(line=1, caller_id=False)
        assert await sink.wait(li.CallerId) == li.CallerId(None, None, "missing")


async def dialling_out_reaches_the_other_party(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (_, line, sink):
        line.dial("5550142")
        assert await sink.wait(li.OffHook, timeout=30) == li.OffHook(sure=False)
        sink.audio.clear()
        await sink.until(lambda: len(sink.audio) > 16000 * 8, timeout=30)
        assert np.abs(sink.samples()).max() > 1000
        line.hangup()
        await sink.wait(li.HungUp)


async def an_unplugged_modem_is_down_and_comes_back_as_another_device(tmp_path: Path) -> None:
    async with plugged(tmp_path) as (rig, line, sink):
        call = await rig.call(line=1)
        await sink.wait(li.CallerId)
        line.answer()
        await sink.wait(li.OffHook)
        rig.unplug(1)
        await sink.wait(li.Down)
        await call.hangup()
        rig.replug(1)
        await sink.wait(li.Up, timeout=30)
        await rig.call(line=1, number="5550199")
        assert (await sink.wait(li.CallerId)).number == "5550199"  # type: ignore[union-attr]


STORIES: dict[str, Callable[[Path], Awaitable[None]]] = {
    f"a call rings with caller ID, is answered and heard both ways by {variant}": partial(
        a_call_is_heard_both_ways, variant=variant
    )
    for variant in ("conexant", "usr", "generic")
} | {
    "a withheld number and a silent exchange are told apart": (
        a_withheld_number_and_a_silent_exchange_are_told_apart
    ),
    "dialling out reaches the other party": dialling_out_reaches_the_other_party,
    "an unplugged modem is down and comes back as another device": (
        an_unplugged_modem_is_down_and_comes_back_as_another_device
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """The stories that are asked for, all begun."""
    asked = [
        item.callspec.params["story"] for item in request.session.items if item.path == request.path
    ]  # type: ignore[attr-defined]

    async def tell(name: str) -> None:
        await STORIES[name](tmp_path_factory.mktemp("exchange"))

    tasks = {name: asyncio.create_task(tell(name)) for name in asked}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.wait(tasks.values())


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("story", STORIES)
async def test_on_the_exchange(told: dict[str, asyncio.Task[None]], story: str) -> None:
    await told[story]
