"""The site document of a running box: it holds, is changed and taken back.

What is shown is what runs. A change is written beside the document first, then made to hold, and
becomes the document last (`SiteHistory.prepare`, `commit`): whatever fails on the way, the one
before is still both.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from appliance import ipc, live
from appliance.clock import Clock
from appliance.ivr.linter import usable
from appliance.sip.events import SipConfig
from appliance.site.effect import at_start, effective
from appliance.site.history import HISTORY, NothingBefore, Prepared, SiteHistory, Stale, Version
from appliance.site.load import parse
from appliance.site.model import Site
from appliance.site.problems import SiteError
from appliance.site.secrets import Secrets, SecretsError
from appliance.switch.core import Switch
from appliance.switch.setup import sip_config

log = logging.getLogger("centrala.switch")

PROMPTS_S: Final = 10.0
"""What a changed document says is spoken before it holds, if that takes no longer."""

Settle = Callable[[Callable[[int], None]], Awaitable[None]]
"""Have the switch take a step; returns when its facts are on disk."""


class SipDoor(Protocol):
    """What of `sip.endpoint.Endpoint` takes a document."""

    async def reconfigure(self, config: SipConfig) -> None: ...


class Voice(Protocol):
    """What of `switch.sounds.Sounds` takes a document."""

    async def first(self, site: Site) -> None: ...

    async def rest(self, site: Site) -> None: ...


class SiteDocument:
    """`site` is what holds. `file` is where the document lies; without one it cannot be changed.
    `changed` is called when another version holds."""

    def __init__(
        self,
        site: Site,
        data: Path,
        file: Path | None,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.site = site
        self._data = data
        self._history = None if file is None else SiteHistory(file, data / HISTORY, usable)
        self._clock = clock
        self._changed = changed
        self._changing = asyncio.Lock()
        self._waits: list[str] = []
        """What of the document takes effect with the next start."""

    @property
    def version(self) -> int:
        """Of what is shown; 0 without a file."""
        return 0 if self._history is None else self._history.newest

    async def start(self) -> None:
        """Take in what was changed in the file by hand while nothing ran."""
        if self._history is not None:
            await asyncio.to_thread(self._history.notice, self._clock.now())

    def serve(
        self,
        switch: Switch,
        door: SipDoor,
        voice: Voice,
        settle: Settle,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Changes can be made from now on."""
        self._switch = switch
        self._door = door
        self._voice = voice
        self._settle = settle
        self._tasks = tasks

    async def change(self, message: ipc.Incoming) -> None:
        """Answer `ChangeSite` or `UndoSite`: make another document hold, or the one before."""
        history = self._history
        if history is None:
            message.refuse("This box runs without a file of its site document.")
            return
        async with self._changing:
            try:
                prepared = await self._prepare(history, message.body)
                version, waits = await self._take(history, prepared)
            except SiteError as error:
                message.refuse(str(error))
            except Stale:
                message.refuse("Somebody else changed the document meanwhile. Load it again.")
            except NothingBefore:
                message.refuse("There is nothing to take back.")
            except SecretsError as error:
                message.refuse(str(error))
            except OSError as error:
                log.error("the site document cannot be changed: %s", error)
                message.refuse(f"The document cannot be taken into use: {error.strerror}.")
            else:
                log.warning("site document version %d by %s", version.number, version.author)
                message.reply(live.SiteChanged(version.number, tuple(waits)))

    async def _prepare(
        self, history: SiteHistory, request: live.ChangeSite | live.UndoSite
    ) -> Prepared:
        now = self._clock.now()
        if isinstance(request, live.UndoSite):
            return await asyncio.to_thread(history.prepare_undo, request.author, now)
        return await asyncio.to_thread(
            history.prepare, request.text, request.author, now, request.base
        )

    async def _take(self, history: SiteHistory, prepared: Prepared) -> tuple[Version, list[str]]:
        """Make it hold, then the document. Raises `SiteError`, `SecretsError` and OSError; what was
        before holds then."""
        before, waited = self.site, self._waits
        try:
            wanted = parse(prepared.text)
            waits = at_start(before, wanted)
            await self._hold(effective(before, wanted), waits)
        except Exception:
            await asyncio.to_thread(history.drop, prepared)
            raise
        try:
            version = await asyncio.to_thread(history.commit, prepared)
        except OSError:
            await self._hold(before, waited)
            raise
        self._changed()
        return version, waits

    async def _hold(self, site: Site, waits: list[str]) -> None:
        """From here on this document holds: words first, so that nobody hears a gap."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROMPTS_S):
                await self._voice.first(site)
        path = self._data / "secrets.toml"
        secrets = await asyncio.to_thread(Secrets.load, path)
        if secrets.ensure(site):
            await asyncio.to_thread(secrets.save)
        await self._door.reconfigure(sip_config(site, secrets))
        self.site, self._waits = site, waits

        def step(now: int) -> None:
            self._switch.reform(site, now)
            if waits:
                self._switch.w.alarm(
                    "site",
                    "info",
                    "A change waits for the next start",
                    f"Not in use yet: {', '.join(waits[:10])}.",
                    "Restart the box when nobody is on the phone.",
                )
            else:
                self._switch.w.clear("site")

        await self._settle(step)
        self._tasks.create_task(self._voice.rest(site))
