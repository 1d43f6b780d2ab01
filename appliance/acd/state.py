"""The mutable state behind the machine: agents, waiting entries, offers."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.acd.views import Phase
from appliance.events import AgentStateName


@dataclass(slots=True, eq=False)
class Ringing:
    """An open offer."""

    offer: str
    entry: Waiting
    agent: Agent
    until: int
    accepted: bool = False
    """The agent answered; `until` is now when the link has to stand."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One stay in one queue, from `QEnter` to `QLeave`."""

    entry: str
    call: str
    queue: str
    caller: str | None
    priority: int
    since: int
    announce_at: int
    position: int = 1 << 30
    """Smallest place it ever had in its queue."""
    offers: dict[str, Ringing] = field(default_factory=dict)
    """Open offers by agent."""
    link: Ringing | None = None
    """The accepted one of them."""
    refused: dict[str, int] = field(default_factory=dict)
    """Offers of this entry that came to nothing, by agent."""


@dataclass(slots=True, eq=False)
class Talk:
    """An agent's part in an answered entry; in wrap-up once `wrap_until` is set."""

    call: str
    entry: str
    queue: str
    wrap_until: int | None = None


@dataclass(slots=True, eq=False)
class Agent:
    """One agent across all queues."""

    id: str
    state: AgentStateName = "offline"
    reason: str | None = None
    pending: tuple[AgentStateName, str | None] | None = None
    """Chosen during a call or wrap-up, takes effect after it."""
    reachable: bool = False
    engaged: bool = False
    offer: Ringing | None = None
    talk: Talk | None = None
    idle_since: int = 0
    """Later of the end of the last wrap-up and the last change to ready."""
    rest_until: int = 0
    """No offers before this time."""
    misses: int = 0
    """Offers missed or failed in a row."""
    removed: bool = False
    """No longer in the site document; gone as soon as the present call is over."""
    shown: tuple[Phase, str | None] = ("offline", None)
    since: int = 0
    """When `shown` began."""

    @property
    def phase(self) -> Phase:
        if self.talk is not None:
            return "busy" if self.talk.wrap_until is None else "wrap"
        if self.offer is not None:
            return "busy" if self.offer.accepted else "offered"
        if self.engaged and self.state != "offline":
            return "busy"
        return self.state

    def free(self, now: int) -> bool:
        """Can be offered a call right now."""
        return (
            self.state == "ready"
            and self.reachable
            and not self.engaged
            and self.offer is None
            and self.talk is None
            and self.rest_until <= now
        )
