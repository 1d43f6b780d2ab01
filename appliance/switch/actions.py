"""What the switch wants done outside of itself, besides facts.

The shell (`run.py`) carries them out in order, after the facts of the same step are on disk.
SIP calls are named by the key of the endpoint for calls that came in and by `s<leg>` for calls
that the switch started; the shell keeps the translation.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ivr.actions import Recorded
from appliance.media import protocol as media
from appliance.sip.subscription import Published
from appliance.site.model import Language, Prompt


@dataclass(frozen=True, slots=True)
class Media:
    """A command for the media process."""

    command: media.Command


@dataclass(frozen=True, slots=True)
class Speak:
    """Turn prompts into audio and play them to the leg; `PlayEnded` carries `token`."""

    leg: int
    token: int
    prompts: tuple[Prompt | Recorded, ...]
    language: Language


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop the prompt on the leg, also one that is still being prepared."""

    leg: int


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """Music on the leg: `file` of the prompts folder, the built-in one for "", none for None."""

    leg: int
    file: str | None


@dataclass(frozen=True, slots=True)
class SipRing:
    sip: str


@dataclass(frozen=True, slots=True)
class SipAnswer:
    sip: str
    sdp: str


@dataclass(frozen=True, slots=True)
class SipReject:
    sip: str
    code: int


@dataclass(frozen=True, slots=True)
class SipHangUp:
    sip: str


@dataclass(frozen=True, slots=True)
class SipReanswer:
    """Answer to the peer's re-INVITE or UPDATE; None refuses it and all stays as it was."""

    sip: str
    sdp: str | None


@dataclass(frozen=True, slots=True)
class SipReferDone:
    """What became of a transfer that the phone asked for, as a SIP status."""

    sip: str
    code: int


@dataclass(frozen=True, slots=True)
class SipInvite:
    """Call a phone (`trunk` None, `target` an extension) or a number through a trunk. With
    `withheld` the trunk is told the caller, those called are not."""

    sip: str
    target: str
    trunk: str | None
    caller: str | None
    caller_name: str | None
    port: int
    withheld: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SipPublish:
    """The state of something that phones subscribe to; None: it is no more."""

    package: str
    resource: str
    state: Published | None


@dataclass(frozen=True, slots=True)
class CheckPin:
    """Whether this is the person's PIN; the answer comes as `Switch.pin_checked`. It takes tens
    of milliseconds of a core, so not here."""

    call: str
    person: str
    pin: str


@dataclass(frozen=True, slots=True)
class AskProgram:
    """POST `body` as JSON to `url` and report what came back with `Switch.program_answered`."""

    call: str
    token: int
    url: str
    body: dict[str, str | None]
    timeout_ms: int


Action = (
    Media
    | Speak
    | Hush
    | HoldMusic
    | SipRing
    | SipAnswer
    | SipReject
    | SipHangUp
    | SipReanswer
    | SipInvite
    | SipReferDone
    | SipPublish
    | CheckPin
    | AskProgram
)
