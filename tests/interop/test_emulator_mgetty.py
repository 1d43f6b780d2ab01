"""The modem emulator before independent judges: mgetty's `vm` and `vgetty`, written for real units.

Each drives a line of its own through one task, all at the same time; the tests look at what came
of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.simulator import sound
from appliance.simulator.hearing import tone_level_dbm0
from appliance.simulator.modem import Modem
from appliance.simulator.rig import Call, ExchangeRig
from appliance.simulator.sound import Samples
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


class Trial:
    """One program on one line, and what it left behind."""

    def __init__(self, rig: ExchangeRig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.judge = Mgetty(folder, rig.device(1))
        self.modem: Modem = rig.modem(1)
        self.output = ""
        self.code: int | None = None
        self.heard: Samples = np.zeros(0, dtype=np.int16)

    @property
    def clean(self) -> bool:
        return self.modem.violations == [] and self.code == 0

    async def vm(
        self, *arguments: str, then: Callable[[Call], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        """The caller rings, `vm` takes the line; `then` is what the caller does on it."""
        call = await self.rig.call(1, caller_id=False)
        command, *rest = arguments
        async with self.judge.running("vm", command, "-t", "-l", "{device}", *rest) as process:
            if then is not None:
                await self.rig.until(lambda: self.modem.state in ("receive", "duplex"), 30)
                await then(call)
            async with asyncio.timeout(30):
                output, _ = await process.communicate()
        self.output, self.code = output.decode(errors="replace"), process.returncode
        self.heard = call.heard()


async def vm_record(trial: Trial) -> None:
    target = str(trial.folder / "said.rmd")
    await trial.vm("record", "-L", "4", target, then=lambda call: call.say(known_signal()))


async def vm_play(trial: Trial) -> None:
    write_rmd(trial.folder / "greeting.rmd", known_signal())
    await trial.vm("play", str(trial.folder / "greeting.rmd"))


async def vm_duplex(trial: Trial) -> None:
    source, target = trial.folder / "out.rmd", trial.folder / "in.rmd"
    write_rmd(source, known_signal())
    await trial.vm(
        "duplex", str(source), str(target), then=lambda call: call.say(sound.tone([1004], 1000))
    )


async def vm_keys(trial: Trial) -> None:
    target = str(trial.folder / "keys.rmd")
    await trial.vm("record", "-R", "-L", "20", target, then=lambda call: call.press("1590#"))


async def vm_beep(trial: Trial) -> None:
    await trial.vm("beep", "933", "600")


async def vgetty(trial: Trial) -> None:
    rig, modem = trial.rig, trial.modem
    async with trial.judge.running("vgetty", "-x", "6", "{device}") as process:
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
    trial.code = 0
    trial.heard = call.heard()


TRIALS = (vm_record, vm_play, vm_duplex, vm_keys, vm_beep, vgetty)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    done: dict[str, Trial] = {}

    async def one(run: Callable[[Trial], Coroutine[Any, Any, None]]) -> None:
        folder = tmp_path_factory.mktemp(run.__name__)
        # For `vm` one ring that lasts: a second one could fall between its commands and answers.
        ring = (1000, 2000) if run is vgetty else (2000, 58_000)
        async with ExchangeRig(folder / "lines", lines=1, ring=ring) as rig:
            trial = done[run.__name__] = Trial(rig, folder)
            await run(trial)

    async def everyone() -> None:
        async with asyncio.TaskGroup() as tasks:
            for run in TRIALS:
                tasks.create_task(one(run))

    asyncio.run(everyone())
    return done


def test_vm_records_what_the_caller_says_sample_by_sample(trials: dict[str, Trial]) -> None:
    trial = trials["vm_record"]
    assert trial.clean, trial.judge.log()
    recorded = read_rmd(trial.folder / "said.rmd")
    first, second = marks(recorded)
    assert second - first == MARKS_APART
    loud = loud_part(recorded)
    assert sound.encode("u8", loud).count(0x10) > 50
    assert sound.level_dbm0(loud) == pytest.approx(2.5, abs=0.2)


def test_the_caller_hears_what_vm_plays_without_a_gap(trials: dict[str, Trial]) -> None:
    trial = trials["vm_play"]
    assert trial.clean, trial.judge.log()
    assert trial.modem.underruns == 0
    first, second = marks(trial.heard)
    assert second - first == MARKS_APART
    assert sound.level_dbm0(loud_part(trial.heard)) == pytest.approx(2.5, abs=0.2)


def test_vm_plays_and_records_at_once(trials: dict[str, Trial]) -> None:
    trial = trials["vm_duplex"]
    assert trial.modem.violations == []
    assert sound.level_dbm0(loud_part(trial.heard)) == pytest.approx(2.5, abs=0.3)
    recorded = read_rmd(trial.folder / "in.rmd")
    levels = [
        tone_level_dbm0(recorded[at : at + 4000], 1004)
        for at in range(0, len(recorded) - 4000, 1000)
    ]
    assert max(levels) == pytest.approx(-10, abs=0.5)


def test_vm_reads_the_keys_that_the_caller_presses(trials: dict[str, Trial]) -> None:
    trial = trials["vm_keys"]
    assert trial.clean, trial.judge.log()
    assert "1590" in trial.output.split()


def test_vms_beep_is_heard_in_its_length(trials: dict[str, Trial]) -> None:
    trial = trials["vm_beep"]
    assert trial.clean, trial.judge.log()
    frames = [trial.heard[at : at + 160] for at in range(0, len(trial.heard) - 160, 160)]
    sounding = [tone_level_dbm0(frame, 933) > -15 for frame in frames]
    assert sum(sounding) * 20 == pytest.approx(600, abs=20)


def test_vgetty_answers_knows_the_caller_and_keeps_the_message(trials: dict[str, Trial]) -> None:
    trial = trials["vgetty"]
    assert trial.clean, trial.judge.log()
    messages = list((trial.folder / "spool/incoming").glob("*.rmd"))
    assert len(messages) == 1, trial.judge.log()
    assert "5550123" in messages[0].name
    first, second = marks(read_rmd(messages[0]))
    assert second - first == MARKS_APART
    beep = trial.heard[: sound.ms_to_samples(1400)]
    assert tone_level_dbm0(beep[-8000:], 933) == pytest.approx(-10, abs=1.5)
