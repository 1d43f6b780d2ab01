"""Uploaded sounds: taken into use while calls run, by the real converter."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from appliance.media import protocol as p
from appliance.media.prompts import PromptStore
from appliance.media.wav import load_ulaw, pcm_wav
from appliance.site.model import Prompt
from appliance.switch.actions import Speak
from appliance.switch.sounds import Sounds


def tone(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(16000 * seconds)) / 16000
    path.write_bytes(pcm_wav((9000 * np.sin(2 * np.pi * 700 * t)).astype(np.int16), 16000))
    return path


async def test_a_sound_that_is_replaced_is_heard_in_the_next_call(tmp_path: Path) -> None:
    sent: list[p.Command] = []
    async with asyncio.TaskGroup() as tasks:
        sounds = Sounds(
            PromptStore(tmp_path), tmp_path, tasks, sent.append, lambda _: pytest.fail("ended")
        )
        say = Speak(1, 1, (Prompt(file="hello.wav"),), "en")
        for token, seconds in enumerate((1.0, 2.0)):
            await sounds.take("hello.wav", tone(tmp_path / "uploads" / "u", seconds))
            assert not (tmp_path / "uploads" / "u").exists()
            sounds.speak(say)
            play = sent[token]
            assert isinstance(play, p.Play)
            assert len(load_ulaw(Path(play.files[0]))) == pytest.approx(8000 * seconds, abs=100)


async def test_what_is_no_sound_changes_nothing(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        sounds = Sounds(PromptStore(tmp_path), tmp_path, tasks, lambda _: None, lambda _: None)
        await sounds.take("hello.wav", tone(tmp_path / "uploads" / "u", 1.0))
        before = (tmp_path / "prompts" / "hello.wav").read_bytes()
        (tmp_path / "uploads" / "u").write_bytes(b"RIFF nothing")
        with pytest.raises(ValueError, match="no audio"):
            await sounds.take("hello.wav", tmp_path / "uploads" / "u")
        assert (tmp_path / "prompts" / "hello.wav").read_bytes() == before
        await sounds.drop("hello.wav")
        assert not (tmp_path / "prompts" / "hello.wav").exists()
    shutil.rmtree(tmp_path / "uploads")
