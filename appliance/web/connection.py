"""One HTTP connection with bounds that the server does not set: how long the head of a request may
be, and how long a client may take to send a request; a long body earns more time by coming on
steadily. Without them a stranger who never finishes
fills the memory, or holds all the connections that pages need."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD: Final = 32 * 1024
REQUEST_S: Final = 20.0
PROGRESS: Final = 512 * 1024
"""Bytes of a body that renew the patience: uploads over a slow Wi-Fi."""


class Connection(HttpToolsProtocol):
    """Closes after `REQUEST_S` seconds without a whole request, counted from the connection and
    then from each request's first byte; a head over `MOST_HEAD` bytes is answered with 400."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
            if self._body_bytes >= PROGRESS and self._patience is not None:
                self._body_bytes = 0
                self._complete()
                self._wait()
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._wait()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._complete()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._complete()
        super().handle_websocket_upgrade()

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_S, self._give_up)

    def _complete(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        self.transport.close()
