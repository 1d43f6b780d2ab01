"""Leaving a message, whatever the caller does."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ivr.actions import Go, Say, Tape
from tests.ivr.test_steps import Caller

STEP = {"first": {"kind": "record", "box": "b", "go": "hangup", "longest_s": 30}}
DEEDS = st.one_of(
    st.sampled_from("0123#*"),
    st.integers(100, 20_000),
    st.booleans(),
    st.just("said"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(DEEDS, max_size=40))
def test_each_tape_is_started_once_and_comes_to_one_end(deeds: list[Any]) -> None:
    caller = Caller(STEP, boxes={})
    for deed in deeds:
        if isinstance(deed, bool):
            caller.took(caller.run.speaks(deed, caller.now))
        elif deed == "said":
            tokens = [one.token for one in caller.log if isinstance(one, Say)]
            caller.took(caller.run.played(tokens[-1], caller.now))
        elif isinstance(deed, str):
            caller.took(caller.run.key(deed, caller.now))
        else:
            caller.now += deed
        caller.took(caller.run.tick(caller.now))
    # Left alone, it ends by itself.
    for _ in range(40):
        due = caller.run.next_deadline()
        if due is None:
            break
        caller.now = max(caller.now, due)
        caller.took(caller.run.tick(caller.now))
    assert caller.run.over
    open_tape = False
    for one in caller.log:
        if isinstance(one, Tape):
            assert (one.do == "start") != open_tape
            open_tape = one.do in ("start", "stop")
    assert not open_tape
    assert len([one for one in caller.log if isinstance(one, Go)]) == 1
    assert sum(isinstance(one, Tape) and one.do == "start" for one in caller.log) <= 3
