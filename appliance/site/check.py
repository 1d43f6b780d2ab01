"""`centrala check FILE`: what is wrong with a document, or what the box would be with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from appliance.site.findings import Finding
from appliance.site.load import load
from appliance.site.model import Site
from appliance.site.problems import SiteError

Linter = Callable[[Site], Iterable[Finding]]


def check(path: Path | str, *linters: Linter) -> tuple[int, list[str]]:
    """(exit code, lines to print): 0 when the box can run with the document, warnings or not, and
    1 when it cannot. Never raises for what the file contains."""
    try:
        site = load(path)
    except SiteError as error:
        count = _count(len(error.problems), "problem")
        return 1, [*(f"error: {problem}" for problem in error.problems), f"{count} found"]
    findings = [finding for linter in linters for finding in linter(site)]
    lines = [f"{finding.severity}: {finding.path}: {finding.message}" for finding in findings]
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        return 1, [*lines, f"{_count(errors, 'problem')} found"]
    return 0, [*lines, *summary(site)]


def summary(site: Site) -> list[str]:
    """What the box would be, one line a thing."""
    return list(_summary(site))


def _summary(site: Site) -> Iterator[str]:
    office = site.office
    yield f"{office.name}: {office.country.upper()}, {office.timezone}, speaks {office.language}"
    for name, line in site.lines.items():
        if line.kind == "modem":
            yield f"line {name}: {line.name}, modem at {line.device}, rings at {line.route}"
        else:
            login = "registered as " + str(line.username) if line.registration else "by address"
            yield (
                f"trunk {name}: {line.name}, {line.host}:{line.port} {login},"
                f" {_count(line.channels, 'call')} at once, rings at {line.route}"
            )
    yield f"people: {_count(len(site.people), 'person', 'people')}, of them " + ", ".join(
        _count(sum(p.role == role for p in site.people.values()), role)
        for role in ("agent", "supervisor", "admin")
    )
    yield f"desk phones: {', '.join(site.phones) or 'none'}"
    for name, queue in site.queues.items():
        yield (
            f"queue {name}: {queue.name}, {_count(len(queue.agents), 'agent')},"
            f" {queue.strategy.replace('_', ' ')}, wrap-up {queue.wrap_up_s} s,"
            f" then {queue.then}"
        )
    if site.steps:
        yield "steps: " + ", ".join(f"{name} ({step.kind})" for name, step in site.steps.items())
    for name, menu in site.menus.items():
        keys = ", ".join(f"{digits} {choice.go}" for digits, choice in menu.keys.items())
        yield f"menu {name}: {keys or 'no keys'}; otherwise {menu.default}"
    kept = f"as {site.recording.format}, kept {_count(site.recording.keep_days, 'day')}"
    yield f"recording: {kept if site.recording.enabled else 'off'}"
    transports = [name for name, on in (("UDP", site.sip.udp), ("TCP", site.sip.tcp)) if on]
    if site.sip.tls:
        transports.append(f"TLS on {site.sip.tls_port}")
    low, high = site.sip.rtp_ports
    yield (
        f"ports: pages {site.web.http_port} and {site.web.https_port},"
        f" SIP {site.sip.port} ({', '.join(transports)}), RTP {low} to {high}"
    )
    if site.demo:
        yield "demo office: simulated callers, sign-in without a password"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
