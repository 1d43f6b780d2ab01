"""Packets that are passed on: headers, and what a phone hears when the path changes under it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import datagrams, g711, protocol, rtp
from appliance.media.relay import Kinds, Relay
from appliance.media.uring import RingSockets
from tests.media.hand_office import Office, Phone

OURS = 0xC0FFEE


def relay(kinds: Kinds | None = None, sequence: int = 65534, stamp: int = 2**32 - 320) -> Relay:
    made = Relay(4)
    numbers = (7, sequence, stamp)
    made.begin(1, 2, kinds or Kinds(0, 0, 101, 96), numbers, (OURS, 100, 5000), 1)
    return made


def header(sequence: int, stamp: int, kind: int = 0, ssrc: int = 7, marker: bool = False) -> bytes:
    return rtp.build(kind, sequence, stamp, ssrc, b"", marker)


def came(number: int, **changes: int) -> bytes:
    """The header of the packet that is so many after the first that is passed on."""
    return header(65535 + number, 2**32 - 160 + 160 * number, **changes)


def seen(data: bytes | None) -> tuple[int, int, int, int, bool] | None:
    if data is None:
        return None
    packet = rtp.parse(data)
    assert packet is not None
    return packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.marker


def test_a_stream_goes_on_in_the_listeners_numbers_through_every_wrap() -> None:
    one = relay()
    heard = [seen(one.pass_one(1, came(n), 172, 2)) for n in range(4)]
    assert heard == [(0, 101 + n, 5160 + 160 * n, OURS, False) for n in range(4)]


def test_loss_order_and_pauses_stay_what_they_were() -> None:
    one = relay()
    heard = [seen(one.pass_one(1, came(n), 172, 2)) for n in (0, 3, 2, 4)]
    assert [h[1:3] for h in heard if h] == [(101 + n, 5160 + 160 * n) for n in (0, 3, 2, 4)]
    later = header(65535 + 5, 2**32 - 160 + 800 + 4000, marker=True)
    assert seen(one.pass_one(1, later, 172, 2)) == (0, 106, 5160 + 4800, OURS, True)
    assert not one.broken[1]


def test_a_repetition_is_not_passed_on_and_breaks_nothing() -> None:
    one = relay()
    assert one.pass_one(1, came(0), 172, 2)
    assert one.pass_one(1, came(0), 172, 2) is None
    assert not one.broken[1]


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (came(0, ssrc=8), 172),
        (came(0), 332),
        (came(0, kind=8), 172),
        (header(65535, 12345), 172),
        (header(200, 2**32 - 160), 172),
        (bytes([0x90]) + came(0)[1:], 180),
    ],
)
def test_what_only_the_jitter_buffer_can_play_ends_it(data: bytes, size: int) -> None:
    one = relay()
    assert one.pass_one(1, data, size, 2) is None
    assert one.broken[1]
    assert one.upset


@pytest.mark.parametrize("data", [b"\0" * 12, came(0, kind=13), rtp.build(72, 1, 2, 3, b"")])
def test_what_is_no_audio_stays_here(data: bytes) -> None:
    one = relay()
    assert one.pass_one(1, data, 100, 2) is None
    assert not one.broken[1]


def test_keys_pass_with_their_own_time_and_the_listeners_type() -> None:
    one = relay()
    assert one.pass_one(1, came(0), 172, 2)
    start = 2**32 - 160 + 160
    events = [header(65536 + n, start, 101, marker=n == 0) for n in range(5)]
    heard = [seen(one.pass_one(1, e, 16, 2)) for e in events]
    assert heard == [(96, 102 + n, 5320, OURS, n == 0) for n in range(5)]
    after = header(65536 + 5, start + 800)
    assert seen(one.pass_one(1, after, 172, 2)) == (0, 107, 5320 + 800, OURS, False)
    deaf = relay(Kinds(0, 0, 101, -1))
    assert deaf.pass_one(1, header(65535, 2**32 - 160, 101), 16, 2) is None
    assert not deaf.broken[1]


def test_the_mix_goes_on_where_the_relay_stopped() -> None:
    one = relay()
    for n in range(3):
        one.pass_one(1, came(n), 172, 2)
    assert one.end(1, 2) == (2, 104, 5480)
    assert not one.heard[2]
    assert one.wait[2] == 2


packets = st.tuples(
    st.sampled_from([0, 1, 1, 1, 1, 2, 5, -1, -3, 300]),
    st.sampled_from([0, 0, 0, 0, 160, -160, 4000, 90000]),
    st.sampled_from([0, 0, 0, 0, 8, 13, 101]),
    st.sampled_from([172, 172, 172, 16, 92]),
    st.booleans(),
    st.sampled_from([7, 7, 7, 7, 9]),
)


@given(st.lists(packets, max_size=40))
def test_a_batch_does_what_one_by_one_does(
    stream: list[tuple[int, int, int, int, bool, int]],
) -> None:
    single, batch = relay(), relay()
    batch.begin(3, 0, Kinds(0, 8), (9, 1, 1), (5, 6, 7), 1)
    at, stamp = 65534, 2**32 - 320
    for tick, (step, jump, kind, size, marker, ssrc) in enumerate(stream):
        data = header(at + step, stamp + 160 * step + jump, kind, ssrc, marker)
        if step > 0:
            at, stamp = at + step, stamp + 160 * step
        other = header(2 + tick, 161 + 160 * tick, 0, 9)
        words = np.frombuffer(data + other, np.uint32).reshape(2, 3)
        found = batch.pass_on(np.array([1, 3]), words, np.array([size, 172]), tick)
        sent = {0, 1} if found.audio is None else {*found.audio.tolist(), *found.events}
        expected = single.pass_one(1, data, size, tick)
        assert (found.words[0].tobytes() if 0 in sent else None) == expected
        assert 1 in sent
        assert seen(found.words[1].tobytes()) == (8, 7 + tick, 167 + 160 * tick, 5, False)
        assert single.broken[1] == batch.broken[1]


def test_numbers_of_many_run_over_each_at_its_own_time() -> None:
    batch = Relay(4)
    came, sent = (65520, 65527, 3), (65531, 65524, 65535)
    for source in range(3):
        numbers = (came[source] - 1, -160), (sent[source] - 1, -160)
        batch.begin(source, 3, Kinds(0, 8), (9, *numbers[0]), (5, *numbers[1]), 1)
    slots, sizes = np.arange(3), np.full(3, 172)
    for tick in range(40):
        headers = b"".join(header(number + tick, 160 * tick, 0, 9) for number in came)
        found = batch.pass_on(slots, np.frombuffer(headers, np.uint32).reshape(3, 3), sizes, tick)
        assert found.audio is None
        for number, words in zip(sent, found.words, strict=True):
            assert seen(words.tobytes()) == (8, number + tick & 0xFFFF, 160 * tick, 5, False)


# --- with sockets, ticks by hand ---------------------------------------------------------------


def ring_sockets() -> datagrams.Datagrams:
    if not datagrams.works(RingSockets):
        pytest.skip("this system has no io_uring")
    return RingSockets()


@pytest.fixture(params=["plain", "uring", "many"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "many":
        # As with many legs: nothing goes one by one.
        monkeypatch.setattr("appliance.media.packet_io._FEW_LEGS", 0)
        monkeypatch.setattr("appliance.media.uring.FEW", 0)
    return str(request.param)


@pytest.fixture
def office(backend: str, request: pytest.FixtureRequest) -> Iterator[Office]:
    kinds = getattr(request, "param", (0, 0, 0))
    made = Office(datagrams.PlainSockets() if backend == "plain" else ring_sockets(), kinds)
    yield made
    made.close()


def in_one_piece(phone: Phone, last: int) -> None:
    """The last packets heard are one stream, and every frame is there once."""
    packets = phone.heard[-last:]
    steps = {
        (y.sequence - x.sequence & 0xFFFF, y.timestamp - x.timestamp & 0xFFFFFFFF, y.ssrc == x.ssrc)
        for x, y in itertools.pairwise(packets)
    }
    assert steps == {(1, 160, True)}
    frames = phone.frames(last)
    assert [(b - a) % 100 for a, b in itertools.pairwise(frames)] == [1] * (last - 1)


def quiet_prompt(office: Office, number: int, ticks: int) -> None:
    """A prompt without a sound takes the mix, and adds nothing to the frames' marks."""
    office.engine.play(number, 1, False)
    office.engine.play_loaded(number, 1, np.full(160 * ticks, g711.ULAW_SILENCE, np.uint8))


@pytest.mark.parametrize("office", [(0, 0), (0, 8), (8, 8)], indirect=True)
def test_a_listener_hears_each_frame_once_however_it_comes(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(5)
    assert not office.io.relaying
    office.run(25)
    assert office.io.relaying
    for phone in office.phones:
        in_one_piece(phone, 25)
    quiet_prompt(office, 1, 10)
    office.run(8)
    in_one_piece(office.phones[1], 30)
    office.run(30)
    for phone in office.phones:
        in_one_piece(phone, 60)
    assert [e for e in office.events if isinstance(e, protocol.PlayEnded)]
    # Passed on again, it hears what was said in this very tick.
    assert office.phones[1].frames(1) == [(office.phones[0].sent - 1) % 100]


def test_a_prompt_is_heard_whole_when_it_takes_over(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    office.phones[0].talks = False
    prompt = g711.ulaw_encode((np.arange(1600) * 7).astype(np.int16))
    office.run(1)
    office.engine.play(1, 1, False)
    office.engine.play_loaded(1, 1, prompt)
    before = len(office.phones[1].heard)
    office.run(20)
    heard = b"".join(p.payload for p in office.phones[1].heard[before:])
    # All of it is there, over whatever stands in for the missing voice.
    assert len(heard) >= 15 * 160
    assert [e for e in office.events if isinstance(e, protocol.PlayEnded)] == [
        protocol.PlayEnded(1, 1, "done")
    ]


def test_a_third_in_the_call_makes_no_gap_and_nothing_double(office: Office) -> None:
    office.phones[2].talks = False
    office.engine.bridge(1, 0, 1)
    office.run(30)
    office.engine.room(2, tuple(protocol.Member(n) for n in (0, 1, 2)))
    office.run(20)
    assert not office.io.relaying
    for phone in office.phones[:2]:
        in_one_piece(phone, 40)
    office.engine.bridge(3, 0, 1)
    office.run(20)
    assert office.io.relaying
    for phone in office.phones[:2]:
        in_one_piece(phone, 55)


def test_without_the_bridge_the_stream_goes_on_silent_at_once(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    before = len(office.phones[1].heard)
    office.engine.unbridge(1)
    office.run(10)
    packets = office.phones[1].heard[before - 1 :]
    assert [p.sequence - packets[0].sequence & 0xFFFF for p in packets] == list(range(len(packets)))
    assert [(p.timestamp - packets[0].timestamp & 0xFFFFFFFF) // 160 for p in packets] == list(
        range(len(packets))
    )
    assert 10 <= len(packets) <= 12
    assert set(packets[-1].payload) == {g711.ULAW_SILENCE}


def test_who_stops_speaking_is_stood_in_for_by_the_mix(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    office.phones[0].talks = False
    office.run(12)
    assert 0 not in office.io._direct
    before = len(office.phones[1].heard)
    office.run(10)
    packets = office.phones[1].heard[before:]
    assert len(packets) == 10
    silence = (
        office.phones[1].heard[before].timestamp - office.phones[1].heard[before - 1].timestamp
    )
    assert silence == 160
    office.phones[0].talks = True
    office.run(30)
    assert 0 in office.io._direct
    in_one_piece(office.phones[1], 12)


def test_keys_are_passed_on_and_reported_once(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    phone = office.phones[0]
    phone.talks = False
    before = len(office.phones[1].heard)
    start = phone.stamp + 160
    for duration in (160, 320, 480, 640):
        body = bytes((5, 0x8A if duration == 640 else 10)) + duration.to_bytes(2, "big")
        for _ in range(3 if duration == 640 else 1):
            phone.send(rtp.build(101, phone.sequence, start, 77, body, duration == 160))
            phone.sequence += 1
        office.run(1)
    phone.talks = True
    office.run(12)
    events = [p for p in office.phones[1].heard[before:] if p.payload_type == 96]
    assert [int.from_bytes(p.payload[2:], "big") for p in events] == [160, 320, 480, 640, 640, 640]
    assert len({p.timestamp for p in events}) == 1
    audio = [p for p in office.phones[1].heard[before:] if p.payload_type == 0]
    assert (audio[0].timestamp - events[0].timestamp) & 0xFFFFFFFF == 640
    assert office.engine.legs[1].keys is None
    assert [e for e in office.events if isinstance(e, protocol.Key)] == [
        protocol.Key(0, "5", "rfc4733")
    ]


def test_what_is_passed_on_is_recorded_and_listened_to_as_ever(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.engine.recordings["r"] = (0, 1)
    office.run(60)
    office.engine.flush()
    for side in office.tape.sides["r"]:
        marks = [frame[80] - 1 for frame in side[5:]]
        assert len(marks) == 55
        assert [(b - a) % 100 for a, b in itertools.pairwise(marks)] == [1] * 54


def test_a_new_stream_of_the_source_is_heard_whole(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    phone = office.phones[0]
    phone.sequence, phone.stamp = 5, 99_000
    office.run(40)
    assert 0 in office.io._direct
    in_one_piece(office.phones[1], 20)
    steps = {
        y.sequence - x.sequence & 0xFFFF
        for x, y in zip(office.phones[1].heard[30:], office.phones[1].heard[31:], strict=False)
    }
    assert steps == {1}


def test_a_leg_that_closes_leaves_the_other_a_stream(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    office.engine.close(0)
    office.io.close(0)
    office.phones[0].talks = False
    before = len(office.phones[1].heard)
    office.run(10)
    packets = office.phones[1].heard[before - 1 :]
    assert {y.sequence - x.sequence & 0xFFFF for x, y in itertools.pairwise(packets)} == {1}
    assert len(packets) == 11
    assert not office.io.relaying


def test_without_the_wish_everything_is_mixed(office: Office) -> None:
    office.io.relay_legs = 0
    office.engine.bridge(1, 0, 1)
    office.run(30)
    assert not office.io.relaying
    in_one_piece(office.phones[1], 20)
    office.io.relay_legs = 64
    office.run(10)
    assert office.io.relaying
    office.io.relay_legs = 0
    office.run(10)
    assert not office.io.relaying
    in_one_piece(office.phones[1], 40)


def test_with_more_legs_than_wanted_everything_is_mixed(office: Office) -> None:
    office.engine.bridge(1, 0, 1)
    office.run(30)
    office.io.relay_legs = 2
    office.run(10)
    assert not office.io.relaying
    office.io.relay_legs = 3
    office.run(20)
    # Not back at once when it is only just few enough.
    assert not office.io.relaying
    office.io.relay_legs = 4
    office.run(20)
    assert office.io.relaying
    in_one_piece(office.phones[1], 60)


def test_the_back_end_is_chosen_by_name_and_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert datagrams.works(datagrams.PlainSockets)
    chosen = datagrams.best("plain")
    assert chosen.name == "plain"
    chosen.close()

    def none() -> datagrams.Datagrams:
        raise OSError(1, "forbidden")

    assert not datagrams.works(none)
    monkeypatch.setattr("appliance.media.uring.Ring", none)
    chosen = datagrams.best("uring")
    assert chosen.name == "plain"
    chosen.close()
