"""G.711 and Opus between a page's packets and the engine's frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.browser import opus
from appliance.browser.codec import G711, Opus
from appliance.browser.companding import MULAW_LEVELS, MULAW_TO_ALAW, mulaw_of_samples
from tests.browser import signals

SPEECH = signals.mulaw_encode(signals.speech_like(4.0))
FRAMES = [SPEECH[at : at + 160] for at in range(0, len(SPEECH), 160)]


def _levels(octets: bytes) -> signals.Samples:
    return MULAW_LEVELS[np.frombuffer(octets, np.uint8)] / 32768


def _said(lost: set[int]) -> tuple[list[tuple[int, int, bytes]], signals.Samples]:
    """(number, timestamp, octets) that come out of Opus without the packets `lost`, and those
    placed by their timestamps."""
    codec, out = Opus(), []
    for n, frame in enumerate(FRAMES):
        packet = codec.encode(frame)
        if n not in lost:
            out += [
                (sequence, at, octets)
                for _, sequence, at, octets in codec.decode(n & 0xFFFF, n * 960, packet)
            ]
    samples = np.zeros(len(SPEECH))
    for _, at, octets in out:
        samples[at : at + len(octets)] = _levels(octets)
    return out, samples


def test_every_octet_survives_the_way_over_samples() -> None:
    back = mulaw_of_samples()[MULAW_LEVELS.view(np.uint16)]
    # two octets mean silence, so compare what they mean
    assert np.array_equal(MULAW_LEVELS[back], MULAW_LEVELS)


def test_g711_goes_through_as_it_is_and_to_pcma_translated() -> None:
    assert G711(0).encode(FRAMES[0]) == FRAMES[0]
    assert G711(8).encode(FRAMES[0]) == FRAMES[0].translate(MULAW_TO_ALAW)
    assert list(G711(8).decode(5, 800, FRAMES[1])) == [(8, 5, 800, FRAMES[1])]


@pytest.mark.parametrize("size", [0, 1, 79, 161, 560])
def test_g711_of_odd_length_is_no_audio(size: int) -> None:
    assert list(G711(0).decode(1, 160, bytes(size))) == []


def test_opus_is_there() -> None:
    assert opus.available()


def test_speech_comes_through_opus_whole_and_early() -> None:
    out, samples = _said(set())
    assert [n for n, *_ in out] == list(range(len(FRAMES)))
    heard = signals.hear(_levels(SPEECH), samples)
    assert heard.share > 0.9
    # libopus looks ahead 5 ms and its decoder adds its own filters
    assert heard.delay_s < 0.015


def test_opus_keeps_the_level() -> None:
    codec, said = Opus(), signals.mulaw_encode(signals.chirp(3.0, level_db=-15))
    heard = b"".join(
        octets
        for at in range(0, len(said), 160)
        for *_, octets in codec.decode(at // 160, at * 6, codec.encode(said[at : at + 160]))
    )
    assert abs(signals.hear(_levels(said), _levels(heard)).gain_db) < 0.5


def test_opus_stays_within_its_bits() -> None:
    codec = Opus()
    octets = sum(len(codec.encode(frame)) for frame in FRAMES)
    assert octets * 8 / (len(FRAMES) * 0.02) < opus.BITRATE * 1.15


def test_a_lost_packet_is_recovered_from_the_next() -> None:
    codec = Opus()
    codec.expect_loss(0.2)
    lost = set(range(10, len(FRAMES), 10))
    out, samples = _said(lost)
    _, whole = _said(set())
    assert [n for n, *_ in out] == list(range(len(FRAMES)))
    likeness = [
        float(np.corrcoef(whole[n * 160 : n * 160 + 160], samples[n * 160 : n * 160 + 160])[0, 1])
        for n in sorted(lost)
        if np.std(whole[n * 160 : n * 160 + 160]) > 0.01
    ]
    assert len(likeness) >= 5
    # what concealment alone invents has nothing to do with what was said
    assert float(np.median(likeness)) > 0.6


def test_up_to_three_packets_are_made_up_and_more_are_left_to_the_engine() -> None:
    out, _ = _said({20, 21, 22})
    assert [n for n, *_ in out] == list(range(len(FRAMES)))
    out, _ = _said({20, 21, 22, 23})
    assert [n for n, *_ in out] == [n for n in range(len(FRAMES)) if n not in (20, 21, 22, 23)]


def test_a_pause_is_no_loss() -> None:
    codec = Opus()
    packet = codec.encode(FRAMES[0])
    assert len(list(codec.decode(1, 960, packet))) == 1
    # a key was pressed: its packets have numbers too, but the sound's time went on further
    assert [n for _, n, *_ in codec.decode(4, 960 * 50, packet)] == [4]


def test_an_overtaken_packet_comes_too_late() -> None:
    codec = Opus()
    packets = [codec.encode(frame) for frame in FRAMES[:3]]
    numbers = [number for n in (0, 2, 1) for _, number, *_ in codec.decode(n, n * 960, packets[n])]
    assert numbers == [0, 1, 2]


def test_the_clock_goes_on_when_the_page_s_wraps() -> None:
    codec = Opus()
    packet = codec.encode(FRAMES[0])
    at = [
        stamp
        for n in range(6)
        for _, _, stamp, _ in codec.decode(n, (0xFFFFFFFF - 2000 + n * 960) & 0xFFFFFFFF, packet)
    ]
    assert np.diff(at).tolist() == [160] * 5


@given(st.binary(max_size=80), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_garbage_as_opus_is_nothing_or_a_frame(data: bytes, sequence: int, stamp: int) -> None:
    for kind, _, _, octets in _OPUS.decode(sequence, stamp, data):
        assert kind == 0
        assert 0 < len(octets) <= opus.MAX_SAMPLES


_OPUS = Opus()


def test_without_a_library_there_is_no_opus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_candidates", lambda: ["libnothing.so.0", "libc.so.6"])
    opus._library.cache_clear()
    try:
        assert not opus.available()
        with pytest.raises(opus.OpusError):
            Opus()
    finally:
        opus._library.cache_clear()
