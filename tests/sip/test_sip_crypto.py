"""SDP security descriptions: the attribute, and what offers and answers make of it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sip import crypto, sdp
from appliance.sip.crypto import KEYS_BYTES, SUITES, Crypto

KEY = bytes(range(30))
INLINE = base64.b64encode(KEY).decode()
OURS = bytes(range(100, 100 + KEYS_BYTES))
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"


def text(profile: str, *lines: str) -> str:
    return HEAD + f"m=audio 7000 {profile} 0\r\n" + "".join(f"{line}\r\n" for line in lines)


def line(suite: str = SUITES[0], tag: int = 1, more: str = "") -> str:
    return f"a=crypto:{tag} {suite} inline:{INLINE}{more}"


# --- the attribute ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", ["", "|2^31", "|4294967296", "|2^48", " WSH=64", "|2^31 WSH=128 -FUTURE=1"]
)
def test_lines_of_phones_are_understood(more: str) -> None:
    assert crypto.parse(f"7 aes_cm_128_hmac_sha1_32 inline:{INLINE}{more}") == Crypto(
        7, "AES_CM_128_HMAC_SHA1_32", KEY
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}",
        f"x AES_CM_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE[:-4]}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE[:-1]}!",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^31|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^10",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^999999999999",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE};inline:{INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} KDR=1",
    ],
)
def test_what_we_cannot_do_is_not_taken(value: str) -> None:
    assert crypto.parse(value) is None


@given(st.binary(min_size=30, max_size=30), st.integers(0, 999_999_999), st.sampled_from(SUITES))
def test_what_is_written_is_read(key: bytes, tag: int, suite: crypto.Suite) -> None:
    own = Crypto(tag, suite, key)
    assert crypto.parse(own.line.removeprefix("a=crypto:")) == own


@given(st.text(max_size=200))
def test_garbage_is_no_key(value: str) -> None:
    found = crypto.parse(value)
    assert found is None or len(found.key) == 30


@given(
    st.integers(0, 9),
    st.sampled_from((*SUITES, "X", "")),
    st.text("inline:|;2^1 =AWSH-\u0661", max_size=40),
)
def test_garbage_that_looks_like_a_key_is_none(tag: int, suite: str, rest: str) -> None:
    found = crypto.parse(f"{tag} {suite} {rest}")
    assert found is None or len(found.key) == 30


def test_keys_are_not_shown() -> None:
    offer = sdp.parse(text("RTP/SAVP", line()))
    agreed = sdp.answer(offer, "192.0.2.1", 4000, policy="allowed", own_keys=OURS)
    assert agreed is not None
    for shown in (repr(offer), repr(agreed[1])):
        assert INLINE not in shown
        assert repr(KEY) not in shown
        assert repr(OURS[:30]) not in shown


# --- offer and answer -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "offer", "secured"),
    [
        ("off", text("RTP/AVP", line()), False),
        ("off", text("RTP/SAVP", line()), None),
        ("off", text("RTP/AVP"), False),
        ("allowed", text("RTP/AVP", line()), True),
        ("allowed", text("RTP/SAVP", line()), True),
        ("allowed", text("RTP/AVP"), False),
        ("allowed", text("RTP/SAVP"), None),
        ("required", text("RTP/AVP", line()), True),
        ("required", text("RTP/SAVPF", line()), True),
        ("required", text("RTP/AVP"), None),
        ("required", text("RTP/SAVP", "a=crypto:1 OTHER inline:x"), None),
    ],
)
def test_the_policy_decides_what_is_answered(
    policy: crypto.Policy, offer: str, secured: bool | None
) -> None:
    agreed = sdp.answer(sdp.parse(offer), "192.0.2.1", 4000, policy=policy, own_keys=OURS)
    if secured is None:
        assert agreed is None
        return
    assert agreed is not None
    said, session = agreed
    assert (session.keys is not None) == secured == ("a=crypto:" in said)
    if session.keys is not None:
        assert session.keys.receive == KEY
        assert session.keys.send == OURS[:30]
        assert said.count("a=crypto:") == 1


@pytest.mark.parametrize("policy", ["allowed", "required"])
def test_two_of_us_agree_on_each_others_keys(policy: crypto.Policy) -> None:
    offer = sdp.make_offer("192.0.2.7", 7000, policy=policy, own_keys=OURS)
    assert ("RTP/SAVP" in offer) == (policy == "required")
    theirs = bytes(60)
    agreed = sdp.answer(sdp.parse(offer), "192.0.2.1", 4000, policy=policy, own_keys=theirs)
    assert agreed is not None
    ours = sdp.agree(sdp.parse(offer), sdp.parse(agreed[0]))
    assert ours is not None
    assert ours.keys == crypto.Keys(SUITES[0], OURS[:30], bytes(30))
    assert agreed[1].keys == crypto.Keys(SUITES[0], bytes(30), OURS[:30])
    # The other side of the SIP door works out the same from its own answer and the offer.
    again = sdp.agree(sdp.parse(agreed[0]), sdp.parse(offer))
    assert again is not None
    assert again.keys == agreed[1].keys


def test_each_suite_has_a_key_of_its_own() -> None:
    first, second = crypto.offered(OURS)
    assert first.key != second.key


def test_a_plain_answer_is_taken_where_encryption_is_only_allowed() -> None:
    plain = sdp.parse(text("RTP/AVP"))
    allowed = sdp.parse(sdp.make_offer("192.0.2.1", 1, policy="allowed", own_keys=OURS))
    required = sdp.parse(sdp.make_offer("192.0.2.1", 1, policy="required", own_keys=OURS))
    session = sdp.agree(allowed, plain)
    assert session is not None
    assert session.keys is None
    assert sdp.agree(required, plain) is None
    assert sdp.agree(required, sdp.parse(text("RTP/SAVP"))) is None


@pytest.mark.parametrize(
    "answer", [line(tag=9), line(SUITES[1], 1), line() + "\r\n" + line(SUITES[1], 2)]
)
def test_an_answer_with_keys_that_were_not_offered_is_no_answer(answer: str) -> None:
    offer = sdp.parse(sdp.make_offer("192.0.2.1", 1, policy="allowed", own_keys=OURS))
    assert sdp.agree(offer, sdp.parse(text("RTP/AVP", answer))) is None


def test_the_encrypted_stream_of_two_is_taken() -> None:
    both = text("RTP/AVP") + f"m=audio 7002 RTP/SAVP 0\r\n{line()}\r\n"
    agreed = sdp.answer(sdp.parse(both), "192.0.2.1", 4000, policy="allowed", own_keys=OURS)
    assert agreed is not None
    assert agreed[1].remote_port == 7002
    assert "m=audio 0 RTP/AVP 0" in agreed[0]
    plain = sdp.answer(sdp.parse(both), "192.0.2.1", 4000)
    assert plain is not None
    assert plain[1].remote_port == 7000


# --- reports ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "port"),
    [
        ("a=rtcp:53020", 53020),
        ("a=rtcp:53020 IN IP4 192.0.2.7", 53020),
        ("a=rtcp:53020 IN IP4 198.51.100.1", None),
        ("a=rtcp:0", None),
        ("a=rtcp:99999", None),
        ("a=rtcp:", None),
        ("a=rtcp:\u0665", None),
    ],
)
def test_the_port_of_reports_is_the_peers_own(attribute: str, port: int | None) -> None:
    agreed = sdp.answer(sdp.parse(text("RTP/AVP", attribute)), "192.0.2.1", 4000)
    assert agreed is not None
    assert agreed[1].rtcp_port == port


def test_one_port_for_both_only_where_it_was_offered() -> None:
    muxed = sdp.answer(sdp.parse(text("RTP/AVP", "a=rtcp-mux")), "192.0.2.1", 4000)
    assert muxed is not None
    assert muxed[1].rtcp_mux
    assert "a=rtcp-mux" in muxed[0]
    plain = sdp.answer(sdp.parse(text("RTP/AVP")), "192.0.2.1", 4000)
    assert plain is not None
    assert not plain[1].rtcp_mux
    assert "rtcp-mux" not in plain[0]
