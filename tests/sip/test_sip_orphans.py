"""The calls of a process that died are ended by the one that comes after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from appliance.sip import sdp
from appliance.sip.core import Core
from appliance.sip.dialog import SavedDialog
from appliance.sip.events import (
    Answered,
    Incoming,
    PhoneTarget,
    SipConfig,
    TrunkConfig,
    TrunkTarget,
)
from appliance.sip.flow import Flow
from appliance.sip.message import Message
from appliance.sip.orphans import CSEQ_GAP, HOLD_MS, MOST, OLDEST_MS
from tests.sip.phones import register
from tests.sip.wire import (
    CONFIG,
    OFFER,
    PHONE,
    TRUNK,
    UDP,
    US,
    Box,
    methods,
    reply,
    request,
    statuses,
)

TCP = Flow("tcp", 7, US, 5060)


class Kept(Box):
    """A box, and what of its calls would survive it."""

    def __init__(self, config: SipConfig = CONFIG) -> None:
        self.kept: dict[str, SavedDialog] = {}
        super().__init__(config)

    def _take(self) -> None:
        super()._take()
        note(self.kept, self.core)

    def next(self, config: SipConfig = CONFIG) -> Kept:
        """The process that comes after; nothing is sent yet."""
        made = Kept(config)
        made.now = self.now + 3000
        made.kept = dict(self.kept)
        return made


def note(kept: dict[str, SavedDialog], core: Core) -> None:
    for tag, saved in core.take_kept():
        if saved is None:
            kept.pop(tag, None)
        else:
            data = msgspec.json.encode(saved)
            kept[tag] = msgspec.json.decode(data, type=SavedDialog)


def incoming(box: Box, source: tuple[str, int] = TRUNK, extra: str = "", flow: Flow = UDP) -> str:
    """An answered call of a trunk; its key."""
    box.feed(request("INVITE", body=OFFER, source=source, extra=extra), source, flow)
    call = box.last(Incoming)
    assert call.offer is not None
    answered = sdp.answer(call.offer, US, 30000)
    assert answered is not None
    [ok] = box.do("answer", call.call, answered[0])
    box.feed(request("ACK", to_tag=ok.to_tag, source=source, branch="z9hG4bK-ack"), source, flow)
    assert box.last(Answered).call == call.call
    return call.call


def outgoing(box: Box, number: str = "0123", extra: str = "") -> tuple[str, Message]:
    """An answered call by the trunk: its key and our INVITE."""
    key = box.core.invite(
        TrunkTarget("gw", number), "200", None, lambda host: sdp.make_offer(host, 30000), box.now
    )
    box._take()
    invite = box.sent[-1]
    box.feed(reply(invite, 200, body=OFFER, extra=extra))
    assert box.last(Answered).call == key
    return key, invite


def ended(box: Kept, saved: Iterable[SavedDialog] | None = None) -> list[Message]:
    return box.do("end_dialogs", list(box.kept.values() if saved is None else saved))


def test_a_caller_is_told_that_the_call_is_over() -> None:
    old = Kept()
    incoming(old)
    new = old.next()
    [bye] = ended(new)
    assert (bye.method, bye.uri) == ("BYE", f"sip:0701@{TRUNK[0]}:{TRUNK[1]}")
    answer = next(m for m in old.sent if m.status == 200)
    assert bye.get("from") == answer.get("to")
    assert bye.get("to") == answer.get("from")
    assert bye.call_id == answer.call_id
    assert new.to[-1] == TRUNK
    new.feed(reply(bye, 200))
    assert new.kept == {}
    assert new.core.stats().dialogs == 0


def test_one_who_was_called_is_told_too_by_a_higher_number_than_any_before() -> None:
    old = Kept()
    key, invite = outgoing(old, extra="Record-Route: <sip:192.0.2.11;lr>, <sip:192.0.2.12;lr>\r\n")
    for _ in range(3):
        old.do("reoffer", key, sdp.make_offer(US, 30000))
        old.feed(reply(old.sent[-1], 200, body=OFFER))
    new = old.next()
    [bye] = ended(new)
    assert (bye.call_id, bye.get("from")) == (invite.call_id, invite.get("from"))
    assert bye.cseq == 1 + CSEQ_GAP + 1
    assert bye.all("route") == ["<sip:192.0.2.12;lr>", "<sip:192.0.2.11;lr>"]
    assert new.to[-1] == ("192.0.2.12", 5060)


def test_nothing_is_kept_of_calls_that_are_over_or_never_rang() -> None:
    box = Kept()
    box.feed(request("INVITE", body=OFFER, call_id="c0"))
    assert box.kept == {}
    box.do("ring", box.last(Incoming).call)
    assert len(box.kept) == 1
    box.do("hangup", box.last(Incoming).call)
    assert box.kept == {}
    invite = ringing(box)
    assert len(box.kept) == 1
    box.feed(reply(invite, 486))
    assert box.kept == {}
    first = incoming(box)
    second, _ = outgoing(box)
    assert len(box.kept) == 2
    [bye] = box.do("hangup", first)
    # Until the peer has answered it may need to be told again.
    assert len(box.kept) == 2
    box.feed(reply(bye, 200))
    assert len(box.kept) == 1
    leg = box.core._ctx.calls[second].legs[0]  # type: ignore[union-attr]
    there = leg.dialog
    box.feed(
        request(
            "BYE", to_tag=leg.tag, from_tag="peer", call_id=there.call_id, cseq=9, uri=f"sip:{US}"
        )
    )
    assert box.kept == {}


def test_the_newest_place_of_a_peer_that_moved_is_kept() -> None:
    old = Kept()
    incoming(old)
    [saved] = old.kept.values()
    moved = ("192.0.2.99", 5060)
    text = request("UPDATE", to_tag=saved.local_tag, cseq=2, source=moved)
    assert statuses(old.feed(text)) == [200]
    [bye] = ended(old.next())
    assert bye.uri == "sip:0701@192.0.2.99:5060"


def ringing(box: Box) -> Message:
    """A call by the trunk that rings there: our INVITE."""
    box.core.invite(
        TrunkTarget("gw", "0123"), "200", None, lambda host: sdp.make_offer(host, 30000), box.now
    )
    box._take()
    invite = box.sent[-1]
    box.feed(reply(invite, 180))
    return invite


def test_a_phone_that_rings_is_told_to_stop() -> None:
    old = Kept()
    invite = ringing(old)
    new = old.next()
    [cancel] = ended(new)
    assert (cancel.method, cancel.uri) == ("CANCEL", invite.uri)
    for name in ("via", "from", "to", "call-id"):
        assert cancel.get(name) == invite.get(name)
    assert cancel.cseq == invite.cseq
    assert new.to[-1] == TRUNK
    new.feed(reply(cancel, 200))
    [ack] = new.feed(reply(invite, 487))
    assert (ack.method, ack.get("via")) == ("ACK", invite.get("via"))
    assert new.kept == {}
    assert new.core.stats().dialogs == 0
    new.wait(33_000)
    assert new.core.stats().timers == new.core.stats().transactions == 0


def test_one_that_was_picked_up_meanwhile_is_hung_up() -> None:
    old = Kept()
    invite = ringing(old)
    new = old.next()
    ended(new)
    answers = new.feed(reply(invite, 200, body=OFFER))
    assert methods(answers) == ["ACK", "BYE"]
    assert methods(new.feed(reply(invite, 200, body=OFFER))) == ["ACK"]
    new.feed(reply(answers[-1], 200))
    assert new.kept == {}


def test_a_caller_who_hears_it_ring_is_refused() -> None:
    old = Kept()
    old.feed(request("INVITE", body=OFFER))
    [rings] = old.do("ring", old.last(Incoming).call)
    new = old.next()
    [refused] = ended(new)
    assert (refused.status, refused.to_tag) == (503, rings.to_tag)
    assert refused.get("via") == rings.get("via")
    assert new.kept == {}
    # Again until it is acknowledged.
    assert statuses(new.wait(600)) == [503]
    new.feed(request("ACK", to_tag=refused.to_tag, branch="z9hG4bK-c1-1-INVITE"))
    assert statuses(new.wait(40_000)) == []
    assert new.core.stats().timers == new.core.stats().transactions == 0


def test_a_peer_that_asks_for_a_password_gets_it() -> None:
    config = SipConfig(
        host=US, trunks={"gw": TrunkConfig(TRUNK[0], username="me", secret="pw", probe=False)}
    )
    old = Kept(config)
    outgoing(old)
    new = old.next(config)
    [bye] = ended(new)
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    [again] = new.feed(reply(bye, 407, extra=challenge))
    assert again.get("proxy-authorization") is not None
    assert again.cseq == bye.cseq + 1


def test_the_peers_own_bye_is_answered_and_anything_else_refused() -> None:
    old = Kept()
    incoming(old)
    [saved] = old.kept.values()
    new = old.next()
    ended(new)
    again = request("INVITE", to_tag=saved.local_tag, cseq=5, body=OFFER)
    assert statuses(new.feed(again)) == [481]
    assert statuses(new.feed(request("BYE", to_tag=saved.local_tag, cseq=6))) == [200]
    assert new.kept == {}


def test_who_never_answers_is_given_up_after_the_usual_time() -> None:
    old = Kept()
    incoming(old)
    new = old.next()
    ended(new)
    assert set(methods(new.wait(33_000))) == {"BYE"}
    assert new.kept == {}
    assert new.core.stats().timers == new.core.stats().dialogs == 0


def on_tcp(box: Kept) -> None:
    """A call of phone 101, which speaks TCP, answered by us."""
    source = PHONE
    register(
        box, "101", "one", source, flow=TCP, contact="<sip:101@192.0.2.20:40000;transport=tcp>"
    )
    key = box.core.invite(
        PhoneTarget("101"), "200", None, lambda host: sdp.make_offer(host, 30000), box.now
    )
    box._take()
    contact = "Contact: <sip:101@192.0.2.20:40000;transport=tcp>\r\n"
    text = reply(box.sent[-1], 200, body=OFFER)
    text = text.replace(f"Contact: <sip:peer@{TRUNK[0]}:5060>\r\n", contact)
    box.feed(text, source, TCP)
    assert box.last(Answered).call == key


def test_a_phone_on_tcp_is_told_as_soon_as_it_is_back() -> None:
    old = Kept()
    on_tcp(old)
    new = old.next()
    # It may listen at its Contact; this one does not.
    assert methods(ended(new)) == ["BYE"]
    assert new.to[-1] == ("192.0.2.20", 40000)
    new.do("unreachable", "192.0.2.20", 40000)
    new.wait(20_000)
    assert new.kept
    other = Flow("tcp", 3, US, 5060)
    before = len(new.sent)
    contact = "<sip:101@192.0.2.20:41111;transport=tcp>"
    register(new, "101", "one", ("192.0.2.20", 41111), flow=other, contact=contact)
    [bye] = [m for m in new.sent[before:] if m.method]
    assert bye.method == "BYE"
    assert ("192.0.2.20", 41111) in new.to
    new.feed(reply(bye, 200), ("192.0.2.20", 41111), other)
    assert new.kept == {}


def test_one_that_does_not_come_back_is_given_up() -> None:
    old = Kept()
    on_tcp(old)
    new = old.next()
    ended(new)
    new.do("unreachable", "192.0.2.20", 40000)
    assert new.kept
    assert methods(new.wait(HOLD_MS + 1)) == []
    assert new.kept == {}


def test_a_phone_on_tcp_that_listens_is_told_at_once() -> None:
    old = Kept()
    on_tcp(old)
    new = old.next()
    [bye] = ended(new)
    new.feed(reply(bye, 200), ("192.0.2.20", 40000), TCP)
    assert new.kept == {}


def test_a_trunk_with_certificate_is_told_when_its_name_is_known() -> None:
    config = SipConfig(
        host=US, tls=True, trunks={"gw": TrunkConfig("sip.example", 5061, "tls", probe=False)}
    )
    old = Kept(config)
    old.do("resolved", "gw", (TRUNK[0],))
    outgoing(old)
    new = old.next(config)
    assert ended(new) == []
    assert methods(new.do("resolved", "gw", (TRUNK[0],))) == ["BYE"]


def test_so_many_are_told_and_none_from_days_ago() -> None:
    old = Kept()
    incoming(old)
    [saved] = old.kept.values()
    new = old.next()
    many = [replace(saved, local_tag=f"t{n}", at=new.now - n) for n in range(MOST + 5)]
    new.kept = {one.local_tag: one for one in many}
    assert len(ended(new)) == MOST
    assert len(new.kept) == MOST
    late = old.next()
    late.now += OLDEST_MS
    assert ended(late) == []
    assert late.kept == {}
