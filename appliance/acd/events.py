"""What the switch tells the queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from appliance.events import AgentStateName
from appliance.site.model import Queue


@dataclass(frozen=True, slots=True)
class SetState:
    """The agent chose a state. In a queue call and in wrap-up it takes effect afterwards, except
    that signing out ends a wrap-up at once. While ringing, anything but `ready` refuses the
    offer."""

    agent: str
    state: AgentStateName
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reachable:
    """The agent's browser audio is connected or the desk phone registered (`yes`), or no longer.
    Agents start unreachable; who is not reachable keeps the chosen state but gets no offers."""

    agent: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Engaged:
    """The agent is in a call that no queue gave (`yes`), or no longer."""

    agent: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Enter:
    """A caller starts to wait.

    `priority` None takes the queue's own; higher goes first. `parent` is the entry that was
    transferred here. `open` False: the queue's hours say closed, the entry leaves at once.
    `position` is a wanted place in the queue (1 is next); it never passes a higher priority.
    `since` (UTC ms) is when the caller began to wait for this call, where that was earlier: in the
    queue they were transferred from. It counts for the order alone. `overflow` False: where the
    queue overflows to did not take them, they stay. `skill` None takes the level that the queue
    asks for.
    """

    call: str
    entry: str
    queue: str
    caller: str | None = None
    priority: int | None = None
    parent: str | None = None
    open: bool = True
    position: int | None = None
    since: int | None = None
    skill: int | None = None
    overflow: bool = True


@dataclass(frozen=True, slots=True)
class Spoke:
    """The agent spoke with this caller at `at` (UTC ms), in a call that no queue gave or before
    this machine began; the queues' own calls are remembered without it."""

    agent: str
    caller: str
    at: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The waiting caller hung up, left by a key, or asked to be called back."""

    entry: str
    reason: Literal["abandoned", "key_exit", "callback_requested"] = "abandoned"


@dataclass(frozen=True, slots=True)
class Book:
    """A place in the line for somebody who is to be called back and waits since `since` (UTC ms).
    When its turn comes an agent is kept free and the action `Dial` says to call. Nothing happens
    for a queue that does not exist."""

    booking: str
    queue: str
    since: int
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """The person of this booking answered: from now on a caller who waits at the same place, and
    the agent kept free is rung at once."""

    booking: str
    call: str
    entry: str
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class Unbook:
    """The place is given up; an agent kept free for it is free again."""

    booking: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The agent answered this offer."""

    agent: str
    offer: str


@dataclass(frozen=True, slots=True)
class Take:
    """The agent takes this waiting caller without having been chosen (picks up what rings at a
    colleague). Whatever else they were doing for no queue is over; an agent who talks with a
    queue's caller, and an entry that somebody accepted, stay as they are."""

    agent: str
    entry: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The agent refused (`rejected`), did not answer (`missed`), or could not be rung
    (`failed`)."""

    agent: str
    offer: str
    result: Literal["rejected", "missed", "failed"]


@dataclass(frozen=True, slots=True)
class Linked:
    """Audio flows both ways between the caller of this entry and the agent who accepted."""

    entry: str


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The agent who accepted was gone before audio flowed; the caller is still there."""

    entry: str
    agent: str


@dataclass(frozen=True, slots=True)
class Released:
    """The agent's part in the queue call ended."""

    agent: str


@dataclass(frozen=True, slots=True)
class WrapDone:
    """The agent ended the wrap-up."""

    agent: str


@dataclass(frozen=True, slots=True)
class WrapLonger:
    """The agent wants so much more time after this call than the queue gives; in the talk
    already, or in the wrap-up."""

    agent: str
    ms: int


@dataclass(frozen=True, slots=True)
class QueuesChanged:
    """The site document changed. Waiting callers keep their place, whatever changed. Callers in a
    queue that is gone are served out by its old rules; agents who are gone finish their call and
    are signed out."""

    queues: Mapping[str, Queue]
    agents: Iterable[str]


Event = (
    SetState
    | Reachable
    | Engaged
    | Enter
    | Spoke
    | Gone
    | Book
    | Met
    | Unbook
    | Accepted
    | Take
    | Declined
    | Linked
    | LinkFailed
    | Released
    | WrapDone
    | WrapLonger
    | QueuesChanged
)
