"""Who speaks, how loud, and whether it is a machine; and the gain that evens voices out."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media import g711, protocol
from appliance.media.dsp import signals
from appliance.media.dsp.activity import Activity
from appliance.media.dsp.answering import Greeting
from appliance.media.dsp.hearing import Hearing, Wants
from appliance.media.dsp.level import LIMIT, SpeechLevel, active_level
from appliance.media.dsp.spectrum import level_dbm0
from tests.media import dtmf_corpus as corpus
from tests.media.ears import Audio, heard, noise, on_a_line
from tests.media.test_media_dtmf import SENTENCES, espeak

SLOT = np.array([0])
MACHINE = Wants(machine=True)


@pytest.fixture(scope="module")
def speech() -> Audio:
    """Ten seconds of speech at -18 dBm0."""
    return np.resize(espeak(SENTENCES["en"], "en"), 80_000)


def frames(audio: Audio) -> list[np.ndarray]:
    pcm = corpus.code(audio).astype(np.float32)
    return [pcm[None, at * 160 : (at + 1) * 160] for at in range(len(pcm) // 160)]


def at(audio: Audio, dbm0: float) -> Audio:
    """Speech of -18 dBm0 at another level."""
    return audio * 10 ** ((dbm0 + 18) / 20)


# --- voice activity -------------------------------------------------------------------------


def voices(audio: Audio) -> np.ndarray:
    """Whether a voice is on, frame by frame."""
    activity = Activity(1)
    activity.reset(0)
    powers = [level_dbm0((frame**2).mean(axis=1)) for frame in frames(audio)]
    return np.array([activity.process(power, SLOT)[1][0] for power in powers])


@pytest.mark.parametrize(("snr", "share"), [(40, 0.97), (25, 0.97), (15, 0.95), (10, 0.88)])
def test_speech_is_found_in_noise_and_noise_is_none(
    speech: Audio, snr: float, share: float
) -> None:
    quiet = np.zeros(16_000)
    whole = np.concatenate((quiet, speech, quiet))
    on = voices(whole + noise(len(whole), -18 - snr))
    loud = np.array([20 * np.log10(np.sqrt((frame**2).mean()) + 1) for frame in frames(speech)])
    # What lies within 10 dB of the mean level is speech beyond doubt.
    truth = loud > 20 * np.log10(g711.dbm0_to_rms(-28))
    assert on[100:600][truth].mean() >= share
    assert not on[:95].any()
    assert not on[620:].any()


def test_a_new_noise_is_a_voice_for_two_seconds_at_most() -> None:
    on = voices(np.concatenate((noise(16_000, -60), noise(80_000, -35))))
    assert not on[200:].any()


def test_a_click_is_no_voice() -> None:
    audio = noise(32_000, -60)
    audio[16_000:16_100] = 20_000
    assert not voices(audio).any()


# --- speech level ---------------------------------------------------------------------------


def p56(audio: Audio) -> float | None:
    """Method B of P.56, sample by sample as the recommendation has it."""
    decay = np.exp(-1 / (8000 * 0.03))
    first = second = 0.0
    thresholds = 2.0 ** np.arange(15)
    active, hang = np.zeros(15), np.full(15, 1600)
    for sample in np.abs(audio):
        first = decay * first + (1 - decay) * sample
        second = decay * second + (1 - decay) * first
        above = second >= thresholds
        active += above | (hang < 1600)
        hang = np.where(above, 0, hang + 1)
    return active_level(float((audio**2).sum()), (active / 40).astype(np.int64))


@pytest.mark.parametrize("dbm0", [-10, -26, -40])
def test_the_level_is_p56s(speech: Audio, dbm0: float) -> None:
    audio = corpus.code(at(np.concatenate((speech[:24_000], np.zeros(8000))), dbm0)).astype(float)
    meter = SpeechLevel(1)
    for frame in frames(audio):
        meter.process(frame, SLOT)
    assert meter.level(0) == pytest.approx(p56(audio), abs=0.1)


def test_pauses_do_not_lower_the_level(speech: Audio) -> None:
    meter, other = SpeechLevel(1), SpeechLevel(1)
    for frame in frames(speech):
        meter.process(frame, SLOT)
    for frame in frames(np.concatenate((speech, np.zeros(160_000)))):
        other.process(frame, SLOT)
    assert other.level(0) == pytest.approx(meter.level(0), abs=0.4)


def test_nobody_has_no_level() -> None:
    meter = SpeechLevel(1)
    for frame in frames(np.zeros(8000)):
        meter.process(frame, SLOT)
    assert meter.level(0) is None


def test_levels_are_reported_each_second_and_since_the_beginning(speech: Audio) -> None:
    hearing = Hearing(1)
    hearing.want(0, 7, Wants(level=True))
    quiet = np.zeros(16_000)
    reports = [
        event
        for tick, frame in enumerate(frames(np.concatenate((speech, quiet))))
        for event in hearing.listen(frame, tick)
    ]
    assert [type(event) for event in reports] == [protocol.LegLevel] * 12
    first, last = reports[3], reports[-1]
    assert isinstance(first, protocol.LegLevel)
    assert isinstance(last, protocol.LegLevel)
    assert first.leg == 7
    assert first.level_dbm0 == pytest.approx(-18, abs=3)
    assert (last.level_dbm0, last.speaking) == (None, False)
    assert hearing.speech_level(0) == pytest.approx(-18, abs=1)


# --- gain -----------------------------------------------------------------------------------


def evened(audio: Audio) -> tuple[Audio, Audio]:
    """What came and what became of it."""
    hearing = Hearing(1)
    hearing.want(0, 0, Wants(agc=True))
    came, went = [], []
    for tick, frame in enumerate(frames(audio)):
        code = g711.ulaw_encode(frame.astype(np.int16))
        came.append(frame[0].copy())
        hearing.listen(frame, tick)
        hearing.even(code, frame)
        went.append(g711.ulaw_decode(code)[0].astype(float))
    return np.concatenate(came), np.concatenate(went)


def measured(audio: Audio) -> float:
    meter = SpeechLevel(1)
    for frame in frames(audio):
        meter.process(frame, SLOT)
    level = meter.level(0)
    assert level is not None
    return level


@pytest.mark.parametrize("dbm0", [-28, -23, -18, -13, -8])
def test_voices_come_near_the_target(speech: Audio, dbm0: float) -> None:
    _, went = evened(at(np.concatenate((speech, speech)), dbm0))
    assert measured(went[80_000:]) == pytest.approx(-18, abs=2.5)


def test_twelve_decibels_are_the_most(speech: Audio) -> None:
    _, went = evened(at(np.concatenate((speech, speech)), -40))
    assert measured(went[80_000:]) <= -27.5


def test_noise_is_not_pumped_up(speech: Audio) -> None:
    whole = np.concatenate((at(speech, -30), np.zeros(80_000)))
    came, went = evened(whole + noise(len(whole), -50))
    ratio = np.sqrt((went[-40_000:] ** 2).mean() / (came[-40_000:] ** 2).mean())
    assert 20 * np.log10(ratio) <= 4.5
    _, quiet = evened(noise(80_000, -40))
    assert 20 * np.log10(np.sqrt((quiet**2).mean()) / g711.dbm0_to_rms(-40)) <= 0.5


def test_gain_moves_slowly(speech: Audio) -> None:
    came, went = evened(at(speech, -30))
    loud = np.abs(came) > 200
    gain = 20 * np.log10(np.abs(went[loud]) / np.abs(came[loud]))
    seconds = np.flatnonzero(loud) / 8000
    assert gain[seconds < 1].max() <= 4.0


def test_a_shout_after_whispers_is_not_clipped(speech: Audio) -> None:
    _, went = evened(np.concatenate((at(speech, -34), at(speech[:16_000], -10))))
    assert np.abs(went).max() <= LIMIT * 1.04


def test_legs_without_gain_control_keep_their_bytes(speech: Audio) -> None:
    hearing = Hearing(2)
    hearing.want(0, 0, Wants(agc=True))
    hearing.want(1, 1, Wants(level=True))
    changed = 0
    for tick, frame in enumerate(frames(at(speech, -30))):
        both = np.concatenate((frame, frame))
        code = g711.ulaw_encode(both.astype(np.int16))
        before = code.copy()
        hearing.listen(both, tick)
        hearing.even(code, both)
        changed += bool((code[0] != before[0]).any())
        assert (code[1] == before[1]).all()
        assert (both[1] == frame[0]).all()
    assert changed > 200


def test_a_voice_that_is_right_is_hardly_touched(speech: Audio) -> None:
    came, went = evened(speech)
    loud = np.abs(came) > 200
    assert np.abs(20 * np.log10(np.abs(went[loud]) / np.abs(came[loud]))).max() <= 2.5


# --- machines -------------------------------------------------------------------------------


def answered(audio: Audio) -> list[protocol.Event]:
    return [event for event, _ in heard(audio, MACHINE)]


@pytest.mark.parametrize(
    ("text", "voice"),
    [("Hello?", "en"), ("Yes, Smith speaking.", "en"), ("Alo, bună ziua?", "ro"), ("Да?", "ru")],
)
def test_a_word_and_a_pause_is_a_person(text: str, voice: str) -> None:
    audio = np.concatenate((np.zeros(6000), espeak(text, voice), np.zeros(16_000)))
    (event,) = answered(on_a_line(audio))
    assert isinstance(event, protocol.MachineHeard)
    assert event.result == "human"
    assert "waits" in event.reason


@pytest.mark.parametrize("variant", ["", "+f3", "+m3"])
def test_a_long_greeting_and_its_beep_are_a_machine(variant: str) -> None:
    text = (
        "Hello, you have reached the Miller family, we are not at home right now. "
        "Please leave your name and number after the tone, and we will call you back."
    )
    greeting = espeak(text, "en" + variant)
    beep = np.concatenate((np.zeros(4000), signals.tone((1000,), 400, -15), np.zeros(8000)))
    events = answered(on_a_line(np.concatenate((greeting, beep))))
    assert isinstance(events[0], protocol.MachineHeard)
    assert events[0].result == "machine"
    assert events[0].after_ms < 5000
    assert events[1:] == [protocol.Beep(0)]


def test_a_beep_alone_is_a_machine() -> None:
    audio = np.concatenate((np.zeros(8000), signals.tone((1400,), 300, -15), np.zeros(8000)))
    events = answered(on_a_line(audio))
    assert isinstance(events[0], protocol.MachineHeard)
    assert (events[0].result, events[0].reason) == ("machine", "a beep")


def test_silence_is_nobody_knows_whom() -> None:
    (event,) = answered(noise(48_000, -60))
    assert isinstance(event, protocol.MachineHeard)
    assert event.result == "unsure"


def test_ringing_that_is_still_on_is_no_greeting() -> None:
    ringing = np.concatenate((signals.tone((440, 480), 2000, -18), np.zeros(12_000)))
    audio = np.concatenate((ringing, espeak("Hello?", "en"), np.zeros(16_000)))
    events = answered(on_a_line(audio))
    assert [getattr(event, "result", None) for event in events] == ["human"]


def test_in_between_it_is_unsure() -> None:
    greeting = Greeting()
    answers = [greeting.step(tick < 110) for tick in range(200)]
    (answer,) = [answer for answer in answers if answer is not None][:1]
    assert answer.result == "unsure"
    assert "2.2 s" in answer.reason
