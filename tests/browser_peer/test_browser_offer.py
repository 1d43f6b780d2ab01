"""Offers of pages: what is read out of them, what is refused, what the answer says."""

from __future__ import annotations

import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.browser import offer as sdp
from appliance.browser.port import PeerRefused

_PRINT = ":".join(["AB"] * 32)

CHROMIUM = f"""v=0
o=- 2732022248672474183 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio 56627 UDP/TLS/RTP/SAVPF 111 63 0 8 110 126
c=IN IP4 192.0.2.2
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1939171714 1 udp 2122194687 192.0.2.2 56627 typ host generation 0 network-id 3
a=candidate:2 1 udp 2122063615 8d0a0ee0-5c3f-4a57-8e5c-0bb7a0a0b1f5.local 57639 typ host
a=candidate:3 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active generation 0
a=candidate:4 1 udp 2122134271 fd00::2 52673 typ host generation 0 network-id 2
a=ice-ufrag:bW4X
a=ice-pwd:vO1oG4h/ChU9p7erazA4TuP/
a=ice-options:trickle
a=fingerprint:sha-256 {_PRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3780664271 cname:N3kDRmIv7goue88D
"""

# Firefox writes the fingerprint once for the session and speaks of its mid as any token.
FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5830164389105 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {_PRINT}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=fmtp:101 0-15
a=ice-pwd:f7a4b1c2d3e4f5a6b7c8d9e0f1a2b3c4
a=ice-ufrag:12ab34cd
a=mid:0
a=rtcp-mux
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000/1
a=rtpmap:101 telephone-event/8000
a=setup:actpass
"""

VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:v
a=rtpmap:96 VP8/90000
"""

DATA = """m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:d
a=sctp-port:5000
"""

# What aiortc says to a reduced offer.
LOCAL = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE audio
a=msid-semantic:WMS *
m=audio 58606 UDP/TLS/RTP/SAVPF 0
c=IN IP4 192.0.2.2
a=sendrecv
a=mid:audio
a=rtcp-mux
a=ssrc:5 cname:c
a=rtpmap:0 PCMU/8000
a=candidate:1 1 udp 2130706431 192.0.2.2 58606 typ host
a=ice-ufrag:E1Mt
a=ice-pwd:Qi1p1wv2o9SyCOuLetTQ94
a=setup:active
"""


def test_pcmu_is_taken_wherever_it_is_offered() -> None:
    assert sdp.read(CHROMIUM).payload_type == 0


def test_pcma_is_taken_without_pcmu() -> None:
    assert sdp.read(CHROMIUM.replace("111 63 0 8", "111 63 8")).payload_type == 8


def test_keys_are_taken_at_the_rate_of_the_codec() -> None:
    assert sdp.read(CHROMIUM).event_payload == 126


def test_session_attributes_count_where_a_section_has_none() -> None:
    offer = sdp.read(FIREFOX)
    assert offer.fingerprints == (f"sha-256 {_PRINT}",)
    assert (offer.payload_type, offer.event_payload) == (0, 101)


def test_only_plain_udp_addresses_are_checked() -> None:
    addresses = [candidate.split()[4] for candidate in sdp.read(CHROMIUM).candidates]
    assert addresses == ["192.0.2.2", "fd00::2"]


def test_addresses_are_bounded() -> None:
    line = "a=candidate:{0} 1 udp 1 192.0.2.{0} 5000 typ host\n"
    many = "".join(line.format(n) for n in range(1, 200))
    offer = sdp.read(CHROMIUM.replace("a=ice-ufrag", many + "a=ice-ufrag", 1))
    assert len(offer.candidates) == sdp.MAX_CANDIDATES


@pytest.mark.parametrize(
    ("direction", "sends", "receives"),
    [
        ("sendrecv", True, True),
        ("sendonly", True, False),
        ("recvonly", False, True),
        ("inactive", False, False),
    ],
)
def test_the_direction_says_who_talks(direction: str, sends: bool, receives: bool) -> None:
    offer = sdp.read(CHROMIUM.replace("a=sendrecv", f"a={direction}"))
    assert (offer.page_sends, offer.page_receives) == (sends, receives)


def test_the_reduced_offer_holds_one_codec_and_no_extension() -> None:
    parsed = SessionDescription.parse(sdp.reduced(sdp.read(CHROMIUM)))
    (media,) = parsed.media
    assert [codec.name for codec in media.rtp.codecs] == ["PCMU"]
    assert media.rtp.headerExtensions == []
    assert not media.ice_candidates_complete


def test_the_answer_names_the_sections_as_the_page_did() -> None:
    offer = sdp.read(CHROMIUM.replace("a=mid:0", "a=mid:sound").replace("BUNDLE 0", "BUNDLE sound"))
    answer = sdp.answer(offer, LOCAL, events=True).split("\r\n")
    assert "a=mid:sound" in answer
    assert "a=group:BUNDLE sound" in answer
    assert "m=audio 58606 UDP/TLS/RTP/SAVPF 0 126" in answer
    assert "a=rtpmap:126 telephone-event/8000" in answer


def test_without_events_the_answer_has_none() -> None:
    assert "telephone-event" not in sdp.answer(sdp.read(CHROMIUM), LOCAL, events=False)


def test_other_sections_are_rejected_in_their_place() -> None:
    head, audio = CHROMIUM.split("m=audio")
    offer = sdp.read(head + VIDEO + "m=audio" + audio + DATA)
    answer = sdp.answer(offer, LOCAL, events=True)
    assert re.findall("m=([^ ]+) ([0-9]+) ", answer) == [
        ("video", "0"),
        ("audio", "58606"),
        ("application", "0"),
    ]
    assert re.findall("a=mid:(.*)\r", answer) == ["v", "0", "d"]
    assert "a=group:BUNDLE 0\r" in answer


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        ("", "not a session description"),
        ("GET / HTTP/1.1\r\n\r\n", "not a session description"),
        ("v=0\r\n", "no audio"),
        (CHROMIUM.split("m=audio")[0] + VIDEO + DATA, "no audio"),
        (CHROMIUM.replace("111 63 0 8", "111 63"), "neither PCMU nor PCMA"),
        (CHROMIUM.replace("PCMU/8000", "X/8000").replace("PCMA/8000", "Y/8000"), "neither"),
        (CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "no encrypted audio"),
        (CHROMIUM.replace("m=audio 56627", "m=audio 0"), "no encrypted audio"),
        (CHROMIUM.replace("a=rtcp-mux\n", ""), "rtcp-mux"),
        (CHROMIUM.replace("sha-256", "md5"), "fingerprint"),
        (CHROMIUM.replace("a=ice-ufrag:bW4X\n", ""), "ice-ufrag"),
        (CHROMIUM.replace("a=ice-pwd:vO1o", "a=ice-pwd:\x00"), "ice-pwd"),
        (CHROMIUM.replace("setup:actpass", "setup:holdconn"), "DTLS role"),
        (CHROMIUM.replace("a=mid:0", "a=mid:two words"), "name"),
        (CHROMIUM.replace("m=audio 56627", "m=audio x"), "media line"),
        (CHROMIUM + VIDEO * 16, "more than 16"),
        (CHROMIUM + "a=x:" + "y" * 65536, "64 kB"),
    ],
)
def test_an_offer_that_cannot_be_used_is_refused_in_a_sentence(offer: str, says: str) -> None:
    with pytest.raises(PeerRefused) as refused:
        sdp.read(offer)
    assert says in str(refused.value)
    assert str(refused.value).endswith(".")


_LINES = CHROMIUM.splitlines() + VIDEO.splitlines() + DATA.splitlines()


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(_LINES),
            st.text(max_size=60),
            st.builds(
                lambda line, at, text: line[:at] + text + line[at:],
                st.sampled_from(_LINES),
                st.integers(0, 80),
                st.text(max_size=8),
            ),
        ),
        max_size=12,
    ),
    st.integers(0, len(_LINES)),
)
def test_what_is_not_refused_is_understood_by_aiortc(extra: list[str], at: int) -> None:
    lines = CHROMIUM.splitlines()
    try:
        offer = sdp.read("\n".join(lines[:at] + extra + lines[at:]))
    except PeerRefused:
        return
    (media,) = SessionDescription.parse(sdp.reduced(offer)).media
    assert media.ice.usernameFragment == offer.ufrag
    assert media.dtls is not None
    answer = SessionDescription.parse(sdp.answer(offer, LOCAL, events=True))
    assert len(answer.media) == len(offer.sections)


@given(st.text())
def test_any_text_is_refused_or_read(text: str) -> None:
    try:
        sdp.read("v=0\n" + text)
    except PeerRefused:
        return


def test_opus_is_a_wish_that_only_its_speaker_grants() -> None:
    assert sdp.read(CHROMIUM).codec == "PCMU/8000"
    offer = sdp.read(CHROMIUM, opus=True)
    assert (offer.payload_type, offer.opus, offer.codec) == (111, True, "opus/48000/2")


def test_opus_behind_g711_is_no_wish() -> None:
    offer = sdp.read(CHROMIUM.replace("111 63 0 8", "0 111 63 8"), opus=True)
    assert (offer.payload_type, offer.opus) == (0, False)


def test_keys_beside_opus_have_its_rate_alone() -> None:
    offer = sdp.read(CHROMIUM, opus=True)
    assert offer.event_payload == 110
    local = LOCAL.replace("SAVPF 0", "SAVPF 111").replace(
        "a=rtpmap:0 PCMU/8000", "a=rtpmap:111 opus/48000/2\na=fmtp:111 stereo=1"
    )
    answer = sdp.answer(offer, local, events=True)
    assert "m=audio 58606 UDP/TLS/RTP/SAVPF 111 110\r\n" in answer
    assert "a=rtpmap:110 telephone-event/48000" in answer
    assert "telephone-event/8000" not in answer
    (wishes,) = [line for line in answer.splitlines() if line.startswith("a=fmtp:111")]
    for wish in ("useinbandfec=1", "stereo=0", "maxplaybackrate=8000", "maxaveragebitrate=32000"):
        assert wish in wishes


def test_aiortc_reads_an_offer_reduced_to_opus() -> None:
    described = SessionDescription.parse(sdp.reduced(sdp.read(CHROMIUM, opus=True)))
    (codec,) = described.media[0].rtp.codecs
    assert (codec.mimeType, codec.clockRate, codec.channels) == ("audio/opus", 48000, 2)
