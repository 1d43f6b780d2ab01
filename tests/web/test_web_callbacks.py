"""Call-backs and missed callers over HTTP: who may ask, what is shown, what control is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import events as e
from appliance.cli import main
from appliance.ipc import Refused
from appliance.ledger.writer import Ledger
from appliance.live import (
    AgentDial,
    BookCallback,
    CallbackBooked,
    CancelCallback,
    HandleMissed,
    LiveCallback,
)
from appliance.site.secrets import Secrets
from appliance.web.allowance import Allowance
from tests.web import scenes
from tests.web.box import box
from tests.web.history import abandoned, answered

WISH = {"queue": "sales", "number": "(212) 555-0123"}


async def booked(_: Any) -> CallbackBooked:
    return CallbackBooked("cb1")


async def test_the_team_asks_for_a_call_back_and_gives_it_up(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port) as office:
        office.control.handlers[BookCallback] = booked
        ana = await office.signed_in("ana")
        answer = await ana.post("/api/v1/callbacks", json=WISH)
        assert (answer.status_code, answer.json()) == (201, {"callback": "cb1"})
        assert office.control.asked(BookCallback) == [
            BookCallback("sales", "(212) 555-0123", "agent:ana")
        ]
        gone = await ana.request("DELETE", "/api/v1/callbacks/cb1", json={})
        assert gone.status_code == 200
        assert office.control.asked(CancelCallback) == [CancelCallback("cb1", "agent:ana")]


async def test_a_program_with_a_key_asks_for_call_backs_and_nothing_else(
    tmp_path: Path, free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    async with box(tmp_path, free_port) as office:
        office.control.handlers[BookCallback] = booked
        assert main(["key", "website", "--data", str(tmp_path)]) == 0
        key = capsys.readouterr().out.strip()
        assert key not in (tmp_path / "secrets.toml").read_text()
        program = await office.client(Authorization=f"Bearer {key}")
        assert (await program.post("/api/v1/callbacks", json=WISH)).status_code == 201
        assert office.control.asked(BookCallback)[0].by == "key:website"
        for path in ("/api/v1/callbacks", "/api/v1/missed", "/api/v1/calls"):
            assert (await program.get(path)).status_code == 401, path
        assert (
            await program.request("DELETE", "/api/v1/callbacks/cb1", json={})
        ).status_code == 401
        assert main(["key", "website", "--remove", "--data", str(tmp_path)]) == 0
        assert (await program.post("/api/v1/callbacks", json=WISH)).status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer " + "x" * 900]
)
async def test_without_a_key_nobody_makes_the_box_call(
    tmp_path: Path, free_port: Callable[[], int], header: str
) -> None:
    async with box(tmp_path, free_port) as office:
        stranger = await office.client(Authorization=header)
        assert (await stranger.post("/api/v1/callbacks", json=WISH)).status_code == 401
        assert not office.control.asked(BookCallback)


async def test_one_number_is_not_asked_for_over_and_over(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with box(tmp_path, free_port) as office:
        office.control.handlers[BookCallback] = booked
        secrets = Secrets.load(tmp_path / "secrets.toml")
        key = secrets.make_key("website")
        secrets.save()
        program = await office.client(Authorization=f"Bearer {key}")
        spellings = ("2125550123", "+12125550123", "212 555 0123", "12125550123")
        codes = [
            (await program.post("/api/v1/callbacks", json={"queue": "sales", "number": one}))
            for one in spellings
        ]
        assert [answer.status_code for answer in codes] == [201, 201, 201, 429]
        assert int(codes[-1].headers["Retry-After"]) > 3000


@pytest.mark.parametrize(
    "body",
    [
        {"queue": "sales"},
        {"queue": "sales", "number": "ring me"},
        {"queue": "sales", "number": "1" * 41},
        {"queue": "../x", "number": "2125550123"},
        {"queue": "sales", "number": "2125550123", "since": 0},
    ],
)
async def test_what_is_no_wish_is_refused(
    tmp_path: Path, free_port: Callable[[], int], body: dict[str, str]
) -> None:
    async with box(tmp_path, free_port) as office:
        ana = await office.signed_in("ana")
        assert (await ana.post("/api/v1/callbacks", json=body)).status_code == 422


async def test_what_control_refuses_is_said(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async def refuse(_: Any) -> None:
        raise Refused("Sales does not call such numbers back.")

    async with box(tmp_path, free_port) as office:
        office.control.handlers[BookCallback] = refuse
        ana = await office.signed_in("ana")
        answer = await ana.post("/api/v1/callbacks", json=WISH)
        assert answer.status_code == 409
        assert answer.json()["detail"] == "Sales does not call such numbers back."


async def test_the_list_and_todays_figures(tmp_path: Path, free_port: Callable[[], int]) -> None:
    now = scenes.clock()
    live = msgspec.structs.replace(
        scenes.quiet(),
        callbacks=(LiveCallback("cb2", "sales", "+12125550124", now, now, "waiting", 1, 0),),
    )
    async with box(tmp_path, free_port, live, privacy={"shown_digits": {"agent": 3}}) as office:
        await write(tmp_path, callback("cb1", now - 600, now - 100))
        dina = await office.signed_in("dina")
        seen = (await dina.get("/api/v1/callbacks")).json()
        assert [one["number"] for one in seen["open"]] == ["+12125550124"]
        (row,) = seen["today"]
        assert (row["result"], row["agent"], row["wait_ms"]) == ("connected", "ana", 500)
        figures = seen["figures"]["sales"]
        assert (figures["requested"], figures["connected"]) == (1, 1)
        assert figures["callback_wait_ms"] == 500
        ana = await office.signed_in("ana")
        hidden = (await ana.get("/api/v1/callbacks")).json()
        assert hidden["open"][0]["number"].endswith("•124")
        assert hidden["today"][0]["number"].endswith("•123")


async def test_missed_callers_are_called_and_taken_care_of_without_showing_the_number(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    now = scenes.clock()
    async with box(tmp_path, free_port, privacy={"shown_digits": {"agent": 2}}) as office:
        await write(
            tmp_path,
            [
                *abandoned("m1", now - 500_000, "2125550123"),
                *abandoned("m2", now - 400_000, "+12125550123"),
                *abandoned("m3", now - 300_000, "2125550777"),
            ],
        )
        ana = await office.signed_in("ana")
        rows = (await ana.get("/api/v1/missed")).json()["missed"]
        assert [(row["number"][-3:], row["times"]) for row in rows] == [("•77", 1), ("•23", 2)]
        row = rows[1]["id"]
        assert (await ana.post(f"/api/v1/missed/{row}/call", json={})).status_code == 200
        assert office.control.asked(AgentDial) == [AgentDial("ana", "012125550123", "sales")]
        note = {"note": "wrote an e-mail"}
        assert (await ana.post(f"/api/v1/missed/{row}/handled", json=note)).status_code == 200
        handled = HandleMissed("ana", "+12125550123", "wrote an e-mail")
        assert office.control.asked(HandleMissed) == [handled]
        fact = e.MissedHandled(at=now, number="+12125550123", agent="ana", note="wrote an e-mail")
        await write(tmp_path, [fact])
        rows = (await ana.get("/api/v1/missed")).json()["missed"]
        assert [row["handled_by"] for row in rows] == [None, "ana"]
        await write(tmp_path, answered("m4", now - 200_000, "boris", "+12125550777", None))
        rows = (await ana.get("/api/v1/missed")).json()["missed"]
        assert [row["handled_by"] for row in rows] == ["ana"]
        gone = await ana.post("/api/v1/missed/0123456789abcdef/call", json={})
        assert gone.status_code == 404
        # Whoever shows an emergency number is not called there.
        await write(tmp_path, abandoned("m5", now - 100_000, "112"))
        row = (await ana.get("/api/v1/missed")).json()["missed"][0]["id"]
        assert (await ana.post(f"/api/v1/missed/{row}/call", json={})).status_code == 409
        assert len(office.control.asked(AgentDial)) == 1


def test_an_allowance_comes_back_with_time() -> None:
    allowance = Allowance(2, 1000)
    assert [allowance.wait_ms("a", now) for now in (0, 400, 500)] == [0, 0, 500]
    assert allowance.wait_ms("b", 500) == 0
    assert [allowance.wait_ms("a", now) for now in (1000, 1001)] == [0, 399]


def callback(name: str, asked: int, connected: int) -> list[e.Fact]:
    """A request that was kept at once."""
    ids = {"call": f"{name}-c", "entry": f"{name}-e", "queue": "sales"}
    return [
        e.CallbackRequested(
            at=asked, callback=name, queue="sales", number="+12125550123", since=asked
        ),
        e.CallbackDialled(
            at=asked + 10, callback=name, attempt=1, agent="ana", asked_at=asked, **ids
        ),
        e.CallOpened(at=asked + 10, call=ids["call"], direction="out", door="queue:sales"),
        e.QEnter(at=connected - 5, **ids),
        e.Connect(at=connected, agent="ana", **ids),
        e.QLeave(at=connected, reason="answered", agent="ana", **ids),
        e.CallbackEnded(at=connected, callback=name, result="connected", agent="ana"),
    ]


async def write(data: Path, facts: list[e.Fact]) -> None:
    ledger = await Ledger.open(data / "ledger.db", scenes.clock(), reserve_bytes=0)
    await ledger.append(facts)
    await ledger.close()
