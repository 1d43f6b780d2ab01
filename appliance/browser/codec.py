"""What stands between RTP payloads of a page and the engine's mu-law, one object a peer.

A codec takes the page's packets in the order they arrive and gives the engine frames of G.711
with 8 kHz timestamps; the other way it makes a payload of each 20 ms frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from appliance.browser import opus
from appliance.browser.companding import MULAW_TO_ALAW, PCMA, PCMU

Frame = tuple[int, int, int, bytes]
"""(payload type 0 or 8, RTP sequence, timestamp at 8 kHz, octets)."""

# A packet is 10 to 60 ms of G.711; anything else is no audio that the engine could place.
_PAYLOAD_STEP: Final = 80
_PAYLOAD_MAX: Final = 480

# Packets lost in a row that are made up: of more nothing is left that could be continued.
_RECOVER_MAX: Final = 3


class Codec(Protocol):
    """`rate` is the clock of its timestamps, `frame_ticks` what 20 ms are on it."""

    rate: int
    frame_ticks: int

    def encode(self, mulaw: bytes) -> bytes:
        """The payload of one frame of 20 ms."""

    def decode(self, sequence: int, timestamp: int, payload: bytes) -> Iterator[Frame]:
        """What one packet brings."""

    def expect_loss(self, share: float) -> None:
        """The page lost this share of our packets lately."""


class G711:
    """PCMU and PCMA go through as they are; towards a page with PCMA alone they are translated."""

    rate = 8000
    frame_ticks = 160

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type

    def encode(self, mulaw: bytes) -> bytes:
        return mulaw.translate(MULAW_TO_ALAW) if self._payload_type == PCMA else mulaw

    def decode(self, sequence: int, timestamp: int, payload: bytes) -> Iterator[Frame]:
        if 0 < len(payload) <= _PAYLOAD_MAX and len(payload) % _PAYLOAD_STEP == 0:
            yield self._payload_type, sequence, timestamp, payload

    def expect_loss(self, share: float) -> None:
        """Nothing can be done about it."""


class Opus:
    """Opus at 8 kHz; its RTP clock runs at 48 kHz whatever it carries (RFC 7587 section 4.1).

    A packet is decoded as it arrives. One that was lost before it is recovered from it first, so
    the engine gets every frame under its own number, the recovered one a frame late. A packet
    that was overtaken comes too late: its audio has been recovered already.
    """

    rate = 48_000
    frame_ticks = 960
    _STEP: Final = rate // opus.RATE

    def __init__(self) -> None:
        self._encoder = opus.Encoder()
        self._decoder = opus.Decoder()
        self._sequence: int | None = None
        self._timestamp = 0
        self._at = 0
        """`_timestamp` on the engine's clock: dividing it would not survive its wrap."""

    def encode(self, mulaw: bytes) -> bytes:
        return self._encoder.encode(mulaw)

    def expect_loss(self, share: float) -> None:
        self._encoder.expect_loss(share)

    def decode(self, sequence: int, timestamp: int, payload: bytes) -> Iterator[Frame]:
        samples = self._decoder.samples_of(payload)
        if not samples:
            return
        if self._sequence is not None:
            step = sequence - self._sequence & 0xFFFF
            if not 0 < step < 0x8000:
                return
            passed = timestamp - self._timestamp & 0xFFFFFFFF
            if passed >= 0x80000000:
                passed -= 0x100000000
            at = self._at + passed // self._STEP & 0xFFFFFFFF
            lost = step - 1
            if 0 < lost <= _RECOVER_MAX and passed == step * samples * self._STEP:
                yield from self._recovered(sequence, at, payload, samples, lost)
        else:
            at = timestamp // self._STEP
        self._sequence, self._timestamp, self._at = sequence, timestamp, at
        audio = self._decoder.decode(payload)
        if audio:
            yield PCMU, sequence, at, audio

    def _recovered(
        self, sequence: int, at: int, payload: bytes, samples: int, lost: int
    ) -> Iterator[Frame]:
        for back in range(lost, 0, -1):
            audio = (
                self._decoder.recover(payload, samples)
                if back == 1
                else self._decoder.conceal(samples)
            )
            if audio:
                yield (
                    PCMU,
                    sequence - back & 0xFFFF,
                    at - back * samples & 0xFFFFFFFF,
                    audio,
                )
