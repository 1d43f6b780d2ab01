"""Many calls for a long time: what grows, and what is lost.

    python -m tests.bench.soak [MINUTES] [CALLS]        60 minutes, 100 calls

Every call is passed on every 5 ms, recorded on both sides and listened to for keys; each second one
recording ends and a new one begins, and one more call comes, plays a tone, is in a room and goes.
Prints one line each minute and at the end JSON; ends with 1 when something grew or was lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from appliance.media import protocol as p
from appliance.media.client import MediaClient
from tests.bench.bench_media import HOST, _free_ports
from tests.bench.media_load import compile_phones, write_voices

WARM_S = 20.0
"""Not counted: the first recordings, tables that grow to their size."""
SAMPLE_S = 5.0
MAX_GROWTH_KB_PER_MIN = 64.0
"""Of the second half, when all tables have their size: 4 MB in an hour, which is the noise of a
quarter of an hour. Shorter runs tell of losses, not of growth."""
MIN_MINUTES = 10.0
MAX_LOST = 0.001
"""A shared machine may stall now and then."""
_GUEST = 10_000
_ENGINE = (
    "import sys, pathlib; from appliance.media.process import main; "
    "main(*map(pathlib.Path, sys.argv[1:]))"
)


class Soak:
    """The engine in a process of its own, the calls, and what they have used so far."""

    def __init__(self, folder: Path, calls: int) -> None:
        self.folder, self.calls = folder, calls
        self.ports = _free_ports(2 * calls + 3)
        self.client = MediaClient()
        self.closed = self.failed = self.started = 0
        self.keys = 0
        self.beat: list[p.MediaStats] = []
        self._rounds = 0

    def _send(self, *commands: p.Command) -> None:
        for command in commands:
            self.client.send(command)

    async def listen(self) -> None:
        async for event in self.client.events():
            match event:
                case p.RecordingClosed(recording=name, reason=reason):
                    self.closed += 1
                    self.failed += reason != "done"
                    (self.folder / f"{name}.wav").unlink(missing_ok=True)
                case p.Key():
                    self.keys += 1
                case p.LegFailed():
                    self.failed += 1
                case p.MediaStats():
                    self.beat.append(event)

    def open(self, remote: list[int]) -> None:
        self._send(p.Setup((), "de", 1024, relay_legs=400))
        for leg, (port, to) in enumerate(zip(self.ports, remote, strict=False)):
            self._send(p.OpenRtp(leg, HOST, port), p.AimRtp(leg, HOST, to, 0, 101, 101))
            self._send(p.Listen(leg, True, True))
        for call in range(self.calls):
            self._send(p.Bridge(call, 2 * call, 2 * call + 1))
            self._record(call, 0)

    def _record(self, call: int, turn: int) -> None:
        name = f"{call}-{turn}"
        path = str(self.folder / f"{name}.wav")
        self.started += 1
        self._send(p.StartRecording(name, path, 2 * call, 2 * call + 1))

    def stop(self) -> None:
        for call in range(self.calls):
            turns = (self._rounds - call + self.calls - 1) // self.calls
            self._send(p.StopRecording(f"{call}-{turns}"))

    def second(self) -> None:
        """One recording turns into the next, one guest goes and another comes."""
        call, turn = self._rounds % self.calls, self._rounds // self.calls
        self._send(p.StopRecording(f"{call}-{turn}"))
        self._record(call, turn + 1)
        guests = tuple(_GUEST + n for n in range(3))
        self._send(p.Room(_GUEST, ()), *(p.CloseLeg(leg) for leg in guests))
        for leg, port in zip(guests, self.ports[-3:], strict=True):
            self._send(p.OpenRtp(leg, HOST, port), p.AimRtp(leg, HOST, 9, 0, 101, 101))
            self._send(p.Listen(leg, True, level=True), p.PlayTone(leg, "dial"))
        self._send(p.Room(_GUEST, tuple(p.Member(leg) for leg in guests)))
        self._rounds += 1


async def soak(folder: Path, minutes: float, calls: int) -> dict[str, float]:
    seconds = WARM_S + 60 * minutes
    it = Soak(folder, calls)
    write_voices(folder / "voices", 2 * calls)
    engine = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [sys.executable, "-c", _ENGINE, str(folder / "m.sock"), str(folder)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    phones = subprocess.Popen(  # noqa: ASYNC220
        [str(compile_phones(folder)), str(seconds), str(WARM_S), str(folder / "voices"),
         str(2 * calls)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    samples: list[tuple[float, int, int, int]] = []
    try:
        assert phones.stdin is not None
        assert phones.stdout is not None
        await it.client.connect(folder / "m.sock", patience=20)
        remote = json.loads(await asyncio.to_thread(phones.stdout.readline))
        listening = asyncio.create_task(it.listen())
        it.open(remote)
        await it.client.drain()
        await asyncio.sleep(2)
        phones.stdin.write(" ".join(map(str, it.ports[:-3])) + "\n")
        phones.stdin.flush()
        process, start = psutil.Process(engine.pid), time.monotonic()
        result = asyncio.create_task(asyncio.to_thread(phones.stdout.readline))
        second = 0
        while not result.done():
            second += 1
            await asyncio.sleep(max(0.0, start + second - time.monotonic()))
            it.second()
            if second > WARM_S and second % SAMPLE_S == 0:
                at = (time.monotonic() - start) / 60
                used = process.memory_info().rss, process.num_fds(), process.num_threads()
                samples.append((at, *used))
                if second % 60 == 0:
                    rss, fds, threads = used
                    print(f"{at:5.1f} min  {rss / 1e6:.1f} MB  {fds} files  {threads} threads",
                          f"{it.beat[-1].tick_work_ms_p99:.1f} ms", flush=True)  # fmt: skip
        delivered = json.loads(await result)
        cpu = process.cpu_times()
        it.stop()
        await it.client.drain()
        await asyncio.sleep(2)
        engine.send_signal(signal.SIGTERM)
        await listening
    finally:
        it.client.close()
        for child in (engine, phones):
            child.kill()
            child.wait()
    at, rss, fds, threads = np.array(samples).T
    half = len(at) // 2
    return {
        "minutes": minutes,
        "calls": calls,
        "mem_mb_first": rss[0] / 1e6,
        "mem_mb_last": rss[-1] / 1e6,
        "growth_kb_per_min": float(np.polyfit(at[half:], rss[half:] / 1e3, 1)[0]),
        "files_grown": float(fds[-len(fds) // 4 :].max() - fds[: len(fds) // 4 + 1].max()),
        "threads_grown": float(threads[-1] - threads[0]),
        "sent": delivered["sent"],
        "lost": delivered["sent"] - delivered["received"],
        "wrong": delivered["wrong"],
        "keys": it.keys,
        "failed": it.failed,
        "recordings": it.started,
        "recordings_open": it.started - it.closed,
        "delay_p50_ms": delivered["delay_p50_ms"],
        "delay_p99_ms": delivered["delay_p99_ms"],
        "cpu_s_per_call_min": (cpu.user + cpu.system) / calls / (seconds / 60),
        "tick_work_p99_ms": float(np.median([stats.tick_work_ms_p99 for stats in it.beat])),
    }


def faults(found: dict[str, float]) -> list[str]:
    """What is not as it should be, for people."""
    wrong = [
        f"{name} is {found[name]:g}"
        for name in ("files_grown", "threads_grown", "wrong", "keys", "failed", "recordings_open")
        if found[name] > 0
    ]
    if found["minutes"] >= MIN_MINUTES and found["growth_kb_per_min"] > MAX_GROWTH_KB_PER_MIN:
        wrong.append(f"memory grows by {found['growth_kb_per_min']:.0f} kB a minute")
    if found["lost"] > MAX_LOST * found["sent"]:
        wrong.append(f"{found['lost']:g} of {found['sent']:g} frames were lost")
    return wrong


def main(arguments: list[Any]) -> int:
    minutes, calls = (*map(float, arguments), *(60.0, 100.0)[len(arguments) :])
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(soak(Path(folder), minutes, int(calls)))
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))
    wrong = faults(found)
    print("\n".join(wrong) or "nothing grew, nothing was lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
