"""What can be seen of the queues: values for the live state, made on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.events import AgentStateName

Phase = Literal["offline", "ready", "not_ready", "offered", "busy", "wrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent. `since` is when the phase (or its reason) began, UTC ms. `offer`, `entry`, `call`
    and `queue` are those of the ringing, running or just ended queue call; a busy agent without
    them is in a call of their own. `linked` tells that audio flows."""

    agent: str
    phase: Phase
    state: AgentStateName
    reason: str | None
    since: int
    reachable: bool
    engaged: bool
    queues: tuple[str, ...]
    offer: str | None = None
    entry: str | None = None
    call: str | None = None
    queue: str | None = None
    linked: bool = False
    wrap_until: int | None = None
    longer_ms: int = 0
    """Of the wrap-up: what the agent asked for beyond the queue's."""
    next_state: AgentStateName | None = None
    booking: str | None = None
    """The call-back that this agent is kept free for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """One waiting caller. `position` is the place in its queue that the caller may be told; it
    never goes up. `linking` is the agent who accepted and whose audio is being connected."""

    entry: str
    call: str
    queue: str
    caller: str | None
    priority: int
    since: int
    position: int
    offered_to: tuple[str, ...] = ()
    linking: str | None = None
    held_for: str | None = None
    """The agent who spoke with this caller last, while the call waits for them alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """One place kept for a call-back. `position` counts in the queue, real callers and other
    bookings included."""

    booking: str
    queue: str
    priority: int
    since: int
    position: int
    dialling: bool
    agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """One queue now. `ready` agents can be rung at once; `busy` ones ring, talk or wrap up;
    `not_ready` are signed in but paused or not reachable."""

    waiting: int
    oldest_since: int | None
    ready: int
    busy: int
    not_ready: int
