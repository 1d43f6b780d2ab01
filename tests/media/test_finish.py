"""Recordings after their call: parts joined true to time, converted, checked, never lost."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import finish, g711
from appliance.media.finish import Busy, Unfinished
from appliance.media.wav import STEREO_HEADER_BYTES, stereo_ulaw_header
from appliance.recordings import MEDIA_TYPES, Form, finished, part_of, part_path, parts
from tests.media.endpoint import level_dbm0, sine

LEFT, RIGHT = 700.0, 1100.0


def talk(ms: int, left: float = LEFT, right: float = RIGHT, dbm0: float = -15) -> np.ndarray:
    """(samples, 2) mu-law: one tone a side."""
    samples = ms * 8
    sides = [g711.ulaw_encode(sine(hz, dbm0, samples)) for hz in (left, right)]
    return np.stack(sides, 1)


def write(path: Path, audio: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = audio.astype(np.uint8).tobytes()
    path.write_bytes(stereo_ulaw_header(len(data)) + data)
    return path


def sides(path: Path) -> np.ndarray:
    """Any finished file as (samples, 2)."""
    if path.suffix == ".wav":
        raw = np.frombuffer(path.read_bytes()[STEREO_HEADER_BYTES:], np.uint8)
        return g711.ULAW_DECODE[raw].reshape(-1, 2)
    return np.concatenate(list(finish._decode(path)))


@pytest.fixture
def day(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "2026-11-22"


@pytest.mark.parametrize("form", ["opus", "flac"])
def test_a_recording_becomes_one_smaller_file_with_the_same_audio(day: Path, form: Form) -> None:
    path = write(day / "c1-1.wav", talk(4000))
    before = path.stat().st_size
    target = finish.finish(path, form)
    assert target == day / f"c1-1.{form}"
    assert [f.name for f in day.iterdir()] == [target.name]
    assert target.stat().st_size < before
    heard = sides(target)
    assert abs(len(heard) - 4000 * 8) <= 160
    for side, own, other in ((0, LEFT, RIGHT), (1, RIGHT, LEFT)):
        middle = heard[8000:24000, side]
        assert level_dbm0(middle, own) == pytest.approx(-15, abs=0.5)
        assert level_dbm0(middle, other) < -45


def test_flac_loses_nothing(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(1500))
    expected = sides(path)
    target = finish.finish(path, "flac")
    assert target is not None
    assert np.array_equal(sides(target), expected)


@pytest.mark.parametrize("form", ["wav", "flac", "opus"])
def test_parts_are_joined_with_the_silence_that_nobody_wrote(day: Path, form: Form) -> None:
    path = write(day / "c1-1.wav", talk(2000))
    write(Path(part_path(str(path), 2600)), talk(1000, 500, 900))
    write(Path(part_path(str(path), 4000)), talk(1000))
    target = finish.finish(path, form)
    assert target is not None
    assert [f.name for f in day.iterdir()] == [f"c1-1.{form}"]
    heard = sides(target).astype(float)
    assert abs(len(heard) - 5000 * 8) <= 160

    def quiet(start_ms: int, end_ms: int) -> bool:
        # An encoder rings for some ms around an edge.
        return bool(np.sqrt((heard[(start_ms + 20) * 8 : (end_ms - 20) * 8] ** 2).mean()) < 20)

    assert quiet(2000, 2600)
    assert quiet(3600, 4000)
    assert level_dbm0(heard[500 * 8 : 1500 * 8, 0], LEFT) > -16
    assert level_dbm0(heard[2700 * 8 : 3500 * 8, 1], 900) > -16
    assert level_dbm0(heard[4100 * 8 : 4900 * 8, 0], LEFT) > -16


def test_a_part_without_its_first_file_is_kept_at_its_time(day: Path) -> None:
    path = day / "c1-1.wav"
    write(Path(part_path(str(path), 1000)), talk(500))
    assert finish.finish(path, "wav") == path
    heard = sides(path)
    assert len(heard) == 1500 * 8
    assert not heard[:8000].any()


def test_a_part_that_begins_before_the_last_one_ended_ends_it(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(2000))
    write(Path(part_path(str(path), 1960)), talk(1040))
    finish.finish(path, "wav")
    assert len(sides(path)) == 3000 * 8


def test_a_power_cut_after_joining_is_no_harm(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(2000))
    part = write(Path(part_path(str(path), 2500)), talk(700))
    kept = part.read_bytes()
    finish.finish(path, "wav")
    joined = path.read_bytes()
    part.write_bytes(kept)  # as if it had not been deleted
    finish.finish(path, "wav")
    assert path.read_bytes() == joined
    assert not part.exists()


def test_a_power_cut_before_the_old_file_went_is_no_harm(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(1000))
    raw = path.read_bytes()
    finish.finish(path, "flac")
    path.write_bytes(raw)
    assert finished(path) == day / "c1-1.flac"
    assert finish.unfinished(day.parent, "flac") == [path]
    assert finish.finish(path, "flac") == day / "c1-1.flac"
    assert not path.exists()
    assert finish.finish(path, "flac") == day / "c1-1.flac"


def test_a_file_that_is_being_written_is_left_alone(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(1000))
    with path.open("rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            finish.finish(path, "opus")
        assert finish.measure(path) == 1000
    assert finish.finish(path, "opus") == day / "c1-1.opus"


def test_a_full_disk_is_left_to_the_calls(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(day / "c1-1.wav", talk(1000))
    monkeypatch.setattr(finish, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(Busy, match="no room"):
        finish.finish(path, "opus")
    assert [f.name for f in day.iterdir()] == ["c1-1.wav"]


def test_a_new_file_that_is_wrong_replaces_nothing(
    day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(day / "c1-1.wav", talk(2000))
    real = finish._encode

    def half(target: Path, source: finish._Joined, form: Form) -> None:
        source.size //= 2
        real(target, source, form)
        source.size *= 2

    monkeypatch.setattr(finish, "_encode", half)
    with pytest.raises(Unfinished, match="samples long"):
        finish.finish(path, "opus")
    assert [f.name for f in day.iterdir()] == ["c1-1.wav"]

    def silent(target: Path, source: finish._Joined, form: Form) -> None:
        write(day / "quiet.wav", np.full((2000 * 8, 2), 0xFF))
        real(target, finish._Joined([(0, day / "quiet.wav", 2000)]), form)

    monkeypatch.setattr(finish, "_encode", silent)
    with pytest.raises(Unfinished, match="loud"):
        finish.finish(path, "opus")

    def garbage(target: Path, source: finish._Joined, form: Form) -> None:
        target.write_bytes(os.urandom(5000))

    monkeypatch.setattr(finish, "_encode", garbage)
    with pytest.raises(Unfinished, match="decoded"):
        finish.finish(path, "opus")
    assert path.stat().st_size == STEREO_HEADER_BYTES + 2000 * 16


def test_what_is_no_recording_stays(day: Path) -> None:
    day.mkdir(parents=True)
    path = day / "c1-1.wav"
    path.write_bytes(b"RIFF" + os.urandom(500))
    with pytest.raises(Unfinished):
        finish.finish(path, "opus")
    assert path.exists()
    assert finish.finish(day / "never.wav", "opus") is None


def test_silence_and_nothing_can_be_finished_too(day: Path) -> None:
    silence = write(day / "c1-1.wav", np.full((3000 * 8, 2), 0xFF))
    assert finish.finish(silence, "opus") == day / "c1-1.opus"
    empty = write(day / "c2-1.wav", talk(0))
    assert finish.finish(empty, "opus") == empty


def test_what_is_left_to_do_is_found_by_looking(day: Path) -> None:
    write(day / "c1-1.wav", talk(20))
    write(day / "c2-1.wav", talk(20))
    write(Path(part_path(str(day / "c2-1.wav"), 40)), talk(20))
    write(day / "c3-1.flac", talk(20))
    (day.parent / "stranger").write_text("")
    assert finish.unfinished(day.parent, "opus") == [day / "c1-1.wav", day / "c2-1.wav"]
    assert finish.unfinished(day.parent, "wav") == [day / "c2-1.wav"]
    assert finish.unfinished(day.parent / "none", "wav") == []


def test_a_cut_recording_is_measured_with_its_gaps(day: Path) -> None:
    path = write(day / "c1-1.wav", talk(2000))
    part = write(Path(part_path(str(path), 2500)), talk(700))
    with part.open("ab") as file:
        file.write(b"\xff" * 1601)  # written, but not yet in the header
    assert finish.measure(path) == 2500 + 800
    assert finish.measure(day / "none.wav") == 0


def test_the_finisher_asks_for_nothing_that_calls_need() -> None:
    program = (
        "import os; from pathlib import Path; from appliance.media.finish import be_idle; "
        "be_idle(); print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE, "
        "Path('/proc/self/oom_score_adj').read_text().strip())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.split() == [b"19", b"True", b"800"]


@given(at=st.integers(0, 10**9), name=st.from_regex(r"\A[a-z0-9-]{1,20}\Z"))
def test_the_name_of_a_part_says_when_it_began(at: int, name: str) -> None:
    path = part_path(f"recordings/2026-11-22/{name}.wav", at)
    if at == 0:
        assert part_of(Path(path).name) is None
    else:
        assert part_of(Path(path).name) == (f"{name}.wav", at)


@given(st.text(max_size=40))
def test_any_file_name_is_a_part_or_none(name: str) -> None:
    found = part_of(name)
    assert found is None or part_path(found[0], found[1] or 1).startswith(found[0][:-4])


def test_whatever_form_it_has_it_is_found(day: Path) -> None:
    path = day / "c1-1.wav"
    assert finished(path) is None
    write(Path(part_path(str(path), 5)), talk(20))
    assert finished(path) == Path(part_path(str(path), 5))
    for ending in reversed(MEDIA_TYPES):
        write(path.with_suffix(ending), talk(20))
        assert finished(path) == path.with_suffix(ending)
    assert [at for at, _ in parts(path)] == [0, 5]


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8])
def test_killed_in_the_middle_it_finishes_at_the_next_try(
    tmp_path: Path, day: Path, moment: float, wait_for: Callable[..., None]
) -> None:
    """kill -9 of the real process while it encodes, at moments spread over the file's growth."""
    path = write(day / "c1-1.wav", np.tile(talk(10_000), (60, 1)))
    order = [sys.executable, "-m", "appliance.cli", "finish", "--data", str(tmp_path)]
    order += ["--format", "opus"]
    process = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"recordings/2026-11-22/c1-1.wav\n")
    process.stdin.flush()
    hidden = day / ".c1-1.opus.new"
    whole = 600 * 4000
    wait_for(lambda: hidden.exists() and hidden.stat().st_size >= moment * whole)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    assert not (day / "c1-1.opus").exists()
    done = subprocess.run(
        order, input=b"recordings/2026-11-22/c1-1.wav\n", capture_output=True, check=True
    )
    assert done.stdout == b"recordings/2026-11-22/c1-1.wav\tdone\n"
    assert [f.name for f in day.iterdir()] == ["c1-1.opus"]


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.005)

    return wait
