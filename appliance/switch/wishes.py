"""What the rest of the switch asks about call-backs: may this caller have one, have they asked for
one already, has somebody spoken with them."""

from __future__ import annotations

from appliance.acd import callback as cb
from appliance.switch import numbers
from appliance.switch.model import Call, World


def offered(w: World, call: Call) -> bool:
    """The caller waits in a queue that calls back."""
    queue = w.site.queues.get(call.queue or "")
    waits = call.entry is not None and call.linked_agent is None and not call.ended
    return queue is not None and queue.callback and waits and call.callback is None


def said_aloud(w: World, call: Call) -> bool:
    """The wait is long enough to speak of it."""
    queue = w.site.queues.get(call.queue or "")
    if queue is None or not offered(w, call):
        return False
    expected = w.acd.expected_wait(call.queue or "", w.now)
    waited = w.now - call.entered_at
    longest = max(waited, 0 if expected is None else expected.high_ms)
    return longest >= queue.callback_offer_s * 1000


def usable(w: World, queue: str, number: str | None) -> str | None:
    """The number as it is kept, if this queue may call it back."""
    known = w.numbering.callable(number)
    if known is None:
        return None
    way = numbers.way(w.site, w.plan, w.numbering.dial(known))
    return None if numbers.refusal(w.site, f"queue:{queue}", way) is not None else known


def waits_since(w: World, call: Call, queue: str) -> int | None:
    """Since when somebody waits who phones in with an open request. From now on they stand in line
    themselves; the kept place goes as soon as the queues know of them, never before."""
    key = w.numbering.key(call.caller)
    known = None if key is None or call.callback is not None else w.back.of(queue, key)
    view = None if known is None else w.back.view(known)
    if view is None or view.picked_up:
        return None
    call.asked = view.callback
    w.wish(cb.OnTheLine(view.callback, yes=True))
    return view.since


def spoke(w: World, call: Call) -> None:
    """Somebody of the team speaks with those of the call who are outside."""
    for leg in call.people:
        number = None
        if leg.outside is not None:
            number = leg.outside.number
        elif not leg.inside and leg is call.a:
            number = call.caller
        key = w.numbering.key(number)
        if key is not None:
            w.wish(cb.Reached(key))
