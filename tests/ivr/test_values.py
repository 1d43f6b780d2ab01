"""Values in texts: said in the form asked for, or as they are; never an error for a caller."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ivr.values import fill, places, said
from appliance.site.model import Language, Prompt


@pytest.mark.parametrize(
    ("value", "form", "currency", "words"),
    [
        ("21", "number", "", "twenty-one"),
        ("21.9", "number", "", "twenty-one"),
        ("1234", "digits", "", "one two three four"),
        ("2.5", "money", "EUR", "two euros and fifty cents"),
        ("2026-11-25T10:00:00Z", "date", "", None),
        ("09:05", "time", "", "nine oh five in the morning"),
        ("soon", "time", "", "soon"),
        ("many", "number", "", "many"),
        ("5", "money", "XAU", "5"),
        ("", "number", "", ""),
        ("a\x07b", "", "", "a b"),
    ],
)
def test_forms(value: str, form: str, currency: str, words: str | None) -> None:
    found = said(value, form, currency, "en")
    if words is None:
        assert found.startswith("Wednesday")
    else:
        assert found == words


def test_a_text_that_is_all_value_is_never_empty() -> None:
    assert fill(Prompt(text="{name}"), {}, "en").text == "…"


def test_braces_that_are_no_value_stay_as_they_are() -> None:
    assert fill(Prompt(text="Press {} or {Name}."), {}, "en").text == "Press {} or {Name}."
    assert places("{a} {b:number} {c:money RON} {d:colour}") == [
        ("a", "", ""),
        ("b", "number", ""),
        ("c", "money", "RON"),
    ]


@given(
    st.text(max_size=40),
    st.sampled_from(["number", "digits", "money", "date", "time", ""]),
    st.sampled_from(["EUR", "", "XXX"]),
    st.sampled_from(get_args(Language)),
)
def test_no_value_of_a_program_raises(
    value: str, form: str, currency: str, language: Language
) -> None:
    assert isinstance(said(value, form, currency, language), str)
