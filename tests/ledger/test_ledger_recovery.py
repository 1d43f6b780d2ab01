"""What was open at a crash is closed once, in a valid order, at the time the process last ran."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.events import (
    AgentState,
    CallOpened,
    Connect,
    Disconnect,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrOut,
    LineReleased,
    LineSeized,
    MessageDropped,
    MessageKept,
    MessageStarted,
    Offer,
    OfferEnd,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    SystemStarted,
    SystemStopped,
    WrapEnd,
    WrapStart,
)
from appliance.ledger.reader import Reader
from appliance.ledger.recovery import OpenState, missing_facts
from appliance.ledger.writer import Ledger
from tests.ledger.guarantees import broken
from tests.ledger.stories import office_day

E = {"call": "c", "entry": "e", "queue": "q"}


def state_after(facts: list[object]) -> OpenState:
    state = OpenState()
    for seq, fact in enumerate(facts, start=1):
        state.apply(seq, fact)  # type: ignore[arg-type]
    return state


def test_a_talking_call_is_closed_from_the_inside_out() -> None:
    open_call = [
        CallOpened(at=1, call="c", direction="in", door="line:1"),
        LineSeized(at=1, call="c", line="1", direction="in"),
        QEnter(at=2, **E),
        Connect(at=3, agent="ana", **E),
        QLeave(at=3, reason="answered", agent="ana", **E),
        RecordingStarted(at=3, call="c", recording="r", path="recordings/r.wav"),
        HoldOn(at=7, call="c", agent="ana", entry="e"),
    ]
    assert missing_facts(state_after(open_call), 99, {"r": 3500}) == [
        HoldOff(at=7, call="c", agent="ana", entry="e"),
        WrapStart(at=7, agent="ana", **E),
        WrapEnd(at=7, agent="ana", **E),
        RecordingEnded(at=7, call="c", recording="r", duration_ms=3500, reason="system_failure"),
        LineReleased(at=7, call="c", line="1"),
        Disconnect(at=7, call="c", side="system", cause="system_failure"),
    ]


def test_a_caller_in_a_menu_a_waiting_one_and_a_ringing_agent_are_closed() -> None:
    facts = [
        IvrIn(at=1, call="m", menu="main"),
        QEnter(at=2, **E),
        Offer(at=3, offer="o", agent="ana", **E),
    ]
    assert missing_facts(state_after(facts), 99) == [
        IvrOut(at=3, call="m", menu="main", result="system_failure"),
        OfferEnd(at=3, offer="o", agent="ana", result="system_failure", **E),
        QLeave(at=3, reason="system_failure", **E),
    ]


def test_a_connect_without_its_leave_becomes_an_answer_at_that_moment() -> None:
    facts = [QEnter(at=2, **E), Connect(at=5, agent="ana", **E), IvrIn(at=9, call="x", menu="m")]
    assert QLeave(at=5, reason="answered", agent="ana", **E) in missing_facts(
        state_after(facts), 99
    )


def test_signed_in_agents_are_signed_out() -> None:
    facts = [
        AgentState(at=1, agent="ana", state="ready"),
        AgentState(at=2, agent="bo", state="ready"),
        AgentState(at=3, agent="ana", state="not_ready", reason="Lunch"),
        AgentState(at=4, agent="bo", state="offline"),
    ]
    assert missing_facts(state_after(facts), 99) == [
        AgentState(at=4, agent="ana", state="offline", reason="system_failure")
    ]


@pytest.mark.parametrize(
    ("alive_at", "now", "closed_at"),
    [(0, 9_000, 50), (700, 9_000, 700), (9_999, 9_000, 9_000), (700, 10, 50)],
    ids=["never said", "said later", "clock went back a little", "clock lost its time"],
)
def test_things_end_when_the_process_was_last_known_to_run(
    alive_at: int, now: int, closed_at: int
) -> None:
    state = state_after([CallOpened(at=50, call="c", direction="in", door="line:1")])
    state.alive_at = alive_at
    assert [fact.at for fact in missing_facts(state, now)] == [closed_at]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_day_cut_anywhere_keeps_every_guarantee_once_closed(seed: int, share: float) -> None:
    day = office_day(seed, 6)
    cut = day[: int(share * len(day))]
    state = state_after(list(cut))
    whole = cut + missing_facts(state, 10**9)
    assert broken(whole) == []


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_closing_twice_closes_nothing_more(seed: int, share: float) -> None:
    day = office_day(seed, 6)
    cut = day[: int(share * len(day))]
    once = missing_facts(state_after(list(cut)), 10**9)
    assert missing_facts(state_after([*cut, *once]), 10**9) == []


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_reading_from_the_mark_on_finds_the_same_things(
    seed: int, share: float, early: float
) -> None:
    day = office_day(seed, 6)
    cut = day[: int(share * len(day))]
    whole = state_after(list(cut))
    before = state_after(list(cut[: int(early * len(cut))]))
    again = OpenState(last_at=whole.last_at)
    for seq, fact in enumerate(cut, start=1):
        if seq >= before.open_from():
            again.apply(seq, fact)
    assert missing_facts(again, 10**9) == missing_facts(whole, 10**9)


async def test_an_orderly_stop_is_a_clean_start_with_nothing_to_close(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path, 1, version="1.0")
    await ledger.append([*office_day(4, 5), SystemStopped(at=9_000_000)])
    await ledger.close()
    ledger = await Ledger.open(path, 9_000_500, version="1.1")
    assert ledger.recovered == ()
    assert await ledger.append([]) == ledger.last_seq
    await ledger.close()
    reader = Reader(path)
    assert reader.facts(reader.last_seq() - 1) == [
        (reader.last_seq(), SystemStarted(at=9_000_500, version="1.1", clean=True))
    ]
    reader.close()


async def test_recordings_are_measured_and_a_lost_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path, 1)
    facts = [
        RecordingStarted(at=2, call="c", recording=name, path=f"recordings/{name}.wav")
        for name in ("kept", "lost")
    ]
    await ledger.append(facts)
    await ledger.close()

    def repair(relative: str) -> int:
        if "lost" in relative:
            raise FileNotFoundError(relative)
        return 1234

    ledger = await Ledger.open(path, 10, repair=repair)
    await ledger.close()
    assert ledger.recovered == (
        RecordingEnded(at=2, call="c", recording="kept", duration_ms=1234, reason="system_failure"),
        RecordingEnded(at=2, call="c", recording="lost", duration_ms=0, reason="system_failure"),
    )


async def test_what_was_open_before_a_mark_is_still_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path, 1)
    await ledger.append([CallOpened(at=2, call="long", direction="in", door="line:1")])
    await ledger.append(office_day(5, 5, start=100))
    await ledger.alive(8_000_000)
    await ledger.append([CallOpened(at=8_000_100, call="new", direction="in", door="line:1")])
    await ledger.alive(8_000_200)
    await ledger.close()
    ledger = await Ledger.open(path, 9_000_000)
    await ledger.close()
    assert ledger.recovered == (
        Disconnect(at=8_000_200, call="long", side="system", cause="system_failure"),
        Disconnect(at=8_000_200, call="new", side="system", cause="system_failure"),
    )


async def test_the_clock_of_the_ledger_never_runs_back(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path, 1)
    await ledger.append([CallOpened(at=5_000, call="c", direction="in", door="line:1")])
    await ledger.close()
    ledger = await Ledger.open(path, 17)
    assert ledger.last_at == 5_000
    await ledger.close()
    reader = Reader(path)
    times = [fact.at for _, fact in reader.facts(0)]
    reader.close()
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("found_ms", "stopped_ms", "kept_ms"), [(9000, None, 9000), (900, None, 0), (0, 5000, 5000)]
)
def test_a_message_that_was_being_left_is_kept_if_it_is_long_enough(
    found_ms: int, stopped_ms: int | None, kept_ms: int
) -> None:
    ids = {"call": "c", "recording": "c-1", "path": "recordings/2026-11-25/c-1.wav"}
    facts: list[object] = [
        CallOpened(at=1000, call="c", direction="in", door="line:l1", caller="0721"),
        RecordingStarted(at=2000, **ids),
        MessageStarted(at=2000, message="m", box="ana", least_ms=2000, caller="0721", **ids),
    ]
    if stopped_ms is not None:
        facts.append(
            RecordingEnded(
                at=7000, call="c", recording="c-1", duration_ms=stopped_ms, reason="done"
            )
        )
    state = OpenState()
    for seq, fact in enumerate(facts, start=1):
        state.apply(seq, fact)  # type: ignore[arg-type]
    durations = {} if stopped_ms is not None else {"c-1": found_ms}
    closing = missing_facts(state, 60_000, durations)
    if kept_ms:
        (kept,) = [fact for fact in closing if isinstance(fact, MessageKept)]
        assert (kept.duration_ms, kept.box, kept.caller) == (kept_ms, "ana", "0721")
    else:
        (dropped,) = [fact for fact in closing if isinstance(fact, MessageDropped)]
        assert dropped.reason == "system_failure"
    assert isinstance(closing[-1], Disconnect)
