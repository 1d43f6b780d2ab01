"""The one clock of a process: UTC milliseconds that never run back."""

from __future__ import annotations

import time


class Clock:
    """UTC at the start plus monotonic time since. A step of the system's clock (a box without a
    battery meets its time server) is taken over by `follow`, forward only."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """UTC, milliseconds."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000

    def follow(self) -> int:
        """Move on to the system's clock if that is ahead; returns the step in milliseconds. A
        clock that was set back is ignored until it has caught up: durations stay true."""
        offset_ns = time.time_ns() - time.monotonic_ns()
        step = (offset_ns - self._offset_ns) // 1_000_000
        if step > 0:
            self._offset_ns = offset_ns
            return step
        return 0

    def not_before(self, at: int) -> None:
        """Start no earlier than `at`, UTC ms: a box without a battery wakes up in the past, and
        its facts must not."""
        behind = at - self.now()
        if behind > 0:
            self._offset_ns += behind * 1_000_000
