"""Messages on a running box with baresips: left by one phone, shown by the other's lamp, heard by
it, and kept through a kill -9 of control."""

from __future__ import annotations

import asyncio
import re
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from appliance.media.finish import measure
from appliance.media.wav import STEREO_HEADER_BYTES
from appliance.recordings import parts
from tests.browser.signals import mulaw_decode
from tests.e2e.box import Box
from tests.interop.baresip import Baresip, baresip

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]
HERTZ = 700


def with_box(text: str) -> str:
    return text + (
        '\n[boxes.pip]\nname = "Pip"\nperson = "pip"\nring_s = 5\nsilence_s = 0\n'
        'greeting = { text = "Speak now." }\n'
    )


def account(box: Box, extension: str) -> str:
    return (
        f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
        ";regint=60;answermode=manual;audio_codecs=pcmu"
    )


def lamps(folder: Path) -> list[str]:
    """What the phone was told of its messages (new/old), oldest first."""
    return re.findall(r"Voice-Message: (\d+/\d+)", (folder / "log").read_text())


@asynccontextmanager
async def with_lamp(
    folder: Path, account: str, ports: Callable[[], tuple[int, int, int]]
) -> AsyncIterator[tuple[Baresip, Path]]:
    """A phone that has subscribed. Now and then baresip 1.0 asks for ever without its password,
    thousands of times a second, from its start: then another one takes its place."""
    for turn in range(8):
        place = folder / str(turn)
        async with baresip(place, account, *ports(), lamp=True) as phone:
            try:
                await until(lambda: lamps(place), 4)  # noqa: B023
            except TimeoutError:
                continue
            yield phone, place
            return
    pytest.fail("no phone could subscribe to its messages")


async def until(true: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def tone_share(path: Path) -> float:
    """How much of the second and third second of the caller's side is the tone that they play."""
    raw = b"".join(file.read_bytes()[STEREO_HEADER_BYTES:] for _, file in parts(path))
    pairs = np.frombuffer(raw[: len(raw) & ~1], np.uint8).reshape(-1, 2)
    heard = mulaw_decode(pairs[8000:24_000, 0].tobytes())
    assert len(heard) == 16_000
    power = np.abs(np.fft.rfft(heard)) ** 2
    at = 2 * HERTZ
    return float(power[at - 20 : at + 20].sum() / power.sum())


async def test_a_message_is_left_lights_the_lamp_and_is_heard(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port, edit=with_box, simulator=False) as box:

        def ports() -> tuple[int, int, int]:
            return free_port(), free_port(), free_port()

        async with (
            baresip(tmp_path / "p101", account(box, "101"), *ports(), hertz=HERTZ) as caller,
            with_lamp(tmp_path / "p102", account(box, "102"), ports) as (pip, folder),
        ):
            await box.state(lambda s: all(p.registered for p in s.phones))
            assert lamps(folder)[-1] == "0/0"
            await caller.do("dial", f"sip:203@127.0.0.1:{box.sip_port}")
            started = await box.fact(e.MessageStarted)
            assert isinstance(started, e.MessageStarted)
            await asyncio.sleep(4)
            await caller.do("hangup")
            kept = await box.fact(e.MessageKept)
            assert isinstance(kept, e.MessageKept)
            assert (kept.box, kept.caller) == ("pip", "101")
            await until(lambda: lamps(folder)[-1] == "1/0")

            await box.fact(e.RecordingEnded)
            path = box.places.data / kept.path
            assert 3000 <= measure(path) <= kept.duration_ms + 500
            assert tone_share(path) > 0.8

            await pip.do("dial", f"sip:*98@127.0.0.1:{box.sip_port}")
            heard = await box.fact(e.MessageHeard, timeout=40)
            assert isinstance(heard, e.MessageHeard)
            assert (heard.message, heard.agent) == (kept.message, "pip")
            await until(lambda: lamps(folder)[-1] == "0/1")
            with wave.open(str(path.parent / ".heard" / path.name)) as played:
                assert played.getnframes() > 3 * 8000

            # Control dies in the middle of the next one.
            before = len([f for f in box.facts() if isinstance(f, e.MessageStarted)])
            await caller.do("dial", f"sip:203@127.0.0.1:{box.sip_port}")
            await until(
                lambda: len([f for f in box.facts() if isinstance(f, e.MessageStarted)]) > before
            )
            await asyncio.sleep(5)
            box.kill("control")
            await until(lambda: len([f for f in box.facts() if isinstance(f, e.MessageKept)]) == 2)
            second = [f for f in box.facts() if isinstance(f, e.MessageKept)][-1]
            assert second.duration_ms >= 3000
            await until(lambda: lamps(folder)[-1] == "1/1")
            assert tone_share(box.places.data / second.path) > 0.8
