"""Recorded sound for whoever may hear it: whole files and byte ranges of them, never from outside
the folder of recordings."""

from __future__ import annotations

from starlette.responses import FileResponse

from appliance.recordings import MEDIA_TYPES, finished
from appliance.web.errors import Problem
from appliance.web.office import Office


def sound(office: Office, begun_as: str, name: str, gone: str) -> FileResponse:
    """What was recorded under this path of the data directory, in the form it has now, to be called
    `name`. Raises `Problem` with the sentence `gone` when there is none."""
    begun = (office.data / begun_as).resolve()
    folder = (office.data / "recordings").resolve()
    path = finished(begun) if begun.is_relative_to(folder) else None
    if path is None:
        raise Problem(404, "not_found", gone)
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[path.suffix],
        filename=f"{name}{path.suffix}",
        content_disposition_type="inline",
        headers={"Cache-Control": "private, no-cache"},
    )
