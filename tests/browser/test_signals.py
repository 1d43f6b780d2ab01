"""The tests' own ears: known signals are found where they are, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.browser import signals


def test_a_signal_is_found_at_its_place_with_its_level() -> None:
    speech = signals.speech_like(2.0)
    recording = np.concatenate([signals.silence(0.5), speech * 0.5, signals.silence(1.0)])
    found = signals.find(speech, recording)
    assert found.delay_s == pytest.approx(0.5, abs=1e-4)
    assert found.correlation == pytest.approx(1.0, abs=0.01)
    assert found.gain_db == pytest.approx(-6.02, abs=0.05)


def test_it_is_found_between_two_samples() -> None:
    speech = signals.speech_like(2.0)
    fine = signals.resample(np.concatenate([speech, signals.silence(0.5)]), 8000, 16000)
    found = signals.find(speech, np.concatenate([np.zeros(8001), fine])[::2])
    assert found.delay_s == pytest.approx(0.5000625, abs=1e-5)
    assert found.correlation == pytest.approx(1.0, abs=0.01)
    assert found.gain_db == pytest.approx(0.0, abs=0.05)


def test_it_is_found_under_noise_and_beside_a_louder_stranger() -> None:
    chirp = signals.chirp(0.5)
    noise = np.random.default_rng(3).standard_normal(24000) * 0.02
    noise[8000:12000] += chirp
    noise[16000:] += signals.speech_like(1.0, seed=9, level_db=-3)
    found = signals.find(chirp, noise)
    assert found.delay_s == pytest.approx(1.0, abs=1e-3)
    assert found.correlation > 0.95


def test_what_is_not_there_is_not_found() -> None:
    other = signals.speech_like(4.0, seed=2)
    assert abs(signals.find(signals.speech_like(1.0, seed=1), other).correlation) < 0.2
    assert signals.find(signals.chirp(0.5), signals.silence(2.0)).correlation == 0.0


def test_pieces_are_found_across_a_stretch() -> None:
    speech = signals.speech_like(2.0)
    recording = np.concatenate([speech[:8000], speech[7900:8000], speech[8000:]])
    pieces = signals.find_pieces(speech, recording)
    assert pieces[0].delay_s == pytest.approx(0.0, abs=1e-3)
    assert pieces[-1].delay_s == pytest.approx(100 / 8000, abs=1e-3)
    assert np.median([piece.correlation for piece in pieces]) > 0.99


def test_a_signal_with_a_gap_is_heard_and_another_is_not() -> None:
    speech = signals.speech_like(2.0)
    recording = np.concatenate([signals.silence(0.5), speech * 2, signals.silence(0.5)])
    recording[8000:12000] = 0
    heard = signals.hear(speech, recording)
    assert 0.5 < heard.share < 0.9
    assert heard.delay_s == pytest.approx(0.5, abs=1e-3)
    assert heard.gain_db == pytest.approx(6.02, abs=0.1)
    assert signals.hear(signals.speech_like(2.0, seed=2), recording).share == 0.0


def test_a_wav_comes_back_as_it_was(tmp_path: Path) -> None:
    tone = signals.tone(1004, 0.5)
    samples, rate = signals.read_wav(signals.write_wav(tmp_path / "tone.wav", tone))
    assert rate == 8000
    assert np.max(np.abs(samples - tone)) < 1e-3


@pytest.mark.parametrize("level_db", [-3.0, -20.0, -40.0])
def test_mulaw_keeps_a_tone(level_db: float) -> None:
    tone = signals.tone(1004, 0.5, level_db)
    error = signals.mulaw_decode(signals.mulaw_encode(tone)) - tone
    assert 10 * np.log10(np.sum(tone**2) / np.sum(error**2)) > 33
