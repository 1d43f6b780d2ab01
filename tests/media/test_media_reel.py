"""The reel against a plain list of what was said, in any order of what may happen to recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import g711
from appliance.media.reel import REEL_TICKS, TURNS, Reel, Sides
from appliance.media.rooms import add

SILENCE = np.full(160, g711.ULAW_SILENCE, np.uint8)
SLOTS = 6
_slot = st.integers(0, SLOTS - 1)
_sides = st.tuples(st.none() | _slot, st.lists(_slot, max_size=3).map(tuple))
_step = st.one_of(
    st.tuples(st.just("follow"), st.dictionaries(st.sampled_from("abcdefgh"), _sides, max_size=8)),
    st.tuples(st.just("run"), st.integers(1, 3 * REEL_TICKS)),
    st.tuples(st.just("skip"), st.integers(1, 2 * REEL_TICKS)),
    st.tuples(st.just("give"), st.sampled_from("abcdefgh")),
)


class Frames:
    """A tape that keeps every frame, and how late the last piece of it was."""

    def __init__(self) -> None:
        self.of: dict[str, list[bytes]] = {}
        self.batches: list[int] = []

    def feed(self, recordings: Sequence[str | None], said: g711.Bytes, first: int) -> None:
        self.batches.append(sum(name is not None for name in recordings))
        assert len(said) == len(recordings)
        for name, frames in zip(recordings, said, strict=True):
            if name is not None:
                self.of.setdefault(name, []).extend(
                    frame.tobytes() for frame in np.roll(frames, -first, axis=0)
                )

    def silence(self, recording: str, frames: int) -> None:
        self.of.setdefault(recording, []).extend([np.stack((SILENCE, SILENCE)).tobytes()] * frames)


def expected(ulaw: g711.Bytes, sides: Sides) -> bytes:
    left, right = sides
    parts = [ulaw[slot] for slot in right]
    return np.stack(
        (
            SILENCE if left is None else ulaw[left],
            SILENCE if not parts else parts[0] if len(parts) == 1 else add(parts),
        )
    ).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(_step, max_size=12), st.integers(0, 2 * REEL_TICKS))
def test_every_frame_of_every_recording_comes_once_and_in_order(
    steps: list[tuple[str, object]], now: int
) -> None:
    tape = Frames()
    reel = Reel(tape)
    truth: dict[str, list[bytes]] = {}
    recordings: dict[str, Sides] = {}
    random = np.random.default_rng(len(steps))
    reel.follow({}, now + 1)
    for what, how in steps:
        if what == "follow":
            assert isinstance(how, dict)
            for name in recordings.keys() - how.keys():
                # One of the same name later is another.
                reel.hand_over(name)
                assert tape.of.pop(name, []) == truth.pop(name, [])
            recordings = how
            reel.follow(recordings, now + 1)
        elif what == "run":
            assert isinstance(how, int)
            for _ in range(how):
                now += 1
                ulaw = random.integers(0, 256, (SLOTS, 160), np.uint8)
                reel.add(ulaw, now)
                for name, sides in recordings.items():
                    truth.setdefault(name, []).append(expected(ulaw, sides))
                    waiting = len(truth[name]) - len(tape.of.get(name, []))
                    assert waiting < REEL_TICKS
        elif what == "skip":
            assert isinstance(how, int)
            now += how
            reel.skip(how)
            for name in recordings:
                truth.setdefault(name, []).extend([np.stack((SILENCE, SILENCE)).tobytes()] * how)
        else:
            reel.hand_over(str(how))
            assert tape.of.get(str(how), []) == truth.get(str(how), [])
    reel.hand_over_all()
    assert tape.of == truth


def test_a_legless_engine_still_records_silence() -> None:
    tape = Frames()
    reel = Reel(tape)
    reel.follow({"a": (None, ())}, 1)
    for now in range(1, 4):
        reel.add(np.empty((0, 160), np.uint8), now)
    reel.hand_over("a")
    assert tape.of["a"] == [np.stack((SILENCE, SILENCE)).tobytes()] * 3


def test_many_recordings_are_handed_over_in_few_batches_of_like_size() -> None:
    tape = Frames()
    reel = Reel(tape)
    reel.follow({str(n): (2 * n, (2 * n + 1,)) for n in range(40)}, 0)
    for now in range(4 * REEL_TICKS):
        reel.add(np.full((80, 160), now, np.uint8), now)
    whole = tape.batches[40:]
    assert whole == [40 // TURNS] * (3 * TURNS)
