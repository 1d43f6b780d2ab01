"""A page's SDP offer: read strictly, rewritten for aiortc, and answered (RFC 8866, RFC 9429).

An offer comes from outside. Only what is understood is taken out of it, each value checked
against its grammar, and aiortc gets a new description written from those values alone. One
audio section is answered; all other sections (video, data channels, more audio) are rejected
with port 0 (RFC 3264 section 6), so a page with a richer offer still gets its audio.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from itertools import pairwise

from appliance.browser.companding import PCMA, PCMU
from appliance.browser.port import PeerRefused

MAX_OFFER = 64 * 1024
MAX_SECTIONS = 16
# More addresses than any machine has; each costs one connectivity check per address of ours.
MAX_CANDIDATES = 20

_MEDIA = re.compile(
    r"m=([a-z]{1,16}) (\d{1,5})(?:/\d{1,5})? ([A-Za-z0-9/]{1,32}) ([!-~ ]{1,512})", re.ASCII
)
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]{1,64}")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"(sha-256|sha-384|sha-512) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31,63})")
_CANDIDATE = re.compile(
    r"([A-Za-z0-9+/]{1,32}) 1 udp (\d{1,10}) (\S{1,45}) (\d{1,5}) typ (host|srflx|prflx|relay)",
    re.IGNORECASE | re.ASCII,
)
_DYNAMIC = re.compile("9[6-9]|1[01][0-9]|12[0-7]", re.ASCII)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
# What the page's encoder is asked for (RFC 7587 section 6.1): one channel of telephone bandwidth,
# a copy of each packet in the next one, and bits enough for both.
_OPUS_WISHES = (
    "minptime=20;useinbandfec=1;usedtx=0;stereo=0;sprop-stereo=0;"
    "maxplaybackrate=8000;sprop-maxcapturerate=8000;maxaveragebitrate=32000"
)
_PROFILES = ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")


@dataclass(frozen=True, slots=True)
class Section:
    """One media section as offered: enough to accept or reject it in the answer."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    mid: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What of an offer is used. `direction` is the page's; `event_payload` the payload type of
    telephone-event at the codec's rate, None if the page did not offer it."""

    sections: tuple[Section, ...]
    audio: int
    bundled: bool
    payload_type: int
    event_payload: int | None
    direction: str
    setup: str
    ufrag: str
    password: str
    fingerprints: tuple[str, ...]
    candidates: tuple[str, ...]
    opus: bool = False
    """The codec is Opus; otherwise `payload_type` says which."""

    @property
    def codec(self) -> str:
        """As `a=rtpmap` has it."""
        if self.opus:
            return "opus/48000/2"
        return "PCMU/8000" if self.payload_type == PCMU else "PCMA/8000"

    @property
    def event_codec(self) -> str:
        return _event_codec(self.opus)

    @property
    def page_sends(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")

    @property
    def page_receives(self) -> bool:
        return self.direction in ("sendrecv", "recvonly")


def read(text: str, *, opus: bool = False) -> Offer:
    """Read an offer. Raises `PeerRefused` with a sentence that says what is wrong with it.

    G.711 is answered wherever it is offered, mu-law before A-law: nothing is transcoded then. A
    page asks for Opus by naming it before both of them, and gets it if `opus` says we speak it.
    """
    if len(text) > MAX_OFFER:
        raise PeerRefused("The offer of the page is larger than 64 kB.")
    lines = text.splitlines()
    if not lines or lines[0] != "v=0":
        raise PeerRefused("The offer of the page is not a session description.")
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) > MAX_SECTIONS:
        raise PeerRefused(f"The offer of the page has more than {MAX_SECTIONS} media sections.")
    session = tuple(lines[: starts[0]]) if starts else tuple(lines)
    bounds = [*starts, len(lines)]
    sections = tuple(_section(lines[at:end]) for at, end in pairwise(bounds))
    chosen = _choose(sections, opus)
    if chosen is None:
        raise PeerRefused(_why_no_audio(sections, opus))
    audio, payload_type, speaks_opus = chosen
    section = sections[audio]
    attributes = (*section.lines, *session)  # the section's own value comes before the session's
    if "a=rtcp-mux" not in section.lines:
        raise PeerRefused("The page wants RTCP on a port of its own; it must offer rtcp-mux.")
    fingerprints = _fingerprints(section.lines) or _fingerprints(session)
    if not fingerprints:
        raise PeerRefused("The offer of the page has no SHA-2 certificate fingerprint.")
    setup = _value(attributes, "setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise PeerRefused("The offer of the page names an unknown DTLS role.")
    return Offer(
        sections=sections,
        audio=audio,
        bundled=any(line.startswith("a=group:BUNDLE") for line in session),
        payload_type=payload_type,
        event_payload=_event_payload(section, _event_codec(speaks_opus)),
        direction=next((d for d in _DIRECTIONS if f"a={d}" in attributes), "sendrecv"),
        setup=setup,
        ufrag=_required(attributes, "ice-ufrag", _UFRAG),
        password=_required(attributes, "ice-pwd", _PASSWORD),
        fingerprints=fingerprints,
        candidates=_candidates(section.lines),
        opus=speaks_opus,
    )


def reduced(offer: Offer) -> str:
    """The offer with its audio section alone, one codec and nothing optional, for aiortc.

    Without header extensions the page's packets are the plain 12-octet header and payload. No
    end of candidates is told, so that checks from an address not named in the offer count: a
    page may send its offer before it has gathered any, and browsers hide theirs behind mDNS.
    """
    return _text(
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE audio",
        "a=msid-semantic:WMS *",
        f"m=audio 9 UDP/TLS/RTP/SAVPF {offer.payload_type}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{offer.ufrag}",
        f"a=ice-pwd:{offer.password}",
        *(f"a=fingerprint:{fingerprint}" for fingerprint in offer.fingerprints),
        f"a=setup:{offer.setup}",
        "a=mid:audio",
        f"a={offer.direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{offer.payload_type} {offer.codec}",
        *(f"a=candidate:{candidate}" for candidate in offer.candidates),
    )


def answer(offer: Offer, local: str, *, events: bool) -> str:
    """The answer to the whole offer, made of aiortc's answer `local` to the reduced one.

    With `events` the page may send keys as telephone-event (RFC 4733).
    """
    head, _, body = local.partition("m=audio ")
    section = offer.sections[offer.audio]
    port, _, rest = body.partition(" ")
    event = offer.event_payload if events else None
    formats = f"{offer.payload_type}" if event is None else f"{offer.payload_type} {event}"
    lines = [f"m=audio {port} {section.profile} {formats}"]
    for line in rest.splitlines()[1:]:
        if line.startswith("a=fmtp:"):
            continue  # aiortc's wishes; ours are below
        if line.startswith("a=mid:"):
            if section.mid is not None:
                lines.append(f"a=mid:{section.mid}")
            continue
        lines.append(line)
        if line.startswith("a=rtpmap:"):
            if offer.opus:
                lines.append(f"a=fmtp:{offer.payload_type} {_OPUS_WISHES}")
            if event is not None:
                lines += [f"a=rtpmap:{event} {offer.event_codec}", f"a=fmtp:{event} 0-15"]
            lines.append("a=ptime:20")
    group = [f"a=group:BUNDLE {section.mid}"] if offer.bundled and section.mid else []
    session = [line for line in head.splitlines() if not line.startswith("a=group:")]
    answered: list[str] = [*session, *group]
    for at, offered in enumerate(offer.sections):
        answered += lines if at == offer.audio else _rejected(offered)
    return _text(*answered)


def _rejected(section: Section) -> list[str]:
    lines = [
        f"m={section.kind} 0 {section.profile} {section.formats[0]}",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
    ]
    return lines if section.mid is None else [*lines, f"a=mid:{section.mid}"]


def _text(*lines: str) -> str:
    return "\r\n".join(lines) + "\r\n"


def _section(lines: list[str]) -> Section:
    match = _MEDIA.fullmatch(lines[0])
    formats = match[4].split() if match else []
    if match is None or not all(_TOKEN.fullmatch(each) for each in formats) or not formats:
        raise PeerRefused("A media line in the offer of the page is malformed.")
    mid = _value(lines, "mid")
    if mid is not None and not _TOKEN.fullmatch(mid):
        raise PeerRefused("A media section in the offer of the page has a malformed name.")
    return Section(
        kind=match[1],
        port=int(match[2]),
        profile=match[3],
        formats=tuple(formats),
        mid=mid,
        lines=tuple(lines[1:]),
    )


def _choose(sections: tuple[Section, ...], opus: bool) -> tuple[int, int, bool] | None:
    """Index of the audio section to answer, its payload type, and whether that is Opus."""
    usable = [(at, section) for at, section in enumerate(sections) if _usable(section)]
    if opus:
        for at, section in usable:
            payload_type = _opus_payload(section)
            if payload_type is not None:
                return at, payload_type, True
    for payload_type, codec in ((PCMU, "PCMU/8000"), (PCMA, "PCMA/8000")):
        for at, section in usable:
            offered = str(payload_type) in section.formats
            if offered and _codec(section, payload_type) in (None, codec):
                return at, payload_type, False
    return None


def _opus_payload(section: Section) -> int | None:
    """The payload type of Opus if the section names it before any G.711."""
    for form in section.formats:
        if form in (str(PCMU), str(PCMA)):
            return None
        if _DYNAMIC.fullmatch(form) and _codec(section, int(form)) == "OPUS/48000/2":
            return int(form)
    return None


def _usable(section: Section) -> bool:
    return (
        section.kind == "audio"
        and section.profile in _PROFILES
        and (section.port > 0 or "a=bundle-only" in section.lines)
    )


def _why_no_audio(sections: tuple[Section, ...], opus: bool) -> str:
    if not any(section.kind == "audio" for section in sections):
        return "The page offers no audio."
    if not any(_usable(section) for section in sections):
        return "The page offers no encrypted audio (DTLS-SRTP)."
    if opus:
        return "The page offers neither PCMU nor PCMA nor Opus; it must offer one of them."
    return "The page offers neither PCMU nor PCMA; its codec preferences must contain one."


def _codec(section: Section, payload_type: int) -> str | None:
    """What `a=rtpmap` says the payload type is, in upper case; static types may have none."""
    prefix = f"a=rtpmap:{payload_type} "
    for line in section.lines:
        if line.startswith(prefix):
            return line[len(prefix) :].strip().upper().removesuffix("/1")
    return None


def _event_codec(opus: bool) -> str:
    """The telephone-event at the codec's own rate: Chromium bundles the packets of a press into
    one burst when it may use another rate."""
    return f"telephone-event/{48000 if opus else 8000}"


def _event_payload(section: Section, codec: str) -> int | None:
    for form in section.formats:
        if _DYNAMIC.fullmatch(form) and _codec(section, int(form)) == codec.upper():
            return int(form)
    return None


def _value(lines: tuple[str, ...] | list[str], name: str) -> str | None:
    prefix = f"a={name}:"
    return next((line[len(prefix) :].strip() for line in lines if line.startswith(prefix)), None)


def _required(lines: tuple[str, ...], name: str, grammar: re.Pattern[str]) -> str:
    value = _value(lines, name)
    if value is None or not grammar.fullmatch(value):
        raise PeerRefused(f"The offer of the page has no valid {name}.")
    return value


def _fingerprints(lines: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for line in lines:
        if line.startswith("a=fingerprint:"):
            match = _FINGERPRINT.fullmatch(line[14:].strip())
            if match:
                found.append(f"{match[1]} {match[2].upper()}")
    return tuple(found)


def _candidates(lines: tuple[str, ...]) -> tuple[str, ...]:
    """UDP candidates with a plain address. An mDNS name is left out: waiting for its resolution
    gains nothing, as the page's own checks tell its address."""
    found: list[str] = []
    for line in lines:
        if not line.startswith("a=candidate:"):
            continue
        match = _CANDIDATE.match(line[12:])
        if match is None or int(match[2]) > 0xFFFFFFFF or not 0 < int(match[4]) < 65536:
            continue
        try:
            address = ipaddress.ip_address(match[3])
        except ValueError:
            continue
        if not (address.is_multicast or address.is_unspecified or "%" in match[3]):
            kind = match[5].lower()
            # aioice knows no peer-reflexive type in a description; host is checked the same way
            found.append(
                f"{match[1]} 1 udp {match[2]} {address} {match[4]} typ "
                f"{'host' if kind == 'prflx' else kind}"
            )
    return tuple(found[:MAX_CANDIDATES])
