"""Steps on a call: the switch carries out what they want and keeps the caller's language."""

from __future__ import annotations

from appliance.media import protocol as p
from appliance.switch import actions as act
from tests.switch.office import Office, site

STEPS = """
[lines.l3]
kind = "modem"
name = "Line 3"
device = "/dev/l3"
route = "step:tongue"
[steps.tongue]
kind = "language"
keys = { 1 = "ro", 2 = "en" }
go = "step:who"
[steps.who]
kind = "lookup"
url = "http://192.0.2.7/who"
go = "step:fork"
failed = "queue:sales"
[steps.fork]
kind = "branch"
cases = [{ name = "level", equals = ["gold"], go = "phone:101" }]
default = "queue:sales"
"""


def asked(office: Office) -> act.AskProgram:
    (one,) = [each for each in office.actions if isinstance(each, act.AskProgram)]
    return one


def ringing() -> Office:
    office = Office(site(STEPS))
    office.media(p.LineRinging("l3"))
    office.media(p.LineCallerId("l3", "+40721555014"))
    office.media(p.LineOffHook("l3"))
    return office


def leg(office: Office) -> int:
    (call,) = office.w.calls.values()
    return call.a.id


def test_a_caller_who_chose_a_language_is_spoken_to_in_it_until_the_end() -> None:
    office = ringing()
    office.media(p.Key(leg(office), "1", "inband"))
    (call,) = office.w.calls.values()
    assert call.language == "ro"
    assert asked(office).body["language"] == "ro"
    office.switch.program_answered(call.id, asked(office).token, {"level": "none"}, office.now)
    office.wait(0)
    spoken = [each for each in office.actions if isinstance(each, act.Speak)]
    assert call.queue == "sales"
    assert {each.language for each in spoken[1:]} == {"ro"}
    assert "Toți operatorii noștri sunt ocupați. Vă rugăm să rămâneți pe fir." in [
        each.prompts[0].text for each in spoken
    ]


def test_an_answer_for_a_call_that_is_over_is_dropped() -> None:
    office = ringing()
    office.media(p.Key(leg(office), "2", "inband"))
    (call,) = office.w.calls.values()
    token = asked(office).token
    office.media(p.LineHungUp("l3", "tone"))
    assert not office.w.calls
    office.switch.program_answered(call.id, token, {"level": "gold"}, office.now)
    assert not office.w.calls
