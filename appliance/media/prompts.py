"""Prompts for the control process: text or uploads in, files that the engine plays out.

Every sentence is spoken once and kept, named by a hash of what makes it sound as it does. The work
is done by child processes (`appliance.media.speak`); what cannot be spoken becomes a short tone, so
that a caller hears something and nothing waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from appliance.media.wav import pcm_wav

log = logging.getLogger("centrala.media")

VOICES: Final = {"en": "en", "ro": "ro", "bg": "bg", "fa": "fa", "ru": "ru", "zh": "cmn"}
"""Our language codes as espeak-ng's voices."""
VERSION: Final = "1"
"""Part of the hash: raised when the making of prompts changes."""
_CHILD_TIMEOUT: Final = 120.0
MOST_KEPT: Final = 3000
"""Spoken sentences on disk. Those with a caller's values in them come once and are no use to
anybody afterwards: the ones unused for longest go first."""
_BATCH: Final = 8
"""Sentences made in one child: a caller who needs another one waits for so many at most."""


class PromptStore:
    """Prompt files under `data/prompts-cache`."""

    def __init__(self, data: Path) -> None:
        self.cache = data / "prompts-cache"
        self.errors: dict[str, str] = {}
        """What could not be made -> why, for a page to show."""
        self._lock = asyncio.Lock()

    async def path(self, text: str, language: str) -> Path:
        """The file that says this text. Never raises for a text or voice that cannot be spoken."""
        out = self._spoken(text, language)
        if not out.exists():
            await self._make([_speak_job(text, language, out)])
            await asyncio.to_thread(self._prune)
        else:
            with contextlib.suppress(OSError):
                os.utime(out)
        return out if out.exists() else self._neutral()

    def _prune(self) -> None:
        kept = []
        for path in self.cache.glob("*.wav"):
            with contextlib.suppress(OSError):
                kept.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(kept)[: max(0, len(kept) - MOST_KEPT)]:
            path.unlink(missing_ok=True)

    async def warm(self, texts: Sequence[tuple[str, str]]) -> None:
        """Make many at once, e.g. all that a site says."""
        jobs = []
        for text, language in dict.fromkeys(texts):
            out = self._spoken(text, language)
            if not out.exists():
                jobs.append(_speak_job(text, language, out))
        for start in range(0, len(jobs), _BATCH):
            await self._make(jobs[start : start + _BATCH])

    async def music(self) -> Path:
        """The built-in music on hold."""
        out = self.cache / f"music-{VERSION}.wav"
        if not out.exists():
            await self._make([{"kind": "music", "out": str(out)}])
        return out if out.exists() else self._neutral()

    async def check_upload(self, source: Path) -> Path:
        """An uploaded file as the engine needs it. Raises ValueError with a sentence, OSError."""
        stat = source.stat()
        key = f"{source}\0{stat.st_size}\0{stat.st_mtime_ns}"
        out = self.cache / f"upload-{_hash(key)}.wav"
        if not out.exists():
            problem = (
                await self._make([{"kind": "upload", "source": str(source), "out": str(out)}])
            )[0]
            if problem is not None:
                raise ValueError(f"{source.name}: {problem}")
        return out

    async def recorded(self, source: Path, out: Path) -> Path:
        """A recording as the engine plays it, at `out`. Never raises for one that is broken."""
        if not out.exists():
            await self._make([{"kind": "upload", "source": str(source), "out": str(out)}])
        return out if out.exists() else self._neutral()

    def beep(self) -> Path:
        """The tone after which callers speak."""
        out = self.cache / "beep.wav"
        if not out.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            t = np.arange(3200) / 8000
            out.write_bytes(pcm_wav((3000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)))
        return out

    def _spoken(self, text: str, language: str) -> Path:
        voice = VOICES.get(language, language)
        return self.cache / f"{language}-{_hash(voice + chr(0) + text)}.wav"

    async def _make(self, jobs: list[dict[str, Any]]) -> list[str | None]:
        """Run the jobs in a child, one child at a time; returns null or a sentence for each."""
        async with self._lock:
            jobs_left = [job for job in jobs if not Path(job["out"]).exists()]
            if not jobs_left:
                return [None] * len(jobs)
            problems = await self._child(jobs_left)
        by_out = dict(zip((job["out"] for job in jobs_left), problems, strict=True))
        for job in jobs_left:
            problem = by_out[job["out"]]
            what = str(job.get("text") or job.get("source") or job["kind"])
            if problem is None:
                self.errors.pop(what, None)
            else:
                self.errors[what] = problem
                log.error("prompt %r cannot be made: %s", what[:60], problem)
        return [by_out.get(job["out"]) for job in jobs]

    async def _child(self, jobs: list[dict[str, Any]]) -> list[str | None]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "appliance.media.speak",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_CHILD_TIMEOUT):
                out, _ = await child.communicate(json.dumps(jobs).encode())
            results = json.loads(out)
        except (TimeoutError, ValueError):
            return ["speaking did not work"] * len(jobs)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if not isinstance(results, list) or len(results) != len(jobs):
            return ["speaking did not work"] * len(jobs)
        return [None if r is None else str(r) for r in results]

    def _neutral(self) -> Path:
        """Two short beeps in place of what cannot be said."""
        out = self.cache / "neutral.wav"
        if not out.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            t = np.arange(1600) / 8000
            beep = 3000 * np.sin(2 * np.pi * 440 * t)
            gap = np.zeros(800)
            out.write_bytes(pcm_wav(np.concatenate((beep, gap, beep, gap)).astype(np.int16)))
        return out


def _speak_job(text: str, language: str, out: Path) -> dict[str, Any]:
    return {
        "kind": "speak",
        "text": text,
        "voice": VOICES.get(language, language),
        "out": str(out),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(f"{VERSION}\0{text}".encode()).hexdigest()[:24]
