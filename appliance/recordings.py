"""What a recording is called on disk: one name for whoever writes, finishes, serves or deletes it.

The ledger knows a recording by the path that it was begun under, `recordings/<day>/<id>.wav`.
While it is written, what a new writer adds after the first one died lies beside it as
`<id>.part-<milliseconds since the begin>.wav`; afterwards there is one file, in the form that the
site document asks for, whose ending tells which.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

Form = Literal["opus", "flac", "wav"]

MEDIA_TYPES: Final[dict[str, str]] = {
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
}
"""Endings of complete recordings and what they are to a browser (RFC 7845, RFC 9639, RFC 2361)."""

_PART = re.compile(r"(?P<id>.+)\.part-(?P<at>\d{1,12})\.wav")


def part_path(path: str, at_ms: int) -> str:
    """Where a recording goes on that was begun as `path` and lost its writer; 0 is `path`."""
    return path if at_ms <= 0 else f"{path.removesuffix('.wav')}.part-{at_ms}.wav"


def part_of(name: str) -> tuple[str, int] | None:
    """The recording's first name and the milliseconds of a part's name; None for other files."""
    found = _PART.fullmatch(name)
    return None if found is None else (f"{found['id']}.wav", int(found["at"]))


def parts(path: Path) -> list[tuple[int, Path]]:
    """What there is of the recording that was begun as `path`, oldest first: milliseconds since
    its begin and the file. Empty when nothing is left of it. Raises OSError."""
    found = [(0, path)] if path.is_file() else []
    if path.parent.is_dir():
        for other in path.parent.glob(f"{path.stem}.part-*.wav"):
            named = part_of(other.name)
            if named is not None and named[0] == path.name:
                found.append((named[1], other))
    return sorted(found)


def heard(path: Path) -> Path:
    """Where the recording that was begun as `path` lies as phones hear it, if it was ever asked
    for. It goes with its day."""
    return path.parent / ".heard" / path.name


def everything(path: Path) -> list[Path]:
    """All files that there are of the recording that was begun as `path`. Raises OSError."""
    files = {file for _, file in parts(path)} | {heard(path)}
    files |= {path.with_suffix(ending) for ending in MEDIA_TYPES}
    return sorted(file for file in files if file.is_file())


def finished(path: Path) -> Path | None:
    """The file of the recording that was begun as `path`, whatever its form is now; None when
    there is none. A finished one goes before what it was made from."""
    for ending in MEDIA_TYPES:
        candidate = path.with_suffix(ending)
        if candidate.is_file():
            return candidate
    remaining = parts(path)
    return remaining[0][1] if remaining else None
