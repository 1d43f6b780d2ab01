"""A telephone exchange: analog lines to the office, callers and called parties at the far end.

Pure: `frame(now)` moves everything on by 20 ms. Each line has one modem at its office end. The
exchange rings and sends caller ID, notices the modem's hook, connects both directions of sound,
plays dial, ringback and busy tone of its country, and takes digits that the office dials as DTMF.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from appliance.simulator import sound
from appliance.simulator.caller import Caller
from appliance.simulator.countries import Cadence, Country, ProgressTone, cadence_on
from appliance.simulator.hearing import KeyReceiver
from appliance.simulator.modem import CallerId, Modem, Progress
from appliance.simulator.sound import FRAME, FRAME_MS, SILENCE, Samples

CALLER_ID_AFTER_MS: Final = 600
"""Caller ID is complete this long after the first ring burst ended (FSK at 1200 bit/s)."""

CALLER_ID_LATEST_MS: Final = 2600
"""... but no later than this after the ring began, for exchanges that ring long."""

DIGITS_DONE_MS: Final = 1500
NO_DIGIT_MS: Final = 20_000

LEFT_MS: Final = 60_000
"""How long a party listens to busy tone after the office hung up, whatever its patience."""

LineState = Literal["idle", "ringing", "talking", "released", "dial", "dialling", "calling", "busy"]

_PROGRESS: Final[dict[LineState, Progress]] = {
    "dial": "dial",
    "calling": "ringback",
    "busy": "busy",
    "released": "busy",
    "talking": "answered",
}


class LineBusy(Exception):
    """The line is in use; the caller hears busy tone."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Who answers a number the office dials: `party` after `after_ms`; None is busy."""

    party: Caller | None
    after_ms: int = 4000


class _TonePlayer:
    """One progress tone from its start on."""

    def __init__(self, tone: ProgressTone, now: int) -> None:
        self._tone = tone
        self._start = now

    def frame(self, now: int) -> Samples:
        since = now - self._start
        if not cadence_on(self._tone.cadence, since):
            return SILENCE
        return sound.tone(self._tone.hz, FRAME_MS, self._tone.dbm0, since * FRAME // FRAME_MS)


class AnalogLine:
    """One pair of wires with `modem` on it. Lines are numbered from 1.

    `ring` overrides the country's ring cadence. With `breaks_loop` the exchange opens the loop
    for a moment when the far end hangs up; most do not, so a line only tells by busy tone.
    `hybrid` is the impulse response of the exchange's own two-wire hybrid, which sends back what
    the office says, a frame (20 ms) later, as over a trunk to another town.
    """

    def __init__(
        self,
        number: int,
        modem: Modem,
        country: Country,
        plan: Callable[[str], Destination],
        *,
        ring: Cadence | None = None,
        breaks_loop: bool = False,
        hybrid: sound.Taps | None = None,
    ) -> None:
        self.number = number
        self.modem = modem
        self.country = country
        self.state: LineState = "idle"
        self.party: Caller | None = None
        self.dialled = ""
        self.rings = 0
        self.to_office: Samples = SILENCE
        self.from_office: Samples = SILENCE
        self._plan = plan
        self._ring = ring or country.ring
        self._breaks_loop = breaks_loop
        self._hybrid = hybrid
        self._said = np.zeros(FRAME + (0 if hybrid is None else len(hybrid) - 1))
        self._since = 0
        self._caller_id: CallerId | None = None
        self._player: _TonePlayer | None = None
        self._keys = KeyReceiver()
        self._last_digit = 0
        self._answer_at = 0
        self._key_down: str | None = None

    def call(self, party: Caller, caller_id: CallerId | None, now: int) -> None:
        """Begin to ring. Raises LineBusy."""
        if self.state != "idle" or self.modem.off_hook:
            raise LineBusy(f"line {self.number} is in use")
        self.party = party
        self.rings = 0
        self._caller_id = caller_id
        self._enter("ringing", now)

    def frame(self, now: int) -> Caller | None:
        """20 ms. Returns a party that the office left behind, who now hears busy tone elsewhere."""
        left = self._follow_hook(now)
        said = self.party.speak(now) if self.party is not None else SILENCE
        if self.party is not None and self.party.state == "gone":
            self._party_gone(now)
            said = SILENCE
        if self.state == "ringing":
            self._ring_on(now)
        tone = self._player.frame(now) if self._player is not None else SILENCE
        self.to_office = said if self.state == "talking" else tone
        if self.state == "ringing":
            self.to_office = SILENCE
        if self._hybrid is not None:
            self.to_office = self._with_echo(self._hybrid)
        self._show_key(now)
        self.modem.progress(_PROGRESS.get(self.state), now)
        self.from_office = self.modem.frame(self.to_office, now)
        if self.party is not None:
            self.party.hear(self.from_office if self.state == "talking" else tone, now)
        if self.state in ("dial", "dialling"):
            self._take_digits(now)
        elif self.state == "calling" and now >= self._answer_at and self.party is not None:
            self.party.answered(now)
            self._enter("talking", now)
        return left

    def _with_echo(self, hybrid: sound.Taps) -> Samples:
        """What goes to the office, and what comes back of its own last frame."""
        self._said = np.concatenate((self._said[FRAME:], self.from_office.astype(np.float64)))
        echo = np.convolve(self._said, hybrid, "valid")
        return sound.to_samples(self.to_office.astype(np.float64) + echo)

    def _enter(self, state: LineState, now: int) -> None:
        self.state = state
        self._since = now
        tones = {
            "ringing": self.country.ringback,
            "calling": self.country.ringback,
            "dial": self.country.dial,
            "busy": self.country.busy,
            "released": self.country.busy,
        }
        tone = tones.get(state)
        self._player = None if tone is None else _TonePlayer(tone, now)

    def _follow_hook(self, now: int) -> Caller | None:
        off_hook = self.modem.off_hook
        if self.state == "idle" and off_hook:
            self.dialled = ""
            self._keys = KeyReceiver()
            self._enter("dial", now)
        elif self.state == "ringing" and off_hook and self.party is not None:
            self.party.answered(now)
            self._enter("talking", now)
        elif self.state not in ("idle", "ringing") and not off_hook:
            left, self.party = self.party, None
            self._enter("idle", now)
            return left
        return None

    def _party_gone(self, now: int) -> None:
        self.party = None
        if self.state == "talking":
            if self._breaks_loop:
                self.modem.loop_break(now)
            self._enter("released", now)
        else:
            self._enter("idle" if self.state == "ringing" else "busy", now)

    def _ring_on(self, now: int) -> None:
        """The cadence; each repetition of it is one ring (a double ring is one)."""
        since = now - self._since
        lead = CALLER_ID_AFTER_MS if self.country.caller_id_first else 0
        after_ring = min(sum(self._ring[:-1]) + CALLER_ID_AFTER_MS, CALLER_ID_LATEST_MS)
        if self._caller_id is not None and since >= (lead or after_ring):
            self.modem.caller_id(self._caller_id, now)
            self._caller_id = None
        if since >= lead and (since - lead) // sum(self._ring) >= self.rings:
            self.rings += 1
            self.modem.ring(now)

    def _show_key(self, now: int) -> None:
        key = self.party.key if self.party is not None and self.state == "talking" else None
        if key != self._key_down:
            if self._key_down is not None:
                self.modem.key_up(now)
            if key is not None:
                self.modem.key_down(key, now)
            self._key_down = key

    def _take_digits(self, now: int) -> None:
        key = self._keys.hear(self.from_office)
        if key is not None:
            self.dialled += key
            self._last_digit = now
            if self.state == "dial":
                self._enter("dialling", now)
        if self.state == "dial":
            if now - self._since >= NO_DIGIT_MS:
                self._enter("busy", now)
        elif now - self._last_digit >= DIGITS_DONE_MS or len(self.dialled) >= 24:
            destination = self._plan(self.dialled)
            self.party = destination.party
            self._answer_at = now + destination.after_ms
            self._enter("busy" if self.party is None else "calling", now)


class Exchange:
    """All lines, and the parties whose office end is gone."""

    def __init__(self, lines: list[AnalogLine]) -> None:
        self.lines = {line.number: line for line in lines}
        self._left: list[tuple[Caller, _TonePlayer, int]] = []

    def free_lines(self) -> list[int]:
        return [
            line.number
            for line in self.lines.values()
            if line.state == "idle" and not line.modem.off_hook
        ]

    def frame(self, now: int) -> None:
        """Move all lines on by 20 ms."""
        for line in self.lines.values():
            left = line.frame(now)
            if left is not None and left.state != "gone":
                self._left.append((left, _TonePlayer(line.country.busy, now), now))
        for party, player, since in self._left:
            party.speak(now)
            party.hear(player.frame(now), now)
            if now - since >= LEFT_MS:
                party.hang_up(now)
        self._left = [one for one in self._left if one[0].state != "gone"]
