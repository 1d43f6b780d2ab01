"""kill -9 at random moments: acknowledged facts are there once, open things are closed once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from appliance.events import Fact, SystemStarted
from appliance.ledger.reader import Reader
from appliance.ledger.recovery import OpenState, missing_facts
from appliance.ledger.writer import Ledger
from tests.faults.ledger_victim import day_of_run
from tests.ledger.guarantees import broken

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.faults


def start_victim(path: Path, run: int, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.ledger_victim", str(path), str(run), *more],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_and_kill(path: Path, run: int, rng: Random) -> int:
    """One life of the victim; returns how many facts of its day it acknowledged."""
    victim = start_victim(path, run)
    assert victim.stdin is not None
    assert victim.stdout is not None
    try:
        assert victim.stdout.readline() == "opening\n"
        if run % 3 == 0:  # while tables are made or the last crash is being closed
            time.sleep(rng.random() * 0.03)
        else:
            for _ in range(rng.randrange(1, 60)):
                victim.stdout.readline()
            time.sleep(rng.random() * 0.003)
    finally:
        victim.kill()
    said = victim.stdout.read().split("\n")
    victim.wait()
    victim.stdin.close()
    victim.stdout.close()
    return max((int(line[4:]) for line in said if line.startswith("ack ")), default=0)


async def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rng = Random(20)
    acknowledged = {run: run_and_kill(path, run, rng) for run in range(1, 21)}
    await (await Ledger.open(path, 10**12, reserve_bytes=4096)).close()

    reader = Reader(path)
    facts: list[Fact] = []
    while chunk := reader.facts(len(facts), 10_000):
        assert [seq for seq, _ in chunk] == list(range(len(facts) + 1, len(facts) + len(chunk) + 1))
        facts += [fact for _, fact in chunk]
    reader.close()

    assert broken(facts) == []
    lives = split_by_start(facts)
    for run, promised in acknowledged.items():
        assert is_a_cut_day(lives.get(run, []), day_of_run(run), promised)
    assert sum(acknowledged.values()) > 500
    assert [fact for fact in facts if fact.at >= 10**12] == [facts[-1]]


def is_a_cut_day(life: list[Fact], day: list[Fact], promised: int) -> bool:
    """The first facts of the day, at least the promised ones, then what closes them, no more."""
    for kept in range(promised, len(life) + 1):
        state = OpenState()
        for seq, fact in enumerate(day[:kept], start=1):
            state.apply(seq, fact)
        if life == day[:kept] + missing_facts(state, 10**15):
            return True
    return False


def split_by_start(facts: list[Fact]) -> dict[int, list[Fact]]:
    """Run -> the facts after its `SystemStarted`, up to the next one."""
    lives: dict[int, list[Fact]] = {}
    for fact in facts:
        if isinstance(fact, SystemStarted):
            current = lives.setdefault(fact.at // 10**9, [])
        else:
            current.append(fact)
    return lives


async def test_a_file_that_may_not_grow_refuses_whole_groups_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    victim = start_victim(path, 1, str(600_000))
    out, _ = victim.communicate("room again\n", timeout=120)
    assert victim.returncode == 0
    refused = [line for line in out.split("\n") if line.startswith("full ")]
    assert len(refused) == 1
    reader = Reader(path)
    facts = [fact for _, fact in reader.facts(1, 10_000)]
    reader.close()
    assert facts == day_of_run(1)[: len(facts)]
    assert len(facts) == min(len(day_of_run(1)), 9_999)
