"""How late a browser's sound is: a real Chromium speaks, the box says it back, the page hears it.

    python -m tests.browser.delay_rig [--opus] [--loss 0.05] [--stall 1.0] [--seconds 14]

The page records its own microphone and what comes back in one audio context, so that no clock has
to be compared with another: the delay is the distance of the two in samples. The media process
bridges the page's leg with a line whose driver hands back what it gets, which takes two ticks to
the sample. Packets are lost in the application, each way by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.browser.peer import BrowserPeer
from appliance.browser.takeover import Takeover
from appliance.media import protocol as p
from appliance.media.echo import EchoCanceller
from tests.browser import signals
from tests.browser.chromium import RigPage, _to_8k, chromium
from tests.media.endpoint import Box, media_box

ECHO_S = 0.04
"""The line's way back into the engine: written in one tick, read two ticks later."""
PIECE_S = 0.2
_SEARCH_S = 2.0

_PAGE = """<script>
const worklet = `registerProcessor("both", class extends AudioWorkletProcessor {
  constructor() { super(); this.said = new Float32Array(4800); this.heard = new Float32Array(4800);
                  this.filled = 0; }
  process(inputs) {
    for (let i = 0; i < 128; i++) {
      this.said[this.filled] = inputs[0][0]?.[i] ?? 0;
      this.heard[this.filled++] = inputs[1][0]?.[i] ?? 0;
      if (this.filled === 4800) {
        this.port.postMessage([this.said, this.heard]);
        this.said = new Float32Array(4800); this.heard = new Float32Array(4800); this.filled = 0;
      }
    }
    return true;
  } });`;
const chunks = [[], []];
window.seconds = () => chunks[0].length / 10;
window.taken = side => {
  const all = new Float32Array(chunks[side].length * 4800);
  chunks[side].forEach((chunk, i) => all.set(chunk, i * 4800));
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 0x8000));
  return btoa(text);
};
window.connect = async (order, hint) => {
  const pc = (window.pc = new RTCPeerConnection({ iceServers: [] }));
  const microphone = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  const transceiver = pc.addTransceiver(microphone.getAudioTracks()[0]);
  const all = RTCRtpReceiver.getCapabilities("audio").codecs;
  transceiver.setCodecPreferences(order.flatMap(
    name => all.filter(codec => codec.mimeType.toLowerCase() === name)));
  if (hint !== null) transceiver.receiver.jitterBufferTarget = hint;
  const context = new AudioContext({ sampleRate: 48000 });
  const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
  await context.audioWorklet.addModule(url);
  await context.resume();
  const both = new AudioWorkletNode(context, "both", { numberOfInputs: 2 });
  both.port.onmessage = ({ data }) => data.forEach((chunk, side) => chunks[side].push(chunk));
  context.createMediaStreamSource(microphone).connect(both, 0, 0);
  both.connect(context.destination);
  pc.ontrack = ({ track }) => {
    const stream = new MediaStream([track]);
    const player = (window.player = new Audio());
    player.muted = true; player.srcObject = stream; player.play();
    context.createMediaStreamSource(stream).connect(both, 0, 1);
  };
  await pc.setLocalDescription();
  await pc.setRemoteDescription({ type: "answer", sdp: await answerFor(pc.localDescription.sdp) });
};
</script>"""

G711 = ("audio/pcmu", "audio/pcma")
OPUS = ("audio/opus", *G711)


@dataclass(frozen=True, slots=True)
class Delays:
    """`at_s` and `delay_s` of each piece of speech that came back without doubt, one way: half of
    what the round took; `share` is how many of all came."""

    at_s: np.ndarray
    delay_s: np.ndarray
    share: float

    def median_ms(self, start_s: float, end_s: float) -> float:
        """Of the pieces said between these seconds of the recording."""
        within = self.delay_s[(self.at_s >= start_s) & (self.at_s < end_s)]
        return float(np.median(within)) * 1000 if len(within) else float("inf")


def delays(said: signals.Samples, heard: signals.Samples) -> Delays:
    """Find each piece of `said` in what was heard within two seconds of it."""
    size, search = round(PIECE_S * signals.RATE), round(_SEARCH_S * signals.RATE)
    at_s, delay_s, pieces = [], [], 0
    loud = float(np.mean(said**2)) / 4
    for at in range(0, len(said) - size - search, size):
        piece = said[at : at + size]
        if float(np.mean(piece**2)) < loud:
            continue
        pieces += 1
        found = signals.find(piece, heard[at : at + size + search])
        if found.correlation > 0.8:
            at_s.append(at / signals.RATE)
            delay_s.append((found.delay_s - ECHO_S) / 2)
    return Delays(np.array(at_s), np.array(delay_s), len(at_s) / max(pieces, 1))


class Rig:
    """A page in a call with itself; `lose` is the share of packets that go missing each way."""

    def __init__(self, box: Box, page: RigPage) -> None:
        self.box = box
        self.page = page
        self.lose = 0.0
        self.peer: BrowserPeer
        self._random = random.Random(1)

    def survives(self, data: bytes) -> bool:
        return 192 <= data[1] <= 223 or self._random.random() >= self.lose

    async def answer_for(self, offer: str) -> str:
        self.box.send(p.OfferPeer("agent", 1, offer))
        answer = await self.box.wait(p.PeerAnswer)
        return str(answer.sdp or answer.reason)

    async def connect(self, codecs: tuple[str, ...], hint_ms: int | None = None) -> None:
        line = self.box.lines["echo"]
        line.write = line.speak  # type: ignore[method-assign]
        await self.page.page.evaluate("([order, hint]) => connect(order, hint)", [codecs, hint_ms])
        await self.box.wait(lambda event: event == p.PeerState("agent", "connected"))
        self.box.send(
            p.OpenPeer(1, "agent"), p.OpenLine(2, "echo", agc=False), p.AnswerLine("echo")
        )
        self.box.send(p.Bridge(1, 1, 2))
        await self.box.wait(p.BridgeLive)

    async def seconds(self) -> float:
        """How much has been recorded."""
        return float(await self.page.page.evaluate("seconds()"))

    async def until(self, seconds: float) -> None:
        await self.page.page.wait_for_function(
            "wanted => seconds() >= wanted", arg=seconds, polling=50, timeout=60_000
        )

    async def delays(self) -> Delays:
        said, heard = [
            _to_8k(np.frombuffer(base64.b64decode(text), "<f4").astype(float))
            for text in await self.page.page.evaluate("[taken(0), taken(1)]")
        ]
        return delays(said, heard)


@asynccontextmanager
async def delay_rig(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """The box and a page that has not connected yet; `patch` is pytest's monkeypatch."""
    microphone = signals.write_wav(
        folder / "microphone.wav", signals.speech_like(25.0, seed=1), rate=48000
    )
    rigs: list[Rig] = []

    def make_peer(self: Box, name: str, sink: Any) -> BrowserPeer:
        rigs[0].peer = BrowserPeer(name, sink, loopback=True)
        return rigs[0].peer

    # A line that says back what it hears is just what the canceller is there to silence.
    patch.setattr(EchoCanceller, "open", lambda self, slot: None)
    received, send = Takeover.srtp_received, Takeover._send
    patch.setattr(Box, "make_peer", make_peer)
    patch.setattr(
        Takeover,
        "srtp_received",
        lambda self, data: received(self, data) if rigs[0].survives(data) else None,
    )
    patch.setattr(
        Takeover, "_send", lambda self, data: send(self, data) if rigs[0].survives(data) else None
    )
    async with media_box(folder, lines={"echo": {}}) as box, chromium(microphone) as browser:
        page = await browser.blank(_PAGE)
        rig = Rig(box, page)
        rigs.append(rig)
        await page.page.expose_function("answerFor", rig.answer_for)
        yield rig


async def _main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        async with delay_rig(Path(folder), patch) as rig:
            rig.lose = options.loss
            await rig.connect(OPUS if options.opus else G711, options.hint)
            began = await rig.seconds()
            stalled = began + options.seconds / 2
            await rig.until(stalled)
            time.sleep(options.stall)  # noqa: ASYNC251 - a host that stands still
            await rig.until(began + options.seconds + 2)
            found = await rig.delays()
            for at, delay in zip(found.at_s, found.delay_s, strict=True):
                print(f"{at - stalled:7.2f} s {delay * 1000:7.1f} ms")
            steady = found.median_ms(began + 2, stalled)
            after = found.median_ms(stalled + options.stall + 2, began + options.seconds + 2)
            print(
                f"heard {found.share:.0%}, median {steady:.0f} ms, after the stall {after:.0f} ms"
            )
            print(rig.peer.quality())
            stats = await rig.page.stats("inbound-rtp")
            print(
                {
                    k: stats.get(k)
                    for k in (
                        "jitterBufferDelay",
                        "jitterBufferEmittedCount",
                        "jitterBufferTargetDelay",
                        "concealedSamples",
                        "packetsLost",
                        "fecPacketsReceived",
                    )
                }
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--opus", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=14.0)
    parser.add_argument("--hint", type=int)
    asyncio.run(_main(parser.parse_args()))
