"""DLE shielding: nothing is lost or invented, wherever the stream is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.dle import ETX, DleDecoder, KeyReader, Piece, shield


def pieces_of(chunks: list[bytes]) -> tuple[list[Piece], bytes]:
    """All pieces with neighbouring samples joined, and what followed the end."""
    decoder = DleDecoder()
    joined: list[Piece] = []
    rest = b""
    for number, chunk in enumerate(chunks):
        pieces, rest = decoder.feed(chunk)
        for piece in pieces:
            if isinstance(piece, bytes) and joined and isinstance(joined[-1], bytes):
                joined[-1] += piece
            else:
                joined.append(piece)
        if joined and joined[-1] == ETX:
            return joined, rest + b"".join(chunks[number + 1 :])
    return joined, rest


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks)]


heavy_in_dle = st.lists(st.sampled_from([0x10, 0x10, 0x03, 0x1A, 0x80, 0xFF]), max_size=60).map(
    bytes
)


@given(st.binary(max_size=200) | heavy_in_dle, st.lists(st.integers(0, 500), max_size=8))
def test_shielded_samples_come_back_however_they_are_cut(data: bytes, places: list[int]) -> None:
    pieces, rest = pieces_of(cut(shield(data), places))
    assert pieces == ([data] if data else [])
    assert rest == b""


@given(st.binary(max_size=200) | heavy_in_dle, st.lists(st.integers(0, 500), max_size=8))
def test_cuts_never_change_what_a_stream_means(stream: bytes, places: list[int]) -> None:
    assert pieces_of(cut(stream, places)) == pieces_of([stream])


@given(st.binary(max_size=200) | heavy_in_dle)
def test_no_sample_goes_out_with_an_unpaired_dle(data: bytes) -> None:
    assert shield(data).count(b"\x10") == 2 * data.count(b"\x10")


def test_two_dle_samples_may_come_as_one_sub() -> None:
    assert pieces_of([b"\x80\x10\x1a\x80"]) == ([b"\x80\x10\x10\x80"], b"")


def test_the_end_gives_back_what_follows_it() -> None:
    pieces, rest = pieces_of([b"\x80\x10\x03\r\nOK\r\n"])
    assert pieces == [b"\x80", ETX]
    assert rest == b"\r\nOK\r\n"


def test_an_end_behind_a_doubled_dle_is_a_sample() -> None:
    assert pieces_of([b"\x10\x10\x03"]) == ([b"\x10\x03"], b"")


def test_unknown_codes_leave_the_samples_round_them_whole() -> None:
    assert pieces_of([b"ab\x10\xeecd"]) == ([b"ab", 0xEE, b"cd"], b"")


def test_a_decoder_serves_the_next_call_too() -> None:
    decoder = DleDecoder()
    decoder.feed(b"\x80\x10\x03")
    assert decoder.feed(b"\x81") == ([b"\x81"], b"")


def keys_of(text: str, samples_between: int = 560) -> str:
    reader = KeyReader()
    found = []
    for letter in text:
        found.append(reader.code(ord(letter)) or "")
        reader.samples(samples_between)
    return "".join(found)


@pytest.mark.parametrize(
    ("codes", "keys"),
    [
        ("/5555~", "5"),
        ("/5~/5~", "55"),
        ("/1~/5~/9~/#~", "159#"),
        ("/1/2", "12"),
        ("/12~", "12"),
        ("55~", "5"),
        ("/~", ""),
        ("~", ""),
        ("bdlsqu", ""),
    ],
)
def test_shielded_digits_are_one_press_each(codes: str, keys: str) -> None:
    assert keys_of(codes) == keys


def test_bare_digits_are_one_press_each_when_a_finger_could_have_done_it() -> None:
    assert keys_of("1159", samples_between=1600) == "1159"
