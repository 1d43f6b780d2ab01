"""What became of those who asked to be called back.

The wait of a call-back runs from the request to the two-way audio with an agent, over all tries;
see the definitions of the figures. Who was reached in another call, cancelled, or not to be had has
no such wait. All are functions of the facts alone; a request belongs to the interval in which it
was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from appliance.events import (
    CallbackDialled,
    CallbackEnded,
    CallbackMissed,
    CallbackRequested,
    Connect,
    Fact,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRow:
    """One request. Times are UTC milliseconds."""

    callback: str
    queue: str
    number: str
    asked_at: int
    since: int
    """When the person began to wait: before `asked_at` for those who asked in the queue."""
    by: str | None = None
    tries: int = 0
    cause: str | None = None
    """Why the last try came to nothing."""
    connect_at: int | None = None
    ended_at: int | None = None
    result: str | None = None
    agent: str | None = None

    @property
    def wait_ms(self) -> int | None:
        """Request to connect; None for who was not connected by a call-back."""
        return None if self.connect_at is None else self.connect_at - self.asked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFigures:
    """Rates are fractions, times milliseconds, None where the denominator is empty."""

    requested: int
    connected: int
    reached: int
    in_vain: int
    """Abandoned, unreachable or expired."""
    cancelled: int
    open: int
    kept_rate: float | None
    """(connected + reached) / (all that ended but the cancelled)."""
    callback_wait_ms: float | None
    callback_max_wait_ms: int | None


def callback_rows(facts: Iterable[Fact]) -> tuple[CallbackRow, ...]:
    """The requests that these facts (in their order) tell of, in the order in which they came."""
    rows: dict[str, CallbackRow] = {}
    entries: dict[str, str] = {}
    for fact in facts:
        match fact:
            case CallbackRequested():
                rows[fact.callback] = CallbackRow(
                    callback=fact.callback,
                    queue=fact.queue,
                    number=fact.number,
                    asked_at=fact.at,
                    since=fact.since,
                    by=fact.by,
                )
            case CallbackDialled() if fact.callback in rows:
                entries[fact.entry] = fact.callback
                rows[fact.callback] = replace(rows[fact.callback], tries=fact.attempt)
            case CallbackMissed() if fact.callback in rows:
                rows[fact.callback] = replace(rows[fact.callback], cause=fact.cause)
            case Connect() if fact.entry in entries:
                name = entries[fact.entry]
                rows[name] = replace(rows[name], connect_at=fact.at, agent=fact.agent)
            case CallbackEnded() if fact.callback in rows:
                row = rows[fact.callback]
                rows[fact.callback] = replace(
                    row, ended_at=fact.at, result=fact.result, agent=fact.agent or row.agent
                )
    return tuple(rows.values())


def callback_wait(rows: Sequence[CallbackRow]) -> float | None:
    """Sum of (connect - request) / connected."""
    waits = [wait for row in rows if (wait := row.wait_ms) is not None]
    return sum(waits) / len(waits) if waits else None


def callback_figures(rows: Sequence[CallbackRow]) -> CallbackFigures:
    """All figures of these requests."""

    def ended(*results: str) -> int:
        return sum(row.result in results for row in rows)

    kept = ended("connected", "reached")
    over = kept + ended("abandoned", "unreachable", "expired")
    return CallbackFigures(
        requested=len(rows),
        connected=ended("connected"),
        reached=ended("reached"),
        in_vain=over - kept,
        cancelled=ended("cancelled"),
        open=sum(row.result is None for row in rows),
        kept_rate=kept / over if over else None,
        callback_wait_ms=callback_wait(rows),
        callback_max_wait_ms=max(
            (wait for row in rows if (wait := row.wait_ms) is not None), default=None
        ),
    )
