"""A document is loaded whole, or every mistake in it is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.site import toml
from appliance.site.load import Change, build, diff, dump, load, parse
from appliance.site.model import Site
from appliance.site.problems import Problem, SiteError

EXAMPLE = Path("site.example.toml")


def problems(text: str) -> dict[str, str]:
    with pytest.raises(SiteError) as caught:
        parse(text)
    return {problem.path: problem.message for problem in caught.value.problems}


def only_problem(text: str) -> tuple[str, str]:
    (found,) = problems(text).items()
    return found


LINE = '[lines.one]\nkind = "modem"\nname = "One"\ndevice = "/dev/ttyACM0"\nroute = "queue:sales"\n'
QUEUE = '[queues.sales]\nname = "Sales"\n'


def test_the_example_is_a_complete_office() -> None:
    site = load(EXAMPLE)
    kinds = [line.kind for line in site.lines.values()]
    assert (kinds.count("modem"), kinds.count("trunk")) == (2, 1)
    assert sum(person.role == "agent" for person in site.people.values()) == 4
    assert (len(site.queues), len(site.menus), len(site.hours)) == (2, 1, 1)
    assert site.recording.enabled


def test_an_empty_document_is_an_office_with_nothing_in_it() -> None:
    assert parse("") == Site()


def test_a_document_comes_back_as_it_was_written() -> None:
    site = load(EXAMPLE)
    assert parse(dump(site)) == site
    assert parse(dump(Site())) == Site()


def test_a_written_document_keeps_what_is_awkward() -> None:
    awkward = r'welcome = { text = "She said \"no\\yes\"\nand\tleft — да 好" }'
    text = QUEUE + awkward + '\n[phones.201]\nname = "#"\n'
    site = parse(text)
    again = parse(dump(site))
    assert again == site
    assert again.queues["sales"].welcome == site.queues["sales"].welcome


@pytest.mark.parametrize(
    ("text", "path", "parts"),
    [
        ('[qeues.sales]\nname = "S"\n', "qeues", ['did you mean "queues"?']),
        (QUEUE + "ring = 20\n", "queues.sales.ring", ['did you mean "ring_s"?']),
        (QUEUE + "ring_s = 1\n", "queues.sales.ring_s", ["1 is too small", "least is 5"]),
        (QUEUE + "max_waiting = 501\n", "queues.sales.max_waiting", ["the most is 500"]),
        (QUEUE + 'ring_s = "long"\n', "queues.sales.ring_s", ["whole number"]),
        (QUEUE + 'record = "maybe"\n', "queues.sales.record", ["true or false"]),
        (
            QUEUE + 'strategy = "ringall"\n',
            "queues.sales.strategy",
            ['"longest_idle", "ring_all"', 'did you mean "ring_all"?'],
        ),
        (QUEUE + 'agents = "maria"\n', "queues.sales.agents", ["list in brackets"]),
        ("[queues.sales]\n", "queues.sales.name", ["is missing", 'name = "Sales"']),
        ('[queues.Sales]\nname = "S"\n', "queues.Sales", ["small letters"]),
        ('[queues."my queue"]\nname = "S"\n', 'queues."my queue"', ["small letters"]),
        (QUEUE + "extension = 301\n", "queues.sales.extension", ['quotes: "301"']),
        ('[phones.2x]\nname = "P"\n', "phones.2x", ["2 to 6 digits"]),
        ('[phones]\n201 = "Desk"\n', "phones.201", ["[phones.201]"]),
        ('phones = "none"\n', "phones", ["[phones.name]"]),
        ("office = 1\n", "office", ["[office]"]),
        ('[office]\ntimezone = "Bucharest"\n', "office.timezone", ["Europe/Bucharest"]),
        ('[office]\nname = "a\\u0007b"\n', "office.name", ["control characters"]),
        ('[lines.x]\nname = "X"\n', "lines.x", ['kind = "modem" or kind = "trunk"']),
        ('[lines.x]\nkind = "modm"\n', "lines.x", ['"modem" or "trunk"']),
        (LINE + "cid_wait = 1\n" + QUEUE, "lines.one.cid_wait", ['did you mean "cid_wait_s"?']),
        (LINE.replace("/dev/ttyACM0", "ttyACM0") + QUEUE, "lines.one.device", ["/dev/serial"]),
        ('[hours.office]\nmon = ["9-17"]\n', "hours.office.mon", ['"09:00-17:30"']),
        ('[hours.o]\ntue = ["17:00-09:00"]\n', "hours.o.tue", ["split it over two days"]),
        ('[hours.o]\nholidays = ["25.12."]\n', "hours.o.holidays[0]", ["2026-12-25"]),
        ("[sip]\nrtp_ports = [16000]\n", "sip.rtp_ports[1]", ["is missing"]),
        ("[sip]\nrtp_ports = [16000, 16999, 1]\n", "sip.rtp_ports", ["two ports"]),
        ("[sip]\nport = 70000\n", "sip.port", ["the most is 65535"]),
        (QUEUE + "welcome = {}\n", "queues.sales.welcome", ["either text", "or file"]),
        (
            QUEUE + 'welcome = { text = "a", file = "b.wav" }\n',
            "queues.sales.welcome",
            ["not both"],
        ),
        (QUEUE + 'music = "../x.wav"\n', "queues.sales.music", ["prompts/"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_cure(
    text: str, path: str, parts: list[str]
) -> None:
    where, message = only_problem(text)
    assert where == path
    for part in parts:
        assert part in message


def test_all_mistakes_are_named_at_once() -> None:
    text = QUEUE + "ring_s = 1\nwrap_up_s = -1\n" + '[phones.x]\nname = ""\n'
    assert set(problems(text)) == {
        "queues.sales.ring_s",
        "queues.sales.wrap_up_s",
        "phones.x",
        "phones.x.name",
    }


def test_a_flood_of_mistakes_is_cut_short() -> None:
    text = "".join(f"x{n} = 1\n" for n in range(500))
    with pytest.raises(SiteError) as caught:
        parse(text)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1].message == "and 400 more problems"


def test_a_password_in_the_document_is_refused_and_not_repeated() -> None:
    text = (
        '[lines.t]\nkind = "trunk"\nname = "T"\nhost = "h"\nroute = "queue:sales"\n'
        'password = "hunter2hunter2"\n' + QUEUE
    )
    path, message = only_problem(text)
    assert path == "lines.t.password"
    assert "secrets.toml" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "where", "advice"),
    [
        ("a = b\n", "line 1, column 5", "goes between quotes"),
        ('[office]\nname = "x\n', "line 2", "closing quote"),
        ("[office\n", "line 1", "bracket ]"),
        ("x = [1,\n2\n", "line 2 (end of the file)", "closing bracket ]"),
        ("[office]\n[office]\n", "line 2", "twice"),
        ("a = 1\na = 2\n", "line 2", "twice"),
        ("hello there\n", "line 1", "key = value"),
        ("a = 1 b = 2\n", "line 1", "one key = value a line"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_its_line(text: str, where: str, advice: str) -> None:
    path, message = only_problem(text)
    assert path == ""
    assert message.startswith(where)
    assert advice in message


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[office]\nname = '\xff\xfe'\n")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (2 << 20))
    for file, words in (
        (tmp_path / "missing.toml", "no such file"),
        (tmp_path, "is a directory"),
        (binary, "line 2: not UTF-8"),
        (huge, "larger than 1 MB"),
    ):
        with pytest.raises(SiteError, match=words):
            load(file)


def test_nesting_without_end_is_refused() -> None:
    for text in ("x = " + "[" * 100_000, "x = " + "{a=" * 50_000):
        assert "" in problems(text)


def test_what_differs_between_two_documents_is_listed_by_path() -> None:
    old = parse(QUEUE + '[phones.201]\nname = "Desk"\n')
    new = parse(QUEUE + "ring_s = 30\n" + '[phones.202]\nname = "Hall"\n')
    assert diff(old, new) == [
        Change("phones.201.name", '"Desk"', None),
        Change("phones.201.srtp", '"off"', None),
        Change("queues.sales.ring_s", "20", "30"),
        Change("phones.202.name", None, '"Hall"'),
        Change("phones.202.srtp", None, '"off"'),
    ]
    assert [str(change) for change in diff(old, new)] == [
        'phones.201.name (removed, was "Desk")',
        'phones.201.srtp (removed, was "off")',
        "queues.sales.ring_s = 30 (was 20)",
        'phones.202.name = "Hall" (new)',
        'phones.202.srtp = "off" (new)',
    ]
    assert diff(new, new) == []


# --- anything at all ------------------------------------------------------------------------

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.dates(),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=3
        )
    ),
    max_leaves=8,
)
documents = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), values, max_size=4
)


@given(documents)
def test_what_the_writer_writes_is_read_back(document: dict[str, object]) -> None:
    assert tomllib.loads(toml.write(document)) == document


@given(st.text(max_size=200))
def test_any_text_is_a_site_or_a_site_error(text: str) -> None:
    found: tuple[Problem, ...] = (Problem("", "fine"),)
    try:
        parse(text)
    except SiteError as error:
        found = error.problems
    assert found
    assert all(problem.message for problem in found)


PATHS = [
    *("office", "lines", "people", "phones", "queues", "menus", "hours", "sip", "numbering"),
    *("office.name", "lines.front", "lines.front.kind", "lines.provider.numbers"),
    *("people.maria", "queues.sales", "queues.sales.agents", "queues.sales.welcome"),
    *("menus.main.prompt", "menus.main.keys", "menus.main.keys.1", "menus.main.keys.1.go"),
    *("hours.office.mon", "hours.office.holidays", "sip.rtp_ports", "recording.announce"),
    *("pause_reasons", "numbering.outgoing", "lines.front.route", "web.hosts"),
]


@given(st.sampled_from(PATHS), values)
def test_anything_in_any_place_is_a_site_or_a_site_error(path: str, value: object) -> None:
    document = tomllib.loads(EXAMPLE.read_text("utf-8"))
    table: dict[str, object] = document
    *parents, last = path.split(".")
    for parent in parents:
        inner = table[parent]
        assert isinstance(inner, dict)
        table = inner
    table[last] = value
    found: tuple[Problem, ...] = ()
    try:
        build(document)
    except SiteError as error:
        found = error.problems
    for problem in found:
        assert problem.message
        assert "pydantic" not in problem.message
        assert str(problem).isprintable()
