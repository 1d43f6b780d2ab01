"""Versions of the document: authors, differences, one step back, edits by hand, power cuts."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.ivr.linter import usable
from appliance.site.history import BY_HAND, NothingBefore, SiteHistory, Stale
from appliance.site.problems import SiteError

TEXT = """
[lines.one]
kind = "modem"
name = "One"
device = "/dev/ttyACM0"
route = "queue:sales"
[people.ana]
name = "Ana"
[queues.sales]
name = "Sales"
agents = ["ana"]
"""
LATER = TEXT.replace('name = "Sales"', 'name = "Verkauf"')


def history(folder: Path) -> SiteHistory:
    path = folder / "site.toml"
    if not path.exists():
        path.write_text(TEXT)
    one = SiteHistory(path, folder / "history")
    one.notice(1)
    return one


def test_the_first_text_is_the_first_version(tmp_path: Path) -> None:
    one = history(tmp_path)
    assert [(each.number, each.author) for each in one.versions()] == [(1, BY_HAND)]
    one.notice(2)
    assert one.newest == 1


def test_a_change_has_author_time_and_differences(tmp_path: Path) -> None:
    one = history(tmp_path)
    one.save(LATER, "maria", 5, base=1)
    assert one.path.read_text() == LATER
    newest = history(tmp_path).versions()[0]
    assert (newest.number, newest.author, newest.at) == (2, "maria", 5)
    assert newest.changes == ('queues.sales.name = "Verkauf" (was "Sales")',)


def test_one_step_back_and_forth_again(tmp_path: Path) -> None:
    one = history(tmp_path)
    one.save(LATER, "maria", 5, base=1)
    assert one.undo("ion", 6).undoes == 2
    assert one.path.read_text() == TEXT
    one.undo("ion", 7)
    assert one.path.read_text() == LATER
    assert [each.author for each in one.versions()] == ["ion", "ion", "maria", BY_HAND]


def test_nothing_to_go_back_to(tmp_path: Path) -> None:
    with pytest.raises(NothingBefore):
        history(tmp_path).undo("ion", 6)


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    one = history(tmp_path)
    one.save(LATER, "maria", 5, base=1)
    with pytest.raises(Stale):
        one.save(TEXT, "ion", 6, base=1)
    assert one.path.read_text() == LATER


def test_what_was_edited_by_hand_is_not_overwritten_unseen(tmp_path: Path) -> None:
    one = history(tmp_path)
    one.path.write_text(LATER)
    with pytest.raises(Stale):
        one.save(TEXT, "ion", 6, base=1)
    assert [(each.number, each.author) for each in one.versions()] == [(2, BY_HAND), (1, BY_HAND)]


def test_a_document_that_will_not_do_changes_nothing(tmp_path: Path) -> None:
    one = history(tmp_path)
    with pytest.raises(SiteError):
        one.save(TEXT.replace("queue:sales", "queue:x"), "maria", 5, base=1)
    assert one.newest == 1
    assert one.path.read_text() == TEXT


def test_what_the_linter_refuses_changes_nothing(tmp_path: Path) -> None:
    history(tmp_path)
    one = SiteHistory(tmp_path / "site.toml", tmp_path / "history", usable)
    with pytest.raises(SiteError, match=r"queues\.sales\.agents"):
        one.save(TEXT.replace('agents = ["ana"]', "agents = []"), "maria", 5, base=1)
    assert one.newest == 1
    assert one.path.read_text() == TEXT


@pytest.mark.parametrize("nth", range(8))
def test_a_disk_that_fails_in_the_middle_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """Three files are written and renamed, then two folders."""
    one = history(tmp_path)
    calls = itertools.count()
    ill = True

    def sometimes(real: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any) -> Any:
            if ill and next(calls) == nth:
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments)

        return asked

    monkeypatch.setattr(os, "fsync", sometimes(os.fsync))
    monkeypatch.setattr(Path, "replace", sometimes(Path.replace))
    with pytest.raises(OSError, match="Input/output"):
        one.save(LATER, "maria", 5, base=1)
    ill = False
    assert one.newest == history(tmp_path).newest == 1
    assert one.path.read_text() == one.text(1) == TEXT
    assert not list(tmp_path.rglob("*.part"))
    one.save(LATER, "maria", 6, base=1)
    assert one.newest == history(tmp_path).newest == 2
    assert one.path.read_text() == LATER


def test_what_was_prepared_and_dropped_was_never_there(tmp_path: Path) -> None:
    one = history(tmp_path)
    change = one.prepare(LATER, "maria", 5, base=1)
    assert one.newest == history(tmp_path).newest == 1
    assert one.path.read_text() == TEXT
    one.drop(change)
    assert not list(tmp_path.rglob("*.part"))
    # Nor does a crash in between leave anything but a part, which the next change replaces.
    one.prepare(LATER, "maria", 5, base=1)
    assert history(tmp_path).newest == 1
    assert history(tmp_path).save(LATER, "ion", 6, base=1).number == 2


def test_a_damaged_index_line_costs_that_line_alone(tmp_path: Path) -> None:
    one = history(tmp_path)
    one.save(LATER, "maria", 5, base=1)
    with (tmp_path / "history" / "versions.jsonl").open("a") as index:
        index.write('{"number": 3, "at": 7, "aut')
    again = history(tmp_path)
    assert again.newest == 2
    again.save(TEXT, "ion", 9, base=2)
    assert [each.number for each in history(tmp_path).versions()] == [3, 2, 1]
