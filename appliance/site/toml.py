"""Writing TOML 1.0: what `tomllib` reads, for documents made of tables, arrays and scalars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {
    "\\": "\\\\",
    '"': '\\"',
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}
_INLINE_WIDTH: Final = 90


def write(document: Mapping[str, object]) -> str:
    """The document as text. Raises TypeError for a value that TOML has no form for."""
    return "\n".join(_table(document, ())).strip("\n") + "\n"


def encode(value: object) -> str:
    """One value as it stands behind `=`. Raises TypeError where TOML has no form for it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _string(value)
        case date():
            return value.isoformat()
        case Mapping():
            inside = ", ".join(f"{_key(name)} = {encode(each)}" for name, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case Sequence():
            return "[" + ", ".join(map(encode, value)) + "]"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def _table(table: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    inner: list[tuple[str, Mapping[str, object]]] = []
    lines: list[str] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and not (len(path) >= 2 and _short(value)):
            inner.append((name, value))
        else:
            lines.append(f"{_key(name)} = {encode(value)}")
    # A table of nothing but tables needs no header of its own.
    if path and (lines or not inner):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    yield from lines
    for name, value in inner:
        yield from _table(value, (*path, name))


def _short(table: Mapping[str, object]) -> bool:
    """Small enough to read well on one line, such as a prompt."""
    flat = not any(isinstance(value, Mapping) for value in table.values())
    return flat and bool(table) and len(encode(table)) <= _INLINE_WIDTH


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return '"' + "".join(map(_character, text)) + '"'


def _character(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if ord(c) < 0x20 or ord(c) == 0x7F:
        return f"\\u{ord(c):04X}"
    return c
