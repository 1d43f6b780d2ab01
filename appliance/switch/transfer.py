"""Passing a call on: the one who transfers leaves, the other party goes to its new place."""

from __future__ import annotations

from typing import Literal

from appliance.events import Transfer
from appliance.switch.actions import HoldMusic
from appliance.switch.calls import free_agents, music_of, release_hold, stop_recording, unbridge
from appliance.switch.dialplan import Destination, resolve
from appliance.switch.legs import drop
from appliance.switch.model import Call, Leg, World
from appliance.switch.routing import dial, enter


class CannotTransfer(Exception):
    """The call stays as it is; the text is for the person who asked."""


def blind(w: World, call: Call, by: Leg, number: str) -> None:
    """Send the other party of `by` to a number of this office's dial plan and let `by` go.

    What can be seen to fail is refused while the two are still talking. A caller who was
    transferred to a queue keeps the time of the first entry as its parent. Raises
    `CannotTransfer`.
    """
    other = call.b if by is call.a else call.a
    if other is None or other.state != "up" or call.ended or not call.talk_since:
        raise CannotTransfer("There is nobody to transfer yet.")
    destination = resolve(w.site, number)
    _check(w, destination, number)
    entry = call.entry
    let_go(w, call, by, "queue" if destination.kind == "queue" else "blind", _party(destination))
    w.act(HoldMusic(other.id, music_of(w, call)))
    if destination.kind == "queue":
        enter(w, call, destination.target, parent=entry)
    else:
        call.queue = None
        dial(w, call, destination)


def let_go(w: World, call: Call, by: Leg, mode: Literal["blind", "queue"], to: str) -> None:
    """`by` leaves the talk and passes the call on; the other is its caller from now on."""
    other = call.b if by is call.a else call.a
    assert other is not None
    release_hold(w, call)
    unbridge(w, call)
    stop_recording(w, call)
    w.fact(
        Transfer(at=w.now, call=call.id, mode=mode, by=by.party, to=to, entry=call.entry),
    )
    drop(w, by)
    call.a, call.b = other, None
    free_agents(w, call)
    _forget_talk(call)


def _forget_talk(call: Call) -> None:
    """The call starts looking for somebody anew; its identity and history stay."""
    call.entry = None
    call.connected = False
    call.linked_agent = None
    call.bridge_live = False
    call.talk_since = 0
    call.parked_until = None


def _check(w: World, destination: Destination, number: str) -> None:
    match destination.kind:
        case "unknown":
            raise CannotTransfer(f"{number} is no extension and no outside number of this office.")
        case "phone" if destination.target not in w.registered:
            raise CannotTransfer(f"The phone {number} is not connected.")
        case "person":
            desk = w.desks[destination.target]
            if desk.call is not None or w.acd.agent(desk.id).phase in ("offered", "busy"):
                raise CannotTransfer(f"{desk.person.name} is in a call.")
            by_phone = desk.person.door == "phone"
            reachable = desk.person.phone in w.registered if by_phone else desk.peer == "connected"
            if not reachable:
                raise CannotTransfer(f"{desk.person.name} cannot be reached now.")
        case _:
            pass


def _party(destination: Destination) -> str:
    kind = {"person": "agent", "outside": "number"}.get(destination.kind, destination.kind)
    return f"{kind}:{destination.target}"
