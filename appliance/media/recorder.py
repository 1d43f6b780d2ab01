"""Recordings: stereo mu-law WAV, the caller left, the agent right, written behind the tick's back.

The engine hands over each recording's audio every second; one writer thread appends it. Until the
file is complete its header leaves the length open, as of a stream: so it can be played up to the
last flush at any moment, whatever is killed when, and `repair` puts the length in.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from appliance.media import g711
from appliance.media.engine import REEL_TICKS
from appliance.media.wav import OPEN_LENGTH, STEREO_HEADER_BYTES, stereo_ulaw_header

log = logging.getLogger("centrala.media")

FLUSH_FRAMES: Final = REEL_TICKS
"""1 s of 20 ms frames, the most that a killed process takes with it."""
SYNC_EVERY: Final = 10
"""Flushes between two fdatasync: a power cut takes 10 s at most. A disk that cannot keep up is not
asked to before `SYNC_LATEST`: then it takes 30 s."""
SYNC_LATEST: Final = 30
CHECK_S: Final = 1.0
ROOM_AGAIN: Final = 1.25
"""Recording is allowed again when this many times the reserve is free, so that it does not go on
and off with every file that somebody deletes."""
_FRAME: Final = 160
_MAX_QUEUE: Final = 4000
"""Pieces of at most 1 s, 64 MB: 40 s of 100 recordings, 7 s of 600."""

Reason = Literal["done", "disk_full"]
OnClosed = Callable[[str, int, Reason], None]


@dataclass(slots=True, eq=False)
class _Tape:
    """One running recording as the tick sees it."""

    recording: str
    path: Path


@dataclass(slots=True, eq=False)
class _File:
    """The same as the writer sees it."""

    descriptor: int = -1
    size: int = 0
    unsynced: int = 0
    """Flushes since the last fdatasync."""
    failed: bool = False


class Recorder:
    """All recordings of one media process.

    `on_closed(recording, duration_ms, reason)` is called on the writer's thread, once a recording.
    """

    def __init__(self, on_closed: OnClosed, reserve_bytes: int, folder: Path | None = None) -> None:
        self._on_closed = on_closed
        self.reserve_bytes = reserve_bytes
        self._folder = folder
        self._tapes: dict[str, _Tape] = {}
        self._files: dict[str, _File] = {}
        # The simple one is C throughout: the tick and the writer share the interpreter.
        self._work: queue.SimpleQueue[tuple[str, Path, bytes | None, bool] | None] = (
            queue.SimpleQueue()
        )
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
        self._tapes[recording] = _Tape(recording, path)
        self._hand_over(recording, path, b"", False)
        return True

    def feed(
        self,
        recording: str,
        left: g711.Bytes | None,
        right: g711.Bytes | None,
        frames: int = 1,
    ) -> None:
        """So many 20 ms frames of each side, 160 mu-law bytes each; None is silence."""
        tape = self._tapes.get(recording)
        if tape is None:
            return
        both = np.empty((frames * _FRAME, 2), np.uint8)
        both[:, 0] = g711.ULAW_SILENCE if left is None else left.reshape(-1)
        both[:, 1] = g711.ULAW_SILENCE if right is None else right.reshape(-1)
        self._hand_over(recording, tape.path, both.tobytes(), False)

    def stop(self, recording: str) -> None:
        """Complete the file; `on_closed` follows."""
        tape = self._tapes.pop(recording, None)
        if tape is not None:
            self._hand_over(recording, tape.path, b"", True)

    def stop_all(self) -> None:
        for recording in list(self._tapes):
            self.stop(recording)

    def close(self, timeout: float = 3.0) -> None:
        """Complete everything and end the writer."""
        self.stop_all()
        self._work.put(None)
        self._thread.join(timeout)

    def _hand_over(self, recording: str, path: Path, data: bytes, last: bool) -> None:
        if data and self._work.qsize() >= _MAX_QUEUE:
            # The disk has not answered for long: better no recording than no calls.
            self._tapes.pop(recording, None)
            self.allowed = False
            log.error("recording %s given up: the disk does not answer", recording)
            # What it has got is completed when the disk answers again.
            data, last = b"", True
        self._work.put((recording, path, data, last))

    # --- the writer's side ------------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            try:
                item = self._work.get(timeout=CHECK_S)
            except queue.Empty:
                self._look(self._folder)
                continue
            if item is None:
                return
            recording, path, data, last = item
            self._write(recording, path, data or b"", last)
            if time.monotonic() - self._looked_at >= CHECK_S:
                self._look(path.parent)

    def _write(self, recording: str, path: Path, data: bytes, last: bool) -> None:
        file = self._files.setdefault(recording, _File())
        if not file.failed:
            try:
                self._append(file, path, data, last)
            except OSError as error:
                self._fail(recording, file, error)
        if last:
            self._files.pop(recording, None)
            if not file.failed:
                os.close(file.descriptor)
                self._on_closed(recording, file.size // 16, "done")

    def _append(self, file: _File, path: Path, data: bytes, last: bool) -> None:
        if file.descriptor < 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            file.descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o640)
            # Held until we close it or die: so its finisher sees that it is not complete yet.
            with contextlib.suppress(OSError):
                fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            known = os.fstat(file.descriptor).st_size
            file.size = max(0, known - STEREO_HEADER_BYTES) & ~1
            os.pwrite(file.descriptor, stereo_ulaw_header(OPEN_LENGTH), 0)
        if data:
            _write_fully(file.descriptor, data, STEREO_HEADER_BYTES + file.size)
            file.size += len(data)
        file.unsynced += 1
        if last:
            os.pwrite(file.descriptor, stereo_ulaw_header(file.size), 0)
        behind = self._work.qsize() > len(self._files)
        if last or file.unsynced >= (SYNC_LATEST if behind else SYNC_EVERY):
            os.fdatasync(file.descriptor)
            file.unsynced = 0

    def _fail(self, recording: str, file: _File, error: OSError) -> None:
        """Close what is there; the calls go on without recording."""
        log.error("recording %s stopped: %s", recording, os.strerror(error.errno or errno.EIO))
        file.failed = True
        self._tapes.pop(recording, None)
        if file.descriptor >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(file.descriptor, stereo_ulaw_header(file.size), 0)
            os.close(file.descriptor)
        self.allowed = False
        self._on_closed(recording, file.size // 16, "disk_full")

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
                if not file.failed:
                    self._fail(recording, file, OSError(errno.ENOSPC, "reserve"))
        elif self.free_bytes >= self.reserve_bytes * ROOM_AGAIN:
            self.allowed = True


def _write_fully(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
