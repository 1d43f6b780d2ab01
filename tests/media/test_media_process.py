"""The media process over real UDP sockets, with lines and pages in memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance import ipc
from appliance.lines.line import CallerId, DeviceKey, Down, HungUp, OffHook, RingEnded, Ringing
from appliance.media import dtmf, g711, rtcp, rtp, tones
from appliance.media import protocol as p
from appliance.media.client import MediaClient
from appliance.media.wav import pcm_wav, repair
from tests.media.endpoint import HOST, Box, RtpEndpoint, level_dbm0, media_box, sine
from tests.peers import program

Ports = Callable[[], int]


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with media_box(tmp_path, lines={"1": {}}) as made:
        yield made


def voice(hz: float, dbm0: float = -12) -> g711.Bytes:
    return g711.ulaw_encode(sine(hz, dbm0, 8000))


def wav(folder: Path, name: str, hz: float, ms: int, dbm0: float = -15) -> str:
    path = folder / f"{name}.wav"
    path.write_bytes(pcm_wav(sine(hz, dbm0, ms * 8)))
    return str(path)


def pcm_frames(samples: g711.Samples) -> list[bytes]:
    """Of 20 ms each, as a line's driver hands them over; what is short of one is left out."""
    whole = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return [frame.astype("<i2").tobytes() for frame in whole]


async def until(check: Callable[[], bool], timeout: float = 15.0) -> None:
    async with asyncio.timeout(timeout):
        while not check():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def hear(end: RtpEndpoint, frames: int) -> g711.Samples:
    """So many frames, from now on."""
    end.heard()
    await until(lambda: end.collect() is None and len(end.packets) >= frames)
    return end.heard()


def best_level(audio: g711.Samples, hz: float, piece: int = 800) -> float:
    """Level in the steadiest 100 ms: a stall of the test machine is no fault of the sound."""
    starts = range(0, len(audio) - piece + 1, 160)
    return max(level_dbm0(audio[start : start + piece], hz) for start in starts)


# --- phones ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), [(0, 0), (8, 0), (8, 8)])
async def test_bridged_phones_hear_each_other_at_the_right_level(
    box: Box, free_port: Ports, left: int, right: int
) -> None:
    a = box.phone(1, free_port(), voice(500, -10), left)
    b = box.phone(2, free_port(), voice(1000, -20), right)
    box.send(p.Bridge(7, 1, 2))
    assert await box.wait(p.BridgeLive) == p.BridgeLive(7)
    heard_by_a, heard_by_b = await hear(a, 60), await hear(b, 60)
    assert best_level(heard_by_a, 1000) == pytest.approx(-20, abs=0.5)
    assert best_level(heard_by_b, 500) == pytest.approx(-10, abs=0.5)


async def test_three_phones_in_a_room_hear_the_other_two(box: Box, free_port: Ports) -> None:
    ends = [box.phone(n, free_port(), voice(400 + 300 * n, -15)) for n in (1, 2, 3)]
    box.send(p.Room(4, tuple(p.Member(n) for n in (1, 2, 3))))
    for number, end in enumerate(ends, 1):
        await until(lambda end=end: len(end.packets) > 30 and end.collect() is None)
        heard = await hear(end, 20)
        for other in (1, 2, 3):
            level = best_level(heard, 400 + 300 * other)
            assert level < -40 if other == number else level == pytest.approx(-15, abs=0.5)


async def test_the_stream_is_well_formed(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port())
    await until(lambda: a.collect() is None and len(a.packets) > 60)
    packets = a.packets
    assert packets[0].marker
    assert {len(packet.payload) for packet in packets} == {160}
    assert len({packet.ssrc for packet in packets}) == 1
    steps = {(y.sequence - x.sequence) & 0xFFFF for x, y in itertools.pairwise(packets)}
    assert steps == {1}
    times = [(y.timestamp - x.timestamp) & 0xFFFFFFFF for x, y in itertools.pairwise(packets)]
    assert min(times) == 160
    assert all(step % 160 == 0 for step in times)


async def test_a_prompt_is_heard_and_ends(box: Box, free_port: Ports, tmp_path: Path) -> None:
    a = box.phone(1, free_port())
    await hear(a, 3)
    first, second = wav(tmp_path, "one", 700, 400), wav(tmp_path, "two", 1500, 400)
    box.send(p.Play(1, 5, (first, second)))
    assert await box.wait(p.PlayEnded) == p.PlayEnded(1, 5, "done")
    heard = a.heard()
    assert best_level(heard, 700) == pytest.approx(-15, abs=0.5)
    assert best_level(heard, 1500) == pytest.approx(-15, abs=0.5)


@pytest.mark.parametrize(
    "content", [None, b"", b"RIFF no wav at all", pcm_wav(sine(1, 0, 9), 44100)]
)
async def test_what_cannot_be_played_fails(
    box: Box, free_port: Ports, tmp_path: Path, content: bytes | None
) -> None:
    box.phone(1, free_port())
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    box.send(p.Play(1, 5, (str(path),)))
    assert await box.wait(p.PlayEnded) == p.PlayEnded(1, 5, "failed")


async def test_replacing_a_prompt_ends_the_first(
    box: Box, free_port: Ports, tmp_path: Path
) -> None:
    box.phone(1, free_port())
    long, short = wav(tmp_path, "long", 700, 20_000), wav(tmp_path, "short", 900, 100)
    box.send(p.Play(1, 1, (long,)), p.Play(1, 2, (short,)), p.Play(1, 3, (long,)))
    assert await box.wait(p.PlayEnded) == p.PlayEnded(1, 1, "stopped")
    assert await box.wait(p.PlayEnded) == p.PlayEnded(1, 2, "stopped")
    box.send(p.CloseLeg(1))
    assert await box.wait(p.PlayEnded) == p.PlayEnded(1, 3, "stopped")


async def test_music_loops(box: Box, free_port: Ports, tmp_path: Path) -> None:
    a = box.phone(1, free_port())
    box.send(p.Music(1, wav(tmp_path, "music", 600, 200)))
    await until(lambda: best_level(a.heard()[-1600:], 600) > -16 if len(a.packets) > 9 else False)
    assert best_level(await hear(a, 40), 600) == pytest.approx(-15, abs=0.5)
    box.send(p.Music(1, None))
    await hear(a, 5)
    assert best_level(await hear(a, 10), 600) < -40


async def test_key_events_are_reported_once(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port())
    box.send(p.Listen(1, True))
    await hear(a, 10)
    for code in (1, 1, 11):
        a.press(code, 101)
    keys = [await box.wait(p.Key) for _ in range(3)]
    assert keys == [p.Key(1, digit, "rfc4733") for digit in "11#"]
    await hear(a, 20)
    assert box.of(p.Key) == []


async def test_keys_in_the_audio_are_reported_once(box: Box, free_port: Ports) -> None:
    quiet = np.full(4000, 0xFF, np.uint8)
    audio = np.concatenate((quiet, dtmf.key_sequence("0258"), np.resize(quiet, 80_000)))
    a = box.phone(1, free_port(), audio, event=None)
    box.send(p.Listen(1, True))
    keys = [await box.wait(p.Key) for _ in range(4)]
    assert keys == [p.Key(1, digit, "inband") for digit in "0258"]
    await hear(a, 20)
    assert box.of(p.Key) == []


async def test_keys_are_sent_as_events_where_agreed(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port())
    await hear(a, 3)
    box.send(p.SendKeys(1, "4#"))
    receiver, heard = rtp.EventReceiver(), ""
    async with asyncio.timeout(10):
        while len(heard) < 2:
            await asyncio.sleep(0.05)
            a.collect()
            packets, a.packets = a.packets, []
            for packet in packets:
                if packet.payload_type == 101:
                    heard += receiver.packet(packet.timestamp, packet.payload) or ""
    assert heard == "4#"


async def test_how_loud_a_phone_speaks_is_reported_to_who_asks(box: Box, free_port: Ports) -> None:
    box.phone(1, free_port(), voice(500))
    box.send(p.Listen(1, keys=False, level=True))
    await box.wait(p.LegLevel)
    report = await box.wait(p.LegLevel)
    assert report.leg == 1
    assert report.level_dbm0 == pytest.approx(-12, abs=0.5)
    assert report.gain_db == 0


async def test_a_held_leg_is_silent_both_ways_and_comes_back(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port(), voice(500))
    b = box.phone(2, free_port(), voice(1000))
    box.send(p.Bridge(7, 1, 2))
    await box.wait(p.BridgeLive)
    box.send(p.AimRtp(1, HOST, a.port, 0, send=False, receive=False))
    await hear(b, 10)
    assert best_level(await hear(b, 10), 500) < -40
    a.heard()
    await hear(b, 10)
    assert len(a.heard()) == 0
    box.send(p.AimRtp(1, HOST, a.port, 0))
    assert best_level(await hear(a, 20), 1000) == pytest.approx(-12, abs=0.5)
    assert best_level(await hear(b, 20), 500) == pytest.approx(-12, abs=0.5)


async def test_strangers_are_not_heard(box: Box, free_port: Ports) -> None:
    port = free_port()
    a = box.phone(1, port)
    b = box.phone(2, free_port())
    box.send(p.Bridge(7, 1, 2), p.Listen(1, True))
    await box.wait(p.BridgeLive)
    stranger = RtpEndpoint(voice(2000, -3))
    stranger.remote = (HOST, port)
    box.endpoints.append(stranger)
    box.spawn(stranger.run())
    for _ in range(200):
        stranger.sock.sendto(os.urandom(172), stranger.remote)
    stranger.press(9, 101)
    assert best_level(await hear(b, 40), 2000) < -40
    assert box.of(p.Key) == []
    assert len(stranger.heard()) == 0
    a.press(3, 101)
    assert await box.wait(p.Key) == p.Key(1, "3", "rfc4733")


async def test_garbage_from_the_right_address_harms_nothing(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port(), voice(500))
    b = box.phone(2, free_port())
    box.send(p.Bridge(7, 1, 2))
    await box.wait(p.BridgeLive)
    for size in (0, 1, 11, 12, 13, 172, 1400):
        a.sock.sendto(os.urandom(size), a.remote)
    assert best_level(await hear(b, 40), 500) == pytest.approx(-12, abs=0.5)


async def test_a_phone_behind_nat_is_answered_where_it_sends_from(
    box: Box, free_port: Ports
) -> None:
    port = free_port()
    real = RtpEndpoint(voice(500))
    real.remote = (HOST, port)
    box.endpoints.append(real)
    # Signalled is a port of the same host where nobody is.
    box.send(p.OpenRtp(1, HOST, port), p.AimRtp(1, HOST, free_port(), 0))
    box.spawn(real.run())
    box.send(p.PlayTone(1, "dial"))
    assert best_level(await hear(real, 20), 425) == pytest.approx(-13, abs=0.5)


async def test_a_taken_port_fails_the_leg_with_a_sentence(box: Box, free_port: Ports) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port))
        box.send(p.OpenRtp(1, HOST, port))
        failed = await box.wait(p.LegFailed)
    assert failed.leg == 1
    assert str(port) in failed.reason


async def test_rtcp_reports_come_with_what_was_received(
    box: Box, free_port: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.rtcp.INTERVAL_S", 1.0)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        port = free_port()
        sock.bind((HOST, port))
        control.bind((HOST, port + 1))
        sock.setblocking(False)
        control.setblocking(False)
        end = RtpEndpoint()
        end.sock.close()
        end.sock, end.port = sock, port
        end.remote = (HOST, free_port())
        box.send(p.OpenRtp(1, *end.remote), p.AimRtp(1, HOST, port, 0))
        box.spawn(end.run())
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            report = None
            while report is None or not report.blocks:
                report = rtcp.parse(await loop.sock_recv(control, 2048))
    assert report.ntp_middle is not None
    assert report.blocks[0].ssrc == end.ssrc


async def test_silence_of_a_phone_is_reported(box: Box, free_port: Ports) -> None:
    a = box.phone(1, free_port())
    await hear(a, 5)
    a.paused = True
    quiet = await box.wait(p.LegQuiet)
    assert quiet.leg == 1
    assert 5000 <= quiet.quiet_ms < 6000


async def test_no_ticks_without_legs_and_figures_all_the_same(
    box: Box, free_port: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.process.IDLE_STATS_S", 1.0)
    box.phone(1, free_port())
    stats = await box.wait(lambda e: isinstance(e, p.MediaStats) and e.legs == 1)
    assert stats.tick_work_ms_p99 > 0
    assert stats.free_bytes > 0
    box.send(p.CloseLeg(1))
    stats = await box.wait(lambda e: isinstance(e, p.MediaStats) and e.legs == 0)
    before = box.process._engine.now
    await asyncio.sleep(0.2)
    assert box.process._engine.now == before


async def test_something_is_said_each_second_without_calls(box: Box) -> None:
    await box.wait(p.Alive)
    await box.wait(p.Alive)


async def test_calls_whose_ticks_never_end_are_not_called_alive(
    box: Box, free_port: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.process.STATS_S", 0.2)
    box.phone(1, free_port())
    await box.wait(lambda e: isinstance(e, p.MediaStats) and e.legs == 1)
    monkeypatch.setattr(box.process._engine, "tick", lambda: 1 / 0)
    said = 0
    # What ended before the tick broke may be told once.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                await box.wait(lambda e: isinstance(e, p.MediaStats | p.Alive))
                said += 1
    assert said <= 1


# --- recordings -----------------------------------------------------------------------------


def both_sides(path: Path) -> tuple[g711.Samples, g711.Samples]:
    """Left and right as sox reads them."""
    sides = []
    for channel in ("1", "2"):
        raw = subprocess.run(
            [program("sox"), str(path), "-t", "raw", "-e", "signed", "-b", "16", "-", "remix",
             channel],
            capture_output=True,
            check=True,
        ).stdout  # fmt: skip
        sides.append(np.frombuffer(raw, "<i2"))
    return sides[0], sides[1]


async def test_a_recording_holds_what_each_side_said(
    box: Box, free_port: Ports, tmp_path: Path
) -> None:
    a = box.phone(1, free_port(), voice(500, -10))
    box.phone(2, free_port(), voice(1000, -20), 8)
    box.send(p.Bridge(7, 1, 2))
    await box.wait(p.BridgeLive)
    path = tmp_path / "calls" / "r.wav"
    box.send(p.StartRecording("r", str(path), 1, 2))
    await hear(a, 60)
    box.send(p.StopRecording("r"))
    closed = await box.wait(p.RecordingClosed)
    assert closed.reason == "done"
    left, right = both_sides(path)
    assert len(left) / 8 == closed.duration_ms
    assert closed.duration_ms >= 900
    assert best_level(left, 500) == pytest.approx(-10, abs=0.5)
    assert best_level(right, 1000) == pytest.approx(-20, abs=0.5)
    assert level_dbm0(left, 1000) < -40
    assert level_dbm0(right, 500) < -45


async def test_a_full_disk_closes_recordings_and_calls_go_on(
    tmp_path: Path, free_port: Ports
) -> None:
    async with media_box(tmp_path) as box:
        a = box.phone(1, free_port(), voice(500))
        b = box.phone(2, free_port())
        box.send(p.Bridge(7, 1, 2), p.StartRecording("r", str(tmp_path / "r.wav"), 1, 2))
        await box.wait(p.BridgeLive)
        await hear(a, 10)
        box.process._recorder.reserve_bytes = 1 << 60
        assert (await box.wait(p.RecordingClosed)).reason == "disk_full"
        await box.wait(lambda e: isinstance(e, p.MediaStats) and not e.recording_allowed)
        box.send(p.StartRecording("s", str(tmp_path / "s.wav"), 1, 2))
        assert await box.wait(p.RecordingClosed) == p.RecordingClosed("s", 0, "disk_full")
        assert best_level(await hear(b, 20), 500) == pytest.approx(-12, abs=0.5)
        repair(tmp_path / "r.wav")
        box.process._recorder.reserve_bytes = 1024
        await box.wait(lambda e: isinstance(e, p.MediaStats) and e.recording_allowed)


@pytest.mark.faults
async def test_a_killed_process_leaves_a_playable_recording(
    tmp_path: Path, free_port: Ports
) -> None:
    path, sock = tmp_path / "r.wav", tmp_path / "m.sock"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.media", str(sock), str(tmp_path)
    )
    box = Box()
    try:
        await box.client.connect(sock, patience=20)
        box.spawn(box.listen())
        box.send(p.Setup((), "de", 1024))
        await box.wait(p.MediaReady)
        a = box.phone(1, free_port(), voice(500, -10))
        box.send(p.StartRecording("r", str(path), 1, None))
        await until(lambda: path.exists() and path.stat().st_size > 40_000, 30)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        a.paused = True
        left, right = both_sides(path)
        assert len(left) >= 16_000
        assert best_level(left, 500) == pytest.approx(-10, abs=0.5)
        assert np.abs(right).max() < 10
        assert repair(path) == len(left) / 8
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        await box.close()


# --- lines ----------------------------------------------------------------------------------


async def test_what_a_line_says_is_passed_on(box: Box) -> None:
    await box.wait(p.LineUp)
    line = box.lines["1"]
    for event, message in (
        (Ringing(), p.LineRinging("1")),
        (CallerId("555", "Ann"), p.LineCallerId("1", "555", "Ann")),
        (CallerId(None, reason="private"), p.LineCallerId("1", None, None, "private")),
        (RingEnded(), p.LineRingEnded("1")),
        (OffHook(False), p.LineOffHook("1", False)),
        (HungUp("dle"), p.LineHungUp("1", "dle")),
        (Down("unplugged"), p.LineDown("1", "unplugged")),
    ):
        line.say(event)
        assert await box.wait(type(message)) == message


async def test_a_line_and_a_phone_hear_each_other(box: Box, free_port: Ports) -> None:
    await box.wait(p.LineUp)
    line = box.lines["1"]
    a = box.phone(2, free_port(), voice(500))
    box.send(p.OpenLine(1, "1", agc=False), p.AnswerLine("1"), p.Bridge(7, 1, 2))
    await box.wait(p.LineOffHook)
    box.speak_each_tick(line.speak, itertools.cycle(pcm_frames(sine(1000, -20, 8000))))
    await box.wait(p.BridgeLive)
    assert best_level(await hear(a, 80), 1000) == pytest.approx(-20, abs=0.7)
    await until(lambda: len(line.written) > 60)
    heard = np.frombuffer(b"".join(line.written[-50:]), "<i2")
    assert best_level(heard, 500) == pytest.approx(-12, abs=0.5)


async def test_lines_are_evened_out_and_phones_only_when_asked(box: Box, free_port: Ports) -> None:
    await box.wait(p.LineUp)
    phone = box.phone(2, free_port(), voice(500))
    legs = box.process._engine.legs
    box.send(p.OpenLine(1, "1"))
    await until(lambda: 1 in legs and legs[1].wants.agc)
    assert not legs[2].wants.agc
    box.send(p.AimRtp(2, HOST, phone.port, 0, agc=True), p.OpenLine(1, "1", agc=False))
    await until(lambda: legs[2].wants.agc and not legs[1].wants.agc)


async def test_busy_tone_hangs_a_line_up(box: Box) -> None:
    await box.wait(p.LineUp)
    line = box.lines["1"]
    box.send(p.OpenLine(1, "1"), p.AnswerLine("1"))
    await box.wait(p.LineOffHook)
    busy = g711.ulaw_decode(tones.make_tone(tones.plan_for("de"), "busy"))
    box.speak_each_tick(line.speak, itertools.cycle(pcm_frames(busy)))
    assert await box.wait(p.LineHungUp) == p.LineHungUp("1", "tone")
    assert line.calls == ["answer", "hangup"]
    # The driver's own report of the same hang-up is not a second one.
    await asyncio.sleep(0.1)
    assert box.of(p.LineHungUp) == []


async def test_dialling_and_hanging_up_reach_the_driver(box: Box) -> None:
    await box.wait(p.LineUp)
    box.send(p.DialLine("1", "5551234"), p.HangUpLine("1"), p.AnswerLine("none"))
    assert await box.wait(p.LineOffHook) == p.LineOffHook("1", False)
    assert await box.wait(p.LineHungUp) == p.LineHungUp("1", "local")
    assert box.lines["1"].calls == ["dial 5551234", "hangup"]


async def test_a_devices_own_keys_replace_our_detector(tmp_path: Path) -> None:
    lines = {"1": {"device_keys": "yes", "sends_keys": "yes"}}
    async with media_box(tmp_path, lines=lines) as box:
        await box.wait(p.LineUp)
        line = box.lines["1"]
        box.send(p.OpenLine(1, "1"), p.Listen(1, True), p.AnswerLine("1"))
        await box.wait(p.LineOffHook)
        line.say(DeviceKey("5"))
        keys = pcm_frames(g711.ulaw_decode(dtmf.key_sequence("9")))
        box.speak_each_tick(line.speak, keys)
        said = box.process._engine.now + len(keys)
        await until(lambda: box.process._engine.now >= said)
        box.send(p.SendKeys(1, "77"))
        await until(lambda: "keys 77" in line.calls)
        assert box.of(p.Key) == [p.Key(1, "5", "device")]


async def test_a_line_that_cannot_send_keys_gets_them_as_tones(box: Box) -> None:
    await box.wait(p.LineUp)
    line = box.lines["1"]
    box.send(p.OpenLine(1, "1"), p.AnswerLine("1"), p.SendKeys(1, "5"))
    await until(lambda: len(line.written) > 12)
    audio = np.frombuffer(b"".join(line.written), "<i2").astype(float)
    assert best_level(audio, 770, 640) == pytest.approx(-9, abs=0.5)


async def test_a_line_that_goes_down_fails_its_leg(box: Box) -> None:
    await box.wait(p.LineUp)
    box.send(p.OpenLine(1, "1"), p.OpenLine(2, "nowhere"))
    assert (await box.wait(p.LegFailed)).leg == 2
    box.lines["1"].say(Down("unplugged"))
    assert await box.wait(p.LineDown) == p.LineDown("1", "unplugged")
    assert await box.wait(p.LegFailed) == p.LegFailed(1, "unplugged")


async def test_a_driver_that_does_not_exist_is_a_line_that_is_down(tmp_path: Path) -> None:
    async with media_box(tmp_path) as box:
        box.send(p.Setup((p.LineSetup("x", "carrier pigeon", "de", {}),), "de"))
        down = await box.wait(p.LineDown)
    assert down.line == "x"
    assert "carrier pigeon" in down.reason


async def test_a_new_setup_runs_exactly_its_lines(box: Box) -> None:
    await box.wait(p.LineUp)
    kept = box.lines["1"]
    one, two = (p.LineSetup(name, "memory", "de", {}) for name in "12")
    box.send(p.Setup((one, two), "de"))
    await box.wait(p.MediaReady)
    ups = {(await box.wait(p.LineUp)).line, (await box.wait(p.LineUp)).line}
    assert ups == {"1", "2"}
    assert box.lines["1"] is kept
    box.send(p.Setup((two,), "de"))
    await box.wait(p.MediaReady)
    await until(lambda: kept.ended)
    assert not box.lines["2"].ended


# --- pages ----------------------------------------------------------------------------------


async def page(box: Box, name: str = "ann", leg: int = 1) -> Any:
    box.send(p.OfferPeer(name, 1, "offer"))
    assert await box.wait(p.PeerAnswer) == p.PeerAnswer(name, 1, "answer to offer")
    peer = box.peers[-1]
    peer.sink.peer_state(name, "connected")
    await box.wait(p.PeerState)
    box.send(p.OpenPeer(leg, name))
    return peer


async def test_a_page_hears_and_is_heard(box: Box, free_port: Ports) -> None:
    peer = await page(box)
    a = box.phone(2, free_port(), voice(500))
    box.send(p.Bridge(7, 1, 2))
    frames = [frame.tobytes() for frame in voice(1000).reshape(-1, 160)]
    box.speak_each_tick(peer.speak, itertools.cycle(frames))
    await box.wait(p.BridgeLive)
    assert best_level(await hear(a, 80), 1000) == pytest.approx(-12, abs=0.7)
    heard = g711.ulaw_decode(np.frombuffer(b"".join(peer.written[-50:]), np.uint8))
    assert best_level(heard, 500) == pytest.approx(-12, abs=0.5)


async def test_a_page_is_asked_by_the_tick_while_it_has_a_leg(box: Box, free_port: Ports) -> None:
    peer = await page(box)
    await until(lambda: peer.asked >= 5)
    box.phone(2, free_port())  # the beat goes on
    box.send(p.CloseLeg(1))
    await until(lambda: peer.asked == 0)
    ticks = box.process._engine.now
    await until(lambda: box.process._engine.now >= ticks + 5)
    assert peer.asked == 0


async def test_an_offer_that_cannot_be_answered_is_refused(box: Box) -> None:
    box.send(p.OfferPeer("ann", 4, "bad"), p.OpenPeer(1, "nobody"))
    assert (await box.wait(p.LegFailed)).leg == 1
    answer = await box.wait(p.PeerAnswer)
    assert answer == p.PeerAnswer("ann", 4, None, "This offer has no audio.")


async def test_a_pages_keys_and_end_are_reported(box: Box) -> None:
    peer = await page(box)
    box.send(p.Listen(1, True))
    await until(lambda: any(leg.listen_keys for leg in box.process._engine.legs.values()))
    peer.sink.peer_key("ann", "8")
    assert await box.wait(p.Key) == p.Key(1, "8", "page")
    peer.sink.peer_state("ann", "closed")
    assert await box.wait(p.PeerState) == p.PeerState("ann", "closed")
    assert (await box.wait(p.LegFailed)).leg == 1


async def test_a_page_that_comes_back_keeps_its_leg(box: Box) -> None:
    old = await page(box)
    box.send(p.OfferPeer("ann", 2, "again"))
    assert (await box.wait(p.PeerAnswer)).sdp == "answer to again"
    new = box.peers[-1]
    await until(lambda: old.closed)
    new.sink.peer_state("ann", "connected")
    old.sink.peer_state("ann", "closed")
    box.send(p.PlayTone(1, "dial"))
    await until(lambda: any(set(frame) != {0xFF} for frame in new.written))
    assert box.of(p.LegFailed) == []
    box.send(p.ClosePeer("ann"))
    assert (await box.wait(p.LegFailed)).leg == 1
    await until(lambda: new.closed)


# --- the control process --------------------------------------------------------------------


async def test_calls_outlive_the_control_process_for_a_while(
    tmp_path: Path, free_port: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.process.ORPHAN_S", 1.0)
    async with media_box(tmp_path) as box:
        a = box.phone(1, free_port())
        path = tmp_path / "r.wav"
        box.send(p.PlayTone(1, "dial"), p.StartRecording("r", str(path), 1, None))
        await hear(a, 5)
        box.client.close()
        assert best_level(await hear(a, 15), 425) == pytest.approx(-13, abs=0.5)
        await until(lambda: not box.process._engine.legs)
        await until(lambda: not box.process._recording)
        assert repair(path) > 200


async def test_a_new_control_process_starts_with_nothing_left_over(
    tmp_path: Path, free_port: Ports
) -> None:
    async with media_box(tmp_path) as box:
        box.phone(1, free_port())
        await box.wait(lambda e: isinstance(e, p.MediaStats) and e.legs == 1)
        second = MediaClient()
        await second.connect(tmp_path / "media.sock")
        second.send(p.Setup((), "us"))
        events = second.events()
        first = await anext(events)
        assert first == p.MediaReady(os.getpid())
        assert box.process._engine.legs == {}
        assert not box.client.connected or await _ends(box.client)
        second.close()


async def _ends(client: MediaClient) -> bool:
    await until(lambda: not client.connected)
    return True


async def test_a_command_that_is_none_ends_only_its_connection(box: Box, tmp_path: Path) -> None:
    rude = await ipc.connect(tmp_path / "media.sock", p.Event)
    rude.post({"type": "Format", "disk": "all"})
    async for _ in rude.messages():
        pass
    again = MediaClient()
    await again.connect(tmp_path / "media.sock")
    again.send(p.Setup((), "de"))
    assert isinstance(await anext(again.events()), p.MediaReady)
    again.close()
