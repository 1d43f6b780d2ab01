"""What every line driver looks like to the media process, and what a line can say.

A driver runs in the media process. It owns its device for as long as `run` lasts, opens it again
whenever it comes back, and never raises for a dead device: it reports `Down` and tries again.
Audio is signed 16-bit little-endian mono at 8000 Hz (`pcm`), in pieces of any length, pushed to
the sink with the line's own clock as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
"""20 ms, the beat of the media engine."""

HangUpSource = Literal[
    "tone", "dle", "silence", "local", "device", "busy", "no_answer", "no_dialtone"
]


@dataclass(frozen=True, slots=True)
class Up:
    """The device answers and is set up."""

    model: str


@dataclass(frozen=True, slots=True)
class Down:
    """The device is gone or unusable; `reason` is a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ringing:
    """One ring burst."""


@dataclass(frozen=True, slots=True)
class CallerId:
    """Given once a call, at the latest when the profile's time for it is over."""

    number: str | None
    name: str | None = None
    reason: Literal["", "private", "out_of_area", "missing"] = ""


@dataclass(frozen=True, slots=True)
class RingEnded:
    """The caller gave up before we answered."""


@dataclass(frozen=True, slots=True)
class OffHook:
    """Audio flows. `sure` is False where the line cannot tell that the far end answered."""

    sure: bool = True


@dataclass(frozen=True, slots=True)
class HungUp:
    """The line is on-hook and idle again."""

    source: HangUpSource


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A DTMF digit the device itself detected (only where its profile trusts it)."""

    digit: str


LineEvent = Up | Down | Ringing | CallerId | RingEnded | OffHook | HungUp | DeviceKey


@dataclass(frozen=True, slots=True)
class Caps:
    """What the device can do. `device_keys`: its DTMF detector is used instead of ours."""

    duplex: Literal["full", "half"]
    device_keys: bool
    hears_busy: bool


class LineSink(Protocol):
    """What the media process gives to a driver; both are called on the event loop's thread."""

    def line_event(self, line: str, event: LineEvent) -> None: ...

    def line_audio(self, line: str, pcm: bytes) -> None: ...


class Line(Protocol):
    """One phone line. All methods but `run` return at once; the outcome comes as an event."""

    id: str

    @property
    def caps(self) -> Caps: ...

    async def run(self, sink: LineSink) -> None:
        """Own the device until cancelled; on cancellation hang up and close it."""

    def answer(self) -> None:
        """Go off-hook and start full-duplex audio; `OffHook` or `HungUp` follows."""

    def dial(self, number: str) -> None:
        """Go off-hook and dial; `OffHook` or `HungUp` follows."""

    def hangup(self) -> None:
        """Go on-hook; `HungUp("local")` follows. Harmless when idle."""

    def send_keys(self, digits: str) -> bool:
        """Send DTMF by the device; False when it cannot now (the engine then makes the tones)."""

    def write(self, pcm: bytes) -> None:
        """Audio to the far end; called each 20 ms while off-hook, never blocks; the driver keeps
        no more than its profile's latency queued and drops the oldest beyond that."""
