"""The pure switch: how many whole queue calls it decides in a second of CPU."""

from __future__ import annotations

import time

from appliance.media import protocol as p
from tests.switch.office import Office


def run() -> dict[str, float]:
    office = Office()
    office.on_duty("ana", "bo")
    calls = 2000
    start = time.process_time()
    for _ in range(calls):
        office.queue_call()
        office.answer("ana" if office.w.acd.agent("ana").phase == "offered" else "bo")
        office.talk()
        office.wait(30)
        office.media(p.LineHungUp("l2", "tone"))
        office.wait(20)
        office.facts.clear()
        office.actions.clear()
    spent = time.process_time() - start
    return {"switch_ms_per_call": spent * 1000 / calls, "switch_calls_per_cpu_s": calls / spent}
