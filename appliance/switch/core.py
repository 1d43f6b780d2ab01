"""The switch: one step for each thing that happens.

`handle` takes an event of a door, of the media process or of a page; `tick` lets time pass. Each
step leaves facts and actions in the world, in the order in which they hold: the facts go to disk,
then the actions are carried out. Nothing here waits, reads a clock or touches a socket, so a day
of calls runs in seconds and every test drives the machine that serves the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from appliance import live
from appliance.acd import events as acd
from appliance.acd.callback import CallBacks
from appliance.acd.machine import Acd
from appliance.events import Fact, RecordingEnded, SystemStopped, Transfer
from appliance.ledger.projection import MessageRow
from appliance.media import protocol as p
from appliance.numbering import numbering
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import (
    callbacks,
    calls,
    dialling,
    features,
    heard,
    lamps,
    line_door,
    loudness,
    messages,
    meters,
    parking,
    queueing,
    requests,
    routing,
    sip_door,
    verdicts,
    voices,
)
from appliance.switch.actions import Action, SipPublish
from appliance.switch.countries import plans
from appliance.switch.legs import drop
from appliance.switch.model import Call, Desk, LineDesk, World
from appliance.switch.parties import leave
from appliance.switch.ports import PortPool
from appliance.switch.reform import reform


class Switch:
    """`new_id(prefix)` gives ids that never come again, also not after a restart. `data` is the
    data directory's absolute path, only ever used to build paths."""

    def __init__(self, site: Site, data: str, new_id: Callable[[str], str]) -> None:
        self.w = World(
            site=site,
            data=data,
            acd=Acd(site.queues, site.people, new_id),
            back=CallBacks(site.queues, new_id),
            new_id=new_id,
            ports=PortPool(*site.sip.rtp_ports),
            plan=plans()[site.office.country],
            numbering=numbering(site.office.country, site.office.area),
        )
        self.w.spending.zone = site.office.zone
        for line_id, line in site.lines.items():
            if line.kind == "modem":
                self.w.lines[line_id] = LineDesk(line_id)
        for person_id, person in site.people.items():
            self.w.desks[person_id] = Desk(person_id, person)

    # --- one step ---------------------------------------------------------------------------

    def handle(self, event: p.Event | sip.Event, now: int) -> None:
        """Take one event of the media process or of SIP."""
        self.w.now = now
        if isinstance(event, p.Message):
            self._media_event(event)
        else:
            sip_door.handle(self.w, event)
        self._settle()

    def request(self, request: live.Request, now: int) -> str | None:
        """Carry out what a person asked for; the id of what that made, if anything. Raises
        `requests.Unwilling`."""
        self.w.now = now
        try:
            return requests.handle(self.w, request)
        finally:
            self._settle()

    def reform(self, site: Site, now: int) -> None:
        """From here on this site document holds; nobody who waits or talks notices."""
        self.w.now = now
        reform(self.w, site)
        self._settle()

    def program_answered(
        self, call: str, token: int, values: Mapping[str, str] | None, now: int
    ) -> None:
        """A program that was asked for a call answered; None: it did not."""
        self.w.now = now
        routing.program_answered(self.w, call, token, values)
        self._settle()

    def tick(self, now: int) -> None:
        """Let time pass: everything due at `now` happens."""
        w = self.w
        w.now = now
        queueing.carry_out(w, w.acd.tick(now))
        self._settle()
        callbacks.carry_out(w, w.back.tick(now))
        self._settle()
        for call in list(w.calls.values()):
            if not call.ended:
                self._call_time(call)
            self._settle()
        for desk in w.desks.values():
            since = desk.absent_since
            if since is not None and now - since >= requests.ABSENT_MS and desk.call is None:
                desk.absent_since = None
                if desk.door == "browser" and w.acd.agent(desk.id).phase != "offline":
                    w.tell(acd.SetState(desk.id, "offline", "page closed"))
        self._settle()

    def next_deadline(self) -> int | None:
        """When `tick` has something to do next."""
        w = self.w
        times = [w.acd.next_deadline(), w.back.next_deadline()]
        for call in w.calls.values():
            times += [call.live_by, call.parked_until, call.end_at, call.screened_until]
            times.append(call.looked_until)
            if call.attempt is not None:
                times += [call.attempt.until, call.attempt.retry_at]
            if call.orbit is not None:
                times.append(call.orbit_until)
            for leg in call.legs:
                times += [leg.cut_at, leg.lost_until]
            if call.menu is not None:
                times.append(call.menu.next_deadline())
            if call.wish is not None:
                times.append(call.wish.next_deadline())
            if call.listening is not None:
                times.append(call.listening.deadline)
        times += [
            desk.absent_since + requests.ABSENT_MS
            for desk in w.desks.values()
            if desk.absent_since is not None and desk.call is None
        ]
        return min((t for t in times if t is not None), default=None)

    def take(self) -> tuple[list[Fact], list[Action]]:
        """The facts and actions since the last call."""
        w = self.w
        facts, actions = w.facts, w.actions
        w.facts, w.actions, w.lit_mark = [], [], (0, 0)
        return facts, actions

    def take_published(self) -> list[Action]:
        """Of the actions since the last call to `take` those that tell what phones can watch."""
        w = self.w
        published = [one for one in w.actions if isinstance(one, SipPublish)]
        w.actions = [one for one in w.actions if not isinstance(one, SipPublish)]
        w.lit_mark = (-1, -1)
        return list(published)

    def _settle(self) -> None:
        """Let the acd take what it was told, then the call-backs, then close the calls that ended
        in this step."""
        w = self.w
        while w.told or w.wishes or w.over or w.requeue or w.to_box:
            while w.to_box:
                call, box = w.to_box.pop()
                if not call.ended:
                    routing.go(w, call, f"voicemail:{box}")
            while w.requeue:
                routing.requeue(w, w.requeue.pop())
            while w.told or w.wishes:
                if w.told:
                    queueing.carry_out(w, w.acd.handle(w.told.popleft(), w.now))
                else:
                    callbacks.take(w, w.wishes.popleft())
            for call, fact in w.over:
                w.calls.pop(call.id, None)
                w.fact(fact)
            w.over.clear()
        messages.light(w)
        lamps.light(w)

    def _call_time(self, call: Call) -> None:
        w = self.w
        if call.menu is not None:
            due = call.menu.next_deadline()
            if due is not None and due <= w.now:
                routing.carry_out(w, call, call.menu.tick(w.now))
        if call.looked_until is not None and call.looked_until <= w.now:
            meters.look_away(w, call)
        if call.wish is not None:
            callbacks.steps(w, call, call.wish.tick(w.now))
        if call.listening is not None:
            features.heard(w, call, call.listening.tick(w.now))
        if call.screened_until is not None and call.screened_until <= w.now:
            callbacks.screened(w, call)
        if call.live_by is not None and call.live_by <= w.now:
            calls.bridge_live(w, call)
        if call.parked_until is not None and call.parked_until <= w.now:
            self._give_up_on_agent(call)
        for leg in call.legs:
            if leg.lost_until is not None and leg.lost_until <= w.now:
                leave(w, leg, "media_lost", gone=False)
            elif leg.cut_at is not None and leg.cut_at <= w.now:
                leave(w, leg, "ceiling", gone=False, side="system")
        attempt = call.attempt
        if attempt is not None and attempt.until is not None and attempt.until <= w.now:
            dialling.no_answer(w, call)
        elif attempt is not None and attempt.retry_at is not None and attempt.retry_at <= w.now:
            dialling.next_line(w, call, "no_line")
        if call.orbit is not None and call.orbit_until <= w.now and not call.ended:
            parking.time_out(w, call)
        if call.end_at is not None and call.end_at <= w.now:
            calls.end_call(w, call, "system", call.end_cause)

    def _give_up_on_agent(self, call: Call) -> None:
        """The agent's page did not come back: the caller goes to the head of the queue."""
        w = self.w
        call.parked_until = None
        entry, queue, agent = call.entry, call.queue, call.linked_agent
        if entry is None or queue is None or call.b is None or agent is None:
            calls.end_call(w, call, "system", "media_lost")
            return
        calls.release_hold(w, call)
        voices.stop_recording(w, call)
        for watcher in list(call.watchers):
            calls.close_watch(w, call, watcher)
            calls.let_go(w, call, watcher.leg, gone=False)
        b, call.b = call.b, None
        voices.arrange(w, call)
        drop(w, b)
        call.bridge_live = False
        call.talk_since = 0
        w.fact(
            Transfer(
                at=w.now,
                call=call.id,
                mode="queue",
                by=f"agent:{agent}",
                to=f"queue:{queue}",
                entry=entry,
            )
        )
        calls.free_agents(w, call)
        routing.enter(w, call, queue, parent=entry, raise_by=1)

    def remember(self, spoke: Iterable[acd.Spoke], now: int) -> None:
        """Who spoke with whom before this start, for the queues that ask the last agent first."""
        self.w.now = now
        for event in spoke:
            key = self.w.numbering.key(event.caller)
            self.w.tell(event if key is None else replace(event, caller=key))
        self._settle()

    def remember_callbacks(self, past: Iterable[Fact], now: int) -> None:
        """Take up the call-backs that were open before this start; see `CallBacks.restore`."""
        w = self.w
        w.now = now
        callbacks.carry_out(w, w.back.restore(past, now))
        callbacks.carry_out(w, w.back.rules(w.site.queues, now))
        self._settle()

    def remember_messages(self, rows: Iterable[MessageRow], now: int) -> None:
        """What lay in the boxes before this start."""
        self.w.now = now
        messages.restore(self.w, rows)
        self._settle()

    def forget_messages(self, before: int, now: int) -> None:
        """The recordings from before this moment are gone from the disk."""
        self.w.now = now
        messages.forget(self.w, before)
        self._settle()

    def restore(self, today: Iterable[Fact], now: int) -> None:
        """What was dialled earlier today, for the ceilings."""
        self.w.now = now
        self.w.spending.restore(today, now)

    def pin_checked(self, call: str, ok: bool, now: int) -> None:
        """The answer to `CheckPin`."""
        self.w.now = now
        features.pin_checked(self.w, call, ok)
        self._settle()

    # --- media ------------------------------------------------------------------------------

    def media_up(self, now: int) -> None:
        """Every media process is ready."""
        w = self.w
        w.now = now
        w.media_ready = True
        w.clear("media")
        self._settle()

    def media_lost(self, now: int, *, left: int = 0, legs: Collection[int] | None = None) -> None:
        """A media process is gone with these legs (None: all); `left` others carry calls. What it
        takes with it comes as events of lines and pages, everything else goes on as soon as it is
        back."""
        w = self.w
        w.now = now
        w.media_ready = w.media_ready and left > 0
        w.alarm(
            "media",
            "critical",
            "Audio is restarting",
            "The audio process stopped; calls on SIP phones continue in a moment.",
            "If this repeats, send the log to support.",
        )
        verdicts.media_lost(w, legs)
        self._settle()

    def _media_event(self, event: p.Message) -> None:
        w = self.w
        match event:
            case p.Key():
                leg = w.legs.get(event.leg)
                if leg is not None:
                    features.key(w, leg, event.digit, event.source)
            case p.PlayEnded():
                self._play_ended(event.token)
            case p.BridgeLive():
                for call in w.calls.values():
                    if call.bridge == event.bridge:
                        calls.bridge_live(w, call)
                        break
            case p.LegFailed():
                leg = w.legs.get(event.leg)
                if leg is not None:
                    queueing.leg_failed(w, leg, event.reason)
            case p.LegQuiet():
                self._leg_quiet(event)
            case p.RecordingClosed():
                call_id = event.recording.rpartition("-")[0]
                w.recordings.pop(event.recording, None)
                for call in w.calls.values():
                    if call.recording == event.recording:
                        call.recording = None
                w.fact(
                    RecordingEnded(
                        at=w.now,
                        call=call_id,
                        recording=event.recording,
                        duration_ms=event.duration_ms,
                        reason=event.reason,
                    )
                )
            case p.ToneHeard():
                heard.tone(w, event)
            case p.FaxHeard():
                heard.fax(w, event)
            case p.LegLevel():
                loudness.heard(w, event)
                meters.heard(w, event)
                heard.level(w, event)
            case p.MachineHeard():
                heard.machine(w, event)
            case p.PeerState():
                self._peer_state(event.peer, event.state)
            case p.LegQuality():
                verdicts.heard(w, event)
            case p.MediaStats():
                self._stats(event)
            case _:
                line_door.handle(self.w, event)

    def _leg_quiet(self, event: p.LegQuiet) -> None:
        """RTP stopped: a phone that lost power never says goodbye."""
        leg = self.w.legs.get(event.leg)
        if leg is None or leg.kind != "sip" or leg.call.held_by is not None:
            return
        if event.quiet_ms >= 30_000 and (leg.session is None or leg.session.receive):
            leave(self.w, leg, "media_lost", gone=False)

    def _stats(self, stats: p.MediaStats) -> None:
        w = self.w
        w.recording_allowed = stats.recording_allowed
        if stats.recording_allowed:
            w.clear("disk")
        else:
            w.alarm(
                "disk",
                "critical",
                "Recording is off: the disk is full",
                f"{stats.free_bytes // 1_000_000} MB are free. Calls go on without recording.",
                "Delete or export old recordings, or attach a larger disk.",
            )

    def _play_ended(self, token: int) -> None:
        w = self.w
        owner = w.tokens.pop(token, None)
        call = None if owner is None else w.calls.get(owner[0])
        if owner is None or call is None or call.ended:
            return
        _, purpose, inner = owner
        if purpose == "menu" and call.menu is not None:
            routing.carry_out(w, call, call.menu.played(inner, w.now))
        elif purpose == "consent":
            if call.met is not None:
                call.consent_given = True
                callbacks.stand_in_line(w, call)
            else:
                routing.consent_heard(w, call)
        elif purpose == "wish" and call.wish is not None:
            callbacks.steps(w, call, call.wish.said(w.now))
        elif purpose == "messages" and call.listening is not None:
            features.heard(w, call, call.listening.said(w.now))
        elif purpose == "park":
            features.orbit_told(w, call, inner)
        elif purpose == "farewell":
            calls.end_call(w, call, "system", call.end_cause)

    def _peer_state(self, agent: str, state: p.PeerStateName) -> None:
        w = self.w
        desk = w.desks.get(agent)
        if desk is None:
            return
        requests.peer_state(w, desk, state)
        call = desk.call
        if state == "connected" or call is None or call.ended or call.parked_until is not None:
            return
        leg = next((x for x in call.legs if x.agent == agent and x.kind == "peer"), None)
        if leg is not None and leg.state == "up":
            queueing.leg_failed(w, leg, f"the page of {agent} is gone")

    # --- start and stop ---------------------------------------------------------------------

    def stop(self, now: int) -> None:
        """Stopped in order: every call is told goodbye, nothing is left open."""
        w = self.w
        w.now, w.stopping = now, True
        for call in list(w.calls.values()):
            calls.end_call(w, call, "system", "system_stopped")
        self._settle()
        for desk in w.desks.values():
            if w.acd.agent(desk.id).phase != "offline":
                w.tell(acd.SetState(desk.id, "offline", "box stopped"))
        self._settle()
        w.fact(SystemStopped(at=now))
