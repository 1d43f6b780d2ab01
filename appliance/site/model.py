"""The site document: what this box is, as one validated tree.

Written by the owner as TOML, read by every room. Ids are short names (`[a-z0-9_-]`), the keys of
their tables; numbers are strings, since they may start with 0 or +. Nothing secret stands here:
passwords of people and phones live in the secrets file (`appliance.site.secrets`).
"""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from appliance.site.problems import InconsistentSite
from appliance.site.references import inconsistencies

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
EXTENSION_PATTERN: Final = r"^[0-9]{2,6}$"
DIGITS_PATTERN: Final = r"^[0-9*#]{1,4}$"
NUMBER_PATTERN: Final = r"^\+?[0-9]{1,20}$"
SHOWN_PATTERN: Final = r"^(\+?[0-9]{1,20}|withheld)$"
WAV_PATTERN: Final = r"^[A-Za-z0-9._-]{1,80}\.wav$"
VARIABLE_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}$"
URL_PATTERN: Final = r"^https?://[^\s\x00-\x1f@]{1,300}$"
PREFIX_PATTERN: Final = r"^[0-9]{0,2}$"
HOST_PATTERN: Final = r"^[A-Za-z0-9.:\[\]-]{1,120}$"
DIAL_PATTERN: Final = r"^\+?[0-9XZN]{0,20}\.?$"
AREA_PATTERN: Final = r"^[0-9]{0,6}$"
ABROAD_PATTERN: Final = r"^\+[0-9]{0,8}$"
CODE_PATTERN: Final = r"^[*#][0-9*#]{1,4}$"
DEVICE_PATTERN: Final = r"^/[^\x00]{1,200}$"
USER_PATTERN: Final = r'^[^\s"<>@:;,\x00-\x1f\x7f]{1,80}$'
LABEL_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$"
TEXT_PATTERN: Final = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Extension = Annotated[str, StringConstraints(pattern=EXTENSION_PATTERN)]
Digits = Annotated[str, StringConstraints(pattern=DIGITS_PATTERN)]
Number = Annotated[str, StringConstraints(pattern=NUMBER_PATTERN)]
Host = Annotated[str, StringConstraints(pattern=HOST_PATTERN)]
Wav = Annotated[str, StringConstraints(pattern=WAV_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=TEXT_PATTERN)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=LABEL_PATTERN)]
Language = Literal["en", "ro", "bg", "fa", "ru", "zh"]
Code = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
Port = Annotated[int, Field(ge=1, le=65535)]
Strategy = Literal[
    "longest_idle",
    "ring_all",
    "round_robin",
    "linear",
    "fewest_calls",
    "least_talk",
    "random",
    "weighted",
    "skills",
]
Srtp = Literal["off", "allowed", "required"]
Country = Literal["us", "gb", "fr", "de", "ro", "bg", "ir", "ru", "cn"]
CallKind = Literal["local", "national", "international", "premium"]
"""What a call to the outside is; calls inside the office are always allowed."""


Shown = Annotated[str, StringConstraints(pattern=SHOWN_PATTERN)]
"""A number of ours that those called see, or `withheld`."""


class Table(BaseModel):
    """A table of the document: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Office(Table):
    """Who and where the office is."""

    name: Label = "Office"
    country: Country = "us"
    area: Annotated[str, StringConstraints(pattern=AREA_PATTERN)] = ""
    """The office's own area code without the trunk prefix: calls there are local."""
    timezone: str = "UTC"
    language: Language = "en"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not a time zone; use a name such as Europe/Bucharest")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Prompt(Table):
    """What a caller hears: `text`, spoken offline, or `file`, a WAV of the data directory's
    `prompts/` folder; or one of them for each language in `texts` or `files`.

    In menus and steps a text may hold values: `{caller:digits}`, `{balance:money EUR}`.
    """

    text: Text | None = None
    file: Wav | None = None
    texts: dict[Language, Text] = {}
    files: dict[Language, Wav] = {}
    language: Language | None = None
    """Of `text`; without it that of the call."""

    @model_validator(mode="after")
    def _one_source(self) -> Prompt:
        one = (self.text is not None, self.file is not None)
        many = bool(self.texts or self.files)
        if sum(one) + many != 1:
            raise ValueError(
                'write either text = "..." or file = "name.wav"'
                + (", not both" if sum(one) + many else ' or texts = { en = "..." }')
            )
        return self

    def spoken(self, language: Language) -> Prompt:
        """The one that a caller of this language hears: a plain `text` or `file`. A language that
        is missing hears the first one that is there."""
        if not self.texts and not self.files:
            return self
        if language in self.files:
            return Prompt(file=self.files[language])
        if language in self.texts:
            return Prompt(text=self.texts[language], language=language)
        if self.texts:
            other, text = next(iter(self.texts.items()))
            return Prompt(text=text, language=other)
        return Prompt(file=next(iter(self.files.values())))


class ModemLine(Table):
    """An analog line on a V.253 USB voice modem."""

    kind: Literal["modem"] = "modem"
    name: Label
    device: Annotated[str, StringConstraints(pattern=DEVICE_PATTERN)]
    profile: Id = "auto"
    route: str
    """Where a ring goes: `menu:<id>`, `queue:<id>`, `phone:<extension>` or
    `voicemail:<box>`."""
    number: Number | None = None
    cid_wait_s: Annotated[float, Field(ge=0, le=10)] = 3.0
    fax: str | None = None
    """Where a caller goes who turns out to be a fax machine, as `route`; None leaves it alone."""
    agc: bool = True
    """Even out how loud callers on this line are: lines differ by 20 dB."""


class Trunk(Table):
    """A SIP trunk or gateway: logged in to (`registration`) or known by address."""

    kind: Literal["trunk"] = "trunk"
    name: Label
    host: Host
    port: Port = 5060
    """5061 with `transport = "tls"` when not given."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    verify: bool = True
    """With TLS: its certificate must be good for `host`. False for a gateway that made its own."""
    username: Annotated[str, StringConstraints(pattern=USER_PATTERN)] | None = None
    registration: bool = False
    """Log in there (REGISTER) instead of being known by our address."""
    channels: Annotated[int, Field(ge=1, le=100)] = 2
    route: str
    """Where its calls go when no number matches."""
    numbers: dict[Number, str] = {}
    """Called number -> route."""
    caller_id: Number | None = None
    identity: Literal["from", "asserted", "preferred"] = "from"
    """How our number is told: in From alone, as most providers want it, or besides in
    P-Asserted-Identity or P-Preferred-Identity (RFC 3325)."""
    agc: bool = False
    """Even out how loud callers on it are. Providers keep their levels; gateways to analog lines
    often do not."""
    any_caller_id: bool = False
    """The provider shows whatever number we send; otherwise only those of `numbers`."""
    srtp: Srtp = "off"
    """Encrypted audio (SRTP, keys in the signalling): never, when the other side can, or always.
    Always needs `transport = "tls"`: else the keys could be read on the way."""

    @model_validator(mode="before")
    @classmethod
    def _tls_port(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("transport") == "tls":
            return {"port": 5061, **values}
        return values


class Person(Table):
    """Somebody who signs in."""

    name: Label
    role: Literal["agent", "supervisor", "admin"] = "agent"
    extension: Extension | None = None
    """The person's own number, reached at the door they are signed in at."""
    door: Literal["browser", "phone"] = "browser"
    phone: Extension | None = None
    """With `door = "phone"`: the desk phone that rings."""
    language: Language | None = None
    calls: tuple[CallKind, ...] | None = None
    """What calls to the outside this person may make; without it `numbering.calls`."""
    caller_id: Shown | None = None
    """The number shown outside, where the trunk allows it; "withheld" shows none."""


class Phone(Table):
    """A desk phone: the table's key is its extension and its SIP user name."""

    name: Label
    calls: tuple[CallKind, ...] | None = None
    """What may be called from it while it is nobody's own; without it `numbering.calls`."""
    srtp: Srtp = "off"
    """As for a trunk. Always needs `sip.tls`: the phone is then heard over TLS alone."""


class Queue(Table):
    """Callers wait here for the first fitting agent."""

    name: Label
    extension: Extension | None = None
    agents: tuple[Id, ...] = ()
    strategy: Strategy = "longest_idle"
    weights: dict[Id, Annotated[int, Field(ge=1, le=100)]] = {}
    """Strategy `weighted`: shares of the calls; 1 for whoever is not named."""
    levels: dict[Id, Annotated[int, Field(ge=1, le=9)]] = {}
    """Strategy `skills`: how skilled each agent is for this queue; 1 for whoever is not named."""
    skill_level: Annotated[int, Field(ge=1, le=9)] = 1
    """Strategy `skills`: the level that a caller needs at first."""
    skill_relax_s: Annotated[int, Field(ge=0, le=600)] = 30
    """One level less is enough after each such wait. 0: never."""
    last_agent_days: Annotated[int, Field(ge=0, le=365)] = 0
    """Who spoke with this caller within so many days gets the call first. 0: off."""
    last_agent_wait_s: Annotated[int, Field(ge=0, le=300)] = 20
    """How long such a caller waits for that agent alone. 0: only when free at once."""
    ring_s: Annotated[int, Field(ge=5, le=120)] = 20
    wrap_up_s: Annotated[int, Field(ge=0, le=3600)] = 15
    wrap_ups: dict[Id, Annotated[int, Field(ge=0, le=3600)]] = {}
    """The wrap-up of single agents, in seconds; `wrap_up_s` for whoever is not named."""
    auto_pause: Annotated[int, Field(ge=0, le=20)] = 3
    """An agent who misses so many offers in a row is set to not ready, reason "missed". 0: never.
    One failure of the phone or its network does not count."""
    max_wait_s: Annotated[int, Field(ge=0, le=7200)] = 600
    """0: without limit."""
    max_waiting: Annotated[int, Field(ge=0, le=500)] = 20
    """0: without limit."""
    leave_when_empty: bool = True
    """Nobody signed in: leave at once as `no_agent` instead of waiting for nobody."""
    then: str = "hangup"
    """Where a caller goes who leaves by timeout, full, no_agent or closed: a route or `hangup`."""
    overflow_to: str | None = None
    """Where a caller goes who leaves by overflow: a route, `site:<id>` for another office. Who is
    not taken there goes on to `then`, or back to their place when that is the end."""
    overflow_after_s: Annotated[int, Field(ge=0, le=7200)] = 0
    """Overflow after this wait. 0: never."""
    overflow_waiting: Annotated[int, Field(ge=0, le=500)] = 0
    """Overflow at once while so many are waiting. 0: never."""
    overflow_unready: bool = False
    """Overflow while nobody of the queue is ready: all paused, away or signed out. Who is ready
    and in a call counts as ready."""
    hours: Id | None = None
    announce_position: bool = True
    announce_every_s: Annotated[int, Field(ge=10, le=600)] = 30
    announce_wait: bool = False
    """Say with the place how long the wait will be, as a range."""
    callback: bool = False
    """Callers may keep their place and be called back."""
    callback_key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")] = "1"
    """The key for it while they wait, at any time."""
    callback_offer_s: Annotated[int, Field(ge=0, le=3600)] = 120
    """It is offered aloud when the wait is expected to be so long, or is already. 0: always."""
    callback_calls: tuple[CallKind, ...] = ("local", "national")
    """What kinds of numbers are called back; abroad also `numbering.abroad` has to allow."""
    callback_tries: Annotated[int, Field(ge=1, le=9)] = 3
    """How often somebody who asked for a call-back is called at most."""
    callback_retry_s: Annotated[int, Field(ge=30, le=86_400)] = 300
    """Between two tries."""
    callback_ring_s: Annotated[int, Field(ge=10, le=120)] = 30
    callback_keep_h: Annotated[int, Field(ge=1, le=168)] = 24
    """A request older than this is given up."""
    callback_machine: bool = False
    """Listen first whether an answering machine has answered; it counts as not reached. A person
    waits for two seconds then, and one who greets for three without a pause is called again."""
    welcome: Prompt | None = None
    music: Wav | None = None
    """A WAV of the data directory's `prompts/` folder; without it the built-in music."""
    record: bool = True
    service_level_s: Annotated[int, Field(ge=1, le=600)] = 20
    short_abandon_s: Annotated[int, Field(ge=0, le=60)] = 5
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    caller_id: Shown | None = None
    """Shown when its agents call out in its name, where the trunk allows it."""


class Campaign(Table):
    """Something that people call out for, under a number of its own."""

    name: Label
    caller_id: Shown
    """Shown instead of the queue's, the person's or the trunk's own, where the trunk allows it."""


class OtherSite(Table):
    """Another office that takes over callers: a route as `site:<id>`."""

    name: Label
    number: Number
    """As the lines want it; `numbering.rules` do not change it."""
    lines: Annotated[tuple[Id, ...], Field(min_length=1, max_length=20)]
    """Lines, trunks and names of `numbering.groups`, each tried when those before it fail."""
    ring_s: Annotated[int, Field(ge=5, le=180)] = 30
    keep_caller: bool = True
    """Show the caller's own number there where a trunk has `any_caller_id`, else ours."""
    tell_wait: bool = True
    """Tell the other side by the header X-Queue-Wait how long the caller has waited here; some
    providers refuse headers that they do not know."""


BoxCause = Literal["busy", "no_answer", "away"]


class Box(Table):
    """Where messages lie: of one person, or shared by the agents of queues and by people. Without
    any of them supervisors alone hear it."""

    name: Label
    person: Id | None = None
    queues: tuple[Id, ...] = ()
    people: tuple[Id, ...] = ()
    phones: tuple[Extension, ...] = ()
    """Phones whose lamp shows its messages too; the person's own always does."""
    takes: tuple[BoxCause, ...] = ("busy", "no_answer", "away")
    """Of a person: which calls for them end here. `busy` is also do not disturb and a call that
    was rejected, `away` nobody signed in there. Empty: none by themselves."""
    ring_s: Annotated[int, Field(ge=5, le=120)] = 25
    """Of a person: how long they are rung before."""
    greeting: Prompt | None = None
    longest_s: Annotated[int, Field(ge=5, le=1800)] = 180
    least_s: Annotated[int, Field(ge=0, le=60)] = 2
    silence_s: Annotated[int, Field(ge=0, le=60)] = 8
    most: Annotated[int, Field(ge=1, le=1000)] = 100
    """A full box takes no more."""


class MenuKey(Table):
    """What a key does: `go` is a route, `repeat`, `hangup`, or another menu."""

    go: str
    say: Prompt | None = None


class Menu(Table):
    """One level of the voice menu."""

    prompt: Prompt
    keys: dict[Digits, MenuKey]
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Silence after the prompt before it counts as no choice."""
    tries: Annotated[int, Field(ge=1, le=9)] = 3
    """How often the prompt is played before `default`."""
    invalid: Prompt | None = None
    default: str
    """Where a caller goes who does not choose: callers with old phones reach a person."""
    hours: Id | None = None
    closed: Prompt | None = None
    closed_go: str = "hangup"


Variable = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)]


class Say(Table):
    """Say something, then go on. A key cuts it short."""

    kind: Literal["say"] = "say"
    prompt: Prompt
    go: str


class ChooseLanguage(Table):
    """Let the caller choose; from here on everything is said in that language."""

    kind: Literal["language"] = "language"
    keys: dict[Digits, Language]
    prompt: Prompt | None = None
    """Without it each language says its own key."""
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    tries: Annotated[int, Field(ge=1, le=9)] = 2
    go: str


class Collect(Table):
    """Ask for digits and keep them under a name."""

    kind: Literal["collect"] = "collect"
    name: Variable
    prompt: Prompt
    min_digits: Annotated[int, Field(ge=1, le=40)] = 1
    max_digits: Annotated[int, Field(ge=1, le=40)] = 20
    end_key: Literal["#", "*", ""] = "#"
    """Ends an entry that is shorter than `max_digits`; silence does too."""
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    check: Literal["none", "luhn"] = "none"
    """`luhn`: the last digit checks the others, as on payment cards (ISO/IEC 7812-1)."""
    invalid: Prompt | None = None
    tries: Annotated[int, Field(ge=1, le=9)] = 3
    secret: bool = False
    """Not written down anywhere: cards and PINs."""
    go: str
    failed: str
    """Where callers go whose digits were never right."""


class When(Table):
    """What a caller and the office must be like for a case; all that is given must hold."""

    caller: tuple[str, ...] = ()
    """The caller's number begins with one of these; "withheld" stands for none."""
    called: tuple[Number, ...] = ()
    hours: Id | None = None
    """Open by these hours."""
    closed: Id | None = None
    """Closed by these hours."""
    language: tuple[Language, ...] = ()
    queue: Id | None = None
    """The queue that the next four look at."""
    waiting_from: Annotated[int, Field(ge=0, le=1000)] | None = None
    """So many callers wait, or more."""
    waiting_to: Annotated[int, Field(ge=0, le=1000)] | None = None
    ready_to: Annotated[int, Field(ge=0, le=1000)] | None = None
    """So many agents can be rung at once, or fewer; 0: nobody."""
    wait_from_s: Annotated[int, Field(ge=0, le=86400)] | None = None
    """The longest wait is so long, or longer."""
    name: Variable | None = None
    """The collected or looked-up value that the next three look at."""
    equals: tuple[Label, ...] = ()
    least: float | None = None
    most: float | None = None
    go: str


class Branch(Table):
    """Go to the first case that fits."""

    kind: Literal["branch"] = "branch"
    cases: Annotated[tuple[When, ...], Field(min_length=1, max_length=50)]
    default: str


class LookUp(Table):
    """Ask a program of the office's: an HTTP POST of a JSON object with `call`, `caller`, `called`,
    `language` and the values named in `send`. The values of the JSON object that comes back are
    kept under their names."""

    kind: Literal["lookup"] = "lookup"
    url: Annotated[str, StringConstraints(pattern=URL_PATTERN)]
    send: tuple[Variable, ...] = ()
    timeout_s: Annotated[float, Field(ge=0.5, le=15)] = 5.0
    prompt: Prompt | None = None
    """Said while the answer is on its way."""
    go: str
    failed: str
    """Where callers go when no answer comes in time."""


class NewsItem(Table):
    prompt: Prompt
    first: date | None = None
    last: date | None = None


class News(Table):
    """Say what is new today; nothing on other days. A key goes on at once."""

    kind: Literal["news"] = "news"
    items: Annotated[tuple[NewsItem, ...], Field(max_length=20)] = ()
    go: str


class Directory(Table):
    """Find a person by the first letters of their name on the keypad (ITU-T E.161)."""

    kind: Literal["directory"] = "directory"
    prompt: Prompt | None = None
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    tries: Annotated[int, Field(ge=1, le=9)] = 3
    failed: str


class Record(Table):
    """Let the caller leave a message in a box."""

    kind: Literal["record"] = "record"
    box: Id
    prompt: Prompt | None = None
    """Said before the tone; without it that the caller may speak after it."""
    longest_s: Annotated[int, Field(ge=5, le=1800)] = 180
    least_s: Annotated[int, Field(ge=0, le=60)] = 2
    """Shorter ones are not kept."""
    silence_s: Annotated[int, Field(ge=0, le=60)] = 8
    """So much silence ends it. 0: no silence does."""
    end_key: Literal["#", "*", ""] = "#"
    review: bool = True
    """Whoever ended it with the key may keep it or record it again."""
    tries: Annotated[int, Field(ge=1, le=9)] = 3
    """How often somebody is asked to speak who says nothing, or records it anew."""
    go: str = "hangup"


Step = Annotated[
    Say | ChooseLanguage | Collect | Branch | LookUp | News | Directory | Record,
    Field(discriminator="kind"),
]


class Hours(Table):
    """When the office is open, in its time zone. Days without an entry are closed."""

    mon: tuple[str, ...] = ()
    tue: tuple[str, ...] = ()
    wed: tuple[str, ...] = ()
    thu: tuple[str, ...] = ()
    fri: tuple[str, ...] = ()
    sat: tuple[str, ...] = ()
    sun: tuple[str, ...] = ()
    holidays: tuple[date, ...] = ()

    @field_validator("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    @classmethod
    def _spans(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for span in value:
            parse_span(span)
        return value


class Recording(Table):
    enabled: bool = True
    announce: Prompt | None = None
    """Played before the first menu or queue where the law asks for it."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    format: Literal["opus", "flac", "wav"] = "opus"
    """What a recording becomes after its call; while the call lasts it is WAV."""


class Media(Table):
    """How the audio is carried; most boxes need none of this."""

    processes: Annotated[int, Field(ge=0, le=16)] = 0
    """0: by the number of processor cores, see `appliance.app.media_processes`."""


class Sip(Table):
    host: Host = "0.0.0.0"
    """Address to listen on; what we tell peers is the address they reach us by."""
    port: Port = 5060
    udp: bool = True
    tcp: bool = True
    tls: bool = False
    """Take phones over TLS too, with the certificate of the pages."""
    tls_port: Port = 5061
    realm: Label = "centrala"
    sha256: bool = False
    """Offer SHA-256 digests too; some phones fail on seeing one."""
    rtp_ports: tuple[Port, Port] = (16000, 16999)


class Web(Table):
    host: Host = "0.0.0.0"
    http_port: Port = 8080
    https_port: Port = 8443
    hosts: tuple[Host, ...] = ()
    """Names besides the box's own addresses under which the page may be opened."""


class DialRule(Table):
    """Which lines take which numbers. The first rule that fits wins; without one the lines of
    `numbering.outgoing` take the number as it is."""

    pattern: Annotated[str, StringConstraints(min_length=1, pattern=DIAL_PATTERN)]
    """X is any digit, Z 1 to 9, N 2 to 9, a dot at the end whatever follows."""
    strip: Annotated[int, Field(ge=0, le=20)] = 0
    """So many characters are taken away in front, then `prepend` is put there."""
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{0,10}$")] = ""
    lines: tuple[Id, ...] = ()
    """Lines, trunks and names of `numbering.groups`, each tried when those before it are busy or
    fail; empty: `numbering.outgoing`."""
    kind: CallKind | None = None
    """What such a call is, where the country's plan has it otherwise."""


class Ceiling(Table):
    """What toll fraud cannot exceed, by more than the calls that run when it is reached. A day is
    the office's; emergency calls are neither counted nor refused."""

    calls: Annotated[int, Field(ge=0, le=100_000)] = 500
    minutes: Annotated[int, Field(ge=0, le=1_000_000)] = 2000
    at_once: Annotated[int, Field(ge=0, le=500)] = 30
    person_calls: Annotated[int, Field(ge=0, le=100_000)] = 200
    person_minutes: Annotated[int, Field(ge=0, le=100_000)] = 600
    person_at_once: Annotated[int, Field(ge=0, le=100)] = 3
    abroad_minutes: Annotated[int, Field(ge=0, le=100_000)] = 120
    """International and premium calls of the whole office."""
    call_minutes: Annotated[int, Field(ge=1, le=1440)] = 240
    """A call to the outside is ended after this."""


class Numbering(Table):
    outside_prefix: Annotated[str, StringConstraints(pattern=PREFIX_PATTERN)] = "0"
    outgoing: tuple[Id, ...] = ()
    """Lines and trunks for calls out, in order of preference."""
    groups: dict[Id, tuple[Id, ...]] = {}
    """Names for several lines, for `rules`."""
    rules: tuple[DialRule, ...] = ()
    calls: tuple[CallKind, ...] = ("local", "national")
    """What people and phones may call outside unless theirs says otherwise."""
    abroad: tuple[Annotated[str, StringConstraints(pattern=ABROAD_PATTERN)], ...] = ()
    """Beginnings of international numbers that may be called, "+49" for example; "+" is every
    country. Without any nobody calls abroad."""
    ceiling: Ceiling = Ceiling()
    emergency: tuple[Number, ...] = ("112",)
    """Besides those of the country, which are always known."""
    emergency_lines: tuple[Id, ...] = ()
    """Which lines take emergency calls first; every other line is tried after them."""
    ring_s: Annotated[int, Field(ge=5, le=180)] = 60
    forward_hops: Annotated[int, Field(ge=0, le=9)] = 3
    """How often one call may be forwarded on from person to person."""


Feature = Literal[
    "pickup",
    "listen",
    "whisper",
    "barge",
    "take_over",
    "dnd_on",
    "dnd_off",
    "forward_always",
    "forward_busy",
    "forward_no_answer",
    "forward_off",
    "sign_in",
    "sign_out",
    "messages",
    "ready",
    "pause",
    "wrap_longer",
    "wrap_end",
]
CODES: Final[dict[Feature, str]] = {
    "pickup": "*80",
    "listen": "*40",
    "whisper": "*41",
    "barge": "*42",
    "take_over": "*43",
    "dnd_on": "*78",
    "dnd_off": "*79",
    "forward_always": "*72",
    "forward_off": "*73",
    "forward_busy": "*74",
    "forward_no_answer": "*75",
    "sign_in": "*31",
    "sign_out": "*32",
    "messages": "*98",
    "ready": "*45",
    "pause": "*46",
    "wrap_longer": "*47",
    "wrap_end": "*48",
}
CallKey = Literal[
    "hold", "transfer", "consult", "conference", "swap", "cancel", "complete", "park", "mute"
]
CALL_KEYS: Final[dict[CallKey, str]] = {
    "hold": "*0",
    "transfer": "*1",
    "consult": "*2",
    "conference": "*3",
    "swap": "*4",
    "cancel": "*5",
    "complete": "*6",
    "park": "*7",
    "mute": "*8",
}


class Features(Table):
    """What phones and pages can do with calls, and by which codes."""

    orbits: tuple[Extension, ...] = ("701", "702", "703", "704", "705", "706", "707", "708", "709")
    """Parking places: numbers that are dialled to fetch who waits there. Of these nine, which
    nobody asked for, those that are somebody's extension are none; see `Site.orbits`."""
    park_s: Annotated[int, Field(ge=10, le=3600)] = 120
    """After this whoever parked the call is rung."""
    codes: dict[Feature, Code] = CODES
    """What is dialled on a phone; an extension, a number or nothing follows."""
    keys: dict[CallKey, Code] = CALL_KEYS
    """What is keyed by a phone of the office during a call; for `transfer` and `consult` the
    number and # follow."""
    supervise_notice: Prompt | None = None
    """Played when a supervisor comes into a call, where the law asks for it."""
    supervise_tells: Literal["agent", "all"] = "all"
    """Who hears that notice."""


class WrapUp(Table):
    """The longer wrap-up that an agent takes by one tap, to cool down or to finish the papers."""

    longer_s: Annotated[int, Field(ge=10, le=3600)] = 120
    """What one tap adds to the queue's `wrap_up_s`."""
    longer_per_day: Annotated[int, Field(ge=0, le=100)] = 5
    """So many taps for each agent and day, whatever the queue. 0: none."""
    reason: Label = "Cool-down"
    """What the books say of it."""


Role = Literal["agent", "supervisor", "admin"]


class Privacy(Table):
    shown_digits: dict[Role, Annotated[int, Field(ge=0, le=9)]] = {}
    """Callers' numbers show only so many of their last digits to people of this role."""


class Site(Table):
    """The whole document."""

    office: Office = Office()
    lines: dict[Id, Annotated[ModemLine | Trunk, Field(discriminator="kind")]] = {}
    people: dict[Id, Person] = {}
    phones: dict[Extension, Phone] = {}
    queues: dict[Id, Queue] = {}
    menus: dict[Id, Menu] = {}
    steps: dict[Id, Step] = {}
    boxes: dict[Id, Box] = {}
    hours: dict[Id, Hours] = {}
    sites: dict[Id, OtherSite] = {}
    campaigns: dict[Id, Campaign] = {}
    recording: Recording = Recording()
    media: Media = Media()
    sip: Sip = Sip()
    web: Web = Web()
    numbering: Numbering = Numbering()
    features: Features = Features()
    wrap_up: WrapUp = WrapUp()
    privacy: Privacy = Privacy()
    pause_reasons: tuple[Label, ...] = ("Break", "Lunch", "Training", "Paperwork")
    demo: bool = False
    """Demo office: simulated callers, sign-in without a password from this machine."""

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        found = inconsistencies(self)
        if found:
            raise InconsistentSite(found)
        return self

    @property
    def orbits(self) -> tuple[str, ...]:
        """The parking places there are: as written, or what the office's extensions, emergency
        numbers and calls out leave of the usual ones."""
        orbits = self.features.orbits
        if "orbits" in self.features.model_fields_set:
            return orbits
        taken = {*self.phones, *self.numbering.emergency}
        taken |= {one.extension for one in self.people.values() if one.extension is not None}
        taken |= {one.extension for one in self.queues.values() if one.extension is not None}
        prefix = self.numbering.outside_prefix
        return tuple(
            one for one in orbits if one not in taken and not (prefix and one.startswith(prefix))
        )


def parse_span(text: str) -> tuple[time, time]:
    """`"09:00-17:30"` -> times; `24:00` ends a day. Raises ValueError with a sentence."""
    start, dash, end = text.partition("-")
    try:
        if not dash:
            raise ValueError
        opens = time.fromisoformat(start.strip())
        closes = time.max if end.strip() == "24:00" else time.fromisoformat(end.strip())
    except ValueError:
        raise ValueError(f'{text!r} is not a span of time; write "09:00-17:30"') from None
    if closes <= opens:
        raise ValueError(f"{text!r} ends before it starts; split it over two days")
    return opens, closes
