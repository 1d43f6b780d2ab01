"""What `bench_media` runs beside itself: the engine with its notebook, and the phones' voices.

    python -m tests.bench.media_load engine SOCKET DATA     until SIGTERM; prints JSON

The phones are `media_phones.c`, compiled by the bench: they must cost so little that the engine is
never starved by them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from appliance.media import g711, process

LOOP_FRAMES = 200
VOICES = 200


def engine(socket_path: Path, data: Path) -> None:
    batches: list[list[float]] = []
    original = process._p99_ms

    def keep(values: list[float]) -> float:
        batches.append(values)
        return original(values)

    process._p99_ms = keep
    process.main(socket_path, data)
    # Only now: the engine's memory is its own.
    import json

    # The lists come in turns: work, then lateness; the first two of both are the start.
    work, late = ([v for batch in batches[i::2][2:-1] for v in batch] for i in (0, 1))
    print(
        json.dumps(
            {
                "work_p99_ms": float(np.percentile(work, 99) * 1000),
                "late_p99_ms": float(np.percentile(late, 99) * 1000),
                "work_p50_ms": float(np.percentile(work, 50) * 1000),
                "ticks": len(work),
            }
        ),
        flush=True,
    )


def cores() -> tuple[list[int], list[int]]:
    """Processor cores for what is measured and for the phones, which would otherwise come before it
    and be counted as its work."""
    found = sorted(os.sched_getaffinity(0))
    return found[:-1] or found, found[-1:]


def compile_phones(folder: Path) -> Path:
    """The phones' program. Raises RuntimeError without a C compiler."""
    import shutil
    import subprocess

    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("bench media compiles its load generator: apt-get install gcc libc6-dev")
    program = folder / "media_phones"
    source = Path(__file__).with_name("media_phones.c")
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def write_voices(path: Path, count: int) -> None:
    """`LOOP_FRAMES` frames of speech-like noise for each phone: 60 % of the time, in syllables.
    Beyond `VOICES` phones they begin again: what they say is marked as theirs in any case."""
    samples = LOOP_FRAMES * 160
    with path.open("wb") as file:
        made: list[bytes] = []
        for seed in range(min(count, VOICES)):
            random = np.random.default_rng(seed)
            noise = np.convolve(random.normal(0, 1, samples), np.hanning(12) / 4, "same")
            rhythm = np.repeat(random.random(samples // 800) < 0.6, 800)
            pcm = np.clip(noise * rhythm * 3000, -32000, 32000).astype(np.int16)
            made.append(g711.ulaw_encode(pcm).tobytes().replace(b"\x7f", b"\xff"))
        for phone in range(count):
            file.write(made[phone % VOICES])


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    engine(Path(sys.argv[2]), Path(sys.argv[3]))
