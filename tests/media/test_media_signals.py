"""Fax, special information tones, beeps and the alert: the standards' limits are walked, and speech
is none of them."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media import g711, protocol
from appliance.media.dsp import signals
from appliance.media.dsp.hearing import Hearing, Wants
from tests.media import dtmf_corpus as corpus
from tests.media.ears import Audio, heard_all, on_a_line
from tests.media.test_media_dtmf import SENTENCES, espeak

FAX = Wants(fax=True)
STARTS = (0, 53, 107)
"""Samples after a tick's border: everything has to be heard at any."""


def kinds(audio: Audio, level: float, wants: Wants, snr: float = 15) -> list[list[object]]:
    """What is heard of it from each of `STARTS`."""
    streams = [on_a_line(audio, level - snr, 1600 + start, start) for start in STARTS]
    return [[_kind(event) for event, _ in events] for events in heard_all(streams, wants)]


def _kind(event: protocol.Event) -> object:
    return getattr(event, "kind", getattr(event, "tone", event))


# --- fax ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hz", [1062, 1100, 1138])
@pytest.mark.parametrize(("on", "off"), [(430, 2600), (500, 3000), (570, 3400)])
@pytest.mark.parametrize("level", [-10, -40])
def test_a_calling_fax_is_heard_at_all_limits(hz: float, on: int, off: int, level: float) -> None:
    burst = np.concatenate((signals.tone((hz,), on, level), np.zeros(off * 8)))
    assert kinds(np.tile(burst, 3), level, FAX) == [["cng", "cng"]] * len(STARTS)


@pytest.mark.parametrize(
    ("hz", "on", "off"),
    [(1040, 500, 3000), (1160, 500, 3000), (1100, 300, 3000), (1100, 700, 3000), (1100, 500, 1000)],
)
def test_other_beeps_are_no_calling_fax(hz: float, on: int, off: int) -> None:
    burst = np.concatenate((signals.tone((hz,), on, -15), np.zeros(off * 8)))
    assert kinds(np.tile(burst, 4), -15, FAX) == [[]] * len(STARTS)


def test_a_single_burst_is_no_calling_fax() -> None:
    assert kinds(signals.tone((1100,), 500, -15), -15, FAX) == [[]] * len(STARTS)


@pytest.mark.parametrize("hz", [2085, 2100, 2115])
def test_an_answering_fax_is_heard(hz: float) -> None:
    assert kinds(signals.tone((hz,), 2600, -20), -20, FAX) == [["ced"]] * len(STARTS)


@pytest.mark.parametrize("hz", [2060, 2140])
def test_a_tone_beside_2100_hz_is_none(hz: float) -> None:
    assert kinds(signals.tone((hz,), 2600, -20), -20, FAX) == [[]] * len(STARTS)


@pytest.mark.parametrize("hz", [2099, 2100, 2101])
@pytest.mark.parametrize("every_ms", [425, 450, 475])
@pytest.mark.parametrize("swing", [0.0, 0.2])
def test_a_v8_answer_is_told_from_a_fax(hz: float, every_ms: int, swing: float) -> None:
    time = np.arange(3 * 8000) / 8000
    turned = np.pi * (time * 1000 // every_ms % 2)
    sound = 2500 * np.sin(2 * np.pi * hz * time + turned)
    sound *= 1 + swing * np.sin(2 * np.pi * 15 * time)
    assert kinds(sound, -20, FAX) == [["ansam"]] * len(STARTS)


# --- special information --------------------------------------------------------------------


@pytest.mark.parametrize("kind", signals.SITS)
@pytest.mark.parametrize("level", [-12, -24, -36])
def test_special_information_is_classed(kind: protocol.Sit, level: float) -> None:
    sound = signals.information_tone(kind, level)
    assert kinds(sound, level, Wants(sit=True)) == [[kind]] * len(STARTS)


@pytest.mark.parametrize("shift", [-50, 50])
@pytest.mark.parametrize(("ms", "gap"), [(260, 30), (400, 30), (330, 0)])
def test_e180s_limits_of_special_information(shift: float, ms: float, gap: int) -> None:
    pieces = [signals.tone((hz + shift,), ms, -24) for hz in signals.SIT_HZ]
    sound = np.concatenate([np.concatenate((piece, np.zeros(gap * 8))) for piece in pieces])
    for found in kinds(sound, -24, Wants(sit=True)):
        assert len(found) == 1
        assert str(found[0]).startswith("sit")


@pytest.mark.parametrize("order", [(1800, 1400, 950), (950, 1400, 1400), (950, 1400)])
def test_other_tunes_are_no_special_information(order: tuple[float, ...]) -> None:
    sound = np.concatenate([signals.tone((hz,), 330, -24) for hz in order])
    assert kinds(sound, -24, Wants(sit=True)) == [[]] * len(STARTS)


# --- the alert ------------------------------------------------------------------------------


def alerts(audio: Audio) -> int:
    """How often the alert is heard."""
    hearing = Hearing(1)
    hearing.want(0, 0, Wants(caller_id=True))
    count = 0
    pcm = corpus.code(audio).astype(np.float32)
    for tick in range(len(pcm) // 160):
        hearing.listen(pcm[None, tick * 160 : (tick + 1) * 160], tick)
        count += len(hearing.take_alerts())
    return count


@pytest.mark.parametrize("share", [-0.005, 0.0, 0.005])
@pytest.mark.parametrize("ms", [75, 85, 110])
@pytest.mark.parametrize("level", [-14, -32])
def test_the_alert_is_heard_at_its_limits(share: float, ms: float, level: float) -> None:
    hz = (signals.CAS_HZ[0] * (1 + share), signals.CAS_HZ[1] * (1 + share))
    for start in STARTS:
        assert alerts(on_a_line(signals.tone(hz, ms, level), level - 25, 1600 + start)) == 1


@pytest.mark.parametrize(
    ("hz", "ms"),
    [((2130, 2750), 40), ((2130, 2750), 160), ((2070, 2750), 80), ((2130,), 80), ((2750,), 80)],
)
def test_what_is_not_the_alert(hz: tuple[float, ...], ms: float) -> None:
    assert alerts(on_a_line(signals.tone(hz, ms, -15))) == 0


# --- nothing else ---------------------------------------------------------------------------


def test_speech_is_no_signal() -> None:
    streams = [
        espeak(text, voice + variant, speed)
        for voice, text in SENTENCES.items()
        for variant, speed in (("", 160), ("+f3", 130), ("+m3", 200))
    ]
    wants = Wants(sit=True, fax=True, caller_id=True)
    assert heard_all(streams, wants) == [[]] * len(streams)


def test_keys_and_call_progress_tones_are_no_signals() -> None:
    keys, _ = corpus.sequence(corpus.Row("keys", "must", 100, 100), 32)
    busy = np.tile(np.concatenate((signals.tone((425,), 480, -15), np.zeros(3840))), 6)
    ringing = np.tile(np.concatenate((signals.tone((440, 480), 2000, -15), np.zeros(8000))), 3)
    streams = [keys.astype(float), busy, ringing]
    assert heard_all(streams, Wants(sit=True, fax=True, caller_id=True)) == [[]] * 3


def test_a_generated_tone_has_its_level() -> None:
    sound = signals.tone((1000,), 1000, -20)
    rms = float(np.sqrt((sound**2).mean()))
    assert 20 * np.log10(rms / g711.RMS_0DBM0) == pytest.approx(-20, abs=0.05)
