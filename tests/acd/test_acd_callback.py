"""Call-backs: the place is kept, everybody is called once, whatever happens to the box."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import events as facts
from appliance.acd import callback as cb
from appliance.acd import events as acd
from appliance.acd.actions import Dial, Ring
from appliance.acd.callback import CallBacks
from appliance.site.model import Queue
from tests.acd.acd_office import START, Office, only, queue
from tests.acd.callback_office import CallbackOffice

RULES = {"sales": queue("a", callback_tries=2, callback_retry_s=60, callback_keep_h=1)}
HOUR = 3_600_000


class Book:
    """`CallBacks` with a clock and what it has written so far."""

    def __init__(self, rules: Mapping[str, Queue] = RULES) -> None:
        self.now = START
        self.ids = 0
        self.rules = rules
        self.disk: list[facts.Fact] = []
        self.back = CallBacks(rules, self.new_id)

    def new_id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    def do(self, event: cb.Event) -> list[object]:
        return self.took(self.back.handle(event, self.now))

    def took(self, out: cb.Output) -> list[object]:
        self.disk += [each for each in out if isinstance(each, facts.Fact)]
        return list(out)

    def advance(self, ms: int) -> list[object]:
        self.now += ms
        return self.took(self.back.tick(self.now))

    def restart(self) -> list[object]:
        self.back = CallBacks(self.rules, self.new_id)
        return self.took(self.back.restore(tuple(self.disk), self.now))

    def ask(self, number: str = "+40") -> str:
        self.do(cb.Request("sales", number, self.now - 30_000))
        found = self.back.of("sales", number)
        assert found is not None
        return found

    def dial(self, name: str) -> cb.Place:
        return only(self.do(cb.Turn(name, "a")), cb.Place)[0]

    def result(self, name: str) -> str | None:
        ends = [f for f in self.disk if isinstance(f, facts.CallbackEnded) and f.callback == name]
        assert len(ends) <= 1, "one outcome"
        return ends[0].result if ends else None


def test_a_request_takes_the_place_of_the_wait() -> None:
    book = Book()
    out = book.do(cb.Request("sales", "+40", START - 30_000, 2, "c1", "e1"))
    assert [type(each) for each in out] == [facts.CallbackRequested, acd.Book]
    assert out[1] == acd.Book("cb1", "sales", START - 30_000, 2)


def test_one_number_has_one_request_in_a_queue() -> None:
    """FreePBX #525: two or three extra calls to the same person."""
    book = Book()
    book.ask()
    assert book.do(cb.Request("sales", "+40")) == []


def test_a_try_is_written_down_before_the_call_goes_out() -> None:
    book = Book()
    name = book.ask()
    out = book.do(cb.Turn(name, "a"))
    assert [type(each) for each in out] == [facts.CallbackDialled, cb.Place]
    assert book.do(cb.Turn(name, "a")) == [acd.Unbook(name)], "one call at a time"


def test_who_answers_enters_at_the_kept_place_and_is_connected_once() -> None:
    book = Book()
    name = book.ask()
    call = book.dial(name).call
    (met,) = book.do(cb.PickedUp(call))
    assert isinstance(met, acd.Met)
    assert (met.booking, met.call, met.caller) == (name, call, "+40")
    assert book.do(cb.PickedUp(call)) == []
    book.do(cb.Left(met.entry, "answered", "a"))
    assert book.result(name) == "connected"
    assert book.back.open() == ()


def test_tries_have_a_pause_and_a_limit() -> None:
    book = Book()
    name = book.ask()
    out = book.do(cb.Failed(book.dial(name).call, "busy"))
    assert [type(each) for each in out] == [facts.CallbackMissed, cb.Drop, acd.Unbook]
    assert not only(book.advance(59_999), acd.Book)
    assert only(book.advance(1), acd.Book) == [acd.Book(name, "sales", START - 30_000, 0)]
    book.do(cb.Failed(book.dial(name).call, "busy"))
    assert book.result(name) == "unreachable"


def test_a_call_that_is_never_answered_is_hung_up() -> None:
    book = Book()
    place = book.dial(book.ask())
    out = book.advance(30_000)
    assert cb.Drop(place.call) in out
    assert [missed.cause for missed in only(out, facts.CallbackMissed)] == ["no_answer"]
    assert book.do(cb.PickedUp(place.call)) == [cb.Drop(place.call)], "too late"


def test_an_old_request_is_given_up() -> None:
    book = Book()
    name = book.ask()
    out = book.advance(HOUR)
    assert acd.Unbook(name) in out
    assert book.result(name) == "expired"


def test_who_was_reached_otherwise_is_not_called_any_more() -> None:
    book = Book()
    name = book.ask()
    place = book.dial(name)
    out = book.do(cb.Reached("+40"))
    assert cb.Drop(place.call) in out
    assert acd.Unbook(name) in out
    assert book.result(name) == "reached"


def test_a_request_can_be_taken_back() -> None:
    book = Book()
    name = book.ask()
    assert acd.Unbook(name) in book.do(cb.Cancel(name))
    assert book.result(name) == "cancelled"


def test_who_answers_and_hangs_up_is_not_called_again() -> None:
    book = Book()
    name = book.ask()
    (met,) = book.do(cb.PickedUp(book.dial(name).call))
    assert isinstance(met, acd.Met)
    book.do(cb.Left(met.entry, "abandoned"))
    assert book.result(name) == "abandoned"


def test_who_answered_and_was_not_served_is_tried_again() -> None:
    book = Book()
    name = book.ask()
    (met,) = book.do(cb.PickedUp(book.dial(name).call))
    assert isinstance(met, acd.Met)
    book.do(cb.Left(met.entry, "no_agent"))
    assert only(book.advance(60_000), acd.Book)


def test_a_queue_that_goes_takes_its_requests_along() -> None:
    book = Book()
    name = book.ask()
    book.took(book.back.rules({}, book.now))
    assert book.result(name) == "cancelled"


# --- restarts -------------------------------------------------------------------------------


def test_a_waiting_request_takes_its_place_again_after_a_restart() -> None:
    book = Book()
    name = book.ask()
    book.now += 60_000
    assert book.restart() == [acd.Book(name, "sales", START - 30_000, 0)]


def test_a_try_that_the_crash_cut_off_counts_as_made() -> None:
    book = Book()
    name = book.ask()
    book.dial(name)
    out = book.restart()
    assert [type(each) for each in out] == [facts.CallbackMissed]
    book.advance(60_000)
    book.dial(name)
    book.restart()
    assert book.result(name) == "unreachable"


def test_who_was_connected_before_the_crash_is_not_called_again() -> None:
    book = Book()
    name = book.ask()
    (met,) = book.do(cb.PickedUp(book.dial(name).call))
    assert isinstance(met, acd.Met)
    book.disk.append(
        facts.Connect(at=book.now, call=met.call, entry=met.entry, queue="sales", agent="a")
    )
    assert [type(each) for each in book.restart()] == [facts.CallbackEnded]
    assert book.result(name) == "connected"


def test_the_pause_goes_on_after_a_restart() -> None:
    book = Book()
    name = book.ask()
    book.do(cb.Failed(book.dial(name).call, "busy"))
    book.now += 20_000
    assert book.restart() == []
    assert not only(book.advance(39_999), acd.Book)
    assert only(book.advance(1), acd.Book)
    assert book.back.open()[0].callback == name


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(["+401", "+402"])),
        st.tuples(st.sampled_from(["turn", "up", "fail", "answer", "leave", "crash"]), st.just("")),
        st.tuples(st.just("cancel"), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from(["1000", "31000", "61000", "4000000"])),
    ),
    max_size=50,
)


@given(EVENTS)
def test_any_order_of_events_and_restarts_gives_each_request_one_outcome(
    events: list[tuple[str, str]],
) -> None:
    book = Book()
    places: list[cb.Place] = []
    entries: list[acd.Met] = []
    answered: dict[str, int] = {}
    for kind, what in events:
        out: list[object] = []
        names = [view.callback for view in book.back.open()]
        if kind == "ask":
            out = book.do(cb.Request("sales", what))
        elif kind == "turn" and names:
            out = book.do(cb.Turn(names[0], "a"))
        elif kind == "up" and places:
            out = book.do(cb.PickedUp(places[-1].call))
        elif kind == "fail" and places:
            out = book.do(cb.Failed(places[-1].call, "busy"))
        elif kind in ("answer", "leave") and entries:
            met = entries.pop()
            if kind == "answer":
                answered[met.booking] = answered.get(met.booking, 0) + 1
            out = book.do(cb.Left(met.entry, "answered" if kind == "answer" else "timeout", "a"))
        elif kind == "cancel" and names:
            out = book.do(cb.Cancel(names[-1]))
        elif kind == "wait":
            out = book.advance(int(what))
        elif kind == "crash":
            entries.clear()
            out = book.restart()
        places += only(out, cb.Place)
        entries += only(out, acd.Met)
        dialling = [view.callback for view in book.back.open() if view.call is not None]
        assert len(dialling) == len(set(dialling))
        assert all(view.tries <= 2 for view in book.back.open())
    for name in {f.callback for f in book.disk if isinstance(f, facts.CallbackRequested)}:
        assert answered.get(name, 0) <= 1
        still = any(view.callback == name for view in book.back.open())
        assert (book.result(name) is None) == still
    tries = [f for f in book.disk if isinstance(f, facts.CallbackDialled)]
    assert len({f.call for f in tries}) == len(tries)
    assert len({(f.callback, f.attempt) for f in tries}) == len(tries)


# --- with the queues ------------------------------------------------------------------------


def test_an_agent_is_kept_free_while_the_box_calls() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(acd.Book("cb1", "sales", office.now - 60_000))
    office.enter("e1")
    out = office.do(acd.Reachable("a", True)) + office.do(acd.SetState("a", "ready"))
    assert only(out, Dial) == [Dial("cb1", "sales", "a")]
    view = office.acd.agent("a")
    assert (view.phase, view.booking, view.offer) == ("busy", "cb1", None)
    out = office.do(acd.Met("cb1", "c9", "e9", "+40"))
    assert [(ring.agent, ring.entry) for ring in only(out, Ring)] == [("a", "e9")]


def test_a_call_that_came_to_nothing_gives_the_agent_to_the_next() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(acd.Book("cb1", "sales", office.now - 60_000))
    office.sign_in("a")
    office.enter("e1")
    assert office.rung() == {}
    office.do(acd.Unbook("cb1"))
    assert office.rung() == {"a": "e1"}


def test_a_call_back_does_not_overtake_who_waits_longer() -> None:
    """FreePBX #621."""
    office = Office({"sales": queue("a")}, ("a",))
    office.do(acd.SetState("a", "not_ready"))
    office.enter("e1")
    office.now += 1000
    office.do(acd.Book("cb1", "sales", office.now))
    office.sign_in("a")
    assert office.rung() == {"a": "e1"}
    assert [view.dialling for view in office.acd.bookings()] == [False]


def test_an_agent_who_goes_is_replaced_without_a_second_call() -> None:
    office = Office({"sales": queue("a", "b", strategy="ring_all")}, ("a", "b"))
    office.do(acd.Book("cb1", "sales", office.now))
    office.sign_in("a", "b")
    out = office.do(acd.SetState("a", "not_ready"))
    assert not only(out, Dial)
    assert office.acd.agent("b").booking == "cb1"


def test_when_no_agent_is_left_the_person_waits_at_the_head() -> None:
    office = Office({"sales": queue("a")}, ("a",))
    office.do(acd.Book("cb1", "sales", office.now - 60_000))
    office.sign_in("a")
    office.enter("e1")
    office.do(acd.SetState("a", "not_ready"))
    office.do(acd.Met("cb1", "c9", "e9"))
    assert office.waiting() == ["e9", "e1"]


def test_places_of_call_backs_count_in_the_position_and_never_fill_the_queue() -> None:
    office = Office({"sales": queue("a", max_waiting=1)}, ("a",))
    office.do(acd.SetState("a", "not_ready"))
    office.do(acd.Book("cb1", "sales", office.now))
    office.enter("e1")
    assert [view.position for view in office.acd.waiting()] == [2]
    assert office.acd.counts("sales").waiting == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_busy_office_with_crashes_calls_everybody_once_and_in_turn(seed: int) -> None:
    """10,000 callers over both runs, a crash in about one of 250 steps, some within the writing."""
    office = CallbackOffice(seed, crash=0.004)
    tally = office.run(5_000)
    assert tally.crashes > 100
    assert tally.requests > 500
    assert tally.ended["connected"] > 300
    assert sum(tally.ended.values()) == tally.requests, "each request has one outcome"
    assert (tally.doubles, tally.overtakes, tally.too_many) == (0, 0, 0)
