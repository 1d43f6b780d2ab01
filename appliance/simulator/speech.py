"""Callers' voices: texts spoken by espeak-ng, as a program of its own."""

from __future__ import annotations

import asyncio
import io
import logging
import shutil
import wave
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np

from appliance.simulator import sound
from appliance.simulator.caller import Sound
from appliance.simulator.script import AnyStep, Play, Say, Step
from appliance.simulator.sound import Samples

_log = logging.getLogger("centrala.simulator")

SPEECH_DBM0: Final = -18.0
MAX_TEXT: Final = 500
_CACHE_SIZE: Final = 64


class Speaker:
    """Turns texts into samples; remembers the last few. Without espeak-ng it babbles instead."""

    def __init__(self) -> None:
        self._program = shutil.which("espeak-ng")
        self._cache: OrderedDict[tuple[str, str], Samples] = OrderedDict()
        if self._program is None:
            _log.warning("espeak-ng is not installed: simulated callers babble instead of talking")

    async def say(self, text: str, voice: str = "en") -> Samples:
        """8 kHz samples at `SPEECH_DBM0`."""
        text = text[:MAX_TEXT]
        key = (text, voice)
        if key not in self._cache:
            self._cache[key] = await self._synthesise(text, voice)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    async def _synthesise(self, text: str, voice: str) -> Samples:
        babble = sound.babble(300 + 60 * len(text), seed=len(text), dbm0=SPEECH_DBM0)
        if self._program is None:
            return babble
        process = await asyncio.create_subprocess_exec(
            self._program,
            *("--stdout", "-v", voice, "-s", "155", "--stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(20):
                raw, _ = await process.communicate(text.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raw = b""
        spoken = _from_stream(raw)
        if len(spoken) == 0:
            _log.warning("espeak-ng said nothing with voice '%s'; the caller babbles", voice)
            return babble
        return sound.levelled(spoken, SPEECH_DBM0)

    async def ready(self, steps: tuple[AnyStep, ...]) -> list[Step | Sound]:
        """The steps with texts and files turned into sound. Raises ValueError, OSError."""
        done: list[Step | Sound] = []
        for step in steps:
            if isinstance(step, Say):
                done.append(Sound(await self.say(step.text, step.voice)))
            elif isinstance(step, Play):
                done.append(Sound(await asyncio.to_thread(sound.read_wav, Path(step.path))))
            else:
                done.append(step)
        return done


def _from_stream(raw: bytes) -> Samples:
    """A WAV whose header gives no true length (it was written to a pipe)."""
    try:
        with wave.open(io.BytesIO(raw), "rb") as file:
            rate = file.getframerate()
            start = raw.find(b"data") + 8
    except (wave.Error, EOFError):
        return np.zeros(0, dtype=np.int16)
    body = raw[start : start + (len(raw) - start) // 2 * 2]
    return sound.resampled(np.frombuffer(body, dtype="<i2").astype(np.int16), rate)
