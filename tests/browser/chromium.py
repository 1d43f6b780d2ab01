"""A real Chromium for tests: headless, with a microphone that plays a WAV and ears that record.

    async with chromium(microphone=wav) as browser:
        page = await browser.page("http://localhost:8080/agent")
        ...
        heard = await page.heard(seconds=3)     # what the page's far end said, 8 kHz

Every remote stream of every RTCPeerConnection that the page makes is recorded from its first
sample, without any help from the page.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser.signals import RATE, Samples
from tests.peers import program

CONTEXT_RATE = 48000

_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]

# Runs in each page before its own scripts. The recorder is an audio worklet of a context at
# 48 kHz; Chromium feeds a remote stream to Web Audio only while a media element plays it.
_EARS = r"""
(() => {
  const rig = (window.__rig = { peers: [], streams: [], recordings: [], context: null });
  const worklet = `
    registerProcessor("ears", class extends AudioWorkletProcessor {
      constructor() {
        super();
        this.chunk = new Float32Array(4800);
        this.filled = 0;
        this.first = null;
      }
      process(inputs) {
        const input = inputs[0][0];
        if (this.first === null) this.first = currentFrame;
        for (let i = 0; i < 128; i++) {
          this.chunk[this.filled++] = input ? input[i] : 0;
          if (this.filled === this.chunk.length) {
            const end = currentFrame + i + 1;
            this.port.postMessage({ samples: this.chunk, end, count: end - this.first });
            this.chunk = new Float32Array(4800);
            this.filled = 0;
          }
        }
        return true;
      }
    });`;
  let loaded = null;
  rig.record = async (stream) => {
    const recording = { stream, chunks: [], began: [] };
    rig.recordings.push(recording);
    recording.element = new Audio();
    recording.element.muted = true;
    recording.element.srcObject = stream;
    recording.element.play().catch(() => {});
    if (!rig.context) {
      rig.context = new AudioContext({ sampleRate: 48000 });
      const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
      loaded = rig.context.audioWorklet.addModule(url);
    }
    await loaded;
    await rig.context.resume();
    const ears = new AudioWorkletNode(rig.context, "ears", { numberOfOutputs: 1 });
    ears.port.onmessage = ({ data }) => {
      // When a sample leaves the context: both clocks at one moment, as the browser says.
      const { contextTime, performanceTime } = rig.context.getOutputTimestamp();
      const began = performanceTime + ((data.end - data.count) / 48000 - contextTime) * 1000;
      recording.began.push(performance.timeOrigin + began);
      recording.chunks.push(data.samples);
    };
    rig.context.createMediaStreamSource(stream).connect(ears);
    ears.connect(rig.context.destination);  // a node without a way out is not run
    return recording;
  };
  rig.take = (index) => {
    const recording = rig.recordings.at(index);
    if (!recording) return null;
    const all = new Float32Array(recording.chunks.length * 4800);
    recording.chunks.forEach((chunk, i) => all.set(chunk, i * 4800));
    const bytes = new Uint8Array(all.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000)
      text += String.fromCharCode.apply(null, bytes.subarray(i, i + 0x8000));
    const began = [...recording.began].sort((a, b) => a - b);
    return { data: btoa(text), startedAt: began[began.length >> 1] };
  };
  rig.seconds = (index) => (rig.recordings.at(index)?.chunks.length ?? 0) / 10;
  const Native = window.RTCPeerConnection;
  if (!Native) return;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      rig.peers.push(this);
      this.addEventListener("track", (event) => {
        if (event.track.kind !== "audio") return;
        const stream = event.streams[0] ?? new MediaStream([event.track]);
        rig.streams.push(stream);
        rig.record(stream);
      });
    }
  };
  window.__remoteStreams = rig.streams;
})();
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a page heard, 8 kHz. `started_at` is the wall clock (seconds since 1970) of the first
    sample, good to some 50 ms: a headless browser has no sound card that keeps its time."""

    samples: Samples
    started_at: float


class RigPage:
    """A page of the rig; `page` is Playwright's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))

    async def record_element(self, selector: str) -> None:
        """Record what an audio element of the page plays from a stream, as the newest recording."""
        await self.page.evaluate(
            "selector => __rig.record(document.querySelector(selector).srcObject)", selector
        )

    async def heard(
        self, seconds: float = 0.0, index: int = -1, timeout_s: float = 30.0
    ) -> Recording:
        """The recording of a remote stream so far (default: newest) once it holds `seconds`."""
        await self.page.wait_for_function(
            "([index, seconds]) => __rig.seconds(index) >= Math.max(seconds, 0.1)",
            arg=[index, seconds],
            timeout=timeout_s * 1000,
            polling=50,
        )
        taken = await self.page.evaluate("index => __rig.take(index)", index)
        samples = np.frombuffer(base64.b64decode(taken["data"]), "<f4").astype(float)
        return Recording(_to_8k(samples), taken["startedAt"] / 1000)

    async def peer_states(self) -> list[str]:
        """The connection state of each RTCPeerConnection the page made, oldest first."""
        states: list[str] = await self.page.evaluate(
            "() => __rig.peers.map(p => p.connectionState)"
        )
        return states

    async def stats(self, kind: str, index: int = -1) -> dict[str, object]:
        """One audio report of the peer's getStats(), such as "inbound-rtp"."""
        found: dict[str, object] = await self.page.evaluate(
            """async ([kind, index]) => {
                 const all = [...(await __rig.peers.at(index).getStats()).values()];
                 return all.find(r => r.type === kind && (!r.kind || r.kind === "audio")) ?? {};
               }""",
            [kind, index],
        )
        return found


class Chromium:
    """A running browser."""

    def __init__(self, browser: Browser, context: BrowserContext) -> None:
        self.browser = browser
        self.context = context

    async def page(self, url: str | None = None) -> RigPage:
        """A new tab, opened at `url`."""
        page = RigPage(await self.context.new_page())
        if url is not None:
            await page.page.goto(url)
        return page

    async def blank(self, body: str = "", host: str = "rig.localhost") -> RigPage:
        """A new tab with an empty page of a secure origin, without any server."""
        page = RigPage(await self.context.new_page())
        html = f"<!doctype html><meta charset=utf-8><title>rig</title>{body}"
        url = f"http://{host}/"
        await page.page.route(url, lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.page.goto(url)
        return page


@asynccontextmanager
async def chromium(
    microphone: Path | None = None,
    *,
    loop: bool = False,
    loopback: bool = True,
    flags: Sequence[str] = (),
    locale: str = "en-US",
    executable: Path | None = None,
) -> AsyncIterator[Chromium]:
    """Start Debian's Chromium; it ends with the block.

    `microphone` is a WAV that starts playing when a page first opens the microphone, and is
    repeated with `loop`; None beeps once a second. `loopback` lets WebRTC use 127.0.0.1, which
    an ordinary Chromium does not; the other end must offer that address too. `executable` starts
    it some other way, in another network for instance.
    """
    arguments = [*_FLAGS, *flags]
    if microphone is not None:
        arguments.append(
            f"--use-file-for-fake-audio-capture={microphone}{'' if loop else '%noloop'}"
        )
    if loopback:
        arguments.append("--allow-loopback-in-peer-connection")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable or program("chromium"),
            args=arguments,
            ignore_default_args=["--headless", "--mute-audio"],
            chromium_sandbox=False,
        )
        try:
            # a page's strict content policy would not let the recorder in
            context = await browser.new_context(
                bypass_csp=True,
                permissions=["microphone"],
                locale=locale,
                ignore_https_errors=True,
            )
            await context.add_init_script(_EARS)
            yield Chromium(browser, context)
        finally:
            await browser.close()


def _to_8k(samples: Samples) -> Samples:
    """48 kHz to 8 kHz: a windowed-sinc low-pass at 3.8 kHz, then each sixth sample. No delay."""
    step = CONTEXT_RATE // RATE
    taps = np.arange(-240, 241)
    low_pass = np.sinc(taps * 2 * 3800 / CONTEXT_RATE) * np.blackman(len(taps))
    low_pass /= low_pass.sum()
    return np.convolve(samples, low_pass, "same")[::step] if len(samples) > 481 else np.zeros(0)
