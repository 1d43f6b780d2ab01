"""What calls cost that are bridged, recorded on both sides and listened to for keys.

CPU is that of the whole media process, kernel work done for it included, in seconds per minute of
one call (two legs). The far ends are another process that checks what arrives: a run that lost
frames raises instead of looking cheap. `rec_dtmf_N` is with everything mixed every 20 ms,
`relay5_rec_dtmf_N` with bridges passed on every 5 ms; each is the cheapest of `RUNS`, since a
shared machine only ever adds.

`calls_per_core` is extrapolated: 60 s by the cost of a call in a real run of 600 calls whose p99
of work stayed under the tick's 20 ms and whose p99 of lateness under 5 ms. Where that run does not
hold, fewer calls are tried, and the number of calls that held is the answer.

Asterisk and rtpengine run in turn with ours where they are installed (`media_peers.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from appliance.media import protocol as p
from appliance.media.client import MediaClient
from tests.bench import media_peers
from tests.bench.media_load import compile_phones, cores, write_voices

HOST = "127.0.0.1"
CALLS = (10, 50, 100)
RELAYED = (10, 100)
MANY = (600, 450, 300, 200)
RUNS = 3
SECONDS = 12.0
WARM_S = 1.5
"""Not counted at the start."""
MIN_DELIVERED = 0.98
"""A shared machine may stall; more than that is the engine's fault."""
MAX_WORK_MS = 20.0
MAX_LATE_MS = 5.0

REFERENCES = """\
  measured elsewhere (2 vCPU of an EPYC at 3.1 GHz), not in this run, CPU s per call-minute:
    Asterisk 22, bridge + recording + DTMF, 50 / 100 calls          0.69 / 0.68
    rtpengine 10.5 in user space, relay only, 50 / 100 calls        0.25 / 0.20"""


def run() -> dict[str, float]:
    """Cost by number of calls, the beat, added delay and memory."""
    numbers: dict[str, float] = {}
    mixed = {calls: _best(calls, relay=False) for calls in CALLS}
    passed = {calls: _best(calls, relay=True) for calls in RELAYED}
    for calls, found in mixed.items():
        numbers[f"rec_dtmf_{calls}"] = found["cost"]
    for calls, found in passed.items():
        numbers[f"relay5_rec_dtmf_{calls}"] = found["cost"]
    few, most = min(CALLS), max(CALLS)
    numbers["core_pct_10"] = mixed[few]["cost"] * few / 60 * 100
    numbers["core_pct_10_relay5"] = passed[few]["cost"] * few / 60 * 100
    for name in ("tick_work_p50_ms", "tick_work_p99_ms", "tick_late_p99_ms"):
        numbers[f"{name}_{most}"] = mixed[most][name]
        numbers[f"{name}_{most}_relay5"] = passed[most][name]
    for name in ("delay_p50_ms", "delay_p99_ms"):
        numbers[f"mix_{name}"] = mixed[most][name]
        numbers[f"relay_{name}"] = passed[most][name]
    numbers["mem_mb_base"] = mixed[most]["base"] / 1e6
    grown = mixed[most]["rss"] - mixed[few]["rss"]
    numbers["mem_kb_per_call"] = grown / (most - few) / 1e3
    numbers |= _most_calls()
    print(REFERENCES)
    for calls, asterisk in ((50, 0.69), (100, 0.68)):
        ratio = asterisk / numbers[f"rec_dtmf_{calls}"]
        print(f"    that Asterisk's cost over ours here, {calls} calls: {ratio:.1f}")
    return numbers | media_peers.compare(
        {
            "rec_dtmf": lambda calls: _once(calls, relay=False)["cost"],
            "relay": lambda calls: _once(calls, relay=True, heard=False)["cost"],
        }
    )


def _once(calls: int, relay: bool, heard: bool = True) -> dict[str, float]:
    """One run; unless `heard`, nothing is recorded and nobody listens for keys."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), calls, relay, heard))


def _best(calls: int, relay: bool) -> dict[str, float]:
    held: list[dict[str, float]] = []
    for left in reversed(range(RUNS)):
        try:
            held.append(_once(calls, relay))
        except RuntimeError as error:
            if not held and not left:
                raise
            print(f"  {calls} calls: {error}", flush=True)
    return min(held, key=lambda found: found["cost"])


def _most_calls() -> dict[str, float]:
    for calls in MANY:
        try:
            found = _once(calls, relay=False)
        except RuntimeError as error:
            print(f"  {calls} calls: {error}")
            continue
        work, late = found["tick_work_p99_ms"], found["tick_late_p99_ms"]
        print(f"  {calls} calls: p99 of work {work:.1f} ms, of lateness {late:.1f} ms")
        if work < MAX_WORK_MS and late < MAX_LATE_MS:
            most = 60 / found["cost"] if calls == max(MANY) else float(calls)
            return {"calls_per_core": most, "calls_held": float(calls)}
    return {"calls_per_core": 0.0, "calls_held": 0.0}


def _free_ports(count: int) -> list[int]:
    """Even ports whose successors are free as well."""
    found: list[int] = []
    # Apart from those of other offices on this machine, which begin at 20,000.
    port = 20_000 + os.getpid() % 100 * 100
    while len(found) < count:
        port += 2
        try:
            for one in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind((HOST, one))
        except OSError:
            continue
        found.append(port)
    return found


def _apart(engine: int, phones: int) -> None:
    for process, own in zip((engine, phones), cores(), strict=True):
        os.sched_setaffinity(process, own)


def carried_out(event: Any, calls: int, heard: bool) -> bool:
    """Whether all legs are open, and all recordings if there are to be any."""
    there = calls if heard else 0
    return isinstance(event, p.MediaStats) and (event.legs, event.recordings) == (2 * calls, there)


async def _measure(folder: Path, calls: int, relay: bool, heard: bool) -> dict[str, float]:
    ports = _free_ports(2 * calls)
    program = compile_phones(folder)
    write_voices(folder / "voices", 2 * calls)
    module = [sys.executable, "-m", "tests.bench.media_load"]
    engine = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [*module, "engine", str(folder / "m.sock"), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    phones = subprocess.Popen(  # noqa: ASYNC220
        [str(program), str(SECONDS), str(WARM_S), str(folder / "voices"), str(2 * calls)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _apart(engine.pid, phones.pid)
    client = MediaClient()
    events: list[Any] = []
    ready = asyncio.Event()

    async def listen() -> None:
        async for event in client.events():
            events.append(event)
            if carried_out(event, calls, heard):
                ready.set()

    try:
        await client.connect(folder / "m.sock", patience=20)
        assert phones.stdout is not None
        assert phones.stdin is not None
        assert engine.stdout is not None
        remote = json.loads(await asyncio.to_thread(phones.stdout.readline))
        listening = asyncio.create_task(listen())
        process = psutil.Process(engine.pid)
        base = process.memory_info().rss
        client.send(p.Setup((), "de", 1024, relay_legs=4000 if relay else 0))
        for leg, (port, to) in enumerate(zip(ports, remote, strict=True)):
            client.send(p.OpenRtp(leg, HOST, port))
            client.send(p.AimRtp(leg, HOST, to, 0, 101, 101))
            client.send(p.Listen(leg, heard))
        for call in range(calls):
            a, b = 2 * call, 2 * call + 1
            client.send(p.Bridge(call, a, b))
            if heard:
                client.send(p.StartRecording(str(call), str(folder / f"{call}.wav"), a, b))
        await client.drain()
        # The engine has its commands, but has it carried them out? Phones that speak before that
        # would be given a delay that takes a minute to go.
        async with asyncio.timeout(30):
            await ready.wait()
        await asyncio.sleep(2)
        phones.stdin.write(" ".join(map(str, ports)) + "\n")
        phones.stdin.flush()
        await asyncio.sleep(2)
        before = process.cpu_times()
        await asyncio.sleep(SECONDS - 3)
        after = process.cpu_times()
        memory = process.memory_info().rss
        delivered = json.loads(await asyncio.to_thread(phones.stdout.readline))
        for call in range(calls if heard else 0):
            client.send(p.StopRecording(str(call)))
        await asyncio.sleep(1 + calls / 100)
        engine.send_signal(signal.SIGTERM)
        beat = json.loads(await asyncio.to_thread(engine.stdout.readline))
        await listening
    finally:
        client.close()
        for child in (engine, phones):
            child.kill()
            child.wait()
    closed = [event for event in events if isinstance(event, p.RecordingClosed)]
    keys = [event for event in events if isinstance(event, p.Key)]
    share = delivered["received"] / delivered["sent"]
    if share < MIN_DELIVERED or delivered["wrong"] or keys or len(closed) != calls * heard:
        raise RuntimeError(
            f"not delivered: {delivered}, {len(closed)} recordings, {len(keys)} keys"
        )
    cpu = (after.user + after.system) - (before.user + before.system)
    return {
        "cost": cpu / calls / (SECONDS - 3) * 60,
        "tick_work_p50_ms": beat["work_p50_ms"],
        "tick_work_p99_ms": beat["work_p99_ms"],
        "tick_late_p99_ms": beat["late_p99_ms"],
        "delay_p50_ms": delivered["delay_p50_ms"],
        "delay_p99_ms": delivered["delay_p99_ms"],
        "delivered_pct": share * 100,
        "base": base,
        "rss": memory,
    }
