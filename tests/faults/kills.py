"""A busy office in which processes are killed at random moments.

    python -m tests.faults.kills [CONTROL] [MEDIA]      50 and 50

Callers come, wait, talk and go, agents hold, transfer, park, fetch and consult, call-backs are
booked and made, all over real SIP and RTP; meanwhile control or an audio process is killed (-9)
again and again. Afterwards the books are checked: what was in the ledger before a kill is in it
still, every call has one end, every wait one outcome, every recording one end and a file, and a
caller who was answered is known. The death of an audio process ends no call.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from appliance import events as e
from appliance import live
from appliance.ipc import Refused
from appliance.recordings import finished, parts
from tests.e2e.box import Box
from tests.faults.busy_phones import BusyPhones, Talk, busy_phones
from tests.ports import port_picker

AGENTS = 6
CALLERS = 10
"""At once; more than there are agents, so that some wait."""
QUEUE = "399"


@dataclass
class Tally:
    """What happened, for whoever reads the run."""

    kills: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    calls: int = 0
    answered: int = 0
    waits: int = 0
    recordings: int = 0
    callbacks: int = 0


class BusyOffice:
    """Callers and agents who never rest; `run` until cancelled."""

    def __init__(self, phones: BusyPhones, dice: random.Random, tally: Tally) -> None:
        self.phones = phones
        self.box: Box = phones.box
        self.dice = dice
        self.tally = tally
        self._open: dict[Talk, float] = {}
        self._callers = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            ended = {event.call for event in self.phones.ended if hasattr(event, "call")}
            for talk, until in list(self._open.items()):
                if talk.key in ended or now >= until:
                    self.phones.endpoint.hangup(talk.key)
                    del self._open[talk]
            if len(self._open) < CALLERS:
                self._callers += 1
                talk = self.phones.call(f"77{self._callers:04}")
                self._open[talk] = now + self.dice.uniform(1.5, 9.0)
            with contextlib.suppress(Refused, OSError, TimeoutError, ConnectionError):
                async with asyncio.timeout(1):
                    await self._verb()
            await asyncio.sleep(self.dice.uniform(0.02, 0.2))

    async def _verb(self) -> None:
        agent = f"p{self.dice.randrange(AGENTS)}"
        other = str(800 + self.dice.randrange(AGENTS))
        orbit = self.dice.choice(self.box.site.orbits)
        chosen: live.Request = self.dice.choice(
            (
                live.SetAgentState(agent, "ready"),
                live.AgentAction(agent, "hold"),
                live.AgentAction(agent, "resume"),
                live.AgentAction(agent, "hangup"),
                live.AgentAction(agent, "wrap_end"),
                live.AgentTransfer(agent, other),
                live.AgentTransfer(agent, QUEUE),
                live.AgentConsult(agent, "start", other),
                live.AgentConsult(agent, "complete"),
                live.AgentConsult(agent, "conference"),
                live.AgentConsult(agent, "cancel"),
                live.AgentPark(agent),
                live.AgentFetch(agent, orbit),
                live.BookCallback("busy", f"5557{self.dice.randrange(1000):03}", agent),
            )
        )
        reply = live.CallbackBooked if isinstance(chosen, live.BookCallback) else live.Done
        await self.box.ask(chosen, reply)
        self.tally.verbs[type(chosen).__name__] += 1

    def close(self) -> None:
        for talk in self._open:
            self.phones.endpoint.hangup(talk.key)
        self._open.clear()


async def rehearse(
    folder: Path, free_port: Callable[[], int], control: int, media: int, seed: int = 1
) -> Tally:
    """So many kills of each, at random moments. Raises AssertionError."""
    dice = random.Random(seed)
    tally = Tally()
    async with busy_phones(
        folder, free_port, AGENTS, processes=2, queue="wrap_up_s = 1\n", outgoing="voip"
    ) as phones:
        box = phones.box
        office = BusyOffice(phones, dice, tally)
        work = asyncio.create_task(office.run())
        try:
            # First the deaths that nobody must notice.
            for _ in range(media):
                await _one_kill(box, dice, dice.choice(box.office.media_names()), tally)
            await asyncio.sleep(2)
            causes = Counter(f.cause for f in box.facts() if isinstance(f, e.Disconnect))
            assert not causes["system_failure"], causes
            for _ in range(control):
                await _one_kill(box, dice, "control", tally)
        finally:
            work.cancel()
            await asyncio.wait([work])
        await box.office.wait_ready()
        office.close()
        phones.hang_up()
        for agent in range(AGENTS):
            with contextlib.suppress(Refused):
                await box.ask(live.SetAgentState(f"p{agent}", "offline"))
        for callback in (await box.state()).callbacks:
            with contextlib.suppress(Refused):
                await box.ask(live.CancelCallback(callback.callback, "p0"))
        await box.state(lambda s: not s.calls and not s.callbacks, timeout=60)
        facts = box.facts()
        _check(facts, phones, tally)
        await _check_recordings(facts, box, tally)
    return tally


async def _one_kill(box: Box, dice: random.Random, name: str, tally: Tally) -> None:
    await box.office.wait_ready()
    await asyncio.sleep(dice.uniform(0.3, 2.0))
    if name != "control":
        # The next one may still be on its way from the death of the last.
        keeper = psutil.Process(box.office.processes[name].pid)
        async with asyncio.timeout(20):
            while not keeper.children():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    known = box.facts()
    box.kill(name)
    tally.kills[name] += 1
    await box.office.wait_ready()
    assert box.facts()[: len(known)] == known, f"facts changed when {name} was killed"


def _once(what: str, ended: Counter[str], begun: list[str]) -> None:
    """Each that began has one end, and nothing else has."""
    assert len(begun) == len(set(begun)), f"{what}: begun twice"
    missing = set(begun) - set(ended)
    assert not missing, f"{what} without an end: {sorted(missing)[:5]}"
    assert set(ended) == set(begun), f"{what} ended that never began"
    twice = [key for key, count in ended.items() if count > 1]
    assert not twice, f"{what} ended twice: {twice[:5]}"


def _check(facts: list[e.Fact], phones: BusyPhones, tally: Tally) -> None:
    opened = [f for f in facts if isinstance(f, e.CallOpened)]
    _once("calls", Counter(f.call for f in facts if isinstance(f, e.Disconnect)),
          [f.call for f in opened])  # fmt: skip
    entries = [f.entry for f in facts if isinstance(f, e.QEnter)]
    _once("waits", Counter(f.entry for f in facts if isinstance(f, e.QLeave)), entries)
    offers = [f.offer for f in facts if isinstance(f, e.Offer)]
    _once("offers", Counter(f.offer for f in facts if isinstance(f, e.OfferEnd)), offers)
    asked = [f.callback for f in facts if isinstance(f, e.CallbackRequested)]
    _once("call-backs", Counter(f.callback for f in facts if isinstance(f, e.CallbackEnded)), asked)
    callers = {f.caller for f in opened}
    answered = {talk.number for talk in phones.talks if talk.caller.remote is not None}
    assert answered <= callers, sorted(answered - callers)[:5]
    connects = Counter(f.entry for f in facts if isinstance(f, e.Connect))
    assert not [entry for entry, count in connects.items() if count > 1]
    tally.facts, tally.calls, tally.answered = len(facts), len(opened), len(answered)
    tally.waits, tally.callbacks = len(entries), len(asked)


async def _check_recordings(facts: list[e.Fact], box: Box, tally: Tally) -> None:
    started = {f.recording: f for f in facts if isinstance(f, e.RecordingStarted)}
    ended = [f for f in facts if isinstance(f, e.RecordingEnded)]
    _once("recordings", Counter(f.recording for f in ended), list(started))
    tally.recordings = len(started)
    wanted = [box.places.data / started[f.recording].path for f in ended if f.duration_ms >= 500]

    def unfinished() -> list[str]:
        left = [path for path in wanted if finished(path) != path.with_suffix(".flac")]
        return [f"{path.name}: {[part.name for _, part in parts(path)]}" for path in left]

    # Joined, converted, and nothing left over.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30 + len(wanted)):
            while unfinished():  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    assert not unfinished(), f"{len(unfinished())} of {len(wanted)}: {unfinished()[:10]}"


if __name__ == "__main__":
    times = [int(argument) for argument in sys.argv[1:3]] or [50, 50]
    with tempfile.TemporaryDirectory() as made:
        print(asyncio.run(rehearse(Path(made), port_picker(), times[0], times[-1])))
