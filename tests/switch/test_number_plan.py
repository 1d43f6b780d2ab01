"""Numbers outside: what they are, by which lines, who may call them, and the daily ceiling."""

from __future__ import annotations

import pytest

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.site.model import Ceiling
from appliance.switch import actions as act
from appliance.switch.countries import plans
from appliance.switch.numbers import fits
from appliance.switch.requests import Unwilling
from appliance.switch.spending import Spending
from tests.switch.office import SESSION, START, Office, site

PHONE = sip.Source("phone", "101")


@pytest.mark.parametrize(
    ("country", "number", "kind"),
    [
        ("ro", "0212345678", "national"),
        ("ro", "2345678", "local"),
        ("ro", "+40722000000", "national"),
        ("ro", "0040722000000", "national"),
        ("ro", "004930123456", "international"),
        ("ro", "+4930123456", "international"),
        ("ro", "0900123456", "premium"),
        ("ro", "+40900123456", "premium"),
        ("us", "5551234", "local"),
        ("us", "12125551234", "national"),
        ("us", "19005551234", "premium"),
        ("us", "18765551234", "international"),
        ("us", "+18765551234", "international"),
        ("us", "8765551", "local"),
        ("us", "01144201234567", "international"),
        ("ru", "84951234567", "national"),
        ("ru", "81049301234", "international"),
        ("ru", "87011234567", "international"),
        ("gb", "0871234567", "premium"),
        ("bg", "+359888123456", "national"),
    ],
)
def test_a_countrys_plan_tells_what_a_number_is(country: str, number: str, kind: str) -> None:
    assert plans()[country].kind(number)[0] == kind


def test_the_offices_own_area_is_local() -> None:
    assert plans()["ro"].kind("0212345678", "21")[0] == "local"
    assert plans()["ro"].kind("+40212345678", "21")[0] == "local"


@pytest.mark.parametrize(
    ("pattern", "number", "yes"),
    [
        ("07XXXXXXXX", "0722000000", True),
        ("07XXXXXXXX", "072200000", False),
        ("00Z.", "0049", True),
        ("00Z.", "0009", False),
        ("00.", "00", False),
        ("N11", "911", True),
        ("N11", "111", False),
        ("+49.", "+4930", True),
    ],
)
def test_patterns(pattern: str, number: str, yes: bool) -> None:
    assert fits(pattern, number) is yes


PLAN = """
[numbering.groups]
cheap = ["voip"]
[[numbering.rules]]
pattern = "07XXXXXXXX"
strip = 1
prepend = "+40"
lines = ["cheap", "l2"]
[[numbering.rules]]
pattern = "0800."
lines = ["l2"]
"""


def test_a_rule_rewrites_the_number_and_names_the_lines() -> None:
    office = Office(site(PLAN, country="ro"))
    office.incoming("in1", "00722000000", PHONE)
    invite = office.last(act.SipInvite)
    assert (invite.trunk, invite.target) == ("voip", "+40722000000")
    office.incoming("in2", "00722000001", sip.Source("phone", "102"), "102")
    assert office.last(p.DialLine) == p.DialLine("l2", "+40722000001")


def test_a_line_that_fails_is_followed_by_the_next_but_a_busy_far_end_is_busy() -> None:
    office = Office()
    office.incoming("in1", "0555777", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 503, ""))
    assert office.last(p.DialLine) == p.DialLine("l1", "555777")
    office.media(p.LineHungUp("l1", "busy"))
    assert office.last(act.SipReject).code == 486
    ways = [(f.line, f.dial) for f in office.all(e.Dialled)]
    assert [line for line, _ in ways] == ["voip", "l1"]
    assert [f.dial for f in office.all(e.DialEnded)] == [dial for _, dial in ways]


def test_a_trunk_that_says_nothing_at_all_is_the_trunks_fault() -> None:
    office = Office()
    office.incoming("in1", "0555777", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 408, ""))
    assert office.last(p.DialLine).line == "l1"
    office.incoming("in2", "0555778", sip.Source("phone", "102"), "102")
    invite = office.last(act.SipInvite).sip
    office.sip(sip.Progress(invite, 180, None))
    office.sip(sip.Failed(invite, 408, ""))
    assert office.last(act.SipReject).code == 480


def test_abroad_and_premium_are_refused_unless_allowed() -> None:
    office = Office(site(country="ro"))
    for number, why in (("0004930123", "kind"), ("00900123456", "kind")):
        office.incoming(number, number, PHONE)
        assert office.last(act.SipReject).code == 403
        assert office.last(e.DialRefused).reason == why
        assert office.last(e.DialRefused).by == "phone:101"


def test_a_country_has_to_be_listed_besides_the_persons_permission() -> None:
    extra = '[people.eva]\nname = "Eva"\ncalls = ["international"]\n'
    office = Office(site(extra, country="ro"))
    office.on_duty("eva")
    with pytest.raises(Unwilling, match="country"):
        office.ask(live.AgentDial("eva", "0004930123"))
    assert office.last(e.DialRefused).reason == "abroad"
    office = Office(site('abroad = ["+49"]\n' + extra, country="ro"))
    office.on_duty("eva")
    office.ask(live.AgentDial("eva", "0004930123"))
    assert office.last(e.Dialled).kind == "international"


def test_a_caller_from_outside_never_gets_outside_again() -> None:
    office = Office(site(country="ro"))
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    with pytest.raises(Unwilling, match="kind of number"):
        office.ask(live.AgentTransfer("ana", "0004930123"))
    office.ask(live.AgentTransfer("ana", "00212345678"))
    assert office.last(e.Dialled).by == "agent:ana"


def test_the_ceiling_of_calls_holds_to_the_call() -> None:
    office = Office(site("[numbering.ceiling]\nperson_calls = 3\n"))
    for key in range(10):
        office.incoming(f"in{key}", "0555777", PHONE)
        if office.w.calls:
            office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, ""))
    assert len(office.all(e.Dialled)) == 3
    assert office.last(e.DialRefused).reason == "ceiling"
    assert office.last(act.SipReject).code == 403
    office.wait(86_400)
    office.incoming("next", "0555777", PHONE)
    assert len(office.all(e.Dialled)) == 4


def test_a_call_out_is_ended_when_it_has_lasted_long_enough() -> None:
    office = Office(site("[numbering.ceiling]\ncall_minutes = 5\n"))
    office.incoming("in1", "0555777", PHONE)
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    office.wait(299)
    assert office.w.calls
    office.wait(2)
    assert office.last(e.Disconnect).cause == "ceiling"
    assert office.last(e.DialEnded).talk_ms == 300_000


def test_an_attack_replayed_stops_at_the_ceiling_plus_what_was_running() -> None:
    book, ceiling = Spending(), Ceiling(minutes=10, at_once=2, calls=10_000, person_at_once=9)
    now, made = START, 0
    for minute in range(200):
        while not book.exceeded(ceiling, "phone:101", "local", now):
            made += 1
            book.begin(f"d{made}", "phone:101", "local", now)
            book.answered(f"d{made}", now)
        if minute % 7 == 6:
            for dial in list(book.running):
                book.end(dial, now)
        now += 60_000
    assert book.talk_ms.total() <= (10 + 2 * 7) * 60_000


def test_a_restart_buys_no_new_day() -> None:
    office = Office(site("[numbering.ceiling]\nperson_calls = 1\n"))
    office.incoming("in1", "0555777", PHONE)
    office.sip(sip.Failed(office.last(act.SipInvite).sip, 486, ""))
    again = Office(site("[numbering.ceiling]\nperson_calls = 1\n"))
    again.switch.restore(office.facts, again.now)
    again.incoming("in1", "0555777", PHONE)
    assert not again.all(e.Dialled)


def test_the_number_shown_is_the_persons_where_the_trunk_allows_it() -> None:
    extra = '[people.eva]\nname = "Eva"\ncaller_id = "5550199"\n'
    office = Office(site(extra))
    office.on_duty("eva")
    office.ask(live.AgentDial("eva", "0555777"))
    assert office.last(act.SipInvite).caller == "5550199"
    extra = extra.replace("5550199", "1112223")
    other = 'kind = "trunk"\nname = "Other"\nhost = "192.0.2.8"\nroute = "queue:sales"\n'
    office = Office(site(f'{extra}[lines.other]\n{other}caller_id = "1112223"\n'))
    office.on_duty("eva")
    office.ask(live.AgentDial("eva", "0555777"))
    assert office.last(act.SipInvite).caller != "1112223"


def test_a_call_in_the_name_of_a_queue_shows_the_queues_number() -> None:
    document = site()
    sales = document.queues["sales"].model_copy(update={"caller_id": "5550199"})
    document = document.model_copy(update={"queues": {"sales": sales}})
    office = Office(document)
    office.on_duty("ana")
    office.ask(live.AgentDial("ana", "0555777", "sales"))
    assert office.last(act.SipInvite).caller == "5550199"
