"""Who hears whom, on live calls: every phone says a pitch of its own, and what each one receives is
measured. By page and program (the requests that they make) and by keypad."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance import live
from appliance.ipc import Refused
from tests.e2e.box import Box
from tests.e2e.tone_phones import TonePhones, tone_phones

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
    await phones.until_hears("600", ["601"])
    phones.press("601", "*8")
    await phones.until_hears("600", [])
    phones.press("601", "*8")
    await phones.until_hears("600", ["601"])
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
        await phones.until_hears("608", ["601"])
        await box.ask(live.AgentConsult("p1", "conference"))
    # Whoever made it may go; the others talk on.
    phones.hang_up("601")
    await phones.until_hears("600", DESKS[2:8])
    await asyncio.sleep(0)
    await quiet(box, phones)
