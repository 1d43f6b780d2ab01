"""A page played by aiortc: the other end of a `BrowserPeer` without a browser."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from appliance.browser.peer import offer_loopback


class Microphone(MediaStreamTrack):
    """20 ms frames of G.711, paced; frame n carries the octets `pattern(n)`."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.talking = asyncio.Event()
        self.talking.set()
        self._start: float | None = None

    @staticmethod
    def pattern(n: int) -> bytes:
        return bytes((n * 7 + k) & 0xFF for k in range(160))

    async def recv(self) -> av.Packet[Any]:
        await self.talking.wait()
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self.sent * 0.02 - now))
        packet: av.Packet[Any] = av.Packet(self.pattern(self.sent))
        packet.pts = self.sent * 160
        packet.time_base = Fraction(1, 8000)
        self.sent += 1
        return packet


class Page:
    """Offers one audio section; what it hears is kept as 16-bit samples."""

    def __init__(self, codec: str = "PCMU") -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.heard: list[bytes] = []
        self._reader: asyncio.Task[None] | None = None
        self.connection.addTrack(self.microphone)
        self.connection.getTransceivers()[0].setCodecPreferences(
            [RTCRtpCodecCapability(mimeType=f"audio/{codec}", clockRate=8000, channels=1)]
        )
        offer_loopback(self.connection)
        self.connection.on("track", self._listen)

    def _listen(self, track: MediaStreamTrack) -> None:
        self._reader = asyncio.ensure_future(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            self.heard.append(frame.to_ndarray().tobytes())

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def answered(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def unplug(self) -> None:
        """As if the network cable were out: nothing comes in and nothing goes out."""
        for protocol in self._sockets():
            protocol.transport.set_protocol(asyncio.DatagramProtocol())
            protocol.transport.sendto = lambda data, addr=None: None

    def plug(self) -> None:
        for protocol in self._sockets():
            protocol.transport.set_protocol(protocol)
            del protocol.transport.sendto

    def _sockets(self) -> list[Any]:
        transport = self.connection.getTransceivers()[0].sender.transport.transport
        protocols: list[Any] = transport._connection._protocols
        return protocols

    async def close(self) -> None:
        await self.connection.close()
        if self._reader is not None:
            self._reader.cancel()
