"""The tab of an agent is closed in the middle of things: the caller is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest
import pytest_asyncio

from appliance import events as e
from appliance import live
from tests.browser.chromium import Chromium, RigPage, chromium
from tests.browser.signals import Samples, hear, speech_like, until_heard, write_wav
from tests.e2e.box import Box
from tests.faults.office_under_attack import pcm
from tests.interop.baresip import baresip
from tests.ports import port_picker

pytestmark = [
    pytest.mark.faults,
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

CALLER = speech_like(3, seed=41)
AGENT = speech_like(4, seed=42)
PIP = speech_like(4, seed=43)
PLAIN_MICROPHONE = """
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = () => open({ audio: {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
"""


@dataclass(frozen=True, slots=True)
class Office:
    """Ana works in a browser, Pip at a desk phone that answers by itself and is not ready yet."""

    box: Box
    browser: Chromium

    async def ana(self) -> RigPage:
        """Ana's page, ready for calls."""
        page = await self.browser.page(f"{self.box.url}/agent")
        await self.box.state(
            lambda s: (
                self.box.agent(s, "ana").phase == "ready" and self.box.agent(s, "ana").reachable
            )
        )
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    folder, free_port = tmp_path_factory.mktemp("box"), port_picker()
    microphone = write_wav(folder / "ana.wav", AGENT, 8000)
    voice = write_wav(folder / "pip.wav", np.tile(PIP, 8), 8000)
    async with (
        Box(folder, free_port) as box,
        chromium(microphone=microphone, loop=True) as browser,
    ):
        account = (
            f"<sip:102@127.0.0.1:{box.sip_port}>;auth_pass={box.secret('102')};regint=600"
            f";audio_source=aufile,{voice};answermode=auto;audio_codecs=pcmu"
        )
        async with baresip(folder / "phone", account, free_port(), free_port(), free_port()):
            await box.state(lambda s: any(p.registered for p in s.phones))
            await browser.context.add_init_script(PLAIN_MICROPHONE)
            first = (await browser.page(f"{box.url}/demo")).page
            await first.get_by_role("button", name="Sign in as Ana").click()
            await first.get_by_role("button", name="Go on duty").click()
            await box.state(lambda s: box.agent(s, "ana").phase == "ready")
            await first.close()
            yield Office(box, browser)
    assert "Traceback" not in box.said()


def about(box: Box, number: str) -> list[e.Fact]:
    """The facts of this caller's call."""
    facts = box.facts()
    call = next(f.call for f in facts if isinstance(f, e.CallerKnown) and f.caller == number)
    return [f for f in facts if getattr(f, "call", None) == call]


async def test_a_caller_hears_music_until_the_page_is_open_again(office: Office) -> None:
    box = office.box
    agent = await office.ana()
    call = await box.exchange.call(line=2, number="5550401")
    await agent.page.get_by_role("button", name="Answer").click()
    await box.state(lambda s: [c.phase for c in s.calls] == ["talking"])
    await asyncio.sleep(1)

    await agent.page.close()
    await box.state(lambda s: [c.phase for c in s.calls] == ["held"])
    since = len(call.heard()) + 4000
    await asyncio.sleep(2)
    music = call.heard()[since:].astype(float) / 32768
    assert np.sqrt(np.mean(music**2)) > 0.005
    assert hear(AGENT, music).share < 0.2

    again = await office.browser.page(f"{box.url}/agent")
    await box.state(lambda s: [c.phase for c in s.calls] == ["talking"])
    since = len(call.heard())
    await call.say(pcm(CALLER))

    async def by_page() -> Samples:
        return (await again.heard()).samples

    async def by_caller() -> Samples:
        return call.heard()[since:].astype(float) / 32768

    assert (await until_heard(CALLER, by_page, 0.8)).share > 0.8
    assert (await until_heard(AGENT, by_caller, 0.6)).share > 0.6
    await again.page.get_by_role("button", name="Hang up").click()
    await box.fact(e.RecordingEnded)
    facts = about(box, "5550401")
    for once in (e.Connect, e.HoldOn, e.HoldOff, e.QLeave, e.WrapStart, e.Disconnect):
        assert len([f for f in facts if isinstance(f, once)]) == 1, once
    assert len([f for f in facts if isinstance(f, e.RecordingStarted)]) == 1
    await again.page.get_by_role("button", name="Done").click()
    await again.page.close()


async def test_a_tab_closed_while_it_rings_hands_the_call_to_the_next_agent(
    office: Office,
) -> None:
    box = office.box
    agent = await office.ana()
    await box.ask(live.SetAgentState("pip", "ready"))
    await box.state(lambda s: all(line.state == "idle" for line in s.lines))
    call = await box.exchange.call(line=2, number="5550402")
    await agent.page.get_by_role("button", name="Answer").wait_for()
    await agent.page.close()
    await box.state(lambda s: [c.phase for c in s.calls] == ["talking"])
    await call.say(pcm(CALLER))

    async def by_caller() -> Samples:
        return call.heard().astype(float) / 32768

    assert (await until_heard(PIP, by_caller, 0.6)).share > 0.6
    await box.ask(live.AgentAction("pip", "hangup"))
    await box.state(lambda s: not s.calls)
    facts = about(box, "5550402")
    offers = [(f.agent, f.result) for f in facts if isinstance(f, e.OfferEnd)]
    assert offers == [("ana", "failed"), ("pip", "accepted")]
    assert [f.agent for f in facts if isinstance(f, e.Connect)] == ["pip"]
    leaves = [(f.reason, f.agent) for f in facts if isinstance(f, e.QLeave)]
    assert leaves == [("answered", "pip")]
