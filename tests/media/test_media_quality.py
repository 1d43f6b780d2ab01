"""The E-model against the recommendation, and what a leg's account makes of counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import emodel
from appliance.media.emodel import Connection, mos, rating
from appliance.media.quality import Counts, Far, Meter


def test_the_default_connection_has_the_rating_of_the_recommendation() -> None:
    """G.107 section 7.7: all parameters at their defaults."""
    assert rating() == pytest.approx(93.2, abs=0.05)
    assert mos(rating()) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "expected"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0)]
)
def test_ratings_become_opinions_as_in_table_b_1(r: float, expected: float) -> None:
    assert mos(r) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("robustness", "percent", "expected"),
    [
        (emodel.BPL_PLAIN, 1, 95 / 5.3),
        (emodel.BPL_PLAIN, 4.3, 47.5),
        (emodel.BPL_CONCEALED, 1, 95 / 26.1),
        (emodel.BPL_CONCEALED, 5, 475 / 30.1),
    ],
)
def test_loss_costs_what_the_appendix_of_g_113_says(
    robustness: float, percent: float, expected: float
) -> None:
    lossy = Connection(loss=percent / 100, robustness=robustness)
    assert rating() - rating(lossy) == pytest.approx(expected, abs=1e-9)


def test_bursts_cost_more_than_random_loss() -> None:
    random_loss = Connection(loss=0.05, robustness=emodel.BPL_CONCEALED)
    bursts = Connection(loss=0.05, robustness=emodel.BPL_CONCEALED, bursts=2.0)
    assert rating(random_loss) - rating(bursts) == pytest.approx(475 / 27.6 - 475 / 30.1)


def test_delay_is_free_to_100_ms_and_dear_beyond_200() -> None:
    """Idd of section 7.4.3 is 0 up to 100 ms; its curve has x = 1 at 200 ms, x = 2 at 400."""
    assert rating(Connection(delay_ms=100)) == rating()
    at_200 = 25 * (2 ** (1 / 6) - 3 * (1 + 3.0**-6) ** (1 / 6) + 2)
    at_400 = 25 * (65 ** (1 / 6) - 3 * (1 + (2 / 3) ** 6) ** (1 / 6) + 2)
    assert rating() - rating(Connection(delay_ms=200)) == pytest.approx(at_200)
    assert rating() - rating(Connection(delay_ms=400)) == pytest.approx(at_400)


def test_echo_without_a_canceller_is_worse_with_delay() -> None:
    near = rating(Connection(telr=45, echo_ms=20))
    far = rating(Connection(telr=45, echo_ms=100))
    assert rating() > near > far


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1, 2),
    st.floats(0, 1e6),
    st.sampled_from((emodel.BPL_PLAIN, emodel.BPL_CONCEALED)),
)
def test_an_opinion_is_always_one(
    delay: float, loss: float, bursts: float, robustness: float
) -> None:
    assert 1.0 <= emodel.score(delay, loss, bursts, robustness) <= 4.5


@given(st.floats(0, 1000), st.floats(0, 0.9), st.floats(0.001, 0.1))
def test_more_loss_never_sounds_better(delay: float, loss: float, more: float) -> None:
    assert emodel.score(delay, loss + more) <= emodel.score(delay, loss)


# --- a leg's account --------------------------------------------------------------------------


def test_a_clean_leg_is_good_and_says_so() -> None:
    meter = Meter(7, "rtp")
    meter.sample(1, Counts(500))
    quality = meter.report(2.04, 20.0, Far(500, 0.0, 1.0, 10.0), False)
    assert (quality.leg, quality.packets, quality.lost, quality.jitter_ms) == (7, 500, 0, 2.0)
    assert quality.mos > 4.3
    assert quality.far_mos is not None
    assert quality.far_mos > 4.3
    assert meter.report(2.0, 20.0, None, True).far_mos is None


def test_what_is_bad_now_shows_although_the_call_was_good_so_far() -> None:
    meter = Meter(7, "rtp")
    meter.sample(1, Counts(10_000))
    meter.report(0, 20, None, False)
    meter.sample(1, Counts(10_450, lost=50, gaps=25))
    now = meter.report(0, 20, None, False)
    assert now.mos > 4.0
    assert now.recent_mos < now.mos - 0.8


def test_a_new_stream_is_added_to_the_old_one() -> None:
    meter = Meter(7, "rtp")
    meter.sample(1, Counts(100, lost=10, late=2, concealed=5, gaps=3))
    meter.sample(2, Counts(50, lost=1, late=3, concealed=6, gaps=4))
    assert meter.total == Counts(150, lost=11, late=3, concealed=6, gaps=4)
    # The same source with its numbers begun anew.
    meter.sample(2, Counts(20, lost=0, late=3, concealed=6, gaps=4))
    assert meter.total == Counts(170, lost=11, late=3, concealed=6, gaps=4)
    # All new, as after a page was loaded again.
    meter.sample(3, Counts(5))
    assert meter.total == Counts(175, lost=11, late=3, concealed=6, gaps=4)


def test_packets_that_come_too_late_are_as_good_as_lost() -> None:
    late, lost = Meter(1, "rtp"), Meter(2, "rtp")
    late.sample(1, Counts(1000, late=50))
    lost.sample(1, Counts(950, lost=50, gaps=50))
    assert late.report(0, 20, None, True).mos == lost.report(0, 20, None, True).mos < 4


def test_a_line_is_judged_by_frames_that_were_not_there() -> None:
    meter = Meter(1, "line")
    meter.frames = 1000
    meter.sample(0, Counts(1000, concealed=30))
    assert meter.report(0, 20, None, True).mos < 4.2


def test_what_the_phone_says_of_itself_comes_first() -> None:
    meter = Meter(1, "rtp")
    assert meter.report(0, 20, Far(10, 0.0, 0.0, mos=2.9), True).far_mos == 2.9


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 10**6),
            st.integers(-100, 10**6),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
        ),
        max_size=20,
    ),
    st.floats(-1e9, 1e9),
)
def test_no_counts_make_an_account_that_is_none(
    samples: list[tuple[int, int, int, int, int, int]], jitter: float
) -> None:
    meter = Meter(1, "rtp")
    for stream, *counts in samples:
        meter.sample(stream, Counts(*counts))
        quality = meter.report(jitter, -jitter, Far(1, 2.0, jitter, jitter), False)
        assert 1 <= quality.mos <= 4.5
        assert 1 <= quality.recent_mos <= 4.5
