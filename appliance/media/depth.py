"""How much delay each leg needs, and when its reader is to gain or to fall back.

The measure is the margin: how far ahead of the reader packets land. The smallest of each half
second is held between one frame and two: since packets are seen once a tick, a far clock that runs
slow takes a whole frame off at a time, and that must not be the last one. Of a line, whose samples
come in any pieces, half a frame is enough. What came too late raises the delay by itself; what
nearly did, here, when it lasts two seconds. What was not needed for four seconds is given back, and
at once when it is much, for then it stems from a stall. Who needs it again within ten seconds gives
back twice as slowly from then on, so that a poor network does not breathe.

The far end of a link is a process of this very machine, late when the machine is busy, and soon
again. A link that nearly missed something has its delay raised at the first look and keeps it for
half a minute; and a machine whose own ticks were late lets all links have a frame or two more from
the start, until it was punctual for five minutes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media.slots import widen

FRAME: Final = 160
TARGET: Final = FRAME
LEAST: Final = FRAME
LEAST_OF_LINE: Final = FRAME // 2
"""A margin below this is brought back to the target before something comes too late."""
MOST: Final = 2 * FRAME
"""One that never was below this has something to give back."""
MUCH: Final = 3 * FRAME
"""With this much to spare it goes at once."""
LOOK_TICKS: Final = 25
NO_MARGIN: Final = 1 << 40
"""Nothing has come since the last look."""
_PATIENCE: Final = 8
"""Looks in a row with margin to spare before it is given back."""
_LOW_LOOKS: Final = 4
"""Looks in a row below `LEAST` before the delay grows: jitter that is rare costs nothing yet."""
_WARY_TICKS: Final = 500
_MAX_WARY: Final = 3
LATE_S: Final = 0.015
"""A tick as late as this speaks of a busy machine: links get a frame more, and one more from 20 ms
on top of that. What is later still is skipped soon, by whoever was late."""
VERY_LATE_S: Final = LATE_S + 0.02
MOST_OF_LINKS: Final = 2 * FRAME
_BUSY_TICKS: Final = 15_000
"""So long a machine that was busy is taken to be so again: five minutes."""
_UNHURRIED_TICKS: Final = 1000
"""So long a quiet or steady place is waited for: a clock 200 ppm off moves 4 ms in that time."""

_I64 = npt.NDArray[np.int64]


class Depth:
    """State of `capacity` legs. Times are ticks of 20 ms."""

    def __init__(self, capacity: int) -> None:
        self.debt: _I64 = np.zeros(capacity, np.int64)
        """Samples that the reader is to gain (> 0) or to fall back."""
        self.due: _I64 = np.zeros(capacity, np.int64)
        """Tick from which it need not wait for a good place."""
        self.fell: npt.NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Fell back since the last look: the smallest margin is from before."""
        self.owing = False
        """Some leg may have a debt."""
        self._spare: _I64 = np.zeros(capacity, np.int64)
        """Looks in a row whose smallest margin was rich."""
        self._low: _I64 = np.zeros(capacity, np.int64)
        """Looks in a row whose smallest margin was too small."""
        self._worst: _I64 = np.zeros(capacity, np.int64)
        """Smallest margin over those."""
        self._grown: _I64 = np.zeros(capacity, np.int64)
        """Tick in which something came too late."""
        self._gave: _I64 = np.zeros(capacity, np.int64)
        """Tick in which it was last decided to give something back."""
        self._wary: _I64 = np.zeros(capacity, np.int64)
        """How often that was too early."""
        self._link: npt.NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.more: _I64 = np.zeros(capacity, np.int64)
        """What links have beyond everybody's margins, samples."""
        self._busy = 0
        """The same of a new one, and the tick in which that was needed last."""
        self._busy_tick = 0
        self._short: npt.NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Links that were open when that grew."""

    def reserve(self, capacity: int) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray):
                setattr(self, name, widen(value, capacity))

    def reset(self, slot: int, link: bool = False) -> None:
        """A new leg, or the end of a link."""
        self._link[slot] = link
        self.more[slot] = self._busy if link else 0
        self._short[slot] = False
        self._wary[slot] = 0
        self._grown[slot] = self._gave[slot] = -_WARY_TICKS
        self.begin(slot)

    def begin(self, slot: int) -> None:
        """A new stream of the same leg."""
        self._worst[slot] = NO_MARGIN
        self._spare[slot] = self._low[slot] = self.debt[slot] = 0
        self.fell[slot] = False

    def late(self, slot: int, tick: int) -> None:
        """Something came too late, and the delay grew by that."""
        self._spare[slot] = 0
        self._grown[slot] = tick
        if self._link[slot]:
            self._wary[slot] = _MAX_WARY

    def tick_was_late(self, seconds: float, tick: int) -> None:
        """Our own tick was late, as those of other processes may be."""
        if seconds >= LATE_S:
            self._busy_tick = tick
            needed = FRAME if seconds < VERY_LATE_S else MOST_OF_LINKS
            if needed > self._busy:
                self._short |= self._link
                self._let_links_have(needed)

    def _let_links_have(self, samples: int) -> None:
        self._busy = samples
        self.more[self._link] = samples

    def overtaken(self, slot: int, samples: int, tick: int) -> None:
        """Something came too late by so much, and newer ones in time."""
        self.late(slot, tick)
        self.debt[slot] = min(int(self.debt[slot]), -samples)
        self.due[slot] = tick
        self.owing = True

    def look(self, margin: _I64, room: _I64, of_line: npt.NDArray[np.bool_], tick: int) -> None:
        """Every `LOOK_TICKS`: the smallest margin of each leg since the last look, how far its
        newest packet is ahead of the reader now, and whether it is a line."""
        if self._busy and tick - self._busy_tick > _BUSY_TICKS:
            self._busy_tick = tick
            self._let_links_have(self._busy - FRAME)
        part = slice(0, len(margin))
        link = self._link[part]
        # Of a link, what is beyond its reserve; a stall may take all of that.
        beyond = margin - self.more[part] if self._busy else margin
        debt, worst, spare = self.debt[part], self._worst[part], self._spare[part]
        wary, grown = self._wary[part], self._grown[part]
        known = (margin < NO_MARGIN) & ~self.fell[part]
        rich = known & (beyond >= MOST)
        worst[known] = np.where(rich, np.minimum(worst, beyond), NO_MARGIN)[known]
        spare[known] = np.where(rich, spare + 1, 0)[known]

        again = (tick - grown < LOOK_TICKS) & (grown - self._gave[part] < _WARY_TICKS)
        wary[again] = np.minimum(wary[again] + 1, _MAX_WARY)
        calm = (wary > 0) & (tick - grown > 3 * _WARY_TICKS)
        wary[calm] -= 1
        grown[calm] = tick - 2 * _WARY_TICKS

        # What is owed already: is it still?
        least = np.where(of_line, LEAST_OF_LINE, LEAST)
        small = known & (margin < least)
        debt[known & (debt < 0) & (beyond >= least)] = 0
        over = known & (debt > 0)
        debt[over] = np.clip(beyond[over] - TARGET, 0, debt[over])

        much = worst - TARGET >= MUCH
        give = rich & (spare >= np.where(much, 1, _PATIENCE) << wary)
        debt[give] = worst[give] - TARGET
        spare[give] = 0
        self._gave[part][give] = tick
        # A burst after a stall is late and early at once: it needs no more room.
        small &= room < MOST
        count = self._low[part]
        count[known] = np.where(small, count + 1, 0)[known]
        low = (count >= np.where(link, 1, _LOW_LOOKS)) & (debt == 0)
        count[low] = 0
        wary[low & link] = _MAX_WARY
        # The far end was late again, only not too late: what it has is in use.
        grown[known & link & ~rich & (wary > 0)] = tick
        debt[low] = margin[low] - TARGET
        if tick - self._busy_tick > LOOK_TICKS and self._short.any():
            short = self._short[part] & known
            self._short[part][short] = False
            short &= (beyond < least) & (debt <= 0)
            debt[short] = np.minimum(debt, beyond - TARGET)[short]
            low |= short
        due = self.due[part]
        due[give & much] = tick
        due[(give & ~much) | low] = tick + _UNHURRIED_TICKS
        worst[give] = NO_MARGIN
        self.fell[part] = False
        self.owing = bool(debt.any())
