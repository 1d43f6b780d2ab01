"""The command state of a modem: lines out of bytes, answers apart from what it says unasked.

One command is in flight at a time. A line is its answer only if it can be: result codes without a
command (late ones, chatter after a reset) are dropped, `CONNECT` counts for a command that asks for
data and `BUSY` for one that dials. Rings, caller ID and DLE codes come through at any moment, in
the middle of an answer too. Input is hostile: lines and answers are bounded, garbage is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from appliance.lines.callerid import parse_field
from appliance.lines.dle import DLE

_MAX_LINE: Final = 256
_MAX_ANSWER_LINES: Final = 64
_STOPS = re.compile(rb"[\r\n\x10]")

_ALWAYS_FINAL: Final = frozenset({"OK", "ERROR", "VCON"})
_DIAL_FINAL: Final = {
    "BUSY": "BUSY",
    "NO CARRIER": "NO CARRIER",
    "NO ANSWER": "NO ANSWER",
    "NO DIALTONE": "NO DIALTONE",
    "NO DIAL TONE": "NO DIALTONE",
}
_DIALS = re.compile(r"AT\s*D", re.IGNORECASE)
_ASKS_FOR_DATA = re.compile(r"AT(.*\+V[TR][XR]$|\s*D)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is the result code, "" when none came in time; `lines` the text before it."""

    code: str
    lines: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code in ("OK", "VCON")

    @property
    def came(self) -> bool:
        return self.code != ""


@dataclass(frozen=True, slots=True)
class Ring:
    """`RING`, in text or as DLE R."""


@dataclass(frozen=True, slots=True)
class Field:
    """A line of caller ID or distinctive ring."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Code:
    """Another DLE code outside voice data."""

    code: int


AtEvent = Answer | Ring | Field | Code


class AtChannel:
    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False
        self._dle_open = False
        self._after_cr = False
        self._command: str | None = None
        self._answer: list[str] = []

    @property
    def in_flight(self) -> str | None:
        """The command whose result code is still to come."""
        return self._command

    @property
    def ended_by_cr(self) -> bool:
        """The last line ended with CR, so one LF right behind it still belongs to it."""
        return self._after_cr

    def send(self, command: str) -> bytes:
        """Put a command in flight; what was in flight before is forgotten."""
        self._command = command
        self._answer = []
        return command.encode("ascii", "replace") + b"\r"

    def expect(self, name: str) -> None:
        """Bytes that are no AT command were sent and a result code will answer them."""
        self._command = name
        self._answer = []

    def give_up(self) -> None:
        self._command = None
        self._answer = []

    def reset(self) -> None:
        """A new stream begins: nothing of the old one belongs to it."""
        self._line.clear()
        self._overlong = self._dle_open = self._after_cr = False
        self.give_up()

    def feed(self, data: bytes) -> tuple[AtEvent | None, bytes]:
        """The first event in `data` and the bytes behind it; None when all is used up."""
        at = 0
        end = len(data)
        while at < end:
            if self._dle_open:
                self._dle_open = False
                code = data[at]
                return (Ring() if code == ord("R") else Code(code)), data[at + 1 :]
            if self._after_cr:
                self._after_cr = False
                if data[at] == 0x0A:
                    at += 1
                    continue
            stop = _STOPS.search(data, at)
            mark = end if stop is None else stop.start()
            self._collect(data[at:mark])
            if stop is None:
                break
            at = mark + 1
            if data[mark] == DLE:
                self._dle_open = True
                continue
            self._after_cr = data[mark] == 0x0D
            event = self._take_line()
            if event is not None:
                return event, data[at:]
        return None, b""

    def _collect(self, part: bytes) -> None:
        if len(self._line) + len(part) > _MAX_LINE:
            self._overlong = True
            self._line.clear()
        if not self._overlong:
            self._line += part

    def _take_line(self) -> AtEvent | None:
        overlong, self._overlong = self._overlong, False
        text = self._line.decode("latin-1")
        self._line.clear()
        # No more is cleaned off: noise with an OK in it must not become an OK.
        line = text.strip("\x00 \t")
        if overlong or not line:
            return None
        if line == "RING" or line.startswith("RING "):
            return Ring()
        field = parse_field(line)
        if field is not None:
            return Field(*field)
        command = self._command
        if command is None or line == command:
            return None
        code = self._final(line, command)
        if code is None:
            if len(self._answer) < _MAX_ANSWER_LINES:
                self._answer.append("".join(c for c in line if c.isprintable()))
            return None
        answer = Answer(code, tuple(self._answer))
        self.give_up()
        return answer

    @staticmethod
    def _final(line: str, command: str) -> str | None:
        if line in _ALWAYS_FINAL:
            return line
        if line.startswith("CONNECT"):
            return "CONNECT" if _ASKS_FOR_DATA.match(command) else None
        if line in _DIAL_FINAL and _DIALS.match(command):
            return _DIAL_FINAL[line]
        if line == "NO CARRIER" and _ASKS_FOR_DATA.match(command):
            return line
        return None
