"""Lines on which callers are hard to understand are told of, with what to do about it."""

from __future__ import annotations

import tomllib

from appliance.live import LiveAlarm
from appliance.media import protocol as p
from appliance.site.effect import effective
from appliance.site.model import Site
from tests.switch.office import SITE, Office

KEY = "loudness:l1"


def document(agc: bool) -> Site:
    setting = f"[lines.l1]\nagc = {str(agc).lower()}\n"
    return Site.model_validate(tomllib.loads(SITE.replace("[lines.l1]\n", setting)))


def office(agc: bool = True) -> Office:
    return Office(document(agc))


def call(made: Office, level: float | None, seconds: int = 10) -> LiveAlarm | None:
    """Somebody calls on the line and speaks so loud; the alarm afterwards."""
    made.media(p.LineRinging("l1"))
    made.media(p.LineCallerId("l1", None, None, "missing"))
    made.media(p.LineOffHook("l1"))
    leg = made.last(p.OpenLine).leg
    assert made.last(p.Listen).level
    for _ in range(seconds):
        made.media(p.LegLevel(leg, level, speaking=level is not None))
    made.media(p.LineHungUp("l1", "dle"))
    return made.w.alarms.get(KEY)


def test_one_quiet_caller_is_no_matter_of_the_line() -> None:
    made = office(agc=False)
    assert [call(made, level) for level in (-36, -18, -20, -36, -18)] == [None] * 5


def test_a_quiet_line_without_level_control_is_told_to_have_it() -> None:
    made = office(agc=False)
    assert call(made, -34) is None
    assert call(made, -33) is None
    alarm = call(made, -35)
    assert alarm is not None
    assert "hard to hear" in alarm.title
    assert "agc = true" in alarm.advice


def test_what_level_control_mends_is_no_problem_and_what_it_cannot_is_the_lines() -> None:
    made = office()
    assert [call(made, -34) for _ in range(3)] == [None] * 3
    made = office()
    alarm = [call(made, -44) for _ in range(3)][-1]
    assert alarm is not None
    assert "telephone company" in alarm.advice


def test_a_line_that_is_too_loud_is_told_and_the_word_is_taken_back() -> None:
    made = office()
    alarm = [call(made, -5) for _ in range(3)][-1]
    assert alarm is not None
    assert "distorted" in alarm.title
    assert [call(made, -18) for _ in range(3)][-1] is None


def test_silence_and_a_few_words_tell_nothing() -> None:
    made = office()
    for _ in range(3):
        call(made, None, 60)
        call(made, -50, 9)
    assert KEY not in made.w.alarms
    assert not made.w.loudness.calls


def test_levels_of_legs_that_are_gone_are_forgotten() -> None:
    made = office()
    for _ in range(20):
        call(made, -20, 5)
    made.media(p.LegLevel(999_999, -20.0, speaking=True))
    assert len(made.w.loudness.now) <= 2


def test_a_line_that_was_set_otherwise_is_judged_anew() -> None:
    made = office(agc=False)
    assert [call(made, -34) for _ in range(3)][-1] is not None
    made.switch.reform(effective(made.w.site, document(agc=True)), made.now)
    assert KEY not in made.w.alarms
    assert [call(made, -34) for _ in range(4)] == [None] * 4
