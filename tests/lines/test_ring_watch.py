"""Ringing, the caller's number, and giving up: one caller ID a call, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.line import CallerId, LineEvent, RingEnded, Ringing
from appliance.lines.ringing import RingWatch

MISSING = CallerId(None, None, "missing")
JANE = CallerId("5551234567", "JANE")


class Watched:
    def __init__(self) -> None:
        self.watch = RingWatch(
            gap_ms=7000, ring_ms=2000, cid_wait_ms=3000, quiet_ms=150, partial_ms=1500
        )
        self.now = 0
        self.events: list[tuple[int, LineEvent]] = []

    def note(self, events: list[LineEvent]) -> None:
        self.events += [(self.now, event) for event in events]

    def until(self, at: int) -> None:
        for _ in range(100):
            due = self.watch.next_deadline()
            if due is None or due > at:
                break
            self.now = max(due, self.now)
            self.note(self.watch.tick(self.now))
        else:
            raise AssertionError("a deadline that does not go away")
        self.now = at

    def ring(self, at: int) -> None:
        self.until(at)
        self.note(self.watch.ring(at))

    def field(self, at: int, key: str, value: str) -> None:
        self.until(at)
        self.note(self.watch.field(key, value, at))


@pytest.fixture
def line() -> Watched:
    return Watched()


def test_number_and_name_are_given_at_once(line: Watched) -> None:
    line.ring(0)
    line.field(2500, "DATE", "1122")
    line.field(2501, "NMBR", "5551234567")
    line.field(2502, "NAME", "JANE")
    assert line.events == [(0, Ringing()), (2502, JANE)]


def test_a_number_without_a_name_waits_a_moment_for_it(line: Watched) -> None:
    line.ring(0)
    line.field(2500, "NMBR", "5551234567")
    line.ring(6000)
    assert line.events == [(0, Ringing()), (2650, CallerId("5551234567")), (6000, Ringing())]


def test_a_partial_record_is_given_after_its_time(line: Watched) -> None:
    line.ring(0)
    line.field(2500, "DATE", "1122")
    line.until(6000)
    assert line.events[1:] == [(4000, MISSING)]


def test_no_record_is_missing_after_burst_and_wait(line: Watched) -> None:
    line.ring(0)
    line.ring(6000)
    assert line.events == [(0, Ringing()), (5000, MISSING), (6000, Ringing())]


def test_a_burst_whose_end_is_told_shortens_the_wait(line: Watched) -> None:
    line.ring(0)
    line.field(1000, "DRON", "10")
    line.until(6000)
    assert line.events == [(0, Ringing()), (4000, MISSING)]


def test_a_late_record_does_not_make_a_second_caller_id(line: Watched) -> None:
    line.ring(0)
    line.until(5000)
    line.field(5500, "NMBR", "5551234567")
    line.ring(6000)
    line.until(12_000)
    assert [event for _, event in line.events].count(MISSING) == 1
    assert all(not isinstance(e, CallerId) or e == MISSING for _, e in line.events)


def test_a_record_before_the_first_burst_comes_right_after_it(line: Watched) -> None:
    line.field(0, "NMBR", "5551234567")
    line.field(1, "NAME", "JANE")
    line.ring(500)
    assert line.events == [(500, Ringing()), (500, JANE)]


def test_a_record_that_no_ring_follows_is_forgotten(line: Watched) -> None:
    line.field(0, "NMBR", "5551234567")
    line.ring(11_000)
    line.until(17_000)
    assert (16_000, MISSING) in line.events


def test_silence_ends_the_call(line: Watched) -> None:
    line.ring(0)
    line.field(2500, "NMBR", "5551234567")
    line.ring(6000)
    line.until(30_000)
    assert line.events[-1] == (13_000, RingEnded())
    assert line.watch.quiet


def test_a_caller_at_the_six_second_cadence_does_not_give_up(line: Watched) -> None:
    for number in range(20):
        line.ring(number * 6050)
    assert RingEnded() not in [event for _, event in line.events]


def test_a_double_burst_is_one(line: Watched) -> None:
    for at in (0, 600, 3000, 3600):
        line.ring(at)
    assert [at for at, event in line.events if event == Ringing()] == [0, 3000]


def test_a_unit_that_only_tells_burst_lengths_rings_too(line: Watched) -> None:
    for at in (0, 6000):
        line.field(at, "DRON", "20")
        line.field(at + 4000, "DROF", "40")
    assert [at for at, event in line.events if event == Ringing()] == [0, 6000]


def test_answering_gives_what_is_known_of_the_caller(line: Watched) -> None:
    line.ring(0)
    line.field(2500, "NMBR", "5551234567")
    assert line.watch.take() == [CallerId("5551234567")]
    line.ring(2600)
    assert line.watch.take() == [MISSING]


def test_a_refused_call_stays_quiet_until_it_rang_out(line: Watched) -> None:
    line.ring(0)
    assert line.watch.refuse() == [MISSING]
    line.ring(6000)
    line.until(20_000)
    line.ring(20_000)
    assert [at for at, event in line.events if event == Ringing()] == [0, 20_000]
    assert RingEnded() not in [event for _, event in line.events]


steps = st.lists(
    st.tuples(
        st.integers(0, 8000),
        st.sampled_from(["ring", "DATE", "NMBR", "NAME", "DRON", "DROF", "take", "refuse"]),
    ),
    max_size=30,
)


@given(steps)
def test_every_ringing_gets_one_caller_id_and_ends(plan: list[tuple[int, str]]) -> None:
    line = Watched()
    for wait, what in plan:
        line.until(line.now + wait)
        if what == "ring":
            line.note(line.watch.ring(line.now))
        elif what == "take":
            was = line.watch.ringing
            line.note(line.watch.take())
            if was:
                line.note([RingEnded()])
        elif what == "refuse":
            was = line.watch.ringing
            line.note(line.watch.refuse())
            if was:
                line.note([RingEnded()])
        else:
            line.note(line.watch.field(what, "P", line.now))
    line.until(line.now + 60_000)
    assert line.watch.quiet
    ids = 0
    ringing = False
    for _, event in line.events:
        if isinstance(event, Ringing):
            ringing = True
        elif isinstance(event, CallerId):
            assert ringing
            ids += 1
        else:
            assert ringing
            assert ids == 1
            ringing, ids = False, 0
    assert not ringing
