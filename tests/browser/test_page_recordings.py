"""The page plays and seeks a recording in each form that one can have, nothing from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from appliance.ledger.writer import Ledger
from appliance.media.finish import finish
from appliance.recordings import Form
from tests.browser.chromium import chromium
from tests.browser.page_rig import built, rig
from tests.media.test_finish import talk, write
from tests.web import scenes
from tests.web.history import answered

FORMS: tuple[Form, ...] = ("opus", "flac", "wav")

pytestmark = pytest.mark.timeout(120)


async def test_the_page_plays_every_form(tmp_path: Path, free_port: Callable[[], int]) -> None:
    built()
    now = scenes.clock()
    book = await Ledger.open(tmp_path / "ledger.db", now - 7_200_000, reserve_bytes=0)
    for n, form in enumerate(FORMS):
        path = write(tmp_path / "recordings" / f"{form}.wav", talk(30_000))
        assert finish(path, form) == path.with_suffix(f".{form}")
        await book.append(answered(f"c{n}", now - 900_000 + n * 90_000, "ana", "+4072", form))
    await book.close()
    async with chromium() as browser, rig(browser, tmp_path, free_port, scenes.quiet()) as office:
        for n, form in enumerate(FORMS):
            page = await office.page(f"/calls/c{n}", "dina")
            player = page.locator("audio")
            await expect(player).to_have_js_property("readyState", 4, timeout=20_000)
            assert await player.evaluate("a => a.duration") == pytest.approx(30, abs=0.1), form
            await player.evaluate("a => { a.muted = true; a.currentTime = 20; return a.play(); }")
            await page.wait_for_function(
                "() => document.querySelector('audio').currentTime > 20.3", timeout=20_000
            )
            assert await player.evaluate("a => a.error") is None
            await page.close()
        assert office.complaints == []
