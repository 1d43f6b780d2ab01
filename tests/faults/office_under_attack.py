"""A running box with two desk phones, and talks in it that a test can watch being disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from appliance import events as e
from appliance import live
from appliance.media.wav import STEREO_HEADER_BYTES
from appliance.simulator.rig import Call
from tests.browser.signals import Samples, hear, mulaw_decode, speech_like, write_wav
from tests.e2e.box import Box
from tests.interop.baresip import Baresip, baresip

CALLER = speech_like(2.5, seed=31)
AGENT = speech_like(2, seed=32)
RECEPTION = speech_like(4, seed=33)

F = TypeVar("F", bound=e.Fact)


def pcm(samples: Samples) -> np.ndarray:
    return np.clip(samples * 32767, -32768, 32767).astype(np.int16)


class Talk:
    """A call on an analog line that the agent Pip has answered."""

    def __init__(self, office: OfficeUnderAttack, line: int, number: str) -> None:
        self._office = office
        self.line = line
        self.number = number
        self.end: Call | None = None

    @property
    def call(self) -> Call:
        assert self.end is not None
        return self.end

    async def fact(self, kind: type[F], count: int = 1, timeout: float = 20.0) -> F:
        """The `count`-th fact of this kind about this call, once it is in the ledger."""
        async with asyncio.timeout(timeout):
            while True:
                found = self.facts(kind)
                if len(found) >= count:
                    return found[count - 1]
                await asyncio.sleep(0.05)

    def facts(self, kind: type[F]) -> list[F]:
        facts = self._office.box.facts()
        known = {f.call for f in facts if isinstance(f, e.CallerKnown) and f.caller == self.number}
        return [f for f in facts if isinstance(f, kind) and getattr(f, "call", None) in known]

    async def say(self) -> None:
        await self.call.say(pcm(CALLER))

    async def hangup(self) -> None:
        """The agent hangs up: quicker than a caller, of whom an analog line tells by busy tone."""
        await self._office.box.ask(live.AgentAction("pip", "hangup"))
        await self.fact(e.Disconnect)

    async def recorded(self) -> tuple[Samples, Samples]:
        """Caller and agent, once the recording is complete."""
        await self.fact(e.RecordingEnded)
        started = await self.fact(e.RecordingStarted)
        raw = (self._office.box.places.data / started.path).read_bytes()[STEREO_HEADER_BYTES:]
        return mulaw_decode(raw[0::2]), mulaw_decode(raw[1::2])

    async def was_undisturbed(self) -> tuple[Samples, Samples]:
        """Hangs up and finds what both said in the recording, which it returns."""
        assert not self.facts(e.Disconnect)
        await self.hangup()
        assert [f.cause for f in self.facts(e.Disconnect)] == ["normal"]
        caller, agent = await self.recorded()
        assert hear(CALLER, caller).share > 0.8
        assert hear(AGENT, agent).share > 0.6
        return caller, agent


class OfficeUnderAttack:
    """`box` and the phone at the reception, which calls; Pip's phone answers by itself."""

    def __init__(self, box: Box, reception: Baresip, agent: Baresip) -> None:
        self.box = box
        self.reception = reception
        self.agent = agent
        self._numbers = iter(range(5550300, 5559999))

    async def ready(self, *lines: str) -> None:
        """Wait until nobody talks, these lines (default: all) are idle and Pip is free."""
        await self.box.state(lambda s: not s.calls)
        if self.box.agent(await self.box.state(), "pip").phase == "wrap":
            await self.box.ask(live.AgentAction("pip", "wrap_end"))
        await self.box.state(
            lambda s: (
                self.box.agent(s, "pip").phase == "ready"
                and all(x.state == "idle" for x in s.lines if not lines or x.id in lines)
            )
        )

    @asynccontextmanager
    async def ringing(self, line: int = 2, *, when_ready: bool = True) -> AsyncIterator[Talk]:
        """Somebody calls, by default once nobody else does."""
        if when_ready:
            await self.ready()
        talk = Talk(self, line, str(next(self._numbers)))
        talk.end = await self.box.exchange.call(line=line, number=talk.number)
        try:
            yield talk
        finally:
            if talk.call.caller.state != "gone":
                await talk.call.hangup()

    @asynccontextmanager
    async def talking(self, line: int = 2) -> AsyncIterator[Talk]:
        """A recorded talk between a caller on an analog line and Pip's desk phone."""
        async with self.ringing(line) as talk:
            await talk.fact(e.Connect)
            yield talk

    async def answers_the_next_call(self, *lines: str) -> None:
        """The reception calls the queue and Pip picks up; `lines` are those that must be idle."""
        await self.ready(*lines)
        before = len([f for f in self.box.facts() if isinstance(f, e.Connect)])
        await self.reception.do("dial", f"sip:301@127.0.0.1:{self.box.sip_port}")
        await self.box.fact(e.Connect, count=before + 1)
        await self.reception.do("hangup")
        await self.ready(*lines)


@asynccontextmanager
async def office_under_attack(
    folder: Path, free_port: Callable[[], int], edit: Callable[[str], str] = lambda text: text
) -> AsyncIterator[OfficeUnderAttack]:
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(Box(folder, free_port, edit=edit))

        async def phone(extension: str, voice: Samples, mode: str, transport: str) -> Baresip:
            # baresip hangs up at the end of the file.
            wav = write_wav(folder / f"{extension}.wav", np.tile(voice, 20), 8000)
            account = (
                f"<sip:{extension}@127.0.0.1:{box.sip_port};transport={transport}>;auth_pass={box.secret(extension)}"
                f";regint=600;audio_source=aufile,{wav};answermode={mode};audio_codecs=pcmu"
            )
            ports = (free_port(), free_port(), free_port())
            return await stack.enter_async_context(
                baresip(folder / f"p{extension}", account, *ports)
            )

        reception = await phone("101", RECEPTION, "manual", "tcp")
        agent = await phone("102", AGENT, "auto", "udp")
        await box.state(lambda s: all(p.registered for p in s.phones))
        await box.ask(live.SetAgentState("pip", "ready"))
        yield OfficeUnderAttack(box, reception, agent)
