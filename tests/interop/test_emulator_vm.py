"""The modem emulator before an independent judge: `vm` of mgetty, which drives V.253 units."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.simulator import sound
from appliance.simulator.hearing import tone_level_dbm0
from appliance.simulator.rig import Call, ExchangeRig
from tests.interop.mgetty import (
    MARKS_APART,
    Mgetty,
    known_signal,
    loud_part,
    marks,
    read_rmd,
    write_rmd,
)

pytestmark = pytest.mark.interop


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ExchangeRig]:
    async with ExchangeRig(tmp_path / "lines", lines=1) as rig:
        yield rig


async def ringing(rig: ExchangeRig) -> Call:
    return await rig.call(1, "5550123", "ANA")


async def test_vm_records_what_the_caller_says_sample_by_sample(
    rig: ExchangeRig, tmp_path: Path
) -> None:
    vm = Mgetty(tmp_path, rig.device(1))
    call = await ringing(rig)
    target = tmp_path / "said.rmd"
    async with vm.running(
        "vm", "record", "-t", "-L", "4", "-l", "{device}", str(target)
    ) as process:
        await rig.until(lambda: rig.modem(1).state == "receive", 30)
        await call.say(known_signal())
        async with asyncio.timeout(30):
            await process.wait()
    assert process.returncode == 0, vm.log()
    first, second = marks(read_rmd(target))
    assert second - first == MARKS_APART
    loud = loud_part(read_rmd(target))
    assert sound.encode("u8", loud).count(0x10) > 50
    assert sound.level_dbm0(loud) == pytest.approx(2.5, abs=0.2)
    assert rig.modem(1).violations == []


async def test_the_caller_hears_what_vm_plays_without_a_gap(
    rig: ExchangeRig, tmp_path: Path
) -> None:
    vm = Mgetty(tmp_path, rig.device(1))
    call = await ringing(rig)
    source = tmp_path / "greeting.rmd"
    write_rmd(source, known_signal())
    async with vm.running("vm", "play", "-t", "-l", "{device}", str(source)) as process:
        async with asyncio.timeout(30):
            await process.wait()
    assert process.returncode == 0, vm.log()
    first, second = marks(call.heard())
    assert second - first == MARKS_APART
    assert sound.level_dbm0(loud_part(call.heard())) == pytest.approx(2.5, abs=0.2)
    modem = rig.modem(1)
    assert (modem.violations, modem.underruns) == ([], 0)
    assert await call.gone() == "busy_tone"


async def test_vm_plays_and_records_at_once(rig: ExchangeRig, tmp_path: Path) -> None:
    vm = Mgetty(tmp_path, rig.device(1))
    call = await ringing(rig)
    source, target = tmp_path / "out.rmd", tmp_path / "in.rmd"
    write_rmd(source, known_signal())
    arguments = ("duplex", "-t", "-l", "{device}", str(source), str(target))
    async with vm.running("vm", *arguments) as process:
        await rig.until(lambda: rig.modem(1).state == "duplex", 30)
        await call.say(sound.tone([1004], 1000))
        async with asyncio.timeout(30):
            await process.wait()
    assert rig.modem(1).violations == []
    assert sound.level_dbm0(loud_part(call.heard())) == pytest.approx(2.5, abs=0.3)
    recorded = read_rmd(target)
    assert len(recorded) > 8000
    assert max(
        sound.level_dbm0(recorded[at : at + 4000]) for at in range(0, len(recorded) - 4000, 1000)
    ) == pytest.approx(-10, abs=0.5)


async def test_vm_reads_the_keys_that_the_caller_presses(rig: ExchangeRig, tmp_path: Path) -> None:
    vm = Mgetty(tmp_path, rig.device(1))
    call = await ringing(rig)
    arguments = ("record", "-t", "-R", "-L", "20", "-l", "{device}", str(tmp_path / "keys.rmd"))
    async with vm.running("vm", *arguments) as process:
        await rig.until(lambda: rig.modem(1).state == "receive", 30)
        await call.press("1590#")
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    assert "1590" in output.decode().split(), vm.log()


async def test_vm_sounds_a_beep_on_the_line(rig: ExchangeRig, tmp_path: Path) -> None:
    vm = Mgetty(tmp_path, rig.device(1))
    call = await ringing(rig)
    async with vm.running("vm", "beep", "-t", "-l", "{device}", "933", "600") as process:
        async with asyncio.timeout(30):
            await process.wait()
    frames = [call.heard()[at : at + 160] for at in range(0, len(call.heard()) - 160, 160)]
    sounding = [tone_level_dbm0(frame, 933) > -15 for frame in frames]
    assert sum(sounding) * 20 == pytest.approx(600, abs=20)
