"""Signing in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.web.box import PASSWORD, Box, box


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    async with box(tmp_path, free_port) as one:
        yield one


async def test_nobody_is_signed_in_at_first(running: Box) -> None:
    body = (await (await running.client()).get("/api/v1/me")).json()
    assert body["person"] is None
    assert body["office"] == "Harbour Dental"


async def test_the_right_password_signs_in(running: Box) -> None:
    client = await running.signed_in("ana")
    body = (await client.get("/api/v1/me")).json()
    assert (body["person"], body["name"], body["role"]) == ("ana", "Ana Popescu", "agent")
    assert body["agent"] is True


async def test_over_https_the_cookie_is_bound_to_the_host(running: Box) -> None:
    client = await running.client(running.https)
    answer = await client.post("/api/v1/login", json={"person": "ana", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-centrala=")
    for wanted in ("Secure", "HttpOnly", "Path=/", "SameSite=strict"):
        assert wanted in cookie
    assert "Domain" not in cookie


async def test_over_http_on_the_box_itself_the_cookie_is_plain_but_closed(running: Box) -> None:
    client = await running.client()
    answer = await client.post("/api/v1/login", json={"person": "ana", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("centrala=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(running: Box) -> None:
    client = await running.client()
    wrong = [{"person": "ana", "password": "x" * 12}, {"person": "zoe", "password": PASSWORD}]
    answers = [await client.post("/api/v1/login", json=body) for body in wrong]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json() == answers[1].json()


async def test_after_three_failures_one_has_to_wait(running: Box) -> None:
    client = await running.client()
    body = {"person": "boris", "password": "not this one"}
    codes = [(await client.post("/api/v1/login", json=body)).status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]
    answer = await client.post("/api/v1/login", json=body | {"password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "wait" in answer.json()["detail"].lower()


async def test_an_invalid_form_does_not_echo_the_password(running: Box) -> None:
    client = await running.client()
    body = {"person": "ana", "password": "s3cret-s3cret", "extra": "s3cret-s3cret"}
    answer = await client.post("/api/v1/login", json=body)
    assert answer.status_code == 422
    assert "s3cret" not in answer.text
    assert answer.json()["errors"][0]["field"] == "body.extra"


async def test_signing_out_ends_the_session_and_not_only_the_cookie(running: Box) -> None:
    client = await running.signed_in("ana")
    stolen = dict(client.cookies)
    await client.post("/api/v1/logout", json={})
    thief = await running.client()
    thief.cookies.update(stolen)
    assert (await thief.get("/api/v1/calls")).status_code == 401


async def test_a_second_sign_in_ends_the_first_session_of_that_browser(running: Box) -> None:
    client = await running.signed_in("ana")
    before = dict(client.cookies)
    await client.post("/api/v1/login", json={"person": "ana", "password": PASSWORD})
    old = await running.client()
    old.cookies.update(before)
    assert (await old.get("/api/v1/calls")).status_code == 401


async def test_a_real_office_has_no_demo(running: Box) -> None:
    client = await running.client()
    assert (await client.get("/api/v1/demo")).status_code == 404
    answer = await client.post("/api/v1/demo/login", json={"person": "ana"})
    assert answer.status_code == 404


async def test_a_demo_office_lets_one_sign_in_without_a_password(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port, demo=True, passwords=()) as demo:
        client = await demo.client()
        body = (await client.get("/api/v1/demo")).json()
        assert [one["name"] for one in body["agents"]][:2] == ["Ana Popescu", "Boris Ivanov"]
        assert len(body["phones"][0]["secret"]) == 20
        assert (await client.post("/api/v1/demo/login", json={"person": "ana"})).status_code == 200
        assert (await client.get("/api/v1/me")).json()["person"] == "ana"
        nobody = await client.post("/api/v1/demo/login", json={"person": "zoe"})
        assert nobody.status_code == 404


async def test_every_route_but_the_named_ones_needs_a_sign_in(running: Box) -> None:
    client = await running.client()
    described = (await client.get("/api/v1/openapi.json")).json()
    open_routes = {
        "/api/v1/health",
        "/api/v1/me",
        "/api/v1/login",
        "/api/v1/logout",
        "/api/v1/demo",
        "/api/v1/demo/login",
    }
    examples = {
        "/api/v1/agent/state": {"state": "ready"},
        "/api/v1/agent/action": {"action": "answer"},
        "/api/v1/agent/dial": {"number": "101"},
        "/api/v1/agent/transfer": {"number": "101"},
        "/api/v1/agent/redial": {"call": "c1"},
        "/api/v1/agent/consult": {"step": "start", "number": "101"},
        "/api/v1/agent/park": {},
        "/api/v1/agent/fetch": {"orbit": "701"},
        "/api/v1/agent/pickup": {"colleague": "ana"},
        "/api/v1/agent/supervise": {"mode": "stop"},
        "/api/v1/agent/look": {"call": "c1"},
        "/api/v1/agent/dnd": {"on": True},
        "/api/v1/agent/forward": {"when": "always"},
        "/api/v1/messages/{message}/heard": {},
        "/api/v1/messages/{message}/call": {},
        "/api/v1/agent/desk": {},
        "/api/v1/agent/keys": {"digits": "1"},
        "/api/v1/callbacks": {"queue": "sales", "number": "+40721555014"},
        "/api/v1/missed/{row}/call": {},
        "/api/v1/missed/{row}/handled": {},
        "/api/v1/site/check": {"text": ""},
        "/api/v1/site/undo": {},
        "/api/v1/agent/peer": {"session": "a" * 16, "sdp": "v=0 and more"},
    }
    bodies = {"/api/v1/site": {"text": "", "base": 1}}
    checked = 0
    for path, methods in described["paths"].items():
        if path in open_routes:
            continue
        for method in methods:
            url = path.replace("{call}", "c1").replace("{recording}", "r1")
            url = url.replace("{name}", "hello.wav").replace("{number}", "1")
            url = url.replace("{callback}", "b1").replace("{row}", "m1")
            body = (
                examples[path]
                if method == "post"
                else None
                if method == "get"
                else bodies.get(path, {})
            )
            answer = await client.request(method.upper(), url, json=body)
            assert answer.status_code == 401, (method, path)
            checked += 1
    assert checked >= 8
