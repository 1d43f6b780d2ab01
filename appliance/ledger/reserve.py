"""The ballast: disk space held back so that facts can still be written when the disk is full.

`ledger.reserve` lies beside the ledger and holds real blocks. The writer deletes it when the disk
has no room for a commit, which gives days of facts to a person who can make room, and lays it
down again once there is plenty.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 8 * 1024 * 1024
PLENTY: Final = 4
"""The ballast comes back when the disk has this many times its size free: were it one time, the
disk would be full again at once."""


class Reserve:
    """The ballast file of one ledger. Blocking: call it off the event loop."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size = size

    @property
    def held(self) -> bool:
        return self.path.exists()

    def release(self) -> bool:
        """Give the space back; tells whether there was any."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> bool:
        """Lay the ballast down if there is plenty of space; tells whether it is held now."""
        if self.held:
            return True
        try:
            if shutil.disk_usage(self.path.parent).free < PLENTY * self.size:
                return False
            part = self.path.with_suffix(".part")
            descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self.size)
            finally:
                os.close(descriptor)
            part.rename(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                self.path.with_suffix(".part").unlink()
            return False
        return True
