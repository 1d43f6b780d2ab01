"""What agents do, and what happens to them."""

from __future__ import annotations

from appliance import events as facts
from appliance.acd import offers, staff
from appliance.acd.events import SetState
from appliance.acd.state import Room


def set_state(room: Room, event: SetState) -> None:
    agent = room.agents.get(event.agent)
    if agent is None or agent.removed:
        return
    room.touch(agent)
    reason = event.reason if event.state == "not_ready" else None
    if event.state == "ready":
        agent.misses, agent.faulted = 0, False
        agent.rest_until = 0
        room.due.cancel(("rest", agent.id))
    talk = agent.talk
    if talk is not None or (agent.offer is not None and agent.offer.accepted):
        same = (event.state, reason) == (agent.state, agent.reason)
        agent.pending = None if same else (event.state, reason)
        if event.state == "offline" and talk is not None and talk.wrap_until is not None:
            staff.end_wrap(room, agent)
        return
    if event.state != "ready":
        if agent.offer is not None:
            offers.close_offer(room, agent.offer, "rejected")
        offers.let_go(room, agent)
    staff.choose(room, agent, event.state, reason)


def reachable(room: Room, agent_id: str, yes: bool) -> None:
    agent = room.agents.get(agent_id)
    if agent is None:
        return
    agent.reachable = yes
    room.touch(agent)
    if not yes:
        offers.let_go(room, agent)
        if agent.offer is not None and not agent.offer.accepted:
            offers.refused(room, agent.offer, "failed")


def engaged(room: Room, agent_id: str, yes: bool) -> None:
    agent = room.agents.get(agent_id)
    if agent is None:
        return
    agent.engaged = yes
    room.touch(agent)
    if yes:
        offers.let_go(room, agent)
        if agent.offer is not None and not agent.offer.accepted:
            offers.close_offer(room, agent.offer, "withdrawn")


def released(room: Room, agent_id: str) -> None:
    agent = room.agents.get(agent_id)
    if agent is None:
        return
    if agent.offer is not None and agent.offer.accepted:
        offers.refused(room, agent.offer, "failed")
        return
    talk = agent.talk
    if talk is None or talk.wrap_until is not None:
        return
    queue = room.queues.get(talk.queue)
    wrap_ms = 0
    if queue is not None:
        rules = queue.rules
        wrap_ms = rules.wrap_ups.get(agent_id, rules.wrap_up_s) * 1000
        member = queue.members.get(agent_id)
        if member is not None:
            member.talk_ms += room.now - talk.since
    wrap_ms += talk.longer_ms
    talk.wrap_until = room.now + wrap_ms
    room.due.set(("wrap", agent_id), talk.wrap_until)
    room.touch(agent)
    room.out.append(
        facts.WrapStart(
            at=room.now, agent=agent.id, call=talk.call, entry=talk.entry, queue=talk.queue
        )
    )
    signs_out = agent.pending is not None and agent.pending[0] == "offline"
    if wrap_ms == 0 or signs_out:
        staff.end_wrap(room, agent)


def wrap_longer(room: Room, agent_id: str, ms: int) -> None:
    """In the talk already: what comes after it will be longer."""
    agent = room.agents.get(agent_id)
    if agent is None or agent.talk is None:
        return
    talk = agent.talk
    talk.longer_ms += ms
    if talk.wrap_until is not None:
        talk.wrap_until += ms
        room.due.set(("wrap", agent_id), talk.wrap_until)
    room.touch(agent)


def wrap_done(room: Room, agent_id: str) -> None:
    if (agent := room.agents.get(agent_id)) is not None:
        staff.end_wrap(room, agent)
