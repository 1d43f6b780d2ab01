"""A core on a simulated clock, and a peer that writes its messages by hand."""

from __future__ import annotations

import itertools
from typing import TypeVar

from appliance.sip.core import Core, Stats
from appliance.sip.events import Event, SipConfig, TrunkConfig
from appliance.sip.flow import Flow
from appliance.sip.message import Message, MessageError, parse

NOTHING = Stats(0, 0, 0, 0, 0)
TRUNK = ("192.0.2.10", 5060)
PHONE = ("192.0.2.20", 5062)
STRANGER = ("198.51.100.66", 5060)
US = "192.0.2.1"
UDP = Flow("udp", 0, US, 5060)
OFFER = (
    "v=0\r\no=p 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 7000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
E = TypeVar("E", bound=Event)

CONFIG = SipConfig(
    host=US,
    phones={"101": "one", "102": "two"},
    trunks={"gw": TrunkConfig(TRUNK[0], probe=False)},
)


class Box:
    """The core under test. `sent` holds what it sent since the last look, parsed."""

    def __init__(self, config: SipConfig = CONFIG) -> None:
        self.now = 1_700_000_000_000
        counter = itertools.count(1)
        self.core = Core(
            config,
            lambda size: next(counter).to_bytes(8, "big").rjust(max(size, 8), b"\x07")[-size:],
            lambda host: US,
            self.now,
        )
        self.sent: list[Message] = []
        self.to: list[tuple[str, int]] = []
        self.events: list[Event] = []
        self._take()

    def feed(
        self, text: str | bytes, source: tuple[str, int] = TRUNK, flow: Flow = UDP
    ) -> list[Message]:
        """Receive one message; returns what the core sent because of it."""
        data = text.encode() if isinstance(text, str) else text
        before = len(self.sent)
        self.core.receive(flow, source, data, self.now)
        self._take()
        return self.sent[before:]

    def wait(self, milliseconds: int) -> list[Message]:
        """Let time pass, doing each thing when it is due; returns what was sent."""
        before = len(self.sent)
        end = self.now + milliseconds
        while (due := self.core.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.core.tick(self.now)
            self._take()
        self.now = end
        return self.sent[before:]

    def do(self, name: str, *args: object) -> list[Message]:
        """A command of the switch; returns what was sent."""
        before = len(self.sent)
        getattr(self.core, name)(*args, self.now)
        self._take()
        return self.sent[before:]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[E]) -> E:
        return self.of(kind)[-1]

    def _take(self) -> None:
        for hop, data in self.core.take_output():
            if data.strip(b"\r\n"):
                self.sent.append(_read(data))
                self.to.append((hop.host, hop.port))
        self.events += self.core.take_events()


def _read(data: bytes) -> Message:
    """What the core sent; a refusal that echoes broken header fields gives its status alone."""
    try:
        return parse(data)
    except MessageError:
        assert data.startswith((b"SIP/2.0 4", b"SIP/2.0 5"))
        return Message("", "", int(data[8:11]))


def request(
    method: str,
    *,
    uri: str = f"sip:200@{US}",
    call_id: str = "c1",
    cseq: int = 1,
    branch: str = "",
    to_tag: str = "",
    from_tag: str = "theirs",
    body: str = "",
    extra: str = "",
    source: tuple[str, int] = TRUNK,
    user: str = "0701",
    kind: str = "application/sdp",
) -> str:
    """A request as a peer sends it. The branch depends on method and CSeq unless given."""
    branch = branch or f"z9hG4bK-{call_id}-{cseq}-{'INVITE' if method == 'CANCEL' else method}"
    to = f"<sip:200@{US}>" + (f";tag={to_tag}" if to_tag else "")
    content = f"Content-Type: {kind}\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch={branch}\r\n"
        f'From: "Ana" <sip:{user}@{source[0]}>;tag={from_tag}\r\n'
        f"To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:{user}@{source[0]}:{source[1]}>\r\nMax-Forwards: 70\r\n"
        f"{extra}{content}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def reply(
    to: Message, status: int, *, tag: str = "peer", body: str = "", extra: str = "", host: str = ""
) -> str:
    """A response to a request that the core sent."""
    echoed = "".join(
        f"{name}: {value}{f';tag={tag}' if name == 'to' and ';tag=' not in value else ''}\r\n"
        for name, value in to.headers
        if name in ("via", "from", "to", "call-id", "cseq")
    )
    content = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"SIP/2.0 {status} Whatever\r\n{echoed}"
        f"Contact: <sip:peer@{host or TRUNK[0]}:5060>\r\n{extra}{content}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def statuses(messages: list[Message]) -> list[int]:
    return [message.status for message in messages if message.status]


def methods(messages: list[Message]) -> list[str]:
    return [message.method for message in messages if message.method]


def tag_of(message: Message) -> str:
    """Our tag in a response."""
    return message.to_tag
