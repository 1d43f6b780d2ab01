"""Runs sipp, with scenarios that are put together from short pieces."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.peers import program

SDP = """v=0
o=user1 53655765 {version} IN IP4 127.0.0.1
s=-
c=IN {address}
t=0 0
m=audio 6000 RTP/AVP 8 0 96
a=rtpmap:96 telephone-event/8000
a={direction}
"""


def body(direction: str = "sendrecv", address: str = "IP4 127.0.0.1", version: int = 1) -> str:
    return SDP.format(direction=direction, address=address, version=version)


def request(
    method: str,
    cseq: int,
    to: str = "",
    sdp: str = "",
    extra: str = "",
    uri: str = "sip:[service]@[remote_ip]:[remote_port]",
    send: str = "",
) -> str:
    """A `<send>`; `to` is "[peer_tag_param]" within the dialog. ACK and CANCEL take the branch
    that the protocol wants when `send` says nothing else."""
    kind = "Content-Type: application/sdp\n" if sdp else ""
    retrans = ' retrans="500"' if method not in ("ACK",) else ""
    return f"""<send{retrans} {send}><![CDATA[
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{to}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{extra}{kind}Content-Length: [len]

{sdp}]]></send>"""


IN = "[peer_tag_param]"


def recv(status: int, optional: bool = False, more: str = "") -> str:
    flag = ' optional="true"' if optional else ""
    return f'<recv response="{status}"{flag} {more}></recv>'


def scenario(*pieces: str) -> str:
    inside = "\n".join(pieces)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="test">{inside}</scenario>\n'


async def sipp(port: int, own_port: int, *args: str, folder: Path, xml: str = "") -> str:
    """Run to the end; returns what it complained about ("" when all calls succeeded)."""
    if xml:
        file = folder / f"scenario-{own_port}.xml"
        file.write_text(xml)
        args = ("-sf", str(file), *args)
    process = await asyncio.create_subprocess_exec(
        program("sipp"),
        f"127.0.0.1:{port}",
        *("-i", "127.0.0.1", "-p", str(own_port), "-nostdin", "-timeout", "60", "-timeout_error"),
        *("-trace_err", "-error_file", str(folder / f"errors-{own_port}.log")),
        *args,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return ""
    log = folder / f"errors-{own_port}.log"
    return f"rc {process.returncode}: {complaint.decode()[-2000:]}" + (
        log.read_text()[-3000:] if log.exists() else ""
    )
