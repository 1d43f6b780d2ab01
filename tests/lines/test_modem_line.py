"""The line on a real pseudo-terminal: opening, a call, unplugging, and bad company."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import serial

from appliance.lines import modem, modem_port
from appliance.lines.line import (
    CallerId,
    Down,
    HungUp,
    Line,
    LineEvent,
    OffHook,
    RingEnded,
    Ringing,
    Up,
)
from appliance.lines.modem import ModemLine
from appliance.lines.modem_port import usb_id
from tests.lines.linerig import ANSWERS

PATIENCE_S = 20


class PtyModem:
    """A pseudo-terminal with a written-down answer to each command behind it."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.commands: list[str] = []
        self.heard = bytearray()
        """Bytes that came in voice data state."""
        self.voice = False
        self.deaf = False
        self._line = bytearray()
        self._moved = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.master, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return
        if self.deaf:
            return
        if self.voice:
            self.heard += data
            if b"\x10^" in self.heard:
                self.voice = False
                self.say(b"\x10\x03\r\nOK\r\n")
        else:
            self._line += data
            while b"\r" in self._line:
                line, _, rest = self._line.partition(b"\r")
                self._line = bytearray(rest)
                command = line.decode("latin-1")
                self.commands.append(command)
                self.say(ANSWERS.get(command, "\r\nOK\r\n").encode("latin-1"))
                self.voice = command == "AT+VTR"
        self._moved.set()

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    def unplug(self) -> None:
        if self.master >= 0:
            asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


class Sink:
    def __init__(self) -> None:
        self.events: list[LineEvent] = []
        self.audio = bytearray()
        self.answers_at_once: ModemLine | None = None
        self._moved = asyncio.Event()

    def line_event(self, line: str, event: LineEvent) -> None:
        assert line == "front"
        self.events.append(event)
        if self.answers_at_once is not None and isinstance(event, Ringing):
            self.answers_at_once.answer()
        self._moved.set()

    def line_audio(self, line: str, pcm: bytes) -> None:
        self.audio += pcm
        self._moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def event(self, kind: type[LineEvent]) -> LineEvent:
        """The next event of a kind; it and all before it are used up."""
        await self.until(lambda: any(isinstance(event, kind) for event in self.events))
        while True:
            event = self.events.pop(0)
            if isinstance(event, kind):
                return event


class Bench:
    def __init__(self, folder: Path) -> None:
        self.device = folder / "line-front"
        self.sink = Sink()
        self.line = ModemLine("front", "us", {"device": str(self.device), "cid_wait_s": "0"})
        self.modems: list[PtyModem] = []
        self.task: asyncio.Task[None] | None = None
        self._opened = asyncio.Semaphore(0)
        self._loop = asyncio.get_running_loop()

    def open_port(self, device: str) -> serial.Serial:
        """What the line opens its port by, on a thread: counted."""
        self._loop.call_soon_threadsafe(self._opened.release)
        return modem_port.open_port(device)

    async def attempts(self, count: int) -> None:
        """Wait for so many more attempts to open the port."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._opened.locked():
                await self._opened.acquire()
            for _ in range(count):
                await self._opened.acquire()

    def plug(self) -> PtyModem:
        pty = PtyModem()
        self.modems.append(pty)
        self.device.unlink(missing_ok=True)
        self.device.symlink_to(pty.path)
        return pty

    def unplug(self, pty: PtyModem) -> None:
        # The link first, as udev does: the kernel gives the number of a closed terminal to others.
        self.device.unlink()
        pty.unplug()

    def start(self) -> None:
        line: Line = self.line
        self.task = asyncio.create_task(line.run(self.sink))

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    async def call(self) -> PtyModem:
        pty = self.plug()
        self.start()
        await self.sink.event(Up)
        pty.say(b"\r\nRING\r\n")
        await self.sink.event(Ringing)
        self.line.answer()
        await self.sink.event(OffHook)
        return pty


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(modem, "_FIRST_RETRY_S", 0.05)
    bench = Bench(tmp_path)
    monkeypatch.setattr(modem, "open_port", bench.open_port)
    yield bench
    await bench.stop()
    for pty in bench.modems:
        pty.unplug()


async def test_a_call_from_ring_to_hang_up(bench: Bench) -> None:
    pty = bench.plug()
    bench.start()
    assert await bench.sink.event(Up) == Up("V90")
    pty.say(b"\r\nRING\r\n\r\nNMBR = 5551234567\r\nNAME = JANE\r\n")
    assert await bench.sink.event(CallerId) == CallerId("5551234567", "JANE")
    bench.line.answer()
    assert await bench.sink.event(OffHook) == OffHook()
    assert bench.line.state == "talking"
    pty.say(b"\x80\x10\x10\xff")
    await bench.sink.until(lambda: len(bench.sink.audio) == 6)
    bench.line.write(b"\x00\x90" * 160)
    await pty.until(lambda: pty.heard.endswith(b"\x10\x10" * 160))
    pty.say(b"\x80\x10b")
    assert await bench.sink.event(HungUp) == HungUp("dle")
    assert "ATH0" in pty.commands
    assert bench.line.state == "idle"


async def test_a_sink_may_answer_while_it_is_being_told_of_the_ring(bench: Bench) -> None:
    pty = bench.plug()
    bench.sink.answers_at_once = bench.line
    bench.start()
    await bench.sink.event(Up)
    pty.say(b"\r\nRING\r\n")
    await bench.sink.until(lambda: OffHook() in bench.sink.events)
    missing = CallerId(None, None, "missing")
    assert bench.sink.events == [Ringing(), missing, OffHook()]


async def test_unplugged_in_a_call_it_comes_back_under_another_name(bench: Bench) -> None:
    pty = await bench.call()
    bench.unplug(pty)
    assert await bench.sink.event(HungUp) == HungUp("device")
    down = await bench.sink.event(Down)
    assert isinstance(down, Down)
    assert "unplugged" in down.reason
    await bench.attempts(3)
    assert bench.sink.events == []
    again = bench.plug()
    assert await bench.sink.event(Up) == Up("V90")
    again.say(b"\r\nRING\r\n")
    await bench.sink.event(Ringing)


async def test_unplugged_while_ringing_the_call_is_over(bench: Bench) -> None:
    pty = bench.plug()
    bench.start()
    await bench.sink.event(Up)
    pty.say(b"\r\nRING\r\n")
    await bench.sink.event(Ringing)
    bench.unplug(pty)
    await bench.sink.event(RingEnded)
    await bench.sink.event(Down)


async def test_a_modem_that_is_not_there_is_reported_and_awaited(bench: Bench) -> None:
    bench.start()
    down = await bench.sink.event(Down)
    assert isinstance(down, Down)
    assert down.reason.startswith(f"There is no modem at {bench.device}.")
    bench.plug()
    await bench.sink.event(Up)
    assert bench.sink.events == []


async def test_a_port_of_another_program_is_left_to_it(bench: Bench) -> None:
    pty = bench.plug()
    other = os.open(pty.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    bench.start()
    down = await bench.sink.event(Down)
    assert isinstance(down, Down)
    assert "in use by another program" in down.reason
    os.close(other)
    await bench.sink.event(Up)


async def test_a_path_that_is_no_port_is_told(bench: Bench) -> None:
    bench.device.write_text("not a port")
    bench.start()
    down = await bench.sink.event(Down)
    assert isinstance(down, Down)
    assert "cannot be used as a serial port" in down.reason
    assert bench.device.read_text() == "not a port"


async def test_garbage_on_an_idle_line_does_no_harm(bench: Bench) -> None:
    pty = bench.plug()
    bench.start()
    await bench.sink.event(Up)
    noise = bytes((i * i * 7 + i) % 251 for i in range(3000))
    pty.say(noise + b"\x10~\r\n\x00\xff\r\n\r\nRING\r\n")
    await bench.sink.until(lambda: bool(bench.sink.events))
    assert bench.sink.events[0] == Ringing()


async def test_taken_down_in_a_call_it_hangs_up_and_frees_the_port(bench: Bench) -> None:
    pty = await bench.call()
    await bench.stop()
    assert "ATH0" in pty.commands
    assert bench.sink.events[-1] == HungUp("local")
    other = os.open(pty.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


async def test_taken_down_while_it_waits_for_a_modem_it_ends(bench: Bench) -> None:
    bench.start()
    await bench.sink.event(Down)
    await bench.stop()
    assert bench.task is not None
    assert bench.task.cancelled()


async def test_a_port_that_takes_nothing_more_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modem, "_MAX_UNSENT", 100)
    pty = await bench.call()
    asyncio.get_running_loop().remove_reader(pty.master)
    for _ in range(400):
        pty.say(b"\x80" * 160)
        wanted = len(bench.sink.audio) + 320
        await bench.sink.until(
            lambda wanted=wanted: (
                len(bench.sink.audio) >= wanted  # type: ignore[misc]
                or Down in map(type, bench.sink.events)
            )
        )
        bench.line.write(b"\x00\x00" * 160)
        if Down in map(type, bench.sink.events):
            break
    assert await bench.sink.event(HungUp) == HungUp("device")
    down = await bench.sink.event(Down)
    assert isinstance(down, Down)
    assert "takes no more data" in down.reason


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "needs a device"),
        ({"device": "ttyACM0"}, "needs a device"),
        ({"device": "/dev/x", "profile": "nokia"}, "no modem profile 'nokia'"),
        ({"device": "/dev/x", "cid_wait_s": "soon"}, "cid_wait_s"),
        ({"device": "/dev/x", "cid_wait_s": "nan"}, "cid_wait_s"),
        ({"device": "/dev/x", "cid_wait_s": "-1"}, "cid_wait_s"),
    ],
)
def test_wrong_options_are_told(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ModemLine("front", "us", options)


def test_a_pseudo_terminal_has_no_usb_id() -> None:
    master, slave = os.openpty()
    try:
        assert usb_id(os.ttyname(slave)) == ""
        assert usb_id("/nowhere/at/all") == ""
    finally:
        os.close(master)
        os.close(slave)
