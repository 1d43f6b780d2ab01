"""Did a person or a machine answer our call? By how they greet.

People say a word or two and wait; machines talk on. The times are those that call centres use (the
defaults of Asterisk's app_amd and of the big dialling services lie around them): a greeting is over
after a pause of `PAUSE_MS`; up to `HUMAN_MS` of speech it was a person, from `MACHINE_MS` on it is
a machine, and between them nobody can know. A beep is a machine's whatever came before.

Tones are no speech: ringing that is still on, and the beep itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["human", "machine", "unsure"]

NOTHING_MS: Final = 4000
"""Whoever says nothing for so long: a person who waits for us, or a machine with a slow tape."""
PAUSE_MS: Final = 800
HUMAN_MS: Final = 1600
MACHINE_MS: Final = 3000
LONGEST_MS: Final = 8000
TICK_MS: Final = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` is for people, `after_ms` since we began to listen."""

    result: Verdict
    reason: str
    after_ms: int


class Greeting:
    """One answered call, from the moment it was answered until there is a verdict."""

    __slots__ = ("_at", "_begun", "_last", "_speaking", "_talk", "words")

    def __init__(self) -> None:
        self._at = 0
        self._talk = 0
        self._begun: int | None = None
        self._last = 0
        self._speaking = False
        self.words = 0

    def step(self, speech: bool) -> Answer | None:
        """The next 20 ms: whether somebody spoke in it."""
        self._at += TICK_MS
        if speech:
            if self._begun is None:
                self._begun = self._at
            elif self._talk:
                # Gaps shorter than a pause are part of the greeting.
                self._talk += min(self._at - self._last - TICK_MS, PAUSE_MS // 4)
            self._talk += TICK_MS
            self.words += not self._speaking
            self._last = self._at
        self._speaking = speech
        seconds = self._talk / 1000
        if self._begun is None:
            if self._at >= NOTHING_MS:
                return Answer("unsure", f"nothing was said for {NOTHING_MS / 1000:.0f} s", self._at)
        elif self._talk >= MACHINE_MS:
            return Answer("machine", f"talks on for {seconds:.1f} s without a pause", self._at)
        elif self._at - self._last >= PAUSE_MS:
            if self._talk <= HUMAN_MS:
                return Answer("human", f"said something for {seconds:.1f} s and waits", self._at)
            return Answer("unsure", f"a greeting of {seconds:.1f} s", self._at)
        if self._at >= LONGEST_MS:
            return Answer("unsure", "speech and pauses that fit neither", self._at)
        return None

    def beep(self) -> Answer:
        """A beep was heard."""
        return Answer("machine", "a beep", self._at)
