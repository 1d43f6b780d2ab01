"""8-bit linear samples: the rounding's noise goes where it is heard least, and never runs away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.shaping import STEP, NoiseShaper
from appliance.simulator.sound import babble

Wave = npt.NDArray[np.float64]


def shaped(pcm: npt.NDArray[np.int16], frame: int = 160) -> Wave:
    shaper = NoiseShaper()
    parts = [shaper.round(pcm[at : at + frame]) for at in range(0, len(pcm), frame)]
    return np.concatenate(parts).astype(np.float64) * STEP


def rounded(pcm: npt.NDArray[np.int16]) -> Wave:
    return np.clip(np.rint(pcm / STEP), -128, 127) * STEP


def in_band(noise: Wave) -> float:
    """Power from 300 to 3300 Hz."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / 8000)
    return float(np.sum(power[(hertz > 300) & (hertz < 3300)]))


def frames_apart_db(pcm: npt.NDArray[np.int16], noise: Wave) -> float:
    """How far the noise's spectrum lies below the voice's, mean over frames and the band: what
    lies deep below is masked. Valleys count, which is where a flat noise is heard."""
    found = []
    for at in range(0, len(pcm) - 255, 256):
        window = np.hanning(256)
        voice, other = (
            np.abs(np.fft.rfft(x[at : at + 256] * window))[10:106] ** 2 + 1e3
            for x in (pcm.astype(np.float64), noise)
        )
        smooth = np.full(9, 1 / 9)
        ratio = np.convolve(voice, smooth, "valid") / np.convolve(other, smooth, "valid")
        found.append(np.mean(np.minimum(10 * np.log10(ratio), 20)))
    return float(np.mean(found))


def test_less_of_the_noise_is_heard_under_a_voice() -> None:
    voice = babble(4000, seed=3)
    plain, better = rounded(voice) - voice, shaped(voice) - voice
    assert frames_apart_db(voice, better) > frames_apart_db(voice, plain) + 1.5


def test_a_steady_tone_has_less_noise_in_the_band() -> None:
    tone = (9000 * np.sin(np.arange(16000) * 2 * np.pi * 1004 / 8000)).astype(np.int16)
    assert in_band(shaped(tone) - tone) < in_band(rounded(tone) - tone)


def test_a_softer_noise_than_half_a_step_is_silence() -> None:
    soft = np.random.default_rng(1).integers(-60, 60, 1600).astype(np.int16)
    assert not np.any(shaped(soft))


def test_the_level_stays_and_there_is_no_offset() -> None:
    voice = babble(4000, seed=5).astype(np.float64)
    got = shaped(voice.astype(np.int16))
    assert abs(10 * np.log10(np.mean(got**2) / np.mean(voice**2))) < 0.2
    assert abs(np.mean(got - voice)) < STEP / 10


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 32767), st.integers(1, 400), st.booleans()
)  # fmt: skip
def test_whatever_comes_the_error_stays_bounded(
    seed: int, peak: int, frame: int, square: bool
) -> None:
    generator = np.random.default_rng(seed)
    pcm = generator.integers(-peak, peak + 1, 1200)
    if square:
        pcm = np.where(pcm > 0, peak, -peak)
    pcm = pcm.astype(np.int16)
    got = shaped(pcm, frame)
    assert len(got) == len(pcm)
    assert np.max(np.abs(got - pcm)) < 20 * STEP
