"""Digit strings and times of day as people say them, in words: see `appliance.ivr.numbers`."""

from __future__ import annotations

from datetime import time
from typing import Final

from appliance.ivr.numbers import in_words, slavic_plural, takes_de
from appliance.site.model import Language

_SIGNS: Final[dict[Language, dict[str, str]]] = {
    "en": {"+": "plus", "*": "star", "#": "hash"},
    "ro": {"+": "plus", "*": "steluță", "#": "diez"},
    "bg": {"+": "плюс", "*": "звездичка", "#": "диез"},
    "fa": {"+": "به‌علاوه", "*": "ستاره", "#": "مربع"},
    "ru": {"+": "плюс", "*": "звёздочка", "#": "решётка"},
    "zh": {"+": "加", "*": "星号", "#": "井号"},
}


def digits(text: str, language: Language) -> str:
    """A telephone or account number digit by digit, in groups of three with a breath between
    them; the last group has two to four. What is neither digit nor sign is left out."""
    known = [c for c in text if c in "0123456789+*#"]
    said = [_SIGNS[language].get(c) or _digit(int(c), language) for c in known]
    groups = []
    while said:
        size = 3 if len(said) > 4 else len(said)
        groups.append(" ".join(said[:size]))
        said = said[size:]
    return ("، " if language == "fa" else ", ").join(groups)


def _digit(digit: int, language: Language) -> str:
    # Over the telephone 一 is yāo, since it is too easily taken for seven.
    return "幺" if language == "zh" and digit == 1 else in_words(digit, language)


def clock_time(at: time, language: Language) -> str:
    """The time of day to the minute, by the 24-hour clock except in English."""
    hour, minute = at.hour, at.minute
    match language:
        case "en":
            return _english_time(hour, minute)
        case "ro":
            said = f"ora {in_words(hour, 'ro', 'f')}"
            if minute:
                of = " de" if takes_de(minute) else ""
                unit = "minut" if minute == 1 else "minute"
                count = "un" if minute == 1 else in_words(minute, "ro", "n")
                said += f" și {count}{of} {unit}"
            return said
        case "bg":
            said = f"{in_words(hour, 'bg', 'm')} {'час' if hour == 1 else 'часа'}"
            if minute:
                unit = "минута" if minute == 1 else "минути"
                said += f" и {in_words(minute, 'bg', 'f')} {unit}"
            return said
        case "fa":
            said = f"ساعت {in_words(hour, 'fa')}"
            return said + (f" و {in_words(minute, 'fa')} دقیقه" if minute else "")
        case "ru":
            hours = ("час", "часа", "часов")[slavic_plural(hour)]
            said = f"{in_words(hour, 'ru', 'm')} {hours}"
            if minute:
                minutes = ("минута", "минуты", "минут")[slavic_plural(minute)]
                said += f" {in_words(minute, 'ru', 'f')} {minutes}"
            return said
        case "zh":
            said = f"{'两' if hour == 2 else in_words(hour, 'zh')}点"
            if not minute:
                return said + "整"
            return said + ("零" if minute < 10 else "") + in_words(minute, "zh") + "分"


def _english_time(hour: int, minute: int) -> str:
    if not minute and hour in (0, 12):
        return "noon" if hour else "midnight"
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    said = in_words((hour - 1) % 12 + 1, "en")
    if not minute:
        return f"{said} o'clock {part}"
    tail = in_words(minute, "en") if minute >= 10 else f"oh {in_words(minute, 'en')}"
    return f"{said} {tail} {part}"
