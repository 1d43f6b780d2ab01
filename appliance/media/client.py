"""The control process's end of the connection to a media process."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from appliance import ipc
from appliance.media import protocol


class MediaClient:
    """Commands out, events in. Nothing waits for an answer; see `appliance.media.protocol`."""

    def __init__(self) -> None:
        self._connection: ipc.Connection | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.closed

    async def connect(self, path: Path, *, patience: float = 5.0) -> None:
        """Connect to the process that listens on `path`; `Setup` is to be sent next.

        Retries for `patience` seconds while nobody listens. Raises `ipc.Disconnected`.
        """
        self.close()
        self._connection = await ipc.connect(path, protocol.Event, patience=patience)

    def send(self, command: protocol.Command) -> None:
        """Send one command; silently nothing when the process is gone (`events` then ends)."""
        if self._connection is not None:
            self._connection.post(command)

    async def events(self) -> AsyncIterator[protocol.Event]:
        """Events as they come; ends when the media process is gone."""
        connection = self._connection
        if connection is None:
            return
        async for message in connection.messages():
            yield message.body

    async def drain(self) -> None:
        """Wait until what was sent is out of this process's buffers."""
        if self._connection is not None:
            await self._connection.drain()

    def kill(self) -> int | None:
        """kill -9 whoever listens at the other end; `events` then ends. Returns its pid, None when
        that is not known or it is this very process.

        Raises PermissionError.
        """
        pid = None if self._connection is None else self._connection.peer_pid()
        self.close()
        if pid == os.getpid():
            return None
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
