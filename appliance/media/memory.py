"""The memory of the media process: nobody waits for a page of it, and it keeps no more than it
needs.

On a box with little memory and a slow card the kernel drops pages of Python and numpy that were not
used for a while, and a tick that needs one waits for the card. So all that was touched once stays:
locked on fault, since to lock what is never used would double the process. What glibc's allocator
has no use for any more is given back now and then; it must be unlocked for that moment.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
from pathlib import Path
from typing import Final

log = logging.getLogger("centrala.media")

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
"""`mlockall`, alike on x86_64 and aarch64 (asm-generic/mman.h)."""
_MLOCK_ON_FAULT: Final = 1
"""`mlock2`."""
_CAP_IPC_LOCK: Final = 14
_M_ARENA_MAX: Final = -8
"""`mallopt`: the threads share the interpreter, they need no memory of their own."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sbrk.restype = ctypes.c_void_p


def one_arena() -> None:
    """Before other threads begin (glibc has this)."""
    with contextlib.suppress(AttributeError):
        _libc.mallopt(_M_ARENA_MAX, 1)


def may_lock() -> bool:
    """Whether this process may lock as much as it likes. With a limit each later allocation could
    fail for it; so then nothing is locked."""
    _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
    if most == resource.RLIM_INFINITY:
        return True
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff")]
    return bool(found and found[0] >> _CAP_IPC_LOCK & 1)


class Memory:
    """That of this process; there is one, `OWN`."""

    def __init__(self) -> None:
        self._heap: int | None = None
        """Where the allocator's memory begins, once it is locked."""

    def lock(self) -> bool:
        """Keep what is in memory and all that will be touched. False if the system does not permit
        it: everything works then, with less certainty."""
        reason = "the limit for locked memory is too low (LimitMEMLOCK=infinity)"
        if may_lock():
            if _libc.mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0:
                self._heap = _heap_start()
                return True
            reason = os.strerror(ctypes.get_errno())
        log.warning("memory is not locked, a box that runs short of it may be heard: %s", reason)
        return False

    def give_back(self) -> None:
        """What was needed only while something was made goes back to the system (glibc has
        this). Takes a millisecond or two."""
        with contextlib.suppress(AttributeError):
            if self._heap is None:
                _libc.malloc_trim(0)
                return
            start = ctypes.c_void_p(self._heap)
            _libc.munlock(start, ctypes.c_size_t(_libc.sbrk(0) - self._heap))
            _libc.malloc_trim(0)
            size = ctypes.c_size_t(_libc.sbrk(0) - self._heap)
            _libc.mlock2(start, size, ctypes.c_uint(_MLOCK_ON_FAULT))


OWN: Final = Memory()


def _heap_start() -> int | None:
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if line.endswith("[heap]"):
            return int(line.split("-")[0], 16)
    return None
