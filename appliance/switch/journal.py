"""What is alive, in a file that grows by a line for each change: little to write for each of many
calls, and all there after a crash (`contacts.save` writes everything anew each time).

A line is `["key", value]`, or `["key", null]` when the value is no more. It is written without
waiting for the disk: a process that is killed loses nothing by that, a box without power the last
seconds. The file is written anew when most of it is history. Like what lies in `contacts`, it is a
convenience, and what goes wrong with it is only logged.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from appliance.switch.contacts import MAX_BYTES

log = logging.getLogger("centrala.switch")

T = TypeVar("T")

SPARE_LINES: Final = 400
"""Lines of history that are no reason yet to write the file anew."""


class Journal(Generic[T]):
    """`kind` is the type of the values, a plain struct or dataclass. Everything here waits for the
    disk: not for the loop's thread."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._lines = msgspec.json.Decoder(tuple[str, kind | None])  # type: ignore[valid-type]
        self._one = threading.Lock()
        self._alive: dict[str, T] = {}
        self._written = 0
        """Lines in the file."""
        self._ill = False
        """The file does not say what is alive: the last write failed, or its last line is torn."""

    def load(self) -> list[T]:
        """What was alive when the last process ended; a line that it did not finish is left out."""
        try:
            if self._path.stat().st_size > MAX_BYTES:
                return []
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s cannot be read: %s", self._path, error)
            return []
        lines = data.splitlines()
        self._written = len(lines)
        self._ill = bool(data) and not data.endswith(b"\n")
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                self._take(*self._lines.decode(line))
        return list(self._alive.values())

    def write(self, changes: Iterable[tuple[str, T | None]]) -> None:
        """Key and value of what began or changed, None for what is over."""
        with self._one:
            self._write(changes)

    def _write(self, changes: Iterable[tuple[str, T | None]]) -> None:
        data, known = b"", self._written
        for key, value in changes:
            if value is None and key not in self._alive:
                continue
            try:
                line = msgspec.json.encode((key, value)) + b"\n"
            except UnicodeEncodeError:
                # What a stranger wrote may be no text; it is not worth more than the others.
                continue
            data += line
            self._written += 1
            self._take(key, value)
        if self._written == known:
            return
        try:
            if self._ill or self._written > SPARE_LINES + 2 * len(self._alive):
                self._renew()
            else:
                self._put(self._path, data, os.O_APPEND)
            self._ill = False
        except OSError as error:
            if not self._ill:
                log.warning("%s cannot be written: %s", self._path, error)
            self._ill = True

    def _take(self, key: str, value: T | None) -> None:
        if value is None:
            self._alive.pop(key, None)
        else:
            self._alive[key] = value

    def _renew(self) -> None:
        part = self._path.with_suffix(".part")
        lines = (msgspec.json.encode(one) + b"\n" for one in self._alive.items())
        self._put(part, b"".join(lines), os.O_TRUNC)
        part.rename(self._path)
        self._written = len(self._alive)

    def _put(self, path: Path, data: bytes, how: int) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | how, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
