"""Call-backs over 100,000 simulated calls with crashes: doubles, overtakes, calls too many at once
(all have to be 0), and the simulated calls that a second of CPU carries."""

from __future__ import annotations

import os
import time

from tests.acd.callback_office import CallbackOffice

CALLS = int(os.environ.get("CALLBACK_CALLS", "100000"))
"""A number of your own by the environment."""
PARTS = 10


def run() -> dict[str, float]:
    start = time.process_time()
    found = [CallbackOffice(seed, crash=0.004).run(CALLS // PARTS) for seed in range(PARTS)]
    spent = time.process_time() - start
    return {
        "callback_calls": sum(t.calls for t in found),
        "callback_crashes": sum(t.crashes for t in found),
        "callback_requests": sum(t.requests for t in found),
        "callback_connected": sum(t.ended["connected"] for t in found),
        "callback_without_outcome": sum(t.requests - sum(t.ended.values()) for t in found),
        "callback_doubles": sum(t.doubles for t in found),
        "callback_overtakes": sum(t.overtakes for t in found),
        "callback_too_many_in_flight": sum(t.too_many for t in found),
        "callback_simulated_calls_per_cpu_s": CALLS / spent,
    }
