"""What is known about kinds of modems, as data: `hw/modems/*.toml`.

A profile says how to wake, set up, answer and leave a family of modems and which of their reports
to believe. `inherit` names the profile whose values count where this one is silent. A profile of
which no recording of a real unit exists says `unverified = true`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from appliance.hw import hw_path
from appliance.lines.sound import CodecName

GENERIC: Final = "generic-v253"
_MAX_CHAIN: Final = 8


class ProfileError(ValueError):
    """A profile file is wrong; the text names the file, the place and what would be right."""


@dataclass(frozen=True, slots=True)
class Match:
    """Facts a modem is known by; each may be unknown. `usb` is "vvvv:pppp" in lower case."""

    usb: tuple[str, ...] = ()
    ati0: str = ""
    ati3: str = ""


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """`text` is looked for in the modem's answer to +VSM=?."""

    text: str
    codec: CodecName


@dataclass(frozen=True, slots=True)
class Commands:
    """One command with its fall-backs; the last may be "", which lets it fail."""

    choices: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Commands:
        return cls(tuple(choice.strip() for choice in text.split("|")))

    def fill(self, values: Mapping[str, str]) -> Commands | None:
        """With `{name}` replaced; None when a value is not known, so that the command is left out.

        Raises KeyError for a name outside the schema, which loading has ruled out.
        """
        filled = []
        for choice in self.choices:
            for name in _PLACEHOLDER.findall(choice):
                if values[name] == "":
                    return None
                choice = choice.replace("{" + name + "}", values[name])
            filled.append(choice)
        return Commands(tuple(filled))


_PLACEHOLDER = re.compile(r"\{(\w+)\}")
PLACEHOLDERS: Final = frozenset({"gci", "vsm", "number"})


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    label: str
    init: tuple[Commands, ...]
    idle: tuple[Commands, ...]
    voice: tuple[Commands, ...]
    off_hook: tuple[Commands, ...]
    dial: Commands
    talk: str
    hang_up: tuple[Commands, ...]
    formats: tuple[FormatChoice, ...]
    duplex: Literal["full", "half"]
    stop_duplex: bytes
    unwedge: bytes
    latency_ms: int
    cmd_gap_ms: int
    ring_gap_ms: int
    ring_ms: int
    cid_quiet_ms: int
    cid_partial_ms: int
    device_keys: bool
    dle_hangup: frozenset[int]
    """Codes that mean the far end hung up."""
    match: Match = Match()
    unverified: bool = True

    @property
    def hears_busy(self) -> bool:
        return ord("b") in self.dle_hangup


_BOUNDS: Final = {
    "latency_ms": (20, 500),
    "cmd_gap_ms": (0, 1000),
    "ring_gap_ms": (2000, 20_000),
    "ring_ms": (0, 5000),
    "cid_quiet_ms": (20, 5000),
    "cid_partial_ms": (20, 10_000),
}
_COMMAND_LISTS: Final = ("init", "idle", "voice", "off_hook", "hang_up")
_KEYS: Final = ({f.name for f in fields(Profile)} - {"name", "dle_hangup"}) | {"inherit", "dle"}


class Registry:
    """All profiles, and which of them is a given modem's."""

    def __init__(self, profiles: Mapping[str, Profile], gci: Mapping[str, str]) -> None:
        if GENERIC not in profiles:
            raise ProfileError(f"The modem profile '{GENERIC}' is missing; all others need it.")
        self._profiles = dict(profiles)
        self._gci = dict(gci)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles.values())

    def get(self, name: str) -> Profile:
        """Raises ProfileError for an unknown name."""
        try:
            return self._profiles[name]
        except KeyError:
            known = ", ".join(sorted(self._profiles))
            raise ProfileError(
                f"There is no modem profile '{name}'; use auto or one of: {known}."
            ) from None

    def gci(self, country: str) -> str:
        """The T.35 code of an ISO 3166 country as hexadecimal, "" when it has none."""
        return self._gci.get(country.upper(), "")

    def choose(self, *, usb: str = "", ati0: str = "", ati3: str = "") -> Profile:
        """The most specific profile that fits what is known ("" is unknown).

        A chip that names itself differently rules a profile out; a USB id does not, since makers
        build the same chip under their own ids.
        """
        best, best_score = self._profiles[GENERIC], 0
        for name in sorted(self._profiles):
            profile = self._profiles[name]
            score = _score(profile.match, usb.lower(), ati0.strip(), ati3.strip())
            if score > best_score:
                best, best_score = profile, score
        return best


def _score(match: Match, usb: str, ati0: str, ati3: str) -> int:
    score = 2 if usb and usb in match.usb else 0
    for pattern, said in ((match.ati0, ati0), (match.ati3, ati3)):
        if pattern and said:
            if re.search(pattern, said, re.IGNORECASE) is None:
                return 0
            score += 2
    return score


def load_profiles(folder: Path | None = None) -> Registry:
    """Read all files of a folder, the installed one by default.

    Raises ProfileError, or FileNotFoundError when the folder is missing.
    """
    folder = hw_path("modems") if folder is None else folder
    texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))}
    return parse_profiles(texts)


def parse_profiles(texts: Mapping[str, str]) -> Registry:
    """File names and their TOML text to a registry. Raises ProfileError."""
    tables: dict[str, tuple[str, dict[str, Any]]] = {}
    gci: dict[str, str] = {}
    for file, text in texts.items():
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ProfileError(f"{file} is not TOML: {error}.") from None
        for section, content in document.items():
            if section == "profile" and isinstance(content, dict):
                for name, table in content.items():
                    if name in tables:
                        raise ProfileError(f"{file}: profile.{name} is in {tables[name][0]} too.")
                    if not isinstance(table, dict):
                        raise ProfileError(f"{file}: profile.{name} must be a table.")
                    tables[name] = (file, table)
            elif section == "gci" and isinstance(content, dict):
                gci |= _read_gci(file, content)
            else:
                raise ProfileError(f"{file}: '{section}' is unknown; use profile or gci tables.")
    return Registry({name: _build(name, tables) for name in tables}, gci)


def _read_gci(file: str, content: dict[str, Any]) -> dict[str, str]:
    for country, code in content.items():
        if not isinstance(code, str) or not re.fullmatch(r"[0-9A-F]{2}", code):
            raise ProfileError(f"{file}: gci.{country} must be two hexadecimal digits.")
    return {country.upper(): code for country, code in content.items()}


def _build(name: str, tables: Mapping[str, tuple[str, dict[str, Any]]]) -> Profile:
    """One profile with all it inherits."""
    merged: dict[str, Any] = {}
    where: str | None = name
    for _ in range(_MAX_CHAIN):
        if where is None:
            break
        if where not in tables:
            raise ProfileError(f"{tables[name][0]}: profile.{name} inherits unknown '{where}'.")
        file, table = tables[where]
        unknown = sorted(table.keys() - _KEYS)
        if unknown:
            raise ProfileError(
                f"{file}: profile.{where}.{unknown[0]} is unknown; use one of: "
                + ", ".join(sorted(_KEYS))
                + "."
            )
        for key, value in table.items():
            # What identifies a family is its own and never its parent's.
            if where == name or key not in ("match", "label", "unverified"):
                merged.setdefault(key, value)
        where = table.get("inherit")
    else:
        raise ProfileError(f"{tables[name][0]}: profile.{name} inherits in a circle.")
    return _Reader(tables[name][0], name, merged).profile()


class _Reader:
    """Typed values out of one merged table."""

    def __init__(self, file: str, name: str, table: dict[str, Any]) -> None:
        self._place = f"{file}: profile.{name}"
        self._name = name
        self._table = table

    def _wrong(self, key: str, right: str) -> ProfileError:
        return ProfileError(f"{self._place}.{key} must be {right}.")

    def _text(self, key: str) -> str:
        value = self._table.get(key)
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise self._wrong(key, "a text")
        return value

    def _flag(self, key: str, default: bool) -> bool:
        value = self._table.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def _number(self, key: str) -> int:
        low, high = _BOUNDS[key]
        value = self._table.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return value

    def _bytes(self, key: str) -> bytes:
        try:
            return bytes.fromhex(self._text(key))
        except ValueError:
            raise self._wrong(key, 'bytes in hexadecimal such as "10 5e"') from None

    def _strings(self, key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def _command(self, key: str, text: str) -> Commands:
        commands = Commands.parse(text)
        for choice in commands.choices:
            unknown = set(_PLACEHOLDER.findall(choice)) - PLACEHOLDERS
            if unknown or not choice.isascii() or not choice.isprintable():
                raise self._wrong(key, "AT commands with no values but {gci}, {vsm}, {number}")
            if choice and not choice.upper().startswith("AT"):
                raise self._wrong(key, f"AT commands, not {choice!r}")
        return commands

    def _formats(self) -> tuple[FormatChoice, ...]:
        value = self._table.get("formats")
        if not isinstance(value, list) or not value:
            raise self._wrong("formats", "a list of { text, codec }")
        choices = []
        for item in value:
            if (
                not isinstance(item, dict)
                or not isinstance(item.get("text"), str)
                or item.get("codec") not in get_args(CodecName)
                or len(item) != 2
            ):
                raise self._wrong(
                    "formats", "a list of { text, codec } with codec ulaw, alaw, s16, u8 or s8"
                )
            choices.append(FormatChoice(item["text"], item["codec"]))
        return tuple(choices)

    def _match(self) -> Match:
        value = self._table.get("match", {})
        if not isinstance(value, dict) or value.keys() - {"usb", "ati0", "ati3"}:
            raise self._wrong("match", "a table of usb, ati0, ati3")
        usb = self._strings("match.usb", value.get("usb", []))
        if not all(re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", item) for item in usb):
            raise self._wrong("match.usb", 'a list of USB ids such as "0572:1329"')
        match = Match(usb=usb)
        for key in ("ati0", "ati3"):
            pattern = value.get(key, "")
            try:
                re.compile(pattern)
            except (re.error, TypeError):
                raise self._wrong(f"match.{key}", "a regular expression") from None
            match = replace(match, ati0=pattern) if key == "ati0" else replace(match, ati3=pattern)
        return match

    def _hangup_codes(self) -> frozenset[int]:
        value = self._table.get("dle", {})
        if not isinstance(value, dict) or value.keys() - {"hangup"}:
            raise self._wrong("dle", "a table with the list hangup")
        letters = self._strings("dle.hangup", value.get("hangup", []))
        if not all(len(letter) == 1 and letter.isascii() for letter in letters):
            raise self._wrong("dle.hangup", "a list of single letters")
        return frozenset(ord(letter) for letter in letters)

    def profile(self) -> Profile:
        lists = {
            key: tuple(
                self._command(key, text) for text in self._strings(key, self._table.get(key))
            )
            for key in _COMMAND_LISTS
        }
        duplex = self._table.get("duplex")
        if duplex not in ("full", "half"):
            raise self._wrong("duplex", "full or half")
        return Profile(
            name=self._name,
            label=self._text("label"),
            init=lists["init"],
            idle=lists["idle"],
            voice=lists["voice"],
            off_hook=lists["off_hook"],
            hang_up=lists["hang_up"],
            dial=self._command("dial", self._text("dial")),
            talk=self._text("talk"),
            formats=self._formats(),
            duplex=duplex,
            stop_duplex=self._bytes("stop_duplex"),
            unwedge=self._bytes("unwedge"),
            latency_ms=self._number("latency_ms"),
            cmd_gap_ms=self._number("cmd_gap_ms"),
            ring_gap_ms=self._number("ring_gap_ms"),
            ring_ms=self._number("ring_ms"),
            cid_quiet_ms=self._number("cid_quiet_ms"),
            cid_partial_ms=self._number("cid_partial_ms"),
            device_keys=self._flag("device_keys", False),
            dle_hangup=self._hangup_codes(),
            match=self._match(),
            unverified=self._flag("unverified", True),
        )


def offered_formats(
    answer: tuple[str, ...], formats: tuple[FormatChoice, ...], *, wide: bool
) -> list[tuple[str, CodecName]]:
    """The +VSM numbers and codecs in an answer to +VSM=? that can be used, the best first.

    `wide`: the port carries 16 bits a sample. What does not offer 8000 samples a second is passed
    over.
    """
    offers = []
    for line in answer:
        text = re.sub(r"\s*,\s*", ",", line.strip().upper())
        match = re.fullmatch(r"(?:\+VSM:\s*)?(\d{1,3}),(.+)", text)
        if match is not None and _offers_8000(match[2]):
            offers.append((match[1], match[2]))
    found: list[tuple[str, CodecName]] = []
    for choice in formats:
        wanted = re.sub(r"\s*,\s*", ",", choice.text.upper())
        if wide or choice.codec != "s16":
            found += [
                (number, choice.codec)
                for number, text in offers
                if wanted in text and (number, choice.codec) not in found
            ]
    return found


def _offers_8000(text: str) -> bool:
    rates = [int(number) for number in re.findall(r"\d{4,5}", text)]
    if not rates or 8000 in rates:
        return True
    return any(
        int(low) <= 8000 <= int(high) for low, high in re.findall(r"(\d{4,5})-(\d{4,5})", text)
    )
