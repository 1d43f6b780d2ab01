"""Caller ID against minimodem, which knows nothing of ours: each reads what the other sends."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from appliance.media.dsp import callerid, fsk, signals
from tests.media import dtmf_corpus as corpus
from tests.media.ears import on_a_line
from tests.media.test_media_callerid import received
from tests.peers import program

MESSAGE = callerid.call_message("0215550123", "POPESCU ION", (11, 25, 14, 5))
TONES: dict[fsk.Modulation, list[str]] = {
    name: ["-M", f"{mark:.0f}", "-S", f"{space:.0f}"] for name, (mark, space) in fsk.TONES.items()
}


def minimodem(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program("minimodem"), *arguments], input=data, capture_output=True, check=True, timeout=30
    )


def write(path: Path, sound: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(corpus.code(sound).astype("<i2").tobytes())


def read(path: Path) -> np.ndarray:
    """Sound of 48 kHz as 8 kHz: minimodem's bits are whole samples, which 8 kHz does not have."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 48_000)
        raw = file.readframes(file.getnframes())
    sound = np.frombuffer(raw, "<i2").astype(float)
    sound = sound[: len(sound) // 6 * 6]
    kept = np.fft.rfft(sound)[: len(sound) // 12 + 1]
    return np.fft.irfft(kept, len(sound) // 6) / 6


@pytest.mark.parametrize("modulation", list(fsk.TONES))
@pytest.mark.parametrize("level", ["0.3", "0.05"])
def test_what_minimodem_sends_is_heard(
    tmp_path: Path, modulation: fsk.Modulation, level: str
) -> None:
    path = tmp_path / "sent.wav"
    minimodem(
        "--tx", "-8", "-R", "48000", "-v", level, "-f", str(path), *TONES[modulation], "1200",
        data=MESSAGE,
    )  # fmt: skip
    sent = read(path)
    # Minimodem begins with two bits of mark; an exchange sends a hundred more.
    mark = signals.tone(fsk.TONES[modulation][:1], 80, 20 * np.log10(float(level)))
    assert received(on_a_line(np.concatenate((mark, sent)))) == [[MESSAGE]]


@pytest.mark.parametrize("modulation", list(fsk.TONES))
@pytest.mark.parametrize("level", [-10, -30])
def test_what_we_send_is_read_by_minimodem(
    tmp_path: Path, modulation: fsk.Modulation, level: float
) -> None:
    path = tmp_path / "sent.wav"
    line = fsk.Line(seizure=0)
    write(path, on_a_line(fsk.modulate(MESSAGE, modulation, level, line)))
    heard = minimodem("--rx", "-q", "-8", "-f", str(path), *TONES[modulation], "1200").stdout
    # It shows what is no letter as a dot.
    shown = bytes(byte if 32 <= byte < 127 else ord(".") for byte in MESSAGE)
    plain = bytes(byte if 32 <= byte < 127 else ord(".") for byte in heard)
    assert shown in plain


def test_minimodem_understands_our_caller_id(tmp_path: Path) -> None:
    path = tmp_path / "sent.wav"
    write(path, on_a_line(fsk.modulate(MESSAGE, "bell202")))
    shown = minimodem("--rx", "-f", str(path), "callerid").stdout.decode("latin-1")
    assert "021-555-0123" in shown
    assert "POPESCU ION" in shown
