"""From the phone line to an agent and back into the calls list, with nothing left out: exchange,
modem, menu, queue, browser or desk phone, sound both ways, recording, figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance import live
from appliance.media.wav import STEREO_HEADER_BYTES
from tests.browser.chromium import chromium
from tests.browser.signals import (
    Samples,
    hear,
    mulaw_decode,
    speech_like,
    until_heard,
    write_wav,
)
from tests.e2e.box import Box
from tests.interop.baresip import baresip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CALLER = speech_like(5, seed=11)
AGENT = speech_like(6, seed=22)
OUTPUT = Path(__file__).parents[1] / "output"

PLAIN_MICROPHONE = """
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = (wanted) => open({ audio: {
  ...(typeof wanted.audio === "object" ? wanted.audio : {}),
  echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
"""
"""The page asks for the browser's noise suppression, which changes sound so that it cannot be
compared sample by sample; it is Chromium's and not what is tested here."""


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.clip(samples * 32767, -32768, 32767).astype(np.int16)


def sides(box: Box, fact: e.RecordingStarted) -> tuple[np.ndarray, np.ndarray]:
    """Caller and agent of a recording, 8 kHz, full scale 1."""
    raw = (box.places.data / fact.path).read_bytes()[STEREO_HEADER_BYTES:]
    left, right = raw[0::2], raw[1::2]
    return mulaw_decode(left), mulaw_decode(right)


async def test_from_the_line_through_menu_and_queue_to_a_browser_and_into_the_list(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    microphone = write_wav(tmp_path / "agent.wav", AGENT, 8000)
    async with (
        Box(tmp_path, free_port) as box,
        chromium(microphone=microphone, loop=True) as browser,
    ):
        await browser.context.add_init_script(PLAIN_MICROPHONE)
        agent = await browser.page(f"{box.url}/demo")
        page = agent.page
        await page.get_by_role("button", name="Sign in as Ana").click()
        await page.get_by_role("button", name="Go on duty").click()
        await box.state(lambda s: box.agent(s, "ana").phase == "ready")

        call = await box.exchange.call(line=1, number="5550123", name="MARIA")
        await call.answered()
        await call.hears_sound(800)
        await call.press("1")
        key = await box.fact(e.IvrKey)
        assert isinstance(key, e.IvrKey)
        assert (key.key, key.valid) == ("1", True)

        await page.get_by_text("5550123").first.wait_for()
        await page.get_by_role("button", name="Answer").click()
        connect = await box.fact(e.Connect)
        assert isinstance(connect, e.Connect)
        assert connect.agent == "ana"
        await box.state(lambda s: any(c.phase == "talking" for c in s.calls))

        await call.say(pcm(CALLER))

        async def by_agent() -> Samples:
            return (await agent.heard()).samples

        async def by_caller() -> Samples:
            return call.heard().astype(float) / 32768

        to_agent = await until_heard(CALLER, by_agent, 0.8)
        to_caller = await until_heard(AGENT, by_caller, 0.8)
        await page.get_by_role("button", name="Hang up").click()
        assert await call.gone() != ""
        ended = await box.fact(e.RecordingEnded)
        assert isinstance(ended, e.RecordingEnded)
        assert ended.reason == "done"

        assert to_agent.share > 0.8, to_agent
        assert to_caller.share > 0.8, to_caller

        started = await box.fact(e.RecordingStarted)
        assert isinstance(started, e.RecordingStarted)
        caller_side, agent_side = sides(box, started)
        assert hear(CALLER, caller_side).share > 0.8
        assert hear(AGENT, agent_side).share > 0.8
        assert hear(AGENT, caller_side).share < 0.2
        assert hear(CALLER, agent_side).share < 0.2

        await page.get_by_role("button", name="Done").click()
        await page.goto(f"{box.url}/calls")
        row = page.get_by_role("row").filter(has_text="5550123")
        await row.first.wait_for()
        OUTPUT.mkdir(exist_ok=True)
        await page.screenshot(path=OUTPUT / "calls.png")
        await page.goto(f"{box.url}/board")
        answered = page.locator("[data-queue=sales] [data-figure=answered]")
        await answered.filter(has_text="1").wait_for()
        again = await box.exchange.call(line=2, number="5550177")
        await page.get_by_text("5550177").first.wait_for()
        await again.answered()
        await again.hangup()
        abandoned = page.locator("[data-queue=sales] [data-figure=abandoned]")
        await abandoned.filter(has_text="1").wait_for()
        await page.screenshot(path=OUTPUT / "first_call_board.png")

    facts = box.facts()
    assert isinstance(facts[-1], e.SystemStopped)
    _once(facts)


def _once(facts_of_two_calls: list[e.Fact]) -> None:
    """The first of two calls has each step once."""
    first = next(f.call for f in facts_of_two_calls if isinstance(f, e.CallOpened))
    facts = [type(f).__name__ for f in facts_of_two_calls if getattr(f, "call", None) == first]
    for once in ("CallOpened", "CallerKnown", "LineSeized", "IvrIn", "IvrOut", "QEnter", "Connect"):
        assert facts.count(once) == 1, once
    for once in ("QLeave", "WrapStart", "WrapEnd", "Disconnect", "LineReleased", "RecordingEnded"):
        assert facts.count(once) == 1, once


async def test_the_same_through_a_desk_phone(tmp_path: Path, free_port: Callable[[], int]) -> None:
    said = write_wav(tmp_path / "phone.wav", AGENT, 8000)
    async with Box(tmp_path, free_port) as box:
        account = (
            f"<sip:102@127.0.0.1:{box.sip_port}>;auth_pass={box.secret('102')};regint=600"
            f";audio_source=aufile,{said};answermode=auto;audio_codecs=pcmu"
        )
        async with baresip(tmp_path / "phone", account, free_port(), free_port(), free_port()):
            await box.state(lambda s: any(p.registered for p in s.phones))
            await box.ask(live.SetAgentState("pip", "ready"))
            call = await box.exchange.call(line=1, number="5550199")
            await call.answered()
            await call.hears_sound(800)
            await call.press("1")
            connect = await box.fact(e.Connect)
            assert isinstance(connect, e.Connect)
            assert connect.agent == "pip"
            await call.say(pcm(CALLER))

            async def by_caller() -> Samples:
                return call.heard().astype(float) / 32768

            assert (await until_heard(AGENT, by_caller, 0.6)).share > 0.6
            await call.hangup()
            await box.fact(e.RecordingEnded)
        started = await box.fact(e.RecordingStarted)
        assert isinstance(started, e.RecordingStarted)
        caller_side, agent_side = sides(box, started)
        assert hear(CALLER, caller_side).share > 0.8
        assert hear(AGENT, agent_side).share > 0.6
        leave = await box.fact(e.QLeave)
        assert isinstance(leave, e.QLeave)
        assert leave.reason == "answered"


async def test_an_agent_passes_the_caller_on_to_a_desk_phone(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port) as box, chromium() as browser:
        account = (
            f"<sip:101@127.0.0.1:{box.sip_port}>;auth_pass={box.secret('101')};regint=600"
            ";answermode=auto;audio_codecs=pcmu"
        )
        async with baresip(tmp_path / "phone", account, free_port(), free_port(), free_port()):
            page = (await browser.page(f"{box.url}/demo")).page
            await page.get_by_role("button", name="Sign in as Ana").click()
            await page.get_by_role("button", name="Go on duty").click()
            await box.state(
                lambda s: box.agent(s, "ana").phase == "ready" and s.phones[0].registered
            )
            call = await box.exchange.call(line=2, number="5550123")
            await page.get_by_role("button", name="Answer").click()
            await box.fact(e.Connect)
            await page.get_by_label("Number or extension").fill("101")
            await page.get_by_role("button", name="Transfer", exact=True).click()
            bridged = await box.fact(e.Bridged, count=2)
            assert isinstance(bridged, e.Bridged)
            assert (bridged.a, bridged.b) == ("line:line2", "phone:101")
            await page.get_by_role("button", name="Done").click()
            await call.hangup()
            over = await box.fact(e.Disconnect)
            assert isinstance(over, e.Disconnect)
            assert over.side == "caller"
