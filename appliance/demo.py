"""The demo office: a complete site on simulated lines, so that one command shows a working box."""

from __future__ import annotations

from pathlib import Path

from appliance.app import Places


def prepare(places: Places) -> Path:
    """Write the demo's site document for these places and return its path. The data of earlier
    runs stays: the calls list of a demo that was used is more telling than an empty one."""
    template = Path(__file__).parent / "site" / "demo.toml"
    text = template.read_text(encoding="utf-8").replace("@LINES@", str(places.lines))
    path = places.data / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path
