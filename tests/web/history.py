"""Past calls for the ledger of a test."""

from __future__ import annotations

import math
import wave
from pathlib import Path

from appliance.events import (
    Answered,
    CallOpened,
    Connect,
    Disconnect,
    Fact,
    IvrIn,
    IvrKey,
    IvrOut,
    LegQuality,
    Offer,
    OfferEnd,
    QEnter,
    QLeave,
    RecordingEnded,
    RecordingStarted,
    WrapEnd,
    WrapStart,
)


def answered(call: str, at: int, agent: str, caller: str, recording: str | None) -> list[Fact]:
    """A caller who waits 8 s, talks for a minute with `agent`, and is recorded."""
    entry, up, end = f"{call}-e", at + 10_000, at + 70_000
    key = {"call": call, "entry": entry, "queue": "sales"}
    facts: list[Fact] = [
        CallOpened(at=at, call=call, direction="in", door="line:line1", caller=caller),
        Answered(at=at + 1000, call=call, party="line:line1"),
        QEnter(at=at + 2000, **key, caller=caller),
        Offer(at=at + 3000, **key, offer=f"{call}-o", agent=agent),
        OfferEnd(at=up, **key, offer=f"{call}-o", agent=agent, result="accepted"),
        Connect(at=up, **key, agent=agent),
        QLeave(at=up, **key, reason="answered", agent=agent),
    ]
    if recording:
        path = f"recordings/{recording}.wav"
        facts += [
            RecordingStarted(at=up, call=call, recording=recording, path=path, agent=agent),
            RecordingEnded(
                at=end, call=call, recording=recording, duration_ms=60_000, reason="done"
            ),
        ]
    facts += [
        WrapStart(at=end, agent=agent, **key),
        Disconnect(at=end, call=call, side="caller", cause="normal"),
        LegQuality(
            at=end,
            call=call,
            party="line:line1",
            door="line",
            packets=3000,
            lost=0,
            late=0,
            concealed=4,
            jitter_ms=0.0,
            delay_ms=20.0,
            mos=4.3,
        ),
        LegQuality(
            at=end,
            call=call,
            party=f"agent:{agent}",
            door="peer",
            packets=2880,
            lost=110,
            late=10,
            concealed=130,
            jitter_ms=12.0,
            delay_ms=60.0,
            mos=2.1,
            sent=3000,
            round_trip_ms=35.0,
            far_lost=0.0,
            far_jitter_ms=2.0,
            far_mos=4.3,
            secure=True,
        ),
        WrapEnd(at=end + 5000, agent=agent, **key),
    ]
    return facts


def abandoned(call: str, at: int, caller: str | None, wait_ms: int = 40_000) -> list[Fact]:
    """A caller who chooses sales in the menu and gives up waiting."""
    entry, enter = f"{call}-e", at + 6000
    key = {"call": call, "entry": entry, "queue": "sales"}
    return [
        CallOpened(at=at, call=call, direction="in", door="line:line2", caller=caller),
        IvrIn(at=at + 1000, call=call, menu="welcome"),
        IvrKey(at=at + 5000, call=call, menu="welcome", key="1", valid=True),
        IvrOut(at=at + 5000, call=call, menu="welcome", result="queue", target="queue:sales"),
        QEnter(at=enter, **key, caller=caller),
        QLeave(at=enter + wait_ms, **key, reason="abandoned"),
        Disconnect(at=enter + wait_ms, call=call, side="caller", cause="normal"),
    ]


def write_recording(path: Path, seconds: float) -> None:
    """A stereo WAV at 8 kHz: 440 Hz on the caller's side, 660 Hz on the agent's."""
    frames = bytearray()
    for n in range(int(8000 * seconds)):
        for hertz in (440, 660):
            value = int(8000 * math.sin(2 * math.pi * hertz * n / 8000))
            frames += value.to_bytes(2, "little", signed=True)
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(frames))
