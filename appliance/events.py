"""The facts: everything that can happen and that the ledger keeps, one value type each.

A fact is appended once and never changed; every figure is a reading of these. `at` is UTC in
milliseconds. Ids are strings: `call` names one call from the first ring to the last hang-up,
`entry` one stay in one queue, `offer` one ringing of one agent, `recording` one audio file.

`party` strings name an end of a call by its door: `line:<id>`, `trunk:<id>`, `phone:<extension>`,
`agent:<id>`.

Guarantees that the writers keep and the readers may rely on:

- each call has one `CallOpened` first and one `Disconnect`; only the wrap-up, the release of an
  analog line, the end of a recording and the quality of its legs may come after it;
- each `QEnter` is closed by exactly one `QLeave` with one reason of `LEAVE_REASONS`;
- each `Offer` is closed by exactly one `OfferEnd`; `Connect` comes at most once an entry, before
  the `QLeave` with reason `answered` (both carry the same `at`);
- the end of an agent's part in a queue call is the `WrapStart`, written even when the wrap-up is
  zero long; `WrapEnd` follows it once;
- each `HoldOn` is closed by a `HoldOff` at the latest where the agent's part ends;
- each `Dialled` is closed by one `DialEnded`, `ConsultStart` by `ConsultEnd`, `Parked` by
  `Unparked`, `SuperviseOn` by `SuperviseOff`, all before the call's `Disconnect`;
- each `MessageStarted` is closed by one `MessageKept` or `MessageDropped`, before the call's
  `Disconnect`; `MessageHeard` and `MessageDeleted` follow when they do;
- each `CallbackRequested` is closed by exactly one `CallbackEnded`, each `CallbackDialled` by a
  `CallbackMissed` or that; a request outlives restarts;
- after a crash the next start writes what is missing with reason or cause `system_failure`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

Direction = Literal["in", "out", "internal"]
LeaveReason = Literal[
    "answered",
    "abandoned",
    "timeout",
    "no_agent",
    "key_exit",
    "callback_requested",
    "overflow",
    "full",
    "closed",
    "system_failure",
]
LEAVE_REASONS: Final[tuple[str, ...]] = get_args(LeaveReason)
OfferResult = Literal["accepted", "rejected", "missed", "withdrawn", "failed", "system_failure"]
AgentStateName = Literal["offline", "ready", "not_ready"]
Side = Literal["caller", "callee", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What every fact has: when it happened, UTC milliseconds."""

    at: int


# --- calls and lines ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOpened(Fact):
    """A call exists. `door` is the party it came in by; numbers are as signalled, None when
    withheld."""

    call: str
    direction: Direction
    door: str
    caller: str | None = None
    caller_name: str | None = None
    called: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerKnown(Fact):
    """Caller ID that came after the call was opened (analog lines: after the first ring)."""

    call: str
    caller: str | None
    caller_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSeized(Fact):
    """A line or one channel of a trunk is taken by this call."""

    call: str
    line: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBusy(Fact):
    """A call could not be taken because all lines, channels or the box's capacity were in use."""

    line: str
    caller: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReleased(Fact):
    """The line is free again."""

    call: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Fact):
    """A party went off-hook: the box answered the caller, or the called party answered."""

    call: str
    party: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged(Fact):
    """Audio flows both ways between two parties."""

    call: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegQuality(Fact):
    """How one party's leg sounded, said when it is over (and when the media process is lost, of
    what was known then). Counts are packets, `concealed` frames of 20 ms; MOS is 1 to 4.5 by the
    E-model (ITU-T G.107). `far_...` is how the other end heard us, None when it did not say."""

    call: str
    party: str
    door: Literal["rtp", "line", "peer"]
    packets: int
    lost: int
    late: int
    concealed: int
    jitter_ms: float
    delay_ms: float
    mos: float
    sent: int = 0
    round_trip_ms: float | None = None
    clock_ppm: float | None = None
    far_lost: float | None = None
    """Share of what we sent, 0 to 1."""
    far_jitter_ms: float | None = None
    far_mos: float | None = None
    secure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect(Fact):
    """The call is over. `side` hung up first; `cause` is a word such as `normal`, `busy`,
    `no_answer`, `rejected`, `unreachable`, `line_lost`, `media_lost`, `system_failure`."""

    call: str
    side: Side
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled(Fact):
    """The box calls a number outside by one line, for `by` (a party). `dial` names this try.
    `kind` is `emergency` or what the numbering plan says; `preempted` the call that had to give
    its line to an emergency."""

    call: str
    dial: str
    by: str
    number: str
    kind: str
    line: str
    preempted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded(Fact):
    """That try is over after `talk_ms` of talk (0: not answered)."""

    call: str
    dial: str
    by: str
    kind: str
    talk_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRefused(Fact):
    """Somebody wanted to call a number outside and may not: `kind`, `abroad` or `ceiling`."""

    by: str
    number: str
    reason: str
    call: str | None = None


# --- menu -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrIn(Fact):
    """The caller entered a menu flow."""

    call: str
    menu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrKey(Fact):
    """A key pressed in a menu. `valid` tells whether the menu had a meaning for it."""

    call: str
    menu: str
    key: str
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrOut(Fact):
    """The caller left the menus. `result` is `queue`, `phone`, `hangup`, `abandoned`,
    `closed` or `system_failure`."""

    call: str
    menu: str
    result: str
    target: str | None = None


# --- queue ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QEnter(Fact):
    """A wait starts. `parent` is the entry this one was transferred from."""

    call: str
    entry: str
    queue: str
    caller: str | None = None
    priority: int = 0
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Fact):
    """One agent is rung for one entry."""

    call: str
    entry: str
    queue: str
    offer: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferEnd(Fact):
    """The ringing of that agent ended."""

    call: str
    entry: str
    queue: str
    offer: str
    agent: str
    result: OfferResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect(Fact):
    """Two-way audio between the waiting caller and the agent: the wait is over."""

    call: str
    entry: str
    queue: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOn(Fact):
    """An agent put the other party on hold."""

    call: str
    agent: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOff(Fact):
    """The hold ended (also because the call did)."""

    call: str
    agent: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultStart(Fact):
    """A party speaks with somebody else (`to`) while the rest of the call waits; part of the same
    call and never an offer."""

    call: str
    by: str
    to: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsultEnd(Fact):
    """The consultation is over: `completed` (the call was passed on), `conference` (all speak
    together now), `cancelled`, or `failed` (never answered, or hung up)."""

    call: str
    by: str
    to: str
    result: Literal["completed", "conference", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyJoined(Fact):
    """Somebody came into a running call: `conference`, `pickup`, `park`, `barge`, `take_over`."""

    call: str
    party: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLeft(Fact):
    """A party left and the call went on without it."""

    call: str
    party: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked(Fact):
    """The caller waits in an orbit for whoever fetches the call."""

    call: str
    orbit: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparked(Fact):
    """The orbit is free: `fetched` (by whom), `timeout` (back to who parked it) or `gone`."""

    call: str
    orbit: str
    result: Literal["fetched", "timeout", "gone"]
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperviseOn(Fact):
    """A supervisor is in an agent's call: `listen` (hears), `whisper` (speaks to the agent alone)
    or `barge` (speaks to all)."""

    call: str
    agent: str
    by: str
    mode: Literal["listen", "whisper", "barge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperviseOff(Fact):
    """That way of being in the call ended (also when another one follows)."""

    call: str
    agent: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Fact):
    """A call for a person went elsewhere by their wish; `why`: `always`, `busy`, `no_answer`."""

    call: str
    by: str
    to: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Fact):
    """A call was passed on. `to` is a party or `queue:<id>`."""

    call: str
    mode: Literal["blind", "attended", "queue"]
    by: str
    to: str
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QLeave(Fact):
    """The one outcome of an entry."""

    call: str
    entry: str
    queue: str
    reason: LeaveReason
    agent: str | None = None


# --- call-backs -----------------------------------------------------------------------------

CallbackResult = Literal["connected", "abandoned", "reached", "cancelled", "unreachable", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequested(Fact):
    """Somebody is to be called back. `since` (UTC ms) is when they began to wait: the place that
    is kept. `call` and `entry` are those that the wish came from, None for a web form."""

    callback: str
    queue: str
    number: str
    since: int
    priority: int = 0
    call: str | None = None
    entry: str | None = None
    by: str | None = None
    """Who asked on the person's behalf: `agent:<id>`, or `key:<name>` for a program."""
    language: Literal["en", "ro", "bg", "fa", "ru", "zh"] | None = None
    """What the person is spoken to in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDialled(Fact):
    """The box calls, for the `attempt`-th time (from 1); `agent` is kept free for it. `entry` is
    the stay in the queue that begins when the person answers; their wait began at `asked_at`."""

    callback: str
    queue: str
    call: str
    entry: str
    attempt: int
    agent: str
    asked_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackMissed(Fact):
    """This try came to nothing. `cause` as in `Disconnect` or `QLeave`, or `system_failure`."""

    callback: str
    call: str
    attempt: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackEnded(Fact):
    """The one outcome of a request: `connected` with an agent; `abandoned`, answered and hung up
    before an agent was there; `reached` in another call; `cancelled`; `unreachable` after the last
    try; `expired` with its age."""

    callback: str
    result: CallbackResult
    agent: str | None = None
    by: str | None = None
    """Who cancelled it, as in `CallbackRequested`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedHandled(Fact):
    """Somebody of the team took care of a missed caller in another way than by phone."""

    number: str
    agent: str
    note: str = ""


# --- recorded messages ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStarted(Fact):
    """A caller is leaving a message in `box`; its sound is that of `recording`. Shorter than
    `least_ms` it is not kept."""

    call: str
    message: str
    box: str
    recording: str
    path: str
    least_ms: int
    caller: str | None = None
    caller_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKept(Fact):
    """The message lies in its box, new."""

    call: str
    message: str
    box: str
    recording: str
    path: str
    duration_ms: int
    caller: str | None = None
    caller_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDropped(Fact):
    """It was not kept: `short`, `silent`, `again` (the caller records it anew), or
    `system_failure`."""

    call: str
    message: str
    recording: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHeard(Fact):
    """Somebody heard the message, or says that it is `new` again."""

    message: str
    agent: str
    new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeleted(Fact):
    """The message is gone from its box, and its sound from the disk."""

    message: str
    agent: str
    path: str


# --- agents ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState(Fact):
    """What the agent chose: `offline`, `ready`, `not_ready` with a reason. Ringing, talking and
    wrap-up are not chosen; they follow from the other facts."""

    agent: str
    state: AgentStateName
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapStart(Fact):
    """The agent's part in a queue call ended; the wrap-up begins."""

    agent: str
    call: str
    entry: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapLonger(Fact):
    """The agent took so many seconds more for the wrap-up of this call, in the talk or after it."""

    agent: str
    call: str
    entry: str
    queue: str
    seconds: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapEnd(Fact):
    """The wrap-up ended, by the agent or by time."""

    agent: str
    call: str
    entry: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSetting(Fact):
    """The agent set something for their direct calls: `dnd`, `forward_always`, `forward_busy` or
    `forward_no_answer`; `value` None turns it off."""

    agent: str
    setting: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HotDesk(Fact):
    """The agent signed in at a desk phone (None: back at their own place). `ok` False: refused,
    with a wrong PIN or locked out."""

    agent: str
    phone: str | None
    ok: bool = True


# --- recordings and the box -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Fact):
    """Audio of this call goes to `path` (relative to the data directory)."""

    call: str
    recording: str
    path: str
    entry: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnded(Fact):
    """The file is complete. `reason` is `done`, `disk_full`, `media_lost` or `system_failure`."""

    call: str
    recording: str
    duration_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStarted(Fact):
    """The control process came up; `clean` tells whether it had been stopped in order."""

    version: str
    clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStopped(Fact):
    """The control process was stopped in order."""


FACTS: Final[tuple[type[Fact], ...]] = (
    CallOpened,
    CallerKnown,
    LineSeized,
    LineBusy,
    LineReleased,
    Answered,
    Bridged,
    LegQuality,
    Disconnect,
    Dialled,
    DialEnded,
    DialRefused,
    IvrIn,
    IvrKey,
    IvrOut,
    QEnter,
    Offer,
    OfferEnd,
    Connect,
    HoldOn,
    HoldOff,
    ConsultStart,
    ConsultEnd,
    PartyJoined,
    PartyLeft,
    Parked,
    Unparked,
    SuperviseOn,
    SuperviseOff,
    Forwarded,
    Transfer,
    QLeave,
    CallbackRequested,
    CallbackDialled,
    CallbackMissed,
    CallbackEnded,
    MissedHandled,
    MessageStarted,
    MessageKept,
    MessageDropped,
    MessageHeard,
    MessageDeleted,
    AgentState,
    WrapStart,
    WrapLonger,
    WrapEnd,
    AgentSetting,
    HotDesk,
    RecordingStarted,
    RecordingEnded,
    SystemStarted,
    SystemStopped,
)


def kind_of(fact: type[Fact] | Fact) -> str:
    """The name of a fact's kind as stored, e.g. `QEnter` -> `q_enter`."""
    cls = fact if isinstance(fact, type) else type(fact)
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


KINDS: Final[dict[str, type[Fact]]] = {kind_of(cls): cls for cls in FACTS}
