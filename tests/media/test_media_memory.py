"""A real media process keeps its memory, and gives back what it has no use for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.media import memory
from appliance.media import protocol as p
from tests.media.test_media_process import Box

_GIVES_BACK = """
import numpy as np
from appliance.media.memory import OWN, one_arena
one_arena()
assert OWN.lock() is {locked}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
pieces = [np.ones(1000) for _ in range(4000)]
kept, pieces = pieces[::40], None
full = resident()
OWN.give_back()
assert full - resident() > 20_000_000, (full, resident())
assert all(piece.sum() == 1000 for piece in kept)
"""


def status(pid: int) -> dict[str, int]:
    """kB by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}


def unlocked_kb(maps: str) -> int:
    """What is in memory of the mappings that are not locked."""
    total = resident = 0
    for line in maps.splitlines():
        if line.startswith("Rss:"):
            resident = int(line.split()[1])
        elif line.startswith("VmFlags:") and "lo" not in line.split():
            total += resident
    return total


@pytest.mark.skipif(not memory.may_lock(), reason="RLIMIT_MEMLOCK forbids to lock memory")
async def test_what_a_media_process_has_touched_stays_in_memory(tmp_path: Path) -> None:
    sock = tmp_path / "m.sock"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.media", str(sock), str(tmp_path)
    )
    box = Box()
    try:
        await box.client.connect(sock, patience=20)
        box.spawn(box.listen())
        box.send(p.Setup((), "de", 1024))
        await box.wait(p.MediaReady)
        kept = status(child.pid)
        # All of it, but only as far as it is used.
        assert kept["VmLck"] > kept["VmRSS"] + 20_000
        maps = Path(f"/proc/{child.pid}/smaps").read_text()
        assert unlocked_kb(maps) < 500
    finally:
        child.kill()
        await child.wait()
        await box.close()


@pytest.mark.parametrize("locked", [True, False])
def test_memory_that_is_not_needed_any_more_goes_back_locked_or_not(locked: bool) -> None:
    if locked and not memory.may_lock():
        pytest.skip("RLIMIT_MEMLOCK forbids to lock memory")
    program = _GIVES_BACK.format(locked=locked)
    if not locked:
        program = "import appliance.media.memory as m; m.may_lock = lambda: False\n" + program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("LimitMEMLOCK" in done.stderr) is not locked
