"""How fast the far end's clock runs against ours, in ppm, for all legs at once.

Each leg's own time (RTP timestamps, or samples that a line has given) is held against our ticks.
Of each ten seconds the mean of those arrivals counts that are not much later than the earliest,
since jitter can only be late; through those a line is laid by least squares that forgets in a
quarter of an hour. Packets are seen once a tick: one minute tells 300 ppm, five tell 20.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media.slots import widen

LOOK_TICKS: Final = 25
BLOCK_LOOKS: Final = 20
_BLOCK_SAMPLES: Final = LOOK_TICKS * BLOCK_LOOKS * 160
_KEEP: Final = 0.99
"""Of the weight of what is known, per block of ten seconds."""
_MIN_BLOCKS: Final = 6.0
"""Weight of blocks from which a figure is given: a minute."""
_JUMP: Final = 1600
"""A step of 200 ms is no drift: another clock, or another way through the network."""
_STRAY: Final = 480
"""The same for the earliest of a block against the line so far."""
_NEAR: Final = 240
"""Arrivals within 30 ms of the earliest are counted: ticks are coarse, their mean is finer."""
_NEVER: Final = 1 << 60

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]


class DriftMeter:
    """State of `capacity` legs."""

    def __init__(self, capacity: int) -> None:
        self._ours = np.full(capacity, -1, np.int64)
        """Our time of the last look, -1 before the first."""
        self._theirs = np.zeros(capacity, np.int64)
        self._lag = np.zeros(capacity, np.int64)
        """Our time minus theirs since the start; falls when theirs runs fast."""
        self._least = np.full(capacity, _NEVER, np.int64)
        """The smallest of this block."""
        self._sum = np.zeros(capacity, np.int64)
        self._count = np.zeros(capacity, np.int64)
        """Of what was seen in this block, as far as it was near the smallest."""
        self._looks = 0
        self._weight: _F64 = np.zeros(capacity)
        self._t: _F64 = np.zeros(capacity)
        self._tt: _F64 = np.zeros(capacity)
        self._y: _F64 = np.zeros(capacity)
        self._ty: _F64 = np.zeros(capacity)
        """Weighted sums; time in blocks, 0 at the newest."""

    def reserve(self, capacity: int) -> None:
        self._ours = widen(self._ours, capacity, -1)
        self._theirs = widen(self._theirs, capacity)
        self._lag = widen(self._lag, capacity)
        self._least = widen(self._least, capacity, _NEVER)
        self._sum = widen(self._sum, capacity)
        self._count = widen(self._count, capacity)
        for name in ("_weight", "_t", "_tt", "_y", "_ty"):
            setattr(self, name, widen(getattr(self, name), capacity))

    def reset(self, slots: _I64 | int) -> None:
        self._ours[slots] = -1
        self._lag[slots] = self._sum[slots] = self._count[slots] = 0
        self._least[slots] = _NEVER
        for sums in (self._weight, self._t, self._tt, self._y, self._ty):
            sums[slots] = 0

    def look(self, ours: _I64, theirs: _I64, fresh: npt.NDArray[np.bool_]) -> None:
        """Every `LOOK_TICKS`: their 32-bit time of the newest packet and our time, both in
        samples, when it came; those that are not `fresh` have nothing new to say."""
        count = len(ours)
        known = fresh & (self._ours[:count] >= 0)
        moved = ((theirs - self._theirs[:count] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        step = ours - self._ours[:count] - moved
        jumped = known & (np.abs(step) > _JUMP)
        if jumped.any():
            self.reset(np.flatnonzero(jumped))
        self._lag[:count] += np.where(known & ~jumped, step, 0)
        self._ours[:count] = np.where(fresh, ours, self._ours[:count])
        self._theirs[:count] = np.where(fresh, theirs, self._theirs[:count])
        lag, least = self._lag[:count], self._least[:count]
        least[fresh] = np.minimum(least, lag)[fresh]
        near = fresh & (lag <= least + _NEAR)
        self._sum[:count][near] += lag[near]
        self._count[:count] += near
        self._looks += 1
        if self._looks % BLOCK_LOOKS == 0:
            self._end_block(count)

    def _end_block(self, count: int) -> None:
        part = slice(0, count)
        some = self._count[part] > 0
        y = self._sum[part] / np.maximum(self._count[part], 1)
        slope, level = self._line(part)
        stray = some & (self._weight[part] >= 3) & (np.abs(y - level - slope) > _STRAY)
        if stray.any():
            self.reset(np.flatnonzero(stray))
            some &= ~stray
        weight, t, tt = self._weight[part], self._t[part], self._tt[part]
        sum_y, ty = self._y[part], self._ty[part]
        # The newest block was at time 0 and is now at -1.
        tt += weight - 2 * t
        ty -= sum_y
        t -= weight
        for sums in (weight, t, tt, sum_y, ty):
            sums *= _KEEP
        weight += some
        sum_y += np.where(some, y, 0)
        self._least[part] = _NEVER
        self._sum[part] = self._count[part] = 0

    def _line(self, part: slice) -> tuple[_F64, _F64]:
        """Slope per block, and level at the newest block."""
        weight, t, tt = self._weight[part], self._t[part], self._tt[part]
        y, ty = self._y[part], self._ty[part]
        spread = weight * tt - t * t
        sure = spread > 0.5
        slope = np.where(sure, (weight * ty - t * y) / np.where(sure, spread, 1), 0.0)
        level = np.where(weight > 0, (y - slope * t) / np.where(weight > 0, weight, 1), 0.0)
        return slope, level

    def ppm(self, slot: int) -> float | None:
        """By how much the far end's clock is faster than ours; None before a minute of it."""
        if self._weight[slot] < _MIN_BLOCKS * 0.95:
            return None
        slope, _ = self._line(slice(slot, slot + 1))
        return float(-slope[0] / _BLOCK_SAMPLES * 1e6)
