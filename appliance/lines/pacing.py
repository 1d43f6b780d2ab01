"""How much audio may go to a modem now.

A modem plays what it gets from a buffer of one or two thousand samples and would take all of it:
delay that never goes away again. Its own samples arrive at the same 8000 Hz of the same crystal
that empties that buffer, so they are the clock here: each sample heard is one sample played.
"""

from __future__ import annotations


class Pacer:
    """Keeps at most `limit` samples on their way and drops the oldest beyond that.

    `cushion` samples of silence go first whenever the modem has run dry, so that the jitter of
    both processes does not become a gap each time. `silence` is one sample: its length is that of
    all others, and `write` takes whole ones.
    """

    def __init__(self, limit: int, cushion: int, silence: bytes) -> None:
        self._width = len(silence)
        self._limit = limit * self._width
        self._cushion = silence * min(cushion, limit // 2)
        self._waiting = bytearray()
        self._ahead = 0
        self.dropped = 0
        """Samples thrown away so far."""

    @property
    def queued(self) -> int:
        """Samples waiting here and in the modem."""
        return self._queued // self._width

    @property
    def _queued(self) -> int:
        return len(self._waiting) + self._ahead

    def write(self, samples: bytes) -> bytes:
        """Take samples; returns what to send now."""
        self._waiting += samples
        if self._ahead == 0 and samples:
            self._waiting[:0] = self._cushion
        surplus = self._queued - self._limit
        if surplus > 0:
            surplus = min(surplus, len(self._waiting))
            del self._waiting[:surplus]
            self.dropped += surplus // self._width
        return self._release()

    def heard(self, samples: int) -> bytes:
        """The modem sent so many samples, hence played as many; returns what to send now."""
        self._ahead = max(0, self._ahead - samples * self._width)
        return self._release()

    def dry(self) -> None:
        """The modem says that it has nothing left to play."""
        self._ahead = 0

    def _release(self) -> bytes:
        ready = bytes(self._waiting[: self._limit - self._ahead])
        del self._waiting[: len(ready)]
        self._ahead += len(ready)
        return ready
