"""The figures of a queue: one function each, named as the trade names it.

All are functions of the entries alone. Rules that hold for every one:

- "within T" means wait <= T, in milliseconds; a wait runs from the entering of the queue to the
  two-way audio, ringing included; of somebody who was called back from when they asked for it.
- An entry belongs to the interval of its entering: the caller chooses the entries.
- An empty denominator gives None: not 0, not 1. Rates are fractions and never clipped.
- Durations are milliseconds.
- A wait, conversation or wrap-up that still goes on has no duration yet. The entry is then in
  neither side of an average of it; in the live `max_wait` alone it counts as far as it got.

The handling of an entry is what its agent did with it: talk (the holds taken out), hold, wrap-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from appliance.events import Fact, LineBusy, LineSeized
from appliance.ledger.projection import Entry

Entries = Sequence[Entry]


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What a queue promises: T of its service level, and S, below which a hang-up is short."""

    service_level_s: int = 20
    short_abandon_s: int = 5

    @property
    def within_ms(self) -> int:
        return self.service_level_s * 1000

    @property
    def short_ms(self) -> int:
        return self.short_abandon_s * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """All figures of one queue over some entries. Rates are fractions, times milliseconds, None
    where the denominator is empty. `offered` is the sum of `answered`, `abandoned`, `timeouts`,
    `no_agent`, `key_exits`, `callbacks`, `overflows`, `full`, `closed`, `failures`, `waiting`."""

    offered: int
    answered: int
    answered_within: int
    abandoned: int
    short_abandons: int
    timeouts: int
    no_agent: int
    key_exits: int
    callbacks: int
    overflows: int
    full: int
    closed: int
    failures: int
    waiting: int
    abandon_rate: float | None
    sl_all: float | None
    sl_short: float | None
    asa_ms: float | None
    awt_ms: float | None
    max_wait_ms: int | None
    p90_wait_ms: int | None
    att_ms: float | None
    hold_ms: float | None
    acw_ms: float | None
    aht_ms: float | None
    transfer_rate: float | None


# --- counts -----------------------------------------------------------------------------------


def offered(entries: Entries) -> int:
    """Queue entries; those that found it `full` or `closed` are among them and shown beside."""
    return len(entries)


def answered(entries: Entries) -> int:
    """Entries with two-way audio to an agent; menus and voicemail are no answers."""
    return sum(e.answered for e in entries)


def answered_within(entries: Entries, within_ms: int) -> int:
    """Answered after a wait of at most T."""
    return sum(e.answered and _wait(e) <= within_ms for e in entries)


def abandoned(entries: Entries) -> int:
    """The caller hung up while waiting; timeouts, no agent and key exits are not abandons."""
    return left(entries, "abandoned")


def abandoned_within(entries: Entries, within_ms: int) -> int:
    """Abandoned after a wait of at most T."""
    return sum(_abandoned(e) and _wait(e) <= within_ms for e in entries)


def short_abandons(entries: Entries, short_ms: int) -> int:
    """Abandoned after a wait of at most S: a wrong number, a change of mind."""
    return abandoned_within(entries, short_ms)


def left(entries: Entries, reason: str) -> int:
    """Entries that left the queue for this reason without an answer."""
    return sum(e.reason == reason and not e.answered for e in entries)


def waiting(entries: Entries) -> int:
    """Entries whose wait still goes on."""
    return sum(e.wait_end_at is None for e in entries)


def offered_line(facts: Iterable[Fact]) -> int:
    """Calls presented on the lines, and busy signals because all lines were in use.

    An analog line cannot see who met busy at the exchange.
    """
    return sum(_presented(f) or isinstance(f, LineBusy) for f in facts)


# --- rates ------------------------------------------------------------------------------------


def abandon_rate(entries: Entries, short_ms: int) -> float | None:
    """Abandoned with wait > S / (offered - short abandons - closed)."""
    short = short_abandons(entries, short_ms)
    return _ratio(abandoned(entries) - short, offered(entries) - short - left(entries, "closed"))


def blocked_rate(entries: Entries, facts: Sequence[Fact]) -> float | None:
    """(full + all lines busy) / offered_line."""
    busy = sum(isinstance(f, LineBusy) for f in facts)
    return _ratio(left(entries, "full") + busy, offered_line(facts))


def transfer_rate(entries: Entries, mode: str | None = None) -> float | None:
    """Answered entries with at least one transfer (of this mode) / answered."""
    passed = sum(
        e.answered and bool(e.transfers if mode is None else mode in e.transfers) for e in entries
    )
    return _ratio(passed, answered(entries))


# --- service level ----------------------------------------------------------------------------


def SL_ALL(entries: Entries, within_ms: int) -> float | None:
    """Answered within T / (answered + abandoned). The default."""
    return _ratio(answered_within(entries, within_ms), answered(entries) + abandoned(entries))


def SL_ANS(entries: Entries, within_ms: int) -> float | None:
    """Answered within T / answered. Flatters: who gave up is not counted."""
    return _ratio(answered_within(entries, within_ms), answered(entries))


def SL_NOAB(entries: Entries, within_ms: int) -> float | None:
    """Answered within T / (answered + abandoned after T)."""
    late = abandoned(entries) - abandoned_within(entries, within_ms)
    return _ratio(answered_within(entries, within_ms), answered(entries) + late)


def SL_POS(entries: Entries, within_ms: int) -> float | None:
    """(Answered within T + abandoned within T) / (answered + abandoned)."""
    good = answered_within(entries, within_ms) + abandoned_within(entries, within_ms)
    return _ratio(good, answered(entries) + abandoned(entries))


def SL_SHORT(entries: Entries, within_ms: int, short_ms: int) -> float | None:
    """Answered within T / (answered + abandoned - abandoned within S). The second figure."""
    return _ratio(answered_within(entries, within_ms), _but_short(entries, short_ms))


def SL_CREDIT(entries: Entries, within_ms: int, short_ms: int) -> float | None:
    """(Answered within T + abandoned within S) / (answered + abandoned)."""
    good = answered_within(entries, within_ms) + short_abandons(entries, short_ms)
    return _ratio(good, answered(entries) + abandoned(entries))


def SL_FLOW(entries: Entries, within_ms: int, short_ms: int) -> float | None:
    """As SL_SHORT with timeouts and overflows in the denominator: shows what leaves sideways."""
    aside = left(entries, "timeout") + left(entries, "overflow")
    return _ratio(answered_within(entries, within_ms), _but_short(entries, short_ms) + aside)


def SL_EVENT(
    entries: Entries, within_ms: int, since_ms: int, until_ms: int, now: int
) -> float | None:
    """Answered within T / entries that were answered, abandoned or crossed T, all in
    `since_ms <= t < until_ms` and up to `now`. For a live board: a long wait hurts while it
    lasts. An entry to which several of them happened in the interval counts once."""

    def inside(at: int | None) -> bool:
        return at is not None and since_ms <= at < until_ms and at <= now

    good = 0
    counted = 0
    for e in entries:
        end = e.wait_end_at
        crossing = e.wait_start_at + within_ms
        crossed = (now if end is None else end) > crossing and inside(crossing)
        met = inside(end) and (e.answered or _abandoned(e))
        counted += crossed or met
        good += e.answered and inside(end) and _wait(e) <= within_ms
    return _ratio(good, counted)


# --- waits ------------------------------------------------------------------------------------


def ASA(entries: Entries) -> float | None:
    """Sum of the waits of answered / answered. Zero waits count, abandons do not."""
    return _mean([_wait(e) for e in entries if e.answered])


def AWT(entries: Entries) -> float | None:
    """Mean wait of all that waited: every entry but those that found the queue full or closed."""
    return _mean(_waits(entries))


def max_wait(entries: Entries, now: int | None = None) -> int | None:
    """Longest wait of all that waited; with `now`, those still waiting count as far as they got."""
    waits = _waits(entries)
    if now is not None:
        waits += [now - e.wait_start_at for e in entries if e.wait_end_at is None]
    return max(waits, default=None)


def p90_wait(entries: Entries) -> int | None:
    """The wait that 90 % of all that waited did not exceed (nearest rank)."""
    waits = sorted(_waits(entries))
    return waits[-(-9 * len(waits) // 10) - 1] if waits else None


# --- handling ---------------------------------------------------------------------------------


def ATT(entries: Entries) -> float | None:
    """Sum of conversation without holds / answered."""
    return _mean([ms for e in entries if (ms := e.talk_ms) is not None])


def hold_time(entries: Entries) -> float | None:
    """Sum of hold / answered."""
    return _mean([ms for e in entries if e.answered and (ms := e.hold_ms) is not None])


def ACW(entries: Entries) -> float | None:
    """Sum of wrap-up / answered."""
    return _mean([ms for e in entries if e.answered and (ms := e.wrap_ms) is not None])


def AHT(entries: Entries) -> float | None:
    """Sum of (talk + hold + wrap-up) / answered."""
    return _mean([ms for e in entries if (ms := handled_ms(e)) is not None])


def handled_ms(entry: Entry) -> int | None:
    """Talk + hold + wrap-up of one entry; None until the wrap-up has ended."""
    talk, hold, wrap = entry.talk_ms, entry.hold_ms, entry.wrap_ms
    return None if talk is None or hold is None or wrap is None else talk + hold + wrap


# --- together ---------------------------------------------------------------------------------


def figures(entries: Entries, rules: QueueRules, now: int) -> QueueFigures:
    """All figures of one queue's entries as they stand at `now`."""
    within, short = rules.within_ms, rules.short_ms
    return QueueFigures(
        offered=offered(entries),
        answered=answered(entries),
        answered_within=answered_within(entries, within),
        abandoned=abandoned(entries),
        short_abandons=short_abandons(entries, short),
        timeouts=left(entries, "timeout"),
        no_agent=left(entries, "no_agent"),
        key_exits=left(entries, "key_exit"),
        callbacks=left(entries, "callback_requested"),
        overflows=left(entries, "overflow"),
        full=left(entries, "full"),
        closed=left(entries, "closed"),
        failures=left(entries, "system_failure"),
        waiting=waiting(entries),
        abandon_rate=abandon_rate(entries, short),
        sl_all=SL_ALL(entries, within),
        sl_short=SL_SHORT(entries, within, short),
        asa_ms=ASA(entries),
        awt_ms=AWT(entries),
        max_wait_ms=max_wait(entries, now),
        p90_wait_ms=p90_wait(entries),
        att_ms=ATT(entries),
        hold_ms=hold_time(entries),
        acw_ms=ACW(entries),
        aht_ms=AHT(entries),
        transfer_rate=transfer_rate(entries),
    )


SERVICE_LEVELS: Final[dict[str, Callable[..., float | None]]] = {
    f.__name__: f for f in (SL_ALL, SL_ANS, SL_NOAB, SL_POS, SL_SHORT, SL_CREDIT, SL_FLOW, SL_EVENT)
}
"""By the name that a report prints beside the figure."""


def _wait(entry: Entry) -> int:
    """The wait of an entry that has one."""
    wait = entry.wait_ms
    return 0 if wait is None else wait


def _waits(entries: Entries) -> list[int]:
    return [
        wait
        for e in entries
        if (wait := e.wait_ms) is not None and e.reason not in ("full", "closed")
    ]


def _abandoned(entry: Entry) -> bool:
    return entry.reason == "abandoned" and not entry.answered


def _but_short(entries: Entries, short_ms: int) -> int:
    return answered(entries) + abandoned(entries) - short_abandons(entries, short_ms)


def _presented(fact: Fact) -> bool:
    return isinstance(fact, LineSeized) and fact.direction == "in"


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _mean(values: Sequence[int]) -> float | None:
    return _ratio(sum(values), len(values))
