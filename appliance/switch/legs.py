"""One way to handle the three doors: ring, answer, drop a leg, whatever it is behind."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from appliance.events import Answered, DialEnded, Direction, LineReleased, LineSeized
from appliance.media import protocol as p
from appliance.sip import sdp
from appliance.sip.crypto import KEYS_BYTES, Policy
from appliance.sip.sdp import Offer, Session
from appliance.switch import numbers
from appliance.switch.actions import SipAnswer, SipHangUp, SipInvite, SipReject, SipRing
from appliance.switch.model import Call, Leg, World
from appliance.switch.verdicts import expect

SIP_CODES = {
    "busy": 486,
    "rejected": 603,
    "no_answer": 480,
    "unreachable": 480,
    "unknown_number": 404,
    "forbidden": 403,
    "no_line": 503,
    "no_codec": 488,
    "closed": 480,
    "normal": 480,
}
"""Our causes as final responses to a caller that was not answered yet (RFC 3261 section 21)."""


def add_leg(w: World, leg: Leg) -> Leg:
    w.legs[leg.id] = leg
    if leg.sip is not None:
        w.by_sip[leg.sip] = leg
    if leg.trunk is not None:
        w.fact(LineSeized(at=w.now, call=leg.call.id, line=leg.trunk, direction=_way(leg)))
    return leg


def _way(leg: Leg) -> Direction:
    return "in" if leg.incoming else "out"


def srtp_policy(w: World, trunk: str | None, phone: str | None) -> Policy:
    """Whether the audio of this trunk or phone is encrypted."""
    line = w.site.lines.get(trunk or "")
    if line is not None and line.kind == "trunk":
        return line.srtp
    settings = w.site.phones.get(phone or "")
    return "off" if settings is None else settings.srtp


def _own_keys(leg: Leg) -> bytes:
    if not leg.keys:
        leg.keys = secrets.token_bytes(KEYS_BYTES)
    return leg.keys


def make_offer(w: World, leg: Leg, port: int) -> str:
    """Our description of the leg, by its policy."""
    policy = srtp_policy(w, leg.trunk, leg.phone)
    return sdp.make_offer(leg.local_host, port, policy=policy, own_keys=_own_keys(leg))


def answer_to(w: World, leg: Leg, offer: Offer, port: int) -> tuple[str, Session] | None:
    """Our answer to the leg's offer, by its policy; None when there is none."""
    policy = srtp_policy(w, leg.trunk, leg.phone)
    return sdp.answer(
        offer,
        leg.local_host,
        port,
        previous=leg.session,
        policy=policy,
        own_keys=_own_keys(leg),
    )


def aim(w: World, leg: Leg, session: Session) -> None:
    """Point the leg's RTP to what offer/answer agreed on."""
    leg.session = session
    keys = session.keys
    settings = w.site.lines.get(leg.trunk or "")
    w.media(
        p.AimRtp(
            leg=leg.id,
            remote_host=session.remote_host,
            remote_port=session.remote_port,
            payload_type=session.payload_type,
            event_send=session.event_send,
            event_receive=session.event_receive,
            send=session.send,
            receive=session.receive,
            agc=settings is not None and settings.agc,
            signalling_host=leg.remote_host or None,
            rtcp_port=session.rtcp_port,
            rtcp_mux=session.rtcp_mux,
            srtp=None if keys is None else p.SrtpKeys(keys.suite, keys.send, keys.receive),
        )
    )


def show_ringing(w: World, leg: Leg) -> None:
    """Tell a caller who is not answered yet that somebody is being rung."""
    if leg.state == "up":
        w.media(p.PlayTone(leg.id, "ringback"))
    elif leg.kind == "sip" and leg.incoming and leg.sip is not None:
        w.act(SipRing(leg.sip))


def answer(w: World, leg: Leg) -> bool:
    """Answer an incoming leg. True when audio is on its way; False when it cannot be answered
    (the caller of this function ends the call)."""
    if leg.state in ("up", "opening"):
        return True
    if leg.kind == "line":
        assert leg.line is not None
        leg.state = "opening"
        w.media(p.AnswerLine(leg.line))
        return True
    if leg.kind == "peer":
        assert leg.agent is not None
        w.media(p.OpenPeer(leg.id, leg.agent))
        went_up(w, leg)
        return True
    return _answer_sip(w, leg)


def _answer_sip(w: World, leg: Leg) -> bool:
    assert leg.sip is not None
    port = w.ports.take()
    if port is None:
        w.alarm(
            "rtp_ports",
            "critical",
            "No free RTP ports",
            "A call could not be answered because all RTP ports are in use.",
            "Widen sip.rtp_ports in the site document.",
        )
        return False
    leg.port = port
    if leg.offer is None:
        text = make_offer(w, leg, port)
        session = None
    else:
        answered = answer_to(w, leg, leg.offer, port)
        if answered is None:
            w.ports.give_back(port)
            leg.port = None
            return False
        text, session = answered
    w.media(p.OpenRtp(leg.id, w.site.sip.host, port, near=_near(leg)))
    if session is not None:
        aim(w, leg, session)
    w.act(SipAnswer(leg.sip, text))
    went_up(w, leg)
    return True


def _near(leg: Leg) -> int | None:
    """A leg of the same call, by which this one may have its audio."""
    return next((other.id for other in leg.call.legs if other is not leg), None)


def listen(w: World, leg: Leg, *, keys: bool) -> None:
    """Hear keys of this leg or not; of a line also the exchange's tones, how loud its callers are,
    and fax machines where the site document says where they go."""
    settings = w.site.lines.get(leg.line or "")
    fax = settings is not None and settings.kind == "modem" and settings.fax is not None
    line = leg.kind == "line"
    w.media(
        p.Listen(
            leg.id, keys=keys, tones=line, fax=fax and leg.incoming, level=line and leg.incoming
        )
    )


def went_up(w: World, leg: Leg) -> None:
    """Audio of the leg is open: the party is off-hook."""
    leg.state = "up"
    leg.up_since = w.now
    w.fact(Answered(at=w.now, call=leg.call.id, party=leg.party))
    if leg.outside is not None:
        w.spending.answered(leg.outside.dial, w.now)
        if leg.outside.kind != "emergency":
            leg.cut_at = w.now + w.site.numbering.ceiling.call_minutes * 60_000


def invite(
    w: World,
    call: Call,
    party: str,
    target: str,
    *,
    trunk: str | None,
    agent: str | None,
    caller_id: Iterable[str | None] = (),
    headers: tuple[tuple[str, str], ...] = (),
) -> Leg | None:
    """Ring a SIP phone or a number through a trunk; None when no RTP port is free. The first of
    `caller_id` that the trunk shows is shown; `headers` are told it besides."""
    port = w.ports.take()
    if port is None:
        return None
    number = w.number()
    leg = add_leg(
        w,
        Leg(
            id=number,
            call=call,
            party=party,
            kind="sip",
            state="ringing",
            trunk=trunk,
            phone=None if trunk is not None else target,
            agent=agent,
            sip=f"s{number}",
            incoming=False,
            port=port,
        ),
    )
    caller, name, withheld = call.caller, call.caller_name, False
    if trunk is not None:
        shown = numbers.caller_id(w.site, trunk, caller_id, call.caller)
        caller, name, withheld = shown.number, None, shown.withheld
    w.media(p.OpenRtp(leg.id, w.site.sip.host, port, near=_near(leg)))
    assert leg.sip is not None
    w.act(SipInvite(leg.sip, target, trunk, caller, name, port, withheld, headers))
    return leg


def drop(w: World, leg: Leg, cause: str = "normal", *, gone: bool = False) -> None:
    """Take a leg down. `gone`: the far end already hung up, so only our side is cleared."""
    if leg.state == "closed":
        return
    before, leg.state = leg.state, "closed"
    leave_books(w, leg, talked=before == "up")
    w.legs.pop(leg.id, None)
    expect(w, leg)
    w.media(p.CloseLeg(leg.id))
    if leg.kind == "line" and leg.line is not None:
        if gone:
            release_line(w, leg.line)
        else:
            w.media(p.HangUpLine(leg.line))
    if leg.kind == "sip" and leg.sip is not None:
        w.by_sip.pop(leg.sip, None)
        if not gone:
            if before == "up" or not leg.incoming:
                w.act(SipHangUp(leg.sip))
            else:
                w.act(SipReject(leg.sip, SIP_CODES.get(cause, 480)))
    if leg.port is not None:
        w.ports.give_back(leg.port)
        leg.port = None
    if leg.trunk is not None:
        w.fact(LineReleased(at=w.now, call=leg.call.id, line=leg.trunk))


def leave_books(w: World, leg: Leg, *, talked: bool) -> None:
    """A call to the outside is over: what it cost is noted."""
    outside, leg.outside, leg.cut_at = leg.outside, None, None
    if outside is None:
        return
    w.spending.end(outside.dial, w.now)
    w.fact(
        DialEnded(
            at=w.now,
            call=leg.call.id,
            dial=outside.dial,
            by=outside.payer,
            kind=outside.kind,
            talk_ms=w.now - leg.up_since if talked else 0,
        )
    )


def release_line(w: World, line: str) -> None:
    """The analog line is on-hook and idle again."""
    desk = w.lines[line]
    if desk.call is not None:
        w.fact(LineReleased(at=w.now, call=desk.call, line=line))
        desk.call = None
    if desk.state != "absent":
        desk.state = "idle"
