"""Behaviours that the tests of Asterisk's app_queue hold, restated for these queues.

    behaviour there                        test here
    position_priority_maxlen               test_joins_with_priority_and_position
                                           test_acd_order::test_a_full_queue_sends_...
    wrapup_time, shared over queues        test_wrap_up_is_shared_by_all_queues (ours always is)
    wrapup_time_per_member                 test_each_member_may_have_a_wrap_up_of_their_own
    ringinuse_and_pause: busy not rung     test_a_busy_member_is_neither_rung_nor_paused
    ringinuse_and_pause: missed, paused    test_a_member_who_misses_is_paused_and_rung_no_more
    queue_all_paused_no_answer             test_all_paused_nobody_is_rung_until_the_timeout
    queue_one_paused_no_answer             test_only_who_is_not_paused_is_rung
    queue_no_answer                        test_acd_order::test_nobody_answers_and_the_caller_...
    queue_penalty_outside_range            test_nobody_eligible_nobody_rung
    set_penalty, one queue and all         test_a_level_is_changed_in_one_queue_or_in_all
    reload_queue_members                   test_members_are_replaced_and_no_caller_is_lost
    transfer/caller_blind, _attended       tests/switch/test_transfer.py, test_consult.py
    queue_transfer_callee                  tests/switch/test_transfer.py
    redirect (to another queue)            tests/switch/test_queue_rules.py
    queue_member_forward, (in)valid        tests/switch/test_personal.py (queues ring the person,
                                           never where their direct calls go)
    asterisk #176, #1557, #1561            test_acd_offers::test_ring_all_..., test_acd_fairness
    asterisk #1006                         test_wrap_up_is_shared_by_all_queues
    OpenSIPS #2679                         test_a_freed_agent_is_offered_the_next_call_at_once

Differences that are meant: a wanted place and a priority are bounded by time (90 s for each step),
so the joins come within one moment here.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance import events as facts
from appliance.acd.events import Engaged, Enter, QueuesChanged, Released, SetState, WrapDone
from appliance.acd.offers import AUTO_PAUSE_REASON
from tests.acd.acd_office import Office, only, queue

JOINS = (
    # (priority, wanted place) -> the place that it gives
    ((0, None), 1),
    ((0, None), 2),
    ((1, None), 1),
    ((0, None), 4),
    ((1, 1), 1),
    ((0, 1), 3),
    ((2, None), 1),
)


def test_joins_with_priority_and_position() -> None:
    """A newcomer goes before the first of lower priority; a wanted place never passes a higher."""
    office = Office({"sales": queue(leave_when_empty=False, max_waiting=7)}, ())
    line: list[int] = []
    for index, ((priority, position), place) in enumerate(JOINS):
        name = f"e{index}"
        office.acd.handle(
            Enter(f"c{index}", name, "sales", None, priority, position=position), office.now
        )
        order = [view.entry for view in office.acd.waiting()]
        assert order.index(name) + 1 == place, (index, order)
        line.insert(place - 1, index)
    assert [view.entry for view in office.acd.waiting()] == [f"e{i}" for i in line]
    out = office.acd.handle(Enter("c99", "e99", "sales", None, 9), office.now)
    assert [leave.reason for leave in only(out, facts.QLeave)] == ["full"]


def test_wrap_up_is_shared_by_all_queues() -> None:
    rules = {name: queue("m1", "m2", strategy="linear", wrap_up_s=900) for name in ("one", "two")}
    office = Office(rules, ("m1", "m2"))
    office.sign_in("m1", "m2")
    served = []
    for name, entry in (("one", "e1"), ("two", "e2"), ("one", "e3")):
        office.enter(entry, name)
        rung = office.rung()
        served.append(next(iter(rung), None))
        for agent in rung:
            office.answer(agent)
            office.do(Released(agent))
    assert served == ["m1", "m2", None]


def test_each_member_may_have_a_wrap_up_of_their_own() -> None:
    rules = queue("m1", "m2", strategy="linear", wrap_up_s=10, wrap_ups={"m1": 20})
    office = Office({"sales": rules}, ("m1", "m2"))
    office.sign_in("m1", "m2")
    served = []
    for pause_s in (0, 0, 10, 10, 0, 0):
        office.advance(pause_s * 1000)
        entry = f"e{len(served)}"
        office.enter(entry)
        rung = office.rung()
        served.append(next(iter(rung), None))
        for agent in rung:
            office.answer(agent)
            office.do(Released(agent))
        if not rung:
            office.hang_up(entry)
    assert served == ["m1", "m2", "m2", "m1", "m2", None]


def test_a_busy_member_is_neither_rung_nor_paused() -> None:
    office = Office({"sales": queue("m1", auto_pause=1)}, ("m1",))
    office.sign_in("m1")
    office.do(Engaged("m1", True))
    office.enter("e1")
    office.advance(300_000)
    assert not only(office.log, facts.Offer)
    assert office.acd.agent("m1").state == "ready"


def test_a_member_who_misses_is_paused_and_rung_no_more() -> None:
    office = Office({"sales": queue("m1", auto_pause=1, max_wait_s=0)}, ("m1",))
    office.sign_in("m1")
    office.enter("e1")
    office.advance(600_000)
    assert [end.result for end in only(office.log, facts.OfferEnd)] == ["missed"]
    view = office.acd.agent("m1")
    assert (view.state, view.reason) == ("not_ready", AUTO_PAUSE_REASON)
    assert office.waiting() == ["e1"]


def test_all_paused_nobody_is_rung_until_the_timeout() -> None:
    office = Office({"sales": queue("m1", "m2", max_wait_s=30)}, ("m1", "m2"))
    office.sign_in("m1", "m2")
    for agent in ("m1", "m2"):
        office.do(SetState(agent, "not_ready", "Break"))
    office.enter("e1")
    office.advance(30_000)
    assert not only(office.log, facts.Offer)
    assert office.outcome("e1") == "timeout"


def test_only_who_is_not_paused_is_rung() -> None:
    office = Office({"sales": queue("m1", "m2", strategy="ring_all", max_wait_s=30)}, ("m1", "m2"))
    office.sign_in("m1", "m2")
    office.do(SetState("m1", "not_ready", "Break"))
    office.enter("e1")
    office.advance(30_000)
    assert {offer.agent for offer in only(office.log, facts.Offer)} == {"m2"}
    assert office.outcome("e1") == "timeout"


def test_nobody_eligible_nobody_rung() -> None:
    rules = queue("m1", "m2", strategy="skills", skill_level=5, skill_relax_s=0, max_wait_s=30)
    office = Office({"sales": rules}, ("m1", "m2"))
    office.sign_in("m1", "m2")
    office.enter("e1")
    office.advance(30_000)
    assert not only(office.log, facts.Offer)
    assert office.outcome("e1") == "timeout"


def test_a_level_is_changed_in_one_queue_or_in_all() -> None:
    skills = {"strategy": "skills", "skill_level": 5, "skill_relax_s": 0}
    rules = {name: queue("m1", **skills) for name in ("one", "two")}
    office = Office(rules, ("m1",))
    office.sign_in("m1")
    office.enter("e1", "two")
    office.enter("e2", "one")
    raised = queue("m1", **skills, levels={"m1": 5})
    office.do(QueuesChanged({"one": raised, "two": rules["two"]}, ("m1",)))
    assert office.rung() == {"m1": "e2"}, "in the one queue alone"
    office.answer("m1")
    office.do(QueuesChanged({"one": raised, "two": raised}, ("m1",)))
    office.finish("m1")
    assert office.rung() == {"m1": "e1"}


def test_members_are_replaced_and_no_caller_is_lost() -> None:
    office = Office({"sales": queue("m1")}, ("m1", "m2"))
    office.sign_in("m1", "m2")
    office.enter("e1")
    office.enter("e2")
    office.do(QueuesChanged({"sales": queue("m2")}, ("m1", "m2")))
    assert office.rung() == {"m2": "e1"}
    assert office.waiting() == ["e1", "e2"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 200))
def test_a_freed_agent_is_offered_the_next_call_at_once(order: list[int], wrap_s: int) -> None:
    """Whatever queue the next caller waits in, and however the agent gets free: the offer has the
    very time of what freed them, where 200 ms are asked for."""
    names = [f"q{index}" for index in range(4)]
    rules = {name: queue("m1", wrap_up_s=wrap_s, max_wait_s=0) for name in names}
    office = Office(rules, ("m1",))
    office.sign_in("m1")
    for index, which in enumerate(order):
        office.enter(f"e{index}", names[which])
    for index in range(len(order)):
        assert office.answer("m1") == f"e{index}", "the longest wait first, over all queues"
        office.advance(1000)
        freed = office.now
        out = office.do(Released("m1"))
        if wrap_s:
            if index % 2:
                out = office.do(WrapDone("m1"))
            else:
                freed += wrap_s * 1000
                out = office.advance(wrap_s * 1000)
        if index + 1 < len(order):
            assert [offer.at for offer in only(out, facts.Offer)] == [freed]
