"""Numbers outside: who may call them, by which lines, under which number of ours. Pure questions
to the site document and the country's plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from appliance.site.model import CallKind, Site
from appliance.site.references import may_show
from appliance.switch.countries import Plan

_CLASSES: Final = {"X": "0123456789", "Z": "123456789", "N": "23456789"}


@dataclass(frozen=True, slots=True)
class Way:
    """How a number is called: its kind, and the lines in order with the number as each is sent
    it. `abroad` is the international number of a call that leaves the country."""

    kind: CallKind
    lines: tuple[tuple[str, str], ...]
    abroad: str | None = None


Refusal = Literal["kind", "abroad"]


def way(site: Site, plan: Plan, number: str) -> Way:
    """By the first rule that fits, else by `numbering.outgoing`."""
    kind, leads = plan.kind(number, site.office.area)
    abroad = leads if kind == "international" else None
    rule = next((rule for rule in site.numbering.rules if fits(rule.pattern, number)), None)
    if rule is None:
        return Way(kind, tuple((line, number) for line in site.numbering.outgoing), abroad)
    sent = rule.prepend + number[rule.strip :]
    lines = spread(site, rule.lines or site.numbering.outgoing)
    return Way(rule.kind or kind, tuple((line, sent) for line in lines), abroad)


def fits(pattern: str, number: str) -> bool:
    """`00X.`: X any digit, Z 1 to 9, N 2 to 9; a dot at the end stands for at least one more."""
    head = pattern.removesuffix(".")
    if len(number) < len(head) or (len(number) > len(head)) != pattern.endswith("."):
        return False
    return all(
        char == sign or char in _CLASSES.get(sign, "")
        for sign, char in zip(head, number, strict=False)
    )


def spread(site: Site, names: Iterable[str]) -> tuple[str, ...]:
    """Lines and trunks, with the names of `numbering.groups` written out."""
    lines: dict[str, None] = {}
    for name in names:
        lines.update(dict.fromkeys(site.numbering.groups.get(name, (name,))))
    return tuple(lines)


def allowed(site: Site, payer: str) -> tuple[CallKind, ...]:
    """What this party (`agent:<id>`, `phone:<extension>`, `queue:<id>` for its call-backs) may
    call outside; others nothing."""
    door, _, name = payer.partition(":")
    own: tuple[CallKind, ...] | None = None
    if door == "agent" and name in site.people:
        own = site.people[name].calls
    elif door == "phone" and name in site.phones:
        own = site.phones[name].calls
    elif door == "queue" and name in site.queues:
        own = site.queues[name].callback_calls
    else:
        return ()
    return site.numbering.calls if own is None else own


def refusal(site: Site, payer: str, found: Way) -> Refusal | None:
    """Why this party may not make the call. Calls abroad need the permission of the person and
    a country that is allowed at all."""
    if found.kind not in allowed(site, payer):
        return "kind"
    if found.abroad is not None and not any(
        f"+{found.abroad}".startswith(prefix) for prefix in site.numbering.abroad
    ):
        return "abroad"
    return None


def emergency_lines(site: Site) -> tuple[str, ...]:
    """Every line there is, in the order in which an emergency call tries them."""
    wanted = (*site.numbering.emergency_lines, *site.numbering.outgoing, *site.lines)
    return tuple(dict.fromkeys(wanted))


WITHHELD: Final = "withheld"


@dataclass(frozen=True, slots=True)
class Shown:
    """The number of ours that a trunk is told, and whether those called may see it (RFC 3323)."""

    number: str | None
    withheld: bool = False


def caller_id(site: Site, trunk: str, wanted: Iterable[str | None], fallback: str | None) -> Shown:
    """The first of `wanted` that the trunk shows, else its own. "withheld" hides its own."""
    settings = site.lines[trunk]
    assert settings.kind == "trunk"
    own = settings.caller_id or settings.username or fallback
    for number in wanted:
        if number == WITHHELD:
            return Shown(own, withheld=True)
        if number is not None and may_show(settings, number):
            return Shown(number)
    return Shown(own)
