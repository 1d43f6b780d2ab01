"""Live states of a small office, as the control process would show them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from appliance.live import (
    Live,
    LiveAgent,
    LiveAgentCall,
    LiveAlarm,
    LiveCall,
    LiveLevel,
    LiveLine,
    LivePhone,
    LiveQueue,
    LiveWaiting,
)
from appliance.site.model import Site

SITE: dict[str, Any] = {
    "office": {"name": "Harbour Dental", "timezone": "Europe/Bucharest"},
    "people": {
        "ana": {"name": "Ana Popescu", "extension": "201"},
        "boris": {"name": "Boris Ivanov", "extension": "202"},
        "chen": {"name": "Chen Wei", "extension": "203", "door": "phone", "phone": "101"},
        "dina": {"name": "Dina Karimi", "extension": "204", "role": "supervisor"},
        "root": {"name": "Owner", "role": "admin"},
    },
    "phones": {"101": {"name": "Reception"}, "102": {"name": "Workshop"}},
    "queues": {
        "sales": {"name": "Sales", "extension": "301", "agents": ["ana", "boris"]},
        "service": {"name": "Service", "extension": "302", "agents": ["ana", "chen", "dina"]},
    },
}


def site(**web: Any) -> Site:
    """The office's document; `demo` and keys of `[web]` can be given."""
    demo, privacy = web.pop("demo", False), web.pop("privacy", {})
    document = {**SITE, "boxes": web.pop("boxes", {}), "demo": demo, "privacy": privacy}
    document["web"] = {"host": "127.0.0.1", **web}
    return Site.model_validate(document)


def clock() -> int:
    return time.time_ns() // 1_000_000


def agent(who: str, name: str, phase: Any = "offline", ago_s: int = 60, **more: Any) -> LiveAgent:
    values: dict[str, Any] = {
        "reason": None,
        "since": clock() - ago_s * 1000,
        "door": "browser",
        "reachable": phase != "offline",
        "queues": ("sales",),
        **more,
    }
    return LiveAgent(id=who, name=name, phase=phase, **values)


def quiet(demo: bool = False) -> Live:
    """Nobody on duty, no calls."""
    return Live(
        seq=1,
        now=clock(),
        ready=True,
        facts=0,
        office="Demo office" if demo else "Harbour Dental",
        demo=demo,
        recording_notice=False,
        pause_reasons=("Break", "Lunch", "Training", "Paperwork"),
        agents=(
            agent("ana", "Ana Popescu", queues=("sales", "service")),
            agent("boris", "Boris Ivanov", queues=("sales",)),
            agent("chen", "Chen Wei", door="phone", queues=("service",)),
            agent("dina", "Dina Karimi", queues=("service",)),
        ),
        queues=(
            LiveQueue("sales", "Sales", "longest_idle", 20, 5, True, 0, None, 0, 0, 0),
            LiveQueue("service", "Service", "ring_all", 20, 5, True, 0, None, 0, 0, 0),
        ),
        waiting=(),
        calls=(),
        lines=(
            LiveLine("line1", "Line 1", "modem", "idle"),
            LiveLine("line2", "Line 2", "modem", "idle"),
            LiveLine("voip", "City trunk", "trunk", "idle", "2 channels"),
        ),
        phones=(
            LivePhone("101", "Reception", True),
            LivePhone("102", "Workshop", False),
        ),
        alarms=(),
    )


def busy(demo: bool = False) -> Live:
    """A morning: callers wait, agents talk, one line rings, one problem."""
    now = clock()
    live = quiet(demo)
    return msgspec.structs.replace(
        live,
        facts=40,
        agents=(
            agent("ana", "Ana Popescu", "ready", 75, queues=("sales", "service")),
            agent(
                "boris",
                "Boris Ivanov",
                "busy",
                134,
                call=LiveAgentCall(
                    "c1",
                    "talking",
                    "+40721555014",
                    "Maria Ionescu",
                    "sales",
                    "Sales",
                    now - 134_000,
                    12_000,
                ),
            ),
            agent(
                "chen",
                "Chen Wei",
                "not_ready",
                410,
                reason="Lunch",
                door="phone",
                queues=("service",),
            ),
            agent("dina", "Dina Karimi", "wrap", 8, queues=("service",), wrap_until=now + 7000),
        ),
        queues=(
            LiveQueue("sales", "Sales", "longest_idle", 20, 5, True, 2, now - 47_000, 1, 1, 0),
            LiveQueue("service", "Service", "ring_all", 20, 5, True, 0, None, 1, 0, 1),
        ),
        waiting=(
            LiveWaiting("e2", "c2", "sales", "+40265312044", None, now - 47_000, 1, ("ana",)),
            LiveWaiting("e3", "c3", "sales", None, None, now - 9_000, 2),
        ),
        calls=(
            LiveCall(
                "c1",
                "in",
                "talking",
                "line:line1",
                "+40721555014",
                "Maria Ionescu",
                None,
                now - 160_000,
                "sales",
                "boris",
                True,
                poor="agent:boris",
                levels=(
                    LiveLevel("line:line1", -34, "quiet"),
                    LiveLevel("agent:boris", -17),
                ),
            ),
            LiveCall(
                "c2",
                "in",
                "waiting",
                "line:line2",
                "+40265312044",
                None,
                None,
                now - 58_000,
                "sales",
            ),
            LiveCall(
                "c3", "in", "waiting", "trunk:voip", None, None, "0212345678", now - 21_000, "sales"
            ),
        ),
        lines=(
            LiveLine("line1", "Line 1", "modem", "busy"),
            LiveLine("line2", "Line 2", "modem", "ringing"),
            LiveLine("voip", "City trunk", "trunk", "busy", "1 of 2 channels"),
            LiveLine("fax", "Fax line", "modem", "absent", "/dev/ttyACM3 is not there"),
        ),
        alarms=(
            LiveAlarm(
                "line.fax",
                "warning",
                "The modem of Fax line is not there.",
                "Nothing answers at /dev/ttyACM3.",
                "Plug it in again, or remove the line.",
                now - 600_000,
            ),
        ),
    )


def with_agent(live: Live, who: str, **changes: Any) -> Live:
    """The same state with one agent changed."""
    return msgspec.structs.replace(
        live,
        agents=tuple(
            msgspec.structs.replace(one, **changes) if one.id == who else one for one in live.agents
        ),
    )


def call_for(who: Any = "ringing", **more: Any) -> LiveAgentCall:
    """A call in front of an agent, in the given phase."""
    values: dict[str, Any] = {
        "caller": "+40721555014",
        "caller_name": "Maria Ionescu",
        "queue": "sales",
        "queue_name": "Sales",
        "since": clock() - 4_000,
        "waited_ms": 12_000,
        **more,
    }
    return LiveAgentCall(call="c1", phase=who, **values)
