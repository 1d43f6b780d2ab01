"""Lamps of colleagues and parking places on phones' keys (BLF): who rings, who talks, where a
caller waits. Told to whoever subscribes; only what changed is published."""

from __future__ import annotations

from typing import Final

from appliance.sip.dialog_info import Dialog, DialogInfo
from appliance.sip.subscription import Published
from appliance.switch.actions import SipPublish
from appliance.switch.model import Call, Leg, World

PACKAGE: Final = "dialog"
_FREE: Final = DialogInfo()


def light(w: World) -> None:
    """Bring the lamps up to date; called at the end of each part of a step. Where neither a fact
    nor an action came about, no lamp can have changed."""
    mark = (len(w.facts), len(w.actions))
    if w.lit_site is not w.site:
        _site_changed(w)
    elif mark == w.lit_mark:
        return
    lit: dict[str, DialogInfo] = {}
    at: dict[str, list[str]] = {}
    for desk in w.desks.values():
        extension = desk.person.extension
        if extension is None:
            continue
        at.setdefault(f"agent:{desk.id}", []).append(extension)
        if desk.phone is not None:
            at.setdefault(desk.phone, []).append(extension)
        if None in desk.ringing.values():
            view = w.acd.agent(desk.id)
            waiting = w.calls.get(view.call or "")
            if waiting is not None and view.offer is not None:
                remote = _number(w, waiting.caller)
                _add(lit, extension, Dialog(view.offer, "recipient", "early", remote))
    for leg in w.legs.values():
        if leg.inside and leg.state != "closed":
            mine = [*at.get(f"agent:{leg.agent}", ()), *at.get(leg.phone or "", ())]
            if leg.phone is not None:
                mine.append(leg.phone)
            for one in dict.fromkeys(mine):
                _add(lit, one, _of_leg(w, leg))
    for call in w.calls.values():
        if call.orbit is not None:
            remote = _number(w, call.caller)
            _add(lit, call.orbit, Dialog(call.id, "recipient", "confirmed", remote))
    for resource in {*lit, *w.lit}:
        now = lit.get(resource, _FREE)
        if now != w.lit.get(resource, _FREE) and resource in w.lamps_of:
            w.act(SipPublish(PACKAGE, resource, Published(now)))
    w.lit, w.lit_mark = lit, (len(w.facts), len(w.actions))


def _site_changed(w: World) -> None:
    """Which lamps there are follows from the document."""
    site = w.site
    people = (one.extension for one in site.people.values() if one.extension is not None)
    wanted = frozenset({*site.phones, *people, *site.orbits})
    for gone in w.lamps_of - wanted:
        w.act(SipPublish(PACKAGE, gone, None))
    for new in wanted - w.lamps_of:
        w.act(SipPublish(PACKAGE, new, Published(w.lit.get(new, _FREE))))
    w.lamps_of, w.lit_site = wanted, site


def _add(lit: dict[str, DialogInfo], extension: str, dialog: Dialog) -> None:
    known = lit.get(extension, _FREE)
    lit[extension] = DialogInfo((*known.dialogs, dialog))


def _of_leg(w: World, leg: Leg) -> Dialog:
    call = leg.call
    rings = not leg.incoming and leg.state in ("idle", "ringing")
    return Dialog(
        id=f"leg{leg.id}",
        direction="initiator" if leg.incoming else "recipient",
        state="early" if rings else "confirmed",
        remote=_number(w, _other(call, leg)),
        held=call.held_by == leg.name,
    )


def _other(call: Call, leg: Leg) -> str | None:
    return call.called if leg is call.a else call.caller


def _number(w: World, number: str | None) -> str | None:
    """Not for everybody's eyes where agents see only parts of callers' numbers."""
    masked = w.site.privacy.shown_digits.get("agent") is not None
    inside = number in w.lamps_of
    return number if inside or not masked else None
