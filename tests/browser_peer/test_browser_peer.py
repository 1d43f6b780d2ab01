"""A browser peer against a page played by aiortc, by the fast way and by aiortc's own tracks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from appliance.browser import peer as peer_module
from appliance.browser import takeover as takeover_module
from appliance.browser.peer import BrowserPeer
from appliance.browser.port import PeerRefused, PeerStateName
from appliance.browser.takeover import Takeover
from tests.browser.signals import alaw_decode, mulaw_decode
from tests.browser_peer.page import Microphone, Page
from tests.browser_peer.test_browser_offer import CHROMIUM


class Sink:
    def __init__(self) -> None:
        self.audio: list[tuple[int, int, int, bytes]] = []
        self.states: list[PeerStateName] = []
        self.keys: list[str] = []

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        self.audio.append((payload_type, sequence, timestamp, payload))

    def peer_key(self, peer: str, digit: str) -> None:
        self.keys.append(digit)

    def peer_state(self, peer: str, state: PeerStateName) -> None:
        self.states.append(state)


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is waited for is no task of ours)
            await asyncio.sleep(0.005)


class Call:
    """A peer connected to a page."""

    def __init__(self, takeover: bool, codec: str = "PCMU") -> None:
        self.sink = Sink()
        self.page = Page(codec)
        self.peer = BrowserPeer("agent", self.sink, loopback=True, takeover=takeover)

    async def connect(self) -> None:
        await self.page.answered(await self.peer.accept(await self.page.offer()))
        await until(lambda: self.sink.states == ["connected"])

    async def close(self) -> None:
        await self.peer.close()
        await self.page.close()


@pytest.fixture(params=[True, False], ids=["takeover", "stock"])
async def call(request: pytest.FixtureRequest) -> AsyncIterator[Call]:
    call = Call(request.param)
    await call.connect()
    yield call
    await call.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same clockwork ten times as fast."""
    monkeypatch.setattr(peer_module, "_LOOK_S", 0.1)
    monkeypatch.setattr(Takeover, "silence_s", 0.5)
    monkeypatch.setattr(takeover_module, "_PROBE_AFTER_S", 0.2)


async def _talk(call: Call, frames: list[bytes]) -> None:
    for frame in frames:
        call.peer.write(frame)
        await asyncio.sleep(0.02)


async def test_what_the_page_says_reaches_the_sink_frame_by_frame(call: Call) -> None:
    await until(lambda: len(call.sink.audio) >= 20)
    heard = call.sink.audio[:20]
    assert {payload_type for payload_type, *_ in heard} == {0}
    assert np.array_equal(np.diff([sequence for _, sequence, _, _ in heard]) & 0xFFFF, [1] * 19)
    assert np.array_equal(np.diff([at for _, _, at, _ in heard]) & 0xFFFFFFFF, [160] * 19)
    said = [mulaw_decode(Microphone.pattern(n)).tolist() for n in range(60)]
    first = said.index(mulaw_decode(heard[0][3]).tolist())
    assert [mulaw_decode(payload).tolist() for *_, payload in heard] == said[first : first + 20]


async def test_what_is_written_reaches_the_page(call: Call) -> None:
    frames = [bytes([(n * 16 + 5) & 0xFF]) * 160 for n in range(1, 16)]
    await _talk(call, frames * 4)
    await until(lambda: len(call.page.heard) >= 30)
    levels = {round(float(np.frombuffer(frame, "<i2").mean())) for frame in call.page.heard}
    assert {round(mulaw_decode(frame)[0] * 32768) for frame in frames} <= levels


async def test_a_page_that_says_goodbye_is_closed_and_leaves_nothing_behind(call: Call) -> None:
    await call.page.close()
    await until(lambda: call.sink.states == ["connected", "closed"])
    call.peer.write(bytes(160))
    await call.peer.close()
    mine = asyncio.current_task()
    await until(
        lambda: all(
            task is mine or "peer agent" not in task.get_name() for task in asyncio.all_tasks()
        )
    )


async def test_after_close_the_sink_hears_nothing(call: Call) -> None:
    await until(lambda: call.sink.audio)
    await call.peer.close()
    audio, states = len(call.sink.audio), list(call.sink.states)
    await call.peer.close()
    await until(lambda: call.page.connection.connectionState == "closed")
    assert (len(call.sink.audio), call.sink.states) == (audio, states)


async def test_closing_twice_at_once_is_quick() -> None:
    call = Call(takeover=True)
    await call.connect()
    async with asyncio.timeout(2):
        await asyncio.gather(call.peer.close(), call.peer.close())
    await call.close()


@pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "stock"])
async def test_a_page_with_pcma_alone_gets_pcma(takeover: bool) -> None:
    call = Call(takeover, "PCMA")
    await call.connect()
    frames = [bytes([n]) * 160 for n in (0x05, 0x25, 0x45, 0x85, 0xA5, 0xC5)]
    await _talk(call, frames * 10)
    await until(lambda: len(call.page.heard) >= 30 and len(call.sink.audio) >= 20)
    loud = max(float(np.frombuffer(frame, "<i2").max()) for frame in call.page.heard)
    assert loud == pytest.approx(float(mulaw_decode(b"\x85")[0]) * 32768, rel=0.04)
    # the fast way hands the octets on as they came, the slow way has decoded them already
    payload_type, _, _, payload = call.sink.audio[10]
    assert payload_type == (8 if takeover else 0)
    decode = alaw_decode if takeover else mulaw_decode
    said = [alaw_decode(Microphone.pattern(n)) for n in range(60)]
    nearest = min(float(np.max(np.abs(decode(payload) - each))) for each in said)
    assert nearest <= (0.0 if takeover else 1 / 32)
    await call.close()


async def test_a_page_that_vanishes_is_lost_and_found_again(hasty: None) -> None:
    call = Call(takeover=True)
    await call.connect()
    call.page.unplug()
    await until(lambda: call.sink.states == ["connected", "lost"])
    call.page.plug()
    await until(lambda: call.sink.states == ["connected", "lost", "connected"])
    before = len(call.sink.audio)
    await until(lambda: len(call.sink.audio) > before + 10)
    await call.close()


async def test_a_page_that_sends_no_audio_is_not_lost(
    hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Call(takeover=True)
    await call.connect()
    call.page.microphone.talking.clear()
    # aiortc's page has no reports for a silent stream but its own; nothing of it may help
    monkeypatch.setattr(Takeover, "srtp_received", lambda self, data: None)
    replies = 0
    received = Takeover.other_received

    def counted(self: Takeover, addr: tuple[str, int]) -> None:
        nonlocal replies
        replies += 1
        received(self, addr)

    monkeypatch.setattr(Takeover, "other_received", counted)
    await until(lambda: replies >= 5)
    assert call.sink.states == ["connected"]
    await call.close()


async def test_a_page_that_never_connects_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "_LOOK_S", 0.05)
    monkeypatch.setattr(peer_module, "CONNECT_S", 0.2)
    sink = Sink()
    peer = BrowserPeer("agent", sink)
    await peer.accept(CHROMIUM)
    await until(lambda: sink.states == ["failed"])


async def test_a_page_with_another_certificate_than_it_offered_has_failed() -> None:
    call = Call(takeover=True)
    offer = await call.page.offer()
    fingerprint = next(line for line in offer.splitlines() if "sha-256" in line)
    wrong = "a=fingerprint:sha-256 " + ":".join(["00"] * 32)
    await call.page.answered(await call.peer.accept(offer.replace(fingerprint, wrong)))
    await until(lambda: call.sink.states == ["failed"])
    assert call.sink.audio == []
    await call.close()


async def test_packets_of_strangers_do_nothing() -> None:
    call = Call(takeover=True)
    await call.connect()
    pair = call.page.connection.getTransceivers()[0].sender.transport.transport
    address = pair._connection._nominated[1].remote_addr
    loop = asyncio.get_running_loop()
    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    before = len(call.sink.audio)
    for data in (b"", b"\x80", b"\x80" * 12, b"\x80\x00" + b"\x55" * 170, b"\x80\xc8" * 800):
        stranger.sendto(data)
    await until(lambda: len(call.sink.audio) > before + 10)
    assert {payload_type for payload_type, *_ in call.sink.audio} == {0}
    assert all(len(payload) == 160 for *_, payload in call.sink.audio)
    assert call.sink.states == ["connected"]
    stranger.close()
    await call.close()


async def test_one_lost_packet_delays_nothing_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call(takeover=True)
    received = Takeover.srtp_received
    dropped: list[bytes] = []
    at_once: list[bool] = []

    def lossy(self: Takeover, data: bytes) -> None:
        if data[1] & 0x7F != 0:
            received(self, data)
        elif len(call.sink.audio) == 10 and not dropped:
            dropped.append(data)
        else:
            before = len(call.sink.audio)
            received(self, data)
            at_once.append(len(call.sink.audio) == before + 1)

    monkeypatch.setattr(Takeover, "srtp_received", lossy)
    await call.connect()
    await until(lambda: len(call.sink.audio) >= 30)
    steps = np.diff([sequence for _, sequence, _, _ in call.sink.audio]) & 0xFFFF
    assert steps.tolist()[:20] == [1] * 9 + [2] + [1] * 10
    assert all(at_once)
    await call.close()


@pytest.mark.parametrize("offer", ["", "v=0", CHROMIUM[:300], "\udcff", CHROMIUM + "m=x"])
async def test_an_offer_that_cannot_be_used_is_refused(offer: str) -> None:
    peer = BrowserPeer("agent", Sink())
    with pytest.raises(PeerRefused):
        await peer.accept(offer)
    await peer.close()


async def test_a_second_offer_needs_a_new_peer() -> None:
    peer = BrowserPeer("agent", Sink())
    await peer.accept(CHROMIUM)
    with pytest.raises(PeerRefused):
        await peer.accept(CHROMIUM)
    await peer.close()
    with pytest.raises(PeerRefused):
        await peer.accept(CHROMIUM)


async def test_what_aiortc_stumbles_over_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.browser.offer.reduced", lambda offer: "nonsense")
    peer = BrowserPeer("agent", Sink())
    with pytest.raises(PeerRefused):
        await peer.accept(CHROMIUM)


async def test_writing_before_the_page_is_there_does_nothing() -> None:
    peer = BrowserPeer("agent", Sink())
    peer.write(bytes(160))
    await peer.accept(CHROMIUM)
    peer.write(bytes(160))
    await peer.close()
    peer.write(bytes(160))


# --- read by a tick -------------------------------------------------------------------------------


def _on_the_loop(call: Call) -> bool:
    audio = call.peer._audio
    assert isinstance(audio, Takeover)
    try:
        return (
            asyncio.get_running_loop()._selector.get_key(  # type: ignore[attr-defined]
                audio._path().transport._sock_fd
            )
            is not None
        )
    except KeyError:
        return False


async def test_a_tick_that_asks_gets_what_has_come_and_nothing_comes_in_between() -> None:
    call = Call(takeover=True)
    await call.connect()
    await until(lambda: call.sink.audio)
    assert _on_the_loop(call)
    call.peer.receive()
    assert not _on_the_loop(call)
    before, sent = len(call.sink.audio), call.page.microphone.sent
    await until(lambda: call.page.microphone.sent >= sent + 5)
    assert len(call.sink.audio) == before
    for _ in range(200):
        await asyncio.sleep(0.01)
        call.peer.receive()
        if len(call.sink.audio) >= before + 20:
            break
    assert np.diff([n for _, n, _, _ in call.sink.audio[before : before + 20]]).tolist() == [1] * 19
    call.peer.rest()
    assert _on_the_loop(call)
    before = len(call.sink.audio)
    await until(lambda: len(call.sink.audio) >= before + 10)
    call.peer.receive()
    await call.close()


async def test_a_backlog_is_dropped_but_for_its_newest_and_less_is_kept() -> None:
    call = Call(takeover=True)
    await call.connect()
    await until(lambda: call.sink.audio)
    for packets, kept in ((30, {2}), (3, {3, 4, 5})):
        call.peer.receive()
        before, sent = len(call.sink.audio), call.page.microphone.sent
        await until(lambda wanted=sent + packets: call.page.microphone.sent >= wanted)
        call.peer.receive()
        assert len(call.sink.audio) - before in kept
    await call.close()


async def test_a_goodbye_is_heard_by_the_tick() -> None:
    call = Call(takeover=True)
    await call.connect()
    call.peer.receive()
    closing = asyncio.create_task(call.page.close())
    for _ in range(500):
        call.peer.receive()
        if call.sink.states[-1] == "closed":
            break
        await asyncio.sleep(0.01)
    assert call.sink.states == ["connected", "closed"]
    await closing
    call.peer.receive()
    call.peer.rest()
    await call.peer.close()


async def test_where_sockets_cannot_be_taken_the_loop_goes_on_reading_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover_module, "drainable", lambda loop, transport: False)
    call = Call(takeover=True)
    await call.connect()
    call.peer.receive()
    assert _on_the_loop(call)
    before = len(call.sink.audio)
    await until(lambda: len(call.sink.audio) >= before + 10)
    await call.close()


async def test_both_sides_know_how_the_network_treats_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_module, "_LOOK_S", 0.1)
    monkeypatch.setattr(takeover_module, "_REPORT_S", 0.1)
    received = Takeover.srtp_received
    count = 0

    def lossy(self: Takeover, data: bytes) -> None:
        nonlocal count
        if data[1] & 0x7F == 0:
            count += 1
            if count % 10 == 5:
                return
        received(self, data)

    monkeypatch.setattr(Takeover, "srtp_received", lossy)
    call = Call(takeover=True)
    await call.connect()
    frames = 0
    while call.peer.quality().round_trip_ms is None or count < 40:
        await _talk(call, [bytes(160)])
        frames += 1
        assert frames < 1000
    quality = call.peer.quality()
    assert quality.packets >= 30
    assert quality.lost >= 3
    assert quality.far_packets == frames
    assert quality.far_lost == 0
    assert quality.round_trip_ms is not None
    assert quality.round_trip_ms < 5000
    await call.close()
    assert call.peer.quality().packets == 0


async def test_the_slow_way_knows_its_losses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "_LOOK_S", 0.1)
    call = Call(takeover=False)
    await call.connect()
    await until(lambda: call.peer.quality().packets >= 10)
    await _talk(call, [bytes(160)] * 10)
    await until(lambda: call.peer.quality().far_packets >= 10)
    assert call.peer.quality().lost == 0
    await call.close()
