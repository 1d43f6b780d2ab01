"""What people ask for from their pages: states, buttons, calls."""

from __future__ import annotations

from typing import Final

from appliance import live
from appliance.acd import events as acd
from appliance.media import protocol as p
from appliance.switch import (
    callbacks,
    consult,
    listening,
    meters,
    parking,
    personal,
    pickup,
    routing,
    supervise,
    wrap_up,
)
from appliance.switch.calls import end_call, engage, go_on, hold, open_call, resume
from appliance.switch.dialling import party_failed, rung
from appliance.switch.dialplan import resolve
from appliance.switch.legs import answer
from appliance.switch.model import Call, Desk, Leg, World
from appliance.switch.parties import leave
from appliance.switch.refusals import Cannot, check
from appliance.switch.routing import send
from appliance.switch.transfer import blind
from appliance.switch.verdicts import expect
from appliance.switch.voices import arrange

ABSENT_MS: Final = 60_000
"""A browser agent without any open page for this long is signed out: nobody is there to ring."""


class Unwilling(Exception):
    """A request that cannot be carried out now; the text is for the person who asked."""


def handle(w: World, request: live.Request) -> str | None:
    """Carry out a request; the id of what it made, if it makes something. Raises `Unwilling`."""
    try:
        return _carry_out(w, request)
    except Cannot as error:
        raise Unwilling(str(error)) from None


def _carry_out(w: World, request: live.Request) -> str | None:
    match request:
        case live.SetAgentState():
            _desk(w, request.agent)
            w.tell(acd.SetState(request.agent, request.state, request.reason))
        case live.AgentAction():
            _action(w, _desk(w, request.agent), request)
        case live.AgentDial():
            _dial(w, _desk(w, request.agent), request)
        case live.AgentKeys():
            _keys(w, _desk(w, request.agent), request.digits)
        case live.AgentTransfer():
            _transfer(w, _desk(w, request.agent), request.number)
        case live.AgentConsult():
            _consult(w, _desk(w, request.agent), request)
        case live.AgentPark():
            desk = _desk(w, request.agent)
            if desk.call is None:
                raise Unwilling("There is no call to park.")
            parking.park(w, desk.call, _leg_of(desk.call, desk))
        case live.AgentFetch():
            pickup.fetch_parked(w, _desk(w, request.agent), request.orbit)
        case live.AgentPickup():
            pickup.pick_up(w, _desk(w, request.agent), request.colleague)
        case live.Supervise():
            _supervise(w, _desk(w, request.agent), request)
        case live.LookAt():
            _look(w, _desk(w, request.agent), request.call)
        case live.SetDnd():
            personal.set_dnd(w, _desk(w, request.agent), request.on)
        case live.SetForward():
            personal.set_forward(w, _desk(w, request.agent), request.when, request.number)
        case live.AgentDesk():
            personal.sit(w, _desk(w, request.agent), request.phone)
        case live.BookCallback():
            return callbacks.book(w, request.queue, request.number, request.by)
        case live.CancelCallback():
            callbacks.cancel(w, request.callback, request.by)
        case live.HandleMissed():
            callbacks.handled(w, request.agent, request.number, request.note)
        case live.MarkMessage():
            listening.mark(w, request.message, request.agent, new=request.new)
        case live.DeleteMessage():
            listening.delete(w, request.message, request.agent)
        case live.AgentPresence():
            presence(w, _desk(w, request.agent), request.session, request.present)
        case _:
            raise Unwilling("This request is not for the switch.")
    return None


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
    if request.action == "wrap_longer":
        wrap_up.longer(w, desk)
        return
    view = w.acd.agent(desk.id)
    if request.action == "answer" and callbacks.accept(w, desk):
        return
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
            if leg.state == "ringing" and leg is rung(call):
                party_failed(w, leg, "rejected", gone=False)
        case "mute" | "unmute":
            leg.muted = request.action == "mute"
            arrange(w, call)
        case "hold":
            hold(w, call, leg)
        case "resume":
            if call.parked_until is None:
                resume(w, call)
        case "hangup":
            leave(w, leg, gone=False)


def _offered(w: World, desk: Desk, offer: str, *, accept: bool) -> None:
    if desk.door == "phone" and accept:
        raise Unwilling("Pick up the desk phone to answer.")
    if accept and desk.peer != "connected":
        raise Unwilling("Your microphone is not connected yet.")
    if accept:
        w.tell(acd.Accepted(desk.id, offer))
    else:
        w.tell(acd.Declined(desk.id, offer, "rejected"))


def answer_direct(w: World, call: Call, leg: Leg) -> None:
    """The called party answered a direct call: answer the caller too and connect."""
    if leg is call.a and call.callback is not None:
        call.attempt = None
        callbacks.answered(w, call)
        return
    if leg.kind == "peer":
        answer(w, leg)
    if leg is rung(call):
        call.attempt = None
        if leg is call.b:
            call.back_to = call.after = None
    watcher = next((one for one in call.watchers if one.leg is leg), None)
    if watcher is not None:
        supervise.arrived(w, call, watcher)
        return
    if call.a.state != "up" and not answer(w, call.a):
        end_call(w, call, "system", "no_codec")
        return
    arrange(w, call)


def _leg_of(call: Call, desk: Desk) -> Leg:
    for leg in call.legs:
        if leg.agent == desk.id:
            return leg
    return call.a


def _dial(w: World, desk: Desk, request: live.AgentDial) -> None:
    number = request.number
    destination = resolve(w.site, number)
    if destination.emergency and desk.call is not None:
        _emergency_in_a_call(w, desk.call, _leg_of(desk.call, desk), number)
        if desk.call is not None:
            return
    offered = w.acd.agent(desk.id).phase in ("offered", "busy")
    if desk.call is not None or (offered and not destination.emergency):
        raise Unwilling("Finish the present call first.")
    if desk.door == "phone":
        raise Unwilling("Dial on the desk phone.")
    if desk.peer != "connected":
        raise Unwilling("Your microphone is not connected yet.")
    payer = f"agent:{desk.id}"
    shown = _shown(w, request)
    if destination.kind in ("unknown", "outside"):
        check(w, destination, number, payer)
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
    engage(w, call, desk.id)
    answer(w, call.a)
    send(w, call, destination, payer=payer, caller_id=shown)


def _shown(w: World, request: live.AgentDial) -> str | None:
    """The number that those called are to see for the campaign or queue that is named."""
    site = w.site
    if request.campaign is not None:
        if request.campaign not in site.campaigns:
            raise Unwilling(f"There is no campaign {request.campaign!r}.")
        return site.campaigns[request.campaign].caller_id
    return site.queues[request.queue].caller_id if request.queue in site.queues else None


def _emergency_in_a_call(w: World, call: Call, leg: Leg, number: str) -> None:
    """The present call waits for it where that can be, else it is over."""
    try:
        consult.start(w, call, leg, number)
    except Cannot:
        leave(w, leg, gone=False)


def _keys(w: World, desk: Desk, digits: str) -> None:
    call = desk.call
    if call is not None and call.menu is not None and call.a.agent == desk.id:
        for digit in digits[:32]:
            if call.menu is not None:
                routing.carry_out(w, call, call.menu.key(digit, w.now))
        return
    if call is None or call.b is None:
        raise Unwilling("There is no call to send keys to.")
    other = call.b if call.a.agent == desk.id else call.a
    if _leg_of(call, desk) not in call.people:
        raise Unwilling("You are not a party of this call.")
    if other.state == "up":
        w.media(p.SendKeys(other.id, digits[:32]))


def _transfer(w: World, desk: Desk, number: str) -> None:
    call = desk.call
    if call is None:
        raise Unwilling("There is no call to transfer.")
    blind(w, call, _leg_of(call, desk), number)


def _consult(w: World, desk: Desk, request: live.AgentConsult) -> None:
    call = desk.call
    if call is None:
        raise Unwilling("There is no call to pass on.")
    by = _leg_of(call, desk)
    match request.step:
        case "start":
            consult.start(w, call, by, request.number)
        case "swap":
            consult.swap(w, call, by)
        case "complete":
            consult.complete(w, call, by)
        case "conference":
            consult.bring_together(w, call, by)
        case "cancel":
            consult.cancel(w, call, by)


def _supervise(w: World, desk: Desk, request: live.Supervise) -> None:
    if request.mode == "stop":
        supervise.stop(w, desk)
    else:
        supervise.start(w, desk, _desk(w, request.of), request.mode)


def _look(w: World, desk: Desk, call_id: str) -> None:
    call = w.calls.get(call_id)
    if call is None or (desk.person.role == "agent" and desk.call is not call):
        raise Unwilling("That call is not there, or not yours.")
    meters.look(w, call)


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
    if desk.door == "browser":
        w.tell(acd.Reachable(desk.id, state == "connected"))
    call = desk.call
    if call is None:
        return
    leg = _leg_of(call, desk)
    if leg.agent != desk.id or leg.kind != "peer":
        return
    if state == "connected":
        if leg.lost_until is not None:
            alone = call.parked_until is not None
            leg.lost_until = None
            _reattach(w, call, leg)
            if alone:
                go_on(w, call, leg)
            else:
                arrange(w, call)
        return
    if leg.state == "ringing" and leg is rung(call):
        party_failed(w, leg, "unreachable", gone=False)


def _reattach(w: World, call: Call, old: Leg) -> None:
    """Give the agent's side of a parked call the page's new audio."""
    expect(w, old)
    w.media(p.CloseLeg(old.id))
    w.legs.pop(old.id, None)
    old.id = w.number()
    w.legs[old.id] = old
    old.music = False
    assert old.agent is not None
    w.media(p.OpenPeer(old.id, old.agent))
