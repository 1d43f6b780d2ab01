"""The modem as a state machine, without a port and with a clock of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.hw import hw_path
from appliance.lines.line import (
    CallerId,
    DeviceKey,
    Down,
    HungUp,
    LineEvent,
    OffHook,
    RingEnded,
    Ringing,
    Up,
)
from appliance.lines.profiles import parse_profiles
from tests.lines.linerig import VSM, CoreRig

GENERIC_TEXT = (hw_path("modems") / "generic-v253.toml").read_text("utf-8")

STATES = {
    "closed", "waking", "identifying", "idle", "ringing", "answering", "dialling", "talking",
    "hanging_up", "fault",
}  # fmt: skip


@pytest.fixture
def rig() -> CoreRig:
    rig = CoreRig()
    rig.open()
    assert rig.core.state == "idle"
    assert rig.take_events() == [Up("V90")]
    rig.commands()
    return rig


@pytest.fixture
def talking(rig: CoreRig) -> CoreRig:
    rig.ring_and_answer()
    assert rig.core.state == "talking"
    rig.take_events()
    rig.commands()
    return rig


# --- opening -----------------------------------------------------------------------------------


def test_opening_identifies_sets_the_country_and_asks_for_callers() -> None:
    rig = CoreRig(country="fr")
    rig.open()
    said = rig.commands()
    assert said[0] == "ATE0Q0V1"
    assert "AT+GCI=3D" in said
    assert said[-2:] == ["AT+FCLASS=0", "AT-SCID=1;+VCID=1;-STE=3"]
    assert rig.core.profile.name == "conexant-cx930xx"


def test_a_country_without_a_code_leaves_the_modem_as_it_is() -> None:
    rig = CoreRig(country="zz")
    rig.open()
    assert not [command for command in rig.commands() if "GCI" in command]


def test_a_refused_variant_falls_back_and_the_one_that_works_is_remembered() -> None:
    rig = CoreRig(answers={"AT-SCID=1;+VCID=1;-STE=3": "\r\nERROR\r\n"})
    rig.open()
    assert rig.commands()[-1] == "AT+VCID=1"
    rig.advance(31_000)
    assert rig.commands() == ["AT+FCLASS=0", "AT+VCID=1"]


def test_a_named_profile_is_taken_whatever_the_modem_says() -> None:
    rig = CoreRig("usr5637")
    rig.open()
    assert rig.core.profile.name == "usr5637"


def test_a_modem_stuck_in_voice_data_is_unwedged() -> None:
    rig = CoreRig()
    rig.deaf = True
    rig.core.opened(rig.now)
    for _ in range(9):
        rig.feed(b"\x80\x0d\x0a\x10\x10OK\x90\x10u" * 40)
        rig.advance(100)
    assert rig.core.state == "waking"
    assert b"\x10\x03" not in rig.sent
    rig.advance(150)
    assert b"\x10\x03\x10\x03\x10!\x10^\r" in rig.sent
    rig.deaf = False
    rig.feed(b"\x10\x03\r\nOK\r\n")
    rig.advance(4000)
    assert rig.take_events() == [Up("V90")]


def test_a_modem_in_data_mode_hears_the_guarded_escape() -> None:
    rig = CoreRig()
    rig.deaf = True
    rig.core.opened(rig.now)
    rig.advance(10_000)
    assert b"+++" in rig.sent


def test_a_dead_modem_is_reopened_before_a_person_is_bothered() -> None:
    rig = CoreRig()
    rig.deaf = True
    rig.open()
    rig.advance(30_000)
    assert (rig.reopens, rig.take_events(), rig.core.state) == (1, [], "closed")
    rig.open()
    rig.advance(30_000)
    assert rig.reopens == 2
    (down,) = rig.take_events()
    assert isinstance(down, Down)
    assert "/dev/ttyTEST" in down.reason
    assert "Unplug it" in down.reason
    rig.open()
    rig.advance(30_000)
    assert rig.take_events() == []
    rig.deaf = False
    rig.open()
    assert rig.take_events() == [Up("V90")]


def test_a_second_answer_to_a_repeated_command_is_let_pass() -> None:
    rig = CoreRig(answers={"ATI0": ""})
    rig.core.opened(rig.now)
    rig.advance(3000)
    assert rig.commands()[-1] == "ATI0"
    rig.answers["ATI0"] = "\r\n56000\r\n\r\nOK\r\n"
    while "ATI0" not in rig.commands():
        rig.advance(10)
    rig.advance(100)
    assert rig.sent == b""
    rig.feed(rig.answers["ATI0"])
    rig.advance(3000)
    assert rig.core.state == "idle"
    assert rig.core.profile.name == "conexant-cx930xx"


def test_after_a_time_out_the_next_command_waits_for_what_comes_late(rig: CoreRig) -> None:
    rig.answers["AT+FCLASS=0"] = ""
    while "AT+FCLASS=0" not in rig.commands():
        rig.advance(10)
    rig.advance(3200)
    assert rig.sent == b""
    rig.feed("\r\nERROR\r\n")
    rig.answers["AT+FCLASS=0"] = "\r\nOK\r\n"
    rig.advance(1000)
    assert rig.commands()[0] == "AT+FCLASS=0"
    assert rig.core.state == "idle"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"AT+FCLASS=?": "\r\n0,1,1.0\r\n\r\nOK\r\n"}, "no voice modem"),
        ({"AT+FCLASS=8": "\r\nERROR\r\n"}, "current firmware"),
        ({"AT+VSM=?": '\r\n129,"IMA ADPCM",4,0,8000\r\nOK\r\n'}, "no sound format"),
        ({"AT+VSM=?": "\r\nERROR\r\n"}, "no sound format"),
    ],
)
def test_a_modem_that_cannot_be_a_line_is_refused_with_the_reason(
    answers: dict[str, str], said: str
) -> None:
    rig = CoreRig(answers=answers)
    rig.open()
    (down,) = rig.take_events()
    assert isinstance(down, Down)
    assert said in down.reason
    assert rig.core.state == "fault"
    rig.advance(61_000)
    assert (rig.reopens, rig.core.state) == (1, "closed")


BOTH = (
    '\r\n129,"16-BIT LINEAR",(8000)\r\n4,"G.711U",8,0,8000\r\n1,"UNSIGNED PCM",8,0,8000\r\nOK\r\n'
)
ERROR = "\r\nERROR\r\n"


def test_a_sound_format_that_is_listed_and_refused_is_passed_over() -> None:
    refused = {f"AT+VSM=4,8000{rest}": ERROR for rest in ("", ",0,0")}
    rig = CoreRig(answers={"AT+VSM=?": BOTH, **refused})
    rig.open()
    rig.ring_and_answer()
    assert "AT+VSM=1,8000;+VSD=0,0;+VIT=0" in rig.commands()
    assert rig.core.state == "talking"


def test_a_modem_that_refuses_all_its_sound_formats_is_no_line() -> None:
    refused = {f"AT+VSM={n},8000{rest}": ERROR for n in (1, 4) for rest in ("", ",0,0")}
    rig = CoreRig(answers={"AT+VSM=?": BOTH, **refused})
    rig.open()
    (down,) = rig.take_events()
    assert isinstance(down, Down)
    assert "refuses each sound format" in down.reason


def test_sixteen_bits_stay_together_however_they_are_split() -> None:
    wide = '\r\n129,"16-BIT LINEAR",(8000)\r\nOK\r\n'
    rig = CoreRig(answers={"AT+VSM=?": wide})
    rig.open(wide=True)
    rig.ring_and_answer()
    said = np.arange(-400, 400, dtype="<i2").tobytes()
    for byte in said.replace(b"\x10", b"\x10\x10"):
        rig.feed(bytes((byte,)))
    assert bytes(rig.audio) == said
    rig.commands()
    rig.core.write(said[:320], rig.now)
    rig.collect()
    assert bytes(rig.sent) == bytes(640) + said[:320].replace(b"\x10", b"\x10\x10")


def test_a_slow_port_has_no_sixteen_bits() -> None:
    rig = CoreRig(answers={"AT+VSM=?": BOTH.replace("G.711U", "ADPCM")})
    rig.open(wide=False)
    rig.ring_and_answer()
    assert "AT+VSM=1,8000;+VSD=0,0;+VIT=0" in rig.commands()


def test_a_half_duplex_profile_is_refused_with_the_reason() -> None:
    texts = {
        "g.toml": GENERIC_TEXT,
        "h.toml": '[profile.h]\nlabel="h"\ninherit="generic-v253"\nduplex="half"',
    }
    rig = CoreRig()
    rig.core = type(rig.core)("h", "us", registry=parse_profiles(texts))
    rig.open()
    assert rig.core.caps.duplex == "half"
    assert rig.core.state == "fault"


def test_one_error_and_then_obedience_is_forgiven() -> None:
    rig = CoreRig(answers={"AT+FCLASS=8": "\r\nERROR\r\n"})
    rig.core.opened(rig.now)
    while "AT+FCLASS=8" not in rig.commands():
        rig.advance(10)
    rig.answers["AT+FCLASS=8"] = "\r\nOK\r\n"
    rig.advance(3000)
    assert rig.core.state == "idle"


def test_an_idle_modem_is_asked_now_and_then_and_woken_when_silent(rig: CoreRig) -> None:
    rig.advance(31_000)
    assert rig.commands() == ["AT+FCLASS=0", "AT-SCID=1;+VCID=1;-STE=3"]
    rig.deaf = True
    rig.advance(37_000)
    assert rig.core.state == "waking"
    rig.deaf = False
    rig.advance(10_000)
    assert rig.core.state == "idle"
    assert rig.take_events() == []


def test_an_idle_modem_is_left_alone_while_it_rings(rig: CoreRig) -> None:
    for _ in range(8):
        rig.feed("\r\nRING\r\n")
        rig.advance(6000)
    assert rig.commands() == []


# --- ringing -----------------------------------------------------------------------------------


def test_ring_and_caller_id_come_through_split_at_every_byte(rig: CoreRig) -> None:
    for (
        byte
    ) in b"\r\nRING\r\n\r\nDATE = 1122\r\nTIME = 0430\r\nNMBR = 5551234567\r\nNAME = ANN\r\n":
        rig.feed(bytes([byte]))
    assert rig.take_events() == [Ringing(), CallerId("5551234567", "ANN")]
    assert rig.core.state == "ringing"


def test_a_dle_ring_is_a_ring(rig: CoreRig) -> None:
    rig.feed("\x10")
    rig.feed("R")
    assert rig.take_events() == [Ringing()]


def test_a_caller_who_gives_up_is_noticed_by_silence(rig: CoreRig) -> None:
    rig.feed("\r\nRING\r\n")
    rig.advance(6900)
    assert RingEnded() not in rig.take_events()
    rig.advance(200)
    assert rig.take_events() == [RingEnded()]
    assert rig.core.state == "idle"


def test_answering_when_nobody_rings_any_more_leaves_the_line_alone(rig: CoreRig) -> None:
    rig.core.answer(rig.now)
    rig.advance(1000)
    assert rig.take_events() == [HungUp("local")]
    assert rig.commands() == []


def test_a_refused_call_is_kept_quiet(rig: CoreRig) -> None:
    rig.feed("\r\nRING\r\n")
    rig.core.hangup(rig.now)
    rig.feed("\r\nRING\r\n")
    rig.advance(6000)
    rig.feed("\r\nRING\r\n")
    assert rig.take_events() == [Ringing(), CallerId(None, None, "missing"), HungUp("local")]


# --- answering and talking ---------------------------------------------------------------------


def test_answering_goes_to_voice_class_only_then(rig: CoreRig) -> None:
    rig.feed("\r\nRING\r\n\r\nNMBR=123\r\nNAME=ANN\r\n")
    assert rig.commands() == []
    rig.core.answer(rig.now)
    rig.advance(500)
    assert rig.commands() == [
        "AT+FCLASS=8",
        "AT+VSM=1,8000;+VSD=0,0;+VIT=0",
        "AT+VLS=1",
        "AT+VTR",
    ]
    assert rig.take_events() == [Ringing(), CallerId("123", "ANN"), OffHook()]


def test_answering_costs_little_more_than_the_modems_own_time(rig: CoreRig) -> None:
    rig.feed("\r\nRING\r\n")
    rig.core.answer(rig.now)
    rig.advance(100)
    assert rig.core.state == "talking"


def test_the_line_feed_of_connect_is_no_sample(rig: CoreRig) -> None:
    rig.answers["AT+VTR"] = "\r\nCONNECT\r"
    rig.ring_and_answer()
    rig.feed(b"\n\x80\x80")
    assert bytes(rig.audio) == b"\x00\x00" * 2


def test_samples_behind_connect_in_the_same_read_are_heard(rig: CoreRig) -> None:
    rig.answers["AT+VTR"] = "\r\nCONNECT\r\n\x80\xff\x10\x10"
    rig.ring_and_answer()
    heard = np.frombuffer(bytes(rig.audio), "<i2")
    assert heard.tolist() == [0, 127 * 256, (0x10 - 128) * 256]


def test_speech_arrives_and_goes_out_shielded(talking: CoreRig) -> None:
    talking.feed(b"\x00" * 10 + b"\x10\x10" * 3 + b"\x10\x1a")
    assert len(talking.audio) == 2 * 15
    talking.core.write(np.full(160, (0x10 - 128) * 256, "<i2").tobytes(), talking.now)
    talking.collect()
    assert talking.sent == b"\x80" * 320 + b"\x10\x10" * 160


def test_no_more_than_the_profiles_latency_is_under_way(talking: CoreRig) -> None:
    for _ in range(100):
        talking.core.write(b"\x00\x00" * 160, talking.now)
    assert talking.core.queued_samples == 80 * 8
    talking.collect()
    assert len(talking.sent) <= 80 * 8


def test_keys_of_the_device_count_only_where_its_profile_trusts_it(talking: CoreRig) -> None:
    talking.feed(b"\x10/\x105\x105\x10~")
    assert talking.take_events() == []
    texts = {
        "g.toml": GENERIC_TEXT.replace("device_keys = false", "device_keys = true"),
    }
    rig = CoreRig()
    rig.core = type(rig.core)("generic-v253", "us", registry=parse_profiles(texts))
    rig.open()
    rig.ring_and_answer()
    rig.take_events()
    assert rig.core.caps.device_keys
    rig.feed(b"\x10/\x105\x105\x10~")
    assert rig.take_events() == [DeviceKey("5")]


@pytest.mark.parametrize("code", [b"b", b"d", b"l"])
def test_a_trusted_code_is_the_far_end_hanging_up(talking: CoreRig, code: bytes) -> None:
    talking.feed(b"\x80\x80\x10" + code + b"\x80")
    talking.advance(1000)
    assert talking.take_events() == [HungUp("dle")]
    assert talking.core.state == "idle"


@pytest.mark.parametrize("code", [b"H", b"q", b"s", b"u", b"o", b"R", b"\xee", b"5"])
def test_other_codes_leave_the_call_alone(talking: CoreRig, code: bytes) -> None:
    talking.feed(b"\x80\x10" + code + b"\x80")
    talking.advance(1000)
    assert talking.take_events() == []
    assert talking.core.state == "talking"


def test_a_unit_whose_codes_are_not_trusted_keeps_the_call() -> None:
    rig = CoreRig("mt9234mu")
    rig.open()
    rig.ring_and_answer()
    rig.take_events()
    rig.feed(b"\x10b\x10d\x10l\x80")
    assert rig.take_events() == []
    assert not rig.core.caps.hears_busy


def test_hanging_up_ends_duplex_goes_on_hook_and_listens_for_callers(talking: CoreRig) -> None:
    talking.core.hangup(talking.now)
    talking.advance(500)
    assert talking.sent.startswith(b"\x10^ATH0\r")
    assert talking.commands()[1:] == ["AT+FCLASS=0", "AT-SCID=1;+VCID=1;-STE=3"]
    assert talking.take_events() == [HungUp("local")]
    assert talking.core.state == "idle"


def test_audio_after_hanging_up_is_nobodys(talking: CoreRig) -> None:
    talking.answers["\x10^"] = ""
    talking.core.hangup(talking.now)
    talking.collect()
    talking.feed(b"\x80" * 800)
    talking.core.write(b"\x00\x00" * 160, talking.now)
    assert talking.audio == b""
    assert talking.sent == b"\x10^"


def test_a_modem_that_ends_the_data_itself_ends_the_call(talking: CoreRig) -> None:
    talking.feed(b"\x80\x10\x03")
    talking.advance(100)
    assert talking.sent == b""
    talking.feed(b"\r\nNO CARRIER\r\n\r\nOK\r\n")
    talking.advance(2000)
    assert talking.take_events() == [HungUp("device")]
    assert talking.commands()[:2] == ["ATH0", "AT+FCLASS=0"]


def test_silence_of_the_device_in_a_call_ends_it_and_wakes_the_modem(talking: CoreRig) -> None:
    talking.feed(b"\x80" * 100)
    talking.advance(2100)
    assert talking.take_events() == [HungUp("device")]
    assert b"\x10\x03\x10\x03\x10!\x10^\r" in talking.sent
    talking.advance(10_000)
    assert talking.core.state == "idle"
    assert talking.take_events() == []


def test_a_modem_that_does_not_leave_data_state_is_unwedged(talking: CoreRig) -> None:
    talking.answers["\x10^"] = ""
    talking.core.hangup(talking.now)
    talking.advance(2000)
    assert talking.take_events() == [HungUp("local")]
    talking.advance(10_000)
    assert talking.core.state == "idle"


def test_hanging_up_while_answering_waits_for_the_command_under_way(rig: CoreRig) -> None:
    rig.answers["AT+VTR"] = ""
    rig.ring_and_answer()
    rig.core.hangup(rig.now)
    rig.advance(100)
    assert rig.commands()[-1] == "AT+VTR"
    rig.feed("\r\nCONNECT\r\n\x80\x80")
    rig.advance(500)
    assert rig.commands()[0].startswith("\x10^")
    assert rig.take_events()[-1] == HungUp("local")
    assert OffHook() not in rig.take_events()
    assert rig.core.state == "idle"


def test_a_call_is_answered_while_the_modem_is_still_being_made_ready(talking: CoreRig) -> None:
    talking.answers["AT+FCLASS=0"] = ""
    talking.core.hangup(talking.now)
    talking.advance(200)
    talking.feed("\x10R")
    talking.core.answer(talking.now)
    talking.collect()
    talking.feed("\r\nOK\r\n")
    talking.advance(500)
    assert talking.take_events()[-1] == OffHook()
    assert "AT-SCID=1;+VCID=1;-STE=3" not in talking.commands()


def test_a_refused_step_ends_the_attempt_in_order(rig: CoreRig) -> None:
    rig.answers["AT+VLS=1"] = "\r\nERROR\r\n"
    rig.ring_and_answer()
    rig.advance(2000)
    assert rig.take_events()[-1] == HungUp("device")
    assert rig.core.state == "idle"


def test_a_modem_that_refuses_duplex_twice_is_out_of_service(rig: CoreRig) -> None:
    rig.answers["AT+VTR"] = "\r\nERROR\r\n"
    rig.ring_and_answer()
    rig.advance(2000)
    assert rig.take_events()[-1] == HungUp("device")
    assert rig.core.state == "idle"
    rig.advance(10_000)
    rig.ring_and_answer()
    rig.advance(2000)
    *_, hung_up, down = rig.take_events()
    assert hung_up == HungUp("device")
    assert isinstance(down, Down)
    assert "at the same time" in down.reason
    rig.open()
    assert rig.core.state == "fault"
    rig.core.lost("unplugged", rig.now)
    rig.open()
    assert rig.core.state == "idle"


# --- dialling ----------------------------------------------------------------------------------


def test_dialling_opens_the_audio_without_waiting_for_an_answer(rig: CoreRig) -> None:
    rig.core.dial("0722-123 456", rig.now)
    rig.advance(500)
    assert rig.commands()[-2:] == ["ATDT0722123456;", "AT+VTR"]
    assert rig.take_events() == [OffHook(sure=False)]


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("BUSY", "busy"),
        ("NO ANSWER", "no_answer"),
        ("NO CARRIER", "no_answer"),
        ("NO DIALTONE", "no_dialtone"),
        ("NO DIAL TONE", "no_dialtone"),
    ],
)
def test_a_call_that_does_not_come_about_says_why(rig: CoreRig, said: str, source: str) -> None:
    rig.answers["ATDT1;"] = f"\r\n{said}\r\n"
    rig.core.dial("1", rig.now)
    rig.advance(1000)
    (event,) = rig.take_events()
    assert isinstance(event, HungUp)
    assert event.source == source
    assert rig.core.state == "idle"


def test_a_unit_that_knows_no_semicolon_dials_and_waits(rig: CoreRig) -> None:
    rig.answers["ATDT1;"] = "\r\nERROR\r\n"
    rig.core.dial("1", rig.now)
    rig.advance(500)
    assert rig.take_events() == [OffHook(sure=False)]


def test_hanging_up_stops_a_modem_that_dials(rig: CoreRig) -> None:
    rig.answers["ATDT12345;"] = ""
    rig.core.dial("12345", rig.now)
    rig.advance(500)
    rig.commands()
    rig.core.hangup(rig.now)
    rig.collect()
    assert rig.sent == b"\r"
    rig.feed("\r\nNO CARRIER\r\n")
    rig.advance(500)
    assert rig.take_events() == [HungUp("local")]


def test_nothing_is_dialled_into_a_ringing_line_or_without_digits(rig: CoreRig) -> None:
    rig.core.dial("AT+EVIL\r", rig.now)
    rig.core.dial("!?", rig.now)
    rig.collect()
    rig.take_events()
    rig.core.hangup(rig.now)
    rig.advance(2000)
    rig.commands()
    rig.take_events()
    rig.feed("\r\nRING\r\n")
    rig.core.dial("1", rig.now)
    rig.advance(100)
    assert rig.take_events() == [Ringing(), HungUp("busy")]
    assert rig.commands() == []


def test_a_number_cannot_carry_commands(rig: CoreRig) -> None:
    rig.core.dial("1;+VLS=0\rATZ", rig.now)
    rig.advance(500)
    assert rig.commands()[-2] == "ATDT10A;"


# --- losing the device -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["idle", "ringing", "answering", "talking", "hanging_up"])
def test_a_lost_device_ends_what_was_going_on_and_then_is_down(where: str) -> None:
    rig = CoreRig()
    rig.open()
    if where != "idle":
        rig.feed("\r\nRING\r\n")
    if where in ("answering", "talking", "hanging_up"):
        rig.core.answer(rig.now)
        if where != "answering":
            rig.advance(500)
    if where == "hanging_up":
        rig.answers["\x10^"] = ""
        rig.core.hangup(rig.now)
    rig.collect()
    assert rig.core.state == where
    rig.take_events()
    rig.core.lost("gone", rig.now)
    events = rig.take_events()
    expected: dict[str, list[LineEvent]] = {
        "idle": [],
        "ringing": [CallerId(None, None, "missing"), RingEnded()],
        "answering": [HungUp("device")],
        "talking": [HungUp("device")],
        "hanging_up": [HungUp("local")],
    }
    assert events == [*expected[where], Down("gone")]
    rig.open()
    assert rig.take_events() == [Up("V90")]


def test_a_device_that_stays_away_is_reported_once() -> None:
    rig = CoreRig()
    rig.core.lost("gone", rig.now)
    rig.core.lost("gone", rig.now + 1000)
    assert rig.take_events() == [Down("gone")]


def test_commands_to_a_line_that_is_down_are_answered() -> None:
    rig = CoreRig()
    rig.core.answer(rig.now)
    rig.core.dial("1", rig.now)
    rig.core.hangup(rig.now)
    rig.core.write(b"\x00\x00", rig.now)
    assert rig.core.send_keys("1") is False
    assert rig.take_events() == [HungUp("device"), HungUp("device"), HungUp("local")]


# --- anything at all ---------------------------------------------------------------------------

ANYTHING = st.one_of(
    st.tuples(st.just("feed"), st.binary(max_size=40)),
    st.tuples(
        st.just("feed"),
        st.sampled_from(
            [b"\r\nRING\r\n", b"\x10R", b"\r\nOK\r\n", b"\r\nERROR\r\n", b"\r\nCONNECT\r\n",
             b"\x10\x03", b"\x10d", b"\x10/\x105\x10~", b"\r\nNMBR=1\r\nNAME=A\r\n", b"\x80" * 80,
             b"\r\nNO CARRIER\r\n", b"\r\nBUSY\r\n", b"\x10", VSM.encode()]
        ),
    ),
    st.tuples(st.just("advance"), st.integers(0, 9000)),
    st.tuples(st.just("do"), st.sampled_from(["answer", "hangup", "dial", "write", "reopen",
                                               "lost", "deaf", "hears"])),
)  # fmt: skip


def check_story(events: list[LineEvent]) -> None:
    """The order every listener may count on."""
    ringing = told = False
    for event in events:
        if isinstance(event, Ringing):
            ringing = True
        elif isinstance(event, CallerId):
            assert ringing, events
            assert not told, events
            told = True
        elif isinstance(event, RingEnded):
            assert ringing, events
            assert told, events
            ringing = told = False
        elif isinstance(event, OffHook | HungUp):
            assert told or not ringing or event == HungUp("busy"), events
            if told:
                ringing = told = False


@settings(max_examples=200)
@given(st.lists(ANYTHING, max_size=40))
def test_nothing_upsets_the_core(plan: list[tuple[str, object]]) -> None:
    rig = CoreRig()
    rig.open()
    for kind, what in plan:
        if kind == "feed" and isinstance(what, bytes):
            rig.feed(what)
        elif kind == "advance" and isinstance(what, int):
            rig.advance(what)
        elif what == "answer":
            rig.core.answer(rig.now)
        elif what == "hangup":
            rig.core.hangup(rig.now)
        elif what == "dial":
            rig.core.dial("123", rig.now)
        elif what == "write":
            rig.core.write(b"\x00\xf0" * 160, rig.now)
        elif what == "lost":
            rig.core.lost("gone", rig.now)
        elif what == "reopen":
            rig.core.opened(rig.now)
        else:
            rig.deaf = what == "deaf"
        rig.collect()
        assert rig.core.state in STATES
        assert rig.core.queued_samples <= 640
    # Whatever happened, a modem that works again is a line again.
    rig.deaf = False
    rig.core.lost("gone", rig.now)
    rig.open()
    rig.advance(5000)
    assert rig.core.state == "idle"
    check_story(rig.take_events())
    rig.ring_and_answer()
    assert rig.core.state == "talking"
    rig.core.hangup(rig.now)
    rig.advance(1000)
    assert rig.take_events()[-1] == HungUp("local")
