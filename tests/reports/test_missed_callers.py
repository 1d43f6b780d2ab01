"""The list of missed callers: one row each, cleared by whoever reaches them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import events as e
from appliance.reports.missed import KEEP_MS, Missed, MissedCaller, missed_callers, same_digits

T = 1_700_000_000_000
NUMBER = "+40721000111"


def came(call: str, at: int = T, number: str | None = NUMBER, **more: Any) -> e.Fact:
    return e.CallOpened(at=at, call=call, direction="in", door="line:one", caller=number, **more)


def waited(call: str, at: int = T, reason: e.LeaveReason = "abandoned") -> list[e.Fact]:
    return [
        e.QEnter(at=at, call=call, entry="e" + call, queue="sales", caller=NUMBER),
        e.QLeave(at=at + 9000, call=call, entry="e" + call, queue="sales", reason=reason),
    ]


def over(call: str, at: int = T + 10_000, cause: str = "abandoned") -> e.Fact:
    return e.Disconnect(at=at, call=call, side="caller", cause=cause)


def missed_call(call: str, at: int = T, number: str = NUMBER) -> list[e.Fact]:
    return [came(call, at, number), *waited(call, at), over(call, at + 10_000)]


def answered(call: str, at: int) -> list[e.Fact]:
    return [
        came(call, at),
        e.QEnter(at=at, call=call, entry="e" + call, queue="sales", caller=NUMBER),
        e.Connect(at=at + 5, call=call, entry="e" + call, queue="sales", agent="ana"),
        over(call, at + 9000, "normal"),
    ]


def called_out(call: str, number: str, reached: bool) -> list[e.Fact]:
    facts: list[e.Fact] = [
        e.CallOpened(at=T + 50_000, call=call, direction="out", door="agent:ana", called=number)
    ]
    if reached:
        facts.append(e.Bridged(at=T + 55_000, call=call, a="agent:ana", b="line:one"))
    return [*facts, over(call, T + 60_000)]


def rows(*facts: e.Fact) -> tuple[MissedCaller, ...]:
    return missed_callers(facts, T + 100_000)


def test_a_caller_whom_nobody_spoke_with_is_on_the_list() -> None:
    (row,) = rows(*missed_call("c1"))
    assert (row.number, row.times, row.queue, row.reason) == (NUMBER, 1, "sales", "abandoned")
    assert (row.first_at, row.last_at, row.call) == (T, T, "c1")


def test_one_caller_is_one_row_however_often_and_however_written() -> None:
    facts = [*missed_call("c1"), *missed_call("c2", T + 20_000, "0721000111")]
    (row,) = rows(*facts)
    assert (row.times, row.first_at, row.last_at, row.number) == (2, T, T + 20_000, "0721000111")


def test_missed_by_the_team_is_not_missed_by_each_phone() -> None:
    """Three phones rang, two in vain: the third one answered."""
    facts = answered("c1", T)
    rung = [
        e.Offer(at=T, call="c1", entry="ec1", queue="sales", offer=f"o{n}", agent=f"a{n}")
        for n in range(2)
    ]
    assert rows(*facts[:2], *rung, *facts[2:]) == ()


def test_an_answered_later_call_clears_the_row() -> None:
    assert rows(*missed_call("c1"), *answered("c2", T + 30_000)) == ()


@pytest.mark.parametrize("number", [NUMBER, "0721000111", "0040721000111"])
def test_a_call_out_that_reaches_them_clears_the_row(number: str) -> None:
    assert rows(*missed_call("c1"), *called_out("c2", number, reached=True)) == ()


def test_a_call_out_in_vain_does_not() -> None:
    assert len(rows(*missed_call("c1"), *called_out("c2", NUMBER, reached=False))) == 1


def test_who_is_missed_again_after_that_comes_back_with_a_new_count() -> None:
    facts = [*missed_call("c1"), *answered("c2", T + 20_000), *missed_call("c3", T + 40_000)]
    (row,) = rows(*facts)
    assert (row.times, row.first_at) == (1, T + 40_000)


def test_a_second_line_of_somebody_who_is_spoken_with_is_not_missed() -> None:
    facts = [came("c1"), *waited("c1"), *answered("c2", T + 5000)[:3], over("c1")]
    assert rows(*facts) == ()


def test_who_only_listened_to_the_menu_was_not_missed() -> None:
    menu = [
        e.IvrIn(at=T, call="c1", menu="main"),
        e.IvrOut(at=T + 1000, call="c1", menu="main", result="abandoned"),
    ]
    assert rows(came("c1"), *menu, over("c1")) == ()
    menu[1] = e.IvrOut(at=T + 1000, call="c1", menu="main", result="phone", target="101")
    assert len(rows(came("c1"), *menu, over("c1", cause="no_answer"))) == 1


def test_a_call_to_a_phone_that_nobody_answers_is_missed() -> None:
    (row,) = rows(came("c1"), over("c1", cause="no_answer"))
    assert (row.queue, row.reason) == (None, "no_answer")


def test_a_withheld_number_cannot_be_called_and_is_not_listed() -> None:
    assert rows(came("c1", number=None), *waited("c1"), over("c1")) == ()


def test_a_number_that_comes_after_the_first_ring_counts() -> None:
    known = e.CallerKnown(at=T + 1, call="c1", caller=NUMBER, caller_name="Radu")
    (row,) = rows(came("c1", number=None), known, *waited("c1"), over("c1"))
    assert (row.number, row.name) == (NUMBER, "Radu")


def test_who_is_to_be_called_back_is_listed_only_when_that_ends_in_vain() -> None:
    asked = [
        came("c1"),
        e.CallbackRequested(at=T, callback="cb", queue="sales", number=NUMBER, since=T, call="c1"),
        *waited("c1", reason="callback_requested"),
        over("c1"),
    ]
    assert rows(*asked) == ()
    ended = e.CallbackEnded(at=T + 20_000, callback="cb", result="unreachable")
    (row,) = rows(*asked, ended)
    assert (row.reason, row.queue, row.last_at) == ("unreachable", "sales", T)
    assert rows(*asked, e.CallbackEnded(at=T + 1, callback="cb", result="connected")) == ()


def test_the_latest_caller_stands_first_and_old_ones_go() -> None:
    facts = [*missed_call("c1"), *missed_call("c2", T + 20_000, "+40722222222")]
    assert [row.number for row in rows(*facts)] == ["+40722222222", NUMBER]
    assert [r.number for r in missed_callers(facts, T + KEEP_MS + 1)] == ["+40722222222"]


def test_spellings() -> None:
    assert same_digits("+40 (721) 000-111") == same_digits("0721000111") == "721000111"
    assert same_digits("112") == "112"
    assert same_digits("anonymous") == ""


STORIES = st.lists(
    st.tuples(
        st.sampled_from(["missed", "answered", "out", "vain"]),
        st.sampled_from(["+40721000111", "0721000111", "+40722000222"]),
    ),
    max_size=12,
)


@given(STORIES)
def test_a_number_is_listed_exactly_when_nobody_spoke_with_it_since_it_was_missed(
    stories: list[tuple[str, str]],
) -> None:
    listed: dict[str, int] = {}
    missed = Missed()
    for index, (kind, number) in enumerate(stories):
        call, at, key = f"c{index}", T + index * 60_000, same_digits(number)
        facts: list[e.Fact]
        if kind == "missed":
            facts = missed_call(call, at, number)
            listed[key] = listed.get(key, 0) + 1
        elif kind == "answered":
            facts = [came(call, at, number), *answered(call, at)[1:]]
            listed.pop(key, None)
        else:
            facts = called_out(call, number, reached=kind == "out")
            if kind == "out":
                listed.pop(key, None)
        for fact in facts:
            missed.apply(fact)
    found = {same_digits(row.number): row.times for row in missed.rows(T + 10_000_000)}
    assert found == listed


def test_who_was_taken_care_of_otherwise_is_marked_until_missed_again() -> None:
    other = "+40721000222"
    note = e.MissedHandled(at=T + 20_000, number=NUMBER, agent="ana", note="wrote")
    facts = [*missed_call("c1", T + 1), *missed_call("c2", T, other), note]
    first, second = rows(*facts)
    assert (first.number, first.handled_by) == (other, None)
    assert (second.handled_by, second.handled_at, second.note) == ("ana", T + 20_000, "wrote")
    first, _ = rows(*facts, *missed_call("c3", T + 30_000))
    assert (first.number, first.handled_by, first.times) == (NUMBER, None, 2)


def test_who_waits_for_a_call_back_and_phones_in_in_vain_is_not_missed() -> None:
    wish = e.CallbackRequested(at=T, callback="cb", queue="sales", number=NUMBER, since=T)
    again = missed_call("c2", T + 20_000, "0721000111")
    assert rows(wish, *again) == ()
    end = e.CallbackEnded(at=T + 90_000, callback="cb", result="unreachable")
    (row,) = rows(wish, *again, end)
    assert row.reason == "unreachable"
