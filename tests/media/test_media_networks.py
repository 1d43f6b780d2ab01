"""A voice over poor networks, through real sockets, the jitter buffer and the mix or the relay:
what the network lost, delayed, overtook or doubled comes from a seed, and time is ticks."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from appliance.media import datagrams, g711, rtp
from tests.media import voice
from tests.media.hand_office import Office, Phone

TICKS = 900
VOICE = voice.coded(voice.glide(TICKS / 50))
SETTLE = 60
"""Ticks at the beginning and end that are not judged."""


@dataclass(frozen=True)
class Network:
    """`jitter` is the most that a packet is delayed, in ticks of 20 ms; `overtaken` and `doubled`
    are shares, as `lost`; losses come in runs of `burst`."""

    lost: float = 0.0
    burst: float = 1.0
    jitter: int = 0
    overtaken: float = 0.0
    doubled: float = 0.0

    def __str__(self) -> str:
        return "-".join(f"{name}{value:g}" for name, value in vars(self).items())

    def arrivals(self, seed: int) -> tuple[dict[int, list[int]], set[int]]:
        """Which packets come in each tick, and which never do."""
        random = np.random.default_rng(seed)
        due: dict[int, list[int]] = defaultdict(list)
        gone, missing = set(), False
        for n in range(TICKS):
            start = self.lost / self.burst / max(1e-9, 1 - self.lost)
            missing = random.random() < (1 - 1 / self.burst if missing else start)
            late = int(random.integers(0, self.jitter + 1)) if self.jitter else 0
            late += 2 * int(random.random() < self.overtaken)
            if missing and n > SETTLE:
                gone.add(n)
                continue
            due[n + late].append(n)
            if random.random() < self.doubled:
                due[n + late + int(random.integers(0, 3))].append(n)
        return due, gone


class Far(Phone):
    """Says the voice through a network."""

    network = Network()

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.due, self.gone = self.network.arrivals(7)
        self.now = 0

    def speak(self) -> None:
        for n in self.due.get(self.now, []):
            payload = VOICE[n * 160 : n * 160 + 160].tobytes()
            if self.kind == g711.PCMA:
                payload = payload.translate(g711.ULAW_TO_ALAW_BYTES)
            stamp = (2**32 - 8000 + n * 160) & 0xFFFFFFFF
            self.send(rtp.build(self.kind, (65000 + n) & 0xFFFF, stamp, 77, payload))
        self.now += 1


NETWORKS = [
    Network(),
    Network(lost=0.01),
    Network(lost=0.05),
    Network(lost=0.1, burst=1.5),
    Network(jitter=2),
    Network(jitter=4),
    Network(overtaken=0.1),
    Network(doubled=0.2),
    Network(lost=0.03, burst=1.5, jitter=2, overtaken=0.05, doubled=0.1),
]


@pytest.fixture
def office(request: pytest.FixtureRequest) -> Iterator[Office]:
    network, kinds = request.param
    made = Office(datagrams.best(), kinds)
    made.phones[0].sock.close()
    Far.network = network
    far = Far(kinds[0])
    there = made.io._ports[0].rtp.getsockname()
    far.sock.connect(there)
    made.io.aim(0, far.sock.getsockname(), kinds[0], 96, 101, True, True)
    made.phones[0] = far
    made.engine.bridge(1, 0, 1)
    yield made
    made.close()


def level_db(sound: np.ndarray, said: np.ndarray) -> float:
    return float(
        10 * np.log10(np.mean(sound.astype(float) ** 2) / np.mean(said.astype(float) ** 2))
    )


def at_its_time(packets: list[rtp.Packet]) -> dict[int, bytes]:
    """Frames of A-law by their place in the listener's time."""
    first = packets[0].timestamp - 0x80000000
    return {
        (packet.timestamp - first & 0xFFFFFFFF) // 160: packet.payload.translate(
            g711.ALAW_TO_ULAW_BYTES
        )
        for packet in packets
    }


@pytest.mark.parametrize(
    "office",
    [(network, kinds) for network in NETWORKS for kinds in ((0, 0), (8, 0))],
    indirect=True,
    ids=str,
)
def test_the_mix_makes_one_whole_stream_of_it(office: Office) -> None:
    office.io.relay_legs = 0
    office.run(TICKS)
    far, ear = office.phones
    assert isinstance(far, Far)
    steps = {
        (y.sequence - x.sequence & 0xFFFF, y.timestamp - x.timestamp & 0xFFFFFFFF)
        for x, y in itertools.pairwise(ear.heard)
    }
    assert steps == {(1, 160)}
    sound = g711.ULAW_FLOAT[np.frombuffer(b"".join(p.payload for p in ear.heard), np.uint8)]
    steady = sound[SETTLE * 160 : -SETTLE * 160]
    said = g711.ULAW_FLOAT[VOICE][SETTLE * 160 : -SETTLE * 160]
    # Syllables have pauses of 50 ms by themselves, in which there is the room's noise.
    assert voice.longest_gap_ms(steady) < 20
    assert abs(level_db(steady, said)) <= 0.5
    ring = office.engine.ring
    made_up = int(ring.concealed[0])
    # A packet that another overtook is made up until the delay has grown.
    spare = 12 * (far.network.jitter > 0 or far.network.overtaken > 0)
    # In a long loss the reader waits where nothing is heard any more.
    assert 0.9 * len(far.gone) <= made_up <= len(far.gone) + spare + 1
    assert ring.delay_ms(0) <= 20 * (far.network.jitter + 2 * (far.network.overtaken > 0)) + 40


@pytest.mark.parametrize(
    "office", [(network, (0, 8)) for network in NETWORKS], indirect=True, ids=str
)
def test_what_is_passed_on_keeps_its_time_and_is_there_once(office: Office) -> None:
    office.run(TICKS)
    far, ear = office.phones
    assert isinstance(far, Far)
    packets = ear.heard[SETTLE:]
    placed = at_its_time(packets)
    # What the network doubled is doubled here, and known by its number; nothing else has the same
    # number, or the same place, twice.
    once = {(p.sequence, p.timestamp, p.ssrc, p.payload) for p in packets}
    assert len(once) == len({p.sequence for p in packets}) == len(placed)
    assert far.network.doubled or len(once) == len(packets)
    sound = g711.ULAW_FLOAT[
        np.frombuffer(b"".join(placed[at] for at in sorted(placed)), np.uint8)
    ].astype(float)
    said = [n for n in range(SETTLE, TICKS) if n not in far.gone]
    missing = max(placed) - min(placed) + 1 - len(placed)
    assert missing <= len(far.gone)
    part = VOICE.reshape(-1, 160)[said].reshape(-1)
    assert abs(level_db(sound, g711.ULAW_FLOAT[part])) <= 0.5
    assert office.engine.ring.received[0] >= len(said)
