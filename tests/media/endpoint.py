"""The other ends of media in tests: an RTP endpoint on a real socket, a line and a page."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from appliance.browser.port import PeerQuality, PeerRefused, PeerSink
from appliance.lines.line import Caps, HungUp, LineEvent, LineSink, OffHook, Up
from appliance.media import g711, protocol, rtp
from appliance.media.client import MediaClient
from appliance.media.doors import LineFactory
from appliance.media.process import MediaProcess

HOST = "127.0.0.1"


def sine(hz: float, dbm0: float, samples: int) -> g711.Samples:
    time = np.arange(samples) / 8000
    wave = 2**0.5 * g711.dbm0_to_rms(dbm0) * np.sin(2 * np.pi * hz * time)
    return wave.round().astype(np.int16)


def level_dbm0(samples: np.ndarray, hz: float) -> float:
    """Level of one frequency in the samples."""
    time = np.arange(len(samples)) / 8000
    window = np.hanning(len(samples))
    part = abs(np.sum(samples * window * np.exp(-2j * np.pi * hz * time))) * 2 / window.sum()
    return float(20 * np.log10(max(part, 1e-3) / 2**0.5 / g711.RMS_0DBM0))


class RtpEndpoint:
    """A phone: sends a loop of audio each 20 ms and keeps what it hears."""

    def __init__(self, audio: g711.Bytes | None = None, payload_type: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self.payload_type = payload_type
        self.audio = audio if audio is not None else np.full(160, 0xFF, np.uint8)
        self.sequence, self.timestamp, self.ssrc = 65500, 1 << 31, 0xABCD
        self.at = 0
        self.packets: list[rtp.Packet] = []
        self.remote: tuple[str, int] = (HOST, 9)
        self.paused = False

    def send_frame(self) -> None:
        index = (self.at + np.arange(160)) % len(self.audio)
        self.at += 160
        payload = self.audio[index].tobytes()
        if self.payload_type == 8:
            payload = payload.translate(g711.ULAW_TO_ALAW_BYTES)
        self.send(self.payload_type, payload, self.timestamp)
        self.timestamp += 160

    def send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool = False) -> None:
        data = rtp.build(payload_type, self.sequence, timestamp, self.ssrc, payload, marker)
        self.sequence += 1
        self.sock.sendto(data, self.remote)

    def press(self, code: int, event_type: int) -> None:
        """A whole RFC 4733 key press with its retransmitted end."""
        for duration in (160, 320, 480):
            payload = bytes((code, 10)) + duration.to_bytes(2, "big")
            self.send(event_type, payload, self.timestamp, duration == 160)
        for _ in range(3):
            self.send(event_type, bytes((code, 0x8A)) + (640).to_bytes(2, "big"), self.timestamp)
        self.timestamp += 640

    def collect(self) -> None:
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            packet = rtp.parse(data)
            if packet is not None:
                self.packets.append(packet)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            self.collect()
            if not self.paused:
                self.send_frame()
            at += 0.02
            await asyncio.sleep(max(0.0, at - loop.time()))

    def heard(self) -> g711.Samples:
        """Everything heard since the last call, in order of arrival."""
        self.collect()
        packets, self.packets = self.packets, []
        decode = g711.ALAW_DECODE if self.payload_type == 8 else g711.ULAW_DECODE
        data = b"".join(p.payload for p in packets if p.payload_type == self.payload_type)
        return decode[np.frombuffer(data, np.uint8)]

    def close(self) -> None:
        self.sock.close()


class MemoryLine:
    """A line driver whose device is the test."""

    def __init__(self, name: str, *, device_keys: bool = False, sends_keys: bool = False) -> None:
        self.id = name
        self.caps = Caps("full", device_keys, True)
        self.sends_keys = sends_keys
        self.sink: LineSink | None = None
        self.written: list[bytes] = []
        self.calls: list[str] = []
        self.ended = False

    async def run(self, sink: LineSink) -> None:
        self.sink = sink
        sink.line_event(self.id, Up("test line"))
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True

    def say(self, event: LineEvent) -> None:
        assert self.sink is not None
        self.sink.line_event(self.id, event)

    def speak(self, pcm: bytes) -> None:
        assert self.sink is not None
        self.sink.line_audio(self.id, pcm)

    def answer(self) -> None:
        self.calls.append("answer")
        self.say(OffHook())

    def dial(self, number: str) -> None:
        self.calls.append(f"dial {number}")
        self.say(OffHook(sure=False))

    def hangup(self) -> None:
        self.calls.append("hangup")
        self.say(HungUp("local"))

    def send_keys(self, digits: str) -> bool:
        self.calls.append(f"keys {digits}")
        return self.sends_keys

    def write(self, pcm: bytes) -> None:
        self.written.append(pcm)


class MemoryPeer:
    """A browser peer whose page is the test."""

    def __init__(self, name: str, sink: PeerSink) -> None:
        self.name = name
        self.sink = sink
        self.written: list[bytes] = []
        self.closed = False
        self.asked = 0
        """Ticks that asked for audio since the last rest."""
        self.sequence = 0

    async def accept(self, offer_sdp: str) -> str:
        if offer_sdp == "bad":
            raise PeerRefused("This offer has no audio.")
        return "answer to " + offer_sdp

    def receive(self) -> None:
        """What the test says is heard at once, whoever asks."""
        self.asked += 1

    def rest(self) -> None:
        self.asked = 0

    def quality(self) -> PeerQuality:
        return PeerQuality(far_packets=len(self.written), far_jitter_ms=1.5, round_trip_ms=12.0)

    def write(self, payload: bytes) -> None:
        self.written.append(payload)

    def speak(self, payload: bytes) -> None:
        self.sequence += 1
        self.sink.peer_audio(self.name, 0, self.sequence, self.sequence * 160, payload)

    async def close(self) -> None:
        self.closed = True


class Box:
    """A media process on this loop, its client, and the events it has said."""

    def __init__(self) -> None:
        self.lines: dict[str, MemoryLine] = {}
        self.peers: list[MemoryPeer] = []
        self.events: list[Any] = []
        self.client = MediaClient()
        self.endpoints: list[RtpEndpoint] = []
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.process: MediaProcess

    def make_line(self, driver: str) -> LineFactory:
        if driver != "memory":
            raise ValueError(f"There is no line driver '{driver}'.")

        def make(name: str, country: str, options: dict[str, str]) -> MemoryLine:
            line = MemoryLine(
                name,
                device_keys=options.get("device_keys") == "yes",
                sends_keys=options.get("sends_keys") == "yes",
            )
            self.lines[name] = line
            return line

        return make

    def make_peer(self, name: str, sink: PeerSink) -> MemoryPeer:
        peer = MemoryPeer(name, sink)
        self.peers.append(peer)
        return peer

    async def listen(self) -> None:
        async for event in self.client.events():
            self.events.append(event)
            self._news.set()

    async def wait(self, wanted: Callable[[Any], bool] | type, timeout: float = 15.0) -> Any:
        """The first event that fits; it is taken out of the list."""
        fits = (lambda e: isinstance(e, wanted)) if isinstance(wanted, type) else wanted
        async with asyncio.timeout(timeout):
            while True:
                for event in self.events:
                    if fits(event):
                        self.events.remove(event)
                        return event
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def send(self, *commands: Any) -> None:
        for command in commands:
            self.client.send(command)

    def speak_each_tick(self, speak: Callable[[bytes], None], frames: Iterable[bytes]) -> None:
        """A frame in each tick of the engine, just before it reads: the sound keeps the engine's
        time, however late the machine is."""
        engine, rest = self.process._engine, iter(frames)
        tick = engine.tick

        def with_frame() -> None:
            if (frame := next(rest, None)) is not None:
                speak(frame)
            tick()

        engine.tick = with_frame  # type: ignore[method-assign]

    def spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def phone(
        self,
        leg: int,
        port: int,
        audio: g711.Bytes | None = None,
        payload_type: int = 0,
        event: int | None = 101,
    ) -> RtpEndpoint:
        """A phone on an open and aimed leg, sending."""
        end = RtpEndpoint(audio, payload_type)
        end.remote = (HOST, port)
        self.endpoints.append(end)
        self.send(
            protocol.OpenRtp(leg, HOST, port),
            protocol.AimRtp(leg, HOST, end.port, payload_type, event, event),
        )
        self.spawn(end.run())
        return end

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self.endpoints:
            end.close()
        self.client.close()


@asynccontextmanager
async def media_box(folder: Path, **setup: Any) -> AsyncIterator[Box]:
    """A media process with memory lines and peers, set up."""
    box = Box()
    box.process = MediaProcess(
        folder / "media.sock", folder, lines=box.make_line, peers=box.make_peer
    )
    running = asyncio.get_running_loop().create_task(box.process.run())
    try:
        await box.client.connect(folder / "media.sock")
        box.spawn(box.listen())
        names = setup.pop("lines", {})
        lines = tuple(
            protocol.LineSetup(name, "memory", "de", options) for name, options in names.items()
        )
        box.send(protocol.Setup(lines, setup.pop("country", "de"), setup.pop("reserve", 1024)))
        await box.wait(protocol.MediaReady)
        yield box
    finally:
        await box.close()
        box.process.stop()
        await running
