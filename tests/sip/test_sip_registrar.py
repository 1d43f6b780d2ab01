"""Phones: passwords, contacts, and what strangers learn (nothing)."""

from __future__ import annotations

from dataclasses import replace

from appliance.sip.events import (
    Incoming,
    PhoneTarget,
    Registered,
    TrunkConfig,
    Unregistered,
)
from appliance.sip.flow import Flow
from appliance.sip.registrar import MAX_CONTACTS
from appliance.sip.sdp import make_offer
from tests.sip.phones import credentials, register, registration
from tests.sip.wire import (
    CONFIG,
    OFFER,
    PHONE,
    STRANGER,
    TRUNK,
    Box,
    methods,
    reply,
    request,
    statuses,
)


def tcp(connection: int) -> Flow:
    return Flow("tcp", connection, "192.0.2.1", 5060)


def test_a_phone_registers_and_leaves() -> None:
    box = Box()
    assert not box.core.registered("101")
    ok = register(box, "101", "one", PHONE)
    assert ok.status == 200
    assert ok.get("contact") == "<sip:101@192.0.2.20:5062>;expires=300"
    assert box.core.registered("101")
    assert box.of(Registered) == [Registered("101", 1, "192.0.2.20:5062")]
    register(box, "101", "one", PHONE, extra="Expires: 0\r\n", cseq=3)
    assert not box.core.registered("101")
    assert box.of(Unregistered) == [Unregistered("101")]


def test_a_refresh_is_no_event() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    register(box, "101", "one", PHONE, cseq=3)
    assert len(box.of(Registered)) == 1


def test_a_registration_runs_out() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    box.wait(299_000)
    assert box.core.registered("101")
    box.wait(2_000)
    assert box.of(Unregistered) == [Unregistered("101")]


def test_sha256_is_accepted_when_switched_on() -> None:
    box = Box(replace(CONFIG, sha256=True))
    assert register(box, "101", "one", PHONE, algorithm="SHA-256").status == 200
    assert register(Box(), "101", "one", PHONE).status == 200


def test_md5_alone_is_offered_by_default() -> None:
    [challenge] = Box().feed(registration("101", PHONE, 1), PHONE)
    assert [v for v in challenge.all("www-authenticate") if "SHA" in v] == []


def test_each_challenge_has_its_own_nonce() -> None:
    box = Box()
    nonces = {
        box.feed(registration("101", PHONE, n), PHONE)[0].get("www-authenticate")
        for n in range(1, 20)
    }
    assert len(nonces) == 19


def test_a_replayed_nonce_is_stale_not_wrong() -> None:
    box = Box()
    [challenge] = box.feed(registration("101", PHONE, 1), PHONE)
    login = credentials(challenge, "REGISTER", "101", "one")
    assert statuses(box.feed(registration("101", PHONE, 2, login), PHONE)) == [200]
    [again] = box.feed(registration("101", PHONE, 3, login), PHONE)
    assert again.status == 401
    assert "stale=true" in (again.get("www-authenticate") or "")
    login = credentials(challenge, "REGISTER", "101", "one", nc=2)
    assert statuses(box.feed(registration("101", PHONE, 4, login), PHONE)) == [200]


def test_an_old_nonce_is_stale() -> None:
    box = Box()
    [challenge] = box.feed(registration("101", PHONE, 1), PHONE)
    login = credentials(challenge, "REGISTER", "101", "one")
    box.wait(301_000)
    [again] = box.feed(registration("101", PHONE, 2, login), PHONE)
    assert "stale=true" in (again.get("www-authenticate") or "")


def test_stale_nonces_lock_nobody_out() -> None:
    box = Box()
    [challenge] = box.feed(registration("101", PHONE, 1), PHONE)
    login = credentials(challenge, "REGISTER", "101", "one")
    for cseq in range(2, 60):
        box.feed(registration("101", PHONE, cseq, login), PHONE)
    assert register(box, "101", "one", PHONE, cseq=100).status == 200


def test_wrong_passwords_lock_a_source_out_and_nobody_else() -> None:
    box = Box()
    for cseq in range(1, 11):
        [challenge] = box.feed(registration("101", STRANGER, cseq), STRANGER)
        login = credentials(challenge, "REGISTER", "101", f"guess{cseq}")
        assert statuses(box.feed(registration("101", STRANGER, cseq, login), STRANGER)) == [401]
    [locked] = box.feed(registration("101", STRANGER, 20), STRANGER)
    assert (locked.status, locked.get("retry-after")) == (503, "61")
    assert register(box, "101", "one", PHONE).status == 200
    box.wait(61_000)
    assert register(box, "101", "one", STRANGER, cseq=30, call_id="new").status == 200


def test_strangers_cannot_tell_which_extensions_exist() -> None:
    for method in ("REGISTER", "INVITE"):
        box = Box()
        seen = []
        for user in ("101", "999"):
            [first] = box.feed(
                request(method, call_id=user, user=user, body=OFFER, source=STRANGER), STRANGER
            )
            login = credentials(first, method, user, "guess")
            [second] = box.feed(
                request(
                    method,
                    call_id=user,
                    cseq=2,
                    user=user,
                    body=OFFER,
                    extra=login,
                    source=STRANGER,
                ),
                STRANGER,
            )
            seen.append(
                [(m.status, m.reason, [name for name, _ in m.headers]) for m in (first, second)]
            )
        assert seen[0] == seen[1]
        assert not box.of(Incoming)


def test_challenges_keep_no_state() -> None:
    box = Box()
    for number in range(50):
        box.feed(request("INVITE", call_id=f"s{number}", body=OFFER), STRANGER)
        box.feed(registration("101", STRANGER, 1, call_id=f"r{number}"), STRANGER)
    assert box.core.stats().transactions == 0


def test_a_phone_calls_with_its_password_and_is_who_it_proved() -> None:
    box = Box()
    [challenge] = box.feed(request("INVITE", body=OFFER, user="102"), PHONE)
    login = credentials(challenge, "INVITE", "101", "one")
    box.feed(request("INVITE", cseq=2, body=OFFER, user="102", extra=login), PHONE)
    incoming = box.last(Incoming)
    assert (incoming.source.kind, incoming.source.id, incoming.from_number) == (
        "phone",
        "101",
        "101",
    )


def test_a_phone_cannot_register_another_extension() -> None:
    box = Box()
    [challenge] = box.feed(registration("102", PHONE, 1), PHONE)
    login = credentials(challenge, "REGISTER", "101", "one")
    assert statuses(box.feed(registration("102", PHONE, 2, login), PHONE)) == [403]


def test_short_registrations_are_423() -> None:
    box = Box()
    refusal = register(box, "101", "one", PHONE, extra="Expires: 30\r\n")
    assert (refusal.status, refusal.get("min-expires")) == (423, "60")


def test_a_star_removes_all_contacts() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    register(box, "101", "one", ("192.0.2.21", 5060))
    star = register(box, "101", "one", PHONE, extra="Expires: 0\r\n", cseq=5, contact="*")
    assert star.status == 200
    assert not box.core.registered("101")
    bad = register(box, "101", "one", PHONE, extra="Expires: 9\r\n", cseq=9, contact="*")
    assert bad.status == 400


def test_a_query_lists_the_contacts() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    listed = register(box, "101", "one", PHONE, contact="", cseq=5)
    assert listed.all("contact") == ["<sip:101@192.0.2.20:5062>;expires=300"]


def test_the_oldest_contact_makes_room() -> None:
    box = Box()
    for number in range(MAX_CONTACTS + 3):
        last = register(box, "101", "one", (f"192.0.2.{100 + number}", 5060))
    assert len(last.all("contact")) == MAX_CONTACTS
    assert "192.0.2.100" not in str(last.all("contact"))


def test_a_phone_that_restarted_replaces_its_old_contact() -> None:
    box = Box()
    register(box, "101", "one", PHONE, contact="<sip:old@192.0.2.20:5062>")
    last = register(box, "101", "one", PHONE, contact="<sip:new@192.0.2.20:5062>", call_id="after")
    assert last.all("contact") == ["<sip:new@192.0.2.20:5062>;expires=300"]


def test_an_instance_has_one_contact() -> None:
    box = Box()
    for port in (5062, 5066):
        contact = f'<sip:101@192.0.2.20:{port}>;+sip.instance="<urn:uuid:1>"'
        last = register(box, "101", "one", ("192.0.2.20", port), contact=contact)
    assert len(last.all("contact")) == 1


def test_calls_to_a_tcp_phone_go_down_its_connection() -> None:
    box = Box()
    source = ("192.0.2.20", 49999)
    contact = "<sip:101@192.0.2.20:5060;transport=tcp>"
    register(box, "101", "one", source, flow=tcp(7), contact=contact)
    box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    [(hop, data)] = box.core.take_output()
    assert (hop.flow.connection, hop.host, hop.port) == (7, "192.0.2.20", 49999)
    assert b"Contact: <sip:centrala@192.0.2.1:5060;transport=tcp>" in data
    assert b"Via: SIP/2.0/TCP" in data


def test_a_broken_connection_takes_its_contacts_with_it() -> None:
    box = Box()
    register(box, "101", "one", ("192.0.2.20", 49999), flow=tcp(7))
    box.do("closed", 7)
    assert box.of(Unregistered) == [Unregistered("101")]


def test_a_tcp_phone_that_came_back_is_hung_up_on_its_new_connection() -> None:
    box = Box()
    contact = "<sip:101@192.0.2.20:5060;transport=tcp>"
    register(box, "101", "one", ("192.0.2.20", 40001), flow=tcp(1), contact=contact)
    call = box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    invite = box.sent[-1]
    ok = reply(invite, 200, body=OFFER).replace("<sip:peer@192.0.2.10:5060>", contact)
    box.feed(ok, ("192.0.2.20", 40001), tcp(1))
    box.do("closed", 1)
    register(box, "101", "one", ("192.0.2.20", 40002), flow=tcp(2), contact=contact, cseq=5)
    assert methods(box.do("hangup", call)) == ["BYE"]
    assert box.to[-1] == ("192.0.2.20", 40002)


def test_a_phone_behind_nat_is_reached_at_its_source() -> None:
    box = Box()
    outside = ("203.0.113.5", 31000)
    [challenge] = box.feed(registration("101", ("10.0.0.5", 5060), 1), outside)
    login = credentials(challenge, "REGISTER", "101", "one")
    box.feed(registration("101", ("10.0.0.5", 5060), 2, login), outside)
    box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    assert box.to[-1] == outside


def test_a_phone_without_rport_is_reached_at_its_contact() -> None:
    box = Box()
    source = ("192.0.2.20", 50123)
    text = registration("101", PHONE, 1)
    [challenge] = box.feed(text, source)
    login = credentials(challenge, "REGISTER", "101", "one")
    box.feed(registration("101", PHONE, 2, login), source)
    box.core.invite(PhoneTarget("101"), "5", None, lambda h: make_offer(h, 4000), box.now)
    box._take()
    assert box.to[-1] == PHONE


def test_a_trunk_is_known_by_the_token_of_our_contact() -> None:
    login = TrunkConfig(TRUNK[0], username="me", secret="pw", registration=True)
    box = Box(replace(CONFIG, trunks={"gw": login}))
    [register_] = box.wait(1)
    uri = (register_.get("contact") or "").strip("<>")
    box.feed(request("INVITE", uri=uri, body=OFFER), ("203.0.113.99", 5060))
    assert box.last(Incoming).source.id == "gw"
    assert box.last(Incoming).to_number == "200"


def test_a_phone_at_the_address_of_a_trunk_is_still_a_phone() -> None:
    box = Box()
    other_port = (TRUNK[0], 40000)
    assert statuses(box.feed(request("INVITE", body=OFFER, user="101"), other_port)) == [401]


def test_phones_with_a_new_password_must_register_anew() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    register(box, "102", "two", ("192.0.2.22", 5060))
    box.do("reconfigure", replace(CONFIG, phones={"101": "changed", "102": "two"}))
    assert not box.core.registered("101")
    assert box.core.registered("102")


def test_a_call_stays_with_the_device_that_made_it() -> None:
    box = Box()
    register(box, "101", "one", PHONE)
    other = ("192.0.2.33", 5070)
    text = request("INVITE", body=OFFER, user="101", source=other)
    [challenge] = box.feed(text, other)
    login = credentials(challenge, "INVITE", "101", "one")
    again = request("INVITE", cseq=2, body=OFFER, user="101", source=other, extra=login)
    box.feed(again.replace(";branch", ";rport;branch"), other)
    call = box.last(Incoming).call
    [ok] = box.do("answer", call, make_offer("192.0.2.1", 4000))
    box.feed(request("ACK", cseq=2, to_tag=ok.to_tag, source=other), other)
    box.do("hangup", call)
    assert box.to[-1] == other
