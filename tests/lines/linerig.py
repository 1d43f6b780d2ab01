"""What the tests of the lines room share: a clock around a core, and a modem that follows a script.

The scripted modem knows answers to commands and nothing else; it is no emulator. What it says was
written down from manuals and other drivers' code.
"""

from __future__ import annotations

from appliance.lines.line import LineEvent
from appliance.lines.modem_core import Audio, ModemCore, Reopen, Send
from appliance.lines.profiles import load_profiles

VSM = (
    '\r\n0,"SIGNED PCM",8,0,8000,0,0\r\n1,"UNSIGNED PCM",8,0,8000,0,0\r\n'
    '129,"IMA ADPCM",4,0,8000,0,0\r\n\r\nOK\r\n'
)
ANSWERS = {
    "ATI0": "\r\n56000\r\n\r\nOK\r\n",
    "ATI3": "\r\nCX93001-EIS_V0.2013-V92\r\n\r\nOK\r\n",
    "AT+FMM?": "\r\nV90\r\n\r\nOK\r\n",
    "AT+FCLASS=?": "\r\n0,1,1.0,2,8\r\n\r\nOK\r\n",
    "AT+VSM=?": VSM,
    "AT+VTR": "\r\nCONNECT\r\n",
    "\x10^": "\x10\x03\r\nOK\r\n",
}
"""What a Conexant unit says; any other command is answered OK."""


class CoreRig:
    """A core, its clock, and everything that came out of it, sorted."""

    def __init__(
        self, profile: str = "auto", country: str = "us", answers: dict[str, str] | None = None
    ) -> None:
        self.core = ModemCore(
            profile, country, registry=load_profiles(), device="/dev/ttyTEST", cid_wait_ms=3000
        )
        self.now = 1_000_000
        self.sent = bytearray()
        """All bytes to the modem since the last `commands`."""
        self.events: list[LineEvent] = []
        self.audio = bytearray()
        self.reopens = 0
        self.answers = ANSWERS | (answers or {})
        self.deaf = False
        """The modem answers nothing."""
        self._line = bytearray()

    def collect(self) -> None:
        """Take what the core has to say, answering commands as the script says."""
        while out := self.core.take():
            for item in out:
                if isinstance(item, Send):
                    self.sent += item.data
                    self._hear(item.data)
                elif isinstance(item, Audio):
                    self.audio += item.pcm
                elif isinstance(item, Reopen):
                    self.reopens += 1
                else:
                    self.events.append(item)

    def _hear(self, data: bytes) -> None:
        if self.core.state in ("talking", "hanging_up") and data == b"\x10^":
            self._reply("\x10^")
            return
        self._line += data
        while b"\r" in self._line:
            line, _, rest = self._line.partition(b"\r")
            self._line = bytearray(rest)
            at = line.upper().rfind(b"AT")
            if at >= 0:
                self._reply(line[at:].decode("ascii", "replace"))

    def _reply(self, command: str) -> None:
        if not self.deaf:
            text = self.answers.get(command, "\r\nOK\r\n")
            self.core.receive(text.encode("latin-1"), self.now)

    def feed(self, data: bytes | str) -> None:
        raw = data.encode("latin-1") if isinstance(data, str) else data
        self.core.receive(raw, self.now)
        self.collect()

    def advance(self, ms: int) -> None:
        """Let time pass, ticking at every deadline on the way."""
        end = self.now + ms
        for _ in range(10_000):
            self.collect()
            due = self.core.next_deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.core.tick(self.now)
        else:
            raise AssertionError("the core asks to be ticked without end")
        self.now = end
        self.core.tick(end)
        self.collect()

    def take_events(self) -> list[LineEvent]:
        self.collect()
        events, self.events = self.events, []
        return events

    def commands(self) -> list[str]:
        """Commands sent since the last time."""
        text, self.sent = self.sent.decode("latin-1"), bytearray()
        return [line for line in text.split("\r") if line]

    # --- usual ways ----------------------------------------------------------------------

    def open(self, usb: str = "", *, wide: bool = False) -> None:
        self.core.opened(self.now, usb, wide=wide)
        self.advance(3000)

    def ring_and_answer(self) -> None:
        self.feed("\r\nRING\r\n")
        self.core.answer(self.now)
        self.advance(1000)
