"""Digits, dates, times and money as a speaker of each language says them."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ivr.dates import full_date, solar_hijri
from appliance.ivr.money import CURRENCIES, money
from appliance.ivr.saying import clock_time, digits
from appliance.site.model import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("+40 215550100", "en", "plus four zero, two one five, five five zero, one zero zero"),
        ("1234", "ro", "unu doi trei patru"),
        ("12345", "bg", "едно две три, четири пет"),
        ("*31#", "ru", "звёздочка три один решётка"),
        ("1001", "zh", "幺 零 零 幺"),
    ],
)
def test_digits_are_said_one_by_one_with_breaths(text: str, language: Language, said: str) -> None:
    assert digits(text, language) == said


@pytest.mark.parametrize(
    ("day", "language", "said"),
    [
        (
            date(2026, 11, 25),
            "en",
            "Wednesday, the twenty-fifth of November, two thousand and twenty-six",
        ),
        (date(1905, 12, 31), "en", "Sunday, the thirty-first of December, nineteen oh five"),
        (date(2026, 1, 1), "ro", "joi, întâi ianuarie două mii douăzeci și șase"),
        (date(2026, 11, 2), "ro", "luni, două noiembrie două mii douăzeci și șase"),
        (
            date(2026, 11, 25),
            "bg",
            "сряда, двадесет и пети ноември две хиляди двадесет и шеста година",
        ),
        (date(2030, 3, 20), "bg", "сряда, двадесети март две хиляди и тридесета година"),
        (
            date(1905, 12, 31),
            "bg",
            "неделя, тридесет и първи декември хиляда деветстотин и пета година",
        ),
        (
            date(2026, 11, 25),
            "ru",
            "среда, двадцать пятое ноября две тысячи двадцать шестого года",
        ),
        (
            date(1905, 12, 31),
            "ru",
            "воскресенье, тридцать первое декабря тысяча девятьсот пятого года",
        ),
        (date(2000, 5, 30), "ru", "вторник, тридцатое мая двухтысячного года"),
        (date(2026, 11, 25), "fa", "چهارشنبه، چهار آذر هزار و چهارصد و پنج"),
        (date(2026, 11, 25), "zh", "二零二六年十一月二十五日星期三"),
    ],
)
def test_dates(day: date, language: Language, said: str) -> None:
    assert full_date(day, language) == said


@pytest.mark.parametrize(
    ("day", "hijri"),
    [
        (date(1979, 2, 11), (1357, 11, 22)),
        (date(2021, 3, 20), (1399, 12, 30)),
        (date(2021, 3, 21), (1400, 1, 1)),
        (date(2025, 3, 20), (1403, 12, 30)),
        (date(2025, 3, 21), (1404, 1, 1)),
        (date(2026, 3, 21), (1405, 1, 1)),
    ],
)
def test_the_iranian_calendar(day: date, hijri: tuple[int, int, int]) -> None:
    assert solar_hijri(day) == hijri


@pytest.mark.parametrize(
    ("at", "language", "said"),
    [
        (time(0, 0), "en", "midnight"),
        (time(12, 0), "en", "noon"),
        (time(9, 5), "en", "nine oh five in the morning"),
        (time(14, 30), "en", "two thirty in the afternoon"),
        (time(2, 1), "ro", "ora două și un minut"),
        (time(21, 21), "ro", "ora douăzeci și una și douăzeci și unu de minute"),
        (time(1, 1), "bg", "един час и една минута"),
        (time(14, 30), "fa", "ساعت چهارده و سی دقیقه"),
        (time(21, 21), "ru", "двадцать один час двадцать одна минута"),
        (time(2, 5), "ru", "два часа пять минут"),
        (time(2, 5), "zh", "两点零五分"),
        (time(12, 0), "zh", "十二点整"),
    ],
)
def test_times(at: time, language: Language, said: str) -> None:
    assert clock_time(at, language) == said


@pytest.mark.parametrize(
    ("amount", "currency", "language", "said"),
    [
        ("21.05", "EUR", "en", "twenty-one euros and five cents"),
        ("0.01", "USD", "en", "one cent"),
        ("0", "GBP", "en", "zero pounds"),
        ("-5.50", "GBP", "en", "minus five pounds and fifty pence"),
        ("1", "RON", "ro", "un leu"),
        ("2.02", "RON", "ro", "doi lei și doi bani"),
        (
            "1121.22",
            "RUB",
            "ro",
            "o mie o sută douăzeci și una de ruble și douăzeci și două de copeici",
        ),
        ("100", "RON", "ro", "o sută de lei"),
        ("21.05", "EUR", "bg", "двадесет и едно евро и пет цента"),
        ("2", "GBP", "bg", "две лири"),
        ("1121.22", "RUB", "ru", "одна тысяча сто двадцать один рубль двадцать две копейки"),
        ("0.995", "USD", "ru", "один доллар"),
        ("50000", "IRR", "fa", "پنجاه هزار ریال"),
        ("2", "CNY", "zh", "两元"),
    ],
)
def test_sums_agree_with_their_currency(
    amount: str, currency: str, language: Language, said: str
) -> None:
    assert money(Decimal(amount), currency, language) == said


@given(st.sampled_from(LANGUAGES), st.dates(date(1800, 1, 1), date(2250, 1, 1)))
def test_every_day_has_words_without_figures(language: Language, day: date) -> None:
    said = full_date(day, language)
    assert said
    assert not any(c.isdigit() for c in said)


@given(
    st.sampled_from(LANGUAGES),
    st.sampled_from(CURRENCIES),
    st.decimals(-(10**9), 10**9, places=2),
)
def test_every_sum_has_words_without_figures(
    language: Language, currency: str, amount: Decimal
) -> None:
    said = money(amount, currency, language)
    assert said
    assert not any(c.isdigit() for c in said)
