"""What phones and trunks say by SIP, and what it means for their calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from appliance.acd import events as acd
from appliance.events import LineBusy
from appliance.sip import events as sip
from appliance.switch import calls, features, joining, numbers, requests, routing, transfer
from appliance.switch.actions import SipReanswer, SipReferDone, SipReject
from appliance.switch.dialling import (
    emergency_again,
    free_channel,
    line_free,
    party_failed,
    payer_of,
    rung,
)
from appliance.switch.dialplan import resolve
from appliance.switch.legs import add_leg, aim, answer_to, drop, srtp_policy, went_up
from appliance.switch.model import Leg, World
from appliance.switch.parties import leave
from appliance.switch.refusals import Cannot

_FAILURES: Final[Mapping[int, str]] = {
    404: "unknown_number",
    486: "busy",
    600: "busy",
    603: "rejected",
    480: "no_answer",
    408: "no_answer",
    487: "no_answer",
    488: "no_codec",
}


def handle(w: World, event: sip.Event) -> None:
    match event:
        case sip.Incoming():
            _incoming(w, event)
            return
        case sip.Registered():
            w.registered[event.extension] = event.address
            _phone_reachable(w, event.extension, True)
            return
        case sip.Unregistered():
            w.registered.pop(event.extension, None)
            _phone_reachable(w, event.extension, False)
            return
        case sip.TrunkState():
            _trunk_state(w, event)
            return
        case _:
            pass
    leg = w.by_sip.get(event.call)
    if leg is None or leg.call.ended:
        return
    match event:
        case sip.Cancelled():
            leave(w, leg, "abandoned")
        case sip.Progress():
            leg.progressed = True
            if event.answer is not None:
                aim(w, leg, event.answer)
        case sip.Answered():
            _answered(w, leg, event)
        case sip.Failed():
            _failed(w, leg, event)
        case sip.HungUp(cause=cause):
            if cause == "normal" or not emergency_again(w, leg):
                leave(w, leg)
        case sip.Reoffered():
            _reoffered(w, leg, event)
        case sip.Referred():
            _referred(w, leg, event)
        case sip.Reanswered():
            if event.remote is not None:
                aim(w, leg, event.remote)
        case sip.Digit():
            features.key(w, leg, event.digit, "sip_info")


def _referred(w: World, leg: Leg, event: sip.Referred) -> None:
    """The phone's own transfer buttons. The phone hears what became of it before its call ends."""
    before = len(w.actions)
    try:
        if event.replaces is None:
            transfer.blind(w, leg.call, leg, event.number)
        else:
            joining.join_calls(w, leg, w.by_sip.get(event.replaces))
    except Cannot:
        w.act(SipReferDone(event.call, 603))
    else:
        w.actions.insert(before, SipReferDone(event.call, 200))


def _phone_reachable(w: World, extension: str, yes: bool) -> None:
    for desk in w.desks.values():
        if desk.phone == extension:
            w.tell(acd.Reachable(desk.id, yes))


def _trunk_state(w: World, event: sip.TrunkState) -> None:
    w.trunks[event.trunk] = (event.ok, event.detail)
    key = f"line:{event.trunk}"
    if event.ok:
        w.clear(key)
        line_free(w, event.trunk)
    else:
        w.alarm(
            key,
            "critical",
            f"Trunk {w.site.lines[event.trunk].name} is not connected",
            event.detail,
            "Check the internet connection and the provider's user name and password.",
        )


def _incoming(w: World, event: sip.Incoming) -> None:
    trunk = event.source.id if event.source.kind == "trunk" else None
    policy = srtp_policy(w, trunk, None if trunk is not None else event.source.id)
    if event.offer is not None and event.offer.audio_by(policy) is None:
        # Encryption that is not allowed here, or none where it has to be.
        w.act(SipReject(event.call, 488))
        return
    if trunk is not None and not free_channel(w, trunk):
        w.fact(LineBusy(at=w.now, line=trunk, caller=event.from_number))
        w.act(SipReject(event.call, 486))
        return
    person = None
    if trunk is None:
        person = person_at(w, event.source.id)
    party = f"trunk:{trunk}" if trunk is not None else f"phone:{event.source.id}"
    call = calls.open_call(
        w,
        "in" if trunk is not None else "internal",
        party,
        caller=event.from_number if trunk is not None else event.source.id,
        caller_name=event.from_name,
        called=event.to_number,
    )
    call.a = add_leg(
        w,
        Leg(
            id=w.number(),
            call=call,
            party=party,
            kind="sip",
            trunk=trunk,
            phone=None if trunk is not None else event.source.id,
            agent=person,
            sip=event.call,
            offer=event.offer,
            local_host=event.local_host,
            remote_host=event.remote_host,
        ),
    )
    if trunk is not None:
        settings = w.site.lines[trunk]
        assert settings.kind == "trunk"
        if event.waited_s is not None and any(
            trunk in numbers.spread(w.site, there.lines) for there in w.site.sites.values()
        ):
            call.from_site, call.site_waited_ms = True, event.waited_s * 1000
        routing.go(w, call, settings.numbers.get(event.to_number, settings.route))
        return
    calls.engage(w, call, person)
    if not features.dialled(w, call, event.to_number):
        destination = resolve(w.site, event.to_number)
        routing.send(w, call, destination, payer=payer_of(call.a))


def person_at(w: World, extension: str) -> str | None:
    """Whose phone this is now: who signed in there, else its owner, unless at another phone."""
    for desk in w.desks.values():
        if desk.at_phone == extension:
            return desk.id
    for desk in w.desks.values():
        if desk.person.phone == extension and desk.at_phone is None and not desk.displaced:
            return desk.id
    return None


def _answered(w: World, leg: Leg, event: sip.Answered) -> None:
    call = leg.call
    if leg.incoming:
        if event.remote is not None:
            aim(w, leg, event.remote)
        return
    leg.remote_host = event.remote_host
    if event.remote is not None:
        aim(w, leg, event.remote)
    went_up(w, leg)
    if leg.acd_offer is not None and leg.agent is not None:
        w.tell(acd.Accepted(leg.agent, leg.acd_offer))
        return
    requests.answer_direct(w, call, leg)


def _failed(w: World, leg: Leg, event: sip.Failed) -> None:
    cause = _FAILURES.get(event.code, "unreachable")
    if event.code == 408 and leg.trunk is not None and not leg.progressed:
        cause = "unreachable"
    if leg.acd_offer is not None and leg.agent is not None:
        drop(w, leg, gone=True)
        desk = w.desks[leg.agent]
        if leg.acd_offer in desk.ringing:
            result = "rejected" if cause in ("busy", "rejected") else "failed"
            w.tell(acd.Declined(leg.agent, leg.acd_offer, result))  # type: ignore[arg-type]
    elif leg is rung(leg.call):
        party_failed(w, leg, cause)
    else:
        leave(w, leg, cause)


def _reoffered(w: World, leg: Leg, event: sip.Reoffered) -> None:
    """Hold, resume, or a new address of the peer's audio."""
    assert leg.sip is not None
    answered = None
    if leg.port is not None:
        answered = answer_to(w, leg, event.offer, leg.port)
    if answered is None:
        w.act(SipReanswer(leg.sip, None))
        return
    text, session = answered
    w.act(SipReanswer(leg.sip, text))
    aim(w, leg, session)
    call = leg.call
    if not session.send or not session.receive:
        calls.hold(w, call, leg)
    elif call.held_by == leg.name:
        calls.resume(w, call)
