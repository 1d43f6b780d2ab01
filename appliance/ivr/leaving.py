"""A caller leaves a message.

`ask`: the greeting plays, then the tone; any key goes straight to the tone. `tape`: they speak,
until the key, silence, or the longest that is allowed. `review`: whoever ended it with the key may
keep it or record it again; whoever says nothing more, or hangs up, has left it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from appliance.ivr.actions import Tape
from appliance.ivr.phrases import BEEP, leave_message, phrase
from appliance.ivr.turns import State, Turn
from appliance.site.model import Prompt, Record
from appliance.site.routes import parse_route

REVIEW_MS: Final = 5_000
TONE_MS: Final = 1
"""The tone is the end of what is said; the tape runs at once after it."""
KEEP: Final = "1"
AGAIN: Final = "2"


class Leaving:
    def __init__(self, step: Record, state: State) -> None:
        self._step, self._state = step, state
        self._phase: Literal["ask", "tape", "review", "over"] = "ask"
        self._go = parse_route(step.go)
        self._tries = 0
        self._since = 0
        self._until = 0
        self._voice_at: int | None = None
        """When the caller was last heard to speak; None: not yet."""

    def begin(self, now: int) -> Turn:
        language = self._state.language
        if not self._state.scene.takes_messages(self._step.box):
            self._phase = "over"
            return Turn((phrase("box_full", language),), self._go)
        owner = self._state.scene.owners.get(self._step.box)
        return self._ask((self._step.prompt or leave_message(owner, language),))

    def key(self, digit: str, now: int) -> Turn:
        if self._phase == "over":
            return Turn(go=self._go, heard=True, passes=True)
        if self._phase == "ask":
            return self._start(now, heard=True)
        if self._phase == "tape":
            if digit == self._step.end_key:
                return self._end(now, by_key=True)
            return Turn(wait_ms=max(1, self._until - now), heard=True)
        if digit == AGAIN:
            return self._again("again", ())
        if digit in (KEEP, self._step.end_key):
            return self._keep()
        return self._review(None)

    def silent(self, now: int) -> Turn:
        if self._phase == "ask":
            return self._start(now)
        if self._phase == "tape":
            return self._end(now)
        return self._keep()

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        return self.begin(0)

    def heard(self, speaking: bool, now: int) -> Turn | None:
        """Once a second while the tape runs; None: it goes on."""
        if self._phase != "tape":
            return None
        if speaking:
            self._voice_at = now
        since = self._since if self._voice_at is None else self._voice_at
        if self._step.silence_s and now - since >= self._step.silence_s * 1000:
            return self._end(now)
        return None

    def _ask(self, before: tuple[Prompt, ...]) -> Turn:
        self._phase = "ask"
        self._tries += 1
        return Turn((*before, BEEP), wait_ms=TONE_MS)

    def _start(self, now: int, *, heard: bool = False) -> Turn:
        self._phase = "tape"
        self._voice_at = None
        self._since, self._until = now, now + self._step.longest_s * 1000
        return Turn(wait_ms=self._until - now, tape=Tape("start", self._step), heard=heard)

    def _end(self, now: int, *, by_key: bool = False) -> Turn:
        language = self._state.language
        if self._step.silence_s and self._voice_at is None and not by_key:
            return self._again("silent", (phrase("speak_now", language),))
        if now - self._since < self._step.least_s * 1000:
            return self._again("short", (phrase("too_short", language),))
        if not (by_key and self._step.review):
            return self._keep()
        return self._review(Tape("stop", self._step))

    def _review(self, tape: Tape | None) -> Turn:
        self._phase = "review"
        said = (phrase("keep_or_again", self._state.language),)
        return Turn(said, wait_ms=REVIEW_MS, tape=tape, heard=True)

    def _keep(self) -> Turn:
        self._phase = "over"
        said = (phrase("message_kept", self._state.language),)
        return Turn(said, self._go, tape=Tape("keep", self._step))

    def _again(self, why: Literal["short", "silent", "again"], before: tuple[Prompt, ...]) -> Turn:
        tape = Tape(why, self._step)
        if self._tries >= self._step.tries:
            self._phase = "over"
            return Turn(before, self._go, tape=tape)
        turn = self._ask(before)
        return Turn(turn.say, wait_ms=turn.wait_ms, tape=tape, heard=why != "silent")
