"""Offers, from the choice of an agent to link or refusal; and the one way out of a queue."""

from __future__ import annotations

import heapq
from typing import Final

from appliance import events as facts
from appliance.acd import staff
from appliance.acd.actions import Dial, Leave, Link, Refusal, Ring, StopRinging
from appliance.acd.estimate import Waited
from appliance.acd.line import Rank, find, take
from appliance.acd.state import Agent, Member, QueueState, Ringing, Room, Talk, Waiting
from appliance.acd.strategies import TURN, Ask, next_relaxation_ms, pick, required_level
from appliance.events import LeaveReason, OfferResult

AUTO_PAUSE_REASON: Final = "missed"
"""Why the queues set an agent to not ready who misses offers (`Queue.auto_pause`)."""
REST_MS: Final = 5_000
"""After an offer in vain the agent is left alone this long: a phone that refuses by itself (do not
disturb) must not be rung in a tight loop."""
LINK_MS: Final = 10_000
"""An accepted call has to have audio within this time, or its offer fails; nobody stays stuck."""
REMEMBERED_OFFERS: Final = 512
REMEMBERED_CALLERS: Final = 20_000


# --- who is rung ----------------------------------------------------------------------------


def dispatch(room: Room) -> None:
    """Offer from the head of the order for as long as anyone is free: the heads of the queues that
    have both callers and free agents are merged by rank."""
    heads: list[tuple[Rank, int, QueueState]] = []
    for queue in room.queues.values():
        if queue.wanting and queue.free:
            _push(room, heads, queue, 0)
    while heads:
        _, index, queue = heapq.heappop(heads)
        waiting = queue.wanting[index]
        if able := _able(room, waiting, queue):
            _give(room, waiting, queue, able)
        if queue.free:
            stays = index < len(queue.wanting) and queue.wanting[index] is waiting
            _push(room, heads, queue, index + stays)


def _push(
    room: Room, heads: list[tuple[Rank, int, QueueState]], queue: QueueState, index: int
) -> None:
    """The first caller from `index` on whom one of the free agents may get."""
    free, wanting = queue.free, queue.wanting
    skilled = queue.rules.strategy == "skills"
    best = max(member.level for member in free.values()) if skilled else 1
    for at in range(index, len(wanting)):
        waiting = wanting[at]
        if waiting.prefer is not None:
            if waiting.prefer not in free:
                continue
        elif waiting.need > best:
            continue
        heapq.heappush(heads, (waiting.rank, at, queue))
        return


def _able(room: Room, waiting: Waiting, queue: QueueState) -> list[Member]:
    """The free agents who may get this caller now."""
    if waiting.prefer is not None:
        found = queue.free.get(waiting.prefer)
        return [found] if found else []
    if waiting.need > 1:
        return [member for member in queue.free.values() if member.level >= waiting.need]
    return list(queue.free.values())


def _give(room: Room, waiting: Waiting, queue: QueueState, able: list[Member]) -> None:
    strategy = queue.rules.strategy
    if waiting.booked and strategy == "ring_all":
        strategy = "longest_idle"
    for member in pick(strategy, able, Ask(room.choose, queue.after, waiting.refused)):
        queue.after = member.index
        if waiting.booked:
            _keep(room, waiting, member.agent)
        else:
            offer(room, waiting, member.agent)
    queue.note(waiting)


def _keep(room: Room, waiting: Waiting, agent: Agent) -> None:
    """Keep this agent free for a call-back; the call goes out once."""
    waiting.kept = agent
    agent.booking = waiting
    staff.taken(agent)
    room.touch(agent)
    if not waiting.dialled:
        waiting.dialled = True
        room.out.append(Dial(waiting.entry, waiting.queue, agent.id))


def let_go(room: Room, agent: Agent) -> None:
    """The agent is no longer kept for a call-back, which then looks for another one."""
    waiting, agent.booking = agent.booking, None
    if waiting is not None:
        waiting.kept = None
        room.queue_of(waiting).note(waiting)
        room.touch(agent)


def taken(room: Room, agent_id: str, entry: str) -> None:
    """An agent helps themselves to a caller: an offer that is accepted as it is made."""
    agent, waiting = room.agents.get(agent_id), room.entries.get(entry)
    if agent is None or waiting is None or waiting.booked or waiting.link is not None:
        return
    if (agent.talk is not None and agent.talk.wrap_until is None) or (
        agent.offer is not None and agent.offer.accepted
    ):
        return
    agent.engaged = False
    let_go(room, agent)
    if agent.talk is not None:
        staff.end_wrap(room, agent)
    if agent.offer is None or agent.offer.entry is not waiting:
        if agent.offer is not None:
            close_offer(room, agent.offer, "withdrawn")
        offer(room, waiting, agent, ring=False)
    assert agent.offer is not None
    accepted(room, agent_id, agent.offer.offer)


def offer(room: Room, waiting: Waiting, agent: Agent, *, ring: bool = True) -> None:
    queue = room.queue_of(waiting)
    offer_id = room.new_id("offer")
    until = room.now + queue.rules.ring_s * 1000
    ringing = Ringing(offer_id, waiting, agent, until)
    waiting.offers[agent.id] = ringing
    if waiting.offered_at is None:
        waiting.offered_at = room.now
    agent.offer = ringing
    staff.taken(agent)
    room.touch(agent)
    room.due.set(("offer", agent.id), until)
    room.out.append(
        facts.Offer(
            at=room.now,
            call=waiting.call,
            entry=waiting.entry,
            queue=waiting.queue,
            offer=offer_id,
            agent=agent.id,
        )
    )
    if ring:
        offered = Ring(offer_id, waiting.entry, waiting.call, waiting.queue, agent.id, until)
        room.out.append(offered)


# --- what comes of it -----------------------------------------------------------------------


def open_offer(room: Room, agent_id: str, offer_id: str) -> Ringing | None:
    agent = room.agents.get(agent_id)
    if agent is None or agent.offer is None or agent.offer.offer != offer_id:
        return None
    return agent.offer


def accepted(room: Room, agent_id: str, offer_id: str) -> None:
    ringing = open_offer(room, agent_id, offer_id)
    if ringing is None:
        entry = room.closed_offers.get(offer_id, "")
        room.out.append(StopRinging(offer_id, entry, agent_id, "withdrawn"))
        return
    if ringing.accepted:
        return
    waiting = ringing.entry
    ringing.accepted = True
    ringing.until = room.now + LINK_MS
    room.due.set(("offer", agent_id), ringing.until)
    waiting.link = ringing
    disarm(room, waiting)
    for other in list(waiting.offers.values()):
        if other is not ringing:
            close_offer(room, other, "withdrawn")
    room.queue_of(waiting).note(waiting)
    room.touch(ringing.agent)
    room.out.append(Link(waiting.entry, waiting.call, agent_id))


def linked(room: Room, entry: str) -> None:
    waiting = room.entries.get(entry)
    if waiting is None or waiting.link is None:
        return
    ringing = waiting.link
    agent = ringing.agent
    close_offer(room, ringing, "accepted")
    agent.misses, agent.faulted = 0, False
    agent.talk = Talk(waiting.call, waiting.entry, waiting.queue, room.now)
    queue = room.queue_of(waiting)
    member = queue.members.get(agent.id)
    if member is not None:
        member.calls += 1
        member.turns += TURN // member.weight
    if waiting.offered_at is not None and waiting.offered_at > waiting.since:
        queue.waits.append(Waited(room.now, waiting.first_place, room.now - waiting.since))
    if waiting.caller:
        remember(room, waiting.caller, agent.id, room.now)
    room.out.append(
        facts.Connect(
            at=room.now,
            call=waiting.call,
            entry=waiting.entry,
            queue=waiting.queue,
            agent=agent.id,
        )
    )
    leave(room, waiting, "answered", agent.id)


def remember(room: Room, caller: str, agent: str, at: int) -> None:
    """Who spoke with this caller last."""
    known = room.spoke.pop(caller, None)
    room.spoke[caller] = known if known is not None and known[1] > at else (agent, at)
    while len(room.spoke) > REMEMBERED_CALLERS:
        del room.spoke[next(iter(room.spoke))]


def refused(room: Room, ringing: Ringing, result: Refusal) -> None:
    """The offer came to nothing by the agent's side; the caller waits on."""
    agent, waiting = ringing.agent, ringing.entry
    waiting.refused[agent.id] = waiting.refused.get(agent.id, 0) + 1
    if waiting.prefer == agent.id:
        waiting.prefer = None
        room.due.cancel(("prefer", waiting.entry))
    staff.rest(room, agent, room.now + REST_MS)
    _count_miss(agent, result)
    close_offer(room, ringing, result)
    limit = room.queue_of(waiting).rules.auto_pause
    if limit and agent.misses >= limit:
        agent.misses, agent.faulted = 0, False
        if agent.state == "ready":
            staff.choose(room, agent, "not_ready", AUTO_PAUSE_REASON)


def _count_miss(agent: Agent, result: Refusal) -> None:
    """Who refuses is there. One failure of the phone or its network is nobody's miss; a phone that
    goes on failing is no better for callers than an empty chair."""
    if result == "rejected":
        agent.misses, agent.faulted = 0, False
    elif result == "failed" and not agent.faulted:
        agent.faulted = True
    else:
        agent.misses += 1


def close_offer(room: Room, ringing: Ringing, result: OfferResult) -> None:
    agent, waiting = ringing.agent, ringing.entry
    del waiting.offers[agent.id]
    agent.offer = None
    room.due.cancel(("offer", agent.id))
    room.touch(agent)
    queue = room.queue_of(waiting)
    if waiting.link is ringing:
        waiting.link = None
        if result != "accepted":
            arm(room, waiting)
            room.deserted[queue] = None
    queue.note(waiting)
    room.closed_offers[ringing.offer] = waiting.entry
    while len(room.closed_offers) > REMEMBERED_OFFERS:
        del room.closed_offers[next(iter(room.closed_offers))]
    room.out.append(
        facts.OfferEnd(
            at=room.now,
            call=waiting.call,
            entry=waiting.entry,
            queue=waiting.queue,
            offer=ringing.offer,
            agent=agent.id,
            result=result,
        )
    )
    if result != "accepted":
        room.out.append(StopRinging(ringing.offer, waiting.entry, agent.id, result))
        if ringing.accepted:
            staff.apply_pending(room, agent)


# --- the line -------------------------------------------------------------------------------


def stand(room: Room, waiting: Waiting) -> None:
    """Take the place of `waiting.rank`."""
    queue = room.queue_of(waiting)
    room.line.insert(waiting)
    index = find(queue.line, waiting)
    queue.line.insert(index, waiting)
    queue.callers += not waiting.booked
    waiting.first_place = waiting.position = index + 1
    queue.note(waiting)
    arm(room, waiting)


def step_out(room: Room, waiting: Waiting) -> None:
    """Leave the line; everybody behind in the queue moves up."""
    if not room.line.remove(waiting):
        return
    queue = room.queue_of(waiting)
    index = take(queue.line, waiting)
    assert index is not None
    queue.callers -= not waiting.booked
    take(queue.wanting, waiting)
    disarm(room, waiting)
    for place in range(index, len(queue.line)):
        behind = queue.line[place]
        if behind.position > place + 1:
            behind.position = place + 1


def arm(room: Room, waiting: Waiting) -> None:
    """Set what will fall due for a caller, by the rules of now."""
    disarm(room, waiting)
    arm_skill(room, waiting)
    if waiting.booked:
        return
    rules, entry = room.queue_of(waiting).rules, waiting.entry
    if rules.max_wait_s:
        room.due.set(("max_wait", entry), waiting.since + rules.max_wait_s * 1000)
    if waiting.overflows and rules.overflow_to is not None and rules.overflow_after_s:
        room.due.set(("overflow", entry), waiting.since + rules.overflow_after_s * 1000)
    if waiting.prefer is not None:
        room.due.set(("prefer", entry), waiting.prefer_until)
    if rules.announce_position or rules.announce_wait:
        room.announcements.set(entry, waiting.announce_at)


def arm_skill(room: Room, waiting: Waiting) -> None:
    """The level needed now, and when it falls next."""
    rules = room.queue_of(waiting).rules
    waiting.need = 1
    if rules.strategy == "skills":
        waited = room.now - waiting.came
        level = rules.skill_level if waiting.skill is None else waiting.skill
        waiting.need = required_level(level, rules.skill_relax_s, waited)
        relaxes = next_relaxation_ms(level, rules.skill_relax_s, waited)
        if relaxes is not None:
            room.due.set(("skill", waiting.entry), waiting.came + relaxes)


def disarm(room: Room, waiting: Waiting) -> None:
    for kind in ("max_wait", "overflow", "prefer", "skill"):
        room.due.cancel((kind, waiting.entry))
    room.announcements.cancel(waiting.entry)


def leave(room: Room, waiting: Waiting, reason: LeaveReason, agent: str | None = None) -> None:
    """The one way out of the queue: closes what is open and states the outcome."""
    for ringing in list(waiting.offers.values()):
        close_offer(room, ringing, "withdrawn")
    del room.entries[waiting.entry]
    step_out(room, waiting)
    room.out.append(
        facts.QLeave(
            at=room.now,
            call=waiting.call,
            entry=waiting.entry,
            queue=waiting.queue,
            reason=reason,
            agent=agent,
        )
    )


def give_up(room: Room, waiting: Waiting, reason: LeaveReason) -> None:
    leave(room, waiting, reason)
    queue = room.queues.get(waiting.queue)
    to = ""
    if queue is not None:
        to = (queue.rules.overflow_to if reason == "overflow" else None) or queue.rules.then
    room.out.append(Leave(waiting.entry, waiting.call, waiting.queue, reason, to))
