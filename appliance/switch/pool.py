"""Several media processes that look like one to the switch. Pure.

The switch numbers legs, bridges and rooms and knows of no processes; `MediaPool` decides where
each leg lives and says per process what to do:

- lines live in process 0, which has their devices; a browser peer lives where there was most room
  when its page came, and its legs with it; an RTP leg lives with the leg of its call that it is
  said to be near to, else where there is most room;
- legs of different processes that are to hear each other are joined by **links**: a pair of RTP
  legs over loopback, one in each process, with numbers and ports of their own. A link carries keys
  beside the audio as any leg does. In a bridge the link stands in for the other leg; in a room each
  pair of processes has one link for those who speak to all, and one more for each group of those
  who speak to some (who whispers), so that everything is at most one link away;
- a recording is made where its left leg lives, of links where others live elsewhere.

A process that was lost gets everything again when it is back (`MediaMirror`), on the same ports,
and the others keep their ends of the links. Its recordings go on in a new part each, whose name
says when it began (see `appliance.recordings`); the switch hears of one recording with one end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from appliance.media import protocol as p
from appliance.recordings import part_path
from appliance.switch.mirror import MediaMirror
from appliance.switch.ports import PortPool

LINES: Final = 0
"""The process that has the lines."""
LINK_HOST: Final = "127.0.0.1"
_KEYS: Final = 101
"""Payload type of keys on a link."""
LEG_MS: Final = {p.OpenRtp: 0.02, p.OpenLine: 0.03, p.OpenPeer: 0.1}
"""What a leg adds to the work of a tick, as measured (see docs/performance.md); it counts until
the process itself has told its work the next time."""
FULL_MS: Final = 12.0
"""A tick of 20 ms with so much work in it gets no more legs where another process has room, be
they of the same call or not."""
MAX_RELINKS: Final = 20
"""Ports that are tried for the links of a bridge or room before it stays as it is."""

_Key = tuple[Literal["bridge", "room"], int]


def link_ports(rtp_ports: tuple[int, int]) -> tuple[int, int]:
    """A range for links beside that of the calls: the thousand above it, or below."""
    low, high = rtp_ports
    return (high + 1, high + 1000) if high <= 64_000 else (low - 1000, low - 1)


@dataclass(slots=True)
class _Process:
    mirror: MediaMirror = field(default_factory=MediaMirror)
    ready: bool = False
    stats: p.MediaStats | None = None
    added_ms: float = 0.0
    """Work of the legs that came since `stats`."""
    said_at: int = 0
    """When it said something last."""

    @property
    def load_ms(self) -> float:
        return self.added_ms + (0.0 if self.stats is None else self.stats.tick_work_ms_p99)


@dataclass(slots=True, eq=False)
class _Link:
    ends: dict[int, int]
    """Process -> number of the leg there."""
    ports: dict[int, int]


@dataclass(slots=True, eq=False)
class _Meeting:
    """A bridge or room, and how it is spread over the processes."""

    wanted: p.Bridge | p.Room
    links: dict[tuple[int, int, int], _Link] = field(default_factory=dict)
    """Lower process, higher process, which of their links -> the link."""
    sent: dict[int, p.Bridge | p.Room] = field(default_factory=dict)
    """Process -> what it was told last."""
    live: set[int] = field(default_factory=set)
    told_live: bool = False
    carried: dict[tuple[int, int], int] = field(default_factory=dict)
    """Process and a leg of another one -> the end by which that leg is heard in the process."""
    relinks: int = 0

    @property
    def legs(self) -> set[int]:
        if isinstance(self.wanted, p.Bridge):
            return {self.wanted.a, self.wanted.b}
        return {member.leg for member in self.wanted.members}


@dataclass(slots=True, eq=False)
class _Tape:
    """One recording as the switch knows it, and the part of it that is being written."""

    wanted: p.StartRecording
    began: int
    home: int | None = None
    part: p.StartRecording | None = None
    """As it was sent last; None while nobody writes."""
    offset: int = -1
    """Milliseconds from `began` to the begin of the newest part; -1 before the first one."""
    told_at: int = 0
    """When the process was told of the newest part."""
    stopped: bool = False
    ended_at: int = 0
    """When it was stopped or its writer was lost."""


class MediaPool:
    """`setup` is that of the whole box. Every method may leave commands and events for `take`."""

    def __init__(self, processes: int, ports: PortPool, setup: p.Setup) -> None:
        self._setup = setup
        self._ports = ports
        self._processes = [_Process() for _ in range(processes)]
        self._home: dict[int, int] = {}
        self._peers: dict[str, int] = {}
        self._meetings: dict[_Key, _Meeting] = {}
        self._in: dict[int, _Key] = {}
        """Leg -> the bridge or room that it is in."""
        self._ends: dict[int, _Key] = {}
        """End of a link -> what the link is for."""
        self._tapes: dict[str, _Tape] = {}
        self._parts: dict[tuple[int, str], str] = {}
        """Process and its name for a recording -> the switch's name."""
        self._last_end = p.LINK_NUMBERS - 1
        self._commands: list[tuple[int, p.Command]] = []
        self._events: list[p.Event] = []

    def take(self) -> tuple[list[tuple[int, p.Command]], list[p.Event]]:
        """Commands by process, and events for the switch, since the last call."""
        commands, events = self._commands, self._events
        self._commands, self._events = [], []
        return commands, events

    @property
    def links(self) -> int:
        return sum(len(meeting.links) for meeting in self._meetings.values())

    @property
    def recordings(self) -> set[str]:
        """Those whose end has not been told."""
        return set(self._tapes)

    def legs_of(self, process: int) -> frozenset[int]:
        """The legs that live in a process."""
        return frozenset(leg for leg, home in self._home.items() if home == process)

    def home(self, leg: int) -> int | None:
        """The process in which a leg lives."""
        return self._home.get(leg)

    @property
    def ready(self) -> int:
        """How many processes are ready."""
        return sum(process.ready for process in self._processes)

    @property
    def complete(self) -> bool:
        return self.ready == len(self._processes)

    def _to(self, process: int, command: p.Command) -> None:
        self._processes[process].mirror.note(command)
        if self._processes[process].ready:
            self._commands.append((process, command))

    # --- processes come and go --------------------------------------------------------------

    def connected(self, process: int) -> None:
        """Somebody listens: what has to be said first."""
        lines = self._setup.lines if process == LINES else ()
        setup = msgspec.structs.replace(self._setup, lines=lines)
        self._processes[process].mirror.note(setup)
        self._commands.append((process, setup))

    def up(self, process: int, now: int) -> None:
        """The process carried `Setup` out: it gets everything that it should have."""
        one = self._processes[process]
        one.ready, one.stats, one.added_ms = True, None, 0.0
        for command in one.mirror.replay():
            if not isinstance(command, p.Setup):
                self._commands.append((process, command))
        self._events += one.mirror.interrupted()
        for recording in list(self._tapes):
            self._point(recording, now)

    def lost(self, process: int, now: int) -> None:
        """The process is gone. Twice in a row is once."""
        one = self._processes[process]
        if not one.ready:
            return
        one.ready = False
        reason = "The audio process is restarting."
        if process == LINES:
            self._events += [p.LineDown(setup.line, reason) for setup in self._setup.lines]
        for peer in [name for name, home in self._peers.items() if home == process]:
            del self._peers[peer]
            self._events.append(p.PeerState(peer, "lost"))
        for meeting in self._meetings.values():
            meeting.live.discard(process)
        for key in [key for key in self._parts if key[0] == process]:
            tape = self._tapes[self._parts.pop(key)]
            tape.part = None
            ended_at = tape.ended_at if tape.stopped else now
            if one.said_at < tape.told_at and not tape.offset:
                # It hung before it heard of the recording: there is none.
                ended_at = tape.began
            if tape.stopped:
                self._end_tape(tape, ended_at - tape.began, "media_lost")
            tape.ended_at = ended_at

    # --- commands ---------------------------------------------------------------------------

    def command(self, command: p.Command, now: int) -> None:
        """Take a command of the switch."""
        match command:
            case p.Setup():
                pass
            case p.OpenRtp() | p.OpenLine() | p.OpenPeer():
                self._close(command.leg, now)
                self._open(command)
            case p.CloseLeg(leg=leg):
                self._close(leg, now)
            case p.Bridge():
                self._meet(("bridge", command.bridge), command, now)
            case p.Unbridge(bridge=bridge):
                self._dissolve(("bridge", bridge), now)
            case p.Room():
                self._meet(("room", command.room), command, now)
            case p.StartRecording(recording=recording):
                tape = self._tapes.get(recording)
                if tape is None:
                    self._tapes[recording] = _Tape(command, now)
                else:
                    tape.wanted = command
                self._point(recording, now)
            case p.StopRecording(recording=recording):
                self._stop_tape(recording, now)
            case p.AnswerLine() | p.HangUpLine() | p.DialLine():
                self._to(LINES, command)
            case p.OfferPeer():
                self._offer(command)
            case p.ClosePeer(peer=peer):
                home = self._peers.pop(peer, None)
                if home is not None:
                    self._to(home, command)
            case _:
                home = self._home.get(command.leg)
                if home is not None:
                    self._to(home, command)

    def _close(self, leg: int, now: int) -> None:
        home = self._home.pop(leg, None)
        if home is not None:
            self._to(home, p.CloseLeg(leg))
            self._leave({leg}, now)

    def _open(self, command: p.OpenRtp | p.OpenLine | p.OpenPeer) -> None:
        match command:
            case p.OpenLine():
                home = LINES
            case p.OpenPeer(peer=peer):
                home = self._peers.get(peer, LINES)
            case p.OpenRtp(near=near):
                home = self._place(None if near is None else self._home.get(near))
        self._home[command.leg] = home
        self._processes[home].added_ms += LEG_MS[type(command)]
        self._to(home, command)

    def _place(self, near: int | None = None) -> int:
        numbers = range(len(self._processes))
        usable = [n for n in numbers if self._processes[n].ready] or list(numbers)
        best = min(usable, key=lambda n: self._processes[n].load_ms)
        if near is None:
            return best
        full = near not in usable or self._processes[near].load_ms > FULL_MS
        return best if full and self._processes[best].load_ms <= FULL_MS else near

    def _offer(self, command: p.OfferPeer) -> None:
        if not self.ready:
            self._events.append(
                p.PeerAnswer(command.peer, command.ref, None, "The audio is restarting; try again.")
            )
            return
        home = self._peers.get(command.peer)
        if home is None:
            home = self._peers[command.peer] = self._place()
            self._processes[home].added_ms += LEG_MS[p.OpenPeer]
        self._to(home, command)

    # --- bridges and rooms ------------------------------------------------------------------

    def _meet(self, key: _Key, wanted: p.Bridge | p.Room, now: int) -> None:
        meeting = _Meeting(wanted)
        if isinstance(wanted, p.Room) and not wanted.members:
            self._dissolve(key, now)
            return
        if isinstance(wanted, p.Bridge) and not (
            wanted.a != wanted.b and wanted.a in self._home and wanted.b in self._home
        ):
            # As an engine does with legs that it does not know.
            self._dissolve(key, now)
            return
        known = self._meetings.get(key)
        self._leave({leg for leg in meeting.legs if self._in.get(leg) != key}, now)
        if known is not None and key in self._meetings:
            for leg in known.legs:
                self._in.pop(leg, None)
            known.wanted, meeting = wanted, known
            meeting.live, meeting.told_live = set(), False
        self._meetings[key] = meeting
        for leg in meeting.legs & self._home.keys():
            self._in[leg] = key
        self._arrange(key, now, again=True)

    def _leave(self, legs: set[int], now: int) -> None:
        """These legs are in nothing any more. Within one process its engine does that itself."""
        for leg in legs:
            key = self._in.pop(leg, None)
            meeting = None if key is None else self._meetings.get(key)
            if key is None or meeting is None:
                continue
            if isinstance(meeting.wanted, p.Bridge):
                self._dissolve(key, now, said=len(meeting.sent) == 1)
                continue
            left = tuple(m for m in meeting.wanted.members if m.leg != leg)
            if not left:
                self._dissolve(key, now, said=len(meeting.sent) == 1)
                continue
            meeting.wanted = p.Room(meeting.wanted.room, left)
            if len(meeting.sent) > 1:
                self._arrange(key, now)
            else:
                meeting.sent = dict.fromkeys(meeting.sent, meeting.wanted)

    def _dissolve(self, key: _Key, now: int, *, said: bool = False) -> None:
        """`said`: the engine knows already."""
        meeting = self._meetings.pop(key, None)
        if meeting is None:
            return
        for leg in meeting.legs:
            if self._in.get(leg) == key:
                del self._in[leg]
        if not said:
            for process in meeting.sent:
                self._end(process, key)
        for link in meeting.links.values():
            self._unlink(link)
        self._point_those_of(meeting.legs, now)

    def _end(self, process: int, key: _Key) -> None:
        kind, number = key
        self._to(process, p.Unbridge(number) if kind == "bridge" else p.Room(number, ()))

    def _arrange(self, key: _Key, now: int, *, again: bool = False) -> None:
        """Tell the processes what changed. `again`: the switch said it, so it is said on."""
        meeting = self._meetings[key]
        wanted = meeting.wanted
        if isinstance(wanted, p.Bridge):
            streams = self._streams([p.Member(wanted.a), p.Member(wanted.b)])
        else:
            streams = self._streams(wanted.members)
        needed = {
            (min(pair), max(pair), index)
            for pair, groups in streams.items()
            for index in range(len(groups))
        }
        for slot in sorted(needed - meeting.links.keys()):
            link = self._link(slot[0], slot[1], key)
            if link is not None:
                meeting.links[slot] = link
        plan: dict[int, p.Bridge | p.Room]
        if isinstance(wanted, p.Bridge):
            plan = self._bridge_plan(wanted, meeting)
        else:
            plan = self._room_plan(wanted, meeting, streams)
        for process in meeting.sent.keys() - plan.keys():
            self._end(process, key)
        for process, command in plan.items():
            if again or meeting.sent.get(process) != command:
                self._to(process, command)
        meeting.sent = plan
        for slot in meeting.links.keys() - needed:
            self._unlink(meeting.links.pop(slot))
        meeting.carried = {}
        for (source, target), groups in streams.items():
            for index, (_, speakers) in enumerate(groups):
                link = meeting.links.get((min(source, target), max(source, target), index))
                if link is not None:
                    meeting.carried |= {(target, leg): link.ends[target] for leg in speakers}
        self._point_those_of(meeting.legs, now)

    def _streams(
        self, members: Iterable[p.Member]
    ) -> dict[tuple[int, int], list[tuple[frozenset[int], tuple[int, ...]]]]:
        """(process, another one) -> what has to go from one to the other: who is to hear it there,
        and who speaks. The largest audience comes first."""
        there = [member for member in members if member.leg in self._home]
        found: dict[tuple[int, int], dict[frozenset[int], list[int]]] = {}
        for speaker in there:
            audiences: dict[int, set[int]] = {}
            for other in there:
                if _hears(other, speaker):
                    audiences.setdefault(self._home[other.leg], set()).add(other.leg)
            source = self._home[speaker.leg]
            for target, audience in audiences.items():
                if target != source:
                    groups = found.setdefault((source, target), {})
                    groups.setdefault(frozenset(audience), []).append(speaker.leg)
        return {
            pair: sorted(
                ((audience, tuple(speakers)) for audience, speakers in groups.items()),
                key=lambda group: (-len(group[0]), sorted(group[0])),
            )
            for pair, groups in found.items()
        }

    def _bridge_plan(self, wanted: p.Bridge, meeting: _Meeting) -> dict[int, p.Bridge | p.Room]:
        a, b = self._home[wanted.a], self._home[wanted.b]
        if a == b:
            return {a: wanted}
        link = meeting.links.get((min(a, b), max(a, b), 0))
        if link is None:
            return {}
        return {
            a: p.Bridge(wanted.bridge, wanted.a, link.ends[a]),
            b: p.Bridge(wanted.bridge, link.ends[b], wanted.b),
        }

    def _room_plan(
        self,
        wanted: p.Room,
        meeting: _Meeting,
        streams: dict[tuple[int, int], list[tuple[frozenset[int], tuple[int, ...]]]],
    ) -> dict[int, p.Bridge | p.Room]:
        members: dict[int, list[p.Member]] = {}
        for member in wanted.members:
            if member.leg in self._home:
                members.setdefault(self._home[member.leg], []).append(member)
        if len(members) == 1:
            return dict.fromkeys(members, wanted)
        plan: dict[int, p.Bridge | p.Room] = {}
        for process, here in members.items():
            audiences: dict[int, set[int]] = {
                member.leg: {other.leg for other in here if _hears(other, member)}
                for member in here
            }
            hearing = {member.leg for member in here if member.hears}
            for (low, high, index), link in meeting.links.items():
                if process not in (low, high):
                    continue
                far = high if process == low else low
                end = link.ends[process]
                incoming, outgoing = (
                    streams.get(pair, [])[index : index + 1]
                    for pair in ((far, process), (process, far))
                )
                audiences[end] = set(incoming[0][0]) if incoming else set()
                for speaker in outgoing[0][1] if outgoing else ():
                    audiences[speaker].add(end)
                if outgoing:
                    hearing.add(end)
            plan[process] = p.Room(
                wanted.room,
                tuple(
                    p.Member(
                        leg,
                        None if audience == hearing - {leg} else tuple(sorted(audience)),
                        leg in hearing,
                    )
                    for leg, audience in audiences.items()
                ),
            )
        return plan

    # --- links ------------------------------------------------------------------------------

    def _link(self, low: int, high: int, key: _Key) -> _Link | None:
        """A pair of legs that hear each other; None when there are no ports left."""
        ports = [port for port in (self._ports.take(), self._ports.take()) if port is not None]
        if len(ports) < 2:
            for port in ports:
                self._ports.give_back(port)
            return None
        link = _Link(
            {low: self._last_end + 1, high: self._last_end + 2},
            dict(zip((low, high), ports, strict=True)),
        )
        self._last_end += 2
        for process, other in ((low, high), (high, low)):
            end = link.ends[process]
            self._ends[end] = key
            self._to(process, p.OpenRtp(end, LINK_HOST, link.ports[process]))
            self._to(
                process,
                p.AimRtp(
                    end, LINK_HOST, link.ports[other], 0, event_send=_KEYS, event_receive=_KEYS
                ),
            )
        return link

    def _unlink(self, link: _Link) -> None:
        for process, end in link.ends.items():
            del self._ends[end]
            self._to(process, p.CloseLeg(end))
            self._ports.give_back(link.ports[process])

    def _link_failed(self, end: int, now: int) -> None:
        """A port was taken by a stranger: the next one."""
        key = self._ends[end]
        meeting = self._meetings[key]
        meeting.relinks += 1
        if meeting.relinks > MAX_RELINKS:
            return
        for slot, link in list(meeting.links.items()):
            if end in link.ends.values():
                del meeting.links[slot]
                self._unlink(link)
        self._arrange(key, now)

    # --- recordings -------------------------------------------------------------------------

    def _point_those_of(self, legs: set[int], now: int) -> None:
        for recording, tape in list(self._tapes.items()):
            wanted = tape.wanted
            if legs & {wanted.left, wanted.right, *wanted.more}:
                self._point(recording, now)

    def _point(self, recording: str, now: int) -> None:
        """Have the recording made of the right legs, in the process where the first one lives."""
        tape = self._tapes[recording]
        if tape.stopped:
            return
        wanted = tape.wanted
        legs = (wanted.left, wanted.right, *wanted.more)
        homes = [self._home[leg] for leg in legs if leg is not None and leg in self._home]
        home = homes[0] if homes else tape.home
        if home is None:
            home = self._place()
        if tape.part is not None and tape.home is not None and tape.home != home:
            del self._parts[tape.home, tape.part.recording]
            self._to(tape.home, p.StopRecording(tape.part.recording))
            tape.part, tape.ended_at = None, now
        if not self._processes[home].ready:
            return
        tape.home = home
        if tape.part is None:
            tape.offset = max(now - tape.began, tape.offset + 1)
            tape.told_at = now
        name = recording if tape.offset == 0 else f"{recording}.part-{tape.offset}"
        path = part_path(wanted.path, tape.offset)
        left, *others = (self._heard(home, leg) for leg in legs)
        # Several legs may be heard by the same end of a link.
        right = [end for end in dict.fromkeys(others) if end is not None]
        command = p.StartRecording(name, path, left, right[0] if right else None, tuple(right[1:]))
        if command != tape.part:
            tape.part = command
            self._parts[home, name] = recording
            self._to(home, command)

    def _heard(self, process: int, leg: int | None) -> int | None:
        """The leg of the process in which this one is heard; None where it is not."""
        if leg is None or self._home.get(leg) == process:
            return leg
        key = self._in.get(leg)
        return None if key is None else self._meetings[key].carried.get((process, leg))

    def _stop_tape(self, recording: str, now: int) -> None:
        tape = self._tapes.get(recording)
        if tape is None or tape.stopped:
            return
        if tape.part is None or tape.home is None:
            self._end_tape(tape, tape.ended_at - tape.began, "media_lost")
            return
        tape.stopped, tape.ended_at = True, now
        self._to(tape.home, p.StopRecording(tape.part.recording))

    def _end_tape(self, tape: _Tape, duration_ms: int, reason: str) -> None:
        recording = tape.wanted.recording
        del self._tapes[recording]
        self._events.append(p.RecordingClosed(recording, max(0, duration_ms), reason))

    # --- events -----------------------------------------------------------------------------

    def event(self, process: int, event: p.Event, now: int) -> None:
        """Take an event of a process."""
        self._processes[process].said_at = now
        match event:
            case p.MediaReady():
                self.up(process, now)
            case p.Alive():
                pass
            case p.MediaStats():
                self._take_stats(process, event)
            case p.BridgeLive(bridge=bridge):
                meeting = self._meetings.get(("bridge", bridge))
                if meeting is not None and not meeting.told_live:
                    meeting.live.add(process)
                    meeting.told_live = meeting.live >= meeting.sent.keys()
                    if meeting.told_live:
                        self._events.append(event)
            case p.RecordingClosed():
                recording = self._parts.pop((process, event.recording), None)
                if recording is not None:
                    tape = self._tapes[recording]
                    self._end_tape(tape, tape.offset + event.duration_ms, event.reason)
            case p.PeerAnswer(peer=peer, sdp=None):
                if self._peers.get(peer) == process:
                    del self._peers[peer]
                self._events.append(event)
            case p.PeerState(peer=peer, state=state):
                if self._peers.setdefault(peer, process) == process:
                    if state in ("closed", "failed"):
                        del self._peers[peer]
                    self._events.append(event)
            case _:
                self._leg_event(process, event, now)

    def _leg_event(self, process: int, event: p.Event, now: int) -> None:
        leg: int | None = getattr(event, "leg", None)
        if leg is None:
            self._events.append(event)
        elif leg in self._ends:
            if isinstance(event, p.LegFailed):
                self._link_failed(leg, now)
        elif leg < p.LINK_NUMBERS:
            if isinstance(event, p.PlayEnded):
                self._processes[process].mirror.played(leg, event.token)
            self._events.append(event)

    def _take_stats(self, process: int, stats: p.MediaStats) -> None:
        """All processes as one: sums, and the worst of each."""
        one = self._processes[process]
        one.stats, one.added_ms = stats, 0.0
        known = [each.stats for each in self._processes if each.stats is not None]
        self._events.append(
            msgspec.structs.replace(
                stats,
                legs=sum(each.legs for each in known) - len(self._ends),
                recordings=sum(each.recordings for each in known),
                tick_work_ms_p99=max(each.tick_work_ms_p99 for each in known),
                tick_late_ms_p99=max(each.tick_late_ms_p99 for each in known),
                recording_allowed=all(each.recording_allowed for each in known),
                free_bytes=min(each.free_bytes for each in known),
            )
        )


def _hears(listener: p.Member, speaker: p.Member) -> bool:
    return (
        listener.leg != speaker.leg
        and listener.hears
        and (speaker.heard_by is None or listener.leg in speaker.heard_by)
    )
