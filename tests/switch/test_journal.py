"""A file of what is alive: true after any end of the process, and no longer than need be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.switch.journal import SPARE_LINES, Journal


@dataclass(frozen=True, slots=True)
class Call:
    number: str
    at: int


def journal(path: Path) -> Journal[Call]:
    return Journal(path, Call)


CHANGES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.none() | st.builds(Call, st.text(), st.integers(0, 9)))
)


@given(st.lists(CHANGES), st.integers(0, 60))
def test_the_next_process_finds_what_was_alive_when_the_last_one_was_killed(
    rounds: list[list[tuple[str, Call | None]]], torn: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calls"
        alive: dict[str, Call] = {}
        for changes in rounds:
            book = journal(path)
            assert book.load() == list(alive.values())
            book.write(changes)
            for key, value in changes:
                alive.pop(key, None) if value is None else alive.__setitem__(key, value)
        if not path.exists():
            return
        # A write that was cut off in the middle.
        data = path.read_bytes()
        path.write_bytes(data + b'["z",{"number":"1234567890","at":1}]'[: min(torn, 35)])
        book = journal(path)
        assert book.load() == list(alive.values())
        book.write([("f", Call("after", 1))])
        assert journal(path).load() == [*alive.values(), Call("after", 1)]


def test_the_file_is_written_anew_when_most_of_it_is_history(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    book = journal(path)
    stays = Call("stays", 1)
    book.write([("s", stays)])
    for n in range(10 * SPARE_LINES):
        book.write([(f"c{n}", Call("x", n)), (f"c{n}", None)])
        assert len(path.read_bytes().splitlines()) <= SPARE_LINES + 4
    assert journal(path).load() == [stays]
    assert [one.name for one in tmp_path.iterdir()] == ["calls"]


def test_an_end_without_a_begin_is_not_written(tmp_path: Path) -> None:
    book = journal(tmp_path / "calls")
    book.write([("a", None)])
    assert not (tmp_path / "calls").exists()


def test_what_is_no_text_is_left_out_and_harms_nothing(tmp_path: Path) -> None:
    book = journal(tmp_path / "calls")
    book.write([("a", Call("\udc80", 1)), ("b", Call("2", 2)), ("a", None)])
    (tmp_path / "calls").open("ab").write(b'["c",{"number":"\xff","at":1}]\n')
    assert journal(tmp_path / "calls").load() == [Call("2", 2)]


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    journal(tmp_path / "calls").write([("a", Call("1", 1))])
    assert (tmp_path / "calls").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_takes_nothing_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = journal(tmp_path / "nowhere" / "calls")
    book.write([("a", Call("1", 1))])
    book.write([("b", Call("2", 2))])
    assert [r.getMessage().count("cannot be written") for r in caplog.records] == [1]
    # What could not be written is when there is room, with what comes later.
    (tmp_path / "nowhere").mkdir()
    book.write([("a", None)])
    assert journal(tmp_path / "nowhere" / "calls").load() == [Call("2", 2)]
