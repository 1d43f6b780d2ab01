"""Past calls and their recordings, read from the ledger."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import FileResponse

from appliance.ledger.projection import CallRow, RecordingRow
from appliance.web.errors import Problem
from appliance.web.masking import Mask
from appliance.web.office import SignedIn, Somebody, TheOffice
from appliance.web.sound import sound

log = logging.getLogger("centrala.web")

router = APIRouter(tags=["calls"])

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


@router.get("/calls")
async def calls(
    who: Somebody,
    office: TheOffice,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    search: Annotated[str | None, Query(max_length=60)] = None,
) -> dict[str, Any]:
    """Calls, newest first. `next` is the `before` of the following page, null at the end.
    `search` finds parts of numbers and names; where numbers are hidden from the person, names
    alone."""
    wanted = (search or "").strip() or None
    mask = office.mask(who)
    if mask.hides and wanted is not None and any(char.isdigit() for char in wanted):
        return {"calls": [], "next": None}
    rows = await office.read(lambda reader: reader.calls(limit + 1, before, wanted))
    page = rows[:limit]
    return {
        "calls": [_call(row, who, mask, steps=False) for row in page],
        "next": page[-1].seq if len(rows) > limit else None,
    }


@router.get("/calls/{call}")
async def call(call: Id, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """One call with its journey and recordings."""
    row = await office.read(lambda reader: reader.call(call))
    if row is None:
        raise Problem(404, "not_found", "There is no such call.")
    return _call(row, who, office.mask(who), steps=True)


@router.get("/recordings/{recording}", response_class=FileResponse)
async def recording(recording: Id, who: Somebody, office: TheOffice) -> FileResponse:
    """The audio, caller left and agent right, as Ogg Opus, FLAC or WAV; byte ranges for seeking.
    Agents hear the calls they took part in, supervisors and administrators all."""
    row = await office.read(lambda reader: reader.recording(recording))
    if row is None:
        raise Problem(404, "not_found", "There is no such recording.")
    of = await office.read(lambda reader: reader.call(row.call))
    if of is None or not _may_hear(of, row, who):
        raise Problem(403, "forbidden", "This is a recording of somebody else's call.")
    found = sound(office, row.path, recording, "The file of this recording is gone.")
    log.info("%s opened recording %s", who.id, recording)
    return found


def _may_hear(call: CallRow, recording: RecordingRow, who: SignedIn) -> bool:
    if who.person.role != "agent":
        return True
    return who.id in (recording.agent, call.agent) or call.door == f"agent:{who.id}"


def _call(row: CallRow, who: SignedIn, mask: Mask, *, steps: bool) -> dict[str, Any]:
    """The row as the API shows it: without paths of files, with the numbers that the person may
    see."""
    body = asdict(row)
    for field in ("caller", "caller_name", "called"):
        body[field] = mask.text(body[field])
    body["steps"] = [
        {**step, "who": mask.text(step["who"]), "what": mask.text(step["what"])}
        for step in body["steps"]
        if not (step["kind"].startswith("supervise") and who.person.role == "agent")
    ]
    for shown, own in zip(body["recordings"], row.recordings, strict=True):
        del shown["path"]
        shown["may_hear"] = _may_hear(row, own, who)
    if not steps:
        del body["steps"], body["quality"]
    return body
