"""A whole answered call through mgetty's answering machine, `vgetty`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.simulator import sound
from appliance.simulator.rig import ExchangeRig
from tests.interop.mgetty import (
    MARKS_APART,
    Mgetty,
    known_signal,
    marks,
    read_rmd,
)

pytestmark = pytest.mark.interop


async def test_vgetty_answers_knows_the_caller_and_keeps_the_message(tmp_path: Path) -> None:
    async with ExchangeRig(tmp_path / "lines", lines=1, ring=(1000, 2000)) as rig:
        vgetty = Mgetty(tmp_path, rig.device(1))
        modem = rig.modem(1)
        async with vgetty.running("vgetty", "-x", "6", "{device}") as process:
            await rig.until(lambda: modem.settings.caller_id and not modem.settings.voice_class, 30)
            call = await rig.call(1, "5550123", "ANA", ring_patience_ms=30_000)
            await call.answered(30)
            await rig.until(lambda: modem.state == "receive", 30)
            await call.say(known_signal())
            await call.hangup()
            # Busy tone is all that tells it: the unit reports it, vgetty goes on hook.
            await rig.until(lambda: not modem.off_hook, 30)
            async with asyncio.timeout(30):
                await process.wait()
        assert modem.violations == []
    messages = list((tmp_path / "spool/incoming").glob("*.rmd"))
    assert len(messages) == 1, vgetty.log()
    assert "5550123" in messages[0].name
    recorded = read_rmd(messages[0])
    first, second = marks(recorded)
    assert second - first == MARKS_APART
    beep = call.heard()[: sound.ms_to_samples(1500)]
    assert sound.level_dbm0(beep) > -20
