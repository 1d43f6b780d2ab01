"""DLE shielding of V.253 / IS-101 voice data, both ways.

In voice data state every byte is a sample except 0x10 (DLE), which opens a two-byte code. A sample
of value 0x10 travels as DLE DLE, two of them in a row may travel as DLE SUB. Everything else
behind a DLE is an event of the modem or a command to it. Codes may be split anywhere between two
reads, so this is a state machine over the stream and never a search in one piece of it.
"""

from __future__ import annotations

from typing import Final

DLE: Final = 0x10
ETX: Final = 0x03
"""End of the data: the modem is back in command state."""
_SUB: Final = 0x1A
_DLE_BYTE: Final = b"\x10"

KEYS: Final = frozenset("0123456789*#ABCD")
TONE_STARTS: Final = ord("/")
TONE_ENDS: Final = ord("~")

Piece = bytes | int
"""Samples as they came, or one code: the byte that stood behind a DLE."""


def shield(samples: bytes) -> bytes:
    """Samples as they go to the modem."""
    return samples.replace(_DLE_BYTE, b"\x10\x10")


class DleDecoder:
    """Splits what the modem sends in voice data state into samples and codes."""

    def __init__(self) -> None:
        self._open = False
        """The last byte of the piece before was a DLE whose code is still to come."""

    def feed(self, data: bytes) -> tuple[list[Piece], bytes]:
        """Pieces in the order of the stream, and what follows the end of the data.

        The decoder stops behind DLE ETX (the last piece then is `ETX`) and gives the rest back
        untouched; it is ready for the next voice data state then.
        """
        if not self._open and _DLE_BYTE not in data:
            return ([data] if data else []), b""
        pieces: list[Piece] = []
        samples: list[bytes] = []
        at = 0
        end = len(data)
        while at < end:
            if not self._open:
                mark = data.find(_DLE_BYTE, at)
                if mark < 0:
                    samples.append(data[at:])
                    break
                if mark > at:
                    samples.append(data[at:mark])
                self._open = True
                at = mark + 1
                continue
            code = data[at]
            at += 1
            self._open = False
            if code == DLE:
                samples.append(_DLE_BYTE)
            elif code == _SUB:
                samples.append(b"\x10\x10")
            else:
                if samples:
                    pieces.append(b"".join(samples))
                    samples = []
                pieces.append(code)
                if code == ETX:
                    return pieces, data[at:]
        if samples:
            pieces.append(b"".join(samples))
        return pieces, b""


class KeyReader:
    """Key presses out of codes: shielded (`/`, the digit every 70 ms or so, `~`) or bare.

    A bare digit is one press, except that the same one again within `_REPEAT_SAMPLES` belongs to
    the press before (its opening `/` fell into the time before the data state). Time is counted
    in samples of the same stream, so late reading does not blur it.
    """

    _REPEAT_SAMPLES: Final = 800

    def __init__(self) -> None:
        self._position = 0
        self._shielded = False
        self._last: str | None = None
        self._last_position = 0

    def samples(self, count: int) -> None:
        self._position += count

    def code(self, code: int) -> str | None:
        """The key if this code begins a press, else None."""
        if code == TONE_STARTS:
            self._shielded, self._last = True, None
            return None
        if code == TONE_ENDS:
            self._shielded, self._last = False, None
            return None
        key = chr(code)
        if key not in KEYS:
            return None
        again = key == self._last and (
            self._shielded or self._position - self._last_position <= self._REPEAT_SAMPLES
        )
        self._last, self._last_position = key, self._position
        return None if again else key
