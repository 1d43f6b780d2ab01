"""Programs from Debian that stand at the other end in tests."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Path of a peer program; without it the test is skipped with the reason, but fails in CI."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed; ./build.sh test installs it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
