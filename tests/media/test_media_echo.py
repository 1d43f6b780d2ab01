"""The line echo canceller against G.168's demands, on simulated hybrids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from appliance.media import dtmf, g711, rtp, tones
from appliance.media.echo import LEAD, EchoCanceller
from appliance.media.echo_study import Study
from appliance.media.engine import Engine
from tests.media import echo_corpus as corpus
from tests.media.echo_corpus import FRAME, HYBRIDS, Audio, erle_db, hiss, level_dbm0

DELAY = 1200


def line(far: Audio, hybrid: corpus.Hybrid, near: Audio | None = None, **how: int) -> Audio:
    """What the line brings back: the echo, the near side, its noise."""
    audio = corpus.echo_of(far, hybrid.taps(), how.get("delay", DELAY))
    audio += hiss(len(far) / 8000, how.get("seed", 5))
    return corpus.through_ulaw(audio if near is None else audio + near)


def during(near: Audio, seconds: float, start_s: float) -> Audio:
    """Silence of that length with `near` in it."""
    audio = np.zeros(int(seconds * 8000))
    at = int(start_s * 8000)
    audio[at : at + len(near)] = near[: len(audio) - at]
    return audio


@pytest.mark.parametrize("hybrid", HYBRIDS, ids=lambda one: one.name)
@pytest.mark.parametrize("signal", ["speech", "composite"])
def test_after_a_second_the_echo_is_30_db_lower(hybrid: corpus.Hybrid, signal: str) -> None:
    far = corpus.speech(3, 14, hz=110) if signal == "speech" else corpus.composite(3, 14)
    back = line(far, hybrid)
    (made,) = corpus.cancel([far], [back])
    assert erle_db(back, made, 1.0, 2.0) >= 30
    assert erle_db(back, made, 2.0, 3.0) >= 30


def test_the_filter_alone_gives_30_db() -> None:
    far = corpus.speech(4, 15)
    back = line(far, HYBRIDS[0])
    (made,) = corpus.cancel([far], [back], suppress=False)
    assert erle_db(back, made, 1.5, 4.0) >= 30


@pytest.mark.parametrize("delay", [200, 900, 2900])
def test_the_echo_is_found_wherever_it_is(delay: int) -> None:
    far = corpus.composite(2, 3)
    back = line(far, HYBRIDS[1], delay=delay)
    canceller = EchoCanceller()
    canceller.open(0)
    corpus.cancel([far], [back], into=canceller)
    assert canceller.found(0)
    # A frame is given away a tick before it counts; the hybrid's own peak is 30 samples in.
    assert abs(canceller.delay(0) - (delay - FRAME + 30)) <= LEAD


def test_both_sides_at_once_are_heard_and_harm_nothing() -> None:
    far = corpus.speech(9, 31)
    near = during(corpus.speech(3.5, 32, hz=190), 9, 3.0)
    back = line(far, HYBRIDS[0], near)
    for suppress in (False, True):
        (made,) = corpus.cancel([far], [back], suppress=suppress)
        frames = near.reshape(-1, FRAME)
        loud = np.mean(frames**2, 1) > g711.dbm0_to_rms(-25) ** 2
        # Each 20 ms of the near voice at its level.
        passed = np.mean(made.reshape(-1, FRAME)[loud] ** 2, 1) / np.mean(frames[loud] ** 2, 1)
        assert np.abs(10 * np.log10(passed)).max() <= 1.0
        assert erle_db(back, made, 6.6, 7.1) >= 25
        assert erle_db(back, made, 7.0, 9.0) >= 30


def test_a_near_voice_from_the_start_only_delays_learning() -> None:
    far = corpus.speech(6, 33)
    near = during(corpus.speech(2.5, 34, -22, hz=200), 6, 0.0)
    back = line(far, HYBRIDS[0], near)
    (made,) = corpus.cancel([far], [back], suppress=False)
    assert level_dbm0(made[:20000]) <= level_dbm0(back[:20000]) + 0.5
    assert erle_db(back, made, 4.0, 6.0) >= 28


def test_slips_are_followed_within_a_few_ticks() -> None:
    far = corpus.speech(8, 35)
    slips = ((24000, 160), (32000, 0), (40000, 1), (48000, -36))
    echo = corpus.echo_of(far, HYBRIDS[0].taps(), DELAY, slips)
    back = corpus.through_ulaw(echo + hiss(8, 6))
    (made,) = corpus.cancel([far], [back], suppress=False)
    for at in (3.0, 4.0, 5.0, 6.0):
        assert erle_db(back, made, at + 0.3, at + 0.9) >= 26


def test_tones_from_the_office_do_not_spoil_the_filter() -> None:
    far = np.concatenate(
        [
            corpus.speech(3, 36),
            corpus.tone(3, (697, 1209)),
            corpus.tone(2, (425,)),
            corpus.speech(2, 37),
        ]
    )
    back = line(far, HYBRIDS[2])
    (made,) = corpus.cancel([far], [back], suppress=False)
    assert erle_db(back, made, 3.2, 8.0) >= 28
    assert erle_db(back, made, 8.1, 10.0) >= 28


def test_a_tone_alone_is_not_taken_for_a_place() -> None:
    far = np.concatenate([corpus.tone(3, (350, 440)), corpus.speech(4, 38)])
    back = line(far, HYBRIDS[4])
    (made,) = corpus.cancel([far], [back], suppress=False)
    assert np.array_equal(made[:16000], back[:16000])
    assert erle_db(back, made, 5.0, 7.0) >= 25


def test_keys_and_fax_tones_of_the_line_pass_unharmed_while_the_office_speaks() -> None:
    far = corpus.speech(8, 39)
    keys = "159D0#"
    pressed = np.concatenate(
        [g711.ULAW_DECODE[dtmf.key_sequence(key)].astype(float) for key in keys]
    )
    fax = corpus.tone(2.5, (2100,), -13)
    nears = [during(pressed, 8, 3.0), during(fax, 8, 4.0)]
    backs = [line(far, HYBRIDS[0], near) for near in nears]
    made = corpus.cancel([far, far], backs)
    heard = dtmf.DtmfDetector(1)
    found = ""
    for frame in made[0].reshape(-1, FRAME):
        pcm = frame.astype(np.float32)[None]
        found += "".join(digit for _, digit in heard.process(pcm, np.zeros(1, np.int64)))
    assert found == keys
    steady = slice(int(4.1 * 8000), int(6.4 * 8000))
    assert level_dbm0(made[1][steady]) == pytest.approx(level_dbm0(fax), abs=0.1)


def test_a_leg_without_echo_is_not_touched_at_all() -> None:
    fars = [corpus.speech(5, 40), corpus.composite(5, 41)]
    nears = [corpus.through_ulaw(corpus.speech(5, 42)), corpus.through_ulaw(corpus.speech(5, 43))]
    for before, after in zip(nears, corpus.cancel(fars, nears), strict=True):
        assert np.array_equal(before, after)


def test_an_8_bit_line_is_quietened_too_and_its_slips_are_followed() -> None:
    far = corpus.speech(6, 44)
    echo = corpus.echo_of(far, HYBRIDS[1].taps(), DELAY, ((28000, 1), (36000, -36)))
    back = corpus.through_ulaw(np.rint(echo / 256) * 256)
    (made,) = corpus.cancel([far], [back])
    for start, end in ((1.5, 3.5), (3.8, 4.5), (4.8, 6.0)):
        assert erle_db(back, made, start, end) >= 25


def test_the_noise_of_the_line_goes_on_where_echo_is_suppressed() -> None:
    far = corpus.composite(8, 45)
    far[: 2 * 8000] = corpus.speech(2, 45)
    echo = corpus.echo_of(far, HYBRIDS[0].taps(), DELAY)
    back = corpus.through_ulaw(echo + hiss(8, 7, -55))
    (made,) = corpus.cancel([far], [back])
    assert level_dbm0(made[5 * 8000 :]) == pytest.approx(-55, abs=4)


@pytest.mark.parametrize("from_line", [True, False], ids=["line", "office"])
@pytest.mark.parametrize(("hz", "reversed_"), [(2100, True), (2112, True), (2100, False)])
def test_modems_turn_it_off_by_2100_hz_with_phase_reversals(
    from_line: bool, hz: float, reversed_: bool
) -> None:
    t = np.arange(6 * 8000) / 8000
    turns = np.floor(t / 0.45) * np.pi * reversed_
    answer = np.sin(2 * np.pi * hz * t + turns) * g711.dbm0_to_rms(-12) * 2**0.5
    answer[: 2 * 8000] = 0
    answer[int(3.5 * 8000) :] = 0
    voice = corpus.speech(6, 46)
    voice[2 * 8000 : 4 * 8000] = 0
    far, near = (voice, answer) if from_line else (voice + answer, np.zeros(len(voice)))
    back = line(far, HYBRIDS[0], near)
    canceller = EchoCanceller()
    canceller.open(0)
    found = []
    before = np.full((1, FRAME), g711.ULAW_SILENCE, np.uint8)
    for sent, come in zip(corpus.coded(far), corpus.coded(back), strict=True):
        ulaw = come[None].copy()
        canceller.tick(ulaw, g711.ULAW_FLOAT[ulaw], before, np.zeros(1, np.bool_))
        before = sent[None]
        found.append(canceller.found(0))
    assert found[int(1.5 * 50)]
    # Within a second of the tone; and back once both sides have been silent for 250 ms.
    assert found[int(3.2 * 50)] is not reversed_
    assert found[int(4.0 * 50)]


def test_rows_keep_their_state_when_other_legs_come_and_go() -> None:
    far, other = corpus.composite(2, 47), corpus.speech(2, 48)
    backs = [line(far, HYBRIDS[0]), line(other, HYBRIDS[1], seed=8)]
    alone = corpus.cancel([far, far], [backs[0], backs[0]])[0]
    canceller = EchoCanceller()
    for slot in (7, 0, 3):
        canceller.open(slot)
    canceller.close(7)
    canceller.close(7)
    canceller.open(1)
    canceller.close(3)
    together = corpus.cancel([far, other], backs, into=canceller)
    assert erle_db(backs[0], together[0], 1.0, 2.0) >= 30
    assert erle_db(backs[0], alone, 1.0, 2.0) >= 30
    canceller.close(0)
    assert canceller.found(1)
    assert not canceller.found(0)


def test_what_was_concealed_is_left_alone() -> None:
    far = corpus.composite(2, 49)
    canceller = EchoCanceller()
    canceller.open(0)
    corpus.cancel([far], [line(far, HYBRIDS[0])], into=canceller)
    ulaw = corpus.coded(far)[:1].copy()
    pcm = g711.ULAW_FLOAT[ulaw]
    before = ulaw.copy()
    canceller.tick(ulaw, pcm, before, np.ones(1, np.bool_))
    assert np.array_equal(ulaw, before)
    assert np.array_equal(pcm, g711.ULAW_FLOAT[before])


def test_minutes_of_everything_leave_it_in_good_order() -> None:
    """The short version of an hour: speech of either side and both, tones, silence, slips."""
    dice = np.random.default_rng(50)
    parts: list[tuple[Audio, Audio]] = []
    nothing = np.zeros(3 * 8000)
    for round_ in range(3):
        parts += [
            (corpus.speech(3, 60 + round_), nothing),
            (nothing, corpus.speech(3, 70 + round_, hz=180)),
            (corpus.speech(3, 80 + round_), corpus.speech(3, 90 + round_, -15, hz=210)),
            (corpus.tone(3, (425,)), nothing),
            (corpus.at_level(dice.standard_normal(3 * 8000), -25), nothing),
            (corpus.speech(3, 61 + round_), corpus.tone(3, (770, 1336), -10)),
        ]
    far = np.concatenate([part[0] for part in parts] + [corpus.speech(4, 99)])
    near = np.concatenate([part[1] for part in parts] + [np.zeros(4 * 8000)])
    slips = tuple(
        (int(dice.uniform(2, len(far) - 5 * 8000)), int(late)) for late in (1, 161, 160, 40)
    )
    echo = corpus.echo_of(far, HYBRIDS[0].taps(), DELAY, tuple(sorted(slips)))
    back = corpus.through_ulaw(echo + near + hiss(len(far) / 8000, 9))
    (made,) = corpus.cancel([far], [back], suppress=False)
    seconds = len(far) / 8000
    assert erle_db(back, made, seconds - 3.5, seconds) >= 28
    # It never made anything louder.
    was, is_ = (np.mean(audio.reshape(-1, 8000) ** 2, 1) for audio in (back, made))
    assert (10 * np.log10((is_ + 1) / (was + 1))).max() < 1.0


def test_a_study_finds_a_known_path() -> None:
    dice = np.random.default_rng(51)
    path = np.zeros(640, np.float32)
    path[50:60] = dice.standard_normal(10) * 0.2
    said = (dice.standard_normal(640 + 6400) * 1000).astype(np.float32)
    heard = np.convolve(said, path)[640 : 640 + 6400].astype(np.float32)
    taps = np.zeros(640, np.float32)
    for most_left in (1e-2, 1e-5):
        study = Study(said, heard, taps, 48, 0.0)
        while not study.done:
            study.step()
        taps = study.taps
        assert study.blocks(study.left()).sum() < most_left * study.blocks().sum()
    assert np.abs(taps - path).max() < 0.01


class _NoTape:
    def feed(self, recordings: Sequence[str | None], said: g711.Bytes, first: int) -> None:
        raise AssertionError("nothing is recorded")

    def silence(self, recording: str, frames: int) -> None:
        raise AssertionError("nothing is recorded")


def test_in_the_engine_a_line_has_it_and_a_phone_has_not() -> None:
    engine = Engine(tones.plan_for("us"), _NoTape())
    for number, door in ((1, "line"), (2, "peer"), (3, "rtp"), (4, "peer")):
        engine.open(number, door)  # type: ignore[arg-type]
    engine.bridge(1, 1, 2)
    engine.bridge(2, 3, 4)
    voice = corpus.composite(3, 52)
    back = corpus.coded(line(voice, HYBRIDS[0]))
    heard: dict[int, list[npt.NDArray[np.uint8]]] = {2: [], 4: []}
    for number, (says, comes) in enumerate(zip(corpus.coded(voice), back, strict=True)):
        engine.begin_tick()
        slots = {leg: engine.legs[leg].slot for leg in (1, 2, 3, 4)}
        engine.ring.put_stream(slots[1], comes.tobytes())
        for leg, frame in ((2, says), (3, comes), (4, says)):
            packet = rtp.Packet(0, False, number, number * FRAME, 1, frame.tobytes())
            engine.ring.put(slots[leg], packet)
        engine.tick()
        for leg, frames in heard.items():
            frames.append(engine.out[slots[leg]].copy())
    by_line, by_phone = (
        g711.ULAW_DECODE[np.concatenate(heard[leg])].astype(float) for leg in (2, 4)
    )
    assert level_dbm0(by_phone[12000:]) - level_dbm0(by_line[12000:]) >= 30
    assert np.array_equal(
        np.concatenate(heard[4])[FRAME:], back.reshape(-1)[: len(by_phone) - FRAME]
    )
