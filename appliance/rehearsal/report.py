"""What a rehearsed day says: figures by the half hour and queue, time of the agents, what one more
or one fewer would change. Every figure is that of the reports, from facts of the same kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from appliance.events import AgentState, Fact
from appliance.ledger.projection import Entry, project_entry
from appliance.rehearsal.crowd import Habits
from appliance.rehearsal.day import Day, Outcome
from appliance.reports.agents import agent_times, occupancy
from appliance.reports.intervals import HALF_HOUR, interval_figures, intervals
from appliance.reports.kpi import SERVICE_LEVELS, QueueFigures, QueueRules, figures
from appliance.site.hours import DAYS
from appliance.site.model import Hours, Site, parse_span

WHAT_IF_DAYS: Final = 20
"""Days that a comparison is the mean of: one day alone is luck."""
_OPEN: Final = (time(9), time(17))
_HELPER: Final = "one_more"


def open_times(site: Site, day: date) -> tuple[int, int]:
    """First opening and last closing of the office on this day, UTC ms; nine to five for an
    office without hours, or closed on that day."""
    spans = [
        parse_span(span)
        for hours in site.hours.values()
        for span in _spans(hours, day)
        if day not in hours.holidays
    ]
    opens = min((start for start, _ in spans), default=_OPEN[0])
    closes = max((end for _, end in spans), default=_OPEN[1])
    zone = site.office.zone
    return (
        int(datetime.combine(day, opens, zone).timestamp() * 1000),
        int(datetime.combine(day, closes, zone).timestamp() * 1000),
    )


def _spans(hours: Hours, day: date) -> tuple[str, ...]:
    spans: tuple[str, ...] = getattr(hours, DAYS[day.weekday()])
    return spans


def entries_of(facts: Sequence[Fact]) -> list[Entry]:
    """The stays in queues that these facts describe, by their beginning."""
    by_entry: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        entry = getattr(fact, "entry", None)
        if entry is not None:
            by_entry[entry].append(fact)
    found = [one for group in by_entry.values() if (one := project_entry(group)) is not None]
    return sorted(found, key=lambda one: one.enter_at)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One day and the document it was played with."""

    site: Site
    outcome: Outcome
    entries: list[Entry]

    def rules(self, queue: str) -> QueueRules:
        return QueueRules(
            self.site.queues[queue].service_level_s, self.site.queues[queue].short_abandon_s
        )

    def figures(self, queue: str) -> QueueFigures:
        of = [entry for entry in self.entries if entry.queue == queue]
        return figures(of, self.rules(queue), self.outcome.ended)


def rehearse(site: Site, habits: Habits, seed: int, day: date) -> Rehearsed:
    """Play one day."""
    opens, closes = open_times(site, day)
    outcome = Day(site, habits, seed, opens, closes).run()
    return Rehearsed(site, outcome, entries_of(outcome.facts))


def lines(played: Rehearsed, day: date) -> Iterator[str]:
    """The day in words and tables."""
    out, zone = played.outcome, played.site.office.zone
    hours = [datetime.fromtimestamp(at / 1000, zone) for at in (out.opens, out.closes)]
    yield (
        f"{played.site.office.name}, {day:%A %Y-%m-%d}, {hours[0]:%H:%M} to {hours[1]:%H:%M}:"
        f" {out.arrivals} calls, {out.blocked} found every line busy"
    )
    queues = [queue for queue in played.site.queues if played.figures(queue).offered]
    for queue in queues:
        yield from _queue(played, queue)
    yield ""
    yield from _by_interval(played, day, queues)
    yield ""
    yield from _agents(played)


def _queue(played: Rehearsed, queue: str) -> Iterator[str]:
    one, rules = played.figures(queue), played.rules(queue)
    of = [entry for entry in played.entries if entry.queue == queue]
    yield ""
    yield f"{played.site.queues[queue].name}"
    left = Counter(entry.reason or "waiting" for entry in of if not entry.answered)
    aside = ", ".join(f"{count} {reason}" for reason, count in left.most_common())
    yield f"  offered {one.offered}: answered {one.answered}" + (f", {aside}" if aside else "")
    yield (
        f"  wait: mean of answered {_s(one.asa_ms)}, nine of ten within {_s(one.p90_wait_ms)},"
        f" longest {_s(one.max_wait_ms)}; abandon rate {_pct(one.abandon_rate)}"
    )
    yield f"  talk {_s(one.att_ms)}, wrap-up {_s(one.acw_ms)}, handling {_s(one.aht_ms)}"
    levels = []
    for name, level in SERVICE_LEVELS.items():
        if name in ("SL_SHORT", "SL_CREDIT", "SL_FLOW"):
            levels.append(f"{name} {_pct(level(of, rules.within_ms, rules.short_ms))}")
        elif name != "SL_EVENT":
            levels.append(f"{name} {_pct(level(of, rules.within_ms))}")
    yield f"  within {rules.service_level_s} s: " + ", ".join(levels)


def _by_interval(played: Rehearsed, day: date, queues: Sequence[str]) -> Iterator[str]:
    rows = [
        row
        for row in intervals(day, day, played.site.office.zone, HALF_HOUR)
        if row.end_ms > played.outcome.opens and row.start_ms < played.outcome.ended
    ]
    tables = {
        queue: interval_figures(
            [entry for entry in played.entries if entry.queue == queue],
            rows,
            played.rules(queue),
            played.outcome.ended,
        )
        for queue in queues
    }
    yield "       " + "".join(f"  {played.site.queues[queue].name[:20]:<24}" for queue in queues)
    yield "from   " + "".join("  calls  answ.  SL     wait  " for _ in queues)
    for index, row in enumerate(rows):
        cells = ""
        for queue in queues:
            one = tables[queue][index][1]
            cells += (
                f"  {one.offered:>5}  {one.answered:>5}  {_pct(one.sl_all):<5} {_s(one.asa_ms):>6}"
            )
        yield f"{row.label[11:16]}  {cells}"


def _agents(played: Rehearsed) -> Iterator[str]:
    out = played.outcome
    states = [fact for fact in out.facts if isinstance(fact, AgentState)]
    calls = Counter(entry.agent for entry in played.entries if entry.answered)
    for one in agent_times(played.entries, states, out.opens, out.ended, out.ended):
        busy = occupancy(one)
        tired = "  (above 85 %: nobody bears that for long)" if (busy or 0) > 0.85 else ""
        yield (
            f"{played.site.people[one.agent].name}: {calls[one.agent]} calls,"
            f" occupancy {_pct(busy)}{tired}"
        )


# --- what if --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One other office, and how it did on average over the same days."""

    what: str
    service_level: float | None
    abandon_rate: float | None
    asa_ms: float | None
    blocked: float


def what_if(site: Site, habits: Habits, seed: int, day: date) -> Iterator[Change]:
    """The office as it is, then with one agent more, one fewer, and one line more."""
    yield _mean("as it is", site, habits, seed, day)
    more, fewer = with_agent(site), without_agent(site)
    yield _mean("one agent more", more, habits, seed, day)
    if fewer is not None:
        yield _mean("one agent fewer", fewer, habits, seed, day)
    yield _mean("one line more", with_line(site), habits, seed, day)


def _mean(what: str, site: Site, habits: Habits, seed: int, day: date) -> Change:
    played = [rehearse(site, habits, seed + n, day) for n in range(WHAT_IF_DAYS)]
    entries = [entry for one in played for entry in one.entries]
    answered = sum(entry.answered for entry in entries)
    abandoned = sum(entry.reason == "abandoned" for entry in entries)
    within = sum(
        entry.answered and (entry.wait_ms or 0) <= site.queues[entry.queue].service_level_s * 1000
        for entry in entries
    )
    waits = [entry.wait_ms or 0 for entry in entries if entry.answered]
    arrivals = sum(one.outcome.arrivals for one in played)
    return Change(
        what,
        within / (answered + abandoned) if answered + abandoned else None,
        abandoned / len(entries) if entries else None,
        sum(waits) / len(waits) if waits else None,
        sum(one.outcome.blocked for one in played) / arrivals if arrivals else 0.0,
    )


def with_agent(site: Site) -> Site:
    """The office with one more agent, in every queue."""
    somebody = next(iter(site.people.values()))
    people = dict(site.people)
    people[_HELPER] = somebody.model_copy(
        update={"name": "One more", "extension": None, "phone": None, "door": "browser"}
    )
    queues = {
        name: queue.model_copy(update={"agents": (*queue.agents, _HELPER)})
        for name, queue in site.queues.items()
    }
    return site.model_copy(update={"people": people, "queues": queues})


def without_agent(site: Site) -> Site | None:
    """The office without the agent of most queues; None when a queue would have nobody left."""
    counts = Counter(agent for queue in site.queues.values() for agent in queue.agents)
    if not counts:
        return None
    gone = counts.most_common(1)[0][0]
    queues = {
        name: queue.model_copy(
            update={"agents": tuple(agent for agent in queue.agents if agent != gone)}
        )
        for name, queue in site.queues.items()
    }
    if any(not queue.agents for queue in queues.values()):
        return None
    return site.model_copy(update={"queues": queues})


def with_line(site: Site) -> Site:
    """The office with one more of its first line, or one more channel of its first trunk."""
    lines = dict(site.lines)
    if not lines:
        return site
    name, line = next(iter(lines.items()))
    if line.kind == "modem":
        lines[_HELPER] = line.model_copy(update={"device": "/dev/one-more"})
    else:
        lines[name] = line.model_copy(update={"channels": line.channels + 1})
    return site.model_copy(update={"lines": lines})


def comparison(changes: Sequence[Change]) -> Iterator[str]:
    """The comparison as a table."""
    yield f"mean of {WHAT_IF_DAYS} days      in time  abandon  wait    lines busy"
    for one in changes:
        yield (
            f"{one.what:<20} {_pct(one.service_level):>6}   {_pct(one.abandon_rate):>6}  "
            f"{_s(one.asa_ms):>6}  {_pct(one.blocked):>6}"
        )


def _s(ms: float | None) -> str:
    if ms is None:
        return "-"
    seconds = round(ms / 1000)
    return f"{seconds} s" if seconds < 100 else f"{seconds // 60}:{seconds % 60:02d}"


def _pct(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.0f} %"
