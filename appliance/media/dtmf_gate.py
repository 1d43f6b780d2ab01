"""The quick look of the DTMF detector: which legs may hold a key in this frame.

A key that counts lasts longer than two frames less a window's slope, so it fills one frame. So two
matrix products a tick tell who is worth more: each leg's frame under a Hann window, at the lines
of its Fourier series up to 550 Hz and at two places around each of the eight frequencies. The lines
are what is low in it (hum, dial tone); a key's two tones must be most of what is left, less the
noise that was there before. What passes may still be anything.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_F32 = npt.NDArray[np.float32]
_F64 = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]

_WINDOW: Final = 160
_LINES: Final = 11
"""Lines of the Fourier series, 50 Hz apart, that are low: the lowest tone of a key is two more
away, as far as the window smears a tone."""
_TONES: Final = 8
_PLACES: Final = (-0.5, 0.5)
"""Where each tone is looked for, relative to how far it may be beside its frequency."""
_SLACK: Final = 0.9
"""Keys fill the frame, but for a slope at its edge."""
_WEAK: Final = 0.6
"""So much of the least power of a tone is looked at: the window may miss a little of it."""


class Gate:
    """Matrices, and working memory of a tick that is used again."""

    def __init__(
        self,
        hz: _F64,
        rate: int,
        *,
        deviation: float,
        purity: float,
        most_floor: float,
        floor_bias: float,
        share: float,
        amplitude: float,
        energy: float,
    ) -> None:
        """`hz`: four low and four high frequencies, and by what share they may be beside them.
        `purity`, `most_floor`, `floor_bias`, `share` of the weaker tone and least `amplitude` are
        the detector's; `energy` is that of its window for a tone of amplitude 1."""
        time = np.arange(_WINDOW) + 0.5
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / _WINDOW)
        power = float(np.sum(hann**2) / 2)
        # As loud as the detector's own window is.
        self._squares = (hann**2 * energy / power).astype(np.float32)
        waves: list[_F64] = []
        for line in range(_LINES + 1):
            turn = np.exp(-2j * np.pi * line * time / _WINDOW)
            scale = (energy / power / _WINDOW * (2 if line else 1)) ** 0.5
            waves += [hann * turn.real * scale, hann * turn.imag * scale]
        # The least that each group shows of a tone at the border of what is accepted.
        beside = np.repeat([hz[3], hz[7]], 4) * deviation * (1 - max(_PLACES)) * _WINDOW / rate
        shown = np.sinc(beside) + 0.5 * (np.sinc(beside - 1) + np.sinc(beside + 1))
        for tone, part in zip(hz, shown, strict=True):
            for place in _PLACES:
                turn = np.exp(-2j * np.pi * tone * (1 + place * deviation) * time / rate)
                # The square is the energy that a tone like this has in the window.
                scale = 2 / hann.sum() / part * energy**0.5
                waves += [hann * turn.real * scale, hann * turn.imag * scale]
        self._waves = np.ascontiguousarray(np.array(waves).T, np.float32)
        lows = 2 * (_LINES + 1)
        count = len(_PLACES) * _TONES
        # All that is low, and each tone at each place; places are the first axis.
        sums = np.zeros((len(waves), 1 + count), np.float32)
        sums[:lows, 0] = 1
        for tone in range(_TONES):
            for place in range(len(_PLACES)):
                first = lows + 2 * (tone * len(_PLACES) + place)
                sums[first : first + 2, 1 + place * _TONES + tone] = 1
        self._sums = sums
        self._share = share
        self._least_tone = amplitude**2 * energy * _WEAK
        # Of the energy above the low lines, and of what of it is noise.
        self._of_all = purity * _SLACK
        self._of_noise = purity * _SLACK * floor_bias
        self._of_least = purity * _SLACK * (1 - most_floor)
        self._reserve(0)

    def _reserve(self, count: int) -> None:
        self._shown = np.empty((count, len(self._sums)), np.float32)
        self._square = np.empty((count, _WINDOW), np.float32)
        self._found = np.empty((self._sums.shape[1], count), np.float32)
        self._high = np.empty(count, np.float32)

    def look(self, pcm: npt.NDArray[Any], floor: _F32) -> tuple[_F32, _F32, _Bool]:
        """`pcm` is (legs, 160), `floor` the least energy of late of each. Returns energies in the
        detector's window, above and below about 600 Hz, valid until the next call, and who may
        have a key."""
        count = len(pcm)
        if count != len(self._shown):
            self._reserve(count)
        frame = pcm if pcm.dtype == np.float32 else pcm.astype(np.float32)
        shown, square, found, high = self._shown, self._square, self._found, self._high
        np.matmul(frame, self._waves, out=shown)
        np.square(shown, out=shown)
        # From here on legs are the last axis, so that all that is done is done in long rows.
        np.matmul(self._sums.T, shown.T, out=found)
        np.square(frame, out=square)
        np.matmul(square, self._squares, out=high)
        low = found[0]
        high -= low
        low_tone, high_tone = found[1:].reshape(-1, 2, _TONES // 2, count).max(axis=(0, 2))
        both = low_tone + high_tone
        weaker = np.minimum(low_tone, high_tone)
        needed = floor * -self._of_noise
        needed += self._of_all * high
        np.maximum(needed, self._of_least * high, out=needed)
        may = both >= needed
        np.multiply(both, self._share, out=both)
        may &= weaker >= np.maximum(both, self._least_tone, out=both)
        return high, low, may
