"""Secrets stay secret, whole and on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.site.load import parse
from appliance.site.secrets import SECRET_LENGTH, Secrets, SecretsError

PASSWORD = "correct horse battery"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.toml"


def test_a_missing_file_is_an_empty_one(file: Path) -> None:
    secrets = Secrets.load(file)
    assert secrets.phone("201") is None
    assert not secrets.has_password("maria")


def test_a_password_is_kept_as_a_hash_and_recognised_after_a_restart(file: Path) -> None:
    secrets = Secrets.load(file)
    secrets.set_password("maria", PASSWORD)
    secrets.save()
    text = file.read_text()
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in text
    assert PASSWORD not in text
    again = Secrets.load(file)
    assert again.verify("maria", PASSWORD)
    assert not again.verify("maria", PASSWORD + "x")
    assert again.has_password("maria")


def test_an_unknown_person_is_refused_after_the_same_work(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets.load(file)
    secrets.set_password("maria", PASSWORD)
    checked: list[str] = []

    class Counting:
        def __init__(self, real: object) -> None:
            self.real = real

        def verify(self, known: str, given: bytes) -> bool:
            checked.append(known.rsplit("$", 2)[0])
            return bool(self.real.verify(known, given))  # type: ignore[attr-defined]

    monkeypatch.setattr("appliance.site.secrets._HASHER", Counting(secrets_hasher()))
    assert not secrets.verify("nobody", PASSWORD)
    assert not secrets.verify("maria", "wrong password")
    assert len(checked) == 2
    assert checked[0] == checked[1], "same algorithm, memory and passes"


def secrets_hasher() -> object:
    from appliance.site import secrets

    return secrets._HASHER


@pytest.mark.parametrize("text", ["", "short", "x" * 9, "x" * 201])
def test_a_password_too_short_or_endless_is_refused(file: Path, text: str) -> None:
    secrets = Secrets.load(file)
    with pytest.raises(ValueError, match="a password has at"):
        secrets.set_password("maria", text)
    assert not secrets.has_password("maria")


@pytest.mark.parametrize("text", ["\ud800" * 10, "\x00" * 12, "пароль-длинный", "x" * 1_000_000])
def test_a_hostile_password_is_only_a_wrong_one(file: Path, text: str) -> None:
    secrets = Secrets.load(file)
    secrets.set_password("maria", PASSWORD)
    assert not secrets.verify("maria", text)


def test_a_removed_password_lets_nobody_in(file: Path) -> None:
    secrets = Secrets.load(file)
    secrets.set_password("maria", PASSWORD)
    secrets.remove_password("maria")
    assert not secrets.verify("maria", PASSWORD)


def test_each_phone_gets_a_secret_once(file: Path) -> None:
    secrets = Secrets.load(file)
    one = parse('[phones.201]\nname = "A"\n[phones.202]\nname = "B"\n')
    assert secrets.ensure(one) == ("201", "202")
    first, second = secrets.phone("201"), secrets.phone("202")
    assert first is not None
    assert len(first) == SECRET_LENGTH
    assert first != second
    secrets.save()
    again = Secrets.load(file)
    assert again.ensure(one) == ()
    assert again.phone("201") == first


def test_secrets_of_trunks_and_phones_can_be_set(file: Path) -> None:
    secrets = Secrets.load(file)
    secrets.set_trunk("provider", 'p"w\\d')
    secrets.set_phone("201", "abc")
    secrets.save()
    again = Secrets.load(file)
    assert (again.trunk("provider"), again.phone("201")) == ('p"w\\d', "abc")
    with pytest.raises(ValueError, match="printable"):
        secrets.set_trunk("provider", "a\r\nb")


def test_nobody_else_can_read_the_file(file: Path) -> None:
    old = os.umask(0)
    try:
        secrets = Secrets.load(file)
        secrets.set_trunk("provider", "x")
        secrets.save()
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_a_file_open_to_others_is_closed_to_them(file: Path) -> None:
    file.write_text('[trunks.provider]\nsecret = "x"\n')
    file.chmod(0o644)
    assert Secrets.load(file).trunk("provider") == "x"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets.load(file)
    secrets.set_trunk("provider", "old")
    secrets.save()
    secrets.set_trunk("provider", "new")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretsError, match="No space left"):
        secrets.save()
    monkeypatch.undo()
    assert Secrets.load(file).trunk("provider") == "old"
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b'[people.maria]\npassword = "geheim',
        b"people = 3\n",
        b"[people]\nmaria = 'geheim'\n",
        b"[phones.201]\nsecret = 5\n",
        b"x = " + b"[" * 50_000,
    ],
)
def test_a_damaged_file_is_said_so_without_telling_what_is_in_it(
    file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretsError, match="damaged") as caught:
        Secrets.load(file)
    assert "geheim" not in str(caught.value)


def test_a_hash_that_is_none_lets_nobody_in(file: Path) -> None:
    file.write_text('[people.maria]\npassword = "not a hash"\n')
    assert not Secrets.load(file).verify("maria", "not a hash")


def test_printing_the_secrets_shows_none(file: Path) -> None:
    secrets = Secrets.load(file)
    secrets.set_trunk("provider", "geheim")
    assert "geheim" not in repr(secrets)


def test_a_pin_is_kept_as_a_hash_and_simple_ones_are_refused(file: Path) -> None:
    secrets = Secrets.load(file)
    secrets.set_pin("maria", "4711")
    secrets.save()
    assert "4711" not in file.read_text()
    again = Secrets.load(file)
    assert again.verify_pin("maria", "4711")
    assert not again.verify_pin("maria", "4712")
    assert not again.verify_pin("nobody", "4711")
    assert not again.verify("maria", "4711")
    for weak in ("123", "1234", "9876", "5555", "12a4", "1" * 13):
        with pytest.raises(ValueError, match="PIN"):
            secrets.set_pin("maria", weak)
