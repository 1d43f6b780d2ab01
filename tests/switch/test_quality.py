"""How calls sounded: in the ledger once a leg, shown while it is poor, advice when it repeats."""

from __future__ import annotations

import msgspec
import pytest

from appliance import events as e
from appliance.ledger.quality import loss, verdict
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.switch import actions as act
from appliance.switch.snapshot import snapshot
from tests.switch.office import SESSION, Office

GOOD = p.LegQuality(
    leg=0,
    door="rtp",
    closed=True,
    packets=3000,
    lost=2,
    late=0,
    concealed=2,
    jitter_ms=1.5,
    delay_ms=20.0,
    mos=4.3,
    recent_mos=4.3,
    sent=3000,
    round_trip_ms=8.0,
    far_lost=0.0,
    far_jitter_ms=1.0,
    far_mos=4.3,
)
LOSSY = msgspec.structs.replace(GOOD, packets=2880, lost=120, mos=2.0, recent_mos=2.0)


def of(leg: int, what: p.LegQuality, closed: bool = True) -> p.LegQuality:
    return msgspec.structs.replace(what, leg=leg, closed=closed)


def talking(office: Office, call: str = "in1") -> tuple[int, int]:
    office.incoming(call, "102", sip.Source("phone", "101"))
    office.sip(sip.Answered(office.last(act.SipInvite).sip, SESSION))
    office.talk()
    bridge = office.last(p.Bridge)
    return bridge.a, bridge.b


def office_with_phones() -> Office:
    office = Office()
    for extension in ("101", "102"):
        office.sip(sip.Registered(extension, 1, "192.0.2.50:5060"))
    return office


def shown(office: Office) -> list[str | None]:
    live = snapshot(office.w, seq=1, now=office.now, ready=True, facts=0)
    return [call.poor for call in live.calls]


def test_each_leg_is_written_once_after_the_call() -> None:
    office = office_with_phones()
    a, b = talking(office)
    office.media(of(a, GOOD, closed=False))
    assert not office.all(e.LegQuality)
    office.sip(sip.HungUp("in1", "normal"))
    for _ in range(2):
        office.media(of(a, GOOD))
        office.media(of(b, LOSSY))
    written = office.all(e.LegQuality)
    assert [(f.party, f.lost, f.mos) for f in written] == [
        ("phone:101", 2, 4.3),
        ("phone:102", 120, 2.0),
    ]
    assert {f.call for f in written} == {office.last(e.CallOpened).call}


def test_a_leg_that_was_never_heard_is_not_written() -> None:
    office = office_with_phones()
    office.incoming("in1", "102", sip.Source("phone", "101"))
    leg = office.last(p.OpenRtp).leg
    office.sip(sip.Cancelled("in1"))
    office.media(of(leg, msgspec.structs.replace(GOOD, packets=0)))
    assert not office.all(e.LegQuality)


def test_a_running_call_is_shown_as_poor_and_as_good_again() -> None:
    office = office_with_phones()
    a, b = talking(office)
    office.media(of(a, GOOD, closed=False))
    assert shown(office) == [None]
    office.media(of(b, LOSSY, closed=False))
    assert shown(office) == ["phone:102"]
    office.media(of(b, GOOD, closed=False))
    assert shown(office) == [None]


def test_what_is_known_when_the_audio_process_dies_is_written() -> None:
    office = office_with_phones()
    a, _ = talking(office)
    office.media(of(a, LOSSY, closed=False))
    office.switch.media_lost(office.now)
    office._take()
    assert [f.party for f in office.all(e.LegQuality)] == ["phone:101"]
    office.switch.media_up(office.now)
    office._take()
    office.sip(sip.HungUp("in1", "normal"))
    office.media(of(a, GOOD))
    assert [f.mos for f in office.all(e.LegQuality)] == [2.0, 4.3]


def test_a_phone_that_is_poor_again_and_again_gets_advice_until_it_is_better() -> None:
    office = office_with_phones()
    for number in range(8):
        a, b = talking(office, f"in{number}")
        office.sip(sip.HungUp(f"in{number}", "normal"))
        office.media(of(a, GOOD))
        office.media(of(b, LOSSY if number < 3 else GOOD))
        alarm = office.w.alarms.get("quality:phone:102")
        assert (alarm is not None) == (2 <= number <= 4)
        if alarm is not None:
            assert alarm.severity == "warning"
            assert alarm.detail == "Phone 102: 4 % of what it sends is lost."
            assert "cable" in alarm.advice
    assert not [key for key in office.w.alarms if key.startswith("quality:")]


def test_short_calls_say_nothing_about_a_phone() -> None:
    office = office_with_phones()
    for number in range(4):
        _, b = talking(office, f"in{number}")
        office.sip(sip.HungUp(f"in{number}", "normal"))
        office.media(of(b, msgspec.structs.replace(LOSSY, packets=200)))
    assert not [key for key in office.w.alarms if key.startswith("quality:")]


@pytest.mark.parametrize(
    ("mos", "far", "expected"),
    [
        (4.4, None, "good"),
        (4.4, 3.5, "fair"),
        (3.6, 4.4, "good"),
        (3.1, 4.4, "fair"),
        (4.4, 3.0, "poor"),
    ],
)
def test_the_worse_direction_decides(mos: float, far: float | None, expected: str) -> None:
    assert verdict(mos, far) == expected


def test_late_packets_count_as_lost_and_nothing_is_no_loss() -> None:
    assert loss(90, 10, 5) == 0.15
    assert loss(0, 0, 0) == 0.0
