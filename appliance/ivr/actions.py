"""What a menu wants the switch to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.site.model import Language, Prompt, Record
from appliance.site.routes import Route


@dataclass(frozen=True, slots=True)
class Recorded:
    """Said like a prompt: the sound of a recording, by the path that it was begun under."""

    path: str


@dataclass(frozen=True, slots=True)
class Say:
    """Play these one after another in place of what plays; report the end with
    `MenuRun.played(token, now)`. Tokens count up from 1 within one run."""

    token: int
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop what plays."""


@dataclass(frozen=True, slots=True)
class Speaks:
    """The caller chose a language; everything from here on is said in it."""

    language: Language


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a program: POST `body` as JSON to `url`; report with `MenuRun.answered(token, ...)`
    within `timeout_ms`."""

    token: int
    url: str
    body: dict[str, str | None]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Tape:
    """What becomes of the message that the caller leaves: `start` it now, `stop` for now, `keep`
    what there is, or drop it as `short`, `silent` or to be recorded `again`."""

    do: Literal["start", "stop", "keep", "short", "silent", "again"]
    step: Record


@dataclass(frozen=True, slots=True)
class Go:
    """The menus are done: `queue`, `phone` or `hangup`. Nothing follows."""

    route: Route


Action = Say | Hush | Speaks | Ask | Tape | Go
