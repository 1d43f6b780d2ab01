"""How quickly facts get to disk and figures out of them. `run()` returns key -> number."""

from __future__ import annotations

import asyncio
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

from appliance.events import CallerKnown, Fact
from appliance.ledger.codec import Stored
from appliance.ledger.projection import Projection
from appliance.ledger.reader import Reader
from appliance.ledger.writer import Ledger
from appliance.reports.kpi import QueueRules
from appliance.reports.today import today_figures
from tests.ledger.stories import QUEUES, office_day

COMMITS = 1_000
GROUP = 3
"""Facts of a typical step of the switch."""
DAY_MS = 86_400_000


def run() -> dict[str, float]:
    """Figures of this machine's disk and processor; takes about a minute."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # /tmp may not be a real disk
        path = Path(folder) / "ledger.db"
        results = asyncio.run(_writing(path))
        results |= _projecting()
        results |= asyncio.run(_half_a_million(path.with_name("large.db")))
    return {f"ledger_{key}": round(value, 3) for key, value in results.items()}


async def _writing(path: Path) -> dict[str, float]:
    ledger = await Ledger.open(path, 1)
    facts = iter(office_day(1, COMMITS))
    spent: list[float] = []
    began = time.perf_counter()
    for _ in range(COMMITS):
        before = time.perf_counter()
        await ledger.append(list(islice(facts, GROUP)))
        spent.append((time.perf_counter() - before) * 1000)
    whole = time.perf_counter() - began
    await ledger.close()
    cuts = quantiles(spent, n=100)
    return {"commits_per_s": COMMITS / whole, "commit_p50_ms": cuts[49], "commit_p99_ms": cuts[98]}


def _projecting() -> dict[str, float]:
    stored = [Stored(seq, fact) for seq, fact in enumerate(_facts(100_000), start=1)]
    began = time.perf_counter()
    projection = Projection()
    for one in stored:
        projection.apply(one)
    rows = sum(1 for _ in projection.calls()) + sum(1 for _ in projection.entries())
    spent = time.perf_counter() - began
    assert rows
    return {"recompute_100k_s": spent}


async def _half_a_million(path: Path) -> dict[str, float]:
    ledger = await Ledger.open(path, 1)
    facts = _facts(500_000)
    for start in range(0, len(facts), 5_000):
        await ledger.append(facts[start : start + 5_000])
    last = facts[-1].at
    await ledger.append([CallerKnown(at=last, call="x", caller="0")])
    await ledger.close()
    began = time.perf_counter()
    ledger = await Ledger.open(path, last + 1)
    results = {"recover_500k_s": time.perf_counter() - began}
    reader = Reader(path)
    rules = {queue: QueueRules() for queue in QUEUES}
    oldest = reader.calls(50)[-1].seq // 2
    zone = ZoneInfo("UTC")
    questions = {
        "calls_page_ms": lambda: reader.calls(50),
        "calls_page_old_ms": lambda: reader.calls(50, before=oldest),
        "search_none_ms": lambda: reader.calls(50, search="9999999999"),
        "search_all_ms": lambda: reader.calls(50, search="+407"),
        "call_ms": lambda: reader.call("1-77"),
        "entries_day_ms": lambda: reader.entries(last - DAY_MS, last),
        "today_first_ms": lambda: today_figures(reader, rules, zone, last),
        "today_again_ms": lambda: today_figures(reader, rules, zone, last),
    }
    for key, question in questions.items():
        began = time.perf_counter()
        assert question() is not None
        results[key] = (time.perf_counter() - began) * 1000
    await ledger.append([CallerKnown(at=last, call="x", caller="0")])
    began = time.perf_counter()
    today_figures(reader, rules, zone, last)
    results["today_moved_ms"] = (time.perf_counter() - began) * 1000
    reader.close()
    await ledger.close()
    return results


def _facts(count: int) -> list[Fact]:
    facts = office_day(1, count // 16, every_ms=20_000)
    assert len(facts) >= count, len(facts)
    return facts[:count]


if __name__ == "__main__":
    for key, value in run().items():
        print(f"{key:28} {value:12.3f}")
