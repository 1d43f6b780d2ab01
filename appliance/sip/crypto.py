"""SDP security descriptions: the `a=crypto` attribute (RFC 4568) for SRTP (RFC 3711).

Two suites, those that every phone has. Keys are in the clear in the description, so they are worth
as much as the signalling that carries it; they never appear in the `repr` of anything here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
SUITES: Final[tuple[Suite, ...]] = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""In our order: the longer tag first (RFC 4568 section 6.2)."""
KEY_BYTES: Final = 30
"""Master key of 16 bytes and master salt of 14 (RFC 4568 section 6.2)."""
KEYS_BYTES: Final = KEY_BYTES * len(SUITES)
"""Of one leg: each suite has a key of its own, so that no key is used by two."""
Policy = Literal["off", "allowed", "required"]

_MIN_LIFETIME: Final = 1 << 22
"""Packets: 23 hours at 50 a second. A peer that wants new keys earlier is not understood."""
_MAX_LIFETIME_DIGITS: Final = 15
_TAG: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_HARMLESS: Final = re.compile(r"(?:WSH=[0-9]{2,5}|-.*)", re.ASCII)
"""Session parameters that change nothing for us: a window's size, and those marked optional."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto` line. `key` is of the direction from whoever wrote it."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)

    @property
    def line(self) -> str:
        inline = base64.b64encode(self.key).decode()
        return f"a=crypto:{self.tag} {self.suite} inline:{inline}"


@dataclass(frozen=True, slots=True)
class Keys:
    """What was agreed: `send` encrypts what we send, `receive` opens what comes."""

    suite: Suite
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


def parse(value: str) -> Crypto | None:
    """The value of an `a=crypto` attribute; None for what we cannot or will not do: other suites,
    several keys, key identifiers in packets, streams that are not encrypted after all."""
    fields = value.split()
    if len(fields) < 3 or not _TAG.fullmatch(fields[0]):
        return None
    suite = next((known for known in SUITES if known == fields[1].upper()), None)
    method, _, info = fields[2].partition(":")
    if suite is None or method.lower() != "inline" or ";" in info:
        return None
    if not all(_HARMLESS.fullmatch(parameter) for parameter in fields[3:]):
        return None
    encoded, *limits = info.split("|")
    if not _acceptable(limits):
        return None
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(int(fields[0]), suite, key) if len(key) == KEY_BYTES else None


def _acceptable(limits: list[str]) -> bool:
    """At most a lifetime that no call reaches: `2^31` or a number. `1:4` is a key identifier."""
    if not limits:
        return True
    text = limits[0]
    if len(limits) > 1 or len(text) > _MAX_LIFETIME_DIGITS:
        return False
    if text.startswith("2^"):
        return text[2:].isdecimal() and text.isascii() and 22 <= int(text[2:]) <= 48
    return text.isdecimal() and text.isascii() and int(text) >= _MIN_LIFETIME


def offered(keys: bytes) -> tuple[Crypto, ...]:
    """What we offer, from `KEYS_BYTES` random bytes."""
    return tuple(
        Crypto(number + 1, suite, own_key(keys, suite)) for number, suite in enumerate(SUITES)
    )


def own_key(keys: bytes, suite: Suite) -> bytes:
    """Our key for a suite."""
    if len(keys) != KEYS_BYTES:
        raise ValueError(f"{KEYS_BYTES} bytes of keys are needed")
    at = SUITES.index(suite) * KEY_BYTES
    return keys[at : at + KEY_BYTES]


def choose(theirs: Iterable[Crypto]) -> Crypto | None:
    """The line that we answer: the first of the peer's (RFC 4568 section 5.1.2)."""
    return next(iter(theirs), None)


def agreed(ours: Sequence[Crypto], theirs: Sequence[Crypto]) -> Keys | None:
    """What an answer takes of an offer, whichever of the two is ours: the one line of the answer
    names a line of the offer by tag and suite. None when it does not."""
    if min(len(ours), len(theirs)) != 1:
        return None
    for own in ours:
        for other in theirs:
            if (own.tag, own.suite) == (other.tag, other.suite):
                return Keys(own.suite, own.key, other.key)
    return None
