"""Messages out of a byte stream (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

from __future__ import annotations

import re
from typing import Final

from appliance.sip.message import MAX_BODY, MAX_HEAD

_LENGTH: Final = re.compile(
    rb"(?:^|\r\n)(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n|$)", re.IGNORECASE
)
PONG: Final = b"\r\n"


class FramingError(ValueError):
    """The stream cannot be followed any more: close the connection."""


class Framing:
    """Feed bytes, get whole messages. `pongs` counts keep-alives that want an answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self.pongs = 0

    def __bool__(self) -> bool:
        """True in the middle of a message."""
        return bool(self._buffer.strip(b"\r\n"))

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes, return the messages that are complete. Raises FramingError."""
        self._buffer += data
        messages: list[bytes] = []
        while True:
            self._skip_keepalives()
            end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
            if end < 0:
                self._scanned = len(self._buffer)
                if len(self._buffer) > MAX_HEAD:
                    raise FramingError("header too long")
                return messages
            self._scanned = end
            if end > MAX_HEAD:
                raise FramingError("header too long")
            match = _LENGTH.search(bytes(self._buffer[:end]))
            if match is None:
                raise FramingError("no usable Content-Length")
            total = end + 4 + int(match.group(1))
            if total - end - 4 > MAX_BODY:
                raise FramingError("body too long")
            if len(self._buffer) < total:
                return messages
            messages.append(bytes(self._buffer[:total]))
            del self._buffer[:total]
            self._scanned = 0

    def _skip_keepalives(self) -> None:
        while self._buffer[:2] == b"\r\n":
            if self._buffer[:4] == b"\r\n\r\n":
                self.pongs += 1
                del self._buffer[:4]
            else:
                # A lone CRLF is a pong or half a ping: wait for the rest unless more follows.
                if len(self._buffer) < 4 and not self:
                    return
                del self._buffer[:2]
            self._scanned = 0
