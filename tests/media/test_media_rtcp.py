"""RTCP: its bytes, and what two sides learn of each other by it."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import rtcp
from appliance.media.rtcp import Heard, ReportBlock, Sent, Session

WALL = 1_790_000_000.25
SENT = Sent(50, 8000, 8000)


def test_reports_are_read_as_they_are_built() -> None:
    block = ReportBlock(9, 12, -3, 70000, 44, 5, 6)
    data = rtcp.build(
        ssrc=7, cname="x", ntp=1 << 40, timestamp=5, packets=3, octets=480, block=block
    )
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == rtcp.Report(7, 1 << 24, (block,), cname="x", timestamp=5)
    last = rtcp.build(
        ssrc=7, cname="y", ntp=0, timestamp=0, packets=0, octets=0, block=None, bye=True
    )
    assert rtcp.parse(last) == rtcp.Report(7, None, (), cname="y", bye=True)


@given(st.binary(max_size=300))
def test_garbage_is_no_report_or_a_bounded_one(data: bytes) -> None:
    report = rtcp.parse(data)
    assert report is None or 24 * len(report.blocks) + 36 * len(report.metrics) <= len(data)


@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(190, 210), st.binary(max_size=60)), max_size=8
    )
)
def test_packets_of_any_kind_behind_each_other_are_bounded(
    parts: list[tuple[int, int, bytes]],
) -> None:
    data = b"\x80\xc9\0\1\0\0\0\7"
    for first, kind, body in parts:
        body += bytes(-len(body) % 4)
        data += struct.pack("!BBH", 0x80 | first & 0x3F, kind, len(body) // 4) + body
    report = rtcp.parse(data)
    assert report is None or 24 * len(report.blocks) + 36 * len(report.metrics) <= len(data)


@given(st.binary(max_size=200), st.integers(0, 199))
def test_a_report_with_bytes_changed_never_raises(noise: bytes, at: int) -> None:
    data = bytearray(
        rtcp.build(
            ssrc=7,
            cname="somebody@here",
            ntp=1 << 40,
            timestamp=5,
            packets=3,
            octets=480,
            block=ReportBlock(7, 1, 2, 3, 4, 5, 6),
            bye=True,
        )
    )
    data[at : at + len(noise)] = noise
    session = Session(7, "x", 0.0, WALL, 0.5)
    session.take(bytes(data), 1.0)
    assert session.round_trip_s is None


def test_what_is_cut_short_or_begins_with_no_report_counts_for_nothing() -> None:
    data = rtcp.build(ssrc=7, cname="x", ntp=0, timestamp=0, packets=1, octets=1, block=None)
    assert rtcp.parse(data[:-4]) is None
    assert rtcp.parse(data[28:]) is None
    assert rtcp.parse(b"") is None


def test_the_round_trip_is_the_ways_there_and_back_without_the_time_spent_there() -> None:
    ours, theirs = Session(1, "a", 100.0, WALL, 0.5), Session(2, "b", 7.0, WALL + 900, 0.5)
    assert theirs.take(ours.report(100.0, SENT, None, 0.5), 7.030)
    # 30 ms there, 2 s spent there, 45 ms back; the clocks of both are their own.
    back = theirs.report(9.030, SENT, Heard(1, 50, 0, 50, 0), 0.5)
    assert ours.take(back, 102.075)
    assert ours.round_trip_s == pytest.approx(0.075, abs=0.001)


def test_a_round_trip_is_believed_only_for_a_report_that_we_sent() -> None:
    ours = Session(1, "a", 100.0, WALL, 0.5)
    ours.report(100.0, SENT, None, 0.5)
    forged = rtcp.build(
        ssrc=2,
        cname="b",
        ntp=0,
        timestamp=0,
        packets=0,
        octets=0,
        block=ReportBlock(1, 0, 0, 0, 0, 12345, 0),
    )
    ours.take(forged, 101.0)
    assert ours.far is not None
    assert ours.round_trip_s is None


def test_loss_is_counted_since_the_last_report_and_over_all() -> None:
    session = Session(1, "a", 0.0, WALL, 0.5)
    first = rtcp.parse(session.report(1.0, SENT, Heard(9, 90, 10, 100, 3), 0.5))
    second = rtcp.parse(session.report(2.0, SENT, Heard(9, 190, 10, 200, 3), 0.5))
    anew = rtcp.parse(session.report(3.0, SENT, Heard(8, 10, 10, 20, 3), 0.5))
    assert first is not None
    assert second is not None
    assert anew is not None
    assert (first.blocks[0].fraction_lost, first.blocks[0].lost) == (25, 10)
    assert (second.blocks[0].fraction_lost, second.blocks[0].lost) == (0, 10)
    assert (anew.blocks[0].fraction_lost, anew.blocks[0].lost) == (128, 10)


def test_reports_come_in_random_intervals_about_the_minimum() -> None:
    draw = random.Random(5).random
    session = Session(1, "a", 0.0, WALL, draw())
    now, times = 0.0, []
    while len(times) < 400:
        now += 0.2
        if session.due(now):
            session.report(now, SENT, None, draw())
            times.append(now)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert times[0] <= 2.5 * 1.5 / 1.21828 + 0.2
    assert min(gaps) >= 2.5 / 1.21828
    assert max(gaps) <= 7.5 / 1.21828 + 0.2
    assert len({round(gap, 1) for gap in gaps}) > 10


def test_what_a_phone_measures_itself_is_read() -> None:
    block = struct.pack("!BBHIBBBBHHHH", 7, 0, 8, 1, 26, 13, 0, 0, 0, 0, 60, 40)
    block += struct.pack("!BBBBBBBBBBHHH", 0, 0, 0, 16, 93, 127, 38, 37, 0, 0, 40, 60, 200)
    assert len(block) == 36
    xr = struct.pack("!BBHI", 0x80, 207, 1 + len(block) // 4, 2) + block
    report = rtcp.build(ssrc=2, cname="b", ntp=0, timestamp=0, packets=0, octets=0, block=None)
    session = Session(1, "a", 0.0, WALL, 0.5)
    assert session.take(report + xr, 1.0)
    assert session.metrics == rtcp.VoipMetrics(1, 26 / 256, 13 / 256, 3.8, 40)


def test_the_pace_of_the_other_clock_is_measured_by_its_reports() -> None:
    ours = Session(1, "a", 0.0, WALL, 0.5)

    def heard(at: float, timestamp: float) -> None:
        ours.take(
            rtcp.build(
                ssrc=2, cname="b", ntp=1, timestamp=int(timestamp), packets=1, octets=1, block=None
            ),
            at,
        )

    for second in range(0, 50, 5):
        heard(second, second * 8000 * 1.00015)
    assert ours.clock_ppm is None
    heard(100.0, 800_000 * 1.00015)
    assert ours.clock_ppm == pytest.approx(150, abs=2)
    # A timestamp set anew is no clock.
    heard(105.0, 1 << 30)
    assert ours.clock_ppm == pytest.approx(150, abs=2)
    heard(170.0, (1 << 30) + 65 * 8000)
    assert ours.clock_ppm == pytest.approx(0, abs=5)
