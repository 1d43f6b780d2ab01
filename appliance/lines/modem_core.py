"""A voice modem as a state machine: bytes, commands and time in; bytes, events and audio out.

How it goes:

    closed -> waking -> identifying -> idle <-> ringing
                                        |          |
                                     dialling   answering
                                         \\        /
                                          talking -> hanging up -> idle

`waking` brings a modem into command state from whatever a crash left it in. Everything that is
said to the modem is said by one script at a time (`script.py`). A modem that leaves a command
unanswered twice is woken again, then its port is closed and opened, and only then a person hears
of it (`Down`). A modem that answers but cannot do the work (`fault`) is tried again once a minute.

Calls always come to an end for whoever listens: `OffHook` or `HungUp` follows every `answer` and
`dial`, `RingEnded` every ringing that was not answered, also when the device disappears.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from appliance.lines.at import Answer, AtChannel, AtEvent, Field, Ring
from appliance.lines.dle import ETX, DleDecoder, KeyReader, shield
from appliance.lines.line import (
    Caps,
    DeviceKey,
    Down,
    HangUpSource,
    HungUp,
    LineEvent,
    OffHook,
    Up,
)
from appliance.lines.pacing import Pacer
from appliance.lines.profiles import GENERIC, Commands, Profile, Registry, offered_formats
from appliance.lines.ringing import RingWatch
from appliance.lines.script import (
    ANSWER_MS,
    LATE_MS,
    NO_ANSWER,
    PAUSED,
    Ask,
    Part,
    Pause,
    Raw,
    Refused,
    Script,
    ScriptRunner,
    Stop,
    Unfit,
    Wedged,
    obey,
)
from appliance.lines.sound import CodecName, SoundFormat

log = logging.getLogger("centrala.lines")

Phase = Literal[
    "closed",
    "waking",
    "identifying",
    "ready",
    "answering",
    "dialling",
    "talking",
    "hanging_up",
    "fault",
]
_IN_CALL: Final = ("answering", "dialling", "talking", "hanging_up")


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the modem, in this order, none left out."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples from the line: signed 16-bit little-endian at 8000 Hz."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close the port, open it again, then say `opened`."""


Output = Send | Audio | Reopen | LineEvent

_HELLO: Final = "ATE0Q0V1"
"""Any result code to it shows that somebody is there; it also makes the following ones words."""
_HELLO_MS: Final = 1000
_RESET_MS: Final = 3000
_SETTLE_MS: Final = 300
"""Rest after a reset, and after un-wedging for what the old state still has to say."""
_RETRY_MS: Final = 200
_GUARD_MS: Final = 1100
"""Silence before and after +++ (V.250 S12: 1 s)."""
_TALK_MS: Final = 5000
_STOP_MS: Final = 1500
_DIAL_MS: Final = 15_000
_DIAL_DIGIT_MS: Final = 300
_DIAL_AND_WAIT_MS: Final = 90_000
_ALIVE_MS: Final = 30_000
"""How often an idle modem is asked whether it lives. The idle commands are what it is asked, so a
modem that restarted by itself reports callers again."""
_AUDIO_GONE_MS: Final = 2000
_FAULT_RETRY_MS: Final = 60_000
_TALK_REFUSALS: Final = 2
_MAX_DIGITS: Final = 40
_SAMPLES_PER_MS: Final = 8

_DIAL_FAILURES: Final[Mapping[str, HangUpSource]] = {
    "BUSY": "busy",
    "NO ANSWER": "no_answer",
    "NO CARRIER": "no_answer",
    "NO DIALTONE": "no_dialtone",
}


class ModemCore:
    """`profile` is "auto" or a name; `country` an ISO 3166 code; `device` is for messages only.

    Every method takes `now` in milliseconds; afterwards `take` gives what is to be done, in order.
    """

    def __init__(
        self,
        profile: str,
        country: str,
        *,
        registry: Registry,
        device: str = "the port",
        cid_wait_ms: int = 3000,
    ) -> None:
        self._registry = registry
        self._wanted = profile
        self._device = device
        self._cid_wait_ms = cid_wait_ms
        self._profile = registry.get(GENERIC if profile == "auto" else profile)
        self._values = {"gci": registry.gci(country), "vsm": "", "number": ""}
        self._works: dict[Commands, str] = {}
        self._usb = ""
        self._wide = False
        self._format = SoundFormat("u8")
        self._encode = self._format.encoder()
        self._half = b""
        self._rings = self._ring_watch()

        self._now = 0
        self._phase: Phase = "closed"
        self.served = False
        """The modem was ready at least once since its port was opened."""
        self._up = False
        self._told_down: str | None = None
        self._leaving: HangUpSource | None = None
        self._failures = 0
        self._talk_refusals = 0
        self._out: list[Output] = []

        self._at = AtChannel()
        self._runner = ScriptRunner(self._at, self._send, self._in_trouble)
        self._runner.gap_ms = self._profile.cmd_gap_ms
        self._dle: DleDecoder | None = None
        self._keys = KeyReader()
        self._pacer = Pacer(0, 0, b"\x80")
        self._skip_lf = False

        self._alive_due = 0
        self._audio_due = 0
        self._fault_due = 0

    # --- what others see ---------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The phase, with "ready" told apart as "idle" or "ringing"."""
        if self._phase == "ready":
            return "ringing" if self._rings.ringing else "idle"
        return self._phase

    @property
    def in_call(self) -> bool:
        """Off-hook, or on the way there or back."""
        return self._phase in _IN_CALL

    @property
    def profile(self) -> Profile:
        return self._profile

    @property
    def caps(self) -> Caps:
        profile = self._profile
        return Caps(profile.duplex, profile.device_keys, profile.hears_busy)

    @property
    def queued_samples(self) -> int:
        """Audio on its way to the far end, here and in the modem."""
        return self._pacer.queued if self._dle is not None else 0

    def take(self) -> list[Output]:
        """What came of the calls since the last `take`."""
        out, self._out = self._out, []
        return out

    # --- the port ----------------------------------------------------------------------------

    def opened(self, now: int, usb: str = "", *, wide: bool = False) -> None:
        """The port is open; `usb` is its "vvvv:pppp" where known, `wide` whether it is fast enough
        for 16-bit samples."""
        self._at_time(now)
        self._forget_stream()
        self._drop_call("device")
        self._usb = usb
        self._wide = wide
        self.served = False
        self._phase = "waking"
        self._runner.switch(self._wake(thorough=False), now)

    def lost(self, reason: str, now: int) -> None:
        """The port is gone or cannot be opened; `reason` is a sentence for people."""
        self._at_time(now)
        self._forget_stream()
        self._drop_call("device")
        self._phase = "closed"
        self._failures = 0
        self._talk_refusals = 0
        self._say_down(reason)

    def receive(self, data: bytes, now: int) -> None:
        self._at_time(now)
        while data and self._phase not in ("closed", "fault"):
            if self._dle is not None:
                data = self._hear(self._dle, data)
            else:
                event, data = self._at.feed(data)
                if event is not None:
                    self._said(event)

    def tick(self, now: int) -> None:
        """Do what is due; call it at `next_deadline` or whenever."""
        self._at_time(now)
        self._runner.tick(now)
        if self._phase == "ready":
            self._out += self._rings.tick(now)
            if now >= self._alive_due and self._runner.idle:
                self._alive_due = now + _ALIVE_MS
                if self._rings.quiet:
                    self._runner.push(self._rearm(), now)
        elif self._phase == "talking" and now >= self._audio_due:
            self._recover("it stopped sending sound in the middle of a call")
        elif self._phase == "fault" and now >= self._fault_due:
            self._reopen()

    def next_deadline(self) -> int | None:
        """When to call `tick` next; None when there is nothing to wait for."""
        due = [] if self._runner.deadline is None else [self._runner.deadline]
        if self._phase == "ready":
            if self._runner.idle:
                due.append(self._alive_due)
            ring = self._rings.next_deadline()
            if ring is not None:
                due.append(ring)
        elif self._phase == "talking":
            due.append(self._audio_due)
        elif self._phase == "fault":
            due.append(self._fault_due)
        return min(due, default=None)

    # --- commands ----------------------------------------------------------------------------

    def answer(self, now: int) -> None:
        self._at_time(now)
        if self._phase == "ready" and self._rings.ringing:
            self._out += self._rings.take()
            self._phase = "answering"
            self._runner.push(self._answer(), self._now)
        elif self._phase == "ready":
            # Nobody rings any more: going off-hook now would seize the line for nothing.
            self._out.append(HungUp("local"))
        elif self._phase not in _IN_CALL:
            self._out.append(HungUp("device"))

    def dial(self, number: str, now: int) -> None:
        """Digits, `*`, `#`, `A`-`D` and `,` (a pause) are dialled, anything else is left out."""
        self._at_time(now)
        digits = re.sub(r"[^0-9*#A-D,]", "", number.upper())[:_MAX_DIGITS]
        if self._phase in _IN_CALL:
            return
        if self._phase != "ready" or not digits:
            self._out.append(HungUp("device"))
        elif not self._rings.quiet:
            # A caller was faster: seizing the line now would answer that call.
            self._out.append(HungUp("busy"))
        else:
            self._phase = "dialling"
            self._values["number"] = digits
            self._runner.push(self._dial(digits), self._now)

    def hangup(self, now: int) -> None:
        self._at_time(now)
        if self._phase in ("answering", "dialling", "talking"):
            self._leave("local")
        elif self._phase != "hanging_up":
            # A ringing line cannot be put down; the call is kept quiet until it rings out.
            self._out += self._rings.refuse()
            self._out.append(HungUp("local"))

    def send_keys(self, digits: str) -> bool:
        """Never: +VTS belongs to command state, and in a call the modem is in data state."""
        return False

    def write(self, pcm: bytes, now: int) -> None:
        """Audio to the far end; left out unless the call talks."""
        self._at_time(now)
        if self._phase == "talking":
            self._send_audio(self._pacer.write(self._encode(pcm)))

    # --- what the modem says -----------------------------------------------------------------

    def _said(self, event: AtEvent) -> None:
        if isinstance(event, Answer):
            if event.code == "CONNECT" and self._runner.asked == self._profile.talk:
                self._begin_data()
            self._runner.answered(event, self._now)
        elif self._phase == "ready":
            if isinstance(event, Ring):
                self._out += self._rings.ring(self._now)
            elif isinstance(event, Field):
                self._out += self._rings.field(event.key, event.value, self._now)

    def _begin_data(self) -> None:
        self._skip_lf = self._at.ended_by_cr
        self._at.reset()
        self._dle = DleDecoder()
        self._keys = KeyReader()
        limit = self._profile.latency_ms * _SAMPLES_PER_MS
        self._pacer = Pacer(limit, limit // 2, self._format.silence)
        self._encode = self._format.encoder()
        self._half = b""
        self._audio_due = self._now + _AUDIO_GONE_MS

    def _hear(self, decoder: DleDecoder, data: bytes) -> bytes:
        """Voice data; returns what follows its end."""
        if self._skip_lf:
            self._skip_lf = False
            if data[0] == 0x0A:
                data = data[1:]
        pieces, rest = decoder.feed(data)
        for piece in pieces:
            if isinstance(piece, int):
                self._code(piece)
                continue
            self._audio_due = self._now + _AUDIO_GONE_MS
            piece = self._half + piece
            samples = len(piece) // self._format.width
            self._half = piece[samples * self._format.width :]
            self._keys.samples(samples)
            if self._phase == "talking":
                self._out.append(Audio(self._format.to_pcm(piece[: len(piece) - len(self._half)])))
                self._send_audio(self._pacer.heard(samples))
        return rest

    def _code(self, code: int) -> None:
        if code == ETX:
            self._dle = None
            if self._phase == "talking":
                # A result code follows that answers none of our commands.
                self._runner.rest(self._now, LATE_MS)
                self._leave("device")
            return
        if code == ord("u"):
            self._pacer.dry()
        key = self._keys.code(code)
        if self._phase != "talking":
            return
        if key is not None:
            if self._profile.device_keys:
                self._out.append(DeviceKey(key))
        elif code in self._profile.dle_hangup:
            self._leave("dle")

    def _send_audio(self, samples: bytes) -> None:
        if samples:
            self._send(shield(samples))

    def _send(self, data: bytes) -> None:
        self._out.append(Send(data))

    def _at_time(self, now: int) -> None:
        self._now = max(self._now, now)

    # --- trouble -----------------------------------------------------------------------------

    def _forget_stream(self) -> None:
        """Nothing of what was under way counts any more."""
        self._runner.forget(self._now)
        self._dle = None

    def _drop_call(self, source: HangUpSource) -> None:
        """Whoever listens hears the end of what was going on."""
        if self._phase in _IN_CALL:
            self._out.append(HungUp(self._leaving or source))
        self._leaving = None
        self._out += self._rings.lost()

    def _say_down(self, reason: str) -> None:
        if self._up or self._told_down != reason:
            self._out.append(Down(reason))
        self._up = False
        self._told_down = reason

    def _in_trouble(self, trouble: Wedged | Refused | Unfit) -> None:
        if isinstance(trouble, Unfit):
            self._give_up(str(trouble))
        else:
            self._recover(str(trouble))

    def _recover(self, trouble: str) -> None:
        """The watchdog's ladder: wake it, close and open its port, tell a person."""
        was = self._phase
        self._drop_call("device")
        self._forget_stream()
        if was not in ("waking", "identifying"):
            log.warning("modem at %s: %s", self._device, trouble)
            self._phase = "waking"
            self._runner.switch(self._wake(thorough=True), self._now)
            return
        self._failures += 1
        if self._failures >= 2:
            self._say_down(
                f"The modem at {self._device} does not work: {trouble}. Unplug it, wait five"
                " seconds and plug it in again."
            )
        self._reopen()

    def _reopen(self) -> None:
        self._phase = "closed"
        self._out.append(Reopen())

    def _give_up(self, reason: str) -> None:
        self._drop_call("device")
        self._forget_stream()
        self._phase = "fault"
        self._fault_due = self._now + _FAULT_RETRY_MS
        self._say_down(reason)

    # --- scripts -----------------------------------------------------------------------------

    def _do(self, commands: Commands, timeout_ms: int = ANSWER_MS) -> Part[Answer]:
        filled = commands.fill(self._values)
        if filled is None:
            return PAUSED
        return (yield from obey(filled, self._works, timeout_ms))

    def _do_all(self, steps: tuple[Commands, ...]) -> Script:
        for commands in steps:
            yield from self._do(commands)

    def _wake(self, *, thorough: bool) -> Script:
        answer = NO_ANSWER
        if not thorough:
            answer = yield Ask(_HELLO, _HELLO_MS)
        for _ in range(2):
            if answer.came:
                break
            yield Raw(self._profile.unwedge)
            yield Pause(_SETTLE_MS)
            answer = yield Ask(_HELLO, _HELLO_MS)
            if not answer.came:
                yield Pause(_GUARD_MS)
                yield Raw(b"+++")
                yield Pause(_GUARD_MS)
                answer = yield Ask(_HELLO, _HELLO_MS)
            yield Pause(LATE_MS)
        if not answer.came:
            raise Wedged("it does not answer")
        yield from self._identify()

    def _first_line(self, command: str) -> Part[str]:
        """The first line of information a command brings, without its prefix; "" for none."""
        answer = yield from self._do(Commands((command, "")))
        line = answer.lines[0] if answer.lines else ""
        return re.sub(r"^\+[A-Z]{3,4}:\s*", "", line).strip('" ')[:60]

    def _identify(self) -> Script:
        self._phase = "identifying"
        yield from self._do(Commands(("ATH0", "")))
        yield from self._do(Commands(("ATZ",)), _RESET_MS)
        yield Pause(_SETTLE_MS)
        yield from self._do(Commands(("ATE0V1",)))
        ati0 = yield from self._first_line("ATI0")
        ati3 = yield from self._first_line("ATI3")
        said = yield from self._first_line("AT+FMM?")
        if self._wanted == "auto":
            self._profile = self._registry.choose(usb=self._usb, ati0=ati0, ati3=ati3)
        self._runner.gap_ms = self._profile.cmd_gap_ms
        self._works.clear()
        self._rings = self._ring_watch()

        classes = yield from self._do(Commands(("AT+FCLASS=?", "")))
        listed = re.findall(r"[0-9.]+", " ".join(classes.lines))
        if listed and "8" not in listed:
            raise Unfit(
                f"The modem at {self._device} is no voice modem (it lists the classes"
                f" {', '.join(listed)[:60]} and not 8). Use a V.253 voice modem."
            )
        if self._profile.duplex != "full" or self._talk_refusals >= _TALK_REFUSALS:
            raise Unfit(
                f"The modem at {self._device} cannot speak and listen at the same time, so it"
                " cannot carry a call. Use another model."
            )
        yield from self._do_all(self._profile.init)
        try:
            yield from self._do(Commands(("AT+FCLASS=8",)))
        except Refused:
            raise Unfit(
                f"The modem at {self._device} does not enter voice class (AT+FCLASS=8). Give it"
                " its maker's current firmware, or use another model."
            ) from None
        offers = yield from self._do(Commands(("AT+VSM=?", "")))
        known = offered_formats(offers.lines, self._profile.formats, wide=self._wide)
        if not known:
            raise Unfit(
                f"The modem at {self._device} offers no sound format that is known (G.711 or"
                " linear at 8000 Hz). Use another model."
            )
        number, codec = yield from self._first_obeyed(known)
        self._values["vsm"] = number
        self._format = SoundFormat(codec)
        yield from self._do_all(self._profile.idle)

        self._phase = "ready"
        self.served = True
        self._failures = 0
        self._alive_due = self._now + _ALIVE_MS
        if not self._up:
            self._up, self._told_down = True, None
            self._out.append(Up(said or ati3 or self._profile.label))

    def _first_obeyed(self, formats: list[tuple[str, CodecName]]) -> Part[tuple[str, CodecName]]:
        """The first format that the modem can be set to: some list what they refuse, and a call
        would be lost by it."""
        for number, codec in formats:
            command = f"AT+VSM={number},8000"
            try:
                yield from self._do(Commands((command, f"{command},0,0")))
            except Refused as refused:
                log.warning("modem at %s: %s", self._device, refused)
                continue
            return number, codec
        raise Unfit(
            f"The modem at {self._device} refuses each sound format that it offers. Give it its"
            " maker's current firmware, or use another model."
        )

    def _ring_watch(self) -> RingWatch:
        profile = self._profile
        return RingWatch(
            gap_ms=profile.ring_gap_ms,
            ring_ms=profile.ring_ms,
            cid_wait_ms=self._cid_wait_ms,
            quiet_ms=profile.cid_quiet_ms,
            partial_ms=profile.cid_partial_ms,
        )

    def _rearm(self) -> Script:
        """On-hook: have rings and callers reported; a call answered meanwhile goes first."""
        self._alive_due = self._now + _ALIVE_MS
        for commands in self._profile.idle:
            if self._phase != "ready":
                return
            yield from self._do(commands)

    def _answer(self) -> Script:
        try:
            yield from self._do_all(self._profile.voice)
            yield from self._do_all(self._profile.off_hook)
            yield from self._talk(sure=True)
            return
        except Refused as refused:
            log.warning("modem at %s: %s", self._device, refused)
        yield from self._hang_up("device")

    def _dial(self, digits: str) -> Script:
        source: HangUpSource = "device"
        try:
            yield from self._do_all(self._profile.voice)
            code = yield from self._dial_number(digits)
            if code == "OK":
                yield from self._talk(sure=False)
                return
            source = _DIAL_FAILURES[code]
        except Refused as refused:
            log.warning("modem at %s: %s", self._device, refused)
        yield from self._hang_up(source)

    def _dial_number(self, digits: str) -> Part[str]:
        """ "OK", or a key of `_DIAL_FAILURES`."""
        filled = self._profile.dial.fill(self._values)
        for command in () if filled is None else filled.choices:
            wait = _DIAL_AND_WAIT_MS
            if command.endswith(";"):
                wait = _DIAL_MS + _DIAL_DIGIT_MS * len(digits)
            answer = yield Ask(command, wait)
            if answer.ok:
                return "OK"
            if answer.code in _DIAL_FAILURES:
                return answer.code
            if not answer.came:
                raise Wedged("it leaves the dial command unanswered")
        raise Refused("it answers ERROR to the dial command")

    def _talk(self, *, sure: bool) -> Script:
        """Enter voice data state. Not repeated when unanswered: a late CONNECT would make the
        second command sound."""
        for _ in range(2):
            answer = yield Ask(self._profile.talk, _TALK_MS)
            if answer.code == "CONNECT":
                self._phase = "talking"
                self._talk_refusals = 0
                self._out.append(OffHook(sure))
                return
            if not answer.came:
                raise Wedged(f"it leaves {self._profile.talk} unanswered")
            yield Pause(_RETRY_MS)
        self._talk_refusals += 1
        raise Refused(f"it answers ERROR to {self._profile.talk}")

    def _leave(self, source: HangUpSource) -> None:
        """End the call from wherever it is."""
        dialling = self._phase == "dialling" and self._runner.awaits_answer
        self._phase = "hanging_up"
        self._leaving = source
        if dialling and self._runner.asked.upper().startswith("ATD"):
            # Any character stops a modem that dials (V.250 5.6.1).
            self._send(b"\r")
        self._runner.switch(self._hang_up(source), self._now)

    def _hang_up(self, source: HangUpSource) -> Script:
        self._phase = "hanging_up"
        self._leaving = source
        if self._dle is not None:
            yield Stop(self._profile.stop_duplex, _STOP_MS)
            if self._dle is not None:
                raise Wedged("it does not leave voice data state")
        yield from self._do_all(self._profile.hang_up)
        self._phase = "ready"
        self._leaving = None
        self._out.append(HungUp(source))
        if self._talk_refusals >= _TALK_REFUSALS:
            raise Unfit(
                f"The modem at {self._device} refuses to speak and listen at the same time"
                f" ({self._profile.talk}), so it cannot carry a call. Use another model."
            )
        yield from self._rearm()
