"""From the owner's file to a `Site` and back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from appliance.site import toml
from appliance.site.explain import explain
from appliance.site.model import Site
from appliance.site.problems import Problem, SiteError

MAX_BYTES: Final = 1 << 20
"""A document of the largest office is a few tens of kilobytes."""


def load(path: Path | str) -> Site:
    """Read and check a document. Raises SiteError that names every problem found."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise SiteError([Problem("", f"{file}: {why[0].lower()}{why[1:]}")]) from None
    if len(data) > MAX_BYTES:
        raise SiteError([Problem("", f"{file}: larger than 1 MB; this is not a site document")])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"line {line}: not UTF-8 text; save the file with the encoding UTF-8"
        raise SiteError([Problem("", message)]) from None
    return parse(text)


def parse(text: str) -> Site:
    """A document from its text. Raises SiteError that names every problem found."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError([Problem("", _syntax(str(error), text))]) from None
    except RecursionError:
        raise SiteError([Problem("", "nested too deeply; this is not a site document")]) from None
    return build(document)


def build(document: Mapping[str, Any]) -> Site:
    """A site from plain values. Raises SiteError that names every problem found."""
    try:
        return Site.model_validate(dict(document))
    except ValidationError as error:
        raise SiteError(explain(error)) from None


def dump(site: Site) -> str:
    """The document as TOML; `parse` gives the same site back. What has its default is left out."""
    document = site.model_dump(exclude_none=True, exclude_defaults=True)
    for name, line in site.lines.items():
        document["lines"][name] = {"kind": line.kind, **document["lines"][name]}
    for name, step in site.steps.items():
        document["steps"][name] = {"kind": step.kind, **document["steps"][name]}
    return toml.write(document)


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; None stands for absent."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.path} = {self.new} (new)"
        if self.new is None:
            return f"{self.path} (removed, was {self.old})"
        return f"{self.path} = {self.new} (was {self.old})"


def diff(old: Site, new: Site) -> list[Change]:
    """What differs between two documents, by path, in the order of the document."""
    before, after = dict(_leaves(old.model_dump())), dict(_leaves(new.model_dump()))
    paths = list(dict.fromkeys([*before, *after]))
    return [
        Change(path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _leaves(value: object, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
        if not value and path:
            yield path, "{}"
    elif value is not None:
        yield path, toml.encode(value)


_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SYNTAX_HELP: Final = (
    ("Cannot declare", "this table stands in the file twice; put its keys together"),
    ("Cannot overwrite", "this key or table stands in the file twice; keep one"),
    ("Cannot mutate", "this key or table stands in the file twice; keep one"),
    ("Invalid value", 'this is not a value; text goes between quotes: name = "Sales"'),
    ("Expected '=' after a key", "a line is [table], or key = value, or # comment"),
    ("Invalid statement", "a line is [table], or key = value, or # comment"),
    ("Invalid initial character", "a name is expected here, such as [queues.sales]"),
    ("Expected ']'", "the bracket ] after the table's name is missing"),
    ("Unclosed array", "the closing bracket ] of a list is missing"),
    ("Unclosed inline table", "the closing brace } is missing; it stands on the same line"),
    ("Unterminated string", "the closing quote of a text is missing"),
    ("Illegal character '\\n'", "the closing quote is missing"),
    ("Unescaped '\\'", "write \\\\ for a backslash, or use 'single quotes'"),
    (
        "Expected newline",
        "this does not belong to the value before it; write one key = value a line",
    ),
)


def _syntax(message: str, text: str) -> str:
    place = _PLACE.search(message)
    bare = message[: place.start()] if place else message
    if place and place.group(1):
        where = f"line {place.group(1)}, column {place.group(2)}"
    else:
        where = f"line {text.rstrip().count(chr(10)) + 1} (end of the file)"
    advice = next((words for start, words in _SYNTAX_HELP if bare.startswith(start)), bare)
    return f"{where}: {advice}"
