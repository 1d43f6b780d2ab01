"""Names on the keypad: letters to keys (ITU-T E.161 and its Cyrillic counterpart), and finding
people by what was keyed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

_KEYS: Final = {
    letter: key
    for key, letters in {
        "2": "abcабвг",
        "3": "defдежз",
        "4": "ghiийкл",
        "5": "jklмноп",
        "6": "mnoрсту",
        "7": "pqrsфхцч",
        "8": "tuvшщъы",
        "9": "wxyzьэюя",
    }.items()
    for letter in letters
}
_WHOLE: Final = {"ё": "е", "й": "й", "ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "ı": "i"}
"""What is left as it is, or written out, before accents are dropped."""


def keyed(word: str) -> str:
    """`"Ionescu"` -> `"4663728"`. Letters without a key are left out."""
    keys = []
    for letter in unicodedata.normalize("NFC", word.lower()):
        plain = _WHOLE.get(letter) or unicodedata.normalize("NFD", letter)
        keys += [_KEYS[each] for each in plain if each in _KEYS]
    return "".join(keys)


def matches(people: Mapping[str, str], digits: str) -> list[str]:
    """Extensions of those of whom a name or surname begins with these keys, by name."""
    found = [
        extension
        for extension, name in people.items()
        if any(keyed(part).startswith(digits) for part in name.split() if keyed(part))
    ]
    return sorted(found, key=lambda extension: (people[extension], extension))
