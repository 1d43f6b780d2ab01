"""RTP over UDP for the engine: one connected socket per leg, emptied and filled by the tick.

Nothing here waits and nothing wakes up for a packet: each tick asks once which sockets hold
something and reads them, in rounds of one packet a leg, so that the usual packets of all legs are
placed by a few numpy calls, and sends one packet per leg from the rows of one array.

**Whose packets count (symmetric RTP).** A socket is connected, and the kernel drops what strangers
send. It stays unconnected only to find out where a leg really sends from, for `LEARN_TICKS` after
it was aimed at a new address:

- a packet from the signalled address settles it at once;
- RTP of the agreed payload type from another port of the signalled host, or from the host that
  the peer's signalling comes from, settles it there once two packets in a row came, unless the
  signalled address was heard (phones behind NAT, phones with two addresses);
- another host is accepted, after five packets in a row, only when the signalled host is a private
  address outside our own network and the packets come from a public one: then the signalled
  address cannot be reached from here, as happens with a phone that does not know its NAT;
- with nothing heard, the signalled address stands.

Addresses are IPv4.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp
from appliance.media.engine import Engine, Leg
from appliance.media.jitter import FRAME

LEARN_TICKS: Final = 250
_SAME_HOST_PACKETS: Final = 2
_OTHER_HOST_PACKETS: Final = 5
_ROUNDS: Final = 16
"""Packets a leg may hand over in one tick; a flood of more waits in its own socket."""
_ROW: Final = 2048
_ROOM: Final = 640
"""Bytes of a packet that are kept: 60 ms of audio and any header that makes sense."""
_RTCP_TICKS: Final = 250
"""5 s, RFC 3550 section 6.2."""
_EXPEDITED: Final = 0xB8
"""DSCP EF in the type-of-service byte (RFC 3246)."""

Address = tuple[str, int]


class PortTaken(Exception):
    """The leg's port cannot be opened; the text is for people."""


class Latch:
    """Decides from where a leg's packets are taken; see the module's text for the rule."""

    def __init__(
        self, signalled: Address, local_host: str, signalling_host: str | None = None
    ) -> None:
        self.signalled = signalled
        self._hosts = {signalled[0], signalling_host}
        self._anywhere = _unreachable(signalled[0], local_host)
        self._candidate: tuple[Address, int, int] | None = None
        """Where from, SSRC and next sequence number."""
        self._count = 0

    def packet(self, source: Address, packet: rtp.Packet, payload_type: int) -> Address | None:
        """The address that is settled by this packet, or None while it is not."""
        if source == self.signalled:
            return source
        if source[0] in self._hosts:
            needed = _SAME_HOST_PACKETS
        elif self._anywhere and ipaddress.ip_address(source[0]).is_global:
            needed = _OTHER_HOST_PACKETS
        else:
            return None
        if packet.payload_type != payload_type:
            return None
        if self._candidate == (source, packet.ssrc, packet.sequence):
            self._count += 1
        else:
            self._count = 1
        self._candidate = (source, packet.ssrc, (packet.sequence + 1) & 0xFFFF)
        return source if self._count >= needed else None


def _unreachable(signalled: str, local: str) -> bool:
    """Whether the signalled host is a private address of a network that is not ours."""
    try:
        far, near = ipaddress.IPv4Address(signalled), ipaddress.IPv4Address(local)
    except ValueError:
        return False
    if not far.is_private or far.is_loopback:
        return False
    return far not in ipaddress.ip_network(f"{near}/16", strict=False)


class _Port:
    """The sockets of one leg."""

    def __init__(self, leg: Leg, host: str, port: int) -> None:
        self.leg = leg
        self.slot = leg.slot
        self.host = host
        self.rtp = _bind(host, port)
        self.rtcp: socket.socket | None = None
        # Reports are a courtesy: a leg works without them.
        with contextlib.suppress(OSError):
            self.rtcp = _bind(host, port + 1)
        self.remote: Address | None = None
        """Where we send; None before `aim`."""
        self.signalled: Address | None = None
        self.connected = False
        self.latch: Latch | None = None
        self.learn_until = 0
        self.payload_type = g711.PCMU
        self.event_receive: int | None = None
        self.event_send: int | None = None
        self.send = False
        self.receive = False
        self.receiver = rtp.EventReceiver()
        self.sender = rtp.EventSender()
        self.ssrc = random.getrandbits(32)
        self.index = -1
        """Place among those that send, -1 for one that does not."""
        self.packets = 0
        self.octets = 0
        self.sr_middle = 0
        self.sr_at = 0.0
        self.lost_before = 0
        self.expected_before = 0
        self.report: rtp.ReportBlock | None = None
        """What the other side last said about what we send."""

    def settle(self, address: Address) -> None:
        """Send there and hear nobody else from now on."""
        self.remote, self.latch = address, None
        with contextlib.suppress(OSError):
            self.rtp.connect(address)
            self.connected = True
        if self.rtcp is not None:
            with contextlib.suppress(OSError):
                self.rtcp.connect((address[0], min(address[1] + 1, 65535)))

    def close(self) -> None:
        self.rtp.close()
        if self.rtcp is not None:
            self.rtcp.close()


def _bind(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class PacketIO:
    """The RTP legs' sockets. `receive` and `send` are called once a tick each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ports: dict[int, _Port] = {}
        self._learning: list[_Port] = []
        self._sending: list[_Port] = []
        self._pressing: set[_Port] = set()
        """Ports that have keys to send."""
        self._unmarked: set[_Port] = set()
        """Ports whose next packet begins a talk spurt."""
        self._ready = select.epoll()
        self._reports_ready = select.epoll()
        self._readers: dict[int, tuple[_Port, Callable[[memoryview], int]]] = {}
        self._reporters: dict[int, _Port] = {}
        self._packets: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._capacity = 0
        self._grow(64)

    def _grow(self, capacity: int) -> None:
        self._rows = np.zeros((capacity, _ROOM), np.uint8)
        self._row_views = [memoryview(row) for row in self._rows]  # type: ignore[arg-type]
        self._slots = np.zeros(capacity, np.int64)
        self._sizes = np.zeros(capacity, np.int64)
        self._types = np.zeros(capacity, np.int64)
        self._out = np.zeros((capacity, rtp.HEADER_BYTES + FRAME), np.uint8)
        self._out[:, 0] = 0x80
        self._out_views = [memoryview(row) for row in self._out]  # type: ignore[arg-type]
        sequence = np.zeros(capacity, np.int64)
        timestamp = np.zeros(capacity, np.int64)
        if self._capacity:
            sequence[: self._capacity] = self._sequence
            timestamp[: self._capacity] = self._timestamp
        self._sequence: npt.NDArray[np.int64] = sequence
        self._timestamp: npt.NDArray[np.int64] = timestamp
        self._capacity = capacity
        self._plan_sending()

    # --- legs -------------------------------------------------------------------------------

    def open(self, leg: Leg, host: str, port: int) -> None:
        """Open the leg's sockets. Raises `PortTaken`."""
        try:
            opened = _Port(leg, host, port)
        except (OSError, OverflowError) as error:
            raise PortTaken(f"RTP port {port} of {host} cannot be opened: {error}") from None
        if leg.slot >= self._capacity:
            self._grow(max(2 * self._capacity, leg.slot + 1))
        self._ports[leg.number] = opened
        self._sequence[leg.slot] = random.getrandbits(16)
        self._timestamp[leg.slot] = random.getrandbits(32)
        self._unmarked.add(opened)
        if opened.rtcp is not None:
            self._reporters[opened.rtcp.fileno()] = opened
            self._reports_ready.register(opened.rtcp, select.EPOLLIN)
        leg.send_keys = lambda digits: self._press(opened, digits)

    def aim(
        self,
        number: int,
        remote: Address,
        payload_type: int,
        event_send: int | None,
        event_receive: int | None,
        send: bool,
        receive: bool,
        signalling_host: str | None = None,
    ) -> None:
        """Where the leg sends and what it speaks; may come again. Unknown legs do nothing."""
        port = self._ports.get(number)
        if port is None:
            return
        host, to = remote
        try:
            usable = not ipaddress.IPv4Address(host).is_unspecified and 0 < to < 65536
        except ValueError:
            usable = False
        # A held leg may be aimed at 0.0.0.0 (RFC 3264 section 8.4, the old way).
        port.send, port.receive = send and usable, receive and usable
        port.payload_type = g711.PCMA if payload_type == g711.PCMA else g711.PCMU
        port.event_send, port.event_receive = event_send, event_receive
        port.leg.has_events = False
        if usable and remote != port.signalled:
            port.signalled = port.remote = remote
            if port.connected:
                # Another address: this socket has to listen to more than the old one again.
                _disconnect(port.rtp)
                self._unread(port)
                port.connected = False
            _empty(port.rtp)
            port.latch = Latch(remote, port.host, signalling_host)
            port.learn_until = self._engine.now + LEARN_TICKS
        self._engine.expect_audio(number, port.receive)
        self._plan()

    def close(self, number: int) -> None:
        port = self._ports.pop(number, None)
        if port is not None:
            self._unread(port)
            if port.rtcp is not None:
                del self._reporters[port.rtcp.fileno()]
                self._reports_ready.unregister(port.rtcp)
            self._pressing.discard(port)
            self._unmarked.discard(port)
            port.close()
            self._plan()

    def _unread(self, port: _Port) -> None:
        if self._readers.pop(port.rtp.fileno(), None) is not None:
            self._ready.unregister(port.rtp)

    def _press(self, port: _Port, digits: str) -> bool:
        if port.event_send is None or not port.send:
            return False
        port.sender.push(digits)
        self._pressing.add(port)
        return True

    def _plan(self) -> None:
        ports = self._ports.values()
        self._learning = [port for port in ports if port.latch is not None]
        for port in ports:
            number = port.rtp.fileno()
            if port.connected and number not in self._readers:
                self._readers[number] = (port, port.rtp.recv_into)
                self._ready.register(number, select.EPOLLIN)
        self._plan_sending()

    def _plan_sending(self) -> None:
        self._count_sent()
        for port in self._sending:
            port.index = -1
        self._sending = [port for port in self._ports.values() if port.send]
        for index, port in enumerate(self._sending):
            port.index = index
        self._senders = [_sender(port) for port in self._sending]
        self._send_slots = np.array([port.slot for port in self._sending], np.int64)
        types = np.array([port.payload_type for port in self._sending], np.uint8)
        self._send_alaw = np.flatnonzero(types == g711.PCMA)
        self._send_types = types
        ssrc = np.array([port.ssrc for port in self._sending], ">u4")
        self._out[: len(self._sending), 8:12] = ssrc.view(np.uint8).reshape(-1, 4)
        self._packets = np.zeros(len(self._sending), np.int64)

    def _count_sent(self) -> None:
        """Carry over to the ports how many frames of audio were sent."""
        for port, packets in zip(self._sending, self._packets.tolist(), strict=True):
            port.packets += packets
            port.octets += packets * FRAME
        self._packets[:] = 0

    # --- receiving --------------------------------------------------------------------------

    def receive(self) -> None:
        """Put everything that has come into the engine's ring."""
        if self._learning:
            self._learn()
        for _ in range(_ROUNDS):
            if not self._round():
                break
        if self._engine.now % 10 == 0:
            self._reports()

    def _round(self) -> bool:
        """One packet of each port that has any; whether there was one."""
        events = self._ready.poll(0, len(self._readers) + 1)
        got: list[_Port] = []
        views, readers = self._row_views, self._readers
        lengths: list[int] = []
        for number, _ in events:
            port, read = readers[number]
            try:
                lengths.append(read(views[len(got)]))
            except OSError:
                # The other side's "port unreachable": it may still come up.
                continue
            got.append(port)
        count = len(got)
        if not count:
            return bool(events)
        sizes = self._sizes
        sizes[:count] = lengths
        self._slots[:count] = [port.slot for port in got]
        self._types[:count] = [port.payload_type if port.receive else 255 for port in got]
        placed = self._engine.ring.put_batch(
            self._slots[:count], self._rows, self._sizes[:count], self._types[:count]
        )
        if not placed.all():
            for index in np.flatnonzero(~placed):
                packet = rtp.parse(views[index][: sizes[index]])
                if packet is not None:
                    self._take(got[index], packet)
        return True

    def _take(self, port: _Port, packet: rtp.Packet) -> None:
        """Any packet of the right sender that is not simply the next 20 ms."""
        if not port.receive:
            return
        ring = self._engine.ring
        if packet.payload_type in (g711.PCMU, g711.PCMA):
            ring.put(port.slot, packet)
        elif packet.payload_type == port.event_receive:
            ring.saw_other(port.slot)
            digit = port.receiver.packet(packet.timestamp, packet.payload)
            if digit is not None:
                self._engine.key(port.leg, digit, "rfc4733")
        elif packet.payload_type == rtp.COMFORT_NOISE:
            ring.comfort(port.slot, packet)

    def _learn(self) -> None:
        """Ports that do not know yet where their packets come from."""
        settled = False
        for port in self._learning:
            latch = port.latch
            assert latch is not None
            for _ in range(2 * _ROUNDS):
                try:
                    data, source = port.rtp.recvfrom(_ROW)
                except OSError:
                    break
                packet = rtp.parse(data)
                if packet is None or not port.receive:
                    continue
                address = latch.packet(source, packet, port.payload_type)
                if address is not None:
                    port.settle(address)
                    settled = True
                    self._take(port, packet)
                    self._sift(port, address)
                    break
            else:
                continue
            if port.latch is not None and self._engine.now >= port.learn_until:
                port.settle(latch.signalled)
                settled = True
        if settled:
            self._plan()

    def _sift(self, port: _Port, address: Address) -> None:
        """What the kernel had taken in before the socket was connected may be anybody's."""
        for _ in range(8 * _ROUNDS):
            try:
                data, source = port.rtp.recvfrom(_ROW)
            except OSError:
                return
            if source == address:
                packet = rtp.parse(data)
                if packet is not None:
                    self._take(port, packet)

    # --- sending ----------------------------------------------------------------------------

    def send(self) -> None:
        """Send one frame of what each leg hears; timestamps of all legs move on."""
        self._timestamp += FRAME
        sending = self._sending
        if not sending:
            return
        slots, count = self._send_slots, len(sending)
        out = self._out
        payload = self._engine.out[slots]
        if len(self._send_alaw):
            payload[self._send_alaw] = g711.ULAW_TO_ALAW[payload[self._send_alaw]]
        out[:count, rtp.HEADER_BYTES :] = payload
        out[:count, 1] = self._send_types
        out[:count, 2:4] = self._sequence[slots].astype(">u2").view(np.uint8).reshape(-1, 2)
        stamps = (self._timestamp[slots] & 0xFFFFFFFF).astype(">u4")
        out[:count, 4:8] = stamps.view(np.uint8).reshape(-1, 4)
        self._sequence[slots] += 1
        packets = self._packets
        packets += 1
        pressed: list[int] = []
        for port in list(self._pressing):
            if port.index >= 0 and self._send_event(port):
                pressed.append(port.index)
                packets[port.index] -= 1
            elif not port.sender.busy:
                self._pressing.discard(port)
        if self._unmarked:
            for port in self._unmarked:
                if port.index >= 0 and port.index not in pressed:
                    out[port.index, 1] |= 0x80
            self._unmarked = {
                port for port in self._unmarked if port.index < 0 or port.index in pressed
            }
        senders, views = self._senders, self._out_views
        turn: Iterable[int] = range(count)
        if pressed:
            turn = sorted(set(turn).difference(pressed))
            senders, views = [senders[i] for i in turn], [views[i] for i in turn]
        for transmit, view, index in zip(senders, views, turn, strict=False):
            try:
                transmit(view)
            except OSError:
                # Unreachable or no room: this packet is lost, as packets are.
                packets[index] -= 1

    def _send_event(self, port: _Port) -> bool:
        """Key presses take the place of audio; False when none is due now."""
        packets = port.sender.tick(int(self._timestamp[port.slot]))
        if packets is None:
            return False
        # The audio packet that is not sent gives its number back.
        self._sequence[port.slot] -= 1
        for event in packets:
            data = rtp.build(
                port.event_send or 0,
                int(self._sequence[port.slot]),
                event.timestamp,
                port.ssrc,
                event.payload,
                event.marker,
            )
            self._sequence[port.slot] += 1
            with contextlib.suppress(OSError):
                self._senders[port.index](data)
                port.packets += 1
                port.octets += len(event.payload)
        self._unmarked.add(port)
        return True

    def skip(self, ticks: int) -> None:
        """The clock moved on without us."""
        self._timestamp += ticks * FRAME
        self._unmarked.update(self._sending)

    # --- RTCP -------------------------------------------------------------------------------

    def _reports(self) -> None:
        """Read and, when due, send reports; ports take turns."""
        turn, turns = self._engine.now // 10, _RTCP_TICKS // 10
        self._count_sent()
        for port in self._ports.values():
            if (turn + port.slot) % turns == 0 and port.rtcp is not None and port.remote:
                self._send_report(port, port.rtcp)
        for number, _ in self._reports_ready.poll(0, len(self._reporters) + 1):
            port = self._reporters[number]
            if port.rtcp is not None:
                self._read_reports(port, port.rtcp)

    def _read_reports(self, port: _Port, sock: socket.socket) -> None:
        for _ in range(4):
            try:
                data, source = sock.recvfrom(_ROW)
            except OSError:
                return
            report = rtp.parse_rtcp(data)
            if report is None or port.remote is None or source[0] != port.remote[0]:
                continue
            if report.ntp_middle is not None:
                port.sr_middle, port.sr_at = report.ntp_middle, time.monotonic()
            for block in report.blocks:
                if block.ssrc == port.ssrc:
                    port.report = block

    def _send_report(self, port: _Port, sock: socket.socket) -> None:
        assert port.remote is not None
        ring, slot = self._engine.ring, port.slot
        block = None
        if ring.ssrc[slot] >= 0:
            lost, received = ring.lost(slot), int(ring.received[slot])
            expected = lost + received
            new, gone = expected - port.expected_before, lost - port.lost_before
            port.expected_before, port.lost_before = expected, lost
            delay = int((time.monotonic() - port.sr_at) * 65536) if port.sr_middle else 0
            block = rtp.ReportBlock(
                int(ring.ssrc[slot]),
                max(0, min(255, gone * 256 // new)) if new > 0 else 0,
                max(-0x800000, min(0x7FFFFF, lost)),
                ring.highest_sequence(slot),
                int(ring.jitter[slot]),
                port.sr_middle,
                min(delay, 0xFFFFFFFF),
            )
        data = rtp.build_rtcp(
            ssrc=port.ssrc,
            cname=f"{port.ssrc:08x}@{port.host}",
            ntp=rtp.ntp_time(time.time()),
            timestamp=int(self._timestamp[slot]),
            packets=port.packets,
            octets=port.octets,
            block=block,
        )
        with contextlib.suppress(OSError):
            sock.sendto(data, (port.remote[0], port.remote[1] + 1))


def _sender(port: _Port) -> Callable[[bytes | memoryview], int]:
    """How a packet leaves this port."""
    remote = port.remote
    if port.connected or remote is None:
        return port.rtp.send
    sendto = port.rtp.sendto
    return lambda data: sendto(data, remote)


def _disconnect(sock: socket.socket) -> None:
    """Undo `connect` (AF_UNSPEC, which Python's `connect` cannot say)."""
    import ctypes

    unspecified = (ctypes.c_char * 16)()
    ctypes.CDLL(None, use_errno=True).connect(sock.fileno(), unspecified, 16)


def _empty(sock: socket.socket) -> None:
    for _ in range(1024):
        try:
            sock.recvfrom(_ROW)
        except OSError:
            return
