"""The one way between our processes: typed messages over a Unix socket.

A frame is a 4-byte big-endian length and a msgpack array `[kind, ref, body]`. `body` is one of the
tagged structs that the two sides agreed on; `kind` tells an event from a request and its reply.
Whoever listens removes a stale socket file first and makes the new one readable by its own user
only. A peer that sends what is not agreed is disconnected, never trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

MAX_FRAME: Final = 8 * 1024 * 1024
MAX_BACKLOG: Final = 32 * 1024 * 1024
"""Bytes a slow reader may owe us before we drop it: minutes of events, not a leak."""

_EVENT, _REQUEST, _REPLY, _ERROR = 0, 1, 2, 3

_NOT_A_MESSAGE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises on bytes that are not a message: nested too deep, or no text where text
should be, besides the wrong shape."""


class Refused(Exception):
    """The other side refused a request; the text is for people."""


class Disconnected(Exception):
    """The other side is gone."""


class _Frame(msgspec.Struct, array_like=True, frozen=True):
    kind: int
    ref: int
    body: msgspec.Raw


class Incoming:
    """One message from the other side; a request also wants `reply` or `refuse`, once."""

    __slots__ = ("_connection", "_ref", "body")

    def __init__(self, connection: Connection, ref: int | None, body: Any) -> None:
        self._connection = connection
        self._ref = ref
        self.body = body

    @property
    def wants_reply(self) -> bool:
        return self._ref is not None

    def reply(self, body: Any) -> None:
        if self._ref is not None:
            self._connection.post_frame(_REPLY, self._ref, body)
            self._ref = None

    def refuse(self, text: str) -> None:
        if self._ref is not None:
            self._connection.post_frame(_ERROR, self._ref, text)
            self._ref = None


class Connection:
    """One end of a socket. `types` is the union of messages that may arrive."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, types: Any
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = msgspec.msgpack.Decoder(_Frame)
        self._bodies = msgspec.msgpack.Decoder(types)
        self._encoder = msgspec.msgpack.Encoder()
        self._types = types
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reply_types: dict[int, Any] = {}
        self._next_ref = 1
        self.closed = False

    def post(self, body: Any) -> None:
        """Send an event; nothing is awaited and nothing raised if the other side is gone."""
        self.post_frame(_EVENT, 0, body)

    def post_frame(self, kind: int, ref: int, body: Any) -> None:
        if self.closed:
            return
        raw = self._encoder.encode((kind, ref, body))
        if self._writer.transport.get_write_buffer_size() + len(raw) > MAX_BACKLOG:
            self.close()
            return
        self._writer.write(len(raw).to_bytes(4, "big") + raw)

    async def request(self, body: Any, reply_type: Any = Any, timeout: float = 5.0) -> Any:
        """Send a request and wait for its reply of `reply_type`.

        Raises `Refused` with the other side's words, `Disconnected`, or `TimeoutError`.
        """
        if self.closed:
            raise Disconnected
        ref = self._next_ref
        self._next_ref += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[ref] = future
        self._reply_types[ref] = reply_type
        try:
            self.post_frame(_REQUEST, ref, body)
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiting.pop(ref, None)
            self._reply_types.pop(ref, None)

    async def messages(self) -> AsyncIterator[Incoming]:
        """Events and requests as they come; ends when the other side is gone or misbehaves."""
        try:
            while True:
                head = await self._reader.readexactly(4)
                size = int.from_bytes(head, "big")
                if size > MAX_FRAME:
                    return
                raw = await self._reader.readexactly(size)
                try:
                    frame = self._frames.decode(raw)
                    if frame.kind in (_EVENT, _REQUEST):
                        body = self._bodies.decode(frame.body)
                        yield Incoming(self, frame.ref if frame.kind == _REQUEST else None, body)
                    else:
                        self._settle(frame)
                except _NOT_A_MESSAGE:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.close()

    def _settle(self, frame: _Frame) -> None:
        future = self._waiting.get(frame.ref)
        if future is None or future.done():
            return
        if frame.kind == _ERROR:
            future.set_exception(Refused(msgspec.msgpack.decode(frame.body, type=str)))
        else:
            reply_type = self._reply_types[frame.ref]
            try:
                future.set_result(msgspec.msgpack.decode(frame.body, type=reply_type))
            except _NOT_A_MESSAGE as error:
                future.set_exception(Refused(f"unexpected reply: {error}"))

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Disconnected())

    def peer_pid(self) -> int | None:
        """The process at the other end, of a listener the one that listens; None when the system
        does not say (unix(7), `SO_PEERCRED`)."""
        sock = self._writer.get_extra_info("socket")
        if self.closed or sock is None:
            return None
        size = struct.calcsize("3i")
        said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, _, _ = struct.unpack("3i", said)
        return int(pid) or None

    async def drain(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()


async def connect(path: Path, types: Any, *, patience: float = 0.0) -> Connection:
    """Connect to a listener, retrying for `patience` seconds while it is not there yet.

    Raises `Disconnected`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_FRAME)
            return Connection(reader, writer, types)
        except (FileNotFoundError, ConnectionError):
            if loop.time() >= deadline:
                raise Disconnected(f"nobody listens on {path}") from None
            await asyncio.sleep(0.02)


async def serve(
    path: Path, types: Any, handler: Callable[[Connection], Awaitable[None]]
) -> asyncio.Server:
    """Listen on `path`; `handler` runs once a connection and owns it until it returns."""

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, types)
        try:
            await handler(connection)
        finally:
            connection.close()

    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    old_mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(on_connect, str(path), limit=MAX_FRAME)
    finally:
        os.umask(old_mask)
