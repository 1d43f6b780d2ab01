"""Signals that are lone steady tones: fax, special information tones, an answering machine's beep,
and call waiting's alert for caller ID.

Standards and what is heard of them:

- fax calling tone CNG (ITU-T T.30): 1100 Hz +-38 Hz, 0.5 s on, 3 s off, each +-15 %. Two bursts
  that fit each other make one; speech and music have single ones.
- called tone CED (T.30) and answer tone ANS (V.25): 2100 Hz +-15 Hz, for 2.6 to 4 s; heard after
  `CED_MS`. ANSam (V.8), and ANS for echo cancellers (G.168), turn their phase every 450 ms +-25 ms.
- special information tone (ITU-T E.180, Q.35): 950, 1400, 1800 Hz +-50 Hz, 330 ms +-70 ms each, at
  most 30 ms apart. North America's (Telcordia GR-1162) have 913.8 or 985.2, 1370.6 or 1428.5 and
  1776.7 Hz of 274 or 380 ms, which tell why.
- the alert of caller ID, CAS or DT-AS (GR-30-CORE, EN 300 659-2): 2130 + 2750 Hz +-0.5 %, 80 ms
  in a call, 100 ms before one.
- the beep of an answering machine is whatever stands still for 0.14 to 2.5 s and then stops.

How it works. Looks of `spectrum` that continue each other in frequency and phase are a run. A run
that ends is a segment: its mean frequency, its duration (Hann windows half a length apart add up to
a constant, so the sum of a tone's amplitudes is its duration) and its level. All decisions are
about a leg's last segments. A turn of the phase ends a run, and so do a voice's glides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.dsp.spectrum import BIN_HZ, FRAME, RATE, Look
from appliance.media.protocol import Fax, Sit

TICK_MS: Final = 20.0
Signal = Sit | Fax | Literal["beep", "cas"]
SITS: Final[tuple[Sit, ...]] = get_args(Sit)

CNG_HZ: Final = 1100.0
CED_HZ: Final = 2100.0
CNG_PERIOD_MS: Final = (2975.0, 4025.0)
"""500 + 3000 ms, each +-15 %."""
CNG_MS: Final = (360.0, 600.0)
"""500 ms +-15 %, and what noise takes of its ends: a window on either side."""
CED_MS: Final = 2000.0
"""T.30 sends 2600 at least. ANSam turns four times in it, and music holds no note so long."""
REVERSAL_MS: Final = (335.0, 495.0)
"""450 ms +-25 ms, of which the turns themselves spoil two windows on either side."""
SIT_HZ: Final = (950.0, 1400.0, 1800.0)
SIT_MS: Final = (235.0, 425.0)
SIT_LONG_MS: Final = 327.0
"""Between the 274 ms and the 380 ms of North America."""
SIT_GAP_MS: Final = 70.0
"""30 ms, and two windows that hold parts of both tones."""
_LOW_HIGH: Final = ((913.8, 985.2), (1370.6, 1428.5))
_CLASSES: Final[dict[str, Sit]] = {
    "ls ls": "sit_intercept",
    "hl ls": "sit_vacant",
    "ls hl": "sit_reorder",
    "hs ll": "sit_reorder",
    "hl hl": "sit_no_circuit",
    "ll ll": "sit_no_circuit",
}
"""Low or high, short or long, of the first and the second segment."""
BEEP_MS: Final = (140.0, 2500.0)
BEEP_HZ: Final = (350.0, 2600.0)
BEEP_MIN_DBM0: Final = -36.0
BEEP_PURITY: Final = 0.93
"""Of its mean window: beeps are clean, and speech's stillest vowels have 0.9."""
BEEP_DROP_DB: Final = 12.0
"""So much quieter is what follows a beep."""
CAS_HZ: Final = (2130.0, 2750.0)
CAS_MS: Final = (56.0, 128.0)
"""75 to 85 ms, and 90 to 110 ms before on-hook data in Europe, each less a window in noise."""
CAS_TWIST_DB: Final = 7.0
CAS_DEVIATION: Final = 0.008
CAS_PURITY: Final = 0.85
CAS_MIN_DBM0: Final = -38.0

MAX_STEP_HZ: Final = 12.0
"""From the run's mean to its next window; noise 8 dB below moves it by less than 2."""
MAX_TURN: Final = 1.1
"""Radians that a phase may be beside what the frequency foretells: a third of a reversal."""
MAX_SPREAD_HZ: Final = 14.0
LEVEL_SPREAD_DB: Final = 6.0
"""Between segments of one signal: 3 dB as sent (Q.35), and a line's slope."""
_KEEP: Final = 4
_FORGET_TICKS: Final = 260
"""A CNG's period and a half: older segments tell nothing."""

_F64 = npt.NDArray[np.float64]
_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A steady tone that is over. Times are ticks, durations ms."""

    hz: float
    ms: float
    dbm0: float
    spread: float
    purity: float
    begin: int
    end: int


class _Track:
    """The run of one leg and its last segments."""

    __slots__ = ("_begin", "_count", "_high", "_hz", "_low", "_mass", "_peak", "_phase",
                 "_purity", "_said", "_segments", "_waiting")  # fmt: skip

    def __init__(self) -> None:
        self._count = 0
        self._segments: list[Segment] = []
        self._said: set[Signal] = set()
        self._waiting: Segment | None = None
        """A segment that is a beep if silence follows it."""

    def idle(self, tick: int) -> bool:
        segments = self._segments
        return self._count == 0 and (not segments or tick - segments[-1].end > _FORGET_TICKS)

    def step(
        self, tick: int, hz: float, dbm0: float, purity: float, phase: float, power: float
    ) -> list[Signal]:
        """The next look; `hz` 0 where there is no tone."""
        found: list[Signal] = []
        if self._waiting is not None and tick >= self._waiting.end + 2:
            waiting, self._waiting = self._waiting, None
            if power <= waiting.dbm0 - BEEP_DROP_DB:
                found.append("beep")
        if self._count and not self._continues(hz, phase):
            self._over(tick, found)
        if hz > 0.0:
            self._add(tick, hz, dbm0, purity, phase)
            lasting = self._count * TICK_MS >= CED_MS and self._is(CED_HZ, 15.0)
            if lasting and self._still() and "ansam" not in self._said:
                self._say("ced", found)
        return found

    def _continues(self, hz: float, phase: float) -> bool:
        if hz <= 0.0:
            return False
        mean = self._hz / self._count
        turn = phase - self._phase - 2 * np.pi * mean * TICK_MS / 1000
        # The first windows still hold the slope, which bends both.
        early = self._count <= 2
        return abs(hz - mean) <= MAX_STEP_HZ * (2 if early else 1) and (
            early or bool(abs((turn + np.pi) % (2 * np.pi) - np.pi) <= MAX_TURN)
        )

    def _add(self, tick: int, hz: float, dbm0: float, purity: float, phase: float) -> None:
        amplitude = 10 ** (dbm0 / 20)
        if self._count == 0:
            self._begin, self._hz, self._mass, self._purity = tick, 0.0, 0.0, 0.0
            self._peak = 0.0
            self._low, self._high = np.inf, -np.inf
        elif self._count == 1:
            # From here on all of the window is the tone.
            self._hz = hz
        self._count += 1
        self._hz += hz
        self._mass += amplitude
        self._peak = max(self._peak, amplitude)
        self._purity += purity
        self._phase = phase
        if self._count > 1:
            self._low, self._high = min(self._low, hz), max(self._high, hz)

    def _is(self, hz: float, within: float) -> bool:
        # Two hertz for the measurement, and a sound card's clock.
        return abs(self._hz / self._count - hz) <= within + 2.0

    def _still(self) -> bool:
        return self._high - self._low <= MAX_SPREAD_HZ

    def _over(self, tick: int, found: list[Signal]) -> None:
        count, self._count = self._count, 0
        if count < 3:
            return
        segment = Segment(
            self._hz / count,
            self._mass / self._peak * TICK_MS,
            20 * float(np.log10(self._peak)),
            self._high - self._low,
            self._purity / count,
            self._begin,
            tick,
        )
        if self._segments and tick - self._segments[-1].end > _FORGET_TICKS:
            self._segments.clear()
            self._said.clear()
        self._segments = [*self._segments[1 - _KEEP :], segment]
        sit = special_information(self._segments[-3:])
        if sit is not None:
            self._say(sit, found)
        elif _is_cng(self._segments):
            # With each burst again: it may be that nobody could do anything about the last.
            found.append("cng")
        elif _is_ansam(self._segments[-2:]):
            self._say("ansam", found)
        if _is_beep(segment):
            self._waiting = segment

    def _say(self, signal: Signal, found: list[Signal]) -> None:
        """Once for each signal; SIT may come again with each announcement."""
        if signal not in self._said:
            self._said.add(signal)
            found.append(signal)


def special_information(segments: list[Segment]) -> Sit | None:
    """The class of three segments that are a special information tone."""
    if len(segments) < 3:
        return None
    for segment, hz in zip(segments, SIT_HZ, strict=True):
        if abs(segment.hz - hz) > 52.0 or not SIT_MS[0] <= segment.ms <= SIT_MS[1]:
            return None
        if segment.spread > 2 * MAX_SPREAD_HZ:
            return None
    for before, after in pairwise(segments):
        if (after.begin - before.end) * TICK_MS > SIT_GAP_MS - TICK_MS:
            return None
        if abs(after.dbm0 - before.dbm0) > LEVEL_SPREAD_DB:
            return None
    word = ""
    for segment, (low, high) in zip(segments[:2], _LOW_HIGH, strict=True):
        beside = abs(segment.hz - low), abs(segment.hz - high)
        # 0.2 % as sent; 1.5 % leaves room for what is between, 950 and 1400 Hz themselves.
        if min(beside) > 0.015 * low:
            return "sit"
        word += "lh"[beside[1] < beside[0]] + "sl"[segment.ms > SIT_LONG_MS] + " "
    return _CLASSES.get(word.strip(), "sit")


def _is_cng(segments: list[Segment]) -> bool:
    """Two bursts a period apart, alike in all."""
    bursts = [segment for segment in segments if _cng_burst(segment)]
    if len(bursts) < 2 or bursts[-1] is not segments[-1]:
        return False
    first, last = bursts[-2:]
    return (
        CNG_PERIOD_MS[0] <= (last.begin - first.begin) * TICK_MS <= CNG_PERIOD_MS[1]
        and abs(first.hz - last.hz) <= 8.0
        and abs(first.dbm0 - last.dbm0) <= LEVEL_SPREAD_DB
    )


def _cng_burst(segment: Segment) -> bool:
    return (
        abs(segment.hz - CNG_HZ) <= 40.0
        and CNG_MS[0] <= segment.ms <= CNG_MS[1]
        and segment.spread <= MAX_SPREAD_HZ
    )


def _is_ansam(segments: list[Segment]) -> bool:
    """Two pieces of 2100 Hz between turns of its phase; the first may have begun before us."""
    if len(segments) < 2:
        return False
    first, last = segments
    return (
        all(abs(segment.hz - CED_HZ) <= 17.0 for segment in segments)
        and REVERSAL_MS[0] <= last.ms <= REVERSAL_MS[1]
        and first.ms >= 100.0
        and (last.begin - first.end) * TICK_MS <= 60.0
        and abs(first.dbm0 - last.dbm0) <= LEVEL_SPREAD_DB
    )


def _is_beep(segment: Segment) -> bool:
    return (
        BEEP_HZ[0] <= segment.hz <= BEEP_HZ[1]
        and BEEP_MS[0] <= segment.ms <= BEEP_MS[1]
        and segment.dbm0 >= BEEP_MIN_DBM0
        and segment.purity >= BEEP_PURITY
        and segment.spread <= MAX_SPREAD_HZ
    )


class Signals:
    """All legs' tracks. `process` is called once a tick with the look at the same slots."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._cas: dict[int, tuple[float, float]] = {}
        """Sum and peak of the alert's amplitude, of legs that hear it now."""

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        self._tracks.pop(slot, None)
        self._cas.pop(slot, None)

    def process(self, look: Look, slots: _I64, tick: int) -> list[tuple[int, Signal]]:
        """Signals that became certain; each once until the leg was quiet for 5 s, but CNG with each
        of its bursts."""
        found: list[tuple[int, Signal]] = []
        tonal = look.hz > 0.0
        if self._tracks:
            known = np.array([slot in self._tracks for slot in slots.tolist()])
            tonal = tonal | known
        for row in np.flatnonzero(tonal).tolist():
            slot = int(slots[row])
            track = self._tracks.get(slot)
            if track is None:
                track = self._tracks[slot] = _Track()
            found += [
                (slot, signal)
                for signal in track.step(
                    tick,
                    float(look.hz[row]),
                    float(look.dbm0[row]),
                    float(look.purity[row]),
                    float(look.phase[row]),
                    float(look.power[row]),
                )
            ]
            if track.idle(tick):
                del self._tracks[slot]
        if len(look.rows):
            self._alert(look, slots, found)
        elif self._cas:
            self._end_alert(list(self._cas), found)
        return found

    def _alert(self, look: Look, slots: _I64, found: list[tuple[int, Signal]]) -> None:
        amplitude = alert_amplitude(look.spectrum)
        on = amplitude > 0.0
        for index in np.flatnonzero(on).tolist():
            slot = int(slots[look.rows[index]])
            mass, peak = self._cas.get(slot, (0.0, 0.0))
            value = float(amplitude[index])
            self._cas[slot] = mass + value, max(peak, value)
        if self._cas:
            here = set(slots[look.rows[on]].tolist())
            heard = set(slots.tolist())
            self._end_alert([s for s in self._cas if s not in here and s in heard], found)

    def _end_alert(self, ended: list[int], found: list[tuple[int, Signal]]) -> None:
        for slot in ended:
            mass, peak = self._cas.pop(slot)
            if CAS_MS[0] <= mass / peak * TICK_MS <= CAS_MS[1]:
                found.append((slot, "cas"))


_CAS_BINS: Final = tuple(round(hz / BIN_HZ) for hz in CAS_HZ)


def alert_amplitude(spectrum: npt.NDArray[Any]) -> _F64:
    """Of each row the amplitude (arbitrary scale) of the alert's weaker tone, 0 where it is not."""
    total = spectrum.sum(axis=1)
    parts = [spectrum[:, at - 2 : at + 3] for at in _CAS_BINS]
    powers = np.stack([part.sum(axis=1) for part in parts])
    weaker: _F64 = powers.min(axis=0).astype(np.float64)
    on = (powers.sum(axis=0) >= CAS_PURITY * total) & (
        powers.max(axis=0) <= 10 ** (CAS_TWIST_DB / 10) * weaker
    )
    for at, part, hz in zip(_CAS_BINS, parts, CAS_HZ, strict=True):
        # The mean of the bins about a tone, weighed by their power, is its place.
        mean = (part * np.arange(at - 2, at + 3)).sum(axis=1) / np.maximum(part.sum(axis=1), 1.0)
        on &= np.abs(mean * BIN_HZ - hz) <= CAS_DEVIATION * hz
    return np.where(on & (weaker >= _CAS_LEAST), np.sqrt(weaker), 0.0)


_CAS_LEAST: Final = float(g711.dbm0_to_rms(CAS_MIN_DBM0) ** 2 * 2 * FRAME * 0.375 * 2 * FRAME / 2)


# --- sending --------------------------------------------------------------------------------


def tone(hz: tuple[float, ...], ms: float, dbm0: float) -> _F64:
    """Tones together on the 16-bit scale, each of that level, with a slope of a millisecond."""
    time = np.arange(int(ms * RATE / 1000)) / RATE
    sound: _F64 = np.zeros(len(time))
    for one in hz:
        sound += g711.dbm0_to_rms(dbm0) * 2**0.5 * np.sin(2 * np.pi * one * time)
    slope = np.linspace(0, 1, 8)
    sound[:8] *= slope
    sound[-8:] *= slope[::-1]
    return sound


def alert(dbm0: float = -15.0) -> _F64:
    """The alert of off-hook caller ID (CAS)."""
    return tone(CAS_HZ, 80, dbm0)


def information_tone(kind: Sit = "sit", dbm0: float = -24.0) -> _F64:
    """A special information tone; the plain one is that of E.180."""
    word = next((word for word, name in _CLASSES.items() if name == kind), None)
    if word is None:
        return np.concatenate([tone((hz,), 330, dbm0) for hz in SIT_HZ])
    pieces = [
        tone((pair["lh".index(part[0])],), (274, 380)["sl".index(part[1])], dbm0)
        for part, pair in zip(word.split(), _LOW_HIGH, strict=True)
    ]
    return np.concatenate([*pieces, tone((1776.7,), 380, dbm0)])
