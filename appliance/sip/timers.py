"""One heap of timers for the whole core; time is the caller's."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[int], None]


class Timer:
    """A pending action; `cancel` may be called at any time."""

    __slots__ = ("_owner", "action")

    def __init__(self, owner: Timers, action: Action) -> None:
        self._owner = owner
        self.action: Action | None = action

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self._owner.forget()


class Timers:
    """Actions by due time in ms. `len()` counts those that are still to run."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._serial = 0
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def at(self, due: int, action: Action) -> Timer:
        """Run `action(now)` once `due` is reached."""
        timer = Timer(self, action)
        self._serial += 1
        self._live += 1
        heapq.heappush(self._heap, (due, self._serial, timer))
        return timer

    def forget(self) -> None:
        """A timer was cancelled; its place in the heap goes when cancelled ones prevail."""
        self._live -= 1
        if len(self._heap) > 64 and self._live * 2 < len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)

    def next_deadline(self) -> int | None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: int) -> None:
        """Run what is due, in order of due time."""
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                self._live -= 1
                action(now)
