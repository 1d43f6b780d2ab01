"""What the SIP door tells the switch, and the values its commands and configuration take.

`call` is our own key of one call at this door, from `Incoming` or `Endpoint.invite` to its end.
The end is exactly one of `Cancelled`, `Failed` or `HungUp`, unless the switch ended the call
itself (`reject`, `hangup`): then nothing more is heard of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from appliance.sip.sdp import Offer, Session

Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class Source:
    """Who is calling: a phone that proved its password, or a trunk. `id` is the extension or
    the trunk's id."""

    kind: Literal["phone", "trunk"]
    id: str


@dataclass(frozen=True, slots=True)
class PhoneTarget:
    """All contacts of an extension; the first to answer gets the call."""

    extension: str


@dataclass(frozen=True, slots=True)
class TrunkTarget:
    """A number by way of a trunk. `withheld`: those called are not to see the caller's number;
    `headers` go into the INVITE as they are."""

    trunk: str
    number: str
    withheld: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """A provider or gateway. Its calls are known by the addresses of `host`, or, with
    `registration`, by the token in the contact that we registered. `username` and `secret`
    answer its challenges."""

    host: str
    port: int = 5060
    transport: Transport = "udp"
    username: str | None = None
    secret: str | None = field(default=None, repr=False)
    registration: bool = False
    probe: bool = True
    """Without registration: ask each minute by OPTIONS whether the trunk is there."""
    identity: Literal["from", "asserted", "preferred"] = "from"
    """Where the caller's number stands besides From: P-Asserted-Identity or
    P-Preferred-Identity (RFC 3325)."""
    verify: bool = True
    """Over TLS: its certificate must be good for `host`."""
    tls_only: bool = False
    """Take its calls over TLS alone."""


@dataclass(frozen=True, slots=True)
class SipConfig:
    """Where to listen and who may call. `phones` maps extension -> secret; those of `tls_only`
    are heard over TLS alone."""

    host: str = "0.0.0.0"
    port: int = 5060
    udp: bool = True
    tcp: bool = True
    tls: bool = False
    tls_port: int = 5061
    realm: str = "centrala"
    sha256: bool = False
    phones: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls_only: frozenset[str] = frozenset()
    trunks: Mapping[str, TrunkConfig] = field(default_factory=dict)

    def port_of(self, transport: Transport) -> int:
        """Where we are reached by a transport."""
        return self.tls_port if transport == "tls" else self.port


# --- events ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incoming:
    """Somebody calls. `from_number` is None when withheld; `offer` is None when the caller wants
    ours (answer with `sdp.make_offer`). `local_host` is the address the peer reached us by: it
    belongs in the SDP. `remote_host` is where the peer's signalling comes from."""

    call: str
    source: Source
    from_number: str | None
    from_name: str | None
    to_number: str
    offer: Offer | None
    local_host: str
    transport: Transport
    remote_host: str = ""
    waited_s: int | None = None
    """How long another Centrala says that the caller waited there (X-Queue-Wait); only a trunk is
    believed."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The caller gave up before we answered."""

    call: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A call of ours rings (180) or speaks before the answer (`answer` is set)."""

    call: str
    code: int
    answer: Session | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is up. Outgoing: `remote` is what was agreed. Incoming: our answer has arrived;
    `remote` is set when it was us who made the offer (late offer), else None."""

    call: str
    remote: Session | None
    remote_host: str = ""
    """Outgoing: where the signalling of whoever answered comes from."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A call of ours was not answered. `code` is the SIP status (486 busy, 408 no reply, 480 not
    registered, 503 no connection, 488 no common codec)."""

    call: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """An answered call ended at the far end. `cause`: `normal`, `unreachable` (no reply, session
    timer ran out) or `protocol` (the peer broke the rules beyond repair)."""

    call: str
    cause: str


@dataclass(frozen=True, slots=True)
class Reoffered:
    """The peer changes the media (hold, resume, new address): call `reanswer` in good time."""

    call: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class Reanswered:
    """Answer to our `reoffer`, or to an offer that the peer asked us for. None: refused, all
    stays as it was."""

    call: str
    remote: Session | None


@dataclass(frozen=True, slots=True)
class Digit:
    """A key sent by SIP INFO: one of `0123456789*#ABCD`."""

    call: str
    digit: str


@dataclass(frozen=True, slots=True)
class Referred:
    """The phone of this call wants its other party elsewhere: at `number`, or, with `replaces`,
    together with the other party of that other call of the same phone. Answer with
    `refer_done`."""

    call: str
    number: str
    replaces: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A phone has a new or changed contact; `contacts` counts all it has, `address` is the
    new one's `host:port`."""

    extension: str
    contacts: int
    address: str


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The last contact of the extension is gone."""

    extension: str


@dataclass(frozen=True, slots=True)
class TrunkState:
    """The trunk can or cannot be used; `detail` is a sentence for people."""

    trunk: str
    ok: bool
    detail: str


Event = (
    Incoming
    | Cancelled
    | Progress
    | Answered
    | Failed
    | HungUp
    | Reoffered
    | Reanswered
    | Digit
    | Referred
    | Registered
    | Unregistered
    | TrunkState
)
Target = PhoneTarget | TrunkTarget
