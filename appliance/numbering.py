"""One text for all spellings of a telephone number, and how that number is dialled from here.

`0721 000 111`, `0040721000111`, `+40 721 000 111` and the provider's `721000111` are one caller.
`key` gives the international number (E.164, with `+`) wherever the country's plan says for sure
which one it is; a number that only the exchange understands (a local one without a known area code,
an extension) stays as its digits. Pure, from the tables of `hw/numbering.toml`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from appliance.hw import hw_path

PLANS_FILE: Final = "numbering.toml"
SHORTEST: Final = 5
"""Numbers with fewer digits are extensions and short codes."""
LONGEST: Final = 15
"""E.164 section 6.1: digits of an international number."""
_DIGITS: Final = frozenset("0123456789")
_FILLING: Final = frozenset(" -./()\u00a0\u2011")
_WRITTEN: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
"""Persian and Arabic digits: web forms bring what the person's keyboard has."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """One office. `area` is its own area code without the trunk prefix, `length` the fewest and the
    most digits of a national number, `bare` the beginnings of those that are dialled without the
    trunk prefix."""

    code: str
    international: str
    national: str
    length: tuple[int, int]
    bare: tuple[str, ...] = ()
    area: str = ""

    def key(self, number: str | None) -> str | None:
        """The one text of this number; None where there is none (withheld, a name, a code)."""
        if number is None:
            return None
        text = "".join(c for c in number.translate(_WRITTEN).strip() if c not in _FILLING)
        plus, digits = text.startswith("+"), text.removeprefix("+")
        if not digits or not set(digits) <= _DIGITS:
            return None
        if plus:
            return self._international(digits) or digits
        if len(digits) < SHORTEST:
            return digits
        for found in (self._abroad(digits), self._inland(digits), self._with_code(digits)):
            if found is not None:
                return found
        return digits

    def dial(self, number: str) -> str:
        """A `key` as the exchange of this country wants it, without a sign."""
        if not number.startswith("+"):
            return number
        digits = number[1:]
        if not digits.startswith(self.code):
            return self.international + digits
        inland = digits.removeprefix(self.code)
        if not self._whole(inland):
            return self.international + digits
        return inland if self._is_bare(inland) else self.national + inland

    def callable(self, number: str | None) -> str | None:
        """The key of a number that somebody can be called back at from outside; None when it is
        an extension, cut short, or no number at all."""
        key = self.key(number)
        if key is None or len(key.removeprefix("+")) <= SHORTEST or len(key) > LONGEST + 1:
            return None
        return key

    def _international(self, digits: str) -> str | None:
        """Also mends `+40 0721 ...`, where the trunk prefix was left in."""
        if not SHORTEST < len(digits) <= LONGEST:
            return None
        inland = digits.removeprefix(self.code)
        if digits.startswith(self.code) and self.national and inland.startswith(self.national):
            shorter = inland.removeprefix(self.national)
            if not self._whole(inland) and self._whole(shorter):
                return f"+{self.code}{shorter}"
        return f"+{digits}"

    def _abroad(self, digits: str) -> str | None:
        if not digits.startswith(self.international):
            return None
        return self._international(digits.removeprefix(self.international))

    def _inland(self, digits: str) -> str | None:
        """A number of this country, with the trunk prefix or without it where that is clear."""
        if self.national and digits.startswith(self.national):
            inland = digits.removeprefix(self.national)
            if self._whole(inland):
                return f"+{self.code}{inland}"
        fewest, most = self.length
        if len(digits) == most and (fewest == most or self._is_bare(digits)):
            return f"+{self.code}{digits}"
        local = self.area + digits
        if self.area and not digits.startswith(self.national) and self._whole(local):
            return f"+{self.code}{local}"
        return None

    def _with_code(self, digits: str) -> str | None:
        """With the country's code, but without any sign of it: as many providers send it."""
        inland = digits.removeprefix(self.code)
        longer = len(digits) > self.length[1]
        if digits.startswith(self.code) and longer and self._whole(inland):
            return f"+{digits}"
        return None

    def _whole(self, inland: str) -> bool:
        return self.length[0] <= len(inland) <= self.length[1]

    def _is_bare(self, inland: str) -> bool:
        return inland.startswith(self.bare) and len(inland) == self.length[1]


@cache
def numbering(country: str, area: str = "") -> Numbering:
    """The numbering of an office in this country (ISO 3166, lower case), from
    `hw/numbering.toml`. Raises KeyError for a country without a table."""
    table: dict[str, Any] = _tables()[country]
    fewest, most = table["length"]
    return Numbering(
        code=table["code"],
        international=table["international"],
        national=table["national"],
        length=(fewest, most),
        bare=tuple(table.get("bare", ())),
        area=area,
    )


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(hw_path(PLANS_FILE).read_text(encoding="utf-8"))
