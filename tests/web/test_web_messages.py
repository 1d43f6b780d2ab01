"""Messages over HTTP: whose they are, what is played, what control is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance import events as e
from appliance.ledger.writer import Ledger
from appliance.live import AgentDial, DeleteMessage, MarkMessage
from tests.web import scenes
from tests.web.box import box
from tests.web.history import write_recording

BOXES: dict[str, Any] = {
    "ana": {"name": "Ana", "person": "ana"},
    "sales": {"name": "Sales", "queues": ["sales"]},
    "owner": {"name": "Owner", "people": ["chen"]},
}


PEOPLE = ("ana", "boris", "chen", "dina")


def kept(message: str, box_id: str, at: int, caller: str | None = "+40721555020") -> list[e.Fact]:
    """A whole call of somebody who leaves a message."""
    call, recording = f"c-{message}", f"c-{message}-1"
    path = f"recordings/2026-11-25/{recording}.wav"
    who: dict[str, Any] = {"call": call, "message": message, "recording": recording, "path": path}
    return [
        e.CallOpened(at=at, call=call, direction="in", door="line:line1", caller=caller),
        e.RecordingStarted(at=at, call=call, recording=recording, path=path),
        e.MessageStarted(at=at, box=box_id, least_ms=2000, caller=caller, **who),
        e.MessageKept(at=at + 9000, box=box_id, duration_ms=9000, caller=caller, **who),
        e.Disconnect(at=at + 9000, call=call, side="caller", cause="normal"),
        e.RecordingEnded(
            at=at + 9100, call=call, recording=recording, duration_ms=9000, reason="done"
        ),
    ]


async def ledger(folder: Path, *facts: list[e.Fact]) -> None:
    book = await Ledger.open(folder / "ledger.db", 0, reserve_bytes=0)
    await book.append([fact for group in facts for fact in group])
    await book.close()


async def seen(client: Any) -> list[str]:
    answer = await client.get("/api/v1/messages")
    assert answer.status_code == 200
    return [row["message"] for row in answer.json()["messages"]]


async def test_each_sees_their_own_box_and_those_of_their_queues(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    now = scenes.clock() - 60_000
    await ledger(
        tmp_path, kept("m1", "ana", now), kept("m2", "sales", now + 1), kept("m3", "owner", now + 2)
    )
    async with box(tmp_path, free_port, passwords=PEOPLE, boxes=BOXES) as office:
        assert (await (await office.client()).get("/api/v1/messages")).status_code == 401
        ana, boris = await office.signed_in("ana"), await office.signed_in("boris")
        chen, dina = await office.signed_in("chen"), await office.signed_in("dina")
        assert await seen(ana) == ["m2", "m1"]
        assert await seen(boris) == ["m2"]
        assert await seen(chen) == ["m3"]
        assert await seen(dina) == ["m3", "m2"]
        shown = (await ana.get("/api/v1/messages")).json()
        assert "path" not in shown["messages"][0]
        assert shown["boxes"] == [{"id": "ana", "name": "Ana"}, {"id": "sales", "name": "Sales"}]
        for way in ("heard", "call"):
            refused = await boris.post(f"/api/v1/messages/m1/{way}", json={})
            assert refused.status_code == 404
        assert (await boris.get("/api/v1/messages/m1/audio")).status_code == 404
        assert (await boris.request("DELETE", "/api/v1/messages/m1", json={})).status_code == 404
        assert not office.control.asked(DeleteMessage)


async def test_they_are_played_marked_called_back_and_deleted(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    now = scenes.clock() - 60_000
    await ledger(
        tmp_path,
        kept("m1", "ana", now),
        kept("m2", "ana", now + 1, None),
        kept("m3", "ana", now + 2, "112"),
    )
    folder = tmp_path / "recordings" / "2026-11-25"
    folder.mkdir(parents=True)
    write_recording(folder / "c-m1-1.wav", 2)
    async with box(tmp_path, free_port, passwords=PEOPLE, boxes=BOXES) as office:
        ana = await office.signed_in("ana")
        sound = await ana.get("/api/v1/messages/m1/audio")
        assert (sound.status_code, sound.headers["content-type"]) == (200, "audio/wav")
        assert sound.content[:4] == b"RIFF"
        assert (await ana.get("/api/v1/messages/m2/audio")).status_code == 404
        assert (await ana.post("/api/v1/messages/m1/heard", json={})).status_code == 200
        assert (await ana.post("/api/v1/messages/m1/heard", json={"new": True})).status_code == 200
        assert office.control.asked(MarkMessage) == [
            MarkMessage("ana", "m1"),
            MarkMessage("ana", "m1", True),
        ]
        assert (await ana.post("/api/v1/messages/m1/call", json={})).status_code == 200
        assert office.control.asked(AgentDial)[0].agent == "ana"
        for unknown in ("m2", "m3"):
            assert (await ana.post(f"/api/v1/messages/{unknown}/call", json={})).status_code == 409
        assert len(office.control.asked(AgentDial)) == 1
        assert (await ana.request("DELETE", "/api/v1/messages/m1", json={})).status_code == 200
        assert office.control.asked(DeleteMessage) == [DeleteMessage("ana", "m1")]


async def test_deleted_and_old_ones_are_gone_and_heard_ones_say_by_whom(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    now = scenes.clock() - 60_000
    old = now - 100 * 86_400_000
    after: list[e.Fact] = [
        e.MessageHeard(at=now + 20, message="m2", agent="boris"),
        e.MessageDeleted(at=now + 30, message="m3", agent="ana", path="recordings/x/y.wav"),
    ]
    await ledger(
        tmp_path,
        kept("m0", "sales", old),
        kept("m2", "sales", now),
        kept("m3", "sales", now + 1),
        after,
    )
    async with box(tmp_path, free_port, passwords=PEOPLE, boxes=BOXES) as office:
        ana = await office.signed_in("ana")
        (row,) = (await ana.get("/api/v1/messages")).json()["messages"]
        assert (row["message"], row["heard_by"]) == ("m2", "boris")
        call = (await ana.get("/api/v1/calls/c-m2")).json()
        assert call["outcome"] == "voicemail"


async def test_what_is_said_to_a_box_is_no_recording_of_the_call(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    await ledger(tmp_path, kept("m1", "ana", scenes.clock() - 60_000))
    folder = tmp_path / "recordings" / "2026-11-25"
    folder.mkdir(parents=True)
    write_recording(folder / "c-m1-1.wav", 2)
    async with box(tmp_path, free_port, passwords=PEOPLE, boxes=BOXES) as office:
        dina, ana = await office.signed_in("dina"), await office.signed_in("ana")
        assert (await ana.get("/api/v1/messages/m1/audio")).status_code == 200
        # A supervisor hears all calls, yet not what is meant for somebody else.
        assert (await dina.get("/api/v1/messages/m1/audio")).status_code == 404
        assert (await dina.get("/api/v1/calls/c-m1")).json()["recordings"] == []
        assert (await dina.get("/api/v1/recordings/c-m1-1")).status_code == 404
