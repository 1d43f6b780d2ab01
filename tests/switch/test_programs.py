"""Asking the office's programs: a real HTTP server that answers, errs, dawdles and lies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.switch.programs import MOST_BYTES, Programs, values_of


@asynccontextmanager
async def program(answer: bytes, status: str = "200 OK") -> AsyncIterator[tuple[str, list[bytes]]]:
    """An HTTP server that takes one request after another; yields its address and the bodies."""
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        bodies.append(await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status}\r\n".encode() + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/look", bodies


async def test_the_named_values_of_an_answer_come_back() -> None:
    answer = json.dumps({"balance": 21.05, "vip": True, "name": "Ana", "x-y": 1, "deep": {}})
    async with program(b"\r\n" + answer.encode()) as (url, bodies):
        found = await Programs().ask(url, {"caller": "+40", "called": None}, 5)
    assert found == {"balance": "21.05", "vip": "true", "name": "Ana"}
    assert json.loads(bodies[0]) == {"caller": "+40", "called": None}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"\r\n[1, 2]", "200 OK"),
        (b"\r\nnot json", "200 OK"),
        (b"\r\n\xff\xfe", "200 OK"),
        (b"\r\n{}", "500 Broken"),
        (b"Location: http://192.0.2.1/\r\n\r\n{}", "302 Found"),
        (b"\r\n" + b"[" * 40_000, "200 OK"),
        (b"\r\n{" + b" " * MOST_BYTES + b"}", "200 OK"),
    ],
)
async def test_an_answer_that_is_none_is_no_answer(answer: bytes, status: str) -> None:
    async with program(answer, status) as (url, _):
        assert await Programs().ask(url, {}, 5) is None


async def test_a_program_that_is_not_there_or_silent_is_given_up() -> None:
    assert await Programs().ask("http://127.0.0.1:9/", {}, 5) is None
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(30), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        assert await Programs().ask(f"http://127.0.0.1:{port}/", {}, 0.3) is None


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    try:
        found = values_of(raw)
    except ValueError:
        return
    assert all(isinstance(value, str) for value in found.values())
