"""A person with a telephone, as a machine: hears 20 ms, says 20 ms, follows a script.

`now` is milliseconds of the line's clock. The caller waits for an answer, then does its steps one
after another; without a `HangUp` at the end it stays on the line, listening, and can be given more.
On busy tone it hangs up by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from appliance.simulator import sound
from appliance.simulator.countries import Country
from appliance.simulator.hearing import Ear
from appliance.simulator.script import (
    Babble,
    HangUp,
    Press,
    Step,
    Wait,
    WaitAgent,
    WaitQuiet,
    WaitSound,
)
from appliance.simulator.sound import FRAME, FRAME_MS, SILENCE, Samples

KEEP_FRAMES: Final = 15 * 60 * 1000 // FRAME_MS
"""Sound kept for comparison: fifteen minutes each way, 29 MB at most."""

BUSY_PATIENCE_MS: Final = 1000

CallerState = Literal["ringing", "talking", "gone"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A step: these samples go out."""

    samples: Samples


@dataclass(slots=True)
class _Utterance:
    """Samples on their way out, and at which of them a key goes down or up (None)."""

    samples: Samples
    marks: list[tuple[int, str | None]]
    at: int = 0


class Caller:
    """One party. `ring_patience_ms`: when to give up if nobody answers."""

    def __init__(
        self,
        country: Country,
        steps: Iterable[Step | Sound] = (),
        *,
        ring_patience_ms: int = 120_000,
        keep: bool = True,
        hangs_up_on_busy: bool = True,
    ) -> None:
        self.state: CallerState = "ringing"
        self.ear = Ear(country)
        self.key: str | None = None
        """The key that is down now."""
        self.reason = ""
        """Why it is gone: "hung_up", "no_answer", "gave_up", "busy_tone"."""
        self.answered_at: int | None = None
        self.gone_at: int | None = None
        self._steps: deque[Step | Sound] = deque(steps)
        self._step: Step | Sound | None = None
        self._step_at = 0
        self._utterance: _Utterance | None = None
        self._ring_patience_ms = ring_patience_ms
        self._hangs_up_on_busy = hangs_up_on_busy
        self._called_at: int | None = None
        self._busy_since: int | None = None
        self._keep = keep
        self._heard: list[Samples] = []
        self._said: list[Samples] = []

    # --- told from outside ------------------------------------------------------------------

    def add(self, *steps: Step | Sound) -> None:
        """More to do, after what is already to be done."""
        self._steps.extend(steps)

    def hang_up(self, now: int, reason: str = "hung_up") -> None:
        if self.state != "gone":
            self.state = "gone"
            self.reason = reason
            self.gone_at = now
            self.key = None
            self._steps.clear()
            self._step = self._utterance = None

    def answered(self, now: int) -> None:
        """Somebody took the call."""
        if self.state == "ringing":
            self.state = "talking"
            self.answered_at = now
            self.ear.forget()

    @property
    def busy(self) -> bool:
        """Steps are left to do or being done."""
        return bool(self._steps) or self._step is not None

    def heard(self) -> Samples:
        """Everything heard since the answer; as long as `said`, sample by sample."""
        return np.concatenate(self._heard) if self._heard else np.zeros(0, dtype=np.int16)

    def said(self) -> Samples:
        """Everything said since the answer."""
        return np.concatenate(self._said) if self._said else np.zeros(0, dtype=np.int16)

    # --- on the line ------------------------------------------------------------------------

    def speak(self, now: int) -> Samples:
        """The caller's next 20 ms; call once a frame, before `hear`."""
        if self._called_at is None:
            self._called_at = now
        if self.state == "ringing" and now - self._called_at >= self._ring_patience_ms:
            self.hang_up(now, "no_answer")
        if self.state != "talking":
            return SILENCE
        self._follow_script(now)
        if self.state != "talking":
            return SILENCE
        frame = self._next_frame()
        if self._keep and len(self._said) < KEEP_FRAMES:
            self._said.append(frame)
        return frame

    def hear(self, frame: Samples, now: int) -> None:
        """20 ms from the line, whether answered or not (ringback, busy)."""
        if self.state == "gone":
            return
        self.ear.hear(frame, now)
        if self.state == "talking" and self._keep and len(self._heard) < KEEP_FRAMES:
            self._heard.append(frame)
        if self.ear.progress != "busy":
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        elif self._hangs_up_on_busy and now - self._busy_since >= BUSY_PATIENCE_MS:
            self.hang_up(now, "busy_tone")

    def _follow_script(self, now: int) -> None:
        while self.state == "talking":
            if self._step is None:
                if not self._steps:
                    return
                self._step = self._steps.popleft()
                self._step_at = now
                self._begin(self._step, now)
            elif self._finished(self._step, now):
                self._step = None
            else:
                return

    def _begin(self, step: Step | Sound, now: int) -> None:
        match step:
            case HangUp():
                self.hang_up(now)
            case Sound(samples):
                self._utterance = _Utterance(samples, [])
            case Babble(ms, seed):
                self._utterance = _Utterance(sound.babble(ms, seed), [])
            case Press():
                self._utterance = _pressed(step)
            case _:
                pass

    def _finished(self, step: Step | Sound, now: int) -> bool:
        since = now - self._step_at
        match step:
            case Wait(ms):
                return since >= ms
            case WaitSound(min_ms, timeout_ms):
                return self.ear.sound_ms >= min_ms or since >= timeout_ms
            case WaitQuiet(quiet_ms, timeout_ms):
                return min(self.ear.quiet_ms, since) >= quiet_ms or since >= timeout_ms
            case WaitAgent(patience_ms, quiet_ms):
                rang = self.ear.last_ringback
                ringing = rang is not None and now - rang < 5_000
                if min(self.ear.quiet_ms, since) >= quiet_ms and not ringing:
                    return True
                if since >= patience_ms:
                    self.hang_up(now, "gave_up")
                return False
            case _:
                return self._utterance is None

    def _next_frame(self) -> Samples:
        spoken = self._utterance
        if spoken is None:
            self.key = None
            return SILENCE
        chunk = spoken.samples[spoken.at : spoken.at + FRAME]
        spoken.at += FRAME
        while spoken.marks and spoken.marks[0][0] < spoken.at:
            self.key = spoken.marks.pop(0)[1]
        if spoken.at >= len(spoken.samples):
            self._utterance = None
        if len(chunk) == FRAME:
            return chunk
        return np.concatenate([chunk, np.zeros(FRAME - len(chunk), dtype=np.int16)])


def _pressed(step: Press) -> _Utterance:
    parts: list[Samples] = []
    marks: list[tuple[int, str | None]] = []
    at = 0
    for key in step.keys:
        if key.upper() not in sound.KEYS:
            continue
        tone = sound.dtmf(key, step.on_ms, step.dbm0, step.twist_db)
        gap = sound.silence(step.gap_ms)
        marks += [(at, key.upper()), (at + len(tone), None)]
        at += len(tone) + len(gap)
        parts += [tone, gap]
    samples = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
    return _Utterance(samples, marks)
