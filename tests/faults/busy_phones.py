"""Many calls over real SIP and RTP at once: one provider whose callers ring a queue, and a desk
phone for each of its agents, all in this process.

Every far end says a beep at each full second of one clock and silence in between, and keeps when
it heard what: so gaps, and the time in recordings, can be read off to 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from appliance import live
from appliance.media import g711, rtp
from appliance.sip import sdp
from appliance.sip.endpoint import Endpoint, system_clock
from appliance.sip.events import (
    Answered,
    Event,
    Incoming,
    SipConfig,
    TrunkConfig,
    TrunkTarget,
)
from tests.e2e.box import Box
from tests.media.endpoint import sine

HOST = "127.0.0.1"
BEEP_TICKS = 6
_BEEP = g711.ulaw_encode(sine(1000, -10, BEEP_TICKS * 160)).reshape(-1, 160)
_SILENCE = np.full(160, 0xFF, np.uint8)


def site_with_phones(
    text: str, agents: int, processes: int, form: str, more: str = "", outgoing: str = "line1"
) -> str:
    """The test office with so many agents at desk phones 600, 601 ... in a queue at a trunk, with
    `more` settings; calls to the outside leave by `outgoing`."""
    people = "".join(
        f'[people.p{n}]\nname = "P{n}"\nextension = "{800 + n}"\ndoor = "phone"\n'
        f'phone = "{600 + n}"\n[phones.{600 + n}]\nname = "Desk {n}"\n'
        for n in range(agents)
    )
    names = ", ".join(f'"p{n}"' for n in range(agents))
    trunk = (
        '[lines.voip]\nkind = "trunk"\nname = "Provider"\nhost = "127.0.0.1"\nchannels = 100\n'
        'route = "queue:busy"\n'
    )
    queue = f'[queues.busy]\nname = "Busy"\nextension = "399"\nagents = [{names}]\n{more}'
    rest = f"[media]\nprocesses = {processes}\n"
    text = text.replace('format = "wav"', f'format = "{form}"')
    text = text.replace('outgoing = ["line1"]', f'outgoing = ["{outgoing}"]')
    return text.replace("[people.ana]\n", trunk + people + queue + rest + "[people.ana]\n")


@dataclass(eq=False)
class FarEnd:
    """One phone's audio."""

    sock: socket.socket = field(init=False)
    remote: tuple[str, int] | None = None
    sequence: int = 1
    ssrc: int = 0
    heard: list[tuple[float, bool]] = field(default_factory=list)
    """When a packet came, and whether it was loud."""

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.ssrc = self.port

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def tick(self, number: int) -> None:
        now = time.monotonic()
        with contextlib.suppress(OSError):
            while True:
                packet = rtp.parse(self.sock.recv(2048))
                if packet is not None and packet.payload_type == 0:
                    audio = g711.ULAW_DECODE[np.frombuffer(packet.payload, np.uint8)]
                    self.heard.append((now, bool(np.abs(audio.astype(int)).max() > 1000)))
        if self.remote is None:
            return
        at = number % 50
        audio = _BEEP[at] if at < BEEP_TICKS else _SILENCE
        data = rtp.build(0, self.sequence, number * 160, self.ssrc, audio.tobytes(), False)
        self.sequence += 1
        with contextlib.suppress(OSError):
            self.sock.sendto(data, self.remote)

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds without a packet."""
        times = [since, *(at for at, _ in self.heard if since < at < until), until]
        return max(b - a for a, b in itertools.pairwise(times))


@dataclass(eq=False)
class Talk:
    number: str
    key: str
    caller: FarEnd
    agent: FarEnd | None = None


class BusyPhones:
    """Use `busy_phones`."""

    def __init__(self, box: Box, port: int, agents: int) -> None:
        self.box = box
        self.agents = agents
        self.talks: list[Talk] = []
        trunks = {"box": TrunkConfig(HOST, box.sip_port, probe=False)}
        for n in range(agents):
            trunks[f"d{n}"] = TrunkConfig(
                HOST,
                box.sip_port,
                username=str(600 + n),
                secret=box.secret(str(600 + n)),
                registration=True,
            )
        self.endpoint = Endpoint(
            SipConfig(host=HOST, port=port, tcp=False, trunks=trunks),
            self._on_event,
            system_clock(),
        )
        self.ended: list[Event] = []
        self._ends: list[FarEnd] = []
        self._keys: dict[str, FarEnd] = {}
        self._ticks = 0

    def _on_event(self, event: Event) -> None:
        match event:
            case Incoming(call=key, offer=offer):
                end = self._new_end()
                assert offer is not None
                answered = sdp.answer(offer, HOST, end.port)
                assert answered is not None
                end.remote = (answered[1].remote_host, answered[1].remote_port)
                self.endpoint.answer(key, answered[0])
            case Answered(call=key, remote=remote) if key in self._keys and remote is not None:
                self._keys[key].remote = (remote.remote_host, remote.remote_port)
            case Answered():
                pass
            case _ if hasattr(event, "call"):
                self.ended.append(event)

    def _new_end(self) -> FarEnd:
        end = FarEnd()
        self._ends.append(end)
        return end

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            for end in self._ends:
                end.tick(self._ticks)
            self._ticks += 1
            await asyncio.sleep(max(0.0, start + self._ticks * 0.02 - loop.time()))

    def call(self, number: str) -> Talk:
        caller = self._new_end()
        key = self.endpoint.invite(
            TrunkTarget("box", "5550000"),
            caller_number=number,
            caller_name=None,
            make_offer=lambda host: sdp.make_offer(host, caller.port),
        )
        self._keys[key] = caller
        talk = Talk(number, key, caller)
        self.talks.append(talk)
        return talk

    @property
    def ends(self) -> list[FarEnd]:
        return list(self._ends)

    def hang_up(self) -> None:
        for talk in self.talks:
            self.endpoint.hangup(talk.key)

    def close(self) -> None:
        for end in self._ends:
            end.sock.close()


@contextlib.asynccontextmanager
async def busy_phones(
    folder: Path,
    free_port: Callable[[], int],
    agents: int,
    processes: int,
    form: str = "flac",
    queue: str = "",
    outgoing: str = "line1",
) -> AsyncIterator[BusyPhones]:
    """A box whose agents are on duty; see `site_with_phones`."""

    def edit(text: str) -> str:
        return site_with_phones(text, agents, processes, form, queue, outgoing)

    async with Box(folder, free_port, edit=edit, simulator=False) as box:
        phones = BusyPhones(box, free_port(), agents)
        await phones.endpoint.start()
        beat = asyncio.create_task(phones.beat())
        try:
            wanted = {str(600 + n) for n in range(agents)}
            await box.state(lambda s: wanted <= {p.extension for p in s.phones if p.registered})
            for n in range(agents):
                await box.ask(live.SetAgentState(f"p{n}", "ready"))
            yield phones
        finally:
            beat.cancel()
            await asyncio.wait([beat])
            await phones.endpoint.stop()
            phones.close()


def onsets_ms(samples: np.ndarray) -> list[int]:
    """Where the beeps of a recording's side begin."""
    frames = np.abs(samples[: len(samples) // 80 * 80].astype(int)).reshape(-1, 80).max(1) > 1000
    starts = np.flatnonzero(frames & ~np.concatenate(([False], frames[:-1])))
    return [int(start) * 10 for start in starts]
