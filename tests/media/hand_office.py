"""Phones on real sockets at an engine whose ticks are made by hand: there is no clock, so a busy
machine changes nothing."""

from __future__ import annotations

import socket

from appliance.media import datagrams, g711, protocol, rtp, tones
from appliance.media.engine import Engine
from appliance.media.packet_io import PacketIO
from tests.media.test_media_engine import MemoryTape

HOST = "127.0.0.1"


class Phone:
    """Each frame it sends says in every byte which it is; what it hears is kept."""

    def __init__(self, kind: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.kind = kind
        self.sequence, self.stamp, self.sent = 65530, 2**32 - 800, 0
        self.heard: list[rtp.Packet] = []
        self.talks = True

    def speak(self) -> None:
        self.stamp += 160
        if not self.talks:
            return
        mark = bytes([1 + self.sent % 100]) * 160
        if self.kind == g711.PCMA:
            mark = mark.translate(g711.ULAW_TO_ALAW_BYTES)
        self.sent += 1
        self.send(rtp.build(self.kind, self.sequence, self.stamp, 77, mark))
        self.sequence += 1

    def send(self, data: bytes) -> None:
        self.sock.send(data)

    def listen(self) -> None:
        while True:
            try:
                packet = rtp.parse(self.sock.recv(2048))
            except BlockingIOError:
                return
            assert packet is not None
            self.heard.append(packet)

    def frames(self, last: int) -> list[int]:
        """Numbers of the frames in the last packets heard, as one byte of each says."""
        said = [p for p in self.heard if p.payload_type == self.kind][-last:]
        table = g711.ALAW_TO_ULAW_BYTES if self.kind == g711.PCMA else None
        return [p.payload.translate(table)[80] - 1 if table else p.payload[80] - 1 for p in said]


class Office:
    """Phones on real sockets at an engine whose ticks are made by hand."""

    def __init__(self, sockets: datagrams.Datagrams, kinds: tuple[int, ...]) -> None:
        self.tape = MemoryTape()
        self.engine = Engine(tones.plan_for("de"), self.tape)
        self.io = PacketIO(self.engine, sockets)
        self.phones: list[Phone] = []
        self.events: list[protocol.Event] = []
        for number, kind in enumerate(kinds):
            phone = Phone(kind)
            leg = self.engine.open(number, "rtp")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind((HOST, 0))
                port = free.getsockname()[1]
            self.io.open(leg, HOST, port)
            phone.sock.connect((HOST, port))
            self.io.aim(number, phone.sock.getsockname(), kind, 96, 101, True, True)
            self.engine.listen(number, True, False)
            self.phones.append(phone)

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            for turn in range(4):
                for index, phone in enumerate(self.phones):
                    if index % 4 == turn:
                        phone.speak()
                if turn < 3 and self.io.relaying:
                    self.io.pass_on()
                for phone in self.phones:
                    phone.listen()
            self.engine.begin_tick()
            self.io.receive()
            self.engine.tick()
            self.io.send()
            self.events += self.engine.take_events()
            for phone in self.phones:
                phone.listen()

    def close(self) -> None:
        for number in range(len(self.phones)):
            self.engine.close(number)
            self.io.close(number)
            self.phones[number].sock.close()
        self.io.sockets.close()
