"""CPU per call of the SIP door: the core alone, on a simulated clock, nothing but its own work.

Both sides of each call are messages of a peer that are prepared outside the measured time, so the
figures are those of the box and not of a load generator.
"""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc

from appliance.sip import sdp
from appliance.sip.core import Core
from appliance.sip.events import Answered, Incoming, SipConfig, TrunkConfig, TrunkTarget
from appliance.sip.flow import Flow
from appliance.sip.message import parse

_US = "192.0.2.1"
_PEER = ("192.0.2.10", 5060)
_FLOW = Flow("udp", 0, _US, 5060)
_SDP = sdp.make_offer("192.0.2.10", 7000)


class _Bench:
    """A core with a CPU meter around each call into it."""

    def __init__(self) -> None:
        counter = itertools.count(1)
        self.now = 1_700_000_000_000
        self.spent = 0
        self.out: list[bytes] = []
        self.events: list[object] = []
        self.core = Core(
            SipConfig(host=_US, trunks={"gw": TrunkConfig(_PEER[0], probe=False)}),
            lambda size: next(counter).to_bytes(max(size, 8), "big"),
            lambda host: _US,
            self.now,
        )

    def feed(self, text: str) -> None:
        data = text.encode()
        started = time.process_time_ns()
        self.core.receive(_FLOW, _PEER, data, self.now)
        self._take(started)

    def do(self, name: str, *args: object) -> object:
        started = time.process_time_ns()
        result = getattr(self.core, name)(*args, self.now)
        self._take(started)
        return result

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds
        due = self.core.next_deadline()
        if due is not None and due <= self.now:
            self.do("tick")

    def _take(self, started: int) -> None:
        self.out = [data for _, data in self.core.take_output()]
        self.events = list(self.core.take_events())
        self.core.next_deadline()
        self.spent += time.process_time_ns() - started


def _request(method: str, call: int, cseq: int, tag: str = "", body: str = "") -> str:
    to = f";tag={tag}" if tag else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:200@{_US}:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {_PEER[0]}:5060;branch=z9hG4bK{call}-{cseq}-{method};rport\r\n"
        f'From: "Ana Pop" <sip:0722000111@{_PEER[0]}>;tag=t{call}\r\n'
        f"To: <sip:200@{_US}>{to}\r\nCall-ID: {call}@bench\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:0722000111@{_PEER[0]}:5060>\r\nMax-Forwards: 70\r\n"
        "User-Agent: Phone 1.2.3.4\r\n"
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY, REFER\r\n"
        "Supported: timer, replaces, outbound\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def _reply(data: bytes, status: int, body: str = "") -> str:
    sent = parse(data)
    echoed = "".join(
        f"{name}: {value}{';tag=far' if name == 'to' and ';tag=' not in value else ''}\r\n"
        for name, value in sent.headers
        if name in ("via", "from", "to", "call-id", "cseq")
    )
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"SIP/2.0 {status} X\r\n{echoed}Contact: <sip:far@{_PEER[0]}:5060>\r\n"
        f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def _answered(bench: _Bench, call: int, bridged: bool) -> None:
    """One call: INVITE, 180, 200, ACK, BYE; bridged with a second leg through the same peer."""
    bench.feed(_request("INVITE", call, 1, body=_SDP))
    incoming = next(e for e in bench.events if isinstance(e, Incoming))
    assert incoming.offer is not None
    key = incoming.call
    other = ""
    if bridged:
        target = TrunkTarget("gw", "0733")
        other = str(
            bench.do("invite", target, "0722", "Ana", lambda host: sdp.make_offer(host, 4002))
        )
        invite = bench.out[-1]
        bench.feed(_reply(invite, 180))
        bench.do("ring", key)
        bench.feed(_reply(invite, 200, _SDP))
        assert any(isinstance(e, Answered) for e in bench.events)
    else:
        bench.do("ring", key)
    started = time.process_time_ns()
    agreed = sdp.answer(incoming.offer, _US, 4000)
    bench.spent += time.process_time_ns() - started
    assert agreed is not None
    bench.do("answer", key, agreed[0])
    tag = parse(bench.out[-1]).to_tag
    bench.feed(_request("ACK", call, 1, tag))
    bench.feed(_request("BYE", call, 2, tag))
    if bridged:
        bench.do("hangup", other)
        bench.feed(_reply(bench.out[-1], 200))
    bench.wait(20)


def _cpu_ms(calls: int, bridged: bool) -> float:
    bench = _Bench()
    for call in range(200):
        _answered(bench, call, bridged)
    bench.spent = 0
    for call in range(200, 200 + calls):
        _answered(bench, call, bridged)
    bench.wait(100_000)
    stats = bench.core.stats()
    assert (stats.calls, stats.dialogs, stats.transactions, stats.timers) == (0, 0, 0, 0)
    return bench.spent / calls / 1e6


def _parse_us(rounds: int) -> float:
    data = _request("INVITE", 1, 1, body=_SDP).encode()
    started = time.process_time_ns()
    for _ in range(rounds):
        parse(data)
    return (time.process_time_ns() - started) / rounds / 1e3


def _growth_bytes(calls: int) -> float:
    """Memory that a call leaves behind after its timers have run out."""
    bench = _Bench()
    # As many calls before as within the measured time: tables have their size.
    tracemalloc.start()
    for call in range(calls):
        _answered(bench, call, True)
    bench.wait(100_000)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for call in range(calls, 2 * calls):
        _answered(bench, call, True)
    bench.wait(100_000)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return left / calls


def run() -> dict[str, float]:
    """CPU ms per call answered and per call bridged (two legs), µs to parse an INVITE, bytes that
    a call leaves behind."""
    results = {
        "sip_cpu_ms_per_call": _cpu_ms(2000, False),
        "sip_cpu_ms_per_bridged_call": _cpu_ms(1000, True),
        "sip_parse_us": _parse_us(5000),
        "sip_bytes_left_per_call": _growth_bytes(1000),
    }
    for key, value in results.items():
        print(f"{key:32} {value:10.3f}")
    return results


if __name__ == "__main__":
    run()
