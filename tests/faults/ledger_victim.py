"""A control process reduced to its ledger, to be killed: `ledger_victim.py PATH RUN [LIMIT]`.

Says `opening`, then `open`, then `ack N` once N facts of this run's day are acknowledged. With
LIMIT no file may grow over so many bytes until a line comes in on stdin; each refused group is
told as `full N` and appended again after it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path
from random import Random

from appliance.events import Fact
from appliance.ledger.errors import LedgerFull
from appliance.ledger.writer import Ledger
from tests.ledger.stories import office_day


def day_of_run(run: int) -> list[Fact]:
    return office_day(run, 400, start=run * 10**9, prefix=f"run{run}-")


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def main(path: Path, run: int, limit: int | None) -> None:
    day = day_of_run(run)
    rng = Random(run)
    say("opening")
    ledger = await Ledger.open(path, run * 10**9, reserve_bytes=64 * 1024)
    say("open")
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    done = 0
    while done < len(day):
        group = day[done : done + rng.choice((1, 3, 10, 40))]
        try:
            await ledger.append(group)
        except LedgerFull:
            say(f"full {done}")
            await asyncio.to_thread(sys.stdin.readline)
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            await ledger.append(group)
        done += len(group)
        say(f"ack {done}")
        if rng.random() < 0.05:
            await ledger.alive(group[-1].at)
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None)
    )
