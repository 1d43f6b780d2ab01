"""The published vectors of the figures, and each rule that removes doubt."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.events import LEAVE_REASONS, LineBusy, LineSeized
from appliance.ledger.projection import Entry
from appliance.reports import kpi
from appliance.reports.kpi import QueueRules, figures

_ids = count()


def entry(wait_s: float | None, reason: str | None = "answered", **more: object) -> Entry:
    """An entry that waited so long, entered at 0; answered ones talk for 60 s and wrap for 10."""
    number = next(_ids)
    end = None if wait_s is None else round(wait_s * 1000)
    values: dict[str, object] = {
        "entry": f"e{number}",
        "call": f"c{number}",
        "queue": "q",
        "caller": None,
        "priority": 0,
        "parent": None,
        "enter_at": 0,
        "leave_at": end,
        "reason": reason if end is not None else None,
    }
    if reason == "answered" and end is not None:
        values |= {
            "connect_at": end,
            "agent": "ana",
            "part_end_at": end + 60_000,
            "wrap_end_at": end + 70_000,
            "hold_ms": 0,
        }
    return Entry(**(values | more))  # type: ignore[arg-type]


def percent(rate: float | None) -> str:
    assert rate is not None
    return f"{100 * rate:.2f}"


THOUSAND = (
    [entry(10)] * 860
    + [entry(30)] * 140
    + [entry(4, "abandoned")] * 10
    + [entry(15, "abandoned")] * 10
    + [entry(40, "abandoned")] * 40
)
FOUR_HUNDRED = (
    [entry(20)] * 200
    + [entry(21)] * 100
    + [entry(10, "abandoned")] * 50
    + [entry(11, "abandoned")] * 50
)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (kpi.SL_POS(THOUSAND, 20_000), "83.02"),
        (kpi.SL_ANS(THOUSAND, 20_000), "86.00"),
        (kpi.SL_ALL(THOUSAND, 20_000), "81.13"),
        (kpi.SL_NOAB(THOUSAND, 20_000), "82.69"),
        (kpi.SL_CREDIT(THOUSAND, 20_000, 5_000), "82.08"),
        (kpi.SL_SHORT(THOUSAND, 20_000, 5_000), "81.90"),
    ],
    ids=["POS", "ANS", "ALL", "NOAB", "CREDIT", "SHORT"],
)
def test_a_thousand_answered_and_sixty_abandoned(rate: float | None, expected: str) -> None:
    assert percent(rate) == expected


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (kpi.SL_SHORT(FOUR_HUNDRED, 20_000, 10_000), "57.14"),
        (kpi.SL_ALL(FOUR_HUNDRED, 20_000), "50.00"),
        (kpi.SL_ANS(FOUR_HUNDRED, 20_000), "66.67"),
    ],
    ids=["SHORT", "ALL", "ANS"],
)
def test_four_hundred_offered(rate: float | None, expected: str) -> None:
    assert percent(rate) == expected


def test_within_t_includes_t_to_the_millisecond() -> None:
    assert kpi.answered_within([entry(20)], 20_000) == 1
    assert kpi.answered_within([entry(20.001)], 20_000) == 0
    assert kpi.short_abandons([entry(5, "abandoned")], 5_000) == 1
    assert kpi.short_abandons([entry(5.001, "abandoned")], 5_000) == 0


def test_without_entries_no_rate_and_no_average_has_a_value() -> None:
    empty = figures([], QueueRules(), 0)
    assert empty.offered == 0
    for name in ("abandon_rate", "sl_all", "sl_short", "asa_ms", "awt_ms", "max_wait_ms"):
        assert getattr(empty, name) is None
    for name in ("p90_wait_ms", "att_ms", "hold_ms", "acw_ms", "aht_ms", "transfer_rate"):
        assert getattr(empty, name) is None
    assert kpi.SL_EVENT([], 1, 0, 9, 9) is None
    for level in (kpi.SL_ALL, kpi.SL_ANS, kpi.SL_NOAB, kpi.SL_POS):
        assert level([], 1) is None
    for level in (kpi.SL_SHORT, kpi.SL_CREDIT, kpi.SL_FLOW):
        assert level([], 1, 1) is None
    assert kpi.blocked_rate([], []) is None


def test_timeouts_no_agent_and_key_exits_are_no_abandons() -> None:
    entries = [entry(30, reason) for reason in ("timeout", "no_agent", "key_exit", "abandoned")]
    assert kpi.abandoned(entries) == 1
    assert kpi.abandon_rate(entries, 5_000) == 1 / 4


def test_short_abandons_and_closed_leave_the_abandon_rate() -> None:
    entries = [
        entry(3, "abandoned"),
        entry(9, "abandoned"),
        entry(0, "closed"),
        entry(0, "full"),
        entry(2),
    ]
    assert kpi.offered(entries) == 5
    assert kpi.abandon_rate(entries, 5_000) == 1 / 3


def test_a_requested_call_back_is_neither_answered_nor_abandoned() -> None:
    entries = [entry(9, "callback_requested"), entry(9)]
    assert (kpi.answered(entries), kpi.abandoned(entries)) == (1, 0)
    assert kpi.SL_ALL(entries, 20_000) == 1.0


def test_what_leaves_sideways_counts_in_sl_flow_alone() -> None:
    entries = [entry(5), entry(60, "timeout"), entry(60, "overflow"), entry(2, "abandoned")]
    assert kpi.SL_SHORT(entries, 20_000, 5_000) == 1.0
    assert kpi.SL_FLOW(entries, 20_000, 5_000) == 1 / 3


def test_sl_event_counts_a_wait_that_crosses_t_while_it_lasts() -> None:
    entries = [entry(None), entry(5), entry(50, "timeout")]
    assert kpi.SL_EVENT(entries, 20_000, 0, 60_000, 10_000) == 1.0
    assert kpi.SL_EVENT(entries, 20_000, 0, 60_000, 20_000) == 1 / 2
    assert kpi.SL_EVENT(entries, 20_000, 0, 60_000, 20_001) == 1 / 3
    assert kpi.SL_EVENT(entries, 20_000, 20_000, 60_000, 59_000) == 0.0
    assert kpi.SL_EVENT(entries, 20_000, 21_000, 60_000, 59_000) is None


def test_sl_event_counts_an_entry_once_an_interval() -> None:
    late = [entry(30)]
    assert kpi.SL_EVENT([*late, entry(1)], 20_000, 0, 60_000, 60_000) == 1 / 2


def test_asa_counts_zero_waits_and_no_abandons() -> None:
    assert kpi.ASA([entry(0), entry(10), entry(99, "abandoned")]) == 5_000


def test_awt_and_the_longest_and_90_percent_wait_are_over_all_that_waited() -> None:
    entries = [entry(n, "abandoned" if n % 2 else "answered") for n in range(1, 11)]
    entries += [entry(0, "full"), entry(0, "closed")]
    assert kpi.AWT(entries) == 5_500
    assert kpi.max_wait(entries) == 10_000
    assert kpi.p90_wait(entries) == 9_000
    assert kpi.p90_wait(entries[:1]) == 1_000


def test_callers_still_waiting_count_in_the_live_longest_wait_only() -> None:
    entries = [entry(10), entry(None)]
    assert kpi.max_wait(entries, 45_000) == 45_000
    assert kpi.max_wait(entries) == 10_000
    assert kpi.AWT(entries) == 10_000
    assert figures(entries, QueueRules(), 45_000).waiting == 1


def test_talk_hold_and_wrap_up_add_up_to_the_handling_time() -> None:
    entries = [entry(5, hold_ms=20_000), entry(5)]
    assert kpi.ATT(entries) == 50_000
    assert kpi.hold_time(entries) == 10_000
    assert kpi.ACW(entries) == 10_000
    assert kpi.AHT(entries) == 70_000


def test_a_running_conversation_is_in_neither_side_of_the_handling_time() -> None:
    talking = entry(5, part_end_at=None, wrap_end_at=None, hold_ms=None)
    wrapping = entry(5, part_end_at=35_000, wrap_end_at=None)
    assert kpi.AHT([entry(5), talking, wrapping]) == 70_000
    assert kpi.ATT([entry(5), talking, wrapping]) == 45_000
    assert kpi.ASA([entry(5), talking, wrapping]) == 5_000


def test_transfer_rate_is_over_answered_entries_and_split_by_mode() -> None:
    entries = [
        entry(1, transfers=("blind",)),
        entry(1, transfers=("queue", "queue")),
        entry(1),
        entry(1),
        entry(9, "abandoned"),
    ]
    assert kpi.transfer_rate(entries) == 1 / 2
    assert kpi.transfer_rate(entries, "queue") == 1 / 4
    assert kpi.transfer_rate(entries, "attended") == 0


def test_blocked_rate_counts_full_queues_and_busy_lines() -> None:
    lines = [
        LineSeized(at=1, call="c", line="1", direction="in"),
        LineSeized(at=1, call="d", line="1", direction="in"),
        LineSeized(at=1, call="x", line="1", direction="out"),
        LineBusy(at=2, line="1"),
        LineBusy(at=2, line="2"),
    ]
    assert kpi.offered_line(lines) == 4
    assert kpi.blocked_rate([entry(0, "full"), entry(5)], lines) == 3 / 4


REASONS = LEAVE_REASONS
ENTRIES = st.lists(
    st.builds(
        entry,
        st.none() | st.integers(0, 60_000).map(lambda ms: ms / 1000),
        st.sampled_from(REASONS),
    ),
    max_size=30,
)


@given(ENTRIES, st.integers(1, 60), st.integers(0, 20))
def test_every_entry_is_counted_in_exactly_one_outcome(
    entries: list[Entry], within_s: int, short_s: int
) -> None:
    f = figures(entries, QueueRules(within_s, short_s), 100_000)
    outcomes = (
        f.answered
        + f.abandoned
        + f.timeouts
        + f.no_agent
        + f.key_exits
        + f.callbacks
        + f.overflows
        + f.full
        + f.closed
        + f.failures
        + f.waiting
    )
    assert outcomes == f.offered == len(entries)


@given(ENTRIES, st.integers(1, 60), st.integers(0, 60))
def test_service_levels_keep_the_order_that_their_definitions_imply(
    entries: list[Entry], within_s: int, short_s: int
) -> None:
    t, s = within_s * 1000, min(short_s, within_s) * 1000
    sl_all, ans = kpi.SL_ALL(entries, t), kpi.SL_ANS(entries, t)
    noab, pos = kpi.SL_NOAB(entries, t), kpi.SL_POS(entries, t)
    short, credit = kpi.SL_SHORT(entries, t, s), kpi.SL_CREDIT(entries, t, s)
    flow = kpi.SL_FLOW(entries, t, s)
    given = [x for x in (sl_all, ans, noab, pos, short, credit, flow) if x is not None]
    assert all(0 <= x <= 1 for x in given)
    if sl_all is not None and ans is not None and noab is not None and short is not None:
        assert pos is not None
        assert credit is not None
        assert flow is not None
        assert sl_all <= short <= noab <= ans
        assert sl_all <= credit <= pos
        assert flow <= short


@given(ENTRIES, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_entries(entries: list[Entry], shuffle: object) -> None:
    mixed = list(entries)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert figures(mixed, QueueRules(), 10**6) == figures(entries, QueueRules(), 10**6)


@given(ENTRIES)
def test_handling_time_is_the_sum_of_its_parts(entries: list[Entry]) -> None:
    f = figures(entries, QueueRules(), 10**6)
    if f.aht_ms is not None and f.att_ms is not None:
        assert f.hold_ms is not None
        assert f.acw_ms is not None
        assert f.aht_ms == pytest.approx(f.att_ms + f.hold_ms + f.acw_ms)
