"""What a menu wants the switch to do."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.site.model import Prompt
from appliance.site.routes import Route


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
class Go:
    """The menus are done: `queue`, `phone` or `hangup`. Nothing follows."""

    route: Route


Action = Say | Hush | Go
