"""Guessing passwords does not pay: sources that fail too often are not listened to for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAILURES: Final = 10
"""Wrong passwords within `WINDOW_MS` that lock a source out: more than a phone with a mistyped
password makes while its owner stands in front of it."""
WINDOW_MS: Final = 60_000
FIRST_LOCK_MS: Final = 60_000
LONGEST_LOCK_MS: Final = 60 * 60_000
MAX_SOURCES: Final = 10_000


@dataclass(slots=True)
class _Record:
    since: int
    failures: int
    locked_until: int
    lock_ms: int


class Lockout:
    """Counts failures by source address. Each lock of the same source is twice as long."""

    def __init__(
        self,
        failures: int = FAILURES,
        window_ms: int = WINDOW_MS,
        first_lock_ms: int = FIRST_LOCK_MS,
        longest_lock_ms: int = LONGEST_LOCK_MS,
    ) -> None:
        self._failures, self._window_ms = failures, window_ms
        self._first_lock_ms, self._longest_lock_ms = first_lock_ms, longest_lock_ms
        self._records: dict[str, _Record] = {}

    def locked_ms(self, host: str, now: int) -> int:
        """How long this source is still locked out, 0 when it is not."""
        record = self._records.get(host)
        return max(0, record.locked_until - now) if record is not None else 0

    def failed(self, host: str, now: int) -> bool:
        """Note a wrong password; True when it just locked the source out."""
        record = self._records.pop(host, None)
        if record is None:
            record = _Record(now, 0, 0, self._first_lock_ms)
        # The most recent goes last, so that the table drops the quietest source.
        self._records[host] = record
        if len(self._records) > MAX_SOURCES:
            del self._records[next(iter(self._records))]
        if now - record.since > self._window_ms:
            if now - record.locked_until > self._longest_lock_ms:
                record.lock_ms = self._first_lock_ms
            record.since, record.failures = now, 0
        record.failures += 1
        if record.failures < self._failures:
            return False
        record.since, record.failures = now, 0
        record.locked_until = now + record.lock_ms
        record.lock_ms = min(record.lock_ms * 2, self._longest_lock_ms)
        return True
