"""The pool of RTP ports: even ports, the one longest free first, so that late packets of an old
call rarely meet a new one."""

from __future__ import annotations

from collections import deque


class PortPool:
    """`low` and `high` are inclusive; each leg takes an even port and its successor for RTCP."""

    def __init__(self, low: int, high: int) -> None:
        self._free = deque(range(low + low % 2, high, 2))

    def take(self) -> int | None:
        """A free even port; None when all are in use."""
        return self._free.popleft() if self._free else None

    def give_back(self, port: int) -> None:
        self._free.append(port)

    def __len__(self) -> int:
        return len(self._free)
