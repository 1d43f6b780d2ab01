"""Voices and networks for the tests of how it sounds: simulated time, seeded chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp
from appliance.media.jitter import Jitter

RATE = 8000
Audio = npt.NDArray[np.float64]


def glide(seconds: float, seed: int = 1) -> Audio:
    """Something like a voice without a program to speak it: harmonics on a gliding pitch, in
    syllables of 200 ms with short pauses, over a room at -60 dBm0. About -20 dBm0."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    hz = 110 + 25 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    sound = np.zeros(count)
    for harmonic in range(1, 28):
        near = [np.exp(-(((hz * harmonic - f) / w) ** 2)) for f, w in ((500, 200), (1500, 300))]
        sound += (near[0] + 0.5 * near[1] + 0.05) * np.sin(harmonic * phase)
    syllable = np.clip(1.4 * np.sin(np.pi * (time % 0.25) / 0.2), 0, 1) * (time % 0.25 < 0.2)
    sound *= syllable
    sound *= g711.dbm0_to_rms(-20) / np.sqrt(np.mean(sound**2))
    return sound + random.standard_normal(count) * g711.dbm0_to_rms(-60)


def coded(audio: Audio) -> g711.Bytes:
    whole = len(audio) // 160 * 160
    return g711.ulaw_encode(np.clip(audio[:whole], -32124, 32124).astype(np.int16))


@dataclass
class Heard:
    """What one leg heard. `delay_ms` is the room ahead of the reader after each tick."""

    ulaw: g711.Bytes
    ring: Jitter
    delay_ms: list[float] = field(default_factory=list)
    concealed: list[int] = field(default_factory=list)
    """Frames made up by each tick."""

    @property
    def sound(self) -> npt.NDArray[np.float64]:
        return g711.ULAW_FLOAT[self.ulaw].astype(np.float64)


Arrival = Callable[[int], list[float]]
"""Of packet n: at which times (ms) it arrives; none when it is lost."""


def listen(
    audio: g711.Bytes,
    arrival: Arrival,
    ticks: int,
    *,
    ppm: float = 0.0,
    size: int = 160,
    start: int = 0,
) -> Heard:
    """Send the audio in packets of `size` and read it back with a tick each 20 ms. A far clock
    that is `ppm` fast sends earlier and earlier."""
    ring = Jitter(1)
    due: list[list[tuple[float, int]]] = [[] for _ in range(ticks + 2)]
    for n in range(len(audio) // size):
        sent = n * size / 8 * (1 - ppm / 1e6)
        for late in arrival(n):
            at = sent + late
            tick = int(at // 20) + 1
            if tick <= ticks:
                due[tick].append((at, n))
    heard = Heard(np.empty(0, np.uint8), ring)
    frames = []
    for tick in range(1, ticks + 1):
        ring.begin_tick(tick)
        for _, n in sorted(due[tick]):
            payload = audio[n * size : (n + 1) * size].tobytes()
            ring.put(0, rtp.Packet(0, False, (start + n) & 0xFFFF, n * size, 1, payload))
        frames.append(ring.read(1)[0][0].copy())
        heard.delay_ms.append(ring.delay_ms(0))
        heard.concealed.append(int(ring.concealed[0]))
    heard.ulaw = np.concatenate(frames)
    return heard


def longest_gap_ms(sound: npt.NDArray[np.float64], floor: float = 1.0) -> float:
    """The longest run of samples that are hardly any sound."""
    quiet = np.abs(sound) <= floor
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0]))))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / 8
