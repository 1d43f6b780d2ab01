"""Caller ID out of what modems print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lines.callerid import CallerRecord, parse_field
from appliance.lines.line import CallerId


def read(*lines: str) -> CallerId:
    record = CallerRecord()
    for line in lines:
        field = parse_field(line)
        if field is not None:
            record.add(*field)
    return record.result()


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        (("NMBR = 5551234567", "NAME = JANE DOE"), CallerId("5551234567", "JANE DOE")),
        (("DATE=1122", "TIME=0430", "NMBR=5551234567"), CallerId("5551234567")),
        (("nmbr=  0722 123-456",), CallerId("0722123456")),
        (("NMBR=+40721000111",), CallerId("+40721000111")),
        (("NMBR = P",), CallerId(None, None, "private")),
        (("NMBR = P", "NAME = P"), CallerId(None, None, "private")),
        (("NMBR = O", "NAME = O"), CallerId(None, None, "out_of_area")),
        (("NMBR = O", "NAME = TORONTO ON"), CallerId(None, "TORONTO ON", "out_of_area")),
        (("NAME = P",), CallerId(None, None, "private")),
        (("NAME = ANN",), CallerId(None, "ANN", "missing")),
        (("DATE = 1122", "TIME = 0430"), CallerId(None, None, "missing")),
        (("NMBR = 5551234567", "NAME = V123456789012345"), CallerId("5551234567")),
        (("NMBR = 1", "NMBR = 2"), CallerId("1")),
        (("NMBR =",), CallerId(None, None, "missing")),
        (("NMBR = <script>",), CallerId(None, None, "missing")),
        (("ERRM",), CallerId(None, None, "missing")),
        (("NMBR = " + "9" * 33,), CallerId(None, None, "missing")),
        (("NMBR = 12", "NAME = A\x1b[31m\x00B"), CallerId("12", "A[31mB")),
        (("NMBR = 12", "NAME = " + "x" * 200), CallerId("12", "x" * 50)),
    ],
)
def test_fields_become_a_caller(lines: tuple[str, ...], caller: CallerId) -> None:
    assert read(*lines) == caller


@pytest.mark.parametrize(
    ("message", "caller"),
    [
        ("02073535353132333407034A4F45", CallerId("5551234", "JOE")),
        ("800E02073535353132333407034A4F45", CallerId("5551234", "JOE")),
        ("040150", CallerId(None, None, "private")),
        ("04014F08014F", CallerId(None, None, "out_of_area")),
        ("0209", CallerId(None, None, "missing")),
        ("zz", CallerId(None, None, "missing")),
    ],
)
def test_parameters_in_hexadecimal_are_read(message: str, caller: CallerId) -> None:
    assert read(f"MESG = {message}") == caller


def test_a_record_is_complete_with_number_and_name() -> None:
    record = CallerRecord()
    record.add("NAME", "ANN")
    assert not record.complete
    record.add("NMBR", "P")
    assert record.complete


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_caller_is_always_printable_and_bounded(number: str, name: str) -> None:
    caller = read(f"NMBR={number}", f"NAME={name}", f"MESG={number}")
    assert caller.number is None or (caller.number.isascii() and 0 < len(caller.number) <= 33)
    assert caller.name is None or (caller.name.isprintable() and 0 < len(caller.name) <= 50)
