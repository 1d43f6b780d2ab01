"""What the routes share: the site, control, the live state, sessions and the ledger to read."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends
from starlette.requests import HTTPConnection

from appliance.ipc import Disconnected, Refused
from appliance.ledger.reader import Reader
from appliance.live import AgentPresence, Done, Live
from appliance.numbering import numbering
from appliance.reports.missed_list import MissedList
from appliance.reports.today import QueueRules, today_figures
from appliance.site.history import HISTORY, SiteHistory
from appliance.site.load import parse
from appliance.site.model import Person, Site
from appliance.site.problems import SiteError
from appliance.site.secrets import Secrets
from appliance.web.allowance import Allowance
from appliance.web.attempts import Attempts
from appliance.web.control import ControlAway, ControlLink
from appliance.web.errors import Problem
from appliance.web.hub import LiveHub
from appliance.web.masking import Mask, mask_for
from appliance.web.sessions import Session, Sessions

COOKIE = "centrala"
T = TypeVar("T")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class SignedIn(msgspec.Struct, frozen=True):
    """Who makes a request."""

    id: str
    person: Person
    session: Session


class Office:
    """One per web process. `open` it, run `hub.run()` and `link.run()`, `close` it."""

    def __init__(self, site: Site, data: Path, control_socket: Path, sessions: Sessions) -> None:
        self.site = site
        self.data = data
        self.sessions = sessions
        self._reader = Reader(data / "ledger.db")
        self._figures_reader = Reader(data / "ledger.db")
        """Apart from the other, so that figures never wait for a long list."""
        self.attempts = Attempts()
        self.asking = Allowance(60, 600_000)
        """Call-backs that one agent or program may ask for."""
        self.asked = Allowance(3, 3_600_000)
        """And for one number, by programs: nobody's phone is made to ring by a stranger."""
        plan = numbering(site.office.country, site.office.area)
        self.missed = MissedList(lambda number: plan.key(number) or "")
        self.row_secret = secrets.token_bytes(32)
        self.hashing = asyncio.Semaphore(2)
        """Argon2id takes 19 MiB and tens of milliseconds of a core each."""
        self.hub = LiveHub(self._figures, lambda role: mask_for(self.site, role))
        self._site_version = 0
        self.link = ControlLink(
            control_socket, self._on_live, self.hub.on_away, self._on_control_up
        )
        self.pages: dict[tuple[str, str], int] = defaultdict(int)
        """Open live sockets by person and page session."""
        self.audio: dict[str, str] = {}
        """The page session that has the sound, by person."""
        self._secrets: tuple[tuple[int, int, int], Secrets] | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, site: Site, data: Path, control_socket: Path) -> Office:
        sessions = await Sessions.open(data / "web.db", now_ms())
        return cls(site, data, control_socket, sessions)

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.sessions.close()
        self._reader.close()
        self._figures_reader.close()

    # --- the site document ----------------------------------------------------------------

    def history(self) -> SiteHistory:
        """The document's versions as they are on disk. Blocks; only control writes them."""
        return SiteHistory(self.data / "site.toml", self.data / HISTORY)

    def _on_live(self, live: Live) -> None:
        if live.site and live.site != self._site_version:
            self._site_version = live.site
            self._spawn(self._read_site(live.site))
        self.hub.on_live(live)

    async def _read_site(self, version: int) -> None:
        """Take up the document that control says holds: people, roles, names."""
        text = await asyncio.to_thread(lambda: self.history().text(version))
        try:
            site = None if text is None else await asyncio.to_thread(parse, text)
        except SiteError:
            site = None
        if site is not None and version == self._site_version:
            self.site = site
            self.hub.publish()  # who may see which numbers may have changed

    # --- reading --------------------------------------------------------------------------

    async def read(self, question: Callable[[Reader], T]) -> T:
        """Ask the ledger, in a thread."""
        return await asyncio.to_thread(question, self._reader)

    def _figures(self, live: Live, now: int) -> dict[str, Any]:
        rules = {
            one.id: QueueRules(one.service_level_s, one.short_abandon_s) for one in live.queues
        }
        figures = today_figures(self._figures_reader, rules, self.site.office.zone, now)
        return {queue: asdict(one) for queue, one in figures.items()}

    def secrets(self) -> Secrets:
        """The secrets file as it is now: a password changed on the box holds at once. Blocks; call
        it in a thread. Raises SecretsError."""
        path = self.data / "secrets.toml"
        try:
            found = path.stat()
            version = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            version = (0, 0, 0)
        # Loading costs one hash of its own, as long as a sign-in; the copy saves it.
        if self._secrets is None or self._secrets[0] != version:
            self._secrets = (version, Secrets.load(path))
        return self._secrets[1]

    def mask(self, who: SignedIn) -> Mask:
        """What this person may see of numbers."""
        return mask_for(self.site, who.person.role)

    # --- who ------------------------------------------------------------------------------

    async def signed_in(self, connection: HTTPConnection) -> SignedIn | None:
        token = connection.cookies.get(cookie_name(connection))
        if not token or len(token) > 100:
            return None
        session = await self.sessions.find(token, now_ms())
        if session is None:
            return None
        person = self.site.people.get(session.person)
        if person is None or person.role != session.role:
            await self.sessions.end(session.key)
            return None
        return SignedIn(session.person, person, session)

    # --- pages of agents ------------------------------------------------------------------

    def page_opened(self, person: str, session: str) -> None:
        self.pages[person, session] += 1
        if self.pages[person, session] == 1:
            self._tell(AgentPresence(person, session, True))

    def page_closed(self, person: str, session: str) -> None:
        self.pages[person, session] -= 1
        if self.pages[person, session] <= 0:
            del self.pages[person, session]
            if self.audio.get(person) == session:
                del self.audio[person]
                self.hub.publish()
            self._tell(AgentPresence(person, session, False))

    def _on_control_up(self) -> None:
        self.hub.on_up()
        for person, session in list(self.pages):
            self._tell(AgentPresence(person, session, True))

    def _tell(self, presence: AgentPresence) -> None:
        async def tell() -> None:
            try:
                await self.link.ask(presence, Done)
            except (Refused, ControlAway, Disconnected):
                # Not an agent, or control is away: it hears of all pages when it is back.
                return

        self._spawn(tell())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def cookie_name(connection: HTTPConnection) -> str:
    """`__Host-` binds the cookie to this very host over HTTPS; plain HTTP is for the box itself."""
    secure = connection.scope["scheme"] in ("https", "wss")
    return f"__Host-{COOKIE}" if secure else COOKIE


def office_of(connection: HTTPConnection) -> Office:
    office: Office = connection.app.state.office
    return office


async def _anybody(connection: HTTPConnection) -> SignedIn | None:
    who = await office_of(connection).signed_in(connection)
    if who is not None and connection.scope["type"] == "http":
        await office_of(connection).sessions.touch(who.session.key, now_ms())
    return who


async def _somebody(who: Annotated[SignedIn | None, Depends(_anybody)]) -> SignedIn:
    if who is None:
        raise Problem(401, "sign_in", "Please sign in.")
    return who


TheOffice = Annotated[Office, Depends(office_of)]
Anybody = Annotated[SignedIn | None, Depends(_anybody)]
"""The person of a request, None when nobody is signed in."""
Somebody = Annotated[SignedIn, Depends(_somebody)]
"""The person of a request; without one the answer is 401."""
