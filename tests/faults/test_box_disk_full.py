"""The disk of a running box is full: calls go on, nothing of their story is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from appliance import events as e
from appliance import live
from appliance.media.wav import STEREO_HEADER_BYTES
from tests.browser.signals import hear, mulaw_decode
from tests.e2e.box import Box
from tests.faults.office_under_attack import CALLER, office_under_attack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

DISK = 200 * 1024 * 1024
"""Room for the 64 MiB that recording keeps free, the ledger's 8 MiB and the prompts."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data directory on a file system of its own."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(data)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        reason = f"a small disk cannot be mounted: {done.stderr.strip()}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    try:
        yield data
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def fill(file: Path) -> None:
    """Take every byte that is left."""
    with file.open("ab", buffering=0) as sink:
        for size in (1 << 20, 4096, 1):
            while True:
                try:
                    sink.write(bytes(size))
                except OSError:
                    break


async def test_a_full_disk_stops_the_recording_and_neither_call_nor_ledger(
    tmp_path: Path, small_disk: Path, free_port: Callable[[], int]
) -> None:
    ballast = small_disk / "ballast"
    async with office_under_attack(tmp_path, free_port) as office:
        box = office.box
        async with office.talking() as talk:
            await talk.say()
            # What was said is on disk two seconds later.
            await asyncio.sleep(2.2)
            fill(ballast)
            stopped = await talk.fact(e.RecordingEnded)
            assert stopped.reason == "disk_full"
            state = await box.state(lambda s: "disk" in {a.id for a in s.alarms})
            assert not state.calls[0].recording
            assert state.calls[0].phase == "talking"
            told = await until_nothing_fits(box, ballast)
            async with office.ringing(line=1, when_ready=False) as second:
                await second.call.answered()
                state = await box.state(lambda s: len(s.calls) == 2)
                assert {a.id for a in state.alarms} == {"disk", "ledger"}
                assert {a.severity for a in state.alarms} == {"critical"}
                assert (await box.get("/api/v1/health"))["status"] == "degraded"
                await pages_answer(box)
                since = len(talk.call.heard())
                await asyncio.sleep(1)
                assert abs(talk.call.heard()[since:]).max() > 1000
                await box.ask(live.AgentAction("pip", "hangup"))
            await box.state(lambda s: not s.calls)
            known = len(box.facts())
            ballast.unlink()
            state = await box.state(lambda s: not s.alarms)
            assert len(box.facts()) > known
        await office.answers_the_next_call()
        facts = box.facts()
        started = await talk.fact(e.RecordingStarted)
        raw = (small_disk / started.path).read_bytes()
    bo = [f.state for f in facts if isinstance(f, e.AgentState) and f.agent == "bo"]
    assert bo[: len(told)] == told
    calls = [f.call for f in facts if isinstance(f, e.CallOpened)]
    assert len(calls) == 3
    assert Counter(f.call for f in facts if isinstance(f, e.Disconnect)) == Counter(calls)
    entries = [f.entry for f in facts if isinstance(f, e.QEnter)]
    assert Counter(f.entry for f in facts if isinstance(f, e.QLeave)) == Counter(entries)
    assert [f.at for f in facts] == sorted(f.at for f in facts)
    reasons = [f.reason for f in facts if isinstance(f, e.RecordingEnded)]
    assert reasons == ["disk_full", "done"]
    size = int.from_bytes(raw[STEREO_HEADER_BYTES - 4 : STEREO_HEADER_BYTES], "little")
    assert size <= len(raw) - STEREO_HEADER_BYTES
    assert abs(stopped.duration_ms - size // 16) < 50
    assert hear(CALLER, mulaw_decode(raw[STEREO_HEADER_BYTES:][:size][0::2])).share > 0.8
    assert "Traceback" not in box.said()


async def until_nothing_fits(box: Box, ballast: Path) -> list[str]:
    """Have facts made until the ledger has used up its reserve too; returns Bo's states."""
    told: list[str] = []
    async with asyncio.timeout(20):
        while "ledger" not in {alarm.id for alarm in (await box.state()).alarms}:
            fill(ballast)
            told.append("not_ready" if len(told) % 2 else "ready")
            await box.ask(live.SetAgentState("bo", told[-1]))  # type: ignore[arg-type]
    return told


async def pages_answer(box: Box) -> None:
    """Whatever a page asks for now, it gets an answer that is no fault of the box."""
    async with httpx.AsyncClient(base_url=box.url, headers={"Origin": box.url}) as client:
        login = await client.post("/api/v1/demo/login", json={"person": "ana"})
        state = await client.post("/api/v1/agent/state", json={"state": "not_ready"})
        calls = await client.get("/api/v1/calls")
        for answer in (login, state, calls):
            assert answer.status_code != 500, answer.text
