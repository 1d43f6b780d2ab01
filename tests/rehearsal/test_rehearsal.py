"""Rehearsed days: the very switch, honest figures, and agreement with theory."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from appliance.cli import main
from appliance.events import Disconnect, Offer, OfferEnd, QEnter, QLeave
from appliance.rehearsal.crowd import Crowd, Habits
from appliance.rehearsal.day import Day, Outcome
from appliance.rehearsal.report import (
    entries_of,
    lines,
    open_times,
    rehearse,
    with_agent,
    with_line,
    without_agent,
)
from appliance.reports.erlang import erlang_a
from appliance.reports.kpi import SL_ALL, abandon_rate
from appliance.site.load import load, parse
from appliance.site.model import Site

OPENS = 1_795_593_600_000
HOUR = 3_600_000
DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def office() -> Site:
    return load("site.example.toml")


def played(site: Site, habits: Habits, seed: int = 1, hours: float = 8) -> Outcome:
    return Day(site, habits, seed, OPENS, OPENS + int(hours * HOUR)).run()


def test_the_same_seed_is_the_same_day(office: Site) -> None:
    assert played(office, Habits()).facts == played(office, Habits()).facts
    assert played(office, Habits()).facts != played(office, Habits(), seed=2).facts


@pytest.mark.parametrize("seed", range(6))
def test_nobody_is_lost_on_a_day_that_is_too_busy(office: Site, seed: int) -> None:
    out = played(office, Habits(calls=500, patience_s=60, missed=0.2), seed)
    entered = Counter(fact.entry for fact in out.facts if isinstance(fact, QEnter))
    left = Counter(fact.entry for fact in out.facts if isinstance(fact, QLeave))
    assert entered == left
    assert set(entered.values()) == {1}
    offers = Counter(fact.offer for fact in out.facts if isinstance(fact, Offer))
    assert offers == Counter(fact.offer for fact in out.facts if isinstance(fact, OfferEnd))
    ended = Counter(fact.call for fact in out.facts if isinstance(fact, Disconnect))
    assert set(ended.values()) == {1}
    assert [fact.at for fact in out.facts] == sorted(fact.at for fact in out.facts)


def test_calls_come_as_often_as_was_said_and_most_in_the_morning() -> None:
    crowd = Crowd(Habits(calls=4000), seed=3)
    times = [at for at, _ in crowd.arrivals(0, 8 * HOUR)]
    assert len(times) == pytest.approx(4000, rel=0.06)
    by_hour = Counter(at // HOUR for at in times)
    assert by_hour[1] > by_hour[3] < by_hour[5]


def test_a_day_agrees_with_erlang_a() -> None:
    """100 calls in half an hour, handled in 180 s by 14 agents, patience 5 min."""
    agents = [f"a{n}" for n in range(14)]
    people = "".join(f'[people.{one}]\nname = "{one}"\n' for one in agents)
    site = parse(
        f"""
        [lines.sip]
        kind = "trunk"
        name = "Trunk"
        host = "192.0.2.9"
        channels = 60
        route = "queue:q"
        {people}
        [queues.q]
        name = "Q"
        agents = {agents}
        wrap_up_s = 0
        max_wait_s = 0
        max_waiting = 0
        leave_when_empty = false
        """.replace("'", '"')
    )
    habits = Habits(
        calls=3000,
        talk_s=180,
        talk_spread=0,
        patience_s=300,
        short=0,
        again=0,
        answer_s=0,
        missed=0,
        lunch_s=0,
        flat=True,
    )
    out = played(site, habits, hours=15)
    entries = entries_of(out.facts)
    theory = erlang_a(14, 100 / 1800, 180, 300, 20)
    assert out.blocked == 0
    assert SL_ALL(entries, 20_000) == pytest.approx(theory.service_level, abs=0.03)
    assert abandon_rate(entries, 0) == pytest.approx(theory.p_abandon, abs=0.008)


def test_more_agents_and_lines_help_and_fewer_do_not(office: Site) -> None:
    habits = Habits(calls=300)

    def unanswered(site: Site) -> int:
        days = [rehearse(site, habits, seed, DAY) for seed in range(4)]
        return sum(not entry.answered for day in days for entry in day.entries)

    fewer = without_agent(office)
    assert fewer is not None
    assert unanswered(with_agent(office)) < unanswered(office) < unanswered(fewer)
    assert len(with_line(office).lines) == len(office.lines) + 1


def test_the_report_counts_what_the_day_had(office: Site) -> None:
    day = rehearse(office, Habits(), 1, DAY)
    text = "\n".join(lines(day, DAY))
    sales = day.figures("sales")
    assert f"{day.outcome.arrivals} calls" in text
    assert f"offered {sales.offered}: answered {sales.answered}" in text
    for name in ("SL_ALL", "SL_SHORT", "SL_POS", "occupancy"):
        assert name in text


def test_the_day_opens_and_closes_with_the_office(office: Site) -> None:
    opens, closes = open_times(office, DAY)
    assert (closes - opens) / HOUR == 8.5
    assert open_times(office, date(2026, 11, 28)) != (opens, closes)


def test_the_command_plays_the_demo_office(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--calls", "20", "--day", "2026-11-25"]) == 0
    assert "one agent more" in capsys.readouterr().out
    assert main(["rehearse", "--calls", "0"]) == 2
