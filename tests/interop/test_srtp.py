"""Encrypted calls with baresip, whose SRTP is its own: sound, keys and what the ledger says."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from appliance import events as e
from tests.e2e.box import Box
from tests.interop.baresip import Baresip, baresip
from tests.media.endpoint import level_dbm0, sine

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

TONES = {"101": (500.0, -10.0), "102": (1000.0, -20.0)}


def write(path: Path, hz: float, dbm0: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sine(hz, dbm0, 8000 * 60).astype("<i2").tobytes())
    return path


def heard(folder: Path, hz: float) -> float:
    """Level of the tone in the last second that a phone wrote down."""
    data = b"".join(path.read_bytes()[44:] for path in folder.glob("*-dec.wav"))
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")[-8000:].astype(np.int16)
    return level_dbm0(samples, hz) if len(samples) == 8000 else -99.0


def policies(policy: str, tls: int | None = None) -> Callable[[str], str]:
    """The site's phones under a policy, and SIP over TLS on that port if given."""

    def edit(text: str) -> str:
        if tls is not None:
            text = text.replace("[sip]\n", f"[sip]\ntls = true\ntls_port = {tls}\n")
        for name in ("Reception", "Pip's desk"):
            text = text.replace(f'name = "{name}"\n', f'name = "{name}"\nsrtp = "{policy}"\n')
        return text

    return edit


async def phone(
    stack: AsyncExitStack,
    box: Box,
    folder: Path,
    extension: str,
    encryption: str,
    port: Callable[[], int],
    tls: int | None = None,
) -> Baresip:
    """A phone with a tone of its own; by TLS when the box's port for it is given."""
    hz, dbm0 = TONES[extension]
    source = write(folder / f"{extension}.wav", hz, dbm0)
    account = (
        f"<sip:{extension}@127.0.0.1:{tls or box.sip_port}{';transport=tls' if tls else ''}>"
        f";auth_pass={box.secret(extension)}"
        f";regint=600;answermode={'auto' if extension == '102' else 'manual'}"
        f";audio_codecs=pcmu{encryption}"
    )
    return await stack.enter_async_context(
        baresip(
            folder / f"p{extension}",
            account,
            port(),
            port(),
            port(),
            source=f"aufile,{source}",
            heard=folder / f"heard{extension}",
            trusted=box.places.data / "tls" / "cert.pem" if tls else None,
        )
    )


async def until(check: Callable[[], bool], timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not check():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.1)


async def hear_each_other(folder: Path) -> None:
    for listener, speaker in (("101", "102"), ("102", "101")):
        hz, dbm0 = TONES[speaker]
        path = folder / f"heard{listener}"
        await until(lambda p=path, h=hz, d=dbm0: abs(heard(p, h) - d) < 1.0)


@pytest.mark.parametrize(
    ("caller", "callee", "secure"),
    [
        (";mediaenc=srtp-mand", ";mediaenc=srtp", {True}),
        (";mediaenc=srtp", "", {True, False}),
        ("", ";mediaenc=srtp", {True, False}),
    ],
    ids=["mandatory", "caller", "callee"],
)
async def test_encrypted_phones_hear_each_other_and_keys(
    tmp_path: Path, free_port: Callable[[], int], caller: str, callee: str, secure: set[bool]
) -> None:
    async with (
        Box(tmp_path, free_port, edit=policies("allowed"), simulator=False) as box,
        AsyncExitStack() as stack,
    ):
        one = await phone(stack, box, tmp_path, "101", caller, free_port)
        two = await phone(stack, box, tmp_path, "102", callee, free_port)
        await box.state(lambda s: all(p.registered for p in s.phones))
        await one.do("dial", f"sip:102@127.0.0.1:{box.sip_port}")
        await box.fact(e.Bridged)
        await hear_each_other(tmp_path)
        await one.do("sndcode", "5")
        await until(lambda: any(x.get("type") == "CALL_DTMF_START" for x in two.events))
        await one.do("hangup")
        await box.fact(e.LegQuality, count=2)
        legs = [f for f in box.facts() if isinstance(f, e.LegQuality)]
        assert {leg.secure for leg in legs} == secure
        assert all(leg.mos > 4 for leg in legs)
        assert "inline:" not in box.log.read_text()


async def test_required_encryption_over_tls_outlives_the_audio_process(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    tls = free_port()
    edit = policies("required", tls)
    async with (
        Box(tmp_path, free_port, edit=edit, simulator=False) as box,
        AsyncExitStack() as stack,
    ):
        mandatory = ";mediaenc=srtp-mand"
        one = await phone(stack, box, tmp_path, "101", mandatory, free_port, tls)
        await phone(stack, box, tmp_path, "102", mandatory, free_port, tls)
        await box.state(lambda s: all(p.registered for p in s.phones))
        await one.do("dial", f"sip:102@127.0.0.1:{tls};transport=tls")
        await box.fact(e.Bridged)
        await hear_each_other(tmp_path)
        box.kill("media")
        await box.state(lambda s: any(a.id == "media" for a in s.alarms))
        await box.state(lambda s: not any(a.id == "media" for a in s.alarms))
        # What was heard before is behind the last second by then.
        await asyncio.sleep(2.5)
        await hear_each_other(tmp_path)
        await one.do("hangup")
        await box.fact(e.Disconnect)
        await until(lambda: sum(isinstance(f, e.LegQuality) for f in box.facts()) >= 2)
        assert all(f.secure for f in box.facts() if isinstance(f, e.LegQuality))


async def test_a_phone_that_must_encrypt_is_not_heard_in_the_clear(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    tls = free_port()
    edit = policies("required", tls)
    async with (
        Box(tmp_path, free_port, edit=edit, simulator=False) as box,
        AsyncExitStack() as stack,
    ):
        await phone(stack, box, tmp_path, "101", "", free_port)
        await until(lambda: "phone 101 must use TLS" in box.said())
        state = await box.state()
        assert not any(phone.registered for phone in state.phones)
