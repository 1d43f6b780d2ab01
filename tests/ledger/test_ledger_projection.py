"""Rows of calls and entries: what the facts say, however they are read."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from appliance.events import (
    Answered,
    Bridged,
    CallerKnown,
    CallOpened,
    Connect,
    Disconnect,
    HoldOff,
    HoldOn,
    IvrIn,
    IvrKey,
    IvrOut,
    LegQuality,
    Offer,
    OfferEnd,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    Transfer,
    WrapEnd,
    WrapStart,
)
from appliance.ledger.codec import Stored
from appliance.ledger.projection import (
    Entry,
    Projection,
    RecordingRow,
    Step,
    project_call,
    project_entry,
)
from tests.ledger.stories import office_day

E = {"call": "c", "entry": "e", "queue": "sales"}


def stored(*facts: object) -> list[Stored]:
    return [Stored(seq, fact) for seq, fact in enumerate(facts, start=1)]  # type: ignore[arg-type]


ANSWERED = (
    CallOpened(at=1_000, call="c", direction="in", door="line:1"),
    CallerKnown(at=3_000, call="c", caller="0722", caller_name="Ion"),
    Answered(at=3_100, call="c", party="line:1"),
    IvrIn(at=3_100, call="c", menu="main"),
    IvrKey(at=5_000, call="c", menu="main", key="5", valid=True),
    IvrOut(at=5_000, call="c", menu="main", result="queue", target="queue:sales"),
    QEnter(at=5_000, caller="0722", priority=2, **E),
    Offer(at=5_000, offer="o1", agent="ana", **E),
    OfferEnd(at=25_000, offer="o1", agent="ana", result="missed", **E),
    Offer(at=25_000, offer="o2", agent="bo", **E),
    OfferEnd(at=27_000, offer="o2", agent="bo", result="accepted", **E),
    Connect(at=27_300, agent="bo", **E),
    QLeave(at=27_300, reason="answered", agent="bo", **E),
    Bridged(at=27_300, call="c", a="line:1", b="agent:bo"),
    RecordingStarted(at=27_300, call="c", recording="r", path="recordings/r.wav", agent="bo"),
    HoldOn(at=40_000, call="c", agent="bo", entry="e"),
    HoldOff(at=50_000, call="c", agent="bo", entry="e"),
    HoldOn(at=50_000, call="c", agent="bo", entry="e"),
    HoldOff(at=52_000, call="c", agent="bo", entry="e"),
    RecordingEnded(at=87_300, call="c", recording="r", duration_ms=60_000, reason="done"),
    WrapStart(at=87_300, agent="bo", **E),
    Disconnect(at=87_300, call="c", side="caller", cause="normal"),
    WrapEnd(at=97_300, agent="bo", **E),
)


def test_an_answered_entry_has_its_wait_talk_hold_and_wrap_up() -> None:
    entry = project_entry(f for f in ANSWERED if getattr(f, "entry", None))
    assert entry == Entry(
        entry="e",
        call="c",
        queue="sales",
        caller="0722",
        priority=2,
        parent=None,
        enter_at=5_000,
        connect_at=27_300,
        leave_at=27_300,
        reason="answered",
        agent="bo",
        offers=2,
        part_end_at=87_300,
        wrap_end_at=97_300,
        hold_ms=12_000,
    )
    assert (entry.wait_ms, entry.talk_ms, entry.wrap_ms) == (22_300, 48_000, 10_000)


def test_a_call_tells_how_each_leg_sounded_and_why() -> None:
    def leg(party: str, door: str, **figures: object) -> LegQuality:
        values = {
            "packets": 950,
            "lost": 0,
            "late": 0,
            "concealed": 0,
            "jitter_ms": 2.0,
            "delay_ms": 20.0,
            "mos": 4.3,
            **figures,
        }
        return LegQuality(at=90_000, call="c", party=party, door=door, **values)  # type: ignore[arg-type]

    row = project_call(
        stored(
            *ANSWERED,
            leg("line:1", "line"),
            leg("agent:bo", "peer", lost=40, late=10, mos=2.2),
            leg("phone:201", "rtp", mos=4.2, far_mos=3.2, far_lost=0.03),
            leg("trunk:a", "rtp", mos=3.0, round_trip_ms=700.0),
            leg("trunk:b", "rtp", mos=3.0, jitter_ms=60.0),
        )
    )
    assert row is not None
    assert [(q.party, q.verdict, q.trouble) for q in row.quality] == [
        ("line:1", "good", None),
        ("agent:bo", "poor", "loss"),
        ("phone:201", "fair", "far_loss"),
        ("trunk:a", "poor", "delay"),
        ("trunk:b", "poor", "jitter"),
    ]
    assert row.quality[1].loss == round(50 / 990, 4)
    assert len(row.steps) == len(ANSWERED), "the journey is of people, not of packets"


def test_an_answered_call_tells_who_spoke_how_long_and_after_what_wait() -> None:
    row = project_call(stored(*ANSWERED))
    assert row is not None
    assert (row.seq, row.caller, row.caller_name) == (1, "0722", "Ion")
    assert (row.answered_at, row.ended_at, row.side, row.cause) == (
        27_300,
        87_300,
        "caller",
        "normal",
    )
    assert (row.queue, row.agent, row.wait_ms, row.talk_ms) == ("sales", "bo", 22_300, 60_000)
    assert row.outcome == "answered"
    assert row.recordings == (
        RecordingRow(
            recording="r",
            call="c",
            path="recordings/r.wav",
            started_at=27_300,
            agent="bo",
            duration_ms=60_000,
            reason="done",
        ),
    )
    assert row.steps[4] == Step(at=5_000, kind="ivr_key", who="menu:main", what="5")
    assert len(row.steps) == len(ANSWERED)


def test_a_running_conversation_has_no_durations_yet() -> None:
    entry = project_entry(ANSWERED[6:16])
    assert entry is not None
    assert (entry.wait_ms, entry.talk_ms, entry.hold_ms, entry.wrap_ms) == (
        22_300,
        None,
        None,
        None,
    )
    row = project_call(stored(*ANSWERED[:16]))
    assert row is not None
    assert (row.outcome, row.talk_ms, row.ended_at) == ("answered", None, None)


def test_a_transfer_to_a_queue_adds_both_waits_end_to_end() -> None:
    child = {"call": "c", "entry": "e2", "queue": "support"}
    row = project_call(
        stored(
            *ANSWERED[:20],
            Transfer(at=87_300, call="c", mode="queue", by="agent:bo", to="queue:support"),
            WrapStart(at=87_300, agent="bo", **E),
            QEnter(at=87_300, parent="e", **child),
            Connect(at=97_300, agent="ana", **child),
            QLeave(at=97_300, reason="answered", agent="ana", **child),
            WrapStart(at=100_300, agent="ana", **child),
            Disconnect(at=100_300, call="c", side="callee", cause="normal"),
        )
    )
    assert row is not None
    assert (row.queue, row.agent, row.wait_ms, row.talk_ms) == ("support", "ana", 32_300, 63_000)


def outcome(*facts: object) -> str:
    opened = CallOpened(at=0, call="c", direction="in", door="line:1")
    row = project_call(stored(opened, *facts))
    assert row is not None
    return row.outcome


def test_the_outcome_says_how_a_call_that_nobody_answered_ended() -> None:
    def end(side: str, cause: str) -> Disconnect:
        return Disconnect(at=9, call="c", side=side, cause=cause)  # type: ignore[arg-type]

    enter = QEnter(at=1, **E)
    assert outcome() == "open"
    assert outcome(end("caller", "normal")) == "abandoned"
    assert outcome(enter, QLeave(at=9, reason="abandoned", **E), end("caller", "normal")) == (
        "abandoned"
    )
    assert outcome(enter, QLeave(at=9, reason="timeout", **E), end("system", "normal")) == "timeout"
    assert outcome(end("callee", "busy")) == "busy"
    assert outcome(
        enter, QLeave(at=9, reason="system_failure", **E), end("system", "system_failure")
    ) == ("system_failure")


def test_a_menu_answers_no_call() -> None:
    row = project_call(stored(*ANSWERED[:5]))
    assert row is not None
    assert row.answered_at is None


def test_facts_of_an_entry_without_its_enter_make_no_row() -> None:
    assert project_entry(ANSWERED[7:13]) is None
    assert project_call(stored(*ANSWERED[1:])) is None


def as_stored(seed: int, calls: int = 8) -> list[Stored]:
    return [Stored(n, fact) for n, fact in enumerate(office_day(seed, calls), start=1)]


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), max_size=6))
def test_rows_kept_up_to_date_equal_rows_computed_at_once(seed: int, looks: list[float]) -> None:
    day = as_stored(seed)
    at_once = Projection()
    step_by_step = Projection()
    stops = {int(look * len(day)) for look in looks}
    for index, one in enumerate(day):
        at_once.apply(one)
        step_by_step.apply(one)
        if index in stops:  # asking in between must not freeze what comes later
            list(step_by_step.calls())
            list(step_by_step.entries())
    assert list(step_by_step.calls()) == list(at_once.calls())
    assert list(step_by_step.entries()) == list(at_once.entries())
    assert list(at_once.calls()) == [
        project_call([s for s in day if getattr(s.fact, "call", None) == row.call])
        for row in at_once.calls()
    ]


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_facts_of_the_same_moment_changes_no_entry(seed: int, shuffle: Random) -> None:
    day = office_day(seed, 8)
    ranks = {id(fact): shuffle.random() for fact in day}
    shuffled = sorted(day, key=lambda fact: (fact.at, ranks[id(fact)]))
    assert all(a.at <= b.at for a, b in pairwise(shuffled))

    def entries(facts: list[object]) -> dict[str, Entry]:
        projection = Projection()
        for seq, fact in enumerate(facts, start=1):
            projection.apply(Stored(seq, fact))  # type: ignore[arg-type]
        return {entry.entry: entry for entry in projection.entries()}

    assert entries(list(shuffled)) == entries(list(day))
