"""A frame made longer or shorter by one pitch period, so that nobody hears it.

Where two pieces 5 to 15 ms apart are alike, one may turn into the other by overlap-add: the sound
between them is then heard not at all, or twice (the idea of WSOLA). What is silent or steady bears
that at any place. Samples that are not in the seam stay as they were, bit by bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media.slots import windows

SHORTEST: Final = 40
LONGEST: Final = 120
"""Samples by which a frame may change: 5 to 15 ms."""
SEAM: Final = 80
"""The overlap; also what is compared."""
FRAME: Final = 160
AHEAD: Final = FRAME + LONGEST
"""Samples from the frame's first on that `shorter` needs."""

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]


def _alike(pieces: _F32, template: _F32, lags: _I64, most: _I64) -> tuple[_I64, _F32]:
    """For each row the lag whose piece is most like the template, and how much: 1 is equal."""
    seams = windows(pieces, SEAM)
    product = np.einsum("njk,nk->nj", seams, template)
    energy = np.einsum("njk,njk->nj", seams, seams)
    own = np.einsum("nk,nk->n", template, template)
    alike = (product + 1) / np.sqrt((energy + 1) * (own + 1)[:, None])
    alike[lags[None, :] > np.maximum(most, SHORTEST)[:, None]] = -1
    best = np.argmax(alike, axis=1)
    return lags[best], np.take_along_axis(alike, best[:, None], axis=1)[:, 0]


def shorter(samples: _F32, most: _I64) -> tuple[_F32, _I64, _F32]:
    """Frames (n, 160) made of (n, 280) samples from the frame's first on, by how many samples each
    is shorter, at most `most`, and how alike the ends of the seam are."""
    lags = np.arange(SHORTEST, LONGEST + 1)
    lag, alike = _alike(samples[:, SHORTEST : LONGEST + SEAM], samples[:, :SEAM], lags, most)
    return _seam(samples, np.zeros(len(samples), np.int64), lag), lag, alike


def longer(samples: _F32, most: _I64) -> tuple[_F32, _I64, _F32]:
    """The same for longer frames; (n, 280) samples, of which 120 come before the frame."""
    lags = np.arange(LONGEST, SHORTEST - 1, -1)
    template = samples[:, LONGEST : LONGEST + SEAM]
    lag, alike = _alike(samples[:, : LONGEST - SHORTEST + SEAM], template, lags, most)
    return _seam(samples, np.full(len(samples), LONGEST), -lag), lag, alike


def _seam(samples: _F32, start: _I64, lag: _I64) -> _F32:
    """The frame from `start` on that turns, within the seam, into what is `lag` later."""
    at = start[:, None] + np.arange(FRAME)
    moved = np.take_along_axis(samples, at + lag[:, None], axis=1)
    weight = (np.arange(1, SEAM + 1) / (SEAM + 1)).astype(np.float32)
    here = np.take_along_axis(samples, at[:, :SEAM], axis=1)
    moved[:, :SEAM] = here + weight * (moved[:, :SEAM] - here)
    made: _F32 = moved
    return made
