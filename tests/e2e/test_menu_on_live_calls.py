"""The voice menu on live calls: an analog line, and SIP with keys as events (RFC 4733) and as
tones. Each prompt is a pitch of its own, so that what a caller hears tells where in the menu they
are; keys come while it plays."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance import events as e
from tests.browser.signals import write_wav
from tests.e2e.box import Box
from tests.e2e.tone_phones import OUTSIDE, pitch, pitches, tone_phones

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
Ports = Callable[[], int]
Hears = Callable[[], set[int]]
Press = Callable[[str], Awaitable[None]]

TONES, EVENTS = f"{OUTSIDE}-tones", f"{OUTSIDE}-events"
MAIN, NESTED, GOOD_CARD, BAD_CARD, KNOWN, UNKNOWN, OPEN, CROWDED, ENGLISH, NEWS = range(10)

MENUS = """
[lines.voip]
kind = "trunk"
name = "Provider"
host = "127.0.0.1"
channels = 10
route = "menu:main"
[hours.never]
[hours.always]
mon = ["00:00-24:00"]
tue = ["00:00-24:00"]
wed = ["00:00-24:00"]
thu = ["00:00-24:00"]
fri = ["00:00-24:00"]
sat = ["00:00-24:00"]
sun = ["00:00-24:00"]
[menus.nested]
prompt = { file = "p1.wav" }
default = "menu:main"
timeout_s = 20
[menus.nested.keys]
9 = { go = "menu:main" }
[steps.card]
kind = "collect"
name = "card"
prompt = { file = "p0.wav" }
min_digits = 16
max_digits = 16
check = "luhn"
secret = true
tries = 1
go = "step:good"
failed = "step:bad"
[steps.good]
kind = "say"
prompt = { file = "p2.wav" }
go = "menu:main"
[steps.bad]
kind = "say"
prompt = { file = "p3.wav" }
go = "menu:main"
[steps.order]
kind = "collect"
name = "order"
prompt = { file = "p0.wav" }
min_digits = 1
max_digits = 8
go = "step:ask"
failed = "step:unknown"
[steps.ask]
kind = "lookup"
url = "http://127.0.0.1:@PROGRAM@/order"
send = ["order"]
timeout_s = 1.0
go = "step:answered"
failed = "step:unknown"
[steps.answered]
kind = "branch"
cases = [{ name = "state", equals = ["sent"], go = "step:known" }]
default = "step:unknown"
[steps.known]
kind = "say"
prompt = { file = "p4.wav" }
go = "menu:main"
[steps.unknown]
kind = "say"
prompt = { file = "p5.wav" }
go = "menu:main"
[steps.hours]
kind = "branch"
cases = [{ hours = "never", go = "step:bad" }, { hours = "always", go = "step:open" }]
default = "step:bad"
[steps.open]
kind = "say"
prompt = { file = "p6.wav" }
go = "step:queue"
[steps.queue]
kind = "branch"
cases = [{ queue = "sales", waiting_from = 1, go = "step:crowded" }]
default = "menu:main"
[steps.crowded]
kind = "say"
prompt = { file = "p7.wav" }
go = "menu:main"
[steps.language]
kind = "language"
keys = { 1 = "en", 2 = "ro" }
prompt = { file = "p1.wav" }
go = "step:hello"
[steps.hello]
kind = "say"
prompt = { files = { en = "p8.wav", ro = "p3.wav" } }
go = "step:news"
[steps.news]
kind = "news"
items = [{ prompt = { file = "p2.wav" }, last = 2020-01-01 }, { prompt = { file = "p9.wav" } }]
go = "menu:main"
[steps.names]
kind = "directory"
prompt = { file = "p1.wav" }
failed = "menu:main"
[people.ana]
"""
KEYS = """[menus.main.keys]
1 = { go = "menu:nested" }
2 = { go = "step:card" }
3 = { go = "step:order" }
4 = { go = "step:hours" }
5 = { go = "step:language" }
6 = { go = "step:names" }
7 = { go = "queue:sales" }
"""


def with_menus(program: int) -> Callable[[str], str]:
    def edit(text: str) -> str:
        begin = text.index("[menus.main.keys]")
        text = text[:begin] + KEYS + text[text.index("[numbering]") :]
        text = text.replace(
            'prompt = { text = "Welcome. For sales, press one." }', 'prompt = { file = "p0.wav" }'
        ).replace("timeout_s = 5\n", "timeout_s = 20\n")
        return text.replace("[people.ana]\n", MENUS.replace("@PROGRAM@", str(program)), 1)

    return edit


@asynccontextmanager
async def office_program() -> AsyncIterator[int]:
    """Knows order 4711, and never answers about others. Yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(head.partition("content-length:")[2].split()[0])
            asked = json.loads(await reader.readexactly(size))
            if asked["order"] != "4711":
                await reader.read()
            body = json.dumps({"state": "sent"}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def until(hears: Hears, place: int | None) -> None:
    """Until this prompt is heard, or with None something that is none of them."""
    wanted = set() if place is None else {place}
    found: set[int] = {-1}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(12):
            while found != wanted:
                await asyncio.sleep(0.1)
                found = hears()
    assert found == wanted, f"hears {sorted(found)}, not {place}"


WALK = (
    ("", MAIN),
    ("1", NESTED),
    ("9", MAIN),
    ("2 4539578763621486", GOOD_CARD),
    ("#", MAIN),
    ("2 4539578763621487", BAD_CARD),
    ("#", MAIN),
    ("3 4711#", KNOWN),
    ("#", MAIN),
    ("3 4712#", UNKNOWN),
    ("#", MAIN),
    ("5", NESTED),
    ("1", ENGLISH),
    ("", NEWS),
    ("#", MAIN),
    ("4", OPEN),
    ("", CROWDED),
    ("#", MAIN),
)
"""What is keyed, and where that leads."""


async def walk(hears: Hears, press: Press) -> None:
    """Through every kind of step, each key while a prompt plays."""
    for keyed, place in WALK:
        for keys in keyed.split():
            await press(keys)
        await until(hears, place)


async def test_every_step_on_a_line_and_over_sip(tmp_path: Path, free_port: Ports) -> None:
    async with office_program() as program:
        box = Box(tmp_path, free_port, edit=with_menus(program))
        prompts = box.places.data / "prompts"
        prompts.mkdir(parents=True, exist_ok=True)
        for place in range(10):
            # A key goes past all that is said until the next menu, so what is to be heard is short.
            seconds = 2.5 if place in (OPEN, ENGLISH) else 15
            write_wav(prompts / f"p{place}.wav", pitch(place, seconds) / 32768, 8000)
        async with (
            box,
            tone_phones(box, free_port(), ["101", "102", TONES, EVENTS]) as phones,
        ):
            waiting = await box.exchange.call(line=2, number="5550199")
            await box.fact(e.QEnter)
            await waiting.answered()
            line = await box.exchange.call(line=1, number="5550123")
            await line.answered()
            for name in (TONES, EVENTS):
                phones[name].silent = True
                phones.dial(name, "5550000")
            outside = phones[TONES]

            async def by_event(keys: str) -> None:
                phones.press(EVENTS, keys)

            async def by_tone(keys: str) -> None:
                outside.press_inband(keys)

            def on_line() -> set[int]:
                return pitches(line.heard()[-8000:] / 32768, 0.008)

            async with asyncio.TaskGroup() as walks:
                walks.create_task(walk(on_line, line.press))
                walks.create_task(walk(outside.hears, by_tone))
                walks.create_task(walk(phones[EVENTS].hears, by_event))
            phones.hang_up(EVENTS)
            # By name: PIP on the keypad; her desk phone answers.
            await by_tone("6")
            await until(outside.hears, NESTED)
            await by_tone("747")
            await until(outside.hears, None)
            await by_tone("1")
            await box.fact(e.Bridged, timeout=30)
            await until(outside.hears, phones.pitch_of("102"))
            # To a person after all that: nothing that was keyed in secret stands anywhere.
            await line.press("7")
            await box.fact(e.QEnter, 2)
            text = "".join(map(repr, box.facts()))
            assert "4539578763621486" not in text
            assert "4539578763621486" not in box.said()
