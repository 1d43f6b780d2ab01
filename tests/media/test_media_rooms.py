"""Rooms: who hears whom at what level, with simulated ticks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import g711, protocol
from appliance.media.protocol import Member
from appliance.media.rooms import Mixer, Seat
from appliance.switch.mirror import MediaMirror
from tests.media.endpoint import level_dbm0
from tests.media.test_media_engine import Studio, voice

SILENT = -45
HZ = {1: 500, 2: 700, 3: 1100, 4: 1500}


def studio_of(count: int) -> Studio:
    studio = Studio()
    for number in range(1, count + 1):
        studio.leg(number, voice(HZ[number], -12 - number))
    studio.run(3)
    return studio


def hears(studio: Studio, number: int) -> set[int]:
    """Whose voices are in the last 100 ms of this ear; those that are have their own level."""
    ear = studio.ear(number, 5)
    found = {other for other, hz in HZ.items() if level_dbm0(ear, hz) > SILENT}
    for other in found:
        assert level_dbm0(ear, HZ[other]) == pytest.approx(-12 - other, abs=0.5)
    return found


def test_each_hears_all_others_and_never_himself() -> None:
    studio = studio_of(4)
    studio.engine.room(9, tuple(Member(n) for n in (1, 2, 3, 4)))
    studio.run(8)
    assert [hears(studio, n) for n in HZ] == [{2, 3, 4}, {1, 3, 4}, {1, 2, 4}, {1, 2, 3}]


def test_whoever_listens_hears_all_and_is_heard_by_nobody() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3, heard_by=())))
    studio.run(8)
    assert [hears(studio, n) for n in (1, 2, 3)] == [{2}, {1}, {1, 2}]


def test_a_whisper_reaches_one_ear_alone() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3, heard_by=(2,))))
    studio.run(8)
    assert [hears(studio, n) for n in (1, 2, 3)] == [{2}, {1, 3}, {1, 2}]


def test_two_who_whisper_to_one_are_both_heard() -> None:
    studio = studio_of(4)
    whisper = (Member(1), Member(2, heard_by=(4, 1)), Member(3, heard_by=(4,)), Member(4))
    studio.engine.room(9, whisper)
    studio.run(8)
    assert [hears(studio, n) for n in HZ] == [{2, 4}, {1, 4}, {1, 4}, {1, 2, 3}]


def test_on_hold_in_a_room_there_is_music_and_nothing_of_the_room() -> None:
    studio = studio_of(3)
    studio.engine.music(3, voice(2000))
    studio.engine.room(9, (Member(1), Member(2), Member(3)))
    studio.run(8)
    assert hears(studio, 3) == {1, 2}
    assert level_dbm0(studio.ear(3, 5), 2000) < SILENT
    studio.engine.room(9, (Member(1), Member(2), Member(3, heard_by=(), hears=False)))
    studio.run(8)
    assert [hears(studio, n) for n in (1, 2, 3)] == [{2}, {1}, set()]
    assert level_dbm0(studio.ear(3, 5), 2000) == pytest.approx(-12, abs=0.5)


def test_a_prompt_in_a_room_is_added_for_its_leg_alone() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3)))
    studio.play(1, 1, voice(2000, -15), loop=True)
    studio.run(8)
    assert hears(studio, 1) == {2, 3}
    assert level_dbm0(studio.ear(1, 5), 2000) == pytest.approx(-15, abs=0.5)
    assert level_dbm0(studio.ear(2, 5), 2000) < SILENT


def test_members_come_and_go_with_each_command_and_none_ends_the_room() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3)))
    studio.engine.room(9, (Member(1), Member(2), Member(77)))
    studio.run(8)
    assert [hears(studio, n) for n in (1, 2, 3)] == [{2}, {1}, set()]
    studio.engine.room(9, ())
    studio.run(8)
    assert [hears(studio, n) for n in (1, 2, 3)] == [set(), set(), set()]


def test_the_newest_of_bridges_and_rooms_wins() -> None:
    studio = studio_of(4)
    studio.engine.bridge(7, 1, 2)
    studio.engine.room(9, (Member(2), Member(3), Member(4)))
    studio.run(8)
    assert [hears(studio, n) for n in HZ] == [set(), {3, 4}, {2, 4}, {2, 3}]
    studio.engine.bridge(7, 1, 2)
    studio.run(8)
    assert [hears(studio, n) for n in HZ] == [{2}, {1}, {4}, {3}]
    studio.engine.room(8, (Member(1), Member(4)))
    studio.run(8)
    assert [hears(studio, n) for n in HZ] == [{4}, set(), set(), {1}]


def test_a_leg_that_closes_leaves_its_room_and_its_slot_forgets_it() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3, heard_by=(1,))))
    studio.engine.close(1)
    studio.leg(5, voice(500))
    studio.run(8)
    assert [hears(studio, n) for n in (2, 3, 5)] == [set(), {2}, set()]


def test_keys_beside_the_audio_stay_in_the_room() -> None:
    studio = studio_of(3)
    studio.engine.room(9, (Member(1), Member(2), Member(3)))
    studio.engine.key(studio.engine.legs[1], "5", "rfc4733")
    studio.run(3)
    assert studio.engine.legs[2].keys is None


def test_a_recording_of_a_room_has_all_others_on_the_right() -> None:
    studio = studio_of(3)
    studio.engine.recordings["r"] = (1, 2, 3)
    studio.run(10)
    left, right = (
        g711.ulaw_decode(np.frombuffer(b"".join(side[-5:]), np.uint8))
        for side in studio.tape.sides["r"]
    )
    assert level_dbm0(left, HZ[1]) == pytest.approx(-13, abs=0.5)
    for number in (2, 3):
        assert level_dbm0(right, HZ[number]) == pytest.approx(-12 - number, abs=0.5)
        assert level_dbm0(left, HZ[number]) < SILENT
    assert level_dbm0(right, HZ[1]) < SILENT
    studio.engine.recordings["r"] = (1, None, 3)
    studio.run(10)
    right = g711.ulaw_decode(np.frombuffer(b"".join(studio.tape.sides["r"][1][-5:]), np.uint8))
    assert level_dbm0(right, HZ[2]) < SILENT
    assert level_dbm0(right, HZ[3]) == pytest.approx(-15, abs=0.5)


def test_loud_voices_together_are_clipped_not_wrapped() -> None:
    pcm = np.full((3, 160), 30000, np.float32)
    out = np.zeros((3, 160), np.uint8)
    Mixer([[Seat(0), Seat(1), Seat(2)]]).mix(pcm, out)
    assert (g711.ulaw_decode(out) == 32124).all()


seats = st.builds(
    lambda only, hears: (only, hears),
    st.none() | st.frozensets(st.integers(0, 8), max_size=3),
    st.booleans(),
)


@given(st.lists(st.lists(seats, max_size=5), max_size=3))
def test_the_sums_are_those_of_the_rule(
    shapes: list[list[tuple[frozenset[int] | None, bool]]],
) -> None:
    slot = 0
    rooms: list[list[Seat]] = []
    for shape in shapes:
        rooms.append([Seat(slot + i, only, hears) for i, (only, hears) in enumerate(shape)])
        slot += len(shape)
    pcm = np.repeat(
        np.float32(64) * 2 ** np.arange(max(slot, 1), dtype=np.float32)[:, None], 160, 1
    )
    pcm = np.minimum(pcm, 3000)
    out = np.full((max(slot, 1), 160), 0x55, np.uint8)
    Mixer(rooms).mix(pcm, out)
    for room in rooms:
        for seat in room:
            if not seat.hears:
                assert (out[seat.slot] == 0x55).all()
                continue
            expected = sum(
                float(pcm[other.slot, 0])
                for other in room
                if other is not seat and (other.heard_by is None or seat.slot in other.heard_by)
            )
            assert (out[seat.slot] == g711.ulaw_encode(np.array([expected], np.int16))).all()


def test_a_media_restart_gets_its_rooms_again() -> None:
    mirror = MediaMirror()
    for leg in (1, 2, 3, 4):
        mirror.note(protocol.OpenRtp(leg, "127.0.0.1", 20000 + 2 * leg))
    mirror.note(protocol.Bridge(1, 1, 2))
    mirror.note(protocol.Room(9, (Member(2), Member(3, heard_by=(2,)), Member(4))))
    replayed = mirror.replay()
    assert not [c for c in replayed if isinstance(c, protocol.Bridge)]
    assert replayed[-1] == protocol.Room(9, (Member(2), Member(3, heard_by=(2,)), Member(4)))
    mirror.note(protocol.CloseLeg(4))
    assert mirror.replay()[-1] == protocol.Room(9, (Member(2), Member(3, heard_by=(2,))))
    mirror.note(protocol.Bridge(2, 2, 1))
    assert mirror.replay()[-2:] == [
        protocol.Bridge(2, 2, 1),
        protocol.Room(9, (Member(3, heard_by=(2,)),)),
    ]
    mirror.note(protocol.Room(9, ()))
    assert mirror.replay()[-1] == protocol.Bridge(2, 2, 1)
