"""The sounds that are being played, loaded behind the tick's back and kept for the next caller."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from appliance.media import g711
from appliance.media.wav import WavError, load_ulaw

MAX_KEPT: Final = 32 * 1024 * 1024

_Key = tuple[str, int, int]


class Library:
    """WAV files as mu-law audio."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, g711.Bytes] = OrderedDict()
        self._size = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sounds")

    async def load(self, files: Sequence[str]) -> g711.Bytes:
        """The files one after another. Raises `WavError` or OSError."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._load, tuple(files)
        )

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self, files: tuple[str, ...]) -> g711.Bytes:
        pieces = [self._one(Path(file)) for file in files]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint8)

    def _one(self, path: Path) -> g711.Bytes:
        if not path.is_absolute():
            raise WavError(f"{path} is not an absolute path")
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        audio = self._kept.get(key)
        if audio is None:
            audio = load_ulaw(path)
            audio.setflags(write=False)
            self._kept[key] = audio
            self._size += len(audio)
            while self._size > MAX_KEPT and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        else:
            self._kept.move_to_end(key)
        return audio
