"""A small switch on the SIP door for tests: answers calls, or connects one phone with another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from appliance.sip import sdp
from appliance.sip.core import Stats
from appliance.sip.endpoint import Endpoint, system_clock
from appliance.sip.events import (
    Answered,
    Cancelled,
    Digit,
    Event,
    Failed,
    HungUp,
    Incoming,
    PhoneTarget,
    Progress,
    Reanswered,
    Reoffered,
    SipConfig,
    TrunkConfig,
)
from appliance.sip.sdp import Session

MEDIA_PORT = 30000
E = TypeVar("E", bound=Event)


class Office:
    """Numbers `busy`, `ring` and `silent` are refused, rung, left alone; an extension with a
    phone is connected; anything else is answered."""

    def __init__(self, config: SipConfig) -> None:
        self._clock = system_clock()
        self._ahead = 0
        self.events: list[Event] = []
        self.endpoint = Endpoint(config, self._on_event, lambda: self._clock() + self._ahead)
        self.config = config
        self.sessions: dict[str, Session] = {}
        self.peers: dict[str, str] = {}
        self.incoming: dict[str, Incoming] = {}
        self.held: set[str] = set()
        self.calls_ended = 0
        self._changed = asyncio.Event()
        self.script: Callable[[Office, Incoming], None] | None = None

    def offer(self, host: str) -> str:
        return sdp.make_offer(host, MEDIA_PORT)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, ready: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for something that events bring about."""
        limit = time.monotonic() + seconds
        while not ready():
            self._changed.clear()
            left = limit - time.monotonic()
            assert left > 0, f"in vain; events: {self.events[-20:]}"
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.05))
            except TimeoutError:
                continue

    def drained(self) -> Stats:
        """What is still alive after all timers of calls had 40 s to run out."""
        self._ahead += 40_000
        self.endpoint._tick()
        return self.endpoint.stats()

    def answer(self, call: str) -> None:
        incoming = self.incoming[call]
        if incoming.offer is None:
            self.endpoint.answer(call, self.offer(incoming.local_host))
            return
        agreed = sdp.answer(incoming.offer, incoming.local_host, MEDIA_PORT)
        if agreed is None:
            self.endpoint.reject(call, 488)
            return
        text, self.sessions[call] = agreed
        self.endpoint.answer(call, text)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()
        match event:
            case Incoming():
                self.incoming[event.call] = event
                if self.script is not None:
                    self.script(self, event)
                else:
                    self._incoming(event)
            case Progress():
                if event.call in self.peers:
                    self.endpoint.ring(self.peers[event.call])
            case Answered():
                if event.remote is not None:
                    self.sessions[event.call] = event.remote
                if event.call not in self.incoming and event.call in self.peers:
                    self.answer(self.peers[event.call])
            case Failed():
                peer = self._parted(event.call)
                if peer is not None:
                    self.endpoint.reject(peer, event.code)
            case Cancelled() | HungUp():
                self.calls_ended += 1
                peer = self._parted(event.call)
                if peer is not None:
                    self.endpoint.hangup(peer)
            case Reoffered():
                agreed = sdp.answer(
                    event.offer, "127.0.0.1", MEDIA_PORT, previous=self.sessions.get(event.call)
                )
                if event.offer.held:
                    self.held.add(event.call)
                else:
                    self.held.discard(event.call)
                if agreed is not None:
                    self.sessions[event.call] = agreed[1]
                self.endpoint.reanswer(event.call, agreed[0] if agreed else None)
            case Reanswered() | Digit():
                pass

    def _incoming(self, event: Incoming) -> None:
        if event.to_number == "busy":
            self.endpoint.reject(event.call, 486)
        elif event.to_number == "ring":
            self.endpoint.ring(event.call)
        elif event.to_number == "silent":
            pass
        elif self.endpoint.registered(event.to_number):
            other = self.endpoint.invite(
                PhoneTarget(event.to_number), event.from_number, event.from_name, self.offer
            )
            self.peers[event.call], self.peers[other] = other, event.call
        else:
            self.answer(event.call)

    def _parted(self, call: str) -> str | None:
        peer = self.peers.pop(call, None)
        if peer is not None:
            self.peers.pop(peer, None)
        return peer


@asynccontextmanager
async def office(config: SipConfig) -> AsyncIterator[Office]:
    made = Office(config)
    await made.endpoint.start()
    try:
        yield made
    finally:
        await made.endpoint.stop()


def config_of(
    port: int,
    trunk_port: int | None = None,
    phones: dict[str, str] | None = None,
    **more: object,
) -> SipConfig:
    trunks = {}
    if trunk_port is not None:
        trunks["provider"] = TrunkConfig("127.0.0.1", trunk_port, probe=False)
    return SipConfig(
        host="127.0.0.1",
        port=port,
        phones=phones or {},
        trunks=trunks,
        **more,  # type: ignore[arg-type]
    )
