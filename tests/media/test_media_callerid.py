"""Caller ID in the audio: every message comes through what lines do to it, and no wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import dtmf, g711, protocol
from appliance.media.dsp import callerid, fsk
from appliance.media.dsp.callerid import CallerInfo
from appliance.media.dsp.hearing import Wants
from tests.media import dtmf_corpus as corpus
from tests.media.ears import Audio, heard, noise, off_by, on_a_line, twisted
from tests.media.test_media_dtmf import SENTENCES, espeak

WHEN = (11, 25, 14, 5)
MESSAGE = callerid.call_message("0215550123", "POPESCU ION", WHEN)
TOLD = Wants(caller_id=True)


def received(*streams: Audio) -> list[list[bytes]]:
    """What the receiver makes of several legs at once."""
    receiver = fsk.FskReceiver(len(streams))
    ticks = max(len(stream) for stream in streams) // 160 + 1
    pcm = np.zeros((len(streams), ticks * 160), np.float32)
    for slot, stream in enumerate(streams):
        pcm[slot, : len(stream)] = corpus.code(stream)
    found: list[list[bytes]] = [[] for _ in streams]
    for tick in range(ticks):
        frame = pcm[:, tick * 160 : (tick + 1) * 160]
        for slot, message in receiver.process(frame, np.arange(len(streams))):
            found[slot].append(message)
    return found


# --- the messages ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "info"),
    [
        (MESSAGE, CallerInfo("0215550123", "POPESCU ION", when=WHEN)),
        (callerid.call_message("private", "private"), CallerInfo(reason="private")),
        (callerid.call_message("out_of_area"), CallerInfo(reason="out_of_area")),
        (callerid.single_message("5550123", WHEN), CallerInfo("5550123", when=WHEN)),
        (callerid.single_message("private", WHEN), CallerInfo(reason="private", when=WHEN)),
        (callerid.waiting_message(True), CallerInfo(waiting=True)),
        (callerid.waiting_message(False), CallerInfo(waiting=False)),
        (callerid.waiting_message(True, single=True), CallerInfo(waiting=True)),
        (callerid.waiting_message(False, single=True), CallerInfo(waiting=False)),
    ],
)
def test_messages_say_what_they_were_made_of(message: bytes, info: CallerInfo) -> None:
    assert callerid.parse(message) == info


def test_a_message_recorded_from_the_standards_example_is_read() -> None:
    # GR-30's example of a single data message: 30 September, 12:24, 609 555 1212.
    example = bytes.fromhex("04 12 30 39 33 30 31 32 32 34 36 30 39 35 35 35 31 32 31 32 51")
    assert callerid.parse(example) == CallerInfo("6095551212", when=(9, 30, 12, 24))


@pytest.mark.parametrize(
    "body",
    [
        b"\x02\x0b0215550123",  # a length that leads beyond the end
        b"\x02\x0a02155x0123",  # letters in a number
        b"\x01\x0813251405\x02\x0a0215550123",  # the thirteenth month
    ],
)
def test_what_does_not_fit_is_refused_although_its_checksum_is_right(body: bytes) -> None:
    assert callerid.parse(callerid.seal(bytes([0x80, len(body)]) + body)) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_taken(data: bytes) -> None:
    callerid.parse(data)
    callerid.parse(callerid.seal(data))


@given(st.integers(0, len(MESSAGE) * 8 - 1))
def test_one_wrong_bit_refuses_a_message(bit: int) -> None:
    wrong = bytearray(MESSAGE)
    wrong[bit // 8] ^= 1 << bit % 8
    assert callerid.parse(bytes(wrong)) is None


# --- the sound ------------------------------------------------------------------------------


@pytest.mark.parametrize("modulation", ["bell202", "v23"])
@pytest.mark.parametrize("level", [-36, -32, -20, -10])
def test_messages_come_through_twist_wrong_clocks_and_noise(
    modulation: fsk.Modulation, level: float
) -> None:
    sound = fsk.modulate(MESSAGE, modulation, level)
    streams = [
        on_a_line(twisted(off_by(sound, clock), twist), level - 25, 800 + 13 * at, at)
        for at, (clock, twist) in enumerate(
            (clock, twist) for clock in (-0.01, 0.0, 0.01) for twist in (-6, 0, 6)
        )
    ]
    assert received(*streams) == [[MESSAGE]] * len(streams)


@pytest.mark.parametrize("modulation", ["bell202", "v23"])
def test_stuffing_missing_seizure_and_short_marks_are_no_obstacle(
    modulation: fsk.Modulation,
) -> None:
    streams = [
        on_a_line(fsk.modulate(MESSAGE, modulation, line=line, stuffing=stuffing))
        for line, stuffing in (
            (fsk.Line(seizure=0, mark=80), 0),
            (fsk.Line(seizure=0, mark=55), 0),
            (fsk.Line(), 10),
            (fsk.Line(tail=0), 0),
        )
    ]
    assert received(*streams) == [[MESSAGE]] * len(streams)


def test_two_messages_in_a_row_are_two() -> None:
    sound = fsk.modulate(MESSAGE, "bell202")
    assert received(on_a_line(np.concatenate((sound, sound)))) == [[MESSAGE, MESSAGE]]


def test_damage_never_makes_a_wrong_number() -> None:
    sound = fsk.modulate(MESSAGE, "bell202", -20)
    random = np.random.default_rng(7)
    streams = []
    for seed in range(40):
        hurt = on_a_line(sound, -20 - random.uniform(0, 12), seed=seed)
        at = int(random.integers(5000, len(sound)))
        hurt[at : at + int(random.integers(4, 200))] = 0
        streams.append(hurt)
    numbers = {callerid.parse(m) for found in received(*streams) for m in found} - {None}
    assert numbers <= {callerid.parse(MESSAGE)}


def test_noise_and_speech_say_nothing() -> None:
    streams = [noise(8000 * 20, level) for level in (-40, -20, -10)]
    streams += [espeak(SENTENCES[voice], voice) for voice in SENTENCES]
    assert received(*streams) == [[]] * len(streams)


@settings(max_examples=10, deadline=None)
@given(number=st.text("0123456789", min_size=3, max_size=15), name=st.text("ABCÄ ", max_size=15))
def test_what_is_sent_is_what_is_heard(number: str, name: str) -> None:
    message = callerid.call_message(number, name or None)
    events = heard(on_a_line(fsk.modulate(message, "v23")), TOLD)
    assert [event for event, _ in events] == [
        protocol.CallerIdHeard(0, number, name.strip() or None)
    ]


# --- DTMF -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "info"),
    [
        ("A0215550123C", CallerInfo("0215550123")),
        ("D0215550123C", CallerInfo("0215550123")),
        ("A0215550123#", CallerInfo("0215550123")),
        ("B00C", CallerInfo(reason="out_of_area")),
        ("B10C", CallerInfo(reason="private")),
        ("D1#", CallerInfo(reason="private")),
        ("D2#", CallerInfo(reason="out_of_area")),
    ],
)
def test_keys_before_the_ring_tell_the_caller(keys: str, info: CallerInfo) -> None:
    sound = g711.ulaw_decode(dtmf.key_sequence(keys, 70, 70)).astype(float)
    events = heard(on_a_line(sound * 10 ** (-12 / 20)), TOLD)
    assert [event for event, _ in events] == [
        protocol.CallerIdHeard(0, info.number, None, info.reason)
    ]


@pytest.mark.parametrize("keys", ["0215550123", "A02*5550123C", "A0215550123", "AC", "123#"])
def test_other_keys_tell_nothing(keys: str) -> None:
    told = callerid.DtmfCallerId()
    assert [told.key(key, 140 * at) for at, key in enumerate(keys)] == [None] * len(keys)


def test_keys_with_long_pauses_are_those_of_a_person() -> None:
    told = callerid.DtmfCallerId()
    assert [told.key(key, 700 * at) for at, key in enumerate("A0215550123C")] == [None] * 12


def test_our_own_keys_say_what_they_should() -> None:
    assert callerid.parse_keys(callerid.caller_keys("private")) == CallerInfo(reason="private")
    assert callerid.parse_keys(callerid.caller_keys("555123", "D", "#")) == CallerInfo("555123")
