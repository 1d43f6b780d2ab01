"""Real phones: two baresips call each other through the box, linphone registers with SHA-256."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from appliance.sip.core import Stats
from appliance.sip.events import (
    Answered,
    Failed,
    HungUp,
    Incoming,
    PhoneTarget,
    Progress,
    Reanswered,
    Registered,
    Unregistered,
)
from appliance.sip.sdp import make_offer
from tests.interop.baresip import Baresip, baresip
from tests.peers import program
from tests.sip.office import MEDIA_PORT, Office, config_of, office

pytestmark = pytest.mark.interop
Ports = Callable[[], int]
SECRETS = {"101": "one", "102": "two"}


async def phone(
    stack: AsyncExitStack, folder: Path, extension: str, box: int, transport: str, port: Ports
) -> Baresip:
    secret = SECRETS[extension]
    account = (
        f"<sip:{extension}@127.0.0.1:{box};transport={transport}>;auth_pass={secret};"
        "regint=60;audio_codecs=PCMU,PCMA;ptime=20"
    )
    made = baresip(folder / extension, account, port(), port(), port())
    return await stack.enter_async_context(made)


@pytest.mark.parametrize("transports", [("udp", "tcp"), ("tcp", "udp")], ids="-".join)
async def test_two_phones_call_hold_resume_and_hang_up(
    transports: tuple[str, str], free_port: Ports, tmp_path: Path
) -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        box: Office = await stack.enter_async_context(office(config_of(port, phones=SECRETS)))
        ana = await phone(stack, tmp_path, "101", port, transports[0], free_port)
        bo = await phone(stack, tmp_path, "102", port, transports[1], free_port)
        await box.until(lambda: len(box.of(Registered)) == 2)

        await ana.do("dial", f"sip:102@127.0.0.1:{port};transport={transports[0]}")
        await box.until(lambda: bool(box.of(Progress)))
        incoming = box.of(Incoming)[0]
        assert (incoming.source.id, incoming.from_number, incoming.transport) == (
            "101",
            "101",
            transports[0],
        )
        await bo.do("accept")
        await box.until(lambda: len(box.of(Answered)) == 2)
        callee = box.peers[incoming.call]

        await ana.do("hold")
        await box.until(lambda: box.held == {incoming.call})
        assert not box.sessions[incoming.call].send
        await ana.do("resume")
        await box.until(lambda: not box.held)
        assert box.sessions[incoming.call].send

        await bo.do("hold")
        await box.until(lambda: box.held == {callee})
        await bo.do("resume")
        await box.until(lambda: not box.held)

        box.endpoint.reoffer(callee, make_offer("127.0.0.1", MEDIA_PORT, "sendonly"))
        await box.until(lambda: bool(box.of(Reanswered)))
        held = box.of(Reanswered)[0].remote
        assert held is not None
        assert (held.send, held.receive) == (True, False)

        await bo.do("hangup")
        await box.until(lambda: bool(box.of(HungUp)) and box.endpoint.stats().dialogs == 0)
        stats = box.drained()
        assert (stats.calls, stats.dialogs, stats.transactions, stats.timers) == (0, 0, 0, 0)
    # `quit` makes them unregister; the box heard both before it stopped.
    assert {event.extension for event in box.of(Unregistered)} == {"101", "102"}


async def test_a_phone_that_declines(free_port: Ports, tmp_path: Path) -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(office(config_of(port, phones=SECRETS)))
        ana = await phone(stack, tmp_path, "101", port, "tcp", free_port)
        await box.until(lambda: bool(box.of(Registered)))
        call = box.endpoint.invite(PhoneTarget("101"), "0722", "Ion", box.offer)
        await box.until(lambda: bool(box.of(Progress)))
        await ana.do("hangup")
        await box.until(lambda: bool(box.of(Failed)))
        assert (box.of(Failed)[0].call, box.of(Failed)[0].code) == (call, 486)
        second = box.endpoint.invite(PhoneTarget("101"), "0722", "Ion", box.offer)
        await box.until(lambda: len(box.of(Progress)) == 2)
        box.endpoint.hangup(second)
        await box.until(lambda: box.endpoint.stats().dialogs == 0)
        assert len(box.of(Failed)) == 1
        assert box.drained() == Stats(0, 0, 0, 0, 1)


@pytest.mark.parametrize("sha256", [True, False], ids=["sha256", "md5"])
async def test_linphone_registers(sha256: bool, free_port: Ports, tmp_path: Path) -> None:
    port, own = free_port(), free_port()
    config = f"""[sip]
sip_port={own}
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
[net]
mtu=1300
[auth_info_0]
username=101
passwd=one
realm=centrala
domain=127.0.0.1
algorithm={"SHA-256" if sha256 else "MD5"}
[proxy_0]
reg_proxy=<sip:127.0.0.1:{port}>
reg_identity=sip:101@127.0.0.1
reg_expires=300
reg_sendregister=1
"""
    (tmp_path / "linphonerc").write_text(config)
    # Without a place for its database linphone stays silent.
    (tmp_path / ".local/share/linphone").mkdir(parents=True)
    async with office(config_of(port, phones=SECRETS, sha256=sha256)) as box:
        process = await asyncio.create_subprocess_exec(
            program("linphonec"),
            *("-c", str(tmp_path / "linphonerc"), "-d", "6", "-l", str(tmp_path / "log")),
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        try:
            await box.until(lambda: bool(box.of(Registered)))
            assert box.endpoint.registered("101")
            process.stdin.write(b"quit\n")
            await process.stdin.drain()
            await box.until(lambda: bool(box.of(Unregistered)))
        finally:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
        assert box.drained() == Stats(0, 0, 0, 0, 0)
    said = [
        line
        for line in (tmp_path / "log").read_text(errors="replace").splitlines()
        if line.startswith("Authorization:")
    ]
    assert said
    assert all(("SHA-256" in line) == sha256 for line in said)
