"""RTP over UDP for the engine: one connected socket per leg, emptied and filled by the tick.

Nothing here waits and nothing wakes up for a packet: each tick asks once which sockets hold
something and reads them, in rounds of one packet a leg, so that the usual packets of all legs are
placed by a few numpy calls, and sends one packet per leg from the rows of one array. How packets
move between sockets and rows is the matter of `appliance.media.datagrams`.

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
import socket
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtcp, rtp
from appliance.media.datagrams import FEW, PACKET, Datagrams, Rows, best
from appliance.media.engine import Engine, Leg
from appliance.media.jitter import FRAME
from appliance.media.protocol import SrtpKeys
from appliance.media.quality import Far
from appliance.media.relay import Kinds, Relay
from appliance.media.rtcp_io import Address, LegRtcp, RtcpIO, disconnect
from appliance.media.slots import room_for, together

if TYPE_CHECKING:
    from appliance.media.srtp import Srtp

LEARN_TICKS: Final = 250
_SAME_HOST_PACKETS: Final = 2
_OTHER_HOST_PACKETS: Final = 5
_ROUNDS: Final = 16
"""Packets a leg may hand over in one tick; a flood of more waits in its own socket."""
_ROW: Final = 2048
_STEADY_PACKETS: Final = 10
"""A stream that was plain for 200 ms may be passed on."""
_CHOICE_TICKS: Final = 5
_QUIET_TICKS: Final = 5
"""After 100 ms without a packet the mix, which knows what to do about it, takes over."""
_MAX_BURST: Final = 12
"""Frames that are sent at once when a leg begins to be passed on: all that was not heard yet."""
_FEW_LEGS: Final = 4 * FEW
_EXPEDITED: Final = 0xB8
"""DSCP EF in the type-of-service byte (RFC 3246)."""

_I64 = npt.NDArray[np.int64]
_NO_ROWS: Final = np.empty(0, np.int64)


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
        self.reports: LegRtcp
        self.rtcp_remote: Address | None = None
        """Where the peer wants its reports, if it said so."""
        self.rtcp_mux = False
        self.srtp: Srtp | None = None
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
        self.packets = 0
        self.octets = 0
        """Sent one by one; see `PacketIO._sent`."""
        self.receiver = rtp.EventReceiver()
        self.sender = rtp.EventSender()
        self.ssrc = random.getrandbits(32)

    def settle(self, address: Address) -> None:
        """Send there and hear nobody else from now on."""
        self.remote, self.latch = address, None
        with contextlib.suppress(OSError):
            self.rtp.connect(address)
            self.connected = True
        self.aim_reports(address)

    def secure(self, keys: SrtpKeys | None) -> None:
        """Encrypt with these keys from now on, or not at all."""
        if keys is None:
            self.srtp = None
        elif self.srtp is None:
            # Loaded when the first leg needs it.
            from appliance.media.srtp import Srtp

            self.srtp = Srtp(keys)
        else:
            self.srtp.change(keys)
        self.reports.srtp = self.srtp

    def plain(self, data: bytes) -> bytes:
        """What came, without its encryption; empty when it is not for us."""
        if self.srtp is None or rtcp.is_rtcp(data):
            return data
        return self.srtp.unprotect(data)

    def aim_reports(self, address: Address) -> None:
        there = self.rtcp_remote if address == self.signalled else None
        self.reports.aim(address, there, self.send_now if self.rtcp_mux else None)

    def send_now(self, data: bytes | memoryview) -> int:
        if self.connected:
            return self.rtp.send(data)
        return 0 if self.remote is None else self.rtp.sendto(data, self.remote)

    def close(self) -> None:
        self.rtp.close()


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
    """The RTP legs' sockets. `receive` and `send` are called once a tick each; `pass_on` between
    ticks while somebody is passed on (`relaying`), see `appliance.media.relay`."""

    def __init__(self, engine: Engine, sockets: Datagrams | None = None) -> None:
        self._engine = engine
        self.sockets = best() if sockets is None else sockets
        self.relay_legs = 64
        """With more legs than this everything goes through the mix: it costs less."""
        self._crowded = False
        self._ports: dict[int, _Port] = {}
        self._by_slot: dict[int, _Port] = {}
        self._learning: list[_Port] = []
        self._loose: list[_Port] = []
        """Ports that send but are not connected yet."""
        self._pressing: set[_Port] = set()
        """Ports that have keys to send."""
        self._secured = False
        """Whether any port is encrypted."""
        self._unmarked: set[_Port] = set()
        """Ports whose next packet begins a talk spurt."""
        self._rtcp = RtcpIO(engine, self._sent)
        self._relay = Relay(0)
        self._sequence: _I64 = np.zeros(0, np.int64)
        """What the next packet of each slot has."""
        self._timestamp = np.zeros(0, np.int64)
        """What the last packet of each slot had, or would have had at this tick."""
        self._advance = np.zeros(0, np.int64)
        """By how much that moves on in a tick."""
        self._packets = np.zeros(0, np.int64)
        self._kind = np.zeros(0, np.int64)
        """Payload type of the audio that is taken from each slot, 255 for none."""
        self._wired = np.zeros(0, np.bool_)
        self._gives = np.zeros(0, np.bool_)
        """Whether something is sent to this slot."""
        self._alone = np.zeros(0, np.bool_)
        """Whether that goes packet by packet: encrypted, or not connected yet."""
        self._upset = np.zeros(0, np.int64)
        """How many packets there had been when the last unusual one came."""
        self._who = np.zeros(0, np.int64)
        """Slot of each row that was received and not looked at yet."""
        self._passed: set[int] = set()
        """Rows of key events that were passed on."""
        self._last_row = np.zeros(0, np.int64)
        self._rows = 0
        self._batches: list[tuple[int, _I64]] = []
        """First rows of what came together, and of whom."""
        self._direct: dict[int, int] = {}
        """Slots that are passed on, and to whom."""
        self._waiting: set[int] = set()
        """Slots that the mix does not speak to until it has caught up."""
        self._entering: list[tuple[int, int]] = []
        self._chosen: _I64 | None = None
        """The routes at the last choice of paths."""
        self._outdated = False
        """Ports have changed since the last `_plan`: many change between two ticks, all are planned
        for at once."""
        self._capacity = 0
        self._grow(32)

    def _grow(self, capacity: int) -> None:
        self.sockets.reserve(2 * capacity)
        self._relay.reserve(capacity)
        for name, width, fill in (
            ("_sequence", 1, 0),
            ("_timestamp", 1, 0),
            ("_advance", 1, FRAME),
            ("_packets", 1, 0),
            ("_kind", 1, 255),
            ("_wired", 1, 0),
            ("_gives", 1, 0),
            ("_alone", 1, 0),
            ("_upset", 1, 0),
            ("_last_row", 1, 0),
            ("_who", 2, 0),
        ):
            old = getattr(self, name)
            new = np.full(width * capacity, fill, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        self._steps = np.arange(2 * capacity)
        self._out = Rows(capacity, PACKET)
        self._heads = self._out.array[:, : rtp.HEADER_BYTES]
        self._heads[:, 0] = 0x80
        self._numbers = self._heads[:, 2:4].view(">u2")[:, 0]
        self._words = self._heads[:, 4:12].view(">u4")
        self._capacity = capacity
        self._plan()

    # --- legs -------------------------------------------------------------------------------

    def open(self, leg: Leg, host: str, port: int) -> None:
        """Open the leg's sockets. Raises `PortTaken`."""
        try:
            opened = _Port(leg, host, port)
        except (OSError, OverflowError) as error:
            raise PortTaken(f"RTP port {port} of {host} cannot be opened: {error}") from None
        slot = leg.slot
        if slot >= self._capacity:
            self._look_at_rows()
            self._grow(room_for(slot + 1))
        self._ports[leg.number] = self._by_slot[slot] = opened
        self._sequence[slot] = random.getrandbits(16)
        self._timestamp[slot] = random.getrandbits(32)
        self._advance[slot] = FRAME
        self._packets[slot] = self._upset[slot] = 0
        self._unmarked.add(opened)
        opened.reports = self._rtcp.open(leg, opened.ssrc, host, lambda: _bind(host, port + 1))
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
        rtcp_port: int | None = None,
        rtcp_mux: bool = False,
        srtp: SrtpKeys | None = None,
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
        self._part(port.slot)
        # A held leg may be aimed at 0.0.0.0 (RFC 3264 section 8.4, the old way).
        port.send, port.receive = send and usable, receive and usable
        port.payload_type = g711.PCMA if payload_type == g711.PCMA else g711.PCMU
        port.event_send, port.event_receive = event_send, event_receive
        port.leg.has_events = False
        port.rtcp_remote = None if rtcp_port is None else (host, rtcp_port)
        port.rtcp_mux = rtcp_mux
        port.secure(srtp)
        if usable and remote != port.signalled:
            port.signalled = port.remote = remote
            if port.connected:
                # Another address: this socket has to listen to more than the old one again.
                self._unread(port)
                disconnect(port.rtp)
                port.connected = False
            _empty(port.rtp)
            port.latch = Latch(remote, port.host, signalling_host)
            port.learn_until = self._engine.now + LEARN_TICKS
        if port.remote is not None:
            port.aim_reports(port.remote)
        self._engine.expect_audio(number, port.receive)
        self._outdated = True

    def close(self, number: int) -> None:
        if number in self._ports:
            self._rtcp.close(number)
        port = self._ports.pop(number, None)
        if port is not None:
            self._part(port.slot)
            self._go_on(port.slot)
            self._unread(port)
            del self._by_slot[port.slot]
            self._pressing.discard(port)
            self._unmarked.discard(port)
            # Not a ring of references: the collector does not find one that is older than it looks.
            port.leg.send_keys = None
            port.close()
            self._outdated = True

    def _unread(self, port: _Port) -> None:
        if self._wired[port.slot]:
            self.sockets.remove(port.slot)
            self._wired[port.slot] = False

    def _press(self, port: _Port, digits: str) -> bool:
        if port.event_send is None or not port.send:
            return False
        port.sender.push(digits)
        self._pressing.add(port)
        return True

    def _plan(self) -> None:
        self._outdated = False
        ports = self._ports.values()
        self._secured = any(port.srtp is not None for port in ports)
        self._learning = [port for port in ports if port.latch is not None]
        self._kind[:] = 255
        self._gives[:] = False
        for port in ports:
            if port.connected and not self._wired[port.slot]:
                self.sockets.add(port.slot, port.rtp)
                self._wired[port.slot] = True
            if port.receive:
                self._kind[port.slot] = port.payload_type
            self._gives[port.slot] = port.send
            self._heads[port.slot, 1] = port.payload_type
            self._words[port.slot, 1] = port.ssrc
            self._alone[port.slot] = port.srtp is not None or not port.connected
        self._engine.ring.expect(self._kind)
        self._loose = [port for port in ports if port.send and self._alone[port.slot]]
        self._sending = self._gives.nonzero()[0]
        self._sending_where = together(self._sending)
        self._alaw = np.array(
            sorted(port.slot for port in ports if port.payload_type == g711.PCMA), np.int64
        )

    # --- receiving --------------------------------------------------------------------------

    def receive(self) -> None:
        """Put everything that has come into the engine's ring."""
        if self._outdated:
            self._plan()
        if self._learning:
            self._learn()
        self._gather_all(_ROUNDS)
        self._look_at_rows()
        self._choose_paths()
        self._rtcp.tick()

    def pass_on(self) -> None:
        """Between ticks: send on what can be sent on, keep everything for the tick. Who sent two
        packets at once waits with the second for the next time, which is soon."""
        if self._outdated:
            self._plan()
        self._gather_all(1)

    def _gather_all(self, rounds: int) -> None:
        if self._direct and len(self._by_slot) <= _FEW_LEGS:
            for _ in range(rounds):
                if not self._gather_few():
                    return
        else:
            self._gather(rounds)

    def _gather(self, rounds: int) -> None:
        """Read what has come, in rounds of one packet a leg."""
        relaying = self.relaying
        for _ in range(rounds):
            if self._rows + len(self._by_slot) > len(self._who):
                self._look_at_rows()
            first = self._rows
            # Those that were passed on have little left for the tick; of the others most have one.
            slots = self.sockets.receive(first) if first or relaying else self.sockets.ask()
            if slots is None:
                return
            if not len(slots):
                continue
            self._rows = last = first + len(slots)
            self._who[first:last] = slots
            self._batches.append((first, slots))
            if self._secured:
                self._open_rows(first, last)
            if relaying:
                self._forward(first, last)

    def _gather_few(self) -> bool:
        """One packet each of a few legs, one by one: for so few it costs less. Whether there may
        be more."""
        if self._rows + len(self._by_slot) > len(self._who):
            self._look_at_rows()
        sockets, first = self.sockets, self._rows
        got = sockets.receive_each(first)
        if not got:
            return False
        self._rows = last = first + len(got)
        self._who[first:last] = [slot for slot, _ in got]
        self._batches.append((first, self._who[first:last]))
        if self._secured:
            self._open_rows(first, last)
        relay, now = self._relay, self._engine.now
        for row, (slot, size) in enumerate(got, first):
            listener = self._direct.get(slot)
            if listener is None:
                continue
            port = self._by_slot[slot]
            if port.srtp is not None:
                size = int(sockets.sizes[row])
            view = sockets.came.views[row]
            header = bytes(view[: rtp.HEADER_BYTES])
            made = relay.pass_one(slot, header, size, now)
            if made is None:
                continue
            payload = view[rtp.HEADER_BYTES : size]
            to = self._by_slot[listener]
            if header[1] & 0x7F == port.event_receive:
                self._passed.add(row)
            elif port.payload_type != to.payload_type:
                table = g711.ALAW_TO_ULAW_BYTES
                if to.payload_type == g711.PCMA:
                    table = g711.ULAW_TO_ALAW_BYTES
                self._send_one(to, made + bytes(payload).translate(table), len(payload))
                continue
            # The ring is to get what came.
            view[: rtp.HEADER_BYTES] = made
            self._send_one(to, view[:size], len(payload))
            view[: rtp.HEADER_BYTES] = header
        return True

    def _open_rows(self, first: int, last: int) -> None:
        """Take the encryption off the rows of those ports that have any."""
        sockets = self.sockets
        for row in range(first, last):
            port = self._by_slot.get(int(self._who[row]))
            if port is not None and port.srtp is not None and sockets.sizes[row] > 0:
                view = sockets.came.views[row]
                plain = port.plain(bytes(view[: sockets.sizes[row]]))
                view[: len(plain)] = plain
                sockets.sizes[row] = len(plain)

    def _look_at_rows(self) -> None:
        """What came since the last tick goes into the ring."""
        count, batches = self._rows, self._batches
        if not count:
            return
        self._rows, self._batches = 0, []
        passed, self._passed = self._passed, set()
        if len(batches) == 1:
            self._put(*batches[0], passed)
            return
        who = self._who[:count]
        steps = self._steps[:count]
        self._last_row[who] = steps
        if (self._last_row[who] == steps).all():
            self._put(0, who, passed)
            return
        # Somebody sent more than one packet.
        for first, slots in batches:
            self._put(first, slots, passed)

    def _put(self, first: int, slots: _I64, passed: set[int]) -> None:
        """Rows of different legs into the ring."""
        sockets, last = self.sockets, first + len(slots)
        left = self._engine.ring.put_batch(
            slots, sockets.came.array[first:last], sockets.sizes[first:last]
        )
        for row in (first + left).tolist() if len(left) else ():
            port = self._by_slot.get(int(self._who[row]))
            if port is None or sockets.sizes[row] <= 0:
                continue
            data = sockets.came.views[row][: sockets.sizes[row]]
            packet = rtp.parse(data)
            if packet is not None:
                self._take(port, packet, row in passed)
            elif port.rtcp_mux:
                port.reports.take(bytes(data), time.monotonic())

    def _take(self, port: _Port, packet: rtp.Packet, passed: bool = False) -> None:
        """Any packet of the right sender that is not simply the next 20 ms."""
        if not port.receive:
            return
        ring = self._engine.ring
        if packet.payload_type in (g711.PCMU, g711.PCMA):
            ring.put(port.slot, packet)
            self._upset[port.slot] = ring.received[port.slot]
        elif packet.payload_type == port.event_receive:
            ring.saw_other(port.slot)
            self._upset[port.slot] = ring.received[port.slot]
            digit = port.receiver.packet(packet.timestamp, packet.payload)
            if digit is not None:
                self._engine.key(port.leg, digit, "rfc4733", passed)
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
                packet = rtp.parse(port.plain(data))
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
                packet = rtp.parse(port.plain(data))
                if packet is not None:
                    self._take(port, packet)

    # --- passing on -------------------------------------------------------------------------

    @property
    def relaying(self) -> bool:
        """Whether somebody hears packets as they come, between the ticks."""
        return bool(self._direct)

    def _forward(self, first: int, last: int) -> None:
        """Send on what came in these rows, as far as its leg is passed on."""
        relay, sockets = self._relay, self.sockets
        rows: slice | _I64 = slice(first, last)
        which = self._steps[rows]
        slots = self._who[rows]
        listeners = relay.to[slots]
        if len(self._direct) < len(self._by_slot) and listeners.min() < 0:
            which = which[listeners >= 0]
            if not len(which):
                return
            rows, slots, listeners = which, self._who[which], listeners[listeners >= 0]
        words = sockets.came.words
        kept = words[rows].copy()
        todo = relay.pass_on(slots, kept, sockets.sizes[rows], self._engine.now)
        # The ring is to get what came: the rows are changed for the moment of sending only.
        words[rows] = todo.words
        if todo.audio is not None:
            for index in todo.events:
                row = int(which[index])
                self._passed.add(row)
                data = sockets.came.views[row][: sockets.sizes[row]]
                payload = int(sockets.sizes[row]) - rtp.HEADER_BYTES
                self._send_one(self._by_slot[int(listeners[index])], data, payload)
            which, slots, listeners = which[todo.audio], slots[todo.audio], listeners[todo.audio]
        recoded = which[relay.recoded[slots]] if relay.recoding else _NO_ROWS
        if len(recoded):
            payloads = sockets.came.array[:, rtp.HEADER_BYTES : PACKET]
            said = payloads[recoded]
            from_alaw = (self._kind[self._who[recoded]] == g711.PCMA)[:, None]
            payloads[recoded] = np.where(
                from_alaw, g711.ALAW_TO_ULAW[said], g711.ULAW_TO_ALAW[said]
            )
            self._transmit(sockets.came, which, listeners)
            payloads[recoded] = said
        else:
            self._transmit(sockets.came, which, listeners)
        words[rows] = kept

    def _choose_paths(self) -> None:
        """Who is passed on from now on, and who is not any more."""
        relay, engine, current = self._relay, self._engine, self._relay.to
        sources, listeners = engine.through
        if not self._direct and (not len(sources) or not self.relay_legs):
            return
        changed = sources is not self._chosen or self._pressing or relay.upset
        if not changed and engine.now % _CHOICE_TICKS:
            # Nothing that would be heard at once.
            return
        self._chosen, relay.upset = sources, False
        wanted = np.full(self._capacity, -1, np.int64)
        if not self._full():
            usable = np.maximum(sources, listeners) < self._capacity
            sources, listeners = sources[usable], listeners[usable]
            going = current[sources] == listeners
            received = engine.ring.received[sources]
            usable = (
                self._wired[sources]
                & self._wired[listeners]
                & (self._kind[sources] != 255)
                & self._gives[listeners]
                & ~relay.broken[sources]
                & (going | (received - self._upset[sources] >= _STEADY_PACKETS))
                & (relay.wait[listeners] == 0)
                & (engine.now - engine.ring.heard[sources] < _QUIET_TICKS)
            )
            wanted[sources[usable]] = listeners[usable]
            for port in self._pressing:
                wanted[wanted == port.slot] = -1
        relay.broken[:] = False
        changed = (wanted != current).nonzero()[0].tolist()
        for source in changed:
            if current[source] >= 0:
                self._leave(source)
        self._entering = [(s, int(wanted[s])) for s in changed if wanted[s] >= 0]

    def _full(self) -> bool:
        """Whether there are too many legs to pass packets on. Some have to go before there are
        few enough again: each change is a step in everybody's delay."""
        most = self.relay_legs * 3 // 4 if self._crowded else self.relay_legs
        self._crowded = len(self._by_slot) > most
        return self._crowded

    def _leave(self, source: int) -> None:
        """The mix speaks to this listener from now on."""
        relay, engine = self._relay, self._engine
        hears = engine.hears(int(relay.to[source]), source)
        behind = engine.ring.ahead(source) if hears else 0
        listener, sequence, timestamp = relay.end(source, behind)
        del self._direct[source]
        self._sequence[listener], self._timestamp[listener] = sequence, timestamp
        silent = engine.now - int(relay.last[source]) - 1
        if behind:
            self._waiting.add(listener)
            self._advance[listener] = 0
            engine.held[listener] = True
        else:
            self._advance[listener] = FRAME
            if silent > 0:
                self._timestamp[listener] += silent * FRAME
                self._unmarked.add(self._by_slot[listener])
        self._upset[source] = engine.ring.received[source]

    def _part(self, slot: int) -> None:
        """Nothing is passed on from or to this leg any more."""
        # What came since the last tick may have been passed on.
        self._look_at_rows()
        if not self._direct:
            return
        for source, listener in list(self._direct.items()):
            if slot in (source, listener):
                self._leave(source)

    def _enter(self, source: int, listener: int) -> None:
        """Pass on from now on; what the ring holds and the listener has not heard goes at once."""
        ring, port = self._engine.ring, self._by_slot.get(listener)
        origin = self._by_slot.get(source)
        frames = ring.ahead(source)
        if port is None or origin is None or listener in self._waiting:
            return
        if frames > _MAX_BURST or not ring.seamless(source):
            return
        kinds = Kinds(
            origin.payload_type,
            port.payload_type,
            -1 if origin.event_receive is None else origin.event_receive,
            -1 if port.event_send is None else port.event_send,
        )
        first, stamp = int(self._sequence[listener]), int(self._timestamp[listener])
        for index, payload in enumerate(ring.coming(source, frames)):
            if payload is None:
                continue
            if port.payload_type == g711.PCMA:
                payload = payload.translate(g711.ULAW_TO_ALAW_BYTES)
            stamped = stamp + FRAME * (index + 1)
            self._send_one(
                port,
                rtp.build(port.payload_type, first + index, stamped, port.ssrc, payload),
                FRAME,
            )
        newest = (int(ring.ssrc[source]), *ring.newest_numbers(source))
        sent = (port.ssrc, first + frames - 1, stamp + FRAME * frames)
        self._relay.begin(source, listener, kinds, newest, sent, self._engine.now)
        self._direct[source] = listener
        self._advance[listener] = 0

    # --- sending ----------------------------------------------------------------------------

    def send(self) -> None:
        """Send one frame of what each leg hears; timestamps of all legs move on."""
        if self._outdated:
            self._plan()
        self._timestamp += self._advance
        slots = self._sending
        if self._direct or self._waiting:
            slots = slots[~self._relay.heard[slots] & (self._relay.wait[slots] == 0)]
        if self._pressing:
            slots = self._press_keys(slots)
        if len(slots):
            self._send_frames(slots)
        for slot in list(self._waiting):
            self._relay.wait[slot] -= 1
            if self._relay.wait[slot] <= 0:
                self._go_on(slot)
        for source, listener in self._entering:
            self._enter(source, listener)
        self._entering = []

    def _send_frames(self, slots: _I64) -> None:
        where = self._sending_where if slots is self._sending else together(slots)
        self._write(where)
        marked = self._mark_spurts(slots) if self._unmarked else []
        if self._loose:
            slots = self._send_loose(slots)
        self._transmit(self._out, slots, slots)
        self._sequence[where] += 1
        for slot in marked:
            self._heads[slot, 1] &= 0x7F

    def _go_on(self, slot: int) -> None:
        """The mix has caught up with what was passed on to this listener."""
        self._waiting.discard(slot)
        self._relay.wait[slot] = 0
        self._advance[slot] = FRAME
        self._engine.held[slot] = False

    def _write(self, where: slice | _I64) -> None:
        """Header and payload of these slots' packets."""
        packets = self._out.array
        packets[where, rtp.HEADER_BYTES :] = self._engine.out[where]
        if len(self._alaw):
            rows = packets[self._alaw, rtp.HEADER_BYTES :]
            packets[self._alaw, rtp.HEADER_BYTES :] = g711.ULAW_TO_ALAW[rows]
        self._numbers[where] = self._sequence[where]
        self._words[where, 0] = self._timestamp[where]

    def _mark_spurts(self, slots: _I64) -> list[int]:
        going = set(slots.tolist())
        marked = [port for port in self._unmarked if port.slot in going]
        self._unmarked.difference_update(marked)
        for port in marked:
            self._heads[port.slot, 1] |= 0x80
        return [port.slot for port in marked]

    def _send_loose(self, slots: _I64) -> _I64:
        """To those that are not connected yet; returns the others."""
        going = set(slots.tolist())
        for port in self._loose:
            if port.slot in going:
                self._send_one(port, self._out.packets[port.slot], FRAME)
        return slots[~self._alone[slots]]

    def _transmit(self, rows: Rows, which: _I64, slots: _I64) -> None:
        if self._secured:
            alone = self._alone[slots]
            for row, slot in zip(which[alone].tolist(), slots[alone].tolist(), strict=True):
                self._send_one(self._by_slot[slot], rows.packets[row], FRAME)
            which, slots = which[~alone], slots[~alone]
        failed = self.sockets.send(rows, which, slots)
        self._packets[self._sending_where if slots is self._sending else slots] += 1
        if len(failed):
            self._packets[failed] -= 1

    def _send_one(self, port: _Port, data: bytes | memoryview, octets: int) -> None:
        if port.srtp is not None:
            data = port.srtp.protect(bytes(data))
            if not data:
                # The network brought it twice: what goes out encrypted has each number once.
                return
        try:
            port.send_now(data)
        except OSError:
            # Unreachable or no room: this packet is lost, as packets are.
            return
        port.packets += 1
        port.octets += octets

    def _press_keys(self, slots: _I64) -> _I64:
        """Key presses take the place of audio; returns who gets audio."""
        going = set(slots.tolist())
        for port in list(self._pressing):
            if port.slot in going and self._send_event(port):
                going.discard(port.slot)
            elif not port.sender.busy:
                self._pressing.discard(port)
        return slots if len(going) == len(slots) else np.array(sorted(going), np.int64)

    def _send_event(self, port: _Port) -> bool:
        """The events of this tick; False when none is due now."""
        slot = port.slot
        packets = port.sender.tick(int(self._timestamp[slot]))
        if packets is None:
            return False
        for event in packets:
            data = rtp.build(
                port.event_send or 0,
                int(self._sequence[slot]),
                event.timestamp,
                port.ssrc,
                event.payload,
                event.marker,
            )
            self._sequence[slot] += 1
            self._send_one(port, data, len(event.payload))
        self._unmarked.add(port)
        return True

    def skip(self, ticks: int) -> None:
        """The clock moved on without us."""
        self._timestamp += ticks * self._advance
        self._unmarked.update(port for port in self._ports.values() if port.send)

    def far_end(self, number: int) -> Far | None:
        """What the leg's other side says of what it hears."""
        return self._rtcp.far_end(number)

    def _sent(self, number: int) -> rtcp.Sent:
        """What a leg has sent so far."""
        port = self._ports[number]
        stamp = int(self._timestamp[port.slot])
        if self._relay.heard[port.slot]:
            stamp = self._relay.heard_until(port.slot)
        frames = int(self._packets[port.slot])
        return rtcp.Sent(frames + port.packets, frames * FRAME + port.octets, stamp)


def _empty(sock: socket.socket) -> None:
    for _ in range(1024):
        try:
            sock.recvfrom(_ROW)
        except OSError:
            return
