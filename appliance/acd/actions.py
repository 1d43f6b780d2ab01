"""What the queues want the switch to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.acd.estimate import Range
from appliance.events import LeaveReason, OfferResult


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring this agent; the queue ends the offer itself at `until` (UTC ms)."""

    offer: str
    entry: str
    call: str
    queue: str
    agent: str
    until: int


@dataclass(frozen=True, slots=True)
class StopRinging:
    """The offer is over: stop ringing, or hang up the agent who answered it. Also the answer to
    an `Accepted` that came too late; `entry` is empty when that offer is long forgotten."""

    offer: str
    entry: str
    agent: str
    result: OfferResult


@dataclass(frozen=True, slots=True)
class Link:
    """Connect the caller with the agent; answer with `Linked` or `LinkFailed`."""

    entry: str
    call: str
    agent: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the caller the place in the queue, 1 is next, and how long it will take if that is
    known."""

    entry: str
    call: str
    queue: str
    position: int
    expected: Range | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """The queue gave the caller up: route to `to`, the queue's `then` or `overflow_to` by the
    rules it was served by; empty for a queue that does not exist."""

    entry: str
    call: str
    queue: str
    reason: LeaveReason
    to: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """The turn of this booking has come and `agent` is kept free for it: call the person, then
    answer with `Met` or `Unbook`."""

    booking: str
    queue: str
    agent: str


Action = Ring | StopRinging | Link | Announce | Leave | Dial
Refusal = Literal["rejected", "missed", "failed"]
