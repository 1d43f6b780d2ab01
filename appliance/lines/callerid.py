"""Caller ID as modems print it: `NMBR = 5551234567` and its kin, with or without blanks.

Any line may be missing. A number or name of `P` is withheld, `O` comes from where the network has
none. `MESG` carries parameters the modem has no word for, as hexadecimal type, length, value of the
multiple data message format (ETSI EN 300 659-3, Telcordia GR-30).
"""

from __future__ import annotations

import re
from typing import Final

from appliance.lines.line import CallerId

_FIELD = re.compile(r"(DATE|TIME|NMBR|NAME|MESG|ERRM|DDN|DRON|DROF)(?:\s*=\s*(.*))?", re.IGNORECASE)
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_TELEMARKETER = re.compile(r"V[0-9]{15}")
_MAX_NAME: Final = 50

_WITHHELD: Final = frozenset({"P", "PRIVATE", "PRIVATE NUMBER", "ANONYMOUS", "WITHHELD"})
_OUT_OF_AREA: Final = frozenset({"O", "OUT OF AREA", "OUT-OF-AREA", "UNAVAILABLE", "UNKNOWN"})

_NUMBER_PARAMETER: Final = 0x02
_NO_NUMBER_PARAMETER: Final = 0x04
_NAME_PARAMETER: Final = 0x07
_NO_NAME_PARAMETER: Final = 0x08
_MULTIPLE_DATA_MESSAGE: Final = 0x80


def parse_field(line: str) -> tuple[str, str] | None:
    """Key in capitals and value of a line of caller ID or distinctive ring, else None."""
    match = _FIELD.fullmatch(line.strip())
    if match is None:
        return None
    return match[1].upper(), (match[2] or "").strip()


class CallerRecord:
    """The fields of one call so far."""

    def __init__(self) -> None:
        self._number: str | None = None
        self._name: str | None = None

    @property
    def has_number(self) -> bool:
        """A number, or the word that there is none, has come."""
        return self._number is not None

    @property
    def complete(self) -> bool:
        return self._number is not None and self._name is not None

    def add(self, key: str, value: str) -> None:
        """The first value of each field counts; keys that say nothing of the caller do nothing."""
        if key == "NMBR" and self._number is None:
            self._number = value
        elif key == "NAME" and self._name is None:
            self._name = value
        elif key == "MESG":
            self._add_message(value)

    def _add_message(self, text: str) -> None:
        try:
            data = bytes.fromhex(text)
        except ValueError:
            return
        if len(data) >= 2 and data[0] == _MULTIPLE_DATA_MESSAGE:
            data = data[2:]
        while len(data) >= 2:
            kind, length = data[0], data[1]
            value = data[2 : 2 + length].decode("latin-1").strip()
            data = data[2 + length :]
            if kind in (_NUMBER_PARAMETER, _NO_NUMBER_PARAMETER) and self._number is None:
                self._number = value
            elif kind in (_NAME_PARAMETER, _NO_NAME_PARAMETER) and self._name is None:
                self._name = value

    def result(self) -> CallerId:
        """What is known, in the words of `CallerId`."""
        name = _clean_name(self._name)
        raw = (self._number or "").upper()
        if raw in _WITHHELD:
            return CallerId(None, name, "private")
        if raw in _OUT_OF_AREA:
            return CallerId(None, name, "out_of_area")
        number = re.sub(r"[\s()./-]", "", raw)
        if _NUMBER.fullmatch(number):
            return CallerId(number, name)
        # With the number gone, a name field of P or O still tells why.
        word = (self._name or "").upper()
        if word in _WITHHELD:
            return CallerId(None, None, "private")
        if word in _OUT_OF_AREA:
            return CallerId(None, None, "out_of_area")
        return CallerId(None, name, "missing")


def _clean_name(raw: str | None) -> str | None:
    """A name a page may show; None for codes that stand for the absence of one."""
    if raw is None:
        return None
    name = "".join(c for c in raw if c.isprintable()).strip()[:_MAX_NAME]
    if not name or name.upper() in _WITHHELD | _OUT_OF_AREA or _TELEMARKETER.fullmatch(name):
        return None
    return name
