"""Desk phones and trunks on a running box, with peers that others wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance.cli import main
from tests.browser.signals import hear, speech_like, write_wav
from tests.e2e.box import Box
from tests.interop.baresip import baresip
from tests.interop.sipp import sipp

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

TRUNK = """
[lines.voip]
kind = "trunk"
name = "Provider"
host = "127.0.0.1"
channels = 20
route = "queue:sales"
[people.ana]
"""


def with_trunk(text: str) -> str:
    return text.replace("[people.ana]\n", TRUNK)


async def test_a_phone_calls_a_phone_holds_and_hangs_up(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port, simulator=False) as box:

        def account(extension: str, mode: str) -> str:
            return (
                f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
                f";regint=600;answermode={mode};audio_codecs=pcmu"
            )

        def ports() -> tuple[int, int, int]:
            return free_port(), free_port(), free_port()

        async with (
            baresip(tmp_path / "p101", account("101", "manual"), *ports()) as one,
            baresip(tmp_path / "p102", account("102", "auto"), *ports()),
        ):
            await box.state(lambda s: all(p.registered for p in s.phones))
            await one.do("dial", f"sip:102@127.0.0.1:{box.sip_port}")
            bridged = await box.fact(e.Bridged)
            assert isinstance(bridged, e.Bridged)
            assert {bridged.a, bridged.b} == {"phone:101", "phone:102"}
            await one.do("hold")
            await box.state(lambda s: any(c.phase == "held" for c in s.calls))
            await one.do("resume")
            await box.state(lambda s: any(c.phase == "talking" for c in s.calls))
            await one.do("hangup")
            over = await box.fact(e.Disconnect)
            assert isinstance(over, e.Disconnect)
            assert (over.side, over.cause) == ("caller", "normal")


async def test_sipps_own_caller_is_answered_ten_times(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port, edit=with_trunk, simulator=False) as box:
        args = ("-sn", "uac", "-m", "10", "-r", "5", "-d", "300", "-s", "5550000")
        assert await sipp(box.sip_port, free_port(), *args, folder=tmp_path) == ""
        await box.state(lambda s: not s.calls)
        facts = box.facts()
        assert sum(isinstance(f, e.CallOpened) for f in facts) == 10
        leaves = [f.reason for f in facts if isinstance(f, e.QLeave)]
        assert leaves == ["abandoned"] * 10


async def test_a_recorded_prompt_is_what_the_caller_hears(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    greeting = speech_like(4, seed=5)
    source = write_wav(tmp_path / "greeting.wav", np.concatenate([greeting, greeting]), 16000)

    def recorded(text: str) -> str:
        return text.replace(
            '{ text = "Welcome. For sales, press one." }', '{ file = "greeting.wav" }'
        )

    box = Box(tmp_path, free_port, edit=recorded)
    taken = await asyncio.to_thread(main, ["prompt", str(source), "--data", str(box.places.data)])
    assert taken == 0
    async with box:
        call = await box.exchange.call(line=1)
        await call.answered()
        await call.hears_sound(4000, timeout=20)
        heard = call.heard().astype(float) / 32768
        await call.hangup()
        assert hear(greeting, heard).share > 0.6
