"""Audio towards the modem: never much ahead, never more than lost, oldest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.pacing import Pacer

FRAME = 160
LIMIT = 640


def pacer() -> Pacer:
    return Pacer(LIMIT, 320, b"\x80")


def test_the_first_frame_follows_a_cushion() -> None:
    assert pacer().write(b"a" * FRAME) == b"\x80" * 320 + b"a" * FRAME


def test_a_steady_call_loses_nothing_and_keeps_its_delay() -> None:
    line = pacer()
    sent = bytearray(line.write(b"a" * FRAME))
    for number in range(1, 3000):
        sent += line.heard(FRAME)
        sent += line.write(bytes([number % 120]) * FRAME)
        assert line.queued <= 480
    assert line.dropped == 0
    assert len(sent) == 320 + 3000 * FRAME


def test_what_is_too_much_is_taken_from_the_oldest() -> None:
    line = pacer()
    line.write(b"a" * FRAME)
    line.write(b"b" * FRAME)
    assert line.write(b"c" * FRAME) == b""
    assert line.write(b"d" * FRAME) == b""
    assert line.dropped == 2 * FRAME
    assert line.heard(FRAME) == b""


def test_a_fast_source_is_held_to_the_line() -> None:
    line = pacer()
    sent = 0
    for _ in range(1000):
        sent += len(line.heard(FRAME))
        sent += len(line.write(b"a" * (FRAME + 1)))
        assert line.queued <= LIMIT
    assert line.dropped > 0
    assert sent <= 1000 * FRAME + LIMIT


def test_a_modem_that_ran_dry_gets_a_cushion_again() -> None:
    line = pacer()
    line.write(b"a" * FRAME)
    line.heard(8000)
    assert line.write(b"b" * FRAME).startswith(b"\x80" * 320)
    line.dry()
    assert line.write(b"c" * FRAME).startswith(b"\x80" * 320)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2000)), max_size=60))
def test_the_bound_holds_and_samples_are_sent_or_dropped(plan: list[tuple[bool, int]]) -> None:
    line = pacer()
    written = sent = 0
    for writes, count in plan:
        out = line.write(b"a" * count) if writes else line.heard(count)
        written += count if writes else 0
        sent += out.count(b"a")
        assert line.queued <= LIMIT
    assert sent <= written
