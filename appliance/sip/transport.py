"""Sockets of the SIP door: one for UDP, a listener and connections for TCP. No decisions here."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Final, Literal, cast

from appliance.sip.framing import PONG, Framing, FramingError

_log = logging.getLogger("centrala.sip")

# Linux values that the socket module of Python 3.11 does not name for IPv4.
_IP_PKTINFO: Final = 8
_BATCH: Final = 64
"""Datagrams read in one go, so that a flood leaves the loop time for others."""
_RECEIVE_BUFFER: Final = 1 << 20
_WRITE_LIMIT: Final = 1 << 20
"""Bytes that a TCP peer may leave unread before its connection is cut."""

Address = tuple[str, int]
OnDatagram = Callable[[str, Address, bytes], None]


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def route_to(host: str) -> str:
    """Our address on the way to a peer, by the routing table."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if ":" in host else "127.0.0.1"


class UdpPort:
    """The UDP socket. It tells by which of our addresses a datagram came, and answers from the
    same one, also when it listens on all of them."""

    def __init__(self, host: str, port: int, on_datagram: OnDatagram) -> None:
        """Raises OSError when the port cannot be had."""
        self._on_datagram = on_datagram
        self._v6 = ":" in host
        self._any = host in ("0.0.0.0", "::")
        self._host = host
        self._socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        try:
            if self._v6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def send(self, local_host: str, to: Address, data: bytes) -> None:
        """Send or lose: what the network does not take now, retransmission repairs."""
        ancillary = [self._from(local_host)] if self._any else []
        try:
            self._socket.sendmsg([data], ancillary, 0, to)
        except OSError as error:
            _log.debug("could not send to %s: %s", to, error)

    def _from(self, local_host: str) -> tuple[int, int, bytes]:
        address = socket.inet_pton(family_of(local_host), local_host)
        if self._v6:
            return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("16sI", address, 0)
        return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("I4s4s", 0, address, bytes(4))

    def _readable(self) -> None:
        for _ in range(_BATCH):
            try:
                data, ancillary, _, source = self._socket.recvmsg(65535, 128)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # An ICMP error of something that we sent; nothing was read.
                _log.debug("UDP: %s", error)
                continue
            self._on_datagram(self._local(ancillary), (source[0], source[1]), data)

    def _local(self, ancillary: list[tuple[int, int, bytes]]) -> str:
        if not self._any:
            return self._host
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                return socket.inet_ntop(socket.AF_INET, value[8:12])
            if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                return socket.inet_ntop(socket.AF_INET6, value[:16])
        return self._host


class TcpConnection(asyncio.Protocol):
    """One connection. `number` tells it from all others of this endpoint."""

    def __init__(
        self,
        number: int,
        on_message: Callable[[TcpConnection, bytes], None],
        on_open: Callable[[TcpConnection], bool],
        on_close: Callable[[TcpConnection], None],
        transport: Literal["tcp", "tls"] = "tcp",
    ) -> None:
        self.number = number
        self.transport: Literal["tcp", "tls"] = transport
        self.peer: Address = ("", 0)
        self.local_host = ""
        self.messages = 0
        self.active_at = 0.0
        """Loop time of the last whole message or keep-alive."""
        self._on_message = on_message
        self._on_open = on_open
        self._on_close = on_close
        self._framing = Framing()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def unfinished(self) -> bool:
        return bool(self._framing)

    def send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > _WRITE_LIMIT:
            _log.warning("%s:%d does not read; its connection is cut", *self.peer)
            transport.abort()
            return
        transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self.peer = (peer[0], peer[1])
        self.local_host = (transport.get_extra_info("sockname") or ("",))[0]
        self.active_at = self._loop.time()
        if not self._on_open(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framing.feed(data)
        except FramingError as error:
            _log.info("%s:%d: %s; its connection is cut", *self.peer, error)
            self.close()
            return
        if messages or self._framing.pongs:
            self.active_at = self._loop.time()
        if self._framing.pongs:
            self._framing.pongs = 0
            self.send(PONG)
        for message in messages:
            self.messages += 1
            self._on_message(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_close(self)
