"""Tones, codes and the ear of the simulated world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.simulator import sound
from appliance.simulator.countries import COUNTRIES, ProgressTone, cadence_on, country
from appliance.simulator.hearing import Ear, KeyReceiver, tone_level_dbm0
from appliance.simulator.sound import FRAME, FRAME_MS, Samples


def listen(ear: Ear, pcm: Samples, start: int = 0) -> int:
    now = start
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        ear.hear(pcm[at : at + FRAME], now)
        now += FRAME_MS
    return now


def progress(tone: ProgressTone, ms: int) -> Samples:
    parts = [
        sound.tone(tone.hz, FRAME_MS, tone.dbm0, at * FRAME // FRAME_MS)
        if cadence_on(tone.cadence, at)
        else sound.silence(FRAME_MS)
        for at in range(0, ms, FRAME_MS)
    ]
    return np.concatenate(parts)


def test_levels_follow_g711s_scale() -> None:
    assert sound.level_dbm0(sound.tone([1004], 1000, -10)) == pytest.approx(-10, abs=0.01)
    assert int(np.abs(sound.tone([1000], 100, 3.17)).max()) == pytest.approx(32124, abs=2)
    assert tone_level_dbm0(sound.tone([1004, 440], 1000, -20), 1004) == pytest.approx(-20, abs=0.1)


def test_g711_tables_are_those_of_the_recommendation() -> None:
    """Values of ITU-T G.711 tables 1a and 2a, scaled to 16 bits."""
    assert sound.ULAW_DECODE[[0x00, 0x80, 0xFF, 0x7F]].tolist() == [-32124, 32124, 0, 0]
    assert sound.ULAW_DECODE[[0xF0, 0xEF]].tolist() == [120, 132]
    assert sound.ALAW_DECODE[[0xD5, 0x55, 0xAA, 0x2A]].tolist() == [8, -8, 32256, -32256]
    for decode, encode in (
        (sound.ULAW_DECODE, sound.ULAW_ENCODE),
        (sound.ALAW_DECODE, sound.ALAW_ENCODE),
    ):
        again = decode[encode[decode.astype(np.int32) + 32768]]
        assert np.array_equal(again, decode)


@pytest.mark.parametrize("key", sound.KEYS)
def test_each_key_is_heard_once(key: str) -> None:
    receiver = KeyReceiver()
    pcm = np.concatenate([sound.silence(60), sound.dtmf(key, 100), sound.silence(60)])
    found = [receiver.hear(pcm[at : at + FRAME]) for at in range(0, len(pcm) - FRAME + 1, FRAME)]
    assert [one for one in found if one] == [key]


def test_speech_has_no_keys_in_it() -> None:
    receiver = KeyReceiver()
    pcm = sound.babble(20_000)
    assert not any(receiver.hear(pcm[at : at + FRAME]) for at in range(0, len(pcm), FRAME))


@pytest.mark.parametrize("code", list(COUNTRIES))
@pytest.mark.parametrize("name", ["dial", "ringback", "busy"])
def test_the_ear_knows_its_countrys_tones(code: str, name: str) -> None:
    place = country(code)
    ear = Ear(place)
    tones = {"dial": place.dial, "ringback": place.ringback, "busy": place.busy}
    heard = set()
    pcm = progress(tones[name], 14_000)
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        ear.hear(pcm[at : at + FRAME], at // 8)
        heard.add(ear.progress)
    assert heard - {None} == {name}


def test_the_ear_tells_speech_from_quiet_and_from_tones() -> None:
    ear = Ear(country("us"))
    now = listen(ear, sound.babble(1000))
    assert ear.sound_ms > 700
    assert ear.level == pytest.approx(-18, abs=6)
    now = listen(ear, sound.silence(800), now)
    assert (ear.sound_ms, ear.quiet_ms) == (0, 800)
    listen(ear, progress(country("us").ringback, 3000), now)
    assert ear.sound_ms == 0
    assert ear.progress is None or ear.progress == "ringback"


def test_a_wav_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pcm = sound.babble(500)
    sound.write_wav(tmp_path / "a.wav", pcm)
    assert np.array_equal(sound.read_wav(tmp_path / "a.wav"), pcm)
    (tmp_path / "b.wav").write_bytes(b"RIFF nonsense")
    with pytest.raises(ValueError, match="not a WAV"):
        sound.read_wav(tmp_path / "b.wav")


def test_resampling_keeps_pitch_and_level() -> None:
    t = np.arange(22_050) / 22_050
    wave = sound.to_samples(8000 * np.sin(2 * np.pi * 1000 * t))
    out = sound.resampled(wave, 22_050)
    assert len(out) == 8000
    assert tone_level_dbm0(out, 1000) == pytest.approx(
        20 * np.log10(8000 / sound.PEAK_0_DBM0), abs=0.1
    )


def test_a_hybrid_returns_noise_at_its_loss() -> None:
    noise = np.random.default_rng(1).standard_normal(16_000) * 2000
    back = np.convolve(noise, sound.hybrid(8.0))[:16_000]
    assert sound.level_dbm0(noise) - sound.level_dbm0(back) == pytest.approx(8.0, abs=0.5)
