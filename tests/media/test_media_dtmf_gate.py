"""The quick look lets every key through and hardly anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import dtmf, g711
from tests.media import dtmf_corpus as corpus

SHORTEST_MS = 40
FRAME = 160


def passes(audio: corpus.Audio) -> int:
    """Frames that the gate lets through, out of one leg's audio."""
    detector = dtmf.DtmfDetector(1)
    frames = corpus.code(audio).astype(np.float32).reshape(-1, 1, FRAME)
    floor = np.ones(1, np.float32)
    return sum(int(detector._gate.look(frame, floor)[2][0]) for frame in frames)


@given(
    key=st.integers(0, 15),
    start=st.integers(0, FRAME - 1),
    low=st.floats(-1.8, 1.8),
    high=st.floats(-1.8, 1.8),
    twist=st.floats(-8, 4),
    level=st.floats(-27, -3),
    phase=st.floats(0, 6.28),
)
def test_a_key_that_must_be_accepted_passes_wherever_it_begins(
    key: int, start: int, low: float, high: float, twist: float, level: float, phase: float
) -> None:
    time = np.arange(SHORTEST_MS * 8) / corpus.RATE
    tones = (
        (dtmf.LOW[key // 4] * (1 + low / 100), level - max(twist, 0)),
        (dtmf.HIGH[key % 4] * (1 + high / 100), level + min(twist, 0)),
    )
    audio = np.zeros(5 * FRAME)
    audio[FRAME + start :][: len(time)] = sum(
        2**0.5 * g711.dbm0_to_rms(dbm0) * np.sin(2 * np.pi * hz * time + phase)
        for hz, dbm0 in tones
    )
    # A dial tone under it does not hide it.
    assert passes(audio) >= 1
    assert passes(audio + corpus.tone(425, level + 3, len(audio))) >= 1


@pytest.mark.parametrize("smooth", [1, 6, 12])
def test_noise_seldom_passes(smooth: int) -> None:
    random = np.random.default_rng(smooth)
    audio = np.convolve(random.normal(0, 2000, 2000 * FRAME), np.ones(smooth) / smooth, "same")
    assert passes(audio) <= 20


def test_what_was_noise_before_the_key_does_not_count_as_impure() -> None:
    gate = dtmf.DtmfDetector(1)._gate
    random = np.random.default_rng(1)
    noise = random.normal(0, g711.dbm0_to_rms(-10), FRAME)
    frame = (noise + dtmf.key_tone("7", FRAME, -10, -10)).astype(np.float32)[None]
    floor, _, _ = gate.look(noise.astype(np.float32)[None], np.ones(1, np.float32))
    assert gate.look(frame, floor.copy())[2][0]
