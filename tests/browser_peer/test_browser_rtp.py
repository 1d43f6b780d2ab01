"""RTP, RTCP and keys of a browser peer; aiortc's own parser is the other end."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from appliance.browser.companding import MULAW_TO_ALAW
from appliance.browser.rtp import Incoming, Keys, Outgoing
from tests.browser.signals import alaw_decode, mulaw_decode


def _sent(sequence: int, timestamp: int, ssrc: int = 7) -> bytes:
    packet = RtpPacket(payload_type=0, sequence_number=sequence, timestamp=timestamp, ssrc=ssrc)
    packet.payload = bytes(160)
    return packet.serialize()


def test_alaw_keeps_the_level_of_mulaw() -> None:
    mulaw = bytes(range(256))
    before = mulaw_decode(mulaw) * 32768
    after = alaw_decode(mulaw.translate(MULAW_TO_ALAW)) * 32768
    # never further than half a step of A-law, which is a 32nd of the level or 16 near silence
    assert np.all(np.abs(after - before) <= np.maximum(np.abs(before) / 32, 16))


def test_a_packet_is_taken_apart_behind_sources_extension_and_padding() -> None:
    packet = (
        struct.pack("!BBHIIII", 0xB2, 0x88, 9, 1600, 7, 1, 2)
        + struct.pack("!HHI", 0xBEDE, 1, 0)
        + b"voice"
        + b"\0\0\3"
    )
    assert Incoming().take(packet, 0.0) == (8, 9, 1600, b"voice")


@given(st.binary(max_size=64))
def test_garbage_is_no_packet_or_one_within_its_bounds(data: bytes) -> None:
    incoming = Incoming()
    taken = incoming.take(data, 1.0)
    incoming.take_rtcp(data, 1.0)
    assert taken is None or taken[3] in data
    assert len(incoming.report(2.0)) in (0, 24)


def test_frames_are_numbered_and_timed_one_after_another() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0xFFFF, timestamp=0xFFFFFFFF)
    packets = [RtpPacket.parse(outgoing.packet(bytes(160), n * 0.02)) for n in range(3)]
    assert [packet.sequence_number for packet in packets] == [0xFFFF, 0, 1]
    assert [packet.timestamp for packet in packets] == [0xFFFFFFFF, 159, 319]
    assert [packet.marker for packet in packets] == [1, 0, 0]


def test_a_late_tick_does_not_show_in_the_timestamps() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    outgoing.packet(bytes(160), 0.0)
    late = RtpPacket.parse(outgoing.packet(bytes(160), 0.08))
    assert (late.timestamp, late.marker) == (160, 0)


def test_a_pause_counts_in_the_timestamp_and_is_marked() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    outgoing.packet(bytes(160), 0.0)
    first = RtpPacket.parse(outgoing.packet(bytes(160), 10.0))
    assert (first.timestamp, first.marker, first.sequence_number) == (80000, 1, 1)


def test_the_sender_report_says_what_was_sent() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=1000)
    for n in range(10):
        outgoing.packet(bytes(160), n * 0.02)
    report, names = RtcpPacket.parse(outgoing.report(b"", "box", now=0.19, unix_time=0.5))
    assert isinstance(report, RtcpSrPacket)
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (10, 1600)
    assert report.sender_info.rtp_timestamp == 1000 + 9 * 160 + 80
    assert report.sender_info.ntp_timestamp == (2_208_988_800 << 32) + (1 << 31)
    assert isinstance(names, RtcpSdesPacket)
    assert names.chunks[0].items == [(1, b"box")]


def test_before_the_first_frame_there_is_a_receiver_report() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    incoming = Incoming()
    incoming.take(_sent(1, 0), 0.0)
    (report, _) = RtcpPacket.parse(outgoing.report(incoming.report(0.0), "box", 0.0, 0.0))
    assert isinstance(report, RtcpRrPacket)
    assert report.reports[0].ssrc == 7


def test_loss_is_reported_once_as_a_share_and_for_good_as_a_count() -> None:
    incoming = Incoming()
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    for n in [n for n in range(0xFFF0, 0x10010) if n % 4]:
        incoming.take(_sent(n & 0xFFFF, n * 160 & 0xFFFFFFFF), n * 0.02)

    def block() -> tuple[int, int, int]:
        (report, _) = RtcpPacket.parse(outgoing.report(incoming.report(0.0), "", 0.0, 0.0))
        info = report.reports[0]
        return info.fraction_lost, info.packets_lost, info.highest_sequence

    assert block() == ((7 << 8) // 31, 7, 0x1000F)
    assert block() == (0, 7, 0x1000F)


def test_an_even_stream_has_no_jitter_and_an_uneven_one_has() -> None:
    def jitter(late: float) -> int:
        incoming = Incoming()
        for n in range(500):
            incoming.take(_sent(n, n * 160), 5 + n * 0.02 + (late if n % 2 else 0))
        return int(struct.unpack("!6I", incoming.report(0.0))[3])

    assert jitter(0.0) == 0
    assert jitter(0.01) == pytest.approx(80, abs=1)


def test_the_page_can_tell_the_round_trip_from_our_report() -> None:
    page = Outgoing(ssrc=7, payload_type=0, sequence=0, timestamp=0)
    page.packet(bytes(160), 0.0)
    incoming = Incoming()
    incoming.take(_sent(0, 0), 0.0)
    incoming.take_rtcp(page.report(b"", "page", 0.0, unix_time=3.25), now=10.0)
    *_, last_report, delay = struct.unpack("!6I", incoming.report(now=10.5))
    assert last_report == ((2_208_988_800 + 3) & 0xFFFF) << 16 | 0x4000
    assert delay == 32768


def test_a_press_is_told_once_however_many_packets_it_has() -> None:
    keys = Keys()
    presses = [(800, 1), (2400, 5), (4000, 10), (5600, 11)]
    told = [
        keys.take(timestamp, struct.pack("!BBH", event, 0x80 if end else 10, 160))
        for timestamp, event in presses
        for end in (False, False, True, True, True)
    ]
    assert [digit for digit in told if digit] == ["1", "5", "*", "#"]


def test_a_press_whose_first_packets_are_lost_is_told() -> None:
    assert Keys().take(0, b"\x09\x8a\x03\x20") == "9"


def test_a_late_packet_of_the_press_before_is_not_a_new_press() -> None:
    keys = Keys()
    told = [keys.take(t, b"\x01\x0a\x00\xa0") for t in (0xFFFFFF00, 0x100, 0xFFFFFF00)]
    assert told == ["1", "1", None]


@pytest.mark.parametrize("payload", [b"", b"\x01\x0a\x00", b"\x10\x0a\x00\xa0", b"\xff" * 9])
def test_what_is_no_key_is_not_told(payload: bytes) -> None:
    assert Keys().take(0, payload) is None


def test_a_skip_of_the_beat_counts_in_the_timestamp() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    outgoing.packet(bytes(160), 0.0)
    # 80 ms late: three frames were skipped, so the sound goes on where it would have been
    after = RtpPacket.parse(outgoing.packet(bytes(160), 0.1))
    assert after.timestamp == 5 * 160


def test_opus_runs_on_its_own_clock() -> None:
    outgoing = Outgoing(ssrc=5, payload_type=111, sequence=0, timestamp=0, rate=48000)
    packets = [RtpPacket.parse(outgoing.packet(bytes(40), n * 0.02)) for n in range(3)]
    assert [packet.timestamp for packet in packets] == [0, 960, 1920]
    incoming = Incoming(48000)
    for n in range(200):
        incoming.take(_sent(n, n * 960), n * 0.02 + (0.01 if n % 2 else 0))
    assert incoming.jitter_ms == pytest.approx(10, abs=0.2)


def _told_by_page(ours: Outgoing, received: list[int], at: float) -> bytes:
    """What a page reports that got our report at `at` and these packets."""
    page, hears = Outgoing(ssrc=7, payload_type=0, sequence=0, timestamp=0), Incoming()
    for n in received:
        hears.take(_sent(n, n * 160, ssrc=ours.ssrc), n * 0.02)
    hears.take_rtcp(ours.report(b"", "box", at, unix_time=1e9 + at), at + 0.03)
    return page.report(hears.report(at + 1.03), "page", at + 1.03, 0.0)


def test_the_page_s_report_tells_loss_and_round_trip() -> None:
    ours = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    for n in range(100):
        ours.packet(bytes(160), n * 0.02)
    compound = _told_by_page(ours, [n for n in range(100) if n % 4 != 1], at=2.0)
    heard = ours.heard(compound, now=3.06)
    assert heard is not None
    assert heard.lost == 25
    assert heard.lost_share == pytest.approx(0.25, abs=0.01)
    assert heard.round_trip_ms == pytest.approx(60, abs=1)


def test_an_echo_of_a_report_that_was_never_sent_has_no_round_trip() -> None:
    ours = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    ours.packet(bytes(160), 0.0)
    compound = _told_by_page(ours, [1, 2], at=1.0)
    stranger = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    heard = stranger.heard(compound, now=2.0)
    assert heard is not None
    assert heard.round_trip_ms is None


def test_reports_about_other_streams_and_feedback_are_passed_over() -> None:
    ours = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    ours.packet(bytes(160), 0.0)
    stranger = Outgoing(ssrc=6, payload_type=0, sequence=0, timestamp=0)
    assert ours.heard(_told_by_page(stranger, [1, 2], at=1.0), now=2.0) is None
    nack = struct.pack("!BBHIIHH", 0x81, 205, 3, 7, 5, 0, 0)
    transport_cc = struct.pack("!BBHIIHHII", 0x8F, 205, 5, 7, 5, 0, 1, 0, 0)
    assert ours.heard(nack + transport_cc, now=2.0) is None
    mine = _told_by_page(ours, [1, 2], at=1.0)
    assert ours.heard(nack + transport_cc + mine, now=2.0) is not None


@given(st.binary(max_size=120))
def test_garbage_is_no_report(data: bytes) -> None:
    ours = Outgoing(ssrc=5, payload_type=0, sequence=0, timestamp=0)
    heard = ours.heard(data, 1.0)
    assert heard is None or heard.lost >= 0
