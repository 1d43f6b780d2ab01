"""What is said to a modem whose clock is not ours: the emulator behind the driver's core, in
simulated time. Nothing runs dry, nothing is thrown away, and what is heard is the voice."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.lines.line import OffHook
from appliance.lines.modem_core import Audio, ModemCore, Send
from appliance.lines.profiles import load_profiles
from appliance.media import stretch
from appliance.media.pace import BLOCK_TICKS, DUE, WARM_BLOCKS, Pace
from appliance.simulator.modem import Modem
from appliance.simulator.sound import SILENCE
from appliance.simulator.variants import VARIANTS
from tests.media import voice

SECONDS = 540
"""In which a clock that is 150 ppm off gains or loses 81 ms: more than waits for the modem."""
_SAID = np.resize(voice.glide(20.0), 8000 * SECONDS).round().astype(np.int16)


class Exchange:
    """The driver's core and the emulator; the modem's frames come by its own clock, and what it
    sends is late by up to 8 ms, as on a busy machine."""

    def __init__(self, ppm: float) -> None:
        self.core = ModemCore(
            "auto", "us", registry=load_profiles(), device="/dev/ttyTEST", cid_wait_ms=1000
        )
        self.modem = Modem(VARIANTS["conexant"], split=False)
        self.pace = Pace()
        self.frame_ms = 20 / (1 + ppm * 1e-6)
        self.due = 0.0
        self.now = 0
        self.played: list[np.ndarray] = []
        self.talking = False
        self.dry = 0
        self.random = np.random.default_rng(1)
        self._late: list[tuple[float, bytes]] = []

    def until(self, now: int) -> None:
        """Time passes."""
        while self.due <= now:
            self.now = int(self.due)
            self.played.append(self.modem.frame(SILENCE, self.now))
            data = self.modem.take(self.now)
            if data:
                self._late.append((self.due + 8 * self.random.random(), data))
            self._carry(self.due)
            self.due += self.frame_ms
        self.now = now
        self._carry(now)

    def _carry(self, at: float) -> None:
        while self._late and self._late[0][0] <= at:
            self.core.receive(self._late.pop(0)[1], self.now)
            self.take()
        self.core.tick(self.now)
        self.take()

    def take(self) -> None:
        while outputs := self.core.take():
            for output in outputs:
                if isinstance(output, Send):
                    self.modem.receive(output.data, self.now)
                elif isinstance(output, Audio):
                    self.pace.came(len(output.pcm) // 2)
                elif isinstance(output, OffHook):
                    self.talking = True
                    self.pace.reset()

    def answer(self) -> None:
        self.core.opened(self.now, "")
        self.take()
        self.until(6000)
        assert self.core.state == "idle"
        self.modem.ring(self.now)
        self.until(8000)
        self.core.answer(self.now)
        self.take()
        for now in range(8020, 40_000, 20):
            self.until(now)
            if self.talking:
                return
        raise AssertionError(f"never off hook: {self.core.state}")

    def talk(self, paced: bool) -> None:
        start = self.now
        for n in range(SECONDS * 50):
            self.until(start + n * 20)
            frame = _SAID[n * 160 : n * 160 + 160]
            pcm = self.pace.frame(frame)
            # Then the driver lets silence go first, so that it is not dry all the time.
            self.dry += n > 0 and self.core._pacer.queued == 0
            self.core.write((pcm if paced else frame).astype("<i2").tobytes(), self.now)
            self.take()


@pytest.mark.parametrize("ppm", [-150.0, 150.0])
def test_a_modem_with_another_clock_is_given_what_it_plays(ppm: float) -> None:
    it = Exchange(ppm)
    it.answer()
    it.played.clear()
    it.talk(paced=True)
    assert it.dry == it.modem.underruns == 0
    # A modem that sends 20 ms at a time is known no better than that: one slip at first.
    assert it.core._pacer.dropped <= 40
    # 1.2 samples a second, in steps of 40 to 120.
    assert 3 <= it.pace.seams <= SECONDS * 1.2 / stretch.SHORTEST + 1
    # A cushion is silence; after it there is no gap that the voice has not.
    heard = np.concatenate(it.played)[8000:].astype(float)
    said = _SAID.astype(float)
    quantum = 256
    assert voice.longest_gap_ms(heard, quantum) <= voice.longest_gap_ms(said, quantum) + 15
    assert abs(20 * np.log10(np.std(heard) / np.std(said))) < 0.5


@pytest.mark.parametrize("ppm", [-150.0, 150.0])
def test_without_pacing_it_would_run_dry_or_drop(ppm: float) -> None:
    it = Exchange(ppm)
    it.answer()
    it.talk(paced=False)
    assert it.dry if ppm > 0 else it.core._pacer.dropped > 300


def test_a_clock_like_ours_changes_nothing() -> None:
    pace, random = Pace(), np.random.default_rng(2)
    late = 0
    for n in range(20_000):
        # One piece in five comes with the next.
        now = 160 * int(random.random() < 0.2)
        pace.came(160 + late - now)
        late = now
        frame = _SAID[n * 160 % 160_000 :][:160]
        assert pace.frame(frame) is frame


def test_a_device_that_stood_still_is_no_drift() -> None:
    pace = Pace()
    for n in range(BLOCK_TICKS * 8):
        pace.came(0 if 700 <= n < 720 else 160)
        pace.frame(_SAID[:160])
    assert abs(pace.owed) < DUE
    assert pace.seams == 0


def test_a_seam_is_where_two_periods_are_alike() -> None:
    time = np.arange(8000 * 60)
    tone = (4000 * np.sin(2 * np.pi * time / 64)).astype(np.int16)
    for gain in (-1, 1):
        pace, heard = Pace(), []
        for n in range(3000):
            pace.came(160 + gain * (n > BLOCK_TICKS * WARM_BLOCKS and n % 5 == 0))
            heard.append(pace.frame(tone[n * 160 : n * 160 + 160]))
        assert pace.seams >= 5
        sound = np.concatenate(heard).astype(float)
        # A tone steps by 400 at most; a seam that does not fit would step by thousands.
        assert np.abs(np.diff(sound)).max() < 450
        assert {len(frame) % 64 for frame in heard} == {160 % 64}
