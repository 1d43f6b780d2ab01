"""What a phone does by code, a page does by button and a program by call: the three lists held
against each other. A new code fails here until it has both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from appliance.site.model import CALL_KEYS, CODES, CallKey, Feature
from appliance.web.api import agent, calling, messages

UI: Final = Path(__file__).parents[2] / "appliance/web/ui/src"
Way = tuple[str, dict[str, Any] | None, str]
"""Route below /api/v1, a body that it takes, and what in the pages' source presses it."""


def _watch(mode: str) -> Way:
    return (
        "POST /agent/supervise",
        {"mode": mode, "of": "bo"},
        rf'"{mode}"[\s\S]*"/agent/supervise"',
    )


def _forward(when: str, number: str | None) -> Way:
    button = rf'"{when}"[\s\S]*"/agent/forward", \{{ when, number: number \|\| null'
    return "POST /agent/forward", {"when": when, "number": number}, button


def _consult(step: str) -> Way:
    return "POST /agent/consult", {"step": step}, rf'"/agent/consult"[\s\S]*does\("{step}"\)'


def _action(action: str, button: str) -> Way:
    return "POST /agent/action", {"action": action}, button


DIALLED: Final[dict[Feature, Way]] = {
    "pickup": ("POST /agent/pickup", {"colleague": "bo"}, r'post\("/agent/pickup"'),
    "listen": _watch("listen"),
    "whisper": _watch("whisper"),
    "barge": _watch("barge"),
    "take_over": _watch("take_over"),
    "dnd_on": ("POST /agent/dnd", {"on": True}, r'post\("/agent/dnd", \{ on \}'),
    "dnd_off": ("POST /agent/dnd", {"on": False}, r'post\("/agent/dnd", \{ on \}'),
    "forward_always": _forward("always", "202"),
    "forward_busy": _forward("busy", "202"),
    "forward_no_answer": _forward("no_answer", "202"),
    "forward_off": _forward("always", None),
    "sign_in": ("POST /agent/desk", {"phone": "102"}, r'post\("/agent/desk", \{ phone \}'),
    "sign_out": ("POST /agent/state", {"state": "offline"}, r'choose\("offline"\)'),
    "messages": ("GET /messages", None, r'"/messages'),
    "ready": ("POST /agent/state", {"state": "ready"}, r'choose\("ready"\)'),
    "pause": (
        "POST /agent/state",
        {"state": "not_ready", "reason": "Lunch"},
        r'choose\("not_ready", reason',
    ),
    "wrap_longer": _action("wrap_longer", r'act\("wrap_longer"\)'),
    "wrap_end": _action("wrap_end", r'does\("wrap_end"\)'),
}
KEYED: Final[dict[CallKey, Way]] = {
    "hold": _action("hold", r'"resume" : "hold"'),
    "mute": _action("mute", r'"unmute" : "mute"'),
    "transfer": ("POST /agent/transfer", {"number": "202"}, r'"/agent/transfer"'),
    "consult": (
        "POST /agent/consult",
        {"step": "start", "number": "202"},
        r'step: "start", number: wanted',
    ),
    "conference": _consult("conference"),
    "swap": _consult("swap"),
    "cancel": _consult("cancel"),
    "complete": _consult("complete"),
    "park": ("POST /agent/park", None, r'post\("/agent/park"\)'),
}
ORBIT: Final[Way] = ("POST /agent/fetch", {"orbit": "701"}, r'post\("/agent/fetch"')
"""A parking place is fetched by dialling its number."""

ROUTES: Final = {
    f"{method} {route.path}": route
    for router in (agent.router, calling.router, messages.router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
}
SOURCES: Final = [file.read_text() for file in sorted(UI.rglob("*.ts*"))]


def test_every_code_has_its_row() -> None:
    assert set(DIALLED) == set(get_args(Feature)) == set(CODES)
    assert set(KEYED) == set(get_args(CallKey)) == set(CALL_KEYS)


@pytest.mark.parametrize(
    ("name", "way"), [*DIALLED.items(), *KEYED.items(), ("orbit", ORBIT)], ids=str
)
def test_what_a_phone_can_do_a_program_and_a_page_can(name: str, way: Way) -> None:
    path, body, button = way
    route = ROUTES.get(path)
    assert route is not None, f"{name}: there is no route {path}"
    if body is not None:
        assert route.body_field is not None
        model = route.body_field.field_info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        model.model_validate(body)
    assert any(re.search(button, text) for text in SOURCES), f"{name}: no page has {button}"
