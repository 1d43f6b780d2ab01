"""A full disk: the ballast goes first, then whole groups are refused, then everything goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.events import CallOpened, Fact
from appliance.ledger.errors import LedgerError, LedgerFull
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Ledger

pytestmark = pytest.mark.faults
MINUTE = 60_000


def group(number: int, size: int = 50) -> list[Fact]:
    return [
        CallOpened(at=number, call=f"{number}-{n}", direction="in", door="line:1", caller="0" * 80)
        for n in range(size)
    ]


async def limit_pages(ledger: Ledger, more: int) -> None:
    pages = (await ledger._read("PRAGMA page_count"))[0][0]
    await ledger._read(f"PRAGMA max_page_count = {pages + more}")


async def append_until_full(ledger: Ledger, written: list[Fact], number: int) -> int:
    """Append groups from `number` on and note them; returns the number of the refused one."""
    while True:
        try:
            await ledger.append(group(number))
        except LedgerFull:
            return number
        written += group(number)
        number += 1


def all_facts(path: Path) -> list[Fact]:
    reader = Reader(path)
    facts = [fact for _, fact in reader.facts(1, 10_000)]
    reader.close()
    return facts


async def test_a_refused_group_is_nowhere_and_may_be_appended_again(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1, reserve_bytes=4096)
    await limit_pages(ledger, 30)
    written: list[Fact] = []
    number = await append_until_full(ledger, written, 1)
    assert written
    assert all_facts(ledger.path) == written
    await limit_pages(ledger, 1000)
    await ledger.append(group(number))
    assert all_facts(ledger.path) == written + group(number)
    await ledger.close()


async def test_one_large_refused_group_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1, reserve_bytes=4096)
    await limit_pages(ledger, 30)
    with pytest.raises(LedgerFull, match="make room"):
        await ledger.append(group(1, 5_000))
    assert all_facts(ledger.path) == []
    await ledger.append(group(2, 5))
    assert all_facts(ledger.path) == group(2, 5)
    await ledger.close()


async def test_the_ballast_lies_beside_the_ledger(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db", 1, reserve_bytes=128 * 1024)
    await ledger.close()
    assert (tmp_path / "ledger.reserve").stat().st_blocks * 512 >= 128 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "centrala-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


async def test_on_a_full_disk_the_ballast_keeps_the_ledger_going(small_disk: Path) -> None:
    ledger = await Ledger.open(small_disk / "ledger.db", 1, reserve_bytes=512 * 1024)
    reserve = small_disk / "ledger.reserve"
    await ledger.append(group(1))
    filler = fill(small_disk)
    written = group(1)
    number = 1
    while reserve.exists():
        number += 1
        await ledger.append(group(number))
        written += group(number)
    refused = await append_until_full(ledger, written, number + 1)
    assert refused - number > 10
    assert all_facts(ledger.path) == written

    filler.unlink()
    again = [replace(fact, at=2 * MINUTE) for fact in group(refused)]
    await ledger.append(again)
    assert all_facts(ledger.path) == written + again
    assert reserve.stat().st_size == 512 * 1024
    await ledger.close()


async def test_a_crash_on_a_full_disk_is_recovered_with_the_ballast(small_disk: Path) -> None:
    path = small_disk / "ledger.db"
    ledger = await Ledger.open(path, 1, reserve_bytes=512 * 1024)
    await ledger.append(group(1, 300))
    await ledger.close()
    fill(small_disk)
    ledger = await Ledger.open(path, 5, reserve_bytes=512 * 1024)
    assert len(ledger.recovered) == 300
    assert not (small_disk / "ledger.reserve").exists()
    await ledger.close()


async def test_a_disk_without_any_room_at_the_first_start_is_told(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(LedgerError, match=r"room|cannot be made"):
        await Ledger.open(small_disk / "ledger.db", 1)
