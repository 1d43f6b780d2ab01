"""Whether the tables of a site document fit together: names that must exist, numbers that must not
be given twice, ports that must not collide."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from appliance.site.problems import Problem, key, short
from appliance.site.routes import RouteKind, parse_route

if TYPE_CHECKING:
    from appliance.site.model import Site, Trunk, When

FROM_LINE: Final[frozenset[RouteKind]] = frozenset(
    {"menu", "step", "queue", "phone", "voicemail", "site"}
)
ONWARD: Final[frozenset[RouteKind]] = FROM_LINE | {"hangup"}
FROM_KEY: Final[frozenset[RouteKind]] = ONWARD | {"repeat"}
MIN_RTP_PORTS: Final = 20
"""Ten calls' worth; less is a slip of the pen."""


def inconsistencies(site: Site) -> list[Problem]:
    """All of them, in the order of the document."""
    return [
        *_routes(site),
        *_names(site),
        *_boxes(site),
        *_queue_rules(site),
        *_extensions(site),
        *_codes(site),
        *_shown(site),
        *_devices(site),
        *_ports(site),
    ]


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "maria"?`, or what there is, or that there is nothing."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    if not known:
        return "there are none yet"
    shown = ", ".join(f'"{each}"' for each in sorted(known)[:8])
    return f"there are {shown}" + (" and more" if len(known) > 8 else "")


def _routes(site: Site) -> Iterator[Problem]:
    people = {p.extension for p in site.people.values() if p.extension is not None}
    targets: dict[RouteKind, tuple[str, set[str]]] = {
        "menu": ("menu", set(site.menus)),
        "step": ("step", set(site.steps)),
        "queue": ("queue", set(site.queues)),
        "site": ("other site", set(site.sites)),
        "phone": ("phone or person with the extension", set(site.phones) | people),
        "voicemail": ("box", set(site.boxes)),
    }
    for path, text, allowed in _all_routes(site):
        try:
            route = parse_route(text)
        except ValueError as error:
            yield Problem(path, str(error))
            continue
        if route.kind not in allowed:
            ways = ", ".join(
                sorted(kind + (":..." if kind in FROM_LINE else "") for kind in allowed)
            )
            yield Problem(path, f'"{short(str(route))}" has no meaning here; possible are {ways}')
        elif route.target and route.target not in targets[route.kind][1]:
            what, known = targets[route.kind]
            yield Problem(
                path, f'there is no {what} "{short(route.target)}"; {nearest(route.target, known)}'
            )


def _all_routes(site: Site) -> Iterator[tuple[str, str, frozenset[RouteKind]]]:
    for name, line in site.lines.items():
        yield f"lines.{name}.route", line.route, FROM_LINE
        if line.kind == "modem" and line.fax is not None:
            yield f"lines.{name}.fax", line.fax, FROM_LINE
        if line.kind == "trunk":
            for number, route in line.numbers.items():
                yield f"lines.{name}.numbers.{key(number)}", route, FROM_LINE
    for name, queue in site.queues.items():
        yield f"queues.{name}.then", queue.then, ONWARD
        if queue.overflow_to is not None:
            yield f"queues.{name}.overflow_to", queue.overflow_to, ONWARD
    for name, menu in site.menus.items():
        for digits, choice in menu.keys.items():
            yield f"menus.{name}.keys.{key(digits)}.go", choice.go, FROM_KEY
        yield f"menus.{name}.default", menu.default, ONWARD
        yield f"menus.{name}.closed_go", menu.closed_go, ONWARD
    for path, route in step_routes(site):
        yield path, route, ONWARD


def step_routes(site: Site, only: str | None = None) -> Iterator[tuple[str, str]]:
    """Where the steps lead, with the place in the document; of one step, or of all."""
    for name, step in site.steps.items():
        if only is not None and name != only:
            continue
        for field in ("go", "failed", "default"):
            route = getattr(step, field, None)
            if route is not None:
                yield f"steps.{name}.{field}", route
        if step.kind == "branch":
            for index, case in enumerate(step.cases):
                yield f"steps.{name}.cases[{index}].go", case.go


def _names(site: Site) -> Iterator[Problem]:
    for name, person in site.people.items():
        path = f"people.{name}.phone"
        if person.phone is not None and person.phone not in site.phones:
            yield Problem(
                path, f'there is no phone "{person.phone}"; {nearest(person.phone, site.phones)}'
            )
        if person.door == "phone" and person.phone is None:
            yield Problem(
                path, 'with door = "phone" say which phone rings, for example phone = "201"'
            )
    for name, queue in site.queues.items():
        seen: set[str] = set()
        for index, agent in enumerate(queue.agents):
            path = f"queues.{name}.agents[{index}]"
            if agent not in site.people:
                yield Problem(path, f'there is no person "{agent}"; {nearest(agent, site.people)}')
            elif agent in seen:
                yield Problem(path, f'"{agent}" stands here twice; once is enough')
            seen.add(agent)
        yield from _hours(site, f"queues.{name}.hours", queue.hours)
    for name, menu in site.menus.items():
        yield from _hours(site, f"menus.{name}.hours", menu.hours)
    for name, step in site.steps.items():
        if step.kind == "branch":
            for index, case in enumerate(step.cases):
                yield from _case(site, f"steps.{name}.cases[{index}]", case)
        elif step.kind == "collect" and step.min_digits > step.max_digits:
            yield Problem(f"steps.{name}.min_digits", "is more than max_digits; swap them")
        elif step.kind == "language" and not step.keys:
            yield Problem(f"steps.{name}.keys", 'name a key for each language: { 1 = "en" }')
    for name, line in site.lines.items():
        if line.kind == "trunk" and line.registration and not line.username:
            yield Problem(
                f"lines.{name}.username",
                "with registration = true say under which user name; its password is set apart",
            )
        if line.kind == "trunk" and line.srtp == "required" and line.transport != "tls":
            yield Problem(
                f"lines.{name}.srtp",
                'its keys could be read on the way: set transport = "tls", or srtp = "allowed"',
            )
    for extension, phone in site.phones.items():
        if phone.srtp == "required" and not site.sip.tls:
            yield Problem(
                f"phones.{extension}.srtp",
                'its keys could be read on the way: set sip.tls = true, or srtp = "allowed"',
            )
    yield from _numbering(site)


def _boxes(site: Site) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, box in site.boxes.items():
        named = [("person", "person", box.person)] if box.person is not None else []
        named += [(f"people[{i}]", "person", one) for i, one in enumerate(box.people)]
        named += [(f"queues[{i}]", "queue", one) for i, one in enumerate(box.queues)]
        named += [(f"phones[{i}]", "phone", one) for i, one in enumerate(box.phones)]
        known: dict[str, Iterable[str]] = {
            "person": site.people,
            "queue": site.queues,
            "phone": site.phones,
        }
        for path, what, one in named:
            if one not in known[what]:
                yield Problem(
                    f"boxes.{name}.{path}",
                    f'there is no {what} "{one}"; {nearest(one, known[what])}',
                )
        if box.person in owners:
            yield Problem(
                f"boxes.{name}.person",
                f'"{box.person}" has boxes.{owners[box.person]} already; one is enough',
            )
        elif box.person is not None:
            owners[box.person] = name
    for name, step in site.steps.items():
        if step.kind == "record" and step.box not in site.boxes:
            yield Problem(
                f"steps.{name}.box",
                f'there is no box "{step.box}"; {nearest(step.box, site.boxes)}',
            )


def _numbering(site: Site) -> Iterator[Problem]:
    plan = site.numbering
    lists: list[tuple[str, tuple[str, ...], Iterable[str]]] = [
        ("outgoing", plan.outgoing, site.lines),
        ("emergency_lines", plan.emergency_lines, site.lines),
    ]
    lists += [(f"groups.{name}", lines, site.lines) for name, lines in plan.groups.items()]
    either = [*site.lines, *plan.groups]
    lists += [(f"rules[{i}].lines", rule.lines, either) for i, rule in enumerate(plan.rules)]
    for path, names, known in [
        *((f"numbering.{path}", names, known) for path, names, known in lists),
        *((f"sites.{name}.lines", there.lines, either) for name, there in site.sites.items()),
    ]:
        for index, name in enumerate(names):
            if name not in known:
                yield Problem(
                    f"{path}[{index}]",
                    f'there is no line or trunk "{name}"; {nearest(name, known)}',
                )
    for name in plan.groups:
        if name in site.lines:
            yield Problem(
                f"numbering.groups.{name}", f'"{name}" is a line already; give it another name'
            )
    for name, queue in site.queues.items():
        if queue.callback and not (plan.outgoing or plan.rules):
            yield Problem(
                f"queues.{name}.callback",
                "nobody can be called back: name the lines for calls out in numbering.outgoing",
            )


def wanted_shown(site: Site) -> Iterator[tuple[str, str]]:
    """Whose calls outside are to show which number, with the place in the document."""
    tables = (("people", site.people), ("queues", site.queues), ("campaigns", site.campaigns))
    for table, owners in tables:
        for name, one in owners.items():
            if one.caller_id is not None:
                yield f"{table}.{name}", one.caller_id


def may_show(trunk: Trunk, number: str) -> bool:
    """Whether a trunk shows this number outside: the provider takes any, or it is one of its
    own."""
    return trunk.any_caller_id or number in trunk.numbers or number == trunk.caller_id


def _shown(site: Site) -> Iterator[Problem]:
    """Numbers to be shown outside that no line of the office can show."""
    trunks = [line for line in site.lines.values() if line.kind == "trunk"]
    for path, number in wanted_shown(site):
        if any(number == "withheld" or may_show(line, number) for line in trunks):
            continue
        if not trunks:
            advice = (
                "an analog line always shows the number that the exchange knows it by;"
                " take this away, or call out by a SIP trunk"
            )
        else:
            advice = (
                f"no trunk may show {number}: name it in the trunk's numbers or caller_id, or set"
                " any_caller_id = true where the provider shows whatever it is sent"
            )
        yield Problem(f"{path}.caller_id", advice)


def _case(site: Site, path: str, case: When) -> Iterator[Problem]:
    yield from _hours(site, f"{path}.hours", case.hours)
    yield from _hours(site, f"{path}.closed", case.closed)
    looks = (case.waiting_from, case.waiting_to, case.ready_to, case.wait_from_s)
    if case.queue is None and any(value is not None for value in looks):
        yield Problem(f"{path}.queue", "say which queue this case looks at")
    elif case.queue is not None and case.queue not in site.queues:
        yield Problem(
            f"{path}.queue", f'there is no queue "{case.queue}"; {nearest(case.queue, site.queues)}'
        )
    if case.name is None and (case.equals or case.least is not None or case.most is not None):
        yield Problem(f"{path}.name", "say which value this case looks at")


def _queue_rules(site: Site) -> Iterator[Problem]:
    for name, queue in site.queues.items():
        path = f"queues.{name}"
        tables = (
            ("weights", queue.weights),
            ("levels", queue.levels),
            ("wrap_ups", queue.wrap_ups),
        )
        for field, table in tables:
            for agent in table:
                if agent not in queue.agents:
                    yield Problem(
                        f"{path}.{field}.{key(agent)}",
                        f'"{agent}" is no agent of this queue; {nearest(agent, queue.agents)}',
                    )
        overflows = queue.overflow_after_s or queue.overflow_waiting or queue.overflow_unready
        if overflows and queue.overflow_to is None:
            yield Problem(
                f"{path}.overflow_to",
                'say where callers overflow to, for example overflow_to = "queue:support"',
            )
        if queue.overflow_to == f"queue:{name}":
            yield Problem(f"{path}.overflow_to", "a queue cannot overflow into itself")
        if queue.max_wait_s and queue.overflow_after_s >= queue.max_wait_s:
            yield Problem(
                f"{path}.overflow_after_s",
                f"callers leave after max_wait_s = {queue.max_wait_s} already;"
                " write less than that",
            )
        if queue.max_waiting and queue.overflow_waiting >= queue.max_waiting:
            yield Problem(
                f"{path}.overflow_waiting",
                f"the queue is full at max_waiting = {queue.max_waiting} already;"
                " write less than that",
            )


def _hours(site: Site, path: str, hours: str | None) -> Iterator[Problem]:
    if hours is not None and hours not in site.hours:
        yield Problem(path, f'there are no hours "{hours}"; {nearest(hours, site.hours)}')


def _extensions(site: Site) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    taken = [(extension, f"phones.{extension}") for extension in site.phones]
    for name, person in site.people.items():
        if person.extension is not None:
            taken.append((person.extension, f"people.{name}.extension"))
    for name, queue in site.queues.items():
        if queue.extension is not None:
            taken.append((queue.extension, f"queues.{name}.extension"))
    if "orbits" in site.features.model_fields_set:
        taken += [
            (orbit, f"features.orbits[{index}]") for index, orbit in enumerate(site.features.orbits)
        ]
    prefix = site.numbering.outside_prefix
    for extension, path in taken:
        if extension in owners:
            yield Problem(
                path, f"{extension} is already that of {owners[extension]}; give it another number"
            )
        owners.setdefault(extension, path)
        if extension in site.numbering.emergency:
            yield Problem(path, f"{extension} is an emergency number; give it another number")
        elif prefix and extension.startswith(prefix):
            yield Problem(
                path,
                f"{extension} starts with {prefix}, which numbering.outside_prefix reserves for"
                " calls out; give it another number",
            )


def _codes(site: Site) -> Iterator[Problem]:
    """No code may be the beginning of another: a phone could never dial the longer one."""
    tables: list[tuple[str, list[tuple[str, str]]]] = [
        ("codes", [(str(name), code) for name, code in site.features.codes.items()]),
        ("keys", [(str(name), code) for name, code in site.features.keys.items()]),
    ]
    for table, codes in tables:
        for name, code in codes:
            for other, longer in codes:
                if other != name and longer.startswith(code):
                    yield Problem(
                        f"features.{table}.{other}",
                        f"{longer} begins like {code} of {name}; give it another code",
                    )


def _devices(site: Site) -> Iterator[Problem]:
    users: dict[str, str] = {}
    for name, line in site.lines.items():
        if line.kind != "modem":
            continue
        if line.device in users:
            yield Problem(
                f"lines.{name}.device",
                f"{line.device} is already that of lines.{users[line.device]}; each line has its"
                " own modem",
            )
        users.setdefault(line.device, name)


def _ports(site: Site) -> Iterator[Problem]:
    low, high = site.sip.rtp_ports
    if low % 2 or low < 1024:
        yield Problem(
            "sip.rtp_ports[0]", f"{low} must be even and at least 1024, for example 16000"
        )
    if high - low + 1 < MIN_RTP_PORTS:
        yield Problem(
            "sip.rtp_ports[1]",
            f"{low} to {high} is too small a range; a call needs two ports for each side, so leave"
            f" at least {MIN_RTP_PORTS}",
        )
    if not (site.sip.udp or site.sip.tcp):
        yield Problem("sip", "udp and tcp are both off, so no phone could register; turn one on")
    if site.sip.udp and low <= site.sip.port <= high:
        yield Problem("sip.port", f"{site.sip.port} lies inside sip.rtp_ports; move one of them")
    pages = [("web.http_port", site.web.http_port), ("web.https_port", site.web.https_port)]
    if site.sip.tcp:
        pages.insert(0, ("sip.port", site.sip.port))
    users: dict[int, str] = {}
    for path, port in pages:
        if port in users:
            yield Problem(path, f"{port} is already that of {users[port]}; choose another port")
        users.setdefault(port, path)
