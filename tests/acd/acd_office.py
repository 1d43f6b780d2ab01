"""An office around the queues' machine: a clock, the switch's part, and a witness of every rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from appliance import events as facts
from appliance.acd import Acd
from appliance.acd.actions import Announce, Dial, Leave, Link, Ring, StopRinging
from appliance.acd.events import (
    Accepted,
    Book,
    Declined,
    Engaged,
    Enter,
    Event,
    Gone,
    Linked,
    Met,
    QueuesChanged,
    Reachable,
    Released,
    SetState,
    Unbook,
    WrapDone,
)
from appliance.acd.machine import REST_MS
from appliance.site.model import Queue

T = TypeVar("T")
START = 1_700_000_000_000


class Witness:
    """Follows facts and actions alone and objects to whatever breaks a rule."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self.queues = dict(queues)
        self.current = set(queues)
        self.entered: dict[str, facts.QEnter] = {}
        self.left: dict[str, facts.QLeave] = {}
        self.order: list[str] = []
        self.moment: dict[str, int] = {}
        self.came: dict[str, int] = {}
        self.open_offers: dict[str, facts.Offer] = {}
        self.closed_offers: set[str] = set()
        self.linking: dict[str, str] = {}
        self.talking: dict[str, str] = {}
        self.wrapping: dict[str, str] = {}
        self.connected: set[str] = set()
        self.state: dict[str, str] = {}
        self.idle_since: dict[str, int] = {}
        self.rest_until: dict[str, int] = {}
        self.reachable: dict[str, bool] = {}
        self.engaged: dict[str, bool] = {}
        self.refused: dict[tuple[str, str], int] = {}
        self.told: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.skill: dict[str, int] = {}
        self.booked: dict[str, str] = {}
        self.dialled: set[str] = set()
        self.kept: dict[str, str] = {}
        self.held: dict[str, str] = {}
        self.met: str | None = None

    def before(self, event: Event, now: int) -> None:
        self.met = None
        match event:
            case Enter() if event.skill is not None:
                self.skill[event.entry] = event.skill
        match event:
            case Book() if event.queue in self.current and event.booking not in self.booked:
                self.booked[event.booking] = event.queue
                priority = event.priority
                if priority is None:
                    priority = self.queues[event.queue].priority
                self.stand(event.booking, min(event.since, now), priority)
            case Unbook(booking) if booking in self.booked:
                self.unbook(booking)
            case Met() if event.booking in self.booked:
                self.moment[event.entry] = self.moment[event.booking]
                self.first[event.entry] = self.first[event.booking]
                self.order[self.order.index(event.booking)] = event.entry
                self.met = event.entry
                self.unbook(event.booking)
            case Reachable(agent, yes):
                self.reachable[agent] = yes
            case Engaged(agent, yes):
                self.engaged[agent] = yes
            case SetState(agent, "ready"):
                self.rest_until[agent] = 0
            case Enter() if event.since is not None:
                self.came[event.entry] = event.since
            case QueuesChanged(queues, agents):
                self.queues.update(queues)
                self.current = set(queues)
                for name in [*self.state, *self.reachable]:
                    if name not in agents:
                        # Who comes back later starts as a new agent.
                        self.reachable[name] = self.engaged[name] = False
                        self.rest_until[name] = 0

    def stand(self, entry: str, came: int, priority: int) -> None:
        """The order, restated: 90 s of head start for each step of priority."""
        self.first[entry] = came
        self.moment[entry] = came - 90_000 * max(-10, min(10, priority))
        behind = [i for i, e in enumerate(self.order) if self.moment[e] > self.moment[entry]]
        self.order.insert(behind[0] if behind else len(self.order), entry)

    def unbook(self, booking: str) -> None:
        del self.booked[booking]
        self.dialled.discard(booking)
        if booking in self.order:
            self.order.remove(booking)

    def look(self, acd: Acd) -> None:
        """What no fact tells: who is kept free for whom."""
        self.held = {view.entry: view.held_for for view in acd.waiting() if view.held_for}
        kept = [(view.agent, view.booking) for view in acd.bookings() if view.agent is not None]
        self.kept = dict(kept)
        assert len(self.kept) == len(kept), "an agent is kept for one call-back"

    def see(self, out: list[object], now: int) -> None:
        for index, each in enumerate(out):
            if isinstance(each, facts.Fact):
                assert each.at == now
            match each:
                case facts.QEnter():
                    assert each.entry not in self.entered, "an entry enters once"
                    self.entered[each.entry] = each
                    if each.entry != self.met:
                        self.stand(each.entry, self.came.pop(each.entry, now), each.priority)
                case Dial():
                    assert each.booking not in self.dialled, "called once for each turn"
                    self.dialled.add(each.booking)
                    assert self.kept[each.agent] == each.booking, "only with an agent kept for it"
                    for ahead in self.order[: self.order.index(each.booking)]:
                        assert not self.could_ring(ahead, each.agent, now), "nobody is overtaken"
                case facts.Offer():
                    self._offer(each, now)
                    ring = out[index + 1]
                    assert isinstance(ring, Ring)
                    assert (ring.offer, ring.agent) == (each.offer, each.agent)
                    assert ring.until > now
                case facts.OfferEnd():
                    assert each.offer not in self.closed_offers, "an offer is closed once"
                    assert self.open_offers.pop(each.offer).agent == each.agent
                    self.closed_offers.add(each.offer)
                    if self.linking.get(each.entry) == each.agent:
                        del self.linking[each.entry]
                    if each.result == "accepted":
                        assert isinstance(out[index + 1], facts.Connect)
                    else:
                        stop = out[index + 1]
                        assert isinstance(stop, StopRinging)
                        assert stop == StopRinging(each.offer, each.entry, each.agent, each.result)
                    if each.result in ("rejected", "missed", "failed"):
                        key = (each.entry, each.agent)
                        self.refused[key] = self.refused.get(key, 0) + 1
                        self.rest_until[each.agent] = now + REST_MS
                case Link():
                    assert each.entry not in self.linking, "one answer wins"
                    assert each.entry in self.order
                    mine = [o for o in self.open_offers.values() if o.entry == each.entry]
                    assert [o.agent for o in mine] == [each.agent], "the others stop ringing"
                    self.linking[each.entry] = each.agent
                case facts.Connect():
                    assert each.entry not in self.connected, "connected once"
                    assert each.agent not in self.talking
                    assert each.agent not in self.wrapping
                    self.connected.add(each.entry)
                    self.talking[each.agent] = each.entry
                    leave = out[index + 1]
                    assert isinstance(leave, facts.QLeave)
                    assert (leave.entry, leave.reason) == (each.entry, "answered")
                case facts.QLeave():
                    assert each.entry in self.entered
                    assert each.entry not in self.left, "one outcome"
                    assert (each.reason == "answered") == (each.entry in self.connected)
                    assert all(o.entry != each.entry for o in self.open_offers.values())
                    self.left[each.entry] = each
                    self.order.remove(each.entry)
                    follows = out[index + 1] if index + 1 < len(out) else None
                    given_up = each.reason not in (
                        "answered",
                        "abandoned",
                        "key_exit",
                        "callback_requested",
                    )
                    assert isinstance(follows, Leave) == given_up
                case facts.WrapStart():
                    assert self.talking.pop(each.agent) == each.entry
                    self.wrapping[each.agent] = each.entry
                case facts.WrapEnd():
                    assert self.wrapping.pop(each.agent) == each.entry
                    self.idle_since[each.agent] = now
                case facts.AgentState():
                    assert each.agent not in self.talking, "a choice waits for the call's end"
                    assert each.agent not in self.wrapping
                    assert all(o.agent != each.agent for o in self.open_offers.values())
                    if each.state == "ready" and self.state.get(each.agent) != "ready":
                        self.idle_since[each.agent] = now
                    self.state[each.agent] = each.state
                    if each.state == "offline":
                        self.idle_since.pop(each.agent, None)
                case Announce():
                    assert each.position <= self.told.get(each.entry, 1 << 30), "never up again"
                    self.told[each.entry] = each.position

    def free(self, agent: str, now: int) -> bool:
        return (
            self.state.get(agent) == "ready"
            and self.reachable.get(agent, False)
            and not self.engaged.get(agent, False)
            and agent not in self.kept
            and agent not in self.talking
            and agent not in self.wrapping
            and all(o.agent != agent for o in self.open_offers.values())
            and self.rest_until.get(agent, 0) <= now
        )

    def _offer(self, offer: facts.Offer, now: int) -> None:
        assert offer.offer not in self.open_offers
        assert self.free(offer.agent, now), "only a free agent is rung"
        rules = self.queues[offer.queue]
        assert offer.agent in rules.agents
        if offer.entry != self.met:
            for ahead in self.order[: self.order.index(offer.entry)]:
                assert not self.could_ring(ahead, offer.agent, now), "whoever stands ahead goes"
            assert self.could_ring(offer.entry, offer.agent, now)
        if rules.strategy == "longest_idle" and offer.entry != self.met:
            mine = self._rank(offer.entry, offer.agent)
            for other in rules.agents:
                if self.free(other, now) and self.could_ring(offer.entry, other, now):
                    assert self._rank(offer.entry, other) >= mine, "the longest idle goes first"
        self.open_offers[offer.offer] = offer

    def _rank(self, entry: str, agent: str) -> tuple[int, int]:
        return self.refused.get((entry, agent), 0), self.idle_since[agent]

    def could_ring(self, entry: str, agent: str, now: int) -> bool:
        booked = entry in self.booked
        queue = self.booked[entry] if booked else self.entered[entry].queue
        rules = self.queues[queue]
        if agent not in rules.agents or entry in self.linking:
            return False
        if self.held.get(entry, agent) != agent:
            return False
        if rules.strategy == "skills":
            need = self.skill.get(entry, rules.skill_level)
            if rules.skill_relax_s:
                need -= (now - self.first[entry]) // (rules.skill_relax_s * 1000)
            if rules.levels.get(agent, 1) < need:
                return False
        if booked:
            return entry not in self.kept.values()
        rung = any(o.entry == entry for o in self.open_offers.values())
        return rules.strategy == "ring_all" or not rung

    def after(self, acd: Acd, now: int) -> None:
        """What has to be true between two events."""
        callers = [entry for entry in self.order if entry not in self.booked]
        assert [w.entry for w in acd.waiting()] == callers, "no caller lost, order kept"
        places = [entry for entry in self.order if entry in self.booked]
        assert [b.booking for b in acd.bookings()] == places
        for agent in acd.agents():
            if self.free(agent, now):
                for entry in self.order:
                    assert not self.could_ring(entry, agent, now), "nobody waits beside the free"
        for view in acd.waiting():
            assert view.position <= self.told.get(view.entry, 1 << 30)


class Office:
    """`Acd` with a clock and a witness."""

    def __init__(
        self, queues: Mapping[str, Queue], agents: tuple[str, ...], **more: object
    ) -> None:
        self.now = START
        self.ids = 0
        self.acd = Acd(queues, agents, self._new_id, **more)  # type: ignore[arg-type]
        self.witness = Witness(queues)
        self.log: list[object] = []

    def _new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    def do(self, event: Event) -> list[object]:
        self.witness.before(event, self.now)
        return self._took(list(self.acd.handle(event, self.now)))

    def tick(self) -> list[object]:
        return self._took(list(self.acd.tick(self.now)))

    def _took(self, out: list[object]) -> list[object]:
        self.log.extend(out)
        self.witness.look(self.acd)
        self.witness.see(out, self.now)
        self.witness.after(self.acd, self.now)
        return out

    def advance(self, ms: int) -> list[object]:
        """Let time pass, ticking at every deadline; what came of it."""
        end = self.now + ms
        seen = len(self.log)
        while (due := self.acd.next_deadline()) is not None and due <= end:
            assert due > self.now, "a deadline lies ahead once everything due is done"
            self.now = due
            self.tick()
        self.now = end
        return self.log[seen:]

    # --- short forms ------------------------------------------------------------------------

    def sign_in(self, *agents: str) -> None:
        """Ready and reachable, in this order of idleness."""
        for agent in agents:
            self.do(Reachable(agent, True))
            self.do(SetState(agent, "ready"))
            self.now += 1

    def enter(self, entry: str, queue: str = "sales", priority: int | None = None) -> list[object]:
        return self.do(Enter(f"call-{entry}", entry, queue, "+40", priority))

    def rung(self) -> dict[str, str]:
        """Agents being rung -> entry."""
        return {o.agent: o.entry for o in self.witness.open_offers.values()}

    def offer_of(self, agent: str) -> str:
        offer = self.acd.agent(agent).offer
        assert offer is not None
        return offer

    def accept(self, agent: str) -> list[object]:
        return self.do(Accepted(agent, self.offer_of(agent)))

    def decline(self, agent: str, result: str = "rejected") -> list[object]:
        return self.do(Declined(agent, self.offer_of(agent), result))  # type: ignore[arg-type]

    def answer(self, agent: str) -> str:
        """Accept and link; the entry."""
        entry = self.rung()[agent]
        self.accept(agent)
        self.do(Linked(entry))
        return entry

    def finish(self, agent: str) -> None:
        """Hang up and end the wrap-up."""
        self.do(Released(agent))
        self.do(WrapDone(agent))

    def outcome(self, entry: str) -> str | None:
        leave = self.witness.left.get(entry)
        return leave.reason if leave else None

    def waiting(self) -> list[str]:
        return [view.entry for view in self.acd.waiting()]

    def hang_up(self, entry: str) -> list[object]:
        return self.do(Gone(entry))


def only(out: list[object], kind: type[T]) -> list[T]:
    return [each for each in out if isinstance(each, kind)]


def queue(*agents: str, **rules: object) -> Queue:
    return Queue.model_validate({"name": "Queue", "agents": agents, **rules})
