"""Callers who keep their place and are called back: asked for, dialled, tried again, survived."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import Literal

import pytest

from appliance import events as e
from appliance import live
from appliance.ledger.recovery import OpenState, missing_facts
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import actions as act
from appliance.switch.requests import Unwilling
from tests.switch.office import SESSION, SITE, Office

CALLER = "5550123"


def document(queue: str = "", more: str = "") -> Site:
    text = SITE.replace("channels = 1\n", "channels = 4\n").replace(
        'agents = ["ana", "bo", "pip"]\n',
        f'agents = ["ana", "bo", "pip"]\ncallback = true\ncallback_offer_s = 0\n{queue}',
    )
    return Site.model_validate(tomllib.loads(text + more))


class Back(Office):
    """An office that calls back, with the person's side of it."""

    def __init__(self, queue: str = "", more: str = "") -> None:
        super().__init__(document(queue, more))
        self.calls = 0

    def phone_in(self, number: str = CALLER) -> str:
        """Somebody calls by the trunk and waits; returns the name of the call."""
        self.calls += 1
        self.incoming(f"in{self.calls}", "5550000", sip.Source("trunk", "voip"), number)
        return self.last(e.CallOpened).call

    def keys(self, call: str, digits: str) -> None:
        leg = self.w.calls[call].a.id
        for digit in digits:
            self.media(p.Key(leg, digit, "rfc4733"))

    def heard(self, call: str) -> str:
        """The last words to the caller."""
        leg = self.w.calls[call].a.id
        spoken = [a for a in self.actions if isinstance(a, act.Speak) and a.leg == leg]
        return " ".join(prompt.text or "" for prompt in spoken[-1].prompts)

    def played(self) -> None:
        for token in list(self.w.tokens):
            self.media(p.PlayEnded(0, token, "done"))

    def ask_back(self, number: str = CALLER) -> str:
        """Somebody calls, keeps their place and hangs up; the id of the request."""
        call = self.phone_in(number)
        self.keys(call, "11")
        self.played()
        assert call not in self.w.calls
        return self.last(e.CallbackRequested).callback

    def dialled(self) -> str:
        """The name of the leg by which the box calls."""
        return self.last(act.SipInvite).sip

    def picks_up(self) -> None:
        self.sip(sip.Answered(self.dialled(), SESSION))

    def talks(self, agent: str) -> None:
        self.answer(agent)
        self.talk()

    def result(self, callback: str) -> str | None:
        ends = [f for f in self.all(e.CallbackEnded) if f.callback == callback]
        assert len(ends) <= 1
        return ends[0].result if ends else None

    def crash(self, kept: int | None = None) -> None:
        """kill -9 and a start: only the first `kept` facts had reached the disk."""
        self.facts = self.facts[: len(self.facts) if kept is None else kept]
        state = OpenState()
        for seq, fact in enumerate(self.facts, 1):
            state.apply(seq, fact)
        self.facts += missing_facts(state, self.now)
        self.start()
        self.switch.remember_callbacks(self.facts, self.now)
        self._take()


# --- asking ---------------------------------------------------------------------------------


def test_a_waiting_caller_is_offered_to_keep_the_place_and_be_called_back() -> None:
    office = Back()
    call = office.phone_in()
    assert "press one" in office.heard(call)
    office.keys(call, "1")
    assert "five five five, zero one two three" in office.heard(call)
    office.keys(call, "1")
    assert office.heard(call).startswith("Your place is kept")
    request = office.last(e.CallbackRequested)
    assert (request.queue, request.number, request.call) == ("sales", CALLER, call)
    assert office.last(e.QLeave).reason == "callback_requested"
    office.played()
    assert office.last(e.Disconnect).call == call
    (shown,) = office.w.back.open()
    assert (shown.number, shown.since) == (CALLER, office.all(e.QEnter)[0].at)


def test_the_request_stands_in_the_books_before_the_place_is_given_up() -> None:
    office = Back()
    office.ask_back()
    kinds = [type(f) for f in office.facts]
    assert kinds.index(e.CallbackRequested) < kinds.index(e.QLeave)


def test_another_number_is_keyed_and_said_back() -> None:
    office = Back()
    call = office.phone_in()
    office.keys(call, "12" + "5550999#")
    assert "zero nine nine nine" in office.heard(call)
    office.keys(call, "1")
    assert office.last(e.CallbackRequested).number == "5550999"


def test_a_withheld_number_is_asked_for() -> None:
    office = Back()
    call = office.phone_in("anonymous")
    office.keys(call, "1")
    assert "key the number" in office.heard(call)


@pytest.mark.parametrize("number", ["19005550123", "01140721000111", "112", "77"])
def test_numbers_that_cost_or_are_none_are_not_called_back(number: str) -> None:
    office = Back()
    call = office.phone_in()
    office.keys(call, f"12{number}#")
    assert office.heard(call).startswith("We cannot call this number.")
    assert not office.all(e.CallbackRequested)


def test_who_does_not_choose_waits_on_at_the_same_place() -> None:
    office = Back()
    call = office.phone_in()
    office.keys(call, "1")
    for _ in range(3):
        office.played()
        office.wait(6)
    assert office.w.calls[call].wish is None
    assert [w.call for w in office.w.acd.waiting()] == [call]
    office.keys(call, "1*")
    assert office.w.calls[call].wish is None


def test_an_agent_who_becomes_free_meanwhile_wins() -> None:
    office = Back()
    call = office.phone_in()
    office.keys(call, "1")
    office.on_duty("ana")
    office.talks("ana")
    assert office.w.calls[call].wish is None
    assert office.last(e.QLeave).reason == "answered"


def test_a_short_wait_is_not_spoken_of_but_the_key_works_all_the_same() -> None:
    office = Back("announce_wait = true\n")
    rules = office.w.site.queues["sales"].model_copy(update={"callback_offer_s": 25})
    office.w.site.queues["sales"] = rules
    call = office.phone_in()
    assert "press one" not in office.heard(call)
    office.keys(call, "1*")
    office.wait(31)
    assert "press one" in office.heard(call)
    office.keys(call, "1")
    assert "call you back at" in office.heard(call)


# --- the box calls --------------------------------------------------------------------------


def test_the_person_is_called_when_an_agent_is_free_and_connected_like_any_caller() -> None:
    office = Back(more="[recording]\nenabled = true\n")
    callback = office.ask_back()
    office.wait(30)
    office.on_duty("ana")
    dialled = office.last(e.Dialled)
    assert (dialled.number, dialled.by) == (CALLER, "queue:sales")
    assert office.w.acd.agent("ana").phase == "busy", "kept free for this call"
    office.picks_up()
    call = dialled.call
    assert "asked us to call you back" in office.heard(call)
    office.talks("ana")
    assert office.last(e.Connect).call == call
    assert office.result(callback) == "connected"
    assert office.all(e.RecordingStarted)[-1].call == call
    office.ask(live.AgentAction("ana", "hangup"))
    assert office.last(e.WrapStart).agent == "ana"
    office.wait(10)
    assert not office.w.back.open()
    assert office.w.acd.agent("ana").phase == "ready"


def test_who_said_that_they_take_it_is_connected_as_soon_as_it_is_answered() -> None:
    office = Back()
    office.ask_back()
    office.on_duty("ana")
    office.answer("ana")
    office.picks_up()
    office.talk()
    assert office.last(e.Connect).agent == "ana"


def test_the_notice_of_the_recording_is_heard_before_an_agent_is_rung() -> None:
    office = Back(more='[recording]\nannounce = { text = "Recorded." }\n')
    call = office.phone_in()
    office.played()
    office.keys(call, "11")
    office.played()
    office.on_duty("ana")
    office.picks_up()
    assert office.heard(office.last(e.Dialled).call) == "Recorded."
    assert len(office.all(e.Offer)) == 0
    office.wait(29)
    office.played()
    office.talks("ana")
    assert office.last(e.CallbackEnded).result == "connected"


def test_who_hangs_up_during_the_notice_was_called_and_leaves_nothing_behind() -> None:
    office = Back(more='[recording]\nannounce = { text = "Recorded." }\n')
    call = office.phone_in()
    office.played()
    office.keys(call, "11")
    office.played()
    office.on_duty("ana")
    office.picks_up()
    office.sip(sip.HungUp(office.dialled(), "normal"))
    assert office.last(e.CallbackEnded).result == "abandoned"
    assert office.w.acd.agent("ana").phase == "ready"
    assert not office.w.acd.bookings()


def test_an_analog_line_calls_back_too() -> None:
    office = Back()
    office.ask_back()
    office.sip(sip.TrunkState("voip", False, "gone"))
    office.on_duty("ana")
    assert office.last(p.DialLine).number == CALLER
    office.media(p.LineOffHook("l1"))
    office.talks("ana")
    assert office.last(e.CallbackEnded).result == "connected"


def test_a_phone_agent_is_rung_when_the_person_answered() -> None:
    office = Back()
    office.ask_back()
    office.phone_on_duty("pip", "102")
    first = office.dialled()
    office.sip(sip.Answered(first, SESSION))
    assert office.dialled() != first
    assert office.last(act.SipInvite).target == "102"
    office.sip(sip.Answered(office.dialled(), SESSION))
    office.talk()
    assert office.last(e.Connect).agent == "pip"


def test_busy_is_tried_again_after_the_pause_until_the_tries_are_used_up() -> None:
    office = Back("callback_tries = 2\ncallback_retry_s = 60\n")
    callback = office.ask_back()
    office.on_duty("ana")
    office.sip(sip.Failed(office.dialled(), 486, "busy"))
    assert office.last(e.CallbackMissed).cause == "busy"
    assert office.w.acd.agent("ana").phase == "ready", "free for others in the meantime"
    office.wait(59)
    assert len(office.all(e.CallbackDialled)) == 1
    office.wait(1)
    assert len(office.all(e.CallbackDialled)) == 2
    office.wait(30)
    assert office.last(e.CallbackMissed).cause == "no_answer"
    assert office.result(callback) == "unreachable"
    assert len(office.all(e.Disconnect)) == 3


def test_a_line_that_is_not_there_costs_no_try() -> None:
    office = Back()
    callback = office.ask_back()
    for line in ("l1", "l2"):
        office.media(p.LineDown(line, "unplugged"))
    office.sip(sip.TrunkState("voip", False, "gone"))
    office.on_duty("ana")
    assert not office.all(e.CallbackDialled)
    assert office.w.acd.agent("ana").phase == "ready"
    office.sip(sip.TrunkState("voip", True, ""))
    office.wait(30)
    assert [f.callback for f in office.all(e.CallbackDialled)] == [callback]


def test_nobody_is_called_outside_the_hours() -> None:
    # The clock of these tests begins on a Tuesday at 22:13 UTC.
    office = Back(
        'hours = "late"\n', '[hours.late]\ntue = ["22:00-22:20"]\nwed = ["08:00-17:00"]\n'
    )
    office.ask_back()
    office.wait(10 * 60)
    office.on_duty("ana")
    assert not office.all(e.CallbackDialled)
    assert office.w.acd.agent("ana").phase == "ready"
    office.wait(9 * 3600 + 36 * 60)
    assert not office.all(e.CallbackDialled)
    office.wait(60)
    assert len(office.all(e.CallbackDialled)) == 1


def test_never_more_calls_than_agents_kept_for_them_and_in_turn() -> None:
    office = Back()
    first = [office.ask_back(f"55501{n:02}") for n in range(4)]
    office.on_duty("ana")
    assert [f.callback for f in office.all(e.CallbackDialled)] == first[:1]
    office.on_duty("bo")
    assert [f.callback for f in office.all(e.CallbackDialled)] == first[:2]


def test_an_agent_who_leaves_is_replaced_without_a_second_call() -> None:
    office = Back()
    office.ask_back()
    office.on_duty("ana")
    office.ask(live.SetAgentState("ana", "not_ready", "Break"))
    office.on_duty("bo")
    assert len(office.all(e.CallbackDialled)) == 1
    office.picks_up()
    office.talks("bo")
    assert office.last(e.Connect).agent == "bo"


def test_when_no_agent_is_left_the_person_waits_at_the_head() -> None:
    office = Back()
    office.ask_back()
    office.phone_in("5550777")
    office.on_duty("ana")
    office.ask(live.SetAgentState("ana", "not_ready", "Break"))
    office.picks_up()
    assert [w.caller for w in office.w.acd.waiting()] == [CALLER, "5550777"]


# --- machines -------------------------------------------------------------------------------


class Wary(Back):
    """It listens first who answered; somebody has."""

    def __init__(self) -> None:
        super().__init__("callback_machine = true\ncallback_ring_s = 10\n")
        self.callback = self.ask_back()
        self.on_duty("ana")
        self.call = self.last(e.Dialled).call
        self.wait(9)
        self.picks_up()

    def greets(self, result: Literal["human", "machine", "unsure"]) -> None:
        self.media(p.MachineHeard(self.w.calls[self.call].a.id, result, "a test", 2000))


def test_a_person_who_is_listened_to_first_is_connected_when_known() -> None:
    office = Wary()
    assert office.last(p.Listen).machine
    office.wait(2)
    assert not office.all(e.Offer)
    office.greets("human")
    assert not office.last(p.Listen).machine
    assert "asked us to call you back" in office.heard(office.call)
    office.talks("ana")
    assert office.result(office.callback) == "connected"


def test_whoever_cannot_be_told_from_a_machine_is_a_person() -> None:
    office = Wary()
    office.greets("unsure")
    office.talks("ana")
    assert office.result(office.callback) == "connected"


def test_a_person_about_whom_nothing_is_heard_is_connected_after_five_seconds() -> None:
    office = Wary()
    office.wait(4)
    assert not office.all(e.Offer)
    office.wait(1)
    office.talks("ana")
    office.greets("machine")
    assert office.result(office.callback) == "connected"
    assert not office.all(e.CallbackMissed)


def test_a_machine_was_no_person_and_is_called_again_later() -> None:
    office = Wary()
    office.greets("machine")
    assert office.call not in office.w.calls
    assert office.last(e.Disconnect).cause == "machine"
    assert office.last(e.CallbackMissed).cause == "machine"
    assert office.w.acd.agent("ana").phase == "ready"
    assert not office.all(e.Offer)
    office.wait(300)
    assert office.last(e.CallbackDialled).attempt == 2


def test_who_hangs_up_before_it_is_known_leaves_nothing_behind() -> None:
    office = Wary()
    office.sip(sip.HungUp(office.dialled(), "normal"))
    assert office.last(e.CallbackMissed).cause == "normal"
    assert office.w.acd.agent("ana").phase == "ready"
    office.wait(20)
    assert not office.w.calls


# --- the person phones in -------------------------------------------------------------------


def test_who_phones_in_again_stands_at_the_kept_place() -> None:
    office = Back()
    callback = office.ask_back()
    office.wait(20)
    office.phone_in("5550777")
    office.wait(5)
    office.phone_in(CALLER)
    assert [w.caller for w in office.w.acd.waiting()] == [CALLER, "5550777"]
    assert not office.w.acd.bookings()
    office.on_duty("ana")
    assert not office.all(e.CallbackDialled), "not called while on the phone with us"
    office.talks("ana")
    assert office.result(callback) == "reached"


def test_who_phones_in_and_hangs_up_is_still_called_back() -> None:
    office = Back()
    callback = office.ask_back()
    office.phone_in(CALLER)
    office.sip(sip.HungUp("in2", "normal"))
    assert [b.booking for b in office.w.acd.bookings()] == [callback]
    office.on_duty("ana")
    assert len(office.all(e.CallbackDialled)) == 1


def test_who_phones_in_while_their_phone_is_called_is_not_called_any_longer() -> None:
    office = Back()
    callback = office.ask_back()
    office.on_duty("ana")
    office.phone_in(CALLER)
    assert office.last(e.CallbackMissed).cause == "busy"
    office.talks("ana")
    assert office.result(callback) == "reached"
    office.wait(600)
    assert len(office.all(e.CallbackDialled)) == 1


def test_an_agent_gets_the_caller_who_still_hears_that_the_place_is_kept() -> None:
    office = Back()
    call = office.phone_in()
    office.keys(call, "11")
    office.on_duty("ana")
    assert not office.all(e.CallbackDialled)
    office.talks("ana")
    assert office.last(e.Connect).call == call
    assert office.last(e.CallbackEnded).result == "reached"
    office.played()
    assert call in office.w.calls


def test_whoever_reaches_the_person_otherwise_ends_the_request() -> None:
    office = Back()
    callback = office.ask_back()
    office.ask(live.AgentPresence("bo", "s1", True))
    office.media(p.PeerState("bo", "connected"))
    office.ask(live.AgentDial("bo", "0" + CALLER))
    office.picks_up()
    office.talk()
    assert office.result(callback) == "reached"


# --- pages and programs ---------------------------------------------------------------------


def test_the_team_and_programs_ask_and_cancel() -> None:
    office = Back()
    name = office.switch.request(
        live.BookCallback("sales", "(555) 012-3456", "key:website"), office.now
    )
    office._take()
    again = office.switch.request(
        live.BookCallback("sales", "+15550123456", "agent:ana"), office.now
    )
    assert name == again, "one request for each number"
    request = office.last(e.CallbackRequested)
    assert (request.number, request.by) == ("+15550123456", "key:website")
    office.ask(live.CancelCallback(request.callback, "agent:ana"))
    ended = office.last(e.CallbackEnded)
    assert (ended.result, ended.by) == ("cancelled", "agent:ana")
    with pytest.raises(Unwilling):
        office.ask(live.CancelCallback(request.callback, "agent:ana"))


@pytest.mark.parametrize("number", ["12", "abc", "+1 900 555 0123", "+40721000111"])
def test_numbers_that_may_not_be_called_are_refused_at_once(number: str) -> None:
    office = Back()
    with pytest.raises(Unwilling):
        office.ask(live.BookCallback("sales", number, "key:website"))
    assert not office.facts


# --- the power goes -------------------------------------------------------------------------


def story() -> Back:
    """A request, a first try in vain, a second that connects."""
    office = Back("callback_retry_s = 60\n")
    office.ask_back()
    office.on_duty("ana")
    office.sip(sip.Failed(office.dialled(), 486, "busy"))
    office.wait(60)
    office.picks_up()
    office.talks("ana")
    office.ask(live.AgentAction("ana", "hangup"))
    return office


COMMITS = len(story().facts)


@pytest.mark.parametrize("kept", range(COMMITS + 1))
def test_a_crash_after_any_fact_loses_no_request_and_doubles_none(kept: int) -> None:
    office = story()
    whole = list(office.facts)
    office.crash(kept)
    asked = any(isinstance(f, e.CallbackRequested) for f in whole[:kept])
    spoken = any(isinstance(f, e.Connect) for f in whole[:kept])
    tried = [f for f in whole[:kept] if isinstance(f, e.CallbackDialled)]
    office.wait(60)
    office.on_duty("ana")
    fresh = [f for f in office.facts[kept:] if isinstance(f, e.CallbackDialled)]
    assert bool(fresh) == (asked and not spoken)
    if fresh:
        assert fresh[0].attempt == len(tried) + 1
        office.picks_up()
        office.talks("ana")
    ends = Counter(f.callback for f in office.all(e.CallbackEnded))
    requests = {f.callback for f in office.all(e.CallbackRequested)}
    assert ends == dict.fromkeys(requests, 1)
    assert len(office.all(e.Connect)) == int(asked)
    assert not office.w.back.open()


def test_the_place_is_that_of_the_first_wait_after_a_crash() -> None:
    office = Back()
    office.ask_back()
    asked = office.all(e.QEnter)[0].at
    office.wait(100)
    office.crash()
    office.phone_in("5550777")
    (place,) = office.w.acd.bookings()
    assert (place.since, place.position) == (asked, 1)


def test_a_queue_that_is_taken_out_of_the_document_takes_its_requests_along() -> None:
    office = Back()
    callback = office.ask_back()
    site = office.w.site
    office.switch.reform(site.model_copy(update={"queues": {}}), office.now)
    office._take()
    assert office.result(callback) == "cancelled"
