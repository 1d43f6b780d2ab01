"""Where a call goes: menus, queues, phones, the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from appliance.acd import events as acd
from appliance.events import LineBusy, LineSeized
from appliance.ivr import actions as ivr
from appliance.ivr import phrases
from appliance.ivr.run import MenuRun
from appliance.ivr.scene import QueueNow, scene_of
from appliance.media import protocol as p
from appliance.site.routes import Route, parse_route
from appliance.switch.actions import AskProgram, HoldMusic, Hush
from appliance.switch.calls import answer_caller, end_call, free_agents, try_bridge
from appliance.switch.dialplan import Destination, resolve
from appliance.switch.legs import add_leg, drop, invite, listen, show_ringing
from appliance.switch.model import Call, Leg, World

MAX_HOPS: Final = 10
"""Queues that send their callers to each other end here instead of going round for ever."""

TONE_MS: Final = 4000
"""How long a caller hears busy before we hang up."""

FAREWELLS: Final[Mapping[str, phrases.PhraseName]] = {
    "closed": "closed",
    "full": "goodbye",
    "no_agent": "closed",
    "timeout": "goodbye",
    "overflow": "goodbye",
}
"""What a caller is told who leaves a queue that leads nowhere else."""


def go(w: World, call: Call, route_text: str, why: str = "") -> None:
    """Send the call to a route of the site document."""
    call.hops += 1
    route = parse_route(route_text)
    call.route = route_text
    if call.hops > MAX_HOPS or route.kind == "hangup":
        farewell(w, call, why)
        return
    if route.kind == "phone":
        dial(w, call, resolve(w.site, route.target))
        return
    if not answer_caller(w, call):
        return
    if not _consent(w, call):
        return
    if route.kind == "queue":
        enter(w, call, route.target)
    elif route.kind in ("menu", "step") and call.a.state == "up":
        start_menu(w, call, route)


def caller_up(w: World, call: Call) -> None:
    """The caller can hear us now; carry on where the route was waiting for that."""
    if call.ended:
        return
    if call.b is not None and call.b.state == "up":
        try_bridge(w, call)
        return
    if call.entry is not None:
        greet(w, call)
        return
    if call.route is not None and call.menu is None and call.b is None:
        call.hops -= 1
        go(w, call, call.route)


def _consent(w: World, call: Call) -> bool:
    """Play the recording notice first where one is set; True when nothing is left to say."""
    notice = w.site.recording.announce
    if call.consent_given or notice is None or not w.site.recording.enabled:
        return True
    if call.a.state == "up":
        w.speak(call, (notice,), "consent")
    return False


def consent_heard(w: World, call: Call) -> None:
    call.consent_given = True
    caller_up(w, call)


def farewell(w: World, call: Call, why: str) -> None:
    """Say why, then hang up; without a reason or an ear, just hang up."""
    key = FAREWELLS.get(why)
    if key is None or call.a.state != "up":
        end_call(w, call, "system", why or "normal")
        return
    call.end_cause = why
    w.act(HoldMusic(call.a.id, None))
    w.speak(call, (phrases.phrase(key, call.language),), "farewell")


# --- queues ---------------------------------------------------------------------------------


def enter(
    w: World, call: Call, queue_id: str, *, parent: str | None = None, raise_by: int = 0
) -> None:
    """Put the caller into a queue. The wait starts now, also when the line is still going
    off-hook: the agents' screens do not wait for a modem. With a `parent` the place in the order
    is that of the wait it continues."""
    queue = w.site.queues[queue_id]
    since = call.entered_at if parent is not None else None
    call.queue = queue_id
    call.entry = w.new_id("e")
    call.entered_at = w.now
    call.connected = False
    call.linked_agent = None
    open_now = queue.hours is None or w.is_open(queue.hours, w.now)
    w.tell(
        acd.Enter(
            call=call.id,
            entry=call.entry,
            queue=queue_id,
            caller=call.caller,
            priority=queue.priority + raise_by,
            parent=parent,
            open=open_now,
            since=since,
        ),
    )
    if call.entry is not None and call.a.state == "up":
        greet(w, call)


def greet(w: World, call: Call) -> None:
    """What a caller hears on entering: music, and a welcome unless somebody answers at once."""
    queue = w.site.queues.get(call.queue or "")
    if queue is None or call.bridge is not None:
        return
    w.act(HoldMusic(call.a.id, queue.music or ""))
    listen(w, call.a, keys=False)
    if call.linked_agent is None:
        welcome = queue.welcome or phrases.phrase("busy", call.language)
        w.speak(call, (welcome,), "queue")


# --- menus ----------------------------------------------------------------------------------


def start_menu(w: World, call: Call, first: Route) -> None:
    """Lead the caller through menus and steps, from this one on."""
    scene = scene_of(
        w.site,
        w.is_open,
        lambda queue, now: _queue_now(w, queue, now),
        call.language,
        call.caller,
        call.called,
    )
    call.menu = MenuRun(scene, call.id, first)
    listen(w, call.a, keys=True)
    carry_out(w, call, call.menu.start(w.now))


def carry_out(w: World, call: Call, output: Sequence[object]) -> None:
    for action in w.keep_facts(output):
        match action:
            case ivr.Say(token=token, prompts=prompts):
                w.speak(call, prompts, "menu", token)
            case ivr.Hush():
                w.act(Hush(call.a.id))
            case ivr.Speaks(language=language):
                call.language = language
            case ivr.Ask():
                w.act(AskProgram(call.id, action.token, action.url, action.body, action.timeout_ms))
            case ivr.Go(route=route):
                call.menu = None
                go(w, call, str(route))


def program_answered(w: World, call_id: str, token: int, values: Mapping[str, str] | None) -> None:
    """What a program said that was asked for a call; the call may be over, or elsewhere."""
    call = w.calls.get(call_id)
    if call is not None and call.menu is not None and not call.ended:
        carry_out(w, call, call.menu.answered(token, values, w.now))


def _queue_now(w: World, queue: str, now: int) -> QueueNow:
    counts = w.acd.counts(queue)
    since = counts.oldest_since
    return QueueNow(counts.waiting, counts.ready, 0 if since is None else max(0, now - since))


# --- dialling -------------------------------------------------------------------------------


def dial(w: World, call: Call, destination: Destination) -> None:
    """Find the other party for a call that has only its caller."""
    call.ring_until = w.now + w.site.numbering.ring_s * 1000
    match destination.kind:
        case "phone":
            _dial_phone(w, call, f"phone:{destination.target}", destination.target, None)
        case "person":
            _dial_person(w, call, destination.target)
        case "queue":
            go(w, call, f"queue:{destination.target}")
        case "outside":
            _dial_outside(w, call, destination.target)
        case "unknown":
            dial_failed(w, call, "unknown_number")


def _dial_phone(w: World, call: Call, party: str, extension: str, agent: str | None) -> None:
    if extension not in w.registered:
        dial_failed(w, call, "unreachable")
        return
    leg = invite(w, call, party, extension, trunk=None, agent=agent)
    if leg is None:
        dial_failed(w, call, "no_line")
        return
    call.b = leg
    show_ringing(w, call.a)


def _dial_person(w: World, call: Call, person: str) -> None:
    desk = w.desks[person]
    view = w.acd.agent(person)
    if desk.call is not None or view.phase in ("offered", "busy"):
        dial_failed(w, call, "busy")
        return
    if desk.person.door == "phone" and desk.person.phone is not None:
        desk.call = call
        w.tell(acd.Engaged(person, True))
        _dial_phone(w, call, f"agent:{person}", desk.person.phone, person)
        return
    if desk.peer != "connected":
        dial_failed(w, call, "unreachable")
        return
    desk.call = call
    w.tell(acd.Engaged(person, True))
    call.b = Leg(
        id=w.number(),
        call=call,
        party=f"agent:{person}",
        kind="peer",
        state="ringing",
        agent=person,
        incoming=False,
    )
    w.legs[call.b.id] = call.b
    show_ringing(w, call.a)


def free_channel(w: World, trunk: str) -> bool:
    settings = w.site.lines[trunk]
    assert settings.kind == "trunk"
    used = sum(1 for leg in w.legs.values() if leg.trunk == trunk and leg.state != "closed")
    return used < settings.channels


def _dial_outside(w: World, call: Call, number: str) -> None:
    """Seize the first free line or trunk of the outgoing list."""
    call.called = number
    for line_id in w.site.numbering.outgoing:
        settings = w.site.lines[line_id]
        if settings.kind == "modem":
            desk = w.lines[line_id]
            if desk.state != "idle" or desk.call is not None:
                continue
            desk.state, desk.call = "busy", call.id
            leg = add_leg(
                w,
                Leg(
                    id=w.number(),
                    call=call,
                    party=f"line:{line_id}",
                    kind="line",
                    state="ringing",
                    line=line_id,
                    incoming=False,
                ),
            )
            w.fact(LineSeized(at=w.now, call=call.id, line=line_id, direction="out"))
            w.media(p.DialLine(line_id, number))
        else:
            reachable, _ = w.trunks.get(line_id, (not settings.registration, ""))
            if not reachable or not free_channel(w, line_id):
                continue
            found = invite(w, call, f"trunk:{line_id}", number, trunk=line_id, agent=None)
            if found is None:
                continue
            leg = found
        call.direction = "out"
        call.b = leg
        show_ringing(w, call.a)
        return
    w.fact(LineBusy(at=w.now, line="outgoing", caller=call.caller))
    dial_failed(w, call, "no_line")


def dial_failed(w: World, call: Call, cause: str) -> None:
    """The other party cannot be had: tell the caller in the way their door allows."""
    b, call.b = call.b, None
    if b is not None:
        drop(w, b)
    caller_desk = w.desks.get(call.a.agent or "")
    for desk in w.desks.values():
        if desk.call is call and desk is not caller_desk:
            desk.call = None
            w.tell(acd.Engaged(desk.id, False))
    call.ring_until = None
    if call.a.state != "up":
        end_call(w, call, "callee" if cause in ("busy", "rejected") else "system", cause)
        return
    if call.a.kind == "peer":
        free_agents(w, call)
        end_call(w, call, "callee", cause)
        return
    w.act(HoldMusic(call.a.id, None))
    w.media(p.PlayTone(call.a.id, "busy" if cause == "busy" else "reorder"))
    call.end_at, call.end_cause = w.now + TONE_MS, cause
