"""WAV files: read what the engine plays, write what it records.

Playing: RIFF/WAVE of 8 kHz mono, 16-bit PCM or mu-law. Recording: stereo mu-law (format 7), whose
header is rewritten at each flush, so that the file is complete at any moment.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from appliance.media import g711

FORMAT_PCM: Final = 1
FORMAT_ULAW: Final = 7
STEREO_HEADER_BYTES: Final = 58
MAX_PLAY_BYTES: Final = 32 * 1024 * 1024
"""More than half an hour of 16-bit audio; a longer file is refused, not loaded."""
_PIECE: Final = 65536
_MAX_DATA: Final = (0xFFFFFFFF - STEREO_HEADER_BYTES) & ~1
OPEN_LENGTH: Final = _MAX_DATA
"""As the length of a recording that is not complete: players go on to the end of the file."""


class WavError(Exception):
    """The file is not what the engine can play; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the samples of a WAV file are and what they look like."""

    format: int
    channels: int
    rate: int
    bits: int
    data_offset: int
    data_size: int
    """As the header says, cut to what the file holds."""


def parse_layout(raw: bytes, file_size: int | None = None) -> Layout:
    """Layout of the WAV file that starts with `raw`. Raises `WavError`."""
    size = len(raw) if file_size is None else file_size
    if len(raw) < 12 or raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise WavError("not a WAV file")
    at, fmt = 12, None
    while at + 8 <= len(raw):
        name, length = struct.unpack_from("<4sI", raw, at)
        body = at + 8
        if name == b"fmt " and length >= 16 and body + 16 <= len(raw):
            fmt = struct.unpack_from("<HHIIHH", raw, body)
            if fmt[0] == 0xFFFE and length >= 26 and body + 26 <= len(raw):
                fmt = (*struct.unpack_from("<H", raw, body + 24), *fmt[1:])
        elif name == b"data":
            if fmt is None:
                raise WavError("the WAV file has data before its format")
            return Layout(fmt[0], fmt[1], fmt[2], fmt[5], body, max(0, min(length, size - body)))
        at = body + length + (length & 1)
    raise WavError("the WAV file has no audio data")


def load_ulaw(path: Path) -> g711.Bytes:
    """The audio of an 8 kHz mono WAV as mu-law bytes. Raises `WavError` or OSError."""
    if path.stat().st_size > MAX_PLAY_BYTES:
        raise WavError(f"{path.name} is too long to play")
    raw = path.read_bytes()
    layout = parse_layout(raw)
    if layout.rate != 8000 or layout.channels != 1:
        raise WavError(f"{path.name} is not 8 kHz mono")
    data = raw[layout.data_offset : layout.data_offset + layout.data_size]
    if layout.format == FORMAT_ULAW and layout.bits == 8:
        return np.frombuffer(data, np.uint8).copy()
    if layout.format == FORMAT_PCM and layout.bits == 16:
        samples = np.frombuffer(data[: len(data) & ~1], "<i2")
        audio = np.empty(len(samples), np.uint8)
        # In pieces: numpy keeps the interpreter to itself, and a tick may be due meanwhile.
        for at in range(0, len(samples), _PIECE):
            piece = samples[at : at + _PIECE].astype(np.int16)
            audio[at : at + _PIECE] = g711.ulaw_encode(piece)
        return audio
    raise WavError(f"{path.name} is neither 16-bit PCM nor mu-law")


def pcm_wav(samples: g711.Samples, rate: int = 8000) -> bytes:
    """A complete mono 16-bit WAV file."""
    data = samples.astype("<i2").tobytes()
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, FORMAT_PCM, 1, rate, rate * 2, 2, 16)
        + struct.pack("<4sI", b"data", len(data))
        + data
    )


def stereo_ulaw_header(data_bytes: int) -> bytes:
    """Header of a recording that holds `data_bytes` of interleaved stereo mu-law at 8 kHz."""
    data_bytes = min(data_bytes, _MAX_DATA)
    return (
        struct.pack("<4sI4s", b"RIFF", STEREO_HEADER_BYTES - 8 + data_bytes, b"WAVE")
        + struct.pack("<4sIHHIIHHH", b"fmt ", 18, FORMAT_ULAW, 2, 8000, 16000, 2, 8, 0)
        + struct.pack("<4sII", b"fact", 4, data_bytes // 2)
        + struct.pack("<4sI", b"data", data_bytes)
    )


def repair(path: Path) -> int:
    """Make a recording's header tell what the file holds, and return its length in ms.

    Meant for files whose writer was killed; harmless for complete ones. A file that is shorter
    than its header becomes an empty recording. Raises `WavError` for what is no recording of
    ours, OSError when the file cannot be read or written.
    """
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(STEREO_HEADER_BYTES)
        expected = stereo_ulaw_header(0)
        # Everything but the three sizes is constant.
        if len(head) == STEREO_HEADER_BYTES and (
            head[:4] != b"RIFF" or head[8:46] != expected[8:46] or head[50:54] != b"data"
        ):
            raise WavError(f"{path.name} is not a recording of this box")
        data = max(0, (size - STEREO_HEADER_BYTES) & ~1)
        header = stereo_ulaw_header(data)
        if head != header or size != STEREO_HEADER_BYTES + data:
            file.seek(0)
            file.write(header)
            file.truncate(STEREO_HEADER_BYTES + data)
            file.flush()
            os.fsync(file.fileno())
    return data // 16
