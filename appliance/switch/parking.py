"""Park and pick up: a caller waits in a numbered orbit, with music, for whoever fetches the call.

An orbit is the first free number of the site document; it is dialled, pressed or typed to fetch.
When nobody does in time, whoever parked the call is rung.
"""

from __future__ import annotations

from appliance.events import Parked, PartyJoined
from appliance.media import protocol as p
from appliance.switch import dialling
from appliance.switch.calls import close_orbit, dismiss, forget_talk, release_hold
from appliance.switch.dialling import payer_of
from appliance.switch.legs import drop
from appliance.switch.model import Call, Leg, World
from appliance.switch.refusals import Cannot
from appliance.switch.voices import arrange, stop_recording


def park(w: World, call: Call, by: Leg) -> str:
    """Put the other party of `by` into an orbit and let `by` go; returns the orbit. Raises
    `Cannot`."""
    other = parkable(call, by)
    orbit, call.orbit_wanted = call.orbit_wanted or free_orbit(w), None
    release_hold(w, call)
    stop_recording(w, call)
    call.a, call.b = other, None
    call.orbit = orbit
    call.orbit_until = w.now + w.site.features.park_s * 1000
    call.parked_by = payer_of(by)
    w.fact(Parked(at=w.now, call=call.id, orbit=orbit, by=by.party))
    dismiss(w, call, by)
    forget_talk(call)
    arrange(w, call)
    drop(w, by)
    return orbit


def parkable(call: Call, by: Leg) -> Leg:
    """The one whom `by` would park. Raises `Cannot`."""
    if len(call.people) != 2 or by not in call.people or call.consult is not None:
        raise Cannot("Only a call of two can be parked.")
    other = call.b if by is call.a else call.a
    if other is None or other.state != "up" or not call.talk_since:
        raise Cannot("There is nobody to park yet.")
    return other


def free_orbit(w: World) -> str:
    """Raises `Cannot`."""
    taken = {one.orbit or one.orbit_wanted for one in w.calls.values()}
    orbit = next((each for each in w.site.orbits if each not in taken), None)
    if orbit is None:
        raise Cannot("All parking places are taken.")
    return orbit


def parked(w: World, orbit: str) -> Call:
    """The call in this orbit. Raises `Cannot`."""
    for call in w.calls.values():
        if call.orbit == orbit and not call.ended:
            return call
    raise Cannot(f"Nobody is parked at {orbit}.")


def fetch(w: World, call: Call, leg: Leg) -> None:
    """The leg, up and of this call already, takes the parked caller."""
    close_orbit(w, call, "fetched", leg.party)
    call.b = leg
    w.fact(PartyJoined(at=w.now, call=call.id, party=leg.party, how="park"))
    arrange(w, call)


def time_out(w: World, call: Call) -> None:
    """Nobody came: ring who parked the call; when that fails too the caller is told."""
    close_orbit(w, call, "timeout")
    call.back_to, call.parked_by, call.passed_on = call.parked_by, None, True
    w.music(call.a, None)
    w.media(p.PlayTone(call.a.id, "ringback"))
    dialling.dial_failed(w, call, "no_answer")
