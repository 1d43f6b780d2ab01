"""Finding the other party: phones, people, the outside, and what happens when they cannot be had.

One attempt at a time for a call: the party is rung in the slot that the attempt names (`b`, or the
one consulted). Calls to the outside try one line after the other; emergency calls try every line
there is, take one from somebody else if need be, and are never given up while the caller waits.
"""

from __future__ import annotations

from typing import Final

from appliance.acd import events as acd
from appliance.events import Dialled, DialRefused, Forwarded, LineBusy, LineSeized
from appliance.media import protocol as p
from appliance.switch import messages, numbers
from appliance.switch.calls import (
    close_consult,
    close_watch,
    end_call,
    engage,
    forget_talk,
    free_agent,
    free_agents,
    let_go,
    release_hold,
    stay_engaged,
)
from appliance.switch.dialplan import Destination, resolve
from appliance.switch.legs import add_leg, drop, invite, show_ringing
from appliance.switch.model import Attempt, Call, Desk, Leg, LineDesk, Outside, Slot, World
from appliance.switch.voices import arrange

TONE_MS: Final = 4000
"""How long a caller hears busy before we hang up."""
EMERGENCY_AGAIN_MS: Final = 3000
"""All lines failed: an emergency call tries them all again after this."""
_THE_LINES_FAULT: Final = frozenset({"unreachable", "no_line"})


def payer_of(leg: Leg) -> str:
    """Who answers for what this leg dials."""
    return f"agent:{leg.agent}" if leg.agent is not None else leg.party


def dial(
    w: World,
    call: Call,
    destination: Destination,
    *,
    payer: str,
    slot: Slot = "b",
    hops: int = 0,
    caller_id: str | None = None,
    first: str | None = None,
) -> None:
    """Ring the destination for this call. What cannot be had ends as `dial_failed`. Queues are not
    rung; see `routing.send`."""
    until = w.now + w.site.numbering.ring_s * 1000
    call.attempt = Attempt(slot, until, payer=payer, caller_id=caller_id, hops=hops, first=first)
    match destination.kind:
        case "phone":
            _dial_phone(w, call, f"phone:{destination.target}", destination.target, None)
        case "person":
            _dial_person(w, call, w.desks[destination.target])
        case "outside":
            _dial_outside(w, call, destination)
        case _:
            dial_failed(w, call, "unknown_number")


def place(w: World, call: Call, leg: Leg) -> None:
    """The attempt's leg takes its slot; the caller hears that it rings."""
    assert call.attempt is not None
    if call.attempt.slot == "consult":
        assert call.consult is not None
        call.consult.leg = leg
        show_ringing(w, call.consult.by)
    elif call.attempt.slot == "a":
        call.a = leg
    else:
        call.b = leg
        show_ringing(w, call.a)


def _dial_phone(w: World, call: Call, party: str, extension: str, agent: str | None) -> None:
    leg = None
    if extension not in w.registered:
        dial_failed(w, call, "unreachable")
        return
    leg = invite(w, call, party, extension, trunk=None, agent=agent)
    if leg is None:
        dial_failed(w, call, "no_line")
        return
    place(w, call, leg)


def busy(w: World, desk: Desk) -> bool:
    """The person's hands are full."""
    return desk.call is not None or w.acd.agent(desk.id).phase in ("offered", "busy")


def _dial_person(w: World, call: Call, desk: Desk) -> None:
    if _forwarded(w, call, desk, "always"):
        return
    why = "busy" if busy(w, desk) or desk.dnd else None if reachable(w, desk) else "unreachable"
    if why is None:
        _ring_person(w, call, desk)
    elif not _forwarded(w, call, desk, "busy" if why == "busy" else "no_answer"):
        if call.attempt is not None:
            call.attempt.for_desk = desk.id
        dial_failed(w, call, why)


def reachable(w: World, desk: Desk) -> bool:
    """The person's desk phone is registered, or their page has its audio."""
    return desk.phone in w.registered if desk.phone is not None else desk.peer == "connected"


def _ring_person(w: World, call: Call, desk: Desk) -> None:
    assert call.attempt is not None
    call.attempt.for_desk = desk.id
    box = messages.takes(w.site, desk.id, "no_answer")
    if box is not None and call.attempt.until is not None:
        sooner = w.now + w.site.boxes[box].ring_s * 1000
        call.attempt.until = min(call.attempt.until, sooner)
    engage(w, call, desk.id)
    if desk.phone is not None:
        _dial_phone(w, call, f"agent:{desk.id}", desk.phone, desk.id)
        return
    leg = Leg(
        id=w.number(),
        call=call,
        party=f"agent:{desk.id}",
        kind="peer",
        state="ringing",
        agent=desk.id,
        incoming=False,
    )
    w.legs[leg.id] = leg
    place(w, call, leg)


def _forwarded(w: World, call: Call, desk: Desk, why: str) -> bool:
    """Send the call where the person wants it; who forwards answers for the call. After too many
    hops (people who forward to each other) nobody is asked any more."""
    number = desk.forward.get(why)
    attempt = call.attempt
    if number is None or attempt is None or attempt.hops >= w.site.numbering.forward_hops:
        return False
    destination = resolve(w.site, number)
    if destination.kind in ("unknown", "queue") or destination.emergency:
        return False
    w.fact(Forwarded(at=w.now, call=call.id, by=f"agent:{desk.id}", to=number, why=why))
    payer = f"agent:{desk.id}" if destination.kind == "outside" else attempt.payer
    first, hops = attempt.first or desk.id, attempt.hops + 1
    dial(w, call, destination, payer=payer, slot=attempt.slot, hops=hops, first=first)
    return True


# --- the outside ----------------------------------------------------------------------------


def free_channel(w: World, trunk: str) -> bool:
    settings = w.site.lines[trunk]
    assert settings.kind == "trunk"
    used = sum(1 for leg in w.legs.values() if leg.trunk == trunk and leg.state != "closed")
    return used < settings.channels


def refused(w: World, payer: str, number: str) -> str | None:
    """Why this party may not call that number now: `kind`, `abroad` or `ceiling`."""
    found = numbers.way(w.site, w.plan, number)
    why: str | None = numbers.refusal(w.site, payer, found)
    if why is None and w.spending.exceeded(w.site.numbering.ceiling, payer, found.kind, w.now):
        why = "ceiling"
    return why


def _dial_outside(w: World, call: Call, destination: Destination) -> None:
    attempt, number = call.attempt, destination.target
    assert attempt is not None
    attempt.number = number
    if attempt.slot != "consult":
        call.called = number
    if destination.emergency:
        attempt.kind, attempt.until = "emergency", None
        attempt.left = [(line, number) for line in numbers.emergency_lines(w.site)]
        next_line(w, call, "no_line")
        return
    why = refused(w, attempt.payer, number)
    if why is not None:
        w.fact(DialRefused(at=w.now, by=attempt.payer, number=number, reason=why, call=call.id))
        dial_failed(w, call, "forbidden")
        return
    found = numbers.way(w.site, w.plan, number)
    attempt.kind, attempt.left = found.kind, list(found.lines)
    next_line(w, call, "no_line")


def dial_site(w: World, call: Call, site_id: str) -> None:
    """Pass a caller on to another office. The owner of the document chose the number, so nobody's
    permissions are asked; the day's ceiling holds."""
    there = w.site.sites[site_id]
    payer = f"site:{site_id}"
    kind = w.plan.kind(there.number, w.site.office.area)[0]
    shown = None
    if there.keep_caller:
        shown = numbers.WITHHELD if call.caller is None else call.caller
    attempt = call.attempt = Attempt(
        "b",
        w.now + there.ring_s * 1000,
        number=there.number,
        payer=payer,
        kind=kind,
        left=[(line, there.number) for line in numbers.spread(w.site, there.lines)],
        caller_id=shown,
    )
    if there.tell_wait:
        waited = (w.now - call.came if call.came else 0) // 1000
        attempt.headers = (("x-queue-wait", str(min(max(0, waited), 86_400))),)
    if w.spending.exceeded(w.site.numbering.ceiling, payer, kind, w.now):
        w.fact(DialRefused(at=w.now, by=payer, number=there.number, reason="ceiling", call=call.id))
        dial_failed(w, call, "forbidden")
        return
    next_line(w, call, "no_line")


def next_line(w: World, call: Call, cause: str) -> None:
    """Try the lines that are left, the first that can be had; `cause` is why the last one could
    not, or that there was none."""
    attempt = call.attempt
    assert attempt is not None
    while attempt.left:
        line, number = attempt.left.pop(0)
        if _seize(w, call, attempt, line, number):
            return
    if attempt.emergency:
        _insist(w, call, attempt)
        return
    if cause == "no_line":
        w.fact(LineBusy(at=w.now, line="outgoing", caller=call.caller))
    dial_failed(w, call, cause)


def _seize(w: World, call: Call, attempt: Attempt, line: str, number: str) -> bool:
    settings = w.site.lines.get(line)
    if settings is None:
        return False
    if settings.kind == "modem":
        desk = w.lines.get(line)
        if desk is None or desk.state != "idle" or desk.call is not None:
            return False
        leg = _line_leg(w, call, desk)
        w.media(p.DialLine(line, number))
    else:
        reachable, _ = w.trunks.get(line, (not settings.registration, ""))
        if not free_channel(w, line) or (not reachable and not attempt.emergency):
            return False
        found = invite(
            w,
            call,
            f"trunk:{line}",
            number,
            trunk=line,
            agent=None,
            caller_id=_shown(w, attempt),
            headers=attempt.headers,
        )
        if found is None:
            return False
        leg = found
    dial_id = w.new_id("d")
    leg.outside = Outside(dial_id, attempt.payer, attempt.kind, attempt.number)
    w.spending.begin(dial_id, attempt.payer, attempt.kind, w.now)
    w.fact(
        Dialled(
            at=w.now,
            call=call.id,
            dial=dial_id,
            by=attempt.payer,
            number=attempt.number,
            kind=attempt.kind,
            line=line,
            preempted=attempt.preempted,
        )
    )
    if attempt.slot == "b" and call.direction == "internal":
        call.direction = "out"
    attempt.retry_at = None
    if call in w.wants_line:
        w.wants_line.remove(call)
    place(w, call, leg)
    return True


def _shown(w: World, attempt: Attempt) -> tuple[str | None, ...]:
    """What those called are to see, best first. Emergency services see a number to call back."""
    person = w.site.people.get(attempt.payer.removeprefix("agent:"))
    wanted = (attempt.caller_id, None if person is None else person.caller_id)
    return tuple(one for one in wanted if not (attempt.emergency and one == numbers.WITHHELD))


def _line_leg(w: World, call: Call, desk: LineDesk) -> Leg:
    desk.state, desk.call = "busy", call.id
    leg = add_leg(
        w,
        Leg(
            id=w.number(),
            call=call,
            party=f"line:{desk.id}",
            kind="line",
            state="ringing",
            line=desk.id,
            incoming=False,
        ),
    )
    w.fact(LineSeized(at=w.now, call=call.id, line=desk.id, direction="out"))
    return leg


# --- emergency ------------------------------------------------------------------------------


def _insist(w: World, call: Call, attempt: Attempt) -> None:
    """No line can be had for an emergency call: take one from a call that matters less. An analog
    line has to go on-hook first; `line_free` comes back for it."""
    late = attempt.retry_at is not None and w.now >= attempt.retry_at
    if late or attempt.retry_at is None:
        attempt.retry_at = w.now + EMERGENCY_AGAIN_MS
    if call not in w.wants_line:
        w.wants_line.append(call)
    show_ringing(w, call.consult.by if attempt.slot == "consult" and call.consult else call.a)
    _refill(w, attempt)
    victim = _victim(w, call) if attempt.preempted is None or late else None
    if victim is None:
        return
    freed = {leg.trunk for leg in victim.legs}
    attempt.preempted = victim.id
    end_call(w, victim, "system", "preempted")
    for line, number in list(attempt.left):
        if line in freed and _seize(w, call, attempt, line, number):
            attempt.left.remove((line, number))
            return


def _refill(w: World, attempt: Attempt) -> None:
    attempt.left = [(line, attempt.number) for line in numbers.emergency_lines(w.site)]


def _victim(w: World, call: Call) -> Call | None:
    """The call that gives up its line: calls out before calls in, those who wait before those who
    talk, the newest first; never another emergency."""

    def rank(one: Call) -> tuple[int, int]:
        calls_out = any(leg.outside is not None for leg in one.legs)
        return (0 if calls_out else 1 if not one.joined else 2, -one.opened_at)

    able = [
        one
        for one in w.calls.values()
        if one is not call
        and not one.ended
        and not one.emergency
        and any(_gives_line(w, leg) for leg in one.legs)
    ]
    return min(able, key=rank, default=None)


def _gives_line(w: World, leg: Leg) -> bool:
    if leg.line is not None:
        return w.lines[leg.line].state != "absent"
    return leg.trunk is not None


def emergency_again(w: World, leg: Leg) -> bool:
    """The line that carried an emergency call is gone, and nobody there hung up: whoever called is
    still waiting, so the next lines are tried. False where it is no such call."""
    call, outside, consult = leg.call, leg.outside, leg.call.consult
    if outside is None or outside.kind != "emergency" or call.ended or call.attempt is not None:
        return False
    slot: Slot
    if consult is not None and leg is consult.leg:
        slot = "consult"
        consult.leg = None
    elif leg is call.b and not call.more and consult is None and call.a.state == "up":
        slot = "b"
        call.b = None
        release_hold(w, call)
        forget_talk(call)
    else:
        return False
    for watcher in [one for one in call.watchers if one.of is leg]:
        close_watch(w, call, watcher)
        let_go(w, call, watcher.leg, gone=False)
    arrange(w, call)
    drop(w, leg, gone=True)
    gone = leg.line or leg.trunk
    attempt = Attempt(slot, None, number=outside.number, payer=outside.payer, kind="emergency")
    lines = list(numbers.emergency_lines(w.site))
    at = lines.index(gone) if gone in lines else len(lines)
    attempt.left = [(line, outside.number) for line in (*lines[at + 1 :], *lines[:at])]
    call.attempt = attempt
    next_line(w, call, "no_line")
    return True


def line_free(w: World, line: str) -> None:
    """A line is on-hook or works again: whoever waits for one in an emergency gets it."""
    for call in list(w.wants_line):
        attempt = call.attempt
        if call.ended or attempt is None or not attempt.emergency:
            w.wants_line.remove(call)
        elif attempt.retry_at is not None:
            attempt.left.sort(key=lambda one: one[0] != line)
            next_line(w, call, "no_line")


# --- when it comes to nothing ---------------------------------------------------------------


def party_failed(w: World, leg: Leg, cause: str, *, gone: bool = True) -> None:
    """The party that is being rung cannot be had: by another line, elsewhere, or not at all."""
    call, attempt = leg.call, leg.call.attempt
    drop(w, leg, gone=gone)
    if attempt is not None and leg.outside is None and leg.trunk is None and leg.line is None:
        desk = w.desks.get(attempt.for_desk or "")
        why = "busy" if cause in ("busy", "rejected") else "no_answer"
        if desk is not None and desk.forward.get(why) is not None:
            _vacate(w, call)
            if desk.call is call:
                free_agent(w, call, desk)
            if _forwarded(w, call, desk, why):
                return
    outside = leg.trunk is not None or leg.line is not None
    if attempt is not None and outside and (attempt.emergency or cause in _THE_LINES_FAULT):
        _vacate(w, call)
        next_line(w, call, cause)
        return
    dial_failed(w, call, cause)


def no_answer(w: World, call: Call) -> None:
    """The party was rung for long enough."""
    attempt = call.attempt
    leg = rung(call)
    if attempt is None:
        return
    attempt.until = None
    desk = w.desks.get(attempt.for_desk or "")
    if leg is not None and desk is not None and desk.forward.get("no_answer") is not None:
        _vacate(w, call)
        drop(w, leg)
        if desk.call is call:
            free_agent(w, call, desk)
        if _forwarded(w, call, desk, "no_answer"):
            return
    dial_failed(w, call, "no_answer")


def rung(call: Call) -> Leg | None:
    """The leg of the present attempt."""
    if call.attempt is None:
        return None
    if call.attempt.slot == "consult":
        return None if call.consult is None else call.consult.leg
    return call.a if call.attempt.slot == "a" else call.b


def _vacate(w: World, call: Call) -> None:
    """The attempt's slot is empty again."""
    assert call.attempt is not None
    if call.attempt.slot == "consult":
        if call.consult is not None:
            call.consult.leg = None
    elif call.attempt.slot == "a":
        no_leg(w, call)
    else:
        call.b = None


def no_leg(w: World, call: Call) -> None:
    """A call of ours whose first party is yet to be had: an end without a door."""
    call.a = Leg(w.number(), call, f"queue:{call.queue}", "sip", state="closed", incoming=False)


def dial_failed(w: World, call: Call, cause: str) -> None:
    """The other party cannot be had: tell whoever called in the way their door allows."""
    attempt = call.attempt
    if attempt is not None and attempt.slot == "consult":
        _consult_failed(w, call, cause)
        return
    call.attempt = None
    if attempt is not None and attempt.slot == "a":
        end_call(w, call, "callee" if cause in ("busy", "rejected") else "system", cause)
        return
    b, call.b = call.b, None
    if b is not None:
        drop(w, b)
    caller_desk = w.desks.get(call.a.agent or "")
    for desk in w.desks.values():
        if desk.call is call and desk is not caller_desk:
            desk.call = None
            w.tell(acd.Engaged(desk.id, False))
            stay_engaged(w, desk, call)
    if call.back_to is not None and _back(w, call):
        return
    if call.after is not None:
        w.requeue.append(call)
        return
    box = None
    if attempt is not None:
        # Who forwards to where nobody answers either keeps their own callers' messages.
        takes = (messages.takes(w.site, one, cause) for one in (attempt.for_desk, attempt.first))
        box = next(takes) or next(takes)
    if box is not None and not (call.passed_on and call.last_queue is not None):
        w.to_box.append((call, box))
        return
    if call.a.state != "up":
        end_call(w, call, "callee" if cause in ("busy", "rejected") else "system", cause)
        return
    if call.passed_on and call.last_queue is not None and not call.a.inside:
        w.requeue.append(call)
        return
    if call.a.kind == "peer":
        free_agents(w, call)
        end_call(w, call, "callee", cause)
        return
    w.music(call.a, None)
    w.media(p.PlayTone(call.a.id, "busy" if cause == "busy" else "reorder"))
    call.end_at, call.end_cause = w.now + TONE_MS, cause


def _consult_failed(w: World, call: Call, cause: str) -> None:
    """Whoever wanted to consult hears why, and still has the others on hold."""
    consult = call.consult
    leg = close_consult(w, call, "failed")
    call.attempt = None
    if leg is not None:
        drop(w, leg)
        desk = w.desks.get(leg.agent or "")
        if desk is not None and desk.call is call:
            free_agent(w, call, desk)
    arrange(w, call)
    if consult is not None and consult.by.state == "up":
        w.media(p.PlayTone(consult.by.id, "busy" if cause == "busy" else "reorder"))


def _back(w: World, call: Call) -> bool:
    """Ring whoever passed the call on; False when they cannot be rung."""
    party, call.back_to = call.back_to, None
    door, _, name = (party or "").partition(":")
    if door == "agent" and name in w.desks:
        desk = w.desks[name]
        if busy(w, desk) or not reachable(w, desk):
            return False
        call.attempt = Attempt("b", w.now + w.site.numbering.ring_s * 1000, payer=party or "")
        _ring_person(w, call, desk)
        return True
    if door == "phone" and name in w.registered:
        dial(w, call, Destination("phone", name), payer=party or "")
        return True
    return False
