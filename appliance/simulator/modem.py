"""A voice modem (ITU-T V.253, commands V.250) between a host and an analog line. Nothing but state.

    host bytes --receive()-->  [ command line | voice data ]  --frame()--> 20 ms of sound, hook
    host bytes <--take()-----  [ answers, codes, samples   ]  <--frame()-- 20 ms of sound, ringing

The unit is strict where real ones are merely confused: what a host does wrong is kept in
`violations`. It holds `variant.buffer_bytes` of unplayed voice; the host's bytes are to be handed
over only while `room` allows, as a port under flow control does.

States: `command` (waiting for AT), `busy` (a command runs or its answer is on the way), `transmit`,
`drain` (the host ended its data, the buffer plays out), `receive`, `duplex`, `dial`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from appliance.simulator import sound
from appliance.simulator.at import MAX_LINE, Command, parse
from appliance.simulator.settings import Settings, numbers
from appliance.simulator.sound import FRAME, FRAME_MS, SILENCE, Samples
from appliance.simulator.variants import Variant

DLE: Final = 0x10
ETX: Final = 0x03
CAN: Final = 0x18
SUB: Final = 0x1A
ESC: Final = 0x1B
FS: Final = 0x1C
_STOP_RECEIVE: Final = (ord("!"), ESC)
_STOP_DUPLEX: Final = (ord("^"), ESC)
_IDLE_CODES: Final = frozenset({FS, ord("u"), ord("d"), ord("!"), ord("^"), ESC, ETX, CAN})
"""Codes of a host that mean something somewhere, and nothing in the state they came in."""

_RESULT_NUMBERS: Final = {
    "OK": 0, "CONNECT": 1, "RING": 2, "NO CARRIER": 3, "ERROR": 4,
    "NO DIALTONE": 6, "BUSY": 7, "NO ANSWER": 8, "VCON": 11,
}  # fmt: skip

KEY_SEEN_MS: Final = 40
"""A key is reported after this much of its tone."""
KEY_REPEAT_MS: Final = 70
BUSY_SEEN_MS: Final = 2000
QUIET_DBM0: Final = -40.0
"""Below this the unit's silence detector counts."""

State = Literal["command", "busy", "transmit", "drain", "receive", "duplex", "dial"]
Progress = Literal["dial", "ringback", "busy", "answered"]


@dataclass(frozen=True, slots=True)
class Violation:
    """What a host did against V.250 or V.253. `kind`: "dle" (a 0x10 that was not doubled),
    "impatient" (bytes while the answer was still due), "overflow" (more than `room`)."""

    at: int
    kind: Literal["dle", "impatient", "overflow"]
    detail: str


@dataclass(frozen=True, slots=True)
class CallerId:
    """What the exchange sends after the first ring. A field that is None is not sent; the number
    may be `P` (withheld) or `O` (out of area). `garbled` arrives with a checksum error."""

    number: str | None
    name: str | None = None
    date: str | None = None
    time: str | None = None
    garbled: bool = False


class Modem:
    """One unit. `now` is milliseconds and never runs back; `frame` is called once each 20 ms.

    `echo_taps` is the hybrid: the FIR from what the unit sends to what it hears. `noise_dbm0` is
    added to the line. `split` breaks answers in two at a random byte.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        seed: int = 0,
        gci: str = "B5",
        echo_taps: npt.NDArray[np.float64] | None = None,
        noise_dbm0: float | None = None,
        split: bool = True,
        keys: str | None = None,
        busy_code: bytes | None = None,
    ) -> None:
        self.variant = variant
        self.settings = Settings(variant, gci)
        self._random = random.Random(seed)
        self._taps = echo_taps
        self._split = split
        self._keys = variant.keys if keys is None else keys
        self._busy_code = variant.busy_code if busy_code is None else busy_code
        self._noise: Samples | None = None
        if noise_dbm0 is not None:
            rush = np.random.default_rng(seed).standard_normal(8192)
            level = sound.PEAK_0_DBM0 / np.sqrt(2) * 10 ** (noise_dbm0 / 20)
            self._noise = sound.to_samples(rush * level)
        self._now = 0
        self.state: State = "command"
        self.violations: list[Violation] = []
        self.underruns = 0
        self.overruns = 0
        self.host_full = False
        """The port takes no more: samples are thrown away and an overrun is reported."""
        self.mute = False
        """Fault: takes everything, says nothing."""
        self.errors_to_come = 0
        """Fault: so many command lines are answered ERROR, unread."""
        self.power_on()

    # --- power, port, faults ----------------------------------------------------------------

    def power_on(self, *, stuck: bool = False, banner: bytes = b"") -> None:
        """As plugged in. `stuck`: in +VRX already, left so by a host that died."""
        self.settings.reset()
        self._forget()
        if stuck:
            self.state = "receive"
            self.settings.voice_class = True
        if banner:
            self._say(banner)

    def _forget(self) -> None:
        """Everything but the settings."""
        self.state = "command"
        self.settings.voice_class = False
        self.vls = 0
        self._out: deque[tuple[int, bytes]] = deque()
        self._line = bytearray()
        self._last_line = b""
        self._skip_code = False
        self._chain: list[Command | None] = []
        self._then: tuple[int, State] | None = None
        self._after_hook = 0
        self._voice = bytearray()
        self._voice_began = False
        self._dry = False
        self._host_dle = False
        self._speaker = np.zeros(0, dtype=np.int16)
        self._echo_past = np.zeros(0 if self._taps is None else len(self._taps) - 1)
        self._noise_at = 0
        self._key: tuple[str, int, bool] | None = None
        self._key_next = 0
        self._quiet_ms = 0
        self._heard_voice = False
        self._progress: Progress | None = None
        self._progress_since = 0
        self._busy_next = 0
        self._dial: _Dialling | None = None
        self._idle_since = self._now
        self._missed = False

    def power_off(self) -> None:
        """Unplugged: the relay falls back."""
        self._forget()

    def host_closed(self) -> None:
        """The host closed the port: DTR drops, and unless told AT&D0 the unit hangs up."""
        self._out.clear()
        self._line.clear()
        if not self.settings.dtr_ignored:
            self._forget()

    def babble(self, count: int) -> None:
        """Fault: garbage on the port."""
        self._say(self._random.randbytes(count))

    # --- host side --------------------------------------------------------------------------

    @property
    def off_hook(self) -> bool:
        return self.vls != 0

    @property
    def room(self) -> int:
        """Bytes the host may send now."""
        if self.state in ("transmit", "duplex"):
            return max(0, self.variant.buffer_bytes - len(self._voice))
        return MAX_LINE

    @property
    def buffered(self) -> int:
        """Bytes of voice not yet played."""
        return len(self._voice)

    def receive(self, data: bytes, now: int) -> None:
        """Bytes of the host."""
        self._advance(now)
        if self.mute:
            return
        at = 0
        while at < len(data):
            if self.state in ("transmit", "receive", "duplex"):
                at = self._receive_data(data, at)
            elif self.state == "command":
                self._receive_command(data[at])
                at += 1
            else:
                self._receive_early(data[at])
                at += 1

    def take(self, now: int) -> bytes:
        """What the unit has to say to the host by now."""
        self._advance(now)
        parts = []
        while self._out and self._out[0][0] <= now:
            parts.append(self._out.popleft()[1])
        return b"" if self.mute else b"".join(parts)

    def _say(self, data: bytes, due: int | None = None) -> None:
        self._out.append((self._now if due is None else due, data))

    def _code(self, codes: bytes) -> None:
        """Events of the line, each behind a DLE; only a host in class 8 understands them."""
        if self.settings.voice_class:
            for code in codes:
                self._say(bytes((DLE, code)))

    def _violation(self, kind: Literal["dle", "impatient", "overflow"], detail: str) -> None:
        if len(self.violations) < 1000:
            self.violations.append(Violation(self._now, kind, detail))

    # --- command line (V.250 5.2) -----------------------------------------------------------

    def _receive_command(self, byte: int) -> None:
        if self._skip_code:
            self._skip_code = False
            return
        if byte == DLE:
            # A host that sets a wedged unit free sends data codes; they are no command.
            self._skip_code = True
            return
        if self.settings.echo:
            self._say(bytes((byte,)))
        registers = self.settings.registers
        if byte == registers[3]:
            line = bytes(self._line)
            self._line.clear()
            start = line.upper().find(b"AT")
            if start >= 0:
                self._last_line = line[start + 2 :]
                self._execute(self._last_line)
        elif byte == registers[5]:
            del self._line[-1:]
        elif byte == ord("/") and bytes(self._line[-1:]).upper() == b"A":
            self._line.clear()
            self._execute(self._last_line)
        elif len(self._line) < MAX_LINE:
            self._line.append(byte)

    def _receive_early(self, byte: int) -> None:
        """Bytes while a command runs: they stop dialling, and are lost else (V.250 5.6)."""
        if self._skip_code:
            self._skip_code = False
        elif byte == DLE:
            self._skip_code = True
        elif byte in (self.settings.registers[3], self.settings.registers[4]) and not self._dial:
            return  # The rest of a line's end; mgetty also sends one after a stop code.
        elif self.state == "dial":
            self._dial = None
            self._hang_up()
            self._finish("NO CARRIER")
        else:
            self._violation("impatient", f"byte 0x{byte:02x} in state {self.state}")

    def _execute(self, line: bytes) -> None:
        self._idle_since = self._now
        self.state = "busy"
        if self.errors_to_come > 0:
            self.errors_to_come -= 1
            self._finish("ERROR")
            return
        text = line.decode("latin-1")
        self._chain = [None] if len(line) >= MAX_LINE - 2 else parse(text)
        self._proceed()

    def _proceed(self) -> None:
        """Carry out the rest of the line until something takes time; stop at the first ERROR."""
        while self._chain:
            command = self._chain.pop(0)
            if command is not None and command.name in _ACTIONS:
                if (
                    command.name.startswith("+V") and not self.settings.voice_class
                ) or not _ACTIONS[command.name](self, command):
                    self._finish("ERROR")
                if self.state != "busy" or self._then is not None or len(self._speaker):
                    return
                continue
            reply = self.settings.answer(command)
            for line in reply.lines:
                self._say(f"\r\n{line}\r\n".encode("latin-1"), self._answer_due())
            if reply.error:
                self._finish("ERROR")
                return
        self._finish("OK")

    def _answer_due(self) -> int:
        low, _ = self.variant.answer_ms
        return self._now + low

    def _finish(self, result: str, then: State = "command") -> None:
        """The line's final result, after the unit's own delay; then the state."""
        self._chain = []
        self.state = "busy"
        due = self._now + self._random.randint(*self.variant.answer_ms) + self._after_hook
        self._after_hook = 0
        settings = self.settings
        if settings.quiet and result != "CONNECT":
            text = b""
        elif settings.verbose:
            text = f"\r\n{result}\r\n".encode("latin-1")
        else:
            text = f"{_RESULT_NUMBERS[result]}\r".encode("latin-1")
        cut = self._random.randrange(1, len(text)) if self._split and len(text) > 1 else len(text)
        self._say(text[:cut], due)
        if cut < len(text):
            due += FRAME_MS
            self._say(text[cut:], due)
        self._then = (due, then)

    def _advance(self, now: int) -> None:
        self._now = max(now, self._now)
        if self._then is not None and self._then[0] <= self._now:
            self.state = self._then[1]
            self._then = None
            self._idle_since = self._now
            if self.state != "command":
                self._voice_began = self._dry = self._host_dle = False
                self._quiet_ms, self._heard_voice = 0, False

    # --- actions ----------------------------------------------------------------------------

    def _class(self, command: Command) -> bool:
        if command.op == "=?":
            self._say(b"\r\n0,1,1.0,2,8\r\n", self._answer_due())
        elif command.op == "?":
            text = b"\r\n8\r\n" if self.settings.voice_class else b"\r\n0\r\n"
            self._say(text, self._answer_due())
        elif command.op != "=" or command.value not in ("0", "1", "1.0", "2", "8"):
            return False
        else:
            voice = command.value == "8"
            if not voice and self.settings.voice_class:
                self._hang_up()
            self.settings.voice_class = voice
        return True

    def _line_setting(self, command: Command) -> bool:
        allowed = self.variant.vls
        if command.op == "=?":
            self._say(f"\r\n({','.join(map(str, allowed))})\r\n".encode(), self._answer_due())
            return True
        if command.op == "?":
            self._say(f"\r\n{self.vls}\r\n".encode(), self._answer_due())
            return True
        if command.op != "=" or not command.value.isdecimal() or int(command.value) not in allowed:
            return False
        value = int(command.value)
        if value == 0:
            self._hang_up()
        else:
            if not self.vls and self.variant.code_after_off_hook:
                due = self._now + self.variant.hook_ms
                for code in self.variant.code_after_off_hook:
                    self._say(bytes((DLE, code)), due)
            self.vls = value
        self._after_hook = self.variant.hook_ms
        return True

    def _hook(self, command: Command) -> bool:
        if command.value in ("", "0"):
            self._hang_up()
        elif command.value == "1":
            self.vls = 1
        else:
            return False
        self._after_hook = self.variant.hook_ms
        return True

    def _hang_up(self) -> None:
        self.vls = 0
        self._voice.clear()
        self._speaker = self._speaker[:0]
        self._key = None
        self._progress = None

    def _reset(self, command: Command) -> bool:
        self._hang_up()
        self.settings.reset()
        self._chain = []
        self._after_hook = self.variant.hook_ms
        return True

    def _voice_data(self, command: Command) -> bool:
        states: dict[str, State] = {"+VTX": "transmit", "+VRX": "receive", "+VTR": "duplex"}
        state = states[command.name]
        if command.op or not self.off_hook or (state == "duplex" and not self.variant.duplex):
            return False
        self._voice.clear()
        self._finish("CONNECT", state)
        return True

    def _tones(self, command: Command) -> bool:
        """+VTS: keys, `[f1,f2,10ms]`, `{key,10ms}`, `!`, separated by commas."""
        if command.op == "=?":
            self._say(b"\r\n(200-3200),(200-3200),(0-255)\r\n", self._answer_due())
            return True
        if command.op != "=" or not self.off_hook or not command.value:
            return False
        try:
            self._speaker = np.concatenate([self._speaker, *self._vts(command.value)])
        except ValueError:
            return False
        return True

    def _vts(self, text: str) -> list[Samples]:
        duration = self.settings.values["+VTD"] * 10
        parts: list[Samples] = []
        at = 0
        while at < len(text):
            letter = text[at]
            if letter in "[{":
                end = text.index("]" if letter == "[" else "}", at)
                inside = text[at + 1 : end]
                at = end
                if letter == "{":
                    key, _, ms = inside.partition(",")
                    parts.append(sound.dtmf(key, min(255, int(ms)) * 10 if ms else duration))
                else:
                    pair = numbers(inside)
                    ms_10 = pair[2] if len(pair) > 2 else None
                    hz = sorted({one for one in pair[:2] if one})
                    if any(not 200 <= one <= 3200 for one in hz) or (ms_10 or 0) > 255:
                        raise ValueError(inside)
                    parts.append(sound.tone(hz, ms_10 * 10 if ms_10 else duration, -10.0))
            elif letter in sound.KEYS:
                key_tone = sound.dtmf(letter, duration)
                parts.append(key_tone if self.variant.digits_by_vts else key_tone * 0)
                parts.append(sound.silence(duration))
            elif letter not in ",!":
                raise ValueError(letter)
            at += 1
        return parts

    def _answer_data(self, command: Command) -> bool:
        """ATA: off hook; nobody answers as a modem, so a data call finds no carrier."""
        if self.settings.voice_class:
            self.vls = 1
            self._after_hook = self.variant.hook_ms
            return True
        self._finish("NO CARRIER")
        return True

    def _dial_command(self, command: Command) -> bool:
        digits = "".join(one for one in command.value if one in sound.KEYS)
        if not digits and ";" not in command.value:
            return False
        self.vls = 1
        self._dial = _Dialling(digits, stay=";" in command.value, since=self._now)
        self.state = "dial"
        return True

    # --- voice data (V.253, codes behind DLE) -----------------------------------------------

    def _receive_data(self, data: bytes, at: int) -> int:
        if self._host_dle:
            self._host_dle = False
            self._host_code(data[at])
            return at + 1
        cut = data.find(DLE, at)
        end = len(data) if cut < 0 else cut
        if end > at and self.state != "receive":
            self._host_voice(data[at:end])
        if cut < 0:
            return end
        self._host_dle = True
        return cut + 1

    def _host_voice(self, data: bytes) -> None:
        free = self.variant.buffer_bytes - len(self._voice)
        if len(data) > free:
            self._violation("overflow", f"{len(data) - free} bytes more than the buffer holds")
            data = data[:free]
        self._voice += data
        self._voice_began = True
        self._dry = False

    def _host_code(self, code: int) -> None:
        if code == DLE:
            if self.state != "receive":
                self._host_voice(b"\x10")
        elif code == SUB:
            if self.state != "receive":
                self._host_voice(b"\x10\x10")
        elif code == CAN and self.state != "receive":
            self._voice.clear()
        elif code == ETX and self.state == "transmit":
            self.state = "drain"
        elif (self.state == "receive" and code in _STOP_RECEIVE) or (
            self.state == "duplex" and code in _STOP_DUPLEX
        ):
            self._voice.clear()
            self._say(bytes((DLE, ETX)))
            self._finish("OK")
        elif code not in _IDLE_CODES:
            self._violation("dle", f"DLE 0x{code:02x} in state {self.state}")

    # --- line side --------------------------------------------------------------------------

    def ring(self, now: int) -> None:
        """A ring burst begins."""
        self._advance(now)
        if self.settings.voice_class and self.variant.ring_as_code:
            self._code(b"R")
        elif self.settings.verbose:
            self._say(b"\r\nRING\r\n")
        else:
            self._say(b"2\r")

    def caller_id(self, record: CallerId, now: int) -> None:
        """Caller ID has been sent on the line; a unit told +VCID=1 shows it."""
        self._advance(now)
        if not self.settings.caller_id:
            return
        if record.garbled:
            self._say(b"\r\nERRM\r\n" + self._random.randbytes(6) + b"\r\n")
            return
        fields = {
            "DATE": record.date,
            "TIME": record.time,
            "NMBR": record.number,
            "NAME": record.name,
        }
        layout = self.variant.caller_id_layout
        lines = [layout.format(tag=tag, value=value) for tag, value in fields.items() if value]
        text = "".join(f"\r\n{line}\r\n" for line in lines).encode("latin-1", "replace")
        cut = self._random.randrange(1, len(text)) if self._split and text else len(text)
        self._say(text[:cut])
        self._say(text[cut:], self._now + FRAME_MS)

    def key_down(self, key: str, now: int) -> None:
        """The far end begins to press a key; the unit's own detector may report it."""
        self._key = (key, now, False)

    def key_up(self, now: int) -> None:
        self._advance(now)
        if self._key is not None and self._key[2] and self._keys == "shielded":
            self._code(b"~")
        self._key = None

    def progress(self, kind: Progress | None, now: int) -> None:
        """What the exchange plays to the line, for the unit's call progress detector."""
        if kind != self._progress:
            self._progress, self._progress_since = kind, now
            self._busy_next = now + BUSY_SEEN_MS

    def loop_break(self, now: int) -> None:
        """The exchange interrupts the loop for a moment because the far end hung up."""
        self._advance(now)
        if self.off_hook:
            self._code(self.variant.loop_break_code)

    def frame(self, heard: Samples, now: int) -> Samples:
        """20 ms on the line: in goes what the exchange sends, out comes what the unit sends."""
        self._advance(now)
        sent = self._sent()
        if not self.off_hook:
            heard = SILENCE
        elif self._taps is not None or self._noise is not None:
            heard = self._through_hybrid(heard, sent)
        self._watch(heard)
        if self.state in ("receive", "duplex"):
            deaf = self.variant.receive_needs_vls and self.vls not in self.variant.receive_needs_vls
            self._send_voice(SILENCE if deaf else heard)
        if self._dial is not None:
            self._continue_dialling(self._dial)
        idle = self.settings.values["+VIT"] * 1000
        waiting = self.off_hook and self.state == "command"
        if idle and waiting and self._now - self._idle_since >= idle:
            self._hang_up()
        return sent if self.off_hook else SILENCE

    def _sent(self) -> Samples:
        if self.state in ("transmit", "drain", "duplex"):
            return self._played()
        if len(self._speaker) == 0:
            return SILENCE
        chunk, self._speaker = self._speaker[:FRAME], self._speaker[FRAME:]
        if len(self._speaker) == 0 and self.state == "busy" and self._then is None:
            self._proceed()
        return _padded(chunk)

    def _played(self) -> Samples:
        want = FRAME * self.settings.format.bytes_per_sample
        raw = bytes(self._voice[:want])
        del self._voice[:want]
        if len(raw) < want and self.state == "drain":
            self._finish("OK")
        elif len(raw) < want and self._voice_began and not self._dry:
            self._dry = True
            self.underruns += 1
            self._code(b"u")
        return _padded(sound.decode(self.settings.format.coding, raw)) if raw else SILENCE

    def _send_voice(self, heard: Samples) -> None:
        if self.host_full:
            self.overruns += 1
            self._missed = True
            return
        if self._missed:
            self._missed = False
            self._code(b"o")
        raw = sound.encode(self.settings.format.coding, heard)
        if DLE in raw:
            pairs = raw.split(b"\x10\x10") if self.variant.pairs_zero_bytes else [raw]
            raw = b"\x10\x1a".join(part.replace(b"\x10", b"\x10\x10") for part in pairs)
        self._say(raw)

    def _through_hybrid(self, heard: Samples, sent: Samples) -> Samples:
        total = heard.astype(np.float64)
        if self._taps is not None:
            wave = np.concatenate([self._echo_past, sent.astype(np.float64)])
            total += np.convolve(wave, self._taps, "valid")
            self._echo_past = wave[-(len(self._taps) - 1) :] if len(self._taps) > 1 else wave[:0]
        if self._noise is not None:
            at = self._noise_at
            total += self._noise[at : at + FRAME]
            self._noise_at = (at + FRAME) % (len(self._noise) - FRAME)
        return sound.to_samples(total)

    def _watch(self, heard: Samples) -> None:
        """The unit's own detectors: keys, busy tone, silence."""
        now = self._now
        if self._key is not None and self._keys != "none" and self.off_hook:
            key, since, reported = self._key
            if not reported and now - since >= KEY_SEEN_MS:
                self._key = (key, since, True)
                self._key_next = now + KEY_REPEAT_MS
                self._code(b"/" + key.encode() if self._keys == "shielded" else key.encode())
            elif reported and self._keys == "shielded" and now >= self._key_next:
                self._key_next += KEY_REPEAT_MS
                self._code(key.encode())
        if self._progress == "busy" and now >= self._busy_next and self.state != "dial":
            self._busy_next = now + BUSY_SEEN_MS
            self._code(self._busy_code)
        after = self.settings.silence[1] * 100
        if after and self.state == "receive":
            if sound.level_dbm0(heard) > QUIET_DBM0:
                self._heard_voice, self._quiet_ms = True, 0
            else:
                self._quiet_ms += FRAME_MS
                if self._quiet_ms % after == 0:
                    self._code(b"q" if self._heard_voice else b"s")

    def _continue_dialling(self, dial: _Dialling) -> None:
        """ATD: dial tone, digits, then BUSY, VCON or NO ANSWER by what is heard."""
        now, values = self._now, self.settings.values
        result: str | None = None
        if not dial.sent:
            if self._progress == "dial" and now - dial.since >= 1000:
                tones = [
                    part for key in dial.digits for part in (sound.dtmf(key), sound.silence(80))
                ]
                self._speaker = np.concatenate([self._speaker, *tones])
                dial.sent, dial.since = True, now
            elif now - dial.since >= 5000:
                result = "NO DIALTONE"
        elif len(self._speaker):
            dial.since = now
        elif dial.stay:
            self._dial = None
            self.state = "busy"
            self._proceed()
            return
        elif self._progress == "busy":
            result = "BUSY" if now - self._progress_since >= BUSY_SEEN_MS else None
        elif self._progress == "ringback":
            dial.rang = True
        elif self.settings.voice_class:
            quiet = now - (self._progress_since if dial.rang else dial.since)
            wait = values["+VRA"] * 100 if dial.rang else values["+VRN"] * 1000
            result = "VCON" if quiet >= wait else None
        if result is None and dial.sent and now - dial.since >= self.settings.registers[7] * 1000:
            result = "NO ANSWER" if self.settings.voice_class else "NO CARRIER"
        if result is not None:
            self._dial = None
            if result != "VCON":
                self._hang_up()
            self._finish(result)


@dataclass(slots=True)
class _Dialling:
    digits: str
    stay: bool
    since: int
    sent: bool = False
    rang: bool = False


def _padded(chunk: Samples) -> Samples:
    if len(chunk) == FRAME:
        return chunk
    return np.concatenate([chunk, np.zeros(FRAME - len(chunk), dtype=np.int16)])


_ACTIONS: Final[dict[str, Callable[[Modem, Command], bool]]] = {
    "+FCLASS": Modem._class,
    "+VLS": Modem._line_setting,
    "+VTX": Modem._voice_data,
    "+VRX": Modem._voice_data,
    "+VTR": Modem._voice_data,
    "+VTS": Modem._tones,
    "A": Modem._answer_data,
    "D": Modem._dial_command,
    "H": Modem._hook,
    "Z": Modem._reset,
}
