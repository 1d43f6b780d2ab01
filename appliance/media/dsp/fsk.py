"""1200 baud FSK as caller ID sends it: sound to bytes and back.

Standards: Telcordia GR-30-CORE (Bell 202: mark 1200 Hz, space 2200 Hz) and ETSI EN 300 659-2 (ITU-T
V.23: mark 1300 Hz, space 2100 Hz). Both lie around 1700 Hz, so one receiver hears both: it does not
compare two filters, whose balance twist would upset, but takes the sign of the frequency's distance
from 1700 Hz. Characters are asynchronous, a start bit (space), eight bits with the lowest first and
a stop bit (mark), each read by its own start.

What is heard without a fault: -36 to -10 dBm0 (Europe sends -8 to -36 dBm at the phone), 6 dB of
twist either way, both frequencies 1 % off, noise 25 dB below (`tests/media/test_media_callerid`).

How it works. One matrix product filters all legs to 400-3000 Hz as an analytic signal; the turn
from sample to sample, averaged over some of the 6.7 samples of a bit, is its frequency. Legs
without a carrier stop there; for the others characters are read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from appliance.media import g711

RATE: Final = 8000
FRAME: Final = 160
BAUD: Final = 1200
BIT: Final = RATE / BAUD
"""Samples of a bit."""
CENTRE_HZ: Final = 1700.0
Modulation = Literal["bell202", "v23"]
TONES: Final[dict[Modulation, tuple[float, float]]] = {
    "bell202": (1200.0, 2200.0),
    "v23": (1300.0, 2100.0),
}
"""Mark and space, Hz."""

MIN_LEVEL_DBM0: Final = -42.0
"""4 dB below the weakest that Europe allows, of which half may be lost on the way to us."""
MIN_SHARE: Final = 0.6
"""Of the power that lies in the band: hum and clicks have less, noise at 25 dB has 0.99."""
MIN_SHIFT_HZ: Final = 130.0
"""A bit nearer to the centre than this is in doubt, and so is its message: a third of V.23's."""
MIN_MARK_BITS: Final = 24
"""Before the first character: the standards send 55 at least; stuffing between characters of a
message is at most 10 (GR-30)."""
MAX_MESSAGE: Final = 258
"""Type, length, 255 bytes and the checksum."""
_MAX_STUFFING: Final = 22
"""Bits of mark inside a message; longer, and the rest of it is lost."""
_TAPS: Final = 24
_PIECE: Final = 40
_DELAY: Final = 2
"""Samples that the phase turns over: two are less shaken by noise than one."""
_SMOOTH: Final = 4
_NEAR: Final = float(np.tan(2 * np.pi * 250.0 / RATE * _DELAY))
_FAR: Final = float(np.tan(2 * np.pi * 650.0 / RATE * _DELAY))
"""Tangents of the turn of 250 and 650 Hz beside the centre: between them is a tone."""
_MIN_PART: Final = 0.5
"""Share of a tick's samples that has to lie at the tones for it to be a carrier."""

_F32 = npt.NDArray[np.float32]
_I64 = npt.NDArray[np.int64]


def _filter_matrix() -> _F32:
    """(taps + `_PIECE`, 2 * `_PIECE`): samples to the real, then the imaginary parts of a piece."""
    n = np.arange(_TAPS + 1) - _TAPS / 2
    width = 1300.0 / RATE
    low = 2 * width * np.sinc(2 * width * n) * np.kaiser(_TAPS + 1, 3.0)
    taps = (2 * low * np.exp(2j * np.pi * CENTRE_HZ / RATE * n))[::-1]
    matrix = np.zeros((_TAPS + _PIECE, 2, _PIECE))
    for sample in range(_PIECE):
        matrix[sample : sample + _TAPS + 1, 0, sample] = taps.real
        matrix[sample : sample + _TAPS + 1, 1, sample] = taps.imag
    return matrix.reshape(_TAPS + _PIECE, -1).astype(np.float32)


_FILTER: Final = _filter_matrix()
_TURN: Final = np.complex64(np.exp(-2j * np.pi * CENTRE_HZ / RATE * _DELAY))
_BEFORE: Final = _DELAY + _SMOOTH - 1
"""Samples of the last frame that the first frequency of this one needs."""


_READS: Final = np.array([[0.0], [-0.8], [0.8], [-1.6], [1.6]]) + (np.arange(10) + 0.5) * BIT
"""Where the bits of a character are read, after the edge of its start."""


class _Reader:
    """The characters of one leg while it has a carrier: frequencies in, messages out.

    A message is the bytes between a long mark and the length that its second byte tells; whether
    they are right is for the checksum.
    """

    __slots__ = ("_at", "_bytes", "_shift", "_since_space")

    def __init__(self) -> None:
        self._shift = np.zeros(0, np.float32)
        self._at = 0.0
        """From here on is unread, in samples of `_shift`."""
        self._since_space = 0.0
        """Bits of mark before that."""
        self._bytes: bytearray | None = None

    def feed(self, shift: _F32) -> list[bytes]:
        """Frequencies of the next samples, relative to the centre: messages that are complete."""
        self._shift = np.concatenate((self._shift, shift))
        found = []
        while True:
            start = self._next_start()
            if start is None or start + 10 * BIT + 3 > len(self._shift):
                break
            self._read(start)
            if self._bytes is not None and len(self._bytes) >= 2:
                wanted = self._bytes[1] + 3
                if len(self._bytes) == wanted:
                    found.append(bytes(self._bytes))
                    self._bytes = None
        # What is left begins with what may be a character; one sample more for the edge's slope.
        cut = max(0, int(self._at) - 1)
        self._shift = self._shift[cut:]
        self._at -= cut
        return found

    def _next_start(self) -> float | None:
        """Where the next space begins; the mark until then is counted."""
        first = int(self._at)
        space = np.flatnonzero(self._shift[first:] > 0)
        end = len(self._shift) if not len(space) else first + int(space[0])
        start = float(end)
        if len(space) and end > 0:
            before, after = float(self._shift[end - 1]), float(self._shift[end])
            if before < 0.0:
                start = end - after / (after - before)
        start = max(start, self._at)
        if len(space):
            return start
        self._since_space += (start - self._at) / BIT
        self._at = start
        if self._bytes is not None and self._since_space > _MAX_STUFFING:
            self._bytes = None
        return None

    def _read(self, start: float) -> None:
        """One character; what is none breaks the message that it stands in."""
        mark = self._since_space + (start - self._at) / BIT
        reads = np.interp(start + _READS, np.arange(len(self._shift)), self._shift)
        # Twist makes the bits of one tone short and moves the edge: read where it is clearest.
        clearest = np.abs(reads).min(axis=1) * ((reads[:, 0] > 0) & (reads[:, 9] < 0))
        shift = reads[clearest.argmax()]
        framed = shift[0] > 0 > shift[9]
        clear = clearest.max() >= MIN_SHIFT_HZ
        if not framed:
            self._at, self._since_space, self._bytes = start + BIT, 0.0, None
            return
        if mark >= MIN_MARK_BITS:
            self._bytes = bytearray()
        # From the middle of the stop bit on the next start may come.
        self._at, self._since_space = start + 9.5 * BIT, 0.5
        if not clear:
            self._bytes = None
        elif self._bytes is not None:
            self._bytes.append(sum(1 << bit for bit in range(8) if shift[1 + bit] < 0))


class FskReceiver:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._raw = np.zeros((capacity, _TAPS + FRAME), np.float32)
        self._last = np.zeros((capacity, _BEFORE), np.complex64)
        self._readers: dict[int, _Reader] = {}

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        more = capacity - len(self._raw)
        if more > 0:
            self._raw = np.pad(self._raw, ((0, more), (0, 0)))
            self._last = np.pad(self._last, ((0, more), (0, 0)))

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        self._raw[slot] = 0
        self._last[slot] = 0
        self._readers.pop(slot, None)

    def process(self, pcm: npt.NDArray[Any], slots: _I64) -> list[tuple[int, bytes]]:
        """Messages that became complete in this frame, with their checksum, right or wrong.

        `pcm` is (legs, 160), `slots` its rows to hear.
        """
        count = len(slots)
        if not count:
            return []
        raw = self._raw[slots]
        raw[:, :_TAPS] = raw[:, FRAME:]
        raw[:, _TAPS:] = pcm[slots]
        self._raw[slots] = raw
        new = raw[:, _TAPS:]
        power = np.einsum("ij,ij->i", new, new) / FRAME
        loud = np.flatnonzero(power >= _LEAST / 2)
        for slot in set(self._readers) - set(slots[loud].tolist()):
            if slot in slots:
                del self._readers[slot]
        if not len(loud):
            return []
        pieces = np.lib.stride_tricks.sliding_window_view(raw[loud], _TAPS + _PIECE, axis=1)
        parts = pieces[:, ::_PIECE].reshape(-1, _TAPS + _PIECE) @ _FILTER
        parts = parts.reshape(len(loud), -1, 2, _PIECE)
        who = slots[loud]
        signal = np.empty((len(loud), _BEFORE + FRAME), np.complex64)
        signal[:, :_BEFORE] = self._last[who]
        fresh = signal[:, _BEFORE:]
        fresh.real = parts[:, :, 0].reshape(len(loud), FRAME)
        fresh.imag = parts[:, :, 1].reshape(len(loud), FRAME)
        self._last[who] = signal[:, -_BEFORE:]
        # An analytic signal has twice the power of its real part.
        inside = (fresh.real**2 + fresh.imag**2).mean(axis=1) / 2
        turn = signal[:, _DELAY:] * signal[:, :-_DELAY].conj() * _TURN
        # Every sample counts alike: weighed by its power, the louder tone would eat the other.
        turn /= np.maximum(np.abs(turn), np.float32(1e-3))
        total = turn[:, :FRAME].copy()
        for later in range(1, _SMOOTH):
            total += turn[:, later : later + FRAME]
        # Of most samples the frequency is not asked for, only whether it is near a tone.
        side = np.abs(total.imag)
        at_tones = ((side > _NEAR * total.real) & (side < _FAR * total.real)).mean(axis=1)
        carrier = (inside >= np.maximum(_LEAST, MIN_SHARE * power[loud])) & (at_tones >= _MIN_PART)
        found: list[tuple[int, bytes]] = []
        for row, slot in enumerate(who.tolist()):
            reader = self._readers.get(slot)
            if not carrier[row] and reader is None:
                continue
            if reader is None:
                reader = self._readers[slot] = _Reader()
            shift = np.angle(total[row]) * np.float32(RATE / (2 * np.pi * _DELAY))
            found += [(slot, message) for message in reader.feed(shift)]
            if not carrier[row]:
                # The last of a message may lie in the frame in which the carrier ends.
                del self._readers[slot]
        return found


_LEAST: Final = float(g711.dbm0_to_rms(MIN_LEVEL_DBM0) ** 2)


# --- sending --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """How a message is sent: bits of alternating spaces and marks, of mark before it and after.

    On-hook between rings 300 and 180 (GR-30 section 2.4); without the first for off-hook, and 80.
    """

    seizure: int = 300
    mark: int = 180
    tail: int = 8


def modulate(
    message: bytes,
    modulation: Modulation,
    level_dbm0: float = -13.5,
    line: Line = Line(),
    stuffing: int = 0,
) -> npt.NDArray[np.float64]:
    """A message as sound on the 16-bit scale, phase continuous; `stuffing` bits of mark between
    its characters."""
    bits = [index % 2 for index in range(line.seizure)] + [1] * line.mark
    for byte in message:
        bits += [0, *(byte >> bit & 1 for bit in range(8)), 1, *[1] * stuffing]
    bits += [1] * line.tail
    mark, space = TONES[modulation]
    count = int(len(bits) * BIT)
    sent = np.array(bits)[(np.arange(count) / BIT).astype(int)]
    phase = np.cumsum(np.where(sent, mark, space)) * (2 * np.pi / RATE)
    sound: npt.NDArray[np.float64] = g711.dbm0_to_rms(level_dbm0) * 2**0.5 * np.sin(phase)
    return sound
