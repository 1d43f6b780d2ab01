"""Values in spoken texts: `Your balance is {balance:money EUR}.`

`{name}` stands for the value as it is, `{name:form}` for how it is said: `number`, `digits`,
`money XXX` (ISO 4217), `date` (of an ISO 8601 date), `time` (of `HH:MM`). A value that is missing,
or of another form than asked for, is said as it is, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from appliance.ivr.dates import full_date
from appliance.ivr.money import CURRENCIES, money
from appliance.ivr.numbers import in_words
from appliance.ivr.saying import clock_time, digits
from appliance.site.model import Language, Prompt

PLACE: Final = re.compile(
    r"\{([a-z][a-z0-9_]{0,31})(?::(number|digits|money|date|time)(?: ([A-Z]{3}))?)?\}"
)
KNOWN: Final = frozenset({"caller", "called", "today", "now"})
"""Values that every call has."""
LONGEST: Final = 200
"""Characters of a value that are said."""


def places(text: str) -> list[tuple[str, str, str]]:
    """(name, form, currency) of each value in a text; form and currency may be empty."""
    return [(m[1], m[2] or "", m[3] or "") for m in PLACE.finditer(text)]


def with_clock(
    values: Mapping[str, str], caller: str | None, called: str | None, zone: ZoneInfo, now: int
) -> dict[str, str]:
    """The values that every call has, under those that it collected."""
    local = datetime.fromtimestamp(now / 1000, zone)
    own = {
        "caller": caller or "",
        "called": called or "",
        "today": local.date().isoformat(),
        "now": local.strftime("%H:%M"),
    }
    return own | dict(values)


def fill(prompt: Prompt, values: Mapping[str, str], language: Language) -> Prompt:
    """The prompt as this caller hears it, with its values in words."""
    one = prompt.spoken(language)
    if one.text is None or "{" not in one.text:
        return one
    speaks = one.language or language

    def say(match: re.Match[str]) -> str:
        value = values.get(match[1], "")[:LONGEST]
        return said(value, match[2] or "", match[3] or "", speaks)

    text = PLACE.sub(say, one.text).strip()
    return Prompt(text=text or "…", language=speaks)


def said(value: str, form: str, currency: str, language: Language) -> str:
    """One value in the form asked for."""
    try:
        match form:
            case "number":
                return in_words(int(Decimal(value)), language)
            case "digits":
                return digits(value, language)
            case "money":
                amount = Decimal(value)
                if currency in CURRENCIES and amount.is_finite() and abs(amount) < 10**11:
                    return money(amount, currency, language)
                return value
            case "date":
                return full_date(date.fromisoformat(value[:10]), language)
            case "time":
                return clock_time(time.fromisoformat(value[-5:]), language)
    except (ValueError, InvalidOperation, OverflowError):
        pass
    return "".join(c if c.isprintable() else " " for c in value)
