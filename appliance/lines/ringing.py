"""One incoming call until it is answered: ring bursts, caller ID, and how it ends unanswered.

A line says that it rings and never that it stopped, so the end is a silence. Caller ID may come
before the first burst (line reversal schemes), between the first two, late, in part or not at all;
whoever listens gets `Ringing`, then exactly one `CallerId`, then perhaps `RingEnded`.
"""

from __future__ import annotations

from typing import Final

from appliance.lines.callerid import CallerRecord
from appliance.lines.line import CallerId, LineEvent, RingEnded, Ringing

_SAME_BURST_MS: Final = 1000
"""Reports closer together than this are one burst (0.4 s on, 0.2 s off, 0.4 s on in Britain)."""
_EARLY_RECORD_MS: Final = 10_000
"""A record that came before the first burst is forgotten after this long without one."""


class RingWatch:
    """All times in milliseconds. `ring_ms` is the longest burst: most modems report its start."""

    def __init__(
        self, *, gap_ms: int, ring_ms: int, cid_wait_ms: int, quiet_ms: int, partial_ms: int
    ) -> None:
        self._gap_ms = gap_ms
        self._ring_ms = ring_ms
        self._cid_wait_ms = cid_wait_ms
        self._quiet_ms = quiet_ms
        self._partial_ms = partial_ms
        self._reset()

    def _reset(self) -> None:
        self.ringing = False
        """A call is there and was not refused."""
        self._last_ring: int | None = None
        self._refused = False
        self._record: CallerRecord | None = None
        self._last_field = 0
        self._told = False
        self._cid_due: int | None = None

    @property
    def quiet(self) -> bool:
        """No burst and no caller ID for a while: the line may be talked to."""
        return self._last_ring is None and self._record is None

    def ring(self, now: int) -> list[LineEvent]:
        last, self._last_ring = self._last_ring, now
        if self._refused or (last is not None and now - last < _SAME_BURST_MS):
            return []
        if not self.ringing:
            self.ringing = True
            self._cid_due = now + self._ring_ms + self._cid_wait_ms
        events: list[LineEvent] = [Ringing()]
        if self._record is not None and not self._told and self._record.complete:
            events += self._tell()
        return events

    def field(self, key: str, value: str, now: int) -> list[LineEvent]:
        """One line of caller ID, or `DRON`/`DROF` (lengths of a burst and of its pause)."""
        if key in ("DRON", "DROF"):
            return self._cadence(key, now)
        if self._told or self._refused:
            return []
        if self._record is None:
            self._record = CallerRecord()
        self._record.add(key, value)
        self._last_field = now
        return self._tell() if self.ringing and self._record.complete else []

    def _cadence(self, key: str, now: int) -> list[LineEvent]:
        if self._last_ring is None or now - self._last_ring >= self._ring_ms + _SAME_BURST_MS:
            # Units with distinctive ring switched on may say this instead of RING.
            return self.ring(now) if key == "DRON" else []
        self._last_ring = now
        if key == "DRON" and not self._told and self._cid_due is not None:
            self._cid_due = min(self._cid_due, now + self._cid_wait_ms)
        return []

    def tick(self, now: int) -> list[LineEvent]:
        events: list[LineEvent] = []
        due = self._record_due()
        if due is not None and now >= due:
            if self.ringing:
                events += self._tell()
            else:
                self._record = None
        if self._last_ring is not None and now - self._last_ring >= self._gap_ms:
            events += self.lost()
        return events

    def next_deadline(self) -> int | None:
        due = self._record_due()
        if self._last_ring is None:
            return due
        end = self._last_ring + self._gap_ms
        return end if due is None else min(end, due)

    def _record_due(self) -> int | None:
        if self._told or self._refused:
            return None
        if not self.ringing:
            return None if self._record is None else self._last_field + _EARLY_RECORD_MS
        due = self._cid_due
        if self._record is not None:
            quiet = self._quiet_ms if self._record.has_number else self._partial_ms
            whole = self._last_field + quiet
            due = whole if due is None else min(due, whole)
        return due

    def _tell(self) -> list[LineEvent]:
        self._told = True
        record = self._record
        return [CallerId(None, None, "missing") if record is None else record.result()]

    def take(self) -> list[LineEvent]:
        """The call is being answered: what is known of the caller is given now."""
        events = self._tell() if self.ringing and not self._told else []
        self._reset()
        return events

    def refuse(self) -> list[LineEvent]:
        """Nobody wants this call: its further bursts are kept quiet until they stop."""
        if not self.ringing:
            return []
        events = [] if self._told else self._tell()
        self.ringing = False
        self._refused = True
        return events

    def lost(self) -> list[LineEvent]:
        """The call is over without an answer."""
        events: list[LineEvent] = []
        if self.ringing:
            events = [] if self._told else self._tell()
            events.append(RingEnded())
        self._reset()
        return events
