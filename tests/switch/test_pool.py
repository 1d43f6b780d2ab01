"""Several media processes as one: who hears whom is the same as in one, whatever lives where and
whichever process dies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import protocol as p
from appliance.media.protocol import LINK_NUMBERS
from appliance.switch.pool import FULL_MS, MediaPool, link_ports
from appliance.switch.ports import PortPool

SETUP = p.Setup((p.LineSetup("l1", "modem", "us", {}),), "us")


@dataclass
class Process:
    """What an engine makes of its commands, without sound."""

    setup: p.Setup | None = None
    legs: dict[int, p.Command] = field(default_factory=dict)
    aims: dict[int, int] = field(default_factory=dict)
    bridges: dict[int, p.Bridge] = field(default_factory=dict)
    rooms: dict[int, dict[int, p.Member]] = field(default_factory=dict)
    recordings: dict[str, p.StartRecording] = field(default_factory=dict)
    other: list[p.Command] = field(default_factory=list)

    def take(self, command: p.Command) -> None:
        match command:
            case p.Setup():
                self.__init__(command)  # type: ignore[misc]
            case p.OpenRtp() | p.OpenPeer() | p.OpenLine():
                self.take(p.CloseLeg(command.leg))
                self.legs[command.leg] = command
            case p.AimRtp():
                assert command.leg in self.legs
                self.aims[command.leg] = command.remote_port
            case p.CloseLeg(leg=leg):
                self.legs.pop(leg, None)
                self.aims.pop(leg, None)
                self._part({leg})
            case p.Bridge(bridge=bridge, a=a, b=b):
                self.bridges.pop(bridge, None)
                if a in self.legs and b in self.legs and a != b:
                    self._part({a, b})
                    self.bridges[bridge] = command
            case p.Unbridge(bridge=bridge):
                self.bridges.pop(bridge, None)
            case p.Room(room=room, members=members):
                self.rooms.pop(room, None)
                known = [member for member in members if member.leg in self.legs]
                self._part({member.leg for member in known})
                if known:
                    self.rooms[room] = {member.leg: member for member in known}
            case p.StartRecording(recording=recording):
                self.recordings[recording] = command
            case p.StopRecording(recording=recording):
                del self.recordings[recording]
            case _:
                self.other.append(command)

    def _part(self, legs: set[int]) -> None:
        self.bridges = {k: b for k, b in self.bridges.items() if not legs & {b.a, b.b}}
        for room in self.rooms.values():
            for leg in legs:
                room.pop(leg, None)

    def heard_by(self, listener: int) -> list[int]:
        """The legs of this process that one hears."""
        for bridge in self.bridges.values():
            if listener in (bridge.a, bridge.b):
                return [bridge.b if listener == bridge.a else bridge.a]
        for room in self.rooms.values():
            me = room.get(listener)
            if me is not None and me.hears:
                return [
                    other.leg
                    for other in room.values()
                    if other.leg != listener
                    and (other.heard_by is None or listener in other.heard_by)
                ]
        return []


class Box:
    """The pool and its processes. `legs` are those of the switch."""

    def __init__(self, processes: int, *, up: bool = True) -> None:
        self.pool = MediaPool(processes, PortPool(17000, 17999), SETUP)
        self.processes = [Process() for _ in range(processes)]
        self.now = 1000
        self.events: list[p.Event] = []
        self.commands: list[tuple[int, p.Command]] = []
        if up:
            for process in range(processes):
                self.start(process)
        self.commands.clear()

    def start(self, process: int) -> None:
        self.processes[process] = Process()
        self.pool.connected(process)
        self._take()
        self.say(process, p.MediaReady(1))

    def kill(self, process: int) -> None:
        self.processes[process] = Process()
        self.pool.lost(process, self.now)
        self._take()

    def send(self, *commands: p.Command) -> None:
        for command in commands:
            self.pool.command(command, self.now)
            self._take()

    def say(self, process: int, *events: p.Event) -> None:
        for event in events:
            self.pool.event(process, event, self.now)
            self._take()

    def _take(self) -> None:
        commands, events = self.pool.take()
        for process, command in commands:
            self.processes[process].take(command)
        self.commands += commands
        self.events += events

    def work(self, *work_ms: float) -> None:
        """What the processes say of their load."""
        for process, ms in enumerate(work_ms):
            self.say(process, p.MediaStats(0, 0, ms, 0.0, True, 10**9))
        self.events.clear()

    def rtp(self, leg: int, process: int) -> None:
        """A leg in this process."""
        self.work(*(0.0 if n == process else 5.0 for n in range(len(self.processes))))
        self.send(p.OpenRtp(leg, "0.0.0.0", 16000 + 2 * leg), aim(leg))
        assert self.pool.home(leg) == process

    def hears(self, listener: int) -> Counter[int]:
        """Legs of the switch that one hears, by the way of links too, and how often."""
        home = self.pool.home(listener)
        assert home is not None
        found: Counter[int] = Counter()
        for leg in self.processes[home].heard_by(listener):
            if leg < LINK_NUMBERS:
                found[leg] += 1
                continue
            far, end = self.other_end(home, leg)
            for other in self.processes[far].heard_by(end):
                assert other < LINK_NUMBERS, "audio passes over two links"
                found[other] += 1
        return found

    def other_end(self, process: int, end: int) -> tuple[int, int]:
        opened, aimed = self.processes[process].legs[end], self.processes[process].aims[end]
        assert isinstance(opened, p.OpenRtp)
        for number, other in enumerate(self.processes):
            for leg, command in other.legs.items():
                if leg >= LINK_NUMBERS and isinstance(command, p.OpenRtp) and command.port == aimed:
                    assert other.aims[leg] == opened.port
                    return number, leg
        raise AssertionError(f"nobody is at port {aimed}")

    def link_ends(self) -> list[int]:
        return [leg for one in self.processes for leg in one.legs if leg >= LINK_NUMBERS]


def aim(leg: int) -> p.AimRtp:
    return p.AimRtp(leg, "192.0.2.1", 4000 + 2 * leg, 0)


def everyone(*legs: int) -> tuple[p.Member, ...]:
    return tuple(p.Member(leg) for leg in legs)


# --- one process ------------------------------------------------------------------------------


def test_with_one_process_every_command_and_event_passes_as_it_is() -> None:
    box = Box(1)
    commands: list[p.Command] = [
        p.OpenRtp(1, "0.0.0.0", 16000),
        aim(1),
        p.OpenRtp(2, "0.0.0.0", 16002, near=1),
        aim(2),
        p.Play(1, 7, ("a.wav",)),
        p.Bridge(3, 1, 2),
        p.StartRecording("r", "/d/r.wav", 1, 2),
        p.Unbridge(3),
        p.Room(4, everyone(1, 2)),
        p.Room(4, ()),
        p.Bridge(5, 1, 2),
        p.SendKeys(1, "5"),
        p.StopRecording("r"),
        p.DialLine("l1", "5550"),
        p.OfferPeer("ana", 1, "v=0"),
        p.OpenPeer(9, "ana"),
        p.CloseLeg(1),
    ]
    box.send(*commands)
    assert [command for _, command in box.commands] == commands
    events: list[p.Event] = [
        p.Key(2, "5", "rfc4733"),
        p.LineRinging("l1"),
        p.PeerAnswer("ana", 1, "v=0"),
        p.PeerState("ana", "connected"),
        p.RecordingClosed("r", 4000, "done"),
        p.MediaStats(3, 0, 1.0, 1.0, True, 5),
    ]
    box.say(0, *events)
    assert box.events == events


# --- where things live ------------------------------------------------------------------------


def test_legs_go_where_there_is_most_room_and_calls_stay_together() -> None:
    box = Box(3)
    box.work(4.0, 1.0, 2.0)
    box.send(p.OpenRtp(1, "0.0.0.0", 16000), p.OpenRtp(2, "0.0.0.0", 16002, near=1))
    box.send(p.OpenLine(3, "l1"), p.OpenRtp(4, "0.0.0.0", 16004, near=3))
    assert [box.pool.home(leg) for leg in (1, 2, 3, 4)] == [1, 1, 0, 0]
    box.send(p.Bridge(1, 1, 2), p.Bridge(2, 3, 4))
    assert not box.link_ends()


def test_many_legs_at_once_are_spread_before_the_processes_tell_their_load() -> None:
    box = Box(2)
    box.work(0.5, 0.5)
    box.send(*(p.OpenRtp(leg, "0.0.0.0", 16000 + 2 * leg) for leg in range(1, 41)))
    homes = Counter(box.pool.home(leg) for leg in range(1, 41))
    assert homes == {0: 20, 1: 20}


def test_a_full_process_gets_no_more_even_of_its_own_calls() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.work(FULL_MS + 1, 1.0)
    box.send(p.OpenRtp(2, "0.0.0.0", 16002, near=1))
    assert box.pool.home(2) == 1
    box.work(FULL_MS + 1, FULL_MS + 2)
    box.send(p.OpenRtp(3, "0.0.0.0", 16004, near=1))
    assert box.pool.home(3) == 0


def test_a_page_stays_in_its_process_until_that_is_gone() -> None:
    box = Box(2)
    box.work(3.0, 1.0)
    box.send(p.OfferPeer("ana", 1, "v=0"))
    box.say(1, p.PeerAnswer("ana", 1, "v=0"), p.PeerState("ana", "connected"))
    box.work(1.0, 3.0)
    box.send(p.OfferPeer("ana", 2, "v=0"), p.OpenPeer(1, "ana"))
    assert box.commands[-2:] == [(1, p.OfferPeer("ana", 2, "v=0")), (1, p.OpenPeer(1, "ana"))]
    box.kill(1)
    assert box.events == [p.PeerState("ana", "lost")]
    box.send(p.OfferPeer("ana", 3, "v=0"))
    assert box.commands[-1] == (0, p.OfferPeer("ana", 3, "v=0"))


def test_a_page_is_refused_while_no_process_is_there() -> None:
    box = Box(2, up=False)
    box.send(p.OfferPeer("ana", 1, "v=0"))
    assert isinstance(box.events[0], p.PeerAnswer)
    assert box.events[0].sdp is None


# --- links ------------------------------------------------------------------------------------


def test_a_bridge_across_processes_is_joined_by_one_link() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2))
    assert box.hears(1) == {2: 1}
    assert box.hears(2) == {1: 1}
    aims = [c for _, c in box.commands if isinstance(c, p.AimRtp) and c.leg >= LINK_NUMBERS]
    assert all(c.event_send == c.event_receive == 101 for c in aims)
    assert all(c.remote_host == "127.0.0.1" for c in aims)
    box.say(0, p.BridgeLive(5))
    assert not box.events
    box.say(1, p.BridgeLive(5))
    assert box.events == [p.BridgeLive(5)]
    box.send(p.Unbridge(5))
    assert not box.link_ends()
    assert not box.hears(1)


def test_what_links_say_stays_inside() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2))
    end = next(leg for leg in box.processes[0].legs if leg >= LINK_NUMBERS)
    box.say(0, p.LegQuiet(end, 5000), p.Key(end, "5", "rfc4733"))
    assert not box.events
    box.say(0, p.MediaStats(2, 0, 1.0, 0.5, True, 100))
    box.say(1, p.MediaStats(2, 1, 2.0, 0.1, False, 90))
    assert box.events[-1] == p.MediaStats(2, 1, 2.0, 0.5, False, 90)


def test_a_link_whose_port_is_taken_tries_others_and_gives_up_some_time() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2))
    for _ in range(3):
        end = next(leg for leg in box.processes[1].legs if leg >= LINK_NUMBERS)
        box.say(1, p.LegFailed(end, "taken"))
        assert box.hears(1) == {2: 1}
        assert box.hears(2) == {1: 1}
    for _ in range(30):
        for end in box.link_ends():
            box.say(1, p.LegFailed(end, "taken"))
    assert not box.events
    box.send(p.CloseLeg(2))
    assert not box.link_ends()


def test_a_new_bridge_takes_its_legs_out_of_the_old_one() -> None:
    box = Box(2)
    for leg, process in ((1, 0), (2, 1), (3, 1)):
        box.rtp(leg, process)
    box.send(p.Bridge(5, 1, 2), p.Bridge(6, 2, 3))
    assert box.hears(2) == {3: 1}
    assert not box.hears(1)
    assert not box.link_ends()
    assert not box.processes[0].bridges


def test_a_room_over_three_processes_is_one_room() -> None:
    box = Box(3)
    for leg in range(1, 7):
        box.rtp(leg, leg % 3)
    box.send(p.Room(9, everyone(1, 2, 3, 4, 5, 6)))
    for leg in range(1, 7):
        assert box.hears(leg) == {other: 1 for other in range(1, 7) if other != leg}
    assert box.pool.links == 3


def test_a_whisperer_in_another_process_is_heard_by_his_agent_alone() -> None:
    box = Box(2)
    for leg, process in ((1, 0), (2, 0), (3, 1)):
        box.rtp(leg, process)
    coach = p.Member(3, heard_by=(2,))
    box.send(p.Room(9, (p.Member(1), p.Member(2), coach)))
    assert box.hears(1) == {2: 1}
    assert box.hears(2) == {1: 1, 3: 1}
    assert box.hears(3) == {1: 1, 2: 1}
    listener = p.Member(3, heard_by=())
    box.send(p.Room(9, (p.Member(1), p.Member(2), listener)))
    assert box.hears(2) == {1: 1}
    assert box.hears(3) == {1: 1, 2: 1}


# --- the same as one process, always ----------------------------------------------------------

LEGS = range(1, 7)
LEG = st.sampled_from(LEGS)
MEMBER = st.builds(
    p.Member,
    LEG,
    st.none() | st.lists(LEG, max_size=2, unique=True).map(tuple),
    st.booleans(),
)
COMMAND = st.one_of(
    st.builds(p.Bridge, st.integers(100, 102), LEG, LEG),
    st.builds(p.Unbridge, st.integers(100, 102)),
    st.builds(
        p.Room,
        st.integers(200, 201),
        st.lists(MEMBER, max_size=5, unique_by=lambda m: m.leg).map(tuple),
    ),
    st.builds(p.CloseLeg, LEG),
    LEG.map(lambda leg: p.OpenRtp(leg, "0.0.0.0", 16000 + 2 * leg)),
)


@settings(max_examples=300)
@given(
    processes=st.integers(1, 3),
    steps=st.lists(st.tuples(COMMAND, st.integers(0, 11)), max_size=25),
)
def test_whatever_is_commanded_everybody_hears_what_he_would_in_one_process(
    processes: int, steps: list[tuple[p.Command, int]]
) -> None:
    box = Box(processes)
    one = Process()
    for leg in LEGS:
        box.rtp(leg, leg % processes)
        one.take(p.OpenRtp(leg, "", 0))
    for command, dice in steps:
        box.send(command)
        one.take(command)
        if dice < processes:
            box.kill(dice)
            box.send(p.StopPlay(1))
            box.start(dice)
        for leg in one.legs:
            assert box.hears(leg) == Counter(one.heard_by(leg)), (command, leg)
        assert len(box.link_ends()) == 2 * box.pool.links
    for leg in LEGS:
        box.send(p.CloseLeg(leg))
    assert not any(process.legs or process.bridges for process in box.processes)
    assert box.pool.links == 0


# --- recordings -------------------------------------------------------------------------------


def test_a_recording_across_processes_hears_the_other_side_by_the_link() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2), p.StartRecording("r", "/d/r.wav", 1, 2))
    made = box.processes[0].recordings["r"]
    assert made.left == 1
    assert made.right is not None
    far, end = box.other_end(0, made.right)
    assert box.processes[far].heard_by(end) == [2]
    # On hold nobody is recorded; afterwards there is another link.
    box.send(p.Unbridge(5), p.StartRecording("r", "/d/r.wav", None, None))
    assert box.processes[0].recordings["r"].right is None
    box.send(p.Bridge(6, 1, 2), p.StartRecording("r", "/d/r.wav", 1, 2))
    assert box.processes[0].recordings["r"].right in box.processes[0].legs
    box.send(p.StopRecording("r"))
    box.say(0, p.RecordingClosed("r", 4000, "done"))
    assert box.events[-1] == p.RecordingClosed("r", 4000, "done")


def test_a_recorded_conference_has_each_voice_once() -> None:
    box = Box(2)
    for leg, process in ((1, 0), (2, 0), (3, 1), (4, 1)):
        box.rtp(leg, process)
    box.send(
        p.StartRecording("r", "/d/r.wav", 1, 2, (3, 4)),
        p.Room(9, everyone(1, 2, 3, 4)),
    )
    made = box.processes[0].recordings["r"]
    assert (made.left, made.right) == (1, 2)
    (end,) = made.more
    far, other = box.other_end(0, end)
    assert sorted(box.processes[far].heard_by(other)) == [3, 4]


def test_the_recording_of_a_lost_process_goes_on_in_a_part_with_its_time() -> None:
    box = Box(2)
    box.rtp(1, 1)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2), p.StartRecording("r", "/d/r.wav", 1, 2))
    box.now += 7000
    box.kill(1)
    box.now += 300
    box.start(1)
    assert box.processes[1].recordings == {
        "r.part-7300": p.StartRecording("r.part-7300", "/d/r.part-7300.wav", 1, 2)
    }
    box.now += 2000
    box.send(p.StopRecording("r"))
    box.say(1, p.RecordingClosed("r.part-7300", 1980, "done"))
    assert box.events == [p.RecordingClosed("r", 9280, "done")]


def test_a_recording_that_moves_to_another_process_has_one_end() -> None:
    box = Box(2)
    for leg, process in ((1, 0), (2, 0), (3, 1)):
        box.rtp(leg, process)
    box.send(p.Bridge(5, 1, 2), p.StartRecording("r", "/d/r.wav", 1, 2))
    box.now += 5000
    box.send(p.Bridge(6, 3, 2), p.StartRecording("r", "/d/r.wav", 3, 2))
    assert not box.processes[0].recordings
    assert box.processes[1].recordings["r.part-5000"].left == 3
    box.say(0, p.RecordingClosed("r", 5000, "done"))
    assert not box.events
    box.send(p.StopRecording("r"))
    box.say(1, p.RecordingClosed("r.part-5000", 3000, "done"))
    assert box.events == [p.RecordingClosed("r", 8000, "done")]


@pytest.mark.parametrize("stop_first", [True, False])
def test_a_recording_whose_process_dies_at_its_end_is_closed_once(stop_first: bool) -> None:
    box = Box(1)
    box.rtp(1, 0)
    box.send(p.StartRecording("r", "/d/r.wav", 1, None))
    box.now += 4000
    box.say(0, p.Alive())
    if stop_first:
        box.send(p.StopRecording("r"))
        box.kill(0)
    else:
        box.kill(0)
        box.send(p.StopRecording("r"))
    closed = [event for event in box.events if isinstance(event, p.RecordingClosed)]
    assert closed == [p.RecordingClosed("r", 4000, "media_lost")]
    box.start(0)
    assert not box.processes[0].recordings


@pytest.mark.parametrize("stop_first", [True, False])
def test_a_recording_that_a_process_which_hung_never_heard_of_has_no_length(
    stop_first: bool,
) -> None:
    box = Box(1)
    box.rtp(1, 0)
    box.say(0, p.Alive())
    box.now += 1000
    box.send(p.StartRecording("r", "/d/r.wav", 1, None))
    box.now += 4000
    if stop_first:
        box.send(p.StopRecording("r"))
        box.kill(0)
    else:
        box.kill(0)
        box.send(p.StopRecording("r"))
    closed = [event for event in box.events if isinstance(event, p.RecordingClosed)]
    assert closed == [p.RecordingClosed("r", 0, "media_lost")]


def test_one_that_goes_on_when_the_process_is_back_has_its_whole_length() -> None:
    box = Box(1)
    box.rtp(1, 0)
    box.say(0, p.Alive())
    box.now += 1000
    box.send(p.StartRecording("r", "/d/r.wav", 1, None))
    box.now += 4000
    box.kill(0)
    box.start(0)
    box.now += 3000
    box.send(p.StopRecording("r"))
    box.say(0, p.RecordingClosed("r.part-4000", 3000, "done"))
    closed = [event for event in box.events if isinstance(event, p.RecordingClosed)]
    assert closed == [p.RecordingClosed("r", 7000, "done")]


def test_a_full_disk_ends_the_recording_and_a_stop_after_it_is_nothing() -> None:
    box = Box(1)
    box.rtp(1, 0)
    box.send(p.StartRecording("r", "/d/r.wav", 1, None))
    box.say(0, p.RecordingClosed("r", 500, "disk_full"))
    box.send(p.StopRecording("r"))
    assert box.events == [p.RecordingClosed("r", 500, "disk_full")]


# --- a process is lost ------------------------------------------------------------------------


def test_a_lost_process_gets_its_legs_again_and_the_others_hear_of_nothing() -> None:
    box = Box(2)
    for leg, process in ((1, 0), (2, 0), (3, 1), (4, 1)):
        box.rtp(leg, process)
    box.send(p.Bridge(5, 1, 2), p.Bridge(6, 3, 4), p.Play(3, 8, ("a.wav",)))
    box.events.clear()
    box.commands.clear()
    box.kill(1)
    box.kill(1)
    assert not box.events
    box.start(1)
    assert {process for process, _ in box.commands} == {1}
    assert box.hears(3) == {4: 1}
    assert box.processes[1].aims == {3: 4006, 4: 4008}
    assert box.events == [p.PlayEnded(3, 8, "failed")]
    assert box.pool.complete


def test_a_bridge_is_told_live_once_although_a_side_came_back() -> None:
    box = Box(2)
    box.rtp(1, 0)
    box.rtp(2, 1)
    box.send(p.Bridge(5, 1, 2))
    box.say(1, p.BridgeLive(5))
    box.kill(1)
    box.say(0, p.BridgeLive(5))
    assert not box.events
    box.start(1)
    box.say(1, p.BridgeLive(5))
    box.say(0, p.BridgeLive(5))
    assert box.events == [p.BridgeLive(5)]


def test_the_lines_go_down_with_their_process_only() -> None:
    box = Box(2)
    box.kill(1)
    assert not box.events
    box.kill(0)
    assert [event for event in box.events if isinstance(event, p.LineDown)] == [
        p.LineDown("l1", "The audio process is restarting.")
    ]
    assert box.pool.ready == 0


def test_only_the_process_of_the_lines_is_set_up_with_them() -> None:
    box = Box(2)
    assert [process.setup and process.setup.lines for process in box.processes] == [
        SETUP.lines,
        (),
    ]


def test_links_have_ports_beside_those_of_the_calls() -> None:
    for rtp in ((16000, 16999), (10000, 20000), (60000, 65000)):
        low, high = link_ports(rtp)
        assert 1024 < low < high < 65536
        assert high < rtp[0] or low > rtp[1]
