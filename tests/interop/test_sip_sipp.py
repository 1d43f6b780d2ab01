"""sipp at the other end: its own uac and uas, and scenarios of ours. After each nothing is left
alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.sip.core import Stats
from appliance.sip.dialog_info import Dialog, DialogInfo
from appliance.sip.events import (
    Answered,
    Cancelled,
    Digit,
    Failed,
    HungUp,
    Incoming,
    Reanswered,
    Registered,
    SipConfig,
    TrunkConfig,
    TrunkTarget,
    Unregistered,
)
from appliance.sip.sdp import make_offer
from appliance.sip.subscription import Published
from tests.interop.sipp import IN, body, recv, request, scenario, sipp
from tests.sip.office import MEDIA_PORT, Office, config_of, office

pytestmark = pytest.mark.interop
NOTHING = Stats(0, 0, 0, 0, 0)
Ports = Callable[[], int]
BYE = request("BYE", 9, IN) + recv(200)
CALL = request("INVITE", 1, sdp=body()) + recv(100, True) + recv(200) + request("ACK", 1, IN)


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_the_builtin_caller_is_answered(
    transport: str, free_port: Ports, tmp_path: Path
) -> None:
    port, own = free_port(), free_port()
    async with office(config_of(port, own)) as box:
        args = ("-sn", "uac", "-m", "50", "-r", "50", "-t", transport)
        assert await sipp(port, own, *args, folder=tmp_path) == ""
        await box.until(lambda: box.calls_ended == 50)
        assert {event.cause for event in box.of(HungUp)} == {"normal"}
        assert box.drained() == NOTHING


async def test_calls_survive_ten_percent_loss(free_port: Ports, tmp_path: Path) -> None:
    port, own = free_port(), free_port()
    # Transactions are named: the built-in caller takes a repeated 200 of INVITE for that of BYE.
    xml = scenario(
        request("INVITE", 1, sdp=body(), send='start_txn="i"'),
        recv(100, True, 'response_txn="i"'),
        recv(200, False, 'response_txn="i"'),
        request("ACK", 1, IN, send='ack_txn="i"'),
        request("BYE", 2, IN, send='start_txn="b"'),
        recv(200, False, 'response_txn="b"'),
    )
    async with office(config_of(port, own)) as box:
        args = ("-m", "60", "-r", "60", "-lost", "10")
        assert await sipp(port, own, *args, folder=tmp_path, xml=xml) == ""
        assert len(box.of(Incoming)) == 60
        await box.until(lambda: box.calls_ended == 60)
        assert box.drained() == NOTHING


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_the_builtin_callee_is_called(
    transport: str, free_port: Ports, tmp_path: Path
) -> None:
    port, own = free_port(), free_port()
    config = config_of(port)
    kind = "tcp" if transport == "t1" else "udp"
    trunk = TrunkConfig("127.0.0.1", own, kind, probe=False)  # type: ignore[arg-type]
    async with office(config) as box, asyncio.TaskGroup() as group:
        callee = group.create_task(
            sipp(port, own, "-sn", "uas", "-m", "20", "-l", "100", "-t", transport, folder=tmp_path)
        )
        await _listening(own, transport)
        await box.endpoint.reconfigure(_with_trunk(config_of(port), trunk))
        calls = [_call_out(box) for _ in range(20)]
        await box.until(lambda: len(box.of(Answered)) == 20)
        assert all(event.remote is not None for event in box.of(Answered))
        for call in calls:
            box.endpoint.hangup(call)
        assert await callee == ""
        await box.until(lambda: box.endpoint.stats().dialogs == 0)
        assert box.drained() == NOTHING


async def test_calling_out_survives_ten_percent_loss(free_port: Ports, tmp_path: Path) -> None:
    port, own = free_port(), free_port()
    config = _with_trunk(config_of(port), TrunkConfig("127.0.0.1", own, probe=False))
    async with office(config) as box, asyncio.TaskGroup() as group:
        # sipp itself goes on until its time is over: what counts is our side.
        args = ("-sn", "uas", "-l", "100", "-lost", "10", "-timeout", "90")
        callee = group.create_task(sipp(port, own, *args, folder=tmp_path))
        await _listening(own, "u1")
        calls = [_call_out(box) for _ in range(15)]
        await box.until(lambda: len(box.of(Answered)) == 15, 40)
        for call in calls:
            box.endpoint.hangup(call)
        await box.until(lambda: box.endpoint.stats().dialogs == 0, 40)
        assert box.drained() == NOTHING
        assert not box.of(Failed)
        callee.cancel()


async def test_a_trunk_that_wants_a_password_gets_it(free_port: Ports, tmp_path: Path) -> None:
    port, own = free_port(), free_port()
    xml = scenario(
        '<recv request="INVITE"></recv>',
        _answer(
            "401 Unauthorized",
            'WWW-Authenticate: Digest realm="sipp", '
            'nonce="47ebe028cda119c35d4877b383027d28da013815", qop="auth"\n',
        ),
        '<recv request="ACK"></recv>',
        '<recv request="INVITE"><action><assignstr assign_to="user" value="me"/>'
        '<verifyauth assign_to="good" username="me" password="secret"/></action></recv>',
        '<nop hide="true" test="good" next="ok"></nop>',
        _answer("403 Forbidden"),
        '<recv request="ACK" next="end"></recv>',
        '<label id="ok"/>',
        _answer("200 OK", sdp=body()),
        '<recv request="ACK"></recv>',
        '<recv request="BYE"></recv>',
        _answer("200 OK"),
        '<label id="end"/>',
        '<Reference variables="user"/>',
    )
    trunk = TrunkConfig("127.0.0.1", own, username="me", secret="secret", probe=False)
    async with office(config_of(port)) as box, asyncio.TaskGroup() as group:
        callee = group.create_task(sipp(port, own, "-m", "1", folder=tmp_path, xml=xml))
        await _listening(own, "u1")
        await box.endpoint.reconfigure(_with_trunk(config_of(port), trunk))
        call = _call_out(box)
        await box.until(lambda: bool(box.of(Answered) or box.of(Failed)))
        assert [event.call for event in box.of(Answered)] == [call]
        box.endpoint.hangup(call)
        assert await callee == ""
        assert box.drained() == NOTHING


async def test_busy_is_refused_and_acknowledged(free_port: Ports, tmp_path: Path) -> None:
    xml = scenario(
        request("INVITE", 1, sdp=body()), recv(100, True), recv(486), request("ACK", 1, IN)
    )
    await _callers(xml, free_port, tmp_path, "busy")


async def test_a_caller_cancels_while_it_rings(free_port: Ports, tmp_path: Path) -> None:
    xml = (
        scenario(
            request("INVITE", 1, sdp=body(), send='start_txn="i"'),
            recv(100, True, 'response_txn="i"'),
            recv(180, False, 'response_txn="i"'),
            request("CANCEL", 1).replace("branch=[branch]", "branch=[branch-2]"),
            recv(200),
            recv(487),
            request("ACK", 1, IN).replace("branch=[branch]", "branch=[branch-4]"),
        )
        .replace('start_txn="i"', "")
        .replace('response_txn="i"', "")
    )
    xml = xml.replace("[branch-2]", "[branch-3]").replace("[branch-4]", "[branch-6]")
    box = await _callers(xml, free_port, tmp_path, "ring")
    assert len(box.of(Cancelled)) == 5


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        (body("sendonly", version=2), "a=recvonly"),
        (body("inactive", version=2), "a=inactive"),
        (body("sendrecv", "IP4 0.0.0.0", 2), "a=recvonly"),
        (body("sendrecv", "IP6 ::", 2), "a=recvonly"),
    ],
    ids=["sendonly", "inactive", "null-v4", "null-v6"],
)
async def test_hold_in_its_four_forms_and_resume(
    held: str, answer: str, free_port: Ports, tmp_path: Path
) -> None:
    xml = scenario(
        CALL,
        request("INVITE", 2, IN, held),
        recv(100, True),
        _recv_with(200, answer),
        request("ACK", 2, IN),
        request("INVITE", 3, IN, body(version=3)),
        recv(100, True),
        _recv_with(200, "a=sendrecv"),
        request("ACK", 3, IN),
        BYE,
    )
    box = await _callers(xml, free_port, tmp_path)
    assert all(
        (session.remote_host, session.send) == ("127.0.0.1", True)
        for session in box.sessions.values()
    )


async def test_a_caller_without_offer_answers_ours_in_its_ack(
    free_port: Ports, tmp_path: Path
) -> None:
    xml = scenario(
        request("INVITE", 1),
        recv(100, True),
        _recv_with(200, "m=audio"),
        request("ACK", 1, IN, body()),
        BYE,
    )
    box = await _callers(xml, free_port, tmp_path)
    remotes = [event.remote for event in box.of(Answered)]
    assert len(remotes) == 5
    assert all(r is not None and (r.remote_port, r.payload_type) == (6000, 8) for r in remotes)


async def test_reliable_ringing_where_required(free_port: Ports, tmp_path: Path) -> None:
    number = r"""<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="1"/>"""
    xml = scenario(
        request("INVITE", 1, sdp=body(), extra="Require: 100rel\n"),
        recv(100, True),
        f'<recv response="180"><action>{number}</action></recv>',
        request("PRACK", 2, IN, extra="RAck: [$1] 1 INVITE\n"),
        recv(200),
        recv(200),
        request("ACK", 1, IN),
        BYE,
    )

    def ring_then_answer(box: Office, event: Incoming) -> None:
        box.endpoint.ring(event.call)
        box.answer(event.call)

    await _callers(xml, free_port, tmp_path, script=ring_then_answer)


async def test_keys_by_info(free_port: Ports, tmp_path: Path) -> None:
    relay = request("INFO", 2, IN, sdp="Signal=5\nDuration=160\n")
    plain = request("INFO", 3, IN, sdp="#")
    xml = scenario(
        CALL,
        relay.replace("application/sdp", "application/dtmf-relay"),
        recv(200),
        plain.replace("application/sdp", "application/dtmf"),
        recv(200),
        BYE,
    )
    box = await _callers(xml, free_port, tmp_path)
    assert sorted(event.digit for event in box.of(Digit)) == ["#"] * 5 + ["5"] * 5


async def test_our_hold_is_accepted(free_port: Ports, tmp_path: Path) -> None:
    xml = scenario(
        CALL,
        '<recv request="INVITE"></recv>',
        _answer("200 OK", sdp=body("recvonly", version=2)),
        '<recv request="ACK"></recv>',
        '<recv request="BYE"></recv>',
        _answer("200 OK"),
    )
    port, own = free_port(), free_port()
    async with office(config_of(port, own)) as box, asyncio.TaskGroup() as group:
        caller = group.create_task(sipp(port, own, "-m", "1", folder=tmp_path, xml=xml))
        await box.until(lambda: bool(box.of(Answered)))
        call = box.of(Answered)[0].call
        box.endpoint.reoffer(call, make_offer("127.0.0.1", MEDIA_PORT, "sendonly"))
        await box.until(lambda: bool(box.of(Reanswered)))
        remote = box.of(Reanswered)[0].remote
        assert remote is not None
        assert (remote.send, remote.receive) == (True, False)
        box.endpoint.hangup(call)
        assert await caller == ""
        assert box.drained() == NOTHING


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_phones_register_with_md5_and_leave(
    transport: str, free_port: Ports, tmp_path: Path
) -> None:
    def register(cseq: int, extra: str) -> str:
        made = request("REGISTER", cseq, extra=extra, uri="sip:[remote_ip]:[remote_port]")
        return made.replace("sip:caller@[local_ip]:[local_port]>;tag", "sip:[service]@x>;tag")

    login = "[authentication username=101 password=secret]\n"
    xml = scenario(
        register(1, "Expires: 300\n"),
        '<recv response="401" auth="true"></recv>',
        register(2, login + "Expires: 300\n"),
        recv(200),
        register(3, "Expires: 0\n"),
        '<recv response="401" auth="true"></recv>',
        register(4, login + "Expires: 0\n"),
        recv(200),
    )
    port, own = free_port(), free_port()
    async with office(config_of(port, phones={"101": "secret"})) as box:
        args = ("-m", "20", "-l", "1", "-r", "50", "-s", "101", "-t", transport)
        assert await sipp(port, own, *args, folder=tmp_path, xml=xml) == ""
        assert len(box.of(Registered)) == len(box.of(Unregistered)) == 20
        assert box.drained() == NOTHING


async def test_a_phone_calls_with_its_password(free_port: Ports, tmp_path: Path) -> None:
    first = request("INVITE", 1, sdp=body())
    second = request(
        "INVITE", 2, sdp=body(), extra="[authentication username=101 password=secret]\n"
    )
    xml = scenario(
        first,
        '<recv response="401" auth="true"></recv>',
        request("ACK", 1, IN),
        second,
        recv(100, True),
        recv(200),
        request("ACK", 2, IN),
        BYE,
    )
    port, own = free_port(), free_port()
    async with office(config_of(port, phones={"101": "secret"})) as box:
        assert await sipp(port, own, "-m", "5", folder=tmp_path, xml=xml) == ""
        assert {event.from_number for event in box.of(Incoming)} == {"101"}
        await box.until(lambda: box.calls_ended == 5)
        assert box.drained() == NOTHING


async def _callers(
    xml: str,
    free_port: Ports,
    folder: Path,
    number: str = "100",
    script: Callable[[Office, Incoming], None] | None = None,
) -> Office:
    """Five calls of a scenario by UDP from a trunk; nothing is left after them."""
    port, own = free_port(), free_port()
    async with office(config_of(port, own)) as box:
        box.script = script
        args = ("-m", "5", "-r", "50", "-s", number)
        assert await sipp(port, own, *args, folder=folder, xml=xml) == ""
        await box.until(lambda: box.endpoint.stats().calls == 0)
        assert len(box.of(Incoming)) == 5
        assert box.drained() == NOTHING
    return box


def _recv_with(status: int, text: str) -> str:
    check = f'<ereg regexp="{text}" search_in="body" check_it="true" assign_to="seen"/>'
    more = '<Reference variables="seen"/>' if "sendrecv" in text or "m=audio" in text else ""
    return f'<recv response="{status}"><action>{check}</action></recv>{more}'


def _answer(status: str, extra: str = "", sdp: str = "") -> str:
    kind = "Content-Type: application/sdp\n" if sdp else ""
    return f"""<send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=[pid]u[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:callee@[local_ip]:[local_port];transport=[transport]>
{extra}{kind}Content-Length: [len]

{sdp}]]></send>"""


def _call_out(box: Office) -> str:
    return box.endpoint.invite(TrunkTarget("provider", "0123"), "555", "Office", box.offer)


def _with_trunk(config: SipConfig, trunk: TrunkConfig) -> SipConfig:
    return replace(config, trunks={"provider": trunk})


async def _listening(port: int, transport: str) -> None:
    """Wait until sipp has its socket."""
    table = "/proc/net/tcp" if transport == "t1" else "/proc/net/udp"
    wanted = f":{port:04X} "
    for _ in range(500):
        lines = Path(table).read_text().splitlines()[1:]
        if any(line.split()[1].endswith(wanted.strip()) for line in lines):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


async def test_a_lamp_is_subscribed_to_told_and_given_up(free_port: Ports, tmp_path: Path) -> None:
    """RFC 4235 with sipp as the phone: it checks type, version and state of each document."""

    def subscribe(cseq: int, expires: int, to: str = "", login: str = "") -> str:
        more = f"Event: dialog\nAccept: application/dialog-info+xml\nExpires: {expires}\n"
        return request("SUBSCRIBE", cseq, to, extra=login + more).replace("sip:caller@", "sip:101@")

    def told(*patterns: str) -> str:
        checks = "".join(
            f'<ereg regexp="{pattern}" search_in="msg" check_it="true" assign_to="m"/>'
            for pattern in patterns
        )
        return f'<recv request="NOTIFY"><action>{checks}</action></recv>' + _answer("200 OK")

    login = "[authentication username=101 password=secret]\n"
    kind = "application/dialog-info.xml"
    xml = scenario(
        subscribe(1, 300),
        '<recv response="401" auth="true"></recv>',
        subscribe(2, 300, login=login),
        recv(200, more='rrs="true"'),
        told(kind, "version=.0. state=.full. entity=.sip:201@", "active;expires="),
        told(kind, "version=.1.", ".state.early./state.", "sip:5550123@"),
        subscribe(3, 0, IN),
        recv(200),
        told("terminated;reason=timeout"),
        '<Reference variables="m"/>',
    )
    port, own = free_port(), free_port()
    async with office(config_of(port, phones={"101": "secret"})) as box:
        box.endpoint.publish("dialog", "201", Published(DialogInfo()))
        phone = asyncio.create_task(
            sipp(port, own, "-m", "1", "-s", "201", folder=tmp_path, xml=xml)
        )
        await box.until(lambda: box.endpoint.stats().subscriptions == 1)
        rings = Dialog("leg1", "recipient", "early", "5550123")
        box.endpoint.publish("dialog", "201", Published(DialogInfo((rings,))))
        assert await phone == ""
        assert box.drained() == NOTHING
