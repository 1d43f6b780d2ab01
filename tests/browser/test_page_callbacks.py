"""Missed callers and kept places in Chromium: the page of the team, the agent's preview, the
board."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from appliance import events as e
from appliance.ledger.writer import Ledger
from appliance.live import (
    AgentAction,
    AgentDial,
    BookCallback,
    CallbackBooked,
    CancelCallback,
    HandleMissed,
    Live,
    LiveCallback,
)
from tests.browser.chromium import Chromium, chromium
from tests.browser.page_rig import axe, built, picture, rig
from tests.web import scenes
from tests.web.history import abandoned

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    built()
    async with chromium() as one:
        yield one


def owed() -> tuple[LiveCallback, ...]:
    now = scenes.clock()
    return (
        LiveCallback(
            "cb1", "sales", "+40721555020", now - 310_000, now - 300_000, "dialling", 1, 1,
            agent="ana",
        ),
        LiveCallback(
            "cb2", "sales", "+40721555021", now - 200_000, now - 200_000, "waiting", 2, 0
        ),
        LiveCallback(
            "cb3", "service", "+40721555022", now - 900_000, now - 900_000, "paused", None, 2,
            retry_at=now + 200_000,
        ),
    )  # fmt: skip


def state(facts: int = 0) -> Live:
    live = scenes.with_agent(
        msgspec.structs.replace(scenes.quiet(), facts=facts, callbacks=owed()),
        "ana",
        phase="busy",
        reachable=True,
    )
    return live


async def ledger(data: Path) -> int:
    now = scenes.clock()
    book = await Ledger.open(data / "ledger.db", now - 7_200_000, reserve_bytes=0)
    ids = {"call": "b-c", "entry": "b-e", "queue": "sales"}
    facts: list[e.Fact] = [
        *abandoned("m1", now - 900_000, "+40265312044"),
        *abandoned("m2", now - 800_000, "0265312044"),
        *abandoned("m3", now - 700_000, "+40721555014"),
        e.CallbackRequested(
            at=now - 600_000, callback="cb0", queue="sales", number="+4072", since=now - 600_000
        ),
        e.CallbackDialled(
            at=now - 500_000, callback="cb0", attempt=1, agent="ana", asked_at=now - 600_000, **ids
        ),
        e.Connect(at=now - 480_000, agent="ana", **ids),
        e.CallbackEnded(at=now - 480_000, callback="cb0", result="connected", agent="ana"),
    ]
    await book.append(facts)
    await book.close()
    return book.last_seq


async def fits(page: Page) -> list[str]:
    found = await axe(page)
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 860})
        wide: int = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        found += [f"{wide} px too wide at {width}"] if wide > 0 else []
    await page.set_viewport_size({"width": 1280, "height": 860})
    return found


async def test_the_team_works_off_missed_callers_and_kept_places(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    facts = await ledger(tmp_path)
    async with rig(browser, tmp_path, free_port, state(facts)) as office:
        office.control.handlers[BookCallback] = _booked
        office.agent("boris", phase="ready", reachable=True)
        page = await office.page("/missed", "boris")
        rows = page.locator("[data-missed]")
        await expect(rows).to_have_count(3)
        await rows.first.get_by_role("button", name="Call").click()
        dial = await office.control.wait_for(AgentDial)
        assert dial == AgentDial("boris", "001140721555014", "sales")
        await rows.nth(1).get_by_role("button", name="taken care of").click()
        await page.get_by_label("How? (a note for the team)").fill("wrote an e-mail")
        await picture(page, "missed_note")
        await page.get_by_role("button", name="Save").click()
        note = await office.control.wait_for(HandleMissed)
        assert (note.agent, note.note) == ("boris", "wrote an e-mail")
        await page.get_by_label("Number", exact=True).fill("+40 721 555 023")
        await page.get_by_role("button", name="Keep a place").click()
        wish = await office.control.wait_for(BookCallback)
        assert (wish.queue, wish.number, wish.by) == ("sales", "+40 721 555 023", "agent:boris")
        await expect(page.get_by_text("will be called back when it is their turn")).to_be_visible()
        await page.locator("[data-callback=cb2]").get_by_role("button", name="Cancel").click()
        assert (await office.control.wait_for(CancelCallback)).callback == "cb2"
        assert await fits(page) == []
        await picture(page, "missed")
        assert office.complaints == []


async def test_a_row_goes_by_itself_when_somebody_reached_the_caller(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    facts = await ledger(tmp_path)
    async with rig(browser, tmp_path, free_port, state(facts)) as office:
        page = await office.page("/missed", "boris")
        await expect(page.locator("[data-missed]")).to_have_count(3)
        now = scenes.clock()
        book = await Ledger.open(tmp_path / "ledger.db", now, reserve_bytes=0)
        await book.append(
            [
                e.CallOpened(
                    at=now, call="o1", direction="out", door="agent:ana", called="+40721555014"
                ),
                e.Bridged(at=now, call="o1", a="agent:ana", b="line:line1"),
            ]
        )
        await book.close()
        office.show(msgspec.structs.replace(office.control.live, facts=book.last_seq))
        await expect(page.locator("[data-missed]")).to_have_count(2)


async def test_the_agent_sees_whom_the_box_is_calling_and_takes_the_call(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, state()) as office:
        page = await office.page("/agent", "ana")
        card = page.locator("[data-call=callback]")
        await expect(card.locator("[data-caller]")).to_have_text("+40721555020")
        await picture(page, "callback_preview")
        assert await fits(page) == []
        await card.get_by_role("button", name="I take it").click()
        action = await office.control.wait_for(AgentAction)
        assert (action.agent, action.action) == ("ana", "answer")
        first, *others = owed()
        taken = msgspec.structs.replace(first, accepted=True)
        office.show(msgspec.structs.replace(office.control.live, callbacks=(taken, *others)))
        await expect(card.get_by_text("connected as soon as it is answered")).to_be_visible()
        await expect(card.get_by_role("button")).to_have_count(0)
        assert office.complaints == []


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("fa", "dark"), ("ru", "light")])
async def test_pages_with_call_backs_are_accessible_and_fit_a_phone(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium, language: str, theme: str
) -> None:
    facts = await ledger(tmp_path)
    async with rig(browser, tmp_path, free_port, state(facts)) as office:
        for path, ready in (("/missed", "[data-missed]"), ("/board", "[data-callbacks]")):
            page = await office.page(path, "dina", language=language, theme=theme)
            await page.wait_for_selector(ready)
            assert await fits(page) == [], path
            await picture(page, f"{path[1:]}_callbacks_{language}")
        assert office.complaints == []


async def _booked(_: BookCallback) -> CallbackBooked:
    return CallbackBooked("cb9")
