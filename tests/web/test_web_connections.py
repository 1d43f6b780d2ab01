"""Clients that never finish what they began to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.web import connection
from tests.web.box import Box, box


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    async with box(tmp_path, free_port) as one:
        yield one


async def said_before_the_end(running: Box, *pieces: bytes) -> bytes:
    """What the box answers to these bytes until it closes the connection."""
    port = running.site.web.http_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_head_without_end_is_cut_off(running: Box) -> None:
    endless = b"GET / HTTP/1.1\r\n" + b"X-Header: value\r\n" * 3000
    answer = await said_before_the_end(running, endless)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


async def test_an_address_without_end_is_cut_off(running: Box) -> None:
    answer = await said_before_the_end(running, b"GET /" + b"a" * 100_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /api/v1/health HTTP/1.1\r\nHost: local",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
    ],
)
async def test_who_does_not_finish_a_request_is_cut_off(
    running: Box, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    await said_before_the_end(running, begun)


async def test_a_connection_serves_one_request_after_another(
    running: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    monkeypatch.setattr(connection, "MOST_HEAD", 400)
    client = await running.client()
    for _ in range(8):
        assert (await client.get("/api/v1/health")).status_code == 200
        await asyncio.sleep(0.05)
