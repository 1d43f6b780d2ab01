"""What is wrong with a site document, said to the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_SHOWN: Final = 40
"""Characters of what the owner wrote that a message repeats."""
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` is the place in the document (`queues.sales.agents[1]`), empty for the document as a
    whole; `message` says what is wrong there and what would be right."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class SiteError(Exception):
    """The document cannot be used. `problems` has at least one entry; nothing secret is in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class InconsistentSite(ValueError):
    """Each table is right by itself, but they do not fit together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def key(name: str) -> str:
    """A key as it stands in a path: quoted where TOML quotes it, printable and short."""
    return name if _PLAIN_KEY.fullmatch(name) and len(name) <= MAX_SHOWN else f'"{short(name)}"'


def short(text: str) -> str:
    """What the owner wrote, fit to be repeated in a message."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: MAX_SHOWN + 1])
    return clean if len(clean) <= MAX_SHOWN else clean[: MAX_SHOWN - 1] + "…"
