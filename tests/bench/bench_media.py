"""What calls cost that are bridged, recorded on both sides and listened to for keys.

CPU is that of the whole media process, kernel work done for it included, in seconds per minute of
one call (two legs). The far ends are another process that checks what arrives: a run that lost
frames raises instead of looking cheap.
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
from tests.bench.media_load import compile_phones, write_voices

HOST = "127.0.0.1"
CALLS = (10, 20, 50, 100)
SECONDS = 12.0
WARM_S = 1.5
"""Not counted at the start."""
MIN_DELIVERED = 0.98
"""A shared machine may stall; more than that is the engine's fault."""


def run() -> dict[str, float]:
    """Cost by number of calls (`rec_dtmf_N`), the beat, added delay and memory."""
    numbers: dict[str, float] = {}
    memory: dict[int, float] = {}
    bases: list[float] = []
    for calls in CALLS:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(_measure(Path(folder), calls))
        bases.append(found.pop("base"))
        memory[calls] = found.pop("rss")
        numbers |= {f"{name}_{calls}": value for name, value in found.items()}
    first, last = min(CALLS), max(CALLS)
    numbers[f"core_pct_{first}"] = numbers[f"rec_dtmf_{first}"] * first / 60 * 100
    numbers["mem_mb_base"] = min(bases) / 1e6
    numbers["mem_kb_per_call"] = (memory[last] - memory[first]) / (last - first) / 1e3
    return numbers


def _free_ports(count: int) -> list[int]:
    """Even ports whose successors are free as well."""
    found: list[int] = []
    port = 20_000
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


async def _measure(folder: Path, calls: int, relay: bool = False) -> dict[str, float]:
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
        [str(program), str(SECONDS), str(WARM_S), str(folder / "voices"), *map(str, ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    client = MediaClient()
    events: list[Any] = []

    async def listen() -> None:
        async for event in client.events():
            events.append(event)

    try:
        await client.connect(folder / "m.sock", patience=20)
        assert phones.stdout is not None
        assert phones.stdin is not None
        assert engine.stdout is not None
        remote = json.loads(await asyncio.to_thread(phones.stdout.readline))
        listening = asyncio.create_task(listen())
        process = psutil.Process(engine.pid)
        base = process.memory_info().rss
        client.send(p.Setup((), "de", 1024, relay=relay))
        for leg, (port, to) in enumerate(zip(ports, remote, strict=True)):
            client.send(p.OpenRtp(leg, HOST, port))
            client.send(p.AimRtp(leg, HOST, to, 0, 101, 101))
            client.send(p.Listen(leg, True))
        for call in range(calls):
            a, b = 2 * call, 2 * call + 1
            client.send(p.Bridge(call, a, b))
            client.send(p.StartRecording(str(call), str(folder / f"{call}.wav"), a, b))
        await client.drain()
        # The engine has its commands, but has it carried them out? Phones that speak before that
        # would be given a delay that takes a minute to go.
        await asyncio.sleep(2)
        phones.stdin.write("go\n")
        phones.stdin.flush()
        await asyncio.sleep(2)
        before = process.cpu_times()
        await asyncio.sleep(SECONDS - 3)
        after = process.cpu_times()
        memory = process.memory_info().rss
        delivered = json.loads(await asyncio.to_thread(phones.stdout.readline))
        for call in range(calls):
            client.send(p.StopRecording(str(call)))
        await asyncio.sleep(1)
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
    if share < MIN_DELIVERED or delivered["wrong"] or keys or len(closed) != calls:
        raise RuntimeError(
            f"not delivered: {delivered}, {len(closed)} recordings, {len(keys)} keys"
        )
    cpu = (after.user + after.system) - (before.user + before.system)
    return {
        "rec_dtmf": cpu / calls / (SECONDS - 3) * 60,
        "tick_work_p50_ms": beat["work_p50_ms"],
        "tick_work_p99_ms": beat["work_p99_ms"],
        "tick_late_p99_ms": beat["late_p99_ms"],
        "delay_p50_ms": delivered["delay_p50_ms"],
        "delay_p99_ms": delivered["delay_p99_ms"],
        "delivered_pct": share * 100,
        "base": base,
        "rss": memory,
    }
