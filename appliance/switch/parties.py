"""Coming into a call that runs, and leaving it: the call goes on while at least two are left."""

from __future__ import annotations

from appliance.events import Disconnect, PartyLeft, Side
from appliance.switch.calls import (
    close_consult,
    close_watch,
    end_call,
    engage,
    free_agent,
    let_go,
    part_over,
    release_hold,
)
from appliance.switch.consult import merge, pass_on
from appliance.switch.model import Call, Leg, World
from appliance.switch.voices import arrange


def leave(
    w: World,
    leg: Leg,
    cause: str = "normal",
    *,
    gone: bool = True,
    side: Side | None = None,
) -> None:
    """One party goes (`gone`: has hung up already). With one of two the call is over; the others
    of a larger one go on, and whoever leaves a consultation passes the call on."""
    call = leg.call
    who: Side = "caller" if leg is call.a else "callee"
    watcher = next((one for one in call.watchers if one.leg is leg), None)
    consult = call.consult
    if call.ended:
        return
    if watcher is not None:
        close_watch(w, call, watcher)
        let_go(w, call, leg, gone=gone)
        arrange(w, call)
    elif consult is not None and leg is consult.leg:
        close_consult(w, call, "failed")
        let_go(w, call, leg, gone=gone)
        arrange(w, call)
    elif consult is not None and leg is consult.by and consult.leg is not None:
        pass_on(w, call, gone=gone)
    else:
        if consult is not None and consult.leg is not None and consult.leg.state == "up":
            merge(w, call)
        elif consult is not None and leg is consult.by:
            close_consult(w, call, "cancelled")
        left = [one for one in call.people if one is not leg and one.state == "up"]
        if len(left) < 2:
            end_call(w, call, side or who, cause, gone=leg if gone else None)
            return
        _remove(w, call, leg)
        w.fact(PartyLeft(at=w.now, call=call.id, party=leg.party))
        arrange(w, call)
        let_go(w, call, leg, gone=gone)


def _remove(w: World, call: Call, leg: Leg) -> None:
    """Take one out of those who talk. When the caller of a queue's call goes, the agent's part in
    it is over even though the agent talks on."""
    if call.held_by == leg.name:
        release_hold(w, call)
    for watcher in [one for one in call.watchers if one.of is leg]:
        close_watch(w, call, watcher)
        let_go(w, call, watcher.leg, gone=False)
    if leg is call.a and call.linked_agent is not None:
        agent = w.desks[call.linked_agent]
        release_hold(w, call)
        free_agent(w, call, agent)
        part_over(call)
        engage(w, call, agent.id)
    left = [one for one in call.people if one is not leg]
    call.a, call.b, call.more = left[0], left[1], left[2:]


def move(w: World, leg: Leg, call: Call) -> None:
    """Bring the caller's leg of a call that has nothing else into another call; the call it came
    with is over. The new role is the caller's of this function to give."""
    old = leg.call
    old.menu = None
    desk = w.desks.get(leg.agent or "")
    if desk is not None and desk.call is old:
        desk.call = call
    leg.call = call
    old.ended = True
    old.attempt = None
    w.over.append((old, Disconnect(at=w.now, call=old.id, side="system", cause="joined")))
