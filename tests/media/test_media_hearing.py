"""The engine with ears: it hears what each leg asked for, and nothing of the others."""

from __future__ import annotations

import numpy as np

from appliance.media import dtmf, g711, protocol
from appliance.media.dsp import callerid, fsk, signals
from appliance.media.dsp.hearing import Wants
from tests.media.test_media_dtmf import espeak
from tests.media.test_media_engine import Studio, voice


def code(sound: np.ndarray, seconds: float = 0) -> g711.Bytes:
    """As mu-law, with silence up to so many seconds."""
    whole = np.zeros(max(int(seconds * 8000), len(sound)))
    whole[: len(sound)] = sound
    return g711.ulaw_encode(whole.round().astype(np.int16))


CNG = code(signals.tone((1100,), 500, -20), 3.5)


def test_each_leg_hears_what_it_asked_for() -> None:
    studio = Studio()
    for number in (1, 2, 3):
        studio.leg(number, CNG)
    studio.engine.listen(1, False, False, Wants(fax=True))
    studio.engine.listen(2, False, False, Wants(sit=True, caller_id=True))
    studio.run(260)
    assert studio.events == [protocol.FaxHeard(1, "cng")]


def test_asking_again_disturbs_nothing_and_asking_for_nothing_ends_it() -> None:
    studio = Studio()
    studio.leg(1, CNG)
    studio.engine.listen(1, False, False, Wants(fax=True))
    studio.run(100)
    studio.engine.listen(1, True, False, Wants(fax=True))
    studio.run(160)
    assert studio.events == [protocol.FaxHeard(1, "cng")]
    studio.engine.listen(1, False, False)
    studio.run(400)
    assert len(studio.events) == 1


def test_a_slot_that_is_used_again_hears_afresh() -> None:
    studio = Studio()
    studio.leg(1, CNG)
    studio.engine.listen(1, False, False, Wants(fax=True))
    studio.run(150)
    studio.engine.close(1)
    studio.leg(2, CNG)
    studio.engine.listen(2, False, False, Wants(fax=True))
    studio.run(100)
    assert studio.events == []
    studio.run(160)
    assert studio.events == [protocol.FaxHeard(2, "cng")]


def test_more_legs_than_expected_keep_what_they_heard() -> None:
    studio = Studio()
    studio.leg(1, CNG)
    studio.engine.listen(1, False, False, Wants(fax=True, level=True, agc=True, caller_id=True))
    studio.run(150)
    for number in range(2, 200):
        studio.leg(number)
    studio.run(110)
    assert studio.of(protocol.FaxHeard) == [protocol.FaxHeard(1, "cng")]


def test_a_soft_leg_is_evened_out_for_its_peer_and_the_other_keeps_its_bytes() -> None:
    studio = Studio()
    soft = g711.ulaw_encode((espeak("One two three four five.", "en") / 4).astype(np.int16))
    tone = voice(1000, -12)
    studio.leg(1, soft)
    studio.leg(2, tone)
    studio.engine.bridge(1, 1, 2)
    studio.engine.even_out(1, True)
    studio.engine.listen(1, False, False, Wants(level=True))
    studio.run(1000)
    reports = [e for e in studio.of(protocol.LegLevel) if isinstance(e, protocol.LegLevel)]
    assert len(reports) == 20
    assert 6 < reports[-1].gain_db <= 12
    level = studio.engine.speech_level(1)
    assert level is not None
    assert abs(level + 30) < 2
    said = np.concatenate([soft] * 40)[(999 - 100) * 160 :]
    before = np.sqrt((g711.ulaw_decode(said[: 100 * 160]).astype(float) ** 2).mean())
    after = np.sqrt((studio.ear(2, 100).astype(float) ** 2).mean())
    assert after > 1.8 * before
    heard = np.concatenate(studio.heard[1][-50:])
    assert set(heard.tolist()) <= set(tone.tolist())


def test_what_fills_a_gap_is_not_turned_up_twice() -> None:
    studio = Studio()
    soft = g711.ulaw_encode((espeak("One two three four five.", "en") / 8).astype(np.int16))
    studio.leg(1, soft)
    studio.leg(2, voice(1000))
    studio.engine.bridge(1, 1, 2)
    studio.engine.even_out(1, True)
    studio.run(800)
    before = np.abs(studio.ear(2, 600)).max()
    for _ in range(40):
        # A second of speech, then nothing: what was said last is repeated while it fades.
        voices, studio.voices = studio.voices, {2: studio.voices[2]}
        studio.run(4)
        studio.voices = voices
        studio.run(23)
    assert np.abs(studio.ear(2, 1000)).max() <= 1.2 * before


def test_call_waitings_alert_is_answered_and_its_caller_told() -> None:
    studio = Studio()
    message = callerid.call_message("5550123")
    sound = np.concatenate(
        (
            np.zeros(8000),
            signals.alert(),
            np.zeros(1600),
            fsk.modulate(message, "bell202", line=fsk.Line(0, 80)),
        )
    )
    studio.leg(1, code(sound, 10))
    studio.engine.listen(1, False, False, Wants(caller_id=True))
    studio.run(80)
    ears = dtmf.DtmfDetector(1)
    keys = [
        digit
        for frame in studio.heard[1]
        for _, digit in ears.process(g711.ULAW_FLOAT[frame][None], np.array([0]))
    ]
    assert keys == ["D"]
    studio.run(60)
    assert studio.events == [protocol.CallerIdHeard(1, "5550123")]
