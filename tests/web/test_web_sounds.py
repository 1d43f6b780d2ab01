"""Looking after the office's sounds: who may, what arrives, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.ipc import Refused
from appliance.live import Done, DropSound, TakeSound
from appliance.web.guard import MOST_SOUND
from tests.web.box import Box, box
from tests.web.history import write_recording

AUDIO = {"Content-Type": "audio/mpeg"}


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    write_recording(tmp_path / "prompts" / "welcome.wav", 2.0)
    async with box(tmp_path, free_port) as one:
        yield one


async def test_an_upload_reaches_control_whole_and_leaves_nothing_behind(running: Box) -> None:
    body = bytes(range(256)) * 4096
    seen: list[bytes] = []

    async def take(request: TakeSound) -> Done:
        seen.append((running.data / "uploads" / request.upload).read_bytes())
        return Done()

    running.control.handlers[TakeSound] = take
    client = await running.signed_in("dina")
    answer = await client.put("/api/v1/sounds/hello.wav", content=body, headers=AUDIO)
    assert answer.status_code == 200, answer.text
    assert seen == [body]
    assert running.control.asked(TakeSound)[0].name == "hello.wav"
    assert not list((running.data / "uploads").iterdir())


async def test_what_control_says_of_a_bad_file_reaches_the_person(running: Box) -> None:
    async def take(request: TakeSound) -> Done:
        raise Refused("the file has no sound in it")

    running.control.handlers[TakeSound] = take
    client = await running.signed_in("root")
    answer = await client.put("/api/v1/sounds/hello.wav", content=b"x", headers=AUDIO)
    assert answer.status_code == 409
    assert "no sound in it" in answer.text


@pytest.mark.parametrize("name", ["hello.mp3", "..%2Fsecrets.wav", "a b.wav", "x" * 90 + ".wav"])
async def test_names_out_of_bounds_are_refused(running: Box, name: str) -> None:
    client = await running.signed_in("dina")
    answer = await client.put(f"/api/v1/sounds/{name}", content=b"x", headers=AUDIO)
    assert answer.status_code in (404, 405, 422)
    assert not running.control.asked(TakeSound)


async def test_a_file_that_grows_too_large_is_refused(running: Box) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MOST_SOUND // 2**20 + 2):
            yield bytes(2**20)

    client = await running.signed_in("dina")
    answer = await client.put("/api/v1/sounds/hello.wav", content=endless(), headers=AUDIO)
    assert answer.status_code == 413
    assert not running.control.asked(TakeSound)


async def test_agents_do_not_touch_the_sounds(running: Box) -> None:
    client = await running.signed_in("ana")
    assert (await client.get("/api/v1/sounds")).status_code == 403
    answer = await client.put("/api/v1/sounds/hello.wav", content=b"x", headers=AUDIO)
    assert answer.status_code == 403
    assert (
        await client.request("DELETE", "/api/v1/sounds/welcome.wav", json={})
    ).status_code == 403
    assert not running.control.asked(DropSound)


async def test_the_list_tells_length_and_the_sound_can_be_heard(running: Box) -> None:
    client = await running.signed_in("dina")
    listed: Any = (await client.get("/api/v1/sounds")).json()["sounds"]
    assert [(one["name"], one["missing"], one["used_by"]) for one in listed] == [
        ("welcome.wav", False, [])
    ]
    heard = await client.get("/api/v1/sounds/welcome.wav", headers={"Range": "bytes=0-3"})
    assert (heard.status_code, heard.content) == (206, b"RIFF")
    assert (await client.get("/api/v1/sounds/other.wav")).status_code == 404


async def test_deleting_goes_to_control(running: Box) -> None:
    client = await running.signed_in("dina")
    answer = await client.request("DELETE", "/api/v1/sounds/welcome.wav", json={})
    assert answer.status_code == 200
    assert running.control.asked(DropSound) == [DropSound("welcome.wav")]
