"""The pages in a real Chromium, before a real web process, with the real browser peer at the
other end of the sound; only the switch behind them is scripted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from appliance.browser.peer import BrowserPeer
from appliance.browser.port import PeerRefused, PeerStateName
from appliance.ipc import Refused
from appliance.live import AgentPeer, Done, Live, PeerSdp, SetAgentState
from appliance.web.pages import STATIC
from tests.browser.chromium import Chromium
from tests.web import scenes
from tests.web.box import Box, box

AXE = Path(__file__).parents[2] / "appliance/web/ui/node_modules/axe-core/axe.min.js"
PICTURES = Path(__file__).parents[1] / "output"


def built() -> None:
    """Skips without built pages, but fails in CI, where they must be there."""
    if not (STATIC / "index.html").is_file():
        reason = "the pages are not built; ./build.sh test builds them"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class Rig:
    def __init__(self, office: Box, browser: Chromium, context: BrowserContext) -> None:
        self.office, self.browser, self.context = office, browser, context
        self.control = office.control
        self.peers: dict[str, BrowserPeer] = {}
        self.peer_states: list[PeerStateName] = []
        self.audio: list[bytes] = []
        self.complaints: list[str] = []
        self.pages: list[Page] = []
        self.control.handlers[AgentPeer] = self._on_offer
        self.control.handlers[SetAgentState] = self._on_state

    # --- the switch's part ------------------------------------------------------------------

    def show(self, live: Live) -> None:
        self.control.show(live)

    def agent(self, who: str, **changes: Any) -> None:
        """Change one agent in the live state."""
        self.show(scenes.with_agent(self.control.live, who, **changes))

    async def _on_state(self, body: SetAgentState) -> Done:
        self.agent(
            body.agent,
            phase=body.state,
            reason=body.reason,
            since=scenes.clock(),
            reachable=body.agent in self.peers,
        )
        return Done()

    async def _on_offer(self, body: AgentPeer) -> PeerSdp:
        old = self.peers.pop(body.agent, None)
        if old is not None:
            await old.close()
        peer = self.peers[body.agent] = BrowserPeer(body.agent, self, loopback=True)
        try:
            return PeerSdp(await peer.accept(body.sdp))
        except PeerRefused as refused:
            raise Refused(str(refused)) from refused

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        self.audio.append(payload)

    def peer_key(self, peer: str, digit: str) -> None:
        """Keys come over the API."""

    def peer_state(self, peer: str, state: PeerStateName) -> None:
        self.peer_states.append(state)
        if state in ("connected", "closed", "failed"):
            self.agent(peer, reachable=state == "connected")

    # --- the person's part ------------------------------------------------------------------

    async def page(self, path: str, person: str | None = None, **storage: str) -> Page:
        """A new tab at `path`, signed in; `storage` goes into localStorage first."""
        if person is not None:
            client = await self.office.signed_in(person, self.office.http)
            await self.context.add_cookies(
                [
                    {"name": name, "value": value, "url": self.office.http}
                    for name, value in client.cookies.items()
                ]
            )
        page = await self.context.new_page()
        self.pages.append(page)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type == "error" else None
            ),
        )
        if storage:
            pairs = "".join(f"localStorage.setItem({k!r}, {v!r});" for k, v in storage.items())
            await page.add_init_script(pairs)
        await page.goto(f"{self.office.http}{path}")
        return page

    async def close(self) -> None:
        for page in self.pages:
            await page.close(run_before_unload=False)
        for peer in list(self.peers.values()):
            await peer.close()


@asynccontextmanager
async def rig(
    browser: Chromium,
    data: Path,
    free_port: Callable[[], int],
    live: Live | None = None,
    **web: Any,
) -> AsyncIterator[Rig]:
    """A fresh web process and a fresh profile of `browser`."""
    async with box(data, free_port, live, **web) as office:
        # Its own context: here the pages' policy of contents is to hold.
        context = await browser.browser.new_context(
            permissions=["microphone"],
            ignore_https_errors=True,
            locale="en-US",
            viewport={"width": 1280, "height": 860},
        )
        one = Rig(office, browser, context)
        try:
            yield one
        finally:
            await one.close()
            await context.close()


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is waited for is no task of ours)
            await asyncio.sleep(0.01)


async def axe(page: Page) -> list[str]:
    """What axe-core finds wrong (WCAG 2.2 AA and best practice), one line a finding."""
    if not AXE.is_file():
        if os.environ.get("CI"):
            pytest.fail("axe-core is not installed; ./build.sh test installs it")
        pytest.skip("axe-core is not installed; run npm ci in appliance/web/ui")
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(
        """async () => {
             // Colours on their way are nobody's to judge.
             document.getAnimations().forEach(one => {
               if (one.effect.getComputedTiming().iterations !== Infinity) one.finish();
             });
             const result = await axe.run(document, { resultTypes: ["violations"] });
             return result.violations.flatMap(rule => rule.nodes.map(
               node => `${rule.id}: ${node.target} ${node.failureSummary}`));
           }"""
    )
    return found


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
