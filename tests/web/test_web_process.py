"""The web process as a whole."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.live import Health
from appliance.web.main import run
from tests.web import scenes
from tests.web.box import box


def test_the_web_process_imports_neither_aiortc_nor_numpy() -> None:
    code = (
        "import sys, json, appliance.web.main;"
        "print(json.dumps([m for m in ('aiortc', 'av', 'numpy') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(found.stdout) == []


async def test_health_says_starting_until_control_is_there(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port, control_runs=False) as one:
        client = await one.client()
        answer = await client.get("/api/v1/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "starting")
        await one.control.start()
        async with asyncio.timeout(15):
            while answer.status_code == 503:
                answer = await client.get("/api/v1/health")
        assert answer.json() == {"status": "ready", "detail": []}


async def test_health_passes_on_what_lacks(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with box(tmp_path, free_port) as one:
        one.control.health = Health("degraded", ("Line 2 is not connected.",))
        answer = await (await one.client(one.https)).get("/api/v1/health")
        assert answer.status_code == 200
        assert answer.json() == {"status": "degraded", "detail": ["Line 2 is not connected."]}


async def test_a_taken_port_is_named_with_what_to_do(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        site = scenes.site(http_port=port, https_port=free_port())
        with pytest.raises(OSError, match=f"port {port} .* choose another"):
            await run(site, tmp_path, tmp_path / "control.sock")


async def test_cancelling_frees_the_ports(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with box(tmp_path, free_port) as one:
        ports = one.site.web.http_port, one.site.web.https_port
        client = await one.signed_in("ana")
        async with one.socket(client) as live:
            await live.recv()
    for port in ports:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


async def test_a_fault_inside_shows_no_traceback(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port) as one:
        client = await one.signed_in("dina")
        (tmp_path / "ledger.db").write_bytes(b"garbage" * 1000)
        answer = await client.get("/api/v1/calls")
        assert answer.status_code == 503
        assert answer.json()["code"] == "ledger"
        assert "Traceback" not in answer.text


async def test_the_api_describes_itself_without_pages_from_elsewhere(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port) as one:
        client = await one.client()
        described = (await client.get("/api/v1/openapi.json")).json()
        assert "/api/v1/agent/peer" in described["paths"]
        for path in ("/docs", "/redoc"):
            assert "cdn" not in (await client.get(path)).text
