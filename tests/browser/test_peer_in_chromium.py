"""A browser peer and a real Chromium: sound both ways, keys, coming and going."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from appliance.browser import peer as peer_module
from appliance.browser import takeover as takeover_module
from appliance.browser.peer import BrowserPeer
from appliance.browser.port import PeerRefused, PeerStateName
from appliance.browser.takeover import Takeover
from tests.browser import signals
from tests.browser.chromium import RigPage, chromium

pytestmark = pytest.mark.browser

MICROPHONE = signals.speech_like(20.0, seed=1)

# What peer.py asks of a page, and nothing more.
_PAGE = """<script>
window.connect = async (wanted = ["audio/PCMU", "audio/PCMA", "audio/telephone-event"],
                        prepare = null, keys = 8000) => {
  const pc = (window.pc = new RTCPeerConnection({ iceServers: [] }));
  const microphone = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  window.track = microphone.getAudioTracks()[0];
  if (prepare) prepare(pc);
  const transceiver = pc.addTransceiver(track, { direction: "sendrecv" });
  transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities("audio").codecs
    .filter(codec => wanted.includes(codec.mimeType)
            && (codec.mimeType !== "audio/telephone-event" || codec.clockRate === keys)));
  window.sender = transceiver.sender;
  await pc.setLocalDescription();
  const answer = await answerFor(pc.localDescription.sdp);
  if (answer.refused) return answer.refused;
  await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
};
addEventListener("pagehide", () => window.pc?.close());
</script>"""


class Box:
    """The media process's part: peers, what they hear, and a tick that talks to the newest."""

    def __init__(self) -> None:
        self.audio: list[tuple[int, int, bytes]] = []
        self.arrived: list[float] = []
        self.keys: list[str] = []
        self.states: list[PeerStateName] = []
        self.peer: BrowserPeer | None = None
        self._talking: asyncio.Task[None] | None = None

    def peer_audio(
        self, peer: str, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        self.audio.append((payload_type, timestamp, payload))
        self.arrived.append(time.monotonic())

    def peer_key(self, peer: str, digit: str) -> None:
        self.keys.append(digit)

    def peer_state(self, peer: str, state: PeerStateName) -> None:
        self.states.append(state)

    async def answer_for(self, offer: str) -> dict[str, str]:
        """A new offer replaces the peer, as in the media process."""
        if self.peer is not None:
            await self.peer.close()
        self.peer = BrowserPeer("agent", self, loopback=True)
        try:
            return {"sdp": await self.peer.accept(offer)}
        except PeerRefused as refused:
            return {"refused": str(refused)}

    def say(self, samples: signals.Samples) -> None:
        """Send the samples at line speed from now on, then silence."""
        frames = signals.mulaw_encode(samples)
        if self._talking is not None:
            self._talking.cancel()
        self._talking = asyncio.create_task(self._talk(frames))

    async def _talk(self, frames: bytes) -> None:
        start = time.monotonic()
        for n in range(100_000):
            await asyncio.sleep(max(0.0, start + n * 0.02 - time.monotonic()))
            frame = frames[n * 160 : n * 160 + 160]
            if self.peer is not None:
                self.peer.write(frame.ljust(160, b"\xff"))

    def heard(self) -> signals.Samples:
        """What came from the page, placed by its time stamps."""
        decode = {0: signals.mulaw_decode, 8: signals.alaw_decode}
        first = self.audio[0][1]
        last = max((timestamp - first) & 0xFFFFFFFF for _, timestamp, _ in self.audio)
        samples = np.zeros(last + 480)
        for payload_type, timestamp, payload in self.audio:
            at = (timestamp - first) & 0xFFFFFFFF
            samples[at : at + len(payload)] = decode[payload_type](payload)
        return samples

    async def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
        if self.peer is not None:
            await self.peer.close()


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is waited for is no task of ours)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def rig(tmp_path: Path) -> AsyncIterator[tuple[Box, RigPage]]:
    box = Box()
    wav = signals.write_wav(tmp_path / "microphone.wav", MICROPHONE, rate=48000)
    async with chromium(microphone=wav) as browser:
        page = await browser.blank(_PAGE)
        await page.page.expose_function("answerFor", box.answer_for)
        try:
            yield box, page
        finally:
            await box.close()


async def _connect(box: Box, page: RigPage, arguments: str = "") -> None:
    refused = await page.page.evaluate(f"connect({arguments})")
    assert refused is None
    await until(lambda: box.states[-1:] == ["connected"])


def _is_heard(said: signals.Samples, recording: signals.Samples) -> bool:
    """Found, at its own level (within 0.5 dB); how much of it is the machine's business."""
    heard = signals.hear(said, recording)
    print(heard)
    return heard.share >= 0.4 and abs(heard.gain_db) < 0.5


async def test_both_hear_each_other_and_keys_are_told(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        said = signals.speech_like(2.0, seed=2)
        box.say(np.concatenate([signals.silence(0.3), said]))
        recording = await page.heard(3.2)
        await until(lambda: len(box.audio) >= 160)

        assert _is_heard(said, recording.samples)
        assert _is_heard(MICROPHONE[8000 : 8000 * 3], box.heard())
        assert {payload_type for payload_type, _, _ in box.audio} == {0}

        await page.page.evaluate("sender.dtmf.insertDTMF('159#*0D', 100, 70)")
        await until(lambda: len(box.keys) >= 7)
        assert box.keys == ["1", "5", "9", "#", "*", "0", "D"]

        # the page's own figures say that our reports are right
        await page.page.wait_for_function(
            """async () => [...(await pc.getStats()).values()].some(
                 r => r.type === "remote-inbound-rtp" && r.roundTripTime !== undefined)""",
            polling=200,
        )
        assert (await page.stats("remote-inbound-rtp"))["packetsLost"] == 0
        assert (await page.stats("inbound-rtp"))["packetsLost"] == 0
        assert box.states == ["connected"]
        assert page.console == []


async def test_a_page_with_pcma_alone_is_heard_and_hears(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page, '["audio/PCMA"]')
        said = signals.speech_like(1.6, seed=3)
        box.say(np.concatenate([signals.silence(0.3), said]))
        recording = await page.heard(2.8)
        await until(lambda: len(box.audio) >= 120)
        assert _is_heard(said, recording.samples)
        assert _is_heard(MICROPHONE[8000 : 8000 * 2], box.heard())
        assert {payload_type for payload_type, _, _ in box.audio} == {8}
        assert await page.page.evaluate("sender.dtmf.canInsertDTMF") is False


async def test_audio_is_answered_among_video_and_data(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        codecs = '["audio/PCMU"]'
        extra = "pc => { pc.addTransceiver('video'); pc.createDataChannel('x'); }"
        await _connect(box, page, f"{codecs}, {extra}")
        await until(lambda: len(box.audio) >= 50)
        said = signals.speech_like(1.2, seed=7)
        box.say(said)
        recording = await page.heard(3.2)
        assert _is_heard(said, recording.samples)


async def test_opus_is_spoken_both_ways_when_the_page_wants_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        wanted = '["audio/opus", "audio/PCMU", "audio/telephone-event"]'
        await _connect(box, page, f"{wanted}, null, 48000")
        said = signals.speech_like(2.0, seed=2)
        box.say(np.concatenate([signals.silence(0.3), said]))
        recording = await page.heard(3.2)
        await until(lambda: len(box.audio) >= 160)
        assert (await page.stats("codec"))["mimeType"] == "audio/opus"

        heard = signals.hear(said, recording.samples)
        print(heard)
        # mono in and out without aiortc's 3 dB; Opus itself takes up to 1 dB from noisy sounds
        assert heard.share >= 0.4
        assert abs(heard.gain_db) < 1.5
        heard = signals.hear(MICROPHONE[8000 : 8000 * 3], box.heard())
        print(heard)
        assert heard.share >= 0.4
        assert abs(heard.gain_db) < 1.5

        await page.page.evaluate("sender.dtmf.insertDTMF('159#*0D', 100, 70)")
        await until(lambda: len(box.keys) >= 7)
        assert box.keys == ["1", "5", "9", "#", "*", "0", "D"]


async def test_opus_is_refused_with_a_reason_where_nobody_speaks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Takeover, "opus", False)
    async with rig(tmp_path) as (box, page):
        refused = await page.page.evaluate('connect(["audio/opus"])')
        assert "neither PCMU nor PCMA" in refused
        assert box.states == []


async def test_a_page_that_lets_go_of_its_microphone_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a fifth of the real times: shorter than the page's own 2.5 s between its checks
    monkeypatch.setattr(peer_module, "_LOOK_S", 0.2)
    monkeypatch.setattr(Takeover, "silence_s", 1.0)
    monkeypatch.setattr(takeover_module, "_PROBE_AFTER_S", 0.4)
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        await until(lambda: len(box.audio) >= 10)
        await page.page.evaluate("sender.replaceTrack(null)")
        await until(lambda: time.monotonic() - box.arrived[-1] > 3.0)
        assert box.states == ["connected"]
        quiet = len(box.audio)
        await page.page.evaluate("sender.replaceTrack(track)")
        await until(lambda: len(box.audio) >= quiet + 50)


async def test_a_microphone_may_come_later_without_a_new_offer(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await page.page.evaluate(
            """async () => {
                 window.pc = new RTCPeerConnection({ iceServers: [] });
                 window.sender = pc.addTransceiver("audio", { direction: "sendrecv" }).sender;
                 await pc.setLocalDescription();
                 await pc.setRemoteDescription(
                   { type: "answer", ...await answerFor(pc.localDescription.sdp) });
               }"""
        )
        await until(lambda: box.states == ["connected"])
        assert box.audio == []
        await page.page.evaluate(
            """async () => {
                 const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
                 await sender.replaceTrack(microphone.getAudioTracks()[0]);
               }"""
        )
        await until(lambda: len(box.audio) >= 50)


async def test_a_new_offer_brings_the_sound_back_at_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        await until(lambda: len(box.audio) >= 10)
        first = box.peer
        asked = time.monotonic()
        await _connect(box, page)
        before = len(box.audio)
        await until(lambda: len(box.audio) > before)
        print(json.dumps({"reoffer_s": round(time.monotonic() - asked, 3)}))
        assert box.peer is not first
        said = signals.speech_like(1.2, seed=4)
        box.say(np.concatenate([signals.silence(0.3), said]))
        recording = await page.heard(2.4)
        assert _is_heard(said, recording.samples)


async def test_a_reloaded_page_says_goodbye(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        await page.page.reload()
        await until(lambda: box.states == ["connected", "closed"])


async def test_a_tab_that_dies_is_noticed(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        await page.page.evaluate("onpagehide = null; window.pc = null; 0")
        died = time.monotonic()
        await page.page.close()
        await until(lambda: "lost" in box.states or "closed" in box.states)
        print(json.dumps({"noticed_s": round(time.monotonic() - died, 3)}))


async def test_a_pause_of_the_writer_adds_no_delay(tmp_path: Path) -> None:
    async with rig(tmp_path) as (box, page):
        await _connect(box, page)
        box.say(signals.speech_like(1.0, seed=5))
        await page.heard(1.0)
        peer, box.peer = box.peer, None  # the tick has nobody to write to
        assert peer is not None
        paused = len((await page.heard()).samples) / signals.RATE
        await page.heard(paused + 1.5)
        said = signals.speech_like(1.2, seed=6)
        box.peer = peer
        box.say(said)
        resumed_at = time.time()
        recording = await page.heard(paused + 3.5)
        heard = signals.hear(said, recording.samples)
        assert heard.share >= 0.4
        delay_s = recording.started_at + heard.delay_s - resumed_at
        print(json.dumps({"after_pause_s": round(delay_s, 3)}))
        # the silence is not held against what comes after it
        assert delay_s < 0.8
