"""Sums of money in words, in agreement with the currency's gender and number."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from appliance.ivr.numbers import Gender, in_words, slavic_plural, takes_de
from appliance.site.model import Language


@dataclass(frozen=True, slots=True)
class _Noun:
    """A counted noun: its gender and its forms for one, a few and many; languages with fewer
    forms repeat the last."""

    gender: Gender
    one: str
    few: str
    many: str


def _noun(gender: Gender, *forms: str) -> _Noun:
    return _Noun(gender, forms[0], forms[min(1, len(forms) - 1)], forms[-1])


_MONEY: Final[dict[str, dict[Language, tuple[_Noun, _Noun]]]] = {
    "EUR": {
        "en": (_noun("n", "euro", "euros"), _noun("n", "cent", "cents")),
        "ro": (_noun("m", "euro"), _noun("m", "cent", "cenți")),
        "bg": (_noun("n", "евро"), _noun("m", "цент", "цента")),
        "fa": (_noun("n", "یورو"), _noun("n", "سنت")),
        "ru": (_noun("m", "евро"), _noun("m", "цент", "цента", "центов")),
        "zh": (_noun("n", "欧元"), _noun("n", "欧分")),
    },
    "USD": {
        "en": (_noun("n", "dollar", "dollars"), _noun("n", "cent", "cents")),
        "ro": (_noun("m", "dolar", "dolari"), _noun("m", "cent", "cenți")),
        "bg": (_noun("m", "долар", "долара"), _noun("m", "цент", "цента")),
        "fa": (_noun("n", "دلار"), _noun("n", "سنت")),
        "ru": (_noun("m", "доллар", "доллара", "долларов"), _noun("m", "цент", "цента", "центов")),
        "zh": (_noun("n", "美元"), _noun("n", "美分")),
    },
    "GBP": {
        "en": (_noun("n", "pound", "pounds"), _noun("n", "penny", "pence")),
        "ro": (_noun("f", "liră", "lire"), _noun("m", "penny", "pence")),
        "bg": (_noun("f", "лира", "лири"), _noun("n", "пени", "пенса")),
        "fa": (_noun("n", "پوند"), _noun("n", "پنی")),
        "ru": (_noun("m", "фунт", "фунта", "фунтов"), _noun("m", "пенс", "пенса", "пенсов")),
        "zh": (_noun("n", "英镑"), _noun("n", "便士")),
    },
    "RON": {
        "en": (_noun("n", "leu", "lei"), _noun("n", "ban", "bani")),
        "ro": (_noun("m", "leu", "lei"), _noun("m", "ban", "bani")),
        "bg": (_noun("f", "лея", "леи"), _noun("f", "бана", "бани")),
        "fa": (_noun("n", "لئو"), _noun("n", "بانی")),
        "ru": (_noun("m", "лей", "лея", "леев"), _noun("m", "бан", "бана", "банов")),
        "zh": (_noun("n", "列伊"), _noun("n", "巴尼")),
    },
    "RUB": {
        "en": (_noun("n", "rouble", "roubles"), _noun("n", "kopeck", "kopecks")),
        "ro": (_noun("f", "rublă", "ruble"), _noun("f", "copeică", "copeici")),
        "bg": (_noun("f", "рубла", "рубли"), _noun("f", "копейка", "копейки")),
        "fa": (_noun("n", "روبل"), _noun("n", "کوپک")),
        "ru": (_noun("m", "рубль", "рубля", "рублей"), _noun("f", "копейка", "копейки", "копеек")),
        "zh": (_noun("n", "卢布"), _noun("n", "戈比")),
    },
    "IRR": {
        "en": (_noun("n", "rial", "rials"), _noun("n", "dinar", "dinars")),
        "ro": (_noun("m", "rial", "riali"), _noun("m", "dinar", "dinari")),
        "bg": (_noun("m", "риал", "риала"), _noun("m", "динар", "динара")),
        "fa": (_noun("n", "ریال"), _noun("n", "دینار")),
        "ru": (_noun("m", "риал", "риала", "риалов"), _noun("m", "динар", "динара", "динаров")),
        "zh": (_noun("n", "里亚尔"), _noun("n", "第纳尔")),
    },
    "CNY": {
        "en": (_noun("n", "yuan", "yuan"), _noun("n", "fen", "fen")),
        "ro": (_noun("m", "yuan", "yuani"), _noun("m", "fen", "feni")),
        "bg": (_noun("m", "юан", "юана"), _noun("m", "фен", "фена")),
        "fa": (_noun("n", "یوان"), _noun("n", "فن")),
        "ru": (_noun("m", "юань", "юаня", "юаней"), _noun("m", "фэнь", "фэня", "фэней")),
        "zh": (_noun("n", "元"), _noun("n", "分")),
    },
}
CURRENCIES: Final = tuple(_MONEY)
"""ISO 4217 codes of the sums that can be said."""

_AND: Final[dict[Language, str]] = {
    "en": " and ",
    "ro": " și ",
    "bg": " и ",
    "fa": " و ",
    "ru": " ",
    "zh": "",
}


def money(amount: Decimal, currency: str, language: Language) -> str:
    """A sum, rounded to hundredths: `twenty-one euros and five cents`. Raises KeyError for a
    currency that is not one of `CURRENCIES`."""
    whole_noun, part_noun = _MONEY[currency][language]
    hundredths = int((abs(amount) * 100).to_integral_value(ROUND_HALF_UP))
    whole, part = divmod(hundredths, 100)
    said = []
    if whole or not part:
        said.append(_counted(whole, whole_noun, language))
    if part:
        said.append(_counted(part, part_noun, language))
    minus = in_words(-1, language).removesuffix(in_words(1, language)) if amount < 0 else ""
    return minus + _AND[language].join(said)


def _counted(n: int, noun: _Noun, language: Language) -> str:
    """A number and what it counts, in agreement."""
    match language:
        case "en":
            return f"{in_words(n, 'en')} {noun.one if n == 1 else noun.few}"
        case "ro":
            if n == 1:
                return f"{'o' if noun.gender == 'f' else 'un'} {noun.one}"
            of = " de" if takes_de(n) else ""
            return f"{in_words(n, 'ro', noun.gender)}{of} {noun.few}"
        case "bg":
            return f"{in_words(n, 'bg', noun.gender)} {noun.one if n == 1 else noun.few}"
        case "ru":
            form = (noun.one, noun.few, noun.many)[slavic_plural(n)]
            return f"{in_words(n, 'ru', noun.gender)} {form}"
        case "fa":
            return f"{in_words(n, 'fa')} {noun.one}"
        case "zh":
            return f"{'两' if n == 2 else in_words(n, 'zh')}{noun.one}"
