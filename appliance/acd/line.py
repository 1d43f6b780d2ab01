"""The one order of waiting, over all queues.

Priority is a head start
------------------------
Every caller has a moment from which the wait counts for the order: when they came, less a head
start of `STEP_MS` for each step of priority. Who has the earlier moment stands further ahead, so
the order of two waiting callers never changes by itself, and the caller with the longest
priority-adjusted wait goes first whatever the queue.

This is the rule "a newcomer goes before the first waiting caller of lower priority" with
priorities that grow with the wait, one step each `STEP_MS`: a newcomer passes exactly those whose
given priority plus the steps they have waited is lower than the newcomer's. Callers who came at
the same time stand in the strict order of their priorities, and a caller of higher priority is not
passed by a later one of lower priority.

Nobody starves: head starts lie within half of `BOUND_MS` to either side, so nobody is overtaken by
a caller who came more than `BOUND_MS` later.

A wanted place counts in the newcomer's own queue. It passes neither a caller of higher given
priority nor one who came more than `BOUND_MS` before, in any queue; the newcomer stops behind the
last of those.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from fractions import Fraction
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from appliance.acd.state import Waiting

STEP_MS: Final = 90_000
"""Head start of one step of priority; a bank's call centre with 444,448 calls a year used it."""
BOUND_MS: Final = 1_800_000
"""Twenty steps, as many as lie between the priorities -10 and 10 of the site document."""

Rank = tuple[int, int | Fraction]
"""The moment from which the wait counts, UTC ms, then the order among equal moments."""

_rank = attrgetter("rank")


def head_start_ms(priority: int) -> int:
    """Head start of a priority, within `BOUND_MS` / 2 to either side."""
    return max(-BOUND_MS // 2, min(BOUND_MS // 2, priority * STEP_MS))


def put(queued: list[Waiting], waiting: Waiting) -> int:
    """Insert by rank; the index it got."""
    insort(queued, waiting, key=_rank)
    return find(queued, waiting)


def find(queued: Sequence[Waiting], waiting: Waiting) -> int:
    """Index of a caller who stands in it."""
    return bisect_left(queued, waiting.rank, key=_rank)


def take(queued: list[Waiting], waiting: Waiting) -> int | None:
    """Remove; the index it had, None for a caller who did not stand there."""
    index = find(queued, waiting)
    if index == len(queued) or queued[index] is not waiting:
        return None
    del queued[index]
    return index


class Line:
    """All waiting callers in the order in which they are served."""

    def __init__(self) -> None:
        self.order: list[Waiting] = []
        self._count = 0

    def rank(self, waiting: Waiting, own: Sequence[Waiting], wanted: int | None) -> Rank:
        """Where a newcomer belongs. `own` are the callers of the same queue, in order; `wanted` is
        a place among them, 1 is next."""
        self._count += 1
        natural: Rank = (waiting.came - head_start_ms(waiting.priority), self._count)
        if wanted is None or wanted > len(own):
            return natural
        order = self.order
        target = find(order, own[max(wanted, 1) - 1])
        end = bisect_left(order, natural, key=_rank)
        for index in range(end - 1, target - 1, -1):
            other = order[index]
            if other.priority > waiting.priority or waiting.came - other.came > BOUND_MS:
                target = index + 1
                break
        if target >= end:
            return natural
        moment, number = order[target].rank
        if target and order[target - 1].rank[0] == moment:
            return moment, Fraction(order[target - 1].rank[1] + number) / 2
        return moment, number - 1

    def insert(self, waiting: Waiting) -> None:
        put(self.order, waiting)

    def remove(self, waiting: Waiting) -> bool:
        return take(self.order, waiting) is not None
