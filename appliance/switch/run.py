"""The control process around the switch: sockets, timers, the ledger, nothing that decides.

One loop takes what happened, lets the switch take its steps, writes the facts of all of them in
one commit, and only then carries the actions out. While a commit is under way events gather and
make the next group larger; nothing is done that is not on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from appliance import ipc, live
from appliance.acd import events as acd
from appliance.clock import Clock
from appliance.events import (
    Fact,
    LineSeized,
    MessageDeleted,
    MessageDropped,
    RecordingEnded,
    RecordingStarted,
)
from appliance.ledger.errors import LedgerFull
from appliance.ledger.reader import Reader
from appliance.ledger.retention import delete_expired, kept_since
from appliance.ledger.writer import Ledger
from appliance.media import protocol as p
from appliance.media.client import MediaClient
from appliance.media.finish import measure
from appliance.media.prompts import PromptStore
from appliance.media.wav import WavError
from appliance.sip import events as sip
from appliance.sip import sdp
from appliance.sip.dialog import SavedDialog
from appliance.sip.endpoint import Endpoint, Kept
from appliance.sip.events import PhoneTarget, TrunkTarget
from appliance.sip.registrar import SavedBinding
from appliance.sip.subscription import SavedSubscription
from appliance.site.model import Site
from appliance.site.secrets import Secrets, SecretsError
from appliance.site.sounds import used_sounds
from appliance.switch import actions as act
from appliance.switch import legs, personal
from appliance.switch.contacts import load_saved, save
from appliance.switch.core import Switch
from appliance.switch.document import SiteDocument
from appliance.switch.finishing import Finishing
from appliance.switch.journal import Journal
from appliance.switch.pool import MediaPool, link_ports
from appliance.switch.ports import PortPool
from appliance.switch.programs import Programs
from appliance.switch.requests import Unwilling
from appliance.switch.setup import media_setup, sip_config, tls_context
from appliance.switch.snapshot import snapshot
from appliance.switch.sounds import Sounds
from appliance.switch.watchdog import CHECK_S, Watchdog

log = logging.getLogger("centrala.switch")

PUBLISH_S: Final = 0.05
"""Pages get at most twenty states a second."""
RETRY_FULL_S: Final = 1.0
MAX_UNSAVED: Final = 500_000
"""Facts kept in memory while the disk takes none: days of a busy office. Beyond that the newest
are lost; what they would have closed is closed at the next start."""
ALIVE_S: Final = 10.0
DAY_MS: Final = 86_400_000
RETENTION_S: Final = 3600.0
GONE_MS: Final = 2 * DAY_MS
"""Sounds of messages that went so long ago are removed at the start, if a crash left them."""
CONTACTS_S: Final = 30.0
"""Refreshed registrations reach the file this often."""
PEER_TIMEOUT_S: Final = 8.0
STOP_RECORDINGS_S: Final = 3.0

Step = Callable[[int], None]


class Control:
    """The control process. `run` ends when cancelled or after `stop`. `document` is the file of
    the site document; without it the document cannot be changed."""

    def __init__(
        self,
        site: Site,
        data: Path,
        *,
        media_sockets: Sequence[Path],
        control_socket: Path,
        document: Path | None = None,
    ) -> None:
        self.data = data
        self.clock = Clock()
        self._document = SiteDocument(site, data, document, self.clock, self._note_change)
        boot = _base36(self.clock.now())
        self._ids = 0
        self._boot = boot
        self.switch = Switch(site, str(data), self._new_id)
        self._media_sockets = media_sockets
        self._control_socket = control_socket
        self._media = [MediaClient() for _ in media_sockets]
        self._pool = MediaPool(
            len(media_sockets), PortPool(*link_ports(site.sip.rtp_ports)), media_setup(site)
        )
        self._watchdog = Watchdog()
        self._finishing = Finishing(data, lambda: self.site.recording.format)
        self._recording_paths: dict[str, str] = {}
        self._steps: deque[Step] = deque()
        self._replies: deque[Callable[[], None]] = deque()
        """Answers to requests, given when the facts of their step are on disk."""
        self._wake = asyncio.Event()
        self._contacts_changed = asyncio.Event()
        self._desks_changed = asyncio.Event()
        self._dialogs = Journal(data / "dialogs.jsonl", SavedDialog)
        self._kept: list[Kept] = []
        """Changes that are yet to be written to `_dialogs`."""
        self._kept_changed = asyncio.Event()
        self._pins: asyncio.Queue[act.CheckPin] = asyncio.Queue()
        self._unsaved: list[Fact] = []
        self._facts = 0
        self._retry_at = 0.0
        self._seq = 0
        self._published_at = 0.0
        self._changed = True
        self._subscribers: set[ipc.Connection] = set()
        self._sip_names: dict[str, str] = {}
        """Endpoint's key -> the switch's name, for calls that the switch started."""
        self._sip_keys: dict[str, str] = {}
        self._offers: dict[int, asyncio.Future[p.PeerAnswer]] = {}
        self._programs = Programs()
        self._stopping = False
        self._prompts_ready = False

    @property
    def site(self) -> Site:
        """The document that holds."""
        return self._document.site

    def _new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}{self._boot}-{self._ids}"

    # --- life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled; then stop in order."""
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "recordings").mkdir(exist_ok=True)
        secrets = Secrets.load(self.data / "secrets.toml")
        if secrets.ensure(self.site):
            secrets.save()
        await self._document.start()
        self._ledger = await Ledger.open(
            self.data / "ledger.db", self.clock.now(), repair=self._repair
        )
        self._facts = self._ledger.last_seq
        self.clock.not_before(self._ledger.last_at)
        await self._remember_agents()
        await self._remember_spending()
        await self._remember_callbacks()
        await self._remember_messages()
        personal.restore(self.switch.w, load_saved(self.data / "desks.json", personal.SavedDesk))
        self._endpoint = Endpoint(
            sip_config(self.site, secrets),
            self._on_sip,
            clock=self.clock.now,
            tls=await asyncio.to_thread(tls_context, self.site, self.data),
            on_kept=self._on_kept,
        )
        try:
            async with asyncio.TaskGroup() as audio:
                # Stopping in order still needs them, so they outlive everything else.
                loops = [audio.create_task(self._media_loop(n)) for n in range(len(self._media))]
                loops.append(audio.create_task(self._watch_media()))
                try:
                    await self._serve()
                except asyncio.CancelledError:
                    await self._stop()
                    raise
                finally:
                    for loop in loops:
                        loop.cancel()
        finally:
            await self._ledger.close()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._sounds = Sounds(
                PromptStore(self.data), self.data, tasks, self._send_media, self._on_media
            )
            self._document.serve(self.switch, self._endpoint, self._sounds, self._settle, tasks)
            tasks.create_task(self._warm())
            tasks.create_task(self._mark_alive())
            tasks.create_task(self._delete_old_recordings())
            tasks.create_task(self._finishing.run())
            await self._endpoint.start()
            # What phones watch is known before they are: none is told twice.
            for action in self.switch.take_published():
                self._carry_out(action)
            watching = load_saved(self.data / "subscriptions.json", SavedSubscription)
            self._endpoint.restore_subscriptions(watching)
            self._endpoint.restore_bindings(load_saved(self.data / "phones.json", SavedBinding))
            # No call outlives this process: whoever is still in one is told that it is over.
            self._endpoint.end_dialogs(await asyncio.to_thread(self._dialogs.load))
            tasks.create_task(self._keep_dialogs())
            tasks.create_task(self._keep_contacts())
            tasks.create_task(self._keep_desks())
            tasks.create_task(self._check_pins())
            server = await ipc.serve(self._control_socket, live.Request, self._on_client)
            pump = tasks.create_task(self._pump())
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                pump.cancel()

    async def _warm(self) -> None:
        await self._sounds.first(self.site)
        self._prompts_ready = True
        self._note_change()
        await self._sounds.rest(self.site)

    async def _mark_alive(self) -> None:
        """Tell the ledger now and then that we live: it bounds what a crash can distort."""
        while True:
            await asyncio.sleep(ALIVE_S)
            with contextlib.suppress(LedgerFull):
                await self._ledger.alive(self.clock.now())

    async def _delete_old_recordings(self) -> None:
        """Once an hour: the days whose time is over, by the office's calendar."""
        while True:
            now = datetime.fromtimestamp(self.clock.now() / 1000, self.site.office.zone)
            keep = self.site.recording.keep_days
            try:
                gone = await asyncio.to_thread(
                    delete_expired, self.data / "recordings", now.date(), keep
                )
            except OSError as error:
                log.error("old recordings cannot be deleted: %s", error)
            else:
                self._push(lambda at: self.switch.forget_messages(self._kept_since(at), at))
                for day in gone:
                    log.warning("recordings of %s deleted: older than %d days", day, keep)
            await asyncio.sleep(RETENTION_S)

    async def _remember_agents(self) -> None:
        """Read who spoke with whom, as far back as a queue wants to know."""
        days = max((queue.last_agent_days for queue in self.site.queues.values()), default=0)
        if not days:
            return
        now = self.clock.now()
        reader = Reader(self.data / "ledger.db")
        try:
            entries = await asyncio.to_thread(reader.entries, now - days * DAY_MS, now)
        finally:
            reader.close()
        self.switch.remember(
            (
                acd.Spoke(entry.agent, entry.caller, entry.connect_at)
                for entry in entries
                if entry.connect_at is not None
                and entry.agent in self.site.people
                and entry.caller is not None
            ),
            now,
        )

    async def _remember_spending(self) -> None:
        """Read what was dialled today, so that a restart does not lift the ceilings."""
        now = self.clock.now()
        today = datetime.fromtimestamp(now / 1000, self.site.office.zone).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        reader = Reader(self.data / "ledger.db")

        def dialled() -> list[Fact]:
            seized = reader.line_facts(int(today.timestamp() * 1000), now + 1)
            calls = {fact.call for fact in seized if isinstance(fact, LineSeized)}
            return [stored.fact for call in calls for stored in reader.call_facts(call)]

        try:
            facts = await asyncio.to_thread(dialled)
        finally:
            reader.close()
        self.switch.restore(facts, now)

    async def _remember_callbacks(self) -> None:
        """Read whom we still owe a call."""
        reader = Reader(self.data / "ledger.db")
        try:
            past = await asyncio.to_thread(reader.open_callbacks)
        finally:
            reader.close()
        self.switch.remember_callbacks(past, self.clock.now())

    async def _remember_messages(self) -> None:
        """Read what lies in the boxes and is still on the disk."""
        now = self.clock.now()
        reader = Reader(self.data / "ledger.db")
        try:
            rows = await asyncio.to_thread(reader.messages, self._kept_since(now))
            gone = await asyncio.to_thread(reader.messages_gone, now - GONE_MS)
        finally:
            reader.close()
        for path in gone:
            self._finishing.discard(path)
        self.switch.remember_messages(rows, now)

    def _kept_since(self, now: int) -> int:
        """Recordings of this moment and later are kept, see `delete_expired`."""
        return kept_since(now, self.site.office.zone, self.site.recording.keep_days)

    async def _keep_contacts(self) -> None:
        """Save where the phones are, soon after it changed and while they stay."""
        path = self.data / "phones.json"
        saved: list[SavedBinding] = []
        watched: list[SavedSubscription] = []
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONTACTS_S):
                    await self._contacts_changed.wait()
            self._contacts_changed.clear()
            watching = self._endpoint.saved_subscriptions()
            if watching != watched:
                await asyncio.to_thread(save, self.data / "subscriptions.json", watching)
                watched = watching
            contacts = self._endpoint.saved_bindings()
            if contacts != saved:
                await asyncio.to_thread(save, path, contacts)
                saved = contacts

    async def _keep_dialogs(self) -> None:
        """Save how the answered calls could be ended by a later process, as they come and go."""
        while True:
            await self._kept_changed.wait()
            self._kept_changed.clear()
            await self._write_dialogs()

    async def _write_dialogs(self) -> None:
        kept, self._kept = self._kept, []
        await asyncio.to_thread(self._dialogs.write, kept)

    async def _keep_desks(self) -> None:
        """Save what people set for themselves whenever it changed."""
        while True:
            await self._desks_changed.wait()
            self._desks_changed.clear()
            desks = personal.saved(self.switch.w)
            await asyncio.to_thread(save, self.data / "desks.json", desks)

    async def _check_pins(self) -> None:
        """One PIN at a time: it takes a core, and nobody gets ahead by asking much at once."""
        path = self.data / "secrets.toml"

        def right(check: act.CheckPin) -> bool:
            return Secrets.load(path).verify_pin(check.person, check.pin)

        while True:
            check = await self._pins.get()
            try:
                ok = await asyncio.to_thread(right, check)
            except SecretsError as error:
                log.error("%s", error)
                ok = False
            self._push(functools.partial(self.switch.pin_checked, check.call, ok))

    def _repair(self, path: str) -> int:
        """Duration in ms of a recording that a crash left open; 0 when there is no such file."""
        try:
            return measure(self.data / path)
        except (OSError, WavError) as error:
            log.error("recording %s cannot be repaired: %s", path, error)
            return 0

    async def _stop(self) -> None:
        """Say goodbye to every call, wait a little for the recordings, close the books."""
        self._stopping = True
        running = set(self.switch.w.recordings)
        self.switch.stop(self.clock.now())
        facts, actions = self.switch.take()
        last = facts.pop()
        await self._append(facts)
        for action in actions:
            self._carry_out(action)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_RECORDINGS_S):
                await asyncio.gather(self._endpoint.stop(), self._await_closed(running))
        await self._write_dialogs()
        await self._append([last])

    async def _await_closed(self, recordings: set[str]) -> None:
        """Take the steps that the media processes bring until these are closed."""
        while True:
            self._wake.clear()
            while self._steps:
                self._steps.popleft()(self.clock.now())
            await self._append(self.switch.take()[0])
            if not recordings & self._pool.recordings:
                return
            await self._wake.wait()

    # --- the loop ---------------------------------------------------------------------------

    def _push(self, step: Step) -> None:
        self._steps.append(step)
        self._wake.set()

    def _note_change(self) -> None:
        self._changed = True
        self._wake.set()

    async def _pump(self) -> None:
        """Steps, one commit, actions; then publish; then wait for more or for a deadline."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now = self.clock.now()
            worked = bool(self._steps)
            while self._steps:
                self._steps.popleft()(now)
            due = self.switch.next_deadline()
            if due is not None and due <= now:
                self.switch.tick(now)
                worked = True
            facts, actions = self.switch.take()
            if self.switch.w.desks_changed:
                self.switch.w.desks_changed = False
                self._desks_changed.set()
            if facts or (self._unsaved and loop.time() >= self._retry_at):
                await self._append(facts)
            for action in actions:
                self._carry_out(action)
            while self._replies:
                self._replies.popleft()()
            if not self.switch.w.calls:
                self.clock.follow()
            self._changed = self._changed or worked or bool(facts)
            publish_in = self._publish(loop.time())
            await self._sleep(publish_in)

    async def _sleep(self, publish_in: float | None) -> None:
        waits = [] if publish_in is None else [publish_in]
        due = self.switch.next_deadline()
        if due is not None:
            waits.append(max(0.0, (due - self.clock.now()) / 1000))
        if self._unsaved:
            waits.append(RETRY_FULL_S)
        if self._steps:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(waits) if waits else None):
                await self._wake.wait()

    async def _append(self, facts: list[Fact]) -> None:
        """Write facts; a full disk is an alarm and a retry, never a lost call."""
        waiting = self._unsaved + facts
        if not waiting:
            return
        w = self.switch.w
        try:
            self._facts = await self._ledger.append(waiting)
        except LedgerFull as error:
            self._unsaved = waiting[:MAX_UNSAVED]
            self._retry_at = asyncio.get_running_loop().time() + RETRY_FULL_S
            w.alarm(
                "ledger",
                "critical",
                "Calls cannot be written to disk",
                str(error),
                "Make room on the disk now; until then calls are kept in memory only.",
            )
        else:
            self._unsaved = []
            w.clear("ledger")
            self._finish_recordings(waiting)

    def _finish_recordings(self, facts: list[Fact]) -> None:
        """Those that ended, as the ledger has it."""
        for fact in facts:
            if isinstance(fact, RecordingStarted):
                self._recording_paths[fact.recording] = fact.path
            elif isinstance(fact, MessageDropped | MessageDeleted):
                self._finishing.discard(fact.path)
            elif isinstance(fact, RecordingEnded):
                path = self._recording_paths.pop(fact.recording, None)
                if path is not None:
                    self._finishing.add(path)

    # --- publishing -------------------------------------------------------------------------

    def _publish(self, now_s: float) -> float | None:
        """Send the state if it changed; returns the wait until it may be sent, or None."""
        if not self._changed or not self._subscribers:
            return None
        wait = self._published_at + PUBLISH_S - now_s
        if wait > 0:
            return wait
        self._published_at = now_s
        self._changed = False
        state = self._snapshot()
        for subscriber in list(self._subscribers):
            subscriber.post(state)
            if subscriber.closed:
                self._subscribers.discard(subscriber)
        return None

    def _snapshot(self) -> live.Live:
        self._seq += 1
        return snapshot(
            self.switch.w,
            seq=self._seq,
            now=self.clock.now(),
            ready=self._health().status != "starting",
            facts=self._facts,
            version=self._document.version,
        )

    def _health(self) -> live.Health:
        missing = []
        if not self.switch.w.media_ready:
            missing.append("The audio process is starting.")
        if not self._prompts_ready:
            missing.append("Prompts are being prepared.")
        if missing:
            return live.Health("starting", tuple(missing))
        critical = [a for a in self.switch.w.alarms.values() if a.severity == "critical"]
        if critical:
            return live.Health("degraded", tuple(f"{a.title}: {a.detail}" for a in critical))
        return live.Health("ready")

    # --- actions ----------------------------------------------------------------------------

    def _send_media(self, command: p.Command) -> None:
        self._pool.command(command, self.clock.now())
        self._pass_on()

    def _pass_on(self) -> None:
        """What the pool has to say: to the media processes now, to the switch as steps."""
        commands, events = self._pool.take()
        for process, command in commands:
            self._media[process].send(command)
        for event in events:
            self._on_media(event)

    def _carry_out(self, action: act.Action) -> None:
        match action:
            case act.Media(command=command):
                if isinstance(command, p.CloseLeg):
                    self._sounds.forget(command.leg)
                self._send_media(command)
            case act.Speak():
                self._sounds.speak(action)
            case act.Hush(leg=leg):
                self._sounds.hush(leg)
            case act.HoldMusic(leg=leg, file=file):
                self._sounds.music(leg, file)
            case act.SipPublish():
                self._endpoint.publish(action.package, action.resource, action.state)
            case act.CheckPin():
                self._pins.put_nowait(action)
            case act.SipInvite():
                self._invite(action)
            case act.SipRing(sip=name):
                self._endpoint.ring(self._key_of(name))
            case act.SipAnswer(sip=name, sdp=text):
                self._endpoint.answer(self._key_of(name), text)
            case act.SipReject(sip=name, code=code):
                self._endpoint.reject(self._key_of(name), code)
            case act.SipReanswer(sip=name, sdp=text):
                self._endpoint.reanswer(self._key_of(name), text)
            case act.AskProgram():
                self._tasks.create_task(self._ask_program(action))
            case act.SipReferDone(sip=name, code=code):
                self._endpoint.refer_done(self._key_of(name), code)
            case act.SipHangUp(sip=name):
                key = self._key_of(name)
                self._endpoint.hangup(key)
                self._forget_sip(key)

    def _invite(self, action: act.SipInvite) -> None:
        target: PhoneTarget | TrunkTarget
        if action.trunk is None:
            target = PhoneTarget(action.target)
        else:
            target = TrunkTarget(action.trunk, action.target, action.withheld, action.headers)
        port = action.port
        leg = self.switch.w.by_sip.get(action.sip)

        def make_offer(local_host: str) -> str:
            if leg is None:
                return sdp.make_offer(local_host, port)
            leg.local_host = local_host
            return legs.make_offer(self.switch.w, leg, port)

        key = self._endpoint.invite(
            target,
            caller_number=action.caller,
            caller_name=action.caller_name,
            make_offer=make_offer,
        )
        self._sip_names[key] = action.sip
        self._sip_keys[action.sip] = key

    def _key_of(self, name: str) -> str:
        return self._sip_keys.get(name, name)

    def _forget_sip(self, key: str) -> None:
        name = self._sip_names.pop(key, None)
        if name is not None:
            self._sip_keys.pop(name, None)

    async def _ask_program(self, action: act.AskProgram) -> None:
        values = await self._programs.ask(action.url, action.body, action.timeout_ms / 1000)
        self._push(lambda now: self.switch.program_answered(action.call, action.token, values, now))

    # --- events -----------------------------------------------------------------------------

    def _on_sip(self, event: sip.Event) -> None:
        if isinstance(event, sip.Registered | sip.Unregistered):
            self._contacts_changed.set()
        key = getattr(event, "call", None)
        if key is not None and key in self._sip_names:
            named: sip.Event = dataclasses.replace(event, call=self._sip_names[key])  # type: ignore[arg-type]
            if isinstance(event, sip.Failed | sip.HungUp):
                self._forget_sip(key)
            event = named
        if isinstance(event, sip.Referred) and event.replaces is not None:
            replaced = self._sip_names.get(event.replaces, event.replaces)
            event = dataclasses.replace(event, replaces=replaced)
        self._push(lambda now: self.switch.handle(event, now))

    def _on_kept(self, changes: list[Kept]) -> None:
        self._kept += changes
        self._kept_changed.set()

    def _on_media(self, event: p.Event) -> None:
        if isinstance(event, p.PeerAnswer):
            future = self._offers.pop(event.ref, None)
            if future is not None and not future.done():
                future.set_result(event)
            return
        self._push(lambda now: self.switch.handle(event, now))

    async def _media_loop(self, process: int) -> None:
        """Keep a connection to a media process; tell the switch when it comes and goes."""
        client, path = self._media[process], self._media_sockets[process]
        while True:
            try:
                await client.connect(path, patience=3600)
            except ipc.Disconnected:
                continue
            self._watchdog.connected(process)
            self._pool.connected(process)
            self._pass_on()
            async for event in client.events():
                self._watchdog.heard(process)
                self._pool.event(process, event, self.clock.now())
                self._pass_on()
                if isinstance(event, p.MediaReady) and self._pool.complete:
                    self._push(self.switch.media_up)
            self._watchdog.gone(process)
            if self._stopping:
                return
            log.error("media process %d is gone; waiting for it to come back", process)
            self._pool.lost(process, self.clock.now())
            self._pass_on()
            left = self._pool.ready
            self._push(partial(self.switch.media_lost, left=left, legs=self._pool.legs_of(process)))

    async def _watch_media(self) -> None:
        """End media processes that hang; what their death leads to is in `_media_loop`."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_S)
            for process in self._watchdog.check(loop.time()):
                try:
                    pid = self._media[process].kill()
                except PermissionError as error:
                    log.error("media process %d hangs and cannot be killed: %s", process, error)
                else:
                    log.error("media process %d hangs: killed (%s)", process, pid)

    # --- clients (the web process) ----------------------------------------------------------

    async def _on_client(self, connection: ipc.Connection) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                async for message in connection.messages():
                    match message.body:
                        case live.Subscribe():
                            message.reply(live.Done())
                            self._subscribers.add(connection)
                            self._note_change()
                        case live.GetHealth():
                            message.reply(self._health())
                        case live.AgentPeer():
                            tasks.create_task(self._offer_peer(message))
                        case live.ChangeSite() | live.UndoSite():
                            tasks.create_task(self._document.change(message))
                        case live.TakeSound() | live.DropSound():
                            tasks.create_task(self._change_sound(message))
                        case _:
                            self._push(self._request_step(message))
        finally:
            self._subscribers.discard(connection)

    def _request_step(self, message: ipc.Incoming) -> Step:
        def step(now: int) -> None:
            try:
                made = self.switch.request(message.body, now)
            except Unwilling as error:
                reason = str(error)
                self._replies.append(lambda: message.refuse(reason))
            else:
                reply = live.Done() if made is None else live.CallbackBooked(made)
                self._replies.append(lambda: message.reply(reply))

        return step

    async def _settle(self, step: Step) -> None:
        """Take a step; returns when its facts are on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell() -> None:
            if not done.done():
                done.set_result(None)

        def both(now: int) -> None:
            step(now)
            self._replies.append(tell)

        self._push(both)
        await done

    async def _change_sound(self, message: ipc.Incoming) -> None:
        """Take a sound into use or out of it."""
        request = message.body
        try:
            if isinstance(request, live.TakeSound):
                upload = self.data / "uploads" / Path(request.upload).name
                await self._sounds.take(request.name, upload)
            elif request.name in used_sounds(self.site):
                message.refuse("This sound is still used; change the site document first.")
                return
            else:
                await self._sounds.drop(request.name)
        except FileNotFoundError:
            message.refuse("There is no such sound.")
        except ValueError as error:
            message.refuse(str(error).partition(": ")[2] or str(error))
        except OSError as error:
            log.error("sound %s cannot be kept: %s", request.name, error)
            message.refuse("The disk does not take it. Make room and try again.")
        else:
            message.reply(live.Done())

    async def _offer_peer(self, message: ipc.Incoming) -> None:
        """Hand the page's offer to the media process and its answer back."""
        request = message.body
        if request.agent not in self.switch.w.desks:
            message.refuse("There is no such person in this office.")
            return
        if not self.switch.w.media_ready:
            message.refuse("The box is restarting its audio; try again in a moment.")
            return
        self._ids += 1
        ref = self._ids
        future: asyncio.Future[p.PeerAnswer] = asyncio.get_running_loop().create_future()
        self._offers[ref] = future
        self._send_media(p.OfferPeer(request.agent, ref, request.sdp))
        try:
            async with asyncio.timeout(PEER_TIMEOUT_S):
                answer = await future
        except TimeoutError:
            message.refuse("The audio process did not answer; try again.")
        else:
            if answer.sdp is None:
                message.refuse(answer.reason)
            else:
                message.reply(live.PeerSdp(answer.sdp))
        finally:
            self._offers.pop(ref, None)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"
