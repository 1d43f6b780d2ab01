"""The audio of one peer, above aiortc's ICE, DTLS and SRTP: what both ways of doing it share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.browser.port import FarEnd

TakeAudio = Callable[[int, int, int, bytes], None]
"""(payload type 0 or 8, RTP sequence, RTP timestamp, payload)."""
TakeKey = Callable[[str], None]

# A packet is 10 to 60 ms of G.711; anything else is no audio that the engine could place.
_PAYLOAD_STEP = 80
_PAYLOAD_MAX = 480


def is_frame(payload: bytes) -> bool:
    """Whether a payload has a length the engine takes: a multiple of 10 ms up to 60 ms."""
    return 0 < len(payload) <= _PAYLOAD_MAX and len(payload) % _PAYLOAD_STEP == 0


class Audio(Protocol):
    """One way of moving the audio of a peer. Used on the event loop's thread alone."""

    events: bool
    """Whether telephone-event can be received."""

    silence_s: float
    """After how many seconds without any packet the page counts as lost."""

    def connected(self) -> None:
        """The DTLS handshake is done: audio may flow from now on."""

    async def heard_at(self, now: float) -> float:
        """When (monotonic seconds) the page was last heard, as far as known at `now`; called
        once a second, so it may also do what else is due then."""
        ...

    def write(self, payload: bytes) -> None: ...

    def far_end(self) -> FarEnd | None:
        """See `appliance.browser.port.Peer`."""
        ...

    async def close(self) -> None: ...
