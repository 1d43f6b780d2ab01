"""The longer wrap-up: one tap for more time after a hard call, so many a day."""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.acd import events as acd
from appliance.events import WrapLonger
from appliance.switch.model import Desk, World
from appliance.switch.refusals import Cannot


def left(w: World, desk: Desk) -> int:
    """How many more taps the agent has today; the office's day counts."""
    used = desk.longer_used if desk.longer_day == _today(w) else 0
    return max(0, w.site.wrap_up.longer_per_day - used)


def longer(w: World, desk: Desk) -> None:
    """In the talk already, or in the wrap-up. Raises `Cannot`."""
    view = w.acd.agent(desk.id)
    if view.phase != "wrap" and not view.linked:
        raise Cannot("There is no queue call whose wrap-up could be longer.")
    if not left(w, desk):
        raise Cannot("The longer wrap-ups of today are used up.")
    rules, today = w.site.wrap_up, _today(w)
    desk.longer_used = desk.longer_used + 1 if desk.longer_day == today else 1
    desk.longer_day, w.desks_changed = today, True
    w.fact(
        WrapLonger(
            at=w.now,
            agent=desk.id,
            call=view.call or "",
            entry=view.entry or "",
            queue=view.queue or "",
            seconds=rules.longer_s,
            reason=rules.reason,
        )
    )
    w.tell(acd.WrapLonger(desk.id, rules.longer_s * 1000))


def _today(w: World) -> str:
    moment = datetime.fromtimestamp(w.now / 1000, UTC)
    return moment.astimezone(w.site.office.zone).date().isoformat()
