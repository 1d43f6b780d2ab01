"""Hostile and odd input: the right answer or silence, and never an exception."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sip import sdp
from appliance.sip.digest import parse_digest
from appliance.sip.events import Incoming
from appliance.sip.framing import Framing, FramingError
from appliance.sip.headers import HeaderError, parse_address, parse_params, parse_via, split_list
from appliance.sip.leg import dtmf_digit
from appliance.sip.message import MessageError, body_of, parse
from appliance.sip.uri import UriError, parse_uri
from tests.sip.torture import CORPUS, OPTIONS, Outcome, lines
from tests.sip.wire import OFFER, TRUNK, Box, reply, request, statuses


@pytest.mark.parametrize(("data", "outcome"), CORPUS.values(), ids=CORPUS.keys())
def test_torture(data: bytes, outcome: Outcome) -> None:
    box = Box()
    got = statuses(box.feed(data, TRUNK))
    if outcome is None:
        assert got == []
    elif outcome == "call":
        assert got == [100]
        assert len(box.of(Incoming)) == 1
    else:
        assert got == [outcome]
        assert not box.of(Incoming)
    alive = lines(OPTIONS, via="Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKalive")
    assert statuses(box.feed(alive)) == [200]


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 45


SEEDS = [data for data, _ in CORPUS.values()] + [
    request("INVITE", body=OFFER).encode(),
    request("BYE", to_tag="x").encode(),
    request("INFO", to_tag="x", body="Signal=1\r\n", kind="application/dtmf-relay").encode(),
]


@given(st.integers(0, 2**32))
def test_mutated_messages_raise_nothing(seed: int) -> None:
    rng = random.Random(seed)
    box = Box()
    for _ in range(10):
        data = bytearray(rng.choice(SEEDS))
        for _ in range(rng.randrange(1, 12)):
            where = rng.randrange(len(data) + 1)
            choice = rng.randrange(5)
            if choice == 0:
                data[where : where + rng.randrange(1, 30)] = b""
            elif choice == 1:
                data[where:where] = bytes([rng.randrange(256)])
            elif choice == 2:
                data[where:where] = rng.choice(
                    (b'"', b"<", b">", b";", b",", b"\r\n", b"\r\n ", b"%")
                )
            elif choice == 3:
                other = rng.choice(SEEDS)
                data[where:where] = other[rng.randrange(len(other)) :][:40]
            elif data:
                data[where - 1] ^= 1 << rng.randrange(8)
        box.feed(bytes(data), TRUNK)
    box.wait(100_000)


@given(st.integers(0, 2**32))
def test_a_mutating_peer_in_a_call_raises_nothing_and_leaves_nothing(seed: int) -> None:
    rng = random.Random(seed)
    box = Box()
    box.feed(request("INVITE", body=OFFER), TRUNK)
    call = box.last(Incoming).call
    box.do(rng.choice(("ring", "ring")), call)
    [ok] = box.do("answer", call, sdp.make_offer("192.0.2.1", 4000))
    box.do("reoffer", call, sdp.make_offer("192.0.2.1", 4000, "sendonly"))
    for cseq in range(1, 12):
        method = rng.choice(("ACK", "INVITE", "UPDATE", "INFO", "BYE", "PRACK", "REFER", "CANCEL"))
        body = OFFER if rng.random() < 0.6 else ""
        text = request(method, cseq=rng.choice((1, cseq)), to_tag=ok.to_tag, body=body)
        data = bytearray(text.encode())
        if rng.random() < 0.5:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        box.feed(bytes(data), TRUNK)
        ours = [message for message in box.sent if message.method not in ("", "ACK")]
        if ours and rng.random() < 0.7:
            status = rng.choice((100, 180, 200, 401, 407, 481, 488, 491, 500, 603))
            box.feed(reply(rng.choice(ours), status, body=OFFER), TRUNK)
        box.wait(rng.choice((0, 600, 5_000)))
        if rng.random() < 0.2:
            box.do("reanswer", call, sdp.make_offer("192.0.2.1", 4000))
    # A damaged tag may have made an INVITE within the dialog a call of its own.
    for event in box.of(Incoming):
        box.do("hangup", event.call)
    box.wait(200_000)
    stats = box.core.stats()
    assert (stats.dialogs, stats.transactions, stats.timers) == (0, 0, 0)


@given(st.binary(max_size=300))
def test_noise_raises_nothing(data: bytes) -> None:
    Box().feed(data)
    framing = Framing()
    try:
        framing.feed(data)
    except FramingError:
        pass


@given(st.text(max_size=200))
def test_parsers_raise_only_their_own_errors(text: str) -> None:
    for parser, error in (
        (parse_uri, UriError),
        (parse_address, HeaderError),
        (parse_via, HeaderError),
        (parse_params, HeaderError),
        (split_list, HeaderError),
        (sdp.parse, sdp.SdpError),
    ):
        try:
            parser(text)  # type: ignore[operator]
        except error:
            pass
    parse_digest("Digest " + text)
    dtmf_digit(text)


@given(st.text(alphabet="v=0omcsat audio/RTPAVIN46.:123\r\n", max_size=300))
def test_descriptions_that_parse_can_be_answered_or_not(text: str) -> None:
    try:
        offer = sdp.parse("v=0\r\n" + text)
    except sdp.SdpError:
        return
    agreed = sdp.answer(offer, "192.0.2.1", 4000)
    if agreed is not None:
        assert sdp.parse(agreed[0]).audio is not None


@given(st.integers(0, 2**32))
def test_what_is_encoded_is_read_back(seed: int) -> None:
    rng = random.Random(seed)
    data = rng.choice(SEEDS)
    try:
        message = parse(data)
    except MessageError:
        return
    if message.fault is None:
        again = parse(message.encode())
        assert (again.method, again.uri, again.call_id) == (
            message.method,
            message.uri,
            message.call_id,
        )
        assert again.body == message.body
        body_of(message, "application/sdp")
