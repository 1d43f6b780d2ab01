"""How voices sound that come over bad networks, from silent far ends and by other clocks.

Time is simulated and chance is seeded; the score of concealment is the log-spectral distance of the
frames that were lost to what was said, and the segmental signal-to-noise ratio.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import comfort, depth, drift, g711, plc, rtp, stretch
from appliance.media.jitter import MAX_DEPTH, Jitter
from tests.media import voice

VOICE = voice.coded(voice.glide(20))
TICKS = len(VOICE) // 160 - 2


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def db(a: float, b: float) -> float:
    return float(20 * np.log10(a / b))


def losses(share: float, burst: float, seed: int) -> np.ndarray:
    """A Gilbert model: whether each packet is lost; bursts of this mean length."""
    random = np.random.default_rng(seed)
    lost = np.zeros(TICKS, np.bool_)
    for n in range(10, TICKS):
        stay = 1 - 1 / burst
        lost[n] = random.random() < (stay if lost[n - 1] else share / (1 - share) / burst)
    return lost


def with_losses(lost: np.ndarray) -> voice.Heard:
    return voice.listen(VOICE, lambda n: [] if n < TICKS and lost[n] else [0.0], TICKS)


# --- concealment ----------------------------------------------------------------------------


def fading(lost: np.ndarray) -> np.ndarray:
    """What a plain repetition would make of it: the last frame again, fading over 60 ms."""
    sound = g711.ULAW_FLOAT[VOICE[: TICKS * 160]].astype(np.float64).reshape(-1, 160)
    edges = ((1.0, 0.8), (0.8, 0.5), (0.5, 0.0))
    run = 0
    for n in range(TICKS):
        run = run + 1 if lost[n] else 0
        if run:
            sound[n] = sound[n - 1] * np.linspace(*edges[run - 1], 160) if run <= 3 else 0
    return sound.reshape(-1)


def distance_db(sound: np.ndarray, lost: np.ndarray) -> float:
    """Log-spectral distance, 300 to 3400 Hz, of voiced frames that were lost or follow."""
    said = g711.ULAW_FLOAT[VOICE].astype(np.float64)
    window, found = np.hanning(256), []
    for n in np.flatnonzero(lost | np.roll(lost, 1)):
        part = slice(n * 160 - 48, n * 160 + 208)
        if 0 < n < TICKS - 2 and rms(said[part]) > 200:
            a, b = (np.abs(np.fft.rfft(x[part] * window))[10:110] ** 2 + 1e4 for x in (said, sound))
            found.append(np.sqrt(np.mean((10 * np.log10(a / b)) ** 2)))
    return float(np.mean(found))


def segmental_snr_db(sound: np.ndarray, lost: np.ndarray) -> float:
    said = g711.ULAW_FLOAT[VOICE].astype(np.float64)
    found = []
    for n in np.flatnonzero(lost):
        part = slice(n * 160, n * 160 + 160)
        if n < TICKS - 2 and rms(said[part]) > 200:
            found.append(np.clip(db(rms(said[part]), rms(said[part] - sound[part]) + 1), -10, 35))
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("share", "burst", "closer_db", "snr_db"),
    [
        (0.01, 1, 1.5, 2),
        (0.03, 1, 1.5, 2),
        (0.05, 1, 1.5, 2),
        (0.1, 1, 1.5, 2),
        (0.05, 2, 1.0, 0.5),
        (0.1, 2.5, 0.5, 0),
    ],
)
def test_lost_voice_is_nearer_to_what_was_said_than_a_fade(
    share: float, burst: float, closer_db: float, snr_db: float
) -> None:
    lost = losses(share, burst, 7)
    # What is heard is one frame late.
    sound = with_losses(lost).sound[160:]
    faded = fading(lost)
    assert distance_db(faded, lost) - distance_db(sound, lost) > closer_db
    assert segmental_snr_db(sound, lost) - segmental_snr_db(faded, lost) > snr_db


def test_what_was_not_lost_is_untouched() -> None:
    lost = losses(0.05, 1.5, 3)
    heard = with_losses(lost).ulaw[160:].reshape(-1, 160)
    said = VOICE.reshape(-1, 160)
    touched = lost | np.roll(lost, 1)
    for n in np.flatnonzero(~touched[: len(heard)]):
        assert np.array_equal(heard[n], said[n])


def test_the_pitch_of_a_tone_is_found() -> None:
    time = np.arange(plc.HISTORY)
    periods = (45, 60, 77, 119)
    waves = [np.sin(2 * np.pi * time / p) + np.sin(4 * np.pi * time / p) for p in periods]
    found = plc.find_period((3000 * np.stack(waves)).astype(np.float32))
    for have, want in zip(found, periods, strict=True):
        assert min(abs(have - want), abs(have - 2 * want)) <= 1


def test_a_tone_goes_on_through_a_loss_and_ends_after_60_ms() -> None:
    time = np.arange(160 * 40)
    tone = g711.ulaw_encode((4000 * np.sin(2 * np.pi * 400 * time / 8000)).astype(np.int16))
    heard = voice.listen(tone, lambda n: [0.0] if n < 30 else [], 38)
    made = heard.sound[31 * 160 :]
    assert abs(db(rms(made[:80]), rms(heard.sound[3200:3280]))) < 0.3
    assert 3 < db(rms(made[:80]), rms(made[240:320])) < 6
    # It was never quiet, so what its room is like is not known: no louder than this.
    assert rms(made[480:]) < g711.dbm0_to_rms(comfort.MAX_FLOOR_DBM0 + 2)
    # No step that the tone itself would not take: 400 Hz of 4000 moves by 1240 a sample at most.
    assert np.abs(np.diff(heard.sound[29 * 160 : 35 * 160])).max() < 1500


def test_half_a_frame_that_is_missing_is_made_up_alone() -> None:
    time = np.arange(160 * 40)
    tone = g711.ulaw_encode((4000 * np.sin(2 * np.pi * 400 * time / 8000)).astype(np.int16))
    for gone in (40, 41):
        heard = voice.listen(tone, lambda n, gone=gone: [] if n == gone else [0.0], 30, size=80)
        sound = heard.sound[3200:]
        assert int(heard.ring.concealed[0]) == 1
        assert np.abs(np.diff(sound)).max() < 1500
        assert voice.longest_gap_ms(sound, 100.0) < 1
        assert abs(db(rms(sound), 4000 / 2**0.5)) < 0.5


def test_a_new_leg_never_conceals_with_the_voice_of_the_old() -> None:
    ring = Jitter(1)
    for tick in range(200):
        ring.begin_tick(tick)
        payload = VOICE[tick * 160 : tick * 160 + 160].tobytes()
        ring.put(0, rtp.Packet(0, False, tick, tick * 160, 1, payload))
        ring.read(1)
    ring.reset(0)
    ring.begin_tick(300)
    ring.put(0, rtp.Packet(0, False, 0, 0, 2, b"\xff" * 160))
    heard = []
    for tick in range(301, 310):
        ring.begin_tick(tick)
        heard.append(ring.read(1)[0][0].copy())
    assert (np.concatenate(heard) == g711.ULAW_SILENCE).all()


# --- networks -------------------------------------------------------------------------------


def steady(heard: voice.Heard) -> np.ndarray:
    return heard.sound[8000:-4000]


def assert_whole(heard: voice.Heard, within_db: float = 0.5) -> None:
    """No gap, and as loud as it was said."""
    assert voice.longest_gap_ms(steady(heard)) < 20
    assert abs(db(rms(steady(heard)), rms(g711.ULAW_FLOAT[VOICE][8000:-4000]))) <= within_db


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("jitter_ms", "most_ms", "most_made_up"), [(10, 40, 0), (20, 40, 1), (40, 60, 3), (80, 110, 6)]
)
def test_jitter_costs_a_delay_that_fits_it(
    seed: int, jitter_ms: int, most_ms: int, most_made_up: int
) -> None:
    random = np.random.default_rng(seed)
    heard = voice.listen(VOICE, lambda n: [jitter_ms * random.random()], TICKS)
    assert_whole(heard)
    assert max(heard.delay_ms) <= most_ms
    assert heard.concealed[-1] <= most_made_up


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_loss_costs_concealment_and_no_delay(share: float) -> None:
    heard = with_losses(losses(share, 1, 11))
    assert max(heard.delay_ms) <= 0
    assert voice.longest_gap_ms(steady(heard)) < 20
    assert abs(db(rms(steady(heard)), rms(g711.ULAW_FLOAT[VOICE][8000:-4000]))) <= 0.5


def test_one_lost_packet_costs_one_frame_for_ever() -> None:
    heard = voice.listen(VOICE, lambda n: [] if n == 100 else [0.0], TICKS)
    assert heard.concealed[-1] == 1
    assert heard.delay_ms[-1] == heard.delay_ms[50]
    said = VOICE.reshape(-1, 160)
    assert np.array_equal(heard.ulaw.reshape(-1, 160)[103:900], said[102:899])


def test_duplicates_cost_nothing() -> None:
    random = np.random.default_rng(4)
    heard = voice.listen(VOICE, lambda n: [0.0] + [9.0] * int(random.random() < 0.2), TICKS)
    assert np.array_equal(heard.ulaw[160:], VOICE[: len(heard.ulaw) - 160])


@pytest.mark.parametrize("late_ms", [30, 50, 70])
def test_reordered_packets_are_waited_for(late_ms: int) -> None:
    random = np.random.default_rng(5)
    heard = voice.listen(VOICE, lambda n: [float(late_ms) if random.random() < 0.1 else 0.0], TICKS)
    assert_whole(heard)
    assert heard.concealed[-1] <= 8
    assert max(heard.delay_ms) <= late_ms + 40


@pytest.mark.parametrize("stall_ms", [200, 1000, 3000])
def test_after_a_stall_the_delay_is_back_within_two_seconds(stall_ms: int) -> None:
    begin = 300

    def arrival(n: int) -> list[float]:
        since = (n - begin) * 20
        return [float(stall_ms - since) if 0 <= since < stall_ms else 0.0]

    heard = voice.listen(VOICE, arrival, TICKS)
    before = heard.delay_ms[begin - 1]
    end = begin + stall_ms // 20
    assert max(heard.delay_ms[end:]) <= (MAX_DEPTH + 1) * 20
    assert all(delay < before + 30 for delay in heard.delay_ms[end + 100 :])
    # Each frame that was heard late sounded whole.
    assert voice.longest_gap_ms(heard.sound[(end + 3) * 160 : -4000]) < 20


def test_who_stalls_again_and_again_keeps_its_delay() -> None:
    """A network that stops for 100 ms each second is not made to lose something each time."""
    stalls = [0] * 20

    def arrival(n: int) -> list[float]:
        since = n * 20 % 1000
        return [float(100 - since) if since < 100 else 0.0]

    heard = voice.listen(VOICE, arrival, TICKS)
    for second in range(20):
        first, last = second * 50, min(second * 50 + 49, TICKS - 1)
        stalls[second] = heard.concealed[last] - heard.concealed[first]
    assert sum(stalls[8:]) <= 2 < sum(stalls[:8]) <= 8


# --- clocks ---------------------------------------------------------------------------------

LONG = np.tile(VOICE, 20)[: 160 * 50 * 400]


@pytest.mark.parametrize("ppm", [-200, -50, 100, 200])
def test_another_clock_costs_neither_delay_nor_a_frame(ppm: int) -> None:
    random = np.random.default_rng(6)
    heard = voice.listen(LONG, lambda n: [1 + 8 * random.random()], 19_500, ppm=ppm)
    assert heard.concealed[-1] <= 1
    assert max(heard.delay_ms) <= 30
    assert min(heard.delay_ms[100:]) >= -40
    assert voice.longest_gap_ms(steady(heard)) < 20
    found = heard.ring.ppm(0)
    assert found is not None
    assert abs(found - ppm) < 20


def test_the_same_clock_keeps_every_byte() -> None:
    random = np.random.default_rng(8)
    heard = voice.listen(LONG, lambda n: [2 + 10 * random.random()], 6000)
    assert np.array_equal(heard.ulaw[160:], LONG[: len(heard.ulaw) - 160])
    found = heard.ring.ppm(0)
    assert found is not None
    assert abs(found) < 5


@pytest.mark.parametrize("ppm", [-200, 150])
def test_a_line_with_another_clock_is_heard_whole(ppm: int) -> None:
    random = np.random.default_rng(9)
    ring = Jitter(1)
    at, frames, delays = 0, [], []
    for tick in range(1, 15_000):
        ring.begin_tick(tick)
        # A serial port gives what has come in pieces of a few milliseconds.
        due = int(tick * 160 * (1 + ppm / 1e6)) - int(random.integers(0, 40))
        while at < due:
            step = int(min(random.integers(20, 120), due - at))
            ring.put_stream(0, LONG[at : at + step].tobytes())
            at += step
        frames.append(ring.read(1)[0][0].copy())
        delays.append((int(ring._newest[0] + ring._timestamp[0]) - ring._reader(0)) / 8)
    sound = g711.ULAW_FLOAT[np.concatenate(frames)]
    assert int(ring.concealed[0]) <= 2
    assert max(delays) < 50
    assert voice.longest_gap_ms(sound[8000:]) < 20
    assert abs(db(rms(sound[8000:]), rms(g711.ULAW_FLOAT[LONG][8000:at]))) < 0.3
    found = ring.ppm(0)
    assert found is not None
    assert abs(found - ppm) < 10


def test_the_drift_meter_is_not_misled_by_jitter_or_a_new_route() -> None:
    random = np.random.default_rng(2)
    meter = drift.DriftMeter(2)
    every = drift.LOOK_TICKS
    for look in range(2000):
        ours = look * every * 160
        late = (random.exponential(200, 2) + (640 if look > 1000 else 0)).astype(np.int64)
        theirs = ((ours - late) * np.array((1 + 80e-6, 1 - 120e-6))).astype(np.int64)
        meter.look(np.full(2, ours), theirs & 0xFFFFFFFF, np.ones(2, np.bool_))
    assert meter.ppm(0) == pytest.approx(80, abs=5)
    assert meter.ppm(1) == pytest.approx(-120, abs=5)
    meter.reset(0)
    assert meter.ppm(0) is None


def test_a_seam_leaves_the_rest_of_the_frame_as_it_was() -> None:
    sound = g711.ULAW_FLOAT[VOICE[4000 : 4000 + stretch.AHEAD]][None]
    made, lag, alike = stretch.shorter(sound, np.array([160]))
    assert np.array_equal(made[0, stretch.SEAM :], sound[0, stretch.SEAM + lag[0] :][:80])
    assert alike[0] > 0.8
    made, lag, alike = stretch.longer(sound, np.array([160]))
    start = stretch.LONGEST + stretch.SEAM - lag[0]
    assert np.array_equal(made[0, stretch.SEAM :], sound[0, start : start + 80])
    assert alike[0] > 0.8


def test_seams_in_a_voice_make_no_steps() -> None:
    """A clock that is far off: a seam every second, each a period, none a click."""
    slow = voice.listen(VOICE, lambda n: [0.5], TICKS, ppm=3000)
    said = g711.ULAW_FLOAT[VOICE].astype(np.float64)
    assert slow.concealed[-1] == 0
    assert np.abs(np.diff(steady(slow))).max() <= np.abs(np.diff(said)).max() * 1.05
    window = np.hanning(320)
    a, b = (
        np.abs(np.fft.rfft(x[: 160 * 900].reshape(-1, 320) * window)).mean(axis=0)[12:136]
        for x in (said, slow.sound[160:])
    )
    assert np.sqrt(np.mean((20 * np.log10(a / b)) ** 2)) < 1


# --- silence --------------------------------------------------------------------------------


class Talker:
    """A far end with silence suppression, seen through one ring."""

    def __init__(self) -> None:
        self.ring = Jitter(1)
        self.tick = self.number = 0
        self.stamp = 0

    def say(self, ticks: int, audio: g711.Bytes = VOICE) -> np.ndarray:
        heard = []
        for n in range(ticks):
            self.tick += 1
            self.stamp += 160
            self.ring.begin_tick(self.tick)
            payload = audio[n * 160 : n * 160 + 160].tobytes()
            self._put(0, payload, n == 0)
            heard.append(self.ring.read(1)[0][0].copy())
        return np.concatenate(heard)

    def _put(self, kind: int, payload: bytes, marker: bool = False) -> None:
        packet = rtp.Packet(kind, marker, self.number & 0xFFFF, self.stamp & 0xFFFFFFFF, 7, payload)
        self.number += 1
        if kind == rtp.COMFORT_NOISE:
            self.ring.comfort(0, packet)
        else:
            self.ring.put(0, packet)

    def rest(self, ticks: int, noise: bytes | None = None, every: int = 10_000) -> np.ndarray:
        heard = []
        for n in range(ticks):
            self.tick += 1
            self.stamp += 160
            self.ring.begin_tick(self.tick)
            if noise is not None and n % every == 0:
                self._put(rtp.COMFORT_NOISE, noise)
            heard.append(self.ring.read(1)[0][0].copy())
        return np.concatenate(heard)


def test_comfort_noise_has_the_level_that_was_asked_for() -> None:
    talker = Talker()
    talker.say(50)
    noise = g711.ULAW_FLOAT[talker.rest(200, bytes([50]), 10)][1600:]
    assert abs(db(rms(noise), comfort.OVERLOAD_RMS) + 50) < 0.7
    assert int(talker.ring.concealed[0]) <= 1
    assert len(np.unique(noise[:8000].reshape(-1, 160), axis=0)) == 50


def test_comfort_noise_has_the_spectrum_that_was_asked_for() -> None:
    """k = -0.8 is noise that falls with frequency, k = 0.8 one that rises (one pole)."""
    levels = []
    for k in (-0.8, 0.8):
        talker = Talker()
        talker.say(20)
        noise = g711.ULAW_FLOAT[talker.rest(300, bytes([40, round(127 + 127 * k)]), 20)][1600:]
        power = (np.abs(np.fft.rfft(noise[: 160 * 280].reshape(-1, 320))) ** 2).mean(axis=0)
        levels.append(10 * np.log10(power[8:24].mean() / power[136:152].mean()))
        assert abs(db(rms(noise), comfort.OVERLOAD_RMS) + 40) < 0.7
    assert 14 < levels[0] < 21
    assert -21 < levels[1] < -14


def test_a_far_end_that_just_stops_is_heard_as_its_own_room() -> None:
    room = voice.coded(np.random.default_rng(3).standard_normal(160 * 150) * g711.dbm0_to_rms(-55))
    talker = Talker()
    talker.say(100)
    talker.say(100, room)
    own = rms(g711.ULAW_FLOAT[room])
    noise = g711.ULAW_FLOAT[talker.rest(500)]
    assert abs(db(rms(noise[960:]), own)) < 2
    late = g711.ULAW_FLOAT[talker.rest(1500)][-8000:]
    assert not late.any()


def test_a_far_end_without_noise_goes_silent() -> None:
    tone = voice.coded(np.concatenate((4000 * np.sin(np.arange(160 * 50)), np.zeros(160 * 50))))
    talker = Talker()
    talker.say(100, tone)
    assert (talker.rest(50)[1600:] == g711.ULAW_SILENCE).all()


@pytest.mark.parametrize("pause", [5, 60, 500, 5000])
@pytest.mark.parametrize("noise", [None, bytes([60])])
def test_a_talkspurt_begins_where_its_time_says(pause: int, noise: bytes | None) -> None:
    talker = Talker()
    talker.say(50)
    before = talker.ring.delay_ms(0)
    talker.rest(pause, noise, 25)
    heard = talker.say(20)
    assert talker.ring.delay_ms(0) == before
    said = VOICE[: 20 * 160]
    assert np.array_equal(heard[320:], said[160:-160])


def test_a_clock_that_stood_still_in_the_pause_is_followed_at_the_marker() -> None:
    talker = Talker()
    talker.say(50)
    talker.rest(300)
    talker.stamp -= 300 * 160
    heard = talker.say(20)
    assert np.array_equal(heard[320:], VOICE[160 : 19 * 160])


def test_who_sent_comfort_noise_is_silent_for_a_reason() -> None:
    talker = Talker()
    talker.say(50)
    assert not talker.ring.comforted(1)[0]
    talker.rest(1000, bytes([60]))
    assert talker.ring.comforted(1)[0]
    talker.rest(2500)
    assert not talker.ring.comforted(1)[0]
    talker.rest(5, bytes([60]))
    talker.say(5)
    assert not talker.ring.comforted(1)[0]


# --- anything at all ------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["audio", "noise", "stream", "skip", "far"]),
            st.integers(-6, 6),
            st.integers(0, 600),
            st.integers(0, 4),
        ),
        max_size=80,
    ),
    st.integers(0, 0xFFFF),
)
def test_whatever_comes_the_reader_goes_on_and_the_delay_is_bounded(
    steps: list[tuple[str, int, int, int]], first: int
) -> None:
    ring = Jitter(2)
    tick, number = 0, first
    for kind, offset, size, reads in steps:
        if kind == "skip":
            ring.skip(size, 2)
        elif kind == "stream":
            ring.put_stream(1, b"\x20" * size)
        else:
            number += 1
            sequence = (number + offset) & 0xFFFF
            far = 1 << 20 if kind == "far" else 0
            stamp = ((number + offset) * 160 + far) & 0xFFFFFFFF
            packet = rtp.Packet(0, offset > 3, sequence, stamp, 1, bytes([size % 256]) * size)
            if kind == "noise":
                ring.comfort(0, packet)
            else:
                ring.put(0, packet)
        for _ in range(reads):
            tick += 1
            ring.begin_tick(tick)
            # Against what it holds: both may be counted anew.
            ahead = ring._newest[:2] - ring._readers(slice(0, 2))
            ulaw, pcm = ring.read(2)
            moved = ahead - (ring._newest[:2] - ring._readers(slice(0, 2)))
            assert ulaw.shape == pcm.shape == (2, 160)
            assert np.array_equal(pcm, g711.ULAW_FLOAT[ulaw])
            # A frame, and at most a seam or a step onto the border more or less.
            assert (moved >= -160).all()
            assert (moved <= 480).all()
            assert (ring._lost[:2] >= 0).all()
            assert (ring._fill[:2] >= 0).all()
        assert ring.delay_ms(0) <= 64 * 20
        assert (np.abs(ring._depth.debt) <= 70 * 160).all()


def test_the_rooms_of_the_delay_fit_together() -> None:
    assert depth.LEAST_OF_LINE < depth.LEAST <= depth.TARGET < depth.MOST < depth.MUCH
