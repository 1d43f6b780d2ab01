"""Sample formats of voice modems to and from 16-bit samples, by table."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from appliance.media.g711 import ALAW_DECODE, ALAW_ENCODE, ULAW_DECODE, ULAW_ENCODE

CodecName = Literal["u8", "s8", "ulaw", "alaw"]

_LINEAR_DECODE = (np.arange(-128, 128, dtype=np.int16) * 256).astype(np.int16)
"""Of unsigned 8-bit linear samples, whose zero is 128."""


def _linear_encode() -> npt.NDArray[np.uint8]:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    # Rounded, not cut: cutting adds an offset of half a step, audible as a click at each start.
    code: npt.NDArray[np.uint8] = (np.minimum((sample + 128) >> 8, 127) + 128).astype(np.uint8)
    return code


_LINEAR_ENCODE = _linear_encode()


class SoundFormat:
    """One byte a sample at 8000 Hz; `pcm` is signed 16-bit little-endian."""

    def __init__(self, name: CodecName) -> None:
        self.name = name
        if name == "ulaw":
            decode, encode = ULAW_DECODE, ULAW_ENCODE
        elif name == "alaw":
            decode, encode = ALAW_DECODE, ALAW_ENCODE
        elif name == "u8":
            decode, encode = _LINEAR_DECODE, _LINEAR_ENCODE
        else:
            decode, encode = np.roll(_LINEAR_DECODE, 128), _LINEAR_ENCODE ^ np.uint8(0x80)
        self._decode: Final[npt.NDArray[np.int16]] = decode.astype("<i2")
        self._encode: Final[npt.NDArray[np.uint8]] = encode
        self.silence: Final = bytes([int(encode[0])])

    def to_pcm(self, data: bytes) -> bytes:
        return self._decode[np.frombuffer(data, np.uint8)].tobytes()

    def from_pcm(self, pcm: bytes) -> bytes:
        """A trailing odd byte, half a sample, is left out."""
        samples: npt.NDArray[np.uint16] = np.frombuffer(pcm, "<u2", count=len(pcm) // 2)
        return self._encode[samples].tobytes()
