"""Where a call goes: menus, queues, phones, the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from appliance.acd import events as acd
from appliance.ivr import actions as ivr
from appliance.ivr import keep_place, phrases
from appliance.ivr.run import MenuRun
from appliance.ivr.scene import QueueNow, scene_of
from appliance.media import protocol as p
from appliance.site.routes import Route, parse_route
from appliance.switch import messages, wishes
from appliance.switch.actions import AskProgram, Hush
from appliance.switch.calls import answer_caller, end_call
from appliance.switch.dialling import dial, dial_site
from appliance.switch.dialplan import Destination, resolve
from appliance.switch.legs import listen
from appliance.switch.model import Call, World
from appliance.switch.voices import arrange

MAX_HOPS: Final = 10
"""Queues that send their callers to each other end here instead of going round for ever."""

BACK: Final = "back"
"""As a call's `after`: to its place in the queue that it left."""

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
        dial(w, call, resolve(w.site, route.target), payer=call.a.party)
        return
    if not answer_caller(w, call):
        return
    if route.kind == "voicemail":
        # Whoever leaves a message knows that it is recorded.
        if call.a.state == "up":
            start_menu(w, call, route)
        return
    if not consent(w, call):
        return
    if route.kind == "site":
        to_site(w, call, route.target)
    elif route.kind == "queue":
        enter(w, call, route.target)
    elif route.kind in ("menu", "step") and call.a.state == "up":
        start_menu(w, call, route)


def to_site(w: World, call: Call, site_id: str) -> None:
    """Ring another office. A caller whom one of ours passed on to us is not passed on again."""
    w.music(call.a, None)
    if site_id in w.site.sites and not call.from_site:
        dial_site(w, call, site_id)
    elif call.after is not None:
        w.requeue.append(call)
    else:
        farewell(w, call, "overflow")


def send(
    w: World,
    call: Call,
    destination: Destination,
    *,
    payer: str,
    caller_id: str | None = None,
) -> None:
    """A call that has only its caller goes to what was dialled."""
    if destination.kind == "queue":
        go(w, call, f"queue:{destination.target}")
    else:
        dial(w, call, destination, payer=payer, caller_id=caller_id)


def caller_up(w: World, call: Call) -> None:
    """The caller can hear us now; carry on where the route was waiting for that."""
    if call.ended:
        return
    if call.b is not None and call.b.state == "up":
        arrange(w, call)
        return
    if call.entry is not None:
        greet(w, call)
        return
    if call.route is not None and call.menu is None and call.b is None:
        call.hops -= 1
        go(w, call, call.route)


def consent(w: World, call: Call) -> bool:
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
    w.music(call.a, None)
    w.speak(call, (phrases.phrase(key, call.language),), "farewell")


# --- queues ---------------------------------------------------------------------------------


def enter(
    w: World,
    call: Call,
    queue_id: str,
    *,
    parent: str | None = None,
    raise_by: int = 0,
    since: int | None = None,
    overflow: bool = True,
) -> None:
    """Put the caller into a queue. The wait starts now, also when the line is still going
    off-hook: the agents' screens do not wait for a modem. With a `parent` the place in the order
    is that of the wait it continues; `since` is when the caller began to wait for a call-back.
    Without `overflow` they stay until an agent takes them or the longest wait is over."""
    queue = w.site.queues.get(queue_id)
    if queue is None:
        # It was taken out of the document while the caller was on the way to it.
        farewell(w, call, "closed")
        return
    if parent is not None:
        since = call.entered_at
    elif since is None:
        since = wishes.waits_since(w, call, queue_id)
        if since is None and call.site_waited_ms:
            since = w.now - call.site_waited_ms
    call.queue = queue_id
    call.entry = w.new_id("e")
    call.last_queue, call.last_entry, call.passed_on = queue_id, call.entry, False
    call.entered_at = w.now
    call.came = w.now if since is None else since
    call.connected = False
    call.linked_agent = None
    open_now = queue.hours is None or w.is_open(queue.hours, w.now)
    w.tell(
        acd.Enter(
            call=call.id,
            entry=call.entry,
            queue=queue_id,
            caller=w.numbering.key(call.caller) or call.caller,
            priority=queue.priority + raise_by,
            parent=parent,
            open=open_now,
            since=since,
            overflow=overflow,
        ),
    )
    if call.entry is not None and call.a.state == "up":
        greet(w, call)


def requeue(w: World, call: Call) -> None:
    """A caller was passed on and nobody took the call: to what comes next, or back to the head of
    the queue."""
    after, call.after = call.after, None
    if after is not None and not call.ended:
        w.media(p.PlayTone(call.a.id, None))
        if after != BACK:
            go(w, call, after, why="overflow")
        elif call.last_queue is not None:
            enter(w, call, call.last_queue, parent=call.last_entry, overflow=False)
        return
    call.hops += 1
    if call.ended or call.entry is not None:
        return
    if call.last_queue not in w.site.queues or call.hops > MAX_HOPS:
        end_call(w, call, "system", "no_answer")
        return
    w.media(p.PlayTone(call.a.id, None))
    enter(w, call, call.last_queue, parent=call.last_entry, raise_by=1)


def greet(w: World, call: Call) -> None:
    """What a caller hears on entering: music, and a welcome unless somebody answers at once."""
    queue = w.site.queues.get(call.queue or "")
    if queue is None or call.joined:
        return
    w.music(call.a, queue.music or "")
    listen(w, call.a, keys=wishes.offered(w, call))
    if call.linked_agent is None:
        welcome = queue.welcome or phrases.phrase("busy", call.language)
        said = [welcome]
        if wishes.said_aloud(w, call):
            said.append(keep_place.text("offer", call.language, queue.callback_key))
        w.speak(call, tuple(said), "queue")


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
        lambda box: messages.has_room(w, box),
    )
    w.media(p.PlayTone(call.a.id, None))
    if call.a.music:
        w.music(call.a, None)
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
            case ivr.Tape():
                messages.tape(w, call, action)
            case ivr.Go(route=route):
                call.menu = None
                go(w, call, str(route))


def program_answered(w: World, call_id: str, token: int, values: Mapping[str, str] | None) -> None:
    """What a program said that was asked for a call; the call may be over, or elsewhere."""
    call = w.calls.get(call_id)
    if call is not None and call.menu is not None and not call.ended:
        carry_out(w, call, call.menu.answered(token, values, w.now))


def _queue_now(w: World, queue: str, now: int) -> QueueNow:
    if queue not in w.site.queues:
        return QueueNow(0, 0, 0)
    counts = w.acd.counts(queue)
    since = counts.oldest_since
    return QueueNow(counts.waiting, counts.ready, 0 if since is None else max(0, now - since))
