"""Packet-loss concealment of the class of ITU-T G.711 Appendix I, for all legs at once.

What the last pitch periods before a loss sound like is repeated: one period for 10 ms, two for the
next 10 ms, then three, so that it does not buzz; joined by overlap-add over a quarter of a period;
unchanged for 10 ms, then 20 % weaker every 10 ms until nothing is left after 60 ms.

The recommendation delays all sound by 3.75 ms to be able to smooth the last samples before a loss.
Here nothing is delayed: the step at the seam is spread over the first quarter period instead. The
whole 60 ms are made when a loss begins, since most of the cost is in finding the pitch; frames and
the overlap into the first good samples are slices of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media.slots import widen, windows

HISTORY: Final = 390
"""Samples before the loss that are needed: three longest periods and a quarter (I.2.2)."""
LENGTH: Final = 480
"""60 ms: from here on there is nothing to hear (I.2.7)."""
MAX_OVERLAP: Final = 80
_PLAIN: Final = 80
_SHORTEST: Final = 40
_LONGEST: Final = 120
"""5 to 15 ms: 200 to 66 Hz (I.2.3)."""
_WINDOW: Final = 160
_MIN_POWER: Final = 250.0
"""Per sample; keeps the search from finding pitch in next to nothing."""
_ROOM: Final = 640
_FRAME: Final = 160
_STEP: Final = 80
"""Samples by which past and future are brought in step."""
_REACH: Final = 24
"""A frame is warped by so many samples at most: 15 %."""
_BRIEF: Final = _FRAME + _STEP + _REACH
_ALIKE: Final = 0.6

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]


def gain() -> _F32:
    """Of each sample since the loss began, `_ROOM` long (I.2.7)."""
    time = np.arange(_ROOM)
    return np.clip(1 - 0.2 * (time - _PLAIN) / 80, 0, 1).astype(np.float32)


def find_period(history: _F32) -> _I64:
    """Pitch period in samples of each row of (n, 390): where the last 20 ms are most like what
    came 5 to 15 ms before, by cross-correlation with normalised energy, first at half the rate."""
    half = history[:, HISTORY - _WINDOW - _LONGEST :: 2]
    size = _WINDOW // 2
    template = half[:, -size:]
    # Window `j` begins _LONGEST - 2 j samples before the template.
    candidates = windows(half, size)[:, : (_LONGEST - _SHORTEST) // 2 + 1]
    product = np.einsum("njk,nk->nj", candidates, template)
    total = np.cumsum(half * half, axis=1, dtype=np.float64)
    energy = total[:, size - 1 :].copy()
    energy[:, 1:] -= total[:, :-size]
    energy = np.maximum(energy[:, : candidates.shape[1]], _MIN_POWER * size)
    coarse = _LONGEST - 2 * np.argmax(product / np.sqrt(energy), axis=1)

    template = history[:, -_WINDOW:]
    lags = np.clip(coarse[:, None] + np.array((1, 0, -1)), _SHORTEST, _LONGEST)
    at = HISTORY - _WINDOW - lags[:, :, None] + np.arange(_WINDOW)
    near = _pick(history, at.reshape(len(history), -1)).reshape(at.shape)
    product = np.einsum("njk,nk->nj", near, template)
    energy = np.maximum(np.einsum("njk,njk->nj", near, near), _MIN_POWER * _WINDOW)
    best = np.argmax(product / np.sqrt(energy), axis=1)
    return np.take_along_axis(lags, best[:, None], axis=1)[:, 0]


def _correlate(pieces: _F32, template: _F32) -> _F32:
    """(n, lags): normalised, 1 is equal."""
    product = np.einsum("njk,nk->nj", pieces, template)
    energy = np.einsum("njk,njk->nj", pieces, pieces)
    own = np.einsum("nk,nk->n", template, template)
    alike: _F32 = product / np.sqrt((energy + 1) * (own + 1)[:, None])
    return alike


def _pick(rows: _F32, at: _I64) -> _F32:
    """`rows[i, at[i, j]]`: a flat gather is twice as fast as `take_along_axis`."""
    start = np.arange(0, rows.size, rows.shape[1])[:, None]
    found: _F32 = rows.reshape(-1).take(at + start, mode="clip")
    return found


def _cycle(history: _F32, length: _I64, overlap: _I64, phase: _I64, count: int) -> _F32:
    """The last `length` samples of each row over and over, from `phase` on. The last `overlap` of
    them turn into what came before the first, so that the seam is not heard."""
    tail = HISTORY - _LONGEST // 4
    time = np.arange(tail, HISTORY)
    weight = np.maximum(time - HISTORY + overlap[:, None], 0) / overlap[:, None].astype(np.float32)
    smooth = history.copy()
    before = _pick(history, np.maximum(time - length[:, None], 0))
    smooth[:, tail:] += weight.astype(np.float32) * (before - history[:, tail:])
    at = (phase[:, None] + np.arange(count)) % length[:, None]
    return _pick(smooth, at + (HISTORY - length)[:, None])


def extend(history: _F32, count: int = LENGTH) -> tuple[_F32, _I64]:
    """How each row of (n, 390) may go on for 60 ms, (n, 480), and the pitch periods. With less
    than `LENGTH` only so much of it is made."""
    period = find_period(history)
    quarter = period // 4
    made = np.empty((len(history), count), np.float32)
    zero = np.zeros(len(history), np.int64)
    # Each part runs on for the longest overlap into the next.
    tail = _LONGEST // 4
    one = _cycle(history, period, quarter, zero, _PLAIN + tail)
    phase_two = _PLAIN % period
    two = _cycle(history, 2 * period, quarter, phase_two, _PLAIN + tail)
    phase_three = (phase_two + _PLAIN) % (2 * period)
    three = _cycle(history, 3 * period, quarter, phase_three, count - 2 * _PLAIN)
    fade = np.clip(np.arange(tail) / quarter[:, None], 0, 1).astype(np.float32)
    made[:, :_PLAIN] = one[:, :_PLAIN]
    made[:, _PLAIN : 2 * _PLAIN] = two[:, :_PLAIN]
    made[:, 2 * _PLAIN :] = three
    made[:, _PLAIN : _PLAIN + tail] += (1 - fade) * (one[:, _PLAIN:] - two[:, :tail])
    made[:, 2 * _PLAIN : 2 * _PLAIN + tail] += (1 - fade) * (two[:, _PLAIN:] - three[:, :tail])
    before = _pick(history, (HISTORY - 1 - period)[:, None])
    made[:, :tail] += (1 - fade) * (history[:, -1:] - before)
    return made, period


class Concealer:
    """What `capacity` legs would have said, for those that are losing something."""

    def __init__(self, capacity: int) -> None:
        # Room for it is taken when the first of all legs loses something.
        self._made = np.zeros((0, _ROOM), np.int16)
        self._quarter = np.zeros(capacity, np.int64)
        self._gain = gain()

    def reserve(self, capacity: int) -> None:
        if len(self._made):
            self._made = widen(self._made, capacity)
        self._quarter = widen(self._quarter, capacity)

    def _take_room(self) -> None:
        if not len(self._made):
            self._made = widen(self._made, len(self._quarter))

    def begin(self, slots: _I64, history: _F32, brief: bool = False) -> None:
        """A loss begins for these; (n, 390) samples came before it. It is `brief` if `bridge` will
        end it after one frame."""
        self._take_room()
        count = _BRIEF if brief else LENGTH
        made, period = extend(history, count)
        made *= self._gain[:count]
        self._made[slots, :count] = np.clip(made, -32124, 32124)
        self._quarter[slots] = period // 4

    def take(self, slots: _I64, since: _I64, count: int) -> tuple[_F32, _F32]:
        """`count` <= 160 samples from `since` samples after the loss began, and how much of the
        sound that stands for: the rest up to 1 is to be the room's noise."""
        # Who said that it would be silent comes here without a loss that began.
        self._take_room()
        at = np.minimum(since, LENGTH)[:, None] + np.arange(count)
        return self._made[slots[:, None], at].astype(np.float32), self._gain[at]

    def bridge(self, slots: _I64, since: _I64, future: _F32) -> _F32:
        """The 160 samples between what was made up so far and `future` (n, 160), which is there
        already when the delay has room for it: better than the recommendation, which cannot see it.

        What the past would become is warped a little so that it arrives in step with the future,
        and turns by and by into what the future seems to have been before.
        """
        period = 4 * self._quarter[slots]
        at = np.minimum(since, LENGTH - _FRAME)[:, None] + np.arange(_BRIEF)
        past = self._made[slots[:, None], at].astype(np.float32)
        alike = _correlate(windows(past[:, _FRAME - _REACH :], _STEP), future[:, :_STEP])
        shift = np.arange(-_REACH, _REACH + 1)
        alike[np.abs(shift)[None, :] > period[:, None] // 2] = -1
        best = np.argmax(alike, axis=1)
        sure = np.take_along_axis(alike, best[:, None], axis=1)[:, 0] > _ALIKE
        time = np.arange(_FRAME)
        where = time * (1 + np.where(sure, shift[best], 0) / _FRAME)[:, None]
        whole = where.astype(np.int64)
        part = (where - whole).astype(np.float32)
        left = _pick(past, whole)
        made = left + part * (_pick(past, whole + 1) - left)

        lags = np.arange(_SHORTEST, _LONGEST + 1)
        alike = _correlate(windows(future[:, _SHORTEST:], 40), future[:, :40])
        alike[np.abs(lags[None, :] - period[:, None]) > period[:, None] // 5] = -1
        period = lags[np.argmax(alike, axis=1)]
        before = _pick(future, (time - _FRAME) % period[:, None])
        step = future[:, :1] - _pick(future, period[:, None])
        quarter = (period // 4)[:, None]
        before += step * np.clip((time - _FRAME + quarter) / quarter, 0, 1).astype(np.float32)
        made += (time / _FRAME).astype(np.float32) * (before - made)
        return made

    def overlap(self, slots: _I64, since: _I64) -> _I64:
        """Samples in which a loss that lasted `since` samples turns into the good ones: a quarter
        period, and 4 ms more for each 10 ms after the first, 10 ms at most (I.2.8)."""
        longer = self._quarter[slots] + 32 * np.maximum(since // 80 - 1, 0)
        return np.where(since < LENGTH, np.minimum(longer, MAX_OVERLAP), MAX_OVERLAP // 2)
