"""Recordings on their way to their lasting form: which are waiting, and the process that works on
them, one at a time and only when the box has nothing better to do.

Nothing is remembered across a restart: what still lies there as it was recorded is found by
looking. The process gets all that wait when it starts and ends when it is done with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from appliance.media.finish import unfinished
from appliance.recordings import Form, everything, parts

log = logging.getLogger("centrala.switch")

GATHER_S: Final = 5.0
"""After a call, so that calls that end together share a process; starting one costs more than
finishing a short recording."""
RETRY_S: Final = 60.0
"""Recordings that were still held by their writer, or whose finisher was killed."""
_MAX_TRIES: Final = 5


class Finishing:
    """`run` works until cancelled; what is `add`ed before or meanwhile is done in that order.
    `form` tells what the site document asks for now."""

    def __init__(self, data: Path, form: Callable[[], Form]) -> None:
        self._data = data
        self._form = form
        self._waiting: dict[str, int] = {}
        """Paths relative to the data directory -> how often they were tried."""
        self._more = asyncio.Event()
        self._unwanted: list[str] = []
        self.done = 0

    def add(self, path: str) -> None:
        """The recording that was begun as `path` is complete."""
        self._waiting.setdefault(path, 0)
        self._more.set()

    def discard(self, path: str) -> None:
        """Nobody wants the recording that was begun as `path` any more: all of it goes, when no
        process works on it."""
        self._waiting.pop(path, None)
        self._unwanted.append(path)
        self._more.set()

    async def run(self) -> None:
        left = await asyncio.to_thread(unfinished, self._data / "recordings", self._form())
        for path in left:
            self.add(str(path.relative_to(self._data)))
        while True:
            await self._more.wait()
            self._more.clear()
            await asyncio.sleep(GATHER_S)
            await self._delete()
            if await self._work():
                asyncio.get_running_loop().call_later(RETRY_S, self._more.set)

    async def _delete(self) -> None:
        unwanted, self._unwanted = self._unwanted, []
        for path in unwanted:
            self._waiting.pop(path, None)
            try:
                await asyncio.to_thread(_remove, self._data / path)
            except OSError as error:
                log.error("recording %s cannot be deleted: %s", path, error)

    async def _work(self) -> bool:
        """Let one process take all that wait; whether something has to be tried again."""
        form = self._form()
        batch = await asyncio.to_thread(self._those_with_work, list(self._waiting), form)
        if not batch:
            return False
        unanswered = dict.fromkeys(batch)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "appliance.cli", "finish"),
            *("--data", str(self._data), "--format", form),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(ConnectionError):
                process.stdin.write("".join(f"{path}\n" for path in batch).encode())
                process.stdin.close()
            async for line in process.stdout:
                path, _, result = line.decode().rstrip("\n").partition("\t")
                unanswered.pop(path, None)
                if result == "busy":
                    self._tried(path)
                else:
                    # One that cannot be finished stays as it is until the next start.
                    self._waiting.pop(path, None)
                    self.done += result == "done"
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if unanswered:
            first = next(iter(unanswered))
            log.warning("the finisher ended (%s) while at %s", process.returncode, first)
            self._tried(first)
        return any(path in self._waiting for path in batch)

    def _those_with_work(self, paths: list[str], form: Form) -> list[str]:
        """A whole WAV that is to stay one needs no process."""
        found = []
        for path in paths:
            if form == "wav" and parts(self._data / path) == [(0, self._data / path)]:
                del self._waiting[path]
            else:
                found.append(path)
        return found

    def _tried(self, path: str) -> None:
        """It stays, behind the others: one that kills its finisher must not keep them waiting."""
        tries = self._waiting.pop(path, 0) + 1
        if tries < _MAX_TRIES:
            self._waiting[path] = tries
        else:
            log.error("recording %s stays as it is until the next start", path)


def _remove(path: Path) -> None:
    for file in everything(path):
        file.unlink(missing_ok=True)
