"""The RTCP sockets of the RTP legs: port + 1, or the RTP port itself where both sides agreed
(RFC 5761). Reports are a courtesy; a leg works without them.

A report counts when it comes from the host that the leg's RTP comes from; where the first one came
from is where ours go, as phones behind NAT need it, and nobody else is heard from then on. Arrival
times are the kernel's, so that a round trip does not contain our own waiting for the tick; on a
shared port they are the tick's.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from appliance.media import rtcp
from appliance.media.engine import Engine, Leg
from appliance.media.quality import Far

if TYPE_CHECKING:
    from appliance.media.srtp import Srtp

Address = tuple[str, int]

_ROW: Final = 2048
_PACKETS: Final = 4
"""Of one leg that are read at a time."""
_TURNS: Final = 2
_TURN_TICKS: Final = 5
"""Legs are looked at each 200 ms: one poll tells who sent something; whose own report is due is
asked of half of them each 100 ms. So many reports do not make one tick long, and few are not each
made in a tick of its own, where they cost three times as much."""
_SO_TIMESTAMPNS: Final = 35
"""Linux, both architectures; Python does not name it."""
_TIMESPEC = struct.Struct("@ll")
_MAX_WAITED_S: Final = 5.0


class LegRtcp:
    """RTCP of one leg."""

    __slots__ = ("_host", "_mux", "_settled", "_sock", "_to", "leg", "session", "srtp")

    def __init__(self, leg: Leg, ssrc: int, sock: socket.socket | None, cname: str) -> None:
        self.leg = leg
        self.session = rtcp.Session(ssrc, cname, time.monotonic(), time.time(), random.random())
        self._sock = sock
        self._host = ""
        self._to: Address | None = None
        self._settled = False
        self._mux: Callable[[bytes], int] | None = None
        self.srtp: Srtp | None = None

    def aim(
        self, rtp: Address, signalled: Address | None, mux: Callable[[bytes], int] | None
    ) -> None:
        """Where the leg's RTP goes now, where the peer said its RTCP goes (`a=rtcp`), and how to
        send on the RTP port if it is shared."""
        to = signalled or (rtp[0], min(rtp[1] + 1, 65535))
        if (rtp[0], to) != (self._host, self._to) and self._settled and self._sock is not None:
            disconnect(self._sock)
            self._settled = False
        self._host, self._to, self._mux = rtp[0], to, mux

    def take(self, data: bytes, now: float) -> bool:
        if self.srtp is not None:
            data = self.srtp.unprotect_rtcp(data)
        return self.session.take(data, now)

    def send(self, data: bytes) -> None:
        if self.srtp is not None:
            data = self.srtp.protect_rtcp(data)
        with contextlib.suppress(OSError):
            if self._mux is not None:
                self._mux(data)
            elif self._sock is not None and self._to is not None:
                if self._settled:
                    self._sock.send(data)
                else:
                    self._sock.sendto(data, self._to)

    def read(self) -> None:
        if self._sock is None:
            return
        for _ in range(_PACKETS):
            try:
                data, notes, _, source = self._sock.recvmsg(_ROW, 64)
            except OSError:
                return
            if source[0] != self._host:
                continue
            if self.take(data, _arrival(notes)) and not self._settled:
                with contextlib.suppress(OSError):
                    self._sock.connect(source)
                    self._settled = True


class RtcpIO:
    """RTCP of all RTP legs of one media process. `sent` tells what a leg has sent so far."""

    def __init__(self, engine: Engine, sent: Callable[[int], rtcp.Sent]) -> None:
        self._engine = engine
        self._sent = sent
        self._legs: dict[int, LegRtcp] = {}
        self._turns: list[list[LegRtcp]] = [[] for _ in range(_TURNS)]
        self._ready = select.epoll()
        self._readers: dict[int, LegRtcp] = {}
        self._socks: dict[int, socket.socket] = {}

    def open(self, leg: Leg, ssrc: int, host: str, bind: Callable[[], socket.socket]) -> LegRtcp:
        sock: socket.socket | None = None
        with contextlib.suppress(OSError, OverflowError):
            sock = bind()
        opened = LegRtcp(leg, ssrc, sock, f"{ssrc:08x}@{host}")
        self._legs[leg.number] = opened
        self._turns[leg.slot % _TURNS].append(opened)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._readers[sock.fileno()] = opened
            self._socks[leg.number] = sock
            self._ready.register(sock, select.EPOLLIN)
        return opened

    def close(self, number: int) -> None:
        """Say good-bye (RFC 3550 section 6.6) and free the port."""
        leg = self._legs.pop(number, None)
        if leg is None:
            return
        self._turns[leg.leg.slot % _TURNS].remove(leg)
        self._report(leg, time.monotonic(), bye=True)
        sock = self._socks.pop(number, None)
        if sock is not None:
            del self._readers[sock.fileno()]
            self._ready.unregister(sock)
            sock.close()

    def tick(self) -> None:
        """Read and, when due, send reports. Called once a tick; mostly does nothing."""
        if not self._legs:
            return
        turn, left = divmod(self._engine.now % (_TURNS * _TURN_TICKS), _TURN_TICKS)
        if left:
            return
        if not turn:
            for number, _ in self._ready.poll(0, len(self._readers) + 1):
                self._readers[number].read()
        now = time.monotonic()
        for leg in self._turns[turn]:
            if leg.session.due(now):
                self._report(leg, now)

    def far_end(self, number: int) -> Far | None:
        """What a leg's other side says of what it hears."""
        leg = self._legs.get(number)
        if leg is None:
            return None
        session, sent = leg.session, self._sent(number).packets
        trip, block, metrics = session.round_trip_s, session.far, session.metrics
        lost = None
        if block is not None and sent:
            lost = min(1.0, max(0, block.lost) / sent)
        return Far(
            sent,
            lost,
            None if block is None else block.jitter / 8,
            None if trip is None else 1000 * trip,
            session.clock_ppm,
            None if metrics is None else metrics.mos,
            leg.srtp is not None,
        )

    def _report(self, leg: LegRtcp, now: float, bye: bool = False) -> None:
        sent = self._sent(leg.leg.number)
        heard = heard_so_far(self._engine, leg.leg.slot)
        leg.send(leg.session.report(now, sent, heard, random.random(), bye))


def heard_so_far(engine: Engine, slot: int) -> rtcp.Heard | None:
    ring = engine.ring
    if ring.ssrc[slot] < 0:
        return None
    return rtcp.Heard(
        int(ring.ssrc[slot]),
        int(ring.received[slot]),
        ring.lost(slot),
        ring.highest_sequence(slot),
        int(ring.jitter[slot]),
    )


def _arrival(notes: Iterable[tuple[int, int, bytes]]) -> float:
    """When the kernel took the packet in, on the clock that never runs back."""
    now = time.monotonic()
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            waited = time.time() - seconds - nanoseconds / 1e9
            if 0 <= waited < _MAX_WAITED_S:
                return float(now - waited)
    return now


def disconnect(sock: socket.socket) -> None:
    """Undo `connect` (AF_UNSPEC, which Python's `connect` cannot say)."""
    import ctypes

    unspecified = (ctypes.c_char * 16)()
    ctypes.CDLL(None, use_errno=True).connect(sock.fileno(), unspecified, 16)
