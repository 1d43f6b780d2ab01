"""Between the calls and the acd: its actions become rings, announcements and connections."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.acd import actions as act
from appliance.acd import events as acd
from appliance.acd.offers import AUTO_PAUSE_REASON
from appliance.events import AgentState, Connect, QLeave
from appliance.ivr import keep_place, phrases
from appliance.site.routes import parse_route
from appliance.switch import callbacks, wishes
from appliance.switch.calls import SUSPEND_MS, suspend
from appliance.switch.legs import answer, drop, invite
from appliance.switch.model import Call, Leg, World
from appliance.switch.parties import leave
from appliance.switch.routing import BACK, go
from appliance.switch.voices import arrange, music_of, stop_recording


def carry_out(w: World, output: Sequence[object]) -> None:
    """Keep the acd's facts and do what it wants done."""
    for fact in output:
        if isinstance(fact, AgentState):
            _auto_paused(w, fact)
        elif isinstance(fact, Connect):
            call = w.calls[fact.call]
            call.connected, call.waited_ms = True, w.now - call.entered_at
        elif isinstance(fact, QLeave):
            callbacks.left(w, fact)
    for action in w.keep_facts(output):
        match action:
            case act.Ring():
                _ring(w, action)
            case act.StopRinging():
                _stop_ringing(w, action)
            case act.Link():
                _link(w, action)
            case act.Announce():
                _announce(w, action)
            case act.Leave():
                _leave(w, action)
            case act.Dial():
                callbacks.turn(w, action)


def _auto_paused(w: World, fact: AgentState) -> None:
    """Somebody whom the queues set to not ready may not know it, nor may the team."""
    key = f"missed:{fact.agent}"
    if fact.reason != AUTO_PAUSE_REASON:
        w.clear(key)
        return
    name = w.desks[fact.agent].person.name
    w.alarm(
        key,
        "warning",
        f"{name} misses calls and was set to not ready",
        "Several offers in a row were not answered; callers go to the others.",
        f"See whether {name} is there and the phone rings, then choose Ready on the agent's page"
        " or by the phone's code.",
    )


def _ring(w: World, ring: act.Ring) -> None:
    desk = w.desks[ring.agent]
    call = w.calls[ring.call]
    taken = desk.accepts is not None and desk.accepts == call.callback
    desk.accepts = None
    if desk.door == "browser":
        desk.ringing[ring.offer] = None
        if taken and desk.peer == "connected":
            w.tell(acd.Accepted(ring.agent, ring.offer))
        return
    phone = desk.phone
    leg = None
    if phone is not None and phone in w.registered:
        leg = invite(w, call, f"agent:{desk.id}", phone, trunk=None, agent=desk.id)
    if leg is None:
        w.tell(acd.Declined(ring.agent, ring.offer, "failed"))
        return
    leg.acd_offer = ring.offer
    desk.ringing[ring.offer] = leg


def _stop_ringing(w: World, stop: act.StopRinging) -> None:
    """The offer is over: a phone that rings is called off, one that answered too late is hung
    up, and an agent who accepted but was lost before the talk is taken out of the call."""
    w.desks[stop.agent].ringing.pop(stop.offer, None)
    for call in w.calls.values():
        if call.entry == stop.entry and call.linked_agent == stop.agent and not call.connected:
            _cut_agent(w, call)
    for leg in list(w.legs.values()):
        if leg.acd_offer == stop.offer and leg is not leg.call.b:
            drop(w, leg)


def _link(w: World, link: act.Link) -> None:
    """The agent accepted: give the call its other leg and connect as soon as both are up."""
    call = w.calls[link.call]
    desk = w.desks[link.agent]
    leg = next((found for found in desk.ringing.values() if found is not None), None)
    desk.ringing.clear()
    desk.call = call
    call.linked_agent = link.agent
    call.wish = None
    if leg is None:
        leg = Leg(id=w.number(), call=call, party=f"agent:{desk.id}", kind="peer", agent=desk.id)
        w.legs[leg.id] = leg
        call.b = leg
        answer(w, leg)
    call.b = leg
    arrange(w, call)


def _cut_agent(w: World, call: Call) -> None:
    """The agent was lost between accepting and talking: the caller goes on waiting."""
    assert call.linked_agent is not None
    w.desks[call.linked_agent].call = None
    call.linked_agent = None
    stop_recording(w, call)
    b, call.b = call.b, None
    arrange(w, call)
    if b is not None:
        drop(w, b)
    if not call.ended and call.a.state == "up":
        w.music(call.a, music_of(w, call))


def _announce(w: World, announce: act.Announce) -> None:
    call = w.calls[announce.call]
    if call.a.state == "up" and call.linked_agent is None and call.wish is None:
        queue = w.site.queues.get(announce.queue)
        said = []
        if queue is None or queue.announce_position:
            said.append(phrases.position(announce.position, call.language))
        if queue is not None and queue.announce_wait and announce.expected is not None:
            said.append(phrases.expected_wait(*announce.expected.minutes, call.language))
        if queue is not None and wishes.said_aloud(w, call):
            said.append(keep_place.text("offer", call.language, queue.callback_key))
        if said:
            w.speak(call, tuple(said), "queue")


def _leave(w: World, leave: act.Leave) -> None:
    """The caller left the queue without an agent: on to where the queue says."""
    call = w.calls.get(leave.call)
    if call is None or call.ended:
        return
    call.entry = None
    call.linked_agent = None
    if leave.reason == "overflow":
        # Nobody is lost because another place does not take them.
        queue = w.site.queues.get(leave.queue)
        if queue is not None and parse_route(leave.to).kind == "site":
            call.after = BACK if queue.then in ("hangup", leave.to) else queue.then
    go(w, call, leave.to or "hangup", why=leave.reason)


def leg_failed(w: World, leg: Leg, reason: str) -> None:
    """The media process could not open or keep a leg."""
    call = leg.call
    if leg.kind == "peer" and leg.agent is not None:
        if call.entry is not None and not call.connected and leg is call.b:
            w.tell(acd.LinkFailed(call.entry, leg.agent))
            return
        alone = len(call.people) == 2 and leg in call.people and call.consult is None
        if alone and (call.joined or call.held_by is not None):
            suspend(w, call, leg)
            return
        if leg.state == "up" and (call.joined or call.held_by is not None):
            leg.lost_until = w.now + SUSPEND_MS
            arrange(w, call)
            return
    leave(w, leg, "line_lost" if leg.kind == "line" else "media_lost", side="system")
