"""Two processes that keep a beat of their own each: what a link from one to the other makes of
ticks that are late. There is no clock; who sends when, and who looks when, is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from appliance.media import depth, rtp
from appliance.media.jitter import FRAME, Jitter
from tests.media import voice

TICK_MS = 20.0
VOICE = voice.coded(voice.glide(20.0))
STALLS = 8
APART_MS = 10_000.0
"""Longer than a leg keeps a delay that it had no more use for."""


@dataclass
class Beat:
    """When a process gets round to its ticks: at its phase, but for stalls of so many ms that
    begin at these times, after which what is due is made up for at once."""

    phase: float
    stalls: Iterable[tuple[float, float]] = ()

    def times(self, ticks: int) -> Iterator[float]:
        stalls = list(self.stalls)
        for n in range(ticks):
            at = self.phase + n * TICK_MS
            while stalls and stalls[0][0] + stalls[0][1] <= at:
                stalls.pop(0)
            yield sum(stalls[0]) if stalls and stalls[0][0] <= at else at

    def lateness(self, ticks: int) -> Iterator[tuple[float, float]]:
        for n, at in enumerate(self.times(ticks)):
            yield at, at - (self.phase + n * TICK_MS)


@dataclass
class Link:
    """From the process with one beat to that with the other."""

    sender: Beat
    reader: Beat
    link: bool = True
    ring: Jitter = field(default_factory=lambda: Jitter(1))
    made_up: list[int] = field(default_factory=list)
    """Ticks of the reader in which something had to be made up."""

    def run(self, ticks: int) -> None:
        self.ring.reset(0, self.link)
        sent = list(self.sender.times(ticks))
        first = 0
        for tick, (at, late) in enumerate(self.reader.lateness(ticks), 1):
            self.ring.begin_tick(tick, late / 1000)
            while first < ticks and sent[first] <= at:
                start = first * FRAME % (len(VOICE) - FRAME) // FRAME * FRAME
                payload = VOICE[start : start + FRAME].tobytes()
                self.ring.put(0, rtp.Packet(0, False, first & 0xFFFF, first * FRAME, 1, payload))
                first += 1
            before = int(self.ring.concealed[0])
            self.ring.read(1)
            if self.ring.concealed[0] > before:
                self.made_up.append(tick)

    def delay_ms(self) -> float:
        return self.ring.delay_ms(0)


def stalls(length: float, seed: int) -> list[tuple[float, float]]:
    random = np.random.default_rng(seed)
    return [(5000 + n * APART_MS + random.uniform(0, 20), length) for n in range(STALLS)]


TICKS = round((5000 + STALLS * APART_MS) / TICK_MS)
PHASES = (1.0, 9.0, 16.0)


def links(length: float, link: bool = True) -> list[Link]:
    """One for each phase, the sender with stalls."""
    made = []
    for seed, phase in enumerate(PHASES):
        one = Link(Beat(phase, stalls(length, seed)), Beat(0.0), link)
        one.run(TICKS)
        made.append(one)
    return made


@pytest.mark.parametrize("length", [25.0, 35.0, 45.0, 55.0])
def test_a_link_is_caught_by_the_first_stall_at_most(length: float) -> None:
    for one in links(length):
        assert len(one.made_up) <= 2
        assert all(tick * TICK_MS < 5000 + APART_MS for tick in one.made_up)


def test_a_leg_that_is_no_link_is_caught_again_and_again() -> None:
    """Networks are not expected to do the same thing every ten seconds: delay is dearer."""
    assert all(len(one.made_up) >= 4 for one in links(55.0, link=False))


def test_what_was_nearly_missed_is_not_missed_the_next_time() -> None:
    # A stall that the first frame of delay just bears, then one that it would not.
    one = Link(Beat(1.0, [(5000.0, 30.0), (9000.0, 45.0)]), Beat(0.0))
    one.run(1000)
    other = Link(Beat(1.0, [(9000.0, 45.0)]), Beat(0.0))
    other.run(1000)
    assert (len(one.made_up), len(other.made_up)) == (0, 1)


@pytest.mark.parametrize("phase", PHASES)
def test_a_punctual_machine_pays_nothing(phase: float) -> None:
    one, other = Link(Beat(phase), Beat(0.0)), Link(Beat(phase), Beat(0.0), link=False)
    for each in (one, other):
        each.run(3000)
    assert one.made_up == other.made_up == []
    assert one.delay_ms() == other.delay_ms() <= 20.0


def test_a_machine_whose_ticks_were_late_gives_new_links_more_until_it_is_punctual_again() -> None:
    ring = Jitter(2)
    ring.reset(0, link=True)

    def begin(slot: int, tick: int, link: bool = True) -> float:
        ring.reset(slot, link)
        ring.begin_tick(tick)
        ring.put(slot, rtp.Packet(0, False, 1, 0, 1, bytes(FRAME)))
        return ring.delay_ms(slot)

    punctual = begin(1, 1)
    ring.begin_tick(2, depth.LATE_S - 0.001)
    assert begin(1, 3) == punctual
    ring.begin_tick(4, depth.LATE_S)
    assert begin(1, 5) == punctual + 20
    assert begin(1, 6, link=False) == punctual
    ring.begin_tick(7, 0.05)
    assert begin(1, 8) == punctual + 40
    delays = []
    # Nothing is looked at between these ticks.
    for tick in range(depth.LOOK_TICKS, 31_000, depth.LOOK_TICKS):
        ring.begin_tick(tick)
        ring.read(2)
        if tick in (14_900, 15_100, 29_900, 30_100):
            delays.append(begin(1, tick) - punctual)
    assert delays == [40, 20, 20, 0]


def test_both_processes_late_at_once_is_borne_by_who_knows_it() -> None:
    """The reader comes back first and reads on before the sender has sent anything."""
    both = [(4000.0 + 9000 * n, 45.0) for n in range(6)]
    late = [(at, length + 4) for at, length in both]
    one = Link(Beat(5.0, late), Beat(0.0, both))
    one.run(3000)
    assert all(tick * TICK_MS < 14_000 for tick in one.made_up)
    usual = Link(Beat(5.0, late), Beat(0.0, both), link=False)
    usual.run(3000)
    assert len(usual.made_up) > len(one.made_up)
