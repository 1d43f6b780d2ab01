"""In-band DTMF for all legs at once: keys in, tones out.

Standards: ITU-T Q.23 (frequencies), Q.24 (reception), ETSI ES 201 235-3. The numbers below are
those of Q.24 annex A with a margin; where the annex leaves room (between what must be accepted
and what must not) the border is in the middle.

How it works. All legs get a quick look (`appliance.media.dtmf_gate`), which costs two small matrix
products a tick; legs whose frame cannot be a key's and which hold none stop there. For the others,
and for the frame before if it was not looked at then: a 600 Hz high-pass (dial tone, hum), and
Hann-windowed correlators at the eight frequencies for the four 25 ms windows, 5 ms apart, that end
in the frame. Then

- the frequency of a tone is the advance of its phase from window to window, so acceptance is a
  number in per cent; amplitudes are corrected for the window's response at that frequency;
- the purity is the power that the two tones explain, of all power less the noise floor;
- Hann windows a fifth of their length apart add up to a constant, so the sum of a tone's
  amplitudes over the windows is its duration, and the sum of what is missing is the duration of a
  gap, both far finer than the step of 5 ms;
- a key is `GOOD_WINDOWS` consistent windows, `MIN_TONE_MS` of tone, steady in both frequencies and
  in twist, louder than what was before it; it is held until `MIN_PAUSE_MS` of it is missing;
- two tones that are multiples of one pitch, with more of its multiples beside them, are a voice.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from appliance.media import g711
from appliance.media.dtmf_gate import Gate
from appliance.media.slots import together, windows

LOW: Final = (697.0, 770.0, 852.0, 941.0)
HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = "123A456B789C*0#D"
"""By row (low group) and column (high group)."""

RATE: Final = 8000
FRAME: Final = 160
WINDOW: Final = 200
HOP: Final = 40
STEPS: Final = FRAME // HOP
HOP_MS: Final = 5.0

MAX_DEVIATION: Final = 0.0215
"""Q.24 wants 1.8 % accepted and 3 % refused (NTT); ES 201 235-3: 1.5 % + 2 Hz."""
LOOSE_DEVIATION: Final = 0.035
"""Of a single window, whose estimate is noisier than that of the run."""
MIN_TWIST_DB: Final = -9.0
MAX_TWIST_DB: Final = 7.0
"""High group relative to low: -8 and +4 must be accepted (AT&T)."""
LOOSE_TWIST_DB: Final = 1.5
"""How far a single window may be beyond that."""
MIN_LEVEL_DBM0: Final = -44.0
MIN_TONE_MS: Final = 32.5
MIN_PAUSE_MS: Final = 22.5
GOOD_WINDOWS: Final = 3
MIN_PURITY: Final = 0.72
"""Of every window of a run; those at its ends hold slopes."""
BEST_PURITY: Final = 0.91
"""Of its best window."""
MAX_FLOOR: Final = 0.35
"""Share of the power that may count as background noise."""
MAX_WANDER: Final = 0.010
"""Spread of each frequency within the first windows of a run, relative."""
MAX_RUN_WANDER: Final = 0.015
"""The same over all good windows until the key is reported: a voice glides, a key does not."""
ALL_GOOD_WINDOWS: Final = 5
"""So many there have to be by then."""
MAX_TWIST_WANDER_DB: Final = 2.5
MAX_DIP: Final = 0.6
"""Power before a key, relative to the key's."""
MAX_LOW: Final = 0.2
"""Power below 600 Hz that came up with the key, relative to the key's: a voice, not a key."""
MAX_LOW_RISE: Final = 5.0
VOICE_HZ: Final = (150.0, 420.0)
"""Pitches whose harmonics lie far enough apart for two of them to be as pure as a key."""
VOICE_BESIDE_HZ: Final = 7.0
"""How far the pair may be beside multiples of one pitch."""
VOICE_SHARE: Final = 0.03
"""Power of all else, relative to the pair: a voice's is more, a key's on a clean line less."""
VOICE_FIT: Final = 0.7
"""Share of it that lies at the pitch's other multiples: of noise 0.2, of a voice 0.9."""
VOICE_SECOND: Final = 0.05
"""Of that, what is not the strongest: a dial tone that happens to fit is alone."""
_DIP_RISE: Final = 1.2
_FLOOR_RISE: Final = 1.02
_FLOOR_BIAS: Final = 1.3
"""Noise is more than the least of it that was seen."""
_TAPS: Final = 96
_PIECE: Final = 80
_HISTORY: Final = 16
_LOOKBACK: Final = 12
_RAW: Final = 2 * FRAME + _TAPS
"""Samples whose filtered two frames are looked at."""
_KEPT: Final = 7
"""Frames that are kept: those of `_HISTORY` windows, of the frame before too."""
_NONE: Final = -1

_F32 = npt.NDArray[np.float32]
_C64 = npt.NDArray[np.complex64]
_I64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

_FREQUENCIES: Final = np.array(LOW + HIGH)
_EXPECTED: Final = np.exp(-2j * np.pi * _FREQUENCIES * (HOP / RATE))
"""Undoes the turn of each nominal frequency from window to window."""
_HANN: Final = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
_MIN_AMPLITUDE: Final = float(g711.dbm0_to_rms(MIN_LEVEL_DBM0) * 2**0.5)
_POWER_GAIN: Final = float(np.sum(_HANN**2) / 2)
"""Windowed energy of a tone of amplitude 1."""
_LEAST: Final = float(g711.dbm0_to_rms(-58.0) ** 2 * np.sum(_HANN**2))
"""Windowed energy that counts as silence."""


def _high_pass() -> npt.NDArray[np.float64]:
    """Kaiser-windowed FIR: passes 680 Hz and up, 30 dB down at 480 Hz and below."""
    n = np.arange(_TAPS + 1) - _TAPS / 2
    cutoff = 585.0 / RATE
    ideal = -2 * cutoff * np.sinc(2 * cutoff * n)
    ideal[_TAPS // 2] += 1.0
    taps: npt.NDArray[np.float64] = ideal * np.kaiser(_TAPS + 1, 2.6)
    return taps


def _filter_matrix() -> _F32:
    """(taps + `_PIECE`, `_PIECE`): the last taps samples and a piece of a frame to that piece,
    filtered. Pieces, since the matrix of a whole frame would be zeros for the most part."""
    taps = _high_pass()[::-1]
    matrix = np.zeros((_TAPS + _PIECE, _PIECE))
    for sample in range(_PIECE):
        matrix[sample : sample + _TAPS + 1, sample] = taps
    return matrix.astype(np.float32)


def _window_start(step: int) -> int:
    """In the 320 filtered samples that end with this frame."""
    return FRAME + (step + 1) * HOP - WINDOW


def _correlators() -> _F32:
    """(200, 16): a window to real, then imaginary parts of each tone, scaled to the amplitude of a
    tone."""
    matrix = np.zeros((2, 8, WINDOW))
    time = np.arange(WINDOW) / RATE
    taps = np.arange(_TAPS + 1)
    for index, frequency in enumerate(_FREQUENCIES):
        pass_gain = abs(np.sum(_high_pass() * np.exp(-2j * np.pi * frequency / RATE * taps)))
        kernel = _HANN * np.exp(-2j * np.pi * frequency * time) * 2 / np.sum(_HANN) / pass_gain
        matrix[0, index] = kernel.real
        matrix[1, index] = kernel.imag
    return np.ascontiguousarray(matrix.reshape(-1, WINDOW).T, np.float32)


def _energies() -> _F32:
    """(320, 4): windowed energy from squared samples."""
    matrix = np.zeros((2 * FRAME, STEPS))
    for step in range(STEPS):
        start = _window_start(step)
        matrix[start : start + WINDOW, step] = _HANN**2
    return matrix.astype(np.float32)


def _response_table() -> npt.NDArray[np.float64]:
    x = np.linspace(0, _MOST_BESIDE, 10001)
    shown = np.sinc(x) + 0.5 * (np.sinc(x - 1) + np.sinc(x + 1))
    table: npt.NDArray[np.float64] = np.stack((x, shown.clip(min=0.3)))
    return table


_MOST_BESIDE: Final = RATE / HOP / 2 * WINDOW / RATE
"""Phases from hop to hop cannot tell more: in bins of the window."""
_RESPONSE: Final = _response_table()


def _response(offset_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Amplitude that the correlator shows of a tone so far beside it, relative."""
    result: npt.NDArray[np.float64] = np.interp(
        np.abs(offset_hz) * (WINDOW / RATE), _RESPONSE[0], _RESPONSE[1]
    )
    return result


def _loss(highest_hz: float) -> float:
    """Power that the correlator hides of a tone a little beyond the border of what is accepted."""
    return float(_response(np.array([highest_hz * 1.1 * MAX_DEVIATION]))[0] ** -2)


_LOW_LOSS: Final = _loss(LOW[-1])
_HIGH_LOSS: Final = _loss(HIGH[-1])
_MIN_SHARE: Final = 0.04
"""Of the weaker tone in both, beyond the limits of twist."""


class _Look(NamedTuple):
    """What windows look like; the arrays are (rows, steps) or, of one step, (rows,)."""

    key: _I64
    """The likeliest key."""
    good: _Bool
    """Whether the window is one."""
    offset: npt.NDArray[np.float64]
    """By how many Hz its tones are beside their places; one axis more, of low and high."""
    purity: npt.NDArray[np.float64]


def _look(history: _C64, energy: npt.NDArray[Any], floor: npt.NDArray[Any]) -> _Look:
    """Look at the last windows of each row."""
    now = history[:, -STEPS:]
    level = np.abs(now)
    pair = np.stack((level[..., :4].argmax(axis=2), 4 + level[..., 4:].argmax(axis=2)), axis=2)
    seen = np.take_along_axis(now, pair, axis=2)
    before = np.take_along_axis(history[:, -STEPS - 1 : -1], pair, axis=2)
    offset = _offset(seen, before, pair)
    amplitude = np.abs(seen) / _response(offset)
    purity = (amplitude**2).sum(axis=2) * _POWER_GAIN / np.maximum(energy - floor, 1.0)
    twist = 20 * np.log10(np.maximum(amplitude[..., 1], 1e-3) / np.maximum(amplitude[..., 0], 1e-3))
    good = (
        (amplitude.min(axis=2) >= _MIN_AMPLITUDE)
        & (purity >= MIN_PURITY)
        & ((np.abs(offset) / _FREQUENCIES[pair]).max(axis=2) <= LOOSE_DEVIATION)
        & (twist >= MIN_TWIST_DB - LOOSE_TWIST_DB)
        & (twist <= MAX_TWIST_DB + LOOSE_TWIST_DB)
    )
    return _Look(pair[..., 0] * 4 + pair[..., 1] - 4, good, offset, purity)


def _offset(now: _C64, before: _C64, pair: _I64) -> npt.NDArray[np.float64]:
    """How far tones are beside their nominal frequencies, Hz, from their phases a hop apart."""
    turn = (now * before.conj()).astype(np.complex128) * _EXPECTED[pair]
    result: npt.NDArray[np.float64] = np.angle(turn) * (RATE / HOP / (2 * np.pi))
    return result


_RISES: Final = np.array([_FLOOR_RISE, _DIP_RISE, _DIP_RISE], np.float32)
_RISE_FRAME: Final = (_RISES**STEPS)[:, None]
_RISEN: Final = (_RISES ** np.arange(STEPS + 1)[:, None])[:, :, None]
"""What the least energies may have risen by after each step: (steps + 1, 3, 1)."""


class _Seen(NamedTuple):
    """What the windows of a frame are like; arrays end in (steps, legs)."""

    levels: _F32
    """Energies that count for the least ones: high, again high, low."""
    energy: _F32
    both: _F32
    """The most power that a pair of tones can have."""
    possible: _Bool

    def of(self, rows: _I64) -> _Seen:
        return _Seen(
            self.levels[..., rows], self.energy[:, rows], self.both[:, rows], self.possible[:, rows]
        )


class DtmfDetector:
    """State of `capacity` legs; a leg is a slot number. `process` is called once a tick."""

    def __init__(self, capacity: int) -> None:
        self._filter = _filter_matrix()
        self._kernel = _correlators()
        self._energy = _energies()
        self._gate = Gate(
            _FREQUENCIES,
            RATE,
            deviation=1.1 * MAX_DEVIATION,
            purity=MIN_PURITY,
            most_floor=MAX_FLOOR,
            floor_bias=_FLOOR_BIAS,
            share=_MIN_SHARE,
            amplitude=_MIN_AMPLITUDE,
            energy=_POWER_GAIN,
        )
        self._now = 0
        """Number of this frame; it is kept in place `_now % _KEPT`."""
        self.capacity = 0
        self._said = np.empty((_KEPT, 0, FRAME), np.uint8)
        """As mu-law."""
        self._least = np.empty((3, 0), np.float32)
        """Least energies of late: the noise floor's, before a key, below the keys before it."""
        fixed = set(vars(self))
        self._allocate(0)
        self._state = [name for name in vars(self) if name not in fixed]
        """Names of the arrays that have a row for each slot."""
        self.reserve(capacity)

    def _allocate(self, capacity: int) -> None:
        self._looked = np.full(capacity, -1, np.int64)
        """The last frame that was looked at closely."""
        self._busy = np.zeros(capacity, np.bool_)
        """Legs that hold a key or may have begun one."""
        self._run_key = np.full(capacity, _NONE, np.int64)
        self._run_good = np.zeros(capacity, np.int64)
        self._run_dip = np.zeros(capacity)
        self._run_ref = np.zeros((capacity, 2))
        self._run_offset = np.zeros((capacity, 2))
        self._run_ratio = np.zeros(capacity)
        self._run_ms = np.zeros(capacity)
        self._run_sure = np.zeros(capacity, np.bool_)
        self._held = np.full(capacity, _NONE, np.int64)
        self._held_ref = np.zeros((capacity, 2))
        self._gap_ms = np.zeros(capacity)
        self._run_low = np.zeros(capacity)
        self._run_least = np.zeros((capacity, 2))
        self._run_most = np.zeros((capacity, 2))
        self._run_purity = np.zeros(capacity)
        self._run_low_dip = np.zeros(capacity)
        self._broken = np.zeros(capacity, np.bool_)
        """Whether the last window was not good."""

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        if capacity <= self.capacity:
            return
        old = {name: getattr(self, name) for name in self._state}
        self._allocate(capacity)
        for name, value in old.items():
            getattr(self, name)[: self.capacity] = value
        said = np.full((_KEPT, capacity, FRAME), g711.ULAW_SILENCE, np.uint8)
        said[:, : self.capacity] = self._said
        least = np.full((3, capacity), _LEAST, np.float32)
        least[:, : self.capacity] = self._least
        self._said, self._least = said, least
        self.capacity = capacity

    def reset(self, slot: int) -> None:
        """A new leg in this slot, or one that was not listened to for a while."""
        for name in self._state:
            getattr(self, name)[slot] = 0
        self._looked[slot] = -1
        self._run_key[slot] = self._held[slot] = _NONE
        self._said[:, slot] = g711.ULAW_SILENCE
        self._least[:, slot] = _LEAST

    def process(
        self, pcm: npt.NDArray[Any], slots: _I64, ulaw: g711.Bytes | None = None
    ) -> list[tuple[int, str]]:
        """Keys that became certain in this frame; `pcm` is (legs, 160), `ulaw` the same as
        bytes where somebody has them, `slots` the rows to hear.

        Each key press is reported once.
        """
        if not len(slots):
            return []
        self._now += 1
        # Neighbours are worked on in place, others as copies that are put back.
        where = together(slots)
        frame = pcm[where]
        if ulaw is None:
            self._said[self._now % _KEPT, where] = g711.ulaw_encode(frame.astype(np.int16))
        else:
            self._said[self._now % _KEPT, where] = ulaw[where]
        before = self._least[:, where]
        high, low, may = self._gate.look(frame, before[0])
        may |= self._busy[where]
        rows = may.nonzero()[0]
        known = before[:, rows] if len(rows) else None
        # The least of late, each risen until the end of this frame.
        least = before * _RISE_FRAME
        np.minimum(least[:2], high, out=least[:2])
        np.minimum(least[2], low, out=least[2])
        self._least[:, where] = np.maximum(least, _LEAST, out=least)
        return [] if known is None else self._look_closely(slots[rows], known)

    def _look_closely(self, slots: _I64, before: _F32) -> list[tuple[int, str]]:
        """The few legs whose frame may be a key's; `before` are their least energies until then."""
        seen = self._measure(slots, 0)
        # A run that is over before the frame ends was no key, unless it was long enough to judge.
        possible = seen.possible
        rows = np.flatnonzero(
            self._busy[slots] | possible[-1] | possible[:GOOD_WINDOWS].all(axis=0)
        )
        if not len(rows):
            return []
        slots, before = slots[rows], before[:, rows]
        found: list[tuple[int, str]] = []
        fresh = np.flatnonzero(self._looked[slots] != self._now - 1)
        if len(fresh):
            # A key may have begun in the frame before.
            found, least = self._judge_rows(
                slots[fresh], 1, self._measure(slots[fresh], 1), before[:, fresh] / _RISE_FRAME
            )
            before[:, fresh] = least
        more, least = self._judge_rows(slots, 0, seen.of(rows), before)
        self._least[:, slots] = least
        self._looked[slots] = self._now
        return found + more

    def _measure(self, slots: _I64, back: int) -> _Seen:
        """The windows that end in the frame `back` frames ago."""
        count = len(slots)
        sound = self._sound(slots, back, _RAW)
        filtered = self._high(sound)
        whole = np.square(sound[:, _TAPS // 2 : _TAPS // 2 + 2 * FRAME]) @ self._energy
        energy = np.square(filtered) @ self._energy
        power = np.square(self._correlate(filtered, STEPS)).reshape(count, STEPS, 2, 8).sum(axis=2)
        # The most that a tone at the border of its frequencies can be more than it shows.
        low_tone = power[..., :4].max(axis=2) * _LOW_LOSS
        high_tone = power[..., 4:].max(axis=2) * _HIGH_LOSS
        both = low_tone + high_tone
        weaker = np.minimum(low_tone, high_tone)
        possible = (
            (both * _POWER_GAIN >= MIN_PURITY * (1 - MAX_FLOOR) * energy)
            & (weaker >= _MIN_SHARE * both)
            & (weaker >= _MIN_AMPLITUDE**2)
        )
        levels = np.maximum((energy.T, energy.T, (whole - energy).T), _LEAST)
        return _Seen(levels, energy.T, both.T, possible.T)

    def _judge_rows(
        self, slots: _I64, back: int, seen: _Seen, before: _F32
    ) -> tuple[list[tuple[int, str]], _F32]:
        """The few legs that have, or may have, a key, in the frame `back` frames ago; `before` are
        the least energies before it, (3, legs). Returns keys, and those energies after it."""
        levels, energy, both, possible = seen
        least = np.empty((STEPS + 1, 3, len(slots)))
        least[0] = before
        least[1:] = levels.transpose(1, 0, 2)
        least /= _RISEN
        np.minimum.accumulate(least, axis=0, out=least)
        least *= _RISEN
        after = least[-1].astype(np.float32)
        low = levels[2]
        floor = np.minimum(_FLOOR_BIAS * least[1:, 0], MAX_FLOOR * energy)
        possible = possible & (both * _POWER_GAIN >= MIN_PURITY * (energy - floor))
        busy = self._busy[slots]
        rows = np.flatnonzero(busy | possible[-1] | possible[:GOOD_WINDOWS].all(axis=0))
        if not len(rows):
            return [], after
        history = self._history(slots[rows], back)
        looks = _look(history, energy[:, rows].T, floor[:, rows].T)
        good = looks.good
        kept = busy[rows] | good[:, -1] | good[:, :GOOD_WINDOWS].all(axis=1)
        if not kept.any():
            return [], after
        rows, history = rows[kept], history[kept]
        level = np.abs(history).astype(np.float64)
        loudness = np.maximum(energy[:, rows], 1.0)
        dip, low_dip = least[1:, 1, rows], least[1:, 2, rows]
        found: list[tuple[int, str]] = []
        slots = slots[rows]
        for step in range(STEPS):
            look = _Look(*(part[kept, step] for part in looks))
            at = _HISTORY - STEPS + step
            self._follow_hold(slots, level[:, at], look)
            self._follow_run(
                slots,
                history,
                level,
                at,
                look,
                dip[step] / loudness[step],
                low[step, rows],
                low_dip[step],
                loudness[step],
            )
            self._note_evidence(slots, look)
            found += self._settle(slots, back)
        self._busy[slots] = (self._held[slots] != _NONE) | (self._run_key[slots] != _NONE)
        return found, after

    def _sound(self, slots: _I64, back: int, samples: int) -> _F32:
        """The last samples of these legs, up to the end of the frame `back` frames ago."""
        frames = -(-samples // FRAME)
        turns = (self._now - back - np.arange(frames)[::-1]) % _KEPT
        said = self._said[turns, slots[:, None]].reshape(len(slots), -1)
        sound: _F32 = g711.ULAW_FLOAT[said[:, -samples:]]
        return sound

    def _high(self, sound: _F32) -> _F32:
        """What is above 600 Hz, from the `_TAPS`th sample on."""
        length = sound.shape[1] - _TAPS
        filtered = np.empty((len(sound), length), np.float32)
        for start in range(0, length, _PIECE):
            piece = sound[:, start : start + _TAPS + _PIECE]
            np.matmul(piece, self._filter, out=filtered[:, start : start + _PIECE])
        return filtered

    def _correlate(self, filtered: _F32, steps: int) -> _F32:
        """Correlations of the last windows, (legs, steps, 16)."""
        length = (steps - 1) * HOP + WINDOW
        along = windows(filtered[:, -length:], WINDOW)[:, ::HOP]
        shown = along.reshape(-1, WINDOW) @ self._kernel
        return shown.reshape(len(filtered), steps, -1)

    def _history(self, slots: _I64, back: int) -> _C64:
        """The last 16 windows of these legs: (legs, 16, 8), oldest first."""
        filtered = self._high(self._sound(slots, back, _HISTORY * HOP + WINDOW - HOP + _TAPS))
        parts = self._correlate(filtered, _HISTORY)
        result = np.empty((len(slots), _HISTORY, 8), np.complex64)
        result.real, result.imag = parts[..., :8], parts[..., 8:]
        return result

    def _note_evidence(self, slots: _I64, look: _Look) -> None:
        """Best purity and the spread of the frequencies over the good windows of each run."""
        # The first after one that was not good still holds some of what spoiled that, a lost packet
        # or a clock that slipped.
        good = look.good & ~(self._broken[slots] & (self._run_good[slots] > 2))
        self._broken[slots] = ~look.good
        slots, key, offset, purity = (
            slots[good],
            look.key[good],
            look.offset[good],
            look.purity[good],
        )
        count = self._run_good[slots]
        first = count <= 1
        self._run_purity[slots] = np.where(
            first, purity, np.maximum(self._run_purity[slots], purity)
        )
        relative = offset / _FREQUENCIES[np.stack((key // 4, 4 + key % 4), axis=1)]
        # The first window of a run may still hold the slope, which bends its phase.
        second = (count <= 2)[:, None]
        for state, extreme in ((self._run_least, np.minimum), (self._run_most, np.maximum)):
            state[slots] = np.where(second, relative, extreme(state[slots], relative))

    def _settle(self, slots: _I64, back: int) -> list[tuple[int, str]]:
        """Keys of the runs that are long enough now; a run that was too unsteady starts again."""
        run = self._run_key[slots]
        due = self._run_sure[slots] & (run != self._held[slots])
        due &= (self._run_ms[slots] >= MIN_TONE_MS) & (self._run_good[slots] >= ALL_GOOD_WINDOWS)
        found: list[tuple[int, str]] = []
        for slot, key in zip(slots[due].tolist(), run[due].tolist(), strict=True):
            mean = np.abs(self._run_offset[slot]) / self._run_good[slot]
            pair = [key // 4, 4 + key % 4]
            if (
                (mean <= MAX_DEVIATION * _FREQUENCIES[pair]).all()
                and (self._run_most[slot] - self._run_least[slot]).max() <= MAX_RUN_WANDER
                and self._run_purity[slot] >= BEST_PURITY
                and self._run_low[slot] <= MAX_LOW
                and not _is_voice(
                    self._sound(np.array([slot]), back, _RAW)[0],
                    _FREQUENCIES[pair] + self._run_offset[slot] / self._run_good[slot],
                )
            ):
                self._held[slot] = key
                self._held_ref[slot] = self._run_ref[slot]
                self._gap_ms[slot] = 0.0
                found.append((slot, KEYS[key]))
            elif self._run_good[slot] >= 2 * ALL_GOOD_WINDOWS:
                self._run_good[slot] = 0
                self._run_sure[slot] = False
        return found

    def _follow_hold(self, slots: _I64, level: npt.NDArray[np.float64], look: _Look) -> None:
        held = self._held[slots]
        on = held != _NONE
        if not on.any():
            return
        rows, slots, held = np.flatnonzero(on), slots[on], held[on]
        pair = np.stack((held // 4, 4 + held % 4), axis=1)
        seen = np.take_along_axis(level[rows], pair, axis=1)
        reference = self._held_ref[slots]
        ratio = np.minimum((seen / np.maximum(reference, 1e-3)).min(axis=1), 1.0)
        gap = np.where(ratio >= 0.95, 0.0, self._gap_ms[slots] + HOP_MS * (1 - ratio))
        same = look.good[rows] & (look.key[rows] == held)
        # A level that stays different is the key's level from then on.
        self._held_ref[slots] = np.where(
            same[:, None], reference + 0.3 * (seen - reference), reference
        )
        released = gap >= MIN_PAUSE_MS
        self._gap_ms[slots] = gap
        self._held[slots[released]] = _NONE
        own = released & (self._run_key[slots] == held)
        self._run_key[slots[own]] = _NONE
        self._run_sure[slots[own]] = False

    def _follow_run(
        self,
        slots: _I64,
        history: _C64,
        level: npt.NDArray[np.float64],
        at: int,
        look: _Look,
        dip: npt.NDArray[np.float64],
        low: npt.NDArray[np.float64],
        low_dip: npt.NDArray[np.float64],
        energy: npt.NDArray[np.float64],
    ) -> None:
        key, good, offset = look.key, look.good, look.offset
        run = self._run_key[slots]
        same = good & (key == run)
        fresh = good & ~same
        # A bad window breaks a run that is not sure yet; later it only adds no evidence.
        kept = np.where(self._run_sure[slots], self._run_good[slots], 0)
        self._run_good[slots] = np.where(same, self._run_good[slots] + 1, np.where(good, 1, kept))
        same_run = same & (self._run_good[slots] > 1)
        self._run_key[slots] = np.where(good, key, run)
        self._run_sure[slots] &= ~fresh
        self._run_dip[slots] = np.where(fresh, dip, self._run_dip[slots])
        before = np.where(fresh, low_dip, self._run_low_dip[slots])
        self._run_low_dip[slots] = before
        share = np.where(low > MAX_LOW_RISE * before, low / energy, 0.0)
        self._run_low[slots] = np.where(
            fresh | (same & ~same_run),
            share,
            np.where(same, np.maximum(self._run_low[slots], share), self._run_low[slots]),
        )
        total = np.where(same_run[:, None], self._run_offset[slots] + offset, offset)
        self._run_offset[slots] = np.where(good[:, None], total, self._run_offset[slots])
        sure = self._run_sure[slots]
        if sure.any():
            rows = np.flatnonzero(sure)
            who = slots[rows]
            ratio = self._ratios(level[rows, at], self._run_key[who], self._run_ref[who])
            ratio = np.minimum(ratio, self._run_ratio[who])
            self._run_ratio[who] = ratio
            self._run_ms[who] += HOP_MS * ratio
        over = ~good & (~sure | (self._run_ratio[slots] < 0.15))
        self._run_key[slots[over]] = _NONE
        self._run_sure[slots[over]] = False
        self._run_good[slots[over]] = 0
        ready = np.flatnonzero(same & ~sure & (self._run_good[slots] >= GOOD_WINDOWS))
        if len(ready):
            self._judge(slots[ready], history[ready], level[ready], at)

    @staticmethod
    def _ratios(
        level: npt.NDArray[np.float64], key: _I64, reference: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        pair = np.stack((key // 4, 4 + key % 4), axis=1)
        seen = np.take_along_axis(level, pair, axis=1)
        result: npt.NDArray[np.float64] = np.minimum(
            (seen / np.maximum(reference, 1e-3)).min(axis=1), 1.0
        )
        return result

    def _judge(self, slots: _I64, history: _C64, level: npt.NDArray[np.float64], at: int) -> None:
        """Is a run of good windows that ends at `at` a key? If so, how long is it already?"""
        key = self._run_key[slots]
        pair = np.stack((key // 4, 4 + key % 4), axis=1)
        first = at - GOOD_WINDOWS + 1
        picked = np.take_along_axis(history[:, first : at + 1], pair[:, None, :], axis=2)
        offsets = _offset(picked[:, 1:], picked[:, :-1], pair[:, None, :]).transpose(1, 0, 2)
        mean = offsets.mean(axis=0)
        nominal = _FREQUENCIES[pair]
        wander = (offsets.max(axis=0) - offsets.min(axis=0)) / nominal
        span = np.stack(
            [np.take_along_axis(level[:, i], pair, axis=1) for i in range(first, at + 1)]
        )
        true = span / _response(mean)
        twist = 20 * np.log10(true[:, :, 1] / true[:, :, 0])
        sure = (
            (np.abs(mean) <= MAX_DEVIATION * nominal).all(axis=1)
            & (wander.max(axis=1) <= MAX_WANDER)
            & (twist.max(axis=0) - twist.min(axis=0) <= MAX_TWIST_WANDER_DB)
            & (twist.mean(axis=0) >= MIN_TWIST_DB)
            & (twist.mean(axis=0) <= MAX_TWIST_DB)
            & (self._run_dip[slots] <= MAX_DIP)
            & (self._run_low[slots] <= MAX_LOW)
        )
        if not sure.any():
            return
        slots, key, level = slots[sure], key[sure], level[sure]
        reference = span[:, sure].max(axis=0)
        self._run_sure[slots] = True
        self._run_ref[slots] = reference
        duration = np.zeros(len(slots))
        ratio = np.ones(len(slots))
        for step in range(at, at - _LOOKBACK - 1, -1):
            ratio = np.minimum(ratio, self._ratios(level[:, step], key, reference))
            duration += HOP_MS * ratio
            if step == at:
                self._run_ratio[slots] = ratio
        self._run_ms[slots] = duration


def _is_voice(sound: _F32, pair: npt.NDArray[np.float64]) -> bool:
    """Whether two tones are harmonics of a voice that has more of them: what is left when they are
    taken out lies at the other multiples of a pitch that both are multiples of."""
    # Where it is loudest, so that neither what was before nor its end is looked at.
    powers = np.convolve(sound.astype(np.float64) ** 2, _HANN, "valid")
    start = int(powers.argmax())
    sound = sound[start : start + WINDOW]
    for order in range(2, int(pair[0] / VOICE_HZ[0]) + 1):
        pitch = pair[0] / order
        other = round(pair[1] / pitch)
        if pitch > VOICE_HZ[1] or abs(other * pitch - pair[1]) > VOICE_BESIDE_HZ:
            continue
        # The best pitch for both.
        pitch = (pair[0] + pair[1]) / (order + other)
        rest, tones = _without(sound * _HANN, pair)
        multiples = np.arange(1, int(3400 / pitch) + 1)
        multiples = multiples[(multiples != order) & (multiples != other)]
        left, lines = _without(rest, multiples * pitch)
        total = float((rest**2).sum())
        voiced = 1 - float((left**2).sum()) / max(total, 1.0)
        strong = np.sort(lines)
        if (
            total >= VOICE_SHARE * float(tones.sum()) * 2 * _POWER_GAIN
            and voiced >= VOICE_FIT
            and strong[:-1].sum() >= VOICE_SECOND * strong.sum()
        ):
            return True
    return False


def _without(
    sound: npt.NDArray[np.float64], hz: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A windowed sound less its best fit by these frequencies, and the power of each."""
    turn = 2 * np.pi * np.arange(len(sound))[:, None] / RATE * hz
    basis = np.concatenate((np.cos(turn), np.sin(turn)), axis=1) * _HANN[:, None]
    square = basis.T @ basis
    # A trace of it on the diagonal keeps neighbours that hardly differ solvable.
    square[np.diag_indices_from(square)] += 1e-6 * square.max()
    fit = np.linalg.solve(square, basis.T @ sound)
    powers = (fit[: len(hz)] ** 2 + fit[len(hz) :] ** 2) / 2
    return sound - basis @ fit, powers


# --- sending --------------------------------------------------------------------------------

SEND_LOW_DBM0: Final = -9.0
SEND_HIGH_DBM0: Final = -7.0
"""High group 2 dB above the low one (Q.23, ES 201 235-2)."""
_PAUSE_MS: Final = 1000
_RAMP: Final = 8


def key_tone(
    digit: str,
    samples: int,
    low_dbm0: float = SEND_LOW_DBM0,
    high_dbm0: float = SEND_HIGH_DBM0,
) -> npt.NDArray[np.float64]:
    """One key's two tones on the 16-bit scale. Raises ValueError for what is no key."""
    key = KEYS.index(digit)
    time = np.arange(samples) / RATE
    tone: npt.NDArray[np.float64] = 2**0.5 * (
        g711.dbm0_to_rms(low_dbm0) * np.sin(2 * np.pi * LOW[key // 4] * time)
        + g711.dbm0_to_rms(high_dbm0) * np.sin(2 * np.pi * HIGH[key % 4] * time)
    )
    return tone


def key_sequence(digits: str, on_ms: int = 100, off_ms: int = 100) -> g711.Bytes:
    """Digits as mu-law audio; a comma is a pause of a second, anything else is left out."""
    pieces: list[npt.NDArray[np.float64]] = []
    for digit in digits.upper():
        if digit == ",":
            pieces.append(np.zeros(_PAUSE_MS * 8))
        elif digit in KEYS:
            tone = key_tone(digit, on_ms * 8)
            # A millisecond of slope keeps the click out of the other keys' frequencies.
            slope = np.linspace(0, 1, _RAMP)
            tone[:_RAMP] *= slope
            tone[-_RAMP:] *= slope[::-1]
            pieces += [tone, np.zeros(off_ms * 8)]
    if not pieces:
        return np.empty(0, np.uint8)
    return g711.ulaw_encode(np.concatenate(pieces).round().astype(np.int16))
