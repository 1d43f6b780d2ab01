"""Passing a call on: the one who transfers leaves, the other party goes to its new place."""

from __future__ import annotations

from typing import Literal

from appliance.events import Transfer
from appliance.switch.calls import dismiss, forget_talk, release_hold
from appliance.switch.dialling import dial, payer_of
from appliance.switch.dialplan import resolve
from appliance.switch.legs import drop
from appliance.switch.model import Call, Leg, World
from appliance.switch.refusals import Cannot, check, party_of
from appliance.switch.routing import enter
from appliance.switch.voices import arrange, music_of, stop_recording


def blind(w: World, call: Call, by: Leg, number: str) -> None:
    """Send the other party of `by` to a number of this office's dial plan and let `by` go.

    What can be seen to fail is refused while the two are still talking. A caller who was
    transferred to a queue keeps the time of the first entry as its parent. Raises
    `Cannot`.
    """
    if len(call.people) > 2 or by not in call.people:
        raise Cannot("There are several people in this call.")
    if call.consult is not None:
        raise Cannot("End the consultation first.")
    other = call.b if by is call.a else call.a
    if other is None or other.state != "up" or call.ended or not call.talk_since:
        raise Cannot("There is nobody to transfer yet.")
    destination = resolve(w.site, number)
    check(w, destination, number, payer_of(by))
    entry = call.entry
    mode: Literal["blind", "queue"] = "queue" if destination.kind == "queue" else "blind"
    let_go(w, call, by, mode, party_of(destination))
    w.music(other, music_of(w, call))
    if destination.kind == "queue":
        enter(w, call, destination.target, parent=entry)
    else:
        call.queue = None
        call.back_to, call.passed_on = payer_of(by) if by.inside else None, True
        dial(w, call, destination, payer=payer_of(by))


def let_go(w: World, call: Call, by: Leg, mode: Literal["blind", "queue"], to: str) -> None:
    """`by` leaves the talk and passes the call on; the other is its caller from now on."""
    other = call.b if by is call.a else call.a
    assert other is not None
    release_hold(w, call)
    stop_recording(w, call)
    w.fact(Transfer(at=w.now, call=call.id, mode=mode, by=by.party, to=to, entry=call.entry))
    call.a, call.b = other, None
    arrange(w, call)
    drop(w, by)
    dismiss(w, call, by)
    forget_talk(call)
