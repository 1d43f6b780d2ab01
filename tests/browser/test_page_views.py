"""Board, calls and demo pages in Chromium; every view for everybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from appliance.ledger.writer import Ledger
from appliance.live import ChangeSite, Done, LiveLevel, LookAt, SiteChanged, TakeSound, UndoSite
from appliance.site.history import HISTORY, SiteHistory
from appliance.site.load import dump
from tests.browser.chromium import Chromium, chromium
from tests.browser.page_rig import Rig, axe, built, picture, rig, until
from tests.web import scenes
from tests.web.history import abandoned, answered, write_recording

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    """One Chromium for all tests here; each takes a fresh profile of it."""
    built()
    async with chromium() as one:
        yield one


async def ledger(data: Path, busy: bool = True) -> int:
    """A morning's calls; returns the number of facts."""
    now = scenes.clock()
    write_recording(data / "recordings" / "r1.wav", 3.0)
    book = await Ledger.open(data / "ledger.db", now - 7_200_000, reserve_bytes=0)
    facts = []
    for n in range(6 if busy else 0):
        number = f"+4072155501{n}"
        facts += answered(f"a{n}", now - 900_000 + n * 90_000, "ana", number, None)
    facts += abandoned("b1", now - 300_000, None)
    facts += abandoned("b2", now - 200_000, "+40265312044", 4_000)
    facts += answered("c1", now - 120_000, "boris", "+40721555014", "r1")
    await book.append(facts)
    await book.close()
    return book.last_seq


async def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    wide: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide


async def test_the_board_moves_with_the_switch(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    facts = await ledger(tmp_path)
    live = msgspec.structs.replace(scenes.busy(), facts=facts)
    async with rig(browser, tmp_path, free_port, live) as office:
        page = await office.page("/board", "dina")
        sales = page.locator("[data-queue=sales]")
        await expect(sales.locator("[data-figure=waiting]")).to_have_text("2")
        await expect(sales.locator("[data-figure=longest]")).to_have_text(re.compile("0:[45]"))
        await expect(page.locator("[data-agent=boris]")).to_contain_text("On a call")
        await expect(page.locator("[data-agent=chen]")).to_contain_text("Lunch")
        await expect(page.get_by_text("The modem of Fax line is not there.")).to_be_visible()
        await expect(page.locator("[data-running] [data-poor]")).to_have_text(
            "Poor sound: Boris Ivanov"
        )
        # How loud they speak is measured for whoever looks.
        running = page.locator("[data-running]")
        await expect(running.locator("[data-level]")).to_have_count(0)
        await running.get_by_role("button", name="Speech level").press("Enter")
        meter = running.get_by_role("progressbar", name="Speech level of Line 1")
        await expect(meter).to_have_attribute("aria-valuetext", "-34 dBm0, too quiet")
        await expect(running.locator("[data-level='line:line1']")).to_contain_text("too quiet")
        await expect(running.locator("[data-level='agent:boris']")).to_have_text(
            re.compile("Boris Ivanov.*-17 dBm0")
        )
        await until(lambda: LookAt("dina", "c1") in office.control.requests)
        assert await axe(page) == []
        await picture(page, "board")
        calm = scenes.quiet()
        office.show(msgspec.structs.replace(calm, facts=facts))
        await expect(sales.locator("[data-figure=waiting]")).to_have_text("0")
        await expect(page.get_by_text("Nobody is waiting.")).to_be_visible()
        assert office.complaints == []


async def test_a_new_fact_moves_the_figures(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as office:
        page = await office.page("/board", "dina")
        sales = page.locator("[data-queue=sales]")
        await expect(sales.get_by_text("No value yet").first).to_be_visible()
        now = scenes.clock()
        book = await Ledger.open(tmp_path / "ledger.db", now - 200_000, reserve_bytes=0)
        # All within the last second, so that it is today wherever the test runs.
        facts = [replace(fact, at=now) for fact in answered("a1", now, "ana", "+4072", None)]
        await book.append(facts)
        office.show(msgspec.structs.replace(scenes.quiet(), facts=book.last_seq))
        await expect(sales.locator("[data-figure=answered]")).to_have_text("1")
        await expect(sales.locator("[data-figure=sl]")).to_contain_text("100%")
        await book.close()


async def test_a_silent_network_is_noticed_though_the_socket_looks_open(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.busy()) as office:
        silent = False

        def wire(page_side: WebSocketRoute) -> None:
            box_side = page_side.connect_to_server()
            page_side.on_message(lambda text: None if silent else box_side.send(text))
            box_side.on_message(lambda text: None if silent else page_side.send(text))

        await office.context.route_web_socket(re.compile("/api/v1/live"), wire)
        page = await office.page("/board", "dina")
        waiting = page.locator("[data-queue=sales] [data-figure=waiting]")
        await expect(waiting).to_have_text("2")
        silent = True
        await expect(page.locator("[data-banner=stale]")).to_be_visible(timeout=15_000)
        silent = False
        office.show(scenes.quiet())
        await expect(page.locator("[data-banner]")).to_be_hidden(timeout=15_000)
        await expect(waiting).to_have_text("0")


async def test_calls_are_listed_searched_opened_and_heard(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    facts = await ledger(tmp_path)
    live = msgspec.structs.replace(scenes.quiet(), facts=facts)
    async with rig(browser, tmp_path, free_port, live) as office:
        page = await office.page("/calls", "dina")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(9)
        await expect(rows.first).to_contain_text("Boris Ivanov")
        await picture(page, "calls")
        await page.get_by_role("searchbox").fill("265312")
        await page.keyboard.press("Enter")
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text("Abandoned")
        await page.get_by_role("searchbox").fill("")
        await page.keyboard.press("Enter")
        await expect(rows).to_have_count(9)
        await rows.first.get_by_role("link").click()
        await expect(page.get_by_role("heading", name="What happened")).to_be_visible()
        await expect(page.get_by_text("Talks with")).to_be_visible()
        await expect(page.locator("[data-quality=good]")).to_contain_text("Line 1")
        await expect(page.locator("[data-quality=poor]")).to_contain_text(
            "4% of what Boris Ivanov sent was lost."
        )
        # The player seeks, which it can only by byte ranges.
        at = await page.evaluate(
            """async () => {
                 const audio = document.querySelector("audio");
                 const once = (name) => new Promise((done) => audio.addEventListener(name, done));
                 if (!(audio.duration > 2.9)) await once("durationchange");
                 const sought = once("seeked");
                 audio.currentTime = 2;
                 await sought;
                 return audio.currentTime;
               }"""
        )
        assert 1.9 < at < 2.1
        await picture(page, "call")
        assert office.complaints == []


async def test_the_demo_office_signs_in_with_one_press(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.busy(True), demo=True) as office:
        page = await office.page("/")
        await expect(page.locator("[data-person]")).to_have_count(4)
        await expect(page.locator("[data-running] tbody tr")).to_have_count(3)
        await expect(page.locator("[data-line=line2]")).to_contain_text("Ringing")
        await picture(page, "demo")
        await page.get_by_role("button", name="Sign in as Ana Popescu").click()
        await expect(page).to_have_url(re.compile("/agent$"))
        await expect(page.get_by_text("Signed in as Ana Popescu")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page).to_have_url(re.compile("/sign-in$"))
        assert office.complaints == []


async def _every_view(office: Rig, page: Page, thorough: bool) -> list[str]:
    """What axe finds, and what is too wide, over all views of an agent in a call."""
    found: list[str] = []

    async def look(name: str) -> None:
        found.extend(f"{name}: {one}" for one in await axe(page))
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 860})
            wide = await overflow(page)
            if wide > 0:
                found.append(f"{name}: {wide} px wider than {width} px")
        await page.set_viewport_size({"width": 1280, "height": 860})

    live = office.control.live
    now = scenes.clock()
    levels = (LiveLevel("line:line1", -34, "quiet"), LiveLevel("agent:ana", None))
    states = {
        "ready": {"phase": "ready", "call": None},
        "not_ready": {"phase": "not_ready", "reason": "Lunch", "call": None},
        "ringing": {"phase": "offered", "call": scenes.call_for("ringing")},
        "talking": {
            "phase": "busy",
            "call": scenes.call_for("talking", poor="agent:ana", levels=levels),
        },
        "held": {"phase": "busy", "call": scenes.call_for("held")},
        "wrap": {"phase": "wrap", "call": None, "since": now, "wrap_until": now + 60_000},
    }
    if not thorough:
        states = {name: states[name] for name in ("ringing", "talking", "wrap")}
    for name, changes in states.items():
        office.show(scenes.with_agent(live, "ana", **changes))
        wanted = {"ready": "none", "not_ready": "none"}.get(name, name)
        await page.wait_for_selector(f"[data-call={wanted}]")
        if name == "talking":
            await page.keyboard.press("k")
            await page.locator("[data-levels] button").click()
            await page.wait_for_selector("[data-level]")
        # A ring pulses; its colours are looked at between two pulses.
        await page.emulate_media(reduced_motion="reduce")
        await look(f"agent {name}")
    await page.keyboard.press("Shift+Slash")
    await page.wait_for_selector("dialog[open]")
    await look("shortcuts")
    await page.keyboard.press("Escape")
    for path, ready in (
        ("/board", "[data-queue=sales]"),
        ("/calls", "tbody tr"),
        ("/calls/c1", "ol li"),
        ("/demo", "[data-person]"),
        ("/nothing", "h1"),
    ):
        await page.evaluate(
            """path => { history.pushState(null, "", path);
                         dispatchEvent(new PopStateEvent("popstate")); }""",
            path,
        )
        await page.wait_for_selector(ready)
        await look(path)
    return found


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_view_is_accessible_and_fits_a_phone(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium, language: str, theme: str
) -> None:
    facts = await ledger(tmp_path)
    live = msgspec.structs.replace(scenes.busy(True), facts=facts)
    async with rig(browser, tmp_path, free_port, live, demo=True) as office:
        page = await office.page("/sign-in", language=language, theme=theme)
        await page.wait_for_selector("form")
        found = [f"sign in: {one}" for one in await axe(page)]
        page = await office.page("/agent", "ana", language=language, theme=theme)
        found += await _every_view(office, page, (language, theme) == ("en", "light"))
        assert found == []
        assert await page.evaluate("document.documentElement.dir") == (
            "rtl" if language == "fa" else "ltr"
        )
        if language == "fa":
            await page.goto(f"{office.office.http}/board")
            await page.wait_for_selector("[data-queue=sales]")
            await picture(page, f"board_fa_{theme}")


async def test_every_language_fits_a_phone(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.busy()) as office:
        page = await office.page("/agent", "ana")
        await page.wait_for_selector("[data-call]")
        await page.set_viewport_size({"width": 390, "height": 860})
        found: list[str] = []
        for language in ("ro", "bg", "ru", "zh"):
            await page.get_by_role("combobox").first.select_option(language)
            await page.wait_for_selector(f"html[lang={language}]")
            for path in ("/agent", "/board", "/calls"):
                await page.locator(f"nav a[href='{path}']").click()
                await page.wait_for_selector("[data-call], [data-queue], [role=search]")
                wide = await page.evaluate(TOO_WIDE)
                found.extend(f"{language} {path}: {one}" for one in wide)
        assert found == []
        assert office.complaints == []


TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
    .map(one => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`).slice(0, 6)"""


async def test_the_first_load_is_small_and_asks_nobody_else(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as office:
        page = await office.context.new_page()
        sizes: dict[str, int] = {}
        protocol = await office.context.new_cdp_session(page)
        await protocol.send("Network.enable")
        urls: dict[str, str] = {}
        protocol.on(
            "Network.requestWillBeSent",
            lambda event: urls.__setitem__(event["requestId"], event["request"]["url"]),
        )
        protocol.on(
            "Network.loadingFinished",
            lambda event: sizes.__setitem__(event["requestId"], event["encodedDataLength"]),
        )
        client = await office.office.signed_in("ana")
        await office.context.add_cookies(
            [
                {"name": name, "value": value, "url": office.office.http}
                for name, value in client.cookies.items()
            ]
        )
        await page.goto(f"{office.office.http}/agent")
        await page.wait_for_selector("[data-call]")
        await asyncio.wait_for(page.wait_for_load_state("networkidle"), 20)
        ours = (office.office.http, "data:")
        assert [url for url in urls.values() if not url.startswith(ours)] == []
        assert sum(sizes.values()) <= 60_000
        await page.close()


async def test_a_supervisor_brings_a_sound_and_hears_it(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as office:

        async def take(request: TakeSound) -> Done:
            (tmp_path / "uploads" / request.upload).rename(tmp_path / "prompts" / request.name)
            return Done()

        office.control.handlers[TakeSound] = take
        source = tmp_path / "Grüße 2026.wav"
        write_recording(source, 2.0)
        (tmp_path / "prompts").mkdir()
        page = await office.page("/sounds", "dina")
        await page.get_by_label("Audio file").set_input_files(source)
        name = page.get_by_label("Name", exact=True)
        await expect(name).to_have_value("Gru-e-2026.wav")
        await name.fill("greetings.wav")
        assert await axe(page) == []
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("greetings.wav is ready")
        sound = page.get_by_label("Listen to greetings.wav")
        length = await sound.evaluate(
            """one => new Promise(done => {
                 one.onloadedmetadata = () => done(one.duration);
                 one.preload = "auto";
                 one.load();
               })"""
        )
        assert length == pytest.approx(2.0, abs=0.1)
        assert await axe(page) == []
        await picture(page, "sounds")
        assert await overflow(page) == 0


async def test_an_administrator_changes_the_office_and_takes_it_back(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    text = dump(scenes.site())
    (tmp_path / "site.toml").write_text(text)
    history = SiteHistory(tmp_path / "site.toml", tmp_path / HISTORY)
    history.notice(scenes.clock())
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as office:

        async def change(request: ChangeSite) -> SiteChanged:
            version = history.save(request.text, request.author, scenes.clock(), request.base)
            return SiteChanged(version.number, ("sip.port",))

        async def undo(request: UndoSite) -> SiteChanged:
            return SiteChanged(history.undo(request.author, scenes.clock()).number)

        office.control.handlers[ChangeSite] = change
        office.control.handlers[UndoSite] = undo
        page = await office.page("/site", "root")
        document = page.get_by_label("Site document", exact=True)
        await expect(document).to_have_value(text)
        await document.fill(text.replace('"boris"]', '"borris"]'))
        await page.get_by_role("button", name="Save and use").click()
        await expect(page.get_by_role("alert")).to_contain_text("boris")
        assert await axe(page) == []
        await document.fill(text.replace('"Sales"', '"New business"'))
        await page.get_by_role("button", name="Save and use").click()
        await expect(page.get_by_role("status")).to_contain_text("Version 2 holds now.")
        await page.get_by_text("1 change").click()
        await expect(page.get_by_text('queues.sales.name = "New business"')).to_be_visible()
        assert await axe(page) == []
        await picture(page, "site")
        await page.get_by_role("button", name="Undo the last change").click()
        await expect(document).to_have_value(text)
        assert await overflow(page) == 0
