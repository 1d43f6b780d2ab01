"""Recordings are complete up to the last flush, whatever happens to the disk."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from appliance.media.recorder import FLUSH_FRAMES, Recorder
from appliance.media.wav import STEREO_HEADER_BYTES, repair
from tests.peers import program

SILENT = 0xFF


def said(left: int = 0x10, right: int = 0x90) -> np.ndarray:
    """One frame of one recording."""
    frame = np.empty((1, 1, 2, 160), np.uint8)
    frame[:, :, 0], frame[:, :, 1] = left, right
    return frame


class Closed:
    """Collects what the recorder reports."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, str]] = []
        self._event = threading.Event()

    def __call__(self, recording: str, duration_ms: int, reason: str) -> None:
        self.seen.append((recording, duration_ms, reason))
        self._event.set()

    def wait(self) -> tuple[str, int, str]:
        assert self._event.wait(10)
        return self.seen[-1]


def frames(path: Path) -> np.ndarray:
    return np.frombuffer(path.read_bytes()[STEREO_HEADER_BYTES:], np.uint8).reshape(-1, 2)


def test_both_sides_are_in_their_channels(tmp_path: Path) -> None:
    closed = Closed()
    recorder = Recorder(closed, 0)
    path = tmp_path / "day" / "a.wav"
    assert recorder.start("a", path)
    for _ in range(250):
        recorder.feed(["a"], said())
    recorder.feed(["a"], said(left=SILENT))
    recorder.stop("a")
    assert closed.wait() == ("a", 251 * 20, "done")
    recorder.close()
    audio = frames(path)
    assert (audio[: 250 * 160, 0] == 0x10).all()
    assert (audio[:, 1] == 0x90).all()
    assert (audio[250 * 160 :, 0] == 0xFF).all()
    info = subprocess.run([program("sox"), "--i", str(path)], capture_output=True, text=True)
    assert "Channels       : 2" in info.stdout
    assert "00:00:05.02" in info.stdout


def test_a_file_whose_writer_died_is_playable_and_measured(tmp_path: Path) -> None:
    recorder = Recorder(Closed(), 0)
    path = tmp_path / "a.wav"
    recorder.start("a", path)
    for _ in range(6 * FLUSH_FRAMES):
        recorder.feed(["a"], said())
    recorder._work.put(None)
    recorder._thread.join(10)
    with path.open("ab") as file:
        file.write(b"\x10\x90" * 100 + b"\x10")
    playable = subprocess.run([program("sox"), str(path), "-n", "stat"], capture_output=True)
    assert playable.returncode == 0
    duration = repair(path)
    assert 6 * FLUSH_FRAMES * 20 <= duration <= 6 * FLUSH_FRAMES * 20 + 100
    assert repair(path) == duration


def test_without_room_nothing_starts_and_running_ones_are_closed(tmp_path: Path) -> None:
    closed = Closed()
    recorder = Recorder(closed, 0)
    recorder.start("a", tmp_path / "a.wav")
    recorder.reserve_bytes = 1 << 60
    for _ in range(2 * FLUSH_FRAMES):
        recorder.feed(["a"], said())
    recording, _, reason = closed.wait()
    assert (recording, reason) == ("a", "disk_full")
    assert not recorder.allowed
    assert not recorder.start("b", tmp_path / "b.wav")
    recorder.stop("a")
    recorder.close()
    assert len(closed.seen) == 1


def test_a_path_that_cannot_be_written_only_ends_its_recording(tmp_path: Path) -> None:
    closed = Closed()
    recorder = Recorder(closed, 0)
    (tmp_path / "file").write_bytes(b"")
    recorder.start("a", tmp_path / "file" / "a.wav")
    assert closed.wait()[2] == "disk_full"
    recorder.close()


def test_a_disk_that_hangs_costs_the_recording_but_its_file_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    write = os.pwrite

    def hang(descriptor: int, data: bytes, offset: int) -> int:
        answers.wait(10)
        return write(descriptor, data, offset)

    monkeypatch.setattr("appliance.media.recorder._MAX_QUEUE", 5)
    monkeypatch.setattr(os, "pwrite", hang)
    closed = Closed()
    recorder = Recorder(closed, 0)
    path = tmp_path / "a.wav"
    assert recorder.start("a", path)
    for _ in range(20):
        recorder.feed(["a"], said())
    assert "a" not in recorder
    assert not recorder.allowed
    answers.set()
    name, duration, reason = closed.wait()
    assert (name, reason) == ("a", "done")
    assert 4 * 20 <= duration < 20 * 20
    recorder.close()
    assert len(frames(path)) == duration * 8


def test_a_full_queue_takes_the_end_of_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.recorder._MAX_QUEUE", 0)
    closed = Closed()
    recorder = Recorder(closed, 0)
    assert recorder.start("a", tmp_path / "a.wav")
    recorder.stop("a")
    assert closed.wait() == ("a", 0, "done")
    recorder.close()


def test_several_at_once_come_as_a_circle_and_those_without_a_name_are_nobodys(
    tmp_path: Path,
) -> None:
    closed = Closed()
    recorder = Recorder(closed, 0)
    for name in "ab":
        assert recorder.start(name, tmp_path / f"{name}.wav")
    circle = np.zeros((3, FLUSH_FRAMES, 2, 160), np.uint8)
    # Frame 7 is the oldest.
    circle[:, :, 0] = (np.arange(FLUSH_FRAMES) - 7)[None, :, None] % FLUSH_FRAMES
    circle[:, :, 1] = np.arange(100, 103)[:, None, None]
    recorder.feed(["b", None, "a"], circle, 7)
    recorder.silence("a", 3 * FLUSH_FRAMES + 2)
    recorder.stop_all()
    recorder.close()
    assert sorted(closed.seen) == [
        ("a", (4 * FLUSH_FRAMES + 2) * 20, "done"),
        ("b", FLUSH_FRAMES * 20, "done"),
    ]
    for name, right in (("a", 102), ("b", 100)):
        audio = frames(tmp_path / f"{name}.wav")
        said_then = audio[: FLUSH_FRAMES * 160]
        assert (said_then[:, 0] == np.repeat(np.arange(FLUSH_FRAMES), 160)).all()
        assert (said_then[:, 1] == right).all()
        assert (audio[FLUSH_FRAMES * 160 :] == SILENT).all()


def test_a_disk_that_takes_less_than_it_was_given_gets_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, parts, at: write(fd, [b"".join(parts)[:100]], at))
    closed = Closed()
    recorder = Recorder(closed, 0)
    recorder.start("a", tmp_path / "a.wav")
    recorder.feed(["a"], np.arange(640).astype(np.uint8).reshape(1, 2, 2, 160), 1)
    recorder.stop("a")
    recorder.close()
    assert closed.wait() == ("a", 40, "done")
    audio = frames(tmp_path / "a.wav")
    assert (audio[:, 0] == np.r_[320:480, 0:160].astype(np.uint8)).all()
    assert (audio[:, 1] == np.r_[480:640, 160:320].astype(np.uint8)).all()


def test_after_a_failed_disk_a_recording_of_the_same_name_can_be_made(tmp_path: Path) -> None:
    closed = Closed()
    recorder = Recorder(closed, 1 << 60)
    (tmp_path / "file").write_bytes(b"")
    recorder.start("a", tmp_path / "file" / "a.wav")
    assert closed.wait()[2] == "disk_full"
    recorder.reserve_bytes = 0
    recorder.allowed = True
    recorder.start("a", tmp_path / "a.wav")
    recorder.feed(["a"], said())
    recorder.stop("a")
    recorder.close()
    assert closed.seen[-1] == ("a", 20, "done")
