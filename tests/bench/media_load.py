"""Programs that `bench_media` runs beside itself: the engine with its notebook, and the phones.

    python -m tests.bench.media_load engine SOCKET DATA     until SIGTERM; prints JSON
    python -m tests.bench.media_load phones SECONDS PORT... prints JSON

Phones are pairs of ports that are bridged: each sends speech-like noise whose first bytes say who
and which frame it is, so that a frame that did not arrive, or at the wrong place, cannot look good.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from appliance.media import g711, process, rtp

HOST = "127.0.0.1"
WARM_S = 1.5
"""Not measured at the start."""


def engine(socket_path: Path, data: Path) -> None:
    batches: list[list[float]] = []
    original = process._p99_ms

    def keep(values: list[float]) -> float:
        batches.append(values)
        return original(values)

    process._p99_ms = keep
    process.main(socket_path, data)
    # The lists come in turns: work, then lateness; the first two of both are the start.
    work, late = ([v for batch in batches[i::2][2:-1] for v in batch] for i in (0, 1))
    print(
        json.dumps(
            {
                "work_p99_ms": float(np.percentile(work, 99) * 1000),
                "late_p99_ms": float(np.percentile(late, 99) * 1000),
                "work_p50_ms": float(np.percentile(work, 50) * 1000),
                "ticks": len(work),
            }
        ),
        flush=True,
    )


def _speechlike(seconds: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    noise = np.convolve(random.normal(0, 1, seconds * 8000), np.hanning(12) / 4, "same")
    rhythm = np.repeat(random.random(seconds * 10) < 0.6, 800)
    return g711.ulaw_encode(np.clip(noise * rhythm * 3000, -32000, 32000).astype(np.int16))


def phones(seconds: float, ports: list[int]) -> None:
    """Prints the addresses first; begins when a line comes on standard input."""
    count = len(ports)
    socks = []
    for _ in ports:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        socks.append(sock)
    print(json.dumps([sock.getsockname()[1] for sock in socks]), flush=True)
    sys.stdin.readline()
    voices = [_speechlike(4, seed).reshape(-1, 160) for seed in range(count)]
    wrong, measured, made_up = 0, 0, 0
    seen: list[set[int]] = [set() for _ in ports]
    frames = int(seconds * 50)
    start = time.monotonic()
    for frame in range(frames + 25):
        for index, sock in enumerate(socks):
            # A few phones a millisecond: real ones do not speak in one breath.
            if index % 4 == 0:
                at = start + frame * 0.02 + 0.018 * index / count
                time.sleep(max(0.0, at - time.monotonic()))
            if frame < frames:
                payload = _signed(index, frame, voices[index][frame % 200].tobytes())
                data = rtp.build(0, frame, frame * 160, index + 1, payload)
                sock.sendto(data, (HOST, ports[index]))
                measured += frame >= WARM_S * 50
            while True:
                try:
                    packet = rtp.parse(sock.recv(2048))
                except OSError:
                    break
                mark = None if packet is None else _signature(packet.payload)
                if mark is not None and mark[0] != index ^ 1:
                    wrong += 1
                elif mark is None or mark[1] in seen[index]:
                    # Silence before the first frame, or a gap covered by the frame before it.
                    made_up += frame >= WARM_S * 50
                else:
                    seen[index].add(mark[1])
    received = sum(len([n for n in numbers if n >= WARM_S * 50]) for numbers in seen)
    print(
        json.dumps({"sent": measured, "received": received, "wrong": wrong, "made_up": made_up}),
        flush=True,
    )


def _signed(who: int, frame: int, voice: bytes) -> bytes:
    """The frame with who, which and a check in its first 9 bytes."""
    mark = bytes((who,)) + frame.to_bytes(4, "big")
    return mark + zlib.crc32(mark + voice[9:]).to_bytes(4, "big") + voice[9:]


def _signature(payload: bytes) -> tuple[int, int] | None:
    """Who and which, of a frame that arrived as it was sent."""
    if zlib.crc32(payload[:5] + payload[9:]).to_bytes(4, "big") != payload[5:9]:
        return None
    return payload[0], int.from_bytes(payload[1:5], "big")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.argv[1] == "engine":
        engine(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        phones(float(sys.argv[2]), [int(port) for port in sys.argv[3:]])
