"""Who hears whom, on live calls: every phone says a pitch of its own, and what each one receives is
measured. By page and program (the requests that they make) and by keypad."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance import live
from appliance.ipc import Refused
from appliance.simulator.caller import Sound
from appliance.simulator.exchange import Destination
from tests.browser.chromium import chromium
from tests.browser.signals import write_wav
from tests.e2e.box import Box
from tests.e2e.test_first_call import PLAIN_MICROPHONE
from tests.e2e.tone_phones import TonePhones, pitch, pitches, tone_phones

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]
Ports = Callable[[], int]

DESKS = [str(600 + n) for n in range(10)]
"""At each sits a person p0 to p9 of extension 800 to 809; the last is a supervisor."""


def with_desks(text: str) -> str:
    desks = "".join(
        f'[people.p{n}]\nname = "P{n}"\nextension = "{800 + n}"\ndoor = "phone"\n'
        f'phone = "{desk}"\nrole = "{"supervisor" if n == 9 else "agent"}"\n'
        f'[phones.{desk}]\nname = "Desk {n}"\n'
        for n, desk in enumerate(DESKS)
    )
    features = "[features]\npark_s = 10\n"
    return text.replace("[people.ana]\n", desks + features + "[people.ana]\n")


CALLER, PAGE = 5, 7
"""The pitches of a caller on an analog line and of an agent's page."""


def with_supervisor(text: str) -> str:
    sue = (
        '[people.sue]\nname = "Sue"\nrole = "supervisor"\nextension = "209"\ndoor = "phone"\n'
        'phone = "600"\n[phones.600]\nname = "Sue\'s desk"\n'
        '[phones.601]\nname = "Workshop"\n'
    )
    return text.replace("[people.ana]\n", sue + "[people.ana]\n")


async def until(what: str, hears: Callable[[], Awaitable[set[int]]], wanted: set[int]) -> None:
    found: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(15):
            while found != wanted:
                await asyncio.sleep(0.3)
                found = await hears()
    assert found == wanted, f"{what} hears {sorted(found)}"


@pytest.mark.browser
async def test_an_analog_line_a_page_and_a_supervisor_at_a_desk_phone(
    tmp_path: Path, free_port: Ports
) -> None:
    microphone = write_wav(tmp_path / "page.wav", pitch(PAGE, 4) / 32768, 8000)
    async with (
        Box(tmp_path, free_port, edit=with_supervisor) as box,
        tone_phones(box, free_port(), ["600", "601"]) as phones,
        chromium(microphone=microphone, loop=True) as browser,
    ):
        await browser.context.add_init_script(PLAIN_MICROPHONE)
        agent = await browser.page(f"{box.url}/demo")
        page = agent.page
        await page.get_by_role("button", name="Sign in as Ana").click()
        await page.get_by_role("button", name="Go on duty").click()
        await box.state(lambda s: box.agent(s, "ana").phase == "ready")
        call = await box.exchange.call(line=2, number="5550123")
        await call.answered()
        await call.add(Sound(pitch(CALLER, 90)))
        await page.get_by_role("button", name="Answer").click()
        await box.fact(e.Bridged)

        async def by_page() -> set[int]:
            return pitches((await agent.heard()).samples[-8000:])

        async def by_caller() -> set[int]:
            # Of itself it hears what the exchange's two-wire line gives back.
            return pitches(call.heard()[-8000:].astype(float) / 32768) - {CALLER}

        async def by_desk() -> set[int]:
            return phones["600"].hears()

        await until("the page", by_page, {CALLER})
        await until("the caller", by_caller, {PAGE})
        await page.get_by_role("button", name="Hold", exact=True).click()
        await until("the caller on hold", by_caller, set())
        await page.get_by_role("button", name="Resume").click()
        await until("the caller", by_caller, {PAGE})
        # Sue at her desk phone: listens by code, whispers and comes in by request.
        phones.dial("600", "*40201")
        await until("the supervisor", by_desk, {CALLER, PAGE})
        await until("the caller", by_caller, {PAGE})
        await until("the page", by_page, {CALLER})
        await box.ask(live.Supervise("sue", "whisper", "ana"))
        await until("the page", by_page, {CALLER, 0})
        await until("the caller", by_caller, {PAGE})
        await box.ask(live.Supervise("sue", "barge", "ana"))
        await until("the caller", by_caller, {PAGE, 0})
        await box.ask(live.Supervise("sue", "take_over", "ana"))
        await until("the caller", by_caller, {0})
        await until("the supervisor", by_desk, {CALLER})
        assert modes(box) == ["listen", "whisper", "barge"]
        phones.hang_up("600")
        await box.state(lambda s: not s.calls)


async def test_an_emergency_call_takes_the_analog_line_from_whoever_has_it(
    tmp_path: Path, free_port: Ports
) -> None:
    async with (
        Box(tmp_path, free_port, edit=with_supervisor) as box,
        tone_phones(box, free_port(), ["600", "601"]) as phones,
    ):
        for line in (1, 2):
            call = await box.exchange.call(line=line, number=f"555014{line}")
            await call.answered()
        await box.state(lambda s: len(s.calls) == 2)
        phones.dial("601", "911")
        dialled = await box.fact(e.Dialled, timeout=30)
        assert isinstance(dialled, e.Dialled)
        assert (dialled.kind, dialled.number) == ("emergency", "911")
        assert dialled.preempted is not None
        lost = await box.fact(e.Disconnect)
        assert isinstance(lost, e.Disconnect)
        assert (lost.call, lost.cause) == (dialled.preempted, "preempted")
        # Somebody answers there, and speaks.
        await box.fact(e.Bridged, timeout=40)
        async with asyncio.timeout(20):
            while np.abs(phones["601"].last()).max(initial=0) < 0.03:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_an_emergency_call_that_meets_busy_goes_on_by_the_next_line(
    tmp_path: Path, free_port: Ports
) -> None:
    """The modem is off-hook, the exchange plays busy tone and the line is put down."""
    async with (
        Box(tmp_path, free_port, edit=with_supervisor) as box,
        tone_phones(box, free_port(), ["601"]) as phones,
    ):
        asked: list[str] = []

        def plan(digits: str) -> Destination:
            asked.append(digits)
            return Destination(None) if len(asked) == 1 else box.exchange.default_plan(digits)

        box.exchange.plan = plan
        phones.dial("601", "911")
        await box.exchange.until(lambda: box.exchange.line(2).state == "talking", timeout=60)
        async with asyncio.timeout(20):
            while np.abs(phones["601"].last()).max(initial=0) < 0.03:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        dialled = [f for f in box.facts() if isinstance(f, e.Dialled)]
        assert [(f.number, f.line) for f in dialled] == [("911", "line1"), ("911", "line2")]
        assert asked == ["911", "911"]
        assert not [f for f in box.facts() if isinstance(f, e.Disconnect)]
        phones.hang_up("601")
        ended = await box.fact(e.Disconnect)
        assert isinstance(ended, e.Disconnect)
        assert ended.cause == "normal"


async def quiet(box: Box, phones: TonePhones) -> None:
    phones.hang_up()
    await box.state(lambda s: not s.calls)


def modes(box: Box) -> list[str]:
    return [f.mode for f in box.facts() if isinstance(f, e.SuperviseOn)]


async def test_hold_mute_supervision_park_and_eight_in_a_conference(
    tmp_path: Path, free_port: Ports
) -> None:
    async with (
        Box(tmp_path, free_port, edit=with_desks, simulator=False) as box,
        tone_phones(box, free_port(), DESKS) as phones,
    ):
        await hold_and_mute(box, phones)
        await supervision(box, phones)
        await park_comes_back(box, phones)
        await eight_together(box, phones)


def muted(box: Box, state: live.Live, agent: str) -> bool | None:
    call = box.agent(state, agent).call
    return None if call is None else call.muted


async def hold_and_mute(box: Box, phones: TonePhones) -> None:
    phones.dial("600", "801")
    await phones.until_hears("600", ["601"])
    await phones.until_hears("601", ["600"])
    await box.ask(live.AgentAction("p1", "hold"))
    await box.fact(e.HoldOn)
    await phones.until_hears("600", [])
    await phones.until_hears("601", [])
    # Music, not silence.
    assert np.sqrt(np.mean(phones["600"].last() ** 2)) > 0.005
    await box.ask(live.AgentAction("p1", "resume"))
    await phones.until_hears("600", ["601"])
    await phones.until_hears("601", ["600"])
    await box.ask(live.AgentAction("p1", "mute"))
    await phones.until_hears("600", [])
    await phones.until_hears("601", ["600"])
    await box.ask(live.AgentAction("p1", "unmute"))
    await phones.until_hears("600", ["601"])
    # The same by the phone's own keys.
    phones.press("601", "*0")
    await box.fact(e.HoldOn, 2)
    await phones.until_hears("600", [])
    phones.press("601", "*0")
    await box.fact(e.HoldOff, 2)
    await phones.until_hears("600", ["601"])
    for mute in (True, False):
        # A phone that sends keys says nothing meanwhile, so what is heard is not enough.
        phones.press("601", "*8")
        await box.state(lambda s: muted(box, s, "p1") is mute)  # noqa: B023
        await phones.until_hears("600", [] if mute else ["601"])
    await quiet(box, phones)


async def supervision(box: Box, phones: TonePhones) -> None:
    phones.dial("600", "801")
    await phones.until_hears("601", ["600"])
    with pytest.raises(Refused):
        await box.ask(live.Supervise("p2", "listen", "p1"))
    await box.ask(live.Supervise("p9", "listen", "p1"))
    await phones.until_hears("609", ["600", "601"])
    await phones.until_hears("600", ["601"])
    await phones.until_hears("601", ["600"])
    await box.ask(live.Supervise("p9", "whisper", "p1"))
    await phones.until_hears("601", ["600", "609"])
    await phones.until_hears("600", ["601"])
    await phones.until_hears("609", ["600", "601"])
    await box.ask(live.Supervise("p9", "barge", "p1"))
    await phones.until_hears("600", ["601", "609"])
    await phones.until_hears("601", ["600", "609"])
    await box.ask(live.Supervise("p9", "take_over", "p1"))
    await phones.until_hears("600", ["609"])
    await phones.until_hears("609", ["600"])
    await phones.until_idle("601")
    assert modes(box) == ["listen", "whisper", "barge"]
    taken = [f for f in box.facts() if isinstance(f, e.SuperviseOff)]
    assert len(taken) == 3
    await quiet(box, phones)
    # By code: listening to a colleague's call, and gone again without anybody noticing.
    phones.dial("600", "801")
    await phones.until_hears("601", ["600"])
    phones.dial("609", "*40801")
    await phones.until_hears("609", ["600", "601"])
    await phones.until_hears("600", ["601"])
    phones.hang_up("609")
    await box.fact(e.SuperviseOff, 4)
    await phones.until_hears("600", ["601"])
    await quiet(box, phones)


async def park_comes_back(box: Box, phones: TonePhones) -> None:
    phones.dial("600", "801")
    await phones.until_hears("600", ["601"])
    phones.press("601", "*7")
    await box.fact(e.Parked)
    await phones.until_hears("600", [])
    assert np.sqrt(np.mean(phones["600"].last() ** 2)) > 0.005
    await phones.until_idle("601")
    back = await box.fact(e.Unparked, timeout=30)
    assert isinstance(back, e.Unparked)
    assert back.result == "timeout"
    await phones.until_hears("600", ["601"])
    await phones.until_hears("601", ["600"])
    await quiet(box, phones)


async def eight_together(box: Box, phones: TonePhones) -> None:
    phones.dial("600", "801")
    await phones.until_hears("601", ["600"])
    for n in range(2, 8):
        await box.ask(live.AgentConsult("p1", "start", str(800 + n)))
        await phones.until_hears(DESKS[n], ["601"])
        await box.ask(live.AgentConsult("p1", "conference"))
        await phones.until_hears(DESKS[n], DESKS[:n])
    for n in range(8):
        await phones.until_hears(DESKS[n], [d for d in DESKS[:8] if d != DESKS[n]])
    with pytest.raises(Refused):
        await box.ask(live.AgentConsult("p1", "start", "808"))
    # Whoever made it may go; the others talk on.
    phones.hang_up("601")
    await phones.until_hears("600", DESKS[2:8])
    await quiet(box, phones)
