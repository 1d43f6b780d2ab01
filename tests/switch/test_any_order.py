"""Whatever happens in whatever order: one outcome for everything, nothing left behind."""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.sip import sdp
from appliance.site.model import Site
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import PHONE_SDP, SESSION, SITE, Office

LINES = ("l1", "l2")
AGENTS = ("ana", "bo", "pip")
BACK = "[queues.sales]\ncallback = true\ncallback_offer_s = 0\ncallback_retry_s = 30\n"
SUE = '[people.sue]\nname = "Sue"\nrole = "supervisor"\nextension = "205"\n'

STEP = st.tuples(
    st.sampled_from(
        [
            "ring",
            "cid",
            "offhook",
            "line_gone",
            "line_down",
            "line_up",
            "key",
            "played",
            "live",
            "answer",
            "reject",
            "hold",
            "resume",
            "hangup",
            "wrap_end",
            "dial",
            "transfer",
            "consult",
            "swap",
            "complete",
            "conference",
            "cancel",
            "mute",
            "park",
            "fetch",
            "pick_up",
            "watch",
            "unwatch",
            "settings",
            "sit",
            "pin",
            "keyed",
            "dialled",
            "refer",
            "ready",
            "pause",
            "sign_out",
            "peer_on",
            "peer_off",
            "page",
            "no_page",
            "phone_in",
            "trunk_in",
            "sip_answer",
            "sip_fail",
            "sip_bye",
            "sip_hold",
            "sip_unhold",
            "sip_cancel",
            "register",
            "unregister",
            "keep",
            "book",
            "cancel_back",
            "quality",
            "last_word",
            "leg_failed",
            "quiet",
            "tone",
            "fax",
            "media_crash",
            "wait",
            "wait_long",
        ]
    ),
    st.integers(0, 7),
)


def _sounds(leg: int, *, closed: bool, poor: bool) -> p.LegQuality:
    mos = 2.0 if poor else 4.3
    return p.LegQuality(
        leg, "rtp", closed, 900, 100 if poor else 0, 0, 0, 1.0, 20.0, mos, mos, sent=900
    )


class Chaos:
    """Takes steps that make sense for a real world: doors speak only of what exists for them."""

    HELPERS = ("HELPERS", "take", "sip_name", "seized")

    def __init__(self, document: str) -> None:
        text = SITE.replace("[queues.sales]\n", BACK) + SUE + document
        made = Site.model_validate(tomllib.loads(text))
        lines = dict(made.lines)
        for line, route in zip(LINES, ("phone:101", "queue:sales"), strict=True):
            lines[line] = lines[line].model_copy(update={"fax": route})
        self.office = Office(made.model_copy(update={"lines": lines}))
        self.office.media(p.PeerState("sue", "connected"))
        self.keys = 0

    def take(self, name: str, n: int) -> None:
        with suppress(Unwilling):
            getattr(self, name)(n)

    def sip_name(self, n: int, *, incoming: bool | None = None) -> str | None:
        names = [
            name
            for name, leg in self.office.w.by_sip.items()
            if incoming is None or leg.incoming is incoming
        ]
        return names[n % len(names)] if names else None

    def seized(self, line: str) -> bool:
        return self.office.w.lines[line].call is not None

    def ring(self, n: int) -> None:
        if self.office.w.lines[LINES[n % 2]].state in ("idle", "ringing"):
            self.office.media(p.LineRinging(LINES[n % 2]))

    def cid(self, n: int) -> None:
        if self.office.w.lines[LINES[n % 2]].state == "ringing":
            self.office.media(p.LineCallerId(LINES[n % 2], "5550123" if n < 4 else None))

    def offhook(self, n: int) -> None:
        if self.seized(LINES[n % 2]):
            self.office.media(p.LineOffHook(LINES[n % 2]))

    def line_gone(self, n: int) -> None:
        if self.seized(LINES[n % 2]):
            self.office.media(p.LineHungUp(LINES[n % 2], "tone" if n < 4 else "local"))

    def line_down(self, n: int) -> None:
        self.office.media(p.LineDown(LINES[n % 2], "unplugged"))

    def line_up(self, n: int) -> None:
        if self.office.w.lines[LINES[n % 2]].state == "absent":
            self.office.media(p.LineUp(LINES[n % 2], "test"))

    def quality(self, n: int) -> None:
        legs = list(self.office.w.legs)
        if legs:
            self.office.media(_sounds(legs[n % len(legs)], closed=False, poor=n % 2 == 0))

    def last_word(self, n: int) -> None:
        closing = list(self.office.w.quality.closing)
        if closing:
            self.office.media(_sounds(closing[n % len(closing)], closed=True, poor=n % 2 == 0))

    def key(self, n: int) -> None:
        legs = list(self.office.w.legs)
        if legs:
            self.office.media(p.Key(legs[n % len(legs)], "12*9"[n % 4], "inband"))

    def played(self, n: int) -> None:
        tokens = list(self.office.w.tokens)
        if tokens:
            token = tokens[n % len(tokens)]
            self.office.media(p.PlayEnded(0, token, "done" if n < 6 else "failed"))

    def live(self, n: int) -> None:
        bridges = [c.bridge for c in self.office.w.calls.values() if c.bridge is not None]
        if bridges:
            self.office.media(p.BridgeLive(bridges[n % len(bridges)]))

    def keep(self, n: int) -> None:
        waiting = [c for c in self.office.w.calls.values() if c.entry is not None]
        for digit in ("1", "11", "12", "5550777#", "1", "*", "11", "1")[n] if waiting else "":
            call = waiting[n % len(waiting)]
            if not call.ended:
                self.office.media(p.Key(call.a.id, digit, "inband"))

    def book(self, n: int) -> None:
        number = ("5550123", "5550123", "5550777", "5550888", "5550999", "19005550000")[n % 6]
        self.office.ask(live.BookCallback("sales", number, "agent:ana"))

    def cancel_back(self, n: int) -> None:
        names = [view.callback for view in self.office.w.back.open()]
        if names:
            self.office.ask(live.CancelCallback(names[n % len(names)], "agent:ana"))

    def _act(self, n: int, action: str) -> None:
        self.office.ask(live.AgentAction(AGENTS[n % 3], action))  # type: ignore[arg-type]

    def answer(self, n: int) -> None:
        self._act(n, "answer")

    def reject(self, n: int) -> None:
        self._act(n, "reject")

    def hold(self, n: int) -> None:
        self._act(n, "hold")

    def resume(self, n: int) -> None:
        self._act(n, "resume")

    def hangup(self, n: int) -> None:
        self._act(n, "hangup")

    def wrap_end(self, n: int) -> None:
        self._act(n, "wrap_end")

    def dial(self, n: int) -> None:
        number = ("101", "202", "301", "0555777", "99", "112", "203", "102")[n]
        self.office.ask(live.AgentDial(AGENTS[n % 3], number))

    def transfer(self, n: int) -> None:
        number = ("101", "202", "301", "0555777", "99", "112", "203", "102")[n]
        self.office.ask(live.AgentTransfer(AGENTS[n % 3], number))

    def consult(self, n: int) -> None:
        number = ("101", "202", "201", "0555777", "99", "112", "203", "102")[n]
        self.office.ask(live.AgentConsult(AGENTS[n % 3], "start", number))

    def _consult(self, n: int, step: str) -> None:
        self.office.ask(live.AgentConsult(AGENTS[n % 3], step))  # type: ignore[arg-type]

    def swap(self, n: int) -> None:
        self._consult(n, "swap")

    def complete(self, n: int) -> None:
        self._consult(n, "complete")

    def conference(self, n: int) -> None:
        self._consult(n, "conference")

    def cancel(self, n: int) -> None:
        self._consult(n, "cancel")

    def mute(self, n: int) -> None:
        self._act(n, "mute" if n < 4 else "unmute")

    def park(self, n: int) -> None:
        self.office.ask(live.AgentPark(AGENTS[n % 3]))

    def fetch(self, n: int) -> None:
        self.office.ask(live.AgentFetch(AGENTS[n % 3], ("701", "702")[n % 2]))

    def pick_up(self, n: int) -> None:
        self.office.ask(live.AgentPickup((*AGENTS, "sue")[n % 4], AGENTS[(n // 2) % 3]))

    def watch(self, n: int) -> None:
        mode = ("listen", "whisper", "barge", "take_over")[n % 4]
        self.office.ask(live.Supervise("sue", mode, AGENTS[n % 3]))  # type: ignore[arg-type]

    def unwatch(self, n: int) -> None:
        if n % 2:
            self._act_of("sue", "hangup")
        self.office.ask(live.Supervise("sue", "stop"))

    def _act_of(self, who: str, action: str) -> None:
        self.office.ask(live.AgentAction(who, action))  # type: ignore[arg-type]

    def settings(self, n: int) -> None:
        if n < 2:
            self.office.ask(live.SetDnd(AGENTS[n % 3], n % 2 == 0))
            return
        when = ("always", "busy", "no_answer")[n % 3]
        number = (None, "202", "101", "0555777", "203", "201")[n - 2]
        self.office.ask(live.SetForward(AGENTS[n % 2], when, number))  # type: ignore[arg-type]

    def sit(self, n: int) -> None:
        phone = (None, "101", "102", None)[n % 4]
        self.office.ask(live.AgentDesk(AGENTS[n % 3], phone))

    def pin(self, n: int) -> None:
        for call in list(self.office.w.pin_wanted):
            self.office.switch.pin_checked(call, n < 5, self.office.now)
            self.office._take()

    def keyed(self, n: int) -> None:
        legs = [leg.id for leg in self.office.w.legs.values() if leg.kind == "sip"]
        codes = ("*0", "*2101#", "*1202#", "*3", "*7", "*6", "*8", "*5")
        for digit in codes[n] if legs else "":
            self.office.media(p.Key(legs[n % len(legs)], digit, "rfc4733"))

    def refer(self, n: int) -> None:
        phones = [
            name
            for name, leg in self.office.w.by_sip.items()
            if leg.phone is not None and leg.state == "up"
        ]
        if phones:
            one, two = phones[n % len(phones)], phones[(n + 1) % len(phones)]
            number = ("101", "202", "301", "0555777", "99", "203")[n % 6]
            replaces = two if two != one and n < 5 else None
            self.office.sip(sip.Referred(one, number, replaces))

    def dialled(self, n: int) -> None:
        self.keys += 1
        codes = ("*80201", "*80102", "701", "702", "*31201*1234", "*32", "*78", "*40201")
        extension = "101" if n % 3 else "102"
        source = sip.Source("phone", extension)
        self.office.incoming(f"in{self.keys}", codes[n], source, extension)

    def ready(self, n: int) -> None:
        self.office.ask(live.SetAgentState(AGENTS[n % 3], "ready"))

    def pause(self, n: int) -> None:
        self.office.ask(live.SetAgentState(AGENTS[n % 3], "not_ready", "Break"))

    def sign_out(self, n: int) -> None:
        self.office.ask(live.SetAgentState(AGENTS[n % 3], "offline"))

    def peer_on(self, n: int) -> None:
        self.office.media(p.PeerState(AGENTS[n % 2], "connected"))

    def peer_off(self, n: int) -> None:
        state = ("lost", "closed", "failed", "closed")[n % 4]
        self.office.media(p.PeerState(AGENTS[n % 2], state))  # type: ignore[arg-type]

    def page(self, n: int) -> None:
        self.office.ask(live.AgentPresence(AGENTS[n % 3], "s", True))

    def no_page(self, n: int) -> None:
        self.office.ask(live.AgentPresence(AGENTS[n % 3], "s", False))

    def phone_in(self, n: int) -> None:
        self.keys += 1
        to = ("102", "201", "301", "0555777", "112", "101", "203", "77")[n]
        extension = "101" if n % 2 else "102"
        self.office.incoming(f"in{self.keys}", to, sip.Source("phone", extension), extension)

    def trunk_in(self, n: int) -> None:
        self.keys += 1
        to = "5550199" if n % 2 else "5550000"
        self.office.incoming(f"in{self.keys}", to, sip.Source("trunk", "voip"), "5550123")

    def sip_answer(self, n: int) -> None:
        name = self.sip_name(n, incoming=False)
        if name and self.office.w.by_sip[name].state == "ringing":
            self.office.sip(sip.Answered(name, SESSION))

    def sip_fail(self, n: int) -> None:
        name = self.sip_name(n, incoming=False)
        if name and self.office.w.by_sip[name].state == "ringing":
            self.office.sip(sip.Failed(name, (486, 480, 503, 404)[n % 4], ""))

    def sip_bye(self, n: int) -> None:
        name = self.sip_name(n)
        if name and self.office.w.by_sip[name].state == "up":
            self.office.sip(sip.HungUp(name, "normal"))

    def _reoffer(self, n: int, more: str) -> None:
        name = self.sip_name(n)
        if name and self.office.w.by_sip[name].state == "up":
            self.office.w.by_sip[name].local_host = "192.0.2.1"
            self.office.sip(sip.Reoffered(name, sdp.parse(PHONE_SDP + more)))

    def sip_hold(self, n: int) -> None:
        self._reoffer(n, "a=sendonly\r\n")

    def sip_unhold(self, n: int) -> None:
        self._reoffer(n, "")

    def sip_cancel(self, n: int) -> None:
        name = self.sip_name(n, incoming=True)
        if name and self.office.w.by_sip[name].state != "up":
            self.office.sip(sip.Cancelled(name))

    def register(self, n: int) -> None:
        self.office.sip(sip.Registered(("101", "102")[n % 2], 1, "192.0.2.50:5060"))

    def unregister(self, n: int) -> None:
        self.office.sip(sip.Unregistered(("101", "102")[n % 2]))

    def leg_failed(self, n: int) -> None:
        legs = list(self.office.w.legs)
        if legs:
            self.office.media(p.LegFailed(legs[n % len(legs)], "test"))

    def quiet(self, n: int) -> None:
        legs = list(self.office.w.legs)
        if legs:
            self.office.media(p.LegQuiet(legs[n % len(legs)], 30_000))

    def _line_leg(self, n: int) -> int | None:
        legs = [leg.id for leg in self.office.w.legs.values() if leg.kind == "line"]
        return legs[n % len(legs)] if legs else None

    def tone(self, n: int) -> None:
        leg = self._line_leg(n)
        if leg is not None:
            heard: list[p.Tone | p.Sit] = ["ringback", "busy", "dial", "sit_vacant"]
            self.office.media(p.ToneHeard(leg, heard[n % 4]))

    def fax(self, n: int) -> None:
        leg = self._line_leg(n)
        if leg is not None:
            self.office.media(p.FaxHeard(leg, "cng"))

    def media_crash(self, n: int) -> None:
        self.office.media_lost()
        self.office.media_up()

    def wait(self, n: int) -> None:
        self.office.wait(0.5 * n)

    def wait_long(self, n: int) -> None:
        self.office.wait(12.0 * n)


@settings(max_examples=300)
@given(
    st.lists(STEP, min_size=5, max_size=60),
    st.sampled_from(["", '[recording]\nannounce = { text = "Recorded." }\n']),
    st.booleans(),
)
def test_every_call_and_entry_has_one_outcome_and_nothing_is_left(
    steps: list[tuple[str, int]], document: str, on_duty: bool
) -> None:
    chaos = Chaos(document)
    office = chaos.office
    if on_duty:
        office.on_duty("ana", "bo")
        office.phone_on_duty("pip", "102")
        office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
    for name, n in steps:
        chaos.take(name, n)
        _check_now(office)
    office.switch.stop(office.now)
    office._take()
    for line in LINES:
        office.media(p.LineHungUp(line, "local"))
    _check_end(office)


def test_long_busy_days_of_random_steps() -> None:
    """Longer than hypothesis likes to try, and weighted towards calls that get somewhere."""
    names = [n for n in vars(Chaos) if not n.startswith("_") and n not in Chaos.HELPERS]
    likely = ["ring", "cid", "offhook", "live", "answer", "played", "sip_answer", "peer_on"]
    for seed in range(250):
        dice = random.Random(seed)
        chaos = Chaos('[recording]\nannounce = { text = "Recorded." }\n' if seed % 2 else "")
        office = chaos.office
        office.on_duty("ana", "bo")
        office.phone_on_duty("pip", "102")
        office.sip(sip.Registered("101", 1, "192.0.2.51:5060"))
        for _ in range(150):
            chaos.take(dice.choice(names + likely * 4), dice.randrange(8))
            _check_now(office)
        office.switch.stop(office.now)
        office._take()
        for line in LINES:
            office.media(p.LineHungUp(line, "local"))
        _check_end(office)


def _check_now(office: Office) -> None:
    w = office.w
    for call in w.calls.values():
        assert not call.ended
        for leg in call.legs:
            assert leg.call is call
            assert w.legs.get(leg.id) is leg, (leg.party, leg.state)
        assert all(watcher.of in call.people for watcher in call.watchers)
    talking = Counter(desk.call.id for desk in w.desks.values() if desk.call is not None)
    assert set(talking) <= set(w.calls)
    for leg in w.legs.values():
        assert leg.call.id in w.calls
        offered = any(leg.acd_offer in desk.ringing for desk in w.desks.values())
        assert offered or leg in leg.call.legs, (leg.party, leg.state)
    for desk in w.desks.values():
        held = [leg for leg in w.legs.values() if leg.agent == desk.id and leg.state == "up"]
        mine = [leg for leg in held if leg.acd_offer not in desk.ringing]
        assert len({leg.call.id for leg in mine}) <= 1 or desk.phone is not None, mine
        if mine and desk.door == "browser":
            assert desk.call is mine[0].call
    assert not w.wishes
    _check_callbacks(office)
    given = [number for call in w.calls.values() for number in call.sound]
    assert sorted(given) == sorted(number for _, number in office.pool._meetings)
    for call in w.calls.values():
        heard = [one.leg for group in call.sound.values() for one in group]
        assert len(heard) == len(set(heard))
        assert set(heard) <= {leg.id for leg in call.legs if leg.state == "up"}
        assert (call.recording is None) or call.recording in w.recordings


def _check_callbacks(office: Office) -> None:
    """Each try has its call, each place its request, and no more is dialled than was kept."""
    w = office.w
    tries = {view.call: view for view in w.back.open() if view.call is not None}
    ours = {call.id: call for call in w.calls.values() if call.callback is not None}
    assert set(tries) <= set(ours)
    for call_id, call in ours.items():
        view = tries.get(call_id)
        assert view is None or view.callback == call.callback
        if view is not None and view.picked_up:
            assert call.met is not None or call.entry is not None
    booked = {place.booking: place for place in w.acd.bookings()}
    open_now = {view.callback: view for view in w.back.open()}
    assert set(booked) <= set(open_now)
    for name, view in open_now.items():
        rests = view.here or view.retry_at is not None
        waits = view.call is not None and (view.picked_up and ours[view.call].met is None)
        assert (name in booked) == (not rests and not waits), view
        if view.here:
            assert any(call.asked == name and call.entry for call in w.calls.values())
    unanswered = [view for view in tries.values() if not view.picked_up]
    assert all(booked[view.callback].dialling for view in unanswered)


def _check_end(office: Office) -> None:
    w = office.w
    still = {view.callback for view in w.back.open()}
    requests = [f.callback for f in office.facts if isinstance(f, e.CallbackRequested)]
    ends = [f.callback for f in office.facts if isinstance(f, e.CallbackEnded)]
    assert len(ends) == len(set(ends))
    assert set(requests) == still | set(ends)
    assert not still & set(ends)
    tries = {f.call: f.callback for f in office.facts if isinstance(f, e.CallbackDialled)}
    missed = [f.call for f in office.facts if isinstance(f, e.CallbackMissed)]
    assert len(missed) == len(set(missed))
    assert {c for call, c in tries.items() if call not in missed} <= set(ends)
    assert not w.calls
    assert not w.legs
    assert not w.by_sip
    assert len(w.ports) == 500
    assert not office.pool._meetings
    assert not w.recordings
    assert not w.spending.running
    assert not w.wants_line
    facts = office.facts
    opened = [f.call for f in facts if isinstance(f, e.CallOpened)]
    closed = [f.call for f in facts if isinstance(f, e.Disconnect)]
    assert sorted(opened) == sorted(closed)
    _paired(facts, e.QEnter, e.QLeave, "entry")
    _paired(facts, e.Offer, e.OfferEnd, "offer")
    _paired(facts, e.HoldOn, e.HoldOff, "call")
    _paired(facts, e.ConsultStart, e.ConsultEnd, "call")
    _paired(facts, e.Parked, e.Unparked, "call")
    _paired(facts, e.Dialled, e.DialEnded, "dial")
    _paired(facts, e.LineSeized, e.LineReleased, "line")
    _paired(facts, e.RecordingStarted, e.RecordingEnded, "recording", closed_later=True)
    last_words = Counter((f.call, f.party) for f in facts if isinstance(f, e.LegQuality))
    assert {call for call, _ in last_words} <= set(opened)
    connects = [f.entry for f in facts if isinstance(f, e.Connect)]
    assert len(connects) == len(set(connects))
    answered = [f.entry for f in facts if isinstance(f, e.QLeave) and f.reason == "answered"]
    assert sorted(connects) == sorted(answered)
    answers = Counter(a.sip for a in office.actions if isinstance(a, act.SipAnswer))
    assert all(count == 1 for count in answers.values())


def _paired(
    facts: list[e.Fact],
    start: type[e.Fact],
    end: type[e.Fact],
    key: str,
    *,
    closed_later: bool = False,
) -> None:
    """Each start is followed by exactly one end before the next start of the same key."""
    running: set[str] = set()
    for fact in facts:
        if isinstance(fact, start):
            assert getattr(fact, key) not in running, fact
            running.add(getattr(fact, key))
        elif isinstance(fact, end):
            assert getattr(fact, key) in running, fact
            running.remove(getattr(fact, key))
    assert closed_later or not running, running
