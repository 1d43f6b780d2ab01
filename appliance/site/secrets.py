"""What must not stand in the site document: password and PIN hashes of people, SIP secrets of desk
phones and trunks, hashes of the keys of programs. One TOML file of the data directory, readable by
its owner alone.

People's passwords are Argon2id hashes (RFC 9106; 19 MiB, two passes, one lane: the least that
OWASP's password storage guide asks for, tens of milliseconds of a core). SIP needs the secret
itself to answer digests, so phones get long random ones that nobody has to remember.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets as random
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.site import toml
from appliance.site.model import Site

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 200
"""Longer input is refused unhashed."""
SECRET_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without the letters and digits that are mistaken for each other on a phone's screen."""
SECRET_LENGTH: Final = 20
"""114 bits."""
MIN_PIN: Final = 4
MAX_PIN: Final = 12
MODE: Final = 0o600
MAX_BYTES: Final = 1 << 20

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_log = logging.getLogger("centrala.site")


class SecretsError(Exception):
    """The file cannot be used; the message says why and never what is in it."""


class Secrets:
    """The secrets in memory; `save` writes them. One owner at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._people: dict[str, str] = {}
        self._phones: dict[str, str] = {}
        self._trunks: dict[str, str] = {}
        self._pins: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        # Checked for people who do not exist, so that they take as long as those who do.
        self._nobody = _HASHER.hash(random.token_hex(16))

    def __repr__(self) -> str:
        return f"Secrets({str(self._path)!r})"

    @classmethod
    def load(cls, path: Path | str) -> Secrets:
        """Read the file; a missing one is an empty one. A file that others may read is closed to
        them. Raises SecretsError."""
        file = Path(path)
        loaded = cls(file)
        try:
            with file.open("rb") as stream:
                if os.fstat(stream.fileno()).st_mode & 0o077:
                    _log.warning("%s could be read by other users; closed it to them", file)
                    os.fchmod(stream.fileno(), MODE)
                data = stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return loaded
        except OSError as error:
            raise SecretsError(f"{file}: {error.strerror or 'cannot be read'}") from None
        try:
            document = tomllib.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            document = {}
            broken = True
        else:
            broken = not loaded._fill(document)
        if broken:
            raise SecretsError(
                f"{file}: damaged; put back a copy, or move it away and set the passwords anew"
            )
        return loaded

    def _fill(self, document: dict[str, object]) -> bool:
        kinds = (
            ("people", "password", self._people),
            ("phones", "secret", self._phones),
            ("trunks", "secret", self._trunks),
            ("pins", "pin", self._pins),
            ("keys", "key", self._keys),
        )
        for table, field, into in kinds:
            entries = document.get(table, {})
            if not isinstance(entries, dict):
                return False
            for name, entry in entries.items():
                value = entry.get(field) if isinstance(entry, dict) else None
                if not isinstance(value, str):
                    return False
                into[name] = value
        return True

    def save(self) -> None:
        """Write the file: whole or not at all, on disk when this returns, mode 0600. Raises
        SecretsError; the old file then still stands."""
        document = {
            "people": {name: {"password": value} for name, value in self._people.items()},
            "phones": {name: {"secret": value} for name, value in self._phones.items()},
            "trunks": {name: {"secret": value} for name, value in self._trunks.items()},
            "pins": {name: {"pin": value} for name, value in self._pins.items()},
            "keys": {name: {"key": value} for name, value in self._keys.items()},
        }
        text = toml.write({table: rows for table, rows in document.items() if rows})
        folder = self._path.parent
        temporary: str | None = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=".secrets-", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                os.fchmod(stream.fileno(), MODE)
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self._path)
            temporary = None
            entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(entry)
            finally:
                os.close(entry)
        except OSError as error:
            raise SecretsError(f"{self._path}: {error.strerror or 'cannot be written'}") from None
        finally:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    # --- phones and trunks ------------------------------------------------------------------

    def ensure(self, site: Site) -> tuple[str, ...]:
        """Give each phone of the site that has no secret a random one; returns their extensions.
        Nothing is removed: a phone that comes back finds its secret. Call `save` afterwards."""
        missing = tuple(extension for extension in site.phones if extension not in self._phones)
        for extension in missing:
            self._phones[extension] = _random_secret()
        return missing

    def phone(self, extension: str) -> str | None:
        """The SIP secret of a desk phone."""
        return self._phones.get(extension)

    def trunk(self, line: str) -> str | None:
        """The SIP secret that this trunk expects from us."""
        return self._trunks.get(line)

    def set_phone(self, extension: str, secret: str) -> None:
        """Raises ValueError with a sentence."""
        self._phones[extension] = _checked_secret(secret)

    def set_trunk(self, line: str, secret: str) -> None:
        """Raises ValueError with a sentence."""
        self._trunks[line] = _checked_secret(secret)

    # --- people -----------------------------------------------------------------------------

    def has_password(self, person: str) -> bool:
        return person in self._people

    def set_password(self, person: str, text: str) -> None:
        """Takes tens of milliseconds of a core. Raises ValueError with a sentence."""
        if len(text) < MIN_PASSWORD:
            raise ValueError(f"a password has at least {MIN_PASSWORD} characters")
        if len(text) > MAX_PASSWORD:
            raise ValueError(f"a password has at most {MAX_PASSWORD} characters")
        self._people[person] = _HASHER.hash(_bytes(text))

    def remove_password(self, person: str) -> None:
        """The person can no longer sign in by password."""
        self._people.pop(person, None)

    def verify(self, person: str, text: str) -> bool:
        """Whether this is the person's password. The same work whether or not the person exists or
        has a password; tens of milliseconds of a core, so call it off the event loop."""
        return self._matches(self._people.get(person), text)

    # --- PINs of people at desk phones ------------------------------------------------------

    def set_pin(self, person: str, pin: str) -> None:
        """Takes tens of milliseconds of a core. Raises ValueError with a sentence."""
        if not (pin.isascii() and pin.isdigit() and MIN_PIN <= len(pin) <= MAX_PIN):
            raise ValueError(f"a PIN has {MIN_PIN} to {MAX_PIN} digits")
        if len(set(pin)) == 1 or pin in "01234567890" or pin in "09876543210":
            raise ValueError("that PIN is the first that anybody would try")
        self._pins[person] = _HASHER.hash(_bytes(pin))

    def verify_pin(self, person: str, pin: str) -> bool:
        """As `verify`; a person without a PIN has none that fits."""
        return self._matches(self._pins.get(person), pin)

    # --- keys of programs -------------------------------------------------------------------

    def make_key(self, name: str) -> str:
        """A fresh key for a program such as the office's web site, in place of an older one of
        that name; it is shown this once, kept is its hash. It is random, so a fast hash will do.
        Raises ValueError with a sentence."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
            raise ValueError("the name of a key has small letters, digits, - and _")
        key = random.token_urlsafe(32)
        self._keys[name] = _key_hash(key)
        return key

    def drop_key(self, name: str) -> bool:
        """The program gets in no longer; whether there was such a key."""
        return self._keys.pop(name, None) is not None

    def key_owner(self, key: str) -> str | None:
        """The name of the program whose key this is."""
        if len(key) > MAX_PASSWORD:
            return None
        found, owner = _key_hash(key), None
        for name, known in self._keys.items():
            if hmac.compare_digest(known, found):
                owner = name
        return owner

    def _matches(self, known: str | None, text: str) -> bool:
        if len(text) > MAX_PASSWORD:
            return False
        try:
            matches = _HASHER.verify(known or self._nobody, _bytes(text))
        except (VerificationError, InvalidHashError):
            return False
        return matches and known is not None


def _key_hash(key: str) -> str:
    return hashlib.sha256(_bytes(key)).hexdigest()


def _bytes(text: str) -> bytes:
    # A lone surrogate from a hostile form is data like any other.
    return text.encode("utf-8", "surrogatepass")


def _random_secret() -> str:
    return "".join(random.choice(SECRET_ALPHABET) for _ in range(SECRET_LENGTH))


def _checked_secret(secret: str) -> str:
    if not 1 <= len(secret) <= MAX_PASSWORD or not secret.isprintable():
        raise ValueError(f"a secret is 1 to {MAX_PASSWORD} printable characters")
    return secret
