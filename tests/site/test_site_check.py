"""`centrala check FILE`: an exit code and lines for a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ivr.linter import lint
from appliance.site.check import check


def test_the_example_has_no_errors_and_no_warnings() -> None:
    code, lines = check("site.example.toml", lint)
    assert code == 0
    assert not [line for line in lines if line.startswith(("error", "warning"))]


def test_a_good_document_is_summed_up() -> None:
    _, lines = check("site.example.toml", lint)
    text = "\n".join(lines)
    for part in (
        "Casa Verde: RO, Europe/Bucharest",
        "line front",
        "trunk provider: Provider, sip.provider.example:5060 registered as casaverde, 4 calls",
        "4 agents, 1 supervisor, 1 admin",
        "queue support: Support, 2 agents, skills",
        "menu main: 1 queue:sales",
        "recording: as opus, kept 90 days",
        "SIP 5060 (UDP, TCP), RTP 16000 to 16999",
    ):
        assert part in text


def test_an_empty_document_can_be_summed_up(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text("demo = true\n")
    code, lines = check(file, lint)
    assert code == 0
    assert "desk phones: none" in lines
    assert lines[-1].startswith("demo office")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[office\n", "error: line 1, column 8: the bracket ] after the table's name is missing"),
        ('demo = "x"\n', 'error: demo: "x" has to be true or false, without quotes'),
    ],
)
def test_a_broken_document_fails_with_each_problem_on_a_line(
    tmp_path: Path, text: str, line: str
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text)
    assert check(file, lint) == (1, [line, "1 problem found"])


def test_what_the_linter_refuses_fails_the_check(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[queues.sales]\nname = "Sales"\nthen = "queue:sales"\n')
    code, lines = check(file, lint)
    assert code == 1
    assert lines[0].startswith("error: queues.sales.then: callers who press nothing go round")


def test_what_the_linter_only_warns_of_passes(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[hours.office]\n")
    code, lines = check(file, lint)
    assert code == 0
    assert lines[0].startswith("warning: hours.office: never open")


def test_a_missing_file_fails_the_check() -> None:
    code, lines = check("/nowhere/site.toml", lint)
    assert code == 1
    assert lines[0] == "error: /nowhere/site.toml: no such file or directory"
