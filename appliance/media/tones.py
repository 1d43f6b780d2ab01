"""Call progress tones: the countries' table, made and heard.

`hw/tones.toml` holds what ITU-T E.180 lists. The generator turns a tone into one cycle of mu-law
audio that can be looped. The detector measures the amplitude of the table's frequencies in 40 ms
Hann windows each 20 ms; half-overlapping Hann windows add up to a constant, so the sum of a
burst's amplitudes is its duration, finer than the step. Busy and reorder are told from ringback
and dial tone by cadence: two whole cycles that fit, so they are certain when the third begins.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.hw import hw_path
from appliance.media import g711
from appliance.media.dsp import signals
from appliance.media.protocol import Tone
from appliance.media.slots import widen

RATE: Final = 8000
FRAME: Final = 160
STEP_MS: Final = 20
NAMES: Final[tuple[Tone, ...]] = ("ringback", "busy", "reorder", "dial")
"""Every country's table has these. Reorder is what E.180 calls congestion tone."""
EXTRA: Final[tuple[Tone, ...]] = ("stutter", "waiting", "confirm")
"""Those that a table may leave out; it gets the plan's dial tone in three bursts of 100 ms before
it goes on (stutter), alone (confirm), and a short double beep (waiting)."""

MIN_LEVEL_DBM0: Final = -40.0
MIN_PURITY: Final = 0.62
"""Share of the power in the tone's frequencies; the rest is noise, echo and detuning."""
HANG_UP_CYCLES: Final = 2
"""Whole cycles of busy or reorder that have to fit; the third begins when we know."""
PERSISTENT_DIAL_MS: Final = 4000
"""Dial tone for so long in a call: the exchange has ended it."""
_TOLERANCE: Final = 0.12
_TOLERANCE_MS: Final = 35.0
_LEVEL_SPREAD: Final = 1.5
"""Bursts of one tone are equally loud within this ratio of amplitudes (3.5 dB)."""
_MAX_OFF_MS: Final = 6500.0
_MIN_BURST_MS: Final = 80.0
_ANY_CYCLES: Final = 3
_ANY_MS: Final = (100.0, 1100.0)
"""A plain on-off beat of this pace that no table knows is a busy tone after so many cycles."""
_LEAD_MS: Final = (100, 100, 100, 100, 100, 100)
_LASTING_MS: Final = 10_000
_LEAD_GAP_MS: Final = 400.0
"""Nothing for so long after a lead: it was a confirmation."""
_COMMON: Final = ((400.0,), (425.0,), (440.0,), (450.0,), (480.0, 620.0))


@dataclass(frozen=True, slots=True)
class ToneShape:
    """`cadence_ms` is on, off, on, off ...; empty is continuous."""

    hz: tuple[float, ...]
    cadence_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TonePlan:
    """The tones of one country; `level_dbm0` is that of each frequency."""

    country: str
    name: str
    level_dbm0: float
    tones: dict[Tone, ToneShape]


def parse_plans(text: str) -> dict[str, TonePlan]:
    """Plans by country code. Raises ValueError that names country and tone."""
    plans = {}
    for country, table in tomllib.loads(text).items():
        try:
            tones = {name: _shape(table[name]) for name in NAMES}
            dial, busy = tones["dial"].hz, tones["busy"].hz
            tones["stutter"] = ToneShape(dial, (*_LEAD_MS, _LASTING_MS, 0))
            tones["confirm"] = ToneShape(dial, (*_LEAD_MS[:-1], 5000))
            tones["waiting"] = ToneShape(busy[:1], (200, 200, 200, 5000))
            tones |= {name: _shape(table[name]) for name in EXTRA if name in table}
            plans[country] = TonePlan(country, table["name"], float(table["level_dbm0"]), tones)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"tones of '{country}': {error}") from None
    return plans


def _shape(table: dict[str, Any]) -> ToneShape:
    hz = tuple(float(value) for value in table["hz"])
    cadence = tuple(int(value) for value in table["cadence_ms"])
    if not hz or not all(300 <= value <= 3400 for value in hz):
        raise ValueError("hz has to list frequencies from 300 to 3400")
    # Only the last pause may be none: what lasts after a lead.
    if len(cadence) % 2 or not all(20 <= value <= 10_000 for value in cadence if value):
        raise ValueError("cadence_ms has to be pairs of on and off, 20 to 10000 ms each")
    if 0 in cadence[:-1]:
        raise ValueError("cadence_ms has to be pairs of on and off, 20 to 10000 ms each")
    return ToneShape(hz, cadence)


@cache
def all_plans() -> dict[str, TonePlan]:
    """The plans of `hw/tones.toml`."""
    return parse_plans(hw_path("tones.toml").read_text(encoding="utf-8"))


def plan_for(country: str) -> TonePlan:
    """The country's plan; an unknown country gets the 425 Hz plan that E.180 recommends (de)."""
    plans = all_plans()
    return plans.get(country.lower(), plans["de"])


@cache
def _cycle(plan_country: str, tone: Tone) -> g711.Bytes:
    plan = plan_for(plan_country)
    shape = plan.tones[tone]
    cadence = shape.cadence_ms or (1000, 0)
    time = np.arange(sum(cadence) * 8) / RATE
    amplitude = g711.dbm0_to_rms(plan.level_dbm0) * 2**0.5
    audio = sum((amplitude * np.sin(2 * np.pi * hz * time) for hz in shape.hz), np.zeros(len(time)))
    if shape.cadence_ms:
        on = np.zeros(len(time))
        at = 0
        for index, length in enumerate(cadence):
            if index % 2 == 0:
                on[at * 8 : (at + length) * 8] = 1
            at += length
        audio = audio * on
    loop = g711.ulaw_encode(audio.round().astype(np.int16))
    loop.setflags(write=False)
    return loop


@cache
def _special_information() -> g711.Bytes:
    sound = np.concatenate((signals.information_tone(), np.zeros(RATE)))
    return g711.ulaw_encode(sound.round().astype(np.int16))


def make_tone(plan: TonePlan, tone: Tone) -> g711.Bytes:
    """One cycle as mu-law samples, to be looped without a seam (frequencies are whole hertz)."""
    return _special_information() if tone == "sit" else _cycle(plan.country, tone)


# --- hearing --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A tone that was recognised; `ended` means that the far end is gone for good."""

    tone: Tone
    ended: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """One burst and the silence after it."""

    on_ms: float
    off_ms: float
    signal: int
    peak: float


class _Cadence:
    """The beat of one leg, fed with one window each 20 ms while there is something to follow."""

    __slots__ = ("_end", "_frames", "_mass", "_on_ms", "_pairs", "_peak", "_quiet", "_reported",
                 "_signal", "_start")  # fmt: skip

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []
        self._signal = -1
        self._frames = 0
        self._mass = 0.0
        self._peak = 0.0
        self._quiet = 0
        self._start = 0.0
        self._end = -1e9
        self._on_ms = 0.0
        self._reported: list[Heard] = []

    @property
    def idle(self) -> bool:
        return self._signal < 0 and self._on_ms == 0.0 and not self._pairs

    def step(self, table: _Table, at: float, signal: int, amplitude: float) -> Heard | None:
        """The window that ends at `at` ms: its signal (-1: none) and that signal's amplitude."""
        if self._signal < 0:
            if signal >= 0:
                self._signal, self._frames, self._quiet = signal, 1, 0
                self._mass = self._peak = amplitude
            elif at - self._end > table.longest_off_ms:
                self._forget()
            elif self._on_ms and at - self._end > _LEAD_GAP_MS and len(self._pairs) == 2:
                last = _Pair(self._on_ms, _LEAD_MS[-1], self._pairs[-1].signal, self._peak)
                if table.is_lead([*self._pairs, last]):
                    return self._report(Heard("confirm", False))
            return None
        if signal == self._signal or (signal >= 0 and self._frames <= 2):
            # Windows on the slope of a burst may look like a neighbour of its signal.
            self._signal = signal
            self._frames += 1
            self._mass += amplitude
            self._peak = max(self._peak, amplitude)
            self._quiet = 0
            if self._frames == 4:
                # Its windows so far cover it from its start to the middle of this one's end.
                self._start = at - STEP_MS / 2 - STEP_MS * self._mass / self._peak
                return self._begun(table)
            return self._lasting(table)
        self._quiet += 1
        if self._quiet == 1:
            self._mass += min(amplitude, self._peak)
        if self._quiet >= 2:
            self._ended()
        return None

    def _begun(self, table: _Table) -> Heard | None:
        """A burst is under way: the pair of the one before it is complete."""
        if self._on_ms > 0.0:
            last = self._pairs[-1] if self._pairs else None
            pair = _Pair(self._on_ms, self._start - self._end, self._signal, self._peak)
            self._on_ms = 0.0
            if last is not None and (
                last.signal != pair.signal
                or not 1 / _LEVEL_SPREAD <= last.peak / pair.peak <= _LEVEL_SPREAD
            ):
                self._pairs.clear()
                self._reported.clear()
            self._pairs = [*self._pairs[-7:], pair]
            tone = table.match(self._pairs)
            if tone is not None:
                return self._report(Heard(tone, tone in ("busy", "reorder")))
        return None

    def _lasting(self, table: _Table) -> Heard | None:
        on_ms = STEP_MS * self._frames
        if self._frames < 4 or on_ms < table.dial_after_ms[self._signal]:
            return None
        if table.is_lead(self._pairs):
            self._pairs.clear()
            return self._report(Heard("stutter", False))
        self._pairs.clear()
        if on_ms >= PERSISTENT_DIAL_MS:
            return self._report(Heard("dial", True))
        if Heard("stutter", False) in self._reported:
            return None
        return self._report(Heard("dial", False))

    def _report(self, heard: Heard) -> Heard | None:
        if heard in self._reported:
            return None
        self._reported.append(heard)
        return heard

    def _ended(self) -> None:
        self._on_ms = STEP_MS * self._mass / self._peak
        self._end = self._start + self._on_ms
        if self._frames < 4 or self._on_ms < _MIN_BURST_MS:
            self._forget()
        self._signal = -1

    def _forget(self) -> None:
        self._pairs.clear()
        self._reported.clear()
        self._on_ms = 0.0


class _Table:
    """What the detector looks for: signals (sets of frequencies) and the tones made of them."""

    def __init__(self, plan: TonePlan) -> None:
        shapes = list(plan.tones.values())
        signals = {shape.hz for shape in shapes} | set(_COMMON)
        # Single frequencies first: a pair has to explain more than they do.
        self.signals = sorted(signals, key=lambda hz: (len(hz), hz))
        self._cadences: list[tuple[Tone, ToneShape]] = [
            (name, plan.tones[name]) for name in (*NAMES, "waiting") if plan.tones[name].cadence_ms
        ]
        longest = max(max(shape.cadence_ms[1::2]) for _, shape in self._cadences)
        self.longest_off_ms = max(_MAX_OFF_MS, longest + _TOLERANCE * longest)
        dial = plan.tones["dial"]
        self._dial = dial.hz
        self.dial_after_ms: list[float] = []
        for hz in self.signals:
            longest = max(
                (max(shape.cadence_ms[::2]) for _, shape in self._cadences if _same(shape.hz, hz)),
                default=0,
            )
            continuous = not dial.cadence_ms and _same(dial.hz, hz)
            self.dial_after_ms.append(max(1000.0, 1.4 * longest) if continuous else float("inf"))

    def is_lead(self, pairs: list[_Pair]) -> bool:
        """Whether these are the bursts before a stutter dial tone, or a confirmation's."""
        return len(pairs) == len(_LEAD_MS) // 2 and all(
            _same(self.signals[pair.signal], self._dial)
            and _near(pair.on_ms, _LEAD_MS[0])
            and _near(pair.off_ms, _LEAD_MS[1])
            for pair in pairs
        )

    def match(self, pairs: list[_Pair]) -> Tone | None:
        """The tone whose cadence the last pairs have."""
        hz = self.signals[pairs[-1].signal]
        for tone, shape in self._cadences:
            if not _same(shape.hz, hz):
                continue
            cycles = HANG_UP_CYCLES if tone in ("busy", "reorder") else 1
            period = len(shape.cadence_ms) // 2
            if len(pairs) < cycles * period:
                continue
            recent = pairs[-cycles * period :]
            for turn in range(period):
                wanted = shape.cadence_ms[2 * turn :] + shape.cadence_ms[: 2 * turn]
                if all(
                    _near(pair.on_ms, wanted[2 * (index % period)])
                    and _near(pair.off_ms, wanted[2 * (index % period) + 1])
                    for index, pair in enumerate(recent)
                ):
                    return tone
        recent = pairs[-_ANY_CYCLES:]
        if self.is_lead(recent):
            return None
        low, high = _ANY_MS
        if len(recent) == _ANY_CYCLES and all(
            low <= pair.on_ms <= high
            and low <= pair.off_ms <= high
            and _near(pair.on_ms, recent[0].on_ms)
            and _near(pair.off_ms, recent[0].off_ms)
            for pair in recent
        ):
            return "busy"
        return None


def _same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two signals are the same tone, allowing for a neighbour's exchange."""
    return len(a) == len(b) and all(abs(x - y) <= 30 for x, y in zip(a, b, strict=True))


def _near(measured: float, wanted: float) -> bool:
    return abs(measured - wanted) <= max(_TOLERANCE_MS, _TOLERANCE * wanted)


class ToneDetector:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, plan: TonePlan, capacity: int) -> None:
        self._table = _Table(plan)
        window = 2 * FRAME
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
        bank = sorted({hz for signal in self._table.signals for hz in signal})
        phase = 2j * np.pi * np.arange(window)[:, None] / RATE * np.array(bank)[None, :]
        kernel = hann[:, None] * np.exp(-phase) * 2 / hann.sum()
        self._kernel = np.ascontiguousarray(
            np.stack((kernel.real, kernel.imag), axis=2).reshape(window, -1).astype(np.float32)
        )
        self._weight = (hann**2).astype(np.float32)
        self._gain = float(np.sum(hann**2) / 2)
        self._parts = [[bank.index(hz) for hz in signal] for signal in self._table.signals]
        self._capacity = capacity
        # Room for it is taken when the first of all legs is listened to.
        self._frame = np.zeros((0, FRAME), np.float32)
        self._cadence: dict[int, _Cadence] = {}

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        self._capacity = max(self._capacity, capacity)
        if len(self._frame):
            self._frame = widen(self._frame, self._capacity)

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        if len(self._frame):
            self._frame[slot] = 0
        self._cadence.pop(slot, None)

    def process(
        self, pcm: npt.NDArray[Any], slots: npt.NDArray[np.int64], tick: int
    ) -> list[tuple[int, Heard]]:
        """Tones that became certain in this frame; `pcm` is (legs, 160), `slots` its rows to hear.

        Each is reported once until its beat is broken.
        """
        if not len(slots):
            return []
        if not len(self._frame):
            self._frame = widen(self._frame, self._capacity)
        window = np.empty((len(slots), 2 * FRAME), np.float32)
        window[:, :FRAME] = self._frame[slots]
        window[:, FRAME:] = pcm[slots]
        self._frame[slots] = window[:, FRAME:]
        energy = (window * window) @ self._weight
        signals = np.full(len(slots), -1)
        amplitudes = np.zeros(len(slots))
        floor = (g711.dbm0_to_rms(MIN_LEVEL_DBM0) ** 2) * 2 * self._gain
        loud = np.flatnonzero(energy > floor / 4)
        if len(loud):
            spectrum = (window[loud] @ self._kernel).view(np.complex64)
            power = spectrum.real**2 + spectrum.imag**2
            signals[loud], amplitudes[loud] = self._signals(power, energy[loud])
        found = []
        for row in np.flatnonzero((signals >= 0) | self._followed(slots)):
            slot = int(slots[row])
            cadence = self._cadence.setdefault(slot, _Cadence())
            heard = cadence.step(
                self._table, tick * STEP_MS, int(signals[row]), float(amplitudes[row])
            )
            if heard is not None:
                found.append((slot, heard))
            if cadence.idle:
                del self._cadence[slot]
        return found

    def _followed(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.array([slot in self._cadence for slot in slots.tolist()])

    def _signals(
        self, power: npt.NDArray[np.float32], energy: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """For each row the signal that explains most of it, or -1, and its amplitude."""
        best = np.full(len(power), -1)
        most = np.zeros(len(power))
        for index, parts in enumerate(self._parts):
            part = power[:, parts].astype(np.float64)
            total = part.sum(axis=1)
            fits = total > most
            if len(parts) > 1:
                # Both are there, and together they explain clearly more than one alone.
                fits = (part.min(axis=1) > 0.1 * part.max(axis=1)) & (total > 1.1 * most)
            best[fits] = index
            most = np.where(fits, total, most)
        amplitude = np.sqrt(most)
        good = (most * self._gain >= MIN_PURITY * energy) & (
            amplitude >= g711.dbm0_to_rms(MIN_LEVEL_DBM0) * 2**0.5
        )
        return np.where(good, best, -1), amplitude
