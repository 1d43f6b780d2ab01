"""A baresip with one account, driven over its control socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browser.signals import tone, write_wav
from tests.peers import program

CONFIG = """
sip_listen 127.0.0.1:{port}
call_max_calls 4
audio_player aubridge,nil
audio_source {source}
audio_alert aubridge,nil
rtp_ports {rtp}-{rtp_end}
module_path /usr/lib/baresip/modules
module g711.so
module srtp.so
module aufile.so
module aubridge.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Baresip:
    """`events` holds what it reported, newest last."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self.events: list[dict[str, object]] = []
        self._reader = reader
        self._writer = writer

    async def do(self, command: str, params: str = "") -> None:
        text = json.dumps({"command": command, "params": params, "token": "t"})
        self._writer.write(f"{len(text)}:{text},".encode())
        await self._writer.drain()

    async def listen(self) -> None:
        """Collect its events until it is gone."""
        try:
            while True:
                size = int((await self._reader.readuntil(b":"))[:-1])
                self.events.append(json.loads(await self._reader.readexactly(size)))
                await self._reader.readexactly(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            return


@asynccontextmanager
async def baresip(
    folder: Path,
    account: str,
    port: int,
    control: int,
    rtp: int,
    *,
    source: str = "aubridge,nil",
    hertz: int | None = None,
    heard: Path | None = None,
    trusted: Path | None = None,
    lamp: bool = False,
) -> AsyncIterator[Baresip]:
    """Run one; it listens for SIP on `port` and for commands on `control`. `source` is what it
    says, as its configuration names it; what it hears goes to `*-dec.wav` in the folder `heard`;
    `trusted` is the certificate that it knows; with `lamp` it subscribes to its messages. With
    `hertz` it says a tone of that pitch, and what it hears is written to its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if hertz is not None:
        write_wav(folder / "says.wav", tone(hertz, 100))
        source, heard = f"aufile,{folder}/says.wav", heard or folder
    config = CONFIG.format(port=port, control=control, rtp=rtp, rtp_end=rtp + 20, source=source)
    if trusted is not None:
        config += f"sip_cafile {trusted}\n"
    if lamp:
        config += "module_app mwi.so\n"
    if heard is not None:
        heard.mkdir(parents=True, exist_ok=True)
        config += f"module sndfile.so\nsnd_path {heard}\n"
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(account + "\n")
    (folder / "contacts").write_text("")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("baresip"),
            *("-f", str(folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            reader, writer = await _connect(control, folder / "log")
            phone = Baresip(process, reader, writer)
            listening = asyncio.create_task(phone.listen())
            try:
                yield phone
            finally:
                await phone.do("quit")
                try:
                    await asyncio.wait_for(process.wait(), 5)
                except TimeoutError:
                    process.kill()
                listening.cancel()
                writer.close()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _connect(control: int, log: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(200):
        try:
            return await asyncio.open_connection("127.0.0.1", control)
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"baresip does not listen; it says:\n{log.read_text()}")
