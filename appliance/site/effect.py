"""What of a changed document holds at once, and what waits for the next start. Pure.

Queues, people, phones, trunks, menus, steps, hours, numbers and rules hold at once. What opens
devices and ports of the box, or a country's tones, waits: modems, RTP ports, the pages' ports.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from appliance.site.load import diff
from appliance.site.model import ModemLine, Site, Trunk
from appliance.site.routes import parse_route

_LIVE_OF_MODEMS: Final = ("name", "route", "number", "fax", "agc")
_KEPT: Final = ("web", "demo", "media")
_KEPT_OF_SIP: Final = ("host", "port", "udp", "tcp", "tls", "tls_port", "rtp_ports")
_KEPT_OF_OFFICE: Final = ("country",)


def effective(now: Site, wanted: Site) -> Site:
    """The document that holds once `wanted` was made the document of a box that runs `now`."""
    lines: dict[str, ModemLine | Trunk] = {}
    for name, line in now.lines.items():
        new = wanted.lines.get(name)
        if line.kind == "trunk":
            continue
        if new is None or new.kind == "trunk":
            # Its modem stays until the next start; nobody may be sent where nothing is any more.
            lines[name] = line if _leads(wanted, line.route) else _silent(line)
        else:
            fields = {key: getattr(new, key) for key in _LIVE_OF_MODEMS if hasattr(new, key)}
            lines[name] = line.model_copy(update=fields)
    for name, new in wanted.lines.items():
        if new.kind == "trunk" and name not in lines:
            lines[name] = new
    # In the order of the document, since lines are tried in it.
    order = [*(name for name in wanted.lines if name in lines), *lines]
    kept = {name: getattr(now, name) for name in _KEPT if hasattr(now, name)}
    sip = {name: getattr(now.sip, name) for name in _KEPT_OF_SIP if hasattr(now.sip, name)}
    office = {name: getattr(now.office, name) for name in _KEPT_OF_OFFICE}
    return wanted.model_copy(
        update={
            **kept,
            "lines": {name: lines[name] for name in dict.fromkeys(order)},
            "sip": wanted.sip.model_copy(update=sip),
            "office": wanted.office.model_copy(update=office),
        }
    )


def at_start(now: Site, wanted: Site) -> list[str]:
    """Paths of what takes effect with the next start only."""
    return [change.path for change in diff(effective(now, wanted), wanted)]


def _leads(site: Site, text: str) -> bool:
    route = parse_route(text)
    tables: dict[str, Collection[str]] = {
        "menu": site.menus,
        "step": site.steps,
        "queue": site.queues,
        "voicemail": site.boxes,
    }
    table = tables.get(route.kind)
    return table is None or route.target in table


def _silent(line: ModemLine) -> ModemLine:
    return line.model_copy(update={"route": "hangup"})
