"""The one tone that a leg may be hearing: where it is, how pure and how loud, for all legs at once.

Fax tones, special information tones, the beep of an answering machine and call waiting's alert are
single tones or pairs whose place matters. All that hear them read the same look of this module:
40 ms Hann windows each 20 ms, their strongest frequency (to 0.6 Hz at 10 dB above noise), and the
share of the power that it and its nearest neighbours have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711

RATE: Final = 8000
FRAME: Final = 160
WINDOW: Final = 2 * FRAME
BIN_HZ: Final = RATE / WINDOW
MIN_LEVEL_DBM0: Final = -43.0
"""The weakest tone that any standard here wants heard, CNG at -43 dBm0 (T.30 through a loss)."""
MIN_PURITY: Final = 0.8
"""Below this nothing is a tone: its own four bins, of all power. Noise 8 dB below has 0.86."""
_BESIDE: Final = 2

_F64 = npt.NDArray[np.float64]
_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Look:
    """Of each row: `hz` of its strongest tone, 0 where there is no pure one; `dbm0` its level;
    `purity` its share of the power; `power` of the whole frame in dBm0; `spectrum` the power of
    each bin as (rows, 161), for those who look for pairs, with `rows` that have one."""

    hz: _F64
    dbm0: _F64
    purity: _F64
    power: _F64
    phase: _F64
    """Of the tone at the window's start, radians; turns by `hz` from tick to tick."""
    rows: _I64
    spectrum: npt.NDArray[Any]


_HANN: Final = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(
    np.float32
)
_GAIN: Final = float(np.sum(_HANN.astype(np.float64) ** 2))
"""Sum of a window's power bins, both sides, relative to the signal's power times the window's
length: Parseval."""
_QUIET: Final = float(g711.dbm0_to_rms(MIN_LEVEL_DBM0) ** 2)


class Spectrum:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._frame = np.zeros((capacity, FRAME), np.float32)

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        more = capacity - len(self._frame)
        if more > 0:
            self._frame = np.pad(self._frame, ((0, more), (0, 0)))

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        self._frame[slot] = 0

    def process(self, pcm: npt.NDArray[Any], slots: _I64) -> Look:
        """Look at the last 40 ms of each of `slots`; `pcm` is (legs, 160)."""
        count = len(slots)
        window = np.empty((count, WINDOW), np.float32)
        window[:, :FRAME] = self._frame[slots]
        window[:, FRAME:] = pcm[slots]
        self._frame[slots] = window[:, FRAME:]
        squared = np.einsum("ij,ij->i", window[:, FRAME:], window[:, FRAME:]) / FRAME
        hz, dbm0, purity, phase = np.zeros((4, count))
        power = level_dbm0(squared)
        rows = np.flatnonzero(squared > _QUIET / 2)
        if not len(rows):
            return Look(hz, dbm0, purity, power, phase, rows, np.empty((0, WINDOW // 2 + 1), "f4"))
        bins: npt.NDArray[Any] = np.fft.rfft(window[rows] * _HANN, axis=1)
        spectrum = bins.real**2 + bins.imag**2
        every = np.arange(len(rows))
        # Below 200 Hz there is hum, which is no tone of anybody's.
        best: _I64 = spectrum[:, 8:156].argmax(axis=1) + 8
        near = spectrum[every[:, None], best[:, None] + np.arange(-_BESIDE, _BESIDE + 1)]
        total = spectrum.sum(axis=1)
        purity[rows] = near.sum(axis=1) / np.maximum(total, 1.0)
        dbm0[rows] = level_dbm0(2 * near.sum(axis=1) / (_GAIN * WINDOW))
        place = _place(bins, best)
        hz[rows] = np.where(purity[rows] >= MIN_PURITY, place * BIN_HZ, 0.0)
        # A bin beside the tone sees its phase turned by half a circle a bin.
        phase[rows] = np.angle(bins[every, best]) - np.pi * (place - best)
        return Look(hz, dbm0, purity, power, phase, rows, spectrum)


def _place(bins: npt.NDArray[Any], best: _I64) -> _F64:
    """Of the tone, in bins, from the strongest bin and its neighbours. For a Hann window the ratio
    of two neighbours tells the place between them (Grandke's interpolation), exactly so for a lone
    tone."""
    every = np.arange(len(best))
    magnitude = np.abs(bins)
    left, mid, right = (magnitude[every, best + step].astype(np.float64) for step in (-1, 0, 1))
    upper = right >= left
    other = np.where(upper, right, left)
    ratio = other / np.maximum(mid, 1e-9)
    beside = (2 * ratio - 1) / (ratio + 1)
    result: _F64 = best + np.where(upper, beside, -beside)
    return result


def level_dbm0(power: npt.NDArray[Any]) -> _F64:
    """Mean squares on the 16-bit scale as dBm0; silence is -90."""
    result: _F64 = 10 * np.log10(np.maximum(power, _FLOOR) / g711.RMS_0DBM0**2)
    return result


_FLOOR: Final = g711.RMS_0DBM0**2 * 1e-9
