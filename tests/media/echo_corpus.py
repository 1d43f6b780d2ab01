"""Voices, test signals and hybrids for the echo canceller, and the way they take through a line.

The echo paths have the shapes of ITU-T G.168 annex D without being its tables: a sharp doublet, a
slowly ringing tail, some with a second reflection, cut to the telephone band. Everything passes
mu-law twice as it does on the real way: what the office says, and what the line brings back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.echo import EchoCanceller

RATE: Final = 8000
FRAME: Final = 160
Audio = npt.NDArray[np.float64]


def level_dbm0(audio: Audio) -> float:
    return float(10 * np.log10(np.mean(np.square(audio)) / g711.RMS_0DBM0**2 + 1e-12))


def at_level(audio: Audio, dbm0: float) -> Audio:
    return audio * 10 ** ((dbm0 - level_dbm0(audio)) / 20)


def _band(audio: Audio, low: float = 250.0, high: float = 3500.0) -> Audio:
    """Cut to the telephone band, with soft edges."""
    spectrum = np.fft.rfft(audio)
    hz = np.fft.rfftfreq(len(audio), 1 / RATE)
    low_edge = 1 / (1 + (low / np.maximum(hz, 1)) ** 8)
    return np.fft.irfft(spectrum * low_edge / (1 + (hz / high) ** 24), len(audio))


def speech(seconds: float, seed: int, dbm0: float = -18.0, hz: float = 120.0) -> Audio:
    """Speech-like: voiced syllables whose pitch and three formants glide, hisses, short pauses."""
    dice = np.random.default_rng(seed)
    parts: list[Audio] = []
    left = int(seconds * RATE)
    while left > 0:
        count = int(dice.uniform(0.10, 0.28) * RATE)
        kind = dice.random()
        t = np.linspace(0, 1, count)
        shape = np.sin(np.pi * t) ** 0.5
        if kind < 0.68:
            pitch = hz * dice.uniform(0.8, 1.3) * (1 + dice.uniform(-0.2, 0.2) * t)
            turn = np.cumsum(pitch / RATE)
            source = np.diff(np.floor(turn), prepend=0.0) + 0.01 * dice.standard_normal(count)
            spectrum = np.fft.rfft(source)
            f = np.fft.rfftfreq(count, 1 / RATE)
            gain = np.full(len(f), 0.02)
            for middle, width, loud in (
                (dice.uniform(300, 800), 90, 1.0),
                (dice.uniform(900, 2200), 140, 0.5),
                (dice.uniform(2300, 3200), 220, 0.25),
            ):
                gain += loud / (1 + ((f - middle) / width) ** 2)
            part = np.fft.irfft(spectrum * gain, count) * shape
            part *= dice.uniform(0.5, 1.0) / (np.abs(part).max() + 1e-9)
        elif kind < 0.85:
            rush = np.fft.rfft(dice.standard_normal(count))
            f = np.fft.rfftfreq(count, 1 / RATE)
            rush *= 1 / (1 + ((f - dice.uniform(2000, 3300)) / 700) ** 2)
            part = np.fft.irfft(rush, count) * shape
            part *= 0.25 / (np.abs(part).max() + 1e-9)
        else:
            part = np.zeros(count)
        parts.append(part)
        left -= count
    return at_level(_band(np.concatenate(parts)[: int(seconds * RATE)]), dbm0)


def composite(seconds: float, seed: int, dbm0: float = -16.0) -> Audio:
    """A composite source signal as of G.168 annex C: 48.62 ms of voice, 200 ms of noise, 101.38 ms
    of nothing, again and again, each second time upside down."""
    dice = np.random.default_rng(seed)
    voice = speech(2.0, seed + 1)
    at = int(np.argmax(np.convolve(voice**2, np.ones(389), "valid")))
    voice = at_level(voice[at : at + 389], dbm0 + 2)
    noise = at_level(_band(dice.standard_normal(1600)), dbm0 + 1)
    one = np.concatenate([voice, noise, np.zeros(811)])
    count = int(seconds * RATE)
    both = np.concatenate([one, -one])
    return np.tile(both, count // len(both) + 1)[:count]


def tone(seconds: float, hz: tuple[float, ...], dbm0: float = -12.0) -> Audio:
    t = np.arange(int(seconds * RATE)) / RATE
    return at_level(np.sum([np.sin(2 * np.pi * f * t) for f in hz], axis=0), dbm0)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """`rings`: (Hz, decay ms, loudness) of the tail. `second`: (ms, loudness) of a reflection."""

    name: str
    erl_db: float
    rings: tuple[tuple[float, float, float], ...]
    second: tuple[float, float] | None = None
    seed: int = 0

    def taps(self) -> Audio:
        """Up to 64 ms, scaled so that noise of the telephone band comes back `erl_db` down."""
        dice = np.random.default_rng(self.seed)
        taps = np.zeros(512)
        taps[4:9] = (-0.05, -0.35, 1.0, 0.75, -0.2)
        t = np.arange(512 - 9) / RATE
        for hz, decay_ms, loud in self.rings:
            turn = dice.uniform(0, 2 * np.pi)
            taps[9:] += loud * np.exp(-t * 1000 / decay_ms) * np.cos(2 * np.pi * hz * t + turn)
        if self.second is not None:
            at = int(self.second[0] * 8)
            taps[at:] += self.second[1] * taps[: 512 - at]
        taps = _band(np.concatenate([np.zeros(24), taps, np.zeros(488)]), 200)[:512]
        taps[-64:] *= np.linspace(1, 0, 64)
        response = np.abs(np.fft.rfft(taps, 4096)) ** 2
        hz = np.fft.rfftfreq(4096, 1 / RATE)
        power = response[(hz > 300) & (hz < 3400)].mean()
        return taps * 10 ** (-self.erl_db / 20) / np.sqrt(power)


HYBRIDS: Final = (
    Hybrid("short", 6, ((600, 2.0, -0.25), (2100, 1.0, 0.2)), seed=1),
    Hybrid("loaded line", 6, ((350, 5.0, -0.12), (1500, 1.5, 0.25)), seed=2),
    Hybrid("long ringing", 8, ((300, 12.0, 0.06), (900, 4.0, -0.12), (2600, 2.0, 0.1)), seed=3),
    Hybrid("two hybrids", 10, ((450, 3.0, -0.2), (1800, 2.0, 0.15)), (22.0, 0.5), seed=4),
    Hybrid("far second hybrid", 8, ((500, 4.0, 0.2),), (48.0, -0.3), seed=5),
    Hybrid("dispersive", 7, ((700, 10.0, 0.12), (1300, 14.0, -0.08), (2200, 6.0, 0.1)), seed=6),
)


def echo_of(far: Audio, taps: Audio, delay: int, slips: tuple[tuple[int, int], ...] = ()) -> Audio:
    """What comes back of `far` after `delay` samples. `slips`: from there on so much later."""
    coded = through_ulaw(far)
    size = 1 << int(len(coded) + len(taps)).bit_length()
    back = np.fft.irfft(np.fft.rfft(coded, size) * np.fft.rfft(taps, size), size)[: len(coded)]
    late = np.full(len(far), delay)
    for at, more in slips:
        late[at:] += more
    index = np.arange(len(far)) - late
    return np.where(index >= 0, back[np.maximum(index, 0)], 0.0)


def through_ulaw(audio: Audio) -> Audio:
    samples = np.clip(np.rint(audio), -32768, 32767).astype(np.int16)
    return g711.ULAW_DECODE[g711.ulaw_encode(samples)].astype(np.float64)


def coded(audio: Audio) -> g711.Bytes:
    """Whole frames of mu-law, (frames, 160)."""
    samples = np.clip(np.rint(audio), -32768, 32767).astype(np.int16)
    return g711.ulaw_encode(samples[: len(samples) // FRAME * FRAME]).reshape(-1, FRAME)


def hiss(seconds: float, seed: int, dbm0: float = -65.0) -> Audio:
    return at_level(np.random.default_rng(seed).standard_normal(int(seconds * RATE)), dbm0)


def cancel(
    fars: list[Audio],
    mics: list[Audio],
    *,
    suppress: bool = True,
    into: EchoCanceller | None = None,
) -> list[Audio]:
    """Run legs side by side: `fars` is what the office says, `mics` what their lines bring."""
    count = len(fars)
    canceller = into or EchoCanceller()
    canceller.suppress = suppress
    for slot in range(count):
        if into is None:
            canceller.open(slot)
    sent = np.stack([coded(far) for far in fars])
    come = np.stack([coded(mic) for mic in mics])
    made = np.empty(come.shape)
    missing = np.zeros(count, np.bool_)
    before = np.full((count, FRAME), g711.ULAW_SILENCE, np.uint8)
    for frame in range(come.shape[1]):
        ulaw = come[:, frame].copy()
        pcm = g711.ULAW_FLOAT[ulaw]
        canceller.tick(ulaw, pcm, before, missing)
        before = sent[:, frame]
        made[:, frame] = g711.ULAW_DECODE[ulaw]
    return list(made.reshape(count, -1))


def erle_db(mic: Audio, made: Audio, start_s: float, end_s: float) -> float:
    """Echo return loss enhancement: how much less of it is left."""
    a, b = int(start_s * RATE), int(end_s * RATE)
    return level_dbm0(mic[a:b]) - level_dbm0(made[a:b])
