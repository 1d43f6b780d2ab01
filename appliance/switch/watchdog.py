"""Which media process hangs: alive by the kernel's word, and doing nothing. Pure.

The death of a process is told by its connection. One that hangs (stopped, in an endless loop,
waiting for a disk that is gone) holds its connection, its ports and its lines, and its calls stay
silent. So a media process says something every second, calls or none, and only while its ticks end
(`MediaStats`, `Alive`); who has said nothing for `HUNG_S` is to be killed, and what follows is what
follows any death.

How long that is: a false alarm costs every call of the process half a second, and ends those on
analog lines; a late one costs silence. The longest that a sound process has been seen to say
nothing is 1 to 2 s on the SD card of a Raspberry Pi, and 2.5 s there when aiortc is loaded for the
first browser; people hang up on silence after eight seconds or more. Hence 5 s, after which sound
is back within half a second. A process that has not said its first word yet has no calls, and the
machine may be starting: it gets longer.

Only time in which control itself was at work counts: each check adds at most two of its own
intervals, whatever the clock says. So a machine that stood still, slept or was too busy for control
accuses nobody, and what arrived meanwhile is read before anybody is judged.
"""

from __future__ import annotations

from typing import Final

CHECK_S: Final = 0.25
HUNG_S: Final = 5.0
FIRST_WORD_S: Final = 15.0


class Watchdog:
    """Processes are those between `connected` and `gone`. `now` is any clock in seconds, `check`
    wants to be called each `CHECK_S`."""

    def __init__(self) -> None:
        self._checked: float | None = None
        self._worked = 0.0
        """Seconds that control was at work."""
        self._until: dict[int, float] = {}
        """Process -> how far `_worked` may come without a word from it."""

    def connected(self, process: int) -> None:
        self._until[process] = self._worked + FIRST_WORD_S

    def heard(self, process: int) -> None:
        """It said something."""
        if process in self._until:
            self._until[process] = self._worked + HUNG_S

    def gone(self, process: int) -> None:
        self._until.pop(process, None)

    def check(self, now: float) -> list[int]:
        """Those that hang, each told once."""
        if self._checked is not None:
            self._worked += min(max(0.0, now - self._checked), 2 * CHECK_S)
        self._checked = now
        hung = [process for process, until in self._until.items() if self._worked > until]
        for process in hung:
            del self._until[process]
        return hung
