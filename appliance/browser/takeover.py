"""Audio straight between the UDP socket and the engine, past aiortc's media stack.

aiortc's own way costs about 5 CPU seconds per leg and minute: it moves each packet through two
queues, a task, an encoder thread and a decoder thread, and its jitter buffer keeps 210 ms of
delay for the rest of a call after one lost packet (aiortc issue 543). Here a packet is
decrypted where the socket hands it over and goes to the engine at once; a frame to the page is
encrypted and sent inside `write`. STUN and DTLS still go aiortc's way.

This stands on private names of aiortc and aioice; `contract.py` lists and checks every one.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters

from appliance.browser.audio import TakeAudio, TakeKey, is_frame
from appliance.browser.offer import Offer
from appliance.browser.port import FarEnd
from appliance.browser.rtp import CLOCK_RATE, MULAW_TO_ALAW, PCMA, Incoming, Keys, Outgoing, Told

# Chromium asks for consent every 2.5 s, Firefox every 5 s. After this long without a packet we
# ask ourselves, each second, so that a healthy page is heard well before it counts as lost.
_PROBE_AFTER_S = 2.0
_REPORT_S = 2.0
# What may wait in front of a socket that takes no more; live audio that is late is worthless.
_UNSENT_MAX = 4096


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


class Takeover:
    """The fast way. Adds its transceiver to `connection`; everything else waits for `connected`."""

    events = True
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
        self._event_payload = offer.event_payload
        self._sends = offer.page_receives
        self._cname = ""
        self._incoming = Incoming()
        self._outgoing = Outgoing(
            transceiver.sender._ssrc,
            offer.payload_type,
            secrets.randbits(15),  # RFC 3711 section 3.3.1: far from the first wrap
            secrets.randbits(32),
        )
        self._told = Told(transceiver.sender._ssrc)
        self._keys = Keys()
        self._rx: pylibsrtp.Session | None = None
        self._tx: pylibsrtp.Session | None = None
        self._ice: Any = None
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
                compound = self._rx.unprotect_rtcp(data)
                self._incoming.take_rtcp(compound, now)
                self._told.take(compound, now)
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
            if is_frame(payload):
                self._audio(payload_type, sequence, timestamp, payload)
        elif payload_type == self._event_payload:
            digit = self._keys.take(timestamp, payload)
            if digit is not None:
                self._key(digit)

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
        if self._payload_type == PCMA:
            payload = payload.translate(MULAW_TO_ALAW)
        self._send(self._tx.protect(self._outgoing.packet(payload, time.monotonic())))

    def _report(self, now: float) -> None:
        if self._tx is not None:
            block = self._incoming.report(now)
            compound = self._outgoing.report(block, self._cname, now, time.time())
            self._told.reported(compound, now)
            self._send(self._tx.protect_rtcp(compound))

    def far_end(self) -> FarEnd | None:
        told, sent = self._told, self._outgoing.packets
        if told.lost is None or not sent:
            return FarEnd(sent)
        trip = told.round_trip_s
        return FarEnd(
            sent,
            min(1.0, max(0, told.lost) / sent),
            told.jitter * 1000 / CLOCK_RATE,
            None if trip is None else 1000 * trip,
        )

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
        if pair is not None:
            transport = pair.protocol.transport
            if transport.get_write_buffer_size() < _UNSENT_MAX:
                transport.sendto(data, pair.remote_addr)

    async def close(self) -> None:
        self._rx = self._tx = None
