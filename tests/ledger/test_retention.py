"""Recordings go when their time is over, and nothing else does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from appliance.ledger.retention import delete_expired, expired_days

TODAY = date(2026, 11, 22)


def test_a_day_goes_when_it_is_older_than_the_days_to_keep() -> None:
    names = ["2026-11-21", "2026-10-23", "2026-10-22", "2025-01-01", "2026-11-23"]
    assert expired_days(names, TODAY, 30) == ["2025-01-01", "2026-10-22"]


def test_names_that_are_no_day_stay() -> None:
    assert expired_days(["keep", "20200101", "2020-1-1", "..", ""], TODAY, 1) == []


def test_only_the_folders_of_expired_days_are_deleted(tmp_path: Path) -> None:
    for name in ("2020-01-01", "2026-11-22", "examples"):
        (tmp_path / name).mkdir()
        for file in ("a.wav", "a.part-1.wav", "b.opus", "c.flac", ".d.opus.new"):
            (tmp_path / name / file).write_bytes(b"x")
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (tmp_path / "2020-01-02").symlink_to(outside)
    assert delete_expired(tmp_path, TODAY, 90) == ["2020-01-01"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2020-01-02", "2026-11-22", "examples"]
    assert outside.exists()


def test_a_box_without_recordings_has_nothing_to_delete(tmp_path: Path) -> None:
    assert delete_expired(tmp_path / "recordings", TODAY, 1) == []
