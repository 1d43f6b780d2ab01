"""What is wrong with the menus of a document whose names are all right.

Refused: ways that lead round in a circle without the caller pressing a key, and places from which
a caller can only hang up. Warned of: what callers complain about most, namely menus without a way
to a person, menus below menus below menus, and long speeches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from appliance.site.findings import Finding
from appliance.site.model import Language, Prompt, Site
from appliance.site.problems import key
from appliance.site.routes import Route, parse_route

MAX_DEPTH: Final = 3
MAX_PROMPT_S: Final = 20
CHARACTERS_PER_SECOND: Final[dict[Language, float]] = {
    "en": 14.0,
    "ro": 14.0,
    "bg": 13.0,
    "fa": 12.0,
    "ru": 13.0,
    "zh": 4.0,
}
"""Spoken at a calm 170 words a minute."""

_Exit = tuple[str, Route]


def lint(site: Site) -> list[Finding]:
    """All findings, errors first."""
    found = [
        *_circles(site),
        *_dead_ends(site),
        *_no_person(site),
        *_unreached(site),
        *_deep(site),
        *_never_open(site),
        *_long(site),
    ]
    return sorted(found, key=lambda finding: finding.severity != "error")


def speech_s(text: str, language: Language) -> float:
    """Estimated seconds that it takes to say this."""
    return len(text) / CHARACTERS_PER_SECOND[language]


def _keyless(site: Site) -> dict[Route, list[_Exit]]:
    """Where a caller comes from each menu and queue without pressing anything."""
    graph: dict[Route, list[_Exit]] = {}
    for name, menu in site.menus.items():
        exits = [(f"menus.{name}.default", parse_route(menu.default))]
        if menu.hours is not None:
            exits.append((f"menus.{name}.closed_go", parse_route(menu.closed_go)))
        graph[Route("menu", name)] = exits
    for name, queue in site.queues.items():
        graph[Route("queue", name)] = [(f"queues.{name}.then", parse_route(queue.then))]
    return graph


def _circles(site: Site) -> Iterator[Finding]:
    """Depth first; a way that meets its own trail closes a circle."""
    graph = _keyless(site)
    done: set[Route] = set()
    for start in graph:
        if start in done:
            continue
        trail = {start: iter(graph[start])}
        while trail:
            place = next(reversed(trail))
            path, target = next(trail[place], ("", None))
            if target is None:
                del trail[place]
                done.add(place)
            elif target in trail:
                places = list(trail)
                circle = [*places[places.index(target) :], target]
                yield Finding(
                    path,
                    "error",
                    "callers who press nothing go round in a circle:"
                    f" {' -> '.join(map(str, circle))}; end it with a phone or with hangup",
                )
            elif target in graph and target not in done:
                trail[target] = iter(graph[target])


def _dead_ends(site: Site) -> Iterator[Finding]:
    for name, menu in site.menus.items():
        exits = [parse_route(choice.go) for choice in menu.keys.values()]
        exits.append(parse_route(menu.default))
        if all(route.kind in ("hangup", "repeat") for route in exits):
            yield Finding(
                f"menus.{name}",
                "error",
                "a dead end: callers can only hang up here; lead a key or default to a queue",
            )
    for name, queue in site.queues.items():
        if queue.agents:
            continue
        if parse_route(queue.then).kind == "hangup":
            yield Finding(
                f"queues.{name}.agents",
                "error",
                "a dead end: nobody answers this queue; name its agents, or say in then where its"
                " callers go",
            )
        else:
            yield Finding(f"queues.{name}.agents", "warning", "nobody answers this queue")


def _ways(site: Site, menu_id: str) -> list[Route]:
    menu = site.menus[menu_id]
    ways = [parse_route(choice.go) for choice in menu.keys.values()]
    return [*ways, parse_route(menu.default)]


def _no_person(site: Site) -> Iterator[Finding]:
    for name in site.menus:
        seen, left = {name}, deque([name])
        person = False
        while left and not person:
            for route in _ways(site, left.popleft()):
                person = person or route.kind in ("queue", "phone")
                if route.kind == "menu" and route.target not in seen:
                    seen.add(route.target)
                    left.append(route.target)
        if not person:
            yield Finding(
                f"menus.{name}",
                "warning",
                "no way to a person from here; lead a key, usually 0, to a queue or a phone",
            )


def _depths(site: Site) -> dict[str, int]:
    """Menus by the fewest menus that a caller hears to get there."""
    routes = [parse_route(line.route) for line in site.lines.values()]
    for line in site.lines.values():
        if line.kind == "trunk":
            routes.extend(map(parse_route, line.numbers.values()))
    for queue in site.queues.values():
        routes.append(parse_route(queue.then))
    depths: dict[str, int] = {}
    left = deque((route.target, 1) for route in routes if route.kind == "menu")
    while left:
        name, depth = left.popleft()
        if depth >= depths.get(name, 1 << 30):
            continue
        depths[name] = depth
        ways = _ways(site, name)
        menu = site.menus[name]
        if menu.hours is not None:
            ways.append(parse_route(menu.closed_go))
        left.extend((route.target, depth + 1) for route in ways if route.kind == "menu")
    return depths


def _unreached(site: Site) -> Iterator[Finding]:
    reached = _depths(site)
    for name in (name for name in site.menus if name not in reached):
        yield Finding(f"menus.{name}", "warning", "no line and no menu leads here")


def _deep(site: Site) -> Iterator[Finding]:
    for name, depth in _depths(site).items():
        if depth > MAX_DEPTH:
            yield Finding(
                f"menus.{name}",
                "warning",
                f"callers hear {depth} menus to get here; {MAX_DEPTH} are the most they bear",
            )


def _never_open(site: Site) -> Iterator[Finding]:
    for name, hours in site.hours.items():
        if not any((hours.mon, hours.tue, hours.wed, hours.thu, hours.fri, hours.sat, hours.sun)):
            yield Finding(
                f"hours.{name}", "warning", 'never open; write for example mon = ["09:00-17:30"]'
            )


def _long(site: Site) -> Iterator[Finding]:
    for path, prompt in _prompts(site):
        if prompt.text is None:
            continue
        seconds = speech_s(prompt.text, prompt.language or site.office.language)
        if seconds > MAX_PROMPT_S:
            yield Finding(
                path,
                "warning",
                f"takes about {seconds:.0f} s to say; callers stop listening after"
                f" {MAX_PROMPT_S} s",
            )


def _prompts(site: Site) -> Iterator[tuple[str, Prompt]]:
    for name, queue in site.queues.items():
        if queue.welcome:
            yield f"queues.{name}.welcome", queue.welcome
    for name, menu in site.menus.items():
        yield f"menus.{name}.prompt", menu.prompt
        for digits, choice in menu.keys.items():
            if choice.say:
                yield f"menus.{name}.keys.{key(digits)}.say", choice.say
        if menu.invalid:
            yield f"menus.{name}.invalid", menu.invalid
        if menu.closed:
            yield f"menus.{name}.closed", menu.closed
    if site.recording.announce:
        yield "recording.announce", site.recording.announce
