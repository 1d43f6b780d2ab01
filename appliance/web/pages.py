"""The built front end: read into memory at start, served compressed as the browser likes.

Files under `assets/` carry a hash in their name and are kept by browsers for good; `index.html`
is asked for each time. Every address that is not a file and not the API is a view of the page.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from appliance.web.errors import problem_response

STATIC: Final = Path(__file__).parent / "static"
_ENCODINGS: Final = ((".br", "br"), (".gz", "gzip"))
_TYPES: Final = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}

_NOT_BUILT: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Centrala</title>"
    b"<p>The pages have not been built. Run <code>./build.sh run</code> once, or "
    b"<code>npm ci --ignore-scripts &amp;&amp; npm run build</code> in appliance/web/ui, "
    b"and start again.</p>"
)


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    etag: str
    immutable: bool
    bodies: dict[str, bytes]
    """By content encoding; `""` is the plain one."""


class Pages:
    def __init__(self, folder: Path = STATIC) -> None:
        self._files: dict[str, _File] = {}
        if folder.is_dir():
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix not in (".br", ".gz"):
                    self._files["/" + path.relative_to(folder).as_posix()] = _read(path, folder)

    def answer(self, request: Request) -> Response:
        path = request.url.path
        if request.method not in ("GET", "HEAD"):
            return problem_response(
                405, "method", "That cannot be done here.", headers={"Allow": "GET, HEAD"}
            )
        file = self._files.get(path)
        if file is None:
            last = path.rsplit("/", 1)[-1]
            if path.startswith(("/api/", "/assets/")) or "." in last:
                return problem_response(404, "not_found", "There is nothing here.")
            file = self._files.get("/index.html")
        if file is None:
            return Response(_NOT_BUILT, 503, media_type="text/html; charset=utf-8")
        cache = "public, max-age=31536000, immutable" if file.immutable else "no-cache"
        headers = {"Cache-Control": cache, "ETag": file.etag, "Vary": "Accept-Encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        accepted = {
            one.partition(";")[0].strip()
            for one in request.headers.get("accept-encoding", "").lower().split(",")
        }
        for _, encoding in _ENCODINGS:
            if encoding in accepted and encoding in file.bodies:
                headers["Content-Encoding"] = encoding
                return Response(file.bodies[encoding], headers=headers, media_type=file.kind)
        return Response(file.bodies[""], headers=headers, media_type=file.kind)


def _read(path: Path, folder: Path) -> _File:
    body = path.read_bytes()
    bodies = {"": body}
    for suffix, encoding in _ENCODINGS:
        packed = path.with_name(path.name + suffix)
        if packed.is_file():
            bodies[encoding] = packed.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    kind = kind or "application/octet-stream"
    if kind.startswith("text/") or kind == "application/json":
        kind += "; charset=utf-8"
    etag = '"' + hashlib.sha256(body).hexdigest()[:20] + '"'
    return _File(kind, etag, path.relative_to(folder).parts[0] == "assets", bodies)
