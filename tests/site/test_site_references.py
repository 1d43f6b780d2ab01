"""Tables that are right by themselves have to fit together."""

from __future__ import annotations

import pytest

from appliance.site.load import build
from appliance.site.model import Site
from appliance.site.problems import SiteError
from appliance.site.routes import Route, parse_route
from appliance.site.shown import lint

BASE: dict[str, dict[str, object]] = {
    "lines": {
        "one": {"kind": "modem", "name": "1", "device": "/dev/a", "route": "menu:main"},
        "sip": {"kind": "trunk", "name": "2", "host": "h", "route": "queue:sales"},
    },
    "people": {
        "maria": {"name": "Maria", "extension": "101"},
        "ion": {"name": "Ion", "extension": "102", "phone": "201", "door": "phone"},
    },
    "phones": {"201": {"name": "Desk"}},
    "queues": {"sales": {"name": "Sales", "extension": "301", "agents": ["maria", "ion"]}},
    "menus": {
        "main": {
            "prompt": {"text": "Hi."},
            "keys": {"1": {"go": "queue:sales"}},
            "default": "queue:sales",
        }
    },
    "hours": {"office": {"mon": ["09:00-17:00"]}},
    "numbering": {"outgoing": ["sip", "one"]},
}


def with_(path: str, value: object) -> dict[str, object]:
    """The base document with one value set; `/` parts the path."""

    def copy(table: dict[str, object], parts: list[str]) -> dict[str, object]:
        here = dict(table)
        if len(parts) == 1:
            here[parts[0]] = value
        else:
            inner = here.get(parts[0], {})
            assert isinstance(inner, dict)
            here[parts[0]] = copy(inner, parts[1:])
        return here

    return copy(dict(BASE), path.split("/"))


@pytest.mark.parametrize(
    ("at", "transport"), [("lines/sip", 'transport = "tls"'), ("phones/201", "sip.tls = true")]
)
def test_keys_that_anybody_could_read_are_no_encryption(at: str, transport: str) -> None:
    with pytest.raises(SiteError) as caught:
        build(with_(f"{at}/srtp", "required"))
    (problem,) = caught.value.problems
    assert problem.path == f"{at.replace('/', '.')}.srtp"
    assert transport in problem.message
    assert build(with_(f"{at}/srtp", "allowed"))


def test_encryption_may_be_required_over_tls() -> None:
    trunk = {"kind": "trunk", "name": "2", "host": "h", "route": "queue:sales"}
    secure = {**trunk, "transport": "tls", "srtp": "required"}
    line = build(with_("lines/sip", secure)).lines["sip"]
    assert line.kind == "trunk"
    assert line.port == 5061
    assert build({**with_("phones/201/srtp", "required"), "sip": {"tls": True}})


def test_the_base_document_fits() -> None:
    assert isinstance(build(BASE), Site)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [("overflow_after_s", 600, "max_wait_s"), ("overflow_waiting", 20, "max_waiting")],
)
def test_an_overflow_that_can_never_happen_is_a_slip(field: str, value: int, limit: str) -> None:
    document = with_("queues/more", {"name": "M", "overflow_to": "queue:sales", field: value})
    with pytest.raises(SiteError) as caught:
        build(document)
    (problem,) = caught.value.problems
    assert problem.path == f"queues.more.{field}"
    assert limit in problem.message


@pytest.mark.parametrize(
    ("at", "value", "path", "parts"),
    [
        ("lines/one/route", "menu:mian", "lines.one.route", ['no menu "mian"', '"main"?']),
        ("lines/one/route", "queue:x", "lines.one.route", ['no queue "x"', 'there are "sales"']),
        ("lines/one/route", "phone:999", "lines.one.route", ["no phone or person"]),
        ("queues/sales/weights", {"mara": 2}, "queues.sales.weights.mara", ["no agent", '"maria"']),
        ("queues/sales/levels", {"ion": 2, "x": 1}, "queues.sales.levels.x", ["no agent of this"]),
        ("queues/sales/overflow_to", "queue:x", "queues.sales.overflow_to", ['no queue "x"']),
        ("queues/sales/overflow_to", "site:x", "queues.sales.overflow_to", ['no other site "x"']),
        (
            "sites",
            {"n": {"name": "N", "number": "1", "lines": ["x"]}},
            "sites.n.lines[0]",
            ["no line"],
        ),
        ("people/maria/caller_id", "5550199", "people.maria.caller_id", ["no trunk may show"]),
        ("queues/sales/wrap_ups", {"x": 2}, "queues.sales.wrap_ups.x", ["no agent of this"]),
        ("queues/sales/overflow_to", "queue:sales", "queues.sales.overflow_to", ["into itself"]),
        ("queues/sales/overflow_after_s", 60, "queues.sales.overflow_to", ["say where"]),
        ("lines/one/route", "sales", "lines.one.route", ["is not a route", "queue:<id>"]),
        ("lines/one/route", "hangup", "lines.one.route", ["has no meaning here"]),
        ("lines/one/fax", "phone:x", "lines.one.fax", ["no phone or person"]),
        ("lines/sip/numbers", {"+40": "queue:y"}, 'lines.sip.numbers."+40"', ['no queue "y"']),
        ("lines/sip/registration", True, "lines.sip.username", ["user name"]),
        ("lines/two", {**BASE["lines"]["one"], "name": "x"}, "lines.two.device", ["lines.one"]),  # type: ignore[dict-item]
        ("queues/sales/agents", ["maira"], "queues.sales.agents[0]", ['did you mean "maria"?']),
        ("queues/sales/agents", ["ion", "ion"], "queues.sales.agents[1]", ["twice"]),
        ("queues/sales/then", "menu:x", "queues.sales.then", ['no menu "x"']),
        ("queues/sales/then", "repeat", "queues.sales.then", ["no meaning here"]),
        ("queues/sales/hours", "offic", "queues.sales.hours", ['did you mean "office"?']),
        ("queues/sales/extension", "201", "queues.sales.extension", ["phones.201"]),
        ("queues/sales/extension", "012", "queues.sales.extension", ["outside_prefix"]),
        ("queues/sales/extension", "112", "queues.sales.extension", ["emergency"]),
        ("menus/main/keys", {"*": {"go": "menu:x"}}, 'menus.main.keys."*".go', ['no menu "x"']),
        ("menus/main/default", "repeat", "menus.main.default", ["no meaning here"]),
        ("menus/main/closed_go", "queue:x", "menus.main.closed_go", ['no queue "x"']),
        ("menus/main/hours", "x", "menus.main.hours", ["there are no hours"]),
        ("people/ion/phone", "301", "people.ion.phone", ['no phone "301"', '"201"?']),
        ("people/maria/door", "phone", "people.maria.phone", ["which phone rings"]),
        ("people/maria/extension", "102", "people.ion.extension", ["people.maria.extension"]),
        ("numbering/outgoing", ["snip"], "numbering.outgoing[0]", ['did you mean "sip"?']),
        ("sip/rtp_ports", [16001, 16999], "sip.rtp_ports[0]", ["even"]),
        ("sip/rtp_ports", [16000, 16009], "sip.rtp_ports[1]", ["too small"]),
        ("sip/rtp_ports", [16999, 16000], "sip.rtp_ports[0]", ["even"]),
        ("sip/port", 16500, "sip.port", ["rtp_ports"]),
        ("sip", {"udp": False, "tcp": False}, "sip", ["both off"]),
        ("web/https_port", 8080, "web.https_port", ["web.http_port"]),
        ("web/http_port", 5060, "web.http_port", ["sip.port"]),
    ],
)
def test_what_does_not_fit_is_named(at: str, value: object, path: str, parts: list[str]) -> None:
    with pytest.raises(SiteError) as caught:
        build(with_(at, value))
    problem = caught.value.problems[0]
    assert problem.path == path
    for part in parts:
        assert part in problem.message


def test_who_calls_back_needs_a_line_for_calls_out() -> None:
    document = {**with_("queues/sales/callback", True), "numbering": {}}
    with pytest.raises(SiteError) as caught:
        build(document)
    (problem,) = caught.value.problems
    assert problem.path == "queues.sales.callback"
    assert "numbering.outgoing" in problem.message
    build(with_("queues/sales/callback", True))


def test_a_route_to_a_persons_extension_is_fine() -> None:
    assert build(with_("lines/one/route", "phone:101"))


def test_every_problem_of_fit_is_named_at_once() -> None:
    document = with_("queues/sales/agents", ["x", "y", "maria"])
    with pytest.raises(SiteError) as caught:
        build(document)
    assert [p.path for p in caught.value.problems] == [
        "queues.sales.agents[0]",
        "queues.sales.agents[1]",
    ]


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("menu:main", Route("menu", "main")),
        (" queue : sales ", Route("queue", "sales")),
        ("phone:201", Route("phone", "201")),
        ("hangup", Route("hangup")),
        ("repeat", Route("repeat")),
    ],
)
def test_routes_are_read(text: str, route: Route) -> None:
    assert parse_route(text) == route
    assert parse_route(str(route)) == route


@pytest.mark.parametrize("text", ["", "menu", "menu:", "hangup:", "hangup:1", "fax:1", ":", "201"])
def test_what_is_no_route_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a route"):
        parse_route(text)


STEP = {"kind": "say", "prompt": {"text": "Hi."}, "go": "hangup"}
CASE = {"go": "hangup"}


@pytest.mark.parametrize(
    ("step", "path", "part"),
    [
        ({**STEP, "go": "step:x"}, "steps.a.go", 'no step "x"; did you mean'),
        ({**STEP, "go": "repeat"}, "steps.a.go", "no meaning here"),
        (
            {"kind": "branch", "cases": [{**CASE, "queue": "saels"}], "default": "hangup"},
            "steps.a.cases[0].queue",
            'did you mean "sales"?',
        ),
        (
            {"kind": "branch", "cases": [{**CASE, "waiting_from": 1}], "default": "hangup"},
            "steps.a.cases[0].queue",
            "which queue",
        ),
        (
            {"kind": "branch", "cases": [CASE, {**CASE, "least": 1}], "default": "hangup"},
            "steps.a.cases[1].name",
            "which value",
        ),
        (
            {"kind": "branch", "cases": [{**CASE, "closed": "offic"}], "default": "hangup"},
            "steps.a.cases[0].closed",
            'did you mean "office"?',
        ),
        ({**STEP, "kind": "sey"}, "steps.a", '"say" or "language"'),
        (
            {"kind": "lookup", "url": "192.0.2.1", "go": "hangup", "failed": "hangup"},
            "steps.a.url",
            "the whole address",
        ),
        ({**STEP, "prompt": {}}, "steps.a.prompt", "texts"),
    ],
)
def test_mistakes_in_steps_are_named(step: dict[str, object], path: str, part: str) -> None:
    document = with_("steps/xx", STEP)
    document["steps"]["a"] = step  # type: ignore[index]
    with pytest.raises(SiteError) as caught:
        build(document)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert part in problem.message


def test_without_a_trunk_a_number_to_be_shown_is_refused_with_advice() -> None:
    document = with_("people/maria/caller_id", "5550199")
    document["lines"] = {"one": BASE["lines"]["one"]}
    document["numbering"] = {"outgoing": ["one"]}
    with pytest.raises(SiteError) as caught:
        build(document)
    (problem,) = caught.value.problems
    assert "analog line always shows" in problem.message
    assert "by a SIP trunk" in problem.message


def test_lines_that_will_not_show_the_number_are_named() -> None:
    trunk = {"kind": "trunk", "name": "2", "host": "h", "route": "queue:sales"}
    document = with_("people/maria/caller_id", "5550199")
    document["lines"] = {
        **BASE["lines"],
        "sip": {**trunk, "caller_id": "5550199"},
        "other": trunk,
    }
    document["numbering"] = {"outgoing": ["sip", "one", "other"], "groups": {"g": ["one"]}}
    document["sites"] = {"n": {"name": "N", "number": "1", "lines": ["g"]}}
    found = lint(build(document))
    assert [one.path for one in found] == [
        "people.maria.caller_id",
        "people.maria.caller_id",
        "sites.n.lines",
    ]
    analog, trunk_s, site_s = (one.message for one in found)
    assert analog.startswith("not shown on one:")
    assert trunk_s.startswith("not shown by other,")
    assert site_s.startswith("one cannot tell")
