"""Documents of RFC 4235, read with a parser that knows nothing of how they were written."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.dialog_info import Dialog, DialogInfo
from appliance.sip.subscription import Published
from tests.sip.test_sip_subscription import subscribe
from tests.sip.wire import PHONE, US, Box, reply

NS = "{urn:ietf:params:xml:ns:dialog-info}"
ENTITY = f"sip:201@{US}"
CALL = Dialog("leg7", "recipient", "early", "5550123")


def test_a_phone_hears_of_a_colleague_at_once_and_of_each_change() -> None:
    box = Box()
    box.do("publish", "dialog", "201", Published(DialogInfo()))
    accepted, first = subscribe(box, event="dialog", number="201")
    assert accepted.status == 200
    assert first.get("content-type") == "application/dialog-info+xml"
    root = xml.fromstring(first.body)
    assert (root.tag, root.attrib["state"], root.attrib["entity"]) == (
        f"{NS}dialog-info",
        "full",
        ENTITY,
    )
    assert len(root) == 0
    box.feed(reply(first, 200), PHONE)
    [second] = box.do("publish", "dialog", "201", Published(DialogInfo((CALL,))))
    again = xml.fromstring(second.body)
    assert int(again.attrib["version"]) == int(root.attrib["version"]) + 1
    assert again.find(f"{NS}dialog/{NS}state") is not None


def test_a_lamp_that_is_none_is_not_found() -> None:
    assert [one.status for one in subscribe(Box(), event="dialog", number="299")] == [404]


def test_an_element_has_what_the_schema_wants_in_its_order() -> None:
    """RFC 4235 section 4.4: state, then duration, replaces, referred-by, local, remote."""
    held = Dialog("leg7", "initiator", "confirmed", None, held=True)
    root = xml.fromstring(DialogInfo((CALL, held)).body(3, ENTITY))
    assert root.attrib["version"] == "3"
    ringing, talking = root
    assert ringing.attrib == {"id": "leg7", "direction": "recipient"}
    assert [one.tag.removeprefix(NS) for one in ringing] == ["state", "local", "remote"]
    assert ringing.findtext(f"{NS}state") == "early"
    assert ringing.findtext(f"{NS}local/{NS}identity") == ENTITY
    assert ringing.findtext(f"{NS}remote/{NS}identity") == f"sip:5550123@{US}"
    assert talking.findtext(f"{NS}remote/{NS}identity") == "sip:anonymous@anonymous.invalid"
    param = talking.find(f"{NS}local/{NS}target/{NS}param")
    assert param is not None
    assert param.attrib == {"pname": "+sip.rendering", "pvalue": "no"}


@given(st.text(), st.text())
def test_whatever_a_caller_calls_themselves_it_is_still_xml(number: str, entity: str) -> None:
    clean = "".join(char for char in entity if char.isprintable() and ord(char) < 0xD800)
    text = DialogInfo(
        (Dialog("x", "recipient", "early", number.encode("utf-8", "replace").decode()),)
    )
    root = xml.fromstring(text.body(0, f"sip:{clean}@h"))
    assert root.attrib["entity"] == f"sip:{clean}@h"
