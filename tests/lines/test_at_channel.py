"""The command channel: whose answer is whose, and what was said unasked."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.at import Answer, AtChannel, AtEvent, Code, Field, Ring


def events(channel: AtChannel, data: str | bytes) -> list[AtEvent]:
    rest = data.encode("latin-1") if isinstance(data, str) else data
    found = []
    while rest:
        event, rest = channel.feed(rest)
        if event is not None:
            found.append(event)
    return found


def asking(command: str) -> AtChannel:
    channel = AtChannel()
    assert channel.send(command) == command.encode() + b"\r"
    return channel


def test_an_answer_carries_the_lines_before_its_code() -> None:
    channel = asking("AT+VSM=?")
    assert events(channel, '\r\n1,"UNSIGNED PCM",8\r\n129,"IMA"\r\n\r\nOK\r\n') == [
        Answer("OK", ('1,"UNSIGNED PCM",8', '129,"IMA"'))
    ]
    assert channel.in_flight is None


def test_echo_is_no_part_of_the_answer() -> None:
    assert events(asking("ATI3"), "ATI3\r\r\nCX93001\r\n\r\nOK\r\n") == [Answer("OK", ("CX93001",))]


@pytest.mark.parametrize(
    "text", ["\r\nOK\r\n", "OK\r", "OK\n", "\x00OK\r\n", "\r\n\r\n\r\nOK\r\n", "OK \r\n"]
)
def test_framing_does_not_matter(text: str) -> None:
    assert events(asking("AT"), text) == [Answer("OK")]


def test_a_code_without_a_command_is_dropped() -> None:
    channel = AtChannel()
    assert events(channel, "\r\nOK\r\nERROR\r\nCONNECT\r\n") == []
    channel.send("AT")
    channel.give_up()
    assert events(channel, "\r\nOK\r\n") == []


def test_rings_and_caller_id_in_the_middle_of_an_answer_are_split_off() -> None:
    channel = asking("ATI3")
    assert events(
        channel, "\r\nCX9\r\nRING\r\n\r\nNMBR = 5551234567\r\nNAME=ANN\r\n2013\r\nOK\r\n"
    ) == [
        Ring(),
        Field("NMBR", "5551234567"),
        Field("NAME", "ANN"),
        Answer("OK", ("CX9", "2013")),
    ]


def test_dle_codes_in_command_state_are_heard_and_dle_r_is_a_ring() -> None:
    channel = asking("AT+VLS=1")
    assert events(channel, "\x10R\r\n\x10HOK\r\n") == [Ring(), Code(ord("H")), Answer("OK")]


def test_connect_answers_only_what_asks_for_data() -> None:
    assert events(asking("AT+VLS=1"), "\r\nCONNECT\r\nOK\r\n") == [Answer("OK", ("CONNECT",))]
    assert events(asking("AT+VTR"), "\r\nCONNECT\r\n") == [Answer("CONNECT")]


def test_what_follows_connect_is_given_back() -> None:
    channel = asking("AT+VTR")
    event, rest = channel.feed(b"\r\nCONNECT\r\n\x80\x0d\x0a\x10\x10")
    assert event == Answer("CONNECT")
    assert rest == b"\n\x80\x0d\x0a\x10\x10"
    assert channel.ended_by_cr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("BUSY", "BUSY"),
        ("NO DIALTONE", "NO DIALTONE"),
        ("NO DIAL TONE", "NO DIALTONE"),
        ("NO ANSWER", "NO ANSWER"),
        ("NO CARRIER", "NO CARRIER"),
    ],
)
def test_failures_of_dialling_answer_only_a_dial_command(line: str, code: str) -> None:
    assert events(asking("ATDT123;"), f"\r\n{line}\r\n") == [Answer(code)]
    assert events(asking("AT+VCID=1"), f"\r\n{line}\r\nOK\r\n")[-1].code == "OK"  # type: ignore[union-attr]


def test_overlong_lines_and_answers_are_bounded() -> None:
    channel = asking("ATI3")
    found = events(channel, "x" * 5000 + "\r\n" + "line\r\n" * 5000 + "OK\r\n")
    assert len(found) == 1
    answer = found[0]
    assert isinstance(answer, Answer)
    assert len(answer.lines) == 64
    assert set(answer.lines) == {"line"}


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_are_survived_and_cuts_change_nothing(data: bytes, places: list[int]) -> None:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    whole, parts = asking("ATI3"), asking("ATI3")
    cut = [data[a:b] for a, b in itertools.pairwise(marks)]
    assert events(whole, data) == [event for part in cut for event in events(parts, part)]
    # After garbage, a line end and a new command, an answer is an answer.
    events(whole, b"\x10~\r\n")
    whole.send("AT")
    assert events(whole, b"\r\nOK\r\n") == [Answer("OK")]
