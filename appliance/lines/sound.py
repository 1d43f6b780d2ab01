"""Sample formats of voice modems to and from 16-bit samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from appliance.lines.shaping import NoiseShaper
from appliance.media.g711 import ALAW_DECODE, ALAW_ENCODE, ULAW_DECODE, ULAW_ENCODE

CodecName = Literal["ulaw", "alaw", "s16", "u8", "s8"]
Encode = Callable[[bytes], bytes]

_LINEAR_DECODE = (np.arange(-128, 128, dtype=np.int16) * 256).astype(np.int16)
"""Of unsigned 8-bit linear samples, whose zero is 128."""


class SoundFormat:
    """`width` bytes a sample at 8000 Hz; `pcm` is signed 16-bit little-endian, and so is "s16"."""

    def __init__(self, name: CodecName) -> None:
        self.name = name
        self.width: Final = 2 if name == "s16" else 1
        self.silence: Final = {
            "ulaw": b"\xff", "alaw": b"\xd5", "s16": b"\0\0", "u8": b"\x80", "s8": b"\0",
        }[name]  # fmt: skip
        """One sample."""
        decode = {
            "ulaw": ULAW_DECODE, "alaw": ALAW_DECODE, "u8": _LINEAR_DECODE,
            "s8": np.roll(_LINEAR_DECODE, 128),
        }.get(name)  # fmt: skip
        self._decode = None if decode is None else decode.astype("<i2")

    def to_pcm(self, data: bytes) -> bytes:
        """Of whole samples."""
        if self._decode is None:
            return data
        return self._decode[np.frombuffer(data, np.uint8)].tobytes()

    def encoder(self) -> Encode:
        """Makes bytes of `pcm`, for one call: 8-bit linear has a past. A trailing odd byte, half a
        sample, is left out."""
        if self.name == "s16":
            return lambda pcm: pcm[: len(pcm) & ~1]
        if self.name in ("ulaw", "alaw"):
            table: npt.NDArray[np.uint8] = ULAW_ENCODE if self.name == "ulaw" else ALAW_ENCODE
            return lambda pcm: table[_samples(pcm, "<u2")].tobytes()
        flip = 0x80 if self.name == "u8" else 0
        shaper = NoiseShaper()
        return lambda pcm: (
            shaper.round(_samples(pcm, "<i2")).view(np.uint8) ^ np.uint8(flip)
        ).tobytes()


def _samples(pcm: bytes, kind: str) -> npt.NDArray[np.generic]:
    return np.frombuffer(pcm, kind, count=len(pcm) // 2)
