"""The sockets around the core."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.certificate import ensure_certificate
from appliance.sip.endpoint import MAX_CONNECTIONS_OF_HOST, Endpoint
from appliance.sip.events import (
    Answered,
    Failed,
    HungUp,
    Incoming,
    PhoneTarget,
    SipConfig,
    TrunkConfig,
    TrunkState,
    TrunkTarget,
)
from tests.sip.office import Office, config_of, office
from tests.sip.wire import request

Ports = Callable[[], int]
OPTIONS = request("OPTIONS", source=("127.0.0.1", 5060)).encode()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def answer(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)


async def test_a_stream_is_answered_message_by_message(free_port: Ports) -> None:
    port = free_port()
    async with office(config_of(port)):
        reader, writer = await connect(port)
        writer.write(OPTIONS[:50])
        await writer.drain()
        writer.write(OPTIONS[50:] + OPTIONS)
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 10) == b"\r\n"
        writer.close()


async def test_a_stream_of_garbage_is_cut_and_others_go_on(free_port: Ports) -> None:
    port = free_port()
    async with office(config_of(port)):
        good_reader, good = await connect(port)
        reader, writer = await connect(port)
        writer.write(b"\x16\x03\x01" * 8000)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        good.write(OPTIONS)
        assert (await answer(good_reader)).startswith(b"SIP/2.0 200")
        writer.close()
        good.close()


async def test_one_host_cannot_take_all_connections(free_port: Ports) -> None:
    port = free_port()
    async with office(config_of(port)):
        streams = [await connect(port) for _ in range(MAX_CONNECTIONS_OF_HOST + 1)]
        reader, _ = streams[-1]
        streams[-1][1].write(OPTIONS)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await answer(reader)
        streams[0][1].write(OPTIONS)
        assert (await answer(streams[0][0])).startswith(b"SIP/2.0 200")
        for _, writer in streams:
            writer.close()


async def test_answers_come_from_the_address_that_was_asked(free_port: Ports) -> None:
    port = free_port()
    async with office(replace(config_of(port), host="0.0.0.0")):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setblocking(False)
            phone.bind(("127.0.0.1", 0))
            await loop.sock_sendto(
                phone, OPTIONS.replace(b";branch", b";rport;branch"), ("127.0.0.7", port)
            )
            data, source = await asyncio.wait_for(loop.sock_recvfrom(phone, 4096), 10)
        assert data.startswith(b"SIP/2.0 200")
        assert source == ("127.0.0.7", port)


async def test_a_taken_port_is_an_error(free_port: Ports) -> None:
    port = free_port()
    async with office(config_of(port)):
        with pytest.raises(OSError, match="in use"):
            async with office(config_of(port)):
                pass


async def test_a_tcp_trunk_that_is_not_there_fails_calls_at_once(free_port: Ports) -> None:
    trunk = TrunkConfig("127.0.0.1", free_port(), "tcp", probe=False)
    config = replace(config_of(free_port()), trunks={"gw": trunk})
    async with office(config) as box:
        call = box.endpoint.invite(TrunkTarget("gw", "1"), "5", None, box.offer)
        await box.until(lambda: bool(box.of(Failed)))
        assert (box.of(Failed)[0].call, box.of(Failed)[0].code) == (call, 503)


async def test_a_trunk_by_name_is_resolved(free_port: Ports) -> None:
    config = replace(
        config_of(free_port()), trunks={"gw": TrunkConfig("localhost", free_port(), probe=False)}
    )
    async with office(config) as box:
        await box.until(lambda: [e.ok for e in box.of(TrunkState)] == [True])


async def test_events_never_come_from_inside_a_command(free_port: Ports) -> None:
    async with office(config_of(free_port())) as box:
        box.endpoint.invite(PhoneTarget("101"), "5", None, box.offer)
        assert not box.of(Failed)
        await box.until(lambda: bool(box.of(Failed)))


async def test_listening_moves_with_the_configuration(free_port: Ports) -> None:
    first, second = free_port(), free_port()
    async with office(config_of(first)) as box:
        await box.endpoint.reconfigure(config_of(second))
        reader, writer = await connect(second)
        writer.write(OPTIONS)
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        writer.close()
        with pytest.raises(OSError, match="Connect"):
            await connect(first)


async def test_a_new_port_that_is_taken_leaves_the_old_one(free_port: Ports) -> None:
    first, taken = free_port(), free_port()
    async with office(config_of(first)) as box, office(config_of(taken)):
        with pytest.raises(OSError, match="in use"):
            await box.endpoint.reconfigure(config_of(taken))
        reader, writer = await connect(first)
        writer.write(OPTIONS)
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        writer.close()


async def test_stopping_is_bounded_when_nobody_answers(free_port: Ports) -> None:
    trunk = TrunkConfig("127.0.0.1", free_port(), probe=False)
    config = replace(config_of(free_port()), trunks={"gw": trunk})
    async with asyncio.timeout(10), office(config) as box:
        box.endpoint.invite(TrunkTarget("gw", "1"), "5", None, box.offer)


# --- TLS --------------------------------------------------------------------------------------


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The box's side, and somebody's who knows its certificate."""
    certificate, key = ensure_certificate(folder, (), datetime.now(UTC))
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    return ours, ssl.create_default_context(cafile=str(certificate))


@asynccontextmanager
async def secured(config: SipConfig, folder: Path, trust: bool = True) -> AsyncIterator[Office]:
    made = Office(config)
    ours, theirs = contexts(folder)
    made.endpoint = Endpoint(
        config, made._on_event, made.endpoint._clock, tls=ours, trust=theirs if trust else None
    )
    await made.endpoint.start()
    try:
        yield made
    finally:
        await made.endpoint.stop()


def tls_trunk(port: int, **more: object) -> TrunkConfig:
    return TrunkConfig("127.0.0.1", port, "tls", probe=False, **more)  # type: ignore[arg-type]


async def test_two_boxes_call_each_other_over_tls(free_port: Ports, tmp_path: Path) -> None:
    here, there = free_port(), free_port()
    one = replace(
        config_of(free_port(), tls=True, tls_port=here), trunks={"other": tls_trunk(there)}
    )
    two = replace(
        config_of(free_port(), tls=True, tls_port=there),
        trunks={"one": tls_trunk(here, tls_only=True)},
    )
    async with secured(one, tmp_path) as box, secured(two, tmp_path) as other:
        call = box.endpoint.invite(TrunkTarget("other", "0722"), None, None, box.offer)
        await box.until(lambda: bool(box.of(Answered)))
        assert other.of(Incoming)[0].transport == "tls"
        box.endpoint.hangup(call)
        await other.until(lambda: bool(other.of(HungUp)))


@pytest.mark.parametrize("verify", [True, False])
async def test_a_trunk_with_a_certificate_of_its_own_is_taken_only_when_told_so(
    free_port: Ports, tmp_path: Path, verify: bool
) -> None:
    there = free_port()
    one = replace(config_of(free_port()), trunks={"other": tls_trunk(there, verify=verify)})
    two = replace(
        config_of(free_port(), tls=True, tls_port=there),
        trunks={"one": TrunkConfig("127.0.0.1", 9, probe=False)},
    )
    async with secured(one, tmp_path, trust=False) as box, secured(two, tmp_path):
        box.endpoint.invite(TrunkTarget("other", "0722"), None, None, box.offer)
        await box.until(lambda: bool(box.of(Failed if verify else Answered)))


async def test_what_must_come_by_tls_is_refused_otherwise(free_port: Ports) -> None:
    port = free_port()
    config = config_of(port, phones={"101": "one"}, tls_only=frozenset({"101"}))
    config = replace(
        config, trunks={"other": TrunkConfig("127.0.0.1", 9, "tls", probe=False, tls_only=True)}
    )
    async with office(config) as box:
        reader, writer = await connect(port)
        writer.write(request("INVITE", source=("127.0.0.1", 5060)).encode())
        assert b"403 TLS Required" in await answer(reader)
        writer.close()
        assert not box.of(Incoming)
