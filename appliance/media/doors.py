"""The lines and browser peers of the media process: who they are, and what they say.

Drivers and peers are imported when the first one is needed, so that a box without modems or
browsers does not carry their code.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from appliance.browser.port import Peer, PeerRefused, PeerSink, PeerStateName
from appliance.lines import line as port
from appliance.lines.line import Line
from appliance.media import protocol
from appliance.media.pace import Pace

log = logging.getLogger("centrala.media")

LineFactory = Callable[[str, str, dict[str, str]], Line]
"""`(line id, country, options)`; raises ValueError with a sentence for people."""
PeerFactory = Callable[[str, PeerSink], Peer]
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

DRIVERS: Final = {"modem": "appliance.lines.modem:ModemLine"}
_RESTART_S: Final = 2.0
_ACCEPT_S: Final = 15.0


def line_factory(driver: str) -> LineFactory:
    """The factory of a driver's name. Raises ValueError with a sentence for people."""
    where = DRIVERS.get(driver)
    if where is None:
        raise ValueError(f"There is no line driver '{driver}'; known: {', '.join(DRIVERS)}.")
    module, name = where.split(":")
    return cast(LineFactory, getattr(importlib.import_module(module), name))


def browser_peer(name: str, sink: PeerSink) -> Peer:
    """A real browser; a page on this very machine may reach it by loopback."""
    from appliance.browser.peer import BrowserPeer

    return BrowserPeer(name, sink, loopback=True)


def line_message(line: str, event: port.LineEvent) -> protocol.Event | None:
    """What a driver says, as the control process hears it; a key belongs to a leg, so None."""
    match event:
        case port.Up(model):
            return protocol.LineUp(line, model)
        case port.Down(reason):
            return protocol.LineDown(line, reason)
        case port.Ringing():
            return protocol.LineRinging(line)
        case port.CallerId(number, name, why):
            return protocol.LineCallerId(line, number, name, why)
        case port.RingEnded():
            return protocol.LineRingEnded(line)
        case port.OffHook(sure):
            return protocol.LineOffHook(line, sure)
        case port.HungUp(source):
            return protocol.LineHungUp(line, source)
        case port.DeviceKey():
            return None


@dataclass(slots=True, eq=False)
class LineDoor:
    """One line as the process sees it; the sink of its driver."""

    setup: protocol.LineSetup
    on_event: Callable[[LineDoor, port.LineEvent], None]
    on_audio: Callable[[LineDoor, bytes], None]
    driver: Line | None = None
    task: asyncio.Task[None] | None = None
    leg: int | None = None
    off_hook: bool = False
    ended_by_tone: bool = False
    """We hung up because of a tone and have said so: the driver's own report is no news."""
    state: port.Up | port.Down | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def name(self) -> str:
        return self.setup.line

    def line_event(self, line: str, event: port.LineEvent) -> None:
        self.on_event(self, event)

    def line_audio(self, line: str, pcm: bytes) -> None:
        self.on_audio(self, pcm)

    def start(self, factory: Callable[[str], LineFactory]) -> None:
        """Make the driver. What is wrong with its settings is its state from then on."""
        setup = self.setup
        try:
            make = factory(setup.driver)
            self.driver = make(setup.line, setup.country, dict(setup.options))
        except (ValueError, ImportError) as error:
            self.state = port.Down(str(error))

    async def run(self, after: list[asyncio.Task[None]]) -> None:
        """Run the driver until cancelled, once those that may still hold its device have ended. A
        driver that breaks takes nothing with it: it is started again."""
        if after:
            await asyncio.wait(after)
        driver = self.driver
        while driver is not None:
            try:
                await driver.run(self)
            except Exception:
                log.exception("the driver of line %s broke", self.name)
            else:
                return
            self.on_event(self, port.Down("The driver failed; it is started again."))
            await asyncio.sleep(_RESTART_S)


@dataclass(slots=True, eq=False)
class PeerDoor:
    """One browser as the process sees it; the sink of its peer. A page that comes back is a new
    door of the same name, and nothing of the old one is heard any more."""

    name: str
    owner: PeerOwner
    peer: Peer | None = None
    connected: bool = False
    closed: bool = False
    legs: set[int] = field(default_factory=set)

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        if not self.closed:
            self.owner.peer_audio(self, payload_type, sequence, timestamp, payload)

    def peer_key(self, peer: str, digit: str) -> None:
        if not self.closed:
            self.owner.peer_key(self, digit)

    def peer_state(self, peer: str, state: PeerStateName) -> None:
        if not self.closed:
            self.owner.peer_state(self, state)

    async def answer(self, make: PeerFactory, ref: int, sdp: str) -> protocol.PeerAnswer:
        """Make the peer and answer the page's offer."""
        try:
            if make is browser_peer:
                # The first import takes a second, which calls that are on must not notice.
                await asyncio.to_thread(importlib.import_module, "appliance.browser.peer")
            self.peer = make(self.name, self)
            async with asyncio.timeout(_ACCEPT_S):
                answer = await self.peer.accept(sdp)
        except PeerRefused as error:
            return protocol.PeerAnswer(self.name, ref, None, str(error))
        except TimeoutError:
            return protocol.PeerAnswer(self.name, ref, None, "The offer took too long to answer.")
        except Exception:
            log.exception("the offer of %s broke", self.name)
            return protocol.PeerAnswer(self.name, ref, None, "The offer could not be answered.")
        return protocol.PeerAnswer(self.name, ref, answer)

    async def close(self) -> None:
        self.closed = True
        if self.peer is not None:
            try:
                await self.peer.close()
            except Exception:
                log.exception("closing the peer %s broke", self.name)


class PeerOwner(Protocol):
    """What a `PeerDoor` reports to."""

    def peer_audio(
        self, door: PeerDoor, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None: ...

    def peer_key(self, door: PeerDoor, digit: str) -> None: ...

    def peer_state(self, door: PeerDoor, state: PeerStateName) -> None: ...
