"""Calls that we make, message by message."""

from __future__ import annotations

from dataclasses import replace

from appliance.sip.digest import parse_digest, response_hash
from appliance.sip.events import (
    Answered,
    Failed,
    HungUp,
    PhoneTarget,
    Progress,
    TrunkConfig,
    TrunkState,
    TrunkTarget,
)
from appliance.sip.message import Message
from appliance.sip.sdp import make_offer
from tests.sip.phones import register
from tests.sip.wire import (
    CONFIG,
    NOTHING,
    OFFER,
    PHONE,
    TRUNK,
    Box,
    methods,
    reply,
    request,
    statuses,
)

DAY = 24 * 3600 * 1000
LOGIN = replace(
    CONFIG,
    trunks={"gw": TrunkConfig(TRUNK[0], username="me", secret="pw", registration=True)},
)


def calling(box: Box | None = None) -> tuple[Box, str, Message]:
    box = box or Box()
    before = len(box.sent)
    call = box.core.invite(
        TrunkTarget("gw", "0722"), "021", 'The "Office"', lambda h: make_offer(h, 4000), box.now
    )
    box._take()
    return box, call, box.sent[before]


def test_a_number_is_called_and_answered() -> None:
    box, call, invite = calling()
    assert invite.uri == "sip:0722@192.0.2.10"
    assert (invite.get("from") or "").startswith('"The \\"Office\\"" <sip:021@192.0.2.10>;tag=')
    assert box.to == [TRUNK]
    box.feed(reply(invite, 180))
    [ack] = box.feed(reply(invite, 200, body=OFFER))
    assert ack.method == "ACK"
    assert box.of(Progress) == [Progress(call, 180, None)]
    remote = box.last(Answered).remote
    assert remote is not None
    assert (remote.remote_port, remote.payload_type, remote.event_send) == (7000, 0, 101)
    [bye] = box.do("hangup", call)
    box.feed(reply(bye, 200))
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def identified(identity: str, **target: object) -> Message:
    trunk = TrunkConfig(TRUNK[0], username="me", identity=identity)  # type: ignore[arg-type]
    box = Box(replace(CONFIG, trunks={"gw": trunk}))
    before = len(box.sent)
    where = TrunkTarget("gw", "0722", **target)  # type: ignore[arg-type]
    box.core.invite(where, "021", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    return box.sent[before]


def test_the_trunk_says_in_which_header_our_number_is_told() -> None:
    number = f"<sip:021@{TRUNK[0]}>"
    for identity in ("asserted", "preferred"):
        invite = identified(identity)
        assert invite.get(f"p-{identity}-identity") == number
        assert (invite.get("from") or "").startswith(number)
        assert invite.get("privacy") is None
    assert identified("from").get("p-asserted-identity") is None


def test_a_withheld_number_is_told_the_trunk_alone() -> None:
    """RFC 3323 section 4.1.1.3, RFC 3325 section 7."""
    invite = identified("asserted", withheld=True)
    assert "anonymous.invalid" in (invite.get("from") or "")
    assert "021" not in (invite.get("from") or "")
    assert invite.get("p-asserted-identity") == f"<sip:021@{TRUNK[0]}>"
    assert invite.get("privacy") == "id"
    assert "021" not in str(identified("from", withheld=True).headers)


def test_more_headers_go_along_as_they_are() -> None:
    assert identified("from", headers=(("x-queue-wait", "30"),)).get("x-queue-wait") == "30"


def test_a_repeated_200_gets_its_ack_again() -> None:
    box, _, invite = calling()
    [first] = box.feed(reply(invite, 200, body=OFFER))
    [second] = box.feed(reply(invite, 200, body=OFFER))
    assert first == second
    assert len(box.of(Answered)) == 1


def test_ack_and_bye_go_to_the_contact_and_along_the_routes() -> None:
    box, call, invite = calling()
    routes = "Record-Route: <sip:192.0.2.71;lr>\r\nRecord-Route: <sip:192.0.2.72;lr>\r\n"
    [ack] = box.feed(reply(invite, 200, body=OFFER, extra=routes, host="10.9.9.9"))
    assert ack.uri == "sip:peer@10.9.9.9:5060"
    assert ack.all("route") == ["<sip:192.0.2.72;lr>", "<sip:192.0.2.71;lr>"]
    assert box.to[-1] == ("192.0.2.72", 5060)
    [bye] = box.do("hangup", call)
    assert bye.all("route") == ack.all("route")


def test_early_media_comes_with_183() -> None:
    box, call, invite = calling()
    box.feed(reply(invite, 183, body=OFFER))
    early = box.last(Progress)
    assert early.code == 183
    assert early.answer is not None
    box.feed(reply(invite, 200))
    assert box.of(Answered) == [Answered(call, early.answer, "192.0.2.10")]


def test_busy_is_acknowledged_and_told() -> None:
    box, call, invite = calling()
    [ack] = box.feed(reply(invite, 486))
    assert (ack.method, ack.via.branch) == ("ACK", invite.via.branch)
    assert methods(box.feed(reply(invite, 486))) == ["ACK"]
    assert [(e.call, e.code) for e in box.of(Failed)] == [(call, 486)]
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_no_answer_at_all_is_408_after_seven_attempts() -> None:
    box, _, _ = calling()
    assert methods(box.wait(40_000)) == ["INVITE"] * 6
    assert box.last(Failed).code == 408
    assert box.core.stats() == NOTHING


def test_an_answer_that_agrees_on_nothing_is_hung_up() -> None:
    box, _, invite = calling()
    answer = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 18")
    assert methods(box.feed(reply(invite, 200, body=answer))) == ["ACK", "BYE"]
    assert box.last(Failed).code == 488


def test_cancel_waits_for_the_first_sign_of_life() -> None:
    box, call, invite = calling()
    assert box.do("hangup", call) == []
    [cancel] = box.feed(reply(invite, 180))
    assert (cancel.method, cancel.via.branch, cancel.cseq) == ("CANCEL", invite.via.branch, 1)
    box.feed(reply(cancel, 200))
    assert methods(box.feed(reply(invite, 487))) == ["ACK"]
    assert not box.of(Failed)
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_an_answer_that_crosses_our_cancel_is_hung_up() -> None:
    box, call, invite = calling()
    box.feed(reply(invite, 180))
    box.do("hangup", call)
    sent = box.feed(reply(invite, 200, body=OFFER))
    assert methods(sent) == ["ACK", "BYE"]
    assert not box.of(Answered)


def test_a_cancelled_call_that_never_ends_is_forgotten() -> None:
    box, call, invite = calling()
    box.feed(reply(invite, 180))
    [cancel] = box.do("hangup", call)
    box.feed(reply(cancel, 200))
    box.wait(40_000)
    assert box.core.stats() == NOTHING


def test_the_second_branch_of_a_fork_is_hung_up() -> None:
    box, call, invite = calling()
    box.feed(reply(invite, 200, body=OFFER, tag="one"))
    sent = box.feed(reply(invite, 200, body=OFFER, tag="two"))
    assert methods(sent) == ["ACK", "BYE"]
    assert all(message.to_tag == "two" for message in sent)
    assert [event.call for event in box.of(Answered)] == [call]


def test_a_challenge_is_answered_once() -> None:
    box = Box(LOGIN)
    _, _, invite = calling(box)
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5\r\n'
    ack, again = box.feed(reply(invite, 407, extra=challenge))
    assert (ack.method, again.method, again.cseq) == ("ACK", "INVITE", 2)
    params = parse_digest(again.get("proxy-authorization") or "")
    assert params is not None
    expected = response_hash("MD5", "me", "r", "pw", "INVITE", params)
    assert params["response"] == expected
    box.feed(reply(again, 407, extra=challenge))
    assert box.last(Failed).code == 407


def test_sha256_is_preferred_when_a_trunk_offers_both() -> None:
    box = Box(LOGIN)
    _, _, invite = calling(box)
    extra = "".join(
        f'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm={name}\r\n'
        for name in ("MD5", "SHA-256", "SHA-999")
    )
    again = box.feed(reply(invite, 401, extra=extra))[-1]
    assert "algorithm=SHA-256" in (again.get("authorization") or "")


def test_the_peer_hangs_up() -> None:
    box, call, invite = calling()
    box.feed(reply(invite, 200, body=OFFER, tag="peer"))
    bye = request("BYE", call_id=invite.call_id, from_tag="peer", to_tag=invite.from_tag)
    assert statuses(box.feed(bye)) == [200]
    assert box.last(HungUp) == HungUp(call, "normal")


def test_a_timer_that_the_phone_wants_unasked_is_kept() -> None:
    box, _, invite = calling()
    extra = "Session-Expires: 180;refresher=uac\r\nAllow: UPDATE\r\n"
    box.feed(reply(invite, 200, body=OFFER, extra=extra))
    assert methods(box.wait(90_000)) == ["UPDATE"]


def test_all_contacts_of_a_phone_ring_and_the_first_answer_wins() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    register(box, "101", "one", ("192.0.2.21", 5062))
    before = len(box.sent)
    call = box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    one, two = box.sent[before:]
    assert set(box.to[before:]) == {PHONE, ("192.0.2.21", 5062)}
    box.feed(reply(one, 180), PHONE)
    box.feed(reply(two, 180), ("192.0.2.21", 5062))
    assert box.of(Progress) == [Progress(call, 180, None)]
    sent = box.feed(reply(two, 200, body=OFFER), ("192.0.2.21", 5062))
    assert sorted(methods(sent)) == ["ACK", "CANCEL"]
    assert [event.call for event in box.of(Answered)] == [call]


def test_a_decline_of_one_phone_stops_the_others() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    register(box, "101", "one", ("192.0.2.21", 5062))
    before = len(box.sent)
    box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    one, two = box.sent[before:]
    box.feed(reply(one, 180), PHONE)
    box.feed(reply(two, 603), ("192.0.2.21", 5062))
    assert methods(box.sent)[-1] == "CANCEL"
    assert box.last(Failed).code == 603


def test_a_phone_that_is_not_there_is_480() -> None:
    box = Box()
    call = box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    assert [(e.call, e.code) for e in box.of(Failed)] == [(call, 480)]


def test_a_withheld_number_is_anonymous() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    box.core.invite(PhoneTarget("101"), None, None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    assert "anonymous@anonymous.invalid" in (box.sent[-1].get("from") or "")


def test_a_trunk_is_logged_in_to_and_refreshed() -> None:
    box = Box(LOGIN)
    [first] = box.wait(1)
    assert first.method == "REGISTER"
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5\r\n'
    [second] = box.feed(reply(first, 401, extra=challenge))
    assert (second.cseq, second.call_id) == (first.cseq + 1, first.call_id)
    contact = second.get("contact")
    box.feed(
        reply(second, 200, extra="Expires: 120\r\n").replace("Contact", f"Contact: {contact}\r\nX")
    )
    assert box.of(TrunkState) == [TrunkState("gw", True, "logged in")]
    assert methods(box.wait(59_000)) == []
    assert set(methods(box.wait(2_000))) == {"REGISTER"}


def test_a_trunk_with_a_short_interval_gets_what_it_wants() -> None:
    box = Box(LOGIN)
    [first] = box.wait(1)
    box.feed(reply(first, 423, extra="Min-Expires: 1800\r\n"))
    [second] = box.wait(1)
    assert second.get("expires") == "1800"


def test_a_trunk_that_refuses_the_password_is_told_and_not_hammered() -> None:
    box = Box(LOGIN)
    [first] = box.wait(1)
    box.feed(reply(first, 403))
    assert not box.last(TrunkState).ok
    assert box.wait(299_000) == []
    assert methods(box.wait(2_000))[0] == "REGISTER"


def test_a_trunk_that_does_not_answer_is_tried_again_ever_more_slowly() -> None:
    box = Box(LOGIN)
    box.wait(33_000)
    assert not box.last(TrunkState).ok
    attempts = {message.cseq for message in box.wait(3_600_000) if message.method == "REGISTER"}
    assert 10 < len(attempts) < 30


def test_a_gateway_is_asked_whether_it_is_there() -> None:
    box = Box(replace(CONFIG, trunks={"gw": TrunkConfig(TRUNK[0])}))
    [options] = box.wait(1)
    box.feed(reply(options, 404))
    assert box.of(TrunkState) == [TrunkState("gw", True, "answers")]
    box.wait(100_000)
    assert not box.last(TrunkState).ok


def test_stopping_ends_calls_and_logs_out() -> None:
    box = Box(LOGIN)
    [first] = box.wait(1)
    box.feed(reply(first, 200))
    _, _, ringing = calling(box)
    box.feed(reply(ringing, 180))
    _, _, talking = calling(box)
    box.feed(reply(talking, 200, body=OFFER))
    sent = box.do("shutdown")
    assert sorted(methods(sent)) == ["BYE", "CANCEL", "REGISTER"]
    logout = next(message for message in sent if message.method == "REGISTER")
    assert logout.get("expires") == "0"


def test_a_call_that_is_given_up_answers_no_challenge() -> None:
    box = Box(LOGIN)
    _, call, invite = calling(box)
    box.do("hangup", call)
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5\r\n'
    assert methods(box.feed(reply(invite, 401, extra=challenge))) == ["ACK"]
    box.wait(DAY)
    assert box.core.stats().dialogs == 0
