"""Messages that test how well a parser holds, written after the cases that RFC 4475 describes,
and some of our own. Each comes with what the box does: a status, "call" for an INVITE that becomes
a call, or None for silence. All come from the address of a trunk."""

from __future__ import annotations

from typing import Final

from tests.sip.wire import OFFER

Outcome = int | str | None


def lines(
    start: str,
    *fields: str,
    body: str = "",
    via: str = "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtort",
    sender: str = "From: <sip:ana@example.com>;tag=a1",
    to: str = "To: <sip:bo@example.net>",
    call_id: str = "Call-ID: torture@example.com",
    cseq: str = "",
    contact: str = "Contact: <sip:ana@192.0.2.10>",
    length: str | None = None,
) -> bytes:
    """A message; each part may be replaced, "" leaves it out."""
    cseq = cseq or f"CSeq: 8 {start.split(' ')[0]}"
    size = f"Content-Length: {len(body)}" if length is None else length
    head = [start, via, sender, to, call_id, cseq, contact, "Max-Forwards: 70", *fields, size]
    text = "\r\n".join(part for part in head if part) + "\r\n\r\n" + body
    return text.encode("utf-8", "surrogateescape")


SDP_TYPE: Final = "Content-Type: application/sdp"
INVITE: Final = "INVITE sip:bo@example.net SIP/2.0"
OPTIONS: Final = "OPTIONS sip:bo@example.net SIP/2.0"
REGISTER: Final = "REGISTER sip:example.net SIP/2.0"
OK: Final = "SIP/2.0 200 OK"


def invite(*fields: str, **parts: str) -> bytes:
    parts.setdefault("body", OFFER)
    return lines(parts.pop("start", INVITE), SDP_TYPE, *fields, **parts)  # type: ignore[arg-type]


def _short_tortuous() -> bytes:
    """Folding, compact names, odd case, escaped quotes, unknown fields: all legal."""
    text = (
        "INVITE sip:vivekg@chair.example.com;unknownparam SIP/2.0\r\n"
        "TO :\r\n sip:bo@chair.example.com ;   tag    = 1918181833n\r\n"
        'from   : "J Rosenberg \\\\\\""       <sip:jdr@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
        "MaX-fOrWaRdS: 0068\r\n"
        "Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
        "Content-Length   : 0\r\n"
        "cseq: 0009\r\n  INVITE\r\n"
        "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=z9hG4bK390skdjuw\r\n"
        "s :\r\n"
        "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
        "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n"
        "  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n"
        " z9hG4bK30239\r\n"
        'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
        "  secondparam ; q = 0.33\r\n\r\n"
    )
    return text.encode()


_UNUSUAL: Final = "!interesting-Method0123456789_*+`.%indeed'~"
_MANY: Final = "X-Many: value\r\n" * 150
_LONG: Final = "x" * 3000
_MULTIPART: Final = (
    f"--b1\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n"
    "--b1\r\nContent-Type: application/isup\r\n\r\nsomething\r\n--b1--\r\n"
)

CORPUS: Final[dict[str, tuple[bytes, Outcome]]] = {
    # --- valid (3.1.1) ---
    "short tortuous INVITE of a dialog that is not there": (_short_tortuous(), 481),
    "unusual characters in the method": (lines(f"{_UNUSUAL} sip:1_%2F@example.com SIP/2.0"), 501),
    "escapes in the Request-URI": (
        invite(start="INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0"),
        "call",
    ),
    "escaped NUL in a user part": (
        lines(REGISTER, to="To: <sip:null-%00-null@example.com>"),
        401,
    ),
    "escapes that are no escapes in a method": (lines("RE%47IST%45R sip:r@e.com SIP/2.0"), 501),
    "no blank between display name and bracket": (
        lines(OPTIONS, sender="From: caller<sip:caller@example.com>;tag=323"),
        200,
    ),
    "long values": (
        invite(
            f"Unknown-{'Long' * 50}: {_LONG}",
            sender=f'From: "{"I have a long display name " * 20}" <sip:a@example.com>;tag=1',
            call_id=f"Call-ID: {'longcallid' * 30}",
        ),
        "call",
    ),
    "a second message behind the first in one datagram": (
        lines(REGISTER, length="Content-Length: 0") + invite(),
        401,
    ),
    "semicolons in the user part": (
        lines("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"),
        200,
    ),
    "many transports in Via": (
        lines(
            OPTIONS,
            "Via: SIP/2.0/SCTP t1.example.com;branch=z9hG4bKa",
            "Via: SIP/2.0/TLS t2.example.com;branch=z9hG4bKb",
            "Via: SIP/2.0/UNKNOWN t3.example.com;branch=z9hG4bKc",
        ),
        200,
    ),
    "multipart body with a description in it": (
        lines(INVITE, "Content-Type: multipart/mixed;boundary=b1", body=_MULTIPART),
        "call",
    ),
    "response with a reason in UTF-8": (
        lines("SIP/2.0 200 = 2**3 * 5**2 но", cseq="CSeq: 8 INVITE"),
        None,
    ),
    "response without a reason": (lines("SIP/2.0 100 ", cseq="CSeq: 8 INVITE"), None),
    "compact form everywhere": (
        lines(
            OPTIONS,
            via="v: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtort",
            sender="f: <sip:ana@example.com>;tag=a1",
            to="t: <sip:bo@example.net>",
            call_id="i: torture@example.com",
            contact="m: <sip:ana@192.0.2.10>",
            length="l: 0",
        ),
        200,
    ),
    "IPv6 reference in Via and Request-URI": (
        lines(
            "OPTIONS sip:bo@[2001:db8::10] SIP/2.0",
            via="Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3",
        ),
        200,
    ),
    "no Content-Length in a datagram": (lines(OPTIONS, length=""), 200),
    "empty lines before the message": (b"\r\n\r\n" + lines(OPTIONS), 200),
    "a tel URI called": (invite(start="INVITE tel:+1-201-555-0123;p=x SIP/2.0"), "call"),
    # --- invalid (3.1.2) ---
    "extra separators in header fields": (
        invite(via="Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKt;;,;,,"),
        None,
    ),
    "extra separators in Contact": (invite(contact='Contact: "Joe" <sip:joe@e.org>;;;;'), 400),
    "Content-Length beyond the datagram": (invite(length="Content-Length: 9999"), 400),
    "negative Content-Length": (invite(length="Content-Length: -999"), 400),
    "overlarge CSeq": (lines(REGISTER, cseq="CSeq: 36893488147419103232 REGISTER"), 400),
    "overlarge Max-Forwards": (lines(OPTIONS, "Max-Forwards: 300").replace(b": 70", b": 300"), 400),
    "overlarge Expires": (lines(REGISTER, "Expires: 10000000000000000000"), 400),
    "overlarge values in a response": (
        lines(OK, "Expires: 99999999999999", cseq="CSeq: 99999999999 INVITE"),
        None,
    ),
    "display name without its closing quote": (
        lines(OPTIONS, to='To: "Mr. J. User <sip:j.user@example.com>'),
        400,
    ),
    "brackets around the Request-URI": (invite(start="INVITE <sip:user@e.com> SIP/2.0"), 400),
    "blanks within the Request-URI": (invite(start="INVITE sip:user@e.com; lr SIP/2.0"), 400),
    "several blanks in the request line": (
        invite(start="INVITE  sip:user@example.com  SIP/2.0"),
        400,
    ),
    "a blank after the request line": (lines(f"{OPTIONS}  "), 400),
    "header fields in the Request-URI": (
        invite(start="INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"),
        400,
    ),
    "a date in another zone": (invite("Date: Fri, 01 Jan 2010 16:00:00 EST"), "call"),
    "a Contact that needs brackets": (
        lines(REGISTER, contact="Contact: sip:user@example.com?Route=%3Csip:e.com%3E"),
        400,
    ),
    "blanks within an address": (
        lines(OPTIONS, to='To: "Watson, Thomas" < sip:t.watson@example.org >'),
        400,
    ),
    "a display name that needs quotes": (
        lines(OPTIONS, sender="From: Bell, Alexander <sip:a.bell@example.com>;tag=43"),
        400,
    ),
    "an unknown protocol version": (lines("OPTIONS sip:t@example.org SIP/7.0"), 505),
    "start line and CSeq disagree": (lines(OPTIONS, cseq="CSeq: 8 INVITE"), 400),
    "they disagree on an unknown method": (
        lines("NEWMETHOD sip:u@e.com SIP/2.0", cseq="CSeq: 8 INVITE"),
        400,
    ),
    "an overlarge status code": (
        lines("SIP/2.0 4294967301 better not break", cseq="CSeq: 8 INVITE"),
        None,
    ),
    "no Call-ID": (lines(OPTIONS, call_id=""), 400),
    "no From": (lines(OPTIONS, sender=""), 400),
    "no To": (lines(OPTIONS, to=""), 400),
    "no Via": (lines(OPTIONS, via=""), None),
    "an INVITE without Contact": (invite(contact=""), 400),
    "CSeq that is no number": (lines(OPTIONS, cseq="CSeq: eight OPTIONS"), 400),
    "a header line without a name": (lines(OPTIONS, ": value"), 400),
    "a NUL in a header": (lines(OPTIONS, "Subject: a\x00b"), 400),
    "a bare line feed in a header": (lines(OPTIONS, "Subject: a\nRoute: <sip:evil>"), 400),
    "bytes that are no UTF-8": (lines(OPTIONS, "Subject: \udcff\udcfe"), 200),
    "many header fields": (lines(OPTIONS, _MANY.rstrip()), 200),
    "too many header fields": (lines(OPTIONS, (_MANY * 2).rstrip()), None),
    "a header that does not end": (b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x", None),
    "a header that is too long": (lines(OPTIONS, f"X: {_LONG * 6}"), None),
    "nothing but a keep-alive": (b"\r\n\r\n", None),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
    "binary": (bytes(range(256)) * 4, None),
    "a malformed description": (invite(body="v=0\r\nm=audio x RTP/AVP\r\n"), 400),
    # --- transaction and application (3.2, 3.3, 3.4) ---
    "a branch that is only the cookie": (
        lines(OPTIONS, via="Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK"),
        200,
    ),
    "an INVITE with only what cannot be left out": (
        b"INVITE sip:user@example.com SIP/2.0\r\nCSeq: 193942 INVITE\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj\r\nContent-Length: 0\r\n\r\n",
        400,
    ),
    "an unknown scheme called": (lines("OPTIONS nobody:xyz SIP/2.0"), 416),
    "a known scheme that is not SIP": (lines("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), 416),
    "sips without TLS": (lines("OPTIONS sips:bo@example.net SIP/2.0"), 416),
    "unknown schemes in To, From and Contact": (
        lines(
            REGISTER,
            to="To: isbn:2983792873",
            sender="From: <http://www.example.com>;tag=3234",
            contact="Contact: <name:John_Smith>",
        ),
        401,
    ),
    "extensions that nobody knows": (
        lines(OPTIONS, "Require: nothingSupportsThis", "Proxy-Require: norDoesThis"),
        420,
    ),
    "an INVITE with a body of another type": (
        lines(INVITE, "Content-Type: application/unknownformat", body="<audio/>"),
        415,
    ),
    "a compressed body": (invite("Content-Encoding: gzip"), 415),
    "an unknown authorization scheme": (
        lines(REGISTER, "Authorization: NoOneKnowsThisScheme opaque-data=here"),
        401,
    ),
    "credentials that are no credentials": (
        lines(REGISTER, 'Authorization: Digest username="x, =,;"'),
        401,
    ),
    "two values where one belongs": (
        lines(OPTIONS, "CSeq: 5 INVITE", "Call-ID: other", "From: <sip:b@e.com>;tag=2"),
        400,
    ),
    "two Content-Lengths": (lines(OPTIONS, "Content-Length: 5"), 400),
    "a response to a broadcast Via": (
        lines(OK, via="Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1", cseq="CSeq: 1 INVITE"),
        None,
    ),
    "Max-Forwards of 0": (lines(OPTIONS).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"), 200),
    "a parameter in a REGISTER's Contact": (
        lines(REGISTER, contact="Contact: sip:+19725552222@gw1.example.net;unknownparam"),
        401,
    ),
    "a parameter in the URI of a REGISTER's Contact": (
        lines(REGISTER, contact="Contact: <sip:+19725552222@gw1.example.net;unknownparam>"),
        401,
    ),
    "escaped header fields in a REGISTER's Contact": (
        lines(REGISTER, contact="Contact: <sip:u@e.com?Route=%3Csip:sip.example.com%3E>"),
        401,
    ),
    "a caller who does not take descriptions": (invite("Accept: text/nothing"), 406),
    "RFC 2543, without branch": (
        invite(via="Via: SIP/2.0/UDP 192.0.2.10", sender="From: <sip:old@example.com>"),
        "call",
    ),
    "an ACK of nothing": (lines("ACK sip:bo@example.net SIP/2.0"), None),
    "a broken ACK": (lines("ACK sip:bo@example.net SIP/2.0", cseq="CSeq: x ACK"), None),
    "a BYE of nothing": (lines("BYE sip:bo@example.net SIP/2.0"), 481),
    "a method that we know and do not take": (lines("MESSAGE sip:bo@example.net SIP/2.0"), 405),
    "a subscription": (lines("SUBSCRIBE sip:bo@example.net SIP/2.0", "Event: presence"), 489),
    "a transfer out of the blue": (lines("REFER sip:bo@example.net SIP/2.0"), 603),
}
