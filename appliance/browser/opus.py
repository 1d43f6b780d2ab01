"""Opus for telephone audio: 20 ms of 8 kHz mono each way, straight into libopus (RFC 6716, 7587).

PyAV's own wrapper always decodes to 48 kHz and knows neither concealment nor the redundant copy
of the packet before (in-band FEC), for which Opus is used here: on a poor wireless network. So
libopus is called directly. It is the one that PyAV's wheels carry, else the system's.

An encoder costs 56 us a frame at `COMPLEXITY`, a decoder 9 us (libopus 1.6, EPYC at 3 GHz); at 8
the encoder costs 95 us and nobody hears the difference at this bandwidth.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from appliance.browser.companding import MULAW_LEVELS, Samples, mulaw_of_samples

_log = logging.getLogger("centrala.browser")

RATE: Final = 8000
FRAME: Final = 160
"""Samples of 20 ms."""
MAX_SAMPLES: Final = 480
"""60 ms: no longer packet is taken."""
BITRATE: Final = 32_000
"""Bit/s including the redundancy. Noise-like sounds come out softer the fewer bits there are:
0.8 dB here, 1.1 dB at 24 kb/s; tones and voiced speech within 0.3 dB."""
COMPLEXITY: Final = 2
LOSS_MIN_PCT: Final = 5
"""Loss that the encoder prepares for even when the page reports none: who asks for Opus has a
network that loses packets in bursts, and 0 would switch the redundancy off."""
LOSS_MAX_PCT: Final = 30

_MAX_PACKET: Final = 1276
# opus_defines.h
_APPLICATION_VOIP: Final = 2048
_SIGNAL_VOICE: Final = 3001
_BANDWIDTH_NARROWBAND: Final = 1101
_SET_BITRATE: Final = 4002
_SET_MAX_BANDWIDTH: Final = 4004
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024


class OpusError(Exception):
    """libopus refused something that it must be able to do."""


def _candidates() -> list[str]:
    """Where libopus may be: in PyAV's wheel (its name there ends in a hash), or in the system."""
    found: list[str] = []
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parents[1] / "av.libs"
        found += [str(path) for path in sorted(beside.glob("libopus-*.so*"))]
    return [*found, "libopus.so.0"]


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """`library` with the types of the functions used. Raises AttributeError without one of them."""
    pointer, integer, word = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "opus_encoder_create": (pointer, [word, integer, integer, ctypes.POINTER(integer)]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encoder_ctl": (integer, [pointer, integer]),
        "opus_encode": (word, [pointer, pointer, integer, pointer, word]),
        "opus_decoder_create": (pointer, [word, integer, ctypes.POINTER(integer)]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decode": (integer, [pointer, ctypes.c_char_p, word, pointer, integer, integer]),
        "opus_packet_get_nb_samples": (integer, [ctypes.c_char_p, word, word]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@cache
def _library() -> ctypes.CDLL | None:
    for path in _candidates():
        try:
            library = _declared(ctypes.CDLL(path))
            _try(library)
        except (OSError, AttributeError, OpusError) as error:
            _log.debug("no Opus from %s: %s", path, error)
            continue
        return library
    _log.warning("pages get no Opus: libopus was found neither in PyAV nor in the system")
    return None


def _try(library: ctypes.CDLL) -> None:
    """One frame there and back: a library that cannot do it is none."""
    frame = bytes([0x20, 0xA0] * (FRAME // 2))
    packet = Encoder(library).encode(frame)
    if len(Decoder(library).decode(packet)) != FRAME:
        raise OpusError("a frame does not come back as it went")


def available() -> bool:
    """Whether Opus can be answered. The first call loads the library."""
    return _library() is not None


def _loaded(library: ctypes.CDLL | None) -> ctypes.CDLL:
    library = library or _library()
    if library is None:
        raise OpusError("there is no libopus")
    return library


class Encoder:
    """Mu-law frames of 20 ms to Opus packets."""

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        self._library = _loaded(library)
        error = ctypes.c_int()
        self._state = self._library.opus_encoder_create(RATE, 1, _APPLICATION_VOIP, error)
        if not self._state or error.value:
            raise OpusError(f"no encoder: error {error.value}")
        self._packet = ctypes.create_string_buffer(_MAX_PACKET)
        self._loss_pct = LOSS_MIN_PCT
        for request, value in (
            (_SET_BITRATE, BITRATE),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_SIGNAL, _SIGNAL_VOICE),
            (_SET_MAX_BANDWIDTH, _BANDWIDTH_NARROWBAND),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, LOSS_MIN_PCT),
            (_SET_DTX, 0),
        ):
            self._control(request, value)

    def _control(self, request: int, value: int) -> None:
        result = self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
        if result:
            raise OpusError(f"the encoder refuses setting {request}: error {result}")

    def expect_loss(self, share: float) -> None:
        """Share of our packets (0 to 1) that the page reports as lost: how much redundancy pays."""
        percent = min(max(round(share * 100), LOSS_MIN_PCT), LOSS_MAX_PCT)
        if percent != self._loss_pct:
            self._loss_pct = percent
            self._control(_SET_PACKET_LOSS_PERC, percent)

    def encode(self, mulaw: bytes) -> bytes:
        """The packet of one 20 ms frame."""
        samples = MULAW_LEVELS[np.frombuffer(mulaw, np.uint8)]
        size = self._library.opus_encode(
            self._state, samples.ctypes.data, len(samples), self._packet, _MAX_PACKET
        )
        if size < 0:
            raise OpusError(f"a frame of {len(mulaw)} samples cannot be encoded: error {size}")
        return self._packet[:size]  # type: ignore[return-value]

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state:
            self._library.opus_encoder_destroy(state)


class Decoder:
    """Opus packets, in their order, to mu-law."""

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        self._library = _loaded(library)
        error = ctypes.c_int()
        self._state = self._library.opus_decoder_create(RATE, 1, error)
        if not self._state or error.value:
            raise OpusError(f"no decoder: error {error.value}")
        self._samples: Samples = np.empty(MAX_SAMPLES, np.int16)
        self._table = mulaw_of_samples()

    def samples_of(self, packet: bytes) -> int:
        """How long a packet is at 8 kHz; 0 for one that is none, or longer than 60 ms."""
        count: int = self._library.opus_packet_get_nb_samples(packet, len(packet), RATE)
        return count if 0 < count <= MAX_SAMPLES else 0

    def decode(self, packet: bytes) -> bytes:
        """The audio of a packet; empty if it is none."""
        return self._decode(packet, MAX_SAMPLES, 0)

    def recover(self, following: bytes, samples: int) -> bytes:
        """The audio of the lost packet before `following`, `samples` long: from the copy that
        `following` carries, concealed where it carries none."""
        return self._decode(following, samples, 1)

    def conceal(self, samples: int) -> bytes:
        """What may have been in a lost packet of which there is no copy."""
        return self._decode(None, samples, 0)

    def _decode(self, packet: bytes | None, samples: int, redundant: int) -> bytes:
        count = self._library.opus_decode(
            self._state,
            packet,
            len(packet or b""),
            self._samples.ctypes.data,
            samples,
            redundant,
        )
        if count <= 0:
            return b""
        return self._table[self._samples[:count].view(np.uint16)].tobytes()

    def __del__(self) -> None:
        state = getattr(self, "_state", None)
        if state:
            self._library.opus_decoder_destroy(state)
