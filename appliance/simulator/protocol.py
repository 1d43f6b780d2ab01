"""What a client tells a running simulator over its control socket, and what it hears back.

Every request is answered with `Done` or a `Lines`, or refused with words for people.
"""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.simulator.script import AnyStep

SOCKET: Final = "exchange.sock"
"""Name of the control socket in the simulator's directory."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of all messages."""


# --- client -> simulator --------------------------------------------------------------------


class PlaceCall(Message, frozen=True, tag=True):
    """Somebody calls on `line` (0: the first free one). `number` may be "P" or "O"; without
    `caller_id` the exchange sends none. `script` is done after the answer."""

    line: int
    number: str
    name: str = ""
    script: tuple[AnyStep, ...] = ()
    caller_id: bool = True
    ring_patience_ms: int = 120_000


class Act(Message, frozen=True, tag=True):
    """The caller on `line` does these steps after what it is at."""

    line: int
    steps: tuple[AnyStep, ...]


class HangUpCaller(Message, frozen=True, tag=True):
    """The caller on `line` puts the receiver down at once."""

    line: int


class Unplug(Message, frozen=True, tag=True):
    line: int


class Replug(Message, frozen=True, tag=True):
    line: int


class SetPractice(Message, frozen=True, tag=True):
    """Practice callers on or off."""

    on: bool
    interval_ms: int = 30_000


class GetLines(Message, frozen=True, tag=True):
    """Answered with `Lines`."""


class Follow(Message, frozen=True, tag=True):
    """Send `Lines` now and after each change, at most ten times a second."""


class SaveHeard(Message, frozen=True, tag=True):
    """Write what the latest caller on `line` heard and said since the answer to
    `path`.heard.wav and `path`.said.wav."""

    line: int
    path: str


Request = (
    PlaceCall | Act | HangUpCaller | Unplug | Replug | SetPractice | GetLines | Follow | SaveHeard
)

# --- simulator -> client --------------------------------------------------------------------


class Done(Message, frozen=True, tag=True):
    """The request is carried out (an `Act` is begun, not ended). `line` is where."""

    line: int


class LineInfo(msgspec.Struct, frozen=True):
    """One line. `state` as in `exchange.LineState`, or "unplugged"; levels in dBm0 of the last
    frame; `hears` is the progress tone in the caller's ear; `busy`: the caller has steps left."""

    line: int
    device: str
    state: str
    to_office_dbm0: float
    from_office_dbm0: float
    host_open: bool
    violations: int
    underruns: int
    number: str = ""
    hears: str = ""
    busy: bool = False
    answered_ms: int | None = None
    ended: str = ""


class Lines(Message, frozen=True, tag=True):
    """All lines at one moment (`now`: UTC milliseconds of the lines' clock)."""

    now: int
    practice: bool
    lines: tuple[LineInfo, ...]


Answer = Done | Lines
