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
class PeerQuality:
    """How the network treats a peer since it is connected.

    `packets` came from the page and `lost` did not; `jitter_ms` is theirs. The page says of ours
    that `far_lost` did not come, with `far_jitter_ms`. `round_trip_ms` is None until a report of
    ours has come back.
    """

    packets: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    far_packets: int = 0
    far_lost: int = 0
    far_jitter_ms: float = 0.0


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

    def receive(self) -> None:
        """Called by the tick before it works: what has arrived since the last call is handed to
        the sink now. A peer that is asked tick by tick need not wake anybody in between."""

    def rest(self) -> None:
        """No tick asks from now on, for the time being: the peer looks after itself."""

    def quality(self) -> PeerQuality:
        """How the network has treated this peer so far."""

    def write(self, payload: bytes) -> None:
        """One 20 ms frame of mu-law to the page; called by the tick, never blocks. A page that
        negotiated another codec gets it converted."""

    async def close(self) -> None: ...


class PeerRefused(Exception):
    """The offer cannot be answered; the text says why, for a person."""
