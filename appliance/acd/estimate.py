"""How long a caller will wait, as a range, from how long those before waited.

Each caller who had to wait moved up through a number of places in a time, so the queue moves on by
one place in `m` = all waits / all places. A wait of `k` places is the sum of `k` such moves: it is
expected around `m k`, and its spread grows with the square root of `k`. The range holds about four
of five waits while traffic stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEAST_HISTORY: Final = 5
"""Fewer waits say nothing."""
HISTORY_MS: Final = 3_600_000
"""Older waits are of another hour of the day."""
Z: Final = 1.2816
"""Standard normal: 80 % lie within."""
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Waited:
    """One caller who got an agent: when (UTC ms), from which place, after how long (ms)."""

    at: int
    place: int
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Range:
    """`low_ms <= high_ms`, both of the wait that lies ahead."""

    low_ms: int
    high_ms: int

    @property
    def minutes(self) -> tuple[int, int]:
        """As it is said: whole minutes, the range never made narrower; at least (0, 1)."""
        return self.low_ms // MINUTE_MS, max(1, -(-self.high_ms // MINUTE_MS))


def expected(history: Iterable[Waited], place: int, now: int) -> Range | None:
    """The wait ahead of a caller at this place (1 is next); None without enough history."""
    recent = [w for w in history if w.place >= 1 and now - w.at <= HISTORY_MS]
    if len(recent) < LEAST_HISTORY or place < 1:
        return None
    move = sum(w.wait_ms for w in recent) / sum(w.place for w in recent)
    variance = sum((w.wait_ms - move * w.place) ** 2 / w.place for w in recent) / (len(recent) - 1)
    middle, reach = move * place, Z * math.sqrt(variance * place)
    return Range(max(0, round(middle - reach)), round(middle + reach))
