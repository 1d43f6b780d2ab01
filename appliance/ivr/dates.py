"""Dates as people say them. Persian ones are of the solar Hijri calendar, by which its speakers
live."""

from __future__ import annotations

from datetime import date
from typing import Final

from appliance.ivr.numbers import in_words
from appliance.site.model import Language


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_EN_ORDINALS: Final = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
    " fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first"
    " twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh"
    " twenty-eighth twenty-ninth thirtieth thirty-first"
)
_NUMBERS: Final = (*range(1, 20), *range(20, 100, 10))
"""Numbers of one word below a hundred."""
_BG_DAYS: Final = _words(
    "първи втори трети четвърти пети шести седми осми девети десети единадесети дванадесети"
    " тринадесети четиринадесети петнадесети шестнадесети седемнадесети осемнадесети"
    " деветнадесети двадесети тридесети"
)
_BG_YEARS: Final = _words(
    "първа втора трета четвърта пета шеста седма осма девета десета единадесета дванадесета"
    " тринадесета четиринадесета петнадесета шестнадесета седемнадесета осемнадесета"
    " деветнадесета двадесета тридесета четиридесета петдесета шестдесета седемдесета"
    " осемдесета деветдесета"
)
_RU_DAYS: Final = _words(
    "первое второе третье четвёртое пятое шестое седьмое восьмое девятое десятое одиннадцатое"
    " двенадцатое тринадцатое четырнадцатое пятнадцатое шестнадцатое семнадцатое восемнадцатое"
    " девятнадцатое двадцатое тридцатое"
)
_RU_YEARS: Final = _words(
    "первого второго третьего четвёртого пятого шестого седьмого восьмого девятого десятого"
    " одиннадцатого двенадцатого тринадцатого четырнадцатого пятнадцатого шестнадцатого"
    " семнадцатого восемнадцатого девятнадцатого двадцатого тридцатого сорокового"
    " пятидесятого шестидесятого семидесятого восьмидесятого девяностого"
)


def _ordinal(n: int, language: Language, ordinals: tuple[str, ...]) -> str:
    """In the Slavic languages only the last word becomes an ordinal: двадцать пятое."""
    head, _, last = in_words(n, language).rpartition(" ")
    known = {in_words(n, language): word for n, word in zip(_NUMBERS, ordinals, strict=False)}
    return f"{head} {known.get(last, last)}".strip()


_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "en": _words(
        "January February March April May June July August September October November December"
    ),
    "ro": _words(
        "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie"
        " decembrie"
    ),
    "bg": _words(
        "януари февруари март април май юни юли август септември октомври ноември декември"
    ),
    "fa": _words("فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند"),
    "ru": _words(
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
    ),
    "zh": _words("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"),
}
_WEEKDAYS: Final[dict[Language, tuple[str, ...]]] = {
    "en": _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "ro": _words("luni marți miercuri joi vineri sâmbătă duminică"),
    "bg": _words("понеделник вторник сряда четвъртък петък събота неделя"),
    "fa": ("دوشنبه", "سه‌شنبه", "چهارشنبه", "پنج‌شنبه", "جمعه", "شنبه", "یکشنبه"),
    "ru": _words("понедельник вторник среда четверг пятница суббота воскресенье"),
    "zh": _words("星期一 星期二 星期三 星期四 星期五 星期六 星期日"),
}


def weekday(day: date, language: Language) -> str:
    """`Wednesday`."""
    return _WEEKDAYS[language][day.weekday()]


def day_and_month(day: date, language: Language) -> str:
    """`the twenty-fifth of November`, as a speaker of the language says it."""
    if language == "fa":
        _, month, number = solar_hijri(day)
        return f"{in_words(number, 'fa')} {_MONTHS['fa'][month - 1]}"
    month_name, number = _MONTHS[language][day.month - 1], day.day
    match language:
        case "en":
            return f"the {_EN_ORDINALS[number - 1]} of {month_name}"
        case "ro":
            return f"{'întâi' if number == 1 else in_words(number, 'ro', 'n')} {month_name}"
        case "bg":
            return f"{_ordinal(number, 'bg', _BG_DAYS)} {month_name}"
        case "ru":
            return f"{_ordinal(number, 'ru', _RU_DAYS)} {month_name}"
        case "zh":
            return f"{month_name}{in_words(number, 'zh')}日"


def year(day: date, language: Language) -> str:
    """The year of a date, as it stands behind the month."""
    number = day.year
    match language:
        case "en":
            century, rest = divmod(number, 100)
            if century % 10 == 0 or not rest:
                return in_words(number, "en")
            tail = in_words(rest, "en") if rest >= 10 else f"oh {in_words(rest, 'en')}"
            return f"{in_words(century, 'en')} {tail}"
        case "ro":
            return in_words(number, "ro")
        case "bg":
            return f"{_ordinal(number, 'bg', _BG_YEARS)} година"
        case "fa":
            return in_words(solar_hijri(day)[0], "fa")
        case "ru":
            # The thousand of a year has no "one" before it, and 2000 is a word of its own.
            said = _ordinal(number, "ru", _RU_YEARS).removeprefix("одна ")
            return f"{'двухтысячного' if number == 2000 else said} года"
        case "zh":
            return "".join(in_words(int(c), "zh") for c in str(number)) + "年"


def full_date(day: date, language: Language, *, with_year: bool = True) -> str:
    """`Wednesday, the twenty-fifth of November, twenty twenty-six`."""
    name, rest = weekday(day, language), day_and_month(day, language)
    if not with_year:
        if language == "zh":
            return f"{rest}{name}"
        return f"{name}{'،' if language == 'fa' else ','} {rest}"
    said = year(day, language)
    match language:
        case "en":
            return f"{name}, {rest}, {said}"
        case "zh":
            return f"{said}{rest}{name}"
        case "fa":
            return f"{name}، {rest} {said}"
        case _:
            return f"{name}, {rest} {said}"


_CYCLE_DAYS: Final = 12_053
"""33 years of the solar Hijri calendar, eight of them leap years."""
_CYCLE_LEAPS: Final = (1, 5, 9, 13, 17, 22, 26, 30)


def solar_hijri(day: date) -> tuple[int, int, int]:
    """A day as year, month and day of the Iranian calendar.

    The 33-year rule, which agrees with the astronomical one from 1178 to 1633 (1799 to 2254).
    """
    # Counted from 1 Farvardin 1178, which was the 21st of March 1799.
    days = day.toordinal() - date(1799, 3, 21).toordinal()
    current = 1178
    cycles, days = divmod(days, _CYCLE_DAYS)
    current += 33 * cycles
    while days >= (length := 366 if current % 33 in _CYCLE_LEAPS else 365):
        days -= length
        current += 1
    if days < 186:
        return current, days // 31 + 1, days % 31 + 1
    days -= 186
    return current, days // 30 + 7, days % 30 + 1
