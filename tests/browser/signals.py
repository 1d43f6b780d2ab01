"""Known signals for audio tests: make them, write them as WAV, find them in a recording."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 8000

Samples = npt.NDArray[np.float64]
"""Mono audio at 8 kHz, full scale is 1.0."""


def tone(hertz: float, seconds: float, level_db: float = -12.0) -> Samples:
    """A sine of `level_db` dB relative to a full-scale sine."""
    at = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * hertz * at) * 10 ** (level_db / 20)


def chirp(
    seconds: float, low: float = 300.0, high: float = 3400.0, level_db: float = -12.0
) -> Samples:
    """A linear sweep over the telephone band: its correlation has one sharp peak."""
    at = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (low * at + (high - low) / (2 * seconds) * at**2)
    return np.sin(phase) * 10 ** (level_db / 20)


def speech_like(seconds: float, seed: int = 1, level_db: float = -15.0) -> Samples:
    """Noise with the long-term spectrum of speech in syllables of varying length and loudness.

    Never the same twice within itself, so a part of it is found at one place only; another
    `seed` gives a signal without correlation to this one.
    """
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    # flat to 500 Hz, then 6 dB per octave down (long-term average speech spectrum, ITU-T P.50)
    shape = np.where((hertz > 200) & (hertz < 3500), 1 / np.maximum(1.0, hertz / 500), 0.0)
    noise = np.fft.irfft(spectrum * shape, count)
    loudness = np.zeros(count)
    at = 0
    while at < count:
        syllable, gap = (random.integers(800, 2400), random.integers(160, 800))
        loudness[at : at + syllable] = np.hanning(syllable)[: count - at] * random.uniform(0.5, 1)
        at += syllable + gap
    signal = noise * loudness
    result: Samples = signal / np.max(np.abs(signal)) * 10 ** (level_db / 20) * np.sqrt(2)
    return result


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE))


def write_wav(path: Path, samples: Samples, rate: int = RATE) -> Path:
    """16-bit mono. With `rate` a multiple of 8000 the samples are resampled to it: Chromium's
    fake microphone runs at 48 kHz and converts other rates roughly."""
    if rate != RATE:
        samples = resample(samples, RATE, rate)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> tuple[Samples, int]:
    """(samples, one row a channel if more than one; rate) of a 16-bit WAV."""
    with wave.open(str(path), "rb") as wav:
        raw = np.frombuffer(wav.readframes(wav.getnframes()), "<i2") / 32768
        channels, rate = wav.getnchannels(), wav.getframerate()
    return (raw if channels == 1 else raw.reshape(-1, channels).T), rate


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """The whole signal to another rate by its spectrum (periodic: keep silence at both ends)."""
    count = round(len(samples) * to / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(count // 2 + 1, complex)
    bins = min(len(kept), len(spectrum))
    kept[:bins] = spectrum[:bins]
    result: Samples = np.fft.irfft(kept, count) * (count / len(samples))
    return result


@dataclass(frozen=True, slots=True)
class Found:
    """Where a signal is in a recording.

    `delay_s` is where it starts, `correlation` how alike the two are there (1 is the same up to
    a factor, about 0 is another signal), `gain_db` how much louder it is in the recording.
    """

    delay_s: float
    correlation: float
    gain_db: float


def find(signal: Samples, recording: Samples) -> Found:
    """The place of `signal` in `recording` (both 8 kHz) by normalised cross-correlation.

    The correlation at a place is divided by the energy of the recording under the signal, so a
    loud stranger elsewhere does not win. A signal louder or softer than it was still has 1.
    """
    signal = np.asarray(signal, float)
    recording = np.concatenate([np.asarray(recording, float), np.zeros(len(signal))])
    size = 1 << (len(recording) + len(signal) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(recording, size) * np.conj(np.fft.rfft(signal, size)), size)[
        : len(recording) - len(signal) + 1
    ]
    total = np.concatenate([[0.0], np.cumsum(recording**2)])
    under = total[len(signal) :] - total[: -len(signal)]
    energy = float(np.sum(signal**2))
    # where less than -40 dB of the signal's own energy lies, there is nothing to compare with
    floor = max(float(np.max(under)), energy) * 1e-4 + 1e-12
    alike = np.where(under > floor, product / np.sqrt(np.maximum(under, floor) * energy), 0.0)
    at = int(np.argmax(np.abs(alike)))
    # The peak lies between samples; half a sample beside it a telephone-band signal seems 0.3 dB
    # softer. Both signals are band-limited, so their product may be interpolated.
    near = np.arange(max(0, at - 32), min(len(product), at + 33))
    shifts = np.linspace(-0.5, 0.5, 33)
    peaks = np.sinc(at + shifts[:, None] - near) @ product[near]
    best = int(np.argmax(np.abs(peaks)))
    correlation = 0.0
    if under[at] > floor:
        correlation = float(np.clip(peaks[best] / np.sqrt(under[at] * energy), -1, 1))
    gain = 20 * float(np.log10(max(abs(float(peaks[best])) / energy, 1e-9)))
    return Found((at + float(shifts[best])) / RATE, correlation, gain)


def find_pieces(signal: Samples, recording: Samples, piece_s: float = 0.2) -> list[Found]:
    """Where each piece of `signal` is in `recording`; a delay counts from where the whole signal
    would start, so equal delays mean the same place.

    A browser's jitter buffer stretches and shrinks time by a few milliseconds now and then, which
    ruins the correlation of a long signal but not that of its pieces. Pieces 20 dB below the
    loudest one are left out.
    """
    size = round(piece_s * RATE)
    pieces = [(at, signal[at : at + size]) for at in range(0, len(signal) - size + 1, size)]
    loudest = max(float(np.sum(piece**2)) for _, piece in pieces)
    found = []
    for at, piece in pieces:
        if float(np.sum(piece**2)) > loudest / 100:
            place = find(piece, recording)
            found.append(Found(place.delay_s - at / RATE, place.correlation, place.gain_db))
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a signal arrived: `share` of its pieces that are there without doubt, and the
    medians of those (0 without any)."""

    share: float
    delay_s: float
    gain_db: float


def hear(signal: Samples, recording: Samples, piece_s: float = 0.2) -> Heard:
    """Whether `signal` is in `recording`, on a machine that may have stalled in between.

    Noise and other speech reach a correlation of 0.3 at a piece of 0.2 s; the signal itself
    after G.711 has 0.99, and less only where the jitter buffer has stretched or replaced it.
    """
    pieces = find_pieces(signal, recording, piece_s)
    sure = [piece for piece in pieces if piece.correlation > 0.9]
    if not sure:
        return Heard(0.0, 0.0, 0.0)
    return Heard(
        len(sure) / len(pieces),
        float(np.median([piece.delay_s for piece in sure])),
        float(np.median([piece.gain_db for piece in sure])),
    )


async def until_heard(
    signal: Samples,
    recording: Callable[[], Awaitable[Samples]],
    share: float,
    seconds: float = 15.0,
) -> Heard:
    """What `hear` says as soon as more than this share has come, or at last: sound is on its way
    for a while after it was said. The search does not hold up whoever plays and listens here."""
    heard = await asyncio.to_thread(hear, signal, await recording())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while heard.share <= share:
                await asyncio.sleep(0.2)
                heard = await asyncio.to_thread(hear, signal, await recording())
    return heard


# --- G.711 mu-law -------------------------------------------------------------------------------


def mulaw_decode(data: bytes) -> Samples:
    """ITU-T G.711 mu-law octets as samples, full scale of the code at 32124 / 32768."""
    code = ~np.frombuffer(data, np.uint8).astype(np.int32)
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    result: Samples = np.where(code & 0x80, -magnitude, magnitude) / 32768
    return result


def alaw_decode(data: bytes) -> Samples:
    """ITU-T G.711 A-law octets as samples."""
    code = np.frombuffer(data, np.uint8).astype(np.int32) ^ 0x55
    segment, low = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = np.where(segment == 0, low + 8, low + 0x108 << np.maximum(segment - 1, 0))
    result: Samples = np.where(code & 0x80, magnitude, -magnitude) / 32768
    return result


def mulaw_encode(samples: Samples) -> bytes:
    """Samples as mu-law octets, each the nearest code."""
    codes = np.arange(256, dtype=np.uint8)
    levels = mulaw_decode(codes.tobytes())
    order = np.argsort(levels, kind="stable")
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    return codes[order][np.searchsorted(middles, samples)].tobytes()
