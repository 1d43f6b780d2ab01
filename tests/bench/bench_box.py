"""A whole box: start to ready, ring to the agent's screen, answer to sound in both directions.

One agent in a real Chromium, one caller on a modem line that leads straight to the queue. The ring
is counted from the moment the modem has sent the caller's number over its serial port, the sound
from the click on Answer; both ears wait for a tone that the other side keeps sending. Medians of
`CALLS` calls; the worst is printed beside them.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from appliance.simulator import pty
from appliance.simulator.caller import Sound
from tests.browser.chromium import chromium
from tests.browser.signals import tone, write_wav
from tests.e2e.box import Box

CALLS = 7

_WATCH = """
window.__seen = {};
new MutationObserver(() => {
  for (const found of document.body.innerText.matchAll(/55501\\d\\d/g))
    window.__seen[found[0]] ??= Date.now();
}).observe(document, { subtree: true, childList: true, characterData: true });
document.addEventListener("click", () => { window.__clicked = Date.now(); }, true);
const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (open) navigator.mediaDevices.getUserMedia = (wanted) => open({ audio: {
  ...(typeof wanted.audio === "object" ? wanted.audio : {}),
  echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
"""


def _free_ports() -> Any:
    import socket

    def pick() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1]) & ~1

    return pick


class _Wire:
    """Notes when a modem put a caller's number on its port."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self._write = os.write

    def __enter__(self) -> _Wire:
        tails: dict[int, bytes] = {}

        def write(descriptor: int, data: bytes) -> int:
            tails[descriptor] = (tails.get(descriptor, b"") + bytes(data))[-200:]
            for digits in re.findall(rb"NMBR ?= ?(\d{7})\r", tails[descriptor]):
                self.sent.setdefault(digits.decode(), time.time() * 1000)
            return self._write(descriptor, data)

        pty.os.write = write  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        pty.os.write = self._write  # type: ignore[assignment]


def _starts(samples: np.ndarray, hertz: float) -> float | None:
    """Where a tone begins, seconds; None if it is not there."""
    size = 80
    count = len(samples) // size
    blocks = samples[: count * size].reshape(count, size)
    carrier = np.exp(-2j * np.pi * hertz * np.arange(size) / 8000)
    level = np.abs(blocks @ carrier) / size
    loud = np.flatnonzero(level > 0.3 * np.quantile(level, 0.98))
    if not len(loud) or np.quantile(level, 0.98) < 0.01:
        return None
    return float(loud[0]) * size / 8000


def _no_wrap_up(text: str) -> str:
    return text.replace("wrap_up_s = 20", "wrap_up_s = 0")


async def _until_ready(box: Box, started: float) -> float:
    await box.office.wait_ready()
    return time.monotonic() - started


async def _measure() -> dict[str, float]:
    screen: list[float] = []
    to_caller: list[float] = []
    to_agent: list[float] = []
    with tempfile.TemporaryDirectory() as folder, _Wire() as wire:
        path = Path(folder)
        microphone = write_wav(path / "mic.wav", tone(1300, 4), 8000)
        box = Box(path, _free_ports(), edit=_no_wrap_up)
        started = time.monotonic()
        running = asyncio.create_task(_until_ready(box, started))
        async with box, chromium(microphone=microphone, loop=True) as browser:
            ready = await running
            await browser.context.add_init_script(_WATCH)
            agent = await browser.page(f"{box.url}/demo")
            page = agent.page
            await page.get_by_role("button", name="Sign in as Ana").click()
            await page.get_by_role("button", name="Go on duty").click()
            await box.state(lambda s: box.agent(s, "ana").phase == "ready")
            for index in range(CALLS):
                number = f"55501{index:02}"
                call = await box.exchange.call(line=2, number=number)
                hum = (tone(700, 20) * 20000).astype(np.int16)
                await call.answered()
                call.caller.add(Sound(hum))
                await page.get_by_text(number).first.wait_for()
                began = (await agent.heard()).started_at
                before, before_at = len(call.heard()), time.time() * 1000
                await page.get_by_role("button", name="Answer").click()
                await box.state(lambda s: any(c.phase == "talking" for c in s.calls))
                await asyncio.sleep(2)
                clicked = await page.evaluate("window.__clicked")
                seen = await page.evaluate("n => window.__seen[n]", number)
                screen.append(seen - wire.sent[number])
                heard = call.heard()[before:].astype(float) / 32768
                at = _starts(heard, 1300)
                if at is not None:
                    to_caller.append(before_at + at * 1000 - clicked)
                ears = await agent.heard()
                offset = clicked / 1000 - began
                tail = ears.samples[int(offset * 8000) :]
                at = _starts(tail, 700)
                if at is not None:
                    to_agent.append(at * 1000)
                await call.hangup()
                await box.state(lambda s: not s.calls)
    return {
        "start_to_ready_s": ready,
        "ring_to_screen_ms": statistics.median(screen),
        "ring_to_screen_ms_worst": max(screen),
        "answer_to_caller_ms": statistics.median(to_caller),
        "answer_to_caller_ms_worst": max(to_caller),
        "answer_to_agent_ms": statistics.median(to_agent),
        "answer_to_agent_ms_worst": max(to_agent),
    }


def run() -> dict[str, float]:
    return asyncio.run(_measure())
