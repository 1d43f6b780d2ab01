"""What a browser leg costs: CPU seconds of this process per leg and minute, both directions.

`browser_leg_N` are N peers with G.711 as the media process has them: read and written by one beat
of 20 ms, SRTP, RTCP and ICE included, without the engine behind them, which costs the same for
every kind of leg (see `bench_media`). `browser_leg_opus_N` the same with Opus, `browser_leg_loop_4`
with the sockets left on the event loop. The pages are another process that checks what arrives.
Goals: `browser_leg_4` <= 0.65, `browser_leg_24` <= 0.30; stock aiortc needs 5 to 6.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.browser_peer.load import LegCost, measure

SECONDS = 10.0
MIN_DELIVERED = 0.98
"""A shared machine may stall; more than that is the peers' fault."""


def run() -> dict[str, float]:
    """Cost by number of legs, and what a page's coming costs everybody else."""
    numbers = {f"browser_leg_{legs}": _cost(legs).cpu_s_per_leg_min for legs in (4, 24)}
    numbers["browser_leg_loop_4"] = _cost(4, drained=False).cpu_s_per_leg_min
    for legs in (4, 24):
        cost = _cost(legs, opus=True)
        numbers[f"browser_leg_opus_{legs}"] = cost.cpu_s_per_leg_min
        numbers["browser_accept_ms"] = cost.accept_ms
    return numbers


def _cost(legs: int, **how: Any) -> LegCost:
    """Measured; raises RuntimeError for a run that lost frames instead of letting it look cheap."""
    cost = asyncio.run(measure(legs, SECONDS, **how))
    if min(cost.sent, cost.heard) < MIN_DELIVERED:
        raise RuntimeError(f"not delivered: {cost}")
    return cost
