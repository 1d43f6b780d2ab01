"""People who call the demo office: one about every half minute, each with a name and a matter.

Pure: `Crowd.tick` says who calls now on which line; the same seed gives the same people. Numbers
are from the range 555-0100 to 555-0199, which is kept free for fiction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.simulator.script import (
    AnyStep,
    HangUp,
    Press,
    Say,
    Wait,
    WaitAgent,
    WaitQuiet,
    WaitSound,
)

PEOPLE: Final = (
    ("5550110", "ANA MARIN"),
    ("5550117", "BORIS KOLEV"),
    ("5550123", "CLARA WEST"),
    ("5550128", "DARIUS FARD"),
    ("5550134", "ELENA POPA"),
    ("5550141", "FELIX GRAY"),
    ("5550149", "GRETA STONE"),
    ("5550156", "HUGO LANE"),
    ("5550162", "IRINA VOLK"),
    ("5550175", "JUN WEI"),
    ("5550188", "KAREN FIELD"),
    ("P", ""),
)
MATTERS: Final = (
    (
        "Hello, I would like to ask about my order.",
        "I ordered two weeks ago, and nothing has arrived yet.",
        "The number is four seven one one.",
        "That is all, thank you for your help.",
    ),
    (
        "Good day. Do you repair coffee machines?",
        "Mine makes a strange noise, and then it stops.",
        "I could bring it on Thursday in the afternoon.",
        "Very good, see you then.",
    ),
    (
        "Hi, this is about the invoice that I got yesterday.",
        "I think there is a mistake in the second line.",
        "It says three, but I bought only two of them.",
        "Thanks for looking into it.",
    ),
    (
        "Hello. I am calling to make an appointment.",
        "Next week would be best, any day but Monday.",
        "Ten o'clock is fine for me.",
        "Wonderful. Goodbye.",
    ),
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """One call to place."""

    line: int
    number: str
    name: str
    script: tuple[AnyStep, ...]
    ring_patience_ms: int


class Crowd:
    """`keys` are what callers press in the menu. `now` is milliseconds."""

    def __init__(
        self,
        seed: int | None = None,
        *,
        interval_ms: int = 30_000,
        keys: Sequence[str] = ("1", "2"),
    ) -> None:
        self._random = random.Random(seed)
        self._interval_ms = interval_ms
        self._keys = keys
        self._next: int | None = None
        self._recent: list[str] = []

    def tick(self, now: int, free_lines: Sequence[int]) -> Visitor | None:
        """Who calls now. With no free line the next caller waits for one."""
        if self._next is None:
            self._next = now + min(3_000, self._interval_ms)
        if now < self._next or not free_lines:
            return None
        self._next = now + round(self._interval_ms * self._random.uniform(0.75, 1.25))
        people = [one for one in PEOPLE if one[0] not in self._recent]
        number, name = self._random.choice(people)
        self._recent = [*self._recent, number][-4:]
        return Visitor(
            self._random.choice(list(free_lines)),
            number,
            name,
            self._script(),
            self._random.randrange(30_000, 60_000),
        )

    def _script(self) -> tuple[AnyStep, ...]:
        """Hears the prompt, presses a key, waits in the queue, talks 20 to 60 s, hangs up."""
        matter = self._random.choice(MATTERS)
        steps: list[AnyStep] = [
            WaitSound(timeout_ms=10_000),
            Wait(self._random.randrange(800, 3_000)),
            Press(self._random.choice(self._keys)),
            Wait(1_500),
            WaitAgent(patience_ms=self._random.randrange(45_000, 120_000)),
        ]
        talk_ms = self._random.randrange(20_000, 60_000)
        for place, sentence in enumerate(matter):
            steps.append(Say(sentence))
            if place < len(matter) - 1:
                # What the agent answers, and half of what is left of the talk to think it over.
                pause = max(1_000, (talk_ms - 14_000) // len(matter))
                steps += [Wait(pause), WaitQuiet(timeout_ms=15_000)]
        return (*steps, Wait(700), HangUp())
