"""Who hears whom: from the roles in a call to what the media process does, in one place.

`plan` is a pure reading of a call; `arrange` compares it with what was given last and sends the
difference. No verb of this room bridges, mixes, plays hold music or points a recording itself: it
changes roles, then calls `arrange`.

    two who talk            a bridge: the cheap relay
    three or more           a room
    a supervisor            a room: heard by nobody (listen), by the agent (whisper), by all (barge)
    one holds of two        music for the other
    one holds of many       that one is out of it, the others go on
    a consultation          the two of it apart; whoever is left alone hears music
    muted                   a room in which nobody hears that one

The recording has the caller on the left and everybody else who is heard by the caller on the
right; while the caller waits it is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from appliance.events import RecordingStarted
from appliance.media import protocol as p
from appliance.switch.actions import Hush
from appliance.switch.legs import listen
from appliance.switch.model import Call, Leg, Watcher, World

LIVE_PATIENCE_MS: Final = 2000
"""A bridge whose one side sends nothing (muted phone with silence suppression) counts as connected
after this long: the people are on the line, only quiet."""

Group = tuple[p.Member, ...]


@dataclass(frozen=True, slots=True)
class Voices:
    """`groups` are those who are connected, the first being the talk itself if `talks`."""

    groups: tuple[Group, ...] = ()
    talks: bool = False
    music: frozenset[int] = frozenset()
    left: int | None = None
    right: int | None = None
    more: tuple[int, ...] = ()


def plan(call: Call) -> Voices:
    """What the legs of the call should hear now."""
    if call.ended:
        return Voices()
    up = [leg for leg in call.people if leg.state == "up" and leg.lost_until is None]
    holder = next((leg for leg in up if leg.name == call.held_by), None)
    main = [leg for leg in up if leg is not holder]
    apart = [] if holder is None else [holder]
    music = _waiting(call, main)
    consult = call.consult
    if consult is not None and consult.leg is not None and consult.leg.state == "up":
        if consult.by is holder:
            apart.append(consult.leg)
        else:
            music.add(consult.leg.id)
    groups = [_group(call, legs) for legs in (main, apart) if len(legs) >= 2]
    for leg in (*main, *apart):
        # Alone, but a supervisor is with them.
        watched = any(watcher.of is leg for watcher in _up(call))
        if watched and not any(leg.id == one.leg for group in groups for one in group):
            groups.append(_group(call, [leg]))
    talks = len(main) >= 2
    left, right, more = _recorded(call, main) if talks else (None, None, ())
    return Voices(tuple(groups), talks, frozenset(music), left, right, more)


def _waiting(call: Call, main: Sequence[Leg]) -> set[int]:
    """Whoever was left alone by a hold, or waits in an orbit."""
    left = call.held_by or call.orbit is not None or any(leg.lost_until for leg in call.people)
    return {leg.id for leg in main} if len(main) == 1 and left else set()


def _up(call: Call) -> list[Watcher]:
    return [watcher for watcher in call.watchers if watcher.leg.state == "up"]


def _group(call: Call, legs: Sequence[Leg]) -> Group:
    members = [p.Member(leg.id, () if leg.muted else None) for leg in legs]
    for watcher in _up(call):
        if watcher.of in legs:
            heard = {"listen": (), "whisper": (watcher.of.id,), "barge": None}[watcher.mode]
            members.append(p.Member(watcher.leg.id, heard))
    return tuple(members)


def _recorded(call: Call, main: Sequence[Leg]) -> tuple[int | None, int | None, tuple[int, ...]]:
    left = call.a if call.a in main else None
    rest = [leg.id for leg in main if leg is not left]
    rest += [w.leg.id for w in _up(call) if w.mode == "barge" and w.of in main]
    return (None if left is None else left.id), rest[0], tuple(rest[1:])


def _is_pair(group: Group) -> bool:
    return len(group) == 2 and all(one.heard_by is None and one.hears for one in group)


def arrange(w: World, call: Call) -> None:
    """Make the media process do what the roles in this call ask for."""
    want = plan(call)
    old = call.sound
    before = {one.leg for group in old.values() for one in group}
    given: dict[int, Group] = {}
    fresh: list[Group] = []
    for group in want.groups:
        number = _same(old, given, group)
        if number is None:
            fresh.append(group)
        else:
            given[number] = group
    for number, members in old.items():
        if number not in given:
            w.media(p.Unbridge(number) if _is_pair(members) else p.Room(number, ()))
    for number, group in given.items():
        if group != old[number]:
            w.media(p.Room(number, group))
    for group in fresh:
        _prepare(w, call, [one.leg for one in group if one.leg not in before])
        number = w.number()
        given[number] = group
        if _is_pair(group):
            w.media(p.Bridge(number, group[0].leg, group[1].leg))
        else:
            w.media(p.Room(number, group))
    for group in given.values():
        _prepare(w, call, [m.leg for m in group if m.leg not in before and group not in fresh])
    call.sound = given
    _note_talk(w, call, want)
    for leg in call.legs:
        if leg.id in want.music and not leg.music:
            w.music(leg, music_of(w, call))
    _record(w, call, want)


def _same(old: dict[int, Group], given: dict[int, Group], group: Group) -> int | None:
    """The running bridge or room that this group goes on in."""
    legs = {one.leg for one in group}
    for number, members in old.items():
        shared = legs & {one.leg for one in members}
        if number in given or _is_pair(members) != _is_pair(group):
            continue
        if shared == legs if _is_pair(group) else len(shared) >= min(2, len(legs)):
            return number
    return None


def _prepare(w: World, call: Call, legs: Sequence[int]) -> None:
    """Whoever comes into a talk hears only it from now on."""
    for leg in (leg for leg in call.legs if leg.id in legs):
        if leg is call.a:
            w.act(Hush(leg.id))
        if leg is call.a or leg.music:
            w.music(leg, None)
        w.media(p.PlayTone(leg.id, None))
        listen(w, leg, keys=leg.kind == "sip")


def _note_talk(w: World, call: Call, want: Voices) -> None:
    call.joined = want.talks
    main = want.groups[0] if want.talks else None
    pair = main is not None and _is_pair(main)
    number = next((n for n, group in call.sound.items() if group == main), None) if pair else None
    if want.talks and not call.bridge_live:
        call.live_by = call.live_by or w.now + LIVE_PATIENCE_MS
    else:
        call.live_by = None
    call.bridge = number


def music_of(w: World, call: Call) -> str:
    """The music of the call's queue; "" is the built-in one."""
    queue = w.site.queues.get(call.queue or "")
    return (queue.music if queue is not None else None) or ""


# --- the recording --------------------------------------------------------------------------


def _record(w: World, call: Call, want: Voices) -> None:
    """Start, or point the running recording at, those who talk now."""
    if call.recording is not None:
        running = w.recordings.get(call.recording)
        legs = (want.left, want.right, want.more)
        if running is not None and legs != (running.left, running.right, running.more):
            w.media(p.StartRecording(running.recording, running.path, *legs))
        return
    queue = w.site.queues.get(call.queue or "")
    wanted = w.site.recording.enabled and queue is not None and queue.record
    if not want.talks or not wanted or not w.recording_allowed:
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
    w.media(p.StartRecording(recording, f"{w.data}/{path}", want.left, want.right, want.more))


def stop_recording(w: World, call: Call) -> None:
    """`RecordingEnded` follows when the media process has the file complete."""
    if call.recording is not None:
        w.media(p.StopRecording(call.recording))
        call.recording = None
