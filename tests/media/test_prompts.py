"""Prompts are spoken once, levelled, and never keep a caller waiting for ever."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from appliance.media import g711, prompts, speak
from appliance.media.prompts import PromptStore
from appliance.media.wav import load_ulaw
from tests.peers import program


def dbm0(path: Path) -> float:
    """Level of the active parts of a prompt as the engine plays it."""
    samples = g711.ULAW_DECODE[load_ulaw(path)].astype(float)
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = (frames**2).mean(axis=1)
    active = power[power > power.max() * 10**-3.5].mean()
    return float(20 * np.log10(np.sqrt(active) / (32768 / np.sqrt(2))) + 3.14)


SENTENCES = {
    "en": "You are number three in line.",
    "ro": "Sunteți numărul trei la rând.",
    "bg": "Вие сте номер три.",
    "fa": "شماره شما سه است.",
    "ru": "Ваш номер — три.",
    "zh": "您目前排在第三位。",
}


async def test_every_language_is_spoken_at_the_same_level(tmp_path: Path) -> None:
    program("espeak-ng")
    store = PromptStore(tmp_path)
    await store.warm([(text, language) for language, text in SENTENCES.items()])
    assert not store.errors
    for language, text in SENTENCES.items():
        path = await store.path(text, language)
        assert len(load_ulaw(path)) > 4000
        assert dbm0(path) == pytest.approx(-18, abs=1.5), language


async def test_a_sentence_is_made_once(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    first = await store.path("Hello.", "en")
    made = first.stat().st_ino
    assert await store.path("Hello.", "en") == first
    assert first.stat().st_ino == made


async def test_sentences_that_nobody_needs_any_more_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "MOST_KEPT", 2)
    store = PromptStore(tmp_path)
    often = await store.path("Hello.", "en")
    os.utime(often, (1, 1))
    once = await store.path("Order one.", "en")
    os.utime(once, (2, 2))
    assert await store.path("Hello.", "en") == often
    last = await store.path("Order two.", "en")
    assert [path.exists() for path in (often, once, last)] == [True, False, True]


async def test_what_cannot_be_spoken_becomes_a_short_tone_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    store = PromptStore(tmp_path)
    path = await store.path("Hello.", "en")
    assert len(load_ulaw(path)) < 8000
    assert "not installed" in store.errors["Hello."]


async def test_text_that_looks_like_an_option_is_only_text(tmp_path: Path) -> None:
    store = PromptStore(tmp_path)
    await store.path("--version", "en")
    assert not store.errors


async def test_uploads_of_any_rate_become_8_khz_mono(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    tone = ["synth", "1", "sine", "500"]
    make = await asyncio.create_subprocess_exec(
        program("sox"), "-n", "-r", "44100", "-c", "2", str(source), *tone
    )
    assert await make.wait() == 0
    path = await PromptStore(tmp_path).check_upload(source)
    assert len(load_ulaw(path)) == pytest.approx(8000, abs=100)
    assert dbm0(path) == pytest.approx(-18, abs=0.5)


async def test_an_upload_that_is_no_sound_is_refused_with_a_sentence(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(b"RIFF" + bytes(300))
    with pytest.raises(ValueError, match=r"in\.wav"):
        await PromptStore(tmp_path).check_upload(source)


def test_the_music_loops_without_a_seam_and_never_clips() -> None:
    music = speak.level(speak.music(), speak.MUSIC_RMS)
    steps = np.abs(np.diff(music))
    assert abs(music[0] - music[-1]) <= steps.max()
    assert np.abs(music).max() < 32767
