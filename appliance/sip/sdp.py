"""Session descriptions and the offer/answer rules (RFC 4566, RFC 3264) for G.711 telephony.

PCMU (0), PCMA (8) and telephone-event (RFC 4733), one audio stream. Other streams of an offer are
refused in the answer (port 0).

Encryption follows the policy of whoever is at the other end: `off` ignores `a=crypto` lines in
RTP/AVP and finds no answer for profiles that insist on them; `allowed` takes both, and offers
RTP/AVP with keys (RFC 8643); `required` offers RTP/SAVP and takes nothing that is not encrypted.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

from appliance.sip import crypto
from appliance.sip.crypto import Crypto, Keys, Policy

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_TEXT: Final = 16 * 1024
MAX_LINES: Final = 500
MAX_MEDIA: Final = 16
MAX_FORMATS: Final = 64
_PLAIN: Final = ("RTP/AVP", "RTP/AVPF")
_SECURE: Final = ("RTP/SAVP", "RTP/SAVPF")
_NAMES: Final = {0: "PCMU", 8: "PCMA"}
_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
_REVERSED: Final[dict[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class SdpError(ValueError):
    """The text is not a session description."""


@dataclass(frozen=True, slots=True)
class Media:
    """One `m=` section. `host` is the address it wants its media at (session level when it has
    none of its own), `events` the payload type of telephone-event/8000."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    host: str
    direction: Direction
    events: int | None
    ptime: int
    crypto: tuple[Crypto, ...] = ()
    """The keys that we could use, in the peer's order."""
    rtcp_port: int | None = None
    """Where its reports go, if it says so (RFC 3605)."""
    rtcp_mux: bool = False

    @property
    def secure(self) -> bool:
        """It insists on encryption."""
        return self.profile in _SECURE

    @property
    def nowhere(self) -> bool:
        """The null address: the old form of hold (RFC 3264 section 8.4)."""
        return self.host in ("0.0.0.0", "::")

    @property
    def codecs(self) -> tuple[int, ...]:
        """The G.711 payload types in the peer's order."""
        return tuple(int(f) for f in self.formats if f in ("0", "8"))


@dataclass(frozen=True, slots=True)
class Offer:
    """A parsed description, offer or answer alike."""

    media: tuple[Media, ...]

    @property
    def audio(self) -> Media | None:
        """The first audio stream that we could take part in."""
        return self.audio_by("allowed")

    def audio_by(self, policy: Policy) -> Media | None:
        """The same under a policy. Where both are offered, encryption comes first."""
        usable = [media for media in self.media if _usable(media, policy)]
        if policy != "off":
            for media in usable:
                if media.crypto:
                    return media
        return usable[0] if usable else None

    @property
    def held(self) -> bool:
        """The peer does not listen: sendonly, inactive, `c=0.0.0.0` or `c=::`."""
        audio = self.audio
        return audio is not None and (audio.nowhere or audio.direction in ("sendonly", "inactive"))


@dataclass(frozen=True, slots=True)
class Session:
    """What was agreed, as `media.protocol.AimRtp` wants it. `ptime` is what the peer likes to
    get, in ms. `send` is False while the peer holds us; then the address may be the null one."""

    remote_host: str
    remote_port: int
    payload_type: int
    event_send: int | None
    event_receive: int | None
    send: bool
    receive: bool
    ptime: int = 20
    keys: Keys | None = None
    """Of SRTP; None for plain RTP."""
    rtcp_port: int | None = None
    rtcp_mux: bool = False


def parse(text: str) -> Offer:
    """Parse a description; lines that do not matter may be anything. Raises SdpError."""
    if len(text) > MAX_TEXT:
        raise SdpError("description too long")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES or not lines[0].startswith("v=0"):
        raise SdpError("not a session description")
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line.rstrip())
    if len(sections) > MAX_MEDIA + 1:
        raise SdpError("too many media sections")
    host = _connection(sections[0], "")
    direction = _direction(sections[0], "sendrecv")
    return Offer(tuple(_media(section, host, direction) for section in sections[1:]))


def _media(lines: list[str], host: str, direction: Direction) -> Media:
    fields = lines[0][2:].split()
    if len(fields) < 3:
        raise SdpError("malformed m= line")
    kind, port, profile, *formats = fields
    port = port.partition("/")[0]
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise SdpError("malformed port in m= line")
    if len(formats) > MAX_FORMATS:
        raise SdpError("too many formats in m= line")
    events: int | None = None
    ptime = 20
    keys: list[Crypto] = []
    rtcp_port: int | None = None
    rtcp_mux = False
    host = _connection(lines, host)
    for line in lines:
        name, _, value = line.partition(":")
        if name == "a=rtpmap":
            payload, _, codec = value.strip().partition(" ")
            wanted = codec.strip().lower().startswith("telephone-event/8000")
            if wanted and events is None and payload in formats and _is_payload_type(payload):
                events = int(payload)
        elif name == "a=ptime" and value.strip().isascii() and value.strip().isdigit():
            ptime = min(max(int(value.strip()[:4]), 10), 60)
        elif name == "a=crypto":
            found = crypto.parse(value)
            if found is not None:
                keys.append(found)
        elif name == "a=rtcp":
            rtcp_port = _rtcp(value, host)
        elif line == "a=rtcp-mux":
            rtcp_mux = True
    return Media(
        kind.lower(),
        int(port),
        profile.upper(),
        tuple(formats),
        host,
        _direction(lines, direction),
        events,
        ptime,
        tuple(keys),
        rtcp_port,
        rtcp_mux,
    )


def _rtcp(value: str, host: str) -> int | None:
    """The port of `a=rtcp`. Another host than the audio's is not taken: reports must not go to
    somebody who did not ask for this call."""
    port, *address = value.split()[:4] or [""]
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    return int(port) if not address or address[-1] == host else None


def _is_payload_type(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 128


def _connection(lines: list[str], default: str) -> str:
    for line in lines:
        if line.startswith("c="):
            fields = line[2:].split()
            if len(fields) != 3:
                raise SdpError("malformed c= line")
            try:
                return str(ipaddress.ip_address(fields[2].partition("/")[0]))
            except ValueError:
                # A name is legal but nobody resolves it at this point of a call: no answer.
                return ""
    return default


def _direction(lines: list[str], default: Direction) -> Direction:
    for line in lines:
        for direction in _DIRECTIONS:
            if line == f"a={direction}":
                return direction
    return default


def _usable(media: Media, policy: Policy) -> bool:
    if media.kind != "audio" or media.port == 0 or media.profile not in (*_PLAIN, *_SECURE):
        return False
    if media.secure and (policy == "off" or not media.crypto):
        return False
    if policy == "required" and not media.crypto:
        return False
    if not media.codecs or not media.host:
        return False
    address = ipaddress.ip_address(media.host)
    return not address.is_multicast and media.host != "255.255.255.255"


def _both(a: Direction, b: Direction) -> Direction:
    send = "send" in a and "send" in b
    receive = "recv" in a and "recv" in b
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"


def _session(
    media: Media,
    payload_type: int,
    events: int | None,
    local: Direction,
    old: Session | None,
    keys: Keys | None,
) -> Session:
    host, port = media.host, media.port
    if media.nowhere and old is not None:
        host, port = old.remote_host, old.remote_port
    return Session(
        host,
        port,
        payload_type,
        media.events if events is not None else None,
        events if media.events is not None else None,
        "send" in local and not media.nowhere,
        "recv" in local,
        media.ptime,
        keys,
        media.rtcp_port,
        media.rtcp_mux,
    )


def _local_direction(media: Media, wanted: Direction) -> Direction:
    theirs = media.direction
    if media.nowhere:
        theirs = _both(theirs, "sendonly")
    return _both(_REVERSED[theirs], wanted)


def answer(
    offer: Offer,
    host: str,
    port: int,
    prefer: tuple[int, ...] = (0, 8),
    direction: Direction = "sendrecv",
    previous: Session | None = None,
    policy: Policy = "off",
    own_keys: bytes = b"",
) -> tuple[str, Session] | None:
    """The answer to an offer and what it agrees on; None when there is nothing in common (488).

    `host`, `port`: where we listen. `prefer` orders our codecs; it wins over the peer's order.
    `direction` is what we want (`sendonly` while we hold the peer). `previous` keeps the peer's
    address through a hold by null address. `own_keys` are the leg's (`crypto.KEYS_BYTES`), the
    same for all of its answers: keys that do not change go on being used (RFC 4568 section 7.1.4).
    """
    chosen = offer.audio_by(policy)
    if chosen is None:
        return None
    codec = next((p for p in prefer if p in chosen.codecs), None)
    if codec is None:
        return None
    local = _local_direction(chosen, direction)
    theirs = crypto.choose(chosen.crypto) if policy != "off" else None
    keys: Keys | None = None
    mine: tuple[Crypto, ...] = ()
    if theirs is not None:
        key = crypto.own_key(own_keys, theirs.suite)
        keys = Keys(theirs.suite, key, theirs.key)
        mine = (Crypto(theirs.tag, theirs.suite, key),)
    lines = _session_lines(host)
    taken = False
    for media in offer.media:
        if media is chosen and not taken:
            taken = True
            lines += _audio_lines(port, media.profile, (codec,), media.events, local, mine)
            if media.rtcp_mux:
                lines.append("a=rtcp-mux")
        else:
            lines.append(f"m={media.kind} 0 {media.profile} {' '.join(media.formats) or '0'}")
    session = _session(chosen, codec, chosen.events, local, previous, keys)
    return "\r\n".join(lines) + "\r\n", session


def make_offer(
    host: str,
    port: int,
    direction: Direction = "sendrecv",
    session_version: int = 1,
    prefer: tuple[int, ...] = (0, 8),
    events: int | None = 101,
    policy: Policy = "off",
    own_keys: bytes = b"",
) -> str:
    """An offer of G.711 and telephone-event at `host:port`. The SIP door sets id and version of
    the `o=` line for each dialog itself; `session_version` is for other uses."""
    lines = _session_lines(host, session_version)
    profile = "RTP/SAVP" if policy == "required" else "RTP/AVP"
    mine = () if policy == "off" else crypto.offered(own_keys)
    lines += _audio_lines(port, profile, prefer, events, direction, mine)
    return "\r\n".join(lines) + "\r\n"


def agree(ours: Offer, theirs: Offer, previous: Session | None = None) -> Session | None:
    """What an answer to our own offer agrees on; None when it takes none of our codecs, or answers
    keys that we did not offer, or none where we insist."""
    mine, media = ours.audio, theirs.audio
    if mine is None or media is None or mine.secure != media.secure:
        return None
    keys = crypto.agreed(mine.crypto, media.crypto)
    if keys is None and (mine.secure or (mine.crypto and media.crypto)):
        return None
    codec = next((p for p in media.codecs if p in mine.codecs), None)
    if codec is None:
        return None
    local = _local_direction(media, mine.direction)
    return _session(media, codec, mine.events, local, previous, keys)


def with_origin(text: str, session_id: int, version: int) -> str:
    """The same description under the `o=` line of its dialog (RFC 3264 section 8)."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    address = next((line[2:] for line in lines if line.startswith("c=")), "IN IP4 0.0.0.0")
    origin = f"o=- {session_id} {version} {address}"
    return "\r\n".join(origin if line.startswith("o=") else line for line in lines) + "\r\n"


def _session_lines(host: str, version: int = 1) -> list[str]:
    kind = "IP6" if ":" in host else "IP4"
    return [
        "v=0",
        f"o=- {version} {version} IN {kind} {host}",
        "s=-",
        f"c=IN {kind} {host}",
        "t=0 0",
    ]


def _audio_lines(
    port: int,
    profile: str,
    codecs: tuple[int, ...],
    events: int | None,
    direction: Direction,
    keys: tuple[Crypto, ...] = (),
) -> list[str]:
    formats = [str(codec) for codec in codecs]
    lines = [f"a=rtpmap:{codec} {_NAMES[codec]}/8000" for codec in codecs]
    if events is not None:
        formats.append(str(events))
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    return [
        f"m=audio {port} {profile} {' '.join(formats)}",
        *lines,
        *(key.line for key in keys),
        "a=ptime:20",
        f"a={direction}",
    ]
