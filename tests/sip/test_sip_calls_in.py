"""Calls that come in, message by message."""

from __future__ import annotations

from appliance.sip.events import (
    Answered,
    Cancelled,
    Digit,
    HungUp,
    Incoming,
    Reanswered,
    Reoffered,
)
from appliance.sip.sdp import answer, make_offer
from tests.sip.wire import NOTHING, OFFER, TRUNK, Box, methods, reply, request, statuses

DAY = 24 * 3600 * 1000
SDP = make_offer("192.0.2.1", 4000)


def ringing(**more: str) -> tuple[Box, str]:
    box = Box()
    box.feed(request("INVITE", body=OFFER, **more))  # type: ignore[arg-type]
    return box, box.last(Incoming).call


def up(extra: str = "") -> tuple[Box, str, str]:
    """An answered call: the box, its key, our tag."""
    box, call = ringing(extra=extra)
    offer = box.last(Incoming).offer
    assert offer is not None
    agreed = answer(offer, "192.0.2.1", 4000)
    assert agreed is not None
    [ok] = box.do("answer", call, agreed[0])
    box.feed(request("ACK", to_tag=ok.to_tag))
    return box, call, ok.to_tag


def test_a_call_rings_is_answered_and_hung_up() -> None:
    box, call = ringing()
    incoming = box.last(Incoming)
    assert (incoming.from_number, incoming.from_name, incoming.to_number) == ("0701", "Ana", "200")
    assert (incoming.source.kind, incoming.source.id) == ("trunk", "gw")
    assert incoming.local_host == "192.0.2.1"
    assert statuses(box.do("ring", call)) == [180]
    [ok] = box.do("answer", call, SDP)
    assert (ok.status, b"m=audio 4000" in ok.body) == (200, True)
    assert box.feed(request("ACK", to_tag=ok.to_tag)) == []
    assert box.of(Answered) == [Answered(call, None)]
    assert statuses(box.feed(request("BYE", cseq=2, to_tag=ok.to_tag))) == [200]
    assert box.last(HungUp) == HungUp(call, "normal")
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_a_repeated_invite_is_one_call_and_gets_the_last_response_again() -> None:
    box, call = ringing()
    box.do("ring", call)
    assert statuses(box.feed(request("INVITE", body=OFFER))) == [180]
    assert len(box.of(Incoming)) == 1


def test_an_invite_that_comes_by_two_ways_is_one_call() -> None:
    box, _ = ringing()
    assert statuses(box.feed(request("INVITE", body=OFFER, branch="z9hG4bKother"))) == [482]
    assert len(box.of(Incoming)) == 1


def test_the_answer_is_repeated_until_its_ack() -> None:
    box, call = ringing()
    [ok] = box.do("answer", call, SDP)
    assert statuses(box.wait(10_000)) == [200] * 4
    box.feed(request("ACK", to_tag=ok.to_tag))
    assert box.wait(10_000) == []


def test_without_ack_the_call_is_given_up() -> None:
    box, call = ringing()
    box.do("answer", call, SDP)
    sent = box.wait(40_000)
    assert methods(sent)[0] == "BYE"
    assert box.last(HungUp) == HungUp(call, "unreachable")
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    box, call = ringing()
    [ok] = box.do("answer", call, SDP)
    assert box.do("hangup", call) == []
    assert methods(box.feed(request("ACK", to_tag=ok.to_tag))) == ["BYE"]


def test_cancel_ends_a_ringing_call() -> None:
    box, call = ringing()
    box.do("ring", call)
    assert statuses(box.feed(request("CANCEL"))) == [200, 487]
    assert box.of(Cancelled) == [Cancelled(call)]
    assert box.do("answer", call, SDP) == []
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_cancel_after_the_answer_changes_nothing() -> None:
    box, call = ringing()
    [ok] = box.do("answer", call, SDP)
    assert statuses(box.feed(request("CANCEL"))) == [200]
    box.feed(request("ACK", to_tag=ok.to_tag))
    assert box.of(Answered)
    assert not box.of(Cancelled)


def test_cancel_of_nothing_is_481() -> None:
    assert statuses(Box().feed(request("CANCEL"))) == [481]


def test_a_refusal_is_repeated_until_its_ack() -> None:
    box, call = ringing()
    assert statuses(box.do("reject", call, 486)) == [486]
    assert statuses(box.wait(4_000)) == [486] * 3
    refusal = box.sent[-1]
    box.feed(request("ACK", to_tag=refusal.to_tag, branch="z9hG4bK-c1-1-INVITE"))
    assert box.wait(60_000) == []
    assert box.core.stats() == NOTHING


def test_ringing_is_repeated_each_minute() -> None:
    box, call = ringing()
    box.do("ring", call)
    assert statuses(box.wait(185_000)) == [180] * 3


def test_early_media_then_answer_is_one_version_of_one_description() -> None:
    box, call = ringing()
    [early] = box.do("progress", call, SDP)
    [ok] = box.do("answer", call, SDP)
    assert early.status == 183
    assert early.body == ok.body


def test_hold_and_resume_grow_the_version() -> None:
    box, call, tag = up()
    held = OFFER + "a=sendonly\r\n"
    assert box.feed(request("INVITE", cseq=2, to_tag=tag, body=held)) == []
    offer = box.last(Reoffered).offer
    assert offer.held
    agreed = answer(offer, "192.0.2.1", 4000)
    assert agreed is not None
    [ok] = box.do("reanswer", call, agreed[0])
    assert b" 2 IN IP4" in ok.body
    assert b"a=recvonly" in ok.body
    assert not agreed[1].send


def test_an_unanswered_reoffer_is_refused_in_time() -> None:
    box, _, tag = up()
    box.feed(request("INVITE", cseq=2, to_tag=tag, body=OFFER))
    assert statuses(box.wait(11_000))[0] == 488


def test_a_second_reinvite_during_the_first_is_500_with_retry_after() -> None:
    box, _, tag = up()
    box.feed(request("INVITE", cseq=2, to_tag=tag, body=OFFER))
    [refusal] = box.feed(request("INVITE", cseq=3, to_tag=tag, body=OFFER))
    assert refusal.status == 500
    assert refusal.get("retry-after") is not None


def test_glare_is_491_and_ours_is_tried_again() -> None:
    box, call, tag = up()
    [ours] = box.do("reoffer", call, make_offer("192.0.2.1", 4000, "sendonly"))
    assert statuses(box.feed(request("INVITE", cseq=2, to_tag=tag, body=OFFER))) == [491]
    assert methods(box.feed(reply(ours, 491))) == ["ACK"]
    again = next(m for m in box.wait(2_000) if m.method == "INVITE")
    assert methods(box.feed(reply(again, 200, body=OFFER + "a=recvonly\r\n"))) == ["ACK"]
    [event] = box.of(Reanswered)
    assert event.remote is not None
    assert (event.remote.send, event.remote.receive) == (True, False)


def test_a_reoffer_waits_for_the_ack_of_the_answer() -> None:
    box, call = ringing()
    [ok] = box.do("answer", call, SDP)
    assert box.do("reoffer", call, make_offer("192.0.2.1", 4000, "sendonly")) == []
    assert methods(box.feed(request("ACK", to_tag=ok.to_tag))) == ["INVITE"]


def test_a_refused_reoffer_changes_nothing() -> None:
    box, call, _ = up()
    [ours] = box.do("reoffer", call, SDP)
    box.feed(reply(ours, 488))
    assert box.of(Reanswered) == [Reanswered(call, None)]
    assert not box.of(HungUp)


def test_a_reinvite_to_a_peer_that_forgot_the_call_ends_it() -> None:
    box, call, _ = up()
    [ours] = box.do("reoffer", call, SDP)
    sent = box.feed(reply(ours, 481))
    assert methods(sent) == ["ACK", "BYE"]
    assert box.last(HungUp) == HungUp(call, "unreachable")


def test_a_reinvite_without_offer_gets_ours() -> None:
    box, _, tag = up()
    [ok] = box.feed(request("INVITE", cseq=2, to_tag=tag))
    assert b"m=audio 4000" in ok.body
    box.feed(request("ACK", cseq=2, to_tag=tag, body=OFFER))
    assert box.last(Reanswered).remote is not None


def test_update_is_a_reoffer_too() -> None:
    box, call, tag = up()
    box.feed(request("UPDATE", cseq=2, to_tag=tag, body=OFFER))
    assert box.last(Reoffered).call == call
    assert statuses(box.do("reanswer", call, SDP)) == [200]
    assert box.wait(10_000) == []


def test_update_without_media_moves_the_target() -> None:
    box, call, tag = up()
    moved = request("UPDATE", cseq=2, to_tag=tag).replace(
        "Contact: <sip:0701@192.0.2.10:5060>", "Contact: <sip:new@192.0.2.11:5070>"
    )
    assert statuses(box.feed(moved)) == [200]
    [bye] = box.do("hangup", call)
    assert bye.uri == "sip:new@192.0.2.11:5070"
    assert box.to[-1] == ("192.0.2.11", 5070)


def test_requests_follow_the_record_route() -> None:
    routes = "Record-Route: <sip:192.0.2.77;lr>, <sip:192.0.2.78;lr>\r\n"
    box, call, _ = up(routes)
    [bye] = box.do("hangup", call)
    assert bye.all("route") == ["<sip:192.0.2.77;lr>", "<sip:192.0.2.78;lr>"]
    assert bye.uri == "sip:0701@192.0.2.10:5060"
    assert box.to[-1] == ("192.0.2.77", 5060)


def test_a_strict_router_gets_itself_in_the_request_uri() -> None:
    box, call, _ = up("Record-Route: <sip:192.0.2.77>\r\n")
    [bye] = box.do("hangup", call)
    assert bye.uri == "sip:192.0.2.77"
    assert bye.all("route") == ["<sip:0701@192.0.2.10:5060>"]


def test_a_bye_from_a_wrong_dialog_does_not_end_the_call() -> None:
    box, _, tag = up()
    for bye in (
        request("BYE", cseq=2, to_tag=tag, from_tag="forged"),
        request("BYE", cseq=2, to_tag=tag, call_id="c2"),
        request("BYE", cseq=2, to_tag="guess"),
    ):
        assert statuses(box.feed(bye)) == [481]
    assert not box.of(HungUp)


def test_an_old_cseq_is_refused() -> None:
    box, _, tag = up()
    box.feed(request("INFO", cseq=5, to_tag=tag))
    assert statuses(box.feed(request("INFO", cseq=4, to_tag=tag))) == [500]


def test_keys_come_by_info_in_both_dialects() -> None:
    box, call, tag = up()
    relay = "Signal= 7\r\nDuration= 160\r\n"
    box.feed(request("INFO", cseq=2, to_tag=tag, body=relay, kind="application/dtmf-relay"))
    box.feed(request("INFO", cseq=3, to_tag=tag, body="11", kind="application/dtmf"))
    odd = request("INFO", cseq=4, to_tag=tag, body="x", kind="application/media_control+xml")
    assert statuses(box.feed(odd)) == [415]
    assert box.of(Digit) == [Digit(call, "7"), Digit(call, "#")]


def test_a_trunk_may_not_transfer() -> None:
    box, _, tag = up()
    refer = request("REFER", cseq=2, to_tag=tag, extra="Refer-To: <sip:103@192.0.2.1>\r\n")
    assert statuses(box.feed(refer)) == [603]


def test_late_offer_is_answered_in_the_ack() -> None:
    box = Box()
    box.feed(request("INVITE"))
    call = box.last(Incoming).call
    assert box.last(Incoming).offer is None
    [ok] = box.do("answer", call, SDP)
    box.feed(request("ACK", to_tag=ok.to_tag, body=OFFER))
    remote = box.last(Answered).remote
    assert remote is not None
    assert (remote.remote_host, remote.remote_port) == ("192.0.2.10", 7000)
    assert (remote.event_send, remote.event_receive) == (101, 101)


def test_an_ack_without_the_late_answer_ends_the_call() -> None:
    box = Box()
    box.feed(request("INVITE"))
    call = box.last(Incoming).call
    [ok] = box.do("answer", call, SDP)
    assert methods(box.feed(request("ACK", to_tag=ok.to_tag))) == ["BYE"]
    assert box.last(HungUp) == HungUp(call, "protocol")


def test_reliable_ringing_waits_for_its_prack() -> None:
    box, call = ringing(extra="Require: 100rel\r\n")
    [ringing_] = box.do("ring", call)
    number = ringing_.get("rseq")
    assert ringing_.get("require") == "100rel"
    assert box.do("answer", call, SDP) == []
    assert statuses(box.wait(1_600)) == [180, 180]
    tag = ringing_.to_tag
    wrong = request("PRACK", cseq=2, to_tag=tag, extra="RAck: 999999 1 INVITE\r\n")
    assert statuses(box.feed(wrong)) == [481]
    right = request("PRACK", cseq=3, to_tag=tag, extra=f"RAck: {number} 1 INVITE\r\n")
    assert statuses(box.feed(right)) == [200, 200]


def test_reliable_ringing_without_prack_is_given_up() -> None:
    box, call = ringing(extra="Require: 100rel\r\n")
    box.do("ring", call)
    assert 504 in statuses(box.wait(40_000))
    assert box.of(Cancelled) == [Cancelled(call)]


def test_100rel_is_not_used_unless_required() -> None:
    box, call = ringing(extra="Supported: 100rel\r\n")
    [ringing_] = box.do("ring", call)
    assert ringing_.get("require") is None
    assert box.wait(5_000) == []


def test_a_short_session_timer_is_refused() -> None:
    extra = "Supported: timer\r\nSession-Expires: 60\r\n"
    [refusal] = Box().feed(request("INVITE", body=OFFER, extra=extra))
    assert (refusal.status, refusal.get("min-se")) == (422, "90")


def test_we_refresh_the_session_when_asked_to() -> None:
    extra = "Supported: timer\r\nAllow: INVITE, UPDATE\r\nSession-Expires: 120;refresher=uas\r\n"
    box, _, _ = up(extra)
    assert [m for m in box.sent if m.status == 200][-1].get("session-expires") == (
        "120;refresher=uas"
    )
    [update] = box.wait(60_000)
    assert (update.method, update.get("session-expires")) == ("UPDATE", "120;refresher=uac")
    box.feed(reply(update, 200, extra="Session-Expires: 120;refresher=uac\r\n"))
    assert methods(box.wait(60_000)) == ["UPDATE"]


def test_a_peer_without_update_is_refreshed_by_reinvite() -> None:
    extra = "Supported: timer\r\nAllow: INVITE\r\nSession-Expires: 120;refresher=uas\r\n"
    box, _, _ = up(extra)
    [refresh] = box.wait(60_000)
    assert refresh.method == "INVITE"
    box.feed(reply(refresh, 200, body=OFFER, extra="Session-Expires: 120;refresher=uac\r\n"))
    assert not box.of(Reanswered)
    assert methods(box.wait(60_000)) == ["INVITE"]


def test_a_session_that_the_peer_does_not_refresh_ends() -> None:
    extra = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n"
    box, call, _ = up(extra)
    assert methods(box.wait(87_000)) == []
    assert methods(box.wait(1_100)) == ["BYE"]
    assert box.last(HungUp) == HungUp(call, "unreachable")


def test_bye_survives_loss_and_is_given_up_in_the_end() -> None:
    box, call, _ = up()
    box.do("hangup", call)
    assert methods(box.wait(40_000)) == ["BYE"] * 10
    assert box.core.stats() == NOTHING


def test_unusable_offers_are_488() -> None:
    for offer in (
        OFFER.replace("RTP/AVP", "RTP/SAVP"),
        OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 9 18"),
        OFFER.replace("m=audio 7000", "m=audio 0"),
        OFFER.replace("c=IN IP4 192.0.2.10", "c=IN IP4 224.2.1.1"),
    ):
        assert statuses(Box().feed(request("INVITE", body=offer))) == [488]


def test_a_withheld_number_is_none() -> None:
    box, _ = ringing(extra="P-Asserted-Identity: <sip:0701@p>\r\nPrivacy: id\r\n")
    assert (box.last(Incoming).from_number, box.last(Incoming).from_name) == (None, None)
    box, _ = ringing(user="anonymous")
    assert box.last(Incoming).from_number is None


def test_the_asserted_identity_of_a_trunk_counts() -> None:
    box, _ = ringing(extra='P-Asserted-Identity: "Bo" <sip:+40-21@p>\r\n')
    assert (box.last(Incoming).from_number, box.last(Incoming).from_name) == ("+4021", "Bo")


def test_the_wait_at_another_office_is_taken_from_trunks_alone() -> None:
    box, _ = ringing(extra="X-Queue-Wait: 93\r\n")
    assert box.last(Incoming).waited_s == 93
    for odd in ("-1", "99999999", "1e3", "ten", ""):
        box, _ = ringing(extra=f"X-Queue-Wait: {odd}\r\n")
        assert box.last(Incoming).waited_s is None


def test_responses_go_to_the_source_address_and_the_via_port() -> None:
    box = Box()
    box.feed(request("OPTIONS", source=("10.1.1.1", 5099)), source=(TRUNK[0], 6666))
    assert box.to[-1] == (TRUNK[0], 5099)
    assert "received=192.0.2.10" in (box.sent[-1].get("via") or "")


def test_rport_brings_responses_to_the_source_port() -> None:
    box = Box()
    text = request("OPTIONS", source=("10.1.1.1", 5099)).replace(";branch", ";rport;branch")
    box.feed(text, source=(TRUNK[0], 6666))
    assert box.to[-1] == (TRUNK[0], 6666)
    assert "rport=6666" in (box.sent[-1].get("via") or "")


def test_a_reinvite_that_the_peer_leaves_hanging_ends_the_call() -> None:
    box, call, _ = up()
    [ours] = box.do("reoffer", call, SDP)
    box.feed(reply(ours, 180))
    assert methods(box.wait(61_000))[0] == "CANCEL"
    box.wait(40_000)
    assert box.last(HungUp) == HungUp(call, "unreachable")
    box.wait(DAY)
    assert box.core.stats() == NOTHING


def test_a_hanging_reinvite_does_not_outlive_its_call() -> None:
    box, call, _ = up()
    [ours] = box.do("reoffer", call, SDP)
    box.feed(reply(ours, 100))
    assert methods(box.do("hangup", call)) == ["CANCEL", "BYE"]
    box.wait(DAY)
    assert box.core.stats() == NOTHING
