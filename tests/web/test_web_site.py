"""The site document over the API: who may, what is refused, and that pages follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from appliance.ipc import Refused
from appliance.live import ChangeSite, SiteChanged, UndoSite
from appliance.site.history import HISTORY, SiteHistory
from appliance.site.load import dump
from tests.web import scenes
from tests.web.box import Box, box

TEXT = dump(scenes.site())


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    (tmp_path / "site.toml").write_text(TEXT)
    SiteHistory(tmp_path / "site.toml", tmp_path / HISTORY).notice(1000)
    async with box(tmp_path, free_port) as one:
        yield one


async def test_the_document_and_its_versions_are_read(running: Box) -> None:
    client = await running.signed_in("root")
    now = (await client.get("/api/v1/site")).json()
    assert now == {"version": 1, "text": TEXT}
    (only,) = (await client.get("/api/v1/site/versions")).json()["versions"]
    assert (only["number"], only["author"], only["at"]) == (1, "file", 1000)
    assert (await client.get("/api/v1/site/versions/1")).json()["text"] == TEXT
    assert (await client.get("/api/v1/site/versions/2")).status_code == 404


@pytest.mark.parametrize("person", ["ana", "dina"])
async def test_only_administrators_see_or_change_it(running: Box, person: str) -> None:
    client = await running.signed_in(person)
    assert (await client.get("/api/v1/site")).status_code == 403
    body = {"text": TEXT, "base": 1}
    assert (await client.put("/api/v1/site", json=body)).status_code == 403
    assert (await client.post("/api/v1/site/undo", json={})).status_code == 403
    assert not running.control.asked(ChangeSite)


async def test_a_change_goes_to_control_with_its_author(running: Box) -> None:
    async def change(request: ChangeSite) -> SiteChanged:
        return SiteChanged(2, ("sip.port",))

    running.control.handlers[ChangeSite] = change
    client = await running.signed_in("root")
    text = TEXT.replace("Harbour Dental", "Harbour Clinic")
    answer = await client.put("/api/v1/site", json={"text": text, "base": 1})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.json()["at_start"]) == (2, ["sip.port"])
    assert running.control.asked(ChangeSite) == [ChangeSite("root", text, 1)]


async def test_a_document_that_will_not_do_is_explained_and_goes_nowhere(running: Box) -> None:
    client = await running.signed_in("root")
    bad = TEXT.replace('"boris"]', '"borris"]')
    answer = await client.put("/api/v1/site", json={"text": bad, "base": 1})
    assert answer.status_code == 422
    (found, *_) = answer.json()["findings"]
    assert found["severity"] == "error"
    assert 'did you mean "boris"' in found["message"]
    assert not running.control.asked(ChangeSite)
    looked = (await client.post("/api/v1/site/check", json={"text": bad})).json()
    assert looked["findings"][0] == found


async def test_who_comes_second_is_told(running: Box) -> None:
    async def change(request: ChangeSite) -> SiteChanged:
        raise Refused("Somebody else changed it.")

    running.control.handlers[ChangeSite] = change
    client = await running.signed_in("root")
    answer = await client.put("/api/v1/site", json={"text": TEXT, "base": 1})
    assert answer.status_code == 409
    assert "Somebody else" in answer.text


async def test_undo_goes_to_control(running: Box) -> None:
    async def undo(request: UndoSite) -> SiteChanged:
        return SiteChanged(3)

    running.control.handlers[UndoSite] = undo
    client = await running.signed_in("root")
    assert (await client.post("/api/v1/site/undo", json={})).json()["version"] == 3
    assert running.control.asked(UndoSite) == [UndoSite("root")]


async def test_pages_follow_a_document_that_control_made_hold(running: Box) -> None:
    client = await running.signed_in("dina")
    assert (await client.get("/api/v1/me")).json()["role"] == "supervisor"
    text = TEXT.replace('name = "Dina Karimi"', 'name = "Dina K."')
    history = SiteHistory(running.data / "site.toml", running.data / HISTORY)
    history.save(text, "root", 2000, 1)
    running.control.show(msgspec.structs.replace(running.control.live, site=2))
    async with asyncio.timeout(10):
        # Another task takes it up: there is nothing to wait on but the answer.
        while (await client.get("/api/v1/me")).json()["name"] != "Dina K.":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
