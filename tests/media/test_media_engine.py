"""The engine with simulated ticks: what each leg says, hears, plays and records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from appliance.media import dtmf, g711, protocol, rtp, tones
from appliance.media.engine import Engine
from tests.media.endpoint import level_dbm0, sine

SILENCE = np.full(160, g711.ULAW_SILENCE, np.uint8)


class MemoryTape:
    def __init__(self) -> None:
        self.sides: dict[str, tuple[list[bytes], list[bytes]]] = {}

    def feed(self, recordings: Sequence[str | None], said: g711.Bytes, first: int) -> None:
        for name, frames in zip(recordings, said, strict=True):
            if name is not None:
                for frame in np.roll(frames, -first, axis=0):
                    self._add(name, frame)

    def silence(self, recording: str, frames: int) -> None:
        for _ in range(frames):
            self._add(recording, np.stack((SILENCE, SILENCE)))

    def _add(self, recording: str, frame: g711.Bytes) -> None:
        for side, said in zip(self.sides.setdefault(recording, ([], [])), frame, strict=True):
            side.append(said.tobytes())


class Studio:
    """An engine whose legs speak loops and whose ears are kept."""

    def __init__(self, country: str = "de") -> None:
        self.tape = MemoryTape()
        self.engine = Engine(tones.plan_for(country), self.tape)
        self.voices: dict[int, g711.Bytes] = {}
        self.heard: dict[int, list[g711.Bytes]] = {}
        self.events: list[protocol.Event] = []
        self.count = 0

    def leg(self, number: int, voice: g711.Bytes | None = None) -> None:
        self.engine.open(number, "rtp")
        if voice is not None:
            self.voices[number] = voice

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.engine.begin_tick()
            for number, voice in self.voices.items():
                leg = self.engine.legs.get(number)
                if leg is not None:
                    piece = voice[(self.count * 160 + np.arange(160)) % len(voice)].tobytes()
                    self.engine.ring.put(
                        leg.slot,
                        rtp.Packet(0, False, self.count & 0xFFFF, self.count * 160, 1, piece),
                    )
            self.count += 1
            self.engine.tick()
            for number, leg in self.engine.legs.items():
                self.heard.setdefault(number, []).append(self.engine.out[leg.slot].copy())
            self.events += self.engine.take_events()
        self.engine.flush()

    def ear(self, number: int, last: int) -> g711.Samples:
        return g711.ulaw_decode(np.concatenate(self.heard[number][-last:]))

    def of(self, kind: type) -> list[protocol.Event]:
        self.events += self.engine.take_events()
        return [event for event in self.events if isinstance(event, kind)]

    def play(self, number: int, token: int, audio: g711.Bytes | None, loop: bool = False) -> None:
        self.engine.play(number, token, loop)
        self.engine.play_loaded(number, token, audio)


def voice(hz: float, dbm0: float = -12) -> g711.Bytes:
    return g711.ulaw_encode(sine(hz, dbm0, 8000))


def bridged() -> Studio:
    studio = Studio()
    studio.leg(1, voice(500))
    studio.leg(2, voice(1000))
    studio.engine.bridge(7, 1, 2)
    return studio


def test_a_bridge_hands_over_the_very_bytes() -> None:
    studio = bridged()
    studio.run(10)
    assert np.array_equal(studio.heard[2][5], studio.voices[1][4 * 160 : 5 * 160])
    assert abs(level_dbm0(studio.ear(1, 5), 1000) + 12) < 0.3


def test_a_bridge_is_live_once_both_have_spoken() -> None:
    studio = Studio()
    studio.leg(1, voice(500))
    studio.leg(2)
    studio.run(5)
    studio.engine.bridge(7, 1, 2)
    studio.run(20)
    assert studio.of(protocol.BridgeLive) == []
    studio.voices[2] = voice(700)
    studio.run(20)
    assert studio.of(protocol.BridgeLive) == [protocol.BridgeLive(7)]


def test_what_was_said_before_the_bridge_does_not_make_it_live() -> None:
    studio = bridged()
    studio.run(5)
    studio.engine.unbridge(7)
    studio.voices.clear()
    studio.engine.bridge(8, 1, 2)
    studio.run(10)
    assert studio.of(protocol.BridgeLive) == [protocol.BridgeLive(7)]


def test_the_newest_bridge_of_a_leg_wins() -> None:
    studio = bridged()
    studio.leg(3, voice(1500))
    studio.run(5)
    studio.engine.bridge(8, 1, 3)
    studio.run(10)
    assert abs(level_dbm0(studio.ear(1, 5), 1500) + 12) < 0.3
    assert (np.concatenate(studio.heard[2][-5:]) == g711.ULAW_SILENCE).all()


def test_a_prompt_is_played_whole_and_ends_once() -> None:
    studio = Studio()
    studio.leg(1)
    prompt = voice(800)[: 160 * 5 + 40]
    studio.play(1, 42, prompt)
    studio.run(10)
    assert np.array_equal(np.concatenate(studio.heard[1])[: len(prompt)], prompt)
    assert studio.of(protocol.PlayEnded) == [protocol.PlayEnded(1, 42, "done")]


def test_each_play_ends_exactly_once_however_it_ends() -> None:
    studio = Studio()
    studio.leg(1)
    studio.play(1, 1, voice(800))
    studio.run(2)
    studio.play(1, 2, voice(900))
    studio.engine.stop_play(1)
    studio.engine.stop_play(1)
    studio.play(1, 3, None)
    studio.play(1, 4, np.empty(0, np.uint8))
    studio.run(2)
    studio.play(1, 5, np.empty(0, np.uint8), loop=True)
    studio.run(2)
    studio.engine.play(1, 6, False)
    studio.engine.close(1)
    studio.engine.play_loaded(1, 6, voice(700))
    studio.run(2)
    assert studio.of(protocol.PlayEnded) == [
        protocol.PlayEnded(1, 1, "stopped"),
        protocol.PlayEnded(1, 2, "stopped"),
        protocol.PlayEnded(1, 3, "failed"),
        protocol.PlayEnded(1, 4, "done"),
        protocol.PlayEnded(1, 5, "done"),
        protocol.PlayEnded(1, 6, "stopped"),
    ]


def test_a_looped_prompt_goes_on() -> None:
    studio = Studio()
    studio.leg(1)
    prompt = voice(800)[:200]
    studio.play(1, 1, prompt, loop=True)
    studio.run(10)
    assert np.array_equal(np.concatenate(studio.heard[1]), np.resize(prompt, 1600))


def test_music_pauses_under_a_prompt_and_goes_on_where_it_was() -> None:
    studio = Studio()
    studio.leg(1)
    music = np.arange(8000).astype(np.uint8)
    studio.engine.music(1, music)
    studio.run(3)
    studio.play(1, 1, voice(800)[:320])
    studio.run(5)
    heard = np.concatenate(studio.heard[1])
    assert np.array_equal(heard[:480], music[:480])
    assert np.array_equal(heard[480:800], voice(800)[:320])
    assert np.array_equal(heard[800:1280], music[480:960])


def test_a_prompt_in_a_bridge_is_summed_with_the_peer() -> None:
    studio = bridged()
    studio.run(5)
    studio.play(1, 1, voice(2000, -15))
    studio.run(20)
    ear = studio.ear(1, 10)
    assert abs(level_dbm0(ear, 1000) + 12) < 0.5
    assert abs(level_dbm0(ear, 2000) + 15) < 0.5
    assert level_dbm0(studio.ear(2, 10), 2000) < -45


def test_music_and_tones_are_silent_in_a_bridge_and_come_back() -> None:
    studio = bridged()
    studio.engine.music(1, voice(2000))
    studio.engine.tone(1, "dial")
    studio.run(10)
    assert level_dbm0(studio.ear(1, 5), 2000) < -45
    assert level_dbm0(studio.ear(1, 5), 425) < -45
    studio.engine.unbridge(7)
    studio.run(10)
    assert abs(level_dbm0(studio.ear(1, 5), 425) + 13) < 0.5
    studio.engine.tone(1, None)
    studio.run(10)
    assert abs(level_dbm0(studio.ear(1, 5), 2000) + 12) < 0.5


def test_ringback_has_its_countrys_cadence() -> None:
    studio = Studio("us")
    studio.leg(1)
    studio.engine.tone(1, "ringback")
    studio.run(300)
    loud = [bool((frame != g711.ULAW_SILENCE).any()) for frame in studio.heard[1]]
    assert loud == [True] * 100 + [False] * 200


def test_keys_in_the_audio_are_heard_once_even_under_a_prompt() -> None:
    studio = Studio()
    keys = np.concatenate((voice(300, -60)[:1600], dtmf.key_sequence("159#"), voice(300, -60)))
    studio.leg(1, keys)
    studio.engine.listen(1, True, False)
    studio.play(1, 1, voice(800), loop=True)
    studio.run(60)
    assert studio.of(protocol.Key) == [protocol.Key(1, d, "inband") for d in "159#"]


def test_nothing_is_heard_without_listening() -> None:
    studio = Studio()
    studio.leg(1, np.concatenate((SILENCE, dtmf.key_sequence("1"))))
    studio.run(40)
    assert studio.of(protocol.Key) == []


def test_a_key_that_comes_both_ways_is_one_key() -> None:
    studio = Studio()
    studio.leg(1, np.concatenate((np.resize(SILENCE, 1600), dtmf.key_sequence("7"), SILENCE)))
    studio.engine.listen(1, True, False)
    studio.run(17)
    studio.engine.key(studio.engine.legs[1], "7", "rfc4733")
    studio.run(23)
    assert len(studio.of(protocol.Key)) == 1


def test_keys_sent_as_tones_are_heard_by_a_detector() -> None:
    studio = Studio()
    studio.leg(1)
    studio.engine.send_keys(1, "90*")
    studio.engine.send_keys(1, "1")
    studio.run(50)
    detector = dtmf.DtmfDetector(1)
    heard = ""
    for frame in studio.heard[1]:
        pcm = g711.ulaw_decode(frame)[None, :]
        heard += "".join(d for _, d in detector.process(pcm, np.array([0])))
    assert heard == "90*1"


def test_a_door_that_presses_keys_itself_gets_them() -> None:
    studio = Studio()
    studio.leg(1)
    pressed: list[str] = []
    studio.engine.legs[1].send_keys = lambda digits: pressed.append(digits) is None
    studio.engine.send_keys(1, "12")
    studio.run(3)
    assert pressed == ["12"]
    assert (np.concatenate(studio.heard[1]) == g711.ULAW_SILENCE).all()


def test_a_key_event_in_a_bridge_is_pressed_on_the_other_side() -> None:
    studio = bridged()
    pressed: list[str] = []
    studio.engine.legs[2].send_keys = lambda digits: pressed.append(digits) is None
    studio.engine.key(studio.engine.legs[1], "4", "rfc4733")
    assert pressed == ["4"]


def test_busy_tone_is_reported_to_who_listens() -> None:
    studio = Studio()
    studio.leg(1, np.resize(tones.make_tone(tones.plan_for("de"), "busy"), 7680))
    studio.engine.listen(1, False, True)
    studio.run(200)
    assert studio.of(protocol.ToneHeard) == [protocol.ToneHeard(1, "busy")]


def test_a_line_whose_far_end_is_gone_says_so_unasked() -> None:
    studio = Studio()
    studio.leg(1, np.resize(tones.make_tone(tones.plan_for("de"), "reorder"), 7680))
    gone: list[int] = []
    studio.engine.legs[1].far_end_gone = lambda: gone.append(1)
    studio.engine.watch_line(1, True)
    studio.run(150)
    assert gone == [1]
    assert studio.of(protocol.ToneHeard) == []


def test_silence_of_a_leg_that_should_send_is_reported_each_5_s() -> None:
    studio = Studio()
    studio.leg(1)
    studio.leg(2)
    studio.engine.expect_audio(1, True)
    studio.run(760)
    quiet = studio.of(protocol.LegQuiet)
    assert [(q.leg, q.quiet_ms) for q in quiet] == [(1, 5000), (1, 10000), (1, 15000)]  # type: ignore[union-attr]
    studio.engine.expect_audio(1, False)
    studio.run(600)
    assert len(studio.of(protocol.LegQuiet)) == 3


def test_a_leg_that_announced_its_silence_is_missed_only_after_a_minute() -> None:
    studio = Studio()
    studio.leg(1, voice(500))
    studio.engine.expect_audio(1, True)
    studio.run(10)
    del studio.voices[1]
    noise = rtp.Packet(rtp.COMFORT_NOISE, False, 10, 1600, 1, bytes([60]))
    studio.engine.ring.comfort(studio.engine.legs[1].slot, noise)
    studio.run(3000)
    assert studio.of(protocol.LegQuiet) == []
    studio.run(300)
    assert len(studio.of(protocol.LegQuiet)) == 1


def test_a_recording_has_each_side_in_its_place_and_follows_its_legs() -> None:
    studio = bridged()
    studio.engine.recordings["r"] = (1, 2)
    studio.run(10)
    studio.engine.recordings["r"] = (1, None)
    studio.run(5)
    studio.engine.close(1)
    studio.run(5)
    left, right = studio.tape.sides["r"]
    assert len(left) == len(right) == 20
    # The frame that was on its way when packet 9 came is packet 8.
    assert left[9] == studio.voices[1][8 * 160 : 9 * 160].tobytes()
    assert right[9] == studio.voices[2][8 * 160 : 9 * 160].tobytes()
    assert right[10] == SILENCE.tobytes()
    assert left[15] == SILENCE.tobytes()


def test_recordings_keep_their_time_when_the_clock_jumps() -> None:
    studio = bridged()
    studio.engine.recordings["r"] = (1, 2)
    studio.run(10)
    studio.engine.skip(7)
    studio.count += 7
    studio.run(10)
    left, _ = studio.tape.sides["r"]
    assert len(left) == 27
    assert left[16] == SILENCE.tobytes()
    assert left[26] == studio.voices[1][25 * 160 : 26 * 160].tobytes()


def test_slots_are_used_again_and_remember_nothing() -> None:
    studio = bridged()
    studio.run(10)
    studio.engine.close(1)
    studio.leg(9)
    studio.run(5)
    assert studio.engine.legs[9].slot == 0
    assert studio.engine.high == 2
    assert (np.concatenate(studio.heard[9]) == g711.ULAW_SILENCE).all()


def test_a_hundred_legs_are_more_than_was_reserved() -> None:
    studio = Studio()
    for number in range(100):
        studio.leg(number, voice(400 + 5 * number))
    for number in range(0, 100, 2):
        studio.engine.bridge(number, number, number + 1)
    studio.run(10)
    assert abs(level_dbm0(studio.ear(98, 5), 895) + 12) < 0.5
    assert abs(level_dbm0(studio.ear(1, 5), 400) + 12) < 0.5


def test_commands_for_unknown_legs_do_nothing() -> None:
    studio = Studio()
    engine = studio.engine
    assert not engine.play(5, 1, False)
    engine.play_loaded(5, 1, None)
    engine.stop_play(5)
    engine.music(5, None)
    engine.tone(5, "busy")
    engine.listen(5, True, True)
    engine.send_keys(5, "1")
    engine.bridge(1, 5, 6)
    engine.unbridge(9)
    engine.close(5)
    studio.run(3)
    assert studio.events == []
