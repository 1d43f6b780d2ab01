"""The live state as pages get it: control's `Live`, today's figures, and whether control is there.

A page gets one whole snapshot, then numbered differences, each from the number it has to the
newest: a socket that is busy skips what came in between, and one that comes back with the number
it had gets what it missed. Texts are encoded once and shared by all sockets that need the same.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from appliance.live import Live
from appliance.web.diffs import diff
from appliance.web.masking import Mask

log = logging.getLogger("centrala.web")

FIGURES_GAP_S: Final = 0.5
"""Figures are computed at most this often."""
FIGURES_AGE_S: Final = 60.0
"""And at least this often: today ends at midnight without any fact."""


KEPT: Final = 64
"""States that a page may come back from with a difference: at five a second twelve seconds, in a
calm office hours."""


class Snapshot(msgspec.Struct, frozen=True):
    """The whole state. `seq` counts the states of this web process, which `boot` names; `now` is
    control's clock in UTC milliseconds when it was sent; `figures` by queue id."""

    type: str
    boot: str
    seq: int
    now: int
    control: str
    live: dict[str, Any] | None
    figures: dict[str, Any]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the state numbered `since`; see `appliance.web.diffs`. `figures` are those of
    queues whose figures changed."""

    type: str
    since: int
    seq: int
    now: int
    control: str
    live: dict[str, Any] = {}
    figures: dict[str, Any] = {}


class _State(msgspec.Struct, frozen=True):
    live: dict[str, Any] | None
    figures: dict[str, Any]


class LiveHub:
    def __init__(
        self,
        compute: Callable[[Live, int], dict[str, Any]],
        mask: Callable[[str | None], Mask] = lambda role: Mask(None),
    ) -> None:
        """`compute` reads the ledger for the figures of today; it is called in a thread. `mask`
        is what a role may see."""
        self._compute = compute
        self._mask = mask
        self._received = 0.0
        self._states: dict[str | None, OrderedDict[int, _State]] = {}
        """Those that were sent, by role and number."""
        self._texts: dict[tuple[str | None, int | None], str] = {}
        """Of the newest state: by role and the number a page has, None for one without."""
        self.boot = secrets.token_hex(4)
        self._figures: dict[str, Any] = {}
        self._wanted = asyncio.Event()
        self._listeners: set[asyncio.Event] = set()
        self.live: Live | None = None
        self.up = False
        self.seq = 0

    def now(self) -> int:
        """Control's clock as far as it is known here, UTC milliseconds."""
        if self.live is None:
            return time.time_ns() // 1_000_000
        return self.live.now + int((time.monotonic() - self._received) * 1000)

    def on_live(self, live: Live) -> None:
        moved = self.live is None or self.live.facts != live.facts
        self.live, self._received = live, time.monotonic()
        if moved:
            self._wanted.set()
        self.publish()

    def on_up(self) -> None:
        self.up = True
        self.publish()

    def on_away(self) -> None:
        self.up = False
        self.publish()

    def publish(self) -> None:
        self.seq += 1
        self._texts.clear()
        for listener in self._listeners:
            listener.set()

    def listen(self) -> asyncio.Event:
        """An event that is set at once and at each change, until `unlisten`."""
        listener = asyncio.Event()
        listener.set()
        self._listeners.add(listener)
        return listener

    def unlisten(self, listener: asyncio.Event) -> None:
        self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def boot_of(self, role: str | None) -> str:
        """This process and what a role sees of it: states of different roles never mix."""
        return f"{self.boot}-{role or 'board'}"

    def text(self, since: int | None = None, role: str | None = None) -> str:
        """The newest state as JSON, as people of this role may see it: the difference to the one
        numbered `since`, or the whole when that is not known (any more)."""
        if since is None or since == self.seq or since not in self._states.get(role, ()):
            since = None
        text = self._texts.get((role, since))
        if text is None:
            text = self._texts[role, since] = self._encode(since, role)
        return text

    def _encode(self, since: int | None, role: str | None) -> str:
        new = self._state(role)
        control = "up" if self.up else "away"
        old = None if since is None else self._states[role][since]
        message: Snapshot | Difference
        if since is None or old is None or old.live is None or new.live is None:
            message = Snapshot(
                "live", self.boot_of(role), self.seq, self.now(), control, new.live, new.figures
            )
        else:
            figures = {
                queue: one for queue, one in new.figures.items() if old.figures.get(queue) != one
            }
            message = Difference(
                "diff", since, self.seq, self.now(), control, diff(old.live, new.live), figures
            )
        return msgspec.json.encode(message).decode()

    def _state(self, role: str | None) -> _State:
        """The newest state, kept for differences to come."""
        states = self._states.setdefault(role, OrderedDict())
        state = states.get(self.seq)
        if state is None:
            shown = self._mask(role).live(self.live)
            live = None if shown is None else msgspec.to_builtins(shown)
            state = states[self.seq] = _State(live, self._figures)
            while len(states) > KEPT:
                states.popitem(last=False)
        return state

    async def run(self) -> None:
        """Keeps the figures fresh; runs until cancelled."""
        while True:
            try:
                async with asyncio.timeout(FIGURES_AGE_S):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            if self.live is not None:
                try:
                    figures = await asyncio.to_thread(self._compute, self.live, self.now())
                except Exception:  # old figures on the board beat no board
                    log.exception("the figures of today could not be computed")
                else:
                    if figures != self._figures:
                        self._figures = figures
                        self.publish()
            await asyncio.sleep(FIGURES_GAP_S)
