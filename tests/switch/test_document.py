"""The document of a running box: what is shown is what runs, whatever fails on the way."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import ipc, live
from appliance.clock import Clock
from appliance.sip.events import SipConfig
from appliance.site.history import HISTORY, SiteHistory
from appliance.site.load import parse
from appliance.site.model import Site
from appliance.switch.core import Switch
from appliance.switch.document import SiteDocument
from tests.switch.office import SITE

LATER = SITE.replace('name = "Ana"', 'name = "Anna"').replace(
    "[people.ana]", '[phones.109]\nname = "New"\n[people.ana]'
)
WAITS = LATER + "[sip]\nport = 5999\n"


class Connection:
    """What was said back."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def post_frame(self, kind: int, ref: int, body: Any) -> None:
        self.said.append(body)


class Box:
    """Everything that takes a document, without sockets and sound. `ill` are those that fail."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.file = folder / "site.toml"
        self.file.write_text(SITE)
        self.folder = folder
        self.ill: set[str] = set()
        self.configs: list[SipConfig] = []
        self.spoken: list[Site] = []
        self.told: list[int] = []
        ids = itertools.count()
        site = parse(SITE)
        self.switch = Switch(site, str(folder), lambda prefix: f"{prefix}{next(ids)}")
        self.document = SiteDocument(site, folder, self.file, Clock(), self._changed)
        self.document.serve(self.switch, self, self, self._settle, tasks)

    def _changed(self) -> None:
        self.told.append(self.document.version)

    async def _settle(self, step: Callable[[int], None]) -> None:
        step(0)

    async def reconfigure(self, config: SipConfig) -> None:
        if "door" in self.ill:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.configs.append(config)

    async def first(self, site: Site) -> None:
        # While words are made the document is yet what it was.
        assert self.shown() == (1, SITE)
        self.spoken.append(site)

    async def rest(self, site: Site) -> None:
        pass

    async def ask(self, request: live.ChangeSite | live.UndoSite) -> Any:
        connection: Any = Connection()
        await self.document.change(ipc.Incoming(connection, 1, request))
        (said,) = connection.said
        return said

    def shown(self) -> tuple[int, str]:
        """As the web process reads it."""
        history = SiteHistory(self.file, self.folder / HISTORY)
        assert history.newest == self.document.version
        text = history.text(history.newest) or ""
        assert self.file.read_text() == text
        return history.newest, text

    def runs(self) -> tuple[str, bool]:
        """Ana's name, and whether there is a phone 109, as far as anybody knows."""
        site = self.document.site
        assert self.switch.w.site is site
        if self.configs:
            assert ("109" in self.configs[-1].phones) == ("109" in site.phones)
        return site.people["ana"].name, "109" in site.phones


async def with_box(folder: Path, story: Callable[[Box], Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        box = Box(folder, tasks)
        await box.document.start()
        await story(box)


async def test_a_change_holds_and_is_the_document(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        assert await box.ask(live.ChangeSite("root", LATER, 1)) == live.SiteChanged(2)
        assert box.shown() == (2, LATER)
        assert box.runs() == ("Anna", True)
        assert box.told == [2]

    await with_box(tmp_path, story)


async def test_a_door_that_cannot_take_it_leaves_the_one_before(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        box.ill.add("door")
        said = await box.ask(live.ChangeSite("root", LATER, 1))
        assert said == "The document cannot be taken into use: Address already in use."
        assert box.shown() == (1, SITE)
        assert box.runs() == ("Ana", False)
        assert box.told == []
        box.ill.clear()
        assert await box.ask(live.ChangeSite("root", LATER, 1)) == live.SiteChanged(2)
        assert box.runs() == ("Anna", True)

    await with_box(tmp_path, story)


@pytest.mark.parametrize("fails", ["write", "rename", "secrets"])
async def test_a_disk_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def ill(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story(box: Box) -> None:
        with monkeypatch.context() as patch:
            if fails == "write":
                patch.setattr("appliance.site.history._fill", ill)
            elif fails == "rename":
                patch.setattr(Path, "replace", ill)
            else:
                patch.setattr("appliance.site.secrets.Secrets.save", ill)
            said = await box.ask(live.ChangeSite("root", LATER, 1))
        assert said == "The document cannot be taken into use: No space left on device."
        assert box.shown() == (1, SITE)
        assert box.runs() == ("Ana", False)
        assert not list(tmp_path.rglob("*.part"))
        assert await box.ask(live.ChangeSite("root", LATER, 1)) == live.SiteChanged(2)

    await with_box(tmp_path, story)


async def test_secrets_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        (tmp_path / "secrets.toml").write_text("not toml")
        said = await box.ask(live.ChangeSite("root", LATER, 1))
        assert "secrets.toml" in said
        assert box.shown() == (1, SITE)
        assert box.runs() == ("Ana", False)

    await with_box(tmp_path, story)


async def test_what_still_waited_waits_on_when_the_next_change_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(box: Box) -> None:
        monkeypatch.setattr(box, "first", box.rest)
        done = await box.ask(live.ChangeSite("root", WAITS, 1))
        assert done == live.SiteChanged(2, ("sip.port",))
        alarm = box.switch.w.alarms["site"]
        with monkeypatch.context() as patch:

            def ill(*arguments: Any) -> Any:
                raise OSError(errno.EIO, "Input/output error")

            patch.setattr(Path, "replace", ill)
            assert "Input/output" in await box.ask(live.ChangeSite("root", LATER, 2))
        assert box.document.version == 2
        assert box.switch.w.alarms["site"].detail == alarm.detail

    await with_box(tmp_path, story)


async def test_who_comes_second_and_who_has_nothing_to_take_back_are_told(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        assert "nothing to take back" in await box.ask(live.UndoSite("root"))
        assert "Load it again" in await box.ask(live.ChangeSite("root", LATER, 7))
        assert "there is no queue" in await box.ask(
            live.ChangeSite("root", SITE.replace("queue:sales", "queue:x"), 1)
        )
        assert box.shown() == (1, SITE)
        assert box.spoken == []

    await with_box(tmp_path, story)


async def test_a_box_without_a_file_says_so(tmp_path: Path) -> None:
    document = SiteDocument(parse(SITE), tmp_path, None, Clock(), lambda: None)
    connection: Any = Connection()
    await document.change(ipc.Incoming(connection, 1, live.UndoSite("root")))
    assert connection.said == ["This box runs without a file of its site document."]
    assert document.version == 0
