"""People hear their messages by phone, and mark or delete them from anywhere."""

from __future__ import annotations

from dataclasses import replace

from appliance.events import MessageDeleted, MessageHeard
from appliance.ivr.listening import Item, Listening, Turn
from appliance.media import protocol as p
from appliance.switch import messages
from appliance.switch.actions import Hush
from appliance.switch.cannot import Cannot
from appliance.switch.model import Call, World


def mark(w: World, message: str, agent: str, *, new: bool = False) -> None:
    """Somebody heard it, or wants it to be new again. Raises `Cannot`."""
    row = w.messages.get(message)
    if row is None:
        raise Cannot("That message is no longer there.")
    if (row.heard_at is None) == new:
        return
    w.fact(MessageHeard(at=w.now, message=message, agent=agent, new=new))
    heard_at, heard_by = (None, None) if new else (w.now, agent)
    w.messages[message] = replace(row, heard_at=heard_at, heard_by=heard_by)
    w.lamps_stale = True


def delete(w: World, message: str, agent: str) -> None:
    """Raises `Cannot`."""
    row = w.messages.pop(message, None)
    if row is None:
        raise Cannot("That message is no longer there.")
    w.fact(MessageDeleted(at=w.now, message=message, agent=agent, path=row.path))
    w.lamps_stale = True


def listen_to(w: World, call: Call, person: str | None) -> None:
    """The phone of this call hears the boxes of the person, and its own; the caller is up."""
    call.listens_as = person
    boxes = messages.boxes_of(w.site, person, None if person != call.a.agent else call.a.phone)
    items = [
        Item(row.message, row.path, row.at, row.caller, row.heard_at is None)
        for row in w.messages.values()
        if row.box in boxes
    ]
    desk = w.desks.get(person or "")
    if desk is not None and desk.person.language is not None:
        call.language = desk.person.language
    call.listening = Listening(items, call.language, w.site.office.zone)
    w.media(p.Listen(call.a.id, keys=True))
    take(w, call, call.listening.begin(w.now))


def take(w: World, call: Call, turn: Turn) -> str | None:
    """Do what the listening wants; the number that is to be called back, if one is."""
    by = call.listens_as or call.a.party
    if turn.heard is not None and turn.heard in w.messages:
        mark(w, turn.heard, by)
    if turn.deleted is not None and turn.deleted in w.messages:
        delete(w, turn.deleted, by)
    if turn.over or turn.call is not None:
        call.listening = None
    if turn.over:
        call.end_cause = "normal"
        w.say(call.a, turn.say, "farewell")
    elif turn.say:
        w.say(call.a, turn.say, "messages")
    elif turn.call is not None:
        w.act(Hush(call.a.id))
    return turn.call
