"""What analog lines say, and what it means for the calls on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from appliance.events import CallerKnown, LineSeized
from appliance.media import protocol as p
from appliance.site.model import Site
from appliance.switch import calls, requests, routing
from appliance.switch.dialling import emergency_again, line_free, party_failed
from appliance.switch.heard import unanswered
from appliance.switch.legs import add_leg, release_line, went_up
from appliance.switch.model import Leg, LineDesk, World
from appliance.switch.parties import leave

_DIAL_FAILURES: Final[Mapping[str, str]] = {
    "busy": "busy",
    "device": "no_line",
    "no_dialtone": "no_line",
}
"""Why a line hung up before anybody answered, as causes; all else is `no_answer`."""


def handle(w: World, event: p.Message) -> None:
    line: str | None = getattr(event, "line", None)
    desk = w.lines.get(line or "")
    if desk is None:
        return
    match event:
        case p.LineUp(model=model):
            desk.state, desk.detail = "idle", model
            w.clear(f"line:{desk.id}")
            line_free(w, desk.id)
        case p.LineDown(reason=reason):
            down(w, desk.id, reason)
        case p.LineRinging():
            _ringing(w, desk)
        case p.LineCallerId():
            _caller(w, desk, event)
        case p.LineOffHook(sure=sure):
            _off_hook(w, desk, sure)
        case p.LineRingEnded() | p.LineHungUp():
            _gone(w, desk, event)


def down(w: World, line: str, reason: str) -> None:
    desk = w.lines[line]
    desk.state, desk.detail = "absent", reason
    call = w.calls.get(desk.call or "")
    if call is not None:
        leg = next((x for x in call.legs if x.line == line), None)
        if leg is not None:
            _lost(w, leg, "unreachable", "line_lost")
    release_line(w, line)
    name = w.site.lines[line].name
    w.alarm(
        f"line:{line}",
        "critical",
        f"Line {name} does not work",
        reason,
        "Check the modem's USB plug and the phone cable.",
    )


def _ringing(w: World, desk: LineDesk) -> None:
    if desk.call is not None or desk.state == "busy":
        return
    desk.state = "ringing"
    call = calls.open_call(w, "in", f"line:{desk.id}", called=_number_of(w.site, desk.id))
    call.a = add_leg(
        w,
        Leg(
            id=w.number(),
            call=call,
            party=f"line:{desk.id}",
            kind="line",
            line=desk.id,
        ),
    )
    desk.call = call.id
    w.fact(LineSeized(at=w.now, call=call.id, line=desk.id, direction="in"))


def _caller(w: World, desk: LineDesk, event: p.LineCallerId) -> None:
    """Caller ID, or the word that there is none: now the call can be routed."""
    if desk.call is None:
        _ringing(w, desk)
    call = w.calls.get(desk.call or "")
    if call is None or call.route is not None or call.a.line != desk.id:
        return
    if event.number is not None or event.name is not None:
        call.caller, call.caller_name = event.number, event.name
        w.fact(CallerKnown(at=w.now, call=call.id, caller=event.number, caller_name=event.name))
    settings = w.site.lines[desk.id]
    routing.go(w, call, settings.route)


def _off_hook(w: World, desk: LineDesk, sure: bool) -> None:
    """`sure`: of a line that we dialled, that somebody answered."""
    call = w.calls.get(desk.call or "")
    leg = next((x for x in call.legs if x.line == desk.id), None) if call else None
    if call is None or leg is None or call.ended:
        w.media(p.HangUpLine(desk.id))
        return
    if leg.state == "up":
        return  # said twice; opened again it would fall out of its talk
    desk.state = "busy"
    settings = w.site.lines.get(desk.id)
    even = settings is None or settings.agc
    w.media(p.OpenLine(leg.id, desk.id, agc=even))
    went_up(w, leg)
    leg.rang = leg.rang or sure
    if leg is call.a and leg.incoming:
        routing.caller_up(w, call)
    else:
        requests.answer_direct(w, call, leg)


def _gone(w: World, desk: LineDesk, event: p.Message) -> None:
    call = w.calls.get(desk.call or "")
    leg = next((x for x in call.legs if x.line == desk.id), None) if call else None
    if call is None or leg is None or call.ended:
        release_line(w, desk.id)
        line_free(w, desk.id)
        return
    source = event.source if isinstance(event, p.LineHungUp) else "no_answer"
    if source == "device":
        # Nobody hung up: the modem vanished or had to be started again.
        _lost(w, leg, "no_line", "line_lost")
    elif leg.state == "ringing" and not leg.incoming:
        party_failed(w, leg, _DIAL_FAILURES.get(source, "no_answer"))
    elif not (unanswered(w, leg) and emergency_again(w, leg)):
        ended = isinstance(event, p.LineRingEnded)
        leave(w, leg, "abandoned" if ended else leg.refusal or "normal")
    line_free(w, desk.id)


def _lost(w: World, leg: Leg, dialling: str, talking: str) -> None:
    """The line went away by itself, while it rang out or with somebody on it."""
    if leg.state == "ringing" and not leg.incoming:
        party_failed(w, leg, dialling)
    elif not emergency_again(w, leg):
        leave(w, leg, talking, side="system")


def _number_of(site: Site, line: str) -> str | None:
    settings = site.lines[line]
    return settings.number if settings.kind == "modem" else None
