"""How loud people speak: measured while somebody looks, shown at a pace that can be read."""

from __future__ import annotations

import pytest

from appliance import live
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import meters
from appliance.switch.requests import Unwilling
from appliance.switch.snapshot import snapshot
from tests.switch.office import Office, site
from tests.switch.test_quality import talking

LOOK_S = meters.LOOK_MS / 1000

SUE = '[people.sue]\nname = "Sue"\nrole = "supervisor"\nextension = "205"\n'


def office_with_phones() -> Office:
    office = Office(site(SUE))
    for extension in ("101", "102"):
        office.sip(sip.Registered(extension, 1, "192.0.2.50:5060"))
    return office


def shown(office: Office) -> tuple[live.LiveLevel, ...]:
    now = snapshot(office.w, seq=1, now=office.now, ready=True, facts=0)
    return now.calls[0].levels


def look(office: Office, by: str = "sue") -> None:
    office.ask(live.LookAt(by, next(iter(office.w.calls))))


def listened(office: Office, leg: int) -> bool:
    """Whether the media process was last told to measure this leg."""
    return [c.level for c in office.commands(p.Listen) if c.leg == leg][-1:] == [True]


def test_a_call_is_measured_from_the_first_look_until_nobody_asks_any_more() -> None:
    office = office_with_phones()
    a, b = talking(office)
    assert shown(office) == ()
    assert not listened(office, a)
    look(office)
    assert listened(office, a)
    assert listened(office, b)
    assert shown(office) == (
        live.LiveLevel("phone:101", None),
        live.LiveLevel("phone:102", None),
    )
    office.wait(LOOK_S - 1)
    look(office)
    office.wait(LOOK_S - 1)
    assert listened(office, a)
    office.wait(2)
    assert not listened(office, a)
    assert not listened(office, b)
    assert shown(office) == ()


def test_what_else_is_heard_of_a_leg_stays_what_it_was() -> None:
    office = office_with_phones()
    a, _ = talking(office)
    before = [c for c in office.commands(p.Listen) if c.leg == a]
    look(office)
    office.wait(LOOK_S)
    after = [c for c in office.commands(p.Listen) if c.leg == a]
    assert (before or [p.Listen(a, keys=False)])[-1] == after[-1]


def test_levels_are_those_that_the_other_side_hears_and_move_every_five_seconds() -> None:
    office = office_with_phones()
    a, b = talking(office)
    office.media(p.LegLevel(a, -20.0, True))
    look(office)
    office.media(p.LegLevel(a, -41.0, True, gain_db=6.0))
    office.media(p.LegLevel(b, -5.0, True))
    assert [(one.dbm0, one.hint) for one in shown(office)] == [(-35, "quiet"), (-5, "loud")]
    for _ in range(20):
        office.media(p.LegLevel(a, -18.0, True))
    assert shown(office)[0].dbm0 == -35
    office.wait(meters.PACE_MS / 1000)
    office.media(p.LegLevel(a, None, False))
    assert shown(office)[0].dbm0 == -35
    office.media(p.LegLevel(a, -18.0, True))
    assert shown(office)[0] == live.LiveLevel("phone:101", -18)


def test_agents_look_at_their_own_call_only() -> None:
    office = office_with_phones()
    talking(office)
    with pytest.raises(Unwilling):
        look(office, "ana")
    with pytest.raises(Unwilling):
        office.ask(live.LookAt("sue", "another"))
