"""The jitter ring: what arrives how is heard how. Packets carry their number in every sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import g711, jitter, rtp
from appliance.media.jitter import MAX_DEPTH, Jitter


def packet(
    number: int, *, size: int = 160, ssrc: int = 1, stamp: int | None = None, kind: int = 0
) -> rtp.Packet:
    timestamp = number * 160 if stamp is None else stamp
    mark = number % 100 + 1
    return rtp.Packet(
        kind, False, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, bytes([mark]) * size
    )


class Ear:
    """Runs ticks and notes which packet each frame came from; "-" is silence, "~" made up."""

    def __init__(self) -> None:
        self.ring = Jitter(2)
        self.tick = 0

    def run(self, arrivals: Iterable[Iterable[rtp.Packet]]) -> list[str]:
        heard = []
        for packets in arrivals:
            self.tick += 1
            self.ring.begin_tick(self.tick)
            for one in packets:
                self.ring.put(0, one)
            made_up = int(self.ring.concealed[0])
            ulaw, _ = self.ring.read(1)
            if self.ring.concealed[0] > made_up:
                heard.append("~")
            elif (ulaw[0] == g711.ULAW_SILENCE).all():
                heard.append("-")
            else:
                heard.append(str(int(ulaw[0, 80]) - 1))
        return heard

    def after(self, arrivals: Iterable[Iterable[rtp.Packet]], count: int) -> list[str]:
        return self.run(arrivals)[-count:]


def test_a_steady_stream_is_heard_in_order_two_ticks_late_at_most() -> None:
    heard = Ear().run([[packet(n)] for n in range(20)])
    assert heard == ["-", *map(str, range(19))]


def test_reordered_packets_land_in_their_places() -> None:
    arrivals = [[packet(0)], [packet(1)], [packet(3), packet(2)], [], [packet(4)], [packet(5)]]
    assert [h for h in Ear().run(arrivals) if h.isdigit()][:5] == ["0", "1", "2", "3", "4"]


def test_duplicates_change_nothing() -> None:
    heard = Ear().run([[packet(n), packet(n), packet(max(n - 1, 0))] for n in range(10)])
    assert heard == ["-", *map(str, range(9))]


def test_a_lost_packet_is_made_up_and_the_rest_stays_in_time() -> None:
    heard = Ear().run([[] if n == 5 else [packet(n)] for n in range(10)])
    assert heard == ["-", "0", "1", "2", "3", "4", "~", "6", "7", "8"]


def test_made_up_sound_fades_out_within_60_ms() -> None:
    ear = Ear()
    heard = ear.run([[packet(n)] for n in range(5)] + [[]] * 6)
    assert heard[5:] == ["4", "~", "~", "~", "-", "-"]


def test_a_stall_costs_delay_only_for_a_while() -> None:
    ear = Ear()
    ear.run([[packet(n)] for n in range(50)])
    # 400 ms of nothing, then everything at once, then steady again.
    ear.run([[]] * 20 + [[packet(n) for n in range(50, 71)]])
    assert ear.ring.delay_ms(0) <= MAX_DEPTH * 20
    ear.run([[packet(n)] for n in range(71, 71 + 50 * 12)])
    assert ear.ring.delay_ms(0) <= 40


def test_late_packets_grow_the_delay_until_nothing_is_lost() -> None:
    ear = Ear()
    ear.run([[packet(n)] for n in range(20)])
    made_up = int(ear.ring.concealed[0])
    # Each second packet comes 40 ms late from now on.
    arrivals: list[list[rtp.Packet]] = [[] for _ in range(70)]
    for n in range(60):
        arrivals[n + (2 if n % 2 else 0)].append(packet(20 + n))
    heard = ear.run(arrivals[:60])
    assert int(ear.ring.concealed[0]) - made_up <= 4
    assert "~" not in heard[20:]


def test_a_timestamp_that_jumps_does_not_interrupt() -> None:
    first = [[packet(n)] for n in range(10)]
    second = [[packet(n, stamp=1_000_000 + n * 160)] for n in range(10, 20)]
    assert Ear().run(first + second) == ["-", *map(str, range(19))]


def test_silence_suppression_keeps_its_time() -> None:
    # Five frames of nothing between two spurts whose numbers follow each other.
    arrivals = [[packet(n)] for n in range(5)] + [[]] * 5
    arrivals += [[packet(n, stamp=(n + 5) * 160)] for n in range(5, 10)]
    heard = [h for h in Ear().run(arrivals) if h.isdigit()]
    assert heard == [str(n) for n in range(9)]


def test_a_new_source_takes_over_with_its_second_packet() -> None:
    arrivals = [[packet(n)] for n in range(5)]
    arrivals += [[packet(n + 50_000, ssrc=2, stamp=n * 160)] for n in range(5, 12)]
    heard = Ear().run(arrivals)
    assert heard[-4:] == ["7", "8", "9", "10"]


def test_a_single_packet_of_another_source_is_ignored() -> None:
    arrivals = [[packet(n)] + ([packet(900, ssrc=9)] if n == 4 else []) for n in range(10)]
    assert Ear().run(arrivals) == ["-", *map(str, range(9))]


def test_numbers_that_start_anew_are_followed() -> None:
    arrivals = [[packet(n + 5000)] for n in range(10)] + [[packet(n)] for n in range(10)]
    assert Ear().after(arrivals, 4) == ["5", "6", "7", "8"]


def test_numbers_wrap() -> None:
    heard = Ear().run([[packet(n)] for n in range(65530, 65545)])
    assert heard == ["-", *(str(n % 100) for n in range(65530, 65544))]


@pytest.mark.parametrize("size", [80, 160, 240, 320, 480])
def test_any_packet_time_is_played_without_gaps(size: int) -> None:
    ring = Jitter(1)
    count = 4800 // size
    arrived, made = 0, []
    for tick in range(40):
        ring.begin_tick(tick)
        while arrived < count and arrived * size <= tick * 160:
            payload = bytes([arrived % 100 + 1]) * size
            ring.put(0, rtp.Packet(0, False, arrived, arrived * size, 1, payload))
            arrived += 1
        made.append(ring.read(1)[0][0].copy())
    whole = np.concatenate(made)
    sound = whole[whole != g711.ULAW_SILENCE]
    expected = np.repeat(np.arange(count) % 100 + 1, size)
    # After its end the sound goes on for 60 ms, which are parts of four frames at most.
    assert ring.concealed[0] <= 4
    assert np.array_equal(sound[: len(expected)], expected)


def test_a_law_packets_become_mu_law() -> None:
    ring = Jitter(1)
    payload = g711.ULAW_TO_ALAW[np.full(160, 0x22, np.uint8)].tobytes()
    for tick in range(3):
        ring.begin_tick(tick)
        ring.put(0, rtp.Packet(8, False, tick, tick * 160, 1, payload))
        ulaw, _ = ring.read(1)
    assert (ulaw == 0x22).all()


def test_the_batch_places_what_single_packets_place() -> None:
    random = np.random.default_rng(1)
    one, many = Jitter(3), Jitter(3)
    many.expect(np.array([0, 0, 8]))
    for tick in range(200):
        for ring in (one, many):
            ring.begin_tick(tick)
        slots = np.flatnonzero(random.random(3) < 0.9)
        packets = [packet(tick, ssrc=5 + slot, kind=8 if slot == 2 else 0) for slot in slots]
        rows = np.zeros((4, 2048), np.uint8)
        for row, made in zip(rows, packets, strict=False):
            data = rtp.build(made.payload_type, made.sequence, made.timestamp, made.ssrc,
                             made.payload)  # fmt: skip
            row[: len(data)] = np.frombuffer(data, np.uint8)
        left = many.put_batch(slots, rows, np.full(len(slots), 172)).tolist()
        for row, (slot, made) in enumerate(zip(slots, packets, strict=True)):
            one.put(int(slot), made)
            if row in left:
                many.put(int(slot), made)
        assert np.array_equal(one.read(3)[0], many.read(3)[0])
    assert [one.lost(slot) for slot in range(3)] == [many.lost(slot) for slot in range(3)]


@pytest.mark.parametrize("seed", range(4))
def test_the_batch_does_the_same_when_packets_come_late_or_several_at_once(seed: int) -> None:
    """Sequence numbers and timestamps wrap meanwhile, and the clock jumps."""
    random = np.random.default_rng(seed)
    one, many = Jitter(4), Jitter(4)
    many.expect(np.zeros(4, np.int64))
    waiting: list[list[rtp.Packet]] = [[] for _ in range(4)]
    for tick in range(1, 500):
        for ring in (one, many):
            ring.begin_tick(tick)
        for slot, queue in enumerate(waiting):
            if random.random() < 0.99:
                stamp = 2**32 - 160 * 100 + tick * 160
                queue.append(packet(65_400 + tick, ssrc=5 + slot, stamp=stamp))
        held = random.random(4) < 0.1
        for _ in range(3):
            slots = np.array([s for s in range(4) if waiting[s] and not held[s]], np.int64)
            rows = np.zeros((len(slots), 640), np.uint8)
            packets = [waiting[slot].pop(0) for slot in slots]
            for row, made in zip(rows, packets, strict=True):
                data = rtp.build(0, made.sequence, made.timestamp, made.ssrc, made.payload)
                row[: len(data)] = np.frombuffer(data, np.uint8)
            if not len(slots):
                break
            left = many.put_batch(slots, rows, np.full(len(slots), 172)).tolist()
            for row, (slot, made) in enumerate(zip(slots.tolist(), packets, strict=True)):
                one.put(slot, made)
                if row in left:
                    many.put(slot, made)
        assert np.array_equal(one.read(4)[0], many.read(4)[0])
        for slot in range(4):
            assert one.delay_ms(slot) == many.delay_ms(slot)
        assert np.array_equal(one.heard, many.heard)
        assert np.array_equal(one.received, many.received)
        if tick % 170 == 0:
            for ring in (one, many):
                ring.skip(3, 4)


def test_readers_that_went_apart_meet_again_and_nothing_is_heard_of_it() -> None:
    """Both were silent, one was given back its delay in that time: frames stay in order."""
    ear = Ear()
    ear.run([[packet(n)] for n in range(20)])
    ear.run([[] for _ in range(8)])
    heard = ear.run([[packet(n) for n in range(20, 29)], *([packet(n)] for n in range(29, 400))])
    tail = [int(mark) for mark in heard[-300:]]
    assert tail == [(tail[0] + n) % 100 for n in range(300)]
    assert ear.ring.delay_ms(0) in (0, 20)


def test_loss_is_counted() -> None:
    ear = Ear()
    ear.run([[] if n in (3, 7, 8) else [packet(n)] for n in range(20)])
    assert ear.ring.lost(0) == 3


def test_a_line_in_pieces_of_any_length_is_heard_whole() -> None:
    ring = Jitter(1)
    random = np.random.default_rng(3)
    said = (np.arange(160 * 60) % 200).astype(np.uint8)
    at, heard = 0, []
    for tick in range(60):
        ring.begin_tick(tick)
        due = min(len(said), (tick + 1) * 160 + int(random.integers(-60, 60)))
        while at < due:
            step = int(min(random.integers(1, 90), due - at))
            ring.put_stream(0, said[at : at + step].tobytes())
            at += step
        heard.append(ring.read(1)[0][0].copy())
    whole = np.concatenate(heard).tobytes()
    assert said[:8000].tobytes() in whole


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 2),
            st.integers(0, 600),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_no_stream_of_packets_breaks_the_ring(
    stream: list[tuple[int, int, int, int, int]],
) -> None:
    ring = Jitter(1)
    for tick, (sequence, timestamp, ssrc, size, pause) in enumerate(stream):
        ring.begin_tick(tick)
        ring.put(0, rtp.Packet(0, False, sequence, timestamp, ssrc, b"a" * size))
        for _ in range(pause):
            ulaw, pcm = ring.read(1)
            assert ulaw.shape == pcm.shape == (1, 160)
        assert -4000 <= ring.delay_ms(0) <= 2600


def test_more_legs_than_expected_keep_their_sound() -> None:
    ring = Jitter(1)
    ring.begin_tick(0)
    ring.put(0, packet(0))
    ring.reserve(5)
    ring.reset(4)
    ring.put(4, packet(7))
    ring.read(5)
    ring.begin_tick(1)
    ulaw, _ = ring.read(5)
    assert int(ulaw[0, 0]) == 1
    assert int(ulaw[4, 0]) == 8


@given(st.lists(st.booleans(), min_size=0, max_size=300))
def test_legs_in_a_hurry_take_turns_and_each_gets_its_own(hurried: list[bool]) -> None:
    urgent = np.array(hurried, np.bool_)
    turns = max(1, -(-int(urgent.sum()) // jitter._HURRYING))
    chosen = [jitter._one_turn(urgent, tick) for tick in range(turns)]
    assert all((one & urgent).sum() <= jitter._HURRYING for one in chosen)
    each = np.sum([one & urgent for one in chosen], axis=0)
    assert (each == urgent).all()
