"""What the control process shows of itself and what it can be asked to do.

The web process (and later any other) subscribes and gets a whole `Live` after each change,
coalesced; small offices make it a few kilobytes. Pages draw from this alone, so they never show a
state that the switch does not have. Times are UTC milliseconds; a duration on a screen is `now`
minus `since`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

AgentPhase = Literal["offline", "ready", "not_ready", "offered", "busy", "wrap"]
CallPhase = Literal["ringing", "menu", "waiting", "offered", "talking", "held", "parked", "ending"]


class LiveConsult(msgspec.Struct, frozen=True):
    """`talking`: with the agent; `waiting`: the agent is back with the others for now."""

    to: str
    phase: Literal["ringing", "talking", "waiting"]


LevelHint = Literal["quiet", "loud"]


class LiveLevel(msgspec.Struct, frozen=True):
    """How loud one side of a call speaks, as the other hears it: active speech level in dBm0, None
    while nobody has spoken. There while somebody looks, see `LookAt`."""

    party: str
    dbm0: int | None
    hint: LevelHint | None = None


class LiveAgentCall(msgspec.Struct, frozen=True):
    """The call in front of an agent. `phase`: ringing (to be answered), talking, held, wrap."""

    call: str
    phase: Literal["ringing", "connecting", "talking", "held"]
    caller: str | None
    caller_name: str | None
    queue: str | None
    queue_name: str | None
    since: int
    waited_ms: int
    direction: Literal["in", "out", "internal"] = "in"
    poor: str | None = None
    """The party whose audio is poor at the moment."""
    levels: tuple[LiveLevel, ...] = ()
    consult: LiveConsult | None = None
    """The agent's own consultation."""
    others: tuple[str, ...] = ()
    """In a conference: the names of the others who talk."""
    muted: bool = False
    """The box lets nobody hear the agent."""
    role: Literal["talk", "listen", "whisper", "barge"] = "talk"
    """A supervisor's way of being in somebody else's call."""


class LiveAgent(msgspec.Struct, frozen=True):
    id: str
    name: str
    phase: AgentPhase
    reason: str | None
    since: int
    door: Literal["browser", "phone"]
    reachable: bool
    """The browser's audio is connected, or the desk phone is registered."""
    queues: tuple[str, ...]
    call: LiveAgentCall | None = None
    wrap_until: int | None = None
    next_state: Literal["offline", "ready", "not_ready"] | None = None
    wrap_longer: bool = False
    """The wrap-up is longer than the queue's, by the agent's wish."""
    longer_left: int = 0
    """How often the agent may wish so again today."""
    dnd: bool = False
    forward: dict[str, str] = {}
    """`always`, `busy`, `no_answer` -> number."""
    phone: str | None = None
    """The desk phone that rings for the agent."""
    messages: int = 0
    """New ones in the agent's own box and in those they share."""


class LiveWaiting(msgspec.Struct, frozen=True):
    entry: str
    call: str
    queue: str
    caller: str | None
    caller_name: str | None
    since: int
    position: int
    offered_to: tuple[str, ...] = ()


class LiveCall(msgspec.Struct, frozen=True):
    call: str
    direction: Literal["in", "out", "internal"]
    phase: CallPhase
    door: str
    caller: str | None
    caller_name: str | None
    called: str | None
    since: int
    queue: str | None = None
    agent: str | None = None
    recording: bool = False
    poor: str | None = None
    """The party whose audio is poor at the moment."""
    levels: tuple[LiveLevel, ...] = ()
    people: tuple[str, ...] = ()
    """The names of everybody who talks."""
    watched: tuple[str, ...] = ()
    """Supervisors in it; only supervisors are shown this."""


class LiveParked(msgspec.Struct, frozen=True):
    """A caller in a parking place. `by` is who parked the call."""

    orbit: str
    call: str
    caller: str | None
    caller_name: str | None
    by: str
    until: int


class LiveCallback(msgspec.Struct, frozen=True):
    """One who is to be called back. `since` is when they began to wait: the place that is kept;
    `position` counts callers and other places of the queue. `phase`: `waiting` for its turn,
    `paused` until `retry_at`, `dialling` with `agent` kept free for it, `answered`, or `here`: the
    person is on the phone and stands in line themselves."""

    callback: str
    queue: str
    number: str
    since: int
    asked_at: int
    phase: Literal["waiting", "paused", "dialling", "answered", "here"]
    position: int | None
    tries: int
    retry_at: int | None = None
    agent: str | None = None
    accepted: bool = False
    """The agent takes the call as soon as it is answered."""


class LiveLine(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: Literal["modem", "trunk"]
    state: Literal["idle", "ringing", "busy", "absent"]
    detail: str = ""


class LivePhone(msgspec.Struct, frozen=True):
    extension: str
    name: str
    registered: bool
    busy: bool = False


class LiveQueue(msgspec.Struct, frozen=True):
    id: str
    name: str
    strategy: str
    service_level_s: int
    short_abandon_s: int
    open: bool
    waiting: int
    oldest_since: int | None
    ready: int
    busy: int
    not_ready: int


class LiveCampaign(msgspec.Struct, frozen=True):
    """Something that people call out for, under a number of its own."""

    id: str
    name: str


class LiveAlarm(msgspec.Struct, frozen=True):
    """A problem as an object: what, where, what to do."""

    id: str
    severity: Literal["info", "warning", "critical"]
    title: str
    detail: str
    advice: str
    since: int


class Live(msgspec.Struct, frozen=True, tag=True):
    seq: int
    now: int
    ready: bool
    facts: int
    """Highest ledger sequence: figures need recomputing when it moved."""
    office: str
    demo: bool
    recording_notice: bool
    pause_reasons: tuple[str, ...]
    agents: tuple[LiveAgent, ...]
    queues: tuple[LiveQueue, ...]
    waiting: tuple[LiveWaiting, ...]
    calls: tuple[LiveCall, ...]
    lines: tuple[LiveLine, ...]
    phones: tuple[LivePhone, ...]
    alarms: tuple[LiveAlarm, ...]
    parked: tuple[LiveParked, ...] = ()
    callbacks: tuple[LiveCallback, ...] = ()
    campaigns: tuple[LiveCampaign, ...] = ()
    site: int = 0
    """Version of the site document that holds."""


# --- requests (web -> control) --------------------------------------------------------------


class Subscribe(msgspec.Struct, frozen=True, tag=True):
    """`Live` events follow on this connection, the first at once. Reply: `Done`."""


class GetHealth(msgspec.Struct, frozen=True, tag=True):
    """Reply: `Health`."""


class SetAgentState(msgspec.Struct, frozen=True, tag=True):
    """`offline` signs out. Refused when the agent is not known. During a call it is the next
    state. Reply: `Done`."""

    agent: str
    state: Literal["offline", "ready", "not_ready"]
    reason: str | None = None


class AgentAction(msgspec.Struct, frozen=True, tag=True):
    """What a button does to the agent's present call. Reply: `Done`, or refused with why."""

    agent: str
    action: Literal[
        "answer", "reject", "hold", "resume", "mute", "unmute", "hangup", "wrap_end", "wrap_longer"
    ]
    call: str | None = None
    """The call the page showed; refused when it is no longer the agent's."""


class AgentDial(msgspec.Struct, frozen=True, tag=True):
    """Call an extension, or a number by a line or trunk; in the name of `campaign` or `queue`,
    whose number is shown where the trunk allows it. Reply: `Done`, or refused with why."""

    agent: str
    number: str
    queue: str | None = None
    campaign: str | None = None


class AgentKeys(msgspec.Struct, frozen=True, tag=True):
    """DTMF to the other party."""

    agent: str
    digits: str


class AgentTransfer(msgspec.Struct, frozen=True, tag=True):
    """Send the other party to an extension, a queue or an outside number and leave the call.
    Reply: `Done`, or refused with why; the call then stays as it is."""

    agent: str
    number: str


class AgentConsult(msgspec.Struct, frozen=True, tag=True):
    """Attended transfer. `start` holds the other party and calls `number`; `swap` speaks with the
    other of the two; `complete` passes the call on, also to one who still rings; `conference`
    brings all together; `cancel` goes back. Reply: `Done`, or refused with why."""

    agent: str
    step: Literal["start", "swap", "complete", "conference", "cancel"]
    number: str = ""


class AgentPark(msgspec.Struct, frozen=True, tag=True):
    """Put the other party into a parking place. Reply: `Done`; the live state says which."""

    agent: str


class AgentFetch(msgspec.Struct, frozen=True, tag=True):
    """Take the caller who is parked at `orbit`. Reply: `Done`, or refused with why."""

    agent: str
    orbit: str


class AgentPickup(msgspec.Struct, frozen=True, tag=True):
    """Answer the call that rings at a colleague. Reply: `Done`, or refused with why."""

    agent: str
    colleague: str


class Supervise(msgspec.Struct, frozen=True, tag=True):
    """Be in the present call of the agent `of`: `listen`, `whisper` (to the agent alone), `barge`
    (to all), `take_over` (in the agent's place), `stop`. For supervisors and administrators.
    Reply: `Done`, or refused with why."""

    agent: str
    mode: Literal["listen", "whisper", "barge", "take_over", "stop"]
    of: str = ""


class LookAt(msgspec.Struct, frozen=True, tag=True):
    """Measure for the next half a minute how loud each side of this call speaks; the live state
    has it. Agents look at their own call. Reply: `Done`, or refused with why."""

    agent: str
    call: str


class SetDnd(msgspec.Struct, frozen=True, tag=True):
    """Direct calls to the agent are busy; queues go by the agent's state. Reply: `Done`."""

    agent: str
    on: bool


class SetForward(msgspec.Struct, frozen=True, tag=True):
    """Where direct calls go; no `number` turns it off. Reply: `Done`, or refused with why."""

    agent: str
    when: Literal["always", "busy", "no_answer"]
    number: str | None = None


class AgentDesk(msgspec.Struct, frozen=True, tag=True):
    """Calls ring at this desk phone from now on; None: back at the agent's own place. Reply:
    `Done`, or refused with why."""

    agent: str
    phone: str | None = None


class BookCallback(msgspec.Struct, frozen=True, tag=True):
    """Keep a place in the queue for this number; `by` is who asks (`agent:<id>`, `key:<name>`).
    One request for each number and queue: a second one gives the first. Reply: `CallbackBooked`,
    or refused with why."""

    queue: str
    number: str
    by: str


class CancelCallback(msgspec.Struct, frozen=True, tag=True):
    """Reply: `Done`, or refused with why."""

    callback: str
    by: str


class HandleMissed(msgspec.Struct, frozen=True, tag=True):
    """The agent took care of a missed caller in another way than by phone. Reply: `Done`."""

    agent: str
    number: str
    note: str = ""


class MarkMessage(msgspec.Struct, frozen=True, tag=True):
    """The agent heard a message, or wants it to be `new` again. Reply: `Done`."""

    agent: str
    message: str
    new: bool = False


class DeleteMessage(msgspec.Struct, frozen=True, tag=True):
    """The message is to be gone, its sound too. Reply: `Done`."""

    agent: str
    message: str


class AgentPeer(msgspec.Struct, frozen=True, tag=True):
    """The page's SDP offer for its audio. Reply: `PeerSdp`, or refused with why.
    `session` tells the pages of one agent apart; the newest has the audio."""

    agent: str
    session: str
    sdp: str


class AgentPresence(msgspec.Struct, frozen=True, tag=True):
    """A page of the agent opened or closed its live socket. Reply: `Done`."""

    agent: str
    session: str
    present: bool


class TakeSound(msgspec.Struct, frozen=True, tag=True):
    """Take an uploaded sound into use under `name` (`*.wav`): check it, level it, keep it in
    `prompts/`. `upload` is the name of a file in the data directory's `uploads/`; it is gone
    afterwards. Reply: `Done`, or refused with what is wrong with it."""

    name: str
    upload: str


class DropSound(msgspec.Struct, frozen=True, tag=True):
    """Delete a sound that nothing uses. Reply: `Done`, or refused with why."""

    name: str


class ChangeSite(msgspec.Struct, frozen=True, tag=True):
    """Make this text the site document. `base` is the version that it was made from; refused when
    somebody else changed the document since. Reply: `SiteChanged`, or refused with why."""

    author: str
    text: str
    base: int


class UndoSite(msgspec.Struct, frozen=True, tag=True):
    """Take the newest change of the site document back. Reply: `SiteChanged`."""

    author: str


class SiteChanged(msgspec.Struct, frozen=True, tag=True):
    """The document is on disk and holds. `at_start` are the paths of what changes with the next
    start only."""

    version: int
    at_start: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class CallbackBooked(msgspec.Struct, frozen=True, tag=True):
    callback: str


class Health(msgspec.Struct, frozen=True, tag=True):
    """`ready` once calls can be taken; `starting` and `degraded` say in `detail` what lacks."""

    status: Literal["starting", "ready", "degraded"]
    detail: tuple[str, ...] = ()


class PeerSdp(msgspec.Struct, frozen=True, tag=True):
    sdp: str


Request = (
    Subscribe
    | GetHealth
    | SetAgentState
    | AgentAction
    | AgentDial
    | AgentKeys
    | AgentTransfer
    | AgentConsult
    | AgentPark
    | AgentFetch
    | AgentPickup
    | Supervise
    | LookAt
    | SetDnd
    | SetForward
    | AgentDesk
    | BookCallback
    | CancelCallback
    | HandleMissed
    | MarkMessage
    | DeleteMessage
    | AgentPeer
    | AgentPresence
    | TakeSound
    | DropSound
    | ChangeSite
    | UndoSite
)
