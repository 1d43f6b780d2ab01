"""Which of the office's lines will not show the number that the document wants shown outside."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.site.findings import Finding
from appliance.site.model import Site
from appliance.site.references import may_show, wanted_shown


def lint(site: Site) -> list[Finding]:
    """Warnings: calls by these lines go out all the same, under another number."""
    return [*_own_numbers(site), *_other_sites(site)]


def _own_numbers(site: Site) -> Iterator[Finding]:
    for path, number in wanted_shown(site):
        analog, trunks = [], []
        for name in _ways_out(site):
            line = site.lines[name]
            if line.kind == "modem":
                analog.append(name)
            elif number != "withheld" and not may_show(line, number):
                trunks.append(name)
        if analog:
            yield Finding(
                f"{path}.caller_id",
                "warning",
                f"not shown on {', '.join(analog)}: an analog line always shows the exchange's own"
                " number for it; keep such calls on trunks by numbering.rules",
            )
        if trunks:
            yield Finding(
                f"{path}.caller_id",
                "warning",
                f"not shown by {', '.join(trunks)}, which shows its own number instead; name"
                f" {number} in its numbers if the provider gave it to you",
            )


def _other_sites(site: Site) -> Iterator[Finding]:
    for name, there in site.sites.items():
        lines = [one for way in there.lines for one in site.numbering.groups.get(way, (way,))]
        analog = [one for one in lines if site.lines[one].kind == "modem"]
        if analog:
            yield Finding(
                f"sites.{name}.lines",
                "warning",
                f"{', '.join(analog)} cannot tell the other office who calls and how long they"
                " have waited; an analog line does for when the trunks fail",
            )


def _ways_out(site: Site) -> list[str]:
    plan = site.numbering
    names = [*plan.outgoing, *(line for rule in plan.rules for line in rule.lines)]
    spread = (one for name in names for one in plan.groups.get(name, (name,)))
    return list(dict.fromkeys(spread))
