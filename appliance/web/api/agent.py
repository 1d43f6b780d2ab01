"""What an agent's page asks of the box. Each request goes to control, which decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from appliance.live import (
    AgentAction,
    AgentDial,
    AgentKeys,
    AgentPeer,
    AgentTransfer,
    Done,
    PeerSdp,
    SetAgentState,
)
from appliance.web.errors import Problem
from appliance.web.office import Somebody, TheOffice

router = APIRouter(prefix="/agent", tags=["agent"])

PageSession = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
PEER_TIMEOUT_S = 10.0
LONGEST_EXTENSION = 6


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class State(Body):
    state: Literal["offline", "ready", "not_ready"]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=60)] | None = None


class Action(Body):
    action: Literal[
        "answer", "reject", "hold", "resume", "mute", "unmute", "hangup", "wrap_end", "wrap_longer"
    ]
    call: Annotated[str, StringConstraints(max_length=64)] | None = None


class Transfer(Body):
    number: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9*#]{1,24}$")]


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Dial(Transfer):
    queue: Name | None = None
    campaign: Name | None = None


class CallBack(Body):
    call: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class Keys(Body):
    digits: Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]{1,32}$")]


class Offer(Body):
    session: PageSession
    sdp: Annotated[str, StringConstraints(min_length=10, max_length=60_000)]


@router.post("/state")
async def state(body: State, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Ready, not ready (with a reason), or off duty. During a call: the state after it."""
    await office.link.ask(SetAgentState(who.id, body.state, body.reason), Done)
    return {}


@router.post("/action")
async def action(body: Action, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Answer, reject, hold, resume, mute, hang up; end the wrap-up, or make it longer, so many
    times a day. With `call` the request holds
    only while that call is still the agent's."""
    await office.link.ask(AgentAction(who.id, body.action, body.call), Done)
    return {}


@router.post("/dial")
async def dial(body: Dial, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Call an extension or a number; in the name of `campaign`, else of `queue`, whose number is
    shown where the trunk allows it, before the person's own and the trunk's."""
    await office.link.ask(AgentDial(who.id, body.number, body.queue, body.campaign), Done)
    return {}


@router.post("/redial")
async def redial(body: CallBack, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Call the other party of a past call again, also where its number is hidden from the
    person."""
    row = await office.read(lambda reader: reader.call(body.call))
    came_in = row is not None and row.direction == "in"
    number = None if row is None else row.caller if came_in else row.called
    if number is None:
        raise Problem(404, "not_found", "That call has no number to call.")
    if came_in and not number.startswith("+") and len(number) > LONGEST_EXTENSION:
        number = office.site.numbering.outside_prefix + number
    await office.link.ask(AgentDial(who.id, number), Done)
    return {}


@router.post("/transfer")
async def transfer(body: Transfer, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Send the other party to an extension, a queue or a number, and leave the call."""
    await office.link.ask(AgentTransfer(who.id, body.number), Done)
    return {}


@router.post("/keys")
async def keys(body: Keys, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """Send touch tones to the other party."""
    await office.link.ask(AgentKeys(who.id, body.digits), Done)
    return {}


@router.post("/peer")
async def peer(body: Offer, who: Somebody, office: TheOffice) -> dict[str, Any]:
    """The page's SDP offer for its audio; the answer is the box's."""
    reply = await office.link.ask(
        AgentPeer(who.id, body.session, body.sdp), PeerSdp, PEER_TIMEOUT_S
    )
    office.audio[who.id] = body.session
    office.hub.publish()
    return {"sdp": reply.sdp}
