"""A modem on the bench: frames are counted by hand, nothing is real time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from appliance.simulator.modem import Modem
from appliance.simulator.sound import FRAME, FRAME_MS, SILENCE, Samples
from appliance.simulator.variants import VARIANTS


class Bench:
    """`heard` collects what the modem's line sent, `bytes` what the host got."""

    def __init__(self, variant: str = "conexant", **options: Any) -> None:
        self.modem = Modem(VARIANTS[variant], **options)
        self.now = 1_000_000
        self.sent: list[Samples] = []
        self.line: Callable[[int], Samples] = lambda now: SILENCE

    def frame(self, count: int = 1) -> bytes:
        """So many frames; what the host received meanwhile."""
        got = b""
        for _ in range(count):
            self.now += FRAME_MS
            self.sent.append(self.modem.frame(self.line(self.now), self.now))
            got += self.modem.take(self.now)
        return got

    def put(self, data: bytes) -> None:
        self.modem.receive(data, self.now)

    def ask(self, line: str, frames: int = 60) -> bytes:
        """Send a command; everything that comes until the unit waits for the next one."""
        self.put(line.encode() + b"\r")
        got = self.modem.take(self.now)
        for _ in range(frames):
            got += self.frame()
            if self.modem.state not in ("busy", "dial"):
                break
        return got

    def voice(self, vls: int = 1) -> None:
        """Off hook in class 8, without echo and silence detector."""
        assert b"OK" in self.ask("ATE0")
        assert b"OK" in self.ask(f"AT+FCLASS=8;+VSD=0,0;+VLS={vls}")

    def connect(self, command: str) -> None:
        assert b"CONNECT" in self.ask(command)
        self.sent.clear()

    def heard(self) -> Samples:
        return np.concatenate(self.sent) if self.sent else np.zeros(0, dtype=np.int16)

    def play(self, pcm: Samples) -> None:
        """From now on the line carries these samples, then silence."""
        start = self.now + FRAME_MS

        def line(now: int) -> Samples:
            at = (now - start) // FRAME_MS * FRAME
            chunk = pcm[at : at + FRAME]
            return np.pad(chunk, (0, FRAME - len(chunk))) if len(chunk) < FRAME else chunk

        self.line = line


def unshield(raw: bytes) -> tuple[bytes, list[str]]:
    """Voice bytes and codes of a modem's stream, by V.253's rules and nothing else."""
    voice, codes = bytearray(), []
    at = 0
    while at < len(raw):
        if raw[at] != 0x10:
            voice.append(raw[at])
            at += 1
            continue
        if at + 1 == len(raw):
            break
        code = raw[at + 1]
        if code == 0x10:
            voice.append(0x10)
        elif code == 0x1A:
            voice += b"\x10\x10"
        else:
            codes.append(chr(code))
        at += 2
    return bytes(voice), codes


def shield(raw: bytes) -> bytes:
    return raw.replace(b"\x10", b"\x10\x10")
