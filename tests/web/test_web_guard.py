"""The door of the web process, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message
from websockets.exceptions import InvalidStatus

from appliance.web.guard import Guard, host_name
from tests.web.box import Box, box

LOGIN = {"person": "ana", "password": "wrong password"}


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    async with box(tmp_path, free_port, hosts=["calls.example"]) as one:
        yield one


async def test_a_stranger_s_name_that_points_here_is_turned_away(running: Box) -> None:
    client = await running.client()
    answer = await client.get("/api/v1/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["code"] == "host"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8080", "calls.example", "[::1]"])
async def test_the_box_answers_to_its_own_names(running: Box, name: str) -> None:
    client = await running.client()
    assert (await client.get("/api/v1/health", headers={"Host": name})).status_code == 200


async def test_the_box_answers_to_its_host_name_on_the_local_network(running: Box) -> None:
    name = socket.gethostname().split(".")[0]
    client = await running.client()
    answer = await client.get("/api/v1/health", headers={"Host": f"{name}.local"})
    assert answer.status_code == 200


async def test_a_page_over_plain_http_from_elsewhere_is_sent_to_https(running: Box) -> None:
    client = await running.client()
    answer = await client.get("/agent?x=1", headers={"Host": "calls.example"})
    assert answer.status_code == 307
    port = running.site.web.https_port
    assert answer.headers["location"] == f"https://calls.example:{port}/agent?x=1"


async def test_the_api_over_plain_http_from_elsewhere_is_refused(running: Box) -> None:
    client = await running.client()
    answer = await client.get("/api/v1/me", headers={"Host": "calls.example"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "https"


async def test_localhost_stays_on_http(running: Box) -> None:
    client = await running.client()
    answer = await client.get("/api/v1/me", headers={"Host": "localhost"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_change_asked_for_by_another_site_is_refused(
    running: Box, headers: dict[str, str]
) -> None:
    client = await running.client()
    answer = await client.post("/api/v1/login", json=LOGIN, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "origin"


async def test_a_form_is_not_json(running: Box) -> None:
    client = await running.client()
    answer = await client.post("/api/v1/login", data=LOGIN)
    assert answer.status_code == 415


async def test_a_body_that_says_it_is_large_is_refused_unread(running: Box) -> None:
    client = await running.client()
    answer = await client.post("/api/v1/login", json={"person": "a" * 70_000})
    assert answer.status_code == 413


async def test_a_body_without_a_length_is_cut_off(running: Box) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 4096

    client = await running.client()
    answer = await client.post(
        "/api/v1/login", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 413)


@pytest.mark.parametrize("path", ["/", "/api/v1/health", "/api/v1/nothing", "/assets/none.js"])
async def test_every_answer_carries_the_security_headers(running: Box, path: str) -> None:
    answer = await (await running.client()).get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "microphone=(self)" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers


async def test_the_live_socket_is_closed_to_pages_of_other_sites(running: Box) -> None:
    client = await running.signed_in("ana")
    with pytest.raises(InvalidStatus) as refused:
        async with running.socket(client, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403


@given(st.text(max_size=80))
def test_any_host_header_is_read_without_a_fault(text: str) -> None:
    name = host_name(text)
    assert name is None or name == name.lower()


@given(st.binary(max_size=60), st.binary(max_size=60))
async def test_any_headers_get_an_answer(host: bytes, origin: bytes) -> None:
    sent: list[Message] = []

    async def app(*_: object) -> None:
        sent.append({"type": "passed"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/login",
        "raw_path": b"/api/v1/login",
        "query_string": b"",
        "headers": [(b"host", host), (b"origin", origin)],
        "client": ("127.0.0.1", 5),
    }
    await Guard(app, (), 8443)(scope, receive, send)
    assert sent
