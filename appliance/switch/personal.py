"""What a person sets for their own direct calls: do not disturb, forwarding, the phone they sit at.
Facts for the books; the shell keeps the present settings over a restart (`desks`)."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.acd import events as acd
from appliance.events import AgentSetting, HotDesk
from appliance.switch import numbers
from appliance.switch.dialling import reachable
from appliance.switch.dialplan import resolve
from appliance.switch.model import Call, Desk, World
from appliance.switch.refusals import WHY_NOT, Cannot

When = Literal["always", "busy", "no_answer"]


class SavedDesk(msgspec.Struct, frozen=True):
    """The settings of one person, for a file."""

    person: str
    dnd: bool = False
    forward: dict[str, str] = {}
    at_phone: str | None = None
    longer_day: str = ""
    longer_used: int = 0


def set_dnd(w: World, desk: Desk, on: bool) -> None:
    if desk.dnd != on:
        desk.dnd = on
        _note(w, desk, "dnd", "on" if on else None)


def set_forward(w: World, desk: Desk, when: When, number: str | None) -> None:
    """Raises `Cannot` for a number that leads nowhere, back to the person, or where they may not
    call."""
    if not number:
        if desk.forward.pop(when, None) is not None:
            _note(w, desk, f"forward_{when}", None)
        return
    destination = resolve(w.site, number)
    if destination.kind in ("unknown", "queue") or destination.emergency:
        raise Cannot(f"Calls cannot be forwarded to {number}.")
    if destination.kind == "outside":
        found = numbers.way(w.site, w.plan, destination.target)
        why = numbers.refusal(w.site, f"agent:{desk.id}", found)
        if why is not None:
            raise Cannot(WHY_NOT[why])
    if leads_to(w, number, desk.id, when):
        raise Cannot("That would send your calls round in a circle.")
    if desk.forward.get(when) != number:
        desk.forward[when] = number
        _note(w, desk, f"forward_{when}", number)


def leads_to(w: World, number: str, person: str, when: str) -> bool:
    """Whether a call to `number` comes back to the person by forwards of this kind or always."""
    seen: set[str] = set()
    ahead = [number]
    while ahead:
        destination = resolve(w.site, ahead.pop())
        if destination.kind == "phone" and w.desks[person].phone == destination.target:
            return True
        if destination.kind != "person" or destination.target in seen:
            continue
        if destination.target == person:
            return True
        seen.add(destination.target)
        forward = w.desks[destination.target].forward
        ahead += [forward[kind] for kind in ("always", when) if kind in forward]
    return False


def sit(w: World, desk: Desk, phone: str | None, own: Call | None = None) -> None:
    """Sign in at a desk phone, or go back to one's own place. Whoever sat there before does not
    any more. `own` is the phone's call that asks for it. Raises `Cannot`."""
    if phone is not None and any(
        leg.phone == phone and leg.call is not own for leg in w.legs.values()
    ):
        raise Cannot("This phone is in use.")
    if phone is not None and phone not in w.site.phones:
        raise Cannot(f"There is no phone {phone}.")
    if any(leg.agent == desk.id and leg.call is not own for leg in w.legs.values()):
        raise Cannot("Finish the present call first.")
    if desk.call is not None or w.acd.agent(desk.id).phase == "offered":
        raise Cannot("Finish the present call first.")
    for other in w.desks.values():
        if other is not desk and phone is not None and other.at_phone == phone:
            other.at_phone = None
            w.fact(HotDesk(at=w.now, agent=other.id, phone=None))
            _reach(w, other)
    if desk.at_phone != phone:
        desk.at_phone = phone
        w.fact(HotDesk(at=w.now, agent=desk.id, phone=phone))
        _reach(w, desk)
    w.lamps_stale = True
    _displace(w)
    w.desks_changed = True


def phones_changed(w: World) -> None:
    """The site document has other phones: nobody sits at one that is gone."""
    for desk in w.desks.values():
        if desk.at_phone is not None and desk.at_phone not in w.site.phones:
            desk.at_phone, w.desks_changed = None, True
            w.fact(HotDesk(at=w.now, agent=desk.id, phone=None))
            _reach(w, desk)
    _displace(w)


def _displace(w: World) -> None:
    """One desk phone rings for one person: its owner gives way to who signed in there."""
    taken = {desk.at_phone for desk in w.desks.values() if desk.at_phone is not None}
    for desk in w.desks.values():
        displaced = desk.at_phone is None and desk.person.phone in taken
        if displaced != desk.displaced:
            desk.displaced = displaced
            if desk.person.door == "phone":
                _reach(w, desk)


def _reach(w: World, desk: Desk) -> None:
    w.tell(acd.Reachable(desk.id, reachable(w, desk)))


def saved(w: World) -> list[SavedDesk]:
    """Everybody who has set something."""
    return [
        SavedDesk(
            desk.id,
            desk.dnd,
            dict(desk.forward),
            desk.at_phone,
            desk.longer_day,
            desk.longer_used,
        )
        for desk in w.desks.values()
        if desk.dnd or desk.forward or desk.at_phone is not None or desk.longer_used
    ]


def restore(w: World, desks: list[SavedDesk]) -> None:
    """Take back what was saved, as far as it still fits the site document."""
    for one in desks:
        desk = w.desks.get(one.person)
        if desk is not None:
            desk.dnd = one.dnd
            desk.forward = {
                when: number
                for when, number in one.forward.items()
                if resolve(w.site, number).kind not in ("unknown", "queue")
            }
            desk.at_phone = one.at_phone if one.at_phone in w.site.phones else None
            desk.longer_day, desk.longer_used = one.longer_day, one.longer_used
    _displace(w)


def _note(w: World, desk: Desk, setting: str, value: str | None) -> None:
    w.desks_changed = True
    w.fact(AgentSetting(at=w.now, agent=desk.id, setting=setting, value=value))
