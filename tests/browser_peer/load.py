"""What browser legs cost: N peers both ways, the pages in another process.

    python -m tests.browser_peer.load [LEGS] [SECONDS] [--stock] [--opus] [--loop]

Prints CPU seconds per leg and minute of this process, and how far the event loop was ever held
up while the peers connected and while they ran. The pages speak at moments of their own, as real
ones do. `--loop` leaves the sockets on the event loop, as if no tick asked for them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from appliance.browser.offer import Offer
from appliance.browser.peer import BrowserPeer, offer_loopback
from appliance.browser.port import PeerStateName
from appliance.browser.takeover import Takeover

_FRAME = bytes(range(160))
OPUS = 96
"""The payload type that aiortc gives Opus."""


@dataclass(frozen=True, slots=True)
class LegCost:
    """`cpu_s_per_leg_min` of the process with the peers; `sent` and `heard` are shares of the
    frames that arrived at the pages and at the sink; the rest are milliseconds."""

    cpu_s_per_leg_min: float
    sent: float
    heard: float
    accept_first_ms: float
    accept_ms: float
    held_connecting_ms: float
    held_running_ms: float


class _Sink:
    def __init__(self) -> None:
        self.frames = 0
        self.connected: set[str] = set()

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        self.frames += 1

    def peer_key(self, peer: str, digit: str) -> None: ...

    def peer_state(self, peer: str, state: PeerStateName) -> None:
        if state == "connected":
            self.connected.add(peer)


class _Lateness:
    """The longest that a 1 ms timer was kept waiting."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + 0.001
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        self.worst = max(self.worst, now - self._due)
        self._due = now + 0.001
        self._handle = self._loop.call_at(self._due, self._tick)

    def stop(self) -> float:
        self._handle.cancel()
        return self.worst * 1000


async def _paced(seconds: float, tick: Any) -> int:
    start, count = time.monotonic(), 0
    while count * 0.02 < seconds:
        await asyncio.sleep(max(0.0, start + count * 0.02 - time.monotonic()))
        tick()
        count += 1
    return count


async def measure(
    legs: int, seconds: float, *, takeover: bool = True, opus: bool = False, drained: bool = True
) -> LegCost:
    """Connect `legs` peers to pages in a child process and run them for `seconds`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.browser_peer.load", "--pages", str(legs), *["--opus"] * opus),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    sink = _Sink()
    peers = [BrowserPeer(f"p{n}", sink, loopback=True, takeover=takeover) for n in range(legs)]
    accepts = []
    try:
        offers = [json.loads(await child.stdout.readline()) for _ in peers]
        lateness = _Lateness()
        for peer, offer in zip(peers, offers, strict=True):
            start = time.perf_counter()
            answer = await peer.accept(offer)
            accepts.append((time.perf_counter() - start) * 1000)
            child.stdin.write(json.dumps(answer).encode() + b"\n")
            await child.stdin.drain()
            while peer.name not in sink.connected:  # noqa: ASYNC110 (no task of ours)
                await asyncio.sleep(0.01)
        held_connecting = lateness.stop()

        def tick() -> None:
            if drained:
                for peer in peers:
                    peer.receive()
            for peer in peers:
                peer.write(_FRAME)

        await _paced(1.0, tick)
        before = sink.frames
        child.stdin.write(b'"count"\n')
        pages_before = json.loads(await child.stdout.readline())
        cpu = time.process_time()
        frames = await _paced(seconds, tick)
        cpu = time.process_time() - cpu
        heard = sink.frames - before
        child.stdin.write(b'"count"\n')
        pages = json.loads(await child.stdout.readline()) - pages_before
        # apart, because the 1 ms timer costs more than the peers do
        lateness = _Lateness()
        await _paced(2.0, tick)
        held_running = lateness.stop()
    finally:
        for peer in peers:
            await peer.close()
        child.stdin.close()
        await child.wait()
    return LegCost(
        cpu_s_per_leg_min=cpu / legs / seconds * 60,
        sent=pages / frames / legs,
        heard=heard / frames / legs,
        accept_first_ms=accepts[0],
        accept_ms=sorted(accepts)[len(accepts) // 2],
        held_connecting_ms=held_connecting,
        held_running_ms=held_running,
    )


async def _pages(legs: int, opus: bool) -> None:
    """The child: pages with the same fast audio, so that they do not eat the machine."""
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    received = 0
    wanted = Offer(
        *((), 0, True, OPUS if opus else 0, None, "sendrecv", "actpass", "", "", (), ()),
        opus=opus,
    )
    audios: list[Takeover] = []
    connections = []

    def take(*_: Any) -> None:
        nonlocal received
        received += 1

    for _ in range(legs):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        audio = Takeover(connection, wanted, take, take)
        codec = ("audio/opus", 48000, 2) if opus else ("audio/PCMU", 8000, 1)
        connection.getTransceivers()[0].setCodecPreferences([RTCRtpCodecCapability(*codec)])

        def changed(connection: RTCPeerConnection = connection, audio: Takeover = audio) -> None:
            if connection.connectionState == "connected":
                audio.connected()

        connection.on("connectionstatechange", changed)
        offer_loopback(connection)
        await connection.setLocalDescription(await connection.createOffer())
        print(json.dumps(connection.localDescription.sdp), flush=True)
        connections.append(connection)
        audios.append(audio)
    for connection in connections:
        answer = json.loads(await reader.readline())
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def talk(number: int, audio: Takeover) -> None:
        await asyncio.sleep(0.02 * number / legs)
        await _paced(1e9, lambda: audio.write(_FRAME))

    talking = [asyncio.create_task(talk(n, audio)) for n, audio in enumerate(audios)]
    while line := await reader.readline():
        if json.loads(line) == "count":
            print(received, flush=True)
    for task in talking:
        task.cancel()
    for connection in connections:
        await connection.close()


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    if "--pages" in sys.argv:
        asyncio.run(_pages(numbers[0], "--opus" in sys.argv))
        return
    legs, seconds = (numbers + [4, 20][len(numbers) :])[:2]
    takeover, opus = "--stock" not in sys.argv, "--opus" in sys.argv
    drained = "--loop" not in sys.argv
    print(asyncio.run(measure(legs, seconds, takeover=takeover, opus=opus, drained=drained)))


if __name__ == "__main__":
    main()
