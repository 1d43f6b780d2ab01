"""Subscriptions and what is told by them (RFC 6665), on the lamp for messages (RFC 3842)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.sip.message import Message
from appliance.sip.subscription import MAX_EXPIRES, MAX_OF_PHONE, Published
from appliance.sip.summary import MessageSummary
from tests.sip.phones import credentials, register
from tests.sip.wire import CONFIG, PHONE, US, Box, reply, request, statuses

MWI = "message-summary"


def subscribe(
    box: Box,
    *,
    call_id: str = "s1",
    cseq: int = 1,
    expires: int | None = 300,
    to_tag: str = "",
    event: str = MWI,
    number: str = "101",
    extra: str = "",
    user: str = "101",
    source: tuple[str, int] = PHONE,
) -> list[Message]:
    """SUBSCRIBE, with the password when it is asked for."""

    def text(cseq: int, more: str = "") -> str:
        lines = f"Event: {event}\r\n{extra}{more}"
        if expires is not None:
            lines += f"Expires: {expires}\r\n"
        return request(
            "SUBSCRIBE",
            uri=f"sip:{number}@{US}",
            call_id=call_id,
            cseq=cseq,
            to_tag=to_tag,
            extra=lines,
            source=source,
            user=user,
        )

    sent = box.feed(text(cseq), source)
    if not sent or sent[0].status != 401:
        return sent
    secret = {"101": "one", "102": "two"}[user]
    login = credentials(sent[0], "SUBSCRIBE", user, secret, uri=f"sip:{number}@{US}")
    return box.feed(text(cseq + 1, login), source)


def mwi_box(fresh: int = 0, old: int = 0) -> Box:
    box = Box()
    box.do("publish", MWI, "101", lamp(fresh, old))
    return box


def lamp(fresh: int, old: int = 0) -> Published:
    return Published(MessageSummary(fresh, old, "*98"), frozenset({"101"}))


def state_of(notify: Message) -> str:
    return notify.get("subscription-state") or ""


def test_a_phone_hears_the_state_at_once_and_each_change() -> None:
    box = mwi_box(2, 1)
    accepted, first = subscribe(box)
    assert (accepted.status, accepted.get("expires")) == (200, "300")
    assert (first.method, first.get("event"), first.call_id) == ("NOTIFY", MWI, "s1")
    assert first.to_tag == "theirs"
    assert first.from_tag == accepted.to_tag
    assert state_of(first) == "active;expires=300"
    assert first.get("content-type") == "application/simple-message-summary"
    assert first.body.decode() == (
        f"Messages-Waiting: yes\r\nMessage-Account: sip:*98@{US}\r\nVoice-Message: 2/1 (0/0)\r\n"
    )
    box.feed(reply(first, 200), PHONE)
    [second] = box.do("publish", MWI, "101", lamp(0, 3))
    assert b"Messages-Waiting: no" in second.body
    assert (
        int((second.get("cseq") or "").split()[0]) == int((first.get("cseq") or "").split()[0]) + 1
    )
    box.feed(reply(second, 200), PHONE)
    assert box.do("publish", MWI, "101", lamp(0, 3)) == []
    assert box.core.stats().subscriptions == 1


def test_what_changes_while_a_notify_is_under_way_is_told_once_by_the_next() -> None:
    box = mwi_box()
    _, first = subscribe(box)
    for fresh in (1, 2, 3):
        assert box.do("publish", MWI, "101", lamp(fresh)) == []
    [latest] = box.feed(reply(first, 200), PHONE)
    assert b"Voice-Message: 3/0" in latest.body
    assert box.feed(reply(latest, 200), PHONE) == []


def test_it_is_refreshed_within_its_dialog_and_ends_by_the_phones_wish() -> None:
    box = mwi_box()
    accepted, first = subscribe(box)
    tag = accepted.to_tag
    box.feed(reply(first, 200), PHONE)
    box.wait(200_000)
    again, state = subscribe(box, cseq=3, to_tag=tag)
    assert again.status == 200
    box.feed(reply(state, 200), PHONE)
    assert statuses(subscribe(box, cseq=4, to_tag=tag, event="presence")) == [489]
    box.wait(200_000)
    assert box.core.stats().subscriptions == 1
    over, last = subscribe(box, cseq=5, to_tag=tag, expires=0)
    assert (over.status, over.get("expires")) == (200, "0")
    assert state_of(last) == "terminated;reason=timeout"
    box.feed(reply(last, 200), PHONE)
    assert box.core.stats().subscriptions == 0
    assert statuses(subscribe(box, cseq=6, to_tag=tag)) == [481]


def test_one_that_is_not_refreshed_ends_with_its_time() -> None:
    box = mwi_box()
    _, first = subscribe(box, expires=100_000)
    box.feed(reply(first, 200), PHONE)
    sent = box.wait(MAX_EXPIRES * 1000 + 1)
    assert next(state_of(one) for one in sent if one.method == "NOTIFY").startswith("terminated")
    box.feed(reply(sent[-1], 200), PHONE)
    box.wait(60_000)
    assert box.core.stats().subscriptions == 0


def test_a_single_look_is_answered_once() -> None:
    box = mwi_box(1)
    accepted, only = subscribe(box, expires=0)
    assert accepted.status == 200
    assert state_of(only) == "terminated;reason=timeout"
    assert b"Voice-Message: 1/0" in only.body
    box.feed(reply(only, 200), PHONE)
    assert box.core.stats().subscriptions == 0


def test_who_does_not_take_it_is_told_no_more() -> None:
    box = mwi_box()
    _, first = subscribe(box)
    box.feed(reply(first, 481), PHONE)
    assert box.core.stats().subscriptions == 0
    _, first = subscribe(box, call_id="s2")
    box.wait(40_000)
    assert box.core.stats().subscriptions == 0


def test_a_phone_that_restarted_takes_the_place_of_its_old_subscription() -> None:
    box = mwi_box()
    for turn in range(5):
        _, first = subscribe(box, call_id=f"boot-{turn}")
        box.feed(reply(first, 200), PHONE)
    assert box.core.stats().subscriptions == 1


def test_subscriptions_are_bounded() -> None:
    box = mwi_box()
    for turn in range(MAX_OF_PHONE):
        source = (PHONE[0], 10_000 + turn)
        _, first = subscribe(box, call_id=f"many-{turn}", source=source)
        box.feed(reply(first, 200), source)
    last = subscribe(box, call_id="one-more", source=(PHONE[0], 9_999))
    assert statuses(last) == [503]


def test_who_may_not_and_what_is_not_there() -> None:
    box = mwi_box()
    assert statuses(subscribe(box, event="presence")) == [489]
    assert statuses(subscribe(box, expires=5)) == [423]
    assert statuses(subscribe(box, extra="Accept: text/plain\r\n")) == [406]
    assert statuses(subscribe(box, call_id="n", number="102", user="102")) == [404]
    assert statuses(subscribe(box, call_id="m", number="101", user="102")) == [403]
    assert box.core.stats().subscriptions == 0
    # The number of the voicemail stands for the phone's own box.
    accepted, first = subscribe(box, call_id="v", number="*98")
    assert accepted.status == 200
    assert first.method == "NOTIFY"


def test_a_resource_that_goes_ends_its_subscriptions() -> None:
    box = mwi_box()
    _, first = subscribe(box)
    box.feed(reply(first, 200), PHONE)
    [last] = box.do("publish", MWI, "101", None)
    assert state_of(last) == "terminated;reason=noresource"
    box.feed(reply(last, 200), PHONE)
    assert box.core.stats().subscriptions == 0


def test_a_phone_with_a_new_password_has_to_ask_again() -> None:
    box = mwi_box()
    _, first = subscribe(box)
    box.feed(reply(first, 200), PHONE)
    [last] = box.do("reconfigure", replace(CONFIG, phones={"101": "other", "102": "two"}))
    assert state_of(last) == "terminated;reason=rejected"


def test_a_phone_that_never_asks_is_told_all_the_same() -> None:
    box = mwi_box(1)
    register(box, "101", "one", PHONE)
    [told] = [one for one in box.sent if one.method == "NOTIFY"]
    assert told.uri.startswith("sip:101@")
    assert state_of(told).startswith("terminated")
    assert b"Messages-Waiting: yes" in told.body
    box.feed(reply(told, 200), PHONE)
    [changed] = box.do("publish", MWI, "101", lamp(0, 1))
    assert changed.call_id != told.call_id
    # One that does not want it is left alone, until it registers anew.
    box.feed(reply(changed, 489), PHONE)
    assert box.do("publish", MWI, "101", lamp(1, 1)) == []


def test_a_phone_with_a_subscription_is_told_once() -> None:
    box = mwi_box()
    register(box, "101", "one", PHONE)
    box.feed(reply(box.sent[-1], 200), PHONE)
    _, first = subscribe(box)
    box.feed(reply(first, 200), PHONE)
    [only] = box.do("publish", MWI, "101", lamp(1))
    assert only.call_id == "s1"


def test_it_goes_on_over_a_restart() -> None:
    before = mwi_box()
    accepted, first = subscribe(before)
    before.feed(reply(first, 200), PHONE)
    saved = before.core.saved_subscriptions()
    after = mwi_box(1)
    after.now = before.now + 5000
    [told] = after.do("restore_subscriptions", saved)
    assert (told.call_id, told.from_tag, told.to_tag) == ("s1", accepted.to_tag, "theirs")
    assert int((told.get("cseq") or "").split()[0]) > int((first.get("cseq") or "").split()[0])
    assert b"Voice-Message: 1/0" in told.body
    after.feed(reply(told, 200), PHONE)
    # It is refreshed as before.
    assert subscribe(after, cseq=9, to_tag=accepted.to_tag)[0].status == 200
    late = mwi_box()
    late.now = before.now + MAX_EXPIRES * 1000 + 1
    assert late.do("restore_subscriptions", saved) == []


class Lamps(RuleBasedStateMachine):
    """However phones ask, answer and vanish: one NOTIFY at a time for each subscription, and once
    all is quiet whoever is still subscribed knows the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.box = mwi_box()
        self.fresh = 0
        self.turn = 0
        self.open: dict[str, Message] = {}
        self.knows: dict[str, bytes] = {}

    def _look(self, sent: list[Message]) -> None:
        for one in sent:
            if one.method == "NOTIFY":
                # A retransmission is the same request; another one may not come before an answer.
                waiting = self.open.get(one.call_id)
                assert waiting is None or waiting.get("cseq") == one.get("cseq")
                self.open[one.call_id] = one

    @rule(port=st.integers(6000, 6003), expires=st.sampled_from([0, 60, 300, 4000]))
    def asks(self, port: int, expires: int) -> None:
        self.turn += 1
        source = (PHONE[0], port)
        self._look(subscribe(self.box, call_id=f"c{self.turn}", expires=expires, source=source))

    @rule(status=st.sampled_from([200, 200, 200, 481, 500]))
    def answers(self, status: int) -> None:
        for call_id, notify in list(self.open.items()):
            del self.open[call_id]
            self.knows[call_id] = notify.body
            self._look(self.box.feed(reply(notify, status), PHONE))

    @rule()
    def changes(self) -> None:
        self.fresh += 1
        self._look(self.box.do("publish", MWI, "101", lamp(self.fresh)))

    @rule(seconds=st.integers(1, 400))
    def time_passes(self, seconds: int) -> None:
        self._look(self.box.wait(seconds * 1000))

    @invariant()
    def is_bounded(self) -> None:
        assert self.box.core.stats().subscriptions <= 4

    def teardown(self) -> None:
        for _ in range(3):
            self.answers(200)
        for one in self.box.core._subscriptions._by_tag.values():
            assert f"Voice-Message: {self.fresh}/".encode() in self.knows[one.dialog.call_id]
        self._look(self.box.wait(MAX_EXPIRES * 2000))
        assert self.box.core.stats().subscriptions == 0


Lamps.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLamps = Lamps.TestCase
