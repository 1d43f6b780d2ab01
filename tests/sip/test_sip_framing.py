"""Messages out of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.framing import Framing, FramingError
from tests.sip.wire import OFFER, request

ONE = request("INVITE", body=OFFER).encode()
TWO = request("OPTIONS").encode()


def test_a_message_in_pieces() -> None:
    framing = Framing()
    got = [message for byte in ONE for message in framing.feed(bytes([byte]))]
    assert got == [ONE]
    assert not framing


def test_two_messages_in_one_segment() -> None:
    assert Framing().feed(ONE + TWO) == [ONE, TWO]


def test_a_keepalive_wants_an_answer_and_single_crlf_does_not() -> None:
    framing = Framing()
    assert framing.feed(b"\r\n\r\n" + ONE + b"\r\n") == [ONE]
    assert framing.pongs == 1
    assert not framing
    assert framing.feed(b"\r\n") == []
    assert framing.pongs == 2


def test_a_lone_crlf_before_a_message_is_skipped() -> None:
    framing = Framing()
    assert framing.feed(b"\r\n") == []
    assert framing.feed(TWO) == [TWO]


@pytest.mark.parametrize("name", [b"l : ", b"CONTENT-LENGTH:", b"l:"])
def test_odd_spellings_of_the_length(name: bytes) -> None:
    message = ONE.replace(b"Content-Length: ", name)
    assert Framing().feed(message) == [message]


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n",
        b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"OPTIONS sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"x" * 20_000,
    ],
)
def test_a_stream_that_cannot_be_followed_is_given_up(data: bytes) -> None:
    with pytest.raises(FramingError):
        Framing().feed(data)


@given(st.lists(st.sampled_from([ONE, TWO, b"\r\n\r\n"]), max_size=6), st.integers(1, 200))
def test_any_segmentation_gives_the_same_messages(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    framing = Framing()
    got = []
    for start in range(0, len(data), size):
        got += framing.feed(data[start : start + size])
    assert got == [part for part in parts if part.strip()]
