"""A fact as stored: its kind and one JSON object with all its fields.

The JSON object is the truth; the columns beside it are copies for indexes. Versions of the product
read each other's ledgers: fields that are not known are skipped, absent fields take their default,
and a kind that is not known reads as a bare `Fact` with its time, which no projection looks at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final, NamedTuple

import msgspec

from appliance.events import KINDS, Fact

_ENCODER: Final = msgspec.json.Encoder()
_KIND_OF: Final[dict[type[Fact], str]] = {cls: kind for kind, cls in KINDS.items()}
_DECODERS: Final[dict[str, msgspec.json.Decoder[Fact]]] = {
    kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()
}


class Stored(NamedTuple):
    """A fact with its place in the ledger; `seq` starts at 1 and has no gaps."""

    seq: int
    fact: Fact


def encode_body(fact: Fact) -> bytes:
    """All fields as a JSON object. Text that is not valid Unicode gets `?` where it is not."""
    try:
        return _ENCODER.encode(fact)
    except UnicodeEncodeError:
        return _ENCODER.encode({f.name: _plain(getattr(fact, f.name)) for f in fields(fact)})


def encode_group(facts: Iterable[Fact]) -> str:
    """A JSON array of `[kind, fields]`, as `INSERT_GROUP` of the schema takes it.

    Raises ValueError for a value that is no known kind of fact.
    """
    parts: list[bytes] = []
    for fact in facts:
        kind = _KIND_OF.get(type(fact))
        if kind is None:
            raise ValueError(f"{type(fact).__name__} is not a kind of fact that the ledger keeps")
        parts.append(b'["%s",%s]' % (kind.encode(), encode_body(fact)))
    return (b"[" + b",".join(parts) + b"]").decode()


def decode(kind: str, body: str) -> Fact:
    """The fact of a stored row; never raises for what any version of the product wrote."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return Fact(at=int(json.loads(body)["at"]))
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        return _lenient(KINDS[kind], json.loads(body))


def _lenient(cls: type[Fact], values: dict[str, Any]) -> Fact:
    """A newer version may know more words for a field, such as a new reason: keep them."""
    known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
    try:
        return cls(**known)
    except TypeError:
        return Fact(at=int(values["at"]))


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
