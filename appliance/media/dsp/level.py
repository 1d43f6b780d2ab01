"""How loud people speak, and the slow hand that evens it out.

`SpeechLevel` is method B of ITU-T P.56: the power while somebody speaks, pauses left out. The
envelope (two stages of 30 ms) is compared with thresholds 6 dB apart, each with a hang-over of
200 ms; the active level is where it lies 15.9 dB above the threshold that gave it. Here the
envelope is looked at each 5 ms instead of each sample, which changes the level by less than 0.1 dB.

`Agc` turns a leg up or down to -18 dBm0 of active speech, by 12 dB at most. It learns from frames
with a voice in them only, so noise and pauses are never pumped up, moves by a few dB in a second,
and a limiter keeps what it lifts below the clipping of G.711.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711

RATE: Final = 8000
FRAME: Final = 160
MARGIN_DB: Final = 15.9
"""P.56: between the active level and its threshold."""
TIME_S: Final = 0.03
HANGOVER_S: Final = 0.2
_PART: Final = 40
_PARTS: Final = FRAME // _PART
_THRESHOLDS: Final = (2.0 ** np.arange(15)).astype(np.float32)
_EACH: Final = np.arange(_PARTS, dtype=np.int16)[:, None]
_HANG: Final = round(HANGOVER_S * RATE / _PART)

_F32 = npt.NDArray[np.float32]
_F64 = npt.NDArray[np.float64]
_I64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]


def _envelope() -> tuple[_F32, _F64]:
    """(160, 5): rectified samples to the second stage at the end of each part, and to the first at
    the end of the frame; (2, 5): the same from both stages' states before."""
    g = np.exp(-1 / (RATE * TIME_S))
    samples = np.zeros((FRAME, _PARTS + 1))
    states = np.zeros((2, _PARTS + 1))
    index = np.arange(FRAME)
    for part in range(_PARTS):
        at = (part + 1) * _PART
        age = at - 1 - index
        samples[:, part] = np.where(age >= 0, (1 - g) ** 2 * (age + 1) * g ** np.maximum(age, 0), 0)
        states[:, part] = (1 - g) * at * g**at, g**at
    samples[:, _PARTS] = (1 - g) * g ** (FRAME - 1 - index)
    states[0, _PARTS] = g**FRAME
    return samples.astype(np.float32), states


_FROM_SAMPLES, _FROM_STATES = _envelope()


class SpeechLevel:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._stages = np.zeros((capacity, 2))
        self._since = np.full((capacity, len(_THRESHOLDS)), 2 * _HANG, np.int16)
        """Parts since the envelope was above each threshold."""
        self._active = np.zeros((capacity, len(_THRESHOLDS)), np.int64)
        self._squares = np.zeros(capacity)
        self._frames = np.zeros(capacity, np.int64)
        self._shown: dict[int, tuple[float, _I64]] = {}

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        more = capacity - len(self._squares)
        if more > 0:
            for name in ("_stages", "_since", "_active"):
                setattr(self, name, np.pad(getattr(self, name), ((0, more), (0, 0))))
            for name in ("_squares", "_frames"):
                setattr(self, name, np.pad(getattr(self, name), (0, more)))

    def reset(self, slot: int) -> None:
        """A new leg in this slot."""
        self._stages[slot] = self._active[slot] = 0
        self._since[slot] = 2 * _HANG
        self._squares[slot] = self._frames[slot] = 0
        self._shown.pop(slot, None)

    def process(self, pcm: npt.NDArray[Any], slots: _I64) -> None:
        """The next frame; `pcm` is (legs, 160), `slots` its rows to measure."""
        if not len(slots):
            return
        frame = pcm[slots].astype(np.float32, copy=False)
        states = self._stages[slots]
        seen = np.abs(frame) @ _FROM_SAMPLES + states @ _FROM_STATES
        self._stages[slots] = np.stack((seen[:, _PARTS], seen[:, _PARTS - 1]), axis=1)
        # Of each part and threshold the parts since the envelope was above it.
        above = seen[:, :_PARTS, None].astype(np.float32) >= _THRESHOLDS
        since = np.where(above, np.int16(0), np.int16(4 * _HANG)) - _EACH
        since[:, 0] = np.minimum(since[:, 0], self._since[slots] + 1)
        np.minimum.accumulate(since, axis=1, out=since)
        since += _EACH
        self._active[slots] += (since <= _HANG).sum(axis=1)
        self._since[slots] = np.minimum(since[:, -1], 2 * _HANG)
        self._squares[slots] += np.einsum("ij,ij->i", frame, frame)
        self._frames[slots] += 1

    def level(self, slot: int) -> float | None:
        """The active speech level since the leg began, dBm0; None while nobody has spoken."""
        return active_level(float(self._squares[slot]), self._active[slot])

    def lately(self, slot: int) -> float | None:
        """The same since `lately` was asked for last."""
        squares, active = self._shown.get(slot, (0.0, np.zeros(len(_THRESHOLDS), np.int64)))
        self._shown[slot] = float(self._squares[slot]), self._active[slot].copy()
        return active_level(float(self._squares[slot]) - squares, self._active[slot] - active)


def active_level(squares: float, active: _I64) -> float | None:
    """P.56 section 5: from the sum of the squares and the active parts at each threshold."""
    if squares <= 0.0:
        return None
    parts = active > 0
    if not parts.any():
        return None
    levels = 10 * np.log10(squares / (active[parts] * _PART) / g711.RMS_0DBM0**2)
    above = levels - 20 * np.log10(_THRESHOLDS[parts] / g711.RMS_0DBM0)
    if above[0] <= MARGIN_DB:
        return None
    below = np.flatnonzero(above <= MARGIN_DB)
    if not len(below):
        return float(levels[-1])
    at = int(below[0])
    share = (above[at - 1] - MARGIN_DB) / (above[at - 1] - above[at])
    return float(levels[at - 1] + share * (levels[at] - levels[at - 1]))


# --- gain -----------------------------------------------------------------------------------

TARGET_DBM0: Final = -18.0
"""Active speech level in the middle of what telephones send (P.56 in the network: -15 to -25)."""
MAX_GAIN_DB: Final = 12.0
UP_DB: Final = 0.06
DOWN_DB: Final = 0.16
"""A tick: 3 dB and 8 dB in a second of speech. Shouting hurts, whispering can wait."""
DEAD_ZONE_DB: Final = 1.5
"""So near to the target nothing moves."""
MAX_FLOOR_DBM0: Final = -46.0
"""Noise is never lifted above this, whatever the speech would need."""
LIMIT: Final = 29000.0
"""Highest sample after a gain: G.711 clips at 32124."""
RELEASE_DB: Final = 0.5
"""A tick, by which the limiter lets go: 25 dB in a second."""
_LEARN: Final = 1 / 100
"""Weight of one frame of speech in the level: 2 s, as words differ by 10 dB and more."""
_LEARNED: Final = 25
"""Frames of speech before anything moves."""


class Agc:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._power = np.zeros(capacity)
        self._heard = np.zeros(capacity, np.int64)
        self._gain = np.zeros(capacity)
        self._cut = np.zeros(capacity)
        self._last = np.ones(capacity)

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        more = capacity - len(self._power)
        if more > 0:
            for name in ("_power", "_heard", "_gain", "_cut", "_last"):
                setattr(self, name, np.pad(getattr(self, name), (0, more)))

    def reset(self, slot: int) -> None:
        """A new leg in this slot: no gain yet."""
        self._power[slot] = self._heard[slot] = self._gain[slot] = self._cut[slot] = 0
        self._last[slot] = 1

    def gain_db(self, slot: int) -> float:
        return float(self._gain[slot])

    def process(
        self, pcm: npt.NDArray[Any], slots: _I64, speech: _Bool, power: _F64, floor: _F64
    ) -> tuple[_I64, _F32]:
        """Slots whose frame has to change, and what it becomes: (changed, 160).

        `speech`, `power` (dBm0) and `floor` (dBm0) are those of `slots` in this frame.
        """
        heard = self._heard[slots] + speech
        self._heard[slots] = heard
        learn = np.where(heard <= 1 / _LEARN, 1 / np.maximum(heard, 1), _LEARN) * speech
        mean = self._power[slots]
        mean += learn * (10 ** (power / 10) - mean)
        self._power[slots] = mean
        wanted = TARGET_DBM0 - 10 * np.log10(np.maximum(mean, 1e-9))
        wanted = np.minimum(np.clip(wanted, -MAX_GAIN_DB, MAX_GAIN_DB), MAX_FLOOR_DBM0 - floor)
        gain = self._gain[slots]
        error = wanted - gain
        moves = speech & (heard >= _LEARNED) & (np.abs(error) > DEAD_ZONE_DB)
        gain += np.where(moves, np.clip(error, -DOWN_DB, UP_DB), 0.0)
        self._gain[slots] = gain
        frame = pcm[slots]
        peak = np.abs(frame).max(axis=1)
        most = np.where(gain > 0, 20 * np.log10(LIMIT / np.maximum(peak, 1.0)) - gain, 0.0)
        cut = np.minimum(np.minimum(self._cut[slots] + RELEASE_DB, 0.0), most)
        self._cut[slots] = cut
        end = 10 ** ((gain + cut) / 20)
        # What would clip comes down at once, all else slides from frame to frame.
        begin = np.where(most < 0, np.minimum(self._last[slots], end), self._last[slots])
        self._last[slots] = end
        changed = np.flatnonzero((np.abs(begin - 1) > 1e-4) | (np.abs(end - 1) > 1e-4))
        slope = begin[changed, None] + (end - begin)[changed, None] * _RAMP
        return slots[changed], (frame[changed] * slope).astype(np.float32)


_RAMP: Final = (np.arange(FRAME) + 1) / FRAME
