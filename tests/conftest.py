"""Shared by all tests: hypothesis profile and free ports."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("centrala", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("centrala")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port on 127.0.0.1 that is free for UDP and TCP right now, even and with its successor."""
    given: set[int] = set()

    def pick() -> int:
        for _ in range(200):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                tcp.bind(("127.0.0.1", 0))
                port: int = tcp.getsockname()[1] & ~1
                if port in given:
                    continue
                try:
                    for candidate in (port, port + 1):
                        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                            udp.bind(("127.0.0.1", candidate))
                except OSError:
                    continue
                given.add(port)
                return port
        raise RuntimeError("no free port")

    return pick
