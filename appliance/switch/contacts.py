"""Small files beside the ledger that keep something over a restart: where the phones are, what
people set for themselves.

They are a convenience, not a record: a phone that is missing registers again within minutes, and
what people set stands in the ledger. So a file that cannot be read or written is only logged.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

log = logging.getLogger("centrala.switch")

T = TypeVar("T")

MAX_BYTES: Final = 4 << 20


def load_saved(path: Path, kind: type[T]) -> list[T]:
    """What was saved last; empty when there is nothing."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return []
        return msgspec.json.decode(path.read_bytes(), type=list[kind])  # type: ignore[valid-type]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return []


def save(path: Path, values: Sequence[object]) -> None:
    """Replace the file at once or not at all."""
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(values))
        part.rename(path)
    except OSError as error:
        log.warning("%s cannot be saved: %s", path, error)
