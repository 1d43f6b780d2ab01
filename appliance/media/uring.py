"""Linux io_uring for many small datagrams: one system call for all packets of a tick.

The ring is three pieces of memory that are shared with the kernel; here they are numpy arrays, and
a batch is a few assignments to their columns, or none where it is the same as last time. No request
waits (`MSG_DONTWAIT`), so that each is finished, or has failed, when the call returns. Constants
are those of `linux/io_uring.h`, the same on all architectures.

In the 20 ms tick nearly every socket holds one packet, and asking all of them costs less than
finding out which do. Registered files, results for failures only and deferred task work were tried
with 200 sockets and made no difference.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import socket
from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media.datagrams import FEW, PACKET, ROOM, PlainSockets, Rows

_SETUP: Final = 425
_ENTER: Final = 426
"""System calls, numbered alike on x86_64 and aarch64."""
_SUBMIT_ALL: Final = 1 << 7
"""One request that fails does not hold up the rest (Linux 5.18)."""
_GETEVENTS: Final = 1
_OFF_SQ_RING: Final = 0
_OFF_CQ_RING: Final = 0x8000000
_OFF_SQES: Final = 0x10000000
_OP_SEND: Final = 26
_OP_RECV: Final = 27
_BATCH: Final = 512
"""Requests in one call."""
_RECEIVE, _SEND, _ASK = range(3)
"""Lanes: each kind of request has its own part of the entries, filled in once."""
_LANES: Final = 4
_SILENT: Final = 25
"""Who had nothing in so many ticks is not asked any more before it has."""

_PARAMS: Final = np.dtype(
    [
        ("sq_entries", "u4"), ("cq_entries", "u4"), ("flags", "u4"), ("skipped", "u4", 2),
        ("features", "u4"), ("reserved", "u4", 4),
        ("sq_head", "u4"), ("sq_tail", "u4"), ("sq_mask", "u4"), ("sq_size", "u4"),
        ("sq_flags", "u4"), ("sq_dropped", "u4"), ("sq_array", "u4"), ("sq_rest", "u4", 3),
        ("cq_head", "u4"), ("cq_tail", "u4"), ("cq_mask", "u4"), ("cq_size", "u4"),
        ("cq_overflow", "u4"), ("cqes", "u4"), ("cq_flags", "u4"), ("cq_rest", "u4", 3),
    ]
)  # fmt: skip
_REQUEST: Final = np.dtype(
    [
        ("opcode", "u1"), ("flags", "u1"), ("ioprio", "u2"), ("fd", "i4"), ("off", "u8"),
        ("addr", "u8"), ("len", "u4"), ("op_flags", "u4"), ("user_data", "u8"), ("rest", "u8", 3),
    ]
)  # fmt: skip
_RESULT: Final = np.dtype([("user_data", "i8"), ("res", "i4"), ("flags", "u4")])
_EVENT: Final = np.dtype(
    {
        # The kernel packs this structure on x86_64 alone.
        "names": ["events", "fd"],
        "formats": ["u4", "i4"],
        "offsets": [0, 4 if platform.machine() == "x86_64" else 8],
        "itemsize": 12 if platform.machine() == "x86_64" else 16,
    }
)

_I64 = npt.NDArray[np.int64]
_NONE: Final = np.empty(0, np.int64)
"""Nobody failed."""


class Ring:
    """One io_uring. Raises OSError where the kernel has none, or forbids it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._syscall = self._libc.syscall
        self._syscall.restype = ctypes.c_long
        params = np.zeros(1, _PARAMS)
        params["flags"] = _SUBMIT_ALL
        self._fd = self._call(_SETUP, _LANES * _BATCH, params.ctypes.data)
        self._memory: list[mmap.mmap] = []
        try:
            self._map(params[0])
        except BaseException:
            os.close(self._fd)
            raise
        self._enter = [ctypes.c_long(v) for v in (_ENTER, self._fd, 0, 0, _GETEVENTS, 0, 0)]

    def _call(self, *arguments: int) -> int:
        result: int = self._syscall(*(ctypes.c_long(argument) for argument in arguments))
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def _map(self, p: np.void) -> None:
        def piece(offset: int, size: int) -> mmap.mmap:
            memory = mmap.mmap(self._fd, size, mmap.MAP_SHARED, offset=offset)
            self._memory.append(memory)
            return memory

        entries, results = int(p["sq_entries"]), int(p["cq_entries"])
        sq = piece(_OFF_SQ_RING, int(p["sq_array"]) + 4 * entries)
        cq = piece(_OFF_CQ_RING, int(p["cqes"]) + results * _RESULT.itemsize)
        sqes = piece(_OFF_SQES, entries * _REQUEST.itemsize)
        self._tail = np.frombuffer(sq, np.uint32, 1, int(p["sq_tail"]))
        self._order = np.frombuffer(sq, np.uint32, entries, int(p["sq_array"]))
        self._done_head = np.frombuffer(cq, np.uint32, 1, int(p["cq_head"]))
        self._done_tail = np.frombuffer(cq, np.uint32, 1, int(p["cq_tail"]))
        self._done = np.frombuffer(cq, _RESULT, results, int(p["cqes"]))
        self._entries, self._results = entries, results
        self._sent = int(self._tail[0])
        self._seen = int(self._done_head[0])
        self._done_user, self._done_res = self._done["user_data"], self._done["res"]
        requests = np.frombuffer(sqes, _REQUEST, entries)
        requests["user_data"] = np.arange(entries) % _BATCH
        requests["op_flags"] = socket.MSG_DONTWAIT
        self._opcode, self._sock, self._addr, self._len = (
            requests[name] for name in ("opcode", "fd", "addr", "len")
        )
        self._steps = np.arange(entries, dtype=np.uint32)
        self._found = np.empty(_BATCH, np.int32)
        self._usual = np.full(_BATCH, PACKET, np.int32)
        self._usual_bytes = self._usual.tobytes()

    def prepare(self, lane: int, opcode: int, size: int) -> None:
        """What all requests of a lane have in common."""
        where = slice(lane * _BATCH, (lane + 1) * _BATCH)
        self._opcode[where] = opcode
        self._len[where] = size

    def fill(self, lane: int, socks: _I64, addresses: _I64) -> None:
        """On which sockets, at most `_BATCH`, and where their bytes are."""
        first = lane * _BATCH
        self._sock[first : first + len(socks)] = socks
        self._addr[first : first + len(socks)] = addresses

    def run(self, lane: int, socks: _I64, addresses: _I64) -> npt.NDArray[np.int32]:
        """Send or receive on each of these sockets; the result of each, negative for an error."""
        count = len(socks)
        if count > _BATCH:
            parts = [slice(i, i + _BATCH) for i in range(0, count, _BATCH)]
            return np.concatenate([self.run(lane, socks[p], addresses[p]) for p in parts])
        self.fill(lane, socks, addresses)
        results = self.again(lane, count)
        return self._usual[:count] if results is None else results

    def again(self, lane: int, count: int) -> npt.NDArray[np.int32] | None:
        """The same for what was filled in before; valid until the next call. None: each of them
        has moved `PACKET` bytes."""
        self._submit(lane * _BATCH, count)
        results = self._found[:count]
        waiting = count
        self._enter[2].value = count
        while waiting:
            self._enter[3].value = waiting
            if self._syscall(*self._enter) < 0:
                number = ctypes.get_errno()
                if number != errno.EINTR:
                    raise OSError(number, os.strerror(number))
            self._enter[2].value = 0
            if waiting == count and self._take_usual(count):
                return None
            waiting -= self._take(results)
        return results

    def _submit(self, first: int, count: int) -> None:
        """The indices of the requests go into the queue, which is a circle."""
        at = self._sent % self._entries
        whole = min(count, self._entries - at)
        self._order[at : at + whole] = self._steps[first : first + whole]
        if whole < count:
            self._order[: count - whole] = self._steps[first + whole : first + count]
        self._sent += count
        self._tail[0] = self._sent & 0xFFFFFFFF

    def _take_usual(self, count: int) -> bool:
        """Whether all have come back and as they mostly do; then they are taken."""
        at, come = self._seen % self._results, int(self._done_tail[0]) - self._seen & 0xFFFFFFFF
        if come != count or at + count > self._results:
            return False
        if self._done_res[at : at + count].tobytes() != self._usual_bytes[: 4 * count]:
            return False
        self._seen += count
        self._done_head[0] = self._seen & 0xFFFFFFFF
        return True

    def _take(self, results: npt.NDArray[np.int32]) -> int:
        """What has come back; how many those are."""
        come = (int(self._done_tail[0]) - self._seen) & 0xFFFFFFFF
        left = come
        while left:
            at = self._seen % self._results
            part = slice(at, min(at + left, self._results))
            results[self._done_user[part]] = self._done_res[part]
            self._seen += part.stop - at
            left -= part.stop - at
        self._done_head[0] = self._seen & 0xFFFFFFFF
        return come

    def close(self) -> None:
        for name in [n for n, value in vars(self).items() if isinstance(value, np.ndarray)]:
            delattr(self, name)
        for memory in self._memory:
            with contextlib.suppress(BufferError):
                memory.close()
        os.close(self._fd)


class RingSockets(PlainSockets):
    """`Datagrams` through an io_uring; a few packets go one by one, as that costs less."""

    name = "uring"

    def __init__(self) -> None:
        self._ring = Ring()
        self._ring.prepare(_RECEIVE, _OP_RECV, ROOM)
        self._ring.prepare(_SEND, _OP_SEND, PACKET)
        self._ring.prepare(_ASK, _OP_RECV, ROOM)
        self._wait = ctypes.CDLL(None, use_errno=True).epoll_wait
        self._slot_of: _I64 = np.zeros(64, np.int64)
        """By file descriptor."""
        self._socks: _I64 = _NONE
        """By slot."""
        self._asked: _I64 | None = None
        """Slots whose requests are in the lane; None: they have to be chosen anew."""
        self._silent: _I64 = _NONE
        """How often each of those had nothing."""
        self._asks = 0
        self._spoke: set[int] = set()
        """Slots that had something when they were not asked."""
        self._told: tuple[Rows, _I64, _I64] | None = None
        """What was sent last, as its requests are."""
        super().__init__()

    def reserve(self, capacity: int) -> None:
        super().reserve(capacity)
        self._addresses = self.came.base + ROOM * np.arange(capacity)
        socks = np.full(capacity, -1, np.int64)
        socks[: len(self._socks)] = self._socks
        self._socks = socks
        self._asked = self._told = None
        self._events = np.zeros(capacity + 1, _EVENT)
        self._sockets = self._events["fd"]
        self._wait_for = (
            ctypes.c_int(self._ready.fileno()),
            ctypes.c_void_p(self._events.ctypes.data),
            ctypes.c_int(capacity + 1),
            ctypes.c_int(0),
        )

    def add(self, slot: int, sock: socket.socket) -> None:
        super().add(slot, sock)
        number = sock.fileno()
        if number >= len(self._slot_of):
            wider = np.zeros(2 * number, np.int64)
            wider[: len(self._slot_of)] = self._slot_of
            self._slot_of = wider
        self._slot_of[number] = slot
        self._socks[slot] = number
        self._asked = self._told = None

    def remove(self, slot: int) -> None:
        super().remove(slot)
        self._asked = self._told = None

    def ask(self) -> _I64 | None:
        if not FEW < len(self._readers) <= _BATCH:
            return self.receive(0)
        asked = self._asked
        if asked is None or self._asks >= _SILENT:
            asked = self._choose()
        self._asks += 1
        count = len(asked)
        if count:
            sizes = self._ring.again(_ASK, count)
            if sizes is None:
                self.sizes[:count] = PACKET
            else:
                self.sizes[:count] = sizes
                self._silent += sizes < 0
        return asked

    def _choose(self) -> _I64:
        """Whom to ask from now on: everybody at first, then who has had something."""
        asked = self._asked
        if asked is None:
            chosen = np.array(sorted(self._numbers), np.int64)
        else:
            chosen = asked[self._silent < self._asks]
            if self._spoke:
                chosen = np.union1d(chosen, np.array(sorted(self._spoke), np.int64))
            if np.array_equal(chosen, asked):
                # The same object: who keeps something about it need not do so anew.
                chosen = asked
        if chosen is not asked:
            self._ring.fill(_ASK, self._socks[chosen], self._addresses[: len(chosen)])
        self._asked, self._silent, self._asks = chosen, np.zeros(len(chosen), np.int64), 0
        self._spoke.clear()
        return chosen

    def receive(self, at: int) -> _I64 | None:
        if len(self._readers) <= FEW:
            return super().receive(at)
        count = self._wait(*self._wait_for)
        if count <= 0:
            return None
        socks = self._sockets[:count].astype(np.int64)
        # In the order of slots, whose state is then worked on where it lies.
        slots: _I64 = np.sort(self._slot_of[socks])
        socks = self._socks[slots]
        # Errors are the other side's "port unreachable": it may still come up.
        addresses = self._addresses[at : at + count]
        self.sizes[at : at + count] = self._ring.run(_RECEIVE, socks, addresses)
        if self._asked is not None:
            self._spoke.update(slots.tolist())
        return slots

    def send(self, rows: Rows, which: _I64, slots: _I64) -> _I64:
        if len(slots) <= FEW:
            return super().send(rows, which, slots)
        told = self._told
        if told and told[0] is rows and told[1] is which and told[2] is slots:
            results = self._ring.again(_SEND, len(slots))
            if results is None:
                return _NONE
        else:
            addresses = rows.base + which * rows.array.shape[1]
            results = self._ring.run(_SEND, self._socks[slots], addresses)
            self._told = (rows, which, slots) if len(slots) <= _BATCH else None
        return _NONE if results.min() >= 0 else slots[results < 0]

    def close(self) -> None:
        super().close()
        self._ring.close()
