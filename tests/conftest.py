"""Shared by all tests: hypothesis profile, free ports, and which tests listen to the clock."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("centrala", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("centrala")

REAL_TIME = (
    "browser",
    "browser_peer",
    "e2e",
    "faults",
    "interop",
    "media/test_finish.py",  # works at idle priority
    "media/test_media_doors.py",
    "media/test_media_flood.py",
    "media/test_media_links.py",
    "media/test_media_process.py",
    "media/test_media_reports.py",
    "media/test_media_srtp.py",
    "simulator/test_sim_rig.py",
)
"""Folders and modules whose tests listen to the clock: sound at its own pace, other programs,
a browser. They run one after the other; all others may run side by side."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        choices=("any-time", "real-time"),
        help="only tests that may run side by side, or only those that listen to the clock",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part = config.getoption("--part")
    if part is None:
        return
    here = Path(__file__).parent
    timed = tuple(here / name for name in REAL_TIME)

    def listens(item: pytest.Item) -> bool:
        return any(item.path == one or one in item.path.parents for one in timed)

    wanted = [item for item in items if listens(item) == (part == "real-time")]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(wanted)])
    items[:] = wanted


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port on 127.0.0.1 that is free for UDP and TCP right now, even and with its successor.
    Processes that test side by side are given different ones."""
    given: set[int] = set()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

    def pick() -> int:
        for _ in range(200 * workers):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                tcp.bind(("127.0.0.1", 0))
                port: int = tcp.getsockname()[1] & ~1
            if port in given or port // 2 % workers != worker % workers:
                continue
            try:
                for candidate in (port, port + 1):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        with socket.socket(socket.AF_INET, kind) as probe:
                            probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            given.add(port)
            return port
        raise RuntimeError("no free port")

    return pick
