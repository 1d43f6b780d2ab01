"""Differences of live states: applied they give the other state, and a small change is small."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.live import Live
from appliance.web.diffs import KEYS, apply, diff
from appliance.web.hub import KEPT, LiveHub
from tests.web import scenes

ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abcdef"), "n": st.integers(0, 3), "s": st.none() | st.text("xy")}
    ),
    max_size=5,
    unique_by=lambda row: row["id"],
)
STATES = st.fixed_dictionaries(
    {"facts": st.integers(0, 3), "office": st.text("ab", max_size=2), "agents": ROWS, "lines": ROWS}
)


@given(STATES, STATES)
def test_a_difference_leads_from_one_state_to_the_other(old: Any, new: Any) -> None:
    before = deepcopy(old)
    change = json.loads(json.dumps(diff(old, new)))
    assert apply(old, change) == new
    assert old == before
    assert diff(new, new) == {}


def test_every_table_of_the_live_state_has_a_key() -> None:
    state = msgspec.to_builtins(scenes.busy())
    tables = {name for name, value in state.items() if isinstance(value, list | tuple)}
    assert tables - {"pause_reasons"} == set(KEYS)
    for name, key in KEYS.items():
        assert all(key in row for row in state[name])


def hub(live: Live) -> LiveHub:
    one = LiveHub(lambda _live, _now: {})
    one.on_up()
    one.on_live(live)
    return one


def follow(one: LiveHub, had: int | None, state: Any) -> tuple[int, Any, int]:
    """What a page makes of the next text: its number, the state, the text's length."""
    text = one.text(had)
    message = json.loads(text)
    if message["type"] == "live":
        return message["seq"], message["live"], len(text)
    assert message["since"] == had
    return message["seq"], apply(state, message.get("live", {})), len(text)


def test_pages_that_skip_states_end_up_with_the_newest() -> None:
    one = hub(scenes.quiet())
    pages: list[tuple[int | None, Any]] = [(None, None)] * 4
    for step in range(60):
        one.on_live(scenes.busy() if step % 3 else scenes.quiet())
        for index in range(4):
            # The slower ones look only now and then.
            if step % (index + 1) == 0:
                had, state = pages[index]
                number, state, _ = follow(one, had, state)
                pages[index] = (number, state)
                assert state == json.loads(msgspec.json.encode(one.live))


def test_a_small_change_is_a_small_text() -> None:
    live = scenes.busy()
    one = hub(live)
    had, state, whole = follow(one, None, None)
    one.on_live(scenes.with_agent(live, "ana", phase="not_ready", reason="Break"))
    _, _, small = follow(one, had, state)
    assert small < whole / 8


def test_a_page_that_was_away_too_long_gets_the_whole_state() -> None:
    one = hub(scenes.quiet())
    had, _, _ = follow(one, None, None)
    for _ in range(KEPT + 1):
        one.publish()
        one.text(None)
    assert json.loads(one.text(had))["type"] == "live"
    assert json.loads(one.text(10**9))["type"] == "live"
