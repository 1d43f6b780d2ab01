"""What is wrong with the menus and steps of a document whose names are all right.

Refused: ways that lead round in a circle without the caller pressing a key, and places from which
a caller can only hang up. Warned of: what callers complain about most, namely menus without a way
to a person, menus below menus below menus, and long speeches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from appliance.ivr.money import CURRENCIES
from appliance.ivr.values import KNOWN, PLACE, places
from appliance.site.findings import Finding
from appliance.site.load import parse
from appliance.site.model import Language, Prompt, Site
from appliance.site.problems import Problem, SiteError, key
from appliance.site.references import step_routes
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
        *_values(site),
        *_boxes(site),
    ]
    return sorted(found, key=lambda finding: finding.severity != "error")


def usable(text: str) -> Site:
    """The document, if it may be taken into use. Raises `SiteError` for one that is none, and for
    one of which the linter finds errors."""
    site = parse(text)
    refused = [Problem(each.path, each.message) for each in lint(site) if each.severity == "error"]
    if refused:
        raise SiteError(refused)
    return site


def speech_s(text: str, language: Language) -> float:
    """Estimated seconds that it takes to say this."""
    return len(text) / CHARACTERS_PER_SECOND[language]


def _keyless(site: Site) -> dict[Route, list[_Exit]]:
    """Where a caller comes from each menu, step and queue without pressing anything."""
    graph: dict[Route, list[_Exit]] = {}
    for name, menu in site.menus.items():
        exits = [(f"menus.{name}.default", parse_route(menu.default))]
        if menu.hours is not None:
            exits.append((f"menus.{name}.closed_go", parse_route(menu.closed_go)))
        graph[Route("menu", name)] = exits
    for name, step in site.steps.items():
        # Who presses nothing never gets past a collection of digits, nor finds anybody.
        stuck = step.kind in ("collect", "directory")
        graph[Route("step", name)] = [
            (path, parse_route(route))
            for path, route in step_routes(site, name)
            if not stuck or path.endswith(".failed")
        ]
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


def _ways(site: Site, place: Route) -> list[Route]:
    """Where callers can come from a menu or step, by keys or without."""
    if place.kind == "step":
        return [parse_route(route) for _, route in step_routes(site, place.target)]
    menu = site.menus[place.target]
    ways = [parse_route(choice.go) for choice in menu.keys.values()]
    return [*ways, parse_route(menu.default)]


def _places(site: Site) -> Iterator[Route]:
    yield from (Route("menu", name) for name in site.menus)
    yield from (Route("step", name) for name in site.steps)


def _no_person(site: Site) -> Iterator[Finding]:
    for place in _places(site):
        seen, left = {place}, deque([place])
        person = False
        while left and not person:
            here = left.popleft()
            person = here.kind == "step" and site.steps[here.target].kind == "directory"
            for route in _ways(site, here):
                person = person or route.kind in ("queue", "phone", "site")
                if route.kind in ("menu", "step") and route not in seen:
                    seen.add(route)
                    left.append(route)
        if not person:
            yield Finding(
                f"{place.kind}s.{place.target}",
                "warning",
                "no way to a person from here; lead a key, usually 0, to a queue or a phone",
            )


def _depths(site: Site) -> dict[Route, int]:
    """Menus and steps by the fewest menus that a caller hears to get there."""
    routes = [parse_route(line.route) for line in site.lines.values()]
    for line in site.lines.values():
        if line.kind == "trunk":
            routes.extend(map(parse_route, line.numbers.values()))
    for queue in site.queues.values():
        routes.append(parse_route(queue.then))
        if queue.overflow_to is not None:
            routes.append(parse_route(queue.overflow_to))
    depths: dict[Route, int] = {}
    left = deque((route, _level(route)) for route in routes if route.kind in ("menu", "step"))
    while left:
        place, depth = left.popleft()
        if depth >= depths.get(place, 1 << 30):
            continue
        depths[place] = depth
        ways = _ways(site, place)
        if place.kind == "menu" and site.menus[place.target].hours is not None:
            ways.append(parse_route(site.menus[place.target].closed_go))
        left.extend(
            (route, depth + _level(route)) for route in ways if route.kind in ("menu", "step")
        )
    return depths


def _level(route: Route) -> int:
    """Only menus make a caller listen through one more list."""
    return 1 if route.kind == "menu" else 0


def _unreached(site: Site) -> Iterator[Finding]:
    reached = _depths(site)
    for place in (place for place in _places(site) if place not in reached):
        yield Finding(
            f"{place.kind}s.{place.target}", "warning", "no line, menu, step or queue leads here"
        )


def _deep(site: Site) -> Iterator[Finding]:
    for place, depth in _depths(site).items():
        if depth > MAX_DEPTH and place.kind == "menu":
            yield Finding(
                f"menus.{place.target}",
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
    for path, prompt in prompts(site):
        texts = dict(prompt.texts)
        if prompt.text is not None:
            texts[prompt.language or site.office.language] = prompt.text
        for language, text in texts.items():
            seconds = speech_s(text, language)
            if seconds > MAX_PROMPT_S:
                where = f"{path}.texts.{language}" if prompt.texts else path
                yield Finding(
                    where,
                    "warning",
                    f"takes about {seconds:.0f} s to say; callers stop listening after"
                    f" {MAX_PROMPT_S} s",
                )


def _boxes(site: Site) -> Iterator[Finding]:
    for name, box in site.boxes.items():
        if not (box.person or box.people or box.queues or box.phones):
            yield Finding(
                f"boxes.{name}",
                "warning",
                "only supervisors hear these messages; name a person, people or queues",
            )


def _values(site: Site) -> Iterator[Finding]:
    """Values that no step ever brings, and braces that are none."""
    known = set(KNOWN)
    asks = False
    for step in site.steps.values():
        if step.kind == "collect":
            known.add(step.name)
        asks = asks or step.kind == "lookup"
    for path, prompt in prompts(site):
        for text in (prompt.text or "", *prompt.texts.values()):
            for name, form, currency in places(text):
                if name not in known and not asks:
                    yield Finding(
                        path,
                        "warning",
                        f"nothing brings the value {{{name}}}; there are"
                        f" {', '.join(sorted(known))}, and those that steps collect",
                    )
                if form == "money" and currency not in CURRENCIES:
                    yield Finding(
                        path,
                        "error",
                        f"{{{name}}} needs a currency that can be said, one of"
                        f" {', '.join(CURRENCIES)}: {{{name}:money {CURRENCIES[0]}}}",
                    )
            if "{" in PLACE.sub("", text):
                yield Finding(
                    path,
                    "warning",
                    "has a { that is no value; write {name} or {name:form} with form number,"
                    " digits, date, time or money EUR",
                )


def prompts(site: Site) -> Iterator[tuple[str, Prompt]]:
    """Everything that the document says to callers, with its place."""
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
    for name, step in site.steps.items():
        for field in ("prompt", "invalid"):
            prompt = getattr(step, field, None)
            if prompt is not None:
                yield f"steps.{name}.{field}", prompt
        if step.kind == "news":
            for index, item in enumerate(step.items):
                yield f"steps.{name}.items[{index}].prompt", item.prompt
    for name, box in site.boxes.items():
        if box.greeting:
            yield f"boxes.{name}.greeting", box.greeting
    if site.recording.announce:
        yield "recording.announce", site.recording.announce
