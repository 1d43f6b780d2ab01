"""The site document: read, change, take back. Administrators only; control makes it hold."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from appliance.ivr.linter import lint
from appliance.live import ChangeSite, SiteChanged, UndoSite
from appliance.site import shown
from appliance.site.load import parse
from appliance.site.model import Site
from appliance.site.problems import SiteError
from appliance.web.errors import Problem
from appliance.web.guard import MOST_SITE
from appliance.web.office import SignedIn, Somebody, TheOffice

router = APIRouter(prefix="/site", tags=["site"])

MOST_VERSIONS = 100
CHANGE_TIMEOUT_S = 20.0


async def _in_charge(who: Somebody) -> SignedIn:
    if who.person.role != "admin":
        raise Problem(403, "forbidden", "Administrators look after the site document.")
    return who


InCharge = Annotated[SignedIn, Depends(_in_charge)]


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MOST_SITE)]


class NewDocument(Document):
    base: Annotated[int, Field(ge=0, le=10**9)]


@router.get("")
async def document(who: InCharge, office: TheOffice) -> dict[str, Any]:
    """The document that holds, as TOML, with its version."""
    history = await asyncio.to_thread(office.history)
    return {"version": history.newest, "text": history.text(history.newest) or ""}


@router.get("/versions")
async def versions(who: InCharge, office: TheOffice) -> dict[str, Any]:
    """Who changed what and when, newest first; `author` is "file" for edits of the file itself."""
    history = await asyncio.to_thread(office.history)
    return {"versions": [asdict(one) for one in history.versions()[:MOST_VERSIONS]]}


@router.get("/versions/{number}")
async def version(
    number: Annotated[int, InPath(ge=1, le=10**9)], who: InCharge, office: TheOffice
) -> dict[str, Any]:
    """The text of one version, to look at or to take up again."""
    history = await asyncio.to_thread(office.history)
    text = history.text(number)
    if text is None:
        raise Problem(404, "not_found", "There is no such version.")
    return {"version": number, "text": text}


@router.post("/check")
async def check(body: Document, who: InCharge) -> dict[str, Any]:
    """What is wrong with a document, without changing anything."""
    return {"findings": (await asyncio.to_thread(_look_over, body.text))[1]}


@router.put("")
async def change(body: NewDocument, who: InCharge, office: TheOffice) -> dict[str, Any]:
    """Make this the document. Queues, people, menus, hours, numbers and rules hold at once and no
    waiting caller is lost; `at_start` are the paths that wait for the next start. 422 with
    `findings` for a document that will not do, 409 when somebody else changed it meanwhile."""
    _, findings = await asyncio.to_thread(_look_over, body.text)
    if any(one["severity"] == "error" for one in findings):
        raise Problem(422, "site", "The document will not do.", "", None, findings=findings)
    changed: SiteChanged = await office.link.ask(
        ChangeSite(who.id, body.text, body.base), SiteChanged, CHANGE_TIMEOUT_S
    )
    return {
        "version": changed.version,
        "at_start": list(changed.at_start),
        "findings": findings,
    }


@router.post("/undo")
async def undo(who: InCharge, office: TheOffice) -> dict[str, Any]:
    """Take the newest change back; once more brings it again."""
    changed: SiteChanged = await office.link.ask(UndoSite(who.id), SiteChanged, CHANGE_TIMEOUT_S)
    return {"version": changed.version, "at_start": list(changed.at_start)}


def _look_over(text: str) -> tuple[Site | None, list[dict[str, str]]]:
    """The document, if it is one, and what can be said of it."""
    try:
        site = parse(text)
    except SiteError as error:
        return None, [
            {"severity": "error", "path": each.path, "message": each.message}
            for each in error.problems
        ]
    return site, [
        {"severity": each.severity, "path": each.path, "message": each.message}
        for each in (*lint(site), *shown.lint(site))
    ]
