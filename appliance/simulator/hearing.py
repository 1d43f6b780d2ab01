"""What a caller makes of the sound in the receiver: level, speech, quiet, call progress, keys.

Each 20 ms frame is correlated with a few known frequencies (Goertzel's measure: the share of the
frame's power that lies at that frequency). On frames named "tone X", "sound" or "quiet" the
cadences are told apart.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.simulator.countries import Country, ProgressTone
from appliance.simulator.sound import (
    COLUMNS,
    FRAME,
    FRAME_MS,
    KEYS,
    PEAK_0_DBM0,
    RATE,
    ROWS,
    SILENCE_DBM0,
    Samples,
)

Waves = npt.NDArray[np.complex128]

QUIET_DBM0: Final = -42.0
"""Below this a frame counts as quiet: above the noise of 8-bit linear samples, below speech."""

TONE_SHARE: Final = 0.75
"""Part of a frame's power in the tone's frequencies for it to be that tone."""


def _probes(frequencies: Sequence[float], count: int = FRAME) -> Waves:
    t = np.arange(count, dtype=np.float64) * (2 * math.pi / RATE)
    probes: Waves = np.exp(-1j * np.outer(np.asarray(frequencies, dtype=np.float64), t))
    return probes


def tone_level_dbm0(pcm: Samples, hz: float) -> float:
    """Level of the sine at `hz` over the whole of `pcm` (resolution: 8000 / length)."""
    if len(pcm) == 0:
        return SILENCE_DBM0
    amplitude = 2 * abs((_probes([hz], len(pcm)) @ pcm.astype(np.float64))[0]) / len(pcm)
    if amplitude <= 0:
        return SILENCE_DBM0
    return max(SILENCE_DBM0, 20 * math.log10(float(amplitude) / PEAK_0_DBM0))


class KeyReceiver:
    """Hears DTMF keys in a stream of frames; made for clean lines, reports a key at its second
    frame and again only after a frame without it."""

    def __init__(self) -> None:
        self._probes = _probes(ROWS + COLUMNS)
        self._last: str | None = None
        self._count = 0

    def hear(self, frame: Samples) -> str | None:
        """The key that began with this frame's predecessor, if one did."""
        key = self._key(frame.astype(np.float64))
        self._count = self._count + 1 if key is not None and key == self._last else 1
        self._last = key
        return key if key is not None and self._count == 2 else None

    def _key(self, wave: npt.NDArray[np.float64]) -> str | None:
        energy = float(wave @ wave)
        if energy < FRAME * (PEAK_0_DBM0 * 10 ** (-40 / 20)) ** 2 / 2:
            return None
        shares = np.square(np.abs(self._probes @ wave)) * (2 / FRAME) / energy
        row, column = int(np.argmax(shares[:4])), int(np.argmax(shares[4:]))
        if shares[row] < 0.1 or shares[4 + column] < 0.1:
            return None
        if shares[row] + shares[4 + column] < TONE_SHARE:
            return None
        return KEYS[row * 4 + column]


class Ear:
    """Listens to one call. `now` is the time of the frame's start, milliseconds.

    Reads: `level` (dBm0 of the last 200 ms), `progress` ("dial", "ringback", "busy" or None),
    `quiet_ms`, `sound_ms` (how long it is quiet, or has been not quiet and no progress tone,
    gaps up to 300 ms forgiven), `last_ringback` (when a ringback burst was last on).
    """

    GAP_MS: Final = 300

    def __init__(self, country: Country) -> None:
        self._tones = {"dial": country.dial, "ringback": country.ringback, "busy": country.busy}
        found = sorted({hz for tone in self._tones.values() for hz in tone.hz})
        self._probes = _probes(found)
        self._places = {
            name: [found.index(hz) for hz in tone.hz] for name, tone in self._tones.items()
        }
        self._powers: deque[float] = deque(maxlen=10)
        self._runs: deque[tuple[frozenset[str], int]] = deque(maxlen=8)
        self._run: frozenset[str] = frozenset()
        self._run_ms = 0
        self.progress: str | None = None
        self.quiet_ms = 0
        self.sound_ms = 0
        self._gap_ms = 0
        self.last_ringback: int | None = None

    def forget(self) -> None:
        """Somebody answered: what was heard before no longer tells anything."""
        self._runs.clear()
        self._run, self._run_ms = frozenset(), 0
        self.progress = None
        self.quiet_ms = self.sound_ms = self._gap_ms = 0
        self.last_ringback = None

    @property
    def level(self) -> float:
        """dBm0 of the last 200 ms."""
        power = sum(self._powers) / max(1, len(self._powers)) / (PEAK_0_DBM0**2 / 2)
        return max(SILENCE_DBM0, 10 * math.log10(power)) if power > 0 else SILENCE_DBM0

    def hear(self, frame: Samples, now: int) -> None:
        wave = frame.astype(np.float64)
        energy = float(wave @ wave)
        self._powers.append(energy / FRAME)
        quiet = energy < FRAME * (PEAK_0_DBM0 * 10 ** (QUIET_DBM0 / 20)) ** 2 / 2
        tones: frozenset[str] = frozenset()
        if not quiet:
            shares = np.square(np.abs(self._probes @ wave)) * (2 / FRAME) / energy
            tones = frozenset(
                name
                for name, places in self._places.items()
                if sum(shares[place] for place in places) > TONE_SHARE
                and min(shares[place] for place in places) > 0.15
            )
        self._follow_cadence(tones, now)
        self._follow_sound(quiet, bool(tones))

    def _follow_sound(self, quiet: bool, tone: bool) -> None:
        self.quiet_ms = self.quiet_ms + FRAME_MS if quiet else 0
        if not quiet and not tone:
            self.sound_ms += FRAME_MS + self._gap_ms * (self.sound_ms > 0)
            self._gap_ms = 0
            return
        self._gap_ms += FRAME_MS
        if self._gap_ms > self.GAP_MS:
            self.sound_ms = 0

    def _follow_cadence(self, tones: frozenset[str], now: int) -> None:
        if tones == self._run:
            self._run_ms += FRAME_MS
        else:
            self._runs.append((self._run, self._run_ms))
            self._run, self._run_ms = tones, FRAME_MS
        if "ringback" in tones and self.progress != "busy":
            self.last_ringback = now
        heard = [name for name, tone in self._tones.items() if self._matches(name, tone)]
        if heard:
            self.progress = heard[0]
        elif self._run_ms > 6000 or (not tones and self.sound_ms > 500):
            self.progress = None

    def _matches(self, name: str, tone: ProgressTone) -> bool:
        if not tone.cadence:
            return name in self._run and self._run_ms >= 2200
        wanted = 2 if name == "busy" else 1
        past = [run for run in self._runs if run[1] > 2 * FRAME_MS]
        on_off = past[-2 * wanted :] if name in self._run else past[-2 * wanted + 1 :]
        if len(on_off) < 2 * wanted - (name not in self._run):
            return False
        bursts = [ms for kinds, ms in on_off if name in kinds]
        gaps = [ms for kinds, ms in on_off if not kinds]
        if len(bursts) + len(gaps) != len(on_off) or not bursts:
            return False
        return all(_near(ms, tone.cadence[0::2]) for ms in bursts) and all(
            _near(ms, tone.cadence[1::2]) for ms in gaps
        )


def _near(ms: int, wanted: Sequence[int]) -> bool:
    return any(abs(ms - one) <= max(60, one * 0.2) for one in wanted)
