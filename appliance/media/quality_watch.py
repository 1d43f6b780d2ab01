"""Keeps the account of every leg's quality: reads the jitter buffers and what the doors know of the
other side, at a tick of each leg's own, so that many legs do not come at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from appliance.media import protocol, quality
from appliance.media.engine import Engine, Leg
from appliance.media.quality import Counts, Far, Meter

_STEP: Final = 37
"""Steps of 37 of 100 keep neighbouring slots well apart."""

FarOf = Callable[[Leg], Far | None]


class _Account:
    __slots__ = ("leg", "meter", "reported_at", "sampled_at")

    def __init__(self, leg: Leg, now: int) -> None:
        self.leg = leg
        self.meter = Meter(leg.number, leg.door)
        self.sampled_at = self.reported_at = now


class QualityWatch:
    """`far_of` tells what is known of a leg's other side."""

    def __init__(self, engine: Engine, far_of: FarOf) -> None:
        self._engine = engine
        self._far_of = far_of
        self._accounts: dict[int, _Account] = {}
        self._turns: list[list[_Account]] = [[] for _ in range(quality.SAMPLE_TICKS)]

    def open(self, leg: Leg) -> None:
        account = _Account(leg, self._engine.now)
        self._accounts[leg.number] = account
        self._turns[leg.slot * _STEP % quality.SAMPLE_TICKS].append(account)

    def close(self, number: int) -> protocol.LegQuality | None:
        """The last word about a leg that is about to be closed; None for an unknown one."""
        account = self._accounts.pop(number, None)
        if account is None:
            return None
        self._turns[account.leg.slot * _STEP % quality.SAMPLE_TICKS].remove(account)
        self._sample(account)
        return self._report(account, closed=True)

    def forget(self) -> None:
        """Nobody asks for these legs any more."""
        self._accounts.clear()
        for turn in self._turns:
            turn.clear()

    def tick(self) -> list[protocol.LegQuality]:
        """Reports that are due."""
        reports = []
        for account in self._turns[self._engine.now % quality.SAMPLE_TICKS]:
            self._sample(account)
            if self._engine.now - account.reported_at >= quality.REPORT_TICKS:
                reports.append(self._report(account, closed=False))
        return reports

    def _sample(self, account: _Account) -> None:
        ring, slot, now = self._engine.ring, account.leg.slot, self._engine.now
        account.meter.frames += now - account.sampled_at
        account.sampled_at = now
        account.meter.sample(
            int(ring.ssrc[slot]),
            Counts(
                int(ring.received[slot]),
                ring.lost(slot) if account.leg.door != "line" else 0,
                int(ring.late[slot]),
                int(ring.concealed[slot]),
                int(ring.gaps[slot]),
            ),
        )

    def _report(self, account: _Account, closed: bool) -> protocol.LegQuality:
        ring, slot = self._engine.ring, account.leg.slot
        account.reported_at = self._engine.now
        packets = account.leg.door != "line"
        far = self._far_of(account.leg) or Far()
        pace = ring.ppm(slot)
        if pace is not None:
            # Measured on the audio itself, which is worth more than what reports say.
            far = replace(far, clock_ppm=pace)
        return account.meter.report(
            float(ring.jitter[slot]) / 8 if packets else 0.0,
            ring.delay_ms(slot) if ring.ssrc[slot] >= 0 else 0.0,
            far,
            closed,
        )
