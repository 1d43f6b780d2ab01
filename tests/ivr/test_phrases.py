"""What the box says by itself."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ivr.linter import MAX_PROMPT_S, speech_s
from appliance.ivr.numbers import in_words
from appliance.ivr.phrases import PHRASES, phrase, position
from appliance.site.model import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_exists_in_every_language_and_is_short(language: Language) -> None:
    for name in PHRASES:
        prompt = phrase(name, language)
        assert prompt.language == language
        assert prompt.text
        assert speech_s(prompt.text, language) < MAX_PROMPT_S


@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (0, "en", "zero"),
        (3, "en", "three"),
        (21, "en", "twenty-one"),
        (110, "en", "one hundred and ten"),
        (999, "en", "nine hundred and ninety-nine"),
        (2, "ro", "doi"),
        (14, "ro", "paisprezece"),
        (21, "ro", "douăzeci și unu"),
        (100, "ro", "o sută"),
        (245, "ro", "două sute patruzeci și cinci"),
        (2, "bg", "две"),
        (20, "bg", "двадесет"),
        (34, "bg", "тридесет и четири"),
        (115, "bg", "сто и петнадесет"),
        (120, "bg", "сто и двадесет"),
        (121, "bg", "сто двадесет и едно"),
        (300, "bg", "триста"),
        (11, "ru", "одиннадцать"),
        (42, "ru", "сорок два"),
        (219, "ru", "двести девятнадцать"),
        (13, "fa", "سیزده"),
        (45, "fa", "چهل و پنج"),
        (507, "fa", "پانصد و هفت"),
        (10, "zh", "十"),
        (12, "zh", "十二"),
        (20, "zh", "二十"),
        (105, "zh", "一百零五"),
        (110, "zh", "一百一十"),
        (213, "zh", "二百一十三"),
        (1005, "en", "one thousand and five"),
        (21000, "ro", "douăzeci și una de mii"),
        (101000, "ro", "o sută una mii"),
        (21_000_000, "ro", "douăzeci și unu de milioane"),
        (1110, "bg", "хиляда сто и десет"),
        (2005, "bg", "две хиляди и пет"),
        (1_100_000, "bg", "един милион и сто хиляди"),
        (22000, "ru", "двадцать две тысячи"),
        (1_000_005, "ru", "один миллион пять"),
        (1405, "fa", "هزار و چهارصد و پنج"),
        (10010, "zh", "一万零一十"),
        (200_000_000, "zh", "两亿"),
        (-3, "ru", "минус три"),
    ],
)
def test_numbers_are_said_right(number: int, language: Language, words: str) -> None:
    assert in_words(number, language) == words


@given(st.sampled_from(LANGUAGES))
def test_no_two_numbers_sound_the_same(language: Language) -> None:
    assert len({in_words(n, language) for n in range(1000)}) == 1000


def test_numbers_beyond_the_words_stay_digits() -> None:
    assert in_words(10**12, "en") == "1000000000000"


@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (2, "ro", "două"),
        (12, "ro", "douăsprezece"),
        (1, "bg", "една"),
        (21, "ru", "двадцать одна"),
        (1002, "ru", "одна тысяча две"),
    ],
)
def test_numbers_agree_with_what_is_counted(number: int, language: Language, words: str) -> None:
    assert in_words(number, language, "f") == words


@given(st.sampled_from(LANGUAGES), st.integers(-(10**12) + 1, 10**12 - 1))
def test_every_number_has_words(language: Language, number: int) -> None:
    words = in_words(number, language)
    assert words == words.strip()
    assert "  " not in words
    assert not any(c.isdigit() for c in words)


@pytest.mark.parametrize(
    ("n", "language", "text"),
    [
        (1, "en", "You are next in line."),
        (3, "en", "You are number three in line."),
        (2, "ro", "Sunteți numărul doi la rând."),
        (4, "bg", "Вие сте номер четири на опашката."),
        (5, "ru", "Ваш номер в очереди — пять."),
        (6, "fa", "شماره شما در صف شش است."),
        (12, "zh", "您目前排在第十二位。"),
    ],
)
def test_the_place_in_the_queue_is_said_in_words(n: int, language: Language, text: str) -> None:
    prompt = position(n, language)
    assert (prompt.text, prompt.language) == (text, language)
