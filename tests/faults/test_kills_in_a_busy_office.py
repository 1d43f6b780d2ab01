"""A few of the kills that `python -m tests.faults.kills` does by the fifty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.kills import rehearse

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


async def test_control_and_media_are_killed_in_a_busy_office(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    tally = await rehearse(tmp_path, free_port, control=2, media=2, seed=3)
    assert tally.kills.total() == 4
    assert tally.answered >= 5
    assert tally.recordings >= 3
