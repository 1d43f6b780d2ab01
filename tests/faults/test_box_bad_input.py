"""What strangers and broken devices send to a running box: each has its answer, none of it touches
a call in progress, and the next call is served. One box stands all of it."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from appliance import events as e
from appliance.simulator.rig import Call
from tests.browser.signals import Samples, hear, mulaw_encode, speech_like
from tests.e2e.box import Box
from tests.faults.office_under_attack import CALLER, OfficeUnderAttack, office_under_attack
from tests.ports import port_picker
from tests.sip.torture import CORPUS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

STRANGER = "127.0.0.2"
SPAM = speech_like(3, seed=66)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[OfficeUnderAttack]:
    folder = tmp_path_factory.mktemp("box")
    async with office_under_attack(folder, port_picker()) as office:
        yield office
    assert "Traceback" not in office.box.said()


@pytest_asyncio.fixture(loop_scope="module")
async def office(running: OfficeUnderAttack) -> AsyncIterator[OfficeUnderAttack]:
    before = len(running.box.said())
    restarts = dict(running.box.office.restarts)
    yield running
    assert "Traceback" not in running.box.said()[before:]
    assert running.box.office.restarts == restarts


def sip(start: str, *more: str, cseq: str = "1", body: str = "") -> bytes:
    """A request of a stranger."""
    method = start.split(" ")[0]
    dice = random.randbytes(6).hex()
    head = [
        f"{start} SIP/2.0",
        f"Via: SIP/2.0/UDP {STRANGER}:5999;rport;branch=z9hG4bK{dice}",
        f"From: <sip:101@{STRANGER}>;tag={dice}",
        "To: <sip:301@127.0.0.1>",
        f"Call-ID: {dice}",
        f"CSeq: {cseq} {method}",
        f"Contact: <sip:101@{STRANGER}:5999>",
        "Max-Forwards: 70",
        *more,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


async def answer_to(sock: socket.socket, port: int, datagram: bytes) -> int:
    """The status of what comes back for this datagram, whatever else comes back."""
    loop = asyncio.get_running_loop()
    call_id = datagram.split(b"Call-ID: ")[1].split(b"\r\n")[0]
    await loop.sock_sendto(sock, datagram, ("127.0.0.1", port))
    async with asyncio.timeout(5):
        while True:
            reply = await loop.sock_recv(sock, 65535)
            if call_id in reply:
                return int(reply.split(b" ")[1])


async def test_malformed_sip_is_refused_or_ignored_while_a_call_goes_on(
    office: OfficeUnderAttack,
) -> None:
    port = office.box.sip_port
    dice = random.Random(1)
    good = sip("INVITE sip:301@127.0.0.1")
    flood = [message for message, _ in CORPUS.values()]
    flood += [dice.randbytes(dice.randrange(1, 1400)) for _ in range(150)]
    for _ in range(200):
        broken = bytearray(good)
        for _ in range(dice.randrange(1, 12)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        flood.append(bytes(broken[: dice.randrange(20, len(broken) + 1)]))
    async with office.talking() as talk:
        speaking = asyncio.create_task(talk.say())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((STRANGER, 0))
            stranger.setblocking(False)
            for number, datagram in enumerate(flood):
                stranger.sendto(datagram[:65000], ("127.0.0.1", port))
                if number % 20 == 0:
                    await asyncio.sleep(0.02)
            assert await answer_to(stranger, port, sip("INVITE sip:301@127.0.0.1")) == 401
            assert await answer_to(stranger, port, sip("REGISTER sip:127.0.0.1")) == 401
            wrong = sip("OPTIONS sip:301@127.0.0.1", cseq="99999999999999")
            assert await answer_to(stranger, port, wrong) == 400

        for garbage in (
            dice.randbytes(3000) + b"\r\n\r\n",
            b"x" * 100_000,
            b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        ):
            assert await cut_off_tcp(port, garbage), garbage[:40]
        halves = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in halves:
            writer.write(good[: len(good) // 2])
            await writer.drain()
        for _, writer in halves:
            writer.close()
        await speaking
        await talk.was_undisturbed()
    await office.answers_the_next_call()


async def cut_off_tcp(port: int, data: bytes) -> bool:
    """Whether the box closes a TCP connection that begins like this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
    return await cut_off(reader, writer, data)


async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bool:
    try:
        async with asyncio.timeout(5):
            writer.write(data)
            await writer.drain()
            while await reader.read(65536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()
    return True


def open_rtp_ports(box: Box) -> list[int]:
    """UDP ports of the box's RTP range that are open now."""
    first, last = box.site.sip.rtp_ports
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    ports = {int(line.split()[1].split(":")[1], 16) for line in lines}
    return sorted(port for port in ports if first <= port <= last)


async def test_rtp_of_strangers_is_in_no_recording_and_in_nobody_s_ear(
    office: OfficeUnderAttack,
) -> None:
    voice = mulaw_encode(SPAM)
    hit: set[int] = set()
    stop = asyncio.Event()
    dice = random.Random(2)

    async def attack() -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as neighbour,
        ):
            stranger.bind((STRANGER, 0))
            neighbour.bind(("127.0.0.1", 0))
            number = 0
            while not stop.is_set():
                ports = open_rtp_ports(office.box)
                frame = voice[number * 160 % (len(voice) - 160) :][:160]
                packet = struct.pack(">BBHII", 0x80, 0, number & 0xFFFF, number * 160, 77) + frame
                for port in ports:
                    stranger.sendto(packet, ("127.0.0.1", port))
                    stranger.sendto(dice.randbytes(dice.randrange(300)), ("127.0.0.1", port))
                    if talking.is_set():
                        # Has the address of a phone of the office, yet it is not the phone.
                        neighbour.sendto(packet, ("127.0.0.1", port))
                        hit.add(port)
                number += 1
                await asyncio.sleep(0.02)

    talking = asyncio.Event()
    attacking = asyncio.create_task(attack())
    try:
        async with office.talking() as talk:
            await asyncio.sleep(0.5)
            talking.set()
            await talk.say()
            heard_by_caller = talk.call.heard().astype(float) / 32768
            caller, agent = await talk.was_undisturbed()
    finally:
        stop.set()
        await attacking
    assert len(hit) >= 2, "RTP and RTCP of the agent's phone"
    for side in (caller, agent, heard_by_caller):
        assert hear(SPAM, side).share < 0.2
    await office.answers_the_next_call()


async def test_garbage_on_the_serial_port_costs_at_most_the_call_on_it(
    office: OfficeUnderAttack,
) -> None:
    exchange = office.box.exchange
    await office.ready()
    for _ in range(20):
        exchange.modem(1).babble(200)
        exchange.modem(2).babble(200)
        await asyncio.sleep(0.02)
    async with office.talking(line=2) as talk:
        for _ in range(20):
            exchange.modem(1).babble(200)
            exchange.modem(2).babble(60)
            await asyncio.sleep(0.02)
        if not talk.facts(e.Disconnect):
            await talk.hangup()
        await talk.fact(e.RecordingEnded)
        assert len(talk.facts(e.Disconnect)) == 1
        assert len(talk.facts(e.QLeave)) == 1
    async with office.ringing(line=1) as one, office.ringing(line=2, when_ready=False) as two:
        await asyncio.gather(one.call.answered(timeout=20), two.fact(e.Connect))


async def test_a_modem_that_vanishes_in_a_talk_ends_it_as_line_lost(
    office: OfficeUnderAttack,
) -> None:
    box = office.box
    async with office.talking(line=2) as talk:
        await talk.say()
        box.exchange.unplug(2)
        ended = await talk.fact(e.Disconnect)
        assert (ended.side, ended.cause) == ("system", "line_lost")
        state = await box.state(lambda s: any(a.id == "line:line2" for a in s.alarms))
        assert box.agent(state, "pip").phase == "wrap"
        assert next(line for line in state.lines if line.id == "line2").state == "absent"
        alarm = next(a for a in state.alarms if a.id == "line:line2")
        assert alarm.severity == "critical"
        assert alarm.advice
        assert (await box.get("/api/v1/health"))["status"] == "degraded"
        caller, _ = await talk.recorded()
        assert hear(CALLER, caller).share > 0.8
        assert (await talk.fact(e.QLeave)).reason == "answered"
        await office.answers_the_next_call("line1")
        box.exchange.replug(2)
        await box.state(lambda s: not s.alarms)
    async with office.talking(line=2) as talk:
        await talk.hangup()


async def hears_again(call: Call, prompt: Samples, since: int) -> None:
    """Wait until a piece of this is without doubt in what the caller hears after so many samples.
    A modem's clock may slip now and then, and each slip spoils the piece around it."""
    async with asyncio.timeout(15):
        while True:
            now = call.heard()[since:].astype(float) / 32768
            # Elsewhere, for the modem lives in this loop.
            if (await asyncio.to_thread(hear, prompt, now)).share > 0:
                return
            more = since + len(now) + 1600
            await call.until(lambda _, more=more: len(call.heard()) >= more)


async def test_keys_that_mean_nothing_repeat_the_menu_and_lead_to_its_default(
    office: OfficeUnderAttack,
) -> None:
    async with office.ringing(line=1) as talk:
        call = talk.call
        await call.answered()
        await call.hears_sound(800)
        prompt = call.heard().astype(float)[-6400:] / 32768
        for count, key in enumerate("7*9", 1):
            since = len(call.heard())
            await call.press(key)
            await talk.fact(e.IvrKey, count)
            if count < 3:
                await hears_again(call, prompt, since)
        assert [(f.key, f.valid) for f in talk.facts(e.IvrKey)] == [
            ("7", False),
            ("*", False),
            ("9", False),
        ]
        out = await talk.fact(e.IvrOut)
        assert (out.result, out.target) == ("queue", "sales")
        assert (await talk.fact(e.QEnter)).queue == "sales"
        await talk.fact(e.Connect)


async def test_garbage_on_the_box_s_own_sockets_is_cut_off(office: OfficeUnderAttack) -> None:
    dice = random.Random(3)

    def frame(body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + body

    nonsense = [
        dice.randbytes(4096),
        b"\xff" * 4096,
        frame(b""),
        frame(b"\x93\x01\x01" + b"\x91" * 100_000),
        frame(b"\x93\x01\x01\x81\xa4type\xa9Subscribed"),
        frame(b"\x93\x01\x01\x81\xa4type\xa9\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7"),
        frame(b"\x93\x01\x01\x82\xa4type\xa7OpenRtp\xa3leg\xa3one"),
        *[frame(dice.randbytes(dice.randrange(1, 300))) for _ in range(40)],
    ]
    async with office.talking() as talk:
        speaking = asyncio.create_task(talk.say())
        for path in (office.box.places.control, office.box.places.media_socket(0)):
            for data in nonsense:
                reader, writer = await asyncio.open_unix_connection(str(path))
                assert await cut_off(reader, writer, data), (path.name, data[:40])
            # Half a message, and a reply to a question that was never asked.
            for data in (b"\0\0\1\0half", frame(b"\x93\x03\xce\xff\xff\xff\xff\x01")):
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.write(data)
                await writer.drain()
                writer.close()
        await speaking
        await talk.was_undisturbed()
    await office.answers_the_next_call()


async def test_hostile_requests_to_the_web_process_get_their_refusal(
    office: OfficeUnderAttack,
) -> None:
    box = office.box

    async def until_closed(page: ClientConnection) -> None:
        async with asyncio.timeout(5):
            while True:
                await page.recv()

    headers = {"Origin": box.url}
    dice = random.Random(4)
    async with (
        office.talking() as talk,
        httpx.AsyncClient(base_url=box.url, headers=headers) as client,
    ):
        speaking = asyncio.create_task(talk.say())

        async def status(path: str, **request: object) -> int:
            answer = await client.post(f"/api/v1/{path}", **request)  # type: ignore[arg-type]
            if answer.status_code >= 400:
                assert answer.json()["title"]
            return answer.status_code

        kind = {"Content-Type": "application/json"}
        assert await status("login", json={"person": "a" * 2_000_000}) == 413
        assert await status("login", content=b"{" * 60_000, headers=kind) == 422
        assert await status("login", content=b"[" * 60_000, headers=kind) == 400
        assert await status("login", content=dice.randbytes(9000), headers=kind) == 400
        assert await status("login", json={"person": "ana"}, headers={"Origin": "http://x"}) == 403
        assert await status("agent/state", json={"state": "ready"}) == 401
        assert await status("agent/peer", json={"session": "a" * 20, "sdp": "v=0" * 9}) == 401
        strange = await client.get("/api/v1/health", headers={"Host": "evil.example"})
        assert strange.status_code == 421

        signed_in = await client.post("/api/v1/demo/login", json={"person": "ana"})
        assert signed_in.status_code == 200, signed_in.text
        assert await status("agent/peer", json={"session": "a" * 20, "sdp": "v=0\r\n" * 99}) == 409
        assert await status("agent/action", json={"action": "hangup", "call": "1"}) == 409
        assert await status("agent/dial", json={"number": "../../etc/passwd"}) == 422
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        live = box.url.replace("http", "ws") + "/api/v1/live"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(live, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        for text in ("{", json.dumps(["ping"]), "[" * 50_000, b"\0\1\2"):
            async with connect(
                live, origin=box.url, additional_headers={"Cookie": cookie}, max_size=None
            ) as page:
                await page.send(text)
                with pytest.raises(ConnectionClosed):
                    await until_closed(page)
        for port in (box.http_port, box.site.web.https_port):
            for garbage in (dice.randbytes(5000), b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await cut_off(reader, writer, garbage)
        await speaking
        await talk.was_undisturbed()
    assert (await box.get("/api/v1/health"))["status"] == "ready"
    await office.answers_the_next_call()
