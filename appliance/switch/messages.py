"""Messages: whose boxes there are, how callers leave them, what phones' lamps show. People hear
them in `listening`.

What lies in the boxes is `World.messages`, read from the ledger at the start and kept in step by
the facts written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from appliance.events import (
    MessageDropped,
    MessageKept,
    MessageStarted,
    RecordingStarted,
)
from appliance.ivr import actions as ivr
from appliance.ledger.projection import MessageRow
from appliance.media import protocol as p
from appliance.sip.subscription import Published
from appliance.sip.summary import MessageSummary
from appliance.site.model import Box, BoxCause, Site
from appliance.switch.actions import SipPublish
from appliance.switch.model import Call, Tape, World

PACKAGE = "message-summary"
_CAUSES: dict[str, BoxCause] = {
    "busy": "busy",
    "rejected": "busy",
    "no_answer": "no_answer",
    "unreachable": "away",
}
"""Why somebody cannot be had -> what their box says of it. All else is `no_answer`: a forward that
finds no line, may not be dialled or leads nowhere is no fault of the caller's."""


# --- boxes ----------------------------------------------------------------------------------


def box_of(site: Site, person: str | None) -> str | None:
    """The person's own box."""
    if person is None:
        return None
    return next((name for name, box in site.boxes.items() if box.person == person), None)


def takes(site: Site, person: str | None, cause: str) -> str | None:
    """The box that a call for this person goes to who cannot be had; None when none does."""
    box = box_of(site, person)
    why = _CAUSES.get(cause, "no_answer")
    return box if box is not None and why in site.boxes[box].takes else None


def may_hear(site: Site, box: Box, person: str) -> bool:
    """Whether the box is the person's own, or one that they share."""
    shared = person in box.people or any(
        person in site.queues[queue].agents for queue in box.queues if queue in site.queues
    )
    return box.person == person or shared


def boxes_of(site: Site, person: str | None, phone: str | None = None) -> list[str]:
    """The boxes that a person hears, and those of the phone they are heard at."""
    return [
        name
        for name, box in site.boxes.items()
        if (person is not None and may_hear(site, box, person)) or phone in box.phones
    ]


def has_room(w: World, box: str) -> bool:
    """Whether a message can be left in the box now."""
    settings = w.site.boxes.get(box)
    lie = sum(1 for row in w.messages.values() if row.box == box)
    return settings is not None and lie < settings.most and w.recording_allowed


# --- leaving --------------------------------------------------------------------------------


def tape(w: World, call: Call, action: ivr.Tape) -> None:
    """Do what the caller's step wants."""
    match action.do:
        case "start":
            _start(w, call, action)
        case "stop":
            _stop(w, call)
        case "keep":
            _keep(w, call)
        case _:
            _drop(w, call, action.do)


def close(w: World, call: Call) -> None:
    """The caller is gone: what they said is kept if it is long enough."""
    found = call.tape
    if found is None:
        return
    lasted = (found.until or w.now) - found.since
    if lasted >= found.least_ms:
        _keep(w, call)
    else:
        _drop(w, call, "short")


def _start(w: World, call: Call, action: ivr.Tape) -> None:
    close(w, call)
    step = action.step
    call.recordings += 1
    recording = f"{call.id}-{call.recordings}"
    day = datetime.fromtimestamp(w.now / 1000, UTC).astimezone(w.site.office.zone)
    path = f"recordings/{day:%Y-%m-%d}/{recording}.wav"
    call.tape = Tape(w.new_id("m"), step.box, recording, path, step.least_s * 1000, w.now)
    w.fact(RecordingStarted(at=w.now, call=call.id, recording=recording, path=path))
    w.fact(
        MessageStarted(
            at=w.now,
            call=call.id,
            message=call.tape.message,
            box=step.box,
            recording=recording,
            path=path,
            least_ms=call.tape.least_ms,
            caller=call.caller,
            caller_name=call.caller_name,
        )
    )
    w.media(p.Listen(call.a.id, keys=True, tones=call.a.kind == "line", level=True))
    w.media(p.StartRecording(recording, f"{w.data}/{path}", call.a.id, None))


def _stop(w: World, call: Call) -> None:
    found = call.tape
    if found is not None and found.until is None:
        found.until = w.now
        w.media(p.StopRecording(found.recording))


def _keep(w: World, call: Call) -> None:
    _stop(w, call)
    found, call.tape = call.tape, None
    if found is None:
        return
    assert found.until is not None
    kept = MessageKept(
        at=w.now,
        call=call.id,
        message=found.message,
        box=found.box,
        recording=found.recording,
        path=found.path,
        duration_ms=found.until - found.since,
        caller=call.caller,
        caller_name=call.caller_name,
    )
    w.fact(kept)
    w.messages[kept.message] = MessageRow(
        message=kept.message,
        box=kept.box,
        call=kept.call,
        recording=kept.recording,
        path=kept.path,
        at=kept.at,
        duration_ms=kept.duration_ms,
        caller=kept.caller,
        caller_name=kept.caller_name,
    )
    w.lamps_stale = True


def _drop(w: World, call: Call, reason: str) -> None:
    _stop(w, call)
    found, call.tape = call.tape, None
    if found is not None:
        w.fact(
            MessageDropped(
                at=w.now,
                call=call.id,
                message=found.message,
                recording=found.recording,
                path=found.path,
                reason=reason,
            )
        )


# --- start, retention, lamps ----------------------------------------------------------------


def restore(w: World, rows: Iterable[MessageRow]) -> None:
    """What lies in the boxes at the start."""
    w.messages = {row.message: row for row in rows}
    w.lamps_stale = True


def forget(w: World, before: int) -> None:
    """Those from before this moment went with the recordings of their day."""
    old = [name for name, row in w.messages.items() if row.at < before]
    for name in old:
        del w.messages[name]
    w.lamps_stale = w.lamps_stale or bool(old)


def fresh(w: World, boxes: Iterable[str]) -> tuple[int, int]:
    """New and old messages in these boxes."""
    among = set(boxes)
    rows = [row for row in w.messages.values() if row.box in among]
    new = sum(1 for row in rows if row.heard_at is None)
    return new, len(rows) - new


def light(w: World) -> None:
    """Tell the phones' lamps what changed."""
    if not w.lamps_stale:
        return
    w.lamps_stale = False
    account = w.site.features.codes.get("messages", "")
    at_phone = {desk.phone: desk.id for desk in w.desks.values() if desk.phone is not None}
    want: dict[str, Published] = {}
    for phone in w.site.phones:
        own = box_of(w.site, at_phone.get(phone))
        boxes = {name for name, box in w.site.boxes.items() if phone in box.phones or name == own}
        if boxes:
            summary = MessageSummary(*fresh(w, boxes), account)
            want[phone] = Published(summary, frozenset({phone}))
    for phone in {*want, *w.lamps}:
        if want.get(phone) != w.lamps.get(phone):
            w.act(SipPublish(PACKAGE, phone, want.get(phone)))
    w.lamps = want
