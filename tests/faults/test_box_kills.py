"""kill -9 of each process of a running box: no call that was answered is lost from the ledger or
doubled in it, and what can go on goes on."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance import live
from appliance.media.wav import STEREO_HEADER_BYTES
from appliance.recordings import parts
from tests.browser.signals import hear, mulaw_decode, speech_like, write_wav
from tests.e2e.box import Box
from tests.faults.office_under_attack import office_under_attack
from tests.interop.baresip import Baresip, baresip
from tests.peers import program

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

TRUNK = """
[lines.voip]
kind = "trunk"
name = "Provider"
host = "127.0.0.1"
channels = 100
route = "queue:sales"
[people.ana]
"""

CALLS, KILLS = 500, 20

CALLER = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="caller">
<nop><action><log message="called 77[call_number]"/></action></nop>
<send retrans="200"><![CDATA[
INVITE sip:5550000@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:77[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:5550000@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 6000 RTP/AVP 0
]]></send>
<recv response="100" optional="true" timeout="6000" ontimeout="1"></recv>
<recv response="180" optional="true" timeout="6000" ontimeout="1"></recv>
<recv response="503" optional="true" next="2" timeout="6000" ontimeout="1"></recv>
<recv response="486" optional="true" next="2" timeout="6000" ontimeout="1"></recv>
<recv response="200" timeout="6000" ontimeout="1">
<action><log message="answered 77[call_number]"/></action></recv>
<send><![CDATA[
ACK sip:5550000@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:77[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:5550000@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<pause milliseconds="600"/>
<send><![CDATA[
BYE sip:5550000@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:77[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:5550000@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200" optional="true" next="1" timeout="1500" ontimeout="1"></recv>
<recv response="481" timeout="1500" ontimeout="1"></recv>
<label id="1"/>
<nop next="3"/>
<label id="2"/>
<send><![CDATA[
ACK sip:5550000@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:77[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:5550000@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<label id="3"/>
<nop/>
</scenario>
"""
"""A kill may take any answer with it, so none is waited for without end: sipp counts the time of
the message that it stands at, also of one that need not come."""

WAITS_FOR_BYE = """<recv request="BYE" timeout="35000"></recv>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


async def test_500_calls_with_control_killed_at_20_random_moments(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    dice = random.Random(7)

    def with_trunk(text: str) -> str:
        return text.replace("[people.ana]\n", TRUNK)

    async with Box(tmp_path, free_port, edit=with_trunk, simulator=False) as box:
        (tmp_path / "caller.xml").write_text(CALLER)
        sipp = await asyncio.create_subprocess_exec(
            program("sipp"),
            f"127.0.0.1:{box.sip_port}",
            *("-sf", "caller.xml", "-i", "127.0.0.1", "-p", str(free_port()), "-nostdin"),
            *("-r", "11", "-l", "200", "-timeout", "300", "-trace_logs", "-log_file", "calls.log"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

        def calls(what: str) -> list[str]:
            return re.findall(rf"{what} (77\d+)", (tmp_path / "calls.log").read_text())

        try:
            for _ in range(KILLS):
                await box.office.wait_ready()
                await asyncio.sleep(dice.uniform(0.2, 1.5))
                box.kill("control")
            await box.office.wait_ready()
            async with asyncio.timeout(120):
                while len(calls("called")) < CALLS:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                # No new calls; it ends with the last one.
                sipp.send_signal(signal.SIGUSR1)
                await sipp.wait()
        finally:
            if sipp.returncode is None:
                sipp.kill()
                await sipp.wait()
        await box.state(lambda s: not s.calls, timeout=30)
    answered = calls("answered")
    assert len(answered) >= CALLS // 2
    _check(box.facts(), answered)


def _check(facts: list[e.Fact], answered: list[str]) -> None:
    opened: dict[str, list[str]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, e.CallOpened) and fact.caller is not None:
            opened[fact.caller].append(fact.call)
    causes = {f.call: f.cause for f in facts if isinstance(f, e.Disconnect)}
    ends = Counter(f.call for f in facts if isinstance(f, e.Disconnect))
    leaves = Counter(f.entry for f in facts if isinstance(f, e.QLeave))
    entries = [f for f in facts if isinstance(f, e.QEnter)]
    calls = [call for group in opened.values() for call in group]
    assert len(calls) == len(set(calls))
    assert set(ends) == set(calls)
    assert set(ends.values()) == {1}
    assert len({entry.entry for entry in entries}) == len(entries)
    assert set(leaves) == {entry.entry for entry in entries}
    assert set(leaves.values()) == {1}
    for number in answered:
        # A call that was cut between its fact and its answer is tried again by the caller's own
        # retransmission; all but the last attempt then stand in the ledger as the crash they met.
        assert opened[number], f"{number} was answered and is not in the ledger"
        assert all(causes[call] == "system_failure" for call in opened[number][:-1])


async def test_the_peers_of_calls_are_told_when_control_died(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """A trunk's channel by UDP, a phone by TCP that called and one by UDP that was called. A second
    death ends nothing twice."""
    opening, _, _ = CALLER.partition("<pause")
    opening = re.sub(r'<recv response="(503|486)".*\n', "", opening)
    opening = opening.replace(' timeout="6000" ontimeout="1"', "")
    (tmp_path / "waits.xml").write_text(opening + WAITS_FOR_BYE)

    def with_trunk(text: str) -> str:
        return text.replace("[people.ana]\n", TRUNK)

    async with office_under_attack(tmp_path, free_port, edit=with_trunk) as office:
        box, reception = office.box, office.reception
        await reception.do("dial", f"sip:301@127.0.0.1:{box.sip_port}")
        await box.fact(e.Connect)
        sipp = await asyncio.create_subprocess_exec(
            program("sipp"),
            f"127.0.0.1:{box.sip_port}",
            *("-sf", "waits.xml", "-i", "127.0.0.1", "-p", str(free_port()), "-nostdin"),
            *("-m", "1", "-timeout", "40"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await box.fact(e.QEnter, count=2)
        kept = box.places.data / "dialogs.jsonl"
        async with asyncio.timeout(5):
            while not kept.exists() or len(_alive(kept)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        box.kill("control")
        killed = asyncio.get_running_loop().time()

        async def closed(phone: Baresip) -> float:
            await reports(phone, "CALL_CLOSED")
            return asyncio.get_running_loop().time() - killed

        async def hung_up() -> float:
            assert await sipp.wait() == 0
            return asyncio.get_running_loop().time() - killed

        async with asyncio.timeout(30):
            took = await asyncio.gather(hung_up(), closed(reception), closed(office.agent))
        print("told after s", [round(one, 2) for one in took])
        async with asyncio.timeout(5):
            while _alive(kept):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_phones_stop_ringing_when_control_died(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port, simulator=False) as box:

        def phone(extension: str) -> AbstractAsyncContextManager[Baresip]:
            account = (
                f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
                ";regint=600;answermode=manual;audio_codecs=pcmu"
            )
            ports = (free_port(), free_port(), free_port())
            return baresip(tmp_path / f"p{extension}", account, *ports)

        async with phone("101") as caller, phone("102") as called:
            await box.state(lambda s: all(p.registered for p in s.phones))
            await caller.do("dial", f"sip:203@127.0.0.1:{box.sip_port}")
            await reports(caller, "CALL_RINGING")
            await reports(called, "CALL_INCOMING")
            kept = box.places.data / "dialogs.jsonl"
            async with asyncio.timeout(5):
                while not kept.exists() or len(_alive(kept)) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            box.kill("control")
            await reports(caller, "CALL_CLOSED")
            await reports(called, "CALL_CLOSED")
            async with asyncio.timeout(5):
                while _alive(kept):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            # A process that ends in order leaves nothing to be done.
            await box.office.wait_ready()
            called.events.clear()
            await caller.do("dial", f"sip:203@127.0.0.1:{box.sip_port}")
            await reports(called, "CALL_INCOMING")
            control = box.office.processes["control"]
            control.terminate()
            await control.wait()
            assert _alive(kept) == []
            await reports(called, "CALL_CLOSED")


async def reports(phone: Baresip, kind: str) -> None:
    async with asyncio.timeout(20):
        while not any(event.get("type") == kind for event in phone.events):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _alive(journal: Path) -> list[str]:
    """What stands in it and is not taken back."""
    last = dict(json.loads(line) for line in journal.read_text().splitlines())
    return [key for key, value in last.items() if value is not None]


async def test_a_call_between_phones_survives_the_death_of_the_audio_process(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    caller, agent = speech_like(4, seed=1), speech_like(4, seed=2)
    voices = {"101": caller, "102": agent}
    async with Box(tmp_path, free_port, simulator=False) as box:

        def account(extension: str) -> str:
            # baresip hangs up at the end of the file.
            voice = write_wav(tmp_path / f"{extension}.wav", np.tile(voices[extension], 8), 8000)
            mode = "auto" if extension == "102" else "manual"
            return (
                f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
                f";regint=600;audio_source=aufile,{voice};answermode={mode};audio_codecs=pcmu"
            )

        def phone(extension: str):  # type: ignore[no-untyped-def]
            ports = (free_port(), free_port(), free_port())
            return baresip(tmp_path / f"p{extension}", account(extension), *ports)

        async with phone("101") as reception, phone("102"):
            await box.state(lambda s: all(p.registered for p in s.phones))
            await box.ask(live.SetAgentState("pip", "ready"))
            await reception.do("dial", f"sip:301@127.0.0.1:{box.sip_port}")
            await box.fact(e.Connect)
            await asyncio.sleep(1)
            box.kill("media")
            # Long enough for a whole round of both voices after the restart.
            await asyncio.sleep(9)
            assert not [f for f in box.facts() if isinstance(f, e.Disconnect)]
            await reception.do("hangup")
            ended = await box.fact(e.RecordingEnded)
            assert isinstance(ended, e.RecordingEnded)
            assert ended.reason == "done"
            (started,) = [f for f in box.facts() if isinstance(f, e.RecordingStarted)]
            path = box.places.data / started.path
            async with asyncio.timeout(20):
                while len(parts(path)) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        raw = path.read_bytes()[STEREO_HEADER_BYTES:]
        assert abs(len(raw) // 16 - ended.duration_ms) < 100
        for voice, side in ((caller, raw[0::2]), (agent, raw[1::2])):
            assert hear(voice, mulaw_decode(side)).share > 0.5
        assert len([f for f in box.facts() if isinstance(f, e.Connect)]) == 1


async def test_a_phone_that_registered_is_rung_after_control_died(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port, simulator=False) as box:
        account = (
            f"<sip:102@127.0.0.1:{box.sip_port}>;auth_pass={box.secret('102')};regint=600"
            ";answermode=auto;audio_codecs=pcmu"
        )
        ports = (free_port(), free_port(), free_port())
        async with baresip(tmp_path / "p102", account, *ports):
            await box.state(lambda s: any(p.registered for p in s.phones))
            async with asyncio.timeout(10):
                while not (box.places.data / "phones.json").exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            box.kill("control")
            await box.state(lambda s: s.ready and any(p.registered for p in s.phones))
            assert any(isinstance(f, e.SystemStarted) and not f.clean for f in box.facts())


async def test_the_death_of_the_web_process_touches_no_call(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port) as box:
        call = await box.exchange.call(line=2, number="5550142")
        await call.answered()
        box.kill("web")
        await asyncio.sleep(1)
        await box.web_ready()
        assert call.caller.state != "gone"
        state = await box.state()
        assert [c.caller for c in state.calls] == ["5550142"]


async def test_killing_the_whole_box_in_a_call_closes_the_books_at_the_next_start(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port) as box:
        call = await box.exchange.call(line=2, number="5550142")
        await call.answered()
        await box.fact(e.QEnter)
        box.office.restarts["control"] = 0
        box.kill("control")
        leave = await box.fact(e.QLeave)
        assert isinstance(leave, e.QLeave)
        assert leave.reason == "system_failure"
        await box.office.wait_ready()
        await box.state(lambda s: all(line.state == "idle" for line in s.lines), timeout=60)
        again = await box.exchange.call(line=1, number="5550143")
        await again.answered(timeout=30)
