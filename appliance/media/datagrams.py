"""Datagrams of many connected sockets at once, between the sockets and rows of arrays.

`Datagrams` is the interface, a socket is known by its leg's slot. `PlainSockets` needs nothing but
the standard library and is always there; `appliance.media.uring` hands the kernel all packets of a
tick in one call. `best` chooses: the fast one where the kernel has it and it passes its test.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp
from appliance.media.jitter import FRAME
from appliance.media.slots import Views

log = logging.getLogger("centrala.media")

ROOM: Final = 640
"""Bytes of a packet that are kept: 60 ms of audio and any header that makes sense."""
PACKET: Final = rtp.HEADER_BYTES + FRAME
"""Bytes of the packets that are sent by rows."""
FEW: Final = 16
"""Packets that are moved one by one for less than it costs to call for all at once."""
CHOICE: Final = "CENTRALA_DATAGRAMS"
"""Environment variable: `plain` or `uring` instead of the best that works."""

_I64 = npt.NDArray[np.int64]


class Rows:
    """A packet each: `array` is (capacity, bytes)."""

    def __init__(self, capacity: int, width: int) -> None:
        # Memory that is not written to is not taken: most rows may never be used.
        self.array: g711.Bytes = np.empty((capacity, width), np.uint8)
        self.base: int = self.array.ctypes.data
        self.words: npt.NDArray[np.uint32] = self.array.view(np.uint32)[:, :3]
        """The headers."""
        self.views = Views(self.array, width)
        self.packets = Views(self.array, PACKET)
        """What is sent of each row."""


class Datagrams(Protocol):
    """What `PacketIO` needs of the sockets."""

    name: str
    came: Rows
    """What was received."""
    sizes: _I64
    """Of each row, in bytes; negative for none."""

    def reserve(self, capacity: int) -> None:
        """Make room for so many slots and rows; what came before is lost."""

    def add(self, slot: int, sock: socket.socket) -> None:
        """Read from this connected socket that does not block, and send on it."""

    def remove(self, slot: int) -> None:
        """Before the socket is closed or connected to another address."""

    def receive(self, at: int) -> _I64 | None:
        """One packet of each slot that has any, into the rows of `came` from `at` on, where there
        is room for one of each; returns their slots. None: nothing left."""

    def ask(self) -> _I64 | None:
        """The same from row 0 on, for a tick in which most have one: rows of those that had none
        have a negative size, and nobody else need have been looked at."""

    def receive_each(self, at: int) -> list[tuple[int, int]]:
        """As `receive`, one by one, which costs less for a few: slots and sizes."""

    def send(self, rows: Rows, which: _I64, slots: _I64) -> _I64:
        """Send row `which[i]` on the socket of `slots[i]`; returns the slots that failed."""

    def close(self) -> None: ...


_NONE: Final = np.empty(0, np.int64)


class PlainSockets:
    """One system call for each packet."""

    name = "plain"

    def __init__(self) -> None:
        self._ready = select.epoll()
        self._readers: dict[int, tuple[int, Callable[[memoryview], int]]] = {}
        self._senders: dict[int, Callable[[memoryview], int]] = {}
        self._numbers: dict[int, int] = {}
        self.reserve(0)

    def reserve(self, capacity: int) -> None:
        self.came = Rows(capacity, ROOM)
        self.sizes = np.zeros(capacity, np.int64)

    def add(self, slot: int, sock: socket.socket) -> None:
        self._numbers[slot] = sock.fileno()
        self._readers[sock.fileno()] = (slot, sock.recv_into)
        self._senders[slot] = sock.send
        self._ready.register(sock, select.EPOLLIN)

    def remove(self, slot: int) -> None:
        number = self._numbers.pop(slot, None)
        if number is not None:
            del self._readers[number], self._senders[slot]
            self._ready.unregister(number)

    def receive(self, at: int) -> _I64 | None:
        events = self._ready.poll(0, len(self._readers) + 1)
        if not events:
            return None
        return np.array([slot for slot, _ in self._read(events, at)], np.int64)

    def ask(self) -> _I64 | None:
        return self.receive(0)

    def receive_each(self, at: int) -> list[tuple[int, int]]:
        events = self._ready.poll(0, len(self._readers) + 1)
        return self._read(events, at) if events else []

    def _read(self, events: list[tuple[int, int]], at: int) -> list[tuple[int, int]]:
        got: list[tuple[int, int]] = []
        readers, views = self._readers, self.came.views
        for number, _ in events:
            slot, read = readers[number]
            try:
                got.append((slot, read(views[at + len(got)])))
            except OSError:
                # The other side's "port unreachable": it may still come up.
                continue
        self.sizes[at : at + len(got)] = [size for _, size in got]
        return got

    def send(self, rows: Rows, which: _I64, slots: _I64) -> _I64:
        failed: list[int] = []
        senders, packets = self._senders, rows.packets
        for row, slot in zip(which.tolist(), slots.tolist(), strict=True):
            try:
                senders[slot](packets[row])
            except OSError:
                # Unreachable or no room: this packet is lost, as packets are.
                failed.append(slot)
        return np.array(failed, np.int64) if failed else _NONE

    def close(self) -> None:
        self._ready.close()


def works(make: Callable[[], Datagrams]) -> bool:
    """Whether pairs of these sockets can speak to each other; what cannot be made does not work."""
    try:
        made = make()
    except OSError as error:
        log.info("packets one by one: %s", error)
        return False
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2 * FEW)]
    try:
        for end in ends:
            end.setblocking(False)
            end.bind(("127.0.0.1", 0))
        count = len(ends)
        made.reserve(count)
        for slot, end in enumerate(ends):
            end.connect(ends[slot ^ 1].getsockname())
            made.add(slot, end)
        every = np.arange(count)
        rows = Rows(count, PACKET)
        rows.array[:] = np.arange(count * PACKET).reshape(count, PACKET) % 251
        ways: tuple[Callable[[], _I64 | None], ...] = (lambda: made.receive(0), made.ask)
        for receive in ways:
            if len(made.send(rows, every, every)):
                return False
            slots = receive()
            if not (
                slots is not None
                and np.array_equal(np.sort(slots), every)
                and bool((made.sizes == PACKET).all())
                and np.array_equal(made.came.array[:, :PACKET], rows.array[slots ^ 1])
                and made.receive(0) is None
            ):
                return False
            rows.array[:] += 1
        return True
    except OSError as error:
        log.info("packets one by one: %s", error)
        return False
    finally:
        made.close()
        for end in ends:
            end.close()


def best(choice: str | None = None) -> Datagrams:
    """The fastest that works here; `choice` or the environment may ask for one by name."""
    from appliance.media.uring import RingSockets

    choice = choice or os.environ.get(CHOICE, "")
    if choice != PlainSockets.name and works(RingSockets):
        return RingSockets()
    if choice == RingSockets.name:
        log.warning("%s=%s does not work on this system", CHOICE, choice)
    return PlainSockets()
