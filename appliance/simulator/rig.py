"""The simulated exchange in real time: lines as device links, callers as handles.

    async with ExchangeRig(directory, lines=2) as rig:
        call = await rig.call(line=1, number="5550123", name="ANA")
        await call.answered(timeout=10)
        await call.press("1")

The clock of the lines counts frames. When the process is late it catches up, but never by more
than a modem's buffer holds; beyond that the lines' clock stands still, so no sound is lost or sent
in a burst.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from appliance.simulator.caller import Caller, Sound
from appliance.simulator.countries import Cadence, country
from appliance.simulator.exchange import AnalogLine, Destination, Exchange
from appliance.simulator.modem import CallerId, Modem
from appliance.simulator.pty import ModemPort
from appliance.simulator.script import AnyStep, Babble, Press, Step, WaitQuiet
from appliance.simulator.sound import FRAME_MS, Samples, Taps
from appliance.simulator.speech import Speaker
from appliance.simulator.variants import VARIANTS

CATCH_UP: Final = 6
"""Frames done at once when late: 960 bytes, what the smallest modem buffer holds."""


class Call:
    """One simulated caller on its way through the office. All waits raise TimeoutError."""

    def __init__(self, rig: ExchangeRig, caller: Caller, line: int) -> None:
        self._rig = rig
        self.caller = caller
        self.line = line

    async def until(self, condition: Callable[[Caller], bool], timeout: float = 10.0) -> None:
        """Wait until `condition` holds; it is looked at after each frame."""
        await self._rig.until(lambda: condition(self.caller), timeout)

    async def answered(self, timeout: float = 10.0) -> None:
        await self.until(lambda caller: caller.answered_at is not None, timeout)

    async def gone(self, timeout: float = 10.0) -> str:
        """Wait until the caller has hung up; says why (see `Caller.reason`)."""
        await self.until(lambda caller: caller.state == "gone", timeout)
        return self.caller.reason

    async def hears(self, progress: str, timeout: float = 10.0) -> None:
        """Wait until the caller hears "dial", "ringback" or "busy"."""
        await self.until(lambda caller: caller.ear.progress == progress, timeout)

    async def hears_sound(self, min_ms: int = 300, timeout: float = 10.0) -> None:
        """Wait for a voice, a prompt or music."""
        await self.until(lambda caller: caller.ear.sound_ms >= min_ms, timeout)

    async def run(self, *steps: AnyStep, timeout: float = 60.0) -> None:
        """Do these steps and wait for their end (or the caller's)."""
        await self.add(*steps)
        await self.until(lambda caller: not caller.busy, timeout)

    async def add(self, *steps: AnyStep) -> None:
        """Append steps without waiting for them."""
        self.caller.add(*await self._rig.speaker.ready(steps))

    async def press(self, keys: str, on_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys; returns when the last gap is over."""
        await self.run(Press(keys, on_ms, gap_ms))

    async def say(self, pcm: Samples | str, timeout: float = 60.0) -> None:
        """Say samples (8 kHz int16) or a text; returns when it is said."""
        if isinstance(pcm, str):
            pcm = await self._rig.speaker.say(pcm)
        self.caller.add(Sound(pcm))
        await self.until(lambda caller: not caller.busy, timeout)

    async def hangup(self) -> None:
        self.caller.hang_up(self._rig.now)

    def heard(self) -> Samples:
        """Everything heard since the answer; sample n was heard while sample n of `said` went."""
        return self.caller.heard()

    def said(self) -> Samples:
        return self.caller.said()


class ExchangeRig:
    """An exchange with `lines` lines, their modems at `directory`/line1, line2, ...

    `variant` names one of `VARIANTS`; `modem` are further arguments of `Modem`. `ring` overrides
    the ring cadence. `hybrid` is the exchange's echo path (see `AnalogLine`). `ppm` is how much
    faster than the computer's clock the lines' clock runs. `keep`: callers remember what they
    heard and said.
    """

    def __init__(
        self,
        directory: Path,
        lines: int = 2,
        *,
        country_code: str = "us",
        variant: str = "conexant",
        ring: Cadence | None = None,
        breaks_loop: bool = False,
        hybrid: Taps | None = None,
        ppm: float = 0.0,
        keep: bool = True,
        modem: dict[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.country = country(country_code)
        self.speaker = Speaker()
        self.plan: Callable[[str], Destination] = self.default_plan
        self.slips = 0
        """How often the lines' clock stood still because the process was too late."""
        self._keep = keep
        self._frame_s = FRAME_MS / 1000 / (1 + ppm * 1e-6)
        self._ports: dict[int, ModemPort] = {}
        analog = []
        for number in range(1, lines + 1):
            unit = Modem(VARIANTS[variant], seed=number, gci=self.country.gci, **(modem or {}))
            self._ports[number] = ModemPort(unit, directory / f"line{number}")
            analog.append(
                AnalogLine(
                    number,
                    unit,
                    self.country,
                    self._dialled,
                    ring=ring,
                    breaks_loop=breaks_loop,
                    hybrid=hybrid,
                )
            )
        self.exchange = Exchange(analog)
        self._base = 0
        self._frames = 0
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._each_frame: list[Callable[[int], None]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        for port in self._ports.values():
            port.plug()
        self._base = time.time_ns() // 1_000_000
        self._task = asyncio.create_task(self._run(), name="exchange")
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
            failure = None if self._task.cancelled() else self._task.exception()
            for port in self._ports.values():
                port.unplug()
            if failure is not None and error is None:
                raise failure

    async def ended(self) -> None:
        """Wait for the exchange's own end, which only a fault brings. Raises that fault."""
        if self._task is not None:
            await asyncio.shield(self._task)

    @property
    def now(self) -> int:
        """The lines' clock, UTC milliseconds at start and then by frames."""
        return self._base + self._frames * FRAME_MS

    def device(self, line: int) -> Path:
        return self._ports[line].link

    def port(self, line: int) -> ModemPort:
        return self._ports[line]

    def modem(self, line: int) -> Modem:
        return self._ports[line].modem

    def line(self, line: int) -> AnalogLine:
        return self.exchange.lines[line]

    def on_frame(self, callback: Callable[[int], None]) -> None:
        """Have `callback(now)` called after each frame."""
        self._each_frame.append(callback)

    async def call(
        self,
        line: int = 1,
        number: str | None = "5550123",
        name: str | None = None,
        steps: tuple[AnyStep, ...] = (),
        *,
        caller_id: bool = True,
        garbled: bool = False,
        ring_patience_ms: int = 120_000,
        hangs_up_on_busy: bool = True,
    ) -> Call:
        """Somebody calls the office on `line`. Without `caller_id` the exchange sends none; number
        "P" or "O" is withheld or out of area. Raises LineBusy, ValueError, OSError."""
        ready: list[Step | Sound] = await self.speaker.ready(steps)
        caller = Caller(
            self.country,
            ready,
            ring_patience_ms=ring_patience_ms,
            keep=self._keep,
            hangs_up_on_busy=hangs_up_on_busy,
        )
        at = datetime.fromtimestamp(self.now / 1000, UTC)
        record = CallerId(number, name, f"{at:%m%d}", f"{at:%H%M}", garbled)
        self.exchange.lines[line].call(caller, record if caller_id else None, self.now)
        return Call(self, caller, line)

    def party(self, *steps: Step | Sound) -> Caller:
        """Somebody who can be called (see `plan`)."""
        return Caller(self.country, steps, keep=self._keep)

    def _dialled(self, digits: str) -> Destination:
        return self.plan(digits)

    def default_plan(self, digits: str) -> Destination:
        """Whoever the office dials: numbers that end in 00 are busy, all others answer after two
        rings, say something and listen until the office hangs up."""
        if digits.endswith("00"):
            return Destination(None)
        return Destination(self.party(Babble(1500, seed=len(digits)), WaitQuiet()), 8000)

    def unplug(self, line: int) -> None:
        self._ports[line].unplug()

    def replug(self, line: int) -> None:
        """Plugged in again: a new device under the same link, the unit as at power-on."""
        if not self._ports[line].plugged:
            self._ports[line].modem.power_on()
            self._ports[line].plug()

    async def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait until `condition` holds; it is looked at after each frame. Raises TimeoutError."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (condition, future)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await future
        finally:
            self._waiters.remove(waiter)

    # --- the clock --------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            due = loop.time() + self._frame_s
            while True:
                await asyncio.sleep(max(0.0, due - loop.time()))
                done = 0
                while due <= loop.time() and done < CATCH_UP:
                    self._frame()
                    due += self._frame_s
                    done += 1
                if done == CATCH_UP and due <= loop.time():
                    self.slips += 1
                    due = loop.time() + self._frame_s
        except Exception as error:
            for _, future in self._waiters:
                if not future.done():
                    future.set_exception(RuntimeError(f"the exchange stopped: {error}"))
            raise

    def _frame(self) -> None:
        self._frames += 1
        now = self.now
        for port in self._ports.values():
            port.read_host(now)
        self.exchange.frame(now)
        for port in self._ports.values():
            port.write_host(now)
        for callback in self._each_frame:
            callback(now)
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)
