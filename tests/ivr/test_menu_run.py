"""What one caller hears and what the keys do."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from appliance.events import IvrIn, IvrKey, IvrOut
from appliance.ivr import MenuRun
from appliance.ivr.actions import Go, Hush, Say
from appliance.ivr.run import LONGEST_SAY_MS, MAX_HOPS, MAX_KEYS
from appliance.ivr.scene import Scene
from appliance.ivr.steps import INTER_DIGIT_MS
from appliance.site.model import Menu, Prompt
from appliance.site.routes import Route

T = TypeVar("T")
SALES = Route("queue", "sales")


def menu(keys: dict[str, object], **rules: object) -> Menu:
    """Keys as `{"1": "queue:sales"}` or `{"1": {"go": ..., "say": ...}}`."""
    full = {key: go if isinstance(go, dict) else {"go": go} for key, go in keys.items()}
    return Menu.model_validate(
        {"prompt": {"text": "Welcome."}, "keys": full, "default": "queue:sales", **rules}
    )


MAIN = menu(
    {
        "1": "queue:sales",
        "2": {"go": "menu:more", "say": {"text": "More."}},
        "3": {"go": "repeat", "say": {"text": "The address."}},
        "9": "hangup",
        "12": "phone:201",
    },
    invalid={"text": "No such key."},
    tries=2,
)
MORE = menu({"1": "phone:202", "0": "menu:main"}, prompt={"text": "More."}, timeout_s=3)
MENUS = {"main": MAIN, "more": MORE}


class Caller:
    """A run with its clock."""

    def __init__(self, menus: dict[str, Menu] | None = None, is_open: bool = True) -> None:
        self.now = 1_000_000
        scene = Scene(menus or MENUS, lambda _hours, _now: is_open)
        self.run = MenuRun(scene, "call1", Route("menu", "main"))
        self.log: list[object] = []
        self.took(self.run.start(self.now))

    def took(self, out: list[object] | object) -> list[object]:
        assert isinstance(out, list)
        self.log.extend(out)
        return out

    def key(self, digit: str) -> list[object]:
        return self.took(self.run.key(digit, self.now))

    def heard_out(self) -> list[object]:
        """What plays is played to its end."""
        return self.took(self.run.played(self.all(Say)[-1].token, self.now))

    def silent(self) -> list[object]:
        """Silence until the next deadline."""
        due = self.run.next_deadline()
        assert due is not None
        assert due > self.now
        self.now = due
        return self.took(self.run.tick(self.now))

    def all(self, kind: type[T]) -> list[T]:
        return [each for each in self.log if isinstance(each, kind)]

    def heard(self) -> list[list[str | None]]:
        return [[prompt.text for prompt in say.prompts] for say in self.all(Say)]

    def went(self) -> Route | None:
        gone = self.all(Go)
        assert len(gone) <= 1
        return gone[0].route if gone else None

    def out(self) -> IvrOut:
        (left,) = self.all(IvrOut)
        return left


def test_a_caller_hears_the_menu_and_chooses_after_it() -> None:
    caller = Caller()
    assert [type(each) for each in caller.log] == [IvrIn, Say]
    caller.heard_out()
    caller.key("9")
    assert caller.went() == Route("hangup")
    assert [(k.menu, k.key, k.valid) for k in caller.all(IvrKey)] == [("main", "9", True)]
    assert (caller.out().result, caller.out().target) == ("hangup", None)


def test_a_key_stops_the_prompt() -> None:
    caller = Caller()
    out = caller.key("9")
    assert isinstance(out[0], Hush)
    assert caller.went() == Route("hangup")


def test_the_end_of_a_stopped_prompt_means_nothing_any_more() -> None:
    caller = Caller()
    caller.key("7")
    assert caller.heard() == [["Welcome."], ["No such key.", "Welcome."]]
    assert caller.run.played(1, caller.now) == []
    assert caller.run.next_deadline() == caller.now + LONGEST_SAY_MS


def test_a_key_that_may_go_on_waits_for_the_next_digit() -> None:
    caller = Caller()
    caller.key("1")
    assert caller.went() is None
    assert caller.run.next_deadline() == caller.now + INTER_DIGIT_MS
    caller.silent()
    assert caller.went() == SALES
    assert (caller.out().result, caller.out().target) == ("queue", "sales")


def test_a_longer_key_is_taken_as_soon_as_it_is_complete() -> None:
    caller = Caller()
    caller.key("1")
    caller.now += 500
    caller.key("2")
    assert caller.went() == Route("phone", "201")
    assert [key.key for key in caller.all(IvrKey)] == ["12"]


def test_digits_that_fit_nothing_together_are_invalid() -> None:
    caller = Caller()
    caller.key("1")
    caller.key("9")
    assert [(key.key, key.valid) for key in caller.all(IvrKey)] == [("19", False)]
    assert caller.went() is None


def test_silence_plays_the_menu_again_and_then_takes_the_default() -> None:
    caller = Caller()
    caller.heard_out()
    assert caller.run.next_deadline() == caller.now + 5000
    caller.silent()
    assert caller.heard() == [["Welcome."], ["Welcome."]]
    caller.heard_out()
    caller.silent()
    assert caller.went() == SALES
    assert caller.out().result == "queue"


def test_wrong_keys_use_up_the_tries_too() -> None:
    caller = Caller()
    caller.key("7")
    caller.key("8")
    assert caller.went() == SALES
    assert [key.valid for key in caller.all(IvrKey)] == [False, False]


def test_a_nested_menu_has_its_own_keys_and_timeout() -> None:
    caller = Caller()
    caller.key("2")
    assert caller.heard()[-1] == ["More."]
    caller.heard_out()
    assert caller.run.menu == "more"
    caller.heard_out()
    assert caller.run.next_deadline() == caller.now + 3000
    caller.key("1")
    assert caller.went() == Route("phone", "202")
    assert caller.out().menu == "more"
    assert len(caller.all(IvrIn)) == 1, "one flow, whatever the number of menus"


def test_keys_ahead_cut_through_sentences_and_menus() -> None:
    caller = Caller()
    caller.key("2")
    caller.key("1")
    assert caller.went() == Route("phone", "202")
    assert caller.run.menu == "more"


def test_repeat_plays_again_without_using_up_a_try() -> None:
    caller = Caller()
    for _ in range(5):
        caller.key("3")
        assert caller.heard()[-1] == ["The address."]
        caller.heard_out()
        assert caller.heard()[-1] == ["Welcome."]
    assert caller.went() is None


def test_a_caller_who_hangs_up_leaves_one_outcome() -> None:
    caller = Caller()
    caller.took(caller.run.gone(caller.now))
    assert caller.out().result == "abandoned"
    assert caller.run.over
    assert caller.run.next_deadline() is None
    for out in (
        caller.run.gone(caller.now),
        caller.key("1"),
        caller.run.played(1, caller.now),
        caller.run.tick(caller.now + 10**9),
    ):
        assert out == []


def test_a_prompt_whose_end_is_never_reported_does_not_hold_the_caller() -> None:
    caller = Caller()
    assert any(isinstance(each, Hush) for each in caller.silent())
    caller.silent()
    assert caller.heard() == [["Welcome."], ["Welcome."]]


def test_closed_says_so_and_takes_its_own_way() -> None:
    closed = menu({}, hours="office", closed={"text": "Closed."}, closed_go="phone:201")
    caller = Caller({"main": closed}, is_open=False)
    assert caller.heard() == [["Closed."]]
    caller.heard_out()
    assert caller.went() == Route("phone", "201")
    assert (caller.out().result, caller.out().target) == ("closed", "phone:201")


def test_closed_without_words_of_its_own_is_never_a_silent_hang_up() -> None:
    caller = Caller({"main": menu({}, hours="office")}, is_open=False)
    assert caller.heard() == [["We are closed now. Please call again during our opening hours."]]
    caller.heard_out()
    assert caller.went() == Route("hangup")


def test_open_hours_play_the_menu() -> None:
    caller = Caller({"main": menu({}, hours="office")}, is_open=True)
    assert caller.heard() == [["Welcome."]]


def test_menus_that_lead_to_each_other_by_themselves_end() -> None:
    """The linter refuses such a document; the line is not lost even so."""
    silent = {"hours": "office", "closed_go": "menu:main"}
    caller = Caller({"main": menu({}, **silent)}, is_open=False)
    assert caller.out().result == "closed"
    assert caller.went() == Route("hangup")
    round_trip = Caller({"main": menu({}, tries=1, default="menu:main")})
    for _ in range(MAX_HOPS):
        round_trip.heard_out()
        round_trip.silent()
    assert round_trip.went() == Route("hangup")


def test_a_stuck_key_does_not_hold_the_line() -> None:
    caller = Caller()
    for _ in range(2 * MAX_KEYS):
        caller.key("3")
    assert caller.went() == Route("hangup")


def test_what_is_no_key_is_ignored() -> None:
    caller = Caller()
    for garbage in ("", "A", "12", "x", "\n"):
        assert caller.key(garbage) == []


step = st.one_of(
    st.sampled_from("0123456789*#").map(lambda digit: ("key", digit)),
    st.just(("played", "")),
    st.just(("silent", "")),
    st.integers(1, 3000).map(lambda ms: ("wait", str(ms))),
)


@given(st.lists(step, max_size=60), st.booleans())
def test_whatever_the_caller_does_there_is_one_way_in_and_one_way_out(
    steps: list[tuple[str, str]], is_open: bool
) -> None:
    menus = {**MENUS, "main": MAIN.model_copy(update={"hours": "office"})}
    caller = Caller(menus, is_open)
    for what, detail in steps:
        if caller.run.over:
            break
        match what:
            case "key":
                caller.key(detail)
            case "played":
                caller.heard_out()
            case "silent":
                caller.silent()
            case "wait":
                due = caller.run.next_deadline()
                assert due is not None, "a run that is not over always has a deadline"
                caller.now = min(due, caller.now + int(detail))
                caller.took(caller.run.tick(caller.now))
    for _ in range(60):
        if caller.run.over:
            break
        caller.silent()
    assert caller.run.over, "a caller who does nothing more gets somewhere"
    assert len(caller.all(IvrIn)) == len(caller.all(IvrOut)) == len(caller.all(Go)) == 1
    assert isinstance(caller.log[-1], Go)
    tokens = [say.token for say in caller.all(Say)]
    assert tokens == list(range(1, len(tokens) + 1))
    assert all(isinstance(prompt, Prompt) for say in caller.all(Say) for prompt in say.prompts)
