"""Keys and codes: what a phone asks for by dialling, or by keying in a call. Each does what the
page's button does, by the same functions; only the way of saying so differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from appliance.acd import events as acd
from appliance.events import HotDesk
from appliance.ivr import phrases
from appliance.ivr.listening import Turn
from appliance.media import protocol as p
from appliance.site.model import CallKey, Feature, Prompt
from appliance.switch import (
    callbacks,
    consult,
    listening,
    messages,
    parking,
    parties,
    personal,
    pickup,
    routing,
    supervise,
    wrap_up,
)
from appliance.switch.actions import CheckPin
from appliance.switch.calls import answer_caller, hold, resume
from appliance.switch.dialling import payer_of
from appliance.switch.dialplan import resolve
from appliance.switch.model import Call, Desk, Leg, World
from appliance.switch.refusals import Cannot
from appliance.switch.transfer import blind
from appliance.switch.voices import arrange

KEY_PAUSE_MS: Final = 4000
"""A code is forgotten when the next key takes longer."""
MAX_TYPED: Final = 32
_PASSED_KEYS: Final = ("sip_info",)
"""Keys that come with the signalling and must be handed to the other leg of a bridge; those that
come beside the audio (RFC 4733) the media process passes on itself."""
_WITH_NUMBER: Final[frozenset[CallKey]] = frozenset({"transfer", "consult"})


# --- keyed in a call ------------------------------------------------------------------------


def key(w: World, leg: Leg, digit: str, source: str) -> None:
    """A key was pressed: for the menu, as part of a code, or for whoever is at the other end."""
    call = leg.call
    if call.menu is not None and leg is call.a:
        routing.carry_out(w, call, call.menu.key(digit, w.now))
        return
    if call.listening is not None and leg is call.a:
        heard(w, call, call.listening.key(digit, w.now))
        return
    if leg is call.a and callbacks.key(w, call, digit):
        return
    if _typed(w, leg, digit):
        return
    if call.joined and call.b is not None and source in _PASSED_KEYS and leg in call.people:
        other = call.b if leg is call.a else call.a
        w.media(p.SendKeys(other.id, digit))


def _typed(w: World, leg: Leg, digit: str) -> bool:
    """Part of a code: those of phones of the office, who are in a talk."""
    call = leg.call
    if not leg.inside or leg.kind != "sip" or leg not in call.people or not call.talk_since:
        return False
    if w.now > leg.typed_until:
        leg.typed = ""
    if not leg.typed and not any(code.startswith(digit) for code in w.site.features.keys.values()):
        return False
    leg.typed, leg.typed_until = (leg.typed + digit)[:MAX_TYPED], w.now + KEY_PAUSE_MS
    for name, code in w.site.features.keys.items():
        if not leg.typed.startswith(code):
            continue
        number = leg.typed[len(code) :]
        if name in _WITH_NUMBER and not number.endswith("#"):
            return True
        leg.typed = ""
        try:
            _IN_CALL[name](w, call, leg, number.removesuffix("#"))
        except Cannot:
            w.say(leg, (phrases.phrase("refused", call.language),))
        return True
    if not any(code.startswith(leg.typed) for code in w.site.features.keys.values()):
        leg.typed = ""
    return True


def _toggle_hold(w: World, call: Call, leg: Leg, _: str) -> None:
    if call.held_by == leg.name:
        resume(w, call)
    else:
        hold(w, call, leg)


def _toggle_mute(w: World, call: Call, leg: Leg, _: str) -> None:
    leg.muted = not leg.muted
    arrange(w, call)


def _park(w: World, call: Call, leg: Leg, _: str) -> None:
    """Say the parking place first, then let the parker go."""
    parking.parkable(call, leg)
    call.orbit_wanted = parking.free_orbit(w)
    hold(w, call, leg)
    spoken = Prompt(text=" ".join(call.orbit_wanted))
    w.say(leg, (spoken, spoken), "park", leg.id)


def orbit_told(w: World, call: Call, leg_id: int) -> None:
    """The parker has heard the number."""
    leg = w.legs.get(leg_id)
    if leg is None or leg.call is not call or call.orbit_wanted is None:
        return
    try:
        parking.park(w, call, leg)
    except Cannot:
        call.orbit_wanted = None


_InCall = Callable[[World, Call, Leg, str], None]
_IN_CALL: Final[Mapping[CallKey, _InCall]] = {
    "hold": _toggle_hold,
    "mute": _toggle_mute,
    "transfer": blind,
    "consult": consult.start,
    "conference": lambda w, call, leg, _: consult.bring_together(w, call, leg),
    "swap": lambda w, call, leg, _: consult.swap(w, call, leg),
    "cancel": lambda w, call, leg, _: consult.cancel(w, call, leg),
    "complete": lambda w, call, leg, _: consult.complete(w, call, leg),
    "park": _park,
}


# --- dialled --------------------------------------------------------------------------------


def dialled(w: World, call: Call, number: str) -> bool:
    """A phone dialled this; True when it was a code or a parking place and is dealt with."""
    if resolve(w.site, number).emergency:
        return False
    if number in w.site.orbits:
        _do(w, call, lambda: _fetch(w, call, number), says=False)
        return True
    for name, code in w.site.features.codes.items():
        if number.startswith(code):
            _code(w, call, name, number[len(code) :])
            return True
    return False


def _code(w: World, call: Call, name: Feature, rest: str) -> None:
    match name:
        case "pickup":
            _do(w, call, lambda: pickup.pick_up_by_phone(w, call, rest), says=False)
        case "listen" | "whisper" | "barge" | "take_over":
            _do(w, call, lambda: _watch(w, call, name, rest), says=False)
        case "sign_in":
            _sign_in(w, call, rest)
        case "messages":
            _hear(w, call, rest)
        case _:
            _do(w, call, lambda: _setting(w, call, name, rest))


def _do(w: World, call: Call, act: Callable[[], None], *, says: bool = True) -> None:
    """Do it and say so, or that it is not possible; the call then ends."""
    try:
        act()
    except Cannot:
        _say_and_end(w, call, "refused")
    else:
        if says:
            _say_and_end(w, call, "done")


def _say_and_end(w: World, call: Call, word: phrases.PhraseName) -> None:
    if call.ended or not answer_caller(w, call):
        return
    call.end_cause = "normal"
    w.speak(call, (phrases.phrase(word, call.language),), "farewell")


def _desk(w: World, call: Call) -> Desk:
    desk = w.desks.get(call.a.agent or "")
    if desk is None:
        raise Cannot("Nobody is signed in at this phone.")
    return desk


def _setting(w: World, call: Call, name: Feature, rest: str) -> None:
    desk = _desk(w, call)
    match name:
        case "dnd_on" | "dnd_off":
            personal.set_dnd(w, desk, name == "dnd_on")
        case "forward_always":
            personal.set_forward(w, desk, "always", rest)
        case "forward_busy":
            personal.set_forward(w, desk, "busy", rest)
        case "forward_no_answer":
            personal.set_forward(w, desk, "no_answer", rest)
        case "forward_off":
            for when in ("always", "busy", "no_answer"):
                personal.set_forward(w, desk, when, None)
        case "ready":
            w.tell(acd.SetState(desk.id, "ready"))
        case "pause":
            w.tell(acd.SetState(desk.id, "not_ready", _reason(w, rest)))
        case "wrap_longer":
            wrap_up.longer(w, desk)
        case "wrap_end":
            if w.acd.agent(desk.id).phase != "wrap":
                raise Cannot("There is no wrap-up to end.")
            w.tell(acd.WrapDone(desk.id))
        case "sign_out":
            _leave_phone(w, call, desk)


def _reason(w: World, rest: str) -> str | None:
    """The first reason for a pause, or the one with the number that follows the code."""
    reasons = w.site.pause_reasons
    if not rest:
        return next(iter(reasons), None)
    if not (rest.isascii() and rest.isdigit() and 1 <= int(rest) <= len(reasons)):
        raise Cannot(f"There is no reason {rest} for a pause.")
    return reasons[int(rest) - 1]


def _leave_phone(w: World, call: Call, desk: Desk) -> None:
    """The person goes back to their own place; this very call is no hindrance."""
    _release(w, call, desk)
    personal.sit(w, desk, None)
    w.tell(acd.SetState(desk.id, "offline"))


def _release(w: World, call: Call, desk: Desk) -> None:
    """The phone's call is no longer the person's."""
    if desk.call is call:
        desk.call = None
        call.a.agent = None
        w.tell(acd.Engaged(desk.id, False))


def _fetch(w: World, call: Call, orbit: str) -> None:
    target = parking.parked(w, orbit)
    if not answer_caller(w, call):
        return
    leg = call.a
    parties.move(w, leg, target)
    parking.fetch(w, target, leg)


def _watch(w: World, call: Call, mode: supervise.Mode, extension: str) -> None:
    by = _desk(w, call)
    agent = next((d for d in w.desks.values() if d.person.extension == extension), None)
    if agent is None:
        raise Cannot(f"{extension} is nobody's extension.")
    target, of = supervise.watched(w, by, agent)
    if any(one.leg.agent == by.id for one in target.watchers):
        raise Cannot("You are in this call already.")
    if not answer_caller(w, call):
        return
    leg = call.a
    parties.move(w, leg, target)
    supervise.attach(w, target, leg, of, mode)


# --- messages -------------------------------------------------------------------------------


def _hear(w: World, call: Call, rest: str) -> None:
    """Alone: the messages of whoever sits at this phone; `<extension>*<PIN>`: of somebody else."""
    if rest:
        person = _ask_pin(w, call, rest)
        if person is not None:
            call.listens_as = person
        return
    if not messages.boxes_of(w.site, call.a.agent, call.a.phone):
        _say_and_end(w, call, "refused")
    elif answer_caller(w, call):
        listening.listen_to(w, call, call.a.agent)


def heard(w: World, call: Call, turn: Turn) -> None:
    """Do what it wants, and call back who is to be called back."""
    caller = listening.take(w, call, turn)
    if caller is None:
        return
    inside = resolve(w.site, caller)
    known = w.numbering.callable(caller)
    if inside.kind in ("person", "phone"):
        routing.send(w, call, inside, payer=payer_of(call.a))
    elif known is None:
        # Callers show what they like, an emergency number for example.
        _say_and_end(w, call, "refused")
    else:
        number = w.site.numbering.outside_prefix + w.numbering.dial(known)
        call.called = caller
        routing.send(w, call, resolve(w.site, number), payer=payer_of(call.a))


# --- the PIN --------------------------------------------------------------------------------


def _sign_in(w: World, call: Call, rest: str) -> None:
    """`<extension>*<PIN>` from any desk phone."""
    _ask_pin(w, call, rest)


def _ask_pin(w: World, call: Call, rest: str) -> str | None:
    """Have the PIN checked; whose it is, None when that is refused at once."""
    extension, _, pin = rest.partition("*")
    desk = next((d for d in w.desks.values() if d.person.extension == extension), None)
    phone = call.a.phone
    if desk is None or phone is None or not pin:
        _say_and_end(w, call, "refused")
        return None
    if w.pins.locked_ms(phone, w.now) or w.pins.locked_ms(desk.id, w.now):
        w.fact(HotDesk(at=w.now, agent=desk.id, phone=phone, ok=False))
        _say_and_end(w, call, "refused")
        return None
    w.pin_wanted[call.id] = desk.id
    w.act(CheckPin(call.id, desk.id, pin))
    return desk.id


def pin_checked(w: World, call_id: str, ok: bool) -> None:
    """The PIN is right, or it counts against the phone and the person."""
    person, call = w.pin_wanted.pop(call_id, None), w.calls.get(call_id)
    if person is None or call is None or call.ended or call.a.phone is None:
        return
    desk, phone = w.desks[person], call.a.phone
    if not ok:
        w.pins.failed(phone, w.now)
        w.pins.failed(person, w.now)
        w.fact(HotDesk(at=w.now, agent=person, phone=phone, ok=False))
        _say_and_end(w, call, "refused")
        return
    if call.listens_as == person:
        if answer_caller(w, call):
            listening.listen_to(w, call, person)
        return
    holder = w.desks.get(call.a.agent or "")
    if holder is not None:
        _release(w, call, holder)
    try:
        personal.sit(w, desk, phone, call)
    except Cannot:
        _say_and_end(w, call, "refused")
        return
    w.tell(acd.SetState(person, "ready"))
    _say_and_end(w, call, "done")
