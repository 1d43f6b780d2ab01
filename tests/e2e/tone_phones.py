"""Desk phones of which each says a pitch of its own, so that who hears whom can be measured.

All in this process, over real SIP and RTP; every phone answers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from appliance.media import g711, rtp
from appliance.sip import sdp
from appliance.sip.endpoint import Endpoint, system_clock
from appliance.sip.events import (
    Answered,
    Event,
    Failed,
    HungUp,
    Incoming,
    Reoffered,
    SipConfig,
    TrunkConfig,
    TrunkTarget,
)
from tests.e2e.box import Box

HOST = "127.0.0.1"
FIRST_HZ = 300
STEP_HZ = 40
"""Up to ten pitches below the keys' upper group: no sum of them is a key."""
RATE = 8000
EVENT = 101
OUTSIDE = "outside"
"""How those of the phones are called that call in by a trunk."""
_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = "123A456B789C*0#D"


def pitches(samples: np.ndarray, least: float = 0.02) -> set[int]:
    """Which of the phones' pitches are in these samples (full scale 1), as indices."""
    if len(samples) < RATE // 2:
        return set()
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples) * 4
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    found = set()
    for index in range(12):
        if spectrum[np.abs(hertz - (FIRST_HZ + STEP_HZ * index)) < 4].max() > least:
            found.add(index)
    return found


def pitch(index: int, seconds: float) -> np.ndarray:
    """What phone `index` says: 16-bit samples at 8 kHz."""
    time = np.arange(round(seconds * RATE)) / RATE
    hertz = FIRST_HZ + STEP_HZ * index
    return np.rint(3000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


@dataclass(eq=False)
class TonePhone:
    """One phone with one call at a time."""

    extension: str
    voice: np.ndarray
    """A second of mu-law frames."""
    call: str | None = None
    refused: int | None = None
    """SIP status of the last call that was not answered."""
    remote: tuple[str, int] | None = None
    sock: socket.socket = field(init=False)
    sequence: int = 1
    heard: list[bytes] = field(default_factory=list)
    keys: rtp.EventSender = field(default_factory=rtp.EventSender)
    silent: bool = False
    _inband: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def tick(self, number: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                packet = rtp.parse(self.sock.recv(2048))
                if packet is not None and packet.payload_type == g711.PCMU:
                    self.heard.append(bytes(packet.payload))
        if self.remote is None:
            return
        stamp = number * 160
        events = self.keys.tick(stamp)
        packets = [(EVENT, x.timestamp, x.payload, x.marker) for x in events or ()]
        if events is None:
            said = bytes([0xFF]) * 160 if self.silent else self.voice[number % 50].tobytes()
            if self._inband:
                said = self._inband.pop(0)
            packets = [(g711.PCMU, stamp, said, False)]
        for kind, at, payload, marker in packets:
            data = rtp.build(kind, self.sequence, at, self.port, payload, marker)
            self.sequence += 1
            with contextlib.suppress(OSError):
                self.sock.sendto(data, self.remote)

    def press_inband(self, keys: str) -> None:
        """Keys as tones in the sound (ITU-T Q.23), 100 ms each."""
        time = np.arange(800) / RATE
        for key in keys:
            at = _KEYS.index(key)
            both = [np.sin(2 * np.pi * hz * time) for hz in (_ROWS[at // 4], _COLUMNS[at % 4])]
            samples = np.concatenate((4000 * sum(both), np.zeros(800))).astype(np.int16)
            self._inband += [row.tobytes() for row in g711.ulaw_encode(samples).reshape(-1, 160)]

    def hears(self) -> set[int]:
        """Whose pitches came in the last second."""
        return pitches(self.last())

    def last(self) -> np.ndarray:
        """The last second that came, full scale 1."""
        data = np.frombuffer(b"".join(self.heard[-50:]), np.uint8)
        return g711.ULAW_DECODE[data] / 32768


class TonePhones:
    """Use `tone_phones`."""

    def __init__(self, box: Box, port: int, extensions: Iterable[str]) -> None:
        self.phones = {
            extension: TonePhone(extension, g711.ulaw_encode(pitch(index, 1.0)).reshape(50, 160))
            for index, extension in enumerate(extensions)
        }
        trunks = {
            extension: TrunkConfig(
                HOST,
                box.sip_port,
                username=extension,
                secret=box.secret(extension),
                registration=True,
            )
            if not extension.startswith(OUTSIDE)
            else TrunkConfig(HOST, box.sip_port, probe=False)
            for extension in self.phones
        }
        self.endpoint = Endpoint(
            SipConfig(host=HOST, port=port, tcp=False, trunks=trunks),
            self._on_event,
            system_clock(),
        )

    def pitch_of(self, extension: str) -> int:
        return list(self.phones).index(extension)

    def __getitem__(self, extension: str) -> TonePhone:
        return self.phones[extension]

    def _of(self, call: str) -> TonePhone | None:
        return next((phone for phone in self.phones.values() if phone.call == call), None)

    def _on_event(self, event: Event) -> None:
        match event:
            case Incoming(call=call, offer=offer, to_number=extension):
                phone = self.phones[extension]
                answered = None if offer is None else sdp.answer(offer, HOST, phone.port)
                if phone.call is not None or answered is None:
                    self.endpoint.reject(call, 486)
                    return
                phone.call = call
                phone.remote = (answered[1].remote_host, answered[1].remote_port)
                self.endpoint.answer(call, answered[0])
            case Answered(call=call, remote=remote) if remote is not None:
                phone = self._of(call)
                if phone is not None:
                    phone.remote = (remote.remote_host, remote.remote_port)
            case Reoffered(call=call, offer=offer):
                phone = self._of(call)
                answered = sdp.answer(offer, HOST, phone.port) if phone is not None else None
                self.endpoint.reanswer(call, None if answered is None else answered[0])
            case Failed(call=call, code=code):
                phone = self._of(call)
                if phone is not None:
                    phone.call, phone.refused = None, code
            case HungUp(call=call):
                phone = self._of(call)
                if phone is not None:
                    phone.call = phone.remote = None
            case _:
                pass

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        start, ticks = loop.time(), 0
        while True:
            for phone in self.phones.values():
                phone.tick(ticks)
            ticks += 1
            await asyncio.sleep(max(0.0, start + ticks * 0.02 - loop.time()))

    def dial(self, extension: str, number: str) -> None:
        phone = self[extension]
        assert phone.call is None
        phone.refused = None
        phone.call = self.endpoint.invite(
            TrunkTarget(extension, number),
            caller_number=extension,
            caller_name=None,
            make_offer=lambda host: sdp.make_offer(host, phone.port),
        )

    def press(self, extension: str, keys: str) -> None:
        self[extension].keys.push(keys)

    def hang_up(self, *extensions: str) -> None:
        for extension in extensions or self.phones:
            phone = self[extension]
            if phone.call is not None:
                self.endpoint.hangup(phone.call)
                phone.call = phone.remote = None

    async def until_hears(
        self, extension: str, wanted: Iterable[str], timeout: float = 15.0
    ) -> None:
        """Until this phone hears those and nobody else."""
        order = list(self.phones)
        expected = {order.index(other) for other in wanted}
        found: set[int] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while found != expected:
                    await asyncio.sleep(0.2)
                    found = self[extension].hears()
        names = [order[index] if index < len(order) else str(index) for index in sorted(found)]
        assert found == expected, f"{extension} hears {names}"

    async def until_idle(self, extension: str, timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout):
            while self[extension].call is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def tone_phones(box: Box, port: int, extensions: Iterable[str]) -> AsyncIterator[TonePhones]:
    """These desk phones of the box, registered."""
    phones = TonePhones(box, port, extensions)
    await phones.endpoint.start()
    beat = asyncio.create_task(phones.beat())
    try:
        wanted = {name for name in phones.phones if not name.startswith(OUTSIDE)}
        await box.state(lambda s: wanted <= {p.extension for p in s.phones if p.registered})
        yield phones
    finally:
        beat.cancel()
        await asyncio.wait([beat])
        await phones.endpoint.stop()
        for phone in phones.phones.values():
            phone.sock.close()
