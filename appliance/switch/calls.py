"""The life of a call once it exists: connect, hold, park, end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from appliance.acd import events as acd
from appliance.events import (
    Bridged,
    CallOpened,
    Direction,
    Disconnect,
    HoldOff,
    HoldOn,
    RecordingStarted,
    Side,
)
from appliance.media import protocol as p
from appliance.switch.actions import HoldMusic, Hush
from appliance.switch.legs import answer, drop, listen
from appliance.switch.model import Call, Leg, World

LIVE_PATIENCE_MS: Final = 2000
"""A bridge whose one side sends nothing (muted phone with silence suppression) counts as connected
after this long: the people are on the line, only quiet."""

PARK_MS: Final = 30_000
"""How long a caller hears music when the agent's page went away in mid-call: a reload takes a
second or two, a crashed browser half a minute."""


def open_call(
    w: World,
    direction: Direction,
    door: str,
    *,
    caller: str | None = None,
    caller_name: str | None = None,
    called: str | None = None,
) -> Call:
    call = Call(
        id=w.new_id("c"),
        direction=direction,
        opened_at=w.now,
        language=w.site.office.language,
        caller=caller,
        caller_name=caller_name,
        called=called,
    )
    w.calls[call.id] = call
    w.fact(
        CallOpened(
            at=w.now,
            call=call.id,
            direction=direction,
            door=door,
            caller=caller,
            caller_name=caller_name,
            called=called,
        )
    )
    return call


def try_bridge(w: World, call: Call) -> None:
    """Connect the two legs if both are up and nothing keeps them apart."""
    b = call.b
    if call.ended or b is None or call.bridge is not None or call.held_by is not None:
        return
    if call.a.state != "up" or b.state != "up" or call.parked_until is not None:
        return
    w.act(Hush(call.a.id))
    w.act(HoldMusic(call.a.id, None))
    w.media(p.PlayTone(call.a.id, None))
    w.media(p.PlayTone(b.id, None))
    for leg in (call.a, b):
        listen(w, leg, keys=leg.kind == "sip")
    call.bridge = w.number()
    call.bridge_live = False
    call.live_by = w.now + LIVE_PATIENCE_MS
    call.ring_until = None
    w.media(p.Bridge(call.bridge, call.a.id, b.id))
    _record(w, call, b)


def bridge_live(w: World, call: Call) -> None:
    """Audio flows both ways: the wait is over."""
    call.live_by = None
    if call.bridge_live or call.b is None:
        return
    call.bridge_live = True
    if not call.talk_since:
        call.talk_since = w.now
        w.fact(Bridged(at=w.now, call=call.id, a=call.a.party, b=call.b.party))
    if call.entry is not None and not call.connected:
        w.tell(acd.Linked(call.entry))


def music_of(w: World, call: Call) -> str:
    """The music of the call's queue; "" is the built-in one."""
    queue = w.site.queues.get(call.queue or "")
    return (queue.music if queue is not None else None) or ""


def unbridge(w: World, call: Call) -> None:
    if call.bridge is not None:
        w.media(p.Unbridge(call.bridge))
        call.bridge = None
        call.live_by = None


def hold(w: World, call: Call, holder: Leg) -> None:
    """One side puts the other on hold: music there, silence in the recording."""
    other = call.b if holder is call.a else call.a
    if call.held_by is not None or not call.bridge_live or other is None:
        return
    call.held_by, call.held_since = holder.agent or holder.party, w.now
    w.fact(HoldOn(at=w.now, call=call.id, agent=call.held_by, entry=call.entry))
    unbridge(w, call)
    w.act(HoldMusic(other.id, music_of(w, call)))
    _point_recording(w, call, silent=True)


def resume(w: World, call: Call) -> None:
    if call.held_by is None:
        return
    release_hold(w, call)
    for leg in call.legs:
        w.act(HoldMusic(leg.id, None))
    try_bridge(w, call)


def release_hold(w: World, call: Call) -> None:
    if call.held_by is not None:
        w.fact(HoldOff(at=w.now, call=call.id, agent=call.held_by, entry=call.entry))
        call.held_by = None


def _record(w: World, call: Call, b: Leg) -> None:
    """Start, or point the running recording at, the legs that talk now."""
    if call.recording is not None:
        _point_recording(w, call, silent=False)
        return
    queue = w.site.queues.get(call.queue or "")
    wanted = w.site.recording.enabled and queue is not None and queue.record
    if not wanted or not w.recording_allowed:
        return
    call.recordings += 1
    day = datetime.fromtimestamp(w.now / 1000, UTC).astimezone(w.site.office.zone)
    recording = f"{call.id}-{call.recordings}"
    path = f"recordings/{day:%Y-%m-%d}/{recording}.wav"
    call.recording = recording
    w.fact(
        RecordingStarted(
            at=w.now,
            call=call.id,
            recording=recording,
            path=path,
            entry=call.entry,
            agent=call.linked_agent,
        )
    )
    w.media(p.StartRecording(recording, f"{w.data}/{path}", call.a.id, b.id))


def _point_recording(w: World, call: Call, *, silent: bool) -> None:
    running = w.recordings.get(call.recording or "")
    if running is None:
        return
    left = None if silent else call.a.id
    right = None if silent or call.b is None else call.b.id
    w.media(p.StartRecording(running.recording, running.path, left, right))


def stop_recording(w: World, call: Call) -> None:
    """`RecordingEnded` follows when the media process has the file complete."""
    if call.recording is not None:
        w.media(p.StopRecording(call.recording))
        call.recording = None


def end_call(
    w: World, call: Call, side: Side, cause: str = "normal", *, gone: Leg | None = None
) -> None:
    """The call is over. `gone` is the leg whose far end hung up, if one did."""
    if call.ended:
        return
    call.ended = True
    if call.menu is not None:
        w.keep_facts(call.menu.gone(w.now))
        call.menu = None
    release_hold(w, call)
    stop_recording(w, call)
    for leg in call.legs:
        drop(w, leg, cause, gone=leg is gone)
    if call.entry is not None and not call.connected:
        w.tell(acd.Gone(call.entry, "abandoned"))
    free_agents(w, call)
    w.over.append((call, Disconnect(at=w.now, call=call.id, side=side, cause=cause)))
    for token in [t for t, (owner, _, _) in w.tokens.items() if owner == call.id]:
        del w.tokens[token]


def free_agents(w: World, call: Call) -> None:
    """The agents of this call have their hands free again."""
    for desk in w.desks.values():
        if desk.call is not call:
            continue
        desk.call = None
        if call.connected and call.linked_agent == desk.id:
            w.tell(acd.Released(desk.id))
        elif call.linked_agent != desk.id:
            w.tell(acd.Engaged(desk.id, False))


def park(w: World, call: Call, leg: Leg) -> None:
    """The agent's audio is gone in mid-call: music for the caller until it is back."""
    hold(w, call, leg)
    call.parked_until = w.now + PARK_MS


def unpark(w: World, call: Call) -> None:
    if call.parked_until is not None:
        call.parked_until = None
        resume(w, call)


def answer_caller(w: World, call: Call) -> bool:
    """Answer the caller's leg; ends the call and returns False when that cannot be done."""
    if answer(w, call.a):
        return True
    end_call(w, call, "system", "no_codec")
    return False
