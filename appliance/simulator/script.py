"""What a caller can be told to do, step by step. Also what goes over the control socket."""

from __future__ import annotations

from typing import Annotated

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Keys = Annotated[str, msgspec.Meta(max_length=64)]
Text = Annotated[str, msgspec.Meta(max_length=500)]


class Step(msgspec.Struct, frozen=True, tag=True):
    """Base of all steps."""


class Wait(Step, frozen=True, tag=True):
    """Do nothing for `ms`."""

    ms: Milliseconds


class WaitSound(Step, frozen=True, tag=True):
    """Until somebody or something has been sounding (no progress tone) for `min_ms`."""

    min_ms: Milliseconds = 300
    timeout_ms: Milliseconds = 20_000


class WaitQuiet(Step, frozen=True, tag=True):
    """Until it has been quiet for `quiet_ms`."""

    quiet_ms: Milliseconds = 700
    timeout_ms: Milliseconds = 30_000


class WaitAgent(Step, frozen=True, tag=True):
    """Until the music stops for `quiet_ms` and no ringback is heard: somebody picked up.
    After `patience_ms` the caller gives up and hangs up."""

    patience_ms: Milliseconds = 60_000
    quiet_ms: Milliseconds = 1_500


class Press(Step, frozen=True, tag=True):
    """Press keys (0-9 * # A-D): tones of `on_ms`, `gap_ms` apart. The row tone is at `dbm0`, the
    column tone `twist_db` above it."""

    keys: Keys
    on_ms: Milliseconds = 100
    gap_ms: Milliseconds = 100
    dbm0: float = -10.0
    twist_db: float = 2.0


class Say(Step, frozen=True, tag=True):
    """Speak a text (espeak-ng's voice `voice`)."""

    text: Text
    voice: str = "en"


class Play(Step, frozen=True, tag=True):
    """Play a WAV file into the receiver."""

    path: str


class Babble(Step, frozen=True, tag=True):
    """Speech-like noise for `ms`; needs no synthesiser."""

    ms: Milliseconds
    seed: int = 0


class HangUp(Step, frozen=True, tag=True):
    """Put the receiver down."""


AnyStep = Wait | WaitSound | WaitQuiet | WaitAgent | Press | Say | Play | Babble | HangUp
