"""What a dialled number means in this office."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.site.model import Site
from appliance.switch.countries import plans


@dataclass(frozen=True, slots=True)
class Destination:
    """`phone` (extension), `person` (id), `queue` (id), `outside` (number as the exchange wants
    it) or `unknown`. Emergency numbers are `outside` with `emergency` set."""

    kind: Literal["phone", "person", "queue", "outside", "unknown"]
    target: str = ""
    emergency: bool = False


def resolve(site: Site, number: str) -> Destination:
    """A number dialled inside the office. Emergency numbers win over everything, with and without
    the outside prefix."""
    number = number.strip()
    prefix = site.numbering.outside_prefix
    known = plans()[site.office.country].emergency
    for emergency in dict.fromkeys((*known, *site.numbering.emergency)):
        if number in (emergency, prefix + emergency):
            return Destination("outside", emergency, emergency=True)
    for person_id, person in site.people.items():
        if person.extension == number:
            return Destination("person", person_id)
    if number in site.phones:
        return Destination("phone", number)
    for queue_id, queue in site.queues.items():
        if queue.extension == number:
            return Destination("queue", queue_id)
    outside = number.removeprefix(prefix) if prefix and not number.startswith("+") else number
    dialled_out = number.startswith("+") or not prefix or number.startswith(prefix)
    if dialled_out and outside.lstrip("+").isdigit() and len(outside.lstrip("+")) >= 3:
        return Destination("outside", outside)
    return Destination("unknown", number)
