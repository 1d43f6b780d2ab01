"""A caller keeps the place, hangs up and is called back, on a running box: the caller is a real
phone behind a trunk, the agents are desk phones; and the box dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance import events as e
from appliance import live
from tests.e2e.box import Box
from tests.interop.baresip import Baresip, baresip

pytestmark = [pytest.mark.interop, pytest.mark.timeout(150)]
Ports = Callable[[], int]


def with_callbacks(customer_port: int) -> Callable[[str], str]:
    """A trunk whose other end is the customer's own phone; sales calls back."""
    trunk = f"""
[lines.voip]
kind = "trunk"
name = "Provider"
host = "127.0.0.1"
port = {customer_port}
channels = 4
route = "queue:sales"
[people.ana]
"""

    def edit(text: str) -> str:
        text = text.replace("[people.ana]\n", trunk)
        text = text.replace('outgoing = ["line1"]', 'outgoing = ["voip"]')
        return text.replace(
            'extension = "301"\n',
            'extension = "301"\ncallback = true\ncallback_offer_s = 0\ncallback_retry_s = 30\n',
        )

    return edit


@asynccontextmanager
async def office(folder: Path, port: Ports) -> AsyncIterator[tuple[Box, Baresip]]:
    """The box and the customer's phone, which dials by hand and answers by itself."""
    customer_port = port()
    box = Box(folder, port, edit=with_callbacks(customer_port), simulator=False)
    account = (
        f"<sip:12125550123@127.0.0.1:{box.sip_port}>;regint=0;answermode=auto;audio_codecs=pcmu"
    )
    async with (
        box,
        baresip(folder / "customer", account, customer_port, port(), port(), hertz=500) as customer,
    ):
        yield box, customer


@asynccontextmanager
async def desk_phone(box: Box, folder: Path, port: Ports) -> AsyncIterator[Baresip]:
    account = (
        f"<sip:102@127.0.0.1:{box.sip_port}>;auth_pass={box.secret('102')}"
        ";regint=600;answermode=auto;audio_codecs=pcmu"
    )
    async with baresip(folder / "p102", account, port(), port(), port(), hertz=400) as phone:
        await box.state(lambda s: any(one.registered for one in s.phones))
        yield phone


async def keep_place(box: Box, customer: Baresip) -> e.CallbackRequested:
    """The customer calls, presses the key, confirms the number and is said goodbye to."""
    await customer.do("dial", f"sip:5550000@127.0.0.1:{box.sip_port}")
    await box.state(lambda s: any(c.phase == "waiting" for c in s.calls))
    async with asyncio.timeout(20):
        # The first opens the choice, the next confirms; one more means nothing any longer.
        while not (asked := [f for f in box.facts() if isinstance(f, e.CallbackRequested)]):
            await customer.do("sndcode", "1")
            await asyncio.sleep(1)
    (request,) = asked
    await box.fact(e.Disconnect)
    return request


def check_one(box: Box, request: e.CallbackRequested) -> None:
    """One request, one end, one talk; nobody was called twice after the talk."""
    facts = box.facts()
    ends = [f for f in facts if isinstance(f, e.CallbackEnded)]
    assert [(f.callback, f.result) for f in ends] == [(request.callback, "connected")]
    connects = [f for f in facts if isinstance(f, e.Connect)]
    assert len(connects) == 1
    after = facts[facts.index(connects[0]) :]
    assert not [f for f in after if isinstance(f, e.CallbackDialled)]


async def test_the_caller_hangs_up_and_is_called_back_as_soon_as_an_agent_is_there(
    tmp_path: Path, free_port: Ports
) -> None:
    async with office(tmp_path, free_port) as (box, customer):
        request = await keep_place(box, customer)
        assert (request.queue, request.number) == ("sales", "+12125550123")
        kept = await box.state(lambda s: len(s.callbacks) == 1 and not s.calls)
        assert kept.callbacks[0].phase == "waiting"
        async with desk_phone(box, tmp_path, free_port):
            await box.ask(live.SetAgentState("pip", "ready"))
            connect = await box.fact(e.Connect)
            assert isinstance(connect, e.Connect)
            assert connect.agent == "pip"
            started = await box.fact(e.RecordingStarted)
            assert isinstance(started, e.RecordingStarted)
            assert started.call == connect.call
            await asyncio.sleep(1)
            await customer.do("hangup")
            await box.fact(e.WrapStart)
        check_one(box, request)


@pytest.mark.faults
async def test_control_dies_between_the_request_and_the_call_and_nothing_is_lost_or_doubled(
    tmp_path: Path, free_port: Ports
) -> None:
    async with office(tmp_path, free_port) as (box, customer):
        request = await keep_place(box, customer)
        box.kill("control")
        await box.state(lambda s: s.ready and len(s.callbacks) == 1)
        async with desk_phone(box, tmp_path, free_port):
            await box.ask(live.SetAgentState("pip", "ready"))
            await box.fact(e.CallbackDialled)
            box.kill("control")
            # A try that the crash cut off counts as made; the next one comes after the pause. A
            # kill that came too late finds the talk begun, and then there is no next one.
            await box.state(lambda s: s.ready)
            await box.ask(live.SetAgentState("pip", "ready"))
            await box.fact(e.CallbackEnded, timeout=60)
        check_one(box, request)
