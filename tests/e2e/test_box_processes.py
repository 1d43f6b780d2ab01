"""Which processes a box has: by its site document, by its cores."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import app
from appliance.app import Office, Places, media_modules, media_processes
from appliance.site.model import Media, Site


@pytest.mark.parametrize(
    ("cores", "processes"), [(None, 1), (1, 1), (4, 1), (7, 1), (8, 2), (16, 4), (128, 8)]
)
def test_the_audio_has_one_process_for_each_four_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, processes: int
) -> None:
    monkeypatch.setattr(app.os, "cpu_count", lambda: cores)
    assert media_processes(Site()) == processes
    assert media_processes(Site(media=Media(processes=3))) == 3


def test_each_audio_process_has_its_number_and_socket() -> None:
    places = Places(Path("/data"))
    office = Office(Site(media=Media(processes=2)), Path("/site.toml"), places)
    assert office.names() == ["media", "media1", "control", "web"]
    assert office.command("media1")[-2:] == ["--process", "1"]
    assert office.command("media1")[3] == office.command("media")[3] == "media"
    assert office.command("control")[-2:] == ["--media", "2"]
    assert places.media_socket(0) != places.media_socket(1)


def test_only_what_the_box_needs_is_loaded_beforehand() -> None:
    assert media_modules(Site(), 0) == ["appliance.media.process"]
