"""How exchanges of some countries ring and sound (ITU-T E.180 supplement 2, rounded).

A cadence is `(on, off, on, off, ...)` in milliseconds, repeated; `()` is continuous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Cadence = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProgressTone:
    """Frequencies in Hz, each sent at `dbm0`, and the cadence."""

    hz: tuple[float, ...]
    cadence: Cadence
    dbm0: float = -16.0


@dataclass(frozen=True, slots=True)
class Country:
    """An exchange's habits: ring cadence on the wire and the tones in the ear."""

    ring: Cadence
    dial: ProgressTone
    ringback: ProgressTone
    busy: ProgressTone
    gci: str
    """ITU-T T.35 country code as a modem's +GCI shows it."""
    caller_id_first: bool = False
    """Caller ID is sent before the first ring (after a line reversal), not between rings."""


def _european(ring: Cadence, ringback: Cadence, busy: Cadence, gci: str) -> Country:
    return Country(
        ring=ring,
        dial=ProgressTone((425,), ()),
        ringback=ProgressTone((425,), ringback),
        busy=ProgressTone((425,), busy),
        gci=gci,
    )


COUNTRIES: Final[dict[str, Country]] = {
    "us": Country(
        ring=(2000, 4000),
        dial=ProgressTone((350, 440), ()),
        ringback=ProgressTone((440, 480), (2000, 4000)),
        busy=ProgressTone((480, 620), (500, 500)),
        gci="B5",
    ),
    "gb": Country(
        ring=(400, 200, 400, 2000),
        dial=ProgressTone((350, 440), ()),
        ringback=ProgressTone((400, 450), (400, 200, 400, 2000)),
        busy=ProgressTone((400,), (375, 375)),
        gci="B4",
        caller_id_first=True,
    ),
    "de": _european((1000, 4000), (1000, 4000), (480, 480), "42"),
    "fr": Country(
        ring=(1500, 3500),
        dial=ProgressTone((440,), ()),
        ringback=ProgressTone((440,), (1500, 3500)),
        busy=ProgressTone((440,), (500, 500)),
        gci="3D",
    ),
    "ro": Country(
        ring=(1850, 4150),
        dial=ProgressTone((450,), ()),
        ringback=ProgressTone((450,), (1850, 4150)),
        busy=ProgressTone((450,), (167, 167)),
        gci="8E",
    ),
    "bg": _european((1000, 4000), (1000, 4000), (500, 500), "1B"),
    "ru": _european((800, 3200), (800, 3200), (400, 400), "B8"),
    "cn": Country(
        ring=(1000, 4000),
        dial=ProgressTone((450,), ()),
        ringback=ProgressTone((450,), (1000, 4000)),
        busy=ProgressTone((450,), (350, 350)),
        gci="26",
    ),
    "ir": _european((1000, 4000), (1000, 4000), (500, 500), "55"),
}


def country(code: str) -> Country:
    """The country's exchange; an unknown code gets the common European one."""
    return COUNTRIES.get(code.lower(), COUNTRIES["de"])


def cadence_on(cadence: Cadence, since_ms: int) -> bool:
    """Whether a cadence is in an `on` part `since_ms` after its start."""
    if not cadence:
        return True
    rest = since_ms % sum(cadence)
    for place, part in enumerate(cadence):
        if rest < part:
            return place % 2 == 0
        rest -= part
    return False
