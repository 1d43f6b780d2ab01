"""kill -9 of an audio process in the middle of many calls: the far ends measure the gap, the
recordings stay whole and true to time, and the ledger has each call once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from appliance import events as e
from appliance.media.finish import _decode
from appliance.recordings import finished, part_of
from appliance.switch.watchdog import HUNG_S
from tests.faults.busy_phones import BusyPhones, busy_phones, onsets_ms

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

CALLS = 20


async def talking(phones: BusyPhones, calls: int) -> None:
    """So many recorded calls, each between a caller and an agent."""
    for n in range(calls):
        phones.call(f"5551{n:03}")
    await phones.box.fact(e.Connect, count=calls, timeout=30)
    await phones.box.fact(e.RecordingStarted, count=calls)


async def finished_recordings(phones: BusyPhones, calls: int) -> list[np.ndarray]:
    """Both sides of each, once the box has brought all into their lasting form."""
    box = phones.box
    for n in range(calls):
        await box.fact(e.RecordingEnded, count=n + 1)
    started = [f for f in box.facts() if isinstance(f, e.RecordingStarted)]
    paths = [box.places.data / f.path for f in started]
    async with asyncio.timeout(60):
        while any(finished(path) != path.with_suffix(".flac") for path in paths):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while list(paths[0].parent.glob("*.wav")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return [np.concatenate(list(_decode(path.with_suffix(".flac")))) for path in paths]


def check_books(phones: BusyPhones, calls: int) -> None:
    """No call lost or doubled, each with one recording."""
    facts = phones.box.facts()
    opened = Counter(f.caller for f in facts if isinstance(f, e.CallOpened))
    assert opened == {f"5551{n:03}": 1 for n in range(calls)}
    ended = [f for f in facts if isinstance(f, e.Disconnect)]
    assert Counter(f.cause for f in ended) == {"normal": calls}
    assert len({f.call for f in ended}) == calls
    for kind in (e.RecordingStarted, e.RecordingEnded):
        assert set(Counter(f.call for f in facts if isinstance(f, kind)).values()) == {1}
    assert {f.reason for f in facts if isinstance(f, e.RecordingEnded)} == {"done"}


def check_time(both: np.ndarray) -> list[int]:
    """A second lasts a second on both sides, gaps included. Returns the caller's beeps."""
    for side in (both[:, 1], both[:, 0]):
        # The first one may have begun before the recording.
        onsets = onsets_ms(side)[1:]
        drift = [(onset - onsets[0] + 500) % 1000 - 500 for onset in onsets]
        assert max(map(abs, drift)) <= 120, onsets
    return onsets


async def test_an_audio_process_dies_in_the_middle_of_20_calls(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with busy_phones(tmp_path, free_port, CALLS, processes=2) as phones:
        await talking(phones, CALLS)
        await asyncio.sleep(4)
        before = time.monotonic()
        phones.box.kill("media1")
        await asyncio.sleep(4)
        after = time.monotonic()
        gaps = sorted(end.longest_gap(before - 1, after) for end in phones.ends)
        print("gaps in ms", [round(gap * 1000) for gap in gaps])
        cut = {part_of(path.name) for path in tmp_path.rglob("*.part-*.wav")}
        assert not phones.ended
        phones.hang_up()
        await phones.box.state(lambda s: not s.calls)
        recordings = await finished_recordings(phones, CALLS)
        check_books(phones, CALLS)
        durations = [f.duration_ms for f in phones.box.facts() if isinstance(f, e.RecordingEnded)]
    assert gaps[-1] < 1.0
    assert len(gaps) == 2 * CALLS
    whole = 0
    for both in recordings:
        onsets = check_time(both)
        assert len(onsets) >= 4
        whole += int(np.diff(onsets).max()) < 1500
    # Calls of the other process miss nothing; what was not on disk yet, 2 s at most, is silence.
    assert 5 <= len(cut) <= 15
    assert whole >= CALLS - len(cut)
    assert sorted(len(both) // 8 for both in recordings) == pytest.approx(
        sorted(durations), abs=100
    )


async def test_an_audio_process_hangs_in_the_middle_of_calls(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Stopped it keeps its connection, its ports and its calls, and carries none of them."""
    calls = 4
    async with busy_phones(tmp_path, free_port, calls, processes=2) as phones:
        await talking(phones, calls)
        await asyncio.sleep(3)
        before = time.monotonic()
        hung = phones.box.kill("media1", signal.SIGSTOP)
        await asyncio.sleep(HUNG_S + 3)
        after = time.monotonic()
        gaps = sorted(end.longest_gap(before - 1, after) for end in phones.ends)
        print("gaps in ms", [round(gap * 1000) for gap in gaps])
        assert f"hangs: killed ({hung})" in phones.box.said()
        assert not psutil.pid_exists(hung)
        # What follows shows that sound is back for all.
        heard = [len(end.heard) for end in phones.ends]
        await asyncio.sleep(1)
        assert all(len(end.heard) - n > 40 for end, n in zip(phones.ends, heard, strict=True))
        cut = {part_of(path.name) for path in tmp_path.rglob("*.part-*.wav")}
        assert not phones.ended
        phones.hang_up()
        await phones.box.state(lambda s: not s.calls)
        recordings = await finished_recordings(phones, calls)
        check_books(phones, calls)
    assert HUNG_S - 1.5 < gaps[-1] < HUNG_S + 2
    assert 1 <= len(cut) < calls
    # Those of the other process miss nothing.
    assert sum(gap < 1 for gap in gaps) >= 2 * (calls - len(cut))
    for both in recordings:
        check_time(both)


@pytest.mark.parametrize("name", ["control", "media and its keeper"])
async def test_recordings_of_calls_that_a_crash_cut_are_whole_up_to_it(
    tmp_path: Path, free_port: Callable[[], int], name: str
) -> None:
    async with busy_phones(tmp_path, free_port, 2, processes=1) as phones:
        await talking(phones, 2)
        await asyncio.sleep(5)
        box = phones.box
        if name == "control":
            box.kill("control")
            await box.office.wait_ready()
        else:
            os.kill(box.office.processes["media"].pid, signal.SIGKILL)
            await asyncio.sleep(4)
            phones.hang_up()
        recordings = await finished_recordings(phones, 2)
        ended = [f for f in box.facts() if isinstance(f, e.RecordingEnded)]
    assert {f.reason for f in ended} == {"system_failure" if name == "control" else "done"}
    assert len(ended) == 2
    for both in recordings:
        assert len(check_time(both)) >= (2 if name == "control" else 4)
    assert all(f.duration_ms >= 3000 for f in ended)
