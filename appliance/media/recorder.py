"""Recordings: stereo mu-law WAV, the caller left, the agent right, written behind the tick's back.

The engine hands over each recording's audio every 0.4 s, a fifth of them at a time; one writer
thread appends it. Until the file is complete its header leaves the length open, as of a stream: so
it can be played up to the last flush at any moment, whatever is killed when, and `repair` puts the
length in.
Nothing that a disk does reaches the tick: a full or failing disk closes recordings with
`disk_full`, and no new ones start until there is room again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np

from appliance.media import g711
from appliance.media.jitter import FRAME
from appliance.media.reel import REEL_TICKS
from appliance.media.wav import OPEN_LENGTH, STEREO_HEADER_BYTES, stereo_ulaw_header

log = logging.getLogger("centrala.media")

FLUSH_FRAMES: Final = REEL_TICKS
"""0.4 s of 20 ms frames, the most that a killed process takes with it."""
SYNC_FRAMES: Final = 500
"""Between two fdatasync: a power cut takes 10 s at most. A disk that cannot keep up is not asked to
before `SYNC_LATEST`: then it takes 30 s."""
SYNC_LATEST: Final = 1500
CHECK_S: Final = 1.0
ROOM_AGAIN: Final = 1.25
"""Recording is allowed again when this many times the reserve is free, so that it does not go on
and off with every file that somebody deletes."""
_MAX_QUEUE: Final = 10_000
"""Pieces of at most 0.4 s, 64 MB: 40 s of 100 recordings, 7 s of 600."""
_TOGETHER: Final = 8
"""Pieces whose sides are brought together at once: faster than one by one, and 50 kB."""
_QUIET: Final = np.full((REEL_TICKS, FRAME, 2), g711.ULAW_SILENCE, np.uint8)
_BYTES_MS: Final = 16

Reason = Literal["done", "disk_full"]
OnClosed = Callable[[str, int, Reason], None]


@dataclass(slots=True, eq=False)
class _File:
    """One running recording as the writer sees it."""

    descriptor: int
    size: int
    unsynced: int
    """Frames since the last fdatasync."""


class Recorder:
    """All recordings of one media process.

    `on_closed(recording, duration_ms, reason)` is called on the writer's thread, once a recording.
    """

    def __init__(self, on_closed: OnClosed, reserve_bytes: int, folder: Path | None = None) -> None:
        self._on_closed = on_closed
        self.reserve_bytes = reserve_bytes
        self._folder = folder
        self._tapes: set[str] = set()
        """Those that are running as the tick sees it."""
        self._files: dict[str, _File] = {}
        """As the writer sees it."""
        # The simple one is C throughout: the tick and the writer share the interpreter.
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._given = 0
        """Pieces that were handed to the writer, and what became of them."""
        self._taken = 0
        self._opened = 0
        self._looked_at = 0.0
        self.allowed = True
        self.free_bytes = 0
        if folder is not None:
            self._look(folder)
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()

    # --- the tick's side --------------------------------------------------------------------

    def __contains__(self, recording: str) -> bool:
        return recording in self._tapes

    def __len__(self) -> int:
        return len(self._tapes)

    def start(self, recording: str, path: Path) -> bool:
        """Begin a file. False when the disk has no room: nothing is recorded then, and nothing
        more is heard of it."""
        if recording in self._tapes:
            return True
        if not self.allowed:
            return False
        self._folder = path.parent
        self._tapes.add(recording)
        self._work.put(partial(self._open, recording, path))
        return True

    def feed(self, recordings: Sequence[str | None], said: g711.Bytes, first: int = 0) -> None:
        """What was said in these, see `appliance.media.reel.Tape`; it is not to change any more."""
        if self._answers(recordings):
            self._given += len(recordings)
            self._work.put(partial(self._write, recordings, said, first))

    def silence(self, recording: str, frames: int) -> None:
        """So many frames in which nothing was heard."""
        if self._answers((recording,)):
            self._given += 1
            self._work.put(partial(self._write_silence, recording, frames))

    def stop(self, recording: str) -> None:
        """Complete the file; `on_closed` follows."""
        if recording in self._tapes:
            self._tapes.discard(recording)
            self._work.put(partial(self._complete, recording))

    def stop_all(self) -> None:
        for recording in list(self._tapes):
            self.stop(recording)

    def close(self, timeout: float = 3.0) -> None:
        """Complete everything and end the writer."""
        self.stop_all()
        self._work.put(None)
        self._thread.join(timeout)

    def _answers(self, recordings: Sequence[str | None]) -> bool:
        """Whether the disk keeps up; if not, these recordings end."""
        if self._given - self._taken < _MAX_QUEUE:
            return True
        self.allowed = False
        # Better no recording than no calls. What there is of it is completed when the disk
        # answers again.
        for recording in recordings:
            if recording in self._tapes:
                log.error("recording %s given up: the disk does not answer", recording)
                self.stop(recording)
        return False

    # --- the writer's side ------------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=CHECK_S)
            except queue.Empty:
                self._look(self._folder)
                continue
            if work is None:
                return
            work()
            if time.monotonic() - self._looked_at >= CHECK_S:
                self._look(self._folder)

    def _open(self, recording: str, path: Path) -> None:
        descriptor = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o640)
            # Held until we close it or die: so its finisher sees that it is not complete yet.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            known = os.fstat(descriptor).st_size
            os.pwrite(descriptor, stereo_ulaw_header(OPEN_LENGTH), 0)
        except OSError as error:
            self._fail(recording, _File(descriptor, 0, 0), error)
            return
        # Files that begin together are not all synced together.
        self._opened += 1
        unsynced = self._opened * FLUSH_FRAMES % SYNC_FRAMES
        size = max(0, known - STEREO_HEADER_BYTES) & ~1
        self._files[recording] = _File(descriptor, size, unsynced)

    def _write(self, recordings: Sequence[str | None], said: g711.Bytes, first: int) -> None:
        for at in range(0, len(recordings), _TOGETHER):
            part = said[at : at + _TOGETHER]
            both = np.empty((len(part), part.shape[1], FRAME, 2), np.uint8)
            both[..., 0], both[..., 1] = part[:, :, 0], part[:, :, 1]
            for recording, piece in zip(recordings[at:], both, strict=False):
                if recording is not None:
                    self._append(recording, [piece[first:].data, piece[:first].data])
        self._taken += len(recordings)

    def _write_silence(self, recording: str, frames: int) -> None:
        whole, rest = divmod(frames, len(_QUIET))
        self._append(recording, [_QUIET.data] * whole + [_QUIET[:rest].data])
        self._taken += 1

    def _append(self, recording: str, parts: list[memoryview]) -> None:
        file = self._files.get(recording)
        if file is None:
            return
        try:
            size = _write_fully(file.descriptor, parts, STEREO_HEADER_BYTES + file.size)
            file.size += size
            file.unsynced += size // (2 * FRAME)
            behind = self._given - self._taken > 2 * len(self._files)
            if file.unsynced >= (SYNC_LATEST if behind else SYNC_FRAMES):
                os.fdatasync(file.descriptor)
                file.unsynced = 0
        except OSError as error:
            self._fail(recording, file, error)

    def _complete(self, recording: str) -> None:
        file = self._files.get(recording)
        if file is None:
            return
        try:
            os.pwrite(file.descriptor, stereo_ulaw_header(file.size), 0)
            os.fdatasync(file.descriptor)
        except OSError as error:
            self._fail(recording, file, error)
            return
        del self._files[recording]
        os.close(file.descriptor)
        self._on_closed(recording, file.size // _BYTES_MS, "done")

    def _fail(self, recording: str, file: _File, error: OSError) -> None:
        """Close what is there; the calls go on without recording."""
        log.error("recording %s stopped: %s", recording, os.strerror(error.errno or errno.EIO))
        self._tapes.discard(recording)
        self._files.pop(recording, None)
        if file.descriptor >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(file.descriptor, stereo_ulaw_header(file.size), 0)
            os.close(file.descriptor)
        self.allowed = False
        self._on_closed(recording, file.size // _BYTES_MS, "disk_full")

    def _look(self, folder: Path | None) -> None:
        """Measure the free space and decide whether recording is allowed."""
        if folder is None:
            return
        self._looked_at = time.monotonic()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            stat = os.statvfs(folder)
        except OSError:
            return
        self.free_bytes = stat.f_bavail * stat.f_frsize
        if self.free_bytes < self.reserve_bytes:
            self.allowed = False
            for recording, file in list(self._files.items()):
                self._fail(recording, file, OSError(errno.ENOSPC, "reserve"))
        elif self.free_bytes >= self.reserve_bytes * ROOM_AGAIN:
            self.allowed = True


def _write_fully(descriptor: int, parts: list[memoryview], offset: int) -> int:
    """How many bytes those were."""
    size = sum(part.nbytes for part in parts)
    written = os.pwritev(descriptor, parts, offset)
    if written < size:
        rest = memoryview(b"".join(parts))
        while written < size:
            written += os.pwrite(descriptor, rest[written:], offset + written)
    return size
