"""The audio of one peer, above aiortc's ICE, DTLS and SRTP: what both ways of doing it share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.browser.port import PeerQuality

TakeAudio = Callable[[int, int, int, bytes], None]
"""(payload type 0 or 8, RTP sequence, RTP timestamp, payload)."""
TakeKey = Callable[[str], None]


class Audio(Protocol):
    """One way of moving the audio of a peer. Used on the event loop's thread alone."""

    events: bool
    """Whether telephone-event can be received."""

    opus: bool
    """Whether Opus can be spoken."""

    silence_s: float
    """After how many seconds without any packet the page counts as lost."""

    def connected(self) -> None:
        """The DTLS handshake is done: audio may flow from now on."""

    async def heard_at(self, now: float) -> float:
        """When (monotonic seconds) the page was last heard, as far as known at `now`; called
        once a second, so it may also do what else is due then."""
        ...

    def receive(self) -> None:
        """Hand over what has arrived: see `appliance.browser.port.Peer`."""

    def rest(self) -> None:
        """Nobody calls `receive` from now on."""

    def quality(self) -> PeerQuality: ...

    def write(self, payload: bytes) -> None: ...

    async def close(self) -> None: ...
