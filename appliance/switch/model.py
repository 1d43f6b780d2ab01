"""The switch's state: calls, legs, desks and lines, and where a step's facts and actions collect.

A `Call` is everybody who belongs together: `a`, who called, `b`, who was found, `more` in a
conference, somebody consulted meanwhile, supervisors. A `Leg` is one end with its door. Who hears
whom follows from these roles alone (`voices`). The `World` is handed to the functions of this
room; nothing here decides anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from appliance.acd.callback import CallBacks
from appliance.acd.callback import Event as WishEvent
from appliance.acd.events import Event as AcdEvent
from appliance.acd.events import Met
from appliance.acd.machine import Acd
from appliance.events import Direction, Disconnect, Fact
from appliance.ivr.actions import Recorded
from appliance.ivr.keep_place import KeepPlace
from appliance.ivr.listening import Listening
from appliance.ivr.run import MenuRun
from appliance.ledger.projection import MessageRow
from appliance.live import LiveAlarm
from appliance.media import protocol as p
from appliance.numbering import Numbering
from appliance.sip.dialog_info import DialogInfo
from appliance.sip.lockout import Lockout
from appliance.sip.sdp import Offer, Session
from appliance.sip.subscription import Published
from appliance.site.hours import is_open
from appliance.site.model import Language, Person, Prompt, Site
from appliance.switch.actions import Action, HoldMusic, Media, Speak
from appliance.switch.countries import Plan
from appliance.switch.loudness import LoudnessBook
from appliance.switch.meters import Meter
from appliance.switch.ports import PortPool
from appliance.switch.spending import Spending
from appliance.switch.verdicts import QualityBook

PIN_LOCK: Final = (5, 3_600_000, 900_000, 86_400_000)
"""Five wrong PINs within an hour lock the phone and the person out for a quarter of an hour, then
for twice as long each time, up to a day."""

LegKind = Literal["line", "sip", "peer"]
LegState = Literal["idle", "ringing", "opening", "up", "closed"]
Purpose = Literal["menu", "consent", "farewell", "queue", "notice", "park", "wish", "messages"]
WatchMode = Literal["listen", "whisper", "barge"]
Slot = Literal["a", "b", "consult"]


@dataclass(slots=True, eq=False)
class Outside:
    """What a leg to a number outside is in the books. `payer`: the party who answers for it."""

    dial: str
    payer: str
    kind: str
    number: str


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
    rang: bool = False
    """The exchange was heard to ring the far end, or said that it answered."""
    refusal: str | None = None
    """Why the far end cannot be had, as the exchange's tones said it."""
    acd_offer: str | None = None
    """The acd's offer that this leg rings for."""
    quality: p.LegQuality | None = None
    """The newest word about how it sounds."""
    hears: p.Listen | None = None
    """What the media process was last told to hear of it."""
    meter: Meter | None = None
    """While somebody looks how loud it is."""
    keys: bytes = field(default=b"", repr=False)
    """Our own for SRTP, the same in all descriptions of this leg; see `legs.own_keys`."""
    outside: Outside | None = None
    up_since: int = 0
    """When it went up."""
    cut_at: int | None = None
    """When a call to the outside has lasted long enough (`numbering.ceiling`)."""
    progressed: bool = False
    """The far end said that it rings: whatever fails now is not the line's fault."""
    lost_until: int | None = None
    """In a larger call: the page's audio is gone and may come back until then."""
    muted: bool = False
    music: bool = False
    typed: str = ""
    """A feature code that is being keyed in the call, until `typed_until`."""
    typed_until: int = 0

    @property
    def name(self) -> str:
        """Who this is in facts about an agent or a phone."""
        return self.agent or self.party

    @property
    def inside(self) -> bool:
        """A person or a phone of this office."""
        return self.line is None and self.trunk is None


@dataclass(slots=True, eq=False)
class Attempt:
    """Somebody is being called; when a line fails the next one is tried."""

    slot: Slot
    until: int | None
    """When the party counts as not answering; None: an emergency call is never given up."""
    number: str = ""
    payer: str = ""
    kind: str = "internal"
    left: list[tuple[str, str]] = field(default_factory=list)
    """Lines yet to be tried, with the number as each wants it."""
    caller_id: str | None = None
    """Wanted by whoever calls; comes before the payer's own."""
    headers: tuple[tuple[str, str], ...] = ()
    """Told besides by trunks."""
    retry_at: int | None = None
    preempted: str | None = None
    hops: int = 0
    """How often the call was forwarded on its way."""
    for_desk: str | None = None
    """The person whose desk rings, for their forwarding when nobody answers."""
    first: str | None = None
    """Of a call that was forwarded: the person whom it was for."""

    @property
    def emergency(self) -> bool:
        return self.kind == "emergency"


@dataclass(slots=True, eq=False)
class Consult:
    """`by` calls somebody (`to`) while the others wait. While `by` holds the call the two speak
    with each other, else `leg` waits. `leg` is None while nobody rings yet."""

    by: Leg
    to: str
    leg: Leg | None = None


@dataclass(slots=True, eq=False)
class Watcher:
    """A supervisor in somebody's call; `of` is the agent's leg."""

    leg: Leg
    of: Leg
    mode: WatchMode
    takes_over: bool = False
    """As soon as the supervisor is on the line."""


@dataclass(slots=True, eq=False)
class Tape:
    """The message that a caller is leaving."""

    message: str
    box: str
    recording: str
    path: str
    least_ms: int
    since: int
    until: int | None = None
    """When the recording was stopped; the caller may still want it another way."""


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
    more: list[Leg] = field(default_factory=list)
    """Further people of a conference."""
    consult: Consult | None = None
    watchers: list[Watcher] = field(default_factory=list)
    attempt: Attempt | None = None
    passed_on: bool = False
    """By a person: who waits for nobody then goes back to the queue it came from."""
    last_queue: str | None = None
    last_entry: str | None = None
    after: str | None = None
    """The route that follows when nobody is had where the call is going now."""
    site_waited_ms: int = 0
    """How long another office of ours says that the caller waited there before."""
    from_site: bool = False
    """Another office passed the call on: it is not sent to yet another one."""
    back_to: str | None = None
    """The party who passed the call on and gets it back when nobody answers."""
    orbit: str | None = None
    orbit_until: int = 0
    orbit_wanted: str | None = None
    """Kept free while it is being told to whoever parks."""
    parked_by: str | None = None
    """The party who parked it."""
    sound: dict[int, tuple[p.Member, ...]] = field(default_factory=dict)
    """The bridges and rooms that the media process was given, by number (see `voices`)."""
    bridge: int | None = None
    """The bridge of the two who talk, while it is one of two."""
    joined: bool = False
    """At least two of those who talk are connected."""
    bridge_live: bool = False
    talk_since: int = 0
    looked_until: int | None = None
    """Somebody looks how loud people speak, so long."""
    live_by: int | None = None
    """When a bridge without audio from one side is taken for connected all the same."""
    held_by: str | None = None
    held_since: int = 0
    parked_until: int | None = None
    """The agent's page is gone; the caller hears music until then."""
    end_at: int | None = None
    """When a call that is only hearing a tone is over."""
    end_cause: str = "normal"
    recording: str | None = None
    recordings: int = 0
    hops: int = 0
    ended: bool = False
    tape: Tape | None = None
    listening: Listening | None = None
    """Somebody hears their messages."""
    listens_as: str | None = None
    """Whose messages those are; with a PIN, once it is right."""
    came: int = 0
    """From when the wait of this entry counts for the order."""
    wish: KeepPlace | None = None
    """The caller is asking to be called back."""
    wish_token: int = 0
    callback: str | None = None
    """The request that this call is a try for, made by us."""
    screened_until: int | None = None
    """It was answered, and whether by a machine is known then at the latest."""
    met: Met | None = None
    """Of such a call that was answered: what the queues are told once the notice was heard."""
    asked: str | None = None
    """The request that was made in this call, or that rests while this call waits."""

    @property
    def people(self) -> tuple[Leg, ...]:
        """Those who talk with each other, the one consulted and supervisors left out."""
        return (self.a, *(() if self.b is None else (self.b,)), *self.more)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Everybody."""
        consulted = () if self.consult is None or self.consult.leg is None else (self.consult.leg,)
        return (*self.people, *consulted, *(watcher.leg for watcher in self.watchers))

    @property
    def emergency(self) -> bool:
        return any(leg.outside and leg.outside.kind == "emergency" for leg in self.legs) or (
            self.attempt is not None and self.attempt.emergency
        )


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
    at_phone: str | None = None
    """The desk phone where the person signed in with a PIN."""
    displaced: bool = False
    """Somebody else signed in at the person's own desk phone."""
    dnd: bool = False
    forward: dict[str, str] = field(default_factory=dict)
    """`always`, `busy`, `no_answer` -> number, for direct calls."""
    longer_day: str = ""
    """The office's day (ISO) that `longer_used` counts."""
    longer_used: int = 0
    """Longer wrap-ups taken on it."""
    accepts: str | None = None
    """The call-back that is being dialled and that the person takes as soon as it is answered."""

    @property
    def door(self) -> Literal["browser", "phone"]:
        return "phone" if self.at_phone is not None else self.person.door

    @property
    def phone(self) -> str | None:
        """The desk phone that rings for the person."""
        if self.at_phone is not None:
            return self.at_phone
        own = self.person.door == "phone" and not self.displaced
        return self.person.phone if own else None


@dataclass(slots=True)
class World:
    """The state of the switch and what this step has brought so far."""

    site: Site
    data: str
    acd: Acd
    back: CallBacks
    new_id: Callable[[str], str]
    ports: PortPool
    plan: Plan
    numbering: Numbering
    now: int = 0
    calls: dict[str, Call] = field(default_factory=dict)
    legs: dict[int, Leg] = field(default_factory=dict)
    by_sip: dict[str, Leg] = field(default_factory=dict)
    lines: dict[str, LineDesk] = field(default_factory=dict)
    desks: dict[str, Desk] = field(default_factory=dict)
    registered: dict[str, str] = field(default_factory=dict)
    """Extension -> address of the registered phone."""
    trunks: dict[str, tuple[bool, str]] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    pins: Lockout = field(default_factory=lambda: Lockout(*PIN_LOCK))
    """Wrong PINs by phone and by person."""
    pin_wanted: dict[str, str] = field(default_factory=dict)
    """Calls whose PIN is being checked -> the person."""
    to_box: list[tuple[Call, str]] = field(default_factory=list)
    """Calls for somebody who cannot be had: to their box at the end of the step."""
    messages: dict[str, MessageRow] = field(default_factory=dict)
    """What lies in the boxes."""
    lamps: dict[str, Published] = field(default_factory=dict)
    """What the phones' lamps were told last."""
    lamps_stale: bool = True
    requeue: list[Call] = field(default_factory=list)
    """Calls that were passed on to nobody: back to their queue, or where it leads, at the end of
    the step."""
    wants_line: list[Call] = field(default_factory=list)
    """Emergency calls that wait for a line to be on-hook."""
    tokens: dict[int, tuple[str, Purpose, int]] = field(default_factory=dict)
    """Prompt token -> call, purpose, the menu's own token."""
    alarms: dict[str, LiveAlarm] = field(default_factory=dict)
    quality: QualityBook = field(default_factory=QualityBook)
    lit: dict[str, DialogInfo] = field(default_factory=dict)
    """What the lamps of extensions and parking places that are not free show."""
    lamps_of: frozenset[str] = frozenset()
    """All that have a lamp, by the document `lit_site`."""
    lit_site: Site | None = None
    lit_mark: tuple[int, int] = (0, 0)
    """How many facts and actions of this step they know of."""
    loudness: LoudnessBook = field(default_factory=LoudnessBook)
    recordings: dict[str, p.StartRecording] = field(default_factory=dict)
    """What is being recorded, as it was commanded last."""
    media_ready: bool = False
    recording_allowed: bool = True
    facts: list[Fact] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    told: deque[AcdEvent] = field(default_factory=deque)
    """Events for the acd; taken one by one after the handler that caused them, never inside it."""
    wishes: deque[WishEvent] = field(default_factory=deque)
    """The same for the call-backs, taken when the acd has heard all."""
    over: list[tuple[Call, Disconnect]] = field(default_factory=list)
    """Calls that ended in this step; their `Disconnect` is the step's last fact."""
    last_number: int = 0
    stopping: bool = False
    """No more calls of our own begin."""
    desks_changed: bool = False
    """What people set for themselves has to be saved."""

    def fact(self, fact: Fact) -> None:
        self.facts.append(fact)

    def tell(self, event: AcdEvent) -> None:
        """Tell the acd what happened."""
        self.told.append(event)

    def wish(self, event: WishEvent) -> None:
        """Tell the call-backs what happened."""
        self.wishes.append(event)

    def act(self, action: Action) -> None:
        self.actions.append(action)

    def music(self, leg: Leg, file: str | None) -> None:
        """Music for one leg, "" is the built-in one; None ends it."""
        leg.music = file is not None
        self.actions.append(HoldMusic(leg.id, file))

    def media(self, command: p.Command) -> None:
        if isinstance(command, p.StartRecording):
            self.recordings[command.recording] = command
        elif isinstance(command, p.StopRecording):
            self.recordings.pop(command.recording, None)
        elif isinstance(command, p.Listen) and command.leg in self.legs:
            leg = self.legs[command.leg]
            leg.hears = command
            if leg.meter is not None:
                command = msgspec.structs.replace(command, level=True)
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
        self.say(call.a, prompts, purpose, inner)

    def say(
        self,
        leg: Leg,
        prompts: tuple[Prompt | Recorded, ...],
        purpose: Purpose = "notice",
        inner: int = 0,
    ) -> None:
        """Play prompts to one leg."""
        token = self.number()
        self.tokens[token] = (leg.call.id, purpose, inner)
        language = leg.call.language
        said = tuple(one.spoken(language) if isinstance(one, Prompt) else one for one in prompts)
        self.actions.append(Speak(leg.id, token, said, language))

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
