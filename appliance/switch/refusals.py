"""What can be seen to fail before anybody is disturbed, in words for the person who asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from appliance.events import DialRefused
from appliance.switch.dialling import busy, reachable, refused
from appliance.switch.dialplan import Destination
from appliance.switch.model import World

WHY_NOT: Final[Mapping[str, str]] = {
    "kind": "You are not allowed to call this kind of number.",
    "abroad": "Calls to this country are not allowed here.",
    "ceiling": "Today's ceiling for calls to the outside is reached.",
}


class Cannot(Exception):
    """Everything stays as it is; the text is for the person who asked."""


def check(w: World, destination: Destination, number: str, payer: str) -> None:
    """Raises `Cannot` for a destination that cannot be had now, or not by this party."""
    match destination.kind:
        case "unknown":
            raise Cannot(f"{number} is no extension and no outside number of this office.")
        case "outside" if not destination.emergency:
            why = refused(w, payer, destination.target)
            if why is not None:
                w.fact(DialRefused(at=w.now, by=payer, number=destination.target, reason=why))
                raise Cannot(WHY_NOT[why])
        case "phone" if destination.target not in w.registered:
            raise Cannot(f"The phone {number} is not connected.")
        case "person":
            desk = w.desks[destination.target]
            if desk.forward:
                return
            if busy(w, desk):
                raise Cannot(f"{desk.person.name} is in a call.")
            if desk.dnd:
                raise Cannot(f"{desk.person.name} does not want to be disturbed.")
            if not reachable(w, desk):
                raise Cannot(f"{desk.person.name} cannot be reached now.")
        case _:
            pass


def party_of(destination: Destination) -> str:
    kind = {"person": "agent", "outside": "number"}.get(destination.kind, destination.kind)
    return f"{kind}:{destination.target}"
