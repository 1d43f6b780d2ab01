"""Offers and answers."""

from __future__ import annotations

import pytest

from appliance.sip import sdp
from appliance.sip.sdp import Session, agree, answer, make_offer, parse

HEAD = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
AUDIO = HEAD + "m=audio 7000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n"


def agreed(text: str, **more: object) -> tuple[str, Session]:
    result = answer(parse(text), "10.0.0.1", 4000, **more)  # type: ignore[arg-type]
    assert result is not None
    return result


def test_our_preference_decides_the_codec() -> None:
    assert agreed(AUDIO)[1].payload_type == 0
    assert agreed(AUDIO, prefer=(8, 0))[1].payload_type == 8
    assert agreed(AUDIO.replace("8 0 96", "8 96"))[1].payload_type == 8


def test_the_session_is_what_the_media_engine_needs() -> None:
    text, session = agreed(AUDIO)
    assert session == Session("10.0.0.9", 7000, 0, 96, 96, True, True, 20)
    assert "m=audio 4000 RTP/AVP 0 96\r\n" in text
    assert "a=rtpmap:96 telephone-event/8000\r\n" in text


def test_event_types_may_differ_by_direction() -> None:
    session = agree(parse(make_offer("10.0.0.1", 4000, events=101)), parse(AUDIO))
    assert session is not None
    assert (session.event_send, session.event_receive) == (96, 101)
    plain = agree(parse(make_offer("10.0.0.1", 4000)), parse(AUDIO.replace(" 96\r", "\r")))
    assert plain is not None
    assert (plain.event_send, plain.event_receive) == (None, None)


@pytest.mark.parametrize(
    ("direction", "ours", "send", "receive"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
def test_directions_are_mirrored(direction: str, ours: str, send: bool, receive: bool) -> None:
    text, session = agreed(AUDIO + f"a={direction}\r\n")
    assert f"a={ours}\r\n" in text
    assert (session.send, session.receive) == (send, receive)


def test_a_direction_of_the_whole_session_counts() -> None:
    assert parse(AUDIO.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n")).held


def test_both_sides_on_hold_is_inactive() -> None:
    text, session = agreed(AUDIO + "a=sendonly\r\n", direction="sendonly")
    assert "a=inactive" in text
    assert (session.send, session.receive) == (False, False)


@pytest.mark.parametrize("null", ["IP4 0.0.0.0", "IP6 ::"])
def test_the_null_address_is_hold_and_keeps_the_old_address(null: str) -> None:
    before = agreed(AUDIO)[1]
    held = AUDIO.replace("c=IN IP4 10.0.0.9", f"c=IN {null}")
    assert parse(held).held
    text, session = agreed(held, previous=before)
    assert "a=recvonly" in text
    assert (session.remote_host, session.send) == ("10.0.0.9", False)


def test_the_profile_of_the_offer_is_answered_and_crypto_lines_are_ignored() -> None:
    feedback = AUDIO.replace("RTP/AVP", "RTP/AVPF") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 x\r\n"
    text, _ = agreed(feedback)
    assert "RTP/AVPF 0 96" in text
    assert "crypto" not in text


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "TCP/RTP/AVP"])
def test_other_profiles_are_refused(profile: str) -> None:
    assert answer(parse(AUDIO.replace("RTP/AVP", profile)), "10.0.0.1", 4000) is None


def test_of_two_audio_streams_the_usable_one_is_taken() -> None:
    both = HEAD + "m=audio 7000 RTP/SAVP 0\r\nm=audio 7002 RTP/AVP 0\r\nm=video 7004 RTP/AVP 96\r\n"
    text, session = agreed(both)
    assert session.remote_port == 7002
    streams = [line for line in text.split("\r\n") if line.startswith("m=")]
    assert streams == ["m=audio 0 RTP/SAVP 0", "m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 96"]


def test_ipv6_addresses_are_read() -> None:
    assert agreed(AUDIO.replace("IN IP4 10.0.0.9", "IN IP6 2001:db8::9"))[1].remote_host == (
        "2001:db8::9"
    )


@pytest.mark.parametrize("host", ["224.0.0.5", "255.255.255.255"])
def test_media_is_not_sent_to_many(host: str) -> None:
    text = AUDIO.replace("c=IN IP4 10.0.0.9", f"c=IN IP4 {host}")
    assert answer(parse(text), "10.0.0.1", 4000) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x=1",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 70000 RTP/AVP 0\r\n",
        HEAD + "m=audio -1 RTP/AVP 0\r\n",
        HEAD + "m=video 1 RTP/AVP 0\r\n" * 20,
        HEAD + "m=audio 1 RTP/AVP " + "0 " * 100,
        HEAD + "a=x\r\n" * 600,
        HEAD + "a=" + "x" * 17_000,
    ],
)
def test_what_is_no_description_is_an_error(text: str) -> None:
    with pytest.raises(sdp.SdpError):
        parse(text)


def test_ptime_is_kept_within_reason() -> None:
    assert agreed(AUDIO + "a=ptime:30\r\n")[1].ptime == 30
    assert agreed(AUDIO + "a=ptime:9999\r\n")[1].ptime == 60


def test_an_answer_of_other_codecs_agrees_on_nothing() -> None:
    assert agree(parse(make_offer("h", 1, prefer=(0,))), parse(AUDIO.replace("8 0", "8"))) is None
