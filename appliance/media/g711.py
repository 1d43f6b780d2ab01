"""G.711 by table: mu-law and A-law to 16-bit samples and back.

Decoded samples use the 16-bit scale of ITU-T G.191 (14-bit mu-law shifted left by 2, 13-bit A-law
by 3). Encoding looks every one of the 65,536 sample values up, so it is exact to the
recommendation's decision values and costs one gather.

A sine of 0 dBm0 has the RMS value `RMS_0DBM0` on that scale (full load is +3.17 dBm0 for mu-law,
G.711 section 4).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Bytes = npt.NDArray[np.uint8]

PCMU: Final = 0
PCMA: Final = 8
"""Static payload types of RFC 3551."""

ULAW_SILENCE: Final = 0xFF
RMS_0DBM0: Final = 32124 / 10 ** (3.17 / 20) / 2**0.5


def _ulaw_decode_table() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)
    mantissa = (code & 0x0F).astype(np.int32)
    exponent = ((code >> 4) & 0x07).astype(np.int32)
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decode_table() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    mantissa = ((code & 0x0F).astype(np.int32) << 4) + 8
    exponent = ((code >> 4) & 0x07).astype(np.int32)
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _exponent(value: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Position of the highest set bit of each positive value."""
    return np.floor(np.log2(np.maximum(value, 1))).astype(np.int32)


def _ulaw_encode_table() -> Bytes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    # Negative values are taken in one's complement, as the reference software of G.191 does.
    magnitude = np.minimum((np.where(sample < 0, ~sample, sample) >> 2) + 33, 0x1FFF)
    segment = _exponent(magnitude) - 5
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    table: Bytes = (~np.where(sample < 0, code | 0x80, code) & 0xFF).astype(np.uint8)
    return table


def _alaw_encode_table() -> Bytes:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(sample < 0, ~sample, sample) >> 4
    segment = np.maximum(_exponent(magnitude) - 3, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment - 1, 0)) & 0x0F)
    table: Bytes = (np.where(sample < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)
    return table


ULAW_DECODE: Final[Samples] = _ulaw_decode_table()
ULAW_FLOAT: Final = ULAW_DECODE.astype(np.float32)
ALAW_DECODE: Final[Samples] = _alaw_decode_table()
ULAW_ENCODE: Final[Bytes] = _ulaw_encode_table()
"""Indexed by the sample's bits as uint16."""
ALAW_ENCODE: Final[Bytes] = _alaw_encode_table()
ULAW_TO_ALAW: Final[Bytes] = ALAW_ENCODE[ULAW_DECODE.view(np.uint16)]
ALAW_TO_ULAW: Final[Bytes] = ULAW_ENCODE[ALAW_DECODE.view(np.uint16)]
ULAW_TO_ALAW_BYTES: Final = ULAW_TO_ALAW.tobytes()
"""The same as a table of `bytes.translate`, for single packets."""
ALAW_TO_ULAW_BYTES: Final = ALAW_TO_ULAW.tobytes()


def ulaw_decode(code: Bytes) -> Samples:
    """Mu-law bytes of any shape to samples of the same shape."""
    return ULAW_DECODE[code]


def alaw_decode(code: Bytes) -> Samples:
    return ALAW_DECODE[code]


def ulaw_encode(samples: Samples) -> Bytes:
    """Samples of any shape to mu-law bytes of the same shape."""
    return ULAW_ENCODE[samples.view(np.uint16)]


def alaw_encode(samples: Samples) -> Bytes:
    return ALAW_ENCODE[samples.view(np.uint16)]


def dbm0_to_rms(level_dbm0: float) -> float:
    """RMS value on the 16-bit scale of a signal of that level."""
    return float(RMS_0DBM0 * 10 ** (level_dbm0 / 20))
