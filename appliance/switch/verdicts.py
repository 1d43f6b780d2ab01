"""How calls sound: the account of each leg goes to the ledger, a running call that turns poor is
shown, and a phone, trunk, page or line that is poor again and again gets advice.

The last word about a leg comes after the leg is gone, since the media process says it when it
closes it; until then `QualityBook` knows whose it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from appliance.events import LegQuality
from appliance.ledger.quality import Verdict, loss, trouble, verdict
from appliance.media import protocol as p

if TYPE_CHECKING:
    from appliance.switch.model import Call, Leg, World

MAX_CLOSING: Final = 1000
"""Legs whose last word may be awaited; more would be a media process that does not say it."""
JUDGED_PACKETS: Final = 500
"""10 s of audio: less says nothing about a phone."""
REMEMBERED: Final = 5
POOR_LEGS: Final = 3
"""So many poor legs of the last `REMEMBERED` are no accident."""

_ADVICE: Final = {
    "phone": "Check its network cable, or its Wi-Fi if it has no cable; then the switch port.",
    "agent": "Ask for a network cable instead of Wi-Fi, and close what else uses the network.",
    "trunk": "Check how busy the internet connection is; if it is idle, ask the provider.",
    "line": "Check the modem's USB plug and whether the box is overloaded.",
}


@dataclass(slots=True)
class QualityBook:
    """What is awaited and what is remembered."""

    closing: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Leg -> call, party and device."""
    verdicts: dict[str, deque[Verdict]] = field(default_factory=dict)
    """Device -> how its last legs were."""


def expect(w: World, leg: Leg) -> None:
    """The leg is about to be closed: its last word is to come."""
    if not w.media_ready:
        return
    closing = w.quality.closing
    closing[leg.id] = (leg.call.id, leg.party, _device(leg))
    while len(closing) > MAX_CLOSING:
        del closing[next(iter(closing))]


def heard(w: World, event: p.LegQuality) -> None:
    """The media process says how a leg sounds."""
    if not event.closed:
        leg = w.legs.get(event.leg)
        if leg is not None:
            leg.quality = event
        return
    owner = w.quality.closing.pop(event.leg, None)
    if owner is not None:
        _settle(w, *owner, event)


def media_lost(w: World, legs: Collection[int] | None = None) -> None:
    """What was known of these legs (None: of all) is their last word; a fresh media process counts
    from nothing."""
    if legs is None:
        w.quality.closing.clear()
    for leg in w.legs.values():
        if leg.quality is not None and (legs is None or leg.id in legs):
            _settle(w, leg.call.id, leg.party, _device(leg), leg.quality)
            leg.quality = None


def poor_party(call: Call) -> str | None:
    """The party whose audio is poor at the moment, if one is."""
    for leg in call.legs:
        said = leg.quality
        if said is not None and verdict(said.recent_mos, said.far_mos) == "poor":
            return leg.party
    return None


def _device(leg: Leg) -> str:
    """What advice is about: an agent's desk phone is a phone."""
    return f"phone:{leg.phone}" if leg.phone is not None else leg.party


def _settle(w: World, call: str, party: str, device: str, said: p.LegQuality) -> None:
    if not said.packets:
        # Nothing was heard: it rang only, or the call failed for a reason that is written.
        return
    w.fact(
        LegQuality(
            at=w.now,
            call=call,
            party=party,
            door=said.door,
            packets=said.packets,
            lost=said.lost,
            late=said.late,
            concealed=said.concealed,
            jitter_ms=said.jitter_ms,
            delay_ms=said.delay_ms,
            mos=said.mos,
            sent=said.sent,
            round_trip_ms=said.round_trip_ms,
            clock_ppm=said.clock_ppm,
            far_lost=said.far_lost,
            far_jitter_ms=said.far_jitter_ms,
            far_mos=said.far_mos,
            secure=said.secure,
        )
    )
    if said.packets >= JUDGED_PACKETS:
        _remember(w, device, said)


def _remember(w: World, device: str, said: p.LegQuality) -> None:
    judged = verdict(said.mos, said.far_mos)
    last = w.quality.verdicts.setdefault(device, deque(maxlen=REMEMBERED))
    last.append(judged)
    key = f"quality:{device}"
    if judged == "poor" and last.count("poor") >= POOR_LEGS:
        door = device.partition(":")[0]
        name = _name(w, device)
        w.alarm(
            key,
            "warning",
            f"{name} often sounds poor",
            f"{name}: {_what(said)}",
            _ADVICE.get(door, _ADVICE["trunk"]),
        )
    elif last.count("poor") < POOR_LEGS:
        w.clear(key)


def _what(said: p.LegQuality) -> str:
    """What is wrong, in words; the figures are those of the newest leg."""
    lost = loss(said.packets, said.lost, said.late)
    match trouble(lost, said.far_lost, said.round_trip_ms, said.jitter_ms, said.far_jitter_ms):
        case "loss":
            return f"{_percent(lost)} of what it sends is lost."
        case "far_loss":
            return f"{_percent(said.far_lost or 0.0)} of what is sent to it is lost."
        case "delay":
            return f"sound takes {said.round_trip_ms or 0:.0f} ms there and back."
        case "jitter":
            jitter = max(said.jitter_ms, said.far_jitter_ms or 0.0)
            return f"packets come unevenly, by {jitter:.0f} ms."
        case None:
            return "parts of what it says do not arrive."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.02 else f"{100 * share:.1f} %"


def _name(w: World, device: str) -> str:
    door, _, name = device.partition(":")
    if door == "phone":
        return f"Phone {name}"
    if door == "agent":
        person = w.site.people.get(name)
        return f"The page of {person.name if person is not None else name}"
    line = w.site.lines.get(name)
    kind = "Trunk" if door == "trunk" else "Line"
    return f"{kind} {line.name if line is not None else name}"
