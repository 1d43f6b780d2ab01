"""Messages that callers left: those of one's own box and of the boxes that one shares."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.responses import FileResponse

from appliance.ledger.projection import MessageRow
from appliance.ledger.retention import kept_since
from appliance.live import AgentDial, DeleteMessage, Done, MarkMessage
from appliance.numbering import numbering
from appliance.site.model import Box
from appliance.web.errors import Problem
from appliance.web.office import Office, SignedIn, Somebody, TheOffice, now_ms
from appliance.web.sound import sound

log = logging.getLogger("centrala.web")

router = APIRouter(tags=["messages"])

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class Mark(BaseModel):
    model_config = ConfigDict(extra="forbid")

    new: bool = False


@router.get("/messages")
async def messages(who: Somebody, office: TheOffice) -> dict[str, Any]:
    """The messages that the person may hear, the newest first, and the boxes that they lie in.
    Agents have their own box and those of their queues; supervisors and administrators all but
    the boxes of other people."""
    mask = office.mask(who)
    rows = [
        {**asdict(row), "caller": mask.text(row.caller), "caller_name": mask.text(row.caller_name)}
        for row in reversed(await _rows(office, who))
    ]
    for row in rows:
        del row["path"]
    boxes = office.site.boxes
    mine = [name for name, box in boxes.items() if _may(office, box, who)]
    return {
        "messages": rows,
        "boxes": [{"id": name, "name": boxes[name].name} for name in mine],
    }


@router.get("/messages/{message}/audio", response_class=FileResponse)
async def audio(message: Id, who: Somebody, office: TheOffice) -> FileResponse:
    """What the caller said, as Ogg Opus, FLAC or WAV; byte ranges for seeking."""
    row = await _row(office, who, message)
    found = sound(office, row.path, message, "The sound of this message is gone.")
    log.info("%s opened message %s", who.id, message)
    return found


@router.post("/messages/{message}/heard")
async def heard(message: Id, body: Mark, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """The person heard it; with `new` it counts as new again. Lamps of phones follow."""
    row = await _row(office, who, message)
    await office.link.ask(MarkMessage(who.id, row.message, body.new), Done)
    return {}


@router.delete("/messages/{message}")
async def delete(message: Id, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """The message goes, and its sound from the disk."""
    row = await _row(office, who, message)
    await office.link.ask(DeleteMessage(who.id, row.message), Done)
    return {}


@router.post("/messages/{message}/call")
async def call(message: Id, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Call back whoever left it, also where the number is hidden from the person."""
    row = await _row(office, who, message)
    if row.caller is None:
        raise Problem(409, "refused", "The caller's number was withheld.")
    site = office.site
    extensions = {person.extension for person in site.people.values()} | set(site.phones)
    number = row.caller
    if number not in extensions:
        plan = numbering(site.office.country, site.office.area)
        known = plan.callable(number)
        if known is None:
            # Callers show what they like, an emergency number for example.
            raise Problem(409, "refused", "The caller showed no number that can be called.")
        number = site.numbering.outside_prefix + plan.dial(known)
    queue = next(iter(site.boxes[row.box].queues), None)
    await office.link.ask(AgentDial(who.id, number, queue), Done)
    return {}


def _may(office: Office, box: Box, who: SignedIn) -> bool:
    if box.person is not None and box.person != who.id:
        return who.id in box.people
    if box.person == who.id or who.person.role != "agent":
        return True
    queues = office.site.queues
    of_queue = any(who.id in queues[one].agents for one in box.queues if one in queues)
    return who.id in box.people or of_queue


async def _rows(office: Office, who: SignedIn) -> list[MessageRow]:
    site = office.site
    since = kept_since(now_ms(), site.office.zone, site.recording.keep_days)
    rows = await office.read(lambda reader: reader.messages(since))
    return [row for row in rows if row.box in site.boxes and _may(office, site.boxes[row.box], who)]


async def _row(office: Office, who: SignedIn, message: str) -> MessageRow:
    for row in await _rows(office, who):
        if row.message == message:
            return row
    raise Problem(404, "not_found", "There is no such message.")
