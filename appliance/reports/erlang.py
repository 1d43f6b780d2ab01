"""How many agents, how many lines: the Erlang models.

`traffic` is in erlang: arrival rate x handling time. B: who finds all servers busy is lost. C: who
finds them busy waits for ever. A (M/M/n+M): waiting callers hang up after an exponential patience,
the one to advise by, since C has no answer when traffic exceeds the agents.

Sources: A. K. Erlang 1917 (B, C); C. Palm 1957 and F. Baccelli, G. Hebuterne 1981 (A, by the
density of the offered wait).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_PANELS: Final = 1000
"""Panels of Simpson's rule over each stretch in which the integrand is smooth."""
_NOTHING: Final = 40.0
"""exp(-40) is below what a double adds to 1."""


@dataclass(frozen=True, slots=True)
class Staffing:
    """What a group of agents would do. `asa_s` is over the answered."""

    p_wait: float
    p_abandon: float
    service_level: float
    """Answered within T / all callers."""
    asa_s: float
    occupancy: float


def erlang_b(servers: int, traffic: float) -> float:
    """Probability that a caller finds all servers busy and is lost."""
    _check(servers, traffic)
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = traffic * blocking / (k + traffic * blocking)
    return blocking


def erlang_b_traffic(servers: int, blocking: float) -> float:
    """The traffic at which this share of callers is lost: what a bundle of lines can carry."""
    _check(servers, 0.0)
    if not 0 < blocking < 1:
        raise ValueError("blocking lies between 0 and 1")
    low, high = 0.0, 1.0
    while erlang_b(servers, high) < blocking:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        if erlang_b(servers, middle) < blocking:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def lines_needed(traffic: float, blocking: float) -> int:
    """The fewest lines that lose at most this share of callers."""
    _check(0, traffic)
    if not 0 < blocking < 1:
        raise ValueError("blocking lies between 0 and 1")
    lines, lost = 0, 1.0
    while lost > blocking:
        lines += 1
        lost = traffic * lost / (lines + traffic * lost)
    return lines


def erlang_c_wait(agents: int, traffic: float) -> float:
    """Probability that a caller waits; 1 when the traffic is more than the agents can carry."""
    if traffic >= agents:
        return 1.0
    blocking = erlang_b(agents, traffic)
    return agents * blocking / (agents - traffic * (1 - blocking))


def erlang_c(agents: int, per_s: float, aht_s: float, within_s: float) -> Staffing | None:
    """Agents against calls per second and seconds of handling; None when the queue would grow
    without end."""
    traffic = per_s * aht_s
    _check(agents, traffic)
    if traffic >= agents:
        return None
    p_wait = erlang_c_wait(agents, traffic)
    return Staffing(
        p_wait=p_wait,
        p_abandon=0.0,
        service_level=1 - p_wait * math.exp(-(agents - traffic) * within_s / aht_s),
        asa_s=p_wait * aht_s / (agents - traffic),
        occupancy=traffic / agents,
    )


def erlang_a(
    agents: int, per_s: float, aht_s: float, patience_s: float, within_s: float
) -> Staffing:
    """As `erlang_c` with callers who hang up after `patience_s` seconds on average."""
    traffic = per_s * aht_s
    _check(agents, traffic)
    if agents < 1 or per_s <= 0 or patience_s <= 0:
        raise ValueError("agents, calls and patience must be more than 0")
    rate, give_up = agents / aht_s, 1 / patience_s

    def log_density(t: float) -> float:
        """Logarithm of the density of the offered wait over `per_s` x P(n - 1 busy)."""
        return per_s * -math.expm1(-give_up * t) / give_up - rate * t

    free = erlang_b(agents - 1, traffic)
    if free == 0.0:  # so many agents that a wait is less likely than a double can say
        return Staffing(0.0, 0.0, 1.0, 0.0, traffic / agents)
    # The density peaks where the arrivals that would still wait equal the agents' rate.
    peak = max(0.0, math.log(per_s / rate) / give_up)
    top = log_density(peak)
    end = max(peak, 1 / rate)
    while log_density(end) > top - _NOTHING:
        end += end - peak + 1 / rate
    start = 0.0
    if log_density(0.0) < top - _NOTHING:
        above = peak
        for _ in range(60):
            middle = (start + above) / 2
            if log_density(middle) < top - _NOTHING:
                start = middle
            else:
                above = middle

    # Patience and handling time may differ by orders of magnitude: each gets panels of its own.
    bends = (peak, start + 3 / give_up, start + 30 / give_up)

    def integral(upper: float, weight: Callable[[float], float]) -> float:
        def value(t: float) -> float:
            return weight(t) * math.exp(log_density(t) - top)

        upper = min(upper, end)
        cuts = sorted({start, upper, *(cut for cut in bends if start < cut < upper)})
        return math.fsum(_simpson(value, a, b) for a, b in pairwise(cuts))

    def patient(t: float) -> float:
        return math.exp(-give_up * t)

    # In units of `per_s` x P(n - 1 busy) x exp(top).
    at_once = math.exp(-top) / (per_s * free)
    whole = at_once + integral(end, lambda _: 1.0)
    answered = at_once + integral(end, patient)
    return Staffing(
        p_wait=1 - at_once / whole,
        p_abandon=max(0.0, 1 - answered / whole),
        service_level=(at_once + integral(within_s, patient)) / whole,
        asa_s=integral(end, lambda t: t * patient(t)) / answered,
        occupancy=traffic * (answered / whole) / agents,
    )


def _simpson(function: Callable[[float], float], lower: float, upper: float) -> float:
    """The integral over the range, 0 when it is empty."""
    if upper <= lower:
        return 0.0
    step = (upper - lower) / _PANELS
    inner = math.fsum(function(lower + k * step) * (4 if k % 2 else 2) for k in range(1, _PANELS))
    return (function(lower) + inner + function(upper)) * step / 3


def _check(servers: int, traffic: float) -> None:
    if servers < 0 or not 0 <= traffic < math.inf:
        raise ValueError("servers and traffic are numbers from 0 up")
