"""The queues' one machine.

How it works
------------
All waiting callers stand in ONE order, over all queues (`line`): the longest wait first, with
priority as a head start. A call is offered to agents from the head of it, so whoever stands
further ahead gets a free agent first, whatever the queue. An entry keeps its place until it leaves:
while it is offered, while a link is being made, when a link fails, and when the document changes.

Every event runs in three parts, inside one call of `handle`: the event itself; what has fallen due
(offers, links, wrap-ups, longest waits); then offers to whoever is free. So a freed agent gets the
next call in the same step that freed them, and of two agents who answer the same call the first
event wins and the second finds its offer closed.

An accepted offer stays open until audio flows: `Linked` closes it as accepted together with the
connect, `LinkFailed` as failed, and the caller waits on at the same place.

Which of the free agents is rung is the queue's strategy (`strategies`), after one rule that comes
before all of them: who spoke with the caller last, where the queue asks for that.

Somebody who is to be called back has a place in the same order (`Book`). When it is their turn an
agent is kept free, then the call goes out (`Dial`): never more calls than agents kept for them, and
nobody overtakes anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from appliance.acd import agents as desk
from appliance.acd import entries, offers, staff
from appliance.acd.estimate import Range, expected
from appliance.acd.events import (
    Accepted,
    Book,
    Declined,
    Engaged,
    Enter,
    Event,
    Gone,
    Linked,
    LinkFailed,
    Met,
    QueuesChanged,
    Reachable,
    Released,
    SetState,
    Spoke,
    Take,
    Unbook,
    WrapDone,
    WrapLonger,
)
from appliance.acd.offers import AUTO_PAUSE_REASON, LINK_MS, REST_MS
from appliance.acd.state import Agent, Member, Output, QueueState, Room
from appliance.acd.strategies import Chooser, seeded
from appliance.acd.views import AgentView, BookingView, QueueCounts, WaitingView
from appliance.site.model import Queue

__all__ = ["AUTO_PAUSE_REASON", "LINK_MS", "REST_MS", "Acd", "Output"]


class Acd:
    """All queues and agents. `now` is UTC milliseconds and never runs back.

    `queues` and `agents` are those of the site document, `new_id("offer")` makes ids, `choose` is
    the chance of strategy `random`, `spoke` tells of earlier days who spoke with which caller last
    and when (UTC ms), oldest first. Events that name unknown agents, entries or offers change
    nothing. Agents start offline and unreachable.
    """

    def __init__(
        self,
        queues: Mapping[str, Queue],
        agents: Iterable[str],
        new_id: Callable[[str], str],
        *,
        choose: Chooser | None = None,
        spoke: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        self._room = Room(new_id, choose or seeded(0), dict(spoke or {}))
        self._room.agents = {name: Agent(name) for name in agents}
        self._room.queues = {name: QueueState(name, rules) for name, rules in queues.items()}
        self._assign()

    # --- in and out -------------------------------------------------------------------------

    def handle(self, event: Event, now: int) -> Output:
        """Take one event; facts and actions in the order in which they happened."""
        room = self._room
        room.now = now
        match event:
            case SetState():
                desk.set_state(room, event)
            case Reachable(agent, yes):
                desk.reachable(room, agent, yes)
            case Engaged(agent, yes):
                desk.engaged(room, agent, yes)
            case Enter():
                entries.enter(room, event)
            case Spoke(agent, caller, at):
                offers.remember(room, caller, agent, at)
            case Gone(entry, reason):
                if (waiting := room.entries.get(entry)) is not None:
                    offers.leave(room, waiting, reason)
            case Book():
                entries.book(room, event)
            case Met():
                entries.met(room, event)
            case Unbook(booking):
                entries.unbook(room, booking)
            case Accepted(agent, offer):
                offers.accepted(room, agent, offer)
            case Take(agent, entry):
                offers.taken(room, agent, entry)
            case Declined(agent, offer, result):
                if (ringing := offers.open_offer(room, agent, offer)) is not None:
                    offers.refused(room, ringing, result)
            case Linked(entry):
                offers.linked(room, entry)
            case LinkFailed(entry, agent):
                waiting = room.entries.get(entry)
                if waiting and waiting.link and waiting.link.agent.id == agent:
                    offers.refused(room, waiting.link, "failed")
            case Released(agent):
                desk.released(room, agent)
            case WrapDone(agent):
                desk.wrap_done(room, agent)
            case WrapLonger(agent, ms):
                desk.wrap_longer(room, agent, ms)
            case QueuesChanged(queues, agents):
                self._change(queues, agents)
        return self._settle()

    def tick(self, now: int) -> Output:
        """Carry out what has fallen due."""
        self._room.now = now
        return self._settle()

    def next_deadline(self) -> int | None:
        """When `tick` has something to do, UTC ms; None while nothing is pending."""
        first, second = self._room.due.next(), self._room.announcements.next()
        if first is None or second is None:
            return second if first is None else first
        return min(first, second)

    def _settle(self) -> Output:
        room = self._room
        entries.expire(room)
        staff.refresh(room)
        if room.deserted:
            entries.desert(room)
            staff.refresh(room)
        offers.dispatch(room)
        entries.announce(room)
        staff.show(room)
        self._forget()
        out, room.out = room.out, []
        return out

    # --- what can be seen -------------------------------------------------------------------

    def agent(self, agent_id: str) -> AgentView:
        """One agent now. Raises KeyError for an unknown one."""
        agent = self._room.agents[agent_id]
        view: dict[str, str | None] = {}
        if agent.talk is not None:
            talk = agent.talk
            view = {"entry": talk.entry, "call": talk.call, "queue": talk.queue}
        elif agent.offer is not None:
            entry = agent.offer.entry
            view = {"entry": entry.entry, "call": entry.call, "queue": entry.queue}
        return AgentView(
            agent=agent.id,
            phase=agent.phase,
            state=agent.state,
            reason=agent.reason,
            since=agent.since,
            reachable=agent.reachable,
            engaged=agent.engaged,
            queues=tuple(member.queue.id for member in agent.members),
            offer=agent.offer.offer if agent.offer else None,
            entry=view.get("entry"),
            call=view.get("call"),
            queue=view.get("queue"),
            linked=agent.talk is not None and agent.talk.wrap_until is None,
            wrap_until=agent.talk.wrap_until if agent.talk else None,
            longer_ms=agent.talk.longer_ms if agent.talk else 0,
            next_state=agent.pending[0] if agent.pending else None,
            booking=agent.booking.entry if agent.booking else None,
        )

    def agents(self) -> tuple[str, ...]:
        """Ids of the agents, those leaving after their present call included."""
        return tuple(self._room.agents)

    def waiting(self) -> tuple[WaitingView, ...]:
        """All waiting callers, in the order in which they will be served."""
        return tuple(
            WaitingView(
                entry=waiting.entry,
                call=waiting.call,
                queue=waiting.queue,
                caller=waiting.caller,
                priority=waiting.priority,
                since=waiting.since,
                position=waiting.position,
                offered_to=tuple(
                    ringing.agent.id for ringing in waiting.offers.values() if not ringing.accepted
                ),
                linking=waiting.link.agent.id if waiting.link else None,
                held_for=waiting.prefer,
            )
            for waiting in self._room.line.order
            if not waiting.booked
        )

    def bookings(self) -> tuple[BookingView, ...]:
        """All places kept for call-backs, in the order in which they will be called."""
        return tuple(
            BookingView(
                booking=waiting.entry,
                queue=waiting.queue,
                priority=waiting.priority,
                since=waiting.came,
                position=waiting.position,
                dialling=waiting.dialled,
                agent=waiting.kept.id if waiting.kept else None,
            )
            for waiting in self._room.line.order
            if waiting.booked
        )

    def counts(self, queue_id: str) -> QueueCounts:
        """One queue now. Raises KeyError for an unknown one."""
        queue = self._room.queues[queue_id]
        since = [waiting.since for waiting in queue.line if not waiting.booked]
        ready = busy = not_ready = 0
        for member in queue.members.values():
            match member.agent.phase:
                case "offline":
                    pass
                case "ready" if member.agent.reachable:
                    ready += 1
                case "ready" | "not_ready":
                    not_ready += 1
                case _:
                    busy += 1
        return QueueCounts(
            waiting=len(since),
            oldest_since=min(since, default=None),
            ready=ready,
            busy=busy,
            not_ready=not_ready,
        )

    def expected_wait(self, queue_id: str, now: int, place: int | None = None) -> Range | None:
        """The wait ahead at this place, or of a newcomer; None without enough history. Raises
        KeyError for an unknown queue."""
        queue = self._room.queues[queue_id]
        return expected(queue.waits, len(queue.line) + 1 if place is None else place, now)

    # --- the document changes ---------------------------------------------------------------

    def _change(self, queues: Mapping[str, Queue], agents: Iterable[str]) -> None:
        room = self._room
        for queue in room.queues.values():
            queue.retired = queue.id not in queues
        kept = {name: queue for name, queue in room.queues.items() if queue.retired}
        for name, rules in queues.items():
            queue = kept[name] = room.queues.get(name) or QueueState(name, rules)
            queue.rules = rules
        room.queues = kept
        wanted = dict.fromkeys(agents)
        for name in wanted:
            agent = room.agents.setdefault(name, Agent(name, since=room.now))
            if agent.removed:
                agent.removed, agent.pending = False, None
        self._assign()
        for agent in room.agents.values():
            ringing = agent.offer
            agent.removed = agent.id not in wanted
            if (
                ringing is not None
                and not ringing.accepted
                and (agent.removed or agent.id not in room.queue_of(ringing.entry).members)
            ):
                offers.close_offer(room, ringing, "withdrawn")
            if agent.booking is not None and (
                agent.removed or agent.id not in room.queue_of(agent.booking).members
            ):
                offers.let_go(room, agent)
            if agent.removed:
                agent.pending = ("offline", None)
                if agent.talk is None and agent.offer is None:
                    staff.apply_pending(room, agent)
        for queue in room.queues.values():
            for waiting in queue.line:
                queue.note(waiting)
                if waiting.prefer is not None and waiting.prefer not in queue.members:
                    waiting.prefer = None
                if waiting.link is None:
                    offers.arm(room, waiting)
            room.deserted[queue] = None

    def _assign(self) -> None:
        """Who works for which queue, by the present rules; counts of those who stay go on."""
        room = self._room
        for agent in room.agents.values():
            agent.members = []
            agent.counted_in = agent.counted_ready = agent.counted_free = False
            room.touch(agent)
        for queue in room.queues.values():
            rules, old = queue.rules, queue.members
            names = [name for name in dict.fromkeys(rules.agents) if name in room.agents]
            behind = [name for name, member in old.items() if member.index <= queue.after]
            queue.members = {}
            for index, name in enumerate(names):
                agent = room.agents[name]
                member = old.get(name) or Member(agent, queue, index)
                member.index = index
                member.weight = rules.weights.get(name, 1)
                member.level = rules.levels.get(name, 1)
                queue.members[name] = member
                agent.members.append(member)
            for name, member in queue.members.items():
                if name not in old and member.agent.state != "offline":
                    staff.level(member)
            # The turn goes on behind the last of those who had theirs and are still here.
            last = next((name for name in reversed(behind) if name in queue.members), None)
            queue.after = -1 if last is None else queue.members[last].index
            queue.free, queue.signed_in, queue.ready = {}, 0, 0

    def _forget(self) -> None:
        """Queues that are gone from the document, once nobody is left in them."""
        room = self._room
        for queue in [queue for queue in room.queues.values() if queue.retired]:
            talks = any(
                agent.talk and agent.talk.queue == queue.id for agent in room.agents.values()
            )
            if not queue.line and not talks:
                del room.queues[queue.id]
                for member in queue.members.values():
                    member.agent.members.remove(member)
