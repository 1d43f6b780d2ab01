"""All spellings of a number are one number; what is not clear stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.numbering import numbering

COUNTRIES = ("us", "gb", "fr", "de", "ro", "bg", "ir", "ru", "cn")


@pytest.mark.parametrize(
    ("country", "area", "spellings", "key", "dialled"),
    [
        (
            "ro",
            "21",
            ["0721 000 111", "+40721000111", "0040721000111", "721000111", "40721000111"],
            "+40721000111",
            "0721000111",
        ),
        ("ro", "", ["+40 0721 000 111", "(0721) 000-111"], "+40721000111", "0721000111"),
        ("ro", "", ["0049301234567", "+49 30 1234567"], "+49301234567", "0049301234567"),
        (
            "us",
            "212",
            ["5550123", "(212) 555-0123", "12125550123", "+12125550123"],
            "+12125550123",
            "12125550123",
        ),
        ("us", "", ["01140721000111"], "+40721000111", "01140721000111"),
        ("ru", "", ["84951234567", "4951234567", "74951234567"], "+74951234567", "84951234567"),
        ("ru", "", ["81040721000111"], "+40721000111", "81040721000111"),
        ("cn", "", ["13800138000", "+8613800138000", "013800138000"], "+8613800138000", None),
        ("cn", "", ["01062551234"], "+861062551234", "01062551234"),
        ("ir", "", ["۰۹۱۲۳۴۵۶۷۸۹", "09123456789", "9123456789"], "+989123456789", "09123456789"),
        ("gb", "", ["02079460123", "+442079460123"], "+442079460123", "02079460123"),
        ("de", "30", ["030 901820", "901820", "+4930901820"], "+4930901820", "030901820"),
        ("bg", "", ["0888123456", "00359888123456"], "+359888123456", "0888123456"),
        ("fr", "", ["0142685300", "+33142685300", "33142685300"], "+33142685300", "0142685300"),
    ],
)
def test_all_spellings_are_one_number(
    country: str, area: str, spellings: list[str], key: str, dialled: str | None
) -> None:
    plan = numbering(country, area)
    assert {plan.key(one) for one in spellings} == {key}
    if dialled is not None:
        assert plan.dial(key) == dialled


@pytest.mark.parametrize("number", [None, "", "anonymous", "+", "12*34", "Ana", "²³"])
def test_what_is_no_number_has_no_key(number: str | None) -> None:
    assert numbering("ro").key(number) is None
    assert numbering("ro").callable(number) is None


@pytest.mark.parametrize("number", ["5550123", "101", "3012345"])
def test_what_only_the_exchange_understands_stays_as_it_is(number: str) -> None:
    assert numbering("us").key(number) == number
    assert numbering("us").dial(number) == number


@pytest.mark.parametrize("number", ["101", "0721", "1" * 20])
def test_nobody_is_called_back_at_an_extension(number: str) -> None:
    assert numbering("ro").callable(number) is None


@given(
    st.sampled_from(COUNTRIES),
    st.sampled_from(["", "21"]),
    st.text("+0123456789 -()*", max_size=22),
)
def test_the_key_is_settled_and_leads_back_to_itself(country: str, area: str, text: str) -> None:
    plan = numbering(country, area)
    key = plan.key(text)
    if key is None:
        return
    assert plan.key(key) == key
    if key.startswith("+"):
        assert plan.key(plan.dial(key)) == key
