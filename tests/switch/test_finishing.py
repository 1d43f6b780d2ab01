"""Finished recordings, with the real process: what waits, what was found, what was killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from appliance.recordings import Form, part_path
from appliance.switch import finishing
from appliance.switch.finishing import Finishing
from tests.media.test_finish import talk, write

DAY = "recordings/2026-11-22"


@asynccontextmanager
async def running(data: Path, form: Form = "flac") -> AsyncIterator[Finishing]:
    one = Finishing(data, lambda: form)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "GATHER_S", 0.0)
    monkeypatch.setattr(finishing, "RETRY_S", 0.05)


def names(data: Path) -> list[str]:
    return sorted(file.name for file in (data / DAY).iterdir())


async def test_what_was_left_and_what_is_told_is_finished(tmp_path: Path) -> None:
    write(tmp_path / DAY / "c1-1.wav", talk(1000))
    write(tmp_path / part_path(f"{DAY}/c1-1.wav", 2000), talk(1000))
    async with running(tmp_path) as one:
        await until(lambda: one.done == 1)
        assert names(tmp_path) == ["c1-1.flac"]
        write(tmp_path / DAY / "c2-1.wav", talk(1000))
        one.add(f"{DAY}/c2-1.wav")
        await until(lambda: one.done == 2)
        assert names(tmp_path) == ["c1-1.flac", "c2-1.flac"]


async def test_a_whole_wav_that_stays_one_costs_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing.sys, "executable", "/bin/false")
    write(tmp_path / DAY / "c1-1.wav", talk(20))
    async with running(tmp_path, "wav") as one:
        one.add(f"{DAY}/c1-1.wav")
        await until(lambda: not one._waiting)
    assert names(tmp_path) == ["c1-1.wav"]


async def test_a_broken_one_does_not_stop_the_others(tmp_path: Path) -> None:
    write(tmp_path / DAY / "c1-1.wav", talk(100)).write_bytes(b"no recording" * 99)
    write(tmp_path / DAY / "c2-1.wav", talk(1000))
    async with running(tmp_path) as one:
        await until(lambda: one.done == 1)
        assert names(tmp_path) == ["c1-1.wav", "c2-1.flac"]


async def test_a_killed_finisher_is_started_again(tmp_path: Path) -> None:
    write(tmp_path / DAY / "c1-1.wav", talk(1000))
    async with running(tmp_path) as one:

        def at_work() -> list[psutil.Process]:
            return [p for p in psutil.Process().children() if "finish" in p.cmdline()]

        await until(lambda: bool(at_work()))
        at_work()[0].kill()
        await until(lambda: one.done == 1)
        assert names(tmp_path) == ["c1-1.flac"]


async def test_one_that_kills_its_finisher_again_and_again_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the process: it dies at the first recording whenever that is its turn."""
    program = tmp_path / "finisher"
    program.write_text(
        "#!/bin/sh\n"
        'while read -r path; do case "$path" in *c1-1.wav) kill -9 $$;; esac\n'
        'printf "%s\\tdone\\n" "$path"; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(finishing.sys, "executable", str(program))
    for name in ("c1-1", "c2-1", "c3-1"):
        write(tmp_path / DAY / f"{name}.wav", talk(20))
    async with running(tmp_path) as one:
        await until(lambda: one.done == 2)
        await until(lambda: not one._waiting)


async def test_what_nobody_wants_any_more_goes_in_every_form(tmp_path: Path) -> None:
    day = tmp_path / "recordings" / "2026-11-25"
    day.mkdir(parents=True)
    for name in ("a.wav", "a.part-4000.wav", "a.flac", "b.flac"):
        (day / name).touch()
    async with running(tmp_path) as finishing:
        finishing.discard("recordings/2026-11-25/a.wav")
        finishing.discard("recordings/2026-11-25/gone.wav")
        await until(lambda: [one.name for one in day.iterdir()] == ["b.flac"])
