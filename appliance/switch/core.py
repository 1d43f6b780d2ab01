"""The switch: one step for each thing that happens.

`handle` takes an event of a door, of the media process or of a page; `tick` lets time pass. Each
step leaves facts and actions in the world, in the order in which they hold: the facts go to disk,
then the actions are carried out. Nothing here waits, reads a clock or touches a socket, so a day
of calls runs in seconds and every test drives the machine that serves the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from appliance import live
from appliance.acd import events as acd
from appliance.acd.machine import Acd
from appliance.events import (
    CallerKnown,
    Fact,
    LineBusy,
    LineSeized,
    RecordingEnded,
    SystemStopped,
    Transfer,
)
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.site.model import Site
from appliance.switch import calls, heard, queueing, requests, routing, verdicts
from appliance.switch.actions import Action, SipReanswer, SipReject
from appliance.switch.dialplan import resolve
from appliance.switch.legs import (
    add_leg,
    aim,
    answer_to,
    drop,
    release_line,
    srtp_policy,
    went_up,
)
from appliance.switch.model import Call, Desk, Leg, LineDesk, World
from appliance.switch.ports import PortPool

_PASSED_KEYS: Final = ("sip_info",)
"""Keys that come with the signalling and must be handed to the other leg of a bridge; those that
come beside the audio (RFC 4733) the media process passes on itself."""

_FAILURES: Final[Mapping[int, str]] = {
    404: "unknown_number",
    486: "busy",
    600: "busy",
    603: "rejected",
    480: "no_answer",
    408: "no_answer",
    487: "no_answer",
    488: "no_codec",
}

_DIAL_FAILURES: Final[Mapping[str, str]] = {"busy": "busy", "device": "no_line"}
"""Why a line hung up before anybody answered, as causes; all else is `no_answer`."""


class Switch:
    """`new_id(prefix)` gives ids that never come again, also not after a restart. `data` is the
    data directory's absolute path, only ever used to build paths."""

    def __init__(self, site: Site, data: str, new_id: Callable[[str], str]) -> None:
        self.w = World(
            site=site,
            data=data,
            acd=Acd(site.queues, site.people, new_id),
            new_id=new_id,
            ports=PortPool(*site.sip.rtp_ports),
        )
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
            self._sip_event(event)
        self._settle()

    def request(self, request: live.Request, now: int) -> None:
        """Carry out what a person asked for. Raises `requests.Unwilling`."""
        self.w.now = now
        try:
            requests.handle(self.w, request)
        finally:
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
        for call in list(w.calls.values()):
            if not call.ended:
                self._call_time(call)
            self._settle()
        for desk in w.desks.values():
            since = desk.absent_since
            if since is not None and now - since >= requests.ABSENT_MS and desk.call is None:
                desk.absent_since = None
                if desk.person.door == "browser" and w.acd.agent(desk.id).phase != "offline":
                    w.tell(acd.SetState(desk.id, "offline", "page closed"))
        self._settle()

    def next_deadline(self) -> int | None:
        """When `tick` has something to do next."""
        w = self.w
        times = [w.acd.next_deadline()]
        for call in w.calls.values():
            times += [call.live_by, call.parked_until, call.ring_until, call.end_at]
            if call.menu is not None:
                times.append(call.menu.next_deadline())
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
        w.facts, w.actions = [], []
        return facts, actions

    def _settle(self) -> None:
        """Let the acd take what it was told, then close the calls that ended in this step."""
        w = self.w
        while w.told or w.over:
            while w.told:
                queueing.carry_out(w, w.acd.handle(w.told.popleft(), w.now))
            for call, fact in w.over:
                w.calls.pop(call.id, None)
                w.fact(fact)
            w.over.clear()

    def _call_time(self, call: Call) -> None:
        w = self.w
        if call.menu is not None:
            due = call.menu.next_deadline()
            if due is not None and due <= w.now:
                routing.carry_out(w, call, call.menu.tick(w.now))
        if call.live_by is not None and call.live_by <= w.now:
            calls.bridge_live(w, call)
        if call.parked_until is not None and call.parked_until <= w.now:
            self._give_up_on_agent(call)
        if call.ring_until is not None and call.ring_until <= w.now:
            call.ring_until = None
            if call.bridge is None and call.entry is None and call.end_at is None:
                routing.dial_failed(w, call, "no_answer")
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
        calls.stop_recording(w, call)
        drop(w, call.b)
        call.b = None
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
            self.w.tell(event)
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
                self._key(event.leg, event.digit, event.source)
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
            case p.PeerState():
                self._peer_state(event.peer, event.state)
            case p.LegQuality():
                verdicts.heard(w, event)
            case p.MediaStats():
                self._stats(event)
            case _:
                self._line_event(event)

    def _leg_quiet(self, event: p.LegQuiet) -> None:
        """RTP stopped: a phone that lost power never says goodbye."""
        leg = self.w.legs.get(event.leg)
        if leg is None or leg.kind != "sip" or leg.call.held_by is not None:
            return
        if event.quiet_ms >= 30_000 and (leg.session is None or leg.session.receive):
            side = "caller" if leg is leg.call.a else "callee"
            calls.end_call(self.w, leg.call, side, "media_lost")  # type: ignore[arg-type]

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
            routing.consent_heard(w, call)
        elif purpose == "farewell":
            calls.end_call(w, call, "system", call.end_cause)

    def _key(self, leg_id: int, digit: str, source: str) -> None:
        w = self.w
        leg = w.legs.get(leg_id)
        if leg is None:
            return
        call = leg.call
        if call.menu is not None and leg is call.a:
            routing.carry_out(w, call, call.menu.key(digit, w.now))
        elif call.bridge is not None and call.b is not None and source in _PASSED_KEYS:
            other = call.b if leg is call.a else call.a
            w.media(p.SendKeys(other.id, digit))

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

    # --- analog lines -----------------------------------------------------------------------

    def _line_event(self, event: p.Message) -> None:
        w = self.w
        line: str | None = getattr(event, "line", None)
        desk = w.lines.get(line or "")
        if desk is None:
            return
        match event:
            case p.LineUp(model=model):
                desk.state, desk.detail = "idle", model
                w.clear(f"line:{desk.id}")
            case p.LineDown(reason=reason):
                self._line_down(desk.id, reason)
            case p.LineRinging():
                self._line_ringing(desk)
            case p.LineCallerId():
                self._line_caller(desk, event)
            case p.LineOffHook():
                self._line_off_hook(desk)
            case p.LineRingEnded() | p.LineHungUp():
                self._line_gone(desk, event)

    def _line_down(self, line: str, reason: str) -> None:
        w = self.w
        desk = w.lines[line]
        desk.state, desk.detail = "absent", reason
        call = w.calls.get(desk.call or "")
        if call is not None:
            leg = next((x for x in call.legs if x.line == line), None)
            calls.end_call(w, call, "system", "line_lost", gone=leg)
        release_line(w, line)
        name = w.site.lines[line].name
        w.alarm(
            f"line:{line}",
            "critical",
            f"Line {name} does not work",
            reason,
            "Check the modem's USB plug and the phone cable.",
        )

    def _line_ringing(self, desk: LineDesk) -> None:
        w = self.w
        if desk.call is not None or desk.state == "busy":
            return
        desk.state = "ringing"
        call = calls.open_call(w, "in", f"line:{desk.id}", called=_number_of(w.site, desk.id))
        call.a = add_leg(
            w,
            Leg(
                id=w.number(),
                call=call,
                party=f"line:{desk.id}",
                kind="line",
                line=desk.id,
            ),
        )
        desk.call = call.id
        w.fact(LineSeized(at=w.now, call=call.id, line=desk.id, direction="in"))

    def _line_caller(self, desk: LineDesk, event: p.LineCallerId) -> None:
        """Caller ID, or the word that there is none: now the call can be routed."""
        w = self.w
        if desk.call is None:
            self._line_ringing(desk)
        call = w.calls.get(desk.call or "")
        if call is None or call.route is not None or call.a.line != desk.id:
            return
        if event.number is not None or event.name is not None:
            call.caller, call.caller_name = event.number, event.name
            w.fact(CallerKnown(at=w.now, call=call.id, caller=event.number, caller_name=event.name))
        settings = w.site.lines[desk.id]
        routing.go(w, call, settings.route)

    def _line_off_hook(self, desk: LineDesk) -> None:
        w = self.w
        call = w.calls.get(desk.call or "")
        leg = next((x for x in call.legs if x.line == desk.id), None) if call else None
        if call is None or leg is None or call.ended:
            w.media(p.HangUpLine(desk.id))
            return
        desk.state = "busy"
        w.media(p.OpenLine(leg.id, desk.id))
        went_up(w, leg)
        if leg is call.a:
            routing.caller_up(w, call)
        else:
            requests.answer_direct(w, call, leg)

    def _line_gone(self, desk: LineDesk, event: p.Message) -> None:
        w = self.w
        call = w.calls.get(desk.call or "")
        leg = next((x for x in call.legs if x.line == desk.id), None) if call else None
        if call is None or leg is None or call.ended:
            release_line(w, desk.id)
            return
        source = event.source if isinstance(event, p.LineHungUp) else "no_answer"
        if leg is call.b and leg.state == "ringing":
            drop(w, leg, gone=True)
            routing.dial_failed(w, call, _DIAL_FAILURES.get(source, "no_answer"))
            return
        if source == "device":
            # Nobody hung up: the modem vanished or had to be started again.
            calls.end_call(w, call, "system", "line_lost", gone=leg)
            return
        cause = "abandoned" if isinstance(event, p.LineRingEnded) else leg.refusal or "normal"
        calls.end_call(w, call, "caller" if leg is call.a else "callee", cause, gone=leg)

    # --- sip --------------------------------------------------------------------------------

    def _sip_event(self, event: sip.Event) -> None:
        w = self.w
        match event:
            case sip.Incoming():
                self._sip_incoming(event)
                return
            case sip.Registered():
                w.registered[event.extension] = event.address
                self._phone_reachable(event.extension, True)
                return
            case sip.Unregistered():
                w.registered.pop(event.extension, None)
                self._phone_reachable(event.extension, False)
                return
            case sip.TrunkState():
                self._trunk_state(event)
                return
            case _:
                pass
        leg = w.by_sip.get(event.call)
        if leg is None or leg.call.ended:
            return
        call = leg.call
        match event:
            case sip.Cancelled():
                calls.end_call(w, call, "caller", "abandoned", gone=leg)
            case sip.Progress():
                if event.answer is not None:
                    aim(w, leg, event.answer)
            case sip.Answered():
                self._sip_answered(leg, event)
            case sip.Failed():
                self._sip_failed(leg, event)
            case sip.HungUp():
                side = "caller" if leg is call.a else "callee"
                calls.end_call(w, call, side, "normal", gone=leg)  # type: ignore[arg-type]
            case sip.Reoffered():
                self._sip_reoffered(leg, event)
            case sip.Reanswered():
                if event.remote is not None:
                    aim(w, leg, event.remote)
            case sip.Digit():
                self._key(leg.id, event.digit, "sip_info")

    def _phone_reachable(self, extension: str, yes: bool) -> None:
        for desk in self.w.desks.values():
            if desk.person.door == "phone" and desk.person.phone == extension:
                self.w.tell(acd.Reachable(desk.id, yes))

    def _trunk_state(self, event: sip.TrunkState) -> None:
        w = self.w
        w.trunks[event.trunk] = (event.ok, event.detail)
        key = f"line:{event.trunk}"
        if event.ok:
            w.clear(key)
        else:
            w.alarm(
                key,
                "critical",
                f"Trunk {w.site.lines[event.trunk].name} is not connected",
                event.detail,
                "Check the internet connection and the provider's user name and password.",
            )

    def _sip_incoming(self, event: sip.Incoming) -> None:
        w = self.w
        trunk = event.source.id if event.source.kind == "trunk" else None
        policy = srtp_policy(w, trunk, None if trunk is not None else event.source.id)
        if event.offer is not None and event.offer.audio_by(policy) is None:
            # Encryption that is not allowed here, or none where it has to be.
            w.act(SipReject(event.call, 488))
            return
        if trunk is not None and not routing.free_channel(w, trunk):
            w.fact(LineBusy(at=w.now, line=trunk, caller=event.from_number))
            w.act(SipReject(event.call, 486))
            return
        person = None
        if trunk is None:
            person = next(
                (i for i, who in w.site.people.items() if who.phone == event.source.id), None
            )
        party = f"trunk:{trunk}" if trunk is not None else f"phone:{event.source.id}"
        call = calls.open_call(
            w,
            "in" if trunk is not None else "internal",
            party,
            caller=event.from_number if trunk is not None else event.source.id,
            caller_name=event.from_name,
            called=event.to_number,
        )
        call.a = add_leg(
            w,
            Leg(
                id=w.number(),
                call=call,
                party=party,
                kind="sip",
                trunk=trunk,
                phone=None if trunk is not None else event.source.id,
                agent=person,
                sip=event.call,
                offer=event.offer,
                local_host=event.local_host,
                remote_host=event.remote_host,
            ),
        )
        if trunk is not None:
            settings = w.site.lines[trunk]
            assert settings.kind == "trunk"
            routing.go(w, call, settings.numbers.get(event.to_number, settings.route))
            return
        if person is not None and w.desks[person].call is None:
            w.desks[person].call = call
            w.tell(acd.Engaged(person, True))
        routing.dial(w, call, resolve(w.site, event.to_number))

    def _sip_answered(self, leg: Leg, event: sip.Answered) -> None:
        w = self.w
        call = leg.call
        if leg.incoming:
            if event.remote is not None:
                aim(w, leg, event.remote)
            return
        leg.remote_host = event.remote_host
        if event.remote is not None:
            aim(w, leg, event.remote)
        went_up(w, leg)
        if leg.acd_offer is not None and leg.agent is not None:
            w.tell(acd.Accepted(leg.agent, leg.acd_offer))
            return
        requests.answer_direct(w, call, leg)

    def _sip_failed(self, leg: Leg, event: sip.Failed) -> None:
        w = self.w
        cause = _FAILURES.get(event.code, "unreachable")
        drop(w, leg, gone=True)
        if leg.acd_offer is not None and leg.agent is not None:
            desk = w.desks[leg.agent]
            if leg.acd_offer in desk.ringing:
                result = "rejected" if cause in ("busy", "rejected") else "failed"
                w.tell(acd.Declined(leg.agent, leg.acd_offer, result))  # type: ignore[arg-type]
        elif leg is leg.call.b:
            routing.dial_failed(w, leg.call, cause)
        else:
            calls.end_call(w, leg.call, "caller", cause, gone=leg)

    def _sip_reoffered(self, leg: Leg, event: sip.Reoffered) -> None:
        """Hold, resume, or a new address of the peer's audio."""
        w = self.w
        assert leg.sip is not None
        answered = None
        if leg.port is not None:
            answered = answer_to(w, leg, event.offer, leg.port)
        if answered is None:
            w.act(SipReanswer(leg.sip, None))
            return
        text, session = answered
        w.act(SipReanswer(leg.sip, text))
        aim(w, leg, session)
        call = leg.call
        if not session.send or not session.receive:
            calls.hold(w, call, leg)
        elif call.held_by == (leg.agent or leg.party):
            calls.resume(w, call)

    # --- start and stop ---------------------------------------------------------------------

    def stop(self, now: int) -> None:
        """Stopped in order: every call is told goodbye, nothing is left open."""
        w = self.w
        w.now = now
        for call in list(w.calls.values()):
            calls.end_call(w, call, "system", "system_stopped")
        self._settle()
        for desk in w.desks.values():
            if w.acd.agent(desk.id).phase != "offline":
                w.tell(acd.SetState(desk.id, "offline", "box stopped"))
        self._settle()
        w.fact(SystemStopped(at=now))


def _number_of(site: Site, line: str) -> str | None:
    settings = site.lines[line]
    return settings.number if settings.kind == "modem" else None
