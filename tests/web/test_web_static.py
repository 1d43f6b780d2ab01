"""The built pages as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from appliance.web.pages import Pages


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Centrala</title>")
    (tmp_path / "assets" / "a-1.js").write_text("plain")
    (tmp_path / "assets" / "a-1.js.br").write_bytes(b"brotli")
    (tmp_path / "assets" / "a-1.js.gz").write_bytes(b"gzip")
    return serving(tmp_path)


def serving(folder: Path) -> TestClient:
    pages = Pages(folder)

    async def page(request: Request) -> Response:
        return pages.answer(request)

    app = Starlette()
    app.add_route("/{path:path}", page)
    return TestClient(app)


def test_a_view_s_address_opens_the_page(client: TestClient) -> None:
    answer = client.get("/calls/c1")
    assert answer.text == "<title>Centrala</title>"
    assert answer.headers["cache-control"] == "no-cache"


def test_hashed_files_are_kept_for_good(client: TestClient) -> None:
    answer = client.get("/assets/a-1.js", headers={"Accept-Encoding": "identity"})
    assert answer.text == "plain"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("accepted", ["gzip, deflate, br", "br;q=1.0"])
def test_brotli_goes_to_who_takes_it(client: TestClient, accepted: str) -> None:
    with client.stream("GET", "/assets/a-1.js", headers={"Accept-Encoding": accepted}) as answer:
        assert answer.headers["content-encoding"] == "br"
        assert b"".join(answer.iter_raw()) == b"brotli"


def test_an_unchanged_page_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/").headers["etag"]
    answer = client.get("/", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.content == b""


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/favicon.ico", "/api/v2/x", "/assets/../x.txt", "/..%2fx.txt"]
)
def test_what_is_not_there_is_said_to_be_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    answer = serving(tmp_path / "none").get("/")
    assert answer.status_code == 503
    assert "build.sh" in answer.text
