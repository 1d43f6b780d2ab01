"""Datagrams between sockets and rows: each comes once, in the tick in which it came."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from appliance.media.datagrams import PACKET, Datagrams, PlainSockets, Rows
from appliance.media.uring import RingSockets
from tests.media.hand_office import HOST

LEGS = 24


def ring_sockets() -> Datagrams:
    try:
        return RingSockets()
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")


class Ends:
    """Both ends of the sockets; what the far ones send carries their slot and a number."""

    def __init__(self, made: Datagrams) -> None:
        self.made = made
        self.near: dict[int, socket.socket] = {}
        self.far: dict[int, socket.socket] = {}
        self.count = 0
        made.reserve(2 * LEGS)

    def add(self, slot: int) -> None:
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in pair:
            end.setblocking(False)
            end.bind((HOST, 0))
        pair[0].connect(pair[1].getsockname())
        pair[1].connect(pair[0].getsockname())
        self.near[slot], self.far[slot] = pair
        self.made.add(slot, pair[0])

    def remove(self, slot: int) -> None:
        self.made.remove(slot)
        self.near.pop(slot).close()
        self.far.pop(slot).close()

    def say(self, slot: int) -> tuple[int, bytes]:
        self.count += 1
        said = bytes([slot]) + self.count.to_bytes(4, "big") + bytes(PACKET - 5)
        self.far[slot].send(said)
        return slot, said

    def tick(self) -> list[tuple[int, bytes]]:
        """All that has come, as the 20 ms tick reads it."""
        got: list[tuple[int, bytes]] = []
        slots, at = self.made.ask(), 0
        while slots is not None:
            for row, slot in enumerate(slots.tolist(), at):
                size = int(self.made.sizes[row])
                if size >= 0:
                    got.append((slot, self.made.came.array[row, :size].tobytes()))
            at = 0 if at + 2 * len(slots) > 2 * LEGS else at + len(slots)
            slots = self.made.receive(at)
        return got

    def close(self) -> None:
        for slot in list(self.near):
            self.remove(slot)
        self.made.close()


@pytest.fixture(params=[PlainSockets, ring_sockets])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    make: Callable[[], Datagrams] = request.param
    made = Ends(make())
    yield made
    made.close()


def test_each_packet_comes_in_its_tick_however_many_a_leg_sends(ends: Ends) -> None:
    """Legs are silent for long, come and go; some send several at once."""
    random = np.random.default_rng(1)
    for slot in range(LEGS):
        ends.add(slot)
    silent: set[int] = set()
    for tick in range(200):
        if tick % 30 == 0:
            silent = set(random.choice(LEGS, int(random.integers(LEGS)), replace=False).tolist())
        if tick in (70, 71, 140):
            ends.remove(tick % LEGS)
        if tick in (100, 101, 170):
            ends.add((tick - 30) % LEGS)
        said = [
            ends.say(slot)
            for slot in ends.near
            if slot not in silent
            for _ in range(random.choice((0, 1, 2, 3), p=(0.05, 0.85, 0.07, 0.03)))
        ]
        assert sorted(ends.tick()) == sorted(said)


def test_what_is_sent_arrives_where_it_should_whatever_changed_in_between(ends: Ends) -> None:
    for slot in range(LEGS):
        ends.add(slot)
    rows = Rows(LEGS, PACKET)
    every, odd = np.arange(LEGS), np.arange(1, LEGS, 2)
    for turn, slots in enumerate((every, every, odd, every, every)):
        if turn == 4:
            ends.remove(3)
            ends.add(3)
        rows.array[:] = 7 * turn + np.arange(LEGS)[:, None]
        assert not len(ends.made.send(rows, slots, slots))
        for slot in slots.tolist():
            assert ends.far[slot].recv(2048) == bytes([7 * turn + slot]) * PACKET
        with pytest.raises(BlockingIOError):
            ends.far[int(slots[0])].recv(2048)


def test_a_far_end_that_is_gone_harms_nobody_else(ends: Ends) -> None:
    for slot in range(LEGS):
        ends.add(slot)
    every, rows = np.arange(LEGS), Rows(LEGS, PACKET)
    ends.far[5].close()
    for _ in range(3):
        ends.made.send(rows, every, every)
        said = [ends.say(slot) for slot in every.tolist() if slot != 5]
        assert sorted(ends.tick()) == said
