"""Call progress tones: every country's are told apart, and nothing else is one."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media import g711, tones
from tests.media import dtmf_corpus as corpus
from tests.media.test_media_dtmf import SENTENCES, espeak

COUNTRIES = ["us", "gb", "fr", "de", "ro", "bg", "ir", "ru", "cn"]


def hear(plan: tones.TonePlan, audio: np.ndarray) -> list[tuple[tones.Heard, int]]:
    """What was recognised, and after how many ms."""
    detector = tones.ToneDetector(plan, 1)
    pcm = corpus.code(audio)
    found = []
    for tick in range(len(pcm) // 160):
        frame = pcm[None, tick * 160 : (tick + 1) * 160]
        found += [(h, (tick + 1) * 20) for _, h in detector.process(frame, np.array([0]), tick)]
    return found


def tone_audio(plan: tones.TonePlan, tone: tones.Tone, seconds: float, start: int) -> np.ndarray:
    loop = g711.ulaw_decode(tones.make_tone(plan, tone)).astype(float)
    audio = np.resize(np.roll(loop, -start), int(seconds * 8000))
    noise = np.random.default_rng(start).normal(0, g711.dbm0_to_rms(-48), len(audio))
    return np.concatenate((np.zeros(1600), audio)) + np.concatenate((np.zeros(1600), noise))


def test_the_table_has_the_countries() -> None:
    assert set(COUNTRIES) <= set(tones.all_plans())
    assert tones.plan_for("xx").country == "de"


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("tone", tones.NAMES)
def test_each_tone_is_recognised_from_any_start(country: str, tone: tones.Tone) -> None:
    plan = tones.plan_for(country)
    for start in (0, 1111, 2777):
        found = hear(plan, tone_audio(plan, tone, 14, start))
        assert {heard.tone for heard, _ in found} == {tone}


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("tone", ["stutter", "confirm"])
def test_bursts_of_dial_tone_are_no_busy(country: str, tone: tones.Tone) -> None:
    plan = tones.plan_for(country)
    lead = tone_audio(plan, tone, 3.8, 0)
    found = hear(plan, np.concatenate((lead, np.zeros(8000))) if tone == "confirm" else lead)
    assert [heard for heard, _ in found] == [tones.Heard(tone, ended=False)]


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_call_that_knocks_is_no_hang_up(country: str) -> None:
    plan = tones.plan_for(country)
    found = hear(plan, tone_audio(plan, "waiting", 25, 0))
    assert {heard for heard, _ in found} == {tones.Heard("waiting", ended=False)}


def test_special_information_can_be_played() -> None:
    sound = tones.make_tone(tones.plan_for("us"), "sit")
    assert len(sound) == 3 * 330 * 8 + 8000


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("tone", ["busy", "reorder"])
def test_hang_up_is_certain_within_three_cadences(country: str, tone: tones.Tone) -> None:
    plan = tones.plan_for(country)
    period = sum(plan.tones[tone].cadence_ms)
    heard, at = hear(plan, tone_audio(plan, tone, 14, 0))[0]
    assert heard == tones.Heard(tone, ended=True)
    assert at - 200 <= 3 * period


def test_a_tone_is_reported_once_until_its_beat_is_broken() -> None:
    plan = tones.plan_for("de")
    busy = tone_audio(plan, "busy", 8, 0)
    found = hear(plan, np.concatenate((busy, np.zeros(8000 * 8), busy)))
    assert [heard.tone for heard, _ in found] == ["busy", "busy"]


def test_dial_tone_ends_a_call_only_when_it_persists() -> None:
    plan = tones.plan_for("de")
    found = hear(plan, tone_audio(plan, "dial", 3, 0))
    assert [heard for heard, _ in found] == [tones.Heard("dial", ended=False)]
    found = hear(plan, tone_audio(plan, "dial", 6, 0))
    assert found[-1][0] == tones.Heard("dial", ended=True)


def test_a_beat_that_no_table_knows_is_busy() -> None:
    on, off = np.sin(2 * np.pi * 425 * np.arange(2800) / 8000) * 5000, np.zeros(2400)
    found = hear(tones.plan_for("de"), np.concatenate([on, off] * 6))
    assert [heard for heard, _ in found] == [tones.Heard("busy", ended=True)]


@pytest.mark.parametrize("country", ["us", "de", "gb"])
def test_speech_never_ends_a_call(country: str) -> None:
    plan = tones.plan_for(country)
    for voice, text in SENTENCES.items():
        for variant in ("", "+f3", "+m3"):
            assert hear(plan, espeak(text, voice + variant) * 2) == []


def test_keys_are_no_call_progress_tones() -> None:
    audio, _ = corpus.sequence(corpus.Row("steady keys", "must", 250, 250), 24)
    assert hear(tones.plan_for("us"), audio.astype(float)) == []


def test_a_broken_table_names_country_and_tone() -> None:
    with pytest.raises(ValueError, match="'xx'"):
        tones.parse_plans('[xx]\nname = "X"\nlevel_dbm0 = -10\ndial = {hz=[5], cadence_ms=[]}\n')
