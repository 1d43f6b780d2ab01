"""The agent's page in Chromium: duty, calls by button and key, sound, and its way back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from appliance.browser.takeover import Takeover
from appliance.ipc import Refused
from appliance.live import (
    AgentAction,
    AgentConsult,
    AgentDial,
    AgentFetch,
    AgentKeys,
    AgentPark,
    AgentPeer,
    AgentPickup,
    LiveCampaign,
    LiveConsult,
    LiveParked,
    SetAgentState,
    SetDnd,
    SetForward,
    Supervise,
)
from tests.browser.chromium import Chromium, chromium
from tests.browser.page_rig import Rig, axe, built, picture, rig, until
from tests.web import scenes
from tests.web.box import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    """One Chromium for all tests here; each takes a fresh profile of it."""
    built()
    async with chromium() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def office(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> AsyncIterator[Rig]:
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as one:
        yield one


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


async def on_duty(office: Rig, person: str = "ana") -> Page:
    page = await office.page("/agent", person)
    await button(page, "Go on duty").click()
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    await office.control.wait_for(SetAgentState)
    return page


def ring(office: Rig, phase: str = "ringing", who: str = "ana", **call: Any) -> None:
    office.agent(
        who,
        phase="offered" if phase == "ringing" else "busy",
        since=scenes.clock(),
        call=scenes.call_for(phase, **call),
    )


async def test_signing_in_by_form_opens_the_agent_s_page(office: Rig) -> None:
    page = await office.page("/")
    await page.get_by_label("User name").fill("ana")
    await page.get_by_label("Password", exact=True).fill("not this one")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("wrong")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/agent$"))
    await expect(button(page, "Go on duty")).to_be_visible()


async def test_one_press_connects_the_sound_and_makes_ready(office: Rig) -> None:
    page = await on_duty(office)
    await expect(page.get_by_text("The next call rings here.")).to_be_visible()
    assert office.control.asked(SetAgentState) == [SetAgentState("ana", "ready")]
    offer = office.control.asked(AgentPeer)[0].sdp
    # G.711 alone, mu-law first, and sent before any candidate was gathered.
    assert re.search(r"m=audio \d+ [A-Z/]+ 0 8( 101| 126| 110)?\s", offer)
    assert "a=candidate" not in offer
    assert office.complaints == []


async def test_a_call_rings_is_answered_held_muted_and_hung_up(office: Rig) -> None:
    page = await on_duty(office)
    await picture(page, "agent_ready")
    ring(office)
    await expect(page.locator("[data-caller]")).to_contain_text("Maria Ionescu")
    await expect(page.locator("[data-caller]")).to_contain_text("+40721555014")
    await expect(page.get_by_role("heading", name="Incoming call")).to_be_visible()
    await picture(page, "agent_ringing")

    await button(page, "Answer").click()
    assert await office.control.wait_for(AgentAction) == AgentAction("ana", "answer", "c1")
    ring(office, "talking")
    await expect(page.get_by_role("heading", name="Talking")).to_be_visible()
    await button(page, "Mute").click()
    await expect(page.get_by_text("Your microphone is off")).to_be_visible()
    await picture(page, "agent_talking")

    await button(page, "Hold").click()
    assert await office.control.wait_for(AgentAction, 2) == AgentAction("ana", "hold", "c1")
    # The page believes the switch and not the press.
    await expect(button(page, "Hold")).to_be_visible()
    ring(office, "held")
    await button(page, "Resume").click()
    assert await office.control.wait_for(AgentAction, 3) == AgentAction("ana", "resume", "c1")

    await button(page, "Hang up").click()
    assert await office.control.wait_for(AgentAction, 4) == AgentAction("ana", "hangup", "c1")
    now = scenes.clock()
    office.agent("ana", phase="wrap", call=None, since=now, wrap_until=now + 15_000)
    await expect(page.get_by_role("timer")).to_contain_text("0:1")
    await button(page, "Done").click()
    assert (await office.control.wait_for(AgentAction, 5)).action == "wrap_end"
    assert office.complaints == []


async def test_the_microphone_is_heard_in_a_call_and_only_there(office: Rig) -> None:
    def loud() -> bool:
        # Anything but mu-law silence (0xFF, 0x7F and their neighbours).
        return any(set(payload) - {0xFF, 0x7F, 0xFE, 0x7E} for payload in office.audio)

    page = await on_duty(office)
    ring(office)
    await expect(page.locator("[data-call=ringing]")).to_be_visible()
    await until(lambda: len(office.audio) >= 60)
    assert not loud()
    ring(office, "talking")
    await expect(page.get_by_role("heading", name="Talking")).to_be_visible()
    await until(loud)
    await button(page, "Mute").click()
    await expect(page.get_by_text("Your microphone is off")).to_be_visible()
    # What was under way when the button was pressed may still arrive.
    count = len(office.audio)
    await until(lambda: len(office.audio) >= count + 25)
    office.audio.clear()
    await until(lambda: len(office.audio) >= 100)
    assert not loud()


async def test_between_calls_the_connection_stays_and_nothing_is_sent(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    await until(lambda: len(office.audio) >= 20)
    office.agent("ana", phase="ready", call=None)
    await expect(page.locator("[data-call=none]")).to_be_visible()
    # What was under way may still arrive; then two checks of the network pass without a packet.
    await page.wait_for_timeout(500)
    office.audio.clear()
    await page.wait_for_timeout(1000)
    assert office.audio == []
    ring(office, "talking")
    await until(lambda: len(office.audio) >= 20)
    assert len(office.control.asked(AgentPeer)) == 1
    assert office.peer_states == ["connected"]


def _codecs(offer: AgentPeer) -> list[str]:
    """The codecs of an offer in their order."""
    (formats,) = re.findall(r"^m=audio \d+ \S+ (.+?)\r?$", offer.sdp, re.MULTILINE)
    names = dict(re.findall(r"^a=rtpmap:(\d+) ([\w-]+/\d+)", offer.sdp, re.MULTILINE))
    return [names[one] for one in formats.split()]


async def test_packets_that_keep_getting_lost_bring_opus(
    office: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = Takeover.srtp_received
    count = 0

    def lossy(self: Takeover, data: bytes) -> None:
        nonlocal count
        count += 1
        if 192 <= data[1] <= 223 or count % 10:
            received(self, data)

    page = await on_duty(office)
    ring(office, "talking")
    await until(lambda: len(office.audio) >= 20)
    monkeypatch.setattr(Takeover, "srtp_received", lossy)
    await until(lambda: len(office.control.asked(AgentPeer)) == 2, 40)
    first, second = office.control.asked(AgentPeer)
    assert _codecs(first) == ["PCMU/8000", "PCMA/8000", "telephone-event/8000"]
    assert _codecs(second)[0] == "opus/48000"
    assert _codecs(second)[-1] == "telephone-event/48000"
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    # Chosen by hand, G.711 comes back at once, and is what the next visit begins with.
    await page.get_by_label("Network").select_option("g711")
    await until(lambda: len(office.control.asked(AgentPeer)) == 3)
    assert _codecs(office.control.asked(AgentPeer)[2])[0] == "PCMU/8000"
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    assert await page.evaluate("localStorage.getItem('codec')") == "g711"


async def test_everything_can_be_done_by_keyboard(office: Rig) -> None:
    page = await on_duty(office)
    ring(office)
    await expect(page.locator("[data-call=ringing]")).to_be_visible()
    await page.keyboard.press("a")
    assert (await office.control.wait_for(AgentAction)).action == "answer"
    ring(office, "talking")
    await expect(page.locator("[data-call=talking]")).to_be_visible()
    await page.keyboard.press("h")
    assert (await office.control.wait_for(AgentAction, 2)).action == "hold"
    await page.keyboard.press("m")
    await expect(page.get_by_text("Your microphone is off")).to_be_visible()
    await page.keyboard.press("k")
    await button(page, "Key 5").click()
    assert await office.control.wait_for(AgentKeys) == AgentKeys("ana", "5")
    await page.keyboard.press("7")
    assert await office.control.wait_for(AgentKeys, 2) == AgentKeys("ana", "7")
    await page.keyboard.press("Shift+Slash")
    await expect(page.get_by_role("dialog")).to_contain_text("Hang up")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.keyboard.press("e")
    assert (await office.control.wait_for(AgentAction, 3)).action == "hangup"
    office.agent("ana", phase="ready", call=None)
    await expect(page.locator("[data-call=none]")).to_be_visible()
    await page.keyboard.press("n")
    # In a field the letters are letters.
    await page.keyboard.type("112")
    await page.keyboard.press("Enter")
    assert await office.control.wait_for(AgentDial) == AgentDial("ana", "112")


async def test_a_reason_for_not_being_ready_is_one_press(office: Rig) -> None:
    page = await on_duty(office)
    await button(page, "Lunch").click()
    assert (await office.control.wait_for(SetAgentState, 2)).reason == "Lunch"
    await expect(button(page, "Lunch")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_text("No call rings until you are ready.")).to_be_visible()


async def test_going_off_duty_lets_go_of_the_microphone(office: Rig) -> None:
    page = await on_duty(office)
    await button(page, "Go off duty").click()
    await expect(button(page, "Go on duty")).to_be_visible()
    await until(lambda: office.peer_states[-1:] == ["closed"])
    await expect(page.locator("[data-peer=off]")).to_be_visible()


async def test_a_refusal_is_shown_in_words(office: Rig) -> None:
    async def refuse(_: AgentDial) -> None:
        raise Refused("Line 1 and Line 2 are in use.")

    office.control.handlers[AgentDial] = refuse
    page = await on_duty(office)
    await page.get_by_label("Number or extension").fill("0 21-555 (014)")
    await button(page, "Call").click()
    assert (await office.control.wait_for(AgentDial)).number == "021555014"
    await expect(page.get_by_role("alert")).to_contain_text("Line 1 and Line 2 are in use.")


async def test_the_title_and_the_ring_tell_of_a_call(office: Rig) -> None:
    page = await on_duty(office)
    ring(office)
    await expect(page).to_have_title("☎ Maria Ionescu")
    ring(office, "talking")
    await expect(page).to_have_title("Harbour Dental")


async def test_a_reload_in_a_call_brings_the_sound_back_by_itself(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    await expect(page.locator("[data-call=talking]")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    await expect(page.locator("[data-call=talking]")).to_be_visible()
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    offers = office.control.asked(AgentPeer)
    assert len({offer.session for offer in offers}) == 2


async def test_a_peer_that_the_box_lost_is_replaced_by_a_new_one(office: Rig) -> None:
    page = await on_duty(office)
    await office.peers["ana"].close()
    # As when the media process was started anew: the page's own side still looks connected.
    office.agent("ana", reachable=False)
    await until(lambda: len(office.control.asked(AgentPeer)) == 2)
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    offers = office.control.asked(AgentPeer)
    assert offers[0].session == offers[1].session


async def test_a_second_tab_does_not_fight_for_the_sound(office: Rig) -> None:
    first = await on_duty(office)
    second = await office.page("/agent")
    await expect(second.locator("[data-sound=elsewhere]")).to_be_visible()
    assert len(office.control.asked(AgentPeer)) == 1
    await button(second, "Use it here").click()
    await expect(second.locator("[data-peer=connected]")).to_be_visible()
    await expect(first.locator("[data-sound=elsewhere]")).to_be_visible()
    await expect(first.locator("[data-peer=off]")).to_be_visible()
    assert len(office.control.asked(AgentPeer)) == 2


async def test_while_the_box_restarts_the_page_says_so_and_keeps_the_call(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    await expect(page.locator("[data-call=talking]")).to_be_visible()
    await office.control.stop()
    await expect(page.locator("[data-banner=restarting]")).to_be_visible()
    await expect(page.locator("[data-call=talking]")).to_be_visible()
    await expect(page.locator("[data-peer=connected]")).to_be_visible()
    await button(page, "Hold").click()
    await expect(page.get_by_text("The box is restarting. Try again")).to_be_visible()
    await office.control.start()
    await expect(page.locator("[data-banner]")).to_be_hidden()


async def test_a_desk_phone_agent_has_the_page_without_sound(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.quiet(), passwords=("chen",)) as office:
        page = await office.page("/agent", "chen")
        await button(page, "Go on duty").click()
        await office.control.wait_for(SetAgentState)
        ring(office, who="chen")
        await expect(page.get_by_text("Lift the handset")).to_be_visible()
        await expect(button(page, "Reject")).to_be_visible()
        await expect(button(page, "Answer")).to_have_count(0)
        await expect(page.locator("[data-peer]")).to_have_count(0)
        assert office.control.asked(AgentPeer) == []


async def test_a_refused_microphone_is_explained(
    tmp_path: Path, free_port: Callable[[], int], browser: Chromium
) -> None:
    async with rig(browser, tmp_path, free_port, scenes.quiet()) as office:
        page = await office.page("/agent", "ana")
        await page.evaluate(
            """() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(
                 new DOMException("", "NotAllowedError")); }"""
        )
        await button(page, "Go on duty").click()
        await expect(page.locator("[data-sound=denied]")).to_contain_text("allow the microphone")
        assert office.control.asked(SetAgentState) == []


async def test_a_colleague_is_asked_first_and_the_call_passed_on(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    await page.get_by_label("Number or extension").fill("202")
    await button(page, "Ask first").click()
    assert await office.control.wait_for(AgentConsult) == AgentConsult("ana", "start", "202")
    ring(office, "held", consult=LiveConsult("boris", "talking"))
    await expect(page.locator("[data-consult=talking]")).to_contain_text("Boris Ivanov")
    await picture(page, "agent_consult")
    for name, step in (
        ("Change between", "swap"),
        ("Bring all", "conference"),
        ("Back to the caller", "cancel"),
        ("Pass the call on", "complete"),
    ):
        await button(page, name).click()
        count = len(office.control.asked(AgentConsult))
        assert (await office.control.wait_for(AgentConsult, count)).step is not None
        await until(lambda s=step: office.control.asked(AgentConsult)[-1].step == s)
    ring(office, "talking")
    await button(page, "Park").click()
    assert await office.control.wait_for(AgentPark) == AgentPark("ana")
    assert office.complaints == []


async def test_parked_calls_and_ringing_colleagues_can_be_taken(office: Rig) -> None:
    page = await on_duty(office)
    parked = LiveParked("701", "c9", "+40721555014", None, "boris", scenes.clock() + 60_000)
    office.show(msgspec.structs.replace(office.control.live, parked=(parked,)))
    await page.locator("[data-parked='701']").get_by_role("button").click()
    assert await office.control.wait_for(AgentFetch) == AgentFetch("ana", "701")
    ring(office, who="boris")
    await page.locator("[data-colleague=boris]").get_by_role("button", name="Pick up").click()
    assert await office.control.wait_for(AgentPickup) == AgentPickup("ana", "boris")
    await page.get_by_label("Do not disturb").check()
    assert await office.control.wait_for(SetDnd) == SetDnd("ana", True)
    await page.locator("[data-forward=busy]").fill("202")
    await page.keyboard.press("Enter")
    assert await office.control.wait_for(SetForward) == SetForward("ana", "busy", "202")


async def test_a_supervisor_comes_into_a_call_and_changes_how(office: Rig) -> None:
    page = await on_duty(office, "dina")
    ring(office, "talking", who="ana")
    await page.get_by_role("button", name="Whisper: Ana Popescu").click()
    assert await office.control.wait_for(Supervise) == Supervise("dina", "whisper", "ana")
    ring(office, "talking", who="dina", role="whisper", others=("ana",))
    await expect(page.get_by_role("heading", name="You whisper")).to_be_visible()
    await picture(page, "agent_supervising")
    watching = page.locator("[data-watching=whisper]")
    await watching.get_by_role("button", name="Take over").click()
    assert await office.control.wait_for(Supervise, 2) == Supervise("dina", "take_over", "ana")
    await button(page, "Hang up").click()
    assert (await office.control.wait_for(AgentAction)).action == "hangup"


async def test_the_end_of_a_call_and_a_pause_by_the_queues_by_button_and_key(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    office.agent("ana", longer_left=2)
    longer = page.get_by_role("button", name="Longer wrap-up")
    await expect(longer).to_contain_text("2 left today")
    await longer.click()
    assert await office.control.wait_for(AgentAction) == AgentAction("ana", "wrap_longer")
    now = scenes.clock()
    office.agent(
        "ana",
        phase="wrap",
        call=None,
        since=now,
        wrap_until=now + 135_000,
        wrap_longer=True,
        longer_left=1,
    )
    await expect(longer).to_contain_text("1 left today")
    await picture(page, "agent_wrap_longer")
    assert await axe(page) == []
    await page.keyboard.press("w")
    assert await office.control.wait_for(AgentAction, 2) == AgentAction("ana", "wrap_longer")
    office.agent("ana", longer_left=0)
    await expect(longer).to_be_disabled()

    office.agent("ana", phase="not_ready", reason="missed", wrap_until=None, wrap_longer=False)
    await expect(page.get_by_text("You missed several calls in a row")).to_be_visible()
    await expect(page.get_by_text("Not ready · missed calls").first).to_be_visible()
    await picture(page, "agent_missed")
    assert await axe(page) == []


async def test_a_call_is_made_in_the_name_of_a_campaign(office: Rig) -> None:
    office.show(
        msgspec.structs.replace(
            office.control.live, campaigns=(LiveCampaign("spring", "Spring offers"),)
        )
    )
    page = await on_duty(office)
    await page.get_by_label("In the name of").select_option(label="Spring offers")
    await page.get_by_label("Number or extension").fill("0721 555 014")
    await button(page, "Call").click()
    asked = await office.control.wait_for(AgentDial)
    assert asked == AgentDial("ana", "0721555014", None, "spring")
    assert await axe(page) == []


async def test_at_a_desk_phone_the_page_mutes_by_the_box(office: Rig) -> None:
    page = await on_duty(office)
    ring(office, "talking")
    office.agent("ana", door="phone", phone="201")
    await button(page, "Mute").click()
    assert await office.control.wait_for(AgentAction) == AgentAction("ana", "mute", "c1")
    call = next(one for one in office.control.live.agents if one.id == "ana").call
    assert call is not None
    office.agent("ana", call=msgspec.structs.replace(call, muted=True))
    await button(page, "Unmute").click()
    assert await office.control.wait_for(AgentAction, 2) == AgentAction("ana", "unmute", "c1")
