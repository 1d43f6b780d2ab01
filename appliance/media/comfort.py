"""Comfort noise: what a leg sounds like while its far end sends nothing.

A far end with silence suppression says so with comfort noise packets (RFC 3389): a level and, if
it likes, reflection coefficients of the noise's spectrum. One that simply stops is heard as the
quietest it has been lately, so that the line does not go dead in the middle of a room's noise.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.slots import widen, windows

TAPS: Final = 32
_TABLE: Final = 1 << 16
_APART: Final = 7919
"""Legs read the table this far from each other: no two sound alike."""
_MAX_ORDER: Final = 10
_MAX_POLE: Final = 0.95
"""Reflection coefficients are kept below: a filter that rings for ever is no noise."""
OVERLOAD_RMS: Final = 32124.0
"""0 dBov of mu-law: a square wave of full load (RFC 3389 section 3)."""
MAX_FLOOR_DBM0: Final = -50.0
"""A far end that was never quiet is not followed by noise louder than this."""
_MIN_RMS: Final = 3.0
"""Less than mu-law can say."""
_RISE: Final = 1.06
"""The floor's power may rise by this per look: 3 dB in 2 s."""
_BIAS: Final = 1.4
"""The quietest of many frames of a steady noise has so much less power than all of them."""
LISTEN_TICKS: Final = 8

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]


def _tables() -> tuple[_F32, _F32]:
    """White noise, and noise that falls with frequency as rooms do; both of RMS 1, a little longer
    than `_TABLE` so that no reader has to wrap within a frame."""
    # numpy's own generators would stay in memory with megabytes.
    source = random.Random(3389)
    white = np.fromiter((source.gauss(0, 1) for _ in range(_TABLE)), np.float64, _TABLE)
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(_TABLE, 1 / 8000)
    # Hoth's room noise (IEEE 269): about 5 dB less per octave, and nothing below the phone band.
    shape = (np.maximum(hz, 100) / 500) ** -0.83 * np.clip(hz / 200, 0, 1)
    room = np.fft.irfft(spectrum * shape, _TABLE)
    room /= np.sqrt(np.mean(room * room))
    extra = 512
    return tuple(np.concatenate((t, t[:extra])).astype(np.float32) for t in (white, room))  # type: ignore[return-value]


@lru_cache(maxsize=256)
def parse(payload: bytes) -> tuple[float, _F32 | None] | None:
    """RMS on the 16-bit scale, and the first `TAPS` of the impulse response that colours white
    noise, of power 1; None without coefficients. None for an empty payload."""
    if not payload:
        return None
    rms = OVERLOAD_RMS * 10 ** (-(payload[0] & 0x7F) / 20)
    reflections = [
        min(max((value - 127) / 127, -_MAX_POLE), _MAX_POLE)
        for value in payload[1 : 1 + _MAX_ORDER]
    ]
    if not any(reflections):
        return rms, None
    # Reflection coefficients to a direct-form predictor (Levinson's step-up).
    poly = np.ones(1)
    for k in reflections:
        wider = np.append(poly, 0.0)
        poly = wider + k * wider[::-1]
    taps = np.zeros(TAPS)
    taps[0] = 1.0
    for n in range(1, TAPS):
        past = taps[max(0, n - len(poly) + 1) : n][::-1]
        taps[n] = -np.dot(poly[1 : 1 + len(past)], past)
    taps /= np.sqrt(np.sum(taps * taps))
    return rms, taps.astype(np.float32)


class ComfortNoise:
    """The noise of `capacity` legs."""

    def __init__(self, capacity: int) -> None:
        self._white, self._room = _tables()
        self._power: _F32 = np.full(capacity, np.inf, np.float32)
        """Of the quietest frames lately; infinite before the first."""
        self._announced: _F32 = np.zeros(capacity, np.float32)
        """RMS that the far end asked for."""
        self._coloured = np.zeros(capacity, np.bool_)
        self._taps: _F32 = np.zeros((capacity, TAPS), np.float32)
        self._gain: _F32 = np.zeros(capacity, np.float32)
        """RMS of the last frame made."""

    def reserve(self, capacity: int) -> None:
        self._power = widen(self._power, capacity, np.inf)
        self._announced = widen(self._announced, capacity)
        self._coloured = widen(self._coloured, capacity)
        self._taps = widen(self._taps, capacity)
        self._gain = widen(self._gain, capacity)

    def reset(self, slot: int) -> None:
        self._power[slot] = np.inf
        self._announced[slot] = self._gain[slot] = 0.0
        self._coloured[slot] = False

    def announce(self, slot: int, payload: bytes) -> bool:
        """The far end's own description of its noise; False when it is none."""
        found = parse(payload[: 1 + _MAX_ORDER])
        if found is None:
            return False
        rms, taps = found
        self._announced[slot] = rms
        self._coloured[slot] = taps is not None
        if taps is not None:
            self._taps[slot] = taps
        return True

    def listen(self, pcm: _F32, real: npt.NDArray[np.bool_]) -> None:
        """Every `LISTEN_TICKS`, follow the noise floors: (n, 160) samples of all legs, of which
        only those that are `real` count."""
        mean = pcm.mean(axis=1)
        power = np.einsum("ij,ij->i", pcm, pcm) / pcm.shape[1] - mean * mean
        known = self._power[: len(pcm)]
        # A floor of nothing could not rise by a factor.
        risen = np.maximum(known * np.float32(_RISE), np.float32(1.0))
        now = np.minimum(np.maximum(power, 0), risen)
        known[:] = np.where(real, now, known)

    def floor(self, slots: _I64) -> _F32:
        """RMS of each leg's own noise."""
        power = self._power[slots]
        rms = np.sqrt(np.where(np.isfinite(power), _BIAS * power, 0))
        return np.minimum(rms, g711.dbm0_to_rms(MAX_FLOOR_DBM0)).astype(np.float32)

    def wanted(self, slots: _I64, announced: npt.NDArray[np.bool_]) -> _F32:
        """RMS that these legs should have now."""
        rms = np.where(announced, self._announced[slots], self.floor(slots))
        return np.where(rms < _MIN_RMS, 0, rms).astype(np.float32)

    def start(self, slots: _I64, rms: _F32) -> None:
        """Noise begins at this level at once."""
        self._gain[slots] = rms

    def level(self, slots: _I64) -> _F32:
        return self._gain[slots]

    def follow(self, slots: _I64, rms: _F32) -> _F32:
        """Level at each sample of a frame in which the noise goes half of the way to `rms`."""
        old = self._gain[slots]
        new = old + (rms - old) / 2
        new = np.where((rms == 0) & (new < _MIN_RMS), 0, new).astype(np.float32)
        self._gain[slots] = new
        ramp = np.linspace(0, 1, 160, dtype=np.float32)
        return (old[:, None] + (new - old)[:, None] * ramp).astype(np.float32)

    def make(
        self, slots: _I64, position: _I64, count: int, announced: npt.NDArray[np.bool_]
    ) -> _F32:
        """(n, count) of noise of RMS 1; what follows in position follows in sound."""
        at = (position + slots * _APART) % _TABLE
        made: _F32 = self._room[at[:, None] + np.arange(count)]
        rows = np.flatnonzero(announced & self._coloured[slots])
        if len(rows):
            reach = np.arange(count + TAPS - 1)
            white = self._white[at[rows, None] + reach]
            taps = self._taps[slots[rows], ::-1]
            made[rows] = np.einsum("ntk,nk->nt", windows(white, TAPS), taps)
        rows = np.flatnonzero(announced & ~self._coloured[slots])
        if len(rows):
            made[rows] = self._white[at[rows, None] + np.arange(count)]
        return made
