"""What people do with calls besides answering them: consult, park, fetch, pick up, supervise, and
what they set for their own calls. Each request goes to control, which decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from appliance.live import (
    AgentConsult,
    AgentDesk,
    AgentFetch,
    AgentPark,
    AgentPickup,
    Done,
    LookAt,
    SetDnd,
    SetForward,
    Supervise,
)
from appliance.web.errors import Problem
from appliance.web.office import Somebody, TheOffice

router = APIRouter(prefix="/agent", tags=["calling"])

Number = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9*#]{1,24}$")]
Extension = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
Person = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Consult(Body):
    step: Literal["start", "swap", "complete", "conference", "cancel"]
    number: Number | None = None

    @model_validator(mode="after")
    def _whom(self) -> Consult:
        if (self.step == "start") != (self.number is not None):
            raise ValueError("a number belongs to the step start, and to no other")
        return self


class Fetch(Body):
    orbit: Extension


class Pickup(Body):
    colleague: Person


class Watch(Body):
    mode: Literal["listen", "whisper", "barge", "take_over", "stop"]
    of: Person | None = None

    @model_validator(mode="after")
    def _whose(self) -> Watch:
        if (self.mode == "stop") == (self.of is not None):
            raise ValueError("say whose call, except to stop")
        return self


class Look(Body):
    call: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Dnd(Body):
    on: bool


class Forward(Body):
    when: Literal["always", "busy", "no_answer"]
    number: Number | None = None


class DeskPhone(Body):
    phone: Extension | None = None


@router.post("/consult")
async def consult(body: Consult, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Attended transfer: `start` holds the other party and calls `number`; `swap` speaks with the
    other of the two; `complete` passes the call on, also while it still rings; `conference` brings
    all together; `cancel` goes back."""
    await office.link.ask(AgentConsult(who.id, body.step, body.number or ""), Done)
    return {}


@router.post("/park")
async def park(who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Put the other party into the first free parking place; the live state says which."""
    await office.link.ask(AgentPark(who.id), Done)
    return {}


@router.post("/fetch")
async def fetch(body: Fetch, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Take the caller who waits in a parking place."""
    await office.link.ask(AgentFetch(who.id, body.orbit), Done)
    return {}


@router.post("/pickup")
async def pickup(body: Pickup, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Answer the call that rings at a colleague."""
    await office.link.ask(AgentPickup(who.id, body.colleague), Done)
    return {}


@router.post("/supervise")
async def supervise(body: Watch, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Listen to an agent's call, whisper to the agent, speak to all, take over, or stop. For
    supervisors and administrators."""
    if who.person.role == "agent":
        raise Problem(403, "forbidden", "Only supervisors may be in other people's calls.")
    await office.link.ask(Supervise(who.id, body.mode, body.of or ""), Done)
    return {}


@router.post("/look")
async def look(body: Look, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Show for half a minute how loud each side of a call speaks: `levels` of the call in the live
    state, every 5 s, active speech level in dBm0 (ITU-T P.56). Agents look at their own call."""
    await office.link.ask(LookAt(who.id, body.call), Done)
    return {}


@router.post("/dnd")
async def dnd(body: Dnd, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Do not disturb: direct calls are busy; queues go by the agent's state."""
    await office.link.ask(SetDnd(who.id, body.on), Done)
    return {}


@router.post("/forward")
async def forward(body: Forward, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Where direct calls go always, when busy, or when nobody answers; null turns it off."""
    await office.link.ask(SetForward(who.id, body.when, body.number), Done)
    return {}


@router.post("/desk")
async def desk(body: DeskPhone, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Sit at this desk phone: calls ring there from now on. null: back at one's own place."""
    await office.link.ask(AgentDesk(who.id, body.phone), Done)
    return {}
