"""Which sounds a site document plays, and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from appliance.site.model import Site


def used_sounds(site: Site) -> dict[str, list[str]]:
    """Name of the file in `prompts/` -> places in the document, as `queues.sales.welcome`."""
    places: dict[str, list[str]] = defaultdict(list)
    for place, name in _walk(site.model_dump(), ""):
        places[name].append(place)
    return dict(places)


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every `file` of a prompt and every `music` in the tree, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("file", "music") and isinstance(inner, str):
                yield (place if key == "file" else f"{place}.{key}"), inner
            else:
                yield from _walk(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{place}[{index}]")
