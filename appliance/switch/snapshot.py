"""The world as pages see it: one `Live` made from the switch and the acd, nothing kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from appliance import live
from appliance.switch import messages, wrap_up
from appliance.switch.dialling import reachable
from appliance.switch.meters import levels
from appliance.switch.model import Call, Desk, Leg, World
from appliance.switch.verdicts import poor_party


def snapshot(
    w: World, *, seq: int, now: int, ready: bool, facts: int, version: int = 0
) -> live.Live:
    """`version` is that of the site document."""
    site = w.site
    return live.Live(
        seq=seq,
        now=now,
        ready=ready,
        facts=facts,
        office=site.office.name,
        demo=site.demo,
        recording_notice=site.recording.enabled,
        pause_reasons=site.pause_reasons,
        agents=tuple(
            _agent(w, desk)
            for desk in w.desks.values()
            if desk.id in site.people or desk.call is not None
        ),
        queues=tuple(_queue(w, queue_id, now) for queue_id in site.queues),
        waiting=_waiting(w),
        calls=tuple(_call(w, call) for call in w.calls.values()),
        lines=tuple(_lines(w)),
        phones=tuple(
            live.LivePhone(
                extension=extension,
                name=phone.name,
                registered=extension in w.registered,
                busy=any(leg.phone == extension for leg in w.legs.values()),
            )
            for extension, phone in site.phones.items()
        ),
        alarms=tuple(w.alarms.values()),
        parked=tuple(_parked(w)),
        callbacks=tuple(_callbacks(w)),
        campaigns=tuple(live.LiveCampaign(key, one.name) for key, one in site.campaigns.items()),
        site=version,
    )


def _agent(w: World, desk: Desk) -> live.LiveAgent:
    view = w.acd.agent(desk.id)
    phase: live.AgentPhase = "busy" if desk.call is not None else view.phase
    return live.LiveAgent(
        id=desk.id,
        name=desk.person.name,
        phase=phase,
        reason=view.reason,
        since=view.since,
        door=desk.door,
        reachable=reachable(w, desk),
        queues=tuple(q for q, queue in w.site.queues.items() if desk.id in queue.agents),
        call=_agent_call(w, desk),
        wrap_until=view.wrap_until,
        next_state=view.next_state,
        wrap_longer=view.longer_ms > 0,
        longer_left=wrap_up.left(w, desk),
        dnd=desk.dnd,
        forward=dict(desk.forward),
        phone=desk.phone,
        messages=messages.fresh(w, messages.boxes_of(w.site, desk.id))[0],
    )


def _agent_call(w: World, desk: Desk) -> live.LiveAgentCall | None:
    call = desk.call
    phase: Literal["ringing", "connecting", "talking", "held"]
    if call is None:
        view = w.acd.agent(desk.id)
        call = w.calls.get(view.call or "") if view.offer is not None else None
        if call is None:
            return None
        phase = "ringing"
        since = w.now if view.since is None else view.since
    else:
        since = call.talk_since or call.opened_at
        leg = next((x for x in call.legs if x.agent == desk.id), None)
        if call.held_by == desk.id:
            phase, since = "held", call.held_since
        elif call.bridge_live:
            phase = "talking"
        else:
            phase = "ringing" if leg is not None and leg.state == "ringing" else "connecting"
    queue = w.site.queues.get(call.queue or "")
    mine = next((x for x in call.legs if x.agent == desk.id), None)
    outgoing = call.a.agent == desk.id
    shown = _shown(call, mine)
    waited = call.waited_ms
    if call.entry is not None and not call.connected:
        waited = w.now - call.entered_at
    return live.LiveAgentCall(
        call=call.id,
        phase=phase,
        caller=call.called if outgoing else call.caller,
        caller_name=None if outgoing else call.caller_name,
        queue=call.queue if queue is not None else None,
        queue_name=queue.name if queue is not None else None,
        since=since,
        waited_ms=waited,
        direction="out" if outgoing else call.direction,
        poor=poor_party(call),
        levels=levels(call),
        consult=_consult(w, call, mine),
        others=shown if len(call.people) > 2 or mine not in call.people else (),
        muted=mine is not None and mine.muted,
        role=next((x.mode for x in call.watchers if x.leg is mine), "talk"),
    )


def _shown(call: Call, mine: Leg | None) -> tuple[str, ...]:
    return tuple(who(leg) for leg in call.people if leg is not mine)


def who(leg: Leg) -> str:
    """A party for people who read a screen: an agent's id, an extension, a number."""
    if leg.outside is not None:
        return leg.outside.number
    if leg.agent is not None or leg.phone is not None:
        return leg.agent or leg.phone or ""
    return leg.call.caller or leg.party if leg is leg.call.a else leg.party


def _consult(w: World, call: Call, mine: Leg | None) -> live.LiveConsult | None:
    consult = call.consult
    if consult is None or consult.by is not mine:
        return None
    phase: Literal["ringing", "talking", "waiting"] = "ringing"
    if consult.leg is not None and consult.leg.state == "up":
        phase = "talking" if call.held_by == consult.by.name else "waiting"
    return live.LiveConsult(consult.to.partition(":")[2], phase)


def _parked(w: World) -> Iterator[live.LiveParked]:
    for call in w.calls.values():
        if call.orbit is not None:
            by = (call.parked_by or "").partition(":")[2]
            yield live.LiveParked(
                call.orbit, call.id, call.caller, call.caller_name, by, call.orbit_until
            )


def _callbacks(w: World) -> Iterator[live.LiveCallback]:
    places = {place.booking: place for place in w.acd.bookings()}
    accepted = {desk.accepts for desk in w.desks.values() if desk.accepts is not None}
    for view in w.back.open():
        place = places.get(view.callback)
        phase: Literal["waiting", "paused", "dialling", "answered", "here"] = "waiting"
        if view.picked_up:
            phase = "answered"
        elif view.call is not None:
            phase = "dialling"
        elif view.here:
            phase = "here"
        elif view.retry_at is not None:
            phase = "paused"
        yield live.LiveCallback(
            callback=view.callback,
            queue=view.queue,
            number=view.number,
            since=view.since,
            asked_at=view.asked_at,
            phase=phase,
            position=None if place is None else place.position,
            tries=view.tries,
            retry_at=view.retry_at,
            agent=None if place is None else place.agent,
            accepted=view.callback in accepted,
        )


def _waiting(w: World) -> tuple[live.LiveWaiting, ...]:
    rows = []
    for view in w.acd.waiting():
        call = w.calls.get(view.call)
        rows.append(
            live.LiveWaiting(
                entry=view.entry,
                call=view.call,
                queue=view.queue,
                caller=None if call is None else call.caller,
                caller_name=None if call is None else call.caller_name,
                since=view.since,
                position=view.position,
                offered_to=tuple(view.offered_to),
            )
        )
    return tuple(rows)


def _queue(w: World, queue_id: str, now: int) -> live.LiveQueue:
    queue = w.site.queues[queue_id]
    waiting = [view for view in w.acd.waiting() if view.queue == queue_id]
    phases = [w.acd.agent(agent).phase for agent in queue.agents if agent in w.desks]
    return live.LiveQueue(
        id=queue_id,
        name=queue.name,
        strategy=queue.strategy,
        service_level_s=queue.service_level_s,
        short_abandon_s=queue.short_abandon_s,
        open=queue.hours is None or w.is_open(queue.hours, now),
        waiting=len(waiting),
        oldest_since=min((view.since for view in waiting), default=None),
        ready=sum(phase in ("ready", "offered") for phase in phases),
        busy=sum(phase in ("busy", "wrap") for phase in phases),
        not_ready=phases.count("not_ready"),
    )


def _phase(w: World, call: Call) -> live.CallPhase:
    if call.end_at is not None:
        return "ending"
    if call.orbit is not None:
        return "parked"
    if call.held_by is not None:
        return "held"
    if call.bridge_live:
        return "talking"
    if call.entry is not None:
        offered = any(v.call == call.id and v.offered_to for v in w.acd.waiting())
        return "offered" if offered or call.linked_agent is not None else "waiting"
    return "menu" if call.menu is not None else "ringing"


def _call(w: World, call: Call) -> live.LiveCall:
    agent = call.linked_agent
    if agent is None:
        agent = next((leg.agent for leg in call.legs if leg.agent is not None), None)
    return live.LiveCall(
        call=call.id,
        direction=call.direction,
        phase=_phase(w, call),
        door=call.a.party,
        caller=call.caller,
        caller_name=call.caller_name,
        called=call.called,
        since=call.opened_at,
        queue=call.queue,
        agent=agent,
        recording=call.recording is not None and call.joined,
        poor=poor_party(call),
        levels=levels(call),
        people=tuple(who(leg) for leg in call.people),
        watched=tuple(x.leg.name for x in call.watchers),
    )


def _lines(w: World) -> list[live.LiveLine]:
    rows: list[live.LiveLine] = []
    for line_id, line in w.site.lines.items():
        if line.kind == "modem":
            desk = w.lines[line_id]
            rows.append(live.LiveLine(line_id, line.name, "modem", desk.state, desk.detail))
            continue
        ok, detail = w.trunks.get(line_id, (not line.registration, ""))
        busy = sum(leg.trunk == line_id for leg in w.legs.values())
        state: Literal["idle", "busy", "absent"] = "busy" if busy else "idle"
        rows.append(live.LiveLine(line_id, line.name, "trunk", state if ok else "absent", detail))
    return rows
