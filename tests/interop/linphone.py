"""A linphonec with one account, driven over its standard input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.peers import program

CONFIG = """[sip]
sip_port={own}
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
[net]
mtu=1300
[rtp]
audio_rtp_port={rtp}
[auth_info_0]
username={extension}
passwd={secret}
realm=centrala
domain=127.0.0.1
algorithm=MD5
[proxy_0]
reg_proxy=<sip:127.0.0.1:{port}>
reg_identity=sip:{extension}@127.0.0.1
reg_expires=300
reg_sendregister=1
"""


class Linphone:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def linphone(
    folder: Path, extension: str, secret: str, port: int, own: int, rtp: int
) -> AsyncIterator[Linphone]:
    """`port` is the box's, `own` and `rtp` the phone's."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without a place for its database linphone stays silent.
    (folder / ".local/share/linphone").mkdir(parents=True)
    (folder / "linphonerc").write_text(
        CONFIG.format(own=own, rtp=rtp, extension=extension, secret=secret, port=port)
    )
    with (folder / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            program("linphonec"),
            *("-c", str(folder / "linphonerc"), "-d", "6", "-l", str(folder / "log")),
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=said,
            stderr=said,
        )
        phone = Linphone(process)
        try:
            yield phone
        finally:
            await phone.do("quit")
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
