"""How often somebody may do something: so many times within so long, per name. Pure: time is an
argument, in UTC milliseconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

MOST_NAMES: Final = 4096
"""Names kept; the ones unused for longest go first."""


class Allowance:
    """`most` times within `within_ms`, for each name by itself."""

    def __init__(self, most: int, within_ms: int) -> None:
        self._most, self._within_ms = most, within_ms
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_ms(self, name: str, now: int) -> int:
        """Milliseconds until once more is allowed; 0 means now, and counts."""
        times = self._times.setdefault(name, deque())
        self._times.move_to_end(name)
        while times and now - times[0] >= self._within_ms:
            times.popleft()
        if len(times) >= self._most:
            return times[0] + self._within_ms - now
        times.append(now)
        while len(self._times) > MOST_NAMES:
            self._times.popitem(last=False)
        return 0
