"""Composition: which processes make a box, where they meet, in what order they start and stop.

On an installed box systemd runs the same commands as units; `Office` is for development, the demo
and the tests. A process that dies is started again; the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance import ipc, live
from appliance.site.model import Site

log = logging.getLogger("centrala.app")

STOP_S: Final[Mapping[str, float]] = {"web": 3.0, "control": 8.0, "media": 5.0, "simulate": 2.0}
CORES_A_MEDIA_PROCESS: Final = 4
MAX_MEDIA_PROCESSES: Final = 8
RESTART_S: Final = (0.1, 0.1, 0.3, 0.5, 1.0)
"""Waits before starting a dead process again; the last one repeats."""
SETTLED_S: Final = 30.0
"""A process that ran this long starts over with the first wait."""
_MAX_SOCKET_PATH: Final = 80
"""Unix socket paths end at 107 bytes; this leaves room for the file's name."""


def media_processes(site: Site) -> int:
    """How many processes carry the audio: what the site document says, else one for each four
    cores, at least one. One core carries hundreds of calls, so a box with four, such as a Raspberry
    Pi, loses nothing by one; with more, a process that dies takes fewer calls with it for its
    second. Both control and whoever starts the processes ask here."""
    if site.media.processes:
        return site.media.processes
    cores = os.cpu_count() or 1
    return min(max(1, cores // CORES_A_MEDIA_PROCESS), MAX_MEDIA_PROCESSES)


def media_name(process: int) -> str:
    return f"media{process}" if process else "media"


def media_modules(site: Site, process: int) -> list[str]:
    """What a media process is going to need; loaded before the calls, not among them."""
    modules = ["appliance.media.process"]
    if any(person.door == "browser" for person in site.people.values()):
        modules.append("appliance.browser.peer")
    if process == 0 and any(line.kind == "modem" for line in site.lines.values()):
        modules.append("appliance.lines.modem")
    return modules


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are for one data directory."""

    data: Path

    @property
    def run(self) -> Path:
        """The sockets' folder: in the data directory, or a short private one in the temporary
        directory when that path is too long for a socket."""
        inside = self.data / "run"
        if len(str(inside)) <= _MAX_SOCKET_PATH:
            return inside
        name = hashlib.sha256(str(self.data).encode()).hexdigest()[:16]
        return Path(f"/tmp/centrala-{os.getuid()}-{name}")

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    def media_socket(self, process: int) -> Path:
        """Where the media process of this number listens."""
        return self.run / f"{media_name(process)}.sock"

    @property
    def lines(self) -> Path:
        """Where the simulator puts its devices."""
        return self.run / "lines"

    def make(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.run.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.run} belongs to somebody else; remove it")


@dataclass(slots=True)
class Office:
    """All processes of one box as children of this one."""

    site: Site
    site_path: Path
    places: Places
    simulate: bool = False
    practice: bool = False
    log: Path | None = None
    """File that gets what the processes write to stderr; None leaves it on this one's."""
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    _stopping: bool = False

    def command(self, name: str) -> list[str]:
        base = [sys.executable, "-m", "appliance.cli", name]
        if name == "simulate":
            count = sum(line.kind == "modem" for line in self.site.lines.values())
            country = self.site.office.country
            extra = ["--dir", str(self.places.lines), "--lines", str(count), "--country", country]
            return base + extra + (["--practice"] if self.practice else [])
        places = ["--site", str(self.site_path), "--data", str(self.places.data)]
        if name in self.media_names():
            number = self.media_names().index(name)
            return [*base[:-1], "media", *places, "--process", str(number)]
        if name == "control":
            # The document may say something else by the time that control is started again.
            return [*base, *places, "--media", str(len(self.media_names()))]
        return [*base, *places]

    def media_names(self) -> list[str]:
        return [media_name(number) for number in range(media_processes(self.site))]

    def names(self) -> list[str]:
        """In the order of their start."""
        first = ["simulate"] if self.simulate else []
        return [*first, *self.media_names(), "control", "web"]

    async def run(self) -> None:
        """Start everything and keep it running until cancelled; then stop in order."""
        self.places.make()
        for stale in self.places.run.glob("*.sock"):
            stale.unlink(missing_ok=True)
        keepers: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                for name in self.names():
                    keepers[name] = tasks.create_task(self._keep(name))
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._stopping = True
                    await asyncio.shield(self._stop())
                    for task in keepers.values():
                        task.cancel()
        finally:
            for process in self.processes.values():
                if process.returncode is None:
                    process.kill()

    async def _keep(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        fails = 0
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        while not self._stopping:
            started = loop.time()
            with contextlib.ExitStack() as files:
                log_file = files.enter_context(self.log.open("ab")) if self.log else None
                process = await asyncio.create_subprocess_exec(
                    *self.command(name),
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stderr=log_file,
                )
            self.processes[name] = process
            code = await process.wait()
            if self._stopping:
                return
            fails = 0 if loop.time() - started > SETTLED_S else fails + 1
            self.restarts[name] = self.restarts.get(name, 0) + 1
            wait = RESTART_S[min(max(fails - 1, 0), len(RESTART_S) - 1)]
            log.error("process %s ended (%s); starting it again in %.1f s", name, code, wait)
            await asyncio.sleep(wait)

    async def _stop(self) -> None:
        """Pages first, then control (it says goodbye to the calls), then the audio."""
        for name in ("web", "control", *self.media_names(), "simulate"):
            process = self.processes.get(name)
            if process is None or process.returncode is not None:
                continue
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S.get(name, STOP_S["media"])):
                    await process.wait()
            except TimeoutError:
                log.error("process %s did not stop in time", name)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def health(self) -> live.Health:
        """What the control process says of itself; `starting` when it does not answer."""
        try:
            connection = await ipc.connect(self.places.control, live.Live)
        except ipc.Disconnected:
            return live.Health("starting", ("The control process is starting.",))
        reader = asyncio.create_task(_drain(connection))
        try:
            health = await connection.request(live.GetHealth(), live.Health, timeout=2.0)
            assert isinstance(health, live.Health)
            return health
        except (ipc.Disconnected, TimeoutError):
            return live.Health("starting", ("The control process does not answer.",))
        finally:
            connection.close()
            reader.cancel()

    async def wait_ready(self) -> None:
        """Return once calls can be taken."""
        # Another process: there is nothing to wait on but its answer.
        while (await self.health()).status == "starting":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _drain(connection: ipc.Connection) -> None:
    async for _ in connection.messages():
        pass
