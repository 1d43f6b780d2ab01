"""2100 Hz whose phase turns round each 450 ms: a modem answers, and wants no echo canceller.

Standard: ITU-T G.164 and G.165 (2100 +-21 Hz, from -31 dBm0 on, turns of 180 +-25 degrees). Looked
at in pieces of 10 ms, which hold 21 periods, so that the phase of the tone stands still.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711

PIECE: Final = 80
PURE: Final = 0.7
"""Share of the power that is the tone's."""
TONE_PIECES: Final = 30
"""The tone has to be this old (300 ms) when its phase turns."""
TURN: Final = np.pi * 0.65
_LEAST: Final = float(g711.dbm0_to_rms(-31.0) ** 2)
_TUNE: Final = (np.exp(-2j * np.pi * 2100 / 8000 * np.arange(PIECE)) * (2**0.5 / PIECE)).astype(
    np.complex64
)
"""Its product with a tone of this frequency has the tone's power as its square."""

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]
_C64 = npt.NDArray[np.complex64]
_Bool = npt.NDArray[np.bool_]


class Reversals:
    """Finds 2100 Hz whose phase turns round, in both directions of all legs."""

    def __init__(self) -> None:
        self.past: _C64 = np.zeros((0, 2, 3), np.complex64)
        self.age: _I64 = np.zeros((0, 2), np.int64)
        """Pieces of the tone in a row; the one that holds a turn is no tone and does not end it."""
        self.gap: _I64 = np.zeros((0, 2), np.int64)

    def hear(self, frames: _F32, power: _F32) -> _Bool:
        """`frames` (legs, 2, 160) and their power: whether there was a turn in one of the two."""
        count = len(frames)
        past, age, gap = self.past[:count], self.age[:count], self.gap[:count]
        tuned = frames.reshape(count, 2, -1, PIECE) @ _TUNE
        strong = tuned.real**2 + tuned.imag**2 > PURE * np.maximum(power, _LEAST)[..., None]
        found = np.zeros((count, 2), np.bool_)
        if not strong.any() and not age.any():
            return found[:, 0]
        for i in range(tuned.shape[2]):
            # The piece before may hold the turn itself. The advance from piece to piece is known
            # from the two before that, so a tone which is a little off is no turn.
            older, old, pure = past[..., 0], past[..., 1], strong[..., i]
            turn = tuned[..., i] * np.conj(old) * np.conj(old * np.conj(older)) ** 2
            found |= pure & (age > TONE_PIECES) & (np.abs(np.angle(turn)) > TURN)
            gap[:] = np.where(pure, 0, gap + 1)
            age[:] = np.where(gap > 1, 0, age + pure)
            past[..., :2] = past[..., 1:]
            past[..., 2] = tuned[..., i]
        turned: _Bool = found[:, 0] | found[:, 1]
        return turned
