"""A changed site document on a whole box: with callers waiting, a phone that is new, and one step
back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import events as e
from appliance import ipc, live
from appliance.site.history import HISTORY, SiteHistory
from tests.e2e.box import Box
from tests.interop.baresip import baresip

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]


async def test_changes_hold_at_once_and_are_taken_back_while_a_caller_waits(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with Box(tmp_path, free_port) as box:
        text = box.site_path.read_text()
        call = await box.exchange.call(line=2, number="5550123")
        await call.answered()
        (waiting,) = (await box.state(lambda s: len(s.waiting) == 1)).waiting

        more = text.replace('name = "Sales"', 'name = "New business"\nstrategy = "ring_all"')
        more = more.replace(
            "[phones.102]",
            '[phones.103]\nname = "New desk"\n[people.eve]\nname = "Eve"\nextension = "204"\n'
            'door = "phone"\nphone = "103"\n[phones.102]',
        ).replace('"bo", "pip"]', '"bo", "pip", "eve"]')
        changed = await box.ask(live.ChangeSite("root", more, 1), live.SiteChanged)
        assert changed == live.SiteChanged(2, ())
        state = await box.state(lambda s: s.site == 2)
        assert state.queues[0].name == "New business"
        assert [one.entry for one in state.waiting] == [waiting.entry]

        account = (
            f"<sip:103@127.0.0.1:{box.sip_port};transport=udp>"
            f";auth_user=103;auth_pass={box.secret('103')};answermode=auto"
        )
        async with baresip(tmp_path / "eve", account, free_port(), free_port(), free_port()):
            await box.state(lambda s: any(one.registered for one in s.phones))
            await box.ask(live.SetAgentState("eve", "ready"))
            connect = await box.fact(e.Connect)
            assert isinstance(connect, e.Connect)
            assert (connect.agent, connect.entry) == ("eve", waiting.entry)

            with pytest.raises(ipc.Refused, match="Somebody else"):
                await box.ask(live.ChangeSite("other", text, 1), live.SiteChanged)
            undone = await box.ask(live.UndoSite("root"), live.SiteChanged)
            assert undone.version == 3
            state = await box.state(lambda s: s.site == 3)
            assert state.queues[0].name == "Sales"
            assert [one.phase for one in state.calls] == ["talking"]
            await call.hangup()
            await box.fact(e.Disconnect)
        assert box.site_path.read_text() == text
        history = SiteHistory(box.site_path, box.places.data / HISTORY)
        assert [one.author for one in history.versions()] == ["root", "root", "file"]
