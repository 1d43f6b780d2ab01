"""The office's own sounds: greetings, announcements, music. Supervisors and administrators look
after them; control checks and levels what is uploaded."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse

from appliance.live import Done, DropSound, TakeSound
from appliance.site.model import WAV_PATTERN
from appliance.site.sounds import used_sounds
from appliance.web.errors import Problem
from appliance.web.guard import MOST_SOUND
from appliance.web.office import SignedIn, Somebody, TheOffice

router = APIRouter(prefix="/sounds", tags=["sounds"])

KEEP_FREE: Final = 4 * MOST_SOUND
"""Bytes of the disk that uploads leave for calls."""
CHECK_TIMEOUT_S: Final = 120.0
_BYTES_PER_S: Final = 16_000
_WAV_HEADER: Final = 44
_one_upload = asyncio.Semaphore(1)

Name = Annotated[str, InPath(pattern=WAV_PATTERN)]


async def _in_charge(who: Somebody) -> SignedIn:
    if who.person.role == "agent":
        raise Problem(403, "forbidden", "Supervisors and administrators look after the sounds.")
    return who


InCharge = Annotated[SignedIn, Depends(_in_charge)]


@router.get("")
async def sounds(who: InCharge, office: TheOffice) -> dict[str, Any]:
    """All sounds with their length and where the site document plays them. `missing` ones are
    named there but not on this box: callers hear something spoken or the built-in music."""
    used = used_sounds(office.site)
    found = await asyncio.to_thread(_look, office.data / "prompts")
    return {
        "sounds": [
            {
                "name": name,
                "duration_ms": found.get(name),
                "missing": name not in found,
                "used_by": used.get(name, []),
            }
            for name in sorted({*found, *used})
        ]
    }


def _look(folder: Path) -> dict[str, int]:
    """Names of the sounds and their lengths in ms."""
    found: dict[str, int] = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(WAV_PATTERN, path.name) and not path.name.startswith("."):
                size = max(0, path.stat().st_size - _WAV_HEADER)
                found[path.name] = size * 1000 // _BYTES_PER_S
    return found


@router.get("/{name}", response_class=FileResponse)
async def sound(name: Name, who: InCharge, office: TheOffice) -> FileResponse:
    """The sound as callers hear it."""
    path = office.data / "prompts" / name
    if not path.is_file():
        raise Problem(404, "not_found", "There is no such sound.")
    return FileResponse(
        path,
        media_type="audio/wav",
        content_disposition_type="inline",
        headers={"Cache-Control": "private, no-cache"},
    )


@router.put("/{name}")
async def upload(name: Name, request: Request, who: InCharge, office: TheOffice) -> dict[str, Any]:
    """Bring a sound: the body is an audio file of any usual format, up to ten minutes. It becomes
    8 kHz mono at -18 dBm0 and replaces a sound of the same name at once."""
    folder = office.data / "uploads"
    async with _one_upload:
        await asyncio.to_thread(_clear, folder)
        free = await asyncio.to_thread(shutil.disk_usage, folder)
        if free.free < KEEP_FREE + MOST_SOUND:
            raise Problem(507, "disk_full", "The disk is nearly full.", "Make room first.")
        part = folder / f"{secrets.token_hex(8)}.upload"
        try:
            await _receive(request, part)
            await office.link.ask(TakeSound(name, part.name), Done, CHECK_TIMEOUT_S)
        finally:
            part.unlink(missing_ok=True)
    return {"name": name}


def _clear(folder: Path) -> None:
    """An empty folder: what a broken upload or a power cut left is no use to anybody."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


async def _receive(request: Request, part: Path) -> None:
    with part.open("wb") as file:
        try:
            async for chunk in request.stream():
                await asyncio.to_thread(file.write, chunk)
        except ClientDisconnect:
            raise Problem(413, "too_large", "The file is too large or did not arrive.") from None
    if not part.stat().st_size:
        raise Problem(422, "invalid", "The file is empty.")


@router.delete("/{name}")
async def drop(name: Name, who: InCharge, office: TheOffice) -> dict[str, Any]:
    """Delete a sound that the site document does not play."""
    await office.link.ask(DropSound(name), Done)
    return {}
