"""Growing delays of failed sign-ins, with simulated time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.web.attempts import (
    FORGET_MS,
    FREE_TRIES,
    FREE_TRIES_ADDRESS,
    LONGEST_DELAY_MS,
    MOST_KEYS,
    Attempts,
)

T0 = 1_000_000


def failures(count: int, person: str = "ana", address: str = "10.0.0.5") -> Attempts:
    attempts = Attempts()
    for _ in range(count):
        attempts.failed(person, address, T0)
    return attempts


def test_the_first_mistypes_cost_nothing() -> None:
    assert failures(FREE_TRIES - 1).wait_ms("ana", "10.0.0.5", T0) == 0


def test_each_further_failure_doubles_the_delay_up_to_a_minute() -> None:
    delays = [failures(FREE_TRIES + n).wait_ms("ana", "10.0.0.5", T0) for n in range(9)]
    assert delays[:4] == [1000, 2000, 4000, 8000]
    assert delays[-1] == LONGEST_DELAY_MS


def test_waiting_out_the_delay_lets_the_next_try_through() -> None:
    attempts = failures(FREE_TRIES)
    assert attempts.wait_ms("ana", "10.0.0.5", T0 + 400) == 600
    assert attempts.wait_ms("ana", "10.0.0.5", T0 + 1000) == 0


def test_a_stranger_elsewhere_does_not_delay_the_owner_of_the_account() -> None:
    assert failures(12, address="10.0.0.66").wait_ms("ana", "10.0.0.5", T0) == 0


def test_one_address_that_tries_many_accounts_is_slowed_down_for_all_of_them() -> None:
    attempts = Attempts()
    for n in range(FREE_TRIES_ADDRESS):
        attempts.failed(f"person{n}", "10.0.0.66", T0)
    assert attempts.wait_ms("somebody-new", "10.0.0.66", T0) > 0


def test_success_ends_the_account_s_own_count() -> None:
    attempts = failures(FREE_TRIES + 2)
    attempts.succeeded("ana", "10.0.0.5")
    assert attempts.wait_ms("ana", "10.0.0.5", T0) == 0


def test_a_quarter_of_an_hour_later_all_is_forgotten() -> None:
    attempts = failures(FREE_TRIES + 20)
    attempts.failed("ana", "10.0.0.5", T0 + FORGET_MS)
    assert attempts.wait_ms("ana", "10.0.0.5", T0 + FORGET_MS) == 0


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.integers(0, 10**7))))
def test_whatever_was_tried_the_delay_is_bounded(tries: list[tuple[str, str, int]]) -> None:
    attempts = Attempts()
    now = T0
    for person, address, later in tries:
        now += later
        attempts.failed(person, address, now)
        assert 0 <= attempts.wait_ms(person, address, now) <= LONGEST_DELAY_MS


def test_a_flood_of_names_does_not_grow_the_memory() -> None:
    attempts = Attempts()
    for n in range(2 * MOST_KEYS):
        attempts.failed(f"p{n}", f"a{n}", T0)
    assert len(attempts._counts) == MOST_KEYS
