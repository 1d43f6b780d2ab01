"""Keys and codes: what a phone asks for by dialling or by keying in a call."""

from __future__ import annotations

from typing import Final

from appliance.media import protocol as p
from appliance.switch import routing
from appliance.switch.model import Call, Leg, World

_PASSED_KEYS: Final = ("sip_info",)
"""Keys that come with the signalling and must be handed to the other leg of a bridge; those that
come beside the audio (RFC 4733) the media process passes on itself."""


def key(w: World, leg: Leg, digit: str, source: str) -> None:
    """A key was pressed: for the menu, as part of a code, or for whoever is at the other end."""
    call = leg.call
    if call.menu is not None and leg is call.a:
        routing.carry_out(w, call, call.menu.key(digit, w.now))
    elif call.joined and call.b is not None and source in _PASSED_KEYS:
        other = call.b if leg is call.a else call.a
        w.media(p.SendKeys(other.id, digit))


def dialled(w: World, call: Call, number: str) -> bool:
    """A phone dialled this; True when it was a code and has been dealt with."""
    return False
