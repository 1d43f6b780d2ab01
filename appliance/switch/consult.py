"""Attended transfer: speak with somebody first while the others wait, then pass the call on, bring
all together, or go back. Everything in one call: nobody's leg is moved or lost on the way."""

from __future__ import annotations

from typing import Final

from appliance.events import ConsultStart, Transfer
from appliance.media import protocol as p
from appliance.switch.calls import (
    close_consult,
    dismiss,
    forget_talk,
    free_agent,
    hold,
    join,
    let_go,
    release_hold,
    resume,
)
from appliance.switch.dialling import dial, payer_of
from appliance.switch.dialplan import resolve
from appliance.switch.legs import drop, show_ringing
from appliance.switch.model import Call, Consult, Leg, World
from appliance.switch.refusals import Cannot, check, party_of
from appliance.switch.voices import arrange

MAX_PEOPLE: Final = 8
"""Of a conference; supervisors who do not speak to all are not counted."""


def start(w: World, call: Call, by: Leg, number: str) -> None:
    """Hold the others and call somebody. Raises `Cannot`; the talk then goes on."""
    if call.consult is not None:
        raise Cannot("End the consultation first.")
    if by not in call.people or not call.bridge_live or call.attempt is not None:
        raise Cannot("There is nobody on the line yet.")
    if call.held_by not in (None, by.name):
        raise Cannot("The other side has put you on hold.")
    if len(call.people) >= MAX_PEOPLE:
        raise Cannot("The conference is full.")
    destination = resolve(w.site, number)
    if destination.kind == "queue":
        raise Cannot("A queue cannot be consulted; transfer the call to it.")
    check(w, destination, number, payer_of(by))
    hold(w, call, by)
    call.consult = Consult(by, party_of(destination))
    w.fact(ConsultStart(at=w.now, call=call.id, by=by.party, to=call.consult.to, entry=call.entry))
    dial(w, call, destination, payer=payer_of(by), slot="consult")


def consulted(call: Call, by: Leg) -> Leg:
    """The one consulted, on the line. Raises `Cannot`."""
    consult = call.consult
    if consult is None or consult.by is not by:
        raise Cannot("There is no consultation.")
    if consult.leg is None or consult.leg.state != "up":
        raise Cannot("They have not answered yet.")
    return consult.leg


def swap(w: World, call: Call, by: Leg) -> None:
    """Speak with the others, or again with the one consulted; whoever is left waits."""
    consulted(call, by)
    if call.held_by == by.name:
        resume(w, call)
    else:
        hold(w, call, by)


def cancel(w: World, call: Call, by: Leg) -> None:
    """Back to the others; the one consulted is let go."""
    if call.consult is None or call.consult.by is not by:
        raise Cannot("There is no consultation.")
    leg = close_consult(w, call, "cancelled")
    w.media(p.PlayTone(by.id, None))
    if call.held_by == by.name:
        resume(w, call)
    else:
        arrange(w, call)
    if leg is not None:
        let_go(w, call, leg, gone=False)


def complete(w: World, call: Call, by: Leg) -> None:
    """Pass the call on to the one consulted, who may still be ringing."""
    if call.consult is None or call.consult.by is not by or call.consult.leg is None:
        raise Cannot("There is no consultation.")
    pass_on(w, call, gone=False)


def bring_together(w: World, call: Call, by: Leg) -> None:
    """The consultation becomes a conference."""
    consulted(call, by)
    merge(w, call)


def merge(w: World, call: Call) -> None:
    """All speak with each other; the one consulted is on the line."""
    leg = close_consult(w, call, "conference")
    assert leg is not None
    release_hold(w, call)
    join(w, call, leg, "conference")


def pass_on(w: World, call: Call, *, gone: bool) -> None:
    """Whoever consulted goes and the one consulted takes the place: of two, also while that one
    still rings; then the other hears the ringing, and gets back who passed the call on when
    nobody answers. `gone`: by hanging up."""
    consult, attempt = call.consult, call.attempt
    assert consult is not None
    by, leg = consult.by, consult.leg
    assert leg is not None
    others = [one for one in call.people if one is not by]
    rings = leg.state != "up"
    if rings and len(others) > 1:
        close_consult(w, call, "cancelled")
        let_go(w, call, leg, gone=False)
    else:
        w.fact(
            Transfer(
                at=w.now,
                call=call.id,
                mode="attended",
                by=by.party,
                to=consult.to,
                entry=call.entry,
            )
        )
        close_consult(w, call, "completed")
        others.append(leg)
    release_hold(w, call)
    was_caller = by is call.a
    call.a, call.b, call.more = others[0], others[1], others[2:]
    if len(others) == 2 or by.agent == call.linked_agent or was_caller:
        dismiss(w, call, by)
    elif (desk := w.desks.get(by.agent or "")) is not None and desk.call is call:
        free_agent(w, call, desk)
    if len(others) == 2:
        forget_talk(call)
    arrange(w, call)
    drop(w, by, gone=gone)
    if rings and len(others) == 2 and attempt is not None:
        attempt.slot = "b"
        call.attempt, call.back_to = attempt, payer_of(by)
        call.passed_on = True
        w.music(call.a, None)
        show_ringing(w, call.a)
