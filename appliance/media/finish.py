"""What becomes of a recording when nobody writes it any more: parts joined, converted, checked.

While a call is recorded its file is stereo mu-law WAV, complete at any moment. `finish` makes one
file of what a killed writer left in parts, time-true: each part begins where it was begun, what
nobody wrote is silence on both sides. Then it converts to the form that the site document asks
for. The new file is written under a hidden name, brought to disk, decoded again and compared with
what it was made from; only then it gets its name, and only then the old files go. So it may be
killed at any moment and simply runs again.

Blocking, and heavy on the processor: it belongs into a process of its own with the lowest
priority (`be_idle`), never into the one that carries calls.

Opus (RFC 6716) in Ogg (RFC 7845) at 32 kbit/s takes about a quarter of the space of WAV; FLAC
(RFC 9639) loses nothing and takes half to nearly all of it, as quiet as the call is.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.wav import STEREO_HEADER_BYTES, WavError, repair, stereo_ulaw_header
from appliance.recordings import Form, parts

log = logging.getLogger("centrala.finish")

OPUS_BITS_PER_S: Final = 32_000
"""For both sides together. Below it libopus begins to narrow the stereo image. With it go the
settings for music: those for voice take 0.5 to 1 dB off, and cost more."""
RATE: Final = 8000
_BYTES_PER_MS: Final = 16
_PIECE: Final = 2 * 8000
"""Bytes of stereo mu-law that are worked on at once: a second."""
RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Room that stays free for calls and their facts while a new file lies beside the old one."""
MAX_DIFFERENCE_MS: Final = 20
MAX_LEVEL_DIFFERENCE_DB: Final = 1.5
_AUDIBLE: Final = 10.0
"""RMS of a side that is compared at all; below it Opus may take the noise away."""

Pairs = npt.NDArray[np.int16]
"""(samples, 2): caller left, agent right."""


class Unfinished(Exception):
    """The recording stays as it was; the text says why, for the log."""


class Busy(Unfinished):
    """Somebody still writes it, or there is no room now: try again later."""


def be_idle() -> None:
    """Lowest priority for this process: the processor and the disk when nobody else wants them, and
    the first to go when memory runs out."""
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    with suppress(OSError, AttributeError):
        # ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE << 13); libc has no name for it.
        number = {"x86_64": 251, "aarch64": 30}[os.uname().machine]
        ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, 3 << 13)


def measure(path: Path) -> int:
    """Repair what a dead writer left of the recording that was begun as `path`; its length in ms,
    gaps included. 0 when nothing is left. Raises OSError, `WavError` for files that are not ours.
    """
    end = 0
    for at, part in parts(path):
        try:
            descriptor = _claim(part)
        except Busy:
            # The writer outlived whoever started it, and keeps the header right itself.
            end = max(end, at + max(0, part.stat().st_size - STEREO_HEADER_BYTES) // _BYTES_PER_MS)
            continue
        try:
            end = max(end, at + repair(part))
        finally:
            os.close(descriptor)
    return end


def unfinished(folder: Path, form: Form) -> list[Path]:
    """The recordings under `folder` (one folder a day in it) that `finish` has work with."""
    found: set[Path] = set()
    if not folder.is_dir():
        return []
    for day in folder.iterdir():
        if not day.is_dir() or day.is_symlink():
            continue
        for file in day.glob("*.wav"):
            stem, is_part, _ = file.stem.rpartition(".part-")
            if is_part:
                found.add(day / f"{stem}.wav")
            elif form != "wav" and not file.name.startswith("."):
                found.add(file)
    return sorted(found)


def finish(path: Path, form: Form) -> Path | None:
    """Bring the recording that was begun as `path` into its lasting form; the file that it is now.

    None when there is nothing of it (any more). Raises `Busy` while somebody writes it or the disk
    has no room for both files, `Unfinished` when the new file is not what it should be, OSError;
    nothing is lost then.
    """
    there = parts(path)
    target = path.with_suffix(f".{form}")
    if not there or (form == "wav" and there == [(0, path)]):
        return there[0][1] if there else _existing(target)
    descriptors: list[int] = []
    try:
        for _, part in there:
            descriptors.append(_claim(part))
        pieces = [(at, part, repair(part)) for at, part in there]
        source = _Joined(pieces)
        if not source.size:
            # Nothing was said: an empty file has no better form.
            for _, part in there[1:]:
                part.unlink(missing_ok=True)
            return there[0][1]
        if shutil.disk_usage(path.parent).free < RESERVE_BYTES + source.size:
            raise Busy(f"no room to finish {path.name}")
        hidden = path.with_name(f".{target.name}.new")
        try:
            if form == "wav":
                _write_wav(hidden, source)
            else:
                _encode(hidden, source, form)
            _sync(hidden)
            _verify(hidden, source, form)
            hidden.rename(target)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        _sync(path.parent)
        for _, part in there:
            if part != target:
                part.unlink(missing_ok=True)
        return target
    except WavError as error:
        raise Unfinished(str(error)) from None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _existing(target: Path) -> Path | None:
    return target if target.is_file() else None


def _claim(path: Path) -> int:
    """Hold the file as long as the descriptor is open; its writer holds it in the same way."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(f"{path.name} is still being written") from None
    return descriptor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Joined:
    """The parts of one recording as one stream of stereo mu-law; read as often as needed."""

    def __init__(self, pieces: list[tuple[int, Path, int]]) -> None:
        self._pieces = pieces
        """Begin and length in ms of each file, in order."""
        self.size = max(at + length for at, _, length in pieces) * _BYTES_PER_MS
        """Bytes; a part that was begun before the last one ended ends it."""

    def __iter__(self) -> Iterator[bytes]:
        """The audio in pieces of at most a second."""
        at = 0
        ends = [begin * _BYTES_PER_MS for begin, _, _ in self._pieces[1:]] + [self.size]
        for (begin, path, length), end in zip(self._pieces, ends, strict=True):
            for size in _pieces(begin * _BYTES_PER_MS - at):
                yield bytes((g711.ULAW_SILENCE,)) * size
            at = begin * _BYTES_PER_MS
            with path.open("rb") as file:
                file.seek(STEREO_HEADER_BYTES)
                for size in _pieces(min(length * _BYTES_PER_MS, end - at)):
                    data = file.read(size)
                    at += len(data)
                    yield data
        for size in _pieces(self.size - at):
            yield bytes((g711.ULAW_SILENCE,)) * size

    def samples(self) -> Iterator[Pairs]:
        for data in self:
            yield g711.ULAW_DECODE[np.frombuffer(data, np.uint8)].reshape(-1, 2)


def _pieces(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, _PIECE)
        size -= _PIECE


def _write_wav(path: Path, source: _Joined) -> None:
    with path.open("wb") as file:
        file.write(stereo_ulaw_header(source.size))
        for data in source:
            file.write(data)


def _encode(path: Path, source: _Joined, form: Form) -> None:
    # Loaded when needed: the codec library is large, and control only measures here.
    import av

    opus = form == "opus"
    with av.open(str(path), "w", format="ogg" if opus else "flac") as container:
        stream: Any = container.add_stream("libopus" if opus else "flac", rate=RATE)
        stream.layout = "stereo"
        if opus:
            stream.bit_rate = OPUS_BITS_PER_S
            stream.options = {"application": "audio", "vbr": "on"}
        at = 0
        for pairs in source.samples():
            frame = av.AudioFrame.from_ndarray(pairs.reshape(1, -1), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, at
            at += len(pairs)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _decode(path: Path) -> Iterator[Pairs]:
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in itertools.chain(container.decode(audio=0), [None]):
            for part in resampler.resample(frame):
                yield part.to_ndarray().astype(np.int16).reshape(-1, 2)


def _verify(path: Path, source: _Joined, form: Form) -> None:
    """Raise `Unfinished` unless the file decodes to the length and levels of its source."""
    if form == "wav":
        if path.stat().st_size != STEREO_HEADER_BYTES + source.size:
            raise Unfinished(f"{path.name} is not as long as it should be")
        return
    import av

    expected, wanted = _length_and_level(source.samples())
    try:
        length, level = _length_and_level(_decode(path))
    except av.FFmpegError as error:
        raise Unfinished(f"{path.name} cannot be decoded: {error}") from None
    if abs(length - expected) > MAX_DIFFERENCE_MS * RATE // 1000:
        raise Unfinished(f"{path.name} is {length} samples long, not {expected}")
    audible = wanted > _AUDIBLE
    off = 20 * np.log10(np.maximum(level[audible], 1e-3) / wanted[audible])
    if (np.abs(off) > MAX_LEVEL_DIFFERENCE_DB).any():
        raise Unfinished(f"{path.name} is not as loud as it should be")


def _length_and_level(pieces: Iterator[Pairs]) -> tuple[int, npt.NDArray[np.float64]]:
    """Samples, and the RMS of each side."""
    count, energy = 0, np.zeros(2)
    for pairs in pieces:
        count += len(pairs)
        energy += (pairs.astype(np.float64) ** 2).sum(0)
    return count, np.sqrt(energy / max(count, 1))
