"""Line echo canceller for the legs on two wires, all of them at once.

A hybrid gives back what the office says, 6 to 20 dB down, spread over some tens of milliseconds and
late by all that lies between the engine and the line: the driver's queue, a modem's buffers, the
jitter ring. Standard: ITU-T G.168; the disabling tone is that of G.164 and G.165.

How it works, for each leg:

- *Search.* Until the echo is found nothing is touched. The whitened cross-spectrum of the last
  quarter second of the line and what was said up to 400 ms before it has a peak at the echo's
  delay. Two looks that agree are tried: only if a study there takes the echo away it is found.
- *Study.* Least squares over the last 0.8 s (`appliance.media.echo_study`), whenever the filter
  leaves more than it should: within a second it gives what an adaptive filter needs many for.
- *Filter.* A partitioned-block frequency-domain Kalman filter (Kuech, Mabande, Enzner: "State-space
  architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014) keeps it up to
  date: 4 partitions of 20 ms, overlap-save with blocks of a tick, so it adds no delay. The step for
  each bin and partition comes from how uncertain the tap is and how loud everything is that is no
  echo: talk of both sides stops it by itself, no detector could be late. A filter that worked is
  kept, and taken again when it does better than the present one. It does not learn from tones,
  which many wrong filters cancel.
- *Slips.* A driver's queue or the jitter ring drops or adds samples now and then, which moves the
  whole echo. When it comes through again, the kept filter is tried at all delays within 60 ms; the
  one that explains the line is taken, and the very tick that showed the slip is done again.
- *Suppressor.* What is left while only the office speaks is lowered to 40 dB under the echo, by
  20 dB at most, and filled with noise like the line's own. Anything louder than the rest of echo
  that is to be expected opens it within 5 ms and keeps it open for 200 ms: near speech, keys and
  fax tones pass as they are. Many voice modems send 8-bit linear samples, whose rounding no filter
  can take away: the step is measured, and its noise expected.
- *2100 Hz with phase reversals* from either side takes the canceller out (modems cancel echo
  themselves) until both sides have been silent for 250 ms.

Why not a library. Measured beside libspeexdsp 1.2.1 (`./build.sh bench echo`, six hybrids, speech,
mean over the second second): the filter takes 33 dB off the echo, with the suppressor 38 dB;
speex's canceller 22 dB although it is told the delay. After double talk: 27 and 23 dB. Speex costs
some 30 us a leg and tick, this 0.5 ms for the first leg, 100 us each with 8 legs and 60 us with 24,
and next to nothing while the office is silent. Speex would also need the search, the slips and the
disabling around it. WebRTC's canceller has no wheels for both architectures.
"""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.echo_study import Study, samples_of, spectrum_of
from appliance.media.reversals import Reversals

RATE: Final = 8000
BLOCK: Final = 160
PARTS: Final = 4
TAIL: Final = PARTS * BLOCK
"""Taps of the filter: 80 ms, of which `LEAD` lie before the echo that was found."""
LEAD: Final = 48
MAX_DELAY: Final = 3200
"""Latest echo that is looked for: 400 ms after the engine gave the sound away."""
MAX_SLIP: Final = 480

_FFT: Final = 2 * BLOCK
_BINS: Final = BLOCK + 1
_MEMORY: Final = 64
"""Ticks of both directions that are remembered."""
_RING: Final = _MEMORY * BLOCK

TALK_DBM0: Final = -48.0
"""The office speaks when a tick of it is louder than this."""
_TALK: Final = float(g711.dbm0_to_rms(TALK_DBM0) ** 2)
_SAID: Final = float(g711.dbm0_to_rms(-60.0) ** 2)
_HISS: Final = float(g711.dbm0_to_rms(-66.0) ** 2)
"""Power per sample that a line always has."""

# --- search
LOOK_TICKS: Final = 2
"""Ticks of speech between two looks for the echo, and ..."""
LAZY_TICKS: Final = 25
_LAZY_LOOKS: Final = 50
"""... after so many looks in vain."""
_LOOK: Final = 2048
_LOOK_FFT: Final = 8192
_LOOK_FADE: Final = 0.7
_LOOKS_A_TICK: Final = 2
_WHITE: Final = 0.8
"""How white the cross-spectrum is made."""
_SHARPNESS: Final = 7.0
"""A peak of the correlation counts when it is so many times its RMS value."""
_SAME_DELAY: Final = 6
_LOOK_BINS: Final = 20.0
_EARLIER: Final = 256
_EARLIER_SHARE: Final = 0.4
"""A peak up to 32 ms before the highest is where the echo begins if it has this share of it."""
_FIRST_STEPS: Final = 8
_MIN_GAIN: Final = 0.4
_MIN_BLOCKS: Final = 6
_MIN_SHARE: Final = 0.4
"""An echo is found when so many ticks, and that share of those in which anything was to be heard,
are left with no more than this of their power."""

# --- studies
STUDY_TICKS: Final = 40
_STEPS_A_TICK: Final = 6
"""Of all studies together, each at least one: 1.5 ms."""
_STUDIES_AT_ONCE: Final = 4
_JUDGE_EVERY: Final = 8
_STUDY_EVERY: Final = 6
"""Ticks of speech between two studies, and ..."""
_STUDIES: Final = 12
_LAZY_STUDY_TICKS: Final = 40
"""... after so many of them."""
_POOR: Final = 1.5e-3
"""A filter that leaves more than this of the echo (28 dB) wants to be studied."""
_SUMS_FADE: Final = 0.95
_DOUBTS: Final = 6
"""Studies in vain after which an echo is searched again."""
_STRAINED: Final = 0.4
_JUDGED_TICKS: Final = 8
_MARGIN: Final = 0.1
_STRAIN_MARGIN: Final = 0.6
"""By how much a study has to do better, as logarithm of power (0.4 dB): where the line's own side
speaks all do nearly alike, and a study may have learnt some of that speech."""
_LEARNT: Final = 4e-5
"""Variance of taps that a study has found."""

# --- filter
_FADE: Final = 0.9999
"""A tap's variance that is trusted from one tick to the next: how fast a line may change."""
_TONAL_BINS: Final = 4.0
_TONAL_TICKS: Final = 8
"""A sound of so few frequencies for so long is a tone: the filter would learn to cancel it by taps
that are wrong for speech, so it does not learn."""
_WORSE: Final = 1.2
_GO_BACK: Final = 0.3
_NOISE_FADE: Final = 0.8
_UNCERTAIN: Final = np.array([0.4, 0.15, 0.08, 0.05], np.float32)[:, None]
"""Expected power of the echo path in each partition when nothing is known."""

# --- slips
_GOOD: Final = 0.03
"""Left of the line's power when the filter is worth remembering (15 dB)."""
_KEEP_TICKS: Final = 8
_FAIL: Final = 8.0
"""So many times what is to be expected is left: the echo has moved, or somebody speaks."""
_LEAST_REST: Final = 0.01
_SLIP_LOOK: Final = 240
_SLIP_FFT: Final = 2048
_SLIP_GAIN: Final = 0.3
_MATCH_FADE: Final = 0.95
_LEARN_TICKS: Final = 12
_PATIENCE_TICKS: Final = 60
"""Ticks of echo that comes through: then the filter learns anew, and then is searched again."""
_BARREN_TICKS: Final = 100
"""After so many ticks of talk without one in which the filter works it is long double talk, or the
echo is elsewhere: it is searched, every few ticks, while the filter goes on."""
_BARREN_EVERY: Final = 8

# --- suppressor
_STEPS: Final = 4
_STEP: Final = BLOCK // _STEPS
MAX_SUPPRESSION_DB: Final = 20.0
_LEAST_GAIN: Final = 10 ** (-MAX_SUPPRESSION_DB / 20)
_AIM: Final = 1e-4
"""Of the echo's power is to be left: 40 dB, which is 6 dB more than the filter does by itself on a
line with mu-law, and 20 dB more on one with 8 bits."""
_NEAR: Final = 5.0
"""A step this many times louder than the rest of echo to be expected is speech."""
_HOLD_TICKS: Final = 10
_ECHO_FADE: Final = 0.8
"""Of the echo's power, from step to step: the tail beyond the filter."""
_MAX_STEP: Final = 260.0
"""8 bits, as mu-law passes them on."""
_MAX_FLOOR: Final = float(g711.dbm0_to_rms(-45.0) ** 2)
"""Noise above this is not taken for the line's own."""

# --- 2100 Hz
_RELEASE: Final = float(g711.dbm0_to_rms(-36.0) ** 2)
_RELEASE_TICKS: Final = 13

_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]
_C64 = npt.NDArray[np.complex64]
_Bool = npt.NDArray[np.bool_]


def _look_window() -> _F32:
    hz = np.fft.rfftfreq(_LOOK_FFT, 1 / RATE)
    return ((hz > 250) & (hz < 3400)).astype(np.float32)


_BAND: Final = _look_window()
_RAMP: Final = ((np.arange(_STEP) + 1) / _STEP).astype(np.float32)
_FADES: Final = np.tril(
    _ECHO_FADE ** (np.arange(_STEPS)[:, None] + 1.0 - np.arange(_STEPS + 1)), 1
).astype(np.float32)
"""How much of the echo before and in each step is left in each later one."""
_CLOSING: Final = (1 - 0.7 ** np.arange(1, _STEPS + 1)).astype(np.float32)


def _phases() -> _C64:
    # Not by `numpy.random`, which takes three megabytes.
    source = random.Random(1)
    turns = np.fromiter((source.random() for _ in range(_MEMORY * _BINS)), np.float64)
    phases: _C64 = np.exp(2j * np.pi * turns.reshape(_MEMORY, _BINS)).astype(np.complex64)
    return phases


_TURNS: Final = _phases()
"""Phases of the noise that fills up."""
_RISE: Final = np.sin(np.pi / 2 * (np.arange(BLOCK) + 0.5) / BLOCK).astype(np.float32)
_FALL: Final = np.cos(np.pi / 2 * (np.arange(BLOCK) + 0.5) / BLOCK).astype(np.float32)


class EchoCanceller:
    """State of the legs that were opened; all others cost nothing. Times are ticks of 20 ms."""

    def __init__(self) -> None:
        self.suppress = True
        """The suppressor is on."""
        self._rows: dict[int, int] = {}
        self._studies: dict[int, Study] = {}
        self._tick = 0
        self._capacity = 0
        self._slot: _I64 = np.zeros(0, np.int64)
        self._said: _F32 = np.zeros((0, _RING), np.float32)
        self._line: _F32 = np.zeros((0, _RING), np.float32)
        self._delay: _I64 = np.zeros(0, np.int64)
        self._found: _Bool = np.zeros(0, np.bool_)
        self._off: _Bool = np.zeros(0, np.bool_)
        """Taken out by 2100 Hz."""
        self._heard_at: _I64 = np.zeros(0, np.int64)
        """Tick in which the office last said something."""
        self._done: _I64 = np.zeros(0, np.int64)
        """Tick in which the filter last worked."""
        self._step: _F32 = np.zeros(0, np.float32)
        """Smallest sample of the line that was not 0."""
        self._still: _I64 = np.zeros(0, np.int64)
        """Ticks in which both sides were silent."""
        self._x: _C64 = np.zeros((0, PARTS, _BINS), np.complex64)
        self._w: _C64 = np.zeros((0, PARTS, _BINS), np.complex64)
        self._p: _F32 = np.zeros((0, PARTS, _BINS), np.float32)
        """Variance of each of `_w`."""
        self._noise: _F32 = np.zeros((0, _BINS), np.float32)
        """Power of all that is no echo."""
        self._good: _C64 = np.zeros((0, PARTS, _BINS), np.complex64)
        """The filter when it last worked well."""
        self._is_good: _Bool = np.zeros(0, np.bool_)
        self._match: _F32 = np.zeros((0, 2), np.float32)
        """Sums of echo times line and of echo times echo: their ratio is 1 while the filter is
        right, whoever talks."""
        self._better: _F32 = np.zeros(0, np.float32)
        """How much better `_good` has done lately, as logarithm of power."""
        self._strain: _F32 = np.zeros(0, np.float32)
        """Share of ticks in which more was left than is to be expected."""
        self._since: _I64 = np.zeros(0, np.int64)
        """Tick since which the echo has been where it is now."""
        self._tonal: _I64 = np.zeros(0, np.int64)
        """Ticks in a row in which the office sent tones."""
        self._lost: _I64 = np.zeros(0, np.int64)
        self._barren: _I64 = np.zeros(0, np.int64)
        self._looks: _I64 = np.zeros(0, np.int64)
        self._talked: _I64 = np.zeros(0, np.int64)
        self._guess: _I64 = np.zeros(0, np.int64)
        self._cross: _C64 = np.zeros((0, _LOOK_FFT // 2 + 1), np.complex64)
        self._sums: _F32 = np.zeros((0, 2), np.float32)
        """Power that the filter left of the echo lately, and power of the echo."""
        self._rest: _F32 = np.zeros(0, np.float32)
        """What a tick leaves of the echo, relative to its echo, as the suppressor expects it."""
        self._floor: _F32 = np.zeros(0, np.float32)
        """Power of the line's own noise."""
        self._colour: _F32 = np.zeros((0, _BINS), np.float32)
        """The same for each bin."""
        self._gain: _F32 = np.zeros(0, np.float32)
        self._hold: _I64 = np.zeros(0, np.int64)
        self._echo: _F32 = np.zeros(0, np.float32)
        """Power of the echo, falling slowly."""
        self._fill: _F32 = np.zeros((0, BLOCK), np.float32)
        self._tone = Reversals()

    # --- legs -------------------------------------------------------------------------------

    def open(self, slot: int) -> None:
        """This leg is on two wires from now on."""
        self.close(slot)
        row = len(self._rows)
        if row == self._capacity:
            self._capacity = max(4, 2 * row)
            for owner, name, array in self._state():
                wider = np.zeros((self._capacity, *array.shape[1:]), array.dtype)
                wider[: len(array)] = array
                setattr(owner, name, wider)
        self._rows[slot] = row
        for _, _, array in self._state():
            array[row] = 0
        self._slot[row] = slot
        self._step[row] = _MAX_STEP
        self._forget(row)

    def close(self, slot: int) -> None:
        row = self._rows.pop(slot, None)
        if row is None:
            return
        self._studies.pop(slot, None)
        last = len(self._rows)
        if row != last:
            for _, _, array in self._state():
                array[row] = array[last]
            self._rows[int(self._slot[row])] = row

    def _state(self) -> list[tuple[object, str, npt.NDArray[Any]]]:
        """All arrays that have a row for each leg."""
        return [
            (owner, name, value)
            for owner in (self, self._tone)
            for name, value in vars(owner).items()
            if isinstance(value, np.ndarray)
        ]

    def found(self, slot: int) -> bool:
        """The echo of this leg is known and being taken away."""
        row = self._rows.get(slot)
        return row is not None and bool(self._found[row] and not self._off[row])

    def delay(self, slot: int) -> int:
        """Samples from giving a sound away to the start of its echo in what comes back."""
        return int(self._delay[self._rows[slot]]) + LEAD

    def _forget(self, row: int) -> None:
        """Nothing is known of this leg's echo."""
        self._studies.pop(int(self._slot[row]), None)
        self._found[row] = self._is_good[row] = False
        self._looks[row] = self._talked[row] = self._lost[row] = self._hold[row] = 0
        self._since[row] = self._barren[row] = 0
        self._guess[row] = -1
        self._cross[row] = 0
        self._gain[row] = 1
        self._begin(row, 0)

    def _begin(self, row: int, delay: int) -> None:
        """An empty filter at this delay."""
        self._delay[row] = delay
        self._w[row] = 0
        self._p[row] = _UNCERTAIN
        self._noise[row] = BLOCK * _HISS
        self._match[row] = self._better[row] = self._tonal[row] = self._strain[row] = 0
        self._rest[row] = 1
        self._sums[row] = (1, 0)
        self._floor[row] = _HISS
        self._colour[row] = BLOCK * _HISS
        self._echo[row] = 0

    # --- the tick ---------------------------------------------------------------------------

    def tick(self, ulaw: g711.Bytes, pcm: _F32, out: g711.Bytes, missing: _Bool) -> None:
        """Take the echo out of one tick of all slots, in place.

        `ulaw` (slots, 160) and `pcm` of the same shape on the 16-bit scale came from the legs,
        `out` is the mu-law that was given to them after the last tick; nothing came from slots
        that are `missing`.
        """
        count = len(self._rows)
        if not count:
            return
        self._tick += 1
        slots = self._slot[:count]
        at = self._tick % _MEMORY * BLOCK
        said = g711.ULAW_FLOAT[out[slots]]
        line = pcm[slots]
        self._said[:count, at : at + BLOCK] = said
        self._line[:count, at : at + BLOCK] = line
        both = np.stack((said, line), axis=1)
        power = _power(both)
        loud = power[:, 0]
        self._heed_modems(both, power)
        there = ~missing[slots]
        size = np.abs(line)
        size[(size == 0) | ~there[:, None]] = _MAX_STEP
        self._step[:count] = np.minimum(self._step[:count], size.min(1))
        # While nothing was said that could come back there is nothing to do.
        heard = self._heard_at[:count]
        heard[loud > _SAID] = self._tick
        woken = self._tick - heard <= self._delay[:count] // BLOCK + PARTS + 2
        rows = np.flatnonzero(self._found[:count] & ~self._off[:count] & there & woken)
        if len(rows):
            fresh = rows[self._done[rows] != self._tick - 1]
            self._done[rows] = self._tick
            if len(fresh):
                self._fill_past(fresh, self._tick)
            made = self._cancel(rows, line[rows])
            places = slots[rows]
            pcm[places] = made
            ulaw[places] = g711.ulaw_encode(np.rint(made).astype(np.int16))
        self._talked[:count] += loud > _TALK
        self._go_on()
        self._search(loud > _TALK)

    def skip(self, ticks: int) -> None:
        """The clock moved on without us: nothing was given to the legs, what came is lost."""
        self._tick += ticks
        for back in range(min(ticks, _MEMORY)):
            at = (self._tick - back) % _MEMORY * BLOCK
            self._said[:, at : at + BLOCK] = self._line[:, at : at + BLOCK] = 0

    def _heed_modems(self, both: _F32, power: _F32) -> None:
        off = self._off[: len(both)]
        off |= self._tone.hear(both, power)
        if off.any():
            still = self._still[: len(both)]
            still[:] = np.where((power < _RELEASE).all(1) & off, still + 1, 0)
            off &= still < _RELEASE_TICKS

    def _coarse(self, rows: _I64) -> _F32:
        """Power of the noise of rounding to the steps in which the line's samples come."""
        step = self._step[rows]
        noise: _F32 = step * step * np.float32(1 / 12)
        return noise

    def _heard(self, rows: _I64, tick: int, delay: _I64, length: int) -> _F32:
        """What was said to the legs, `length` samples that end `delay` before the end of a tick."""
        end = (tick + 1) * BLOCK - delay
        index = (end[:, None] + np.arange(-length, 0)) % _RING
        heard: _F32 = self._said[rows[:, None], index]
        return heard

    # --- the filter -------------------------------------------------------------------------

    def _filter(self, rows: _I64, tick: int, line: _F32) -> tuple[_F32, _F32, _F32]:
        """One block of these legs: the echo, what is left of the line and its power by bin."""
        x, w, p = self._x[rows], self._w[rows], self._p[rows]
        x[:, 1:] = x[:, :-1].copy()
        x[:, 0] = spectrum_of(self._heard(rows, tick, self._delay[rows], _FFT))
        echo = samples_of((x * w).sum(1), _FFT)[:, BLOCK:]
        left = line - echo
        padded = np.zeros((len(rows), _FFT), np.float32)
        padded[:, BLOCK:] = left
        error = spectrum_of(padded)
        power = error.real**2 + error.imag**2
        noise = self._noise[rows]
        noise += (1 - _NOISE_FADE) * (power - noise)
        strength = x.real**2 + x.imag**2
        # Half: only half of each block of the overlap-save is there to be explained.
        explained = (p * strength).sum(1) * np.float32(0.5)
        step = p / (explained + noise + BLOCK * _HISS)[:, None]
        newest = strength[:, 0]
        width = newest.sum(1) ** 2 / (np.vecdot(newest, newest) + 1)
        tonal = np.where(width < _TONAL_BINS, self._tonal[rows] + 1, 0)
        self._tonal[rows] = tonal
        step[tonal > _TONAL_TICKS] = 0
        change = samples_of(step * np.conj(x) * error[:, None], _FFT)
        change[..., BLOCK:] = 0
        w += spectrum_of(change)
        p *= 1 - 0.5 * step * strength
        moving = np.where(tonal > _TONAL_TICKS, 0, 1 - _FADE).astype(np.float32)[:, None, None]
        p += moving * (w.real**2 + w.imag**2 - p)
        self._x[rows], self._w[rows], self._p[rows], self._noise[rows] = x, w, p, noise
        return echo, left, power

    def _cancel(self, rows: _I64, line: _F32) -> _F32:
        echo, left, power = self._filter(rows, self._tick, line)
        loud, over, floor = _power(line), _power(left), self._floor[rows]
        self._go_back(rows, line, echo, left, over)
        echoed = _power(echo)
        noise = floor + self._coarse(rows)
        # What is to be expected may have grown with a fault that came in small steps.
        rest = np.minimum(self._rest[rows], _LEAST_REST)
        expected = rest * np.maximum(echoed, self._echo[rows]) + noise
        fails = (over > _FAIL * expected) & (over > _GOOD * loud) & self._is_good[rows]
        for i in np.flatnonzero(fails):
            one = rows[i : i + 1]
            if self._find_slip(one, float(over[i]) * BLOCK):
                redone = self._filter(one, self._tick, line[i : i + 1])
                echo[i], left[i], power[i] = (part[0] for part in redone)
        self._strain[rows] += 0.1 * (fails - self._strain[rows])
        match = self._match[rows]
        match *= _MATCH_FADE
        match[:, 0] += np.vecdot(line, echo) / np.float32(BLOCK)
        match[:, 1] += _power(echo)
        self._match[rows] = match
        wrong = fails & (match[:, 0] < 0.5 * match[:, 1])
        lost = self._lost[rows] + wrong
        works = (over < _GOOD * loud) & (echoed > 20 * floor)
        lost[works] = 0
        barren = self._barren[rows] + (fails & (over > 0.5 * loud))
        barren[works] = 0
        self._barren[rows] = barren
        self._since[rows[wrong & (lost == 1)]] = self._tick - 1
        self._lost[rows] = lost
        keep = works & (self._better[rows] <= 0) & (self._tonal[rows] <= _TONAL_TICKS)
        for i in np.flatnonzero(keep & ((rows + self._tick) % _KEEP_TICKS == 0)):
            self._good[rows[i]] = self._w[rows[i]]
            self._is_good[rows[i]] = True
        for row in rows[wrong & (lost % _LEARN_TICKS == 0)]:
            self._learn_anew(np.array([row]))
        for row in rows[lost >= _PATIENCE_TICKS]:
            self._forget(int(row))
        # A filter that adds more than it takes, in a tick that shows a change, is left out.
        worse = _power(left) > _WORSE * loud
        left[worse] = line[worse]
        return self._soften(rows, echo, left, power)

    def _go_back(self, rows: _I64, line: _F32, echo: _F32, left: _F32, over: _F32) -> None:
        """Where the filter that was kept does better than the present one, take it again."""
        kept = (self._x[rows] * self._good[rows]).sum(1)
        would = samples_of(kept, _FFT)[:, BLOCK:]
        remains = line - would
        gain = np.log((over + _HISS) / (_power(remains) + _HISS))
        better = self._better[rows]
        better += 0.1 * (gain - better)
        back = (better > _GO_BACK) & self._is_good[rows]
        better[back] = 0
        self._better[rows] = better
        self._w[rows[back]] = self._good[rows[back]]
        self._p[rows[back]] = _LEARNT
        echo[back], left[back], over[back] = would[back], remains[back], _power(remains[back])

    # --- slips ------------------------------------------------------------------------------

    def _find_slip(self, one: _I64, over: float) -> bool:
        """Whether the last good filter explains the line much better than the present one, at this
        delay or another; if so, it is put there. `over` is the energy that is left of this tick."""
        row = int(one[0])
        delay = int(self._delay[row])
        index = ((self._tick + 1) * BLOCK + np.arange(-_SLIP_LOOK, 0)) % _RING
        heard = self._line[row, index]
        # An echo cannot come before its sound.
        ahead = min(MAX_SLIP, delay)
        length = _SLIP_LOOK + ahead + MAX_SLIP + TAIL
        said = self._heard(one, self._tick, np.array([delay - ahead]), length)[0]
        taps = samples_of(self._good[row], _FFT)[:, :BLOCK].reshape(-1)
        echo = samples_of(spectrum_of(said, _SLIP_FFT) * spectrum_of(taps, _SLIP_FFT), _SLIP_FFT)
        echo = echo[TAIL:length]
        # The piece of it that starts at `o` is what the line brings if the delay is
        # `delay + MAX_SLIP - o`.
        alike = samples_of(
            spectrum_of(echo, _SLIP_FFT) * np.conj(spectrum_of(heard, _SLIP_FFT)), _SLIP_FFT
        )[: ahead + MAX_SLIP + 1]
        sums = np.concatenate((np.zeros(1), np.cumsum(np.square(echo, dtype=np.float64))))
        energy = float(heard @ heard)
        left = energy - 2 * alike + sums[_SLIP_LOOK:] - sums[:-_SLIP_LOOK]
        best = int(np.argmin(left))
        present = min(float(left[MAX_SLIP]), over * _SLIP_LOOK / BLOCK)
        if best == MAX_SLIP:
            present = over * _SLIP_LOOK / BLOCK
        if left[best] > _SLIP_GAIN * present or left[best] > _SLIP_GAIN * energy:
            return False
        self._delay[row] = delay + MAX_SLIP - best
        self._since[row] = self._tick
        self._w[row] = self._good[row]
        self._match[row] = 0
        self._noise[row] = self._colour[row]
        self._fill_past(one, self._tick)
        return True

    def _fill_past(self, rows: _I64, tick: int) -> None:
        """The spectra of the blocks before this tick, for a delay that is new."""
        for part in range(PARTS):
            before = self._heard(rows, tick - 1 - part, self._delay[rows], _FFT)
            self._x[rows, part] = spectrum_of(before)

    # --- suppressor -------------------------------------------------------------------------

    def _soften(self, rows: _I64, echo: _F32, left: _F32, power: _F32) -> _F32:
        """Lower what is left of the echo while nobody speaks on the line."""
        count = len(rows)
        rest, floor, last = self._rest[rows], self._floor[rows], self._echo[rows]
        colour, hold, gain = self._colour[rows], self._hold[rows], self._gain[rows]
        echoed = _power(echo.reshape(count, _STEPS, _STEP))
        over = _power(left.reshape(count, _STEPS, _STEP))
        trail = np.concatenate((last[:, None], echoed), axis=1)
        trail = (trail[:, None] * _FADES).max(2)
        leak = rest[:, None] * trail + np.minimum(self._coarse(rows)[:, None], trail)
        expected = leak + floor[:, None]
        opens = over > _NEAR * expected
        near = opens.any(1)
        held = np.logical_or.accumulate(opens, axis=1) | (hold > 0)[:, None]
        hold = np.where(near, _HOLD_TICKS, np.maximum(hold - 1, 0))
        wanted = np.sqrt(np.maximum(floor[:, None], _AIM * trail) / expected)
        wanted = np.clip(wanted, _LEAST_GAIN, 1)
        wanted[held | (leak < 0.5 * floor[:, None])] = 1
        gains = np.empty((count, _STEPS + 1), np.float32)
        gains[:, 0] = gain
        gain = gain[:, None]
        gains[:, 1:] = np.where(wanted > gain, wanted, gain + _CLOSING * (wanted - gain))
        # Opening begins a step ahead of what opens it.
        gains[:, 1:-1] = np.maximum(gains[:, 1:-1], gains[:, 2:])
        all_over, all_echo = over.mean(1), echoed.mean(1)
        sure = ~near & (all_echo > 30 * floor)
        remains = np.maximum(all_over - self._coarse(rows), 0)
        ratio = remains / np.maximum(all_echo, 1)
        sums = self._sums[rows]
        sums[sure] *= _SUMS_FADE
        sums[sure, 0] += remains[sure]
        sums[sure, 1] += all_echo[sure]
        self._sums[rows] = sums
        rest += np.where(sure, 0.1 * (ratio - rest), 0)
        rest = np.where(near & (all_echo > floor), np.minimum(rest * 1.01, 0.3), rest)
        floor = np.clip(np.minimum(floor * 1.005, all_over * 1.3), _HISS, _MAX_FLOOR)
        still = all_over < 2 * floor
        colour[still] += 0.1 * (power[still] - colour[still])
        self._rest[rows], self._floor[rows], self._echo[rows] = rest, floor, trail[:, -1]
        self._colour[rows], self._hold[rows], self._gain[rows] = colour, hold, gains[:, -1]
        if not self.suppress or (gains > 0.99).all():
            return left
        ramp = gains[:, :-1, None] + (gains[:, 1:] - gains[:, :-1])[..., None] * _RAMP
        ramp = ramp.reshape(count, BLOCK)
        turns = _TURNS[(self._tick * 19 + rows * 7) % _MEMORY]
        hiss = samples_of(np.sqrt(2 * colour) * turns, _FFT)
        fill = self._fill[rows] * _FALL + hiss[:, :BLOCK] * _RISE
        self._fill[rows] = hiss[:, BLOCK:]
        soft: _F32 = left * ramp + fill * np.sqrt(np.maximum(1 - ramp * ramp, 0))
        return soft

    # --- search -----------------------------------------------------------------------------

    def _search(self, talking: _Bool) -> None:
        count = len(talking)
        found, looks = self._found[:count], self._looks[:count]
        due = self._talked[:count] >= np.where(looks > _LAZY_LOOKS, LAZY_TICKS, LOOK_TICKS)
        turn = (self._tick + np.arange(count)) % _BARREN_EVERY == 0
        doubtful = talking & turn & (self._barren[:count] >= _BARREN_TICKS)
        wanted = np.where(found, doubtful, due) & ~self._off[:count]
        for row in np.flatnonzero(wanted)[:_LOOKS_A_TICK]:
            self._talked[row] = 0
            self._look(np.array([row]))

    def _look(self, one: _I64) -> None:
        row = int(one[0])
        index = ((self._tick + 1) * BLOCK + np.arange(-_LOOK, 0)) % _RING
        line = spectrum_of(self._line[row, index], _LOOK_FFT)
        earlier = self._heard(one, self._tick, np.zeros(1, np.int64), _LOOK + MAX_DELAY)[0]
        said = spectrum_of(earlier, _LOOK_FFT)
        strength = said.real**2 + said.imag**2
        if strength.sum() ** 2 < _LOOK_BINS * np.sum(strength**2):
            # Tones have no delay that could be told.
            return
        self._looks[row] += 1
        cross = self._cross[row]
        cross *= _LOOK_FADE
        cross += line * np.conj(said) * _BAND
        size = np.abs(cross)
        sharp = samples_of(cross / (size + 1e-3 * size.max() + 1) ** _WHITE, _LOOK_FFT)
        # The first sample of the line is as old as sample MAX_DELAY of what was said.
        height = np.abs(np.concatenate((sharp[-MAX_DELAY:], sharp[:1])))
        best = int(np.argmax(height))
        if height[best] < _SHARPNESS * np.sqrt(np.mean(height**2)):
            self._guess[row] = -1
            return
        first = max(0, best - _EARLIER)
        best = first + int(np.argmax(height[first : best + 1] > _EARLIER_SHARE * height[best]))
        before, self._guess[row] = int(self._guess[row]), best
        if before < 0 or abs(best - before) > _SAME_DELAY:
            return
        if self._found[row] and abs(best - LEAD - self._delay[row]) <= LEAD:
            self._barren[row] = 0
            return
        known = [(array, array[row].copy()) for _, _, array in self._state()]
        if not self._try(one, max(0, best - LEAD)):
            for array, old in known:
                array[row] = old

    # --- studies ----------------------------------------------------------------------------

    def _try(self, one: _I64, delay: int) -> bool:
        """Whether there is an echo at this delay: a few steps of a study tell."""
        row = int(one[0])
        self._begin(row, delay)
        study = self._study(one, np.zeros(TAIL, np.float32))
        for _ in range(_FIRST_STEPS):
            study.step()
        line, left = study.blocks(), study.blocks(study.left())
        heard = line > 10 * _HISS
        explained = (left < _MIN_GAIN * line) & heard
        if explained.sum() < max(_MIN_BLOCKS, _MIN_SHARE * heard.sum()):
            return False
        self._found[row], self._is_good[row] = True, False
        self._lost[row] = self._barren[row] = 0
        self._looks[row] = self._talked[row] = 0
        self._rest[row] = min(1.0, float(np.median(left[explained] / line[explained])))
        self._floor[row] = np.clip(left.min(), _HISS, _MAX_FLOOR)
        self._learn(one, study.taps)
        self._studies[int(self._slot[row])] = study
        return True

    def _study(self, one: _I64, taps: _F32, ticks: int = STUDY_TICKS) -> Study:
        row = int(one[0])
        ticks = int(np.clip(self._tick - self._since[row], _JUDGED_TICKS, ticks))
        said = self._heard(one, self._tick, self._delay[one], ticks * BLOCK + TAIL)[0]
        index = ((self._tick + 1) * BLOCK + np.arange(-ticks * BLOCK, 0)) % _RING
        noise = float(self._coarse(one)[0])
        return Study(said, self._line[row, index], taps, LEAD, noise)

    def _learn(self, one: _I64, taps: _F32) -> None:
        """Take these taps for the filter."""
        padded = np.zeros((PARTS, _FFT), np.float32)
        padded[:, :BLOCK] = taps.reshape(PARTS, BLOCK)
        self._w[one[0]] = spectrum_of(padded)
        self._p[one[0]] = _LEARNT
        self._fill_past(one, self._tick + 1)

    def _learn_anew(self, one: _I64) -> None:
        """The echo path is another: study the time since it changed, from nothing."""
        row = int(one[0])
        self._p[row] = _UNCERTAIN
        self._studies[int(self._slot[row])] = self._study(one, np.zeros(TAIL, np.float32))

    def _taps(self, row: int) -> _F32:
        taps: _F32 = samples_of(self._w[row], _FFT)[:, :BLOCK].reshape(-1)
        return taps

    def _go_on(self) -> None:
        """Some steps of the studies that are on, and new ones for legs that need them."""
        count = len(self._rows)
        need = self._sums[:count, 0] > _POOR * self._sums[:count, 1]
        need |= self._strain[:count] > _STRAINED
        need &= self._found[:count]
        every = np.where(self._looks[:count] > _STUDIES, _LAZY_STUDY_TICKS, _STUDY_EVERY)
        need &= self._talked[:count] >= every
        # Who has waited longest comes first.
        for row in sorted(np.flatnonzero(need), key=lambda row: -self._talked[row]):
            slot = int(self._slot[row])
            if len(self._studies) < _STUDIES_AT_ONCE and slot not in self._studies:
                self._talked[row] = 0
                self._looks[row] += 1
                one = np.array([row])
                if self._looks[row] > _DOUBTS and not self._is_good[row]:
                    # What was found was no echo, or not all of it.
                    self._forget(int(row))
                    continue
                self._studies[slot] = self._study(one, self._taps(int(row)))
        for slot, study in list(self._studies.items()):
            for _ in range(max(1, _STEPS_A_TICK // len(self._studies))):
                study.step()
                if study.steps % _JUDGE_EVERY == 0:
                    self._judge(np.array([self._rows[slot]]), study.taps)
            if study.done:
                del self._studies[slot]

    def _judge(self, one: _I64, taps: _F32) -> None:
        """Take what a study has found if it does better than the filter now."""
        lefts = []
        for other in (taps, self._taps(int(one[0]))):
            judge = self._study(one, other, _JUDGED_TICKS)
            lefts.append(float(np.sum(np.log(judge.blocks(judge.left()) + _HISS))))
        margin = _MARGIN + _STRAIN_MARGIN * float(self._strain[one[0]])
        if lefts[0] < lefts[1] - _JUDGED_TICKS * margin:
            self._learn(one, taps)


def _power(samples: _F32) -> _F32:
    """Mean square over the last axis."""
    power: _F32 = np.vecdot(samples, samples) / np.float32(samples.shape[-1])
    return power
