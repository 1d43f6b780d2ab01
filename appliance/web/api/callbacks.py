"""Call-backs, asked for by the team or a program of the office, and the list of missed callers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request

from appliance.live import (
    AgentDial,
    BookCallback,
    CallbackBooked,
    CancelCallback,
    Done,
    HandleMissed,
)
from appliance.numbering import numbering
from appliance.reports.callbacks import callback_figures, callback_rows
from appliance.reports.intervals import day_of
from appliance.reports.missed import MissedCaller
from appliance.site.secrets import SecretsError
from appliance.web.errors import Problem
from appliance.web.office import Anybody, Office, Somebody, TheOffice, now_ms

log = logging.getLogger("centrala.web")

router = APIRouter(tags=["call-backs"])

Number = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, pattern=r"^[+0-9\u06f0-\u06f9\u0660-\u0669 ()./-]{3,40}$"
    ),
]
"""As people write it; control knows what it is."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
RECENT: Final = 50


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wish(Body):
    queue: Name
    number: Number


class Handled(Body):
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


async def _asker(request: Request, who: Anybody, office: TheOffice) -> str:
    """`agent:<id>` of whoever is signed in, or `key:<name>` of a program with a key."""
    if who is not None:
        return f"agent:{who.id}"
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        try:
            secrets = await asyncio.to_thread(office.secrets)
        except SecretsError as error:
            log.error("%s", error)
            raise Problem(500, "secrets", "The box cannot read its keys.", str(error)) from error
        owner = secrets.key_owner(key.strip())
        if owner is not None:
            return f"key:{owner}"
    raise Problem(401, "sign_in", "Please sign in, or send a key of this box.")


Asker = Annotated[str, Depends(_asker)]


@router.post("/callbacks", status_code=201)
async def book(body: Wish, asker: Asker, office: TheOffice) -> dict[str, Any]:
    """Keep a place in the queue's line for somebody, who is called when it is their turn. For
    whoever is signed in, and for programs with a key (`Authorization: Bearer <key>`; make one with
    `centrala key`). A second request for the same number and queue gives the first."""
    now = now_ms()
    wait = office.asking.wait_ms(asker, now)
    if not wait and asker.startswith("key:"):
        wait = office.asked.wait_ms(_key(office, body.number), now)
    if wait:
        seconds = -(-wait // 1000)
        raise Problem(
            429,
            "too_many",
            "Too many call-backs were asked for.",
            f"Please wait {seconds} seconds before the next one.",
            {"Retry-After": str(seconds)},
            seconds=seconds,
        )
    reply = await office.link.ask(BookCallback(body.queue, body.number, asker), CallbackBooked)
    return {"callback": reply.callback}


@router.get("/callbacks")
async def callbacks(who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Those that wait now, what became of today's, and today's figures by queue."""
    since, until = day_of(now_ms(), office.site.office.zone)
    facts = await office.read(lambda reader: reader.callbacks(since, until))
    rows = callback_rows(facts)
    mask = office.mask(who)
    live = mask.live(office.hub.live)
    return {
        "open": [] if live is None else [_plain(one) for one in live.callbacks],
        "today": [
            {**asdict(row), "wait_ms": row.wait_ms, "number": mask.text(row.number)}
            for row in rows[-RECENT:]
            if row.result is not None
        ],
        "figures": {
            queue: asdict(callback_figures([row for row in rows if row.queue == queue]))
            for queue in office.site.queues
        },
    }


@router.delete("/callbacks/{callback}")
async def cancel(callback: Id, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Give up a place that is kept."""
    await office.link.ask(CancelCallback(callback, f"agent:{who.id}"), Done)
    return {}


# --- missed callers -------------------------------------------------------------------------


@router.get("/missed")
async def missed(who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Callers nobody of the team has spoken with, one row each; a row goes by itself as soon as
    somebody reached them, in either direction."""
    mask = office.mask(who)
    rows = []
    for row in await _missed(office):
        shown = asdict(row)
        for field in ("number", "name"):
            shown[field] = mask.text(shown[field])
        rows.append({"id": _row_id(office, row), **shown})
    return {"missed": rows}


@router.post("/missed/{row}/call")
async def call(row: Id, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Call a missed caller, also where the number is hidden from the person."""
    found = await _row(office, row)
    plan = numbering(office.site.office.country, office.site.office.area)
    known = plan.callable(found.number)
    if known is None:
        # Callers show what they like, an emergency number for example.
        raise Problem(409, "refused", "The caller showed no number that can be called.")
    number = plan.dial(known)
    prefix = office.site.numbering.outside_prefix
    await office.link.ask(AgentDial(who.id, prefix + number, found.queue), Done)
    return {}


@router.post("/missed/{row}/handled")
async def handled(row: Id, body: Handled, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Somebody took care of this caller in another way, as the note says."""
    found = await _row(office, row)
    await office.link.ask(HandleMissed(who.id, _key(office, found.number), body.note), Done)
    return {}


async def _missed(office: Office) -> tuple[MissedCaller, ...]:
    return await office.read(lambda reader: office.missed.rows(reader, now_ms()))


async def _row(office: Office, row: str) -> MissedCaller:
    for found in await _missed(office):
        if _row_id(office, found) == row:
            return found
    raise Problem(404, "not_found", "That caller is not on the list any more.")


def _row_id(office: Office, row: MissedCaller) -> str:
    """Names a row without telling its number."""
    key = _key(office, row.number).encode()
    return hashlib.blake2s(key, key=office.row_secret, digest_size=12).hexdigest()


def _key(office: Office, number: str) -> str:
    plan = numbering(office.site.office.country, office.site.office.area)
    return plan.key(number) or number


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}
