"""The queues' one machine.

How it works
------------
All waiting callers stand in ONE list, over all queues: higher priority first, then first come. A
call is offered to agents by walking that list from its head, so whoever stands further ahead gets
a free agent first, whatever the queue. An entry keeps its place until it leaves: while it is
offered, while a link is being made, and when a link fails.

Every event runs in three parts, inside one call of `handle`: the event itself; what has fallen due
(offers, links, wrap-ups, longest waits); then offers to whoever is free. So a freed agent gets the
next call in the same step that freed them, and of two agents who answer the same call the first
event wins and the second finds its offer closed.

An accepted offer stays open until audio flows: `Linked` closes it as accepted together with the
connect, `LinkFailed` as failed, and the caller waits on at the same place.

Longest idle counts from the later of the end of the last wrap-up and the last change to ready. For
one entry, agents who let it ring in vain come after those who did not, or a caller could circle
between two absent agents while a third is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from appliance import events as facts
from appliance.acd.actions import Action, Announce, Leave, Link, Refusal, Ring, StopRinging
from appliance.acd.events import (
    Accepted,
    Declined,
    Engaged,
    Enter,
    Event,
    Gone,
    Linked,
    LinkFailed,
    QueuesChanged,
    Reachable,
    Released,
    SetState,
    WrapDone,
)
from appliance.acd.state import Agent, Ringing, Talk, Waiting
from appliance.acd.views import AgentView, QueueCounts, WaitingView
from appliance.events import AgentStateName, Fact, LeaveReason, OfferResult
from appliance.site.model import Queue

AUTO_PAUSE_AFTER: Final = 3
"""Offers missed or failed in a row before the agent is set to not ready."""
AUTO_PAUSE_REASON: Final = "missed calls"
REST_MS: Final = 5_000
"""After an offer in vain the agent is left alone this long: a phone that refuses by itself (do not
disturb) must not be rung in a tight loop."""
LINK_MS: Final = 10_000
"""An accepted call has to have audio within this time, or its offer fails; nobody stays stuck."""
REMEMBERED_OFFERS: Final = 512

Output = list[Fact | Action]


class Acd:
    """All queues and agents. `now` is UTC milliseconds and never runs back.

    `queues` and `agents` are those of the site document, `new_id("offer")` makes ids. Events that
    name unknown agents, entries or offers change nothing. Agents start offline and unreachable.
    """

    def __init__(
        self,
        queues: Mapping[str, Queue],
        agents: Iterable[str],
        new_id: Callable[[str], str],
    ) -> None:
        self._queues: dict[str, Queue] = dict(queues)
        self._retired: set[str] = set()
        self._agents: dict[str, Agent] = {name: Agent(name) for name in agents}
        self._order: list[Waiting] = []
        self._entries: dict[str, Waiting] = {}
        self._closed_offers: dict[str, str] = {}
        self._new_id = new_id
        self._now = 0
        self._out: Output = []

    # --- in and out -------------------------------------------------------------------------

    def handle(self, event: Event, now: int) -> Output:
        """Take one event; facts and actions in the order in which they happened."""
        self._now = now
        match event:
            case SetState():
                self._set_state(event)
            case Reachable(agent, yes):
                self._reachable(agent, yes)
            case Engaged(agent, yes):
                self._engaged(agent, yes)
            case Enter():
                self._enter(event)
            case Gone(entry, reason):
                if (waiting := self._entries.get(entry)) is not None:
                    self._leave(waiting, reason)
            case Accepted(agent, offer):
                self._accepted(agent, offer)
            case Declined(agent, offer, result):
                if (ringing := self._open_offer(agent, offer)) is not None:
                    self._refused(ringing, result)
            case Linked(entry):
                self._linked(entry)
            case LinkFailed(entry, agent):
                waiting = self._entries.get(entry)
                if waiting and waiting.link and waiting.link.agent.id == agent:
                    self._refused(waiting.link, "failed")
            case Released(agent):
                self._released(agent)
            case WrapDone(agent):
                if (known := self._agents.get(agent)) is not None:
                    self._end_wrap(known)
            case QueuesChanged(queues, agents):
                self._change(queues, agents)
        return self._settle()

    def tick(self, now: int) -> Output:
        """Carry out what has fallen due."""
        self._now = now
        return self._settle()

    def next_deadline(self) -> int | None:
        """When `tick` has something to do, UTC ms; None while nothing is pending."""
        due: list[int] = []
        wanted_by: set[str] = set()
        for waiting in self._order:
            if waiting.link is not None:
                due.append(waiting.link.until)
                continue
            queue = self._queues[waiting.queue]
            wanted_by.add(waiting.queue)
            if queue.announce_position:
                due.append(waiting.announce_at)
            if queue.max_wait_s:
                due.append(waiting.since + queue.max_wait_s * 1000)
            due.extend(ringing.until for ringing in waiting.offers.values())
        wanted = {name for queue_id in wanted_by for name in self._queues[queue_id].agents}
        for agent in self._agents.values():
            if agent.talk is not None:
                if agent.talk.wrap_until is not None:
                    due.append(agent.talk.wrap_until)
            elif agent.rest_until > self._now and agent.offer is None and agent.id in wanted:
                due.append(agent.rest_until)
        return min(due, default=None)

    # --- what can be seen -------------------------------------------------------------------

    def agent(self, agent_id: str) -> AgentView:
        """One agent now. Raises KeyError for an unknown one."""
        agent = self._agents[agent_id]
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
            queues=tuple(name for name, queue in self._queues.items() if agent.id in queue.agents),
            offer=agent.offer.offer if agent.offer else None,
            entry=view.get("entry"),
            call=view.get("call"),
            queue=view.get("queue"),
            linked=agent.talk is not None and agent.talk.wrap_until is None,
            wrap_until=agent.talk.wrap_until if agent.talk else None,
            next_state=agent.pending[0] if agent.pending else None,
        )

    def agents(self) -> tuple[str, ...]:
        """Ids of the agents, those leaving after their present call included."""
        return tuple(self._agents)

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
            )
            for waiting in self._order
        )

    def counts(self, queue_id: str) -> QueueCounts:
        """One queue now. Raises KeyError for an unknown one."""
        queue = self._queues[queue_id]
        since = [waiting.since for waiting in self._order if waiting.queue == queue_id]
        ready = busy = not_ready = 0
        for agent in self._staff(queue):
            match agent.phase:
                case "offline":
                    pass
                case "ready" if agent.reachable:
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

    # --- agents -----------------------------------------------------------------------------

    def _set_state(self, event: SetState) -> None:
        agent = self._agents.get(event.agent)
        if agent is None or agent.removed:
            return
        reason = event.reason if event.state == "not_ready" else None
        if event.state == "ready":
            agent.misses = 0
            agent.rest_until = 0
        talk = agent.talk
        if talk is not None or (agent.offer is not None and agent.offer.accepted):
            same = (event.state, reason) == (agent.state, agent.reason)
            agent.pending = None if same else (event.state, reason)
            if event.state == "offline" and talk is not None and talk.wrap_until is not None:
                self._end_wrap(agent)
            return
        if event.state != "ready" and agent.offer is not None:
            self._close_offer(agent.offer, "rejected")
        self._choose(agent, event.state, reason)

    def _choose(self, agent: Agent, state: AgentStateName, reason: str | None) -> None:
        """The chosen state takes effect."""
        if (state, reason) == (agent.state, agent.reason):
            return
        if state == "ready" and agent.state != "ready":
            agent.idle_since = self._now
        agent.state, agent.reason = state, reason
        self._out.append(facts.AgentState(at=self._now, agent=agent.id, state=state, reason=reason))

    def _reachable(self, agent_id: str, yes: bool) -> None:
        agent = self._agents.get(agent_id)
        if agent is None:
            return
        agent.reachable = yes
        if not yes and agent.offer is not None and not agent.offer.accepted:
            self._refused(agent.offer, "failed")

    def _engaged(self, agent_id: str, yes: bool) -> None:
        agent = self._agents.get(agent_id)
        if agent is None:
            return
        agent.engaged = yes
        if yes and agent.offer is not None and not agent.offer.accepted:
            self._close_offer(agent.offer, "withdrawn")

    def _released(self, agent_id: str) -> None:
        agent = self._agents.get(agent_id)
        if agent is None:
            return
        if agent.offer is not None and agent.offer.accepted:
            self._refused(agent.offer, "failed")
            return
        talk = agent.talk
        if talk is None or talk.wrap_until is not None:
            return
        queue = self._queues.get(talk.queue)
        wrap_ms = queue.wrap_up_s * 1000 if queue else 0
        talk.wrap_until = self._now + wrap_ms
        self._out.append(
            facts.WrapStart(
                at=self._now, agent=agent.id, call=talk.call, entry=talk.entry, queue=talk.queue
            )
        )
        signs_out = agent.pending is not None and agent.pending[0] == "offline"
        if wrap_ms == 0 or signs_out:
            self._end_wrap(agent)

    def _end_wrap(self, agent: Agent) -> None:
        talk = agent.talk
        if talk is None or talk.wrap_until is None:
            return
        agent.talk = None
        agent.idle_since = self._now
        self._out.append(
            facts.WrapEnd(
                at=self._now, agent=agent.id, call=talk.call, entry=talk.entry, queue=talk.queue
            )
        )
        self._apply_pending(agent)

    def _apply_pending(self, agent: Agent) -> None:
        if agent.pending is not None:
            state, reason = agent.pending
            agent.pending = None
            self._choose(agent, state, reason)

    # --- callers ----------------------------------------------------------------------------

    def _enter(self, event: Enter) -> None:
        if event.entry in self._entries:
            return
        queue = self._queues.get(event.queue)
        priority = event.priority
        if priority is None:
            priority = queue.priority if queue else 0
        waiting = Waiting(
            entry=event.entry,
            call=event.call,
            queue=event.queue,
            caller=event.caller,
            priority=priority,
            since=self._now,
            announce_at=self._now,
        )
        self._out.append(
            facts.QEnter(
                at=self._now,
                call=event.call,
                entry=event.entry,
                queue=event.queue,
                caller=event.caller,
                priority=priority,
                parent=event.parent,
            )
        )
        self._entries[event.entry] = waiting
        refusal: LeaveReason | None = None
        if queue is None or event.queue in self._retired or not event.open:
            refusal = "closed"
        elif queue.leave_when_empty and not self._staffed(queue):
            refusal = "no_agent"
        elif queue.max_waiting and self._length(event.queue) >= queue.max_waiting:
            refusal = "full"
        if refusal is not None:
            self._give_up(waiting, refusal)
            return
        self._order.insert(self._place(waiting, event.position), waiting)

    def _place(self, newcomer: Waiting, wanted: int | None) -> int:
        """Index in the order: before the first of lower priority; a wanted place counts in the
        newcomer's own queue and stops behind the last of higher priority."""
        place = 0
        for index, other in enumerate(self._order):
            if newcomer.priority > other.priority:
                return index
            if other.queue == newcomer.queue:
                place += 1
                if wanted is not None and newcomer.priority == other.priority and wanted <= place:
                    return index
        return len(self._order)

    def _leave(self, waiting: Waiting, reason: LeaveReason, agent: str | None = None) -> None:
        """The one way out of the queue: closes what is open and states the outcome."""
        for ringing in list(waiting.offers.values()):
            self._close_offer(ringing, "withdrawn")
        del self._entries[waiting.entry]
        if waiting in self._order:
            self._order.remove(waiting)
        self._out.append(
            facts.QLeave(
                at=self._now,
                call=waiting.call,
                entry=waiting.entry,
                queue=waiting.queue,
                reason=reason,
                agent=agent,
            )
        )

    def _give_up(self, waiting: Waiting, reason: LeaveReason) -> None:
        self._leave(waiting, reason)
        self._out.append(Leave(waiting.entry, waiting.call, waiting.queue, reason))

    # --- offers -----------------------------------------------------------------------------

    def _offer(self, waiting: Waiting, agent: Agent, queue: Queue) -> None:
        offer = self._new_id("offer")
        until = self._now + queue.ring_s * 1000
        ringing = Ringing(offer, waiting, agent, until)
        waiting.offers[agent.id] = ringing
        agent.offer = ringing
        self._out.append(
            facts.Offer(
                at=self._now,
                call=waiting.call,
                entry=waiting.entry,
                queue=waiting.queue,
                offer=offer,
                agent=agent.id,
            )
        )
        self._out.append(Ring(offer, waiting.entry, waiting.call, waiting.queue, agent.id, until))

    def _open_offer(self, agent_id: str, offer: str) -> Ringing | None:
        agent = self._agents.get(agent_id)
        if agent is None or agent.offer is None or agent.offer.offer != offer:
            return None
        return agent.offer

    def _accepted(self, agent_id: str, offer: str) -> None:
        ringing = self._open_offer(agent_id, offer)
        if ringing is None:
            entry = self._closed_offers.get(offer, "")
            self._out.append(StopRinging(offer, entry, agent_id, "withdrawn"))
            return
        if ringing.accepted:
            return
        waiting = ringing.entry
        ringing.accepted = True
        ringing.until = self._now + LINK_MS
        waiting.link = ringing
        for other in list(waiting.offers.values()):
            if other is not ringing:
                self._close_offer(other, "withdrawn")
        self._out.append(Link(waiting.entry, waiting.call, agent_id))

    def _linked(self, entry: str) -> None:
        waiting = self._entries.get(entry)
        if waiting is None or waiting.link is None:
            return
        ringing = waiting.link
        agent = ringing.agent
        self._close_offer(ringing, "accepted")
        agent.misses = 0
        agent.talk = Talk(waiting.call, waiting.entry, waiting.queue)
        self._out.append(
            facts.Connect(
                at=self._now,
                call=waiting.call,
                entry=waiting.entry,
                queue=waiting.queue,
                agent=agent.id,
            )
        )
        self._leave(waiting, "answered", agent.id)

    def _refused(self, ringing: Ringing, result: Refusal) -> None:
        """The offer came to nothing by the agent's side; the caller waits on."""
        agent, waiting = ringing.agent, ringing.entry
        waiting.refused[agent.id] = waiting.refused.get(agent.id, 0) + 1
        agent.rest_until = self._now + REST_MS
        agent.misses = 0 if result == "rejected" else agent.misses + 1
        self._close_offer(ringing, result)
        if agent.misses >= AUTO_PAUSE_AFTER:
            agent.misses = 0
            if agent.state == "ready":
                self._choose(agent, "not_ready", AUTO_PAUSE_REASON)

    def _close_offer(self, ringing: Ringing, result: OfferResult) -> None:
        agent, waiting = ringing.agent, ringing.entry
        del waiting.offers[agent.id]
        if waiting.link is ringing:
            waiting.link = None
        agent.offer = None
        self._closed_offers[ringing.offer] = waiting.entry
        while len(self._closed_offers) > REMEMBERED_OFFERS:
            del self._closed_offers[next(iter(self._closed_offers))]
        self._out.append(
            facts.OfferEnd(
                at=self._now,
                call=waiting.call,
                entry=waiting.entry,
                queue=waiting.queue,
                offer=ringing.offer,
                agent=agent.id,
                result=result,
            )
        )
        if result != "accepted":
            self._out.append(StopRinging(ringing.offer, waiting.entry, agent.id, result))
            if ringing.accepted:
                self._apply_pending(agent)

    # --- what falls due ---------------------------------------------------------------------

    def _settle(self) -> Output:
        self._expire()
        self._dispatch()
        self._positions()
        self._tidy()
        out, self._out = self._out, []
        return out

    def _expire(self) -> None:
        now = self._now
        for agent in self._agents.values():
            if agent.offer is not None and agent.offer.until <= now:
                self._refused(agent.offer, "failed" if agent.offer.accepted else "missed")
            talk = agent.talk
            if talk is not None and talk.wrap_until is not None and talk.wrap_until <= now:
                self._end_wrap(agent)
        staffed: dict[str, bool] = {}
        for waiting in tuple(self._order):
            if waiting.link is not None:
                continue
            queue = self._queues[waiting.queue]
            if waiting.queue not in staffed:
                staffed[waiting.queue] = self._staffed(queue)
            if queue.max_wait_s and waiting.since + queue.max_wait_s * 1000 <= now:
                self._give_up(waiting, "timeout")
            elif queue.leave_when_empty and not staffed[waiting.queue]:
                self._give_up(waiting, "no_agent")

    def _dispatch(self) -> None:
        """Offer from the head of the order for as long as anyone is free."""
        free = {name: agent for name, agent in self._agents.items() if agent.free(self._now)}
        if not free:
            return
        exhausted: set[str] = set()
        for waiting in self._order:
            if waiting.link is not None or waiting.queue in exhausted:
                continue
            queue = self._queues[waiting.queue]
            if queue.strategy == "longest_idle" and waiting.offers:
                continue
            able = [free[name] for name in dict.fromkeys(queue.agents) if name in free]
            if not able:
                exhausted.add(waiting.queue)
                continue
            if queue.strategy == "longest_idle":
                refused = waiting.refused
                able = [min(able, key=lambda a: (refused.get(a.id, 0), a.idle_since))]
            for agent in able:
                self._offer(waiting, agent, queue)
                del free[agent.id]
            if not free:
                return

    def _positions(self) -> None:
        """Places in each queue; what a caller was told may only get smaller."""
        places: dict[str, int] = {}
        for waiting in self._order:
            place = places[waiting.queue] = places.get(waiting.queue, 0) + 1
            waiting.position = min(waiting.position, place)
            if waiting.announce_at > self._now or waiting.link is not None:
                continue
            queue = self._queues[waiting.queue]
            waiting.announce_at = self._now + queue.announce_every_s * 1000
            # A caller whose agent rings already needs no place.
            if queue.announce_position and not waiting.offers:
                self._out.append(
                    Announce(waiting.entry, waiting.call, waiting.queue, waiting.position)
                )

    def _tidy(self) -> None:
        for agent in tuple(self._agents.values()):
            if agent.removed and agent.talk is None and agent.offer is None:
                del self._agents[agent.id]
                continue
            shown = (agent.phase, agent.reason)
            if shown != agent.shown:
                agent.shown = shown
                agent.since = self._now
        if self._retired:
            used = {waiting.queue for waiting in self._order}
            used.update(agent.talk.queue for agent in self._agents.values() if agent.talk)
            for name in self._retired - used:
                self._retired.discard(name)
                del self._queues[name]

    # --- the document changes ---------------------------------------------------------------

    def _change(self, queues: Mapping[str, Queue], agents: Iterable[str]) -> None:
        self._retired = {name for name in self._queues if name not in queues}
        self._queues = {**{name: self._queues[name] for name in self._retired}, **queues}
        wanted = dict.fromkeys(agents)
        for name in wanted:
            agent = self._agents.setdefault(name, Agent(name, since=self._now))
            if agent.removed:
                agent.removed, agent.pending = False, None
        for agent in self._agents.values():
            ringing = agent.offer
            agent.removed = agent.id not in wanted
            if ringing is not None and not ringing.accepted:
                rules = self._queues[ringing.entry.queue]
                if agent.removed or agent.id not in rules.agents:
                    self._close_offer(ringing, "withdrawn")
            if agent.removed:
                agent.pending = ("offline", None)
                if agent.talk is None and agent.offer is None:
                    self._apply_pending(agent)

    # --- small questions --------------------------------------------------------------------

    def _staff(self, queue: Queue) -> list[Agent]:
        names = dict.fromkeys(queue.agents)
        return [self._agents[name] for name in names if name in self._agents]

    def _staffed(self, queue: Queue) -> bool:
        return any(agent.state != "offline" for agent in self._staff(queue))

    def _length(self, queue_id: str) -> int:
        return sum(waiting.queue == queue_id for waiting in self._order)
