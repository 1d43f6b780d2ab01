"""The numbering plan of a country, from `hw/numbering.toml`, and what a dialled number is in it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from appliance.hw import hw_path
from appliance.site.model import CallKind

PLANS_FILE: Final = "numbering.toml"


@dataclass(frozen=True, slots=True)
class Plan:
    """One country; the fields are those of the file."""

    code: str
    international: str
    national: str
    emergency: tuple[str, ...]
    premium: tuple[str, ...]
    abroad: tuple[str, ...] = ()
    length: tuple[int, ...] = ()
    bare: tuple[str, ...] = ()

    def kind(self, number: str, area: str = "") -> tuple[CallKind, str]:
        """What a call to `number` (as the exchange wants it) is, and where it leads: for one that
        goes abroad the international number without `+`, else the number itself. `area` is the
        office's own area code without the trunk prefix."""
        abroad = self._abroad(number)
        if abroad is not None and not self._ours(abroad):
            return "international", abroad
        inland = number
        if abroad is not None:
            inland = self.national + abroad.removeprefix(self.code)
        elif self.abroad and self._bare(number).startswith(self.abroad) and self._long(number):
            return "international", self.code + self._bare(number)
        if inland.startswith(self.premium):
            return "premium", inland
        if not inland.startswith(self.national) or (
            area and inland.startswith(self.national + area)
        ):
            return "local", inland
        return "national", inland

    def _abroad(self, number: str) -> str | None:
        """The international number that was dialled in that form, else None."""
        if number.startswith("+"):
            return number[1:]
        if number.startswith(self.international):
            return number.removeprefix(self.international)
        return None

    def _ours(self, abroad: str) -> bool:
        inland = abroad.removeprefix(self.code)
        return abroad.startswith(self.code) and not (self.abroad and inland.startswith(self.abroad))

    def _bare(self, number: str) -> str:
        return number.removeprefix(self.national)

    def _long(self, number: str) -> bool:
        """Ten digits behind the trunk prefix: in the plans that are shared by countries a number
        with its area code, not a short one that happens to begin alike."""
        return len(self._bare(number)) >= 10


def parse_plans(text: str) -> Mapping[str, Plan]:
    """Raises ValueError or TypeError for a file that does not fit."""
    return {country: _plan(table) for country, table in tomllib.loads(text).items()}


def _plan(table: dict[str, Any]) -> Plan:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return Plan(**fields)


@cache
def plans() -> Mapping[str, Plan]:
    """The plans of `hw/numbering.toml`."""
    return parse_plans(hw_path(PLANS_FILE).read_text(encoding="utf-8"))
