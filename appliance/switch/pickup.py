"""Taking what rings at a colleague, or who is parked, at one's page or desk phone."""

from __future__ import annotations

from appliance.acd import events as acd
from appliance.events import PartyJoined
from appliance.switch import parking, parties
from appliance.switch.calls import answer_caller, close_orbit, engage, free_agent
from appliance.switch.dialling import busy, dial, rung
from appliance.switch.dialplan import Destination
from appliance.switch.legs import answer, drop
from appliance.switch.model import Call, Desk, Leg, World
from appliance.switch.refusals import Cannot
from appliance.switch.voices import arrange


def _free(w: World, desk: Desk) -> None:
    if desk.call is not None:
        raise Cannot("Finish the present call first.")
    if desk.phone is None and desk.peer != "connected":
        raise Cannot("Your microphone is not connected yet.")
    if desk.phone is not None and desk.phone not in w.registered:
        raise Cannot("Your desk phone is not connected.")


def fetch_parked(w: World, desk: Desk, orbit: str) -> None:
    """At the page at once; a desk phone rings first. Raises `Cannot`."""
    call = parking.parked(w, orbit)
    _free(w, desk)
    if desk.phone is not None:
        if busy(w, desk):
            raise Cannot("Finish the present call first.")
        close_orbit(w, call, "fetched", f"agent:{desk.id}")
        call.back_to = call.parked_by
        dial(w, call, Destination("person", desk.id), payer=f"agent:{desk.id}")
        return
    leg = _peer(w, call, desk)
    engage(w, call, desk.id)
    parking.fetch(w, call, leg)


def _peer(w: World, call: Call, desk: Desk) -> Leg:
    leg = Leg(id=w.number(), call=call, party=f"agent:{desk.id}", kind="peer", agent=desk.id)
    w.legs[leg.id] = leg
    answer(w, leg)
    return leg


def pick_up(w: World, desk: Desk, colleague: str) -> None:
    """Answer at the page what rings at a colleague. Raises `Cannot`."""
    _free(w, desk)
    if desk.phone is not None:
        raise Cannot("Dial the code for pick-up on your desk phone.")
    other = w.desks.get(colleague)
    found = None if other is None else _ringing_at(w, other)
    if other is None or found is None or other is desk:
        raise Cannot("Nothing rings there.")
    call, offered = found
    if offered:
        _check_queue(w, desk.id)
        assert call.entry is not None
        w.tell(acd.Take(desk.id, call.entry))
        return
    _replace(w, call, None, desk)


def pick_up_by_phone(w: World, came: Call, extension: str) -> None:
    """The same for a phone that dialled the code: its leg goes into the call that rings there.
    Raises `Cannot`."""
    other = next((d for d in w.desks.values() if d.person.extension == extension), None)
    if other is None:
        other = next((d for d in w.desks.values() if d.phone == extension), None)
    found = None if other is None else _ringing_at(w, other)
    if found is None:
        call = _ringing_phone(w, extension)
        found = None if call is None else (call, False)
    if found is None or found[0] is came:
        raise Cannot("Nothing rings there.")
    call, offered = found
    leg = came.a
    if offered:
        if leg.agent is None:
            raise Cannot("Only people pick up a queue's calls.")
        _check_queue(w, leg.agent)
        if not answer_caller(w, came):
            return
        parties.move(w, leg, call)
        desk = w.desks[leg.agent]
        desk.call = None
        desk.ringing["pickup"] = leg
        assert call.entry is not None
        w.tell(acd.Take(desk.id, call.entry))
        return
    if not answer_caller(w, came):
        return
    parties.move(w, leg, call)
    _replace(w, call, leg, None)


def _check_queue(w: World, agent: str) -> None:
    view = w.acd.agent(agent)
    if view.linked or (view.phase == "busy" and not view.engaged):
        raise Cannot("Finish the present call first.")


def _ringing_at(w: World, desk: Desk) -> tuple[Call, bool] | None:
    """The call that rings at this person, and whether a queue offers it."""
    view = w.acd.agent(desk.id)
    if desk.call is None and view.offer is not None and view.call in w.calls:
        call = w.calls[view.call]
        if call.linked_agent is None and call.entry == view.entry:
            return call, True
    leg = None if desk.call is None else rung(desk.call)
    if desk.call is not None and leg is not None and leg.agent == desk.id:
        return desk.call, False
    return None


def _ringing_phone(w: World, extension: str) -> Call | None:
    for leg in w.legs.values():
        if leg.phone == extension and leg is rung(leg.call):
            return leg.call
    return None


def _replace(w: World, call: Call, leg: Leg | None, desk: Desk | None) -> None:
    """Put the one who picks up in the place of the one who is rung."""
    attempt, old = call.attempt, rung(call)
    assert attempt is not None
    assert old is not None
    drop(w, old)
    rang = w.desks.get(old.agent or "")
    if rang is not None and rang.call is call:
        free_agent(w, call, rang)
    if leg is None:
        assert desk is not None
        engage(w, call, desk.id)
        leg = _peer(w, call, desk)
    call.attempt = None
    if attempt.slot == "consult":
        assert call.consult is not None
        call.consult.leg = leg
    else:
        call.b, call.back_to = leg, None
        if not answer_caller(w, call):
            return
    w.fact(PartyJoined(at=w.now, call=call.id, party=leg.party, how="pickup"))
    arrange(w, call)
