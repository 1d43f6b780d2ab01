"""A modem's command language as ITU-T V.250 writes it: one line in, commands out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 256
"""Longest command line a unit keeps; more is an ERROR."""

_BASIC: Final = re.compile(r"([&\\%]?[A-Z])(\d*)")
_REGISTER: Final = re.compile(r"S(\d+)(=(\d*)|\?)")
_EXTENDED: Final = re.compile(r"([+\-#*][A-Z][A-Z0-9]*)(=\?|\?|=)?")


@dataclass(frozen=True, slots=True)
class Command:
    """`op` is "" (action), "=" (set), "?" (read) or "=?" (test). Basic commands carry their number
    as `value` with op "". `S7=50` is name "S", op "=", value "7,50"; `D...` has the dial string."""

    name: str
    op: str = ""
    value: str = ""


def _normal(text: str) -> str:
    """Upper case without blanks, except between quotes (V.250 5.2.2)."""
    parts = text.split('"')
    for place in range(0, len(parts), 2):
        parts[place] = parts[place].upper().replace(" ", "")
    return '"'.join(parts)


def parse(body: str) -> list[Command | None]:
    """The commands after the AT of one line; None is what is not V.250 and ends the list."""
    text = _normal(body)
    found: list[Command | None] = []
    at = 0
    while at < len(text):
        if text[at] == ";":
            at += 1
            continue
        if text[at] == "D":
            end = text.find(";", at)
            end = len(text) if end < 0 else end + 1
            found.append(Command("D", "", text[at + 1 : end]))
            at = end
            continue
        if match := _REGISTER.match(text, at):
            number, rest, value = match.groups()
            found.append(
                Command("S", "?", number) if rest == "?" else Command("S", "=", f"{number},{value}")
            )
            at = match.end()
            continue
        if match := _EXTENDED.match(text, at):
            name, op = match.group(1), match.group(2) or ""
            at = match.end()
            end = _end_of_value(text, at)
            value = text[at:end]
            if value and op != "=":
                found.append(None)
                return found
            found.append(Command(name, op, value))
            at = end + 1
            continue
        if match := _BASIC.match(text, at):
            found.append(Command(match.group(1), "", match.group(2)))
            at = match.end()
            continue
        found.append(None)
        return found
    return found


def _end_of_value(text: str, at: int) -> int:
    quoted = False
    while at < len(text):
        if text[at] == '"':
            quoted = not quoted
        elif text[at] == ";" and not quoted:
            return at
        at += 1
    return at
