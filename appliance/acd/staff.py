"""What is true of an agent, whatever is done to them: chosen state, wrap-up, what queues know."""

from __future__ import annotations

from appliance import events as facts
from appliance.acd.state import Agent, Member, Room
from appliance.acd.strategies import start_level
from appliance.events import AgentStateName


def choose(room: Room, agent: Agent, state: AgentStateName, reason: str | None) -> None:
    """The chosen state takes effect."""
    if (state, reason) == (agent.state, agent.reason):
        return
    if state == "ready" and agent.state != "ready":
        agent.idle_since = room.now
    if agent.state == "offline":
        for member in agent.members:
            level(member)
    agent.state, agent.reason = state, reason
    room.touch(agent)
    room.out.append(facts.AgentState(at=room.now, agent=agent.id, state=state, reason=reason))


def level(member: Member) -> None:
    """Counts of an agent who begins to work for a queue."""
    others = [
        other
        for other in member.queue.members.values()
        if other is not member and other.agent.state != "offline"
    ]
    member.calls, member.talk_ms, member.turns = start_level(others)


def apply_pending(room: Room, agent: Agent) -> None:
    if agent.pending is not None:
        state, reason = agent.pending
        agent.pending = None
        choose(room, agent, state, reason)


def end_wrap(room: Room, agent: Agent) -> None:
    talk = agent.talk
    if talk is None or talk.wrap_until is None:
        return
    agent.talk = None
    agent.idle_since = room.now
    room.touch(agent)
    room.due.cancel(("wrap", agent.id))
    room.out.append(
        facts.WrapEnd(
            at=room.now, agent=agent.id, call=talk.call, entry=talk.entry, queue=talk.queue
        )
    )
    apply_pending(room, agent)


def rest(room: Room, agent: Agent, until: int) -> None:
    agent.rest_until = until
    room.due.set(("rest", agent.id), until)
    room.touch(agent)


def refresh(room: Room) -> None:
    """Tell the queues of the agents who changed. The notes stay for `show`."""
    for agent in room.touched:
        signed_in = agent.state != "offline"
        ready = agent.state == "ready" and agent.reachable
        free = agent.free(room.now)
        for member in agent.members:
            queue = member.queue
            queue.signed_in += signed_in - agent.counted_in
            queue.ready += ready - agent.counted_ready
            if agent.counted_ready > ready or agent.counted_in > signed_in:
                room.deserted[queue] = None
                _release_held(room, member)
            if free and not agent.counted_free:
                queue.free[agent.id] = member
            elif agent.counted_free and not free:
                queue.free.pop(agent.id, None)
        agent.counted_in, agent.counted_ready, agent.counted_free = signed_in, ready, free


def _release_held(room: Room, member: Member) -> None:
    """Nobody waits alone for an agent who is not there."""
    if not member.queue.rules.last_agent_days:
        return
    for waiting in member.queue.line:
        if waiting.prefer == member.name:
            waiting.prefer = None
            room.due.cancel(("prefer", waiting.entry))


def taken(agent: Agent) -> None:
    """This agent is rung or kept: no longer free for any queue."""
    for member in agent.members:
        member.queue.free.pop(agent.id, None)
    agent.counted_free = False


def show(room: Room) -> None:
    """The end of a step: note since when each phase holds, let removed agents go."""
    for agent in room.touched:
        if agent.removed and agent.talk is None and agent.offer is None:
            room.agents.pop(agent.id, None)
            room.due.cancel(("rest", agent.id))
            for member in agent.members:
                member.queue.members.pop(agent.id, None)
            continue
        shown = (agent.phase, agent.reason)
        if shown != agent.shown:
            agent.shown = shown
            agent.since = room.now
    room.touched.clear()
