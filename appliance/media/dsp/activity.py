"""Who is speaking: voice activity of all legs, by power over a noise floor that follows the line.

The floor is the least power of a frame in the last 0.8 to 1.6 s: words have gaps in such a time,
noise has none. A frame is speech when it is `MARGIN_DB` over the floor, and a voice is on from its
second frame in a row (a click has one) until `HANGOVER_MS` after its last. A steady tone becomes
its own floor and is no voice after that time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

TICK_MS: Final = 20
MARGIN_DB: Final = 8.0
"""Frames of steady noise vary by 0.5 dB, and the least of 80 lies 1.3 dB below their mean."""
MIN_DBM0: Final = -48.0
"""Softer than this nobody speaks: idle lines have -55 dBm0 and less (ITU-T G.123: -65 dBm0p)."""
FLOOR_DBM0: Final = -70.0
"""No line is so silent; a codec is."""
HANGOVER_MS: Final = 200
"""As the speech level's (P.56): shorter gaps are part of the word."""
_HALF: Final = 40
"""Ticks of half of the window that the floor is taken from."""

_F64 = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]
_I64 = npt.NDArray[np.int64]


class Activity:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._least = np.zeros((capacity, 2))
        self._run = np.zeros(capacity, np.int64)
        self._left = np.zeros(capacity, np.int64)
        self._age = np.zeros(capacity, np.int64)

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        more = capacity - len(self._run)
        if more > 0:
            self._least = np.pad(self._least, ((0, more), (0, 0)))
            for name in ("_run", "_left", "_age"):
                setattr(self, name, np.pad(getattr(self, name), (0, more)))

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        # Until there is a sound: the first one is taken for the floor.
        self._least[slot] = 0.0
        self._run[slot] = self._left[slot] = self._age[slot] = 0

    def process(self, power: _F64, slots: _I64) -> tuple[_Bool, _Bool]:
        """`power` in dBm0 of this frame of each of `slots`: whether the frame is speech, and
        whether a voice is on, hang-over and all."""
        least = self._least[slots]
        age = self._age[slots] + 1
        turn = age >= _HALF
        least[turn, 1] = least[turn, 0]
        # Silence that a codec made tells nothing of the line before it has been heard at all.
        codec = power <= FLOOR_DBM0
        soft = np.where(codec, np.where(least[:, 0] < 0.0, MIN_DBM0 - MARGIN_DB, 0.0), power)
        least[:, 0] = np.where(turn, soft, np.minimum(least[:, 0], soft))
        self._least[slots] = least
        self._age[slots] = np.where(turn, 0, age)
        speech = power >= np.maximum(least.min(axis=1) + MARGIN_DB, MIN_DBM0)
        run = np.where(speech, self._run[slots] + 1, 0)
        self._run[slots] = run
        left = np.where(run >= 2, HANGOVER_MS // TICK_MS + 1, np.maximum(self._left[slots] - 1, 0))
        self._left[slots] = left
        return speech & (run >= 2), left > 0

    def floor(self, slots: _I64) -> _F64:
        """The noise floor in dBm0."""
        floor: _F64 = self._least[slots].min(axis=1)
        return floor
