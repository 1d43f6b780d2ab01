"""Calls, figures and recordings, from a real ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from appliance.events import RecordingStarted
from appliance.ledger.writer import Ledger
from tests.web import scenes
from tests.web.box import Box, box
from tests.web.history import answered, write_recording


@pytest.fixture
async def running(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Box]:
    write_recording(tmp_path / "recordings" / "r1.wav", 2.0)
    (tmp_path / "secret.wav").write_bytes(b"not for pages")
    now = scenes.clock()
    facts = [
        *answered("c1", now - 500_000, "ana", "+40721555014", "r1"),
        *answered("c2", now - 400_000, "boris", "+40265312044", None),
        *answered("c3", now - 300_000, "ana", "+40265312044", None),
        RecordingStarted(at=now - 300_000, call="c3", recording="up", path="secret.wav"),
        RecordingStarted(
            at=now - 300_000, call="c3", recording="out", path="recordings/../secret.wav"
        ),
        RecordingStarted(at=now - 300_000, call="c3", recording="gone", path="recordings/x.wav"),
    ]
    ledger = await Ledger.open(tmp_path / "ledger.db", now - 600_000, reserve_bytes=0)
    await ledger.append(facts)
    await ledger.close()
    live = msgspec.structs.replace(scenes.quiet(), facts=ledger.last_seq)
    async with box(tmp_path, free_port, live) as one:
        yield one


async def test_calls_come_newest_first_page_by_page(running: Box) -> None:
    client = await running.signed_in("dina")
    first = (await client.get("/api/v1/calls", params={"limit": 2})).json()
    assert [one["call"] for one in first["calls"]] == ["c3", "c2"]
    assert "quality" not in first["calls"][0]
    second = await client.get("/api/v1/calls", params={"limit": 2, "before": first["next"]})
    assert [one["call"] for one in second.json()["calls"]] == ["c1"]
    assert second.json()["next"] is None


async def test_a_part_of_a_number_finds_its_calls(running: Box) -> None:
    client = await running.signed_in("dina")
    found = (await client.get("/api/v1/calls", params={"search": "0265312"})).json()
    assert [one["call"] for one in found["calls"]] == ["c3", "c2"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "before=x", f"search={'a' * 61}"])
async def test_a_question_out_of_bounds_is_explained(running: Box, query: str) -> None:
    client = await running.signed_in("dina")
    assert (await client.get(f"/api/v1/calls?{query}")).status_code == 422


async def test_a_call_has_its_journey_and_no_paths_of_files(running: Box) -> None:
    client = await running.signed_in("dina")
    answer = await client.get("/api/v1/calls/c1")
    body = answer.json()
    assert (body["wait_ms"], body["talk_ms"], body["outcome"]) == (8000, 60_000, "answered")
    assert [step["kind"] for step in body["steps"]][:3] == ["call_opened", "answered", "q_enter"]
    assert body["recordings"][0]["recording"] == "r1"
    assert "path" not in body["recordings"][0]
    assert [(one["party"], one["verdict"], one["trouble"]) for one in body["quality"]] == [
        ("line:line1", "good", None),
        ("agent:ana", "poor", "loss"),
    ]


async def test_an_unknown_call_is_not_there(running: Box) -> None:
    client = await running.signed_in("dina")
    assert (await client.get("/api/v1/calls/nope")).status_code == 404


async def test_a_recording_is_served_in_ranges(running: Box) -> None:
    client = await running.signed_in("ana")
    whole = await client.get("/api/v1/recordings/r1")
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    part = await client.get("/api/v1/recordings/r1", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"


@pytest.mark.parametrize(("ending", "kind"), [("opus", "audio/ogg"), ("flac", "audio/flac")])
async def test_a_finished_recording_is_served_in_its_form(
    running: Box, tmp_path: Path, ending: str, kind: str
) -> None:
    client = await running.signed_in("ana")
    (tmp_path / "recordings" / f"r1.{ending}").write_bytes(bytes(range(256)) * 4)
    for _ in ("beside what it was made from", "alone"):
        whole = await client.get("/api/v1/recordings/r1")
        assert whole.headers["content-type"] == kind
        assert f'filename="r1.{ending}"' in whole.headers["content-disposition"]
        assert len(whole.content) == 1024
        part = await client.get("/api/v1/recordings/r1", headers={"Range": "bytes=256-"})
        assert part.status_code == 206
        assert part.content == whole.content[256:]
        (tmp_path / "recordings" / "r1.wav").unlink(missing_ok=True)


async def test_an_agent_hears_only_the_calls_of_his_own(running: Box) -> None:
    client = await running.signed_in("boris")
    assert (await client.get("/api/v1/recordings/r1")).status_code == 403
    body = (await client.get("/api/v1/calls/c1")).json()
    assert body["recordings"][0]["may_hear"] is False


@pytest.mark.parametrize("recording", ["up", "out", "gone", "nope"])
async def test_no_file_outside_the_recordings_leaves_the_box(running: Box, recording: str) -> None:
    client = await running.signed_in("dina")
    answer = await client.get(f"/api/v1/recordings/{recording}")
    assert answer.status_code == 404
    assert b"not for pages" not in answer.content


async def test_the_figures_of_today_come_with_the_live_state(running: Box) -> None:
    client = await running.signed_in("dina")
    async with running.socket(client) as socket, asyncio.timeout(15):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "live" and message["figures"]:
                break
    sales = message["figures"]["sales"]
    # The calls lie minutes back: shortly after midnight fewer of them are of today.
    if sales["answered"]:
        assert sales["sl_all"] == 1.0
        assert sales["asa_ms"] == 8000
    assert message["figures"]["service"]["sl_all"] is None
