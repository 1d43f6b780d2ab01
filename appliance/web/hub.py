"""The live state as pages get it: control's `Live`, today's figures, and whether control is there.

One text is encoded per change and role, and shared by all sockets. A socket that is busy skips to the
newest text: state is replaced, never queued.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from appliance.live import Live
from appliance.web.masking import Mask

log = logging.getLogger("centrala.web")

FIGURES_GAP_S: Final = 0.5
"""Figures are computed at most this often."""
FIGURES_AGE_S: Final = 60.0
"""And at least this often: today ends at midnight without any fact."""


class Snapshot(msgspec.Struct, frozen=True):
    """What a page gets over the live socket. `seq` counts this process's snapshots; `now` is
    control's clock in UTC milliseconds when it was sent; `figures` by queue id."""

    type: str
    seq: int
    now: int
    control: str
    live: Live | None
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
        self._texts: dict[str | None, str] = {}
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

    def text(self, role: str | None = None) -> str:
        """The newest snapshot as JSON, as people of this role may see it."""
        if role not in self._texts:
            control = "up" if self.up else "away"
            shown = self._mask(role).live(self.live)
            snapshot = Snapshot("live", self.seq, self.now(), control, shown, self._figures)
            self._texts[role] = msgspec.json.encode(snapshot).decode()
        return self._texts[role]

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
