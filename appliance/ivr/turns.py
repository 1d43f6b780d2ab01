"""What a step of a caller knows, and what it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.ivr.actions import Tape
from appliance.ivr.scene import Scene
from appliance.site.model import Language, LookUp, Prompt
from appliance.site.routes import Route


@dataclass(slots=True)
class State:
    """What a run has learnt of its caller."""

    scene: Scene
    language: Language
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """Say this, then go on along `go`, or wait `wait_ms` for a key and then call `silent`. With
    `ask` the answer of a program is waited for, so long at most. `keyed` is a whole entry for the
    record, right or not."""

    say: tuple[Prompt, ...] = ()
    go: Route | None = None
    wait_ms: int = 0
    ask: LookUp | None = None
    keyed: tuple[str, bool] | None = None
    heard: bool = False
    """A key was pressed: the caller does not go round by themselves."""
    tape: Tape | None = None
    """What becomes of the message, at once."""
    passes: bool = False
    """That key is meant for what comes next."""
