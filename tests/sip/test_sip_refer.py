"""Transfers that phones ask for: REFER, Replaces, and the news of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.events import Incoming, Referred
from appliance.sip.message import Message
from appliance.sip.refer import Refer, Replaces, parse_refer
from appliance.sip.sdp import answer
from tests.sip.phones import credentials
from tests.sip.wire import OFFER, PHONE, Box, reply, request, statuses


def phone_call(box: Box, call_id: str = "p1") -> tuple[str, str]:
    """Phone 101 has called and was answered: our key and our tag."""

    def invite(cseq: int, extra: str = "") -> str:
        return request(
            "INVITE",
            call_id=call_id,
            cseq=cseq,
            body=OFFER,
            source=PHONE,
            user="101",
            extra=extra,
            from_tag=f"tag-{call_id}",
        )

    [challenge] = box.feed(invite(1), PHONE)
    login = credentials(challenge, "INVITE", "101", "one")
    box.feed(invite(2, login), PHONE)
    incoming = box.last(Incoming)
    assert incoming.offer is not None
    agreed = answer(incoming.offer, "192.0.2.1", 4000)
    assert agreed is not None
    [ok] = box.do("answer", incoming.call, agreed[0])
    box.feed(
        request("ACK", call_id=call_id, cseq=2, to_tag=ok.to_tag, from_tag=f"tag-{call_id}"), PHONE
    )
    return incoming.call, ok.to_tag


def refer(box: Box, tag: str, to: str, extra: str = "", call_id: str = "p1") -> list[Message]:
    return box.feed(
        request(
            "REFER",
            call_id=call_id,
            cseq=3,
            to_tag=tag,
            from_tag=f"tag-{call_id}",
            source=PHONE,
            extra=f"Refer-To: {to}\r\n{extra}",
        ),
        PHONE,
    )


def test_a_blind_transfer_is_taken_and_its_end_told() -> None:
    box = Box()
    call, tag = phone_call(box)
    accepted, trying = refer(box, tag, "<sip:103@192.0.2.1>")
    assert accepted.status == 202
    assert (trying.method, trying.get("event")) == ("NOTIFY", "refer")
    assert trying.body == b"SIP/2.0 100 Trying\r\n"
    assert (trying.get("subscription-state") or "").startswith("active")
    box.feed(reply(trying, 200), PHONE)
    assert box.last(Referred) == Referred(call, "103", None)
    [done] = box.do("refer_done", call, 200)
    assert done.body == b"SIP/2.0 200 OK\r\n"
    assert (done.get("subscription-state") or "").startswith("terminated")
    assert box.do("refer_done", call, 200) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_replaces_names_the_phones_other_call(swapped: bool) -> None:
    box = Box()
    first, tag = phone_call(box)
    second, other = phone_call(box, "p2")
    theirs = "tag-p2"
    to_tag, from_tag = (theirs, other) if swapped else (other, theirs)
    refer(
        box,
        tag,
        f"<sip:103@192.0.2.1?Replaces=p2%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}>",
    )
    assert box.last(Referred) == Referred(first, "103", second)


def test_a_call_that_is_not_the_phones_is_never_replaced() -> None:
    box = Box()
    box.feed(request("INVITE", body=OFFER))
    stranger = box.last(Incoming).call
    [ok] = box.do("answer", stranger, OFFER)
    box.feed(request("ACK", to_tag=ok.to_tag))
    _, tag = phone_call(box)
    sent = refer(
        box, tag, f"<sip:103@192.0.2.1?Replaces=c1%3Bto-tag%3D{ok.to_tag}%3Bfrom-tag%3Dtheirs>"
    )
    assert sent[-1].body.startswith(b"SIP/2.0 481")
    assert not box.of(Referred)


def test_a_phone_that_wants_no_news_gets_none() -> None:
    box = Box()
    call, tag = phone_call(box)
    [accepted] = refer(box, tag, "<sip:103@192.0.2.1>", "Refer-Sub: false\r\n")
    assert (accepted.status, accepted.get("refer-sub")) == (202, "false")
    assert box.do("refer_done", call, 200) == []


@pytest.mark.parametrize(
    "to", ["", "<mailto:a@b>", "<sip:192.0.2.1>", "<sip:103@h;method=BYE>", "<sip:1@h>, <sip:2@h>"]
)
def test_what_cannot_be_understood_is_refused(to: str) -> None:
    box = Box()
    _, tag = phone_call(box)
    assert statuses(refer(box, tag, to)) == [400]
    assert not box.of(Referred)


def test_the_header_is_read_as_written() -> None:
    def read(value: str) -> Refer | None:
        return parse_refer(Message("REFER", "sip:x@y", headers=[("refer-to", value)]))

    assert read('"Bo" <sip:102@h>') == Refer("102")
    assert read("<tel:+40-21-555>") == Refer("+4021555")
    replaces = Replaces("a@b", "t1", "f1")
    found = read("<sip:102@h?Replaces=a%40b%3Bfrom-tag%3Df1%3Bto-tag%3Dt1&X=1>")
    assert found == Refer("102", replaces)
    assert read("<sip:102@h?Replaces=a%40b>") is None


@given(st.text(max_size=80))
def test_nothing_in_a_header_can_break_it(value: str) -> None:
    parse_refer(Message("REFER", "sip:x@y", headers=[("refer-to", value)]))
