"""Audio straight between the UDP socket and the engine, past aiortc's media stack.

aiortc's own way costs about 5 CPU seconds per leg and minute: it moves each packet through two
queues, a task, an encoder thread and a decoder thread, and its jitter buffer keeps 210 ms of
delay for the rest of a call after one lost packet (aiortc issue 543). Here a packet is
decrypted where the socket hands it over and goes to the engine at once; a frame to the page is
encrypted and sent inside `write`. STUN and DTLS still go aiortc's way.

While a tick calls `receive`, the socket of the chosen path is off the event loop as well, and
read by the tick: nothing wakes up for a packet. `rest` and `close` put it back, and where the
loop is of another kind it stays.

This stands on private names of aiortc, aioice and asyncio; `contract.py` lists and checks them.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import time
from typing import Any, Final

import pylibsrtp
from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters

from appliance.browser.audio import TakeAudio, TakeKey
from appliance.browser.codec import G711, Codec, Frame, Opus
from appliance.browser.contract import drainable
from appliance.browser.offer import Offer
from appliance.browser.port import PeerQuality
from appliance.browser.rtp import Heard, Incoming, Keys, Outgoing

# Chromium asks for consent every 2.5 s, Firefox every 5 s. After this long without a packet we
# ask ourselves, each second, so that a healthy page is heard well before it counts as lost.
_PROBE_AFTER_S: Final = 2.0
_REPORT_S: Final = 2.0
# What may wait in front of a socket that takes no more; live audio that is late is worthless.
_UNSENT_MAX: Final = 4096
# Packets that one call of `receive` takes: a second's worth after a stall. A flood of more waits.
_ROUNDS: Final = 64
_DATAGRAM_MAX: Final = 2048
# More frames than this at once are what gathered while the host or the network stood still. To
# play them would delay everything after them, so only the newest go on.
_BACKLOG_MAX: Final = 5
_BACKLOG_KEPT: Final = 2


class _Intake(asyncio.DatagramProtocol):
    """Stands before aioice's protocol on one socket and takes SRTP and SRTCP away from it."""

    def __init__(self, behind: Any, owner: Takeover) -> None:
        self._behind = behind
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if len(data) > 12 and 128 <= data[0] < 192:  # RFC 7983: RTP and RTCP
            self._owner.srtp_received(data)
        else:
            self._owner.other_received(addr)
            self._behind.datagram_received(data, addr)

    def connection_lost(self, exc: Exception | None) -> None:
        self._behind.connection_lost(exc)

    def error_received(self, exc: Exception) -> None:
        self._behind.error_received(exc)


class _Socket:
    """The socket of one path, off the event loop: `drain` reads it, `send` writes it."""

    def __init__(self, protocol: Any) -> None:
        """Raises TypeError if the loop or the socket is not of the kind it stands on."""
        transport = protocol.transport
        loop: Any = asyncio.get_running_loop()
        if not drainable(loop, transport):
            raise TypeError("the sockets of this event loop cannot be taken off it")
        self.protocol = protocol
        self._transport: Any = transport
        self._loop = loop
        self._socket: socket.socket = transport._sock
        self._loop._remove_reader(transport._sock_fd)

    def drain(self) -> None:
        """Hand over what has arrived, the usual way of the transport's protocol."""
        transport = self._transport
        if transport.is_closing():
            return
        received = transport.get_protocol().datagram_received
        receive = self._socket.recvfrom
        try:
            for _ in range(_ROUNDS):
                data, address = receive(_DATAGRAM_MAX)
                received(data, address)
                if transport.is_closing():
                    return
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # ICMP says that the page's port is closed: ICE's own checks notice.
            transport.get_protocol().error_received(error)

    def send(self, data: bytes, address: tuple[Any, ...]) -> None:
        """Send now or never."""
        if not self._transport.is_closing():
            try:
                self._socket.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._transport.get_protocol().error_received(error)

    def release(self) -> None:
        """Back to the event loop."""
        if not self._transport.is_closing():
            self._loop._add_reader(self._transport._sock_fd, self._transport._read_ready)


class Takeover:
    """The fast way. Adds its transceiver to `connection`; everything else waits for `connected`."""

    events = True
    opus = True
    silence_s = 5.0

    def __init__(
        self, connection: RTCPeerConnection, offer: Offer, audio: TakeAudio, key: TakeKey
    ) -> None:
        transceiver: RTCRtpTransceiver = connection.addTransceiver("audio")
        self._transceiver = transceiver
        # aiortc starts these when the handshake is done. What they start is what we replace: an
        # encoder task, a decoder thread, reports about a stream they do not see.
        setattr(transceiver.sender, "send", self._start_sender)  # noqa: B010
        setattr(transceiver.receiver, "receive", self._start_receiver)  # noqa: B010
        self._audio = audio
        self._key = key
        self._payload_type = offer.payload_type
        self._codec: Codec = Opus() if offer.opus else G711(offer.payload_type)
        self._event_payload = offer.event_payload
        self._sends = offer.page_receives
        self._cname = ""
        self._incoming = Incoming(self._codec.rate)
        self._outgoing = Outgoing(
            transceiver.sender._ssrc,
            offer.payload_type,
            secrets.randbits(15),  # RFC 3711 section 3.3.1: far from the first wrap
            secrets.randbits(32),
            self._codec.rate,
        )
        self._far = Heard(0.0, 0, 0.0, None)
        self._round_trip_ms: float | None = None
        self._keys = Keys()
        self._rx: pylibsrtp.Session | None = None
        self._tx: pylibsrtp.Session | None = None
        self._ice: Any = None
        self._socket: _Socket | None = None
        self._batch: list[Frame] | None = None
        """Audio of the `receive` that is going on."""
        self._stays = False
        """The sockets cannot be taken off this loop."""
        self._heard_at = 0.0
        self._report_at = 0.0

    async def _start_sender(self, parameters: RTCRtpSendParameters) -> None:
        self._cname = parameters.rtcp.cname or ""

    async def _start_receiver(self, parameters: RTCRtpReceiveParameters) -> None:
        """Nothing to start: the packets come by the sockets."""

    def connected(self) -> None:
        dtls = self._transceiver.sender.transport
        self._rx, self._tx = dtls._rx_srtp, dtls._tx_srtp
        self._ice = dtls.transport._connection
        self._heard_at = self._report_at = time.monotonic()
        for protocol in self._ice._protocols:
            protocol.transport.set_protocol(_Intake(protocol, self))

    # --- from the page ----------------------------------------------------------------------

    def srtp_received(self, data: bytes) -> None:
        if self._rx is None:
            return
        now = time.monotonic()
        try:
            if 192 <= data[1] <= 223:  # RFC 5761 section 4
                self._rtcp_received(self._rx.unprotect_rtcp(data), now)
                self._heard_at = now
                return
            packet = self._incoming.take(self._rx.unprotect(data), now)
        except (pylibsrtp.Error, ValueError):
            return  # not encrypted by this page, or repeated, or longer than a packet can be
        self._heard_at = now
        if packet is None:
            return
        payload_type, sequence, timestamp, payload = packet
        if payload_type == self._payload_type:
            frames = self._codec.decode(sequence, timestamp, payload)
            if self._batch is not None:
                self._batch += frames
            else:
                for frame in frames:
                    self._audio(*frame)
        elif payload_type == self._event_payload:
            digit = self._keys.take(timestamp, payload)
            if digit is not None:
                self._key(digit)

    def _rtcp_received(self, compound: bytes, now: float) -> None:
        self._incoming.take_rtcp(compound, now)
        heard = self._outgoing.heard(compound, now)
        if heard is not None:
            self._far = heard
            if heard.round_trip_ms is not None:
                self._round_trip_ms = heard.round_trip_ms
            self._codec.expect_loss(heard.lost_share)

    def receive(self) -> None:
        path = self._socket
        if path is None or path.protocol is not self._path():
            path = self._take_socket()
        if path is None:
            return
        batch: list[Frame] = []
        self._batch = batch
        try:
            path.drain()
        finally:
            self._batch = None
        if len(batch) > _BACKLOG_MAX:
            del batch[:-_BACKLOG_KEPT]
        for frame in batch:
            self._audio(*frame)

    def rest(self) -> None:
        path, self._socket = self._socket, None
        if path is not None:
            path.release()

    def _path(self) -> Any:
        """aioice's protocol on the path that ICE has chosen, if it has."""
        pair = None if self._ice is None else self._ice._nominated.get(1)
        return None if pair is None else pair.protocol

    def _take_socket(self) -> _Socket | None:
        self.rest()
        protocol = self._path()
        if protocol is not None and self._rx is not None and not self._stays:
            try:
                self._socket = _Socket(protocol)
            except TypeError:
                self._stays = True
        return self._socket

    def quality(self) -> PeerQuality:
        return PeerQuality(
            packets=self._incoming.received,
            lost=self._incoming.lost,
            jitter_ms=self._incoming.jitter_ms,
            round_trip_ms=self._round_trip_ms,
            far_packets=self._outgoing.packets,
            far_lost=self._far.lost,
            far_jitter_ms=self._far.jitter_ms,
        )

    def other_received(self, addr: tuple[Any, ...]) -> None:
        pair = self._ice._nominated.get(1)
        if pair is not None and addr[:2] == pair.remote_addr:
            self._heard_at = time.monotonic()

    async def heard_at(self, now: float) -> float:
        if self._ice is not None:
            if now - self._heard_at >= _PROBE_AFTER_S:
                self._probe()
            if now >= self._report_at:
                self._report_at = now + _REPORT_S * (0.5 + random.random())  # RFC 3550 6.3.1
                self._report(now)
        return self._heard_at

    # --- to the page ------------------------------------------------------------------------

    def write(self, payload: bytes) -> None:
        if self._tx is None or not self._sends:
            return
        packet = self._outgoing.packet(self._codec.encode(payload), time.monotonic())
        self._send(self._tx.protect(packet))

    def _report(self, now: float) -> None:
        if self._tx is not None:
            block = self._incoming.report(now)
            compound = self._outgoing.report(block, self._cname, now, time.time())
            self._send(self._tx.protect_rtcp(compound))

    def _probe(self) -> None:
        """Ask whether the page is there (a consent check, RFC 7675). The reply is noticed as a
        packet of the page; it needs no transaction of ours."""
        pair = self._ice._nominated.get(1)
        if pair is not None:
            request = self._ice.build_request(pair, nominate=False)
            request.add_message_integrity(self._ice.remote_password.encode())
            pair.protocol.send_stun(request, pair.remote_addr)

    def _send(self, data: bytes) -> None:
        pair = self._ice._nominated.get(1)
        if pair is None:
            return
        path = self._socket
        if path is not None and path.protocol is pair.protocol:
            path.send(data, pair.remote_addr)
        else:
            transport = pair.protocol.transport
            if transport.get_write_buffer_size() < _UNSENT_MAX:
                transport.sendto(data, pair.remote_addr)

    async def close(self) -> None:
        self.rest()
        self._rx = self._tx = None
