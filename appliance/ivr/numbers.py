"""Whole numbers in words, 0 to 999, as one counts aloud.

Spoken digits differ between synthesisers and voices; words do not. The forms are those that name
a number (`number two`): neuter in Bulgarian, masculine in Romanian, masculine nominative in
Russian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance.site.model import Language

LARGEST: Final = 999


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_EN_UNITS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
_EN_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_RO_UNITS = _words(
    "zero unu doi trei patru cinci șase șapte opt nouă zece unsprezece doisprezece treisprezece"
    " paisprezece cincisprezece șaisprezece șaptesprezece optsprezece nouăsprezece"
)
_RO_TENS = _words("douăzeci treizeci patruzeci cincizeci șaizeci șaptezeci optzeci nouăzeci")
_BG_UNITS = _words(
    "нула едно две три четири пет шест седем осем девет десет единадесет дванадесет тринадесет"
    " четиринадесет петнадесет шестнадесет седемнадесет осемнадесет деветнадесет"
)
_BG_TENS = _words(
    "двадесет тридесет четиридесет петдесет шестдесет седемдесет осемдесет деветдесет"
)
_BG_HUNDREDS = _words(
    "сто двеста триста четиристотин петстотин шестстотин седемстотин осемстотин деветстотин"
)
_RU_UNITS = _words(
    "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать"
    " тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать"
)
_RU_TENS = _words("двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто")
_RU_HUNDREDS = _words("сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот")
_FA_UNITS = _words(
    "صفر یک دو سه چهار پنج شش هفت هشت نه ده یازده دوازده سیزده چهارده پانزده شانزده هفده هجده نوزده"
)
_FA_TENS = _words("بیست سی چهل پنجاه شصت هفتاد هشتاد نود")
_FA_HUNDREDS = _words("صد دویست سیصد چهارصد پانصد ششصد هفتصد هشتصد نهصد")
_ZH_DIGITS = "零一二三四五六七八九"


def _under_hundred(n: int, units: tuple[str, ...], tens: tuple[str, ...], joint: str) -> str:
    if n < 20:
        return units[n]
    ten, unit = tens[n // 10 - 2], n % 10
    return ten + (joint + units[unit] if unit else "")


def _en(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    small = _under_hundred(rest, _EN_UNITS, _EN_TENS, "-")
    if not hundreds:
        return small
    return f"{_EN_UNITS[hundreds]} hundred" + (f" and {small}" if rest else "")


def _ro(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    small = _under_hundred(rest, _RO_UNITS, _RO_TENS, " și ")
    if not hundreds:
        return small
    # "sută" is feminine: una -> "o sută", două sute.
    many = {1: "o sută", 2: "două sute"}.get(hundreds, f"{_RO_UNITS[hundreds]} sute")
    return many + (f" {small}" if rest else "")


def _bg(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    small = _under_hundred(rest, _BG_UNITS, _BG_TENS, " и ")
    if not hundreds:
        return small
    if not rest:
        return _BG_HUNDREDS[hundreds - 1]
    # "и" stands once, before the last word: сто и двадесет, but сто двадесет и едно.
    joint = " " if rest > 20 and rest % 10 else " и "
    return _BG_HUNDREDS[hundreds - 1] + joint + small


def _ru(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    small = _under_hundred(rest, _RU_UNITS, _RU_TENS, " ")
    if not hundreds:
        return small
    return _RU_HUNDREDS[hundreds - 1] + (f" {small}" if rest else "")


def _fa(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    small = _under_hundred(rest, _FA_UNITS, _FA_TENS, " و ")
    if not hundreds:
        return small
    return _FA_HUNDREDS[hundreds - 1] + (f" و {small}" if rest else "")


def _zh(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    tens, unit = divmod(rest, 10)
    text = _ZH_DIGITS[hundreds] + "百" if hundreds else ""
    if tens:
        # Ten alone is 十, but within a hundred 一十.
        text += ("" if tens == 1 and not hundreds else _ZH_DIGITS[tens]) + "十"
    elif hundreds and unit:
        text += "零"
    if unit or not text:
        text += _ZH_DIGITS[unit]
    return text


_SPEAKERS: Final[dict[Language, Callable[[int], str]]] = {
    "en": _en,
    "ro": _ro,
    "bg": _bg,
    "ru": _ru,
    "fa": _fa,
    "zh": _zh,
}


def in_words(n: int, language: Language) -> str:
    """`3, "ro"` -> `"trei"`. Numbers outside 0 to 999 come back as digits."""
    if not 0 <= n <= LARGEST:
        return str(n)
    return _SPEAKERS[language](n)
