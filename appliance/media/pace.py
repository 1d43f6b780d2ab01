"""What is said to a line, at the pace of the line's own clock.

A modem plays what it is given by its own crystal, and sends what it hears by the same one: each
sample that came from it is one that it has played. So what it was given more or less than that
since the call began is told exactly by counting, but for the jitter of both processes, which a
mean over five seconds takes out. From 5 ms on, a frame is made longer or shorter by one pitch
period or where it is quiet (`appliance.media.stretch`): a clock that is 150 ppm off asks for that
about once a minute. Without, the modem would run dry, or samples be dropped, again and again
after some minutes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from appliance.media import g711, stretch

BLOCK_TICKS: Final = 250
WARM_BLOCKS: Final = 2
"""The first ones after the line opens say nothing: both directions are just beginning."""
DUE: Final = 40
"""Samples owed from which a place is looked for."""
_STEP: Final = 120
"""15 ms from one block to the next are no drift: the device stood still, or lost something."""
_UNHURRIED_TICKS: Final = 1000
_FORCED_TICKS: Final = 25
_SMOOTH: Final = 0.85
_FAIR: Final = 0.5
_QUIET_POWER: Final = 30.0**2
"""As the jitter buffer has them for what is heard."""


class Pace:
    """Of one line."""

    def __init__(self) -> None:
        self.seams = 0
        self.reset()

    def reset(self) -> None:
        """The line opens, or time was skipped: what is on its way now is as it should be."""
        self._surplus = 0
        """Samples that came, less those that were given."""
        self._sum = self._ticks = self._blocks = 0
        self._base = 0.0
        """The mean surplus when all was well."""
        self._last = 0.0
        """That of the last block."""
        self.owed = 0.0
        """Samples that the line has played more than it was given; negative: less."""
        self._waited = -1
        """Ticks that a place was looked for, -1 while none is needed."""
        self._before = np.zeros(stretch.LONGEST, np.float32)

    def came(self, samples: int) -> None:
        self._surplus += samples

    def frame(self, pcm: g711.Samples) -> g711.Samples:
        """What to give to the line for this frame of 160 samples, each tick."""
        made = pcm
        if self._waited >= 0:
            self._waited += 1
            if self._waited % 2 or self._waited > _UNHURRIED_TICKS:
                made = self._seam(pcm)
        self._before = pcm[-stretch.LONGEST :].astype(np.float32)
        self._surplus -= len(made)
        self._sum += self._surplus
        self._ticks += 1
        if self._ticks == BLOCK_TICKS:
            self._look()
        return made

    def _look(self) -> None:
        mean, self._sum, self._ticks = self._sum / BLOCK_TICKS, 0, 0
        self._blocks += 1
        if self._blocks <= WARM_BLOCKS:
            self._base = mean
        elif abs(mean - self._last) > _STEP:
            self._base += mean - self._last
        self._last = mean
        self.owed = mean - self._base
        if abs(self.owed) < DUE:
            self._waited = -1
        elif self._waited < 0:
            self._waited = 0

    def _seam(self, pcm: g711.Samples) -> g711.Samples:
        samples = pcm.astype(np.float32)
        if self.owed > 0:
            made, alike = stretch.repeated(self._before, samples)
        else:
            made, alike = stretch.cut(samples)
        hurry = self._waited - _UNHURRIED_TICKS
        good = (
            alike >= (_SMOOTH if hurry < 0 else _FAIR)
            or float(np.mean(samples[: stretch.SEAM] ** 2)) < _QUIET_POWER
            or hurry >= _FORCED_TICKS
        )
        if not good:
            return pcm
        self.seams += 1
        change = len(made) - len(pcm)
        self.owed -= change
        self._last -= change
        self._waited = -1
        # A block with a seam in it has no mean.
        self._sum = self._ticks = 0
        return np.rint(made).astype(np.int16)
