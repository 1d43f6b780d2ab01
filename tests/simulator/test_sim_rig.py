"""The simulator in real time: device links, a host on a terminal, unplugging, control socket."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from pathlib import Path

import numpy as np
import pytest

from appliance import ipc
from appliance.simulator import sound
from appliance.simulator.client import ExchangeClient
from appliance.simulator.exchange import LineBusy
from appliance.simulator.practice import PEOPLE, Crowd
from appliance.simulator.rig import ExchangeRig
from appliance.simulator.script import Babble, HangUp, Press, Say, Wait, WaitAgent, WaitSound
from appliance.simulator.serve import serve
from tests.simulator.bench import shield, unshield


class Host:
    """A program with a modem's port open; reads all the time."""

    def __init__(self, device: Path) -> None:
        self.fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.got = bytearray()
        self.gone = False
        self._new = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 4096)
        except BlockingIOError:
            return  # Ready for something that a flush has thrown away since.
        except OSError:
            data = b""
        if not data:
            self.gone = True
            asyncio.get_running_loop().remove_reader(self.fd)
        self.got += data
        self._new.set()

    async def until(self, what: bytes, timeout: float = 5.0) -> None:
        async with asyncio.timeout(timeout):
            while what not in self.got and not (self.gone and what == b""):
                self._new.clear()
                await self._new.wait()

    async def lost(self) -> None:
        async with asyncio.timeout(5):
            while not self.gone:
                self._new.clear()
                await self._new.wait()

    async def ask(self, line: str, answer: bytes = b"OK\r\n") -> None:
        self.got.clear()
        os.write(self.fd, line.encode() + b"\r")
        await self.until(answer)

    def close(self) -> None:
        if not self.gone:
            asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)


async def test_a_call_through_the_device_carries_sound_both_ways(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=2) as rig:
        host = Host(rig.device(2))
        await host.ask("ATE0")
        call = await rig.call(line=2, number="5550123", name="ANA")
        with pytest.raises(LineBusy):
            await rig.call(line=2)
        await host.until(b"RING")
        await host.ask("AT+FCLASS=8;+VSD=0,0;+VLS=1")
        await call.answered()
        await host.ask("AT+VTR", b"CONNECT\r\n")
        host.got.clear()
        os.write(host.fd, shield(sound.encode("u8", sound.chirp(100))))
        await call.say(sound.chirp(200))
        await call.hears_sound(20)
        voice, _ = unshield(bytes(host.got))
        assert sound.encode("u8", sound.chirp(200)) in voice
        heard = call.heard().astype(np.float64)
        match = np.correlate(heard, sound.chirp(100).astype(np.float64), "valid").max()
        assert match > 0.9 * float(np.sum(np.square(sound.chirp(100).astype(np.float64))))
        await call.hangup()
        await host.until(b"\x10b")
        os.write(host.fd, b"\x10^")
        await host.until(b"\x10\x03\r\nOK\r\n")
        assert rig.modem(2).violations == []
        host.close()


async def test_a_host_that_runs_ahead_is_not_read_faster_than_the_line(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        host = Host(rig.device(1))
        await host.ask("AT+FCLASS=8;+VSD=0,0;+VLS=1")
        await host.ask("AT+VTX", b"CONNECT\r\n")
        os.write(host.fd, b"\x90" * 4000)
        started = rig.now
        await rig.until(lambda: rig.modem(1).buffered > 0)
        assert rig.modem(1).buffered <= 1024
        await rig.until(lambda: rig.modem(1).underruns == 1)
        assert 480 <= rig.now - started <= 600
        assert rig.port(1).most_ahead > 1000
        assert rig.modem(1).violations == []
        host.close()


async def test_unplugging_ends_the_call_and_the_device_comes_back_under_its_link(
    tmp_path: Path,
) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        host = Host(rig.device(1))
        call = await rig.call(1)
        await host.until(b"RING")
        await host.ask("AT+FCLASS=8;+VLS=1")
        await call.answered()
        rig.unplug(1)
        await host.lost()
        assert not rig.device(1).exists()
        host.close()
        assert await call.gone() == "busy_tone"
        rig.replug(1)
        again = Host(rig.device(1))
        await again.ask("AT")
        again.close()


async def test_closing_the_port_hangs_up(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        host = Host(rig.device(1))
        call = await rig.call(1)
        await host.until(b"RING")
        await host.ask("AT+FCLASS=8;+VLS=1")
        await call.answered()
        host.close()
        await rig.until(lambda: not rig.modem(1).off_hook)
        again = Host(rig.device(1))
        await again.ask("ATE0")
        assert bytes(again.got).endswith(b"\r\nOK\r\n")
        again.close()


async def test_the_lines_clock_keeps_the_computers_time(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        loop = asyncio.get_running_loop()
        started, line_started = loop.time(), rig.now
        await rig.until(lambda: rig.now - line_started >= 1000)
        assert rig.now - line_started == 1000
        assert loop.time() - started >= 0.85


async def test_a_late_process_catches_up_only_what_a_buffer_holds(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        await rig.until(lambda: rig.now > 0)
        seen: list[int] = []
        rig.on_frame(seen.append)
        blocked = asyncio.Event()

        def block() -> None:
            time.sleep(0.5)
            blocked.set()

        asyncio.get_running_loop().call_soon(block)
        await blocked.wait()
        await rig.until(lambda: rig.slips == 1)
        assert len(seen) <= 8


async def test_callers_are_driven_over_the_control_socket(tmp_path: Path) -> None:
    task = asyncio.create_task(serve(tmp_path, 2, False, "us"))
    try:
        async with ExchangeClient(tmp_path) as exchange:
            host = Host(tmp_path / "line1")
            await host.ask("AT+VCID=1")
            await exchange.until(1, lambda line: line.host_open)
            line = await exchange.call(0, "5550123", "ANA", (WaitSound(), Press("1")))
            assert line == 1
            await exchange.until(1, lambda line: line.state == "ringing")
            await host.until(b"NMBR = 5550123")
            with pytest.raises(ipc.Refused, match="in use"):
                await exchange.call(1)
            await host.ask("AT+FCLASS=8;+VSD=0,0;+VLS=1")
            await exchange.until(1, lambda line: line.answered_ms is not None)
            await host.ask("AT+VTX", b"CONNECT\r\n")
            os.write(host.fd, shield(sound.encode("u8", sound.babble(500))))
            await host.until(b"\x10/\x101")
            await exchange.act(1, Babble(200))
            await exchange.until(1, lambda line: not line.busy)
            await exchange.hang_up(1)
            await exchange.until(1, lambda line: line.ended == "hung_up")
            await exchange.save_heard(1, tmp_path / "call")
            assert len(sound.read_wav(tmp_path / "call.said.wav")) > 0
            with pytest.raises(ipc.Refused, match="nobody"):
                await exchange.press(1, "5")
            with pytest.raises(ipc.Refused, match="no line 9"):
                await exchange.unplug(9)
            await exchange.unplug(1)
            await exchange.until(1, lambda line: line.state == "unplugged")
            await host.lost()
            host.close()
            await exchange.replug(1)
            await exchange.until(1, lambda line: line.state == "idle")
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert not (tmp_path / "exchange.sock").exists()
    assert not (tmp_path / "line1").is_symlink()


async def test_practice_callers_ring_only_where_a_host_listens(tmp_path: Path) -> None:
    task = asyncio.create_task(serve(tmp_path, 2, False, "us"))
    try:
        async with ExchangeClient(tmp_path) as exchange:
            host = Host(tmp_path / "line2")
            await host.ask("AT+VCID=1")
            await exchange.set_practice(True, 1000)
            await host.until(b"RING", 20)
            assert exchange.lines[1].state == "idle"
            host.close()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_speech_is_synthesised_at_speech_level(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path, lines=1) as rig:
        spoken = await rig.speaker.say("Hello, is anybody there?")
        assert len(spoken) > 6000
        assert sound.level_dbm0(spoken) == pytest.approx(-18, abs=0.5)
        assert await rig.speaker.say("Hello, is anybody there?") is spoken


def test_the_same_seed_gives_the_same_visitors() -> None:
    def visits(seed: int) -> list[object]:
        crowd = Crowd(seed)
        return [crowd.tick(now, (1, 2)) for now in range(0, 600_000, 20)]

    assert visits(7) == visits(7)
    assert visits(7) != visits(8)


def test_a_visitor_comes_about_every_half_minute_with_a_whole_story() -> None:
    crowd = Crowd(3)
    visits = [visit for now in range(0, 3_600_000, 20) if (visit := crowd.tick(now, (1, 2)))]
    assert 110 <= len(visits) <= 130
    assert {visit.line for visit in visits} == {1, 2}
    assert {visit.number for visit in visits} == {number for number, _ in PEOPLE}
    kinds = [type(step) for step in visits[0].script]
    assert kinds[:5] == [WaitSound, Wait, Press, Wait, WaitAgent]
    assert kinds[-1] is HangUp
    assert Say in kinds


def test_nobody_calls_while_no_line_is_free() -> None:
    crowd = Crowd(1)
    assert not any(crowd.tick(now, ()) for now in range(0, 120_000, 20))
    assert crowd.tick(120_000, (1,)) is not None
    assert crowd.tick(120_020, (1,)) is None
