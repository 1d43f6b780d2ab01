"""One way to handle the three doors: ring, answer, drop a leg, whatever it is behind."""

from __future__ import annotations

from appliance.events import Answered, Direction, LineReleased, LineSeized
from appliance.media import protocol as p
from appliance.sip import sdp
from appliance.sip.sdp import Session
from appliance.switch.actions import SipAnswer, SipHangUp, SipInvite, SipReject, SipRing
from appliance.switch.model import Call, Leg, World

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


def aim(w: World, leg: Leg, session: Session) -> None:
    """Point the leg's RTP to what offer/answer agreed on."""
    leg.session = session
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
            signalling_host=leg.remote_host or None,
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
        text = sdp.make_offer(leg.local_host, port)
        session = None
    else:
        answered = sdp.answer(leg.offer, leg.local_host, port)
        if answered is None:
            w.ports.give_back(port)
            leg.port = None
            return False
        text, session = answered
    w.media(p.OpenRtp(leg.id, w.site.sip.host, port))
    if session is not None:
        aim(w, leg, session)
    w.act(SipAnswer(leg.sip, text))
    went_up(w, leg)
    return True


def listen(w: World, leg: Leg, *, keys: bool) -> None:
    """Hear keys of this leg or not; of a line also the exchange's tones, and fax machines where
    the site document says where they go."""
    settings = w.site.lines.get(leg.line or "")
    fax = settings is not None and settings.kind == "modem" and settings.fax is not None
    w.media(p.Listen(leg.id, keys=keys, tones=leg.kind == "line", fax=fax and leg.incoming))


def went_up(w: World, leg: Leg) -> None:
    """Audio of the leg is open: the party is off-hook."""
    leg.state, leg.up_at = "up", w.now
    w.fact(Answered(at=w.now, call=leg.call.id, party=leg.party))


def invite(
    w: World, call: Call, party: str, target: str, *, trunk: str | None, agent: str | None
) -> Leg | None:
    """Ring a SIP phone or a number through a trunk; None when no RTP port is free."""
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
    caller, name = call.caller, call.caller_name
    if trunk is not None:
        settings = w.site.lines[trunk]
        assert settings.kind == "trunk"
        caller, name = settings.caller_id or settings.username or call.caller, None
    w.media(p.OpenRtp(leg.id, w.site.sip.host, port))
    assert leg.sip is not None
    w.act(SipInvite(leg.sip, target, trunk, caller, name, port))
    return leg


def drop(w: World, leg: Leg, cause: str = "normal", *, gone: bool = False) -> None:
    """Take a leg down. `gone`: the far end already hung up, so only our side is cleared."""
    if leg.state == "closed":
        return
    before, leg.state = leg.state, "closed"
    w.legs.pop(leg.id, None)
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


def release_line(w: World, line: str) -> None:
    """The analog line is on-hook and idle again."""
    desk = w.lines[line]
    if desk.call is not None:
        w.fact(LineReleased(at=w.now, call=desk.call, line=line))
        desk.call = None
    if desk.state != "absent":
        desk.state = "idle"
