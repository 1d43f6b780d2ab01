"""Makes prompt files: a short-lived child at low priority, so that neither speaking nor resampling
ever takes a core from calls.

    python -m appliance.media.speak < jobs.json

Standard input is a JSON list of jobs `{"kind", "out", ...}`: `speak` (text, voice), `upload`
(source) or `music`. Each writes an 8 kHz mono 16-bit WAV at `out`, levelled, under its final name
only when complete. Standard output is a JSON list with null or a sentence for each job.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.media.wav import pcm_wav

RATE: Final = 8000
LEVEL_RMS: Final = 32768 / np.sqrt(2) * 10 ** (-(3.14 + 18) / 20)
"""-18 dBm0 in 16-bit samples; a full-scale sine is +3.14 dBm0 (ITU-T G.711)."""
MUSIC_RMS: Final = LEVEL_RMS * 10 ** (-6 / 20)
"""Music under announcements and for minutes on end is softer than speech."""
PEAK: Final = 30_000.0
ACTIVE_DB: Final = -35.0
"""Frames this far under the loudest are pauses and do not count for the level."""
MAX_SECONDS: Final = 600
MAX_TEXT: Final = 4000
_SPEAK_TIMEOUT: Final = 20.0

Samples = npt.NDArray[np.float64]


def level(samples: Samples, rms: float = LEVEL_RMS) -> Samples:
    """Scale so that the active parts have this rms and no peak exceeds `PEAK`."""
    count = len(samples) // 160
    if not count:
        return samples
    power = (samples[: count * 160].reshape(count, 160) ** 2).mean(axis=1)
    loudest = power.max()
    if loudest <= 0:
        return samples
    active = power[power > loudest * 10 ** (ACTIVE_DB / 10)].mean()
    gain = rms / np.sqrt(active)
    return samples * float(min(gain, PEAK / np.abs(samples).max()))


def decode(source: Any) -> Samples:
    """Any audio file as 8 kHz mono. Raises ValueError with a sentence."""
    import av

    pieces: list[npt.NDArray[np.int16]] = []
    total = 0
    try:
        with av.open(source, mode="r") as container:
            if not container.streams.audio:
                raise ValueError("the file has no sound in it")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                for out in resampler.resample(frame):
                    pieces.append(out.to_ndarray().reshape(-1).astype(np.int16))
                    total += len(pieces[-1])
                if total > MAX_SECONDS * RATE:
                    raise ValueError(f"the file is longer than {MAX_SECONDS // 60} minutes")
            for out in resampler.resample(None):
                pieces.append(out.to_ndarray().reshape(-1).astype(np.int16))
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"the file is no audio that can be read ({error})") from None
    if not pieces:
        raise ValueError("the file has no sound in it")
    return np.concatenate(pieces).astype(np.float64)


def speak(text: str, voice: str) -> Samples:
    """Speech at 8 kHz. Raises ValueError with a sentence."""
    try:
        done = subprocess.run(
            ["espeak-ng", "-v", voice, "-s", "150", "-z", "--stdin", "--stdout"],
            input=text[:MAX_TEXT].encode(),
            capture_output=True,
            timeout=_SPEAK_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise ValueError("espeak-ng is not installed: apt-get install espeak-ng") from None
    except subprocess.TimeoutExpired:
        raise ValueError("espeak-ng did not finish in time") from None
    if done.returncode != 0 or len(done.stdout) < 100:
        raise ValueError(f"espeak-ng failed with voice {voice}")
    return decode(io.BytesIO(done.stdout))


def music(seconds: float = 38.4) -> Samples:
    """A quiet, slow progression of broken chords that loops without a seam."""
    beat = 0.6
    chords = ((57, 60, 64, 69), (53, 57, 60, 65), (55, 60, 64, 67), (55, 59, 62, 67))
    total = int(seconds * RATE)
    out = np.zeros(total)
    steps = int(seconds / beat)
    for step in range(steps):
        chord = chords[step // 4 % len(chords)]
        note = chord[(0, 2, 1, 3)[step % 4]] + (12 if step // 16 % 2 and step % 4 == 3 else 0)
        _pluck(out, int(step * beat * RATE), note, 2.4, 1.0)
        if step % 4 == 0:
            _pluck(out, int(step * beat * RATE), chord[0] - 12, 3.2, 0.8)
    return out


def _pluck(out: Samples, start: int, note: int, seconds: float, gain: float) -> None:
    """Add one decaying note at `start`, wrapping round the end of the loop."""
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 440.0 * 2 ** ((note - 69) / 12)
    tone = sum(np.sin(2 * np.pi * pitch * k * t) / k**2 for k in (1, 2, 3) if pitch * k < 3400)
    envelope = np.minimum(t / 0.02, 1.0) * np.exp(-t / 0.7) * np.minimum((seconds - t) / 0.05, 1.0)
    index = (start + np.arange(len(t))) % len(out)
    out[index] += gain * tone * envelope


def carry_out(job: dict[str, Any]) -> None:
    """Do one job. Raises ValueError or OSError."""
    kind = job["kind"]
    if kind == "speak":
        samples = level(speak(job["text"], job["voice"]))
    elif kind == "upload":
        samples = level(decode(job["source"]))
    elif kind == "music":
        samples = level(music(), MUSIC_RMS)
    else:
        raise ValueError(f"unknown kind {kind!r}")
    out = Path(job["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.write_bytes(pcm_wav(np.clip(np.rint(samples), -32768, 32767).astype(np.int16)))
    part.rename(out)


def _outcome(job: dict[str, Any]) -> str | None:
    try:
        carry_out(job)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def main() -> int:
    with contextlib.suppress(OSError):
        os.nice(10)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(_outcome, json.load(sys.stdin)))
    json.dump(results, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
