"""A small office around the pure switch: scripted doors, simulated time, every output kept."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any, TypeVar

from appliance import live
from appliance.events import Fact
from appliance.media import protocol as p
from appliance.sip import events as sip
from appliance.sip import sdp
from appliance.site.model import Site
from appliance.switch import actions as act
from appliance.switch.core import Switch
from appliance.switch.pool import MediaPool
from appliance.switch.ports import PortPool

SITE = """
pause_reasons = ["Break"]
[office]
name = "Test"
[lines.l1]
kind = "modem"
name = "Line 1"
device = "/dev/l1"
route = "menu:main"
[lines.l2]
kind = "modem"
name = "Line 2"
device = "/dev/l2"
route = "queue:sales"
[lines.voip]
kind = "trunk"
name = "Provider"
host = "192.0.2.9"
channels = 1
route = "queue:sales"
numbers = { "5550199" = "phone:101" }
[people.ana]
name = "Ana"
extension = "201"
[people.bo]
name = "Bo"
extension = "202"
[people.pip]
name = "Pip"
extension = "203"
door = "phone"
phone = "102"
[phones.101]
name = "Reception"
[phones.102]
name = "Pip's desk"
[queues.sales]
name = "Sales"
extension = "301"
agents = ["ana", "bo", "pip"]
wrap_up_s = 10
leave_when_empty = false
max_wait_s = 60
[menus.main]
prompt = { text = "Press 1." }
default = "queue:sales"
[menus.main.keys]
1 = { go = "queue:sales" }
2 = { go = "phone:101" }
[numbering]
outside_prefix = "0"
outgoing = ["voip", "l1"]
emergency = ["112"]
"""

START = 1_700_000_000_000
PHONE_SDP = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.50",
        "s=-",
        "c=IN IP4 192.0.2.50",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0 101",
        "a=rtpmap:101 telephone-event/8000",
        "",
    )
)
SESSION = sdp.answer(sdp.parse(PHONE_SDP), "192.0.2.1", 16000)[1]  # type: ignore[index]

T = TypeVar("T")


def site(extra: str = "", **office: Any) -> Site:
    document = tomllib.loads(SITE + extra)
    document["office"].update(office)
    return Site.model_validate(document)


class Office:
    """The switch with its outputs: `facts`, `actions`, and media commands by type."""

    def __init__(self, document: Site | None = None) -> None:
        self.now = START
        self._ids = 0
        self._site = document or site()
        self.facts: list[Fact] = []
        self.actions: list[act.Action] = []
        self.start()

    def start(self) -> None:
        """A fresh switch, as after the start of the process; what was written stays."""
        self._done_until: int | None = None
        self.switch = Switch(self._site, "/data", self._new_id)
        self.w = self.switch.w
        lines = tuple(p.LineSetup(line, "modem", "us", {}) for line in self.w.lines)
        self.pool = MediaPool(1, PortPool(17000, 17099), p.Setup(lines, "us"))
        self.media_up()
        for line in self.w.lines:
            self.media(p.LineUp(line, "test"))

    def _new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}{self._ids}"

    # --- inputs -----------------------------------------------------------------------------

    def media(self, event: p.Event) -> None:
        self.pool.event(0, event, self.now)
        self._take()

    def media_lost(self) -> None:
        """The media process dies."""
        self.pool.lost(0, self.now)
        self.switch.media_lost(self.now)
        self._take()

    def media_up(self) -> list[p.Command]:
        """It is back; returns what it is told."""
        self.pool.connected(0)
        self.pool.event(0, p.MediaReady(1), self.now)
        commands, events = self.pool.take()
        self.switch.media_up(self.now)
        for event in events:
            self.switch.handle(event, self.now)
        self._take()
        return [command for _, command in commands]

    def sip(self, event: sip.Event) -> None:
        self.switch.handle(event, self.now)
        self._take()

    def ask(self, request: live.Request) -> None:
        try:
            self.switch.request(request, self.now)
        finally:
            self._take()

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping at each deadline."""
        end = self.now + int(seconds * 1000)
        while True:
            due = self.switch.next_deadline()
            if due is None or due > end:
                break
            assert due != self._done_until, "a deadline is due again after its tick"
            self._done_until = due if due <= self.now else None
            self.now = max(self.now, due)
            self.switch.tick(self.now)
            self._take()
        self.now = end
        self.switch.tick(end)
        self._take()

    def _take(self) -> None:
        while True:
            facts, actions = self.switch.take()
            self.facts += facts
            self.actions += actions
            for action in actions:
                if isinstance(action, act.Media):
                    self.pool.command(action.command, self.now)
            _, events = self.pool.take()
            for event in events:
                self.switch.handle(event, self.now)
            if not actions and not events:
                return

    # --- stories ----------------------------------------------------------------------------

    def on_duty(self, *agents: str) -> None:
        """Browser agents with audio, ready."""
        for agent in agents:
            self.ask(live.AgentPresence(agent, "s1", True))
            self.media(p.PeerState(agent, "connected"))
            self.ask(live.SetAgentState(agent, "ready"))

    def phone_on_duty(self, agent: str, extension: str) -> None:
        self.sip(sip.Registered(extension, 1, "192.0.2.50:5060"))
        self.ask(live.SetAgentState(agent, "ready"))

    def ring(self, line: str, number: str | None = "5550123") -> None:
        self.media(p.LineRinging(line))
        self.media(p.LineCallerId(line, number, "CALLER" if number else None))

    def pick_up(self, line: str) -> None:
        self.media(p.LineOffHook(line))

    def queue_call(self, line: str = "l2") -> None:
        self.ring(line)
        self.pick_up(line)

    def answer(self, agent: str) -> None:
        self.ask(live.AgentAction(agent, "answer"))

    def talk(self) -> None:
        """The newest bridge carries audio both ways."""
        self.media(p.BridgeLive(self.last(p.Bridge).bridge))

    def incoming(self, key: str, to: str, source: sip.Source, number: str = "101") -> None:
        self.sip(
            sip.Incoming(
                call=key,
                source=source,
                from_number=number,
                from_name=None,
                to_number=to,
                offer=sdp.parse(PHONE_SDP),
                local_host="192.0.2.1",
                transport="udp",
            )
        )

    # --- outputs ----------------------------------------------------------------------------

    def commands(self, kind: type[T]) -> list[T]:
        return [
            a.command
            for a in self.actions
            if isinstance(a, act.Media) and isinstance(a.command, kind)
        ]

    def last(self, kind: type[T]) -> T:
        """The newest media command, action or fact of this type."""
        pool: list[Any] = [*self.commands(kind)] if issubclass(kind, p.Message) else []
        pool += [a for a in self.actions if isinstance(a, kind)]
        pool += [f for f in self.facts if isinstance(f, kind)]
        return pool[-1]

    def all(self, kind: type[T]) -> list[T]:
        return [f for f in self.facts if isinstance(f, kind)] + [
            a for a in self.actions if isinstance(a, kind)
        ]

    def since(self, moment: Callable[[], None]) -> list[act.Action]:
        """The actions that `moment` brings."""
        start = len(self.actions)
        moment()
        return self.actions[start:]

    def last_invite(self) -> str:
        """The newest call of ours by SIP."""
        return self.last(act.SipInvite).sip
