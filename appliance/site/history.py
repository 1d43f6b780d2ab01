"""Versions of the site document: who changed what when, and one step back.

The document itself stays one TOML file that a person can edit; each text it ever had is kept
beside the data with its author and its differences. What somebody changed in the file by hand
becomes a version too, when the box starts or the next change comes.

A change has two steps, so that the document is always the one that holds: `prepare` writes all of
it beside what is there, which is where a disk fails that is full; `commit` renames it into its
places, and is left out when the document cannot be made to hold.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from appliance.site.load import diff, parse
from appliance.site.model import Site
from appliance.site.problems import SiteError

BY_HAND: Final = "file"
"""The author of what was changed in the file itself."""
HISTORY: Final = "site-history"
"""Folder of the data directory."""
MOST_CHANGES: Final = 200
"""Differences that are written down with a version; the texts themselves tell the rest."""


class Stale(Exception):
    """The document was changed by somebody else in the meantime."""


class NothingBefore(Exception):
    """There is no version to go back to."""


@dataclass(frozen=True, slots=True)
class Version:
    """`number` counts from 1. `changes` are sentences as `path = new (was old)`; `undoes` is the
    version that this one took back."""

    number: int
    at: int
    author: str
    changes: tuple[str, ...] = ()
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that is written and not there yet. `parts` are files and where they belong."""

    version: Version
    text: str
    parts: tuple[tuple[Path, Path], ...]


class SiteHistory:
    """All versions of the document at `path`, kept in `folder`. One process writes them.

    `check` raises `SiteError` for a text that may not become the document."""

    def __init__(self, path: Path, folder: Path, check: Callable[[str], Site] = parse) -> None:
        self.path = path
        self._check = check
        self._folder = folder
        self._versions = _read(folder / "versions.jsonl")

    @property
    def newest(self) -> int:
        """0 before the first."""
        return self._versions[-1].number if self._versions else 0

    def versions(self) -> list[Version]:
        """Newest first."""
        return self._versions[::-1]

    def text(self, number: int) -> str | None:
        """The document of a version; None when there is none of this number."""
        try:
            return self._file(number).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def notice(self, at: int) -> None:
        """Take in what was changed in the file by hand."""
        text = self.path.read_text(encoding="utf-8")
        if text != self.text(self.newest):
            self.commit(self._stage(text, at, BY_HAND, None, there=True))

    def save(
        self, text: str, author: str, at: int, base: int | None, undoes: int | None = None
    ) -> Version:
        """Make this the document; raises what `prepare` and `commit` raise."""
        return self.commit(self.prepare(text, author, at, base, undoes))

    def undo(self, author: str, at: int) -> Version:
        """Take the newest change back; raises what `prepare_undo` and `commit` raise."""
        return self.commit(self.prepare_undo(author, at))

    def prepare(
        self, text: str, author: str, at: int, base: int | None, undoes: int | None = None
    ) -> Prepared:
        """Write what is to become the document. Raises `SiteError` for one that will not do,
        `Stale` when `base` (the version it was made from) is not the newest any more, OSError."""
        self._check(text)
        self.notice(at)
        if base is not None and base != self.newest:
            raise Stale
        return self._stage(text, at, author, undoes)

    def prepare_undo(self, author: str, at: int) -> Prepared:
        """The newest change taken back; undoing twice brings it again. Raises `NothingBefore` when
        there is nothing to go back to, and what `prepare` raises."""
        self.notice(at)
        last = self._versions[-1] if self._versions else None
        before = self.text(last.number - 1) if last is not None else None
        if last is None or before is None:
            raise NothingBefore
        return self.prepare(before, author, at, self.newest, undoes=last.number)

    def commit(self, change: Prepared) -> Version:
        """What was prepared is the document from now on. Raises OSError; all is as before then."""
        before = self.path.read_text(encoding="utf-8")
        done: set[Path] = set()
        try:
            for part, path in change.parts:
                part.replace(path)
                done.add(path)
            for folder in {path.parent for _, path in change.parts}:
                _sync(folder)
        except OSError:
            self.drop(change)
            for path, text in ((self.path, before), (self._index, _lines(self._versions))):
                with contextlib.suppress(OSError):
                    if path in done:
                        _write(path, text)
            raise
        self._versions.append(change.version)
        return change.version

    def drop(self, change: Prepared) -> None:
        """Forget what was prepared."""
        for part, _ in change.parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _stage(
        self, text: str, at: int, author: str, undoes: int | None, *, there: bool = False
    ) -> Prepared:
        """`there`: the document says so already."""
        version = Version(
            self.newest + 1, at, author, _differences(self.text(self.newest), text), undoes
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        texts = (
            (self._file(version.number), text),
            *(() if there else ((self.path, text),)),
            (self._index, _lines([*self._versions, version])),
        )
        change = Prepared(version, text, tuple((_part(path), path) for path, _ in texts))
        try:
            for path, content in texts:
                _fill(_part(path), content)
        except OSError:
            self.drop(change)
            raise
        return change

    @property
    def _index(self) -> Path:
        return self._folder / "versions.jsonl"

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.toml"


def _differences(old: str | None, new: str) -> tuple[str, ...]:
    if old is None:
        return ()
    try:
        changes = diff(parse(old), parse(new))
    except SiteError:
        return ()
    return tuple(str(change) for change in changes[:MOST_CHANGES])


def _read(path: Path) -> list[Version]:
    """The index, without lines that are none."""
    found: list[Version] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            known = json.loads(line)
            version = Version(**{**known, "changes": tuple(known["changes"])})
        except (ValueError, TypeError, KeyError):
            continue
        found.append(version)
    return found


def _lines(versions: list[Version]) -> str:
    """The index."""
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in versions)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, whatever happens meanwhile."""
    _fill(_part(path), text)
    _part(path).replace(path)
    _sync(path.parent)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _fill(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
