"""Where the phones are, kept over a restart: a small file beside the ledger.

It is a convenience, not a record: a phone that is missing from it registers again within minutes.
So a file that cannot be read or written is only logged.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from appliance.sip.registrar import SavedBinding

log = logging.getLogger("centrala.switch")

MAX_BYTES: Final = 1 << 20


def load_contacts(path: Path) -> list[SavedBinding]:
    """The contacts saved last; empty when there are none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return []
        return msgspec.json.decode(path.read_bytes(), type=list[SavedBinding])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        log.warning("the phones' contacts in %s cannot be read: %s", path, error)
        return []


def save_contacts(path: Path, contacts: list[SavedBinding]) -> None:
    """Replace the file at once or not at all."""
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(contacts))
        part.rename(path)
    except OSError as error:
        log.warning("the phones' contacts cannot be saved in %s: %s", path, error)
