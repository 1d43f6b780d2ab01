"""How agents spent their time, cut at the borders of an interval.

Every instant of an agent is exactly one of: handling (from the connect to the end of the wrap-up),
else idle and ready, else not ready, else signed out. Handling wins over what the agent chose, so
occupancy cannot exceed 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.events import AgentState
from appliance.ledger.projection import Entry

Span = tuple[int, int]
"""Start and end, UTC milliseconds, start < end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTime:
    """One agent's milliseconds in an interval; they do not overlap."""

    agent: str
    handling_ms: int
    idle_ms: int
    not_ready_ms: int

    @property
    def logged_in_ms(self) -> int:
        return self.handling_ms + self.idle_ms + self.not_ready_ms


def occupancy(time: AgentTime) -> float | None:
    """(Talk + hold + wrap-up) / (logged in - not ready); None for an agent who was never ready."""
    ready = time.logged_in_ms - time.not_ready_ms
    return time.handling_ms / ready if ready else None


def agent_times(
    entries: Sequence[Entry],
    states: Iterable[AgentState],
    since_ms: int,
    until_ms: int,
    now: int,
) -> list[AgentTime]:
    """The time of every agent met in the interval, by agent id.

    `entries` may begin before the interval; what goes on at `now` counts up to there. `states` are
    in the order of time, with each agent's last one before the interval (`Reader.agent_states`).
    """
    until_ms = min(until_ms, now)
    handling: dict[str, list[Span]] = {}
    for e in entries:
        if e.agent is not None and e.connect_at is not None:
            end = now if e.wrap_end_at is None else e.wrap_end_at
            handling.setdefault(e.agent, []).append((e.connect_at, end))
    chosen = _chosen(states, now)
    times: list[AgentTime] = []
    for agent in sorted(handling.keys() | chosen.keys()):
        busy = _cut(handling.get(agent, []), since_ms, until_ms)
        ready = _cut(chosen.get(agent, {}).get("ready", []), since_ms, until_ms)
        away = _cut(chosen.get(agent, {}).get("not_ready", []), since_ms, until_ms)
        worked = _length(busy)
        time = AgentTime(
            agent=agent,
            handling_ms=worked,
            idle_ms=_length(busy + ready) - worked,
            not_ready_ms=_length(busy + ready + away) - _length(busy + ready),
        )
        if time.logged_in_ms:
            times.append(time)
    return times


def _chosen(states: Iterable[AgentState], now: int) -> dict[str, dict[str, list[Span]]]:
    """Agent -> state -> spans; a state lasts until the next one."""
    spans: dict[str, dict[str, list[Span]]] = {}
    current: dict[str, AgentState] = {}
    for state in states:
        before = current.get(state.agent)
        if before is not None:
            spans.setdefault(state.agent, {}).setdefault(before.state, []).append(
                (before.at, state.at)
            )
        current[state.agent] = state
    for agent, last in current.items():
        spans.setdefault(agent, {}).setdefault(last.state, []).append((last.at, now))
    return spans


def _cut(spans: Iterable[Span], since: int, until: int) -> list[Span]:
    cut = ((max(start, since), min(end, until)) for start, end in spans)
    return [(start, end) for start, end in cut if start < end]


def _length(spans: Iterable[Span]) -> int:
    """Length of the union."""
    total = 0
    reached: int | None = None
    for start, end in sorted(spans):
        if reached is None or start > reached:
            total += end - start
            reached = end
        elif end > reached:
            total += end - reached
            reached = end
    return total
