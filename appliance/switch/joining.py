"""A desk phone with two calls brings the other two together and goes: the attended transfer that
phones do by themselves (REFER with Replaces, RFC 5589 section 7)."""

from __future__ import annotations

from appliance.events import Direction, Disconnect, LineReleased, LineSeized, Transfer
from appliance.switch.calls import (
    close_watch,
    dismiss,
    forget_talk,
    let_go,
    release_hold,
)
from appliance.switch.legs import drop
from appliance.switch.model import Call, Leg, World
from appliance.switch.refusals import Cannot
from appliance.switch.voices import arrange, stop_recording


def join_calls(w: World, first: Leg, second: Leg | None) -> None:
    """`first` and `second` are the phone's legs in two calls. Raises `Cannot`."""
    if second is None or second.call is first.call:
        raise Cannot("There is no such other call.")
    # The call of somebody from outside is the one that stays: its history goes on.
    if _other(second).inside < _other(first).inside:
        first, second = second, first
    kept, over = first.call, second.call
    moved = _other(second)
    _other(first)
    w.fact(
        Transfer(
            at=w.now,
            call=kept.id,
            mode="attended",
            by=first.party,
            to=moved.party,
            entry=kept.entry,
        )
    )
    for call, by in ((kept, first), (over, second)):
        release_hold(w, call)
        for watcher in list(call.watchers):
            close_watch(w, call, watcher)
            let_go(w, call, watcher.leg, gone=False)
        dismiss(w, call, by)
    stop_recording(w, over)
    over.ended = True
    arrange(w, over)
    _take(w, moved, kept)
    kept.a, kept.b = (moved, kept.b) if first is kept.a else (kept.a, moved)
    forget_talk(kept)
    arrange(w, kept)
    drop(w, first)
    drop(w, second)
    w.over.append((over, Disconnect(at=w.now, call=over.id, side="system", cause="joined")))


def _other(leg: Leg) -> Leg:
    """Whom the phone talks with in this call of two. Raises `Cannot`."""
    call = leg.call
    if len(call.people) != 2 or leg not in call.people or call.consult is not None:
        raise Cannot("Only calls of two can be brought together.")
    other = call.b if leg is call.a else call.a
    if other is None or other.state != "up" or call.ended or not call.talk_since:
        raise Cannot("They have not answered yet.")
    return other


def _take(w: World, leg: Leg, call: Call) -> None:
    """The leg, with whoever and whatever belongs to it, is of this call from now on."""
    old, leg.call = leg.call, call
    for desk in w.desks.values():
        if desk.call is old and desk.id == leg.agent:
            desk.call = call
    line = leg.line or leg.trunk
    if line is not None:
        way: Direction = "in" if leg.incoming else "out"
        w.fact(LineReleased(at=w.now, call=old.id, line=line))
        w.fact(LineSeized(at=w.now, call=call.id, line=line, direction=way))
        if leg.line is not None:
            w.lines[leg.line].call = call.id
