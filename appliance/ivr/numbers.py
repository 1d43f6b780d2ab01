"""Whole numbers in words, as one counts aloud.

Spoken digits differ between synthesisers and voices; words do not. Without a gender the forms are
those that name a number (`number two`): neuter in Bulgarian, masculine in Romanian and Russian.
Libraries for this were tried: none has all six languages right beyond a thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from appliance.site.model import Language

LARGEST: Final = 999_999_999_999

Gender = Literal["m", "f", "n"]
"""Of what is counted; English, Persian and Chinese do not care."""

_NAMING: Final[dict[Language, Gender]] = {"bg": "n"}


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

_RO_GENDERS: Final = {
    "m": {},
    "f": {1: "una", 2: "două", 12: "douăsprezece"},
    "n": {2: "două", 12: "douăsprezece"},
}
_BG_GENDERS: Final = {"m": {1: "един", 2: "два"}, "f": {1: "една"}, "n": {}}
_RU_GENDERS: Final = {"m": {}, "f": {1: "одна", 2: "две"}, "n": {1: "одно"}}


def _groups(n: int, size: int = 1000) -> list[int]:
    """The groups of three digits, the units first: 1002 -> [2, 1]."""
    found = []
    while n:
        n, group = divmod(n, size)
        found.append(group)
    return found


def _under_hundred(n: int, units: tuple[str, ...], tens: tuple[str, ...], joint: str) -> str:
    if n < 20:
        return units[n]
    ten, unit = tens[n // 10 - 2], n % 10
    return ten + (joint + units[unit] if unit else "")


def _gendered(units: tuple[str, ...], forms: dict[int, str]) -> tuple[str, ...]:
    return tuple(forms.get(n, word) for n, word in enumerate(units))


# --- English --------------------------------------------------------------------------------


def _en(n: int, gender: Gender) -> str:
    if not n:
        return _EN_UNITS[0]
    parts: list[str] = []
    for scale, group in reversed(list(enumerate(_groups(n)))):
        if not group:
            continue
        hundreds, rest = divmod(group, 100)
        words = []
        if hundreds:
            words.append(f"{_EN_UNITS[hundreds]} hundred")
        if rest:
            # British usage: "and" before what is below a hundred, if anything stands before it.
            if hundreds or (parts and not scale):
                words.append("and")
            words.append(_under_hundred(rest, _EN_UNITS, _EN_TENS, "-"))
        if scale:
            words.append(("thousand", "million", "billion")[scale - 1])
        parts.append(" ".join(words))
    return " ".join(parts)


# --- Romanian -------------------------------------------------------------------------------


def takes_de(n: int) -> bool:
    """Whether Romanian puts "de" between this number and what is counted: 20 de lei, 101 lei."""
    return n > 0 and (n % 100 == 0 or n % 100 >= 20)


def _ro_small(n: int, gender: Gender) -> str:
    hundreds, rest = divmod(n, 100)
    # "sută" is feminine: una -> "o sută", două sute.
    words = {0: "", 1: "o sută", 2: "două sute"}.get(hundreds, f"{_RO_UNITS[hundreds]} sute")
    if rest:
        units = _gendered(_RO_UNITS, _RO_GENDERS[gender])
        words = f"{words} {_under_hundred(rest, units, _RO_TENS, ' și ')}".strip()
    return words


def _ro(n: int, gender: Gender) -> str:
    if not n:
        return _RO_UNITS[0]
    scales: tuple[tuple[Gender, str, str], ...] = (
        ("f", "o mie", "mii"),
        ("n", "un milion", "milioane"),
        ("n", "un miliard", "miliarde"),
    )
    parts = []
    for scale, group in reversed(list(enumerate(_groups(n)))):
        if not group:
            continue
        if not scale:
            parts.append(_ro_small(group, gender))
            continue
        kind, one, many = scales[scale - 1]
        if group == 1:
            parts.append(one)
        else:
            parts.append(_ro_small(group, kind) + (" de " if takes_de(group) else " ") + many)
    return " ".join(parts)


# --- Bulgarian ------------------------------------------------------------------------------


def _bg_small(n: int, gender: Gender) -> str:
    hundreds, rest = divmod(n, 100)
    units = _gendered(_BG_UNITS, _BG_GENDERS[gender])
    small = _under_hundred(rest, units, _BG_TENS, " и ")
    if not hundreds:
        return small
    if not rest:
        return _BG_HUNDREDS[hundreds - 1]
    # "и" stands once, before the last word: сто и двадесет, but сто двадесет и едно.
    joint = " " if rest > 20 and rest % 10 else " и "
    return _BG_HUNDREDS[hundreds - 1] + joint + small


def _bg(n: int, gender: Gender) -> str:
    if not n:
        return _BG_UNITS[0]
    scales: tuple[tuple[Gender, str, str], ...] = (
        ("f", "хиляда", "хиляди"),
        ("m", "един милион", "милиона"),
        ("m", "един милиард", "милиарда"),
    )
    text = ""
    groups = _groups(n)
    last = next(scale for scale, group in enumerate(groups) if group)
    for scale, group in reversed(list(enumerate(groups))):
        if not group:
            continue
        if not scale:
            words = _bg_small(group, gender)
        else:
            kind, one, many = scales[scale - 1]
            words = one if group == 1 else f"{_bg_small(group, kind)} {many}"
        # The same "и" joins a last group that has none inside: хиляда и сто, две хиляди и пет.
        bare = group <= 20 or (group < 100 and not group % 10) or not group % 100
        joint = " и " if scale == last and bare else " "
        text += joint + words if text else words
    return text


# --- Russian --------------------------------------------------------------------------------


def slavic_plural(n: int) -> int:
    """0 for one (1, 21), 1 for a few (2-4, 22-24), 2 for many (0, 5-20): CLDR's rule of Russian."""
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else 2


def _ru_small(n: int, gender: Gender) -> str:
    hundreds, rest = divmod(n, 100)
    words = [_RU_HUNDREDS[hundreds - 1]] if hundreds else []
    if rest:
        units = _gendered(_RU_UNITS, _RU_GENDERS[gender])
        words.append(_under_hundred(rest, units, _RU_TENS, " "))
    return " ".join(words)


def _ru(n: int, gender: Gender) -> str:
    if not n:
        return _RU_UNITS[0]
    scales: tuple[tuple[Gender, tuple[str, str, str]], ...] = (
        ("f", ("тысяча", "тысячи", "тысяч")),
        ("m", ("миллион", "миллиона", "миллионов")),
        ("m", ("миллиард", "миллиарда", "миллиардов")),
    )
    parts = []
    for scale, group in reversed(list(enumerate(_groups(n)))):
        if not group:
            continue
        if not scale:
            parts.append(_ru_small(group, gender))
            continue
        kind, forms = scales[scale - 1]
        parts.append(f"{_ru_small(group, kind)} {forms[slavic_plural(group)]}")
    return " ".join(parts)


# --- Persian --------------------------------------------------------------------------------


def _fa(n: int, gender: Gender) -> str:
    if not n:
        return _FA_UNITS[0]
    parts = []
    for scale, group in reversed(list(enumerate(_groups(n)))):
        if not group:
            continue
        hundreds, rest = divmod(group, 100)
        words = [_FA_HUNDREDS[hundreds - 1]] if hundreds else []
        if rest:
            words.append(_under_hundred(rest, _FA_UNITS, _FA_TENS, " و "))
        text = " و ".join(words)
        if scale:
            name = ("هزار", "میلیون", "میلیارد")[scale - 1]
            # A thousand is هزار by itself, a million یک میلیون.
            text = name if scale == 1 and group == 1 else f"{text} {name}"
        parts.append(text)
    return " و ".join(parts)


# --- Chinese --------------------------------------------------------------------------------


def _zh_small(n: int, inside: bool) -> str:
    """Four digits. `inside` a longer number ten is 一十 and what lacks its thousands gets 零."""
    text, gap = "", False
    for place, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // place % 10
        if not digit:
            gap = gap or bool(text) or inside
            continue
        if gap:
            text += "零"
            gap = False
        if digit == 1 and place == 10 and not text and not inside:
            text += "十"
        else:
            text += ("两" if digit == 2 and place == 1000 else _ZH_DIGITS[digit]) + name
    return text


def _zh(n: int, gender: Gender) -> str:
    if not n:
        return _ZH_DIGITS[0]
    text = ""
    for scale, group in reversed(list(enumerate(_groups(n, 10_000)))):
        if not group:
            continue
        name = ("", "万", "亿")[scale]
        # Two of a counted scale is 两: 两万, but 二百.
        text += "两" if group == 2 and scale else _zh_small(group, bool(text))
        text += name
    return text


_SPEAKERS: Final[dict[Language, Callable[[int, Gender], str]]] = {
    "en": _en,
    "ro": _ro,
    "bg": _bg,
    "ru": _ru,
    "fa": _fa,
    "zh": _zh,
}

_MINUS: Final[dict[Language, str]] = {
    "en": "minus ",
    "ro": "minus ",
    "bg": "минус ",
    "ru": "минус ",
    "fa": "منفی ",
    "zh": "负",
}


def in_words(n: int, language: Language, gender: Gender | None = None) -> str:
    """`3, "ro"` -> `"trei"`. Numbers beyond `LARGEST` come back as digits."""
    if abs(n) > LARGEST:
        return str(n)
    minus = _MINUS[language] if n < 0 else ""
    return minus + _SPEAKERS[language](abs(n), gender or _NAMING.get(language, "m"))
