"""Callers and bookings: how they come into the line, what falls due, what they are told."""

from __future__ import annotations

from typing import Final

from appliance import events as facts
from appliance.acd import offers, staff
from appliance.acd.actions import Announce
from appliance.acd.estimate import expected
from appliance.acd.events import Book, Enter, Met
from appliance.acd.line import find
from appliance.acd.state import Due, QueueState, Room, Waiting
from appliance.events import LeaveReason

DAY_MS: Final = 86_400_000
_OF_AGENTS: Final[frozenset[Due]] = frozenset({"offer", "wrap", "rest"})


# --- coming in ------------------------------------------------------------------------------


def enter(room: Room, event: Enter) -> None:
    if event.entry in room.entries:
        return
    queue = room.queues.get(event.queue)
    priority = event.priority
    if priority is None:
        priority = queue.rules.priority if queue else 0
    waiting = Waiting(
        entry=event.entry,
        call=event.call,
        queue=event.queue,
        caller=event.caller,
        priority=priority,
        since=room.now,
        came=room.now if event.since is None else min(event.since, room.now),
        announce_at=room.now,
        skill=event.skill,
        overflows=event.overflow,
    )
    refusal = _admit(room, waiting, queue, event.parent, event.open)
    if queue is None or refusal is not None:
        offers.give_up(room, waiting, refusal or "closed")
        return
    waiting.rank = room.line.rank(waiting, queue.line, event.position)
    _prefer(room, waiting, queue)
    offers.stand(room, waiting)


def _admit(
    room: Room,
    waiting: Waiting,
    queue: QueueState | None,
    parent: str | None,
    open_: bool,
) -> LeaveReason | None:
    """Write that the caller came; why they cannot wait here, None when they can."""
    room.entries[waiting.entry] = waiting
    room.out.append(
        facts.QEnter(
            at=room.now,
            call=waiting.call,
            entry=waiting.entry,
            queue=waiting.queue,
            caller=waiting.caller,
            priority=waiting.priority,
            parent=parent,
        )
    )
    if queue is None or queue.retired or not open_:
        return "closed"
    rules = queue.rules
    overflows = rules.overflow_to is not None and waiting.overflows
    if overflows and rules.overflow_unready and not queue.ready:
        return "overflow"
    if rules.leave_when_empty and not queue.signed_in:
        return "no_agent"
    if overflows and 0 < rules.overflow_waiting <= queue.callers:
        return "overflow"
    if 0 < rules.max_waiting <= queue.callers:
        return "full"
    return None


def _prefer(room: Room, waiting: Waiting, queue: QueueState) -> None:
    """Who spoke with this caller last gets the call first."""
    rules = queue.rules
    if not rules.last_agent_days or waiting.caller is None:
        return
    known = room.spoke.get(waiting.caller)
    if known is None or room.now - known[1] > rules.last_agent_days * DAY_MS:
        return
    member = queue.members.get(known[0])
    if member is None or member.agent.state != "ready" or not member.agent.reachable:
        return
    wait_s = rules.last_agent_wait_s
    if not wait_s:
        if not member.agent.free(room.now):
            return
        wait_s = rules.ring_s
    waiting.prefer, waiting.prefer_until = known[0], room.now + wait_s * 1000


def book(room: Room, event: Book) -> None:
    queue = room.queues.get(event.queue)
    if queue is None or queue.retired or event.booking in room.bookings:
        return
    waiting = Waiting(
        entry=event.booking,
        call="",
        queue=event.queue,
        caller=None,
        priority=queue.rules.priority if event.priority is None else event.priority,
        since=room.now,
        came=min(event.since, room.now),
        announce_at=room.now,
        booked=True,
    )
    waiting.rank = room.line.rank(waiting, queue.line, None)
    room.bookings[event.booking] = waiting
    offers.stand(room, waiting)


def unbook(room: Room, booking: str) -> Waiting | None:
    waiting = room.bookings.pop(booking, None)
    if waiting is not None:
        if waiting.kept is not None:
            offers.let_go(room, waiting.kept)
        offers.step_out(room, waiting)
    return waiting


def met(room: Room, event: Met) -> None:
    if event.entry in room.entries:
        return
    booked = room.bookings.get(event.booking)
    if booked is None:
        return
    agent = booked.kept
    unbook(room, event.booking)
    waiting = Waiting(
        entry=event.entry,
        call=event.call,
        queue=booked.queue,
        caller=event.caller,
        priority=booked.priority,
        since=room.now,
        came=booked.came,
        announce_at=room.now,
        rank=booked.rank,
    )
    queue = room.queues[booked.queue]
    _admit(room, waiting, queue, None, True)
    offers.stand(room, waiting)
    waiting.position = min(waiting.position, booked.position)
    if agent is not None and agent.free(room.now) and agent.id in queue.members:
        offers.offer(room, waiting, agent)
        queue.note(waiting)
    else:
        room.deserted[queue] = None


# --- what falls due -------------------------------------------------------------------------


def expire(room: Room) -> None:
    """Carry out what has fallen due: the agents' first, so that an offer missed at the very end of
    the longest wait counts as missed."""
    while True:
        due: list[tuple[Due, str]] = []
        while (key := room.due.pop_due(room.now)) is not None:
            due.append(key)
        if not due:
            return
        for kind, name in sorted(due, key=lambda each: each[0] not in _OF_AGENTS):
            if kind in _OF_AGENTS:
                _expire_agent(room, kind, name)
            else:
                _expire_caller(room, kind, name)


def _expire_agent(room: Room, kind: Due, name: str) -> None:
    agent = room.agents.get(name)
    if agent is None:
        return
    room.touch(agent)
    if kind == "offer" and agent.offer is not None:
        offers.refused(room, agent.offer, "failed" if agent.offer.accepted else "missed")
    elif kind == "wrap":
        staff.end_wrap(room, agent)


def _expire_caller(room: Room, kind: Due, name: str) -> None:
    waiting = room.entries.get(name) or room.bookings.get(name)
    if waiting is None or waiting.link is not None:
        return
    if kind == "max_wait":
        offers.give_up(room, waiting, "timeout")
    elif kind == "overflow":
        offers.give_up(room, waiting, "overflow")
    elif kind == "prefer":
        waiting.prefer = None
    elif kind == "skill":
        offers.arm_skill(room, waiting)


def desert(room: Room) -> None:
    """Callers do not wait where nobody is left to wait for."""
    while room.deserted:
        queue, _ = room.deserted.popitem()
        rules = queue.rules
        overflows = rules.overflow_to is not None and rules.overflow_unready and not queue.ready
        empty = rules.leave_when_empty and not queue.signed_in
        if not overflows and not empty:
            continue
        for waiting in tuple(queue.line):
            if waiting.link is not None or waiting.booked:
                continue
            if overflows and waiting.overflows:
                offers.give_up(room, waiting, "overflow")
            elif empty:
                offers.give_up(room, waiting, "no_agent")


# --- what callers are told ------------------------------------------------------------------


def announce(room: Room) -> None:
    told: list[Waiting] = []
    while (entry := room.announcements.pop_due(room.now)) is not None:
        told.append(room.entries[entry])
    if len(told) > 1:
        told.sort(key=lambda waiting: waiting.rank)
    for waiting in told:
        queue = room.queue_of(waiting)
        waiting.announce_at = room.now + queue.rules.announce_every_s * 1000
        room.announcements.set(waiting.entry, waiting.announce_at)
        # A caller whose agent rings already needs no place.
        if not waiting.offers:
            ahead = expected(queue.waits, find(queue.line, waiting) + 1, room.now)
            room.out.append(
                Announce(waiting.entry, waiting.call, waiting.queue, waiting.position, ahead)
            )
