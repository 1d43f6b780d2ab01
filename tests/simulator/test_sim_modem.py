"""The emulated voice modem is as strict as V.250 and V.253 allow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.simulator import sound
from appliance.simulator.modem import CallerId
from appliance.simulator.variants import VARIANTS
from tests.simulator.bench import Bench, shield, unshield


def test_a_command_is_echoed_and_answered_between_line_ends() -> None:
    assert Bench(split=False).ask("AT") == b"AT\r\r\nOK\r\n"


def test_echo_and_words_can_be_switched_off() -> None:
    bench = Bench(split=False)
    bench.ask("ATE0V0")
    assert bench.ask("AT") == b"0\r"
    assert bench.ask("AT+NONSENSE") == b"4\r"


def test_the_answer_comes_later_and_in_two_parts() -> None:
    bench = Bench()
    bench.ask("ATE0")
    bench.put(b"AT\r")
    parts = [got for got in (bench.frame() for _ in range(20)) if got]
    assert bench.modem.take(bench.now) == b""
    assert len(parts) == 2
    assert b"".join(parts) == b"\r\nOK\r\n"


def test_a_chain_stops_at_its_first_error() -> None:
    bench = Bench()
    assert b"ERROR" in bench.ask("AT+VCID=1;+NONSENSE;+FCLASS=8")
    assert bench.modem.settings.caller_id
    assert not bench.modem.settings.voice_class


@pytest.mark.parametrize(
    "command", ["+VLS=1", "+VTX", "+VRX", "+VTR", "+VSM=?", "+VTS=5", "+VGT=9"]
)
def test_voice_commands_need_class_8(command: str) -> None:
    assert b"ERROR" in Bench().ask(f"AT{command}")


@pytest.mark.parametrize("command", ["+VTX", "+VRX", "+VTR", "+VTS=5"])
def test_voice_data_needs_the_line_off_hook(command: str) -> None:
    bench = Bench()
    bench.ask("AT+FCLASS=8")
    assert b"ERROR" in bench.ask(f"AT{command}")


def test_bytes_before_the_answer_are_lost_and_noted() -> None:
    bench = Bench()
    bench.put(b"AT\rATE0\r")
    assert b"OK" in bench.frame(30)
    assert bench.modem.settings.echo
    assert {one.kind for one in bench.modem.violations} == {"impatient"}


def test_a_slash_repeats_the_last_line() -> None:
    bench = Bench()
    bench.ask("ATI0")
    bench.put(b"A/")
    assert b"56000" in bench.frame(30)


def test_a_ring_is_text_in_class_0_and_a_code_in_class_8() -> None:
    bench = Bench()
    bench.modem.ring(bench.now)
    assert bench.frame() == b"\r\nRING\r\n"
    bench.ask("AT+FCLASS=8")
    bench.modem.ring(bench.now)
    assert bench.frame() == b"\x10R"


def test_caller_id_is_shown_only_when_asked_for() -> None:
    record = CallerId("5550123", "ANA", "1122", "0430")
    bench = Bench()
    bench.modem.caller_id(record, bench.now)
    assert bench.frame(2) == b""
    bench.ask("AT+VCID=1")
    bench.modem.caller_id(record, bench.now)
    lines = bench.frame(2).decode().split("\r\n")
    assert [line for line in lines if line] == [
        "DATE = 1122",
        "TIME = 0430",
        "NMBR = 5550123",
        "NAME = ANA",
    ]


def test_what_the_exchange_did_not_send_is_not_shown_and_a_broken_record_says_so() -> None:
    bench = Bench("usr")
    bench.ask("AT+VCID=1")
    bench.modem.caller_id(CallerId("P"), bench.now)
    assert bench.frame(2).strip() == b"NMBR=P"
    bench.modem.caller_id(CallerId("5550123", garbled=True), bench.now)
    assert bench.frame(2).startswith(b"\r\nERRM\r\n")


@pytest.mark.parametrize("coding", ["u8", "s8", "ulaw", "alaw", "s16"])
def test_each_coding_decodes_to_what_was_encoded_within_its_step(coding: str) -> None:
    pcm = sound.tone([440], 100, -6)
    back = sound.decode(coding, sound.encode(coding, pcm))
    error = np.abs(back.astype(np.int32) - pcm)
    assert error.max() <= {"u8": 128, "s8": 128, "ulaw": 512, "alaw": 512, "s16": 0}[coding]


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_voice_comes_at_line_speed_with_every_0x10_doubled(variant: str) -> None:
    bench = Bench(variant, split=False)
    bench.voice(5)
    bench.connect("AT+VRX")
    loud = sound.tone([440], 500, 2.5)
    bench.play(loud)
    voice, codes = unshield(bench.frame(25))
    assert not codes
    assert voice.count(0x10) > 20
    assert voice[-4000:] == sound.encode("u8", loud)


@given(
    voice=st.binary(min_size=160, max_size=900),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
)
def test_however_the_host_cuts_its_bytes_the_line_hears_the_same(
    voice: bytes, cuts: list[int]
) -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    raw = shield(voice) + b"\x10\x03"
    edges = [0, *sorted(cut % len(raw) for cut in cuts), len(raw)]
    for start, end in pairwise(edges):
        bench.put(raw[start:end])
    bench.frame(10)
    expected = sound.decode("u8", voice)
    assert np.array_equal(bench.heard()[: len(voice)], expected)
    assert bench.modem.violations == []


def test_ok_comes_only_after_the_buffer_has_played_out() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.put(b"\x90" * 960 + b"\x10\x03")
    assert bench.frame(6) == b""
    assert b"OK" in bench.frame(12)
    assert np.count_nonzero(bench.heard()) == 960


def test_cancel_drops_what_is_not_yet_played() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.put(b"\x90" * 960)
    bench.frame(2)
    bench.put(b"\x10\x18\x10\x03")
    bench.frame(10)
    assert np.count_nonzero(bench.heard()) == 320


def test_running_dry_is_reported_once_until_there_is_voice_again() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    assert bench.frame(10) == b""
    bench.put(b"\x90" * 200)
    assert bench.frame(10) == b"\x10u"
    bench.put(b"\x90" * 200)
    assert bench.frame(10) == b"\x10u"
    assert bench.modem.underruns == 2


def test_room_is_what_the_buffer_has_left() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.put(b"\x90" * 1024)
    assert bench.modem.room == 0
    bench.frame()
    assert bench.modem.room == 160
    bench.put(b"\x90" * 200)
    assert [one.kind for one in bench.modem.violations] == ["overflow"]


def test_an_undoubled_0x10_is_a_violation() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.put(b"\x80\x10\x80\x80")
    assert [one.kind for one in bench.modem.violations] == ["dle"]


@pytest.mark.parametrize(
    ("command", "stop"), [("AT+VRX", b"\x10!"), ("AT+VTR", b"\x10^"), ("AT+VTR", b"\x10\x1b")]
)
def test_a_stop_code_ends_the_stream_then_ok(command: str, stop: bytes) -> None:
    bench = Bench(split=False)
    bench.voice()
    bench.connect(command)
    bench.frame(3)
    bench.put(stop)
    tail = bench.frame(10)
    assert tail.endswith(b"\x10\x03\r\nOK\r\n")
    assert bench.modem.state == "command"


def test_duplex_carries_both_ways_at_once() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTR")
    bench.play(np.full(1600, 4096, dtype=np.int16))
    bench.put(b"\xa0" * 800)
    voice, codes = unshield(bench.frame(5))
    assert voice == b"\x90" * 800
    assert codes == []
    assert np.array_equal(bench.heard(), np.full(800, 0x20 << 8, dtype=np.int16))


def test_the_hybrid_returns_what_the_unit_sends() -> None:
    taps = np.array([0.0, 0.0, 0.25])
    bench = Bench(echo_taps=taps)
    bench.voice()
    bench.connect("AT+VTR")
    bench.put(b"\xc0" * 320)
    voice, _ = unshield(bench.frame(2))
    assert set(voice[2:]) == {0x80 + 0x10}
    assert voice[:2] == b"\x80\x80"


def test_the_units_own_detector_reports_keys_shielded() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VRX")
    bench.modem.key_down("5", bench.now)
    raw = bench.frame(8)
    bench.modem.key_up(bench.now)
    _, codes = unshield(raw + bench.frame())
    assert codes == ["/", "5", "5", "~"]


def test_an_older_units_detector_reports_a_bare_key() -> None:
    bench = Bench("usr")
    bench.voice(5)
    bench.connect("AT+VTX")
    bench.put(b"\x80" * 900)
    bench.modem.key_down("#", bench.now)
    raw = bench.frame(5)
    bench.modem.key_up(bench.now)
    assert unshield(raw + bench.frame()) == (b"", ["#", "u"])


def test_a_key_too_short_is_not_reported() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.modem.key_down("5", bench.now)
    raw = bench.frame()
    bench.modem.key_up(bench.now)
    assert raw + bench.frame(5) == b""


def test_busy_tone_is_reported_after_two_seconds() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VTX")
    bench.modem.progress("busy", bench.now)
    assert bench.frame(99) == b""
    assert bench.frame(2) == b"\x10b"


def test_the_usr_unit_hears_nothing_without_its_line_setting_and_cries_wolf() -> None:
    bench = Bench("usr", split=False)
    bench.ask("ATE0")
    assert b"\x10H" in bench.ask("AT+FCLASS=8;+VLS=1")
    bench.connect("AT+VRX")
    bench.play(sound.tone([440], 200))
    assert set(unshield(bench.frame(5))[0]) == {0x80}


def test_tones_sound_while_ok_waits_for_their_end() -> None:
    bench = Bench()
    bench.voice()
    bench.sent.clear()
    bench.put(b"AT+VTS=[933,,15]\r")
    assert bench.frame(7) == b""
    assert b"OK" in bench.frame(10)
    heard = bench.heard()
    assert 1150 <= np.count_nonzero(heard) <= 1200
    assert sound.level_dbm0(heard[:1200]) == pytest.approx(-10, abs=0.3)


def test_a_unit_left_in_receive_swallows_commands_until_it_is_stopped() -> None:
    bench = Bench()
    bench.modem.power_on(stuck=True)
    assert b"OK" not in unshield(bench.ask("AT", 5))[0]
    bench.put(b"\x10\x03\x10!")
    assert b"OK" in bench.frame(10)
    assert b"OK" in bench.ask("ATH0")


def test_stop_codes_before_a_command_do_no_harm() -> None:
    bench = Bench()
    bench.put(b"\x10\x03\x10!")
    assert b"OK" in bench.ask("+++ATH0")
    assert bench.modem.violations == []


def test_silence_detector_is_on_at_power_on_and_reports_quiet_after_voice() -> None:
    bench = Bench(split=False)
    bench.ask("ATE0")
    bench.ask("AT+FCLASS=8;+VLS=1")
    bench.connect("AT+VRX")
    bench.play(sound.babble(400))
    _, codes = unshield(bench.frame(300))
    assert codes == ["q"]


def test_inactivity_hangs_up() -> None:
    bench = Bench()
    bench.voice()
    bench.ask("AT+VIT=2")
    bench.frame(110)
    assert not bench.modem.off_hook


def test_closing_the_port_hangs_up_unless_told_not_to() -> None:
    bench = Bench()
    bench.voice()
    bench.modem.host_closed()
    assert not bench.modem.off_hook
    bench.ask("AT&D0")
    bench.voice()
    bench.modem.host_closed()
    assert bench.modem.off_hook


def test_faults_mute_and_one_error() -> None:
    bench = Bench()
    bench.modem.errors_to_come = 1
    assert b"ERROR" in bench.ask("AT")
    assert b"OK" in bench.ask("AT")
    bench.modem.mute = True
    assert bench.ask("AT", 20) == b""


def test_after_garbage_and_a_banner_the_unit_works_on() -> None:
    bench = Bench(seed=5)
    bench.modem.babble(40)
    assert len(bench.frame()) == 40
    bench.modem.power_on(banner=b"\r\nready\r\n")
    assert bench.frame() == b"\r\nready\r\n"
    assert b"OK" in bench.ask("AT")


def test_a_host_that_does_not_read_loses_samples_and_is_told() -> None:
    bench = Bench()
    bench.voice()
    bench.connect("AT+VRX")
    bench.modem.host_full = True
    assert bench.frame(5) == b""
    bench.modem.host_full = False
    assert bench.frame().startswith(b"\x10o")
    assert bench.modem.overruns == 5


@pytest.mark.parametrize("state", ["AT", "AT+VTX", "AT+VRX", "AT+VTR"])
@given(data=st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_of_a_host_break_the_unit(state: str, data: list[bytes]) -> None:
    bench = Bench("generic")
    bench.voice()
    bench.ask(state)
    for chunk in data:
        bench.put(chunk)
        bench.frame(3)
    bench.modem.power_on()
    assert b"OK" in bench.ask("AT")


@given(line=st.text(st.sampled_from('+VTSLRMDFCAXZHIE=?;,[]{}"0159#! '), max_size=40))
def test_no_command_line_breaks_the_unit(line: str) -> None:
    bench = Bench()
    bench.voice()
    bench.ask("AT" + line)
    bench.frame(20)
    bench.modem.power_on()
    assert b"OK" in bench.ask("AT")
