"""What the control process tells the media process, and what it hears back.

Commands are one-way and carried out in order; leg, bridge and token numbers and RTP ports are
chosen by the control process, so nothing waits for an answer. What goes wrong comes back as an
event that names the leg. A command for a leg that does not exist (any more) is ignored.

Everything here is a frozen msgspec struct, tagged by its class name (see `appliance.ipc`).
Levels are dBm0, times milliseconds unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Tone = Literal["ringback", "busy", "reorder", "dial", "stutter", "waiting", "confirm", "sit"]
Sit = Literal["sit", "sit_intercept", "sit_vacant", "sit_reorder", "sit_no_circuit"]
"""Special information tones: E.180's, and those of North America that tell why."""
Fax = Literal["cng", "ced", "ansam"]
"""A fax that calls (T.30), one that answers, and a V.8 modem or fax that answers."""
Source = Literal["rfc4733", "inband", "device", "page", "sip_info"]
PeerStateName = Literal["connected", "lost", "closed", "failed"]


LINK_NUMBERS: Final = 1 << 40
"""Legs from here on are ends of links, whose far end is another media process of this machine; the
switch counts from 1 and does not get there."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of all commands and events."""


# --- control -> media: legs -----------------------------------------------------------------


class OpenRtp(Message, frozen=True, tag=True):
    """A leg that speaks RTP on `host:port` (the local side; RTCP on port + 1)."""

    leg: int
    host: str
    port: int
    near: int | None = None
    """Another leg of its call, for whoever chooses the process it lives in."""


class SrtpKeys(msgspec.Struct, frozen=True):
    """Of a leg that is encrypted (RFC 3711), 30 bytes each: `send` of what we send."""

    suite: Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]
    send: bytes
    receive: bytes

    def __repr__(self) -> str:
        return f"SrtpKeys({self.suite})"


class AimRtp(Message, frozen=True, tag=True):
    """Where that leg sends and what it speaks, after offer/answer (RFC 3264).

    `payload_type` is 0 (PCMU) or 8 (PCMA). `event_send` / `event_receive` are the RFC 4733
    payload types of each direction, None without. `send` / `receive` follow the direction
    attribute: a held leg keeps its socket. May come again at any time (re-INVITE).
    """

    leg: int
    remote_host: str
    remote_port: int
    payload_type: int
    event_send: int | None = None
    event_receive: int | None = None
    send: bool = True
    receive: bool = True
    agc: bool = False
    """Even out how loud this leg speaks; off, its samples stay as they came."""
    signalling_host: str | None = None
    """Where the peer's signalling comes from: RTP may come from there as well as from
    `remote_host` (phones with two addresses, phones behind NAT)."""
    rtcp_port: int | None = None
    """Where the peer wants its reports if not at `remote_port` + 1 (RFC 3605)."""
    rtcp_mux: bool = False
    """Reports go over the RTP port in both directions (RFC 5761)."""
    srtp: SrtpKeys | None = None
    """Everything on this leg is encrypted with these; what is not is dropped."""


class OpenLine(Message, frozen=True, tag=True):
    """A leg whose audio is that of a line's driver. Lines differ by 20 dB: how loud they speak is
    evened out unless `agc` is off."""

    leg: int
    line: str
    agc: bool = True


class OpenPeer(Message, frozen=True, tag=True):
    """A leg whose audio is that of a browser peer."""

    leg: int
    peer: str


class CloseLeg(Message, frozen=True, tag=True):
    """The leg is gone: leaves its bridge, stops its prompt, frees its socket."""

    leg: int


class Play(Message, frozen=True, tag=True):
    """Play WAV files (8 kHz mono s16 or mu-law, absolute paths) to the leg, one after another.

    Replaces what was playing there. Ends with one `PlayEnded` carrying `token`. With `loop` the
    list starts again until stopped. A bridge takes precedence while it lasts: prompt and peer
    are summed.
    """

    leg: int
    token: int
    files: tuple[str, ...]
    loop: bool = False


class Music(Message, frozen=True, tag=True):
    """Loop one file as music on hold; a `Play` on the same leg pauses it and it goes on after."""

    leg: int
    file: str | None


class PlayTone(Message, frozen=True, tag=True):
    """A call progress tone of the site's country until stopped or replaced; None is silence."""

    leg: int
    tone: Tone | None


class StopPlay(Message, frozen=True, tag=True):
    """Stop the prompt on the leg (not its music)."""

    leg: int


class Listen(Message, frozen=True, tag=True):
    """What to listen for on the leg: keys (in-band and RFC 4733), call progress tones with special
    information tones (`ToneHeard`), fax machines (`FaxHeard`), whether a machine answered and its
    beep (`MachineHeard`, `Beep`), caller ID in the audio (`CallerIdHeard`), how loud and whether
    somebody speaks (`LegLevel`, each second). What stays as it was goes on undisturbed."""

    leg: int
    keys: bool
    tones: bool = False
    fax: bool = False
    machine: bool = False
    caller_id: bool = False
    level: bool = False


class SendKeys(Message, frozen=True, tag=True):
    """Send digits to the leg: RFC 4733 where agreed, else as tones in the audio."""

    leg: int
    digits: str


class Bridge(Message, frozen=True, tag=True):
    """Connect two legs both ways; a leg is in one bridge at most (the newest wins). Keys that come
    beside the audio (RFC 4733, a page's) are pressed on the other leg too."""

    bridge: int
    a: int
    b: int


class Unbridge(Message, frozen=True, tag=True):
    """Take the bridge apart, keep its legs."""

    bridge: int


class Member(msgspec.Struct, frozen=True):
    """One leg of a room."""

    leg: int
    heard_by: tuple[int, ...] | None = None
    """Who hears this leg: None everybody else in the room, () nobody (somebody who listens, who
    is muted), otherwise these legs alone (who whispers)."""
    hears: bool = True
    """False: nothing of the room, as for somebody on hold in it; what is played is heard."""


class Room(Message, frozen=True, tag=True):
    """Mix these legs: each hears the sum of those that it is to hear, never itself.

    Comes again with all members whenever one of them changes; no members ends the room. A leg is
    in one room or one bridge at most: the newest wins and takes it out of the other. Prompts are
    summed as in a bridge. Keys beside the audio are not passed on.
    """

    room: int
    members: tuple[Member, ...]


class StartRecording(Message, frozen=True, tag=True):
    """Record what `left` (caller) and `right` (agent) say into a stereo mu-law WAV.

    `path` is absolute. A second `StartRecording` with the same id changes the legs; None records
    silence on that side. What the legs `more` say is added to the right side (conferences). Ends
    with one `RecordingClosed`.
    """

    recording: str
    path: str
    left: int | None
    right: int | None
    more: tuple[int, ...] = ()


class StopRecording(Message, frozen=True, tag=True):
    recording: str


# --- control -> media: lines and browsers ---------------------------------------------------


class LineSetup(msgspec.Struct, frozen=True):
    """One line's driver. `options` are the driver's own (device, profile, country ...)."""

    line: str
    driver: str
    country: str
    options: dict[str, str]


class Setup(Message, frozen=True, tag=True):
    """First command of a connection: drop every leg left over from before (files are closed in
    order), run exactly these lines, use this country's tones. While there are
    no more than `relay_legs` RTP legs, what bridged ones say is passed on every 5 ms where nothing
    is added to it; with more, or 0, all is mixed every 20 ms, which costs less and comes later."""

    lines: tuple[LineSetup, ...]
    country: str
    reserve_bytes: int = 64 * 1024 * 1024
    relay_legs: int = 64


class AnswerLine(Message, frozen=True, tag=True):
    line: str


class HangUpLine(Message, frozen=True, tag=True):
    line: str


class DialLine(Message, frozen=True, tag=True):
    line: str
    number: str


class OfferPeer(Message, frozen=True, tag=True):
    """An SDP offer of a page; a new offer for a known peer name replaces the old peer."""

    peer: str
    ref: int
    sdp: str


class ClosePeer(Message, frozen=True, tag=True):
    peer: str


# --- media -> control -----------------------------------------------------------------------


class MediaReady(Message, frozen=True, tag=True):
    """`Setup` is carried out."""

    pid: int


class LegFailed(Message, frozen=True, tag=True):
    """The leg could not be opened or died (port taken, line unknown, peer gone)."""

    leg: int
    reason: str


class LegQuiet(Message, frozen=True, tag=True):
    """No audio from this leg for `quiet_ms` although it should send. Repeated each 5 s."""

    leg: int
    quiet_ms: int


class Key(Message, frozen=True, tag=True):
    """One key press, reported once, at its start or as soon as it is certain."""

    leg: int
    digit: str
    source: Source


class ToneHeard(Message, frozen=True, tag=True):
    """A call progress tone with its cadence was recognised on the leg."""

    leg: int
    tone: Tone | Sit


class FaxHeard(Message, frozen=True, tag=True):
    """A fax machine was heard on the leg: an answering one once, a calling one with each of its
    beeps (3.5 s) from the second on."""

    leg: int
    kind: Fax


class MachineHeard(Message, frozen=True, tag=True):
    """Who answered our call, by how they greeted; once. `reason` is for people."""

    leg: int
    result: Literal["human", "machine", "unsure"]
    reason: str
    after_ms: int


class Beep(Message, frozen=True, tag=True):
    """The beep of an answering machine has ended: what we say now is recorded."""

    leg: int


class CallerIdHeard(Message, frozen=True, tag=True):
    """Caller ID in the leg's audio, by FSK or DTMF. `number` None: withheld, out of area, or not
    told (`reason`). `when` is month, day, hour and minute by the exchange's clock; `waiting` the
    state of the lamp for messages."""

    leg: int
    number: str | None
    name: str | None = None
    reason: Literal["", "private", "out_of_area", "missing"] = ""
    when: tuple[int, int, int, int] | None = None
    waiting: bool | None = None


class LegLevel(Message, frozen=True, tag=True):
    """Once a second while asked for: active speech level of that second in dBm0 (ITU-T P.56, None
    when nobody spoke), whether somebody is speaking now, and the gain of the automatic control."""

    leg: int
    level_dbm0: float | None
    speaking: bool
    gain_db: float = 0.0


class PlayEnded(Message, frozen=True, tag=True):
    """`done`, `stopped` (replaced, stopped or leg closed) or `failed` (file missing or broken)."""

    leg: int
    token: int
    result: Literal["done", "stopped", "failed"]


class BridgeLive(Message, frozen=True, tag=True):
    """Both legs of the bridge have delivered audio since it was made."""

    bridge: int


class RecordingClosed(Message, frozen=True, tag=True):
    """The file is complete and on disk. `reason`: `done`, `disk_full`."""

    recording: str
    duration_ms: int
    reason: str


class LineUp(Message, frozen=True, tag=True):
    """The device answers and is set up; `model` is what it says it is."""

    line: str
    model: str


class LineDown(Message, frozen=True, tag=True):
    """The device is gone or does not work; the driver keeps trying. `reason` is for people."""

    line: str
    reason: str


class LineRinging(Message, frozen=True, tag=True):
    """A ring burst. The first opens the call; later ones are reported too."""

    line: str


class LineCallerId(Message, frozen=True, tag=True):
    """`number` None: withheld or out of area (`reason` tells), or nothing came in time."""

    line: str
    number: str | None
    name: str | None = None
    reason: Literal["", "private", "out_of_area", "missing"] = ""


class LineRingEnded(Message, frozen=True, tag=True):
    """The caller gave up before we answered (by time: lines do not say so)."""

    line: str


class LineOffHook(Message, frozen=True, tag=True):
    """`AnswerLine` or `DialLine` took effect: audio flows. `sure` is False for outgoing calls on
    lines that cannot tell that the far end answered."""

    line: str
    sure: bool = True


class LineHungUp(Message, frozen=True, tag=True):
    """The far end is gone, or the hang-up we asked for is done; the line is on-hook and idle."""

    line: str
    source: Literal["tone", "dle", "silence", "local", "device", "busy", "no_answer", "no_dialtone"]


class PeerAnswer(Message, frozen=True, tag=True):
    """Answer to `OfferPeer`; `sdp` None means refused, `reason` says why."""

    peer: str
    ref: int
    sdp: str | None
    reason: str = ""


class PeerState(Message, frozen=True, tag=True):
    peer: str
    state: PeerStateName


class LegQuality(Message, frozen=True, tag=True):
    """How the leg sounds: each 10 s, and with `closed` the last word about it. Counts are of the
    leg's whole life. MOS is 1 to 4.5 by the E-model; `far_...` is how the other end hears us, from
    its own reports, None without any."""

    leg: int
    door: Literal["rtp", "line", "peer"]
    closed: bool
    packets: int
    """Heard; of a line, pieces of sound."""
    lost: int
    late: int
    """Came too late to be played."""
    concealed: int
    """Frames of 20 ms that had to be made up."""
    jitter_ms: float
    delay_ms: float
    """Of the jitter buffer."""
    mos: float
    recent_mos: float
    """Of the time since the last report."""
    sent: int = 0
    round_trip_ms: float | None = None
    clock_ppm: float | None = None
    """How much faster than ours the other side's clock runs."""
    far_lost: float | None = None
    """Share of what we sent, 0 to 1."""
    far_jitter_ms: float | None = None
    far_mos: float | None = None
    secure: bool = False
    """The audio is encrypted on its way."""


class Alive(Message, frozen=True, tag=True):
    """Each second in which `MediaStats` is not due: who says nothing for long is taken to hang."""


class MediaStats(Message, frozen=True, tag=True):
    """Once a second while there are legs and ticks end, every 5 s without legs."""

    legs: int
    recordings: int
    tick_work_ms_p99: float
    tick_late_ms_p99: float
    recording_allowed: bool
    free_bytes: int


Command = (
    Setup
    | OpenRtp
    | AimRtp
    | OpenLine
    | OpenPeer
    | CloseLeg
    | Play
    | Music
    | PlayTone
    | StopPlay
    | Listen
    | SendKeys
    | Bridge
    | Unbridge
    | Room
    | StartRecording
    | StopRecording
    | AnswerLine
    | HangUpLine
    | DialLine
    | OfferPeer
    | ClosePeer
)

Event = (
    MediaReady
    | LegFailed
    | LegQuiet
    | Key
    | ToneHeard
    | FaxHeard
    | MachineHeard
    | Beep
    | CallerIdHeard
    | LegLevel
    | PlayEnded
    | BridgeLive
    | RecordingClosed
    | LineUp
    | LineDown
    | LineRinging
    | LineCallerId
    | LineRingEnded
    | LineOffHook
    | LineHungUp
    | PeerAnswer
    | PeerState
    | LegQuality
    | Alive
    | MediaStats
)
