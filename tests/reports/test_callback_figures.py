"""What became of call-backs: one row each, and the wait from the request to the connect."""

from __future__ import annotations

from appliance import events as e
from appliance.ledger.projection import project_entry
from appliance.reports.callbacks import callback_figures, callback_rows
from appliance.reports.kpi import ASA, SL_ALL

S = 1000


def asked(name: str, at: int) -> e.Fact:
    return e.CallbackRequested(at=at, callback=name, queue="sales", number="+40", since=at - 60 * S)


def dialled(name: str, at: int, attempt: int, asked_at: int) -> e.Fact:
    return e.CallbackDialled(
        at=at,
        callback=name,
        queue="sales",
        call=f"{name}-c{attempt}",
        entry=f"{name}-e{attempt}",
        attempt=attempt,
        agent="ana",
        asked_at=asked_at,
    )


def missed(name: str, at: int, attempt: int) -> e.Fact:
    return e.CallbackMissed(
        at=at, callback=name, call=f"{name}-c{attempt}", attempt=attempt, cause="busy"
    )


def connect(name: str, at: int, attempt: int) -> list[e.Fact]:
    ids = {"call": f"{name}-c{attempt}", "entry": f"{name}-e{attempt}", "queue": "sales"}
    return [
        e.QEnter(at=at - 4 * S, **ids),
        e.Connect(at=at, agent="bo", **ids),
        e.QLeave(at=at, reason="answered", agent="bo", **ids),
        e.CallbackEnded(at=at, callback=name, result="connected", agent="bo"),
    ]


STORY = [
    asked("a", 100 * S),
    dialled("a", 200 * S, 1, 100 * S),
    asked("b", 210 * S),
    missed("a", 220 * S, 1),
    dialled("a", 520 * S, 2, 100 * S),
    *connect("a", 530 * S, 2),
    asked("c", 600 * S),
    e.CallbackEnded(at=700 * S, callback="c", result="unreachable"),
    asked("d", 610 * S),
    e.CallbackEnded(at=611 * S, callback="d", result="cancelled"),
    asked("f", 612 * S),
    e.CallbackEnded(at=620 * S, callback="f", result="reached"),
]


def test_each_request_has_one_row_with_what_became_of_it() -> None:
    rows = {row.callback: row for row in callback_rows(STORY)}
    a = rows["a"]
    assert (a.tries, a.cause, a.result, a.agent, a.wait_ms) == (
        2,
        "busy",
        "connected",
        "bo",
        430 * S,
    )
    assert (rows["b"].result, rows["b"].wait_ms) == (None, None)
    assert rows["f"].result == "reached"


def test_the_wait_runs_from_the_request_to_the_connect_over_all_tries() -> None:
    figures = callback_figures(callback_rows(STORY))
    assert (figures.requested, figures.connected, figures.reached) == (5, 1, 1)
    assert (figures.in_vain, figures.cancelled, figures.open) == (1, 1, 1)
    assert figures.callback_wait_ms == figures.callback_max_wait_ms == 430 * S
    assert figures.kept_rate == 2 / 3
    empty = callback_figures(())
    assert (empty.callback_wait_ms, empty.kept_rate) == (None, None)


def test_the_queues_own_figures_know_that_wait_too() -> None:
    entry = project_entry([f for f in STORY if getattr(f, "entry", "") == "a-e2"])
    assert entry is not None
    assert (entry.enter_at, entry.wait_ms) == (526 * S, 430 * S)
    assert ASA([entry]) == 430 * S
    assert SL_ALL([entry], 20 * S) == 0


def test_a_ledger_from_before_knows_only_the_wait_on_the_phone() -> None:
    story = [f for f in STORY if getattr(f, "entry", "") == "a-e2"]
    entry = project_entry([f for f in story if not isinstance(f, e.CallbackDialled)])
    assert entry is not None
    assert entry.wait_ms == 4 * S
