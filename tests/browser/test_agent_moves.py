"""An agent's computer that changes its network in a call: Chromium in a network namespace of its
own, so that its address can be taken away. Needs root."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from appliance.live import AgentPeer
from tests.browser.chromium import chromium
from tests.browser.page_rig import Rig, built, rig, until
from tests.browser.test_page_agent import on_duty, ring
from tests.peers import program
from tests.web import scenes

pytestmark = pytest.mark.browser


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass(frozen=True, slots=True)
class Network:
    """A namespace behind a cable: the box at .1, the agent's computer at .2 to begin with."""

    name: str
    cable: str
    prefix: str

    @property
    def box(self) -> str:
        return f"{self.prefix}.1"

    def move(self, old: int, new: int) -> None:
        """The computer gets another address."""
        _ip("-n", self.name, "address", "del", f"{self.prefix}.{old}/24", "dev", "agent")
        _ip("-n", self.name, "address", "add", f"{self.prefix}.{new}/24", "dev", "agent")

    def cut(self, off: bool) -> None:
        _ip("link", "set", self.cable, "down" if off else "up")


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    mark = secrets.token_hex(3)
    made = Network(f"agent-{mark}", f"ag{mark}", f"10.{200 + secrets.randbelow(50)}.77")
    try:
        _ip("netns", "add", made.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr}")
    try:
        _ip("link", "add", made.cable, "type", "veth", "peer", "agent", "netns", made.name)
        _ip("address", "add", f"{made.box}/24", "dev", made.cable)
        _ip("link", "set", made.cable, "up")
        _ip("-n", made.name, "address", "add", f"{made.prefix}.2/24", "dev", "agent")
        _ip("-n", made.name, "link", "set", "agent", "up")
        _ip("-n", made.name, "link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", made.cable], check=False, capture_output=True)


async def _heard_again(office: Rig, page: Page, what: str) -> None:
    """The page is heard by a connection that was made after now."""
    began, offers = time.monotonic(), len(office.control.asked(AgentPeer))
    await until(lambda: len(office.control.asked(AgentPeer)) > offers, 60)
    office.audio.clear()
    await until(lambda: len(office.audio) >= 20, 30)
    print(json.dumps({what: round(time.monotonic() - began, 1)}))
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    await expect(page.locator("[data-call=talking]")).to_be_visible()


async def test_an_agent_who_gets_another_address_in_a_call_is_heard_again_by_himself(
    network: Network, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    built()
    inside = tmp_path / "chromium-inside"
    inside.write_text(f'#!/bin/sh\nexec ip netns exec {network.name} {program("chromium")} "$@"\n')
    inside.chmod(0o755)
    async with (
        chromium(executable=inside, loopback=False) as browser,
        rig(browser, tmp_path, free_port, scenes.quiet(), host="0.0.0.0") as office,
    ):
        # The microphone is only there over HTTPS, the page's address being no loopback.
        office.office.http = f"https://{network.box}:{office.office.site.web.https_port}"
        page = await on_duty(office)
        ring(office, "talking")
        await until(lambda: len(office.audio) >= 20)
        network.move(2, 3)
        await _heard_again(office, page, "after_new_address_s")
