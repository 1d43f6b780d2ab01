"""Call control on a running box: real phones that key and dial, a provider that answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance import events as e
from appliance import live
from appliance.ipc import Refused
from appliance.site.secrets import Secrets
from tests.browser.chromium import chromium
from tests.browser.signals import tone, write_wav
from tests.e2e.box import Box
from tests.e2e.test_first_call import PLAIN_MICROPHONE
from tests.interop.baresip import Baresip, baresip
from tests.interop.linphone import linphone
from tests.peers import program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]
Ports = Callable[[], int]

EXTRA = """
[phones.103]
name = "Workshop"
[phones.104]
name = "Lobby"
[people.sue]
name = "Sue"
role = "supervisor"
extension = "205"
door = "phone"
phone = "104"
[people.ana]
"""


def more_phones(text: str) -> str:
    return text.replace("[people.ana]\n", EXTRA)


@asynccontextmanager
async def phones(
    box: Box, folder: Path, port: Ports, *, manual: tuple[str, ...] = (), hertz: bool = False
) -> AsyncIterator[dict[str, Baresip]]:
    """Desk phones 101 to 104; those that are not `manual` answer by themselves. With `hertz` each
    says its own pitch: 400, 500, 600, 700."""
    async with AsyncExitStack() as stack:
        made = {}
        for index, extension in enumerate(("101", "102", "103", "104")):
            mode = "manual" if extension in manual else "auto"
            account = (
                f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
                f";regint=600;answermode={mode};audio_codecs=pcmu"
            )
            made[extension] = await stack.enter_async_context(
                baresip(
                    folder / extension,
                    account,
                    port(),
                    port(),
                    port(),
                    hertz=400 + 100 * index if hertz else None,
                )
            )
        await box.state(lambda s: sum(p.registered for p in s.phones) == 4)
        yield made


async def dial(box: Box, phone: Baresip, number: str) -> None:
    await phone.do("dial", f"sip:{number}@127.0.0.1:{box.sip_port}")


async def key(phone: Baresip, keys: str) -> None:
    await phone.do("sndcode", keys)


def heard(folder: Path, seconds: float = 1.5) -> set[int]:
    """The pitches in the last moments of what a phone heard."""
    file = max(folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
    raw = file.read_bytes()[44:]
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2")[-int(seconds * 8000) :] / 32768
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / 8000)

    def level(pitch: int) -> float:
        return float(spectrum[np.abs(hertz - pitch) < 5].max())

    return {pitch for pitch in (400, 500, 600, 700) if level(pitch) > 0.01}


async def until_heard(folder: Path, wanted: set[int], seconds: float = 15) -> None:
    found: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while found != wanted:
                await asyncio.sleep(0.5)
                with contextlib.suppress(ValueError):
                    found = heard(folder)
    assert found == wanted


async def test_a_phone_consults_makes_a_conference_and_is_supervised(
    tmp_path: Path, free_port: Ports
) -> None:
    async with (
        Box(tmp_path, free_port, edit=more_phones, simulator=False) as box,
        phones(box, tmp_path, free_port, hertz=True) as phone,
    ):
        await dial(box, phone["101"], "203")
        await box.fact(e.Bridged)
        await until_heard(tmp_path / "101", {500})
        await key(phone["102"], "*2103#")
        await box.fact(e.ConsultStart)
        await until_heard(tmp_path / "103", {500})
        assert 600 not in heard(tmp_path / "101")
        await key(phone["102"], "*3")
        await box.fact(e.PartyJoined)
        await until_heard(tmp_path / "101", {500, 600})
        await until_heard(tmp_path / "102", {400, 600})
        await until_heard(tmp_path / "103", {400, 500})
        # The supervisor hears all and is heard by Pip alone.
        await dial(box, phone["104"], "*41203")
        await box.fact(e.SuperviseOn)
        await until_heard(tmp_path / "104", {400, 500, 600})
        await until_heard(tmp_path / "102", {400, 600, 700})
        await until_heard(tmp_path / "101", {500, 600})
        await phone["102"].do("hangup")
        await box.fact(e.PartyLeft)
        await until_heard(tmp_path / "101", {600})
        await phone["101"].do("hangup")
        over = await box.fact(e.Disconnect, 2)
        assert isinstance(over, e.Disconnect)
        await box.state(lambda s: not s.calls)


async def test_park_pick_up_hot_desk_and_settings_by_code(tmp_path: Path, free_port: Ports) -> None:
    box = Box(tmp_path, free_port, edit=more_phones, simulator=False)
    async with box, phones(box, tmp_path, free_port, manual=("101",)) as phone:
        secrets = Secrets.load(box.places.data / "secrets.toml")
        secrets.set_pin("ana", "4711")
        secrets.save()

        await dial(box, phone["103"], "203")
        await box.fact(e.Bridged)
        await key(phone["102"], "*7")
        parked = await box.fact(e.Parked)
        assert isinstance(parked, e.Parked)
        await dial(box, phone["104"], parked.orbit)
        fetched = await box.fact(e.Unparked)
        assert isinstance(fetched, e.Unparked)
        assert (fetched.result, fetched.by) == ("fetched", "phone:104")
        await box.fact(e.Bridged, 2)
        await phone["103"].do("hangup")
        await box.state(lambda s: not s.calls)

        await dial(box, phone["103"], "101")
        await box.state(lambda s: any(c.phase == "ringing" for c in s.calls))
        await dial(box, phone["104"], "*80101")
        joined = await box.fact(e.PartyJoined, 2)
        assert isinstance(joined, e.PartyJoined)
        assert (joined.party, joined.how) == ("phone:104", "pickup")
        await box.fact(e.Bridged, 3)
        await phone["104"].do("hangup")
        await box.state(lambda s: not s.calls)

        await dial(box, phone["103"], "*31201*0000")
        refused = await box.fact(e.HotDesk)
        assert isinstance(refused, e.HotDesk)
        assert not refused.ok
        await box.state(lambda s: not s.calls)
        await dial(box, phone["103"], "*31201*4711")
        await box.state(lambda s: box.agent(s, "ana").phone == "103" and not s.calls)
        await dial(box, phone["104"], "201")
        await box.fact(e.Bridged, 4)
        await phone["104"].do("hangup")
        await box.state(lambda s: not s.calls)

        await dial(box, phone["103"], "*78")
        await box.state(lambda s: box.agent(s, "ana").dnd and not s.calls)
        await dial(box, phone["104"], "201")
        await box.fact(e.Disconnect, len(disconnects(box)) + 1)
        assert disconnects(box)[-1].cause == "busy"
        await box.ask(live.SetDnd("ana", False))
        await box.ask(live.SetForward("ana", "always", "102"))
        await dial(box, phone["104"], "201")
        forwarded = await box.fact(e.Forwarded)
        assert isinstance(forwarded, e.Forwarded)
        assert forwarded.to == "102"
        with pytest.raises(Refused, match="circle"):
            await box.ask(live.SetForward("ana", "busy", "201"))


def disconnects(box: Box) -> list[e.Disconnect]:
    return [fact for fact in box.facts() if isinstance(fact, e.Disconnect)]


def trunk_to(port: int) -> Callable[[str], str]:
    table = f"""
[lines.voip]
kind = "trunk"
name = "Provider"
host = "127.0.0.1"
port = {port}
channels = 1
route = "queue:sales"
"""

    def edit(text: str) -> str:
        text = more_phones(text).replace('outgoing = ["line1"]', 'outgoing = ["voip"]')
        return text.replace("[people.ana]\n", table + "[people.ana]\n")

    return edit


@asynccontextmanager
async def provider(folder: Path, port: int) -> AsyncIterator[Any]:
    """A provider that answers every call: sipp's own."""
    process = await asyncio.create_subprocess_exec(
        program("sipp"),
        *("-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-trace_msg"),
        *("-message_file", str(folder / "provider.log")),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_an_emergency_call_takes_the_only_channel(tmp_path: Path, free_port: Ports) -> None:
    outside = free_port()
    box = Box(tmp_path, free_port, edit=trunk_to(outside), simulator=False)
    async with (
        provider(tmp_path, outside),
        box,
        phones(box, tmp_path, free_port) as phone,
    ):
        await box.state(lambda s: next(x for x in s.lines if x.id == "voip").state == "idle")
        await dial(box, phone["101"], "02125550123")
        await box.fact(e.Answered, 2)
        await dial(box, phone["102"], "911")
        emergency = await box.fact(e.Dialled, 2)
        assert isinstance(emergency, e.Dialled)
        assert (emergency.kind, emergency.number, emergency.line) == ("emergency", "911", "voip")
        lost = await box.fact(e.Disconnect)
        assert isinstance(lost, e.Disconnect)
        assert (lost.call, lost.cause) == (emergency.preempted, "preempted")
        await box.fact(e.Answered, 4)
        assert "INVITE sip:911@127.0.0.1" in (tmp_path / "provider.log").read_text()
        # Abroad is not for this phone, whatever the provider would do.
        await dial(box, phone["103"], "001144201234567")
        refused = await box.fact(e.DialRefused)
        assert isinstance(refused, e.DialRefused)
        assert (refused.by, refused.reason) == ("phone:103", "kind")


async def test_baresips_own_transfer_is_understood(tmp_path: Path, free_port: Ports) -> None:
    box = Box(tmp_path, free_port, edit=more_phones, simulator=False)
    async with box, phones(box, tmp_path, free_port) as phone:
        await dial(box, phone["101"], "203")
        await box.fact(e.Bridged)
        await phone["101"].do("transfer", f"sip:103@127.0.0.1:{box.sip_port}")
        passed = await box.fact(e.Transfer)
        assert isinstance(passed, e.Transfer)
        assert (passed.mode, passed.by, passed.to) == ("blind", "phone:101", "phone:103")
        again = await box.fact(e.Bridged, 2)
        assert isinstance(again, e.Bridged)
        assert {again.a, again.b} == {"agent:pip", "phone:103"}


async def test_linphones_attended_transfer_brings_the_other_two_together(
    tmp_path: Path, free_port: Ports
) -> None:
    box = Box(tmp_path, free_port, edit=more_phones, simulator=False)
    async with box, AsyncExitStack() as stack:
        for extension in ("101", "103"):
            account = (
                f"<sip:{extension}@127.0.0.1:{box.sip_port}>;auth_pass={box.secret(extension)}"
                ";regint=600;answermode=auto;audio_codecs=pcmu"
            )
            ports = (free_port(), free_port(), free_port())
            await stack.enter_async_context(baresip(tmp_path / extension, account, *ports))
        secret = box.secret("102")
        phone = await stack.enter_async_context(
            linphone(tmp_path / "102", "102", secret, box.sip_port, free_port(), free_port())
        )
        await box.state(lambda s: sum(p.registered for p in s.phones) == 3)
        await phone.do(f"call sip:101@127.0.0.1:{box.sip_port}")
        await box.fact(e.Bridged)
        await phone.do("pause")
        await box.fact(e.HoldOn)
        await phone.do(f"call sip:103@127.0.0.1:{box.sip_port}")
        await box.fact(e.Bridged, 2)
        await phone.do("transfer 1 --to-call 2")
        passed = await box.fact(e.Transfer)
        assert isinstance(passed, e.Transfer)
        assert (passed.mode, passed.by, passed.to) == ("attended", "phone:102", "phone:103")
        together = await box.fact(e.Bridged, 3)
        assert isinstance(together, e.Bridged)
        assert {together.a, together.b} == {"phone:101", "phone:103"}


@pytest.mark.browser
async def test_an_agents_page_asks_a_colleague_and_brings_all_together(
    tmp_path: Path, free_port: Ports
) -> None:
    microphone = write_wav(tmp_path / "agent.wav", tone(700, 5), 8000)
    async with (
        Box(tmp_path, free_port, edit=more_phones, simulator=False) as box,
        phones(box, tmp_path, free_port, hertz=True) as phone,
        chromium(microphone=microphone, loop=True) as browser,
    ):
        await browser.context.add_init_script(PLAIN_MICROPHONE)
        page = (await browser.page(f"{box.url}/demo")).page
        await page.get_by_role("button", name="Sign in as Ana").click()
        await page.get_by_role("button", name="Go on duty").click()
        await box.state(lambda s: box.agent(s, "ana").phase == "ready")
        await dial(box, phone["101"], "301")
        await page.get_by_role("button", name="Answer").click()
        await box.fact(e.Bridged)
        await page.get_by_label("Number or extension").fill("103")
        await page.get_by_role("button", name="Ask first").click()
        await page.locator("[data-consult=talking]").wait_for()
        await until_heard(tmp_path / "103", {700})
        await page.get_by_role("button", name="Bring all together").click()
        await until_heard(tmp_path / "101", {600, 700})
        await until_heard(tmp_path / "103", {400, 700})
        await page.get_by_role("button", name="Hang up").click()
        await box.fact(e.PartyLeft)
        await until_heard(tmp_path / "101", {600})
        wrap = await box.fact(e.WrapStart)
        assert isinstance(wrap, e.WrapStart)
        assert wrap.agent == "ana"
