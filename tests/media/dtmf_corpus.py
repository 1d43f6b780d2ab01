"""Seeded key sequences with the impairments of ITU-T Q.24, ES 201 235-3 and beyond.

`ROWS` names each row with its kind: every key of a `must` row has to be found, none of a
`mustnot` row, and nothing else in either; `info` rows go beyond the standards.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from appliance.media import dtmf, g711

Audio = npt.NDArray[np.float64]
RATE = 8000


@dataclass(frozen=True)
class Row:
    name: str
    kind: Literal["must", "mustnot", "info"]
    on: float = 50
    off: float = 50
    level: float = -10
    twist: float = 0
    low: float = 0
    """Deviation of the low group in per cent, and `low_hz` on top."""
    high: float = 0
    hz: float = 0
    ramp: float = 0
    on_to: float = 0
    hole: float = 0
    law: str = "u"
    after: tuple[Callable[[Audio, np.random.Generator], Audio], ...] = field(default=())
    slips: tuple[str, float] | None = None


def tone(hz: float, dbm0: float, count: int) -> Audio:
    time = np.arange(count) / RATE
    result: Audio = 2**0.5 * g711.dbm0_to_rms(dbm0) * np.sin(2 * np.pi * hz * time)
    return result


def noise(snr: float, level: float = -10) -> Callable[[Audio, np.random.Generator], Audio]:
    """White noise `snr` dB below the power of both tones together."""
    rms = g711.dbm0_to_rms(level + 3.01 - snr)
    return lambda audio, random: audio + random.normal(0, rms, len(audio))


def under(*tones: tuple[float, float]) -> Callable[[Audio, np.random.Generator], Audio]:
    def add(audio: Audio, random: np.random.Generator) -> Audio:
        for hz, level in tones:
            audio = audio + tone(hz, level, len(audio))
        return audio

    return add


def echo(ms: float, db: float) -> Callable[[Audio, np.random.Generator], Audio]:
    def add(audio: Audio, random: np.random.Generator) -> Audio:
        delay = int(ms * 8)
        out = audio.copy()
        out[delay:] += audio[:-delay] * 10 ** (-db / 20)
        return out

    return add


def impulses(per_second: float, dbm0: float) -> Callable[[Audio, np.random.Generator], Audio]:
    def add(audio: Audio, random: np.random.Generator) -> Audio:
        out = audio.copy()
        peak = g711.dbm0_to_rms(dbm0) * 2**0.5
        for _ in range(int(len(audio) / RATE * per_second)):
            at = int(random.integers(0, len(audio) - 8))
            out[at : at + 4] += peak * random.choice((-1, 1)) * np.array((1, -0.6, 0.3, -0.1))
        return out

    return add


def loss(percent: float, how: str) -> Callable[[Audio, np.random.Generator], Audio]:
    def drop(audio: Audio, random: np.random.Generator) -> Audio:
        out = audio.copy()
        for start in range(160, len(audio) - 160, 160):
            if random.random() < percent / 100:
                last = out[start - 160 : start]
                if how == "zero":
                    out[start : start + 160] = 0
                elif how == "repeat":
                    out[start : start + 160] = last
                else:
                    out[start : start + 160] = last * np.linspace(1, 0.5, 160)
        return out

    return drop


def slips(audio: Audio, random: np.random.Generator) -> Audio:
    pieces = []
    for start in range(0, len(audio), 1600):
        piece = audio[start : start + 1600]
        cut = int(random.integers(1, 5))
        pieces.append(
            piece[cut:] if random.random() < 0.5 else np.concatenate((piece[:cut], piece))
        )
    return np.concatenate(pieces)


def _rows() -> list[Row]:
    rows = [
        Row("clean50/50 -10 a", "must", law="a"),
        Row("clean50/50 -10 u", "must"),
        Row("min 40/40", "must", 40, 40),
        Row("min 40/30 (NTT)", "must", 40, 30),
        Row("40 on 25 off", "info", 40, 25),
        Row("slow 200-400 ramp 5ms", "must", 200, 200, ramp=5, on_to=400),
    ]
    for low in (1.5, -1.5):
        for high in (1.5, -1.5):
            rows.append(Row(f"freq {low:+}/{high:+}% 50/50", "must", low=low, high=high))
    for low in (1.8, -1.8):
        for high in (1.8, -1.8):
            rows.append(Row(f"freq {low:+}/{high:+}% 50/50", "must", low=low, high=high))
    rows.append(Row("freq +-(1.5%+2Hz) 40/40", "must", 40, 40, low=1.5, high=-1.5, hz=2))
    for off in (2.5, 3.0, 3.5, 4.0):
        kind: Literal["mustnot", "info"] = "mustnot" if off >= 3.5 else "info"
        rows.append(Row(f"freq reject low {off}%", kind, low=off))
        rows.append(Row(f"freq reject high {off}%", kind, high=off))
        rows.append(Row(f"freq reject both {off}%", kind, low=-off, high=off))
    for twist, must in (
        (-8, True),
        (-6, True),
        (4, True),
        (6, False),
        (8, False),
        (-10, False),
        (-12, False),
    ):
        rows.append(Row(f"twist {twist:+} dB 50/50", "must" if must else "info", twist=twist))
    for level in (0, -3, -25, -27, -29, -33, -36, -40, -50):
        kinds = "must" if level in (-3, -25, -27) else "info"
        rows.append(Row(f"level {level} dBm0/tone 50/50", kinds, level=level))
    rows.append(Row("level -55 dBm0/tone 50/50", "mustnot", level=-55))
    rows += [
        Row(f"short {on} ms", "mustnot" if on < 24 else "info", on, 60)
        for on in (20, 23, 25, 30, 35, 38)
    ]
    rows += [
        Row(f"interrupted {hole} ms in 100", "must" if hole <= 10 else "info", 100, 100, hole=hole)
        for hole in (5, 10, 15, 20)
    ]
    rows += [
        Row(f"awgn snr {snr} dB 50/50", "must" if snr >= 12 else "info", after=(noise(snr),))
        for snr in (24, 18, 15, 12, 10, 8, 6, 4)
    ]
    for snr in (15, 10):
        for twist in (-8, 4):
            rows.append(
                Row(
                    f"awgn snr {snr} dB 40/40 1.5% twist{twist:+}",
                    "info",
                    40,
                    40,
                    low=1.5,
                    high=-1.5,
                    twist=twist,
                    after=(noise(snr),),
                )
            )
    rows += [
        Row(f"impulses 4/s {level} dBm0", "info", after=(impulses(4, level),))
        for level in (-15, -5, 0)
    ]
    for name, tones, key_level in (
        ("dialtone 350+440 at -25", ((350, -25), (440, -25)), -15),
        ("dialtone 350+440 at -15", ((350, -15), (440, -15)), -15),
        ("dialtone 350+440 at -10", ((350, -10), (440, -10)), -15),
        ("dialtone 425 at -15", ((425, -15),), -15),
        ("dialtone 425 at -8", ((425, -8),), -15),
        ("dialtone 400+450 at -15", ((400, -15), (450, -15)), -15),
        ("dialtone 440+480 at -15", ((440, -15), (480, -15)), -15),
        ("hum 50+150 Hz at -15", ((50, -15), (150, -15)), -20),
    ):
        rows.append(
            Row(f"{name} dBm0, dtmf {key_level}", "info", level=key_level, after=(under(*tones),))
        )
    rows += [Row(f"echo {ms} ms -10 dB 50/50", "must", after=(echo(ms, 10),)) for ms in (5, 10, 20)]
    rows += [
        Row(f"loss {percent}% {how} 100/80", "info", 100, 80, after=(loss(percent, how),))
        for percent in (1, 3, 5)
        for how in ("zero", "repeat", "fade")
    ]
    rows.append(Row("sample slip +-1..4 every 200 ms", "info", after=(slips,)))
    return rows


ROWS = _rows()


def sequence(row: Row, count: int) -> tuple[g711.Samples, str]:
    """`count` keys of a row as coded and decoded audio, and the keys that it holds."""
    random = np.random.default_rng(zlib.crc32(row.name.encode()))
    pieces: list[Audio] = [np.zeros(8000 + int(random.integers(0, 160)))]
    sent = ""
    for index in range(count):
        key = dtmf.KEYS[index % 16] if random.random() < 0.7 or not sent else sent[-1]
        at = dtmf.KEYS.index(key)
        on = row.on if not row.on_to else random.uniform(row.on, row.on_to)
        samples = int(on * 8)
        low = dtmf.LOW[at // 4] * (1 + row.low / 100) + row.hz * np.sign(row.low)
        high = dtmf.HIGH[at % 4] * (1 + row.high / 100) + row.hz * np.sign(row.high)
        time = np.arange(samples) / RATE
        phase = random.uniform(0, 2 * np.pi, 2)
        # Twist is the high group relative to the low one; the stronger tone has the level.
        low_level = row.level - max(row.twist, 0)
        high_level = row.level + min(row.twist, 0)
        audio = 2**0.5 * (
            g711.dbm0_to_rms(low_level) * np.sin(2 * np.pi * low * time + phase[0])
            + g711.dbm0_to_rms(high_level) * np.sin(2 * np.pi * high * time + phase[1])
        )
        if row.ramp:
            slope = np.linspace(0, 1, int(row.ramp * 8))
            audio[: len(slope)] *= slope
            audio[-len(slope) :] *= slope[::-1]
        if row.hole:
            start = int(random.uniform(20, row.on - 20 - row.hole) * 8)
            audio[start : start + int(row.hole * 8)] = 0
        gap = np.zeros(int(row.off * 8) + (int(random.integers(0, 40)) if row.off > 40 else 0))
        pieces += [audio, gap]
        sent += key
    whole = np.concatenate([*pieces, np.zeros(1600)])
    for change in row.after:
        whole = change(whole, random)
    return code(whole, row.law), sent


def code(audio: Audio, law: str = "u") -> g711.Samples:
    samples = np.clip(audio.round(), -32768, 32767).astype(np.int16)
    if law == "a":
        return g711.alaw_decode(g711.alaw_encode(samples))
    return g711.ulaw_decode(g711.ulaw_encode(samples))


def detect(streams: list[g711.Samples]) -> list[str]:
    """Run the detector over several streams at once; the digits heard in each."""
    count = len(streams)
    detector = dtmf.DtmfDetector(count)
    length = max(len(stream) for stream in streams) // 160 + 1
    pcm = np.zeros((length, count, 160), np.int16)
    for leg, stream in enumerate(streams):
        whole = np.zeros(length * 160, np.int16)
        whole[: len(stream)] = stream
        pcm[:, leg] = whole.reshape(length, 160)
    heard = [""] * count
    slots = np.arange(count)
    for frame in pcm:
        for slot, digit in detector.process(frame, slots):
            heard[slot] += digit
    return heard


def score(sent: str, heard: str) -> tuple[int, int]:
    """Keys found in order (longest common subsequence) and keys too many."""
    rows = [[0] * (len(heard) + 1) for _ in range(len(sent) + 1)]
    for i, a in enumerate(sent):
        for j, b in enumerate(heard):
            rows[i + 1][j + 1] = rows[i][j] + 1 if a == b else max(rows[i][j + 1], rows[i + 1][j])
    found = rows[-1][-1]
    return found, len(heard) - found
