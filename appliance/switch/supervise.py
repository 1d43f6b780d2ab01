"""A supervisor in an agent's call: listens, whispers to the agent, speaks to all, or takes over.

Each way of being there is a fact from its beginning to its end, and the site document says who is
told by what prompt. The supervisor's own leg is a role in the call and never part of the talk
until it takes over.
"""

from __future__ import annotations

from typing import Literal

from appliance.events import PartyJoined, PartyLeft, SuperviseOff, SuperviseOn
from appliance.switch.calls import close_watch, engage, free_agent, let_go, part_over, release_hold
from appliance.switch.legs import answer, drop, invite
from appliance.switch.model import Call, Desk, Leg, Watcher, World
from appliance.switch.refusals import Cannot
from appliance.switch.voices import arrange

Mode = Literal["listen", "whisper", "barge", "take_over"]


def watched(w: World, by: Desk, agent: Desk) -> tuple[Call, Leg]:
    """The call of the agent and their leg in it. Raises `Cannot`."""
    if by.person.role == "agent":
        raise Cannot("Only supervisors may be in other people's calls.")
    if by is agent:
        raise Cannot("This is your own call.")
    call = agent.call
    leg = next((one for one in call.people if one.agent == agent.id), None) if call else None
    if call is None or leg is None or leg.state != "up" or not call.bridge_live:
        raise Cannot(f"{agent.person.name} is not speaking with anybody.")
    return call, leg


def start(w: World, by: Desk, agent: Desk, mode: Mode) -> None:
    """Come into the call by the supervisor's page or desk phone, or change the way of being in
    it. Raises `Cannot`."""
    call, of = watched(w, by, agent)
    known = next((one for one in call.watchers if one.leg.agent == by.id), None)
    if known is not None:
        _change(w, call, known, of, mode)
        return
    if by.call is not None:
        raise Cannot("Finish the present call first.")
    party = f"agent:{by.id}"
    if by.phone is not None:
        leg = None
        if by.phone in w.registered:
            leg = invite(w, call, party, by.phone, trunk=None, agent=by.id)
        if leg is None:
            raise Cannot("Your desk phone is not connected.")
        attach(w, call, leg, of, mode)
        return
    if by.peer != "connected":
        raise Cannot("Your microphone is not connected yet.")
    leg = Leg(id=w.number(), call=call, party=party, kind="peer", agent=by.id)
    w.legs[leg.id] = leg
    answer(w, leg)
    attach(w, call, leg, of, mode)


def attach(w: World, call: Call, leg: Leg, of: Leg, mode: Mode) -> None:
    """Give a leg of this call the supervisor's role; it may still be ringing."""
    takes_over = mode == "take_over"
    watcher = Watcher(leg, of, "listen" if mode == "take_over" else mode, takes_over)
    call.watchers.append(watcher)
    engage(w, call, leg.agent)
    _note(w, call, watcher)
    if leg.state == "up":
        arrived(w, call, watcher)


def arrived(w: World, call: Call, watcher: Watcher) -> None:
    """The supervisor is on the line."""
    if watcher.takes_over:
        _take_over(w, call, watcher)
        return
    _announce(w, call, watcher)
    arrange(w, call)


def stop(w: World, by: Desk) -> None:
    call = by.call
    watcher = next((o for o in call.watchers if o.leg.agent == by.id), None) if call else None
    if call is None or watcher is None:
        raise Cannot("You are not in anybody's call.")
    close_watch(w, call, watcher)
    arrange(w, call)
    let_go(w, call, watcher.leg, gone=False)


def _change(w: World, call: Call, watcher: Watcher, of: Leg, mode: Mode) -> None:
    if watcher.leg.state != "up":
        raise Cannot("Answer your phone first.")
    if mode == "take_over":
        _take_over(w, call, watcher)
        return
    if (watcher.mode, watcher.of) != (mode, of):
        w.fact(SuperviseOff(at=w.now, call=call.id, agent=watcher.of.name, by=watcher.leg.name))
        watcher.mode, watcher.of = mode, of
        _note(w, call, watcher)
        _announce(w, call, watcher)
        arrange(w, call)


def _note(w: World, call: Call, watcher: Watcher) -> None:
    w.fact(
        SuperviseOn(
            at=w.now,
            call=call.id,
            agent=watcher.of.name,
            by=watcher.leg.name,
            mode=watcher.mode,
        )
    )


def _announce(w: World, call: Call, watcher: Watcher) -> None:
    features = w.site.features
    if features.supervise_notice is None:
        return
    told = [watcher.of] if features.supervise_tells == "agent" else list(call.people)
    for leg in told:
        if leg.state == "up":
            w.say(leg, (features.supervise_notice,))


def _take_over(w: World, call: Call, watcher: Watcher) -> None:
    """The supervisor's leg takes the agent's place; the agent is free."""
    of, leg = watcher.of, watcher.leg
    for one in [one for one in call.watchers if one.of is of]:
        close_watch(w, call, one)
        if one is not watcher:
            let_go(w, call, one.leg, gone=False)
    if call.held_by == of.name:
        release_hold(w, call)
    people = [leg if one is of else one for one in call.people]
    call.a, call.b, call.more = people[0], people[1] if len(people) > 1 else None, people[2:]
    w.fact(PartyJoined(at=w.now, call=call.id, party=leg.party, how="take_over"))
    w.fact(PartyLeft(at=w.now, call=call.id, party=of.party))
    desk = w.desks.get(of.agent or "")
    if desk is not None and desk.call is call:
        free_agent(w, call, desk)
    if call.linked_agent == of.agent:
        part_over(call)
    arrange(w, call)
    drop(w, of)
