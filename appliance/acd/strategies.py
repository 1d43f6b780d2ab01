"""Who of the free agents is rung for a caller: one function for each strategy, and their table.

A strategy gets the agents who may be rung and answers with the one to ring (ring all: with all).
It keeps nothing: memory, counts and chance come from outside. Ties go to who has been idle longest,
then to who stands first in the queue's list.

For one caller, agents who let it ring in vain come after those who did not, whatever the strategy;
or a caller could circle between two absent agents while a third is idle.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

Chooser = Callable[[int], int]
"""`choose(n)` is one of 0 .. n-1."""

TURN: Final = 1_000_000
"""One answered call of an agent with weight 1, as `turns` counts them."""


class Candidate(Protocol):
    """An agent as one queue sees them. Counts begin when the agent signs in; see `start_level`."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> int:
        """Place in the queue's list, from 0."""

    @property
    def idle_since(self) -> int:
        """Later of the end of the last wrap-up and the last change to ready, UTC ms."""

    @property
    def calls(self) -> int:
        """Calls of this queue answered."""

    @property
    def talk_ms(self) -> int:
        """Talk in calls of this queue."""

    @property
    def turns(self) -> int:
        """Answered calls, each `TURN` / weight."""

    @property
    def level(self) -> int:
        """Skill for this queue, 1 to 9."""


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a strategy may look at beside the agents. `after` is the place in the queue's list of
    the agent who was rung last, -1 at first; `refused` counts this caller's offers that came to
    nothing, by agent."""

    choose: Chooser
    after: int = -1
    refused: Mapping[str, int] | None = None


def ring_all(able: Sequence[C], ask: Ask) -> Sequence[C]:
    """Everybody at once, in the order of the list."""
    return sorted(able, key=lambda a: a.index)


def longest_idle(able: Sequence[C], ask: Ask) -> Sequence[C]:
    return [min(able, key=_longest_idle)]


def round_robin(able: Sequence[C], ask: Ask) -> Sequence[C]:
    """The next in the list behind the one who was rung last."""
    return [min(able, key=lambda a: (a.index <= ask.after, a.index))]


def linear(able: Sequence[C], ask: Ask) -> Sequence[C]:
    """Always the first of the list who is free."""
    return [min(able, key=lambda a: a.index)]


def fewest_calls(able: Sequence[C], ask: Ask) -> Sequence[C]:
    return [min(able, key=lambda a: (a.calls, *_longest_idle(a)))]


def least_talk(able: Sequence[C], ask: Ask) -> Sequence[C]:
    return [min(able, key=lambda a: (a.talk_ms, *_longest_idle(a)))]


def random(able: Sequence[C], ask: Ask) -> Sequence[C]:
    ordered = sorted(able, key=lambda a: a.index)
    return [ordered[ask.choose(len(ordered)) % len(ordered)]]


def weighted(able: Sequence[C], ask: Ask) -> Sequence[C]:
    """Shares of the answered calls in proportion to the weights (stride scheduling)."""
    return [min(able, key=lambda a: (a.turns, *_longest_idle(a)))]


def skills(able: Sequence[C], ask: Ask) -> Sequence[C]:
    """The most skilled; who is not skilled enough is not among them (`required_level`)."""
    return [min(able, key=lambda a: (-a.level, *_longest_idle(a)))]


STRATEGIES: Final[Mapping[str, Callable[[Sequence[Candidate], Ask], Sequence[Candidate]]]] = {
    "longest_idle": longest_idle,
    "ring_all": ring_all,
    "round_robin": round_robin,
    "linear": linear,
    "fewest_calls": fewest_calls,
    "least_talk": least_talk,
    "random": random,
    "weighted": weighted,
    "skills": skills,
}
"""By the name that the site document gives them."""


def pick(strategy: str, able: Sequence[C], ask: Ask) -> Sequence[C]:
    """The agents of `able` to ring now, at least one. `able` is not empty."""
    refused = ask.refused
    if refused and strategy != "ring_all":
        least = min(refused.get(a.name, 0) for a in able)
        able = [a for a in able if refused.get(a.name, 0) == least]
    return STRATEGIES[strategy](able, ask)  # type: ignore[return-value]


def required_level(level: int, relax_s: int, waited_ms: int) -> int:
    """The skill a caller needs after this wait: one level less for each `relax_s` seconds, never
    under 1; `relax_s` 0 never relaxes."""
    if relax_s <= 0:
        return max(1, level)
    return max(1, level - waited_ms // (relax_s * 1000))


def next_relaxation_ms(level: int, relax_s: int, waited_ms: int) -> int | None:
    """The wait at which the required level falls next; None when it does not."""
    if relax_s <= 0 or required_level(level, relax_s, waited_ms) <= 1:
        return None
    step_ms = relax_s * 1000
    return (waited_ms // step_ms + 1) * step_ms


def start_level(others: Sequence[Candidate]) -> tuple[int, int, int]:
    """Calls, talk (ms) and turns of an agent who signs in among `others`: level with the one who
    has least, not with nothing, or all calls would be theirs for hours."""
    return (
        min((a.calls for a in others), default=0),
        min((a.talk_ms for a in others), default=0),
        min((a.turns for a in others), default=0),
    )


def seeded(seed: int) -> Chooser:
    """Chance that can be repeated."""
    return _random.Random(seed).randrange


def _longest_idle(agent: Candidate) -> tuple[int, int]:
    return agent.idle_since, agent.index
