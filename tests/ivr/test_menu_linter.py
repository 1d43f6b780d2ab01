"""What the linter refuses and what it warns of."""

from __future__ import annotations

import pytest

from appliance.ivr.linter import lint, speech_s
from appliance.site.load import build
from appliance.site.model import Site


def site(menus: dict[str, object], **tables: object) -> Site:
    """An office whose one line leads to the menu `main`."""
    return build(
        {
            "lines": {
                "one": {
                    "kind": "modem",
                    "name": "One",
                    "device": "/dev/ttyACM0",
                    "route": "menu:main",
                }
            },
            "people": {"maria": {"name": "Maria"}},
            "queues": {"sales": {"name": "Sales", "agents": ["maria"]}},
            "phones": {"201": {"name": "Desk"}},
            "menus": menus,
            **tables,
        }
    )


def menu(keys: dict[str, str], default: str = "queue:sales", **rules: object) -> dict[str, object]:
    return {
        "prompt": {"text": "Welcome."},
        "keys": {key: {"go": go} for key, go in keys.items()},
        "default": default,
        **rules,
    }


def findings(document: Site) -> list[tuple[str, str]]:
    return [(finding.severity, finding.path) for finding in lint(document)]


def test_a_sound_menu_has_no_findings() -> None:
    assert lint(site({"main": menu({"1": "queue:sales", "0": "phone:201"})})) == []


def test_menus_that_lead_round_by_default_are_refused() -> None:
    document = site(
        {
            "main": menu({"1": "queue:sales"}, "menu:a"),
            "a": menu({"1": "queue:sales"}, "menu:b"),
            "b": menu({"1": "queue:sales"}, "menu:main"),
        }
    )
    (found,) = lint(document)
    assert (found.severity, found.path) == ("error", "menus.b.default")
    assert "menu:main -> menu:a -> menu:b -> menu:main" in found.message


def test_a_menu_that_falls_back_to_itself_is_refused() -> None:
    assert findings(site({"main": menu({"1": "queue:sales"}, "menu:main")})) == [
        ("error", "menus.main.default")
    ]


def test_a_circle_when_closed_is_refused_only_where_there_are_hours() -> None:
    rules = menu({"1": "queue:sales"}, closed_go="menu:main")
    assert lint(site({"main": rules})) == []
    opening = {"office": {"mon": ["09:00-17:00"]}}
    assert findings(site({"main": {**rules, "hours": "office"}}, hours=opening)) == [
        ("error", "menus.main.closed_go")
    ]


def test_a_circle_through_a_queue_is_refused() -> None:
    queues = {"sales": {"name": "Sales", "agents": ["maria"], "then": "menu:main"}}
    assert findings(site({"main": menu({})}, queues=queues)) == [("error", "queues.sales.then")]


def test_a_circle_that_needs_a_key_is_fine() -> None:
    document = site(
        {"main": menu({"1": "menu:more", "2": "repeat"}), "more": menu({"9": "menu:main"})}
    )
    assert lint(document) == []


def test_a_menu_without_any_way_on_is_refused() -> None:
    found = findings(site({"main": menu({"1": "repeat", "2": "hangup"}, "hangup")}))
    assert ("error", "menus.main") in found


def test_a_queue_that_nobody_answers_is_refused_unless_it_leads_on() -> None:
    dead = {"sales": {"name": "Sales"}}
    assert findings(site({"main": menu({})}, queues=dead)) == [("error", "queues.sales.agents")]
    leads_on = {"sales": {"name": "Sales", "then": "phone:201"}}
    assert findings(site({"main": menu({})}, queues=leads_on)) == [
        ("warning", "queues.sales.agents")
    ]


def test_a_menu_without_a_way_to_a_person_is_warned_of() -> None:
    document = site(
        {"main": menu({"1": "menu:info"}), "info": menu({"1": "menu:more"}, "hangup"),
         "more": menu({"1": "menu:info"}, "hangup")}
    )  # fmt: skip
    assert findings(document) == [("warning", "menus.info"), ("warning", "menus.more")]


def test_a_fourth_level_is_warned_of() -> None:
    chain = {
        "main": menu({"1": "menu:b"}),
        "b": menu({"1": "menu:c"}),
        "c": menu({"1": "menu:d"}),
        "d": menu({"1": "queue:sales"}),
    }
    assert findings(site(chain)) == [("warning", "menus.d")]
    short_cut = {**chain, "main": menu({"1": "menu:b", "2": "menu:d"})}
    assert lint(site(short_cut)) == []


def test_a_menu_that_nothing_leads_to_is_warned_of() -> None:
    document = site({"main": menu({}), "lost": menu({"1": "queue:sales"})})
    assert findings(document) == [("warning", "menus.lost")]


@pytest.mark.parametrize(("language", "text"), [("en", "word " * 60), ("zh", "您好" * 45)])
def test_a_prompt_longer_than_20_s_is_warned_of(language: str, text: str) -> None:
    long = {"text": text, "language": language}
    document = site(
        {
            "main": {
                "prompt": long,
                "keys": {"1": {"go": "queue:sales", "say": long}},
                "default": "queue:sales",
                "invalid": long,
                "closed": long,
            }
        },
        recording={"announce": long},
    )
    assert [path for _, path in findings(document)] == [
        "menus.main.prompt",
        "menus.main.keys.1.say",
        "menus.main.invalid",
        "menus.main.closed",
        "recording.announce",
    ]


def test_the_estimate_of_a_known_sentence_is_near_its_spoken_length() -> None:
    # espeak-ng at its standard speed says this in 5.4 s.
    text = "Welcome to Casa Verde. For sales press 1, for support press 2, or just wait."
    assert 4.5 < speech_s(text, "en") < 6.5


def test_hours_without_any_open_day_are_warned_of() -> None:
    assert findings(site({"main": menu({})}, hours={"office": {}})) == [("warning", "hours.office")]


def test_thousands_of_menus_in_a_row_are_no_trouble() -> None:
    menus = {f"m{n}": menu({"1": "queue:sales"}, f"menu:m{n + 1}") for n in range(3000)}
    menus["m3000"] = menu({"1": "queue:sales"})
    document = site({"main": menu({"1": "menu:m0"}), **menus})
    assert {finding.severity for finding in lint(document)} == {"warning"}


# --- steps ----------------------------------------------------------------------------------


def step(go: str, text: str = "Hello.") -> dict[str, object]:
    return {"kind": "say", "prompt": {"text": text}, "go": go}


def through(first: str, **steps: object) -> list[tuple[str, str]]:
    """Findings of an office whose menu leads to a step."""
    menus = {"main": menu({"1": first, "0": "queue:sales"})}
    return findings(site(menus, steps=steps))


def test_steps_that_lead_on_have_no_findings() -> None:
    assert through("step:a", a=step("step:b"), b=step("queue:sales")) == []


def test_steps_that_go_round_without_a_key_are_refused() -> None:
    assert ("error", "steps.b.go") in through("step:a", a=step("step:b"), b=step("step:a"))


def test_asking_again_is_no_circle_while_a_failure_leads_out() -> None:
    ask = {"kind": "collect", "name": "n", "prompt": {"text": "?"}, "go": "step:a"}
    assert through("step:a", a={**ask, "failed": "queue:sales"}) == []
    assert ("error", "steps.a.failed") in through("step:a", a={**ask, "failed": "step:a"})


def test_a_step_that_nothing_leads_to_is_warned_of() -> None:
    assert through("queue:sales", a=step("queue:sales")) == [("warning", "steps.a")]


def test_a_way_of_steps_that_never_reaches_a_person_is_warned_of() -> None:
    assert through("step:a", a=step("hangup")) == [("warning", "steps.a")]


def test_steps_make_no_menu_deeper() -> None:
    menus = {
        "main": menu({"1": "step:a"}),
        "two": menu({"1": "menu:three"}),
        "three": menu({"1": "queue:sales"}),
    }
    assert findings(site(menus, steps={"a": step("menu:two")})) == []


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Order {order:digits}.", "warning"),
        ("{caller:money}", "error"),
        ("{caller:money XAU}", "error"),
        ("Press { now.", "warning"),
        ("{caller:digits} {today:date}", None),
    ],
)
def test_values_in_texts_are_looked_over(text: str, severity: str | None) -> None:
    found = through("step:a", a=step("queue:sales", text))
    assert found == ([] if severity is None else [(severity, "steps.a.prompt")])


def test_what_takes_long_in_one_language_is_warned_of_there() -> None:
    long = step("queue:sales")
    long["prompt"] = {"texts": {"en": "Short.", "ro": "Lung. " * 60}}
    assert through("step:a", a=long) == [("warning", "steps.a.prompt.texts.ro")]
