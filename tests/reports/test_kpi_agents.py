"""Agents' time: every instant is one thing, and occupancy stays within one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.events import AgentState
from appliance.ledger.projection import Entry
from appliance.reports.agents import AgentTime, agent_times, occupancy


def handled(start: int, end: int | None, agent: str = "ana") -> Entry:
    return Entry(
        entry=f"e{start}",
        call="c",
        queue="q",
        caller=None,
        priority=0,
        parent=None,
        enter_at=start - 5,
        connect_at=start,
        leave_at=start,
        reason="answered",
        agent=agent,
        part_end_at=end,
        wrap_end_at=end,
        hold_ms=0,
    )


def state(at: int, name: str) -> AgentState:
    return AgentState(at=at, agent="ana", state=name)  # type: ignore[arg-type]


def test_time_is_cut_at_the_borders_of_the_interval() -> None:
    states = [
        state(0, "ready"),
        state(150, "not_ready"),
        state(180, "ready"),
        state(500, "offline"),
    ]
    assert agent_times([handled(50, 120)], states, 100, 200, 1_000) == [
        AgentTime(agent="ana", handling_ms=20, idle_ms=50, not_ready_ms=30)
    ]


def test_occupancy_is_handling_over_the_time_that_the_agent_was_not_away() -> None:
    time = AgentTime(agent="ana", handling_ms=30, idle_ms=10, not_ready_ms=60)
    assert occupancy(time) == 30 / 40
    assert occupancy(AgentTime(agent="ana", handling_ms=0, idle_ms=0, not_ready_ms=60)) is None


def test_a_pause_chosen_during_a_call_begins_after_its_wrap_up() -> None:
    states = [state(0, "ready"), state(40, "not_ready")]
    assert agent_times([handled(20, 60)], states, 0, 100, 100) == [
        AgentTime(agent="ana", handling_ms=40, idle_ms=20, not_ready_ms=40)
    ]


def test_what_goes_on_counts_up_to_now() -> None:
    assert agent_times([handled(20, None)], [state(0, "ready")], 0, 1_000, 50) == [
        AgentTime(agent="ana", handling_ms=30, idle_ms=20, not_ready_ms=0)
    ]


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 300)), max_size=8),
    st.lists(
        st.tuples(st.integers(0, 900), st.sampled_from(["ready", "not_ready", "offline"])),
        max_size=8,
    ),
    st.integers(0, 900),
    st.integers(1, 500),
)
def test_occupancy_never_exceeds_one_and_time_never_the_interval(
    calls: list[tuple[int, int]], states: list[tuple[int, str]], since: int, length: int
) -> None:
    chosen = [state(at, name) for at, name in sorted(states, key=lambda one: one[0])]
    entries = [handled(start, start + lasting) for start, lasting in calls]
    for time in agent_times(entries, chosen, since, since + length, 2_000):
        assert time.logged_in_ms <= length
        rate = occupancy(time)
        assert rate is None or 0 <= rate <= 1
