"""How often somebody may try to sign in: a growing delay, never a lock-out.

Failures count twice: for the account as tried from one address, and for the address over all
accounts. A stranger therefore slows down himself, not the owner of the account, and nobody is
ever locked out for good. Pure: time is an argument, in UTC milliseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_TRIES: Final = 3
"""Failures of one account from one address before the first delay: everybody mistypes."""
FREE_TRIES_ADDRESS: Final = 15
"""The same for all accounts of one address: an office behind one router shares it."""
FIRST_DELAY_MS: Final = 1_000
LONGEST_DELAY_MS: Final = 60_000
FORGET_MS: Final = 15 * 60_000
"""Without a failure for this long, the past is forgotten."""
MOST_KEYS: Final = 4096
"""Keys kept; the ones unused for longest go first."""


@dataclass(slots=True)
class _Count:
    failures: int
    last: int


class Attempts:
    """Failed sign-ins by key, bounded in memory."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def wait_ms(self, person: str, address: str, now: int) -> int:
        """Milliseconds until the next try may be made; 0 means now."""
        return max(
            self._wait((person, address), FREE_TRIES, now),
            self._wait(("", address), FREE_TRIES_ADDRESS, now),
        )

    def failed(self, person: str, address: str, now: int) -> None:
        for key in ((person, address), ("", address)):
            count = self._counts.get(key)
            if count is None or now - count.last >= FORGET_MS:
                count = _Count(0, now)
            count.failures += 1
            count.last = now
            self._counts[key] = count
            self._counts.move_to_end(key)
        while len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)

    def succeeded(self, person: str, address: str) -> None:
        """The account's own count ends; the address keeps its own until it is forgotten."""
        self._counts.pop((person, address), None)

    def _wait(self, key: tuple[str, str], free: int, now: int) -> int:
        count = self._counts.get(key)
        if count is None or now - count.last >= FORGET_MS or count.failures < free:
            return 0
        # 2**7 s is already over the longest delay; the exponent stays small whatever is counted.
        delay = min(LONGEST_DELAY_MS, FIRST_DELAY_MS << min(count.failures - free, 7))
        return max(0, count.last + delay - now)
