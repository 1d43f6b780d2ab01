"""The echo path of one leg from what is remembered of it: least squares, a few steps each tick.

An adaptive filter takes seconds of speech, since a voice excites one part of the band at a time.
Least squares over the last 0.8 s takes all there is to know of them at once:

    minimise  sum_b |line_b - (said * taps)_b|^2 / noise_b  +  sum_j taps_j^2 / prior_j

`noise_b` is what is left of block b by the taps so far, plus the error of mu-law: blocks in which
the line's own side speaks hardly count. `prior` says that an echo is loudest at its start. Solved
by preconditioned conjugate gradients (Shewchuk 1994, section 12) whose products are convolutions
by FFT; 16 steps of 0.25 ms are enough.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711

BLOCK: Final = 160
STEPS: Final = 16
_HISS: Final = float(g711.dbm0_to_rms(-62.0) ** 2)
_ULAW_NOISE: Final = 1e-3
"""Power of mu-law's error relative to the sound, and more: no block is believed too much."""
_PATH: Final = 0.25
"""Power of an echo path of 6 dB return loss."""

_ONE: Final = np.float32(1)

_F32 = npt.NDArray[np.float32]
_C64 = npt.NDArray[np.complex64]


def spectrum_of(samples: _F32, size: int | None = None) -> _C64:
    """`numpy.fft.rfft` keeps to single precision, which its types do not know."""
    spectrum: _C64 = np.fft.rfft(samples, size).astype(np.complex64, copy=False)
    return spectrum


def samples_of(spectrum: _C64, size: int) -> _F32:
    samples: _F32 = np.fft.irfft(spectrum, size).astype(np.float32, copy=False)
    return samples


def _prior(tail: int, lead: int) -> _F32:
    """Expected power of each tap; the echo was found to start at tap `lead`."""
    after = np.arange(tail) - lead
    shape = np.where(after < 0, 0.1, np.exp(-np.maximum(after - 40, 0) / 80)) + 0.2
    prior: _F32 = (shape * (_PATH / shape.sum())).astype(np.float32)
    return prior


class Study:
    """`said` is longer than `line` by the number of taps, at its beginning; `line` is whole blocks.
    `lead` is the tap at which the echo starts, `noise` the power that nothing can explain."""

    def __init__(self, said: _F32, line: _F32, taps: _F32, lead: int, noise: float) -> None:
        tail = len(taps)
        self._size = _good_size(len(said))
        self._tail, self._span = tail, slice(tail, tail + len(line))
        self._spectrum = spectrum_of(said, self._size)
        self._line = line
        self._least = np.float32(_HISS + noise)
        prior = _prior(tail, lead)
        self._root: _F32 = np.sqrt(prior)
        self._mean = float(prior.mean())
        window: _F32 = np.hanning(BLOCK).astype(np.float32)
        self._blocks: _F32 = said[tail:].reshape(-1, BLOCK) * window
        self._loud = self.blocks(line)
        self._z: _F32 = taps / self._root
        """The taps relative to what is expected of them."""
        self._weight: _F32 = np.ones(len(line), np.float32)
        self._slope: _F32 = np.zeros(tail, np.float32)
        self._way: _F32 = np.zeros(tail, np.float32)
        self._size_before: float | None = None
        self._tame: _F32 = np.ones(tail + 1, np.float32)
        """The preconditioner, by bin."""
        self.steps = 0
        self._weigh()

    @property
    def taps(self) -> _F32:
        taps: _F32 = self._root * self._z
        return taps

    @property
    def done(self) -> bool:
        return self.steps >= STEPS

    def left(self) -> _F32:
        """Of the line, by the taps so far."""
        return self._line - self._echo(self.taps)

    def blocks(self, samples: _F32 | None = None) -> _F32:
        """Power of each block of samples as long as the line, or of the line itself."""
        if samples is None:
            return self._loud
        power: _F32 = np.mean(np.square(samples.reshape(-1, BLOCK)), axis=1)
        return power

    def step(self) -> None:
        """One step; may be called when done."""
        self.steps += 1
        smooth = samples_of(spectrum_of(self._slope, 2 * self._tail) * self._tame, 2 * self._tail)
        smooth = smooth[: self._tail]
        size = float(self._slope @ smooth)
        if size <= 0:
            return
        way = smooth
        if self._size_before is not None:
            way = smooth + np.float32(size / self._size_before) * self._way
        self._way, self._size_before = way, size
        curve = self._root * self._back(self._weight * self._echo(self._root * way)) + way
        far = np.float32(size / float(way @ curve))
        self._z = self._z + far * way
        self._slope = self._slope - far * curve

    def _echo(self, taps: _F32) -> _F32:
        made = samples_of(self._spectrum * spectrum_of(taps, self._size), self._size)
        return made[self._span]

    def _back(self, line: _F32) -> _F32:
        """The transpose of `_echo`."""
        placed = np.zeros(self._size, np.float32)
        placed[self._span] = line
        made = samples_of(np.conj(self._spectrum) * spectrum_of(placed), self._size)
        return made[: self._tail]

    def _weigh(self) -> None:
        """Weigh the blocks by what is left of them, and begin the descent from here."""
        left = self.left()
        weight: _F32 = _ONE / (self.blocks(left) + _ULAW_NOISE * self._loud + self._least)
        self._weight = np.repeat(weight, BLOCK)
        self._slope = self._root * self._back(self._weight * left) - self._z
        power = spectrum_of(self._blocks * np.sqrt(weight)[:, None], 2 * self._tail)
        strength: _F32 = (power.real**2 + power.imag**2).sum(0) * np.float32(8 / 3)
        self._tame = _ONE / (_ONE + strength * np.float32(self._mean))


def _good_size(least: int) -> int:
    """A length not below this whose FFT is fast: 2, 3 or 5 times its like."""
    return min(
        base << int(np.ceil(np.log2(max(1.0, least / base)))) for base in (225, 243, 250, 256, 270)
    )
