"""Ports for tests. Processes that test side by side are given different ones."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable

HOST = "127.0.0.1"
SERVERS, RTP = (10_000, 16_000), (20_000, 32_000)
"""Both below the ports that the kernel gives out by itself, which could take one of them between
its choice and its use."""
CALLS, LINKS = 400, 1000
"""How many a box takes for its calls, and beside them for links between its audio processes."""


def _share(ports: tuple[int, int]) -> tuple[int, int]:
    """What belongs to this one of the processes that test side by side."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    size = (ports[1] - ports[0]) // workers & ~1
    return ports[0] + worker * size, ports[0] + (worker + 1) * size


def port_picker() -> Callable[[], int]:
    """Gives a port on 127.0.0.1 that is free for UDP and TCP right now, even and with its
    successor; none twice."""
    given: set[int] = set()
    share = _share(SERVERS)

    def pick() -> int:
        for _ in range(200):
            port = random.SystemRandom().randrange(*share, 2)
            if port in given:
                continue
            try:
                for candidate in (port, port + 1):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        with socket.socket(socket.AF_INET, kind) as probe:
                            probe.bind((HOST, candidate))
            except OSError:
                continue
            given.add(port)
            return port
        raise RuntimeError("no free port")

    return pick


def rtp_ports() -> tuple[int, int]:
    """The range of a box's calls; the links beside it are its own as well."""
    low, high = _share(RTP)
    first = random.SystemRandom().randrange(low, max(high - CALLS - LINKS, low + 2), 2)
    return first, first + CALLS - 1
