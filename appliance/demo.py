"""The demo office: a complete site on simulated lines, so that one command shows a working box."""

from __future__ import annotations

from pathlib import Path

from appliance.app import Places
from appliance.site.load import parse
from appliance.site.model import Site


def document(devices: str) -> Site:
    """The demo's site document with its lines' devices in this folder."""
    return parse(_text(devices))


def _text(devices: str) -> str:
    template = Path(__file__).parent / "site" / "demo.toml"
    return template.read_text(encoding="utf-8").replace("@LINES@", devices)


def prepare(places: Places) -> Path:
    """Write the demo's site document for these places and return its path. The data of earlier
    runs stays: the calls list of a demo that was used is more telling than an empty one."""
    path = places.data / "site.toml"
    path.write_text(_text(str(places.lines)), encoding="utf-8")
    return path
