"""What of a changed document holds at once."""

from __future__ import annotations

import pytest

from appliance.site.effect import at_start, effective
from appliance.site.load import parse

TEXT = """
[lines.one]
kind = "modem"
name = "One"
device = "/dev/ttyACM0"
route = "queue:sales"
[lines.voip]
kind = "trunk"
name = "Provider"
host = "192.0.2.9"
route = "queue:sales"
[people.ana]
name = "Ana"
[queues.sales]
name = "Sales"
agents = ["ana"]
[phones.201]
name = "Desk"
"""


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ('name = "Sales"', 'name = "Verkauf"', []),
        ('name = "Ana"', 'name = "Anna"', []),
        ('name = "Desk"', 'name = "Table"', []),
        ("192.0.2.9", "192.0.2.10", []),
        ('"One"', '"First"', []),
        ("/dev/ttyACM0", "/dev/ttyACM1", ["lines.one.device"]),
        ("[people.ana]", "[sip]\nport = 5080\n[people.ana]", ["sip.port"]),
        ("[people.ana]", '[office]\ncountry = "ro"\n[people.ana]', ["office.country"]),
        ("[people.ana]", "[web]\nhttp_port = 8081\n[people.ana]", ["web.http_port"]),
    ],
)
def test_what_waits_for_the_next_start(old: str, new: str, paths: list[str]) -> None:
    now, wanted = parse(TEXT), parse(TEXT.replace(old, new))
    assert at_start(now, wanted) == paths
    assert (effective(now, wanted) == wanted) == (not paths)


def test_the_same_document_changes_nothing() -> None:
    assert effective(parse(TEXT), parse(TEXT)) == parse(TEXT)


def test_a_modem_that_was_taken_out_rings_nowhere_that_is_gone() -> None:
    text = TEXT[TEXT.index("[lines.voip]") :].replace("sales", "support")
    held = effective(parse(TEXT), parse(text))
    assert held.lines["one"].route == "hangup"
    assert "lines.one.device" in at_start(parse(TEXT), parse(text))


def test_a_new_modem_waits_and_a_new_trunk_does_not() -> None:
    more = """
[lines.two]
kind = "modem"
name = "Two"
device = "/dev/ttyACM1"
route = "queue:sales"
[lines.other]
kind = "trunk"
name = "Other"
host = "192.0.2.11"
route = "queue:sales"
"""
    held = effective(parse(TEXT), parse(TEXT + more))
    assert list(held.lines) == ["one", "voip", "other"]
