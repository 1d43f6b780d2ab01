"""The life of a call once it exists: connect, hold, end."""

from __future__ import annotations

from typing import Final, Literal

from appliance.acd import callback as cb
from appliance.acd import events as acd
from appliance.events import (
    Bridged,
    CallOpened,
    ConsultEnd,
    Direction,
    Disconnect,
    HoldOff,
    HoldOn,
    PartyJoined,
    Side,
    SuperviseOff,
    Unparked,
)
from appliance.switch import messages, wishes
from appliance.switch.legs import answer, drop
from appliance.switch.model import Call, Desk, Leg, Watcher, World
from appliance.switch.voices import arrange, stop_recording

SUSPEND_MS: Final = 30_000
"""How long a caller hears music when the agent's page went away in mid-call: a reload takes a
second or two, a crashed browser half a minute."""


def open_call(
    w: World,
    direction: Direction,
    door: str,
    *,
    caller: str | None = None,
    caller_name: str | None = None,
    called: str | None = None,
    call_id: str | None = None,
) -> Call:
    call = Call(
        id=call_id or w.new_id("c"),
        direction=direction,
        opened_at=w.now,
        language=w.site.office.language,
        caller=caller,
        caller_name=caller_name,
        called=called,
    )
    w.calls[call.id] = call
    w.fact(
        CallOpened(
            at=w.now,
            call=call.id,
            direction=direction,
            door=door,
            caller=caller,
            caller_name=caller_name,
            called=called,
        )
    )
    return call


def bridge_live(w: World, call: Call) -> None:
    """Audio flows both ways: the wait is over."""
    call.live_by = None
    if call.bridge_live or call.b is None:
        return
    call.bridge_live = True
    if not call.talk_since:
        call.talk_since = w.now
        w.fact(Bridged(at=w.now, call=call.id, a=call.a.party, b=call.b.party))
        wishes.spoke(w, call)
    if call.entry is not None and not call.connected:
        w.tell(acd.Linked(call.entry))


def hold(w: World, call: Call, holder: Leg) -> None:
    """One side puts the other on hold: music there, silence in the recording. In a conference the
    others go on."""
    if call.held_by is not None or not call.bridge_live or holder not in call.people:
        return
    call.held_by, call.held_since = holder.name, w.now
    w.fact(HoldOn(at=w.now, call=call.id, agent=call.held_by, entry=call.entry))
    arrange(w, call)


def resume(w: World, call: Call) -> None:
    if call.held_by is not None:
        release_hold(w, call)
        arrange(w, call)


def release_hold(w: World, call: Call) -> None:
    if call.held_by is not None:
        w.fact(HoldOff(at=w.now, call=call.id, agent=call.held_by, entry=call.entry))
        call.held_by = None


def close_consult(
    w: World, call: Call, result: Literal["completed", "conference", "cancelled", "failed"]
) -> Leg | None:
    """The consultation is over; returns the leg of the one consulted, no longer in the call."""
    consult, call.consult = call.consult, None
    if consult is None:
        return None
    w.fact(ConsultEnd(at=w.now, call=call.id, by=consult.by.party, to=consult.to, result=result))
    if call.attempt is not None and call.attempt.slot == "consult":
        call.attempt = None
    return consult.leg


def close_orbit(
    w: World, call: Call, result: Literal["fetched", "timeout", "gone"], by: str | None = None
) -> None:
    """The call leaves its orbit, if it is in one."""
    orbit, call.orbit = call.orbit, None
    if orbit is not None:
        w.fact(Unparked(at=w.now, call=call.id, orbit=orbit, result=result, by=by))


def close_watch(w: World, call: Call, watcher: Watcher) -> None:
    """The supervisor is no longer in the call; their leg is the caller's to drop."""
    call.watchers.remove(watcher)
    w.fact(SuperviseOff(at=w.now, call=call.id, agent=watcher.of.name, by=watcher.leg.name))


def end_call(
    w: World, call: Call, side: Side, cause: str = "normal", *, gone: Leg | None = None
) -> None:
    """The call is over. `gone` is the leg whose far end hung up, if one did."""
    if call.ended:
        return
    everybody = call.legs
    call.ended = True
    call.attempt = None
    call.orbit_wanted = None
    w.pin_wanted.pop(call.id, None)
    messages.close(w, call)
    call.listening = None
    if call.menu is not None:
        w.keep_facts(call.menu.gone(w.now))
        call.menu = None
    for watcher in list(call.watchers):
        close_watch(w, call, watcher)
    close_consult(w, call, "failed")
    close_orbit(w, call, "gone")
    release_hold(w, call)
    stop_recording(w, call)
    arrange(w, call)
    for leg in everybody:
        drop(w, leg, cause, gone=leg is gone)
    if call.entry is not None and not call.connected:
        w.tell(acd.Gone(call.entry, "abandoned"))
    free_agents(w, call)
    _wish_over(w, call, cause)
    w.over.append((call, Disconnect(at=w.now, call=call.id, side=side, cause=cause)))
    for token in [t for t, (owner, _, _) in w.tokens.items() if owner == call.id]:
        del w.tokens[token]


def _wish_over(w: World, call: Call, cause: str) -> None:
    """A call-back that nobody answered, or that ended before its person stood in line."""
    call.wish = None
    if call.callback is None:
        return
    met, call.met = call.met, None
    if met is not None:
        w.tell(acd.Unbook(met.booking))
        w.wish(cb.Left(met.entry, "abandoned"))
    else:
        w.wish(cb.Failed(call.id, cause))


def free_agents(w: World, call: Call) -> None:
    """The agents of this call have their hands free again."""
    for desk in w.desks.values():
        if desk.call is call:
            free_agent(w, call, desk)


def free_agent(w: World, call: Call, desk: Desk) -> None:
    """One agent's hands are free; the part in the queue's call, if it was theirs, is over."""
    desk.call = None
    if call.linked_agent != desk.id:
        w.tell(acd.Engaged(desk.id, False))
    elif call.connected:
        w.tell(acd.Released(desk.id))
    stay_engaged(w, desk, call)


def stay_engaged(w: World, desk: Desk, left: Call) -> None:
    """A desk phone carries several calls: whoever has left one of them may be talking or
    dialling in another, and is in that one from now on."""
    for leg in w.legs.values():
        there = leg.incoming or leg.state == "up"
        mine = leg.agent == desk.id and there and leg.acd_offer not in desk.ringing
        if mine and leg.call is not left and not leg.call.ended:
            engage(w, leg.call, desk.id)
            return


def dismiss(w: World, call: Call, by: Leg) -> None:
    """`by` goes, and what a queue gave is over; agents who stay are in a plain call from now.
    Supervisors who were there because of `by` go too."""
    for watcher in [one for one in call.watchers if one.of is by]:
        close_watch(w, call, watcher)
        let_go(w, call, watcher.leg, gone=False)
    for desk in [desk for desk in w.desks.values() if desk.call is call]:
        if desk.id == by.agent:
            free_agent(w, call, desk)
        elif desk.id == call.linked_agent:
            free_agent(w, call, desk)
            part_over(call)
            engage(w, call, desk.id)
    part_over(call)


def engage(w: World, call: Call, agent: str | None) -> None:
    """The person is in this call from now on."""
    desk = w.desks.get(agent or "")
    if desk is not None and desk.call is None:
        desk.call = call
        w.tell(acd.Engaged(desk.id, True))


def let_go(w: World, call: Call, leg: Leg, *, gone: bool) -> None:
    """The leg is out of the call; so is whoever it belongs to."""
    drop(w, leg, gone=gone)
    desk = w.desks.get(leg.agent or "")
    if desk is not None and desk.call is call:
        free_agent(w, call, desk)
        if call.linked_agent == desk.id:
            part_over(call)


def part_over(call: Call) -> None:
    """The agent's part in the queue's call is over; the call itself may go on."""
    call.linked_agent = None
    call.entry = None


def join(w: World, call: Call, leg: Leg, how: str) -> None:
    """One more who talks; the leg belongs to the call already and is up."""
    call.more.append(leg)
    w.fact(PartyJoined(at=w.now, call=call.id, party=leg.party, how=how))
    arrange(w, call)


def forget_talk(call: Call) -> None:
    """The call looks for somebody anew; its identity and history stay."""
    part_over(call)
    call.connected = False
    call.bridge_live = False
    call.talk_since = 0
    call.parked_until = None


def suspend(w: World, call: Call, leg: Leg) -> None:
    """The agent's audio is gone in mid-call: music for the caller until it is back."""
    hold(w, call, leg)
    call.parked_until = leg.lost_until = w.now + SUSPEND_MS
    arrange(w, call)


def go_on(w: World, call: Call, leg: Leg) -> None:
    """The audio is back."""
    call.parked_until = leg.lost_until = None
    if call.held_by == leg.name:
        release_hold(w, call)
    arrange(w, call)


def answer_caller(w: World, call: Call) -> bool:
    """Answer the caller's leg; ends the call and returns False when that cannot be done."""
    if answer(w, call.a):
        return True
    end_call(w, call, "system", "no_codec")
    return False
