"""Anything may happen in any order: no caller is lost, each has one outcome, nobody rings twice.

The rules themselves are those of `Witness`, which sees facts and actions only.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.acd.actions import Link, StopRinging
from appliance.acd.events import (
    Accepted,
    Book,
    Declined,
    Engaged,
    Enter,
    Gone,
    Linked,
    LinkFailed,
    Met,
    QueuesChanged,
    Reachable,
    Released,
    SetState,
    Unbook,
    WrapDone,
)
from tests.acd.acd_office import Office, queue

AGENTS = ("a", "b", "c", "d")
DOCUMENTS = (
    {
        "sales": queue("a", "b", "c", ring_s=10, wrap_up_s=7, max_waiting=4, max_wait_s=60),
        "support": queue("b", "c", "d", strategy="ring_all", wrap_up_s=0, priority=2),
        "all": queue(*AGENTS, leave_when_empty=False, max_wait_s=0, max_waiting=0),
    },
    {
        "sales": queue("a", "b", strategy="ring_all", ring_s=5, wrap_up_s=0),
        "support": queue("c", "d", wrap_up_s=30, announce_every_s=10),
        "all": queue("a", "d", leave_when_empty=False, max_wait_s=0, max_waiting=0),
    },
    {
        "sales": queue(
            *AGENTS,
            strategy="skills",
            levels={"a": 3, "b": 2},
            skill_level=3,
            skill_relax_s=20,
            last_agent_days=1,
            last_agent_wait_s=30,
        ),
        "support": queue(
            "d", "b", "a", strategy="round_robin", overflow_to="queue:all", overflow_after_s=40
        ),
        "all": queue(
            "c", "a", strategy="weighted", weights={"c": 3}, leave_when_empty=False, max_wait_s=0
        ),
    },
    {
        "sales": queue("a", "d", strategy="linear", overflow_to="queue:all", overflow_waiting=2),
        "support": queue(
            "b", "c", strategy="random", overflow_to="queue:all", overflow_unready=True
        ),
        "all": queue(*AGENTS, strategy="least_talk", last_agent_days=1, leave_when_empty=False),
    },
    {
        "sales": queue("b", "c", strategy="fewest_calls", priority=-2),
        "all": queue(*AGENTS, strategy="ring_all", leave_when_empty=False, last_agent_days=1),
    },
)
CALLERS = ("+401", "+402", None)
agents = st.sampled_from(AGENTS)


class Days(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.office = Office(DOCUMENTS[0], AGENTS)
        self.count = 0
        self.offers: list[tuple[str, str]] = []

    def _waiting(self) -> list[str]:
        return self.office.waiting()

    # --- agents -----------------------------------------------------------------------------

    @rule(agent=agents)
    def sign_in(self, agent: str) -> None:
        self.office.sign_in(agent)

    @rule(agent=agents, state=st.sampled_from(["ready", "not_ready", "offline"]))
    def choose(self, agent: str, state: str) -> None:
        self.office.do(SetState(agent, state, "Break"))  # type: ignore[arg-type]

    @rule(agent=agents, yes=st.booleans())
    def reach(self, agent: str, yes: bool) -> None:
        self.office.do(Reachable(agent, yes))

    @rule(agent=agents, yes=st.booleans())
    def engage(self, agent: str, yes: bool) -> None:
        self.office.do(Engaged(agent, yes))

    @rule(agent=agents)
    def release(self, agent: str) -> None:
        self.office.do(Released(agent))

    @rule(agent=agents)
    def wrap_done(self, agent: str) -> None:
        self.office.do(WrapDone(agent))

    # --- callers ----------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(["sales", "support", "all"]),
        priority=st.sampled_from([None, None, None, 0, 1, 5]),
        is_open=st.sampled_from([True] * 9 + [False]),
        caller=st.sampled_from(CALLERS),
        earlier_ms=st.sampled_from([None, None, 0, 50_000]),
    )
    def enter(
        self,
        name: str,
        priority: int | None,
        is_open: bool,
        caller: str | None,
        earlier_ms: int | None,
    ) -> None:
        self.count += 1
        entry = f"e{self.count}"
        since = None if earlier_ms is None else self.office.now - earlier_ms
        event = Enter(f"c{self.count}", entry, name, caller, priority, open=is_open, since=since)
        self.office.do(event)

    # --- call-backs -------------------------------------------------------------------------

    @rule(name=st.sampled_from(["sales", "support", "all"]), earlier_ms=st.integers(0, 200_000))
    def book(self, name: str, earlier_ms: int) -> None:
        self.count += 1
        self.office.do(Book(f"b{self.count}", name, self.office.now - earlier_ms))

    @precondition(lambda self: self.office.acd.bookings())
    @rule(data=st.data())
    def give_up_booking(self, data: st.DataObject) -> None:
        found = [view.booking for view in self.office.acd.bookings()]
        self.office.do(Unbook(data.draw(st.sampled_from(found))))

    @precondition(lambda self: self.office.witness.dialled)
    @rule(data=st.data())
    def meet(self, data: st.DataObject) -> None:
        booking = data.draw(st.sampled_from(sorted(self.office.witness.dialled)))
        self.count += 1
        self.office.do(Met(booking, f"c{self.count}", f"e{self.count}", "+403"))

    @precondition(lambda self: self._waiting())
    @rule(data=st.data(), reason=st.sampled_from(["abandoned", "key_exit", "callback_requested"]))
    def leave(self, data: st.DataObject, reason: str) -> None:
        entry = data.draw(st.sampled_from(self._waiting()))
        self.office.do(Gone(entry, reason))  # type: ignore[arg-type]
        assert self.office.outcome(entry) == reason

    # --- offers -----------------------------------------------------------------------------

    @precondition(lambda self: self.office.rung())
    @rule(data=st.data(), also_linked=st.booleans())
    def accept(self, data: st.DataObject, also_linked: bool) -> None:
        agent = data.draw(st.sampled_from(sorted(self.office.rung())))
        entry = self.office.rung()[agent]
        offer = self.office.offer_of(agent)
        self.offers.append((agent, offer))
        linking = entry in self.office.witness.linking
        out = self.office.do(Accepted(agent, offer))
        assert any(isinstance(each, Link) for each in out) != linking
        if also_linked:
            self.office.do(Linked(entry))
            assert self.office.outcome(entry) == "answered"

    @precondition(lambda self: self.office.rung())
    @rule(data=st.data(), result=st.sampled_from(["rejected", "missed", "failed"]))
    def decline(self, data: st.DataObject, result: str) -> None:
        agent = data.draw(st.sampled_from(sorted(self.office.rung())))
        offer = self.office.offer_of(agent)
        self.offers.append((agent, offer))
        self.office.do(Declined(agent, offer, result))  # type: ignore[arg-type]

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def accept_again(self, data: st.DataObject) -> None:
        agent, offer = data.draw(st.sampled_from(self.offers))
        if self.office.acd.agent(agent).offer == offer:
            return
        out = self.office.do(Accepted(agent, offer))
        assert [type(each) for each in out] == [StopRinging]

    @precondition(lambda self: self.office.witness.linking)
    @rule(works=st.booleans())
    def link(self, works: bool) -> None:
        entry, agent = next(iter(self.office.witness.linking.items()))
        self.office.do(Linked(entry) if works else LinkFailed(entry, agent))
        assert (self.office.outcome(entry) == "answered") == works or not works

    # --- the world --------------------------------------------------------------------------

    @rule(ms=st.integers(1, 40_000))
    def pass_time(self, ms: int) -> None:
        self.office.advance(ms)

    @rule(ms=st.integers(1, 60_000))
    def late_tick(self, ms: int) -> None:
        self.office.now += ms
        self.office.tick()

    @rule(document=st.sampled_from(DOCUMENTS))
    def change_rules(self, document: dict[str, object]) -> None:
        self.office.do(QueuesChanged(document, AGENTS))  # type: ignore[arg-type]

    # --- always -----------------------------------------------------------------------------

    @invariant()
    def nobody_is_lost(self) -> None:
        witness = self.office.witness
        assert set(witness.entered) == set(witness.left) | set(self._waiting())

    @invariant()
    def views_agree_with_the_facts(self) -> None:
        witness = self.office.witness
        for agent in AGENTS:
            view = self.office.acd.agent(agent)
            rung = [o.entry for o in witness.open_offers.values() if o.agent == agent]
            parts = [
                *rung,
                *filter(None, [witness.talking.get(agent), witness.wrapping.get(agent)]),
            ]
            assert len(parts) <= 1, "one call at a time"
            assert view.entry == (parts[0] if parts else None)
            assert view.linked == (agent in witness.talking)

    def teardown(self) -> None:
        """Everybody hangs up: every entry and every offer is closed."""
        if not hasattr(self, "office"):
            return
        for entry in self._waiting():
            self.office.do(Gone(entry))
        for agent in AGENTS:
            self.office.finish(agent)
        witness = self.office.witness
        assert set(witness.entered) == set(witness.left)
        assert not witness.open_offers
        assert not witness.talking
        assert not witness.wrapping


Days.TestCase.settings = settings(
    settings.default, max_examples=60, stateful_step_count=60, deadline=None
)
TestAnyOrderOfEvents = Days.TestCase
