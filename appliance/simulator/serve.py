"""The simulator as a process: device links, the control socket, practice callers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from appliance import ipc
from appliance.simulator import protocol, sound
from appliance.simulator.exchange import LineBusy
from appliance.simulator.practice import Crowd
from appliance.simulator.rig import Call, ExchangeRig

_log = logging.getLogger("centrala.simulator")

FOLLOW_S = 0.1


class Service:
    """Answers the control socket's requests on one rig."""

    def __init__(self, rig: ExchangeRig, crowd: Crowd | None) -> None:
        self._rig = rig
        self._crowd = crowd
        self._calls: dict[int, tuple[Call, str]] = {}
        self._placing: asyncio.Queue[protocol.PlaceCall] = asyncio.Queue(maxsize=8)
        rig.on_frame(self._on_frame)

    async def handle(self, connection: ipc.Connection) -> None:
        """One client, until it leaves."""
        follower: asyncio.Task[None] | None = None
        try:
            async for message in connection.messages():
                if isinstance(message.body, protocol.Follow):
                    message.reply(self._lines())
                    follower = follower or asyncio.create_task(self._follow(connection))
                    continue
                try:
                    message.reply(await self._carry_out(message.body))
                except (LineBusy, ValueError, OSError) as error:
                    message.refuse(str(error))
        finally:
            if follower is not None:
                follower.cancel()
                await asyncio.wait([follower])

    async def place_practice_calls(self) -> None:
        """Place what the crowd wants, until cancelled."""
        while True:
            wanted = await self._placing.get()
            # The line may have been taken while the caller's sentences were being spoken.
            with contextlib.suppress(LineBusy):
                await self._place(wanted)

    def _on_frame(self, now: int) -> None:
        if self._crowd is None or self._placing.full():
            return
        visitor = self._crowd.tick(now, self._free_lines())
        if visitor is not None:
            self._placing.put_nowait(
                protocol.PlaceCall(
                    visitor.line,
                    visitor.number,
                    visitor.name,
                    visitor.script,
                    ring_patience_ms=visitor.ring_patience_ms,
                )
            )

    def _free_lines(self) -> list[int]:
        """Lines that can ring and have somebody at the other end."""
        free = self._rig.exchange.free_lines()
        return [line for line in free if self._rig.port(line).host_open]

    async def _carry_out(self, request: object) -> protocol.Answer:
        rig = self._rig
        match request:
            case protocol.PlaceCall():
                return protocol.Done(await self._place(request))
            case protocol.Act(line, steps):
                await self._caller(line).add(*steps)
            case protocol.HangUpCaller(line):
                await self._caller(line).hangup()
            case protocol.Unplug(line):
                rig.unplug(self._known(line))
            case protocol.Replug(line):
                rig.replug(self._known(line))
            case protocol.SetPractice(on, interval_ms):
                self._crowd = Crowd(interval_ms=max(1_000, interval_ms)) if on else None
                return protocol.Done(0)
            case protocol.SaveHeard(line, path):
                call = self._caller(line, gone_too=True)
                heard, said = call.heard(), call.said()
                await asyncio.to_thread(sound.write_wav, Path(f"{path}.heard.wav"), heard)
                await asyncio.to_thread(sound.write_wav, Path(f"{path}.said.wav"), said)
            case _:
                return self._lines()
        return protocol.Done(line)

    async def _place(self, wanted: protocol.PlaceCall) -> int:
        line = wanted.line
        if line == 0:
            free = self._free_lines()
            if not free:
                raise LineBusy("no line is free")
            line = free[0]
        call = await self._rig.call(
            self._known(line),
            wanted.number,
            wanted.name or None,
            wanted.script,
            caller_id=wanted.caller_id,
            ring_patience_ms=wanted.ring_patience_ms,
        )
        self._calls[line] = (call, wanted.number)
        return line

    def _known(self, line: int) -> int:
        if line not in self._rig.exchange.lines:
            raise ValueError(f"there is no line {line}")
        return line

    def _caller(self, line: int, *, gone_too: bool = False) -> Call:
        call, _ = self._calls.get(self._known(line), (None, ""))
        if call is None or (call.caller.state == "gone" and not gone_too):
            raise ValueError(f"nobody is calling on line {line}")
        return call

    def _lines(self) -> protocol.Lines:
        rig = self._rig
        infos = []
        for number, line in rig.exchange.lines.items():
            port, modem = rig.port(number), rig.modem(number)
            call, caller_number = self._calls.get(number, (None, ""))
            caller = call.caller if call is not None else None
            infos.append(
                protocol.LineInfo(
                    line=number,
                    device=str(port.link),
                    state=line.state if port.plugged else "unplugged",
                    to_office_dbm0=round(sound.level_dbm0(line.to_office), 1),
                    from_office_dbm0=round(sound.level_dbm0(line.from_office), 1),
                    host_open=port.host_open,
                    violations=len(modem.violations),
                    underruns=modem.underruns,
                    number=caller_number,
                    hears=(caller.ear.progress or "") if caller is not None else "",
                    busy=caller is not None and caller.busy,
                    answered_ms=None if caller is None else caller.answered_at,
                    ended="" if caller is None else caller.reason,
                )
            )
        return protocol.Lines(rig.now, self._crowd is not None, tuple(infos))

    async def _follow(self, connection: ipc.Connection) -> None:
        last: tuple[object, ...] = ()
        while not connection.closed:
            lines = self._lines()
            if (current := (lines.practice, lines.lines)) != last:
                connection.post(lines)
                last = current
            await asyncio.sleep(FOLLOW_S)


async def serve(
    control_dir: Path,
    lines: int,
    practice: bool,
    country: str,
    *,
    seed: int | None = None,
    variant: str = "conexant",
) -> None:
    """Run the exchange until cancelled: devices `control_dir`/line1 ..., the control socket
    `control_dir`/exchange.sock, and practice callers if wanted."""
    rig = ExchangeRig(control_dir, lines, country_code=country, variant=variant, keep=not practice)
    async with rig:
        service = Service(rig, Crowd(seed) if practice else None)
        server = await ipc.serve(control_dir / protocol.SOCKET, protocol.Request, service.handle)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(service.place_practice_calls())
                tasks.create_task(rig.ended())
        finally:
            server.close()
            (control_dir / protocol.SOCKET).unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """`--dir DIR --lines N [--country CC] [--variant NAME] [--practice]`: run until interrupted."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder for devices and socket")
    parser.add_argument("--lines", type=int, default=2)
    parser.add_argument("--country", default="us")
    parser.add_argument("--variant", default="conexant", help="conexant, usr, generic or multitech")
    parser.add_argument("--practice", action="store_true", help="a caller every half minute")
    options = parser.parse_args(argv)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            serve(
                options.dir,
                options.lines,
                options.practice,
                options.country,
                variant=options.variant,
            )
        )
    return 0
