"""The clock of the beat: wakes the event loop at absolute times, to some ten microseconds.

asyncio's own timers are as coarse as a millisecond of `epoll_wait`. A timer of the kernel is a file
descriptor like any other, and costs one system call each time it is set.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_NONBLOCK: Final = 0o4000


class _Spec(ctypes.Structure):
    """`struct itimerspec`: interval and first expiry, seconds and nanoseconds each."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Beat:
    """Calls `due` on the loop at the times given to `at`, on the loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop = loop
        self._due = due
        self._timer: asyncio.TimerHandle | None = None
        libc = ctypes.CDLL(None, use_errno=True)
        self._set = libc.timerfd_settime
        self._spec = _Spec()
        self._file: int = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK)
        if self._file >= 0:
            self._arguments = (
                ctypes.c_int(self._file),
                ctypes.c_int(_ABSOLUTE),
                ctypes.byref(self._spec),
                None,
            )
            loop.add_reader(self._file, due)

    def at(self, time: float | None) -> None:
        """The next time, in place of any other; None for never. Setting it also takes back that
        the last one has come."""
        if self._file < 0:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if time is None else self._loop.call_at(time, self._due)
            return
        spec = self._spec
        if time is None:
            spec.at_s = spec.at_ns = 0
        else:
            spec.at_s, spec.at_ns = divmod(max(1, int(time * 1e9)), 1_000_000_000)
        self._set(*self._arguments)

    def close(self) -> None:
        self.at(None)
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1
