"""What the media process says of each leg's quality, with reports over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.media import protocol as p
from appliance.media import rtcp
from tests.media.endpoint import HOST, Box, RtpEndpoint, media_box

Ports = Callable[[], int]


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setattr("appliance.media.rtcp.INTERVAL_S", 0.5)
    monkeypatch.setattr("appliance.media.quality.REPORT_TICKS", 20)
    monkeypatch.setattr("appliance.media.quality.SAMPLE_TICKS", 10)
    async with media_box(tmp_path, lines={"1": {}}) as made:
        yield made


class ReportingPhone(RtpEndpoint):
    """A phone with RTCP on a port of its choice, or on its RTP port; it loses what it hears."""

    def __init__(self, control: socket.socket | None, lost: int = 0) -> None:
        super().__init__()
        self.control = control
        self.session = rtcp.Session(self.ssrc, "phone", 0.0, 1e9, 0.5)
        self.lost = lost
        self.reports: list[rtcp.Report] = []

    def reported(self, data: bytes, back: tuple[str, int]) -> None:
        now = asyncio.get_running_loop().time()
        report = rtcp.parse(data)
        assert report is not None
        self.reports.append(report)
        self.session.take(data, now)
        heard = rtcp.Heard(report.ssrc, 100 - self.lost, self.lost, 100, 24)
        answer = self.session.report(now, rtcp.Sent(9, 9, 9), heard, 0.5)
        (self.control or self.sock).sendto(answer, back)

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        assert self.control is not None
        while True:
            data, source = await loop.sock_recvfrom(self.control, 2048)
            self.reported(data, source)

    def collect(self) -> None:
        if self.control is not None:
            super().collect()
            return
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            if rtcp.is_rtcp(data):
                self.reported(data, self.remote)


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.setblocking(False)
    return sock


async def test_a_leg_is_judged_in_both_directions_and_says_goodbye(
    box: Box, free_port: Ports
) -> None:
    with udp() as control:
        end = ReportingPhone(control, lost=20)
        port = free_port()
        end.remote = (HOST, port)
        box.endpoints.append(end)
        box.send(
            p.OpenRtp(1, HOST, port),
            p.AimRtp(1, HOST, end.port, 0, rtcp_port=control.getsockname()[1]),
        )
        box.spawn(end.run())
        box.spawn(end.listen())
        said = await box.wait(
            lambda e: isinstance(e, p.LegQuality) and e.far_lost is not None and e.packets > 20
        )
        assert (said.leg, said.door, said.closed, said.lost) == (1, "rtp", False, 0)
        assert said.mos > 4
        assert said.round_trip_ms is not None
        assert said.round_trip_ms < 2000
        assert said.far_jitter_ms == 3.0
        assert said.far_mos is not None
        box.send(p.CloseLeg(1))
        last = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.closed)
        assert last.packets >= said.packets
        async with asyncio.timeout(10):
            while not (end.reports and end.reports[-1].bye):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert end.reports[-1].blocks[0].ssrc == end.ssrc


async def test_reports_share_the_port_where_both_sides_agreed(box: Box, free_port: Ports) -> None:
    end = ReportingPhone(None)
    port = free_port()
    end.remote = (HOST, port)
    box.endpoints.append(end)
    box.send(p.OpenRtp(1, HOST, port), p.AimRtp(1, HOST, end.port, 0, rtcp_mux=True))
    box.spawn(end.run())
    said = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.far_lost is not None)
    assert said.far_lost == 0
    assert end.reports


async def test_what_strangers_report_counts_for_nothing(box: Box, free_port: Ports) -> None:
    end = box.phone(1, free_port())
    liar = rtcp.Session(5, "liar", 0.0, 1e9, 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        end.collect()
        async with asyncio.timeout(10):
            while not end.packets:
                end.collect()
                await asyncio.sleep(0.01)
        lie = rtcp.Heard(end.packets[0].ssrc, 1, 99, 100, 0)
        for _ in range(50):
            stranger.sendto(
                liar.report(0.0, rtcp.Sent(0, 0, 0), lie, 0.5), (HOST, end.remote[1] + 1)
            )
            stranger.sendto(b"\x80\xc8" + bytes(900), (HOST, end.remote[1] + 1))
        for _ in range(2):
            said = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.packets > 20)
    assert said.far_lost is None


async def test_lines_and_pages_are_judged_too(box: Box) -> None:
    from appliance.lines.line import OffHook

    box.send(p.OpenLine(1, "1"), p.OfferPeer("anna", 1, "offer"))
    await box.wait(p.PeerAnswer)
    box.peers[0].sink.peer_state("anna", "connected")
    box.send(p.OpenPeer(2, "anna"))
    box.lines["1"].say(OffHook())
    for _ in range(30):
        box.lines["1"].speak(bytes(320))
        box.peers[0].speak(b"\xff" * 160)
        await asyncio.sleep(0.02)
    box.send(p.CloseLeg(1), p.CloseLeg(2))
    line = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.closed and e.leg == 1)
    page = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.closed and e.leg == 2)
    assert (line.door, line.lost, line.far_mos) == ("line", 0, None)
    assert 25 <= line.packets <= 30
    assert (page.door, page.round_trip_ms, page.far_jitter_ms) == ("peer", 12.0, 1.5)
    assert 25 <= page.packets <= 30
    assert page.secure
