"""Erlang B, C and A against published vectors and against each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.reports.erlang import (
    erlang_a,
    erlang_b,
    erlang_b_traffic,
    erlang_c,
    erlang_c_wait,
    lines_needed,
)

HUNDRED_IN_HALF_AN_HOUR = 100 / 1800


def test_erlang_b_of_one_and_two_servers() -> None:
    assert erlang_b(0, 1) == 1
    assert erlang_b(1, 1) == 0.5
    assert erlang_b(2, 1) == pytest.approx(0.2, abs=1e-15)


def test_fifteen_lines_at_one_percent_blocking_carry_8_108_erlang() -> None:
    assert round(erlang_b_traffic(15, 0.01), 3) == 8.108
    assert lines_needed(8.108, 0.01) == 15
    assert lines_needed(8.109, 0.01) == 16


def test_erlang_c_of_a_hundred_calls_in_half_an_hour() -> None:
    staffing = erlang_c(14, HUNDRED_IN_HALF_AN_HOUR, 180, 20)
    assert staffing is not None
    assert f"{staffing.service_level:.8f}" == "0.88835002"
    assert f"{staffing.p_wait:.8f}" == "0.17413193"
    assert f"{staffing.occupancy:.6f}" == "0.714286"
    assert f"{staffing.asa_s:.3f}" == "7.836"


def test_erlang_a_of_the_same_with_five_minutes_of_patience() -> None:
    staffing = erlang_a(14, HUNDRED_IN_HALF_AN_HOUR, 180, 300, 20)
    assert f"{staffing.p_wait:.5f}" == "0.14526"
    assert f"{staffing.p_abandon:.6f}" == "0.013984"
    assert f"{staffing.service_level:.6f}" == "0.916792"


def test_too_few_agents_have_no_answer_in_c_and_one_in_a() -> None:
    assert erlang_c(10, HUNDRED_IN_HALF_AN_HOUR, 180, 20) is None
    assert erlang_c_wait(10, 10) == 1.0
    assert 0 < erlang_a(5, HUNDRED_IN_HALF_AN_HOUR, 180, 60, 20).service_level < 1


def test_endless_patience_turns_a_into_c() -> None:
    a = erlang_a(14, HUNDRED_IN_HALF_AN_HOUR, 180, 1e8, 20)
    c = erlang_c(14, HUNDRED_IN_HALF_AN_HOUR, 180, 20)
    assert c is not None
    assert a.p_wait == pytest.approx(c.p_wait, abs=1e-6)
    assert a.service_level == pytest.approx(c.service_level, abs=1e-6)


@given(
    st.integers(1, 30),
    st.floats(0.001, 0.5),
    st.floats(10, 600),
    st.floats(5, 3600),
)
def test_erlang_a_agrees_with_the_stationary_chain(
    agents: int, per_s: float, aht_s: float, patience_s: float
) -> None:
    """Birth and death of callers in the system: another way to the same probabilities."""
    weights = [1.0]
    for n in range(1, 5_000):
        death = min(n, agents) / aht_s + max(0, n - agents) / patience_s
        weights.append(weights[-1] * per_s / death)
        if weights[-1] > 1e200:
            weights = [w / 1e200 for w in weights]
        if n > agents and weights[-1] < 1e-18 * max(weights):
            break
    whole = sum(weights)
    p_wait = sum(weights[agents:]) / whole
    queue = sum((n - agents) * w for n, w in enumerate(weights) if n > agents) / whole
    staffing = erlang_a(agents, per_s, aht_s, patience_s, 20)
    assert staffing.p_wait == pytest.approx(p_wait, abs=1e-6)
    assert staffing.p_abandon == pytest.approx(queue / patience_s / per_s, abs=1e-6)
    assert 0 <= staffing.occupancy <= 1 + 1e-9
    assert 0 <= staffing.service_level <= 1 - staffing.p_abandon + 1e-9


def test_many_agents_against_little_traffic_never_keep_a_caller_waiting() -> None:
    assert erlang_a(500, 1 / 180, 180, 300, 20).p_wait == 0.0


@pytest.mark.parametrize("values", [(-1, 1.0), (1, -1.0), (1, float("inf")), (1, float("nan"))])
def test_nonsense_is_refused(values: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="from 0 up"):
        erlang_b(*values)
