"""What the media process hears of the exchange and of machines, and what follows for the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from appliance.acd import events as acd
from appliance.media import protocol as p
from appliance.site.routes import parse_route
from appliance.switch import callbacks, messages
from appliance.switch.actions import Hush
from appliance.switch.calls import close_orbit, free_agents
from appliance.switch.legs import drop
from appliance.switch.model import Call, Leg, World
from appliance.switch.parties import leave
from appliance.switch.routing import carry_out, go
from appliance.switch.transfer import let_go

DIALLING_MS: Final = 60_000
"""An outgoing line is being dialled for so long at most; later tones belong to a conversation."""

_REFUSALS: Final[Mapping[str, str]] = {
    "busy": "busy",
    "reorder": "no_line",
    "sit": "unreachable",
    "sit_intercept": "unknown_number",
    "sit_vacant": "unknown_number",
    "sit_reorder": "no_line",
    "sit_no_circuit": "no_line",
}
"""Tones after dialling, as causes."""


def tone(w: World, event: p.ToneHeard) -> None:
    """A tone on a line that we dialled tells what became of the call. After busy the driver hangs
    up by itself; after special information an announcement follows, which nobody needs to hear.
    An emergency call is never ended because of what we believe to hear."""
    leg = w.legs.get(event.leg)
    if leg is None or leg.kind != "line" or leg.incoming or leg.call.ended:
        return
    if event.tone == "ringback":
        leg.rang = True
    if not unanswered(w, leg):
        return
    leg.refusal = _REFUSALS.get(event.tone, leg.refusal)
    emergency = leg.outside is not None and leg.outside.kind == "emergency"
    if event.tone.startswith("sit") and leg.refusal is not None and not emergency:
        leave(w, leg, leg.refusal, gone=False)


def unanswered(w: World, leg: Leg) -> bool:
    """An outgoing line went off-hook, and as far as tones can tell nobody was rung yet."""
    return not leg.rang and w.now - leg.up_since <= DIALLING_MS


def level(w: World, event: p.LegLevel) -> None:
    """Whether a caller speaks, once a second while they leave a message."""
    leg = w.legs.get(event.leg)
    if leg is not None and leg is leg.call.a and leg.call.tape is not None and leg.call.menu:
        carry_out(w, leg.call, leg.call.menu.speaks(event.speaking, w.now))


def machine(w: World, event: p.MachineHeard) -> None:
    """Who answered a call-back of ours."""
    leg = w.legs.get(event.leg)
    if leg is not None and leg is leg.call.a and not leg.call.ended:
        callbacks.screened(w, leg.call, machine=event.result == "machine")


def fax(w: World, event: p.FaxHeard) -> None:
    """A fax machine has called: it goes where the line's `fax` says, from wherever it is now."""
    leg = w.legs.get(event.leg)
    if leg is None or leg.call.ended or leg is not leg.call.a or leg.state != "up":
        return
    settings = w.site.lines.get(leg.line or "")
    if event.kind != "cng" or settings is None or settings.kind != "modem" or not leg.incoming:
        return
    call = leg.call
    if settings.fax is None or call.route == settings.fax or call.end_at is not None:
        return
    if _free(w, call, leg, settings.fax):
        call.back_to = None
        call.hops = 0
        go(w, call, settings.fax)


def _free(w: World, call: Call, leg: Leg, to: str) -> bool:
    """Take the caller out of the menu, the queue or the talk; False when that is not possible now:
    the fax calls on, and is heard again."""
    if len(call.people) > 2 or call.consult is not None:
        return False
    w.act(Hush(leg.id))
    messages.close(w, call)
    if call.menu is not None:
        route = parse_route(to)
        w.keep_facts(call.menu.gone(w.now, route.kind, route.target))
        call.menu = None
        return True
    if call.talk_since and call.b is not None:
        let_go(w, call, call.b, "blind", to)
        call.queue = None
        return True
    if call.entry is not None and call.linked_agent is None:
        w.tell(acd.Gone(call.entry, "key_exit"))
        call.entry = call.queue = None
        w.music(leg, None)
        return True
    if call.orbit is not None:
        close_orbit(w, call, "gone")
        call.parked_by = None
        w.music(leg, None)
        return True
    if call.b is not None and call.b.state == "ringing":
        b, call.b, call.attempt = call.b, None, None
        drop(w, b)
        free_agents(w, call)
        return True
    return False
