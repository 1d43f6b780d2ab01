"""Calls through the simulated exchange, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from appliance.simulator import sound
from appliance.simulator.caller import Caller, Sound
from appliance.simulator.countries import country
from appliance.simulator.exchange import AnalogLine, Destination, Exchange, LineBusy
from appliance.simulator.modem import CallerId, Modem
from appliance.simulator.script import Babble, HangUp, Press, Wait, WaitAgent, WaitQuiet, WaitSound
from appliance.simulator.sound import FRAME_MS
from appliance.simulator.variants import VARIANTS
from tests.simulator.bench import unshield

US = country("us")


class Town:
    """One line, its modem, and a clock."""

    def __init__(self, place: str = "us", **options: Any) -> None:
        self.modem = Modem(VARIANTS["generic"], split=False)
        self.destination = Destination(None)
        self.line = AnalogLine(
            1, self.modem, country(place), lambda digits: self.destination, **options
        )
        self.exchange = Exchange([self.line])
        self.now = 0
        self.got = b""
        self.host("ATE0;+VCID=1")

    def run(self, ms: int) -> bytes:
        got = b""
        for _ in range(ms // FRAME_MS):
            self.now += FRAME_MS
            self.exchange.frame(self.now)
            got += self.modem.take(self.now)
        self.got += got
        return got

    def host(self, line: str, ms: int = 500) -> bytes:
        self.modem.receive(line.encode() + b"\r", self.now)
        return self.run(ms)

    def call(self, *steps: Any, **options: Any) -> Caller:
        caller = Caller(US, steps, **options)
        self.line.call(caller, CallerId("5550123", "ANA", "1122", "0430"), self.now)
        return caller

    def answered(self, *steps: Any) -> Caller:
        caller = self.call(*steps)
        self.run(100)
        self.host("AT+FCLASS=8;+VSD=0,0;+VLS=1")
        assert caller.state == "talking"
        return caller


def test_the_phone_rings_in_cadence_and_caller_id_follows_the_first_ring() -> None:
    town = Town()
    town.call()
    assert b"RING" in town.run(100)
    quiet = town.run(2400)
    assert b"RING" not in quiet
    assert b"NMBR" not in quiet
    assert b"NMBR = 5550123" in town.run(300)
    assert town.run(3100) == b""
    assert b"RING" in town.run(300)
    assert town.line.rings == 2


def test_where_caller_id_is_sent_first_it_comes_before_the_ring() -> None:
    town = Town("gb")
    town.call()
    got = town.run(1500)
    assert got.index(b"NMBR = 5550123") < got.index(b"RING")
    assert got.count(b"RING") == 1


def test_a_caller_who_gives_up_just_stops_the_ringing() -> None:
    town = Town()
    caller = town.call(ring_patience_ms=7000)
    town.run(7100)
    assert caller.reason == "no_answer"
    town.got = b""
    town.run(8000)
    assert town.got == b""
    assert town.line.state == "idle"


def test_a_line_in_use_takes_no_second_call() -> None:
    town = Town()
    town.call()
    with pytest.raises(LineBusy):
        town.call()


def test_the_caller_hears_ringback_and_then_the_office() -> None:
    town = Town()
    caller = town.call()
    town.run(3000)
    assert caller.ear.progress == "ringback"
    assert len(caller.heard()) == 0
    town.host("AT+FCLASS=8;+VLS=1")
    town.host("AT+VTX", 300)
    town.modem.receive(b"\xa0" * 800, town.now)
    town.run(200)
    assert np.count_nonzero(caller.heard()) == 800
    assert caller.ear.progress is None
    assert len(caller.heard()) == len(caller.said())


def test_what_the_caller_says_reaches_the_host_unchanged() -> None:
    signal = sound.chirp(400)
    town = Town()
    town.answered(Wait(1000), Sound(signal))
    town.host("AT+VRX", 300)
    voice, _ = unshield(town.run(1500))
    assert sound.encode("u8", signal) in voice


def test_the_exchanges_hybrid_sends_back_what_the_office_says_a_frame_later() -> None:
    taps = np.array([0.0, 0.0, 0.5])
    town = Town(hybrid=taps)
    caller = town.answered(Wait(5000))
    town.host("AT+VTX", 300)
    heard: list[sound.Samples] = []
    sent: list[sound.Samples] = []
    town.modem.receive(b"\xa0" * 320, town.now)
    for _ in range(5):
        town.run(FRAME_MS)
        heard.append(town.line.to_office)
        sent.append(town.line.from_office)
    came, went = np.concatenate(heard), np.concatenate(sent)
    assert np.count_nonzero(went) == 320
    assert np.array_equal(came[162:], went[:-162] // 2)
    assert caller.state == "talking"


def test_keys_are_audible_and_reported_by_the_unit() -> None:
    town = Town()
    caller = town.answered(Wait(1400), Press("5", on_ms=120))
    town.host("AT+VRX", 400)
    voice, codes = unshield(town.run(1000))
    heard = sound.decode("u8", voice)
    assert sound.level_dbm0(heard) > -30
    assert codes[0] == "/"
    assert codes[-1] == "~"
    assert set(codes[1:-1]) == {"5"}
    assert not caller.busy


def test_when_the_caller_hangs_up_the_line_says_so_by_busy_tone_alone() -> None:
    town = Town()
    caller = town.answered(Wait(500), HangUp())
    town.host("AT+VRX", 400)
    town.run(600)
    assert caller.state == "gone"
    voice, codes = unshield(town.run(2500))
    assert "b" in codes
    assert sound.level_dbm0(sound.decode("u8", voice)) == pytest.approx(-16, abs=1.5)
    town.modem.receive(b"\x10!", town.now)
    town.run(300)
    town.host("ATH0")
    assert town.line.state == "idle"


def test_an_exchange_that_breaks_the_loop_is_noticed() -> None:
    town = Town(breaks_loop=True)
    town.answered(Wait(900), HangUp())
    assert b"\x10l" in town.run(1000)


def test_when_the_office_hangs_up_the_caller_hears_busy_and_leaves() -> None:
    town = Town()
    caller = town.answered()
    town.host("ATH0")
    assert town.line.state == "idle"
    town.run(6000)
    assert caller.reason == "busy_tone"


def test_the_line_is_free_again_while_the_last_caller_still_hears_busy() -> None:
    town = Town()
    town.answered()
    town.host("ATH0;+FCLASS=0")
    town.call()
    assert b"RING" in town.run(100)


def test_a_unit_without_power_lets_the_line_go() -> None:
    town = Town()
    caller = town.answered()
    town.modem.power_off()
    town.run(100)
    assert town.line.state == "idle"
    town.run(6000)
    assert caller.reason == "busy_tone"


def test_dialling_reaches_a_party_who_talks() -> None:
    town = Town()
    party = Caller(US, [Babble(1000)])
    town.destination = Destination(party, 3000)
    town.host("AT+FCLASS=8;+VRA=20")
    got = town.host("ATDT5550199", 5000)
    assert town.line.dialled == "5550199"
    assert got == b""
    assert b"VCON" in town.run(6000)
    assert party.state == "talking"
    assert len(party.said()) > 0


def test_dialling_without_waiting_answers_ok_and_the_tones_are_in_the_sound() -> None:
    town = Town()
    town.destination = Destination(Caller(US), 60_000)
    town.host("AT+FCLASS=8;+VSD=0,0")
    assert b"OK" in town.host("ATDT5550199;", 4000)
    town.host("AT+VRX", 300)
    town.run(3000)
    assert town.line.state == "calling"
    town.modem.receive(b"\x10!", town.now)


def test_a_busy_number_is_told() -> None:
    town = Town()
    town.host("AT+FCLASS=8")
    assert b"BUSY" in town.host("ATDT5550100", 9000)
    assert not town.modem.off_hook
    assert town.line.state == "idle"


def test_dialling_stops_at_the_hosts_next_byte() -> None:
    town = Town()
    town.destination = Destination(Caller(US), 60_000)
    town.host("AT+FCLASS=8")
    town.host("ATDT5550199", 5000)
    town.modem.receive(b"x", town.now)
    assert b"NO CARRIER" in town.run(500)
    town.run(100)
    assert town.line.state == "idle"


def test_a_line_left_off_hook_gets_dial_tone_and_then_busy() -> None:
    town = Town()
    town.host("AT+FCLASS=8;+VLS=1")
    assert town.line.state == "dial"
    town.run(21_000)
    assert town.line.state == "busy"


def test_a_queued_caller_waits_through_music_and_talks_when_somebody_is_there() -> None:
    town = Town()
    caller = town.answered(WaitSound(), WaitAgent(60_000), Babble(500), WaitQuiet(), HangUp())
    town.host("AT+VTX", 300)

    def play(ms: int, pcm: sound.Samples) -> None:
        for at in range(0, ms * 8, 160):
            chunk = np.resize(pcm, ms * 8)[at : at + 160]
            town.modem.receive(sound.encode("u8", chunk).replace(b"\x10", b"\x10\x10"), town.now)
            town.run(20)

    play(10_000, sound.babble(3000))
    assert sound.level_dbm0(caller.said()) == sound.SILENCE_DBM0
    play(2500, sound.silence(1000))
    assert sound.level_dbm0(caller.said()) > -60
    play(2000, sound.silence(1000))
    assert caller.reason == "hung_up"


def test_patience_ends() -> None:
    town = Town()
    caller = town.answered(WaitAgent(patience_ms=3000))
    town.host("AT+VTS=[500,,255]", 4000)
    assert caller.reason == "gave_up"
