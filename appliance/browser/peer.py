"""One browser over WebRTC: signalling, its life, and the audio between page and engine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate

from appliance.browser import offer as sdp
from appliance.browser import opus
from appliance.browser.audio import Audio
from appliance.browser.contract import check
from appliance.browser.port import PeerQuality, PeerRefused, PeerSink, PeerStateName
from appliance.browser.stock import Stock
from appliance.browser.takeover import Takeover

_log = logging.getLogger("centrala.browser")

CONNECT_S = 20.0
"""A page that is not connected this long after its offer never will be."""

_LOOK_S = 1.0

BROKEN = check()
"""Assumptions about the installed aiortc that do not hold; with any, peers use its tracks."""
if BROKEN:
    _log.warning("audio of browsers takes the slow way, aiortc has changed: %s", "; ".join(BROKEN))


def _warm_up() -> None:
    """Have everything loaded now: the first DTLS context of a process takes 30 ms, later ones
    less than 1 ms, and libopus must be found. In the media process the first offer would delay
    everybody's audio."""
    make = getattr(RTCCertificate.generateCertificate(), "_create_ssl_context", None)
    if make is not None:
        make(SRTP_PROFILES)
    opus.available()


_warm_up()


class BrowserPeer:
    """One browser (see `appliance.browser.port.Peer`). Lives on the running loop's thread.

    `loopback` offers 127.0.0.1 besides the machine's other addresses, for a page on the same
    machine. It may stay on in a box: a page elsewhere finds nobody at its own 127.0.0.1 who
    knows this connection's password, and takes another address.
    `takeover` False forces aiortc's own tracks.

    States: `connected` when audio can flow; `lost` when nothing at all was heard of the page for
    5 s (a page that only sends no audio is not lost), `connected` again when it is; `closed`
    after the page said goodbye or stayed away for about 30 s; `failed` instead of `connected`.
    `closed` and `failed` come once and last, and the peer has cleaned up after itself then.
    """

    def __init__(
        self,
        name: str,
        sink: PeerSink,
        *,
        loopback: bool = False,
        takeover: bool = not BROKEN,
    ) -> None:
        self.name = name
        self._sink = sink
        self._loopback = loopback
        self._takeover = takeover
        self._connection: RTCPeerConnection | None = None
        self._audio: Audio | None = None
        self._state: PeerStateName | None = None
        self._closed = False
        self._watch: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def accept(self, offer_sdp: str) -> str:
        if self._closed or self._connection is not None:
            raise PeerRefused("This connection has had its offer; the page must open a new one.")
        way = Takeover if self._takeover else Stock
        offer = sdp.read(offer_sdp, opus=way.opus and opus.available())
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection = connection
        audio: Audio = way(connection, offer, self._take_audio, self._take_key)
        self._audio = audio
        connection.on("connectionstatechange", self._changed)
        if self._loopback:
            offer_loopback(connection)
        answer: str | None = None
        try:
            await connection.setRemoteDescription(
                RTCSessionDescription(sdp.reduced(offer), "offer")
            )
            await connection.setLocalDescription(await connection.createAnswer())
            local = connection.localDescription.sdp
            answer = sdp.answer(offer, local, events=audio.events)
        except Exception as error:
            _log.warning("offer of %s could not be answered: %s", self.name, error)
            raise PeerRefused("The offer of the page cannot be answered.") from error
        finally:
            if answer is None:
                await self.close()
        if self._closed:
            raise PeerRefused("The page went away before it was answered.")
        self._watch = asyncio.create_task(self._look(audio), name=f"peer {self.name}")
        return answer

    def receive(self) -> None:
        if self._audio is not None:
            self._audio.receive()

    def rest(self) -> None:
        if self._audio is not None:
            self._audio.rest()

    def quality(self) -> PeerQuality:
        return PeerQuality() if self._audio is None else self._audio.quality()

    def write(self, payload: bytes) -> None:
        if self._audio is not None:
            self._audio.write(payload)

    async def close(self) -> None:
        """End the connection. The sink hears nothing any more, not even `closed`."""
        self._closed = True
        watch, self._watch = self._watch, None
        if watch is not None and watch is not asyncio.current_task():
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await self._end()

    # --- what happens to it -----------------------------------------------------------------

    async def _end(self) -> None:
        # A task of its own: aiortc cannot finish a close that was cancelled half way.
        if self._ending is None:
            self._ending = asyncio.create_task(self._shut(), name=f"close peer {self.name}")
        await asyncio.shield(self._ending)

    async def _shut(self) -> None:
        audio, self._audio = self._audio, None
        if audio is not None:
            await audio.close()
        if self._connection is not None:
            await self._connection.close()

    def _changed(self) -> None:
        connection, audio = self._connection, self._audio
        if connection is None or audio is None:
            return
        if connection.connectionState == "connected" and self._state is None:
            audio.connected()
            self._tell("connected")
        elif connection.connectionState in ("failed", "closed"):
            self._news.set()

    async def _look(self, audio: Audio) -> None:
        """Once a second, or when aiortc gives up: is the page still there? Ends with the peer."""
        assert self._connection is not None
        deadline = time.monotonic() + CONNECT_S
        while True:
            try:
                await asyncio.wait_for(self._news.wait(), _LOOK_S)
                break
            except TimeoutError:
                pass
            now = time.monotonic()
            if self._state is not None:
                silent = now - await audio.heard_at(now)
                self._tell("lost" if silent > audio.silence_s else "connected")
            elif now > deadline:
                break
        await self._end()
        self._tell("failed" if self._state is None else "closed")

    def _tell(self, state: PeerStateName) -> None:
        if state != self._state and not self._closed:
            self._state = state
            self._sink.peer_state(self.name, state)

    def _take_audio(self, payload_type: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if not self._closed:
            self._sink.peer_audio(self.name, payload_type, sequence, timestamp, payload)

    def _take_key(self, digit: str) -> None:
        if not self._closed:
            self._sink.peer_key(self.name, digit)


def offer_loopback(connection: RTCPeerConnection) -> None:
    """Make a connection, which must have its transceiver, offer 127.0.0.1; aioice leaves it out."""
    try:
        ice: Any = connection.getTransceivers()[0].sender.transport.transport._connection
        gather: Callable[..., Awaitable[Any]] = ice.get_component_candidates
    except AttributeError:
        _log.warning("127.0.0.1 is not offered to pages on this machine, aiortc has changed")
        return

    async def with_loopback(component: int, addresses: list[str], timeout: int = 5) -> Any:
        return await gather(
            component=component, addresses=[*addresses, "127.0.0.1"], timeout=timeout
        )

    ice.get_component_candidates = with_loopback
