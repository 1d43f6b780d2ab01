"""The keeper of an audio process: the next child at once, none left behind, none while stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

WORK = """
import os, signal, sys, time
from pathlib import Path
from appliance.media.keeper import Keeper

folder = Path(sys.argv[1])

def work():
    number = len(list(folder.iterdir()))
    done = lambda *_: (folder.joinpath("in order").write_text(""), os._exit(0))
    signal.signal(signal.SIGTERM, done)
    folder.joinpath(str(number)).write_text("json" if "wave" in sys.modules else "")
    if number < int(sys.argv[2]):
        raise RuntimeError("broken")
    while True:
        time.sleep(10)

Keeper(["wave"], work).run()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(broken: int = 0) -> subprocess.Popen[bytes]:
        order = [sys.executable, "-c", WORK, str(tmp_path), str(broken)]
        running.append(subprocess.Popen(order, stderr=subprocess.DEVNULL))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def child(keeper: subprocess.Popen[bytes]) -> psutil.Process:
    (found,) = psutil.Process(keeper.pid).children()
    return found


def test_a_child_that_is_killed_is_followed_by_the_next(
    tmp_path: Path, start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    keeper = start(0)
    until((tmp_path / "0").exists)
    child(keeper).kill()
    until((tmp_path / "1").exists)
    until(lambda: (tmp_path / "1").read_text() != "")
    assert keeper.poll() is None


def test_a_child_that_breaks_is_tried_again(
    tmp_path: Path, start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    start(2)
    until((tmp_path / "2").exists)


def test_both_stop_in_order(
    tmp_path: Path, start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    keeper = start(0)
    until((tmp_path / "0").exists)
    worker = child(keeper)
    keeper.terminate()
    assert keeper.wait(20) == 0
    assert not worker.is_running()
    assert (tmp_path / "in order").exists()
    assert not (tmp_path / "1").exists()


def test_the_child_of_a_killed_keeper_is_gone_with_it(
    tmp_path: Path, start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    keeper = start(0)
    until((tmp_path / "0").exists)
    worker = child(keeper)
    os.kill(keeper.pid, signal.SIGKILL)
    keeper.wait()
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert not (tmp_path / "in order").exists()
