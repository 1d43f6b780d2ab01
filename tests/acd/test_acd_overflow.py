"""Overflow by time, by length and when nobody is ready."""

from __future__ import annotations

from appliance.acd.actions import Leave
from appliance.acd.events import Enter, QueuesChanged, Reachable, SetState
from tests.acd.acd_office import Office, only, queue

TO = "queue:support"


def shop(**rules: object) -> Office:
    office = Office({"sales": queue("a", "b", overflow_to=TO, **rules)}, ("a", "b"))
    office.sign_in("a", "b")
    return office


def busy(office: Office) -> None:
    for entry, agent in (("t1", "a"), ("t2", "b")):
        office.enter(entry)
        office.answer(agent)


def test_overflow_by_time() -> None:
    office = shop(overflow_after_s=30)
    busy(office)
    office.enter("e1")
    assert not only(office.advance(29_999), Leave)
    assert only(office.advance(1), Leave) == [Leave("e1", "call-e1", "sales", "overflow", TO)]
    assert office.outcome("e1") == "overflow"


def test_overflow_by_length_sends_the_newcomer_on_and_nobody_else() -> None:
    office = shop(overflow_waiting=2)
    busy(office)
    office.enter("e1")
    office.enter("e2")
    office.enter("e3")
    assert office.outcome("e3") == "overflow"
    assert office.waiting() == ["e1", "e2"]


def test_overflow_when_nobody_is_ready() -> None:
    office = shop(overflow_unready=True)
    busy(office)
    office.enter("e1")
    assert office.waiting() == ["e1"], "who is ready and in a call will be back"
    office.do(SetState("a", "not_ready", "Lunch"))
    office.do(SetState("b", "not_ready", "Lunch"))
    office.finish("a")
    assert office.waiting() == ["e1"]
    office.finish("b")
    assert office.outcome("e1") == "overflow"
    office.enter("e2")
    assert office.outcome("e2") == "overflow"


def test_who_cannot_be_reached_is_not_ready() -> None:
    office = shop(overflow_unready=True)
    office.do(Reachable("a", False))
    office.do(Reachable("b", False))
    office.enter("e1")
    assert office.outcome("e1") == "overflow"


def test_overflow_goes_before_nobody_signed_in() -> None:
    office = Office({"sales": queue("a", overflow_to=TO, overflow_unready=True)}, ("a",))
    office.enter("e1")
    assert office.outcome("e1") == "overflow"


def test_a_caller_who_is_being_connected_does_not_overflow() -> None:
    office = shop(overflow_after_s=30)
    office.enter("e1")
    office.now += 29_000
    office.tick()
    agent = next(iter(office.rung()))
    office.accept(agent)
    office.now += 2_000
    office.tick()
    assert office.outcome("e1") is None


def test_an_overflow_that_is_set_later_holds_for_those_who_wait() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.enter("e1")
    office.now += 60_000
    rules = queue("a", overflow_to="phone:202", overflow_after_s=45)
    out = office.do(QueuesChanged({"sales": rules}, ("a",)))
    assert only(out, Leave) == [Leave("e1", "call-e1", "sales", "overflow", "phone:202")]


def test_who_came_back_from_an_overflow_in_vain_stays() -> None:
    rules = queue(
        "a",
        overflow_to="queue:more",
        overflow_after_s=20,
        overflow_waiting=1,
        overflow_unready=True,
        max_wait_s=60,
    )
    office = Office({"sales": rules}, ("a",))
    office.do(SetState("a", "not_ready"))
    office.do(Enter("c1", "e1", "sales", overflow=False))
    office.do(SetState("a", "offline"))
    office.do(QueuesChanged({"sales": rules}, ("a",)))
    assert office.outcome("e1") == "no_agent", "nobody is left to wait for"
    office.do(SetState("a", "not_ready"))
    office.do(Enter("c2", "e2", "sales", overflow=False))
    office.advance(59_999)
    assert office.waiting() == ["e2"]
    office.advance(1)
    assert office.outcome("e2") == "timeout"
