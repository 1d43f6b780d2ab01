"""What a caller's way through the menus depends on: the document, the caller, the office now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from appliance.site.model import Language, Menu, Record, Site, Step


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue at this moment. `ready` agents can be rung at once; waits are in ms."""

    waiting: int
    ready: int
    longest_wait_ms: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The office around one run; `is_open(hours_id, now_ms)` and `queue_now(queue_id, now_ms)`
    look at it as it is then."""

    menus: Mapping[str, Menu]
    is_open: Callable[[str, int], bool]
    steps: Mapping[str, Step] = field(default_factory=dict)
    queue_now: Callable[[str, int], QueueNow] = lambda _queue, _now: QueueNow(0, 0, 0)
    people: Mapping[str, str] = field(default_factory=dict)
    """Extension -> name, of those whom callers can look up."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    language: Language = "en"
    caller: str | None = None
    called: str | None = None
    boxes: Mapping[str, Record] = field(default_factory=dict)
    """Box -> how messages are left there by a route."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Box -> name of the person whose it is."""
    takes_messages: Callable[[str], bool] = lambda _box: True
    """The box is not full, and there is room on the disk."""


def scene_of(
    site: Site,
    is_open: Callable[[str, int], bool],
    queue_now: Callable[[str, int], QueueNow],
    language: Language,
    caller: str | None,
    called: str | None,
    takes_messages: Callable[[str], bool] = lambda _box: True,
) -> Scene:
    """The scene of one call in this office."""
    people = {
        person.extension: person.name
        for person in site.people.values()
        if person.extension is not None and person.role != "admin"
    }
    return Scene(
        site.menus,
        is_open,
        site.steps,
        queue_now,
        people,
        site.office.zone,
        language,
        caller,
        called,
        {
            name: Record(
                box=name,
                prompt=box.greeting,
                longest_s=box.longest_s,
                least_s=box.least_s,
                silence_s=box.silence_s,
            )
            for name, box in site.boxes.items()
        },
        {
            name: site.people[box.person].name
            for name, box in site.boxes.items()
            if box.person in site.people
        },
        takes_messages,
    )
