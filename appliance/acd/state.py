"""The mutable state behind the machine: agents, queues, waiting callers, offers.

What a decision needs is kept up to date instead of being looked for: each queue knows its callers
in order, those of them who can be given an agent (`wanting`) and its agents who can be rung
(`free`); what falls due stands in heaps. `Room.touch` notes agents of whom something changed;
`staff.refresh` brings the queues' knowledge of them up to date before it is used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from appliance.acd.actions import Action
from appliance.acd.estimate import Waited
from appliance.acd.line import Line, Rank, find, take
from appliance.acd.strategies import Chooser
from appliance.acd.timers import Timers
from appliance.acd.views import Phase
from appliance.events import AgentStateName, Fact
from appliance.site.model import Queue

REMEMBERED_WAITS: Final = 60

Due = Literal["offer", "wrap", "rest", "max_wait", "overflow", "prefer", "skill"]
Output = list[Fact | Action]


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
    """One stay in one queue, from `QEnter` to `QLeave`; or the place of a call-back (`booked`)
    whose person is not on the line."""

    entry: str
    call: str
    queue: str
    caller: str | None
    priority: int
    since: int
    came: int
    """From when the wait counts for the order: earlier than `since` after a transfer."""
    announce_at: int
    skill: int | None = None
    """The level of agent that is needed at first, under strategy `skills`; None: the queue's."""
    need: int = 1
    """The level needed now."""
    overflows: bool = True
    """May leave for where the queue overflows to."""
    booked: bool = False
    dialled: bool = False
    kept: Agent | None = None
    """The agent kept free for this booking."""
    rank: Rank = (0, 0)
    position: int = 1 << 30
    """Smallest place it ever had in its queue."""
    first_place: int = 0
    offered_at: int | None = None
    """When the first offer was made."""
    prefer: str | None = None
    """The agent whom this caller waits for alone."""
    prefer_until: int = 0
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
    since: int
    wrap_until: int | None = None
    longer_ms: int = 0
    """Asked for beyond the queue's wrap-up, one tap after the other."""


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
    booking: Waiting | None = None
    """The call-back this agent is kept free for."""
    idle_since: int = 0
    """Later of the end of the last wrap-up and the last change to ready."""
    rest_until: int = 0
    """No offers before this time."""
    misses: int = 0
    """Offers in a row that came to nothing by the agent's side."""
    faulted: bool = False
    """The one failure among them that is forgiven has been."""
    removed: bool = False
    """No longer in the site document; gone as soon as the present call is over."""
    shown: tuple[Phase, str | None] = ("offline", None)
    since: int = 0
    """When `shown` began."""
    members: list[Member] = field(default_factory=list)
    """The same agent as each of their queues sees them."""
    counted_in: bool = False
    counted_ready: bool = False
    counted_free: bool = False
    """What the queues were last told of this agent."""

    @property
    def phase(self) -> Phase:
        if self.talk is not None:
            return "busy" if self.talk.wrap_until is None else "wrap"
        if self.offer is not None:
            return "busy" if self.offer.accepted else "offered"
        if (self.engaged or self.booking is not None) and self.state != "offline":
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
            and self.booking is None
            and self.rest_until <= now
        )


@dataclass(slots=True, eq=False)
class Member:
    """An agent in one queue; a `strategies.Candidate`."""

    agent: Agent
    queue: QueueState
    index: int
    weight: int = 1
    level: int = 1
    calls: int = 0
    talk_ms: int = 0
    turns: int = 0

    @property
    def name(self) -> str:
        return self.agent.id

    @property
    def idle_since(self) -> int:
        return self.agent.idle_since


@dataclass(slots=True, eq=False)
class QueueState:
    """One queue."""

    id: str
    rules: Queue
    retired: bool = False
    """No longer in the site document."""
    members: dict[str, Member] = field(default_factory=dict)
    """In the order of the list."""
    line: list[Waiting] = field(default_factory=list)
    """All callers and bookings, in order."""
    callers: int = 0
    """Those of `line` who are on the phone."""
    wanting: list[Waiting] = field(default_factory=list)
    """Those of `line` who can be given an agent, in order."""
    free: dict[str, Member] = field(default_factory=dict)
    signed_in: int = 0
    ready: int = 0
    """Agents who are ready and reachable, those in a call included."""
    after: int = -1
    """Place in the list of the agent who was rung last."""
    waits: deque[Waited] = field(default_factory=lambda: deque(maxlen=REMEMBERED_WAITS))
    """Of those who got an agent after having to wait."""

    def wants(self, waiting: Waiting) -> bool:
        """Whether this caller can be given an agent (one more, where all are rung)."""
        if waiting.link is not None or waiting.kept is not None:
            return False
        if self.rules.strategy == "ring_all" and not waiting.booked:
            return True
        return not waiting.offers

    def note(self, waiting: Waiting) -> None:
        """Keep `wanting` right after something changed for this caller."""
        wanted = self.wants(waiting)
        if not wanted:
            take(self.wanting, waiting)
        else:
            index = find(self.wanting, waiting)
            if index == len(self.wanting) or self.wanting[index] is not waiting:
                self.wanting.insert(index, waiting)


@dataclass(slots=True)
class Room:
    """Everything that the queues' machine knows, and what this step has brought so far."""

    new_id: Callable[[str], str]
    choose: Chooser
    spoke: dict[str, tuple[str, int]]
    """Caller -> the agent who spoke with them last, and when; oldest first."""
    now: int = 0
    queues: dict[str, QueueState] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    line: Line = field(default_factory=Line)
    entries: dict[str, Waiting] = field(default_factory=dict)
    bookings: dict[str, Waiting] = field(default_factory=dict)
    closed_offers: dict[str, str] = field(default_factory=dict)
    due: Timers[tuple[Due, str]] = field(default_factory=Timers)
    announcements: Timers[str] = field(default_factory=Timers)
    touched: dict[Agent, None] = field(default_factory=dict)
    deserted: dict[QueueState, None] = field(default_factory=dict)
    """Queues whose callers may have nobody left to wait for."""
    out: Output = field(default_factory=list)

    def touch(self, agent: Agent) -> None:
        self.touched[agent] = None

    def queue_of(self, waiting: Waiting) -> QueueState:
        return self.queues[waiting.queue]
