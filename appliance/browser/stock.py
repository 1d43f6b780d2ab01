"""Audio through aiortc's public tracks: the fall-back when `contract.py` finds a changed aiortc.

It works with any aiortc that keeps its documented interface, but costs about ten times the CPU,
adds 60 ms of delay and more after a loss, and carries neither telephone events, which pages send
over their socket anyway, nor Opus.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from appliance.browser.audio import TakeAudio, TakeKey
from appliance.browser.companding import MULAW_TO_ALAW, PCMA, PCMU, mulaw_of_samples
from appliance.browser.offer import Offer
from appliance.browser.port import PeerQuality

_RATE = 8000
_FRAME = 160

# Frames that wait for aiortc's task; when it falls behind, the oldest are worth the least.
_WAITING_MAX = 5


class _Written(MediaStreamTrack):
    """The frames given to `write`, for aiortc's sender; already encoded."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[bytes] = deque(maxlen=_WAITING_MAX)
        self._any = asyncio.Event()
        self._pts = 0

    def put(self, payload: bytes) -> None:
        self._frames.append(payload)
        self._any.set()

    async def recv(self) -> av.Packet[Any]:
        while not self._frames:
            self._any.clear()
            await self._any.wait()
        packet: av.Packet[Any] = av.Packet(self._frames.popleft())
        packet.pts = self._pts
        packet.time_base = Fraction(1, _RATE)
        self._pts += _FRAME
        return packet


class Stock:
    """The slow way."""

    events = False
    opus = False
    # Only media and reports are counted here, no consent checks: a page on hold sends a report
    # every 5 s or so.
    silence_s = 15.0

    def __init__(
        self, connection: RTCPeerConnection, offer: Offer, audio: TakeAudio, key: TakeKey
    ) -> None:
        self._connection = connection
        self._audio = audio
        self._alaw = offer.payload_type == PCMA
        self._track = _Written()
        self._reader: asyncio.Task[None] | None = None
        self._received = -1
        self._quality = PeerQuality()
        self._heard_at = 0.0
        connection.addTrack(self._track)

        def on_track(track: MediaStreamTrack) -> None:
            self._reader = asyncio.ensure_future(self._read(track))

        connection.on("track", on_track)

    def connected(self) -> None:
        """aiortc starts its own tasks."""

    async def _read(self, track: MediaStreamTrack) -> None:
        table = mulaw_of_samples()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            samples = frame.to_ndarray().reshape(-1).view(np.uint16)
            timestamp = frame.pts or 0
            sequence = timestamp // _FRAME & 0xFFFF
            self._audio(PCMU, sequence, timestamp & 0xFFFFFFFF, table[samples].tobytes())

    async def heard_at(self, now: float) -> float:
        quality = self._quality
        for figures in (await self._connection.getStats()).values():
            if figures.type == "transport" and figures.packetsReceived != self._received:
                self._received = figures.packetsReceived
                self._heard_at = now
            elif figures.type == "inbound-rtp":
                quality = replace(
                    quality,
                    packets=figures.packetsReceived,
                    lost=max(figures.packetsLost, 0),
                    jitter_ms=figures.jitter * 1000 / _RATE,
                )
            elif figures.type == "outbound-rtp":
                quality = replace(quality, far_packets=figures.packetsSent)
            elif figures.type == "remote-inbound-rtp":
                quality = replace(
                    quality,
                    far_lost=max(figures.packetsLost, 0),
                    far_jitter_ms=figures.jitter * 1000 / _RATE,
                    round_trip_ms=figures.roundTripTime * 1000,
                )
        self._quality = quality
        return self._heard_at

    def receive(self) -> None:
        """aiortc's tasks receive."""

    def rest(self) -> None:
        """They always do."""

    def quality(self) -> PeerQuality:
        return self._quality

    def write(self, payload: bytes) -> None:
        self._track.put(payload.translate(MULAW_TO_ALAW) if self._alaw else payload)

    async def close(self) -> None:
        self._track.stop()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
