"""The switch's state: calls, legs, desks and lines, and where a step's facts and actions collect.

A `Call` has a caller's leg `a` and, once somebody was found, a leg `b`. A `Leg` is one end with its
door. The `World` is handed to the functions of this room; nothing here decides anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from appliance.acd.events import Event as AcdEvent
from appliance.acd.machine import Acd
from appliance.events import Direction, Disconnect, Fact
from appliance.ivr.run import MenuRun
from appliance.live import LiveAlarm
from appliance.media import protocol as p
from appliance.sip.sdp import Offer, Session
from appliance.site.hours import is_open
from appliance.site.model import Language, Person, Prompt, Site
from appliance.switch.actions import Action, Media, Speak
from appliance.switch.ports import PortPool
from appliance.switch.verdicts import QualityBook

LegKind = Literal["line", "sip", "peer"]
LegState = Literal["idle", "ringing", "opening", "up", "closed"]
Purpose = Literal["menu", "consent", "farewell", "queue"]


@dataclass(slots=True, eq=False)
class Leg:
    """One end of a call. `idle`: exists, not answered; `opening`: answering is under way."""

    id: int
    call: Call
    party: str
    kind: LegKind
    state: LegState = "idle"
    line: str | None = None
    trunk: str | None = None
    phone: str | None = None
    agent: str | None = None
    sip: str | None = None
    incoming: bool = True
    offer: Offer | None = None
    local_host: str = ""
    remote_host: str = ""
    port: int | None = None
    session: Session | None = None
    up_at: int = 0
    """When it went up."""
    rang: bool = False
    """The exchange was heard to ring the far end."""
    refusal: str | None = None
    """Why the far end cannot be had, as the exchange's tones said it."""
    acd_offer: str | None = None
    """The acd's offer that this leg rings for."""
    quality: p.LegQuality | None = None
    """The newest word about how it sounds."""
    keys: bytes = field(default=b"", repr=False)
    """Our own for SRTP, the same in all descriptions of this leg; see `legs.own_keys`."""


@dataclass(slots=True, eq=False)
class Call:
    """One call from the first ring to the last hang-up."""

    id: str
    direction: Direction
    opened_at: int
    language: Language
    caller: str | None = None
    caller_name: str | None = None
    called: str | None = None
    a: Leg = field(init=False)
    b: Leg | None = None
    route: str | None = None
    """Where the call goes as soon as the caller can hear something."""
    consent_given: bool = False
    """The recording notice was played to its end, or none is asked for."""
    menu: MenuRun | None = None
    entry: str | None = None
    queue: str | None = None
    entered_at: int = 0
    waited_ms: int = 0
    linked_agent: str | None = None
    """The agent who accepted this entry."""
    connected: bool = False
    bridge: int | None = None
    bridge_live: bool = False
    talk_since: int = 0
    live_by: int | None = None
    """When a bridge without audio from one side is taken for connected all the same."""
    held_by: str | None = None
    held_since: int = 0
    parked_until: int | None = None
    """The agent's page is gone; the caller hears music until then."""
    ring_until: int | None = None
    """When a dialled party counts as not answering."""
    end_at: int | None = None
    """When a call that is only hearing a tone is over."""
    end_cause: str = "normal"
    recording: str | None = None
    recordings: int = 0
    hops: int = 0
    ended: bool = False

    @property
    def legs(self) -> tuple[Leg, ...]:
        return (self.a,) if self.b is None else (self.a, self.b)


@dataclass(slots=True, eq=False)
class LineDesk:
    """What the switch knows of one analog line."""

    id: str
    state: Literal["absent", "idle", "ringing", "busy"] = "absent"
    detail: str = "not found yet"
    call: str | None = None
    """The call that has seized it, until it is on-hook again."""


@dataclass(slots=True, eq=False)
class Desk:
    """One person's door: the pages that are open and the audio they have."""

    id: str
    person: Person
    sessions: set[str] = field(default_factory=set)
    peer: p.PeerStateName | Literal["none"] = "none"
    call: Call | None = None
    """The call the person is in: being connected, talking, or ringing directly."""
    ringing: dict[str, Leg | None] = field(default_factory=dict)
    """Offers of the acd that ring here -> the phone's leg (None for a browser)."""
    absent_since: int | None = None


@dataclass(slots=True)
class World:
    """The state of the switch and what this step has brought so far."""

    site: Site
    data: str
    acd: Acd
    new_id: Callable[[str], str]
    ports: PortPool
    now: int = 0
    calls: dict[str, Call] = field(default_factory=dict)
    legs: dict[int, Leg] = field(default_factory=dict)
    by_sip: dict[str, Leg] = field(default_factory=dict)
    lines: dict[str, LineDesk] = field(default_factory=dict)
    desks: dict[str, Desk] = field(default_factory=dict)
    registered: dict[str, str] = field(default_factory=dict)
    """Extension -> address of the registered phone."""
    trunks: dict[str, tuple[bool, str]] = field(default_factory=dict)
    tokens: dict[int, tuple[str, Purpose, int]] = field(default_factory=dict)
    """Prompt token -> call, purpose, the menu's own token."""
    alarms: dict[str, LiveAlarm] = field(default_factory=dict)
    quality: QualityBook = field(default_factory=QualityBook)
    recordings: dict[str, p.StartRecording] = field(default_factory=dict)
    """What is being recorded, as it was commanded last."""
    media_ready: bool = False
    recording_allowed: bool = True
    facts: list[Fact] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    told: deque[AcdEvent] = field(default_factory=deque)
    """Events for the acd; taken one by one after the handler that caused them, never inside it."""
    over: list[tuple[Call, Disconnect]] = field(default_factory=list)
    """Calls that ended in this step; their `Disconnect` is the step's last fact."""
    last_number: int = 0

    def fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    def tell(self, event: AcdEvent) -> None:
        """Tell the acd what happened."""
        self.told.append(event)

    def act(self, action: Action) -> None:
        self.actions.append(action)

    def media(self, command: p.Command) -> None:
        if isinstance(command, p.StartRecording):
            self.recordings[command.recording] = command
        elif isinstance(command, p.StopRecording):
            self.recordings.pop(command.recording, None)
        self.actions.append(Media(command))

    def number(self) -> int:
        """A fresh number for legs, bridges and prompt tokens."""
        self.last_number += 1
        return self.last_number

    def keep_facts(self, items: Iterable[object]) -> list[object]:
        """Take the facts out of a machine's output and return the rest in order."""
        rest: list[object] = []
        for item in items:
            if isinstance(item, Fact):
                self.facts.append(item)
            else:
                rest.append(item)
        return rest

    def speak(
        self, call: Call, prompts: tuple[Prompt, ...], purpose: Purpose, inner: int = 0
    ) -> None:
        """Play prompts to the caller; their end comes back with the purpose."""
        token = self.number()
        self.tokens[token] = (call.id, purpose, inner)
        said = tuple(prompt.spoken(call.language) for prompt in prompts)
        self.actions.append(Speak(call.a.id, token, said, call.language))

    def is_open(self, hours_id: str, now: int) -> bool:
        hours = self.site.hours.get(hours_id)
        return hours is None or is_open(hours, self.site.office.zone, now)

    def alarm(
        self,
        key: str,
        severity: Literal["info", "warning", "critical"],
        title: str,
        detail: str,
        advice: str,
    ) -> None:
        """Raise or update a problem; it keeps the time it was first seen."""
        known = self.alarms.get(key)
        since = self.now if known is None else known.since
        self.alarms[key] = LiveAlarm(key, severity, title, detail, advice, since)

    def clear(self, key: str) -> None:
        self.alarms.pop(key, None)
