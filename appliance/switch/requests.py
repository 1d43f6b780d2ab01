"""What people ask for from their pages: states, buttons, calls."""

from __future__ import annotations

from typing import Final

from appliance import live
from appliance.acd import events as acd
from appliance.media import protocol as p
from appliance.switch.calls import end_call, hold, open_call, resume, try_bridge, unpark
from appliance.switch.dialplan import resolve
from appliance.switch.legs import answer
from appliance.switch.model import Call, Desk, Leg, World
from appliance.switch.routing import dial, dial_failed
from appliance.switch.transfer import CannotTransfer, blind
from appliance.switch.verdicts import expect

ABSENT_MS: Final = 60_000
"""A browser agent without any open page for this long is signed out: nobody is there to ring."""


class Unwilling(Exception):
    """A request that cannot be carried out now; the text is for the person who asked."""


def handle(w: World, request: live.Request) -> None:
    """Carry out a request. Raises `Unwilling`."""
    match request:
        case live.SetAgentState():
            _desk(w, request.agent)
            w.tell(acd.SetState(request.agent, request.state, request.reason))
        case live.AgentAction():
            _action(w, _desk(w, request.agent), request)
        case live.AgentDial():
            _dial(w, _desk(w, request.agent), request.number)
        case live.AgentKeys():
            _keys(w, _desk(w, request.agent), request.digits)
        case live.AgentTransfer():
            _transfer(w, _desk(w, request.agent), request.number)
        case live.AgentPresence():
            presence(w, _desk(w, request.agent), request.session, request.present)
        case _:
            raise Unwilling("This request is not for the switch.")


def _desk(w: World, agent: str) -> Desk:
    desk = w.desks.get(agent)
    if desk is None:
        raise Unwilling(f"There is no person {agent!r} in this office.")
    return desk


def _action(w: World, desk: Desk, request: live.AgentAction) -> None:
    call = desk.call
    if request.action == "wrap_end":
        w.tell(acd.WrapDone(desk.id))
        return
    view = w.acd.agent(desk.id)
    if request.action in ("answer", "reject") and view.offer is not None and call is None:
        if request.call is not None and request.call != view.call:
            raise Unwilling("That call is no longer ringing here.")
        _offered(w, desk, view.offer, accept=request.action == "answer")
        return
    if call is None or (request.call is not None and request.call != call.id):
        raise Unwilling("That call is no longer yours.")
    leg = _leg_of(call, desk)
    match request.action:
        case "answer":
            if leg.state == "ringing" and leg.kind == "peer":
                answer_direct(w, call, leg)
        case "reject":
            if leg.state == "ringing":
                dial_failed(w, call, "rejected")
        case "hold":
            hold(w, call, leg)
        case "resume":
            if call.parked_until is None:
                resume(w, call)
        case "hangup":
            end_call(w, call, "caller" if leg is call.a else "callee")


def _offered(w: World, desk: Desk, offer: str, *, accept: bool) -> None:
    if desk.person.door == "phone" and accept:
        raise Unwilling("Pick up the desk phone to answer.")
    if accept and desk.peer != "connected":
        raise Unwilling("Your microphone is not connected yet.")
    if accept:
        w.tell(acd.Accepted(desk.id, offer))
    else:
        w.tell(acd.Declined(desk.id, offer, "rejected"))


def answer_direct(w: World, call: Call, leg: Leg) -> None:
    """The called party answered a direct call: answer the caller too and connect."""
    if leg.kind == "peer":
        answer(w, leg)
    if call.a.state != "up" and not answer(w, call.a):
        end_call(w, call, "system", "no_codec")
        return
    try_bridge(w, call)


def _leg_of(call: Call, desk: Desk) -> Leg:
    for leg in call.legs:
        if leg.agent == desk.id:
            return leg
    return call.a


def _dial(w: World, desk: Desk, number: str) -> None:
    view = w.acd.agent(desk.id)
    if desk.call is not None or view.phase in ("offered", "busy"):
        raise Unwilling("Finish the present call first.")
    if desk.person.door == "phone":
        raise Unwilling("Dial on the desk phone.")
    if desk.peer != "connected":
        raise Unwilling("Your microphone is not connected yet.")
    destination = resolve(w.site, number)
    if destination.kind == "unknown":
        raise Unwilling(f"{number} is no extension and no outside number of this office.")
    call = open_call(
        w,
        "internal" if destination.kind != "outside" else "out",
        f"agent:{desk.id}",
        caller=desk.person.extension or desk.id,
        caller_name=desk.person.name,
        called=number,
    )
    call.a = Leg(id=w.number(), call=call, party=f"agent:{desk.id}", kind="peer", agent=desk.id)
    w.legs[call.a.id] = call.a
    desk.call = call
    w.tell(acd.Engaged(desk.id, True))
    answer(w, call.a)
    dial(w, call, destination)


def _keys(w: World, desk: Desk, digits: str) -> None:
    call = desk.call
    if call is None or call.b is None:
        raise Unwilling("There is no call to send keys to.")
    other = call.b if call.a.agent == desk.id else call.a
    if other.state == "up":
        w.media(p.SendKeys(other.id, digits[:32]))


def _transfer(w: World, desk: Desk, number: str) -> None:
    call = desk.call
    if call is None:
        raise Unwilling("There is no call to transfer.")
    try:
        blind(w, call, _leg_of(call, desk), number)
    except CannotTransfer as error:
        raise Unwilling(str(error)) from None


def presence(w: World, desk: Desk, session: str, present: bool) -> None:
    """A page opened or closed. The last one closing starts the clock of `ABSENT_MS`."""
    if present:
        desk.sessions.add(session)
        desk.absent_since = None
    else:
        desk.sessions.discard(session)
        if not desk.sessions:
            desk.absent_since = w.now


def peer_state(w: World, desk: Desk, state: p.PeerStateName) -> None:
    """The page's audio came or went."""
    desk.peer = state
    if desk.person.door == "browser":
        w.tell(acd.Reachable(desk.id, state == "connected"))
    call = desk.call
    if call is None:
        return
    leg = _leg_of(call, desk)
    if leg.agent != desk.id or leg.kind != "peer":
        return
    if state == "connected":
        if call.parked_until is not None:
            _reattach(w, call, leg)
            unpark(w, call)
        return
    if leg.state == "ringing":
        dial_failed(w, call, "unreachable")


def _reattach(w: World, call: Call, old: Leg) -> None:
    """Give the agent's side of a parked call the page's new audio."""
    expect(w, old)
    w.media(p.CloseLeg(old.id))
    w.legs.pop(old.id, None)
    old.id = w.number()
    w.legs[old.id] = old
    assert old.agent is not None
    w.media(p.OpenPeer(old.id, old.agent))
