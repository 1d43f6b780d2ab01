"""The steps between menus, each as a caller meets it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from appliance.events import IvrIn, IvrKey, IvrOut
from appliance.ivr.actions import Ask, Go, Hush, Say, Speaks
from appliance.ivr.run import MenuRun
from appliance.ivr.scene import QueueNow, Scene
from appliance.ivr.steps import luhn
from appliance.site.model import Language, Menu, Step
from appliance.site.routes import Route, parse_route

T = TypeVar("T")
STEPS: TypeAdapter[dict[str, Step]] = TypeAdapter(dict[str, Step])
ZONE = ZoneInfo("Europe/Bucharest")
NOON = int(datetime(2026, 11, 25, 12, 0, tzinfo=ZONE).timestamp() * 1000)
MAIN = Menu.model_validate(
    {
        "prompt": {"texts": {"en": "Press one.", "ro": "Apăsați unu."}},
        "keys": {"1": {"go": "queue:sales"}},
        "default": "queue:sales",
    }
)


class Caller:
    """One caller at a step, with a clock."""

    def __init__(
        self, steps: Mapping[str, object], first: str = "step:first", **scene: Any
    ) -> None:
        self.now = NOON
        self.scene = Scene(
            {"main": MAIN},
            scene.pop("is_open", lambda _hours, _now: True),
            STEPS.validate_python(steps),
            zone=ZONE,
            **scene,
        )
        self.run = MenuRun(self.scene, "c1", parse_route(first))
        self.log: list[object] = []
        self.took(self.run.start(self.now))

    def took(self, out: list[Any]) -> None:
        self.log.extend(out)

    def keys(self, digits: str) -> None:
        for digit in digits:
            self.took(self.run.key(digit, self.now))

    def heard_out(self) -> None:
        self.took(self.run.played(self.all(Say)[-1].token, self.now))

    def silent(self) -> None:
        due = self.run.next_deadline()
        assert due is not None
        self.now = max(self.now, due)
        self.took(self.run.tick(self.now))

    def answer(self, values: dict[str, str] | None) -> None:
        self.took(self.run.answered(self.all(Ask)[-1].token, values, self.now))

    def all(self, kind: type[T]) -> list[T]:
        return [each for each in self.log if isinstance(each, kind)]

    def said(self) -> list[str]:
        return [prompt.text or prompt.file or "" for say in self.all(Say) for prompt in say.prompts]

    def went(self) -> str | None:
        gone = self.all(Go)
        assert len(gone) <= 1
        return str(gone[0].route) if gone else None


# --- say and news ---------------------------------------------------------------------------


def test_a_saying_goes_on_when_it_is_over() -> None:
    caller = Caller({"first": {"kind": "say", "prompt": {"text": "Hello."}, "go": "queue:sales"}})
    assert caller.went() is None
    caller.heard_out()
    assert caller.went() == "queue:sales"
    assert [out.result for out in caller.all(IvrOut)] == ["queue"]


def test_values_are_said_in_words_in_the_callers_language() -> None:
    steps = {
        "first": {
            "kind": "say",
            "prompt": {
                "texts": {
                    "en": "It is {now:time}, {today:date}. You call from {caller:digits}.",
                    "ro": "Este {now:time}.",
                }
            },
            "go": "hangup",
        }
    }
    assert Caller(steps, caller="+40721").said() == [
        "It is noon, Wednesday, the twenty-fifth of November, two thousand and twenty-six."
        " You call from plus four zero, seven two one."
    ]
    assert Caller(steps, language="ro").said() == ["Este ora douăsprezece."]


def test_a_key_that_cuts_a_saying_short_is_meant_for_the_menu_behind_it() -> None:
    caller = Caller({"first": {"kind": "say", "prompt": {"text": "Hello."}, "go": "menu:main"}})
    caller.keys("1")
    assert caller.went() == "queue:sales"


def test_news_are_told_on_their_days_only() -> None:
    steps = {
        "first": {
            "kind": "news",
            "go": "queue:sales",
            "items": [
                {"prompt": {"text": "Old."}, "last": "2026-11-24"},
                {"prompt": {"text": "Today."}, "first": "2026-11-25", "last": "2026-11-25"},
                {"prompt": {"text": "Always."}},
                {"prompt": {"text": "Tomorrow."}, "first": "2026-11-26"},
            ],
        }
    }
    assert Caller(steps).said() == ["Today.", "Always."]
    quiet = {"first": {**steps["first"], "items": []}}
    assert Caller(quiet).went() == "queue:sales"


# --- language -------------------------------------------------------------------------------

LANGUAGES = {
    "first": {"kind": "language", "keys": {"1": "ro", "2": "en"}, "tries": 2, "go": "menu:main"}
}


def test_a_caller_chooses_the_language_of_what_follows() -> None:
    caller = Caller(LANGUAGES)
    assert caller.said() == ["Pentru limba română apăsați unu.", "For English press two."]
    caller.keys("1")
    assert [one.language for one in caller.all(Speaks)] == ["ro"]
    assert caller.said()[-1] == "Apăsați unu."


def test_who_chooses_no_language_goes_on_in_that_of_the_office() -> None:
    caller = Caller(LANGUAGES)
    for _ in range(2):
        caller.heard_out()
        caller.silent()
    assert caller.said()[-1] == "Press one."
    assert not caller.all(Speaks)


# --- digits ---------------------------------------------------------------------------------


def collect(**rules: object) -> dict[str, object]:
    return {
        "first": {
            "kind": "collect",
            "name": "order",
            "prompt": {"text": "Your order number?"},
            "invalid": {"text": "That is no order."},
            "min_digits": 3,
            "max_digits": 6,
            "tries": 2,
            "go": "step:told",
            "failed": "queue:sales",
            **rules,
        },
        "told": {"kind": "say", "prompt": {"text": "Order {order:digits}."}, "go": "hangup"},
    }


@pytest.mark.parametrize("keys", ["1234#", "123456"])
def test_digits_end_with_the_hash_key_or_when_there_are_enough(keys: str) -> None:
    caller = Caller(collect())
    caller.keys(keys)
    assert caller.run.values == {"order": keys.rstrip("#")}
    assert caller.said()[-1].startswith("Order one two three")


def test_silence_ends_an_entry_too() -> None:
    caller = Caller(collect())
    caller.keys("4321")
    caller.silent()
    assert caller.run.values == {"order": "4321"}


def test_a_wrong_entry_is_asked_for_again_and_then_leads_to_a_person() -> None:
    caller = Caller(collect())
    caller.keys("12#")
    assert caller.said()[-2:] == ["That is no order.", "Your order number?"]
    caller.keys("12#")
    assert caller.went() == "queue:sales"
    assert [(key.key, key.valid) for key in caller.all(IvrKey)] == [("12", False), ("12", False)]


def test_a_card_number_is_checked_and_never_written_down() -> None:
    caller = Caller(collect(check="luhn", secret=True, min_digits=16, max_digits=16))
    caller.keys("4539578763621487")
    assert [(key.key, key.valid) for key in caller.all(IvrKey)] == [("*" * 16, False)]
    caller.keys("4539578763621486")
    assert caller.run.values == {"order": "4539578763621486"}
    assert all("4539" not in repr(fact) for fact in caller.all(IvrKey))


def test_luhn_finds_a_changed_digit_and_swapped_neighbours() -> None:
    assert luhn("79927398713")
    assert luhn("4539578763621486")
    for place in range(11):
        changed = list("79927398713")
        changed[place] = str((int(changed[place]) + 3) % 10)
        assert not luhn("".join(changed))
    assert not luhn("79923798713")
    assert not luhn("0")


# --- branches -------------------------------------------------------------------------------


def branch(*cases: dict[str, object]) -> dict[str, object]:
    return {"first": {"kind": "branch", "cases": list(cases), "default": "hangup"}}


@pytest.mark.parametrize(
    ("case", "scene", "fits"),
    [
        ({"caller": ["+40721", "+40722"]}, {"caller": "+40722555"}, True),
        ({"caller": ["+40721"]}, {"caller": "+40265"}, False),
        ({"caller": ["withheld"]}, {"caller": None}, True),
        ({"caller": ["withheld"]}, {"caller": "+4"}, False),
        ({"called": ["5550199"]}, {"called": "5550199"}, True),
        ({"called": ["5550199"]}, {"called": "5550198"}, False),
        ({"hours": "office"}, {"is_open": lambda h, _: h == "office"}, True),
        ({"closed": "office"}, {"is_open": lambda h, _: h == "office"}, False),
        ({"language": ["ro"]}, {"language": "ro"}, True),
        ({"language": ["ro"]}, {"language": "en"}, False),
        ({"queue": "sales", "waiting_from": 3}, {"queue_now": lambda *_: QueueNow(3, 0, 0)}, True),
        ({"queue": "sales", "waiting_from": 4}, {"queue_now": lambda *_: QueueNow(3, 0, 0)}, False),
        ({"queue": "sales", "ready_to": 0}, {"queue_now": lambda *_: QueueNow(0, 1, 0)}, False),
        ({"queue": "s", "wait_from_s": 60}, {"queue_now": lambda *_: QueueNow(1, 0, 60_000)}, True),
        ({"caller": ["+4"], "language": ["ro"]}, {"caller": "+40", "language": "en"}, False),
        ({"name": "order", "equals": ["1"]}, {}, False),
    ],
)
def test_a_case_fits_when_all_that_it_asks_for_holds(
    case: dict[str, object], scene: dict[str, Any], fits: bool
) -> None:
    caller = Caller(branch({**case, "go": "queue:sales"}), **scene)
    assert caller.went() == ("queue:sales" if fits else "hangup")


def test_the_first_case_that_fits_counts() -> None:
    caller = Caller(branch({"go": "queue:one"}, {"go": "queue:two"}))
    assert caller.went() == "queue:one"


@pytest.mark.parametrize(
    ("case", "fits"),
    [({"least": 10}, True), ({"most": 11.5}, False), ({"equals": ["12"]}, True), ({}, True)],
)
def test_a_case_looks_at_what_was_collected(case: dict[str, object], fits: bool) -> None:
    steps = collect(min_digits=2, go="step:which")
    steps["which"] = branch({"name": "order", "go": "queue:sales", **case})["first"]
    caller = Caller(steps)
    caller.keys("12#")
    assert caller.went() == ("queue:sales" if fits else "hangup")


# --- look-ups -------------------------------------------------------------------------------

LOOK_UP = {
    "first": {
        "kind": "lookup",
        "url": "http://192.0.2.1/balance",
        "timeout_s": 3,
        "prompt": {"text": "One moment."},
        "go": "step:told",
        "failed": "queue:sales",
    },
    "told": {
        "kind": "say",
        "prompt": {"text": "Your balance is {balance:money EUR}."},
        "go": "hangup",
    },
}


def test_the_answer_of_a_program_is_said() -> None:
    caller = Caller(LOOK_UP, caller="+40721")
    (asked,) = caller.all(Ask)
    assert (asked.url, asked.timeout_ms) == ("http://192.0.2.1/balance", 3000)
    assert asked.body == {"call": "c1", "caller": "+40721", "called": None, "language": "en"}
    caller.answer({"balance": "21.05"})
    assert caller.said() == ["One moment.", "Your balance is twenty-one euros and five cents."]


def test_no_answer_in_time_leads_on_and_a_late_one_means_nothing() -> None:
    caller = Caller(LOOK_UP)
    caller.heard_out()
    caller.silent()
    assert caller.went() == "queue:sales"
    caller.answer({"balance": "1"})
    assert len(caller.all(Go)) == 1


def test_keys_during_a_look_up_change_nothing() -> None:
    caller = Caller(LOOK_UP)
    caller.keys("123")
    assert caller.went() is None
    caller.answer(None)
    assert caller.went() == "queue:sales"


def test_only_what_is_named_is_sent() -> None:
    steps = {**collect(go="step:ask"), "ask": {**LOOK_UP["first"], "send": ["order"]}}
    caller = Caller(steps)
    caller.keys("123#")
    assert caller.all(Ask)[0].body["order"] == "123"


# --- dial by name ---------------------------------------------------------------------------

PEOPLE = {"101": "Maria Ionescu", "102": "Андрей Попов", "103": "Ștefan Marin", "104": "Ana Pop"}
DIRECTORY = {"first": {"kind": "directory", "tries": 2, "failed": "queue:sales"}}


def test_a_person_is_found_by_the_first_letters_of_either_name() -> None:
    caller = Caller(DIRECTORY, people=PEOPLE)
    caller.keys("466#")
    assert caller.said()[-1] == "For Maria Ionescu press one."
    caller.keys("1")
    assert caller.went() == "phone:101"


def test_letters_with_accents_and_cyrillic_ones_have_keys_too() -> None:
    caller = Caller(DIRECTORY, people=PEOPLE)
    caller.keys("783")
    assert caller.said()[-1] == "For Ștefan Marin press one."
    other = Caller(DIRECTORY, people=PEOPLE)
    other.keys("253")
    assert other.said()[-1] == "For Андрей Попов press one."


def test_several_of_a_name_are_chosen_by_number() -> None:
    caller = Caller(DIRECTORY, people=PEOPLE)
    caller.keys("627")
    assert caller.said()[-2:] == ["For Maria Ionescu press one.", "For Ștefan Marin press two."]
    caller.keys("2")
    assert caller.went() == "phone:103"


def test_who_finds_nobody_reaches_a_person_after_all() -> None:
    caller = Caller(DIRECTORY, people=PEOPLE)
    caller.keys("999")
    assert "There is nobody of that name." in caller.said()
    caller.keys("9")
    assert caller.went() == "queue:sales"


# --- whatever happens -----------------------------------------------------------------------

ALL: dict[str, object] = {
    "first": {"kind": "language", "keys": {"1": "ro", "12": "bg"}, "go": "step:news"},
    "news": {"kind": "news", "items": [{"prompt": {"text": "New."}}], "go": "step:ask"},
    "ask": {**collect()["first"], "go": "step:look", "failed": "step:name"},  # type: ignore[dict-item]
    "look": {**LOOK_UP["first"], "go": "step:fork", "failed": "step:name"},
    "fork": {
        "kind": "branch",
        "cases": [{"name": "balance", "least": 5, "go": "menu:main"}],
        "default": "step:first",
    },
    "name": {"kind": "directory", "tries": 2, "failed": "step:round"},
    "round": {"kind": "say", "prompt": {"text": "Again."}, "go": "step:first"},
}
EVENT = st.one_of(
    st.sampled_from("0123456789*#"),
    st.just("silence"),
    st.just("heard"),
    st.sampled_from(["balance=9", "balance=1", "balance=x", "failed"]),
)


@settings(max_examples=300)
@given(st.lists(EVENT, max_size=120), st.sampled_from(["en", "ro", "zh", "fa"]))
def test_nothing_that_a_caller_does_breaks_a_run(events: list[str], language: Language) -> None:
    caller = Caller(ALL, people=PEOPLE, language=language)
    for event in events:
        if caller.run.over:
            break
        if event == "silence":
            caller.silent()
        elif event == "heard":
            if caller.all(Say):
                caller.heard_out()
        elif event == "failed" or "=" in event:
            if caller.all(Ask):
                name, _, value = event.partition("=")
                caller.answer({name: value} if value else None)
        else:
            caller.keys(event)
        assert caller.run.over or caller.run.next_deadline() is not None
    # Silence alone always leads out.
    for _ in range(200):
        if caller.run.over:
            break
        caller.silent()
    assert caller.run.over
    assert len(caller.all(IvrIn)) == len(caller.all(IvrOut)) == len(caller.all(Go)) == 1
    assert not caller.run.key("1", caller.now)
    assert all(prompt.text or prompt.file for say in caller.all(Say) for prompt in say.prompts)
    assert len(caller.all(Hush)) <= len(caller.all(Say))


def test_a_step_that_is_not_there_ends_the_call_politely() -> None:
    caller = Caller({}, first="step:gone")
    assert caller.all(Go)[0].route == Route("hangup")
