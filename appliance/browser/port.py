"""What a browser peer looks like to the media engine.

Audio is G.711 mu-law, 160 bytes each 20 ms. What arrives is handed over with its RTP sequence
number and timestamp, so that the engine's own jitter buffer orders and times it exactly as it
does for phones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

PeerStateName = Literal["connected", "lost", "closed", "failed"]


@dataclass(frozen=True, slots=True)
class FarEnd:
    """How the page hears us, by its own reports. Shares 0 to 1, times in ms."""

    sent: int
    """Packets that we sent it."""
    lost: float | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None


class PeerSink(Protocol):
    """What the media process gives to a peer; called on the event loop's thread."""

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        """One RTP payload (PCMU 0 or PCMA 8; any multiple of 80 bytes up to 480)."""

    def peer_key(self, peer: str, digit: str) -> None:
        """A telephone-event from the page, once a key press."""

    def peer_state(self, peer: str, state: PeerStateName) -> None: ...


class Peer(Protocol):
    """One browser."""

    name: str

    async def accept(self, offer_sdp: str) -> str:
        """Answer the page's offer. Raises `PeerRefused` with a sentence for people."""

    def write(self, payload: bytes) -> None:
        """One 20 ms frame of mu-law to the page; called by the tick, never blocks. A page that
        negotiated PCMA gets it converted."""

    def far_end(self) -> FarEnd | None:
        """What the page last said of our audio; None when that is not known."""

    async def close(self) -> None: ...


class PeerRefused(Exception):
    """The offer cannot be answered; the text says why, for a person."""
