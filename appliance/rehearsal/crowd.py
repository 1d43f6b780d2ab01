"""Who calls on a rehearsed day, and how people are: patience, talk, mistakes. Pure.

The day has the two humps of an office's: the most calls in the middle of the morning, fewer over
lunch, a second rise in the afternoon. The same seed gives the same people.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SLOT_MS: Final = 1_800_000
PROFILE: Final = (3.0, 5.0, 7.5, 9.0, 9.0, 7.5, 6.0, 4.5, 4.5, 6.0, 7.5, 7.5, 6.5, 5.5, 4.5, 3.0)
"""Share of a day's calls over its open time, from first to last."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the people of a rehearsal are like; times in seconds.

    Patience is exponential, as Erlang A assumes; talk is lognormal with `talk_spread` (the sigma
    of its logarithm), exponential with 0.
    """

    calls: float = 120
    talk_s: float = 180
    talk_spread: float = 0.8
    patience_s: float = 150
    short: float = 0.03
    """Share of callers who hang up within five seconds of being put into a queue."""
    again: float = 0.5
    """Share of those who gave up who call again, two to fifteen minutes later."""
    answer_s: float = 4.0
    """How long an agent lets it ring, on average."""
    missed: float = 0.02
    """Share of offers that an agent does not hear."""
    lunch_s: float = 1800
    """Each agent's break, one after another around the middle of the day."""
    flat: bool = False
    """The same rate all day instead of the two humps."""


@dataclass(frozen=True, slots=True)
class Person:
    """One caller of the day."""

    number: str
    patience_s: float
    talk_s: float
    hangs_up: bool
    """The caller ends the conversation, not the agent."""
    hasty: bool
    key: float
    """Which key of a menu is chosen, 0 to 1 over its keys."""


class Crowd:
    """Everybody who calls, from one seed."""

    def __init__(self, habits: Habits, seed: int) -> None:
        self.habits = habits
        self.random = random.Random(seed)

    def arrivals(self, opens: int, closes: int) -> Iterator[tuple[int, Person]]:
        """(time, who) in order: a Poisson stream thinned to the day's profile."""
        length = closes - opens
        if length <= 0 or self.habits.calls <= 0:
            return
        top = 1.0 if self.habits.flat else max(PROFILE) * len(PROFILE) / sum(PROFILE)
        per_ms = self.habits.calls / length * top
        at = float(opens)
        while True:
            at += self.random.expovariate(per_ms)
            if at >= closes:
                return
            if self.random.random() < self._share((at - opens) / length) / top:
                yield int(at), self.person()

    def _share(self, where: float) -> float:
        """The rate at a point of the day against the day's mean."""
        if self.habits.flat:
            return 1.0
        return (
            PROFILE[min(len(PROFILE) - 1, int(where * len(PROFILE)))] * len(PROFILE) / sum(PROFILE)
        )

    def person(self) -> Person:
        """Somebody new."""
        rng, habits = self.random, self.habits
        return Person(
            number=f"+4072{rng.randrange(10**7):07d}",
            patience_s=rng.expovariate(1 / habits.patience_s),
            talk_s=self._talk(),
            hangs_up=rng.random() < 0.7,
            hasty=rng.random() < habits.short,
            key=rng.random(),
        )

    def again(self, person: Person) -> Person:
        """The same somebody, another day in their mood."""
        fresh = self.person()
        return Person(
            person.number, fresh.patience_s, fresh.talk_s, fresh.hangs_up, False, person.key
        )

    def _talk(self) -> float:
        habits = self.habits
        if not habits.talk_spread:
            return self.random.expovariate(1 / habits.talk_s)
        sigma = habits.talk_spread
        # The mean of a lognormal is exp(mu + sigma^2 / 2).
        return self.random.lognormvariate(math.log(habits.talk_s) - sigma * sigma / 2, sigma)
