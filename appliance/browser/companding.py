"""The octets of ITU-T G.711 as this room needs them: without the engine's own tables, so that it
imports nothing of ours."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

PCMU = 0
PCMA = 8

Octets = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]


def mulaw_to_linear(code: int) -> int:
    """One mu-law octet as a 16-bit sample (ITU-T G.711 table 2)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def _linear_to_alaw(sample: int) -> int:
    """A 16-bit sample as one A-law octet (ITU-T G.711 table 1)."""
    sign = 0x80 if sample >= 0 else 0
    magnitude = (sample if sample >= 0 else ~sample) >> 3
    segment = max(magnitude.bit_length() - 5, 0)
    return (sign | segment << 4 | magnitude >> max(segment, 1) & 0x0F) ^ 0x55


MULAW_TO_ALAW = bytes(_linear_to_alaw(mulaw_to_linear(code)) for code in range(256))
"""For `bytes.translate`: mu-law octets to the A-law octets of the same level."""

MULAW_LEVELS: Samples = np.array([mulaw_to_linear(code) for code in range(256)], np.int16)


@cache
def mulaw_of_samples() -> Octets:
    """Mu-law octets of all 16-bit samples, indexed by the sample as uint16: nearest level."""
    levels = MULAW_LEVELS.astype(np.int64)
    codes = np.argsort(levels, kind="stable")
    middles = (levels[codes][1:] + levels[codes][:-1]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return codes[np.searchsorted(middles, samples)].astype(np.uint8)
