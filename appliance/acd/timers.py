"""Named moments in the future, in a heap. Pure: time is an argument."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

K = TypeVar("K")

_SLACK = 64
"""Stale heap items that are not worth a clean-up."""


class Timers(Generic[K]):
    """At most one moment (UTC ms) for each key. Setting, cancelling and asking for the next cost
    O(log n): a cancelled or moved moment stays in the heap until it comes to the top."""

    def __init__(self) -> None:
        self._at: dict[K, int] = {}
        self._heap: list[tuple[int, int, K]] = []
        self._count = 0

    def set(self, key: K, at: int) -> None:
        if self._at.get(key) == at:
            return
        self._at[key] = at
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, key))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [each for each in self._heap if self._at.get(each[2]) == each[0]]
            heapq.heapify(self._heap)

    def cancel(self, key: K) -> None:
        self._at.pop(key, None)

    def next(self) -> int | None:
        """The earliest moment; None while there is none."""
        heap = self._heap
        while heap and self._at.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: int) -> K | None:
        """Take out one key whose moment has come, earliest first; equal ones as they were set."""
        at = self.next()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._at[key]
        return key
