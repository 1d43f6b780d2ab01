"""What caller ID says: the messages of FSK, and the keys of DTMF caller ID. No sound here.

Standards: Telcordia GR-30-CORE and GR-31 (single and multiple data message), ETSI EN 300 659-3
(parameters), EN 300 659-1 annex B (DTMF). A message is its type, a length, so many bytes and a
checksum that makes the sum of all zero, modulo 256. Whatever does not fit to the last byte is
refused: no number is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from appliance.lines.callerid import CallerRecord

SDMF_CALL: Final = 0x04
SDMF_WAITING: Final = 0x06
MDMF_CALL: Final = 0x80
MDMF_WAITING: Final = 0x82
DATE_TIME: Final = 0x01
NUMBER: Final = 0x02
CALLED: Final = 0x03
NO_NUMBER: Final = 0x04
NAME: Final = 0x07
NO_NAME: Final = 0x08
INDICATOR: Final = 0x0B
_LAMP_ON: Final = b"\xff"
_SDMF_ON: Final = b"BBB"
_SDMF_OFF: Final = b"ooo"
"""Message waiting in the single format (GR-30): 0x42 and 0x6F, three times each."""

Absence = Literal["private", "out_of_area"]
_LETTERS: Final[dict[str, bytes]] = {"private": b"P", "out_of_area": b"O"}
_DIGITS: Final = re.compile(rb"\+?[0-9*# ()./-]{1,40}")
_WHEN: Final = re.compile(rb"(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class CallerInfo:
    """One message. `when` is month, day, hour and minute by the exchange's clock; `reason` says
    why there is no number; `waiting` is the state of the lamp for messages, None if not told."""

    number: str | None = None
    name: str | None = None
    reason: Literal["", "private", "out_of_area", "missing"] = ""
    when: tuple[int, int, int, int] | None = None
    called: str | None = None
    waiting: bool | None = None


def seal(message: bytes) -> bytes:
    """With its checksum."""
    return message + bytes([-sum(message) & 0xFF])


def sound(message: bytes) -> bool:
    """Whether length and checksum are right."""
    return len(message) >= 3 and len(message) == message[1] + 3 and sum(message) & 0xFF == 0


def parse(message: bytes) -> CallerInfo | None:
    """A whole message with its checksum; None for one that is damaged or of another service."""
    if not sound(message):
        return None
    body = message[2:-1]
    match message[0]:
        case 0x04:
            return _single(body)
        case 0x06:
            return CallerInfo(waiting=body == _SDMF_ON) if body in (_SDMF_ON, _SDMF_OFF) else None
        case 0x80 | 0x82:
            return _multiple(body)
    return None


def _single(body: bytes) -> CallerInfo | None:
    when = _when(body[:8])
    return None if when is None else _info(body[8:], None, when, None, None)


def _multiple(body: bytes) -> CallerInfo | None:
    """Parameters of type, length and value, to the last byte; of each kind the first counts."""
    values: dict[int, bytes] = {}
    while body:
        if len(body) < 2 or len(body) < 2 + body[1]:
            return None
        values.setdefault(body[0], body[2 : 2 + body[1]])
        body = body[2 + body[1] :]
    when = None
    if DATE_TIME in values:
        when = _when(values[DATE_TIME])
        if when is None:
            return None
    number = values.get(NUMBER, values.get(NO_NUMBER))
    name = values.get(NAME, values.get(NO_NAME))
    called = values.get(CALLED)
    lamp = values.get(INDICATOR)
    if called is not None and not _DIGITS.fullmatch(called):
        return None
    waiting = None if lamp is None else lamp == _LAMP_ON
    return _info(number, name, when, called, waiting)


def _when(raw: bytes) -> tuple[int, int, int, int] | None:
    match = _WHEN.fullmatch(raw)
    if match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


def _info(
    number: bytes | None,
    name: bytes | None,
    when: tuple[int, int, int, int] | None,
    called: bytes | None,
    waiting: bool | None,
) -> CallerInfo | None:
    if number and number not in _LETTERS.values() and not _DIGITS.fullmatch(number):
        return None
    record = CallerRecord()
    if number:
        record.add("NMBR", number.decode("ascii"))
    if name:
        record.add("NAME", name.decode("latin-1"))
    who = record.result()
    to = None if called is None else called.decode("ascii")
    reason = "" if waiting is not None and number is None else who.reason
    return CallerInfo(who.number, who.name, reason, when, to, waiting)


# --- making messages ------------------------------------------------------------------------


def call_message(
    number: str | Absence,
    name: str | Absence | None = None,
    when: tuple[int, int, int, int] | None = None,
) -> bytes:
    """A multiple data message for a call, sealed."""
    parts = []
    if when is not None:
        parts.append((DATE_TIME, b"%02d%02d%02d%02d" % when))
    parts.append(_field(number, NUMBER, NO_NUMBER))
    if name is not None:
        parts.append(_field(name, NAME, NO_NAME))
    return _sealed(MDMF_CALL, parts)


def single_message(number: str | Absence, when: tuple[int, int, int, int]) -> bytes:
    """A single data message, sealed: date, time and number, or the letter that stands for it."""
    value = _field(number, NUMBER, NO_NUMBER)[1]
    body = b"%02d%02d%02d%02d" % when + value
    return seal(bytes([SDMF_CALL, len(body)]) + body)


def waiting_message(waiting: bool, single: bool = False) -> bytes:
    """The lamp for messages on or off, sealed."""
    if single:
        return seal(bytes([SDMF_WAITING, 3]) + (_SDMF_ON if waiting else _SDMF_OFF))
    return _sealed(MDMF_WAITING, [(INDICATOR, _LAMP_ON if waiting else b"\x00")])


def _field(value: str | Absence, there: int, absent: int) -> tuple[int, bytes]:
    letter = _LETTERS.get(value)
    if letter is not None:
        return absent, letter
    return there, value.encode("latin-1", "replace")


def _sealed(kind: int, parts: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(bytes([key, len(value)]) + value for key, value in parts)
    if len(body) > 255:
        raise ValueError("a caller ID message has at most 255 bytes")
    return seal(bytes([kind, len(body)]) + body)


# --- DTMF caller ID -------------------------------------------------------------------------

MAX_GAP_MS: Final = 500
"""Between two keys: senders pause 50 to 100 ms, people hardly ever so little for long."""
_MAX_KEYS: Final = 24
_START: Final = "ABD"
_STOP: Final = "C#"
_NONE: Final[dict[str, Absence]] = {
    "B00": "out_of_area",
    "B10": "private",
    "D1": "private",
    "D2": "out_of_area",
    "D3": "out_of_area",
}
"""Information codes: EN 300 659-1 annex B, and those of Denmark."""


class DtmfCallerId:
    """Keys before the first ring, or between rings, of one line: `A<number>C` (Sweden, Finland,
    the Netherlands, Brazil), `D<number>C` (India, Taiwan), `A<number>#`, `D1#` (Denmark)."""

    def __init__(self) -> None:
        self._keys = ""
        self._at = 0

    def key(self, digit: str, at: int) -> CallerInfo | None:
        """The next key, at `at` ms: what it completes."""
        if digit in _START:
            self._keys, self._at = digit, at
            return None
        late = at - self._at > MAX_GAP_MS
        if not self._keys or late or len(self._keys) >= _MAX_KEYS:
            self._keys = ""
            return None
        self._at = at
        if digit not in _STOP:
            self._keys += digit
            return None
        keys, self._keys = self._keys, ""
        return parse_keys(keys + digit)


def parse_keys(keys: str) -> CallerInfo | None:
    """The keys from the start letter to the end; None for what says nothing of a caller."""
    if len(keys) < 3 or keys[0] not in _START or keys[-1] not in _STOP:
        return None
    inner = keys[:-1]
    reason = _NONE.get(inner)
    if reason is not None:
        return CallerInfo(reason=reason)
    number = inner[1:]
    if inner[0] == "B" or not number.isdecimal() or len(number) < 3:
        return None
    return CallerInfo(number=number)


def caller_keys(number: str | Absence, start: str = "A", stop: str = "C") -> str:
    """The keys that tell a number or its absence; for `dtmf.key_sequence` at 70 ms."""
    if number == "private":
        return "B10" + stop
    if number == "out_of_area":
        return "B00" + stop
    return start + number + stop
