"""The live socket: a snapshot and differences to the page, signs of life from it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from appliance.web.guard import is_office_network
from appliance.web.office import Office, SignedIn, now_ms, office_of

router = APIRouter()

GAP_S: Final = 0.2
"""Between two snapshots to one page; the first after a calm goes at once."""
SEND_S: Final = 10.0
"""A page that does not take a snapshot for so long is dropped; it comes back by itself."""
SILENCE_S: Final = 90.0
"""A page says something every 2 seconds, a hidden one at least every minute."""
MOST_SOCKETS: Final = 200
MOST_PER_SECOND: Final = 20
SIGN_IN, BUSY, PROTOCOL = 4401, 4429, 4400
_PAGE: Final = re.compile(r"[A-Za-z0-9-]{8,64}")


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """`{"type": "live", boot, seq, now, control, live, figures}` at first, then on each change
    `{"type": "diff", since, seq, now, control, live, figures}`, coalesced; a page that had state
    `since` of `boot` may say so in the query and gets the difference.

    The page sends `{"type": "ping", "active": bool}` and gets `{"type": "pong", "now"}`. With
    `session` in the query it counts as a page of its agent, and `{"type": "audio", "session"}`
    tells which of the agent's pages has the sound. Closed with 4401 when nobody is signed in (any
    longer)."""
    office = office_of(socket)
    who = await office.signed_in(socket)
    await socket.accept()
    client = socket.client.host if socket.client else ""
    if who is None and not (office.site.demo and is_office_network(client)):
        await socket.close(SIGN_IN)
        return
    if office.hub.listeners >= MOST_SOCKETS:
        await socket.close(BUSY)
        return
    page = socket.query_params.get("session", "")
    counted = who is not None and _PAGE.fullmatch(page) is not None
    if who is not None and counted:
        office.page_opened(who.id, page)
    sending = asyncio.create_task(_send(socket, office, who))
    hearing = asyncio.create_task(_hear(socket, office, who))
    try:
        done, _ = await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            code = task.result()
            if code:
                await _close(socket, code)
    finally:
        sending.cancel()
        hearing.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)
        if who is not None and counted:
            office.page_closed(who.id, page)


async def _send(socket: WebSocket, office: Office, who: SignedIn | None) -> int:
    """Returns the code to close with; 0 when the page is gone."""
    changed = office.hub.listen()
    role = who.person.role if who else None
    had = _had(socket, office.hub.boot_of(role))
    told: str | None = "?"
    try:
        while True:
            await changed.wait()
            changed.clear()
            if who is not None and not office.sessions.still(who.session.key, now_ms()):
                return SIGN_IN
            audio = office.audio.get(who.id) if who else None
            async with asyncio.timeout(SEND_S):
                if audio != told:
                    told = audio
                    await socket.send_text(json.dumps({"type": "audio", "session": audio}))
                text, had = office.hub.text(had, role), office.hub.seq
                await socket.send_text(text)
            await asyncio.sleep(GAP_S)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        return 0
    finally:
        office.hub.unlisten(changed)


def _had(socket: WebSocket, boot: str) -> int | None:
    """The number of the state that a page comes back with."""
    since = socket.query_params.get("since", "")
    known = socket.query_params.get("boot") == boot and since.isascii() and since.isdigit()
    return int(since) if known and len(since) < 16 else None


async def _hear(socket: WebSocket, office: Office, who: SignedIn | None) -> int:
    loop = asyncio.get_running_loop()
    window, heard = loop.time(), 0
    try:
        while True:
            async with asyncio.timeout(SILENCE_S):
                text = await socket.receive_text()
            if loop.time() - window >= 1:
                window, heard = loop.time(), 0
            heard += 1
            if heard > MOST_PER_SECOND:
                return BUSY
            try:
                message = json.loads(text)
            except (ValueError, RecursionError):
                return PROTOCOL
            if not isinstance(message, dict) or message.get("type") != "ping":
                return PROTOCOL
            if who is not None:
                if not office.sessions.still(who.session.key, now_ms()):
                    return SIGN_IN
                if message.get("active") is True or who.person.role != "admin":
                    await office.sessions.touch(who.session.key, now_ms())
            await socket.send_text(json.dumps({"type": "pong", "now": office.hub.now()}))
    except (TimeoutError, WebSocketDisconnect, RuntimeError, KeyError):
        # KeyError: a binary frame has no text.
        return 0


async def _close(socket: WebSocket, code: int) -> None:
    try:
        await socket.close(code)
    except RuntimeError:  # closed by the page in the same moment
        return
