"""Routes: where a call goes next, written as one short text in the site document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from appliance.site.problems import short

RouteKind = Literal["menu", "step", "queue", "phone", "voicemail", "site", "hangup", "repeat"]
_WITH_TARGET: Final[dict[str, RouteKind]] = {
    "menu": "menu",
    "step": "step",
    "queue": "queue",
    "phone": "phone",
    "voicemail": "voicemail",
    "site": "site",
}
_ALONE: Final[dict[str, RouteKind]] = {"hangup": "hangup", "repeat": "repeat"}


@dataclass(frozen=True, slots=True)
class Route:
    """`target` is the id of a menu, step, queue, box or other site, or an extension; `hangup` and
    `repeat` have none."""

    kind: RouteKind
    target: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}" if self.target else self.kind


def parse_route(text: str) -> Route:
    """`"queue:sales"` -> Route. Raises ValueError with a sentence."""
    kind, colon, target = text.strip().partition(":")
    kind, target = kind.strip(), target.strip()
    if kind in _WITH_TARGET and target:
        return Route(_WITH_TARGET[kind], target)
    if kind in _ALONE and not colon:
        return Route(_ALONE[kind])
    raise ValueError(
        f'"{short(text)}" is not a route; write menu:<id>, step:<id>, queue:<id>,'
        ' phone:<extension>, voicemail:<box>, site:<id> or "hangup"; in a menu also "repeat"'
    )
