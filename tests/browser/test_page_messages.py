"""The page of messages in Chromium: listening, marking, calling back, deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import expect

from appliance.live import AgentDial, DeleteMessage, Done, MarkMessage
from tests.browser.chromium import Chromium, chromium
from tests.browser.page_rig import axe, built, picture, rig
from tests.browser.test_page_callbacks import fits
from tests.web import scenes
from tests.web.history import write_recording
from tests.web.test_web_messages import BOXES, PEOPLE, kept, ledger

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    built()
    async with chromium() as one:
        yield one


async def test_messages_are_played_marked_called_back_and_deleted(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    now = scenes.clock() - 600_000
    await ledger(tmp_path, kept("m1", "ana", now), kept("m2", "sales", now + 60_000, None))
    folder = tmp_path / "recordings" / "2026-11-25"
    folder.mkdir(parents=True)
    write_recording(folder / "c-m1-1.wav", 1)
    start = scenes.with_agent(scenes.quiet(), "ana", phase="ready", reachable=True, messages=2)
    async with rig(
        browser,
        tmp_path,
        free_port,
        msgspec.structs.replace(start, facts=1),
        passwords=PEOPLE,
        boxes=BOXES,
    ) as office:

        async def done(_: object) -> Done:
            return Done()

        office.control.handlers[MarkMessage] = done
        office.control.handlers[DeleteMessage] = done
        page = await office.page("/messages", "ana")
        rows = page.locator("[data-message]")
        await expect(rows).to_have_count(2)
        await expect(page.locator("nav [data-count]")).to_contain_text("2")
        await expect(rows.first.get_by_text("Number withheld")).to_be_visible()
        await expect(rows.first.get_by_role("button", name="Call back")).to_be_disabled()
        assert await fits(page) == []
        await picture(page, "messages")

        heard = rows.nth(1)
        await heard.locator("audio").evaluate("one => { one.muted = true; return one.play(); }")
        mark = await office.control.wait_for(MarkMessage)
        assert mark == MarkMessage("ana", "m1", False)
        button = heard.get_by_role("button", name="Call back")
        await button.focus()
        await page.keyboard.press("Enter")
        assert (await office.control.wait_for(AgentDial)).agent == "ana"
        await heard.get_by_role("button", name="Delete").click()
        assert (await office.control.wait_for(DeleteMessage)).message == "m1"
        assert office.complaints == []


async def test_the_page_reads_from_right_to_left(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    await ledger(tmp_path, kept("m1", "ana", scenes.clock() - 600_000))
    async with rig(browser, tmp_path, free_port, passwords=PEOPLE, boxes=BOXES) as office:
        page = await office.page("/messages", "ana", language="fa")
        await expect(page.locator("[data-message]")).to_have_count(1)
        assert await page.evaluate("document.documentElement.dir") == "rtl"
        assert await axe(page) == []
        await picture(page, "messages_fa")
