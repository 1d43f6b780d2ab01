"""What hearing whole voices costs: reading the ring, with and without loss, per leg and tick."""

from __future__ import annotations

import time

import numpy as np

from appliance.media import rtp
from appliance.media.jitter import Jitter
from tests.media import voice

LEGS = 400
TICKS = 400
SAID = voice.coded(voice.glide(10))
PER_SECOND = 50


def _read_ns(
    share: float, burst: float = 1.0, *, crooked: bool = False, silent: str = "", legs: int = LEGS
) -> float:
    """CPU time of `Jitter.read` per leg and tick; packets are placed outside the clock."""
    random = np.random.default_rng(1)
    ring = Jitter(legs)
    slots = np.arange(legs)
    ring.expect(np.zeros(legs, np.int64))
    rows = np.zeros((legs, 172), np.uint8)
    frames = SAID.reshape(-1, 160)
    lost = np.zeros(legs, np.bool_)
    spent = 0.0
    for tick in range(TICKS):
        ring.begin_tick(tick + 1)
        gone = random.random(legs)
        stay = 1 - 1 / burst
        begin = share / (1 - share) / burst
        lost = np.where(lost, gone < stay, gone < begin) & (tick > 20)
        if silent and tick > 60:
            if tick == 61 and silent != "nothing":
                for slot in range(legs):
                    noise = bytes([50, 80]) if silent == "coloured" else bytes([50])
                    ring.comfort(slot, rtp.Packet(13, False, tick, tick * 160, slot, noise))
        else:
            head = rtp.build(0, tick, tick * 160, 0, b"")
            rows[:, :12] = np.frombuffer(head, np.uint8)
            rows[:, 8:12] = slots.astype(">u4").view(np.uint8).reshape(-1, 4)
            rows[:, 12:] = frames[(tick + slots) % len(frames)]
            came = np.flatnonzero(~lost)
            batch = np.ascontiguousarray(rows[came])
            for index in ring.put_batch(came, batch, np.full(len(came), 172)):
                packet = rtp.parse(batch[index].tobytes())
                assert packet is not None
                ring.put(int(came[index]), packet)
        if crooked and tick == 50:
            ring._depth.debt[:legs] = -50
            ring._depth.owing = True
        before = time.thread_time()
        ring.read(legs)
        if tick >= 100:
            spent += time.thread_time() - before
    return spent / (TICKS - 100) / legs * 1e9


def run() -> dict[str, float]:
    clean = _read_ns(0.0)
    result = {
        "voice_read_ns": clean,
        "voice_read_ns_20_legs": _read_ns(0.0, legs=20),
        "voice_read_ns_1pct": _read_ns(0.01),
        "voice_read_ns_5pct": _read_ns(0.05),
        "voice_read_ns_10pct_bursts": _read_ns(0.1, 3),
        "voice_read_ns_off_border": _read_ns(0.0, crooked=True),
        "voice_read_ns_stopped": _read_ns(0.0, silent="nothing"),
        "voice_read_ns_noise": _read_ns(0.0, silent="white"),
        "voice_read_ns_coloured_noise": _read_ns(0.0, silent="coloured"),
    }
    result["voice_us_per_lost_frame"] = (result["voice_read_ns_5pct"] - clean) / 0.05 / 1000
    return result
