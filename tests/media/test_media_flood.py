"""Strangers flood the ports of calls with all that comes to mind: who talks hears nothing of it,
and what a tick does for a leg stays bounded. Time is ticks, and what is counted is packets."""

from __future__ import annotations

import gc
import itertools
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from appliance.media import datagrams, g711, rtcp, rtp
from appliance.media.packet_io import _ROUNDS, LEARN_TICKS
from tests.media.hand_office import HOST, Office, Phone

FLOOD = 60
"""Packets that each stranger sends to each port in a tick: 3000 a second."""
LOUD = bytes((0x80,)) * 160
REPORT = rtcp.build(
    ssrc=77, cname="guess", ntp=1, timestamp=1, packets=0xFFFFFF, octets=1, block=None, bye=True
)


class Stranger:
    """Sends to an RTP port and the port for its reports."""

    def __init__(self, port: int, seed: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.port, self.random, self.count = port, np.random.default_rng(seed), 0

    def packet(self) -> bytes:
        """Garbage of any size, nothing, too much, or RTP and RTCP that guesses well."""
        self.count += 1
        match self.count % 6:
            case 0:
                return self.random.bytes(int(self.random.integers(0, 1400)))
            case 1:
                return b""
            case 2:
                return self.random.bytes(9000)
            case 3:
                return rtp.build(0, 65530 + self.count, (self.count * 160) % 2**32, 77, LOUD)
            case 4:
                return rtp.build(101, 65530 + self.count, 320, 77, bytes((9, 10, 0, 160)), True)
            case _:
                return REPORT

    def answers(self) -> list[bytes]:
        heard = []
        while True:
            try:
                heard.append(self.sock.recv(2048))
            except ConnectionError:
                # "Nobody is here": the kernel's word.
                continue
            except BlockingIOError:
                return heard

    def flood(self) -> None:
        for _ in range(FLOOD):
            try:
                self.sock.sendto(self.packet(), (HOST, self.port + self.count // 6 % 2))
            except (BlockingIOError, ConnectionError):
                continue


class Counted:
    """How many packets each tick has read, and asked for."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.most = self.now = self.rounds = self.most_rounds = 0
        self._receive, self._each = office.io.sockets.receive, office.io.sockets.receive_each
        office.io.sockets.receive = self.receive  # type: ignore[method-assign]
        office.io.sockets.receive_each = self.receive_each  # type: ignore[method-assign]

    def receive(self, at: int) -> np.ndarray | None:
        slots = self._receive(at)
        self._count(0 if slots is None else len(slots))
        return slots

    def receive_each(self, at: int) -> list[tuple[int, int]]:
        got = self._each(at)
        self._count(len(got))
        return got

    def _count(self, packets: int) -> None:
        self.now += packets
        self.rounds += 1

    def run(self, ticks: int, strangers: list[Stranger]) -> None:
        for _ in range(ticks):
            for stranger in strangers:
                stranger.flood()
            self.now = self.rounds = 0
            self.office.run(1)
            self.most, self.most_rounds = (
                max(self.most, self.now),
                max(self.most_rounds, self.rounds),
            )


@pytest.fixture(params=["passed on", "mixed"])
def office(request: pytest.FixtureRequest) -> Iterator[Office]:
    made = Office(datagrams.best(), (0, 0, 0))
    made.io.relay_legs = 64 if request.param == "passed on" else 0
    yield made
    made.close()


def strangers(office: Office) -> list[Stranger]:
    ports = [office.io._ports[n].rtp.getsockname()[1] for n in range(len(office.phones))]
    return [Stranger(port, seed) for seed, port in enumerate(ports)]


def whole(phone: Phone, last: int) -> None:
    """The last packets heard are one stream without a gap, and the voice in it is whole."""
    packets = phone.heard[-last:]
    steps = {
        (y.sequence - x.sequence & 0xFFFF, y.timestamp - x.timestamp & 0xFFFFFFFF)
        for x, y in itertools.pairwise(packets)
    }
    assert steps == {(1, 160)}
    assert all(LOUD[:40] not in packet.payload for packet in packets)
    frames = phone.frames(last)
    assert [(b - a) % 100 for a, b in itertools.pairwise(frames)] == [1] * (last - 1)


def test_calls_that_are_on_notice_nothing_of_a_flood(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(40)
    assert office.io.relaying == bool(office.io.relay_legs)
    counted, crowd = Counted(office), strangers(office)
    counted.run(100, crowd)
    for phone in office.phones[:2]:
        whole(phone, 100)
    assert [e for e in office.events if type(e).__name__ == "Key"] == []
    # What strangers send never reaches a socket that knows its peer: it is the kernel's.
    assert counted.most <= 2 * len(office.phones)
    assert counted.most_rounds <= 4 * 2
    assert [heard for stranger in crowd for heard in stranger.answers()] == []


def test_a_phone_finds_its_leg_in_the_middle_of_a_flood(office: Office) -> None:
    for phone in office.phones:
        phone.talks = False
    crowd = strangers(office)
    for _ in range(20):
        for stranger in crowd:
            stranger.flood()
        office.run(1)
    for phone in office.phones:
        phone.talks = True
        phone.heard.clear()
    office.engine.bridge(1, 0, 1)
    for _ in range(LEARN_TICKS):
        for stranger in crowd:
            stranger.flood()
        office.run(1)
    for phone in office.phones[:2]:
        whole(phone, 100)


def test_who_floods_from_the_right_address_harms_himself_alone(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(40)
    mad = office.phones[2]
    counted = Counted(office)
    for n in range(100):
        for k in range(200):
            data = rtp.build(0, 7 * n + k, 160 * (7 * n + k), 77 + k % 2, LOUD)
            try:
                mad.sock.send(data if k % 3 else data[: k % 20])
            except BlockingIOError:
                break
        counted.run(1, [])
    for phone in office.phones[:2]:
        whole(phone, 100)
    # Each look takes one packet a leg and round, and there are four looks a tick.
    assert counted.most <= 4 * _ROUNDS + 2 * len(office.phones)


def test_what_the_network_brings_twice_goes_out_encrypted_once(office: Office) -> None:
    from tests.media.srtp_phone import keys, receiver

    ear = office.phones[1]
    office.io.aim(1, ear.sock.getsockname(), 0, 96, 101, True, True, srtp=keys())
    office.engine.bridge(1, 0, 1)
    talker, got, rx = office.phones[0], [], receiver(keys().send)
    ear.talks = False
    ear.listen = lambda: None  # type: ignore[method-assign]
    for n in range(120):
        office.run(1)
        if n > 60:
            talker.send(rtp.build(0, talker.sequence - 3, talker.stamp - 480, 77, LOUD))
        while True:
            try:
                got.append(ear.sock.recv(2048))
            except BlockingIOError:
                break
    assert len(got) >= 100
    heard = [rtp.parse(rx.unprotect(data)) for data in got]
    assert all(packet is not None for packet in heard)
    assert g711.PCMU in {packet.payload_type for packet in heard if packet is not None}


def test_who_hung_up_leaves_nothing_for_the_collector(office: Office) -> None:
    """It looks at what is young, and calls last longer than that."""
    office.engine.bridge(1, 0, 1)
    office.run(30)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for number in (0, 1):
            office.engine.close(number)
            office.io.close(number)
        gc.collect()
        left = {type(thing).__name__ for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not left & {"Leg", "_Port", "LegRtcp", "socket"}
