"""What the queues want the switch to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """Tell the caller the place in the queue, 1 is next."""

    entry: str
    call: str
    queue: str
    position: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The queue gave the caller up: route to the queue's `then`."""

    entry: str
    call: str
    queue: str
    reason: LeaveReason


Action = Ring | StopRinging | Link | Announce | Leave
Refusal = Literal["rejected", "missed", "failed"]
