"""What a telephone exchange and a caller's telephone put on a wire.

Linear samples are int16 at 8 kHz in frames of `FRAME`. Levels are dBm0 by the scale of ITU-T G.711:
a sine of peak 32124 (the largest mu-law value) is +3.17 dBm0. The simulated world states its own
codes and tones; it shares none with the product that listens to it.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 8000
FRAME: Final = 160
FRAME_MS: Final = 20
PEAK_0_DBM0: Final = 32124 / 10 ** (3.17 / 20)
SILENCE_DBM0: Final = -90.0

Samples = npt.NDArray[np.int16]
Taps = npt.NDArray[np.float64]
"""An impulse response at 8 kHz."""
SILENCE: Final[Samples] = np.zeros(FRAME, dtype=np.int16)
SILENCE.flags.writeable = False

KEYS: Final = "123A456B789C*0#D"
ROWS: Final = (697.0, 770.0, 852.0, 941.0)
COLUMNS: Final = (1209.0, 1336.0, 1477.0, 1633.0)


def level_dbm0(pcm: npt.NDArray[np.generic]) -> float:
    """RMS level of samples; silence and nothing at all are `SILENCE_DBM0`."""
    if len(pcm) == 0:
        return SILENCE_DBM0
    power = float(np.mean(np.square(pcm.astype(np.float64)))) / (PEAK_0_DBM0**2 / 2)
    return max(SILENCE_DBM0, 10 * math.log10(power)) if power > 0 else SILENCE_DBM0


def hybrid(return_loss_db: float = 8.0, ring_hz: float = 600.0, decay_ms: float = 4.0) -> Taps:
    """What a badly balanced hybrid gives back, 32 ms of it: a sharp start and a ringing tail, as
    the echo paths of ITU-T G.168 annex D have. White noise comes back `return_loss_db` lower."""
    t = np.arange(8 * 32, dtype=np.float64)
    taps = 0.3 * np.exp(-t / (8 * decay_ms)) * np.sin(2 * math.pi * ring_hz / RATE * t)
    taps[2:6] += (-0.3, 1.0, 0.7, -0.2)
    return taps * (10 ** (-return_loss_db / 20) / math.sqrt(float(taps @ taps)))


def to_samples(values: npt.NDArray[np.float64]) -> Samples:
    """Round and clip to int16."""
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def ms_to_samples(ms: float) -> int:
    return round(ms * RATE / 1000)


def silence(ms: float) -> Samples:
    return np.zeros(ms_to_samples(ms), dtype=np.int16)


def tone(frequencies: Sequence[float], ms: float, dbm0: float = -10.0, start: int = 0) -> Samples:
    """Sum of sines, each at `dbm0`. `start` is the sample number it begins at (phase goes on)."""
    t = np.arange(start, start + ms_to_samples(ms), dtype=np.float64) * (2 * math.pi / RATE)
    peak = PEAK_0_DBM0 * 10 ** (dbm0 / 20)
    total = np.zeros(len(t))
    for frequency in frequencies:
        total += peak * np.sin(frequency * t)
    return to_samples(total)


def dtmf(key: str, ms: float = 100, dbm0: float = -10.0, twist_db: float = 2.0) -> Samples:
    """One key press (ITU-T Q.23). The row tone is at `dbm0`, the column tone `twist_db` above.

    Raises ValueError for what is no key.
    """
    place = KEYS.index(key.upper())
    row = tone([ROWS[place // 4]], ms, dbm0).astype(np.float64)
    column = tone([COLUMNS[place % 4]], ms, dbm0 + twist_db)
    return to_samples(row + column)


def chirp(ms: float, low_hz: float = 300, high_hz: float = 3400, dbm0: float = -14.0) -> Samples:
    """A sweep through the telephone band: one sharp peak when correlated with itself."""
    count = ms_to_samples(ms)
    t = np.arange(count, dtype=np.float64) / RATE
    rate = (high_hz - low_hz) / max(1e-9, 2 * ms / 1000)
    peak = PEAK_0_DBM0 * 10 ** (dbm0 / 20)
    return to_samples(peak * np.sin(2 * math.pi * (low_hz * t + rate * t * t)))


def babble(ms: float, seed: int = 0, dbm0: float = -18.0) -> Samples:
    """Speech-like noise: a voiced buzz and formants in syllables of 4 Hz. No tone, no key."""
    generator = np.random.default_rng(seed)
    count = ms_to_samples(ms)
    if count == 0:
        return np.zeros(0, dtype=np.int16)
    noise = generator.standard_normal(count)
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    shape = np.exp(-(((hz - 500) / 350) ** 2)) + 0.4 * np.exp(-(((hz - 1500) / 500) ** 2))
    voice = np.fft.irfft(spectrum * shape, count)
    t = np.arange(count) / RATE
    voice *= 0.15 + np.square(np.sin(math.pi * 4 * t))
    return levelled(to_samples(voice / (np.max(np.abs(voice)) + 1e-9) * 20000), dbm0)


def levelled(pcm: Samples, dbm0: float) -> Samples:
    """The same sound with its RMS at `dbm0`; silence stays silence."""
    now = level_dbm0(pcm)
    if now <= SILENCE_DBM0:
        return pcm
    return to_samples(pcm.astype(np.float64) * 10 ** ((dbm0 - now) / 20))


def resampled(pcm: Samples, rate: int) -> Samples:
    """From `rate` to 8 kHz by cutting or padding the spectrum of the whole sound."""
    if rate == RATE or len(pcm) == 0:
        return pcm
    count = round(len(pcm) * RATE / rate)
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    wanted = np.zeros(count // 2 + 1, dtype=np.complex128)
    shared = min(len(wanted), len(spectrum))
    wanted[:shared] = spectrum[:shared]
    return to_samples(np.fft.irfft(wanted, count) * (count / len(pcm)))


def read_wav(path: Path) -> Samples:
    """First channel of a 16-bit PCM WAV file at 8 kHz. Raises ValueError, OSError."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise ValueError(f"{path}: only 16-bit PCM can be spoken by a caller")
            raw = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            mono = raw[:: file.getnchannels()].astype(np.int16)
            return resampled(mono, file.getframerate())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: not a WAV file ({error})") from None


def write_wav(path: Path, pcm: Samples) -> None:
    """Mono 16-bit PCM at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())


# --- codes of a voice modem's sample stream -------------------------------------------------


def _ulaw_decode_table() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    value = magnitude - 0x84
    return np.where(code & 0x80, -value, value).astype(np.int16)


def _alaw_decode_table() -> Samples:
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    mantissa = (code & 0x0F) << 4
    value = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, value, -value).astype(np.int16)


def _nearest_code(decode: Samples) -> npt.NDArray[np.uint8]:
    """For each of 65536 linear values (index: value + 32768) the code that decodes nearest."""
    order = np.argsort(decode, kind="stable")
    values = decode[order].astype(np.int32)
    edges = (values[:-1] + values[1:] + 1) // 2
    return order[np.searchsorted(edges, np.arange(-32768, 32768), side="right")].astype(np.uint8)


ULAW_DECODE: Final = _ulaw_decode_table()
ALAW_DECODE: Final = _alaw_decode_table()
ULAW_ENCODE: Final = _nearest_code(ULAW_DECODE)
ALAW_ENCODE: Final = _nearest_code(ALAW_DECODE)

CODINGS: Final = ("u8", "s8", "ulaw", "alaw", "s16")


def encode(coding: str, pcm: Samples) -> bytes:
    """Samples as bytes of one of `CODINGS`; 8-bit linear is rounded, not cut off."""
    if coding == "s16":
        return pcm.astype("<i2").tobytes()
    wide = pcm.astype(np.int32)
    if coding in ("u8", "s8"):
        eight = np.clip((wide + 128) >> 8, -128, 127)
        return bytes((eight + 128 if coding == "u8" else eight & 0xFF).astype(np.uint8))
    table = ULAW_ENCODE if coding == "ulaw" else ALAW_ENCODE
    return bytes(table[wide + 32768])


def decode(coding: str, raw: bytes) -> Samples:
    """Bytes of one of `CODINGS` as samples."""
    if coding == "s16":
        return np.frombuffer(raw[: len(raw) & ~1], dtype="<i2").astype(np.int16)
    codes = np.frombuffer(raw, dtype=np.uint8)
    if coding == "u8":
        return ((codes.astype(np.int32) - 128) << 8).astype(np.int16)
    if coding == "s8":
        return (codes.view(np.int8).astype(np.int32) << 8).astype(np.int16)
    return (ULAW_DECODE if coding == "ulaw" else ALAW_DECODE)[codes]
