"""Shared by all tests: hypothesis profile, free ports, and which tests listen to the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.ports import port_picker

settings.register_profile("centrala", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("centrala")

WAITING = (
    "faults/test_box_kills.py",
    "browser/test_page_agent.py",
    "e2e/test_who_hears_whom.py",
    "e2e/test_voicemail.py",
    "browser/test_page_views.py",
    "e2e",
    "browser/test_peer_in_chromium.py",
    "faults",
    "media/test_media_process.py",
    "browser",
    "interop",
    "media/test_media_links.py",
    "browser_peer",
    "simulator/test_sim_rig.py",
    "media/test_media_srtp.py",
    "media/test_media_reports.py",
)
"""Folders and modules whose tests live in real time: sound at its own pace, other programs, a
browser. They mostly wait, so a few of them may run at once, each with its own ports and folders.
They begin in this order: what takes long comes first, and what keeps a core busy, as a browser
does, is spread out."""

ALONE = (
    "browser/test_agent_moves.py",  # a new network on the machine disturbs any browser
    "browser/test_delay_in_chromium.py",
    "e2e/test_first_call.py",
    "e2e/test_menu_on_live_calls.py",  # a late packet makes two keys of a tone that is cut in two
    "faults/test_box_bad_input.py",
    "faults/test_box_closed_tab.py",
    "faults/test_box_disk_full.py",
    "faults/test_media_kills.py",
    "media/test_finish.py",  # works at idle priority
    "media/test_media_doors.py",
    "media/test_media_flood.py",
)
"""Of those, the ones that judge how late sound is, or hear to the end what is said only once,
or need what the others would take away."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        choices=("any-time", "waiting", "alone"),
        help="only tests that may run on all cores, or only those that wait in real time, or only"
        " those that must have the machine to themselves",
    )


def _rank(path: Path, names: tuple[str, ...]) -> int | None:
    """Which of these folders and modules it belongs to."""
    here = Path(__file__).parent
    return next((n for n, name in enumerate(names) if path.is_relative_to(here / name)), None)


def _part(path: Path) -> str:
    if _rank(path, ALONE) is not None:
        return "alone"
    return "any-time" if _rank(path, WAITING) is None else "waiting"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules of other parts are not even read."""
    part = config.getoption("--part")
    if part is None or not collection_path.name.startswith("test_"):
        return None
    return _part(collection_path) != part or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--part") == "waiting":
        items.sort(key=lambda item: _rank(item.path, WAITING) or 0)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives ports that are free; see `port_picker`."""
    return port_picker()
