"""The DTMF detector against the standards' table, speech, and prompts that play while it listens.

`tests/bench/bench_dtmf.py` runs the same table with more keys.
"""

from __future__ import annotations

import io
import subprocess
import wave

import numpy as np
import pytest

from appliance.media import dtmf, g711
from tests.media import dtmf_corpus as corpus
from tests.peers import program

KEYS = 16
SENTENCES = {
    "en": "Please press one for sales, two for support, or wait for the next free colleague. "
    "Oh, really? No way! Mother Molly moans merrily. Zero one two three four five six seven.",
    "ro": "Apăsați unu pentru vânzări sau așteptați, un operator vă va răspunde imediat.",
    "ru": "Нажмите один для отдела продаж. Мама мыла раму, папа пил пиво.",
}


def espeak(text: str, voice: str, speed: int = 160) -> corpus.Audio:
    """Speech at 8 kHz, -18 dBm0."""
    made = subprocess.run(
        [program("espeak-ng"), "-v", voice, "-s", str(speed), "--stdout"],
        input=text.encode(),
        capture_output=True,
        check=True,
    ).stdout
    # espeak-ng writes a length that it does not know yet; sox does not mind.
    plain = subprocess.run(
        [program("sox"), "--ignore-length", "-t", "wav", "-", "-r", "8000", "-c", "1", "-b", "16",
         "-t", "wav", "-"],
        input=made,
        capture_output=True,
        check=True,
    ).stdout  # fmt: skip
    with wave.open(io.BytesIO(plain)) as file:
        raw = file.readframes(1 << 24)
    audio = np.frombuffer(raw[: len(raw) & ~1], "<i2").astype(float)
    return audio * (g711.dbm0_to_rms(-18) / np.sqrt((audio**2).mean()))


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[str, str]]:
    """What was sent and what was heard in each row."""
    rows = [row for row in corpus.ROWS if row.kind != "info"]
    made = [corpus.sequence(row, KEYS) for row in rows]
    heard = corpus.detect([audio for audio, _ in made])
    return {row.name: (sent, h) for row, (_, sent), h in zip(rows, made, heard, strict=True)}


@pytest.mark.parametrize("name", [row.name for row in corpus.ROWS if row.kind == "must"])
def test_every_key_that_must_be_accepted_is(table: dict[str, tuple[str, str]], name: str) -> None:
    sent, heard = table[name]
    assert heard == sent


@pytest.mark.parametrize("name", [row.name for row in corpus.ROWS if row.kind == "mustnot"])
def test_nothing_that_must_be_refused_is_a_key(
    table: dict[str, tuple[str, str]], name: str
) -> None:
    assert table[name][1] == ""


@pytest.mark.parametrize("voice", list(SENTENCES))
def test_speech_is_no_key(voice: str) -> None:
    variants = ("", "+f1", "+f3", "+m3")
    streams = [
        corpus.code(espeak(SENTENCES[voice], voice + variant, speed) * 2)
        for variant in variants
        for speed in (130,)
    ]
    assert corpus.detect(streams) == [""] * len(streams)


def test_two_harmonics_of_a_voice_are_no_key() -> None:
    # A child's vowel of 237 Hz whose third and seventh harmonics stand in two formants lies at the
    # frequencies of A; its hum was on before, in a consonant.
    time = np.arange(8000) / 8000
    hum = sum(level * np.sin(2 * np.pi * 237 * order * time) for order, level in ((1, 1), (2, 1.3)))
    weak = sum(0.4 * np.sin(2 * np.pi * 237 * order * time) for order in (4, 6))
    pair = sum(4 * np.sin(2 * np.pi * 237 * order * time) for order in (3, 7))
    on = ((time > 0.4) & (time < 0.5)).astype(float)
    assert corpus.detect([corpus.code(1000 * (hum + on * (pair + weak)))]) == [""]
    # The same pair without a voice around it is a key.
    assert corpus.detect([corpus.code(1000 * on * pair)]) == ["A"]


@pytest.mark.parametrize("under_db", [30, 20, 16])
def test_keys_are_heard_while_a_prompts_echo_lies_under_them(under_db: int) -> None:
    row = corpus.Row(f"echo of a prompt {under_db}", "must", 80, 80)
    clean, sent = corpus.sequence(row, 32)
    prompt = np.resize(espeak(SENTENCES["en"], "en"), len(clean))
    # Keys of -10 dBm0 a tone are -7 dBm0 together.
    prompt *= 10 ** ((-7 - under_db + 18) / 20)
    heard = corpus.detect([corpus.code(clean.astype(float) + prompt)])
    assert heard == [sent]


def test_our_own_keys_are_heard() -> None:
    digits = "0123456789*#ABCD00"
    audio = g711.ulaw_decode(dtmf.key_sequence(digits))
    assert corpus.detect([np.concatenate((np.zeros(800, np.int16), audio))]) == [digits]


def test_a_comma_is_a_pause_and_anything_else_is_left_out() -> None:
    assert len(dtmf.key_sequence("1,2")) == len(dtmf.key_sequence("12")) + 8000
    assert len(dtmf.key_sequence("x")) == 0


def test_legs_do_not_disturb_each_other() -> None:
    row = corpus.Row("clean", "must")
    audio, sent = corpus.sequence(row, 16)
    noise = np.random.default_rng(5).normal(0, 3000, len(audio)).astype(np.int16)
    assert corpus.detect([noise, audio, noise, audio]) == ["", sent, "", sent]


def test_a_slot_that_is_used_again_has_forgotten_its_key() -> None:
    detector = dtmf.DtmfDetector(1)
    tone = dtmf.key_tone("5", 1600).astype(np.int16).reshape(-1, 1, 160)
    slots = np.array([0])

    def hear() -> list[str]:
        return [digit for frame in tone for _, digit in detector.process(frame, slots)]

    assert hear() == ["5"]
    assert hear() == []
    detector.reset(0)
    assert hear() == ["5"]


def test_more_legs_than_expected_keep_their_state() -> None:
    detector = dtmf.DtmfDetector(1)
    tone = dtmf.key_tone("9", 800).astype(np.int16).reshape(-1, 1, 160)
    heard = detector.process(tone[0], np.array([0]))
    heard += detector.process(tone[1], np.array([0]))
    detector.reserve(4)
    for frame in tone[2:]:
        heard += detector.process(frame, np.array([0]))
    assert heard == [(0, "9")]
