"""One rehearsed day: the switch of the box, and everybody around it acting by a seed.

Lines, trunks, desk phones, browsers and the audio process are played here; the switch is the one
that serves real calls and cannot tell the difference. Agents answer in the browser, whatever their
door; desk phones that menus or queues lead to are answered by somebody.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from appliance import live
from appliance.events import Fact
from appliance.ivr.linter import speech_s
from appliance.media import protocol as p
from appliance.rehearsal.crowd import Crowd, Habits, Person
from appliance.sip import events as sip
from appliance.sip import sdp
from appliance.site.model import Language, Prompt, Site
from appliance.site.routes import parse_route
from appliance.switch import actions as act
from appliance.switch.core import Switch
from appliance.switch.model import Call
from appliance.switch.requests import Unwilling

PICK_UP_MS: Final = 500
"""From the ring to the open line."""
AUDIO_MS: Final = 120
"""From the answer to sound in both directions."""
RECORDED_S: Final = 6.0
"""How long a prompt is that was recorded, not written."""
LAST_CALLS_MS: Final = 3_600_000
"""After the closing nobody is served for longer than this."""
_SDP: Final = sdp.parse(
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass(slots=True, eq=False)
class _Guest:
    """A caller on a line or trunk."""

    person: Person
    line: str
    key: str | None
    """The SIP call of a trunk's caller."""
    call: str | None = None
    heard: int = 0
    """The menu's prompt that was reacted to."""
    entry: str | None = None
    talking: int = 0
    over: bool = False


@dataclass(slots=True)
class Outcome:
    """What a day left behind. `blocked` callers found every line busy."""

    facts: list[Fact] = field(default_factory=list)
    arrivals: int = 0
    blocked: int = 0
    opens: int = 0
    closes: int = 0
    ended: int = 0
    steps: int = 0


class Day:
    """`opens` and `closes` are UTC milliseconds. `run` plays it to the end."""

    def __init__(self, site: Site, habits: Habits, seed: int, opens: int, closes: int) -> None:
        self.site = _in_browsers(site)
        self._crowd = Crowd(habits, seed)
        self._rng = self._crowd.random
        self._ids = 0
        self.switch = Switch(self.site, "/rehearsal", self._new_id)
        self.now = opens
        self.outcome = Outcome(opens=opens, closes=closes)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._guests: dict[str, _Guest] = {}
        """By line, or by SIP call."""
        self._playing: dict[int, int] = {}
        """Leg -> token of the prompt that it hears."""
        self._recordings: dict[str, int] = {}
        self._offers: dict[str, str] = {}
        self._agents = tuple(
            dict.fromkeys(agent for queue in self.site.queues.values() for agent in queue.agents)
        )

    def _new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}{self._ids}"

    # --- the clock --------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Everything from the opening to the last call's end."""
        self._open_office()
        for at, person in self._crowd.arrivals(self.outcome.opens, self.outcome.closes):
            self._at(at, lambda person=person: self._arrive(person))  # type: ignore[misc]
        self._at(self.outcome.closes, self._close_office)
        end = self.outcome.closes + LAST_CALLS_MS
        while self.now <= end:
            due = self.switch.next_deadline()
            planned = self._agenda[0][0] if self._agenda else None
            if planned is None and (due is None or not self.switch.w.calls):
                break
            if due is not None and (planned is None or due <= planned):
                self.now = max(self.now, due)
                self.switch.tick(self.now)
                self._after()
            else:
                at, _, what = heapq.heappop(self._agenda)
                self.now = max(self.now, at)
                what()
        self.switch.stop(self.now)
        self._after()
        self.outcome.ended = self.now
        return self.outcome

    def _at(self, at: int, what: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._agenda, (at, self._planned, what))

    def _in(self, seconds: float, what: Callable[[], None]) -> None:
        self._at(self.now + int(seconds * 1000), what)

    def _tell(self, event: p.Event | sip.Event) -> None:
        self.switch.handle(event, self.now)
        self._after()

    def _ask(self, request: live.Request) -> None:
        try:
            self.switch.request(request, self.now)
        except Unwilling:
            pass  # the moment for it is over
        self._after()

    # --- the office -------------------------------------------------------------------------

    def _open_office(self) -> None:
        self.switch.media_up(self.now)
        self._after()
        for name, line in self.site.lines.items():
            if line.kind == "modem":
                self._tell(p.LineUp(name, "rehearsal"))
            else:
                self._tell(sip.TrunkState(name, True, "rehearsal"))
        for extension in self.site.phones:
            self._tell(sip.Registered(extension, 1, "192.0.2.2:5060"))
        for agent in self._agents:
            self._ask(live.AgentPresence(agent, "rehearsal", True))
            self._tell(p.PeerState(agent, "connected"))
            self._ask(live.SetAgentState(agent, "ready"))
        self._plan_breaks()

    def _plan_breaks(self) -> None:
        """One after another, around the middle of the day."""
        lunch_ms = int(self._crowd.habits.lunch_s * 1000)
        if not lunch_ms:
            return
        middle = (self.outcome.opens + self.outcome.closes) // 2
        first = middle - len(self._agents) * lunch_ms // 2
        for index, agent in enumerate(self._agents):
            start = max(self.outcome.opens, first + index * lunch_ms)
            self._at(start, lambda a=agent: self._ask(live.SetAgentState(a, "not_ready", "Lunch")))  # type: ignore[misc]
            self._at(
                start + lunch_ms,
                lambda a=agent: self._ask(live.SetAgentState(a, "ready")),  # type: ignore[misc]
            )

    def _close_office(self) -> None:
        """Agents stay for the callers who wait; the rest of the day is theirs."""
        if self.switch.w.calls and self.now < self.outcome.closes + LAST_CALLS_MS:
            self._in(30, self._close_office)
            return
        for agent in self._agents:
            self._ask(live.SetAgentState(agent, "offline"))

    # --- callers ----------------------------------------------------------------------------

    def _arrive(self, person: Person) -> None:
        self.outcome.arrivals += 1
        free = self._free_lines()
        if not free:
            self.outcome.blocked += 1
            self._call_again(person)
            return
        name = self._rng.choice(free)
        line = self.site.lines[name]
        if line.kind == "modem":
            self._guests[name] = _Guest(person, name, None)
            self._tell(p.LineRinging(name))
            self._tell(p.LineCallerId(name, person.number))
            return
        key = self._new_id("in")
        self._guests[key] = _Guest(person, name, key)
        called = next(iter(line.numbers), line.caller_id or "")
        self._tell(
            sip.Incoming(
                call=key,
                source=sip.Source("trunk", name),
                from_number=person.number,
                from_name=None,
                to_number=called,
                offer=_SDP,
                local_host="192.0.2.3",
                transport="udp",
            )
        )

    def _free_lines(self) -> list[str]:
        """Each free line, a trunk once for each free channel."""
        free = []
        for name, line in self.site.lines.items():
            if line.kind == "modem":
                desk = self.switch.w.lines[name]
                if desk.state == "idle" and desk.call is None and name not in self._guests:
                    free.append(name)
            else:
                used = sum(leg.trunk == name for leg in self.switch.w.legs.values())
                free += [name] * max(0, line.channels - used)
        return free

    def _leave(self, guest: _Guest) -> None:
        """The caller hangs up."""
        if guest.over:
            return
        guest.over = True
        self._guests.pop(guest.key or guest.line, None)
        if guest.key is None:
            self._tell(p.LineHungUp(guest.line, "tone"))
        else:
            call = self._call_of(guest)
            up = call is not None and call.a.state == "up"
            self._tell(sip.HungUp(guest.key, "normal") if up else sip.Cancelled(guest.key))

    def _give_up(self, guest: _Guest, entry: str) -> None:
        call = self._call_of(guest)
        if guest.over or call is None or call.entry != entry or call.talk_since:
            return
        self._leave(guest)
        self._call_again(guest.person)

    def _call_again(self, person: Person) -> None:
        if self._rng.random() < self._crowd.habits.again:
            at = self.now + int(self._rng.uniform(120, 900) * 1000)
            if at < self.outcome.closes:
                self._at(at, lambda: self._arrive(self._crowd.again(person)))

    def _call_of(self, guest: _Guest) -> Call | None:
        w = self.switch.w
        if guest.key is not None:
            leg = w.by_sip.get(guest.key)
            return None if leg is None else leg.call
        call = w.lines[guest.line].call
        return None if call is None else w.calls.get(call)

    def _look_at(self, guest: _Guest) -> None:
        """React to what the call has become."""
        call = self._call_of(guest)
        if call is None or call.ended:
            return
        person = guest.person
        if call.entry is not None and call.entry != guest.entry:
            guest.entry = call.entry
            bear = self._rng.uniform(0.5, 5.0) if person.hasty else person.patience_s
            self._in(bear, lambda: self._give_up(guest, guest.entry or ""))
        if call.talk_since and call.talk_since != guest.talking:
            guest.talking = call.talk_since
            agent = call.linked_agent
            if person.hangs_up or agent is None:
                self._in(person.talk_s, lambda: self._leave(guest))
            else:
                self._in(
                    person.talk_s,
                    lambda: self._ask(live.AgentAction(agent, "hangup", call.id)),
                )

    def _press(self, guest: _Guest, call: Call, token: int, heard_s: float) -> None:
        """Choose in a menu, usually before its prompt is over."""
        if call.menu is None or guest.heard == token:
            return
        guest.heard = token
        keys = self._keys(call.menu.menu, guest.person)
        for index, digit in enumerate(keys):
            self._in(
                heard_s * 0.7 + 0.3 * index,
                lambda digit=digit: self._key(guest, token, digit),  # type: ignore[misc]
            )

    def _keys(self, place: str, person: Person) -> str:
        menu = self.site.menus.get(place)
        if menu is not None:
            keys = [
                key
                for key, choice in menu.keys.items()
                if parse_route(choice.go).kind not in ("hangup", "repeat")
            ]
            return keys[int(person.key * len(keys))] if keys else ""
        step = self.site.steps.get(place)
        if step is not None and step.kind == "language":
            return next(iter(step.keys))
        if step is not None and step.kind == "collect":
            return "5" * step.min_digits + step.end_key
        return ""

    def _key(self, guest: _Guest, token: int, digit: str) -> None:
        call = self._call_of(guest)
        if call is not None and call.menu is not None and guest.heard == token and not guest.over:
            self._tell(p.Key(call.a.id, digit, "inband"))

    # --- what the switch wants --------------------------------------------------------------

    def _after(self) -> None:
        """Carry out what the step wanted, then let everybody react to it."""
        self.outcome.steps += 1
        facts, actions = self.switch.take()
        self.outcome.facts += facts
        for action in actions:
            self._carry_out(action)
        for guest in list(self._guests.values()):
            self._look_at(guest)
        for agent in self._agents:
            self._look_at_offer(agent)

    def _carry_out(self, action: act.Action) -> None:
        match action:
            case act.Media(command=command):
                self._media(command)
            case act.Speak():
                self._stop_playing(action.leg)
                self._speak(action)
            case act.Hush(leg=leg):
                self._stop_playing(leg)
            case act.SipInvite(sip=name):
                self._in(
                    self._rng.uniform(2, 10),
                    lambda: self._tell(sip.Answered(name, _session(), "192.0.2.2")),
                )
            case act.SipReject(sip=name) | act.SipHangUp(sip=name):
                guest = self._guests.pop(name, None)
                if guest is not None:
                    guest.over = True
            case act.AskProgram():
                self._in(
                    1,
                    lambda: self._program_silent(action.call, action.token),
                )
            case _:
                pass

    def _program_silent(self, call: str, token: int) -> None:
        """The office's programs are not asked in a rehearsal."""
        self.switch.program_answered(call, token, None, self.now)
        self._after()

    def _media(self, command: p.Command) -> None:
        match command:
            case p.AnswerLine(line=line):
                self._at(self.now + PICK_UP_MS, lambda: self._open(line))
            case p.HangUpLine(line=line):
                guest = self._guests.pop(line, None)
                if guest is not None:
                    guest.over = True
                self._in(0.2, lambda: self._tell(p.LineHungUp(line, "local")))
            case p.DialLine(line=line):
                self._in(20, lambda: self._tell(p.LineHungUp(line, "no_answer")))
            case p.Bridge(bridge=bridge):
                self._at(self.now + AUDIO_MS, lambda: self._tell(p.BridgeLive(bridge)))
            case p.StartRecording(recording=recording):
                self._recordings.setdefault(recording, self.now)
            case p.StopRecording(recording=recording):
                length = self.now - self._recordings.pop(recording, self.now)
                self._at(self.now, lambda: self._tell(p.RecordingClosed(recording, length, "done")))
            case p.CloseLeg(leg=leg):
                self._stop_playing(leg)
            case _:
                pass

    def _open(self, line: str) -> None:
        guest = self._guests.get(line)
        if guest is not None and not guest.over:
            self._tell(p.LineOffHook(line))

    def _speak(self, action: act.Speak) -> None:
        length = sum(
            _length_s(prompt, action.language)
            for prompt in action.prompts
            if isinstance(prompt, Prompt)
        )
        self._playing[action.leg] = action.token
        self._in(length, lambda: self._played(action.leg, action.token, "done"))
        leg = self.switch.w.legs.get(action.leg)
        if leg is not None and leg.call.menu is not None:
            call = leg.call
            for guest in list(self._guests.values()):
                if self._call_of(guest) is call:
                    self._press(guest, call, action.token, length)

    def _played(self, leg: int, token: int, result: str) -> None:
        if self._playing.get(leg) == token:
            del self._playing[leg]
            self._tell(p.PlayEnded(leg, token, "done" if result == "done" else "stopped"))

    def _stop_playing(self, leg: int) -> None:
        token = self._playing.pop(leg, None)
        if token is not None:
            self._at(self.now, lambda: self._tell(p.PlayEnded(leg, token, "stopped")))

    # --- agents -----------------------------------------------------------------------------

    def _look_at_offer(self, agent: str) -> None:
        view = self.switch.w.acd.agent(agent)
        offer = view.offer if view.phase == "offered" else None
        if offer is None or self._offers.get(agent) == offer:
            return
        self._offers[agent] = offer
        habits = self._crowd.habits
        if self._rng.random() >= habits.missed:
            delay = self._rng.expovariate(1 / habits.answer_s) if habits.answer_s else 0.0
            self._in(delay, lambda: self._ask(live.AgentAction(agent, "answer", view.call)))


def _in_browsers(site: Site) -> Site:
    """The same office with every agent in the browser."""
    people = {
        name: person.model_copy(update={"door": "browser", "phone": None})
        for name, person in site.people.items()
    }
    return site.model_copy(update={"people": people})


def _length_s(prompt: Prompt, language: Language) -> float:
    if prompt.text is None:
        return RECORDED_S
    return max(0.5, speech_s(prompt.text, prompt.language or language))


def _session() -> sdp.Session:
    answered = sdp.answer(_SDP, "192.0.2.3", 16000)
    assert answered is not None
    return answered[1]
