"""Asterisk and rtpengine under the load of `bench_media`, where they are installed.

Both run by hand on loopback, on ports of their own, with a configuration made for the run, at
real-time priority and apart from the phones as our engine is, and are ended by process id.
rtpengine relays in user space, told so by its ng protocol; Asterisk (`asterisk` on PATH, or
`CENTRALA_ASTERISK`) bridges, records with MixMonitor and listens to both legs for in-band DTMF.

Two traps: Asterisk bridges natively, past its DTMF detector, unless the call has features (hence
`tT`), and a starved peer looks cheap, since its packets come in batches. So what `media_phones.c`
counts must have arrived, soon.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.media_load import compile_phones, cores, write_voices

HOST = "127.0.0.1"
CALLS = (50, 100)
RUNS = 2
"""Of each, in turn with ours; the cheapest counts, since a shared machine only ever adds."""
SECONDS = 12.0
WARM_S = 1.5
"""Not counted at the start."""
MIN_DELIVERED = 0.98
MAX_DELAY_MS = 40.0
"""Of the median: a peer that works packet by packet passes them on within a millisecond."""
START_S = 30.0
REPLY_S = 5.0
PRIORITY = 10
RTP_PORTS = (24_000, 26_999)
RECORDED_BYTES = 16_000
"""A second of MixMonitor's WAV."""


class PeerError(RuntimeError):
    """The peer did not start, did not set a call up, or lost what it was given."""


_FAULTS = (
    RuntimeError,
    OSError,
    psutil.Error,
    subprocess.SubprocessError,
    LookupError,
    ValueError,
)
"""Whatever a program that is not ours can bring about."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An installed program that carries calls. `run(calls)` gives CPU seconds per call-minute and
    raises PeerError where that number would mean nothing."""

    name: str
    work: str
    """Key of what it does and of what ours is compared by: `rec_dtmf` or `relay`."""
    version: str
    does: str
    run: Callable[[int], float]


def compare(ours: dict[str, Callable[[int], float]]) -> dict[str, float]:
    """Runs of each installed peer between runs of ours for the same work (by `Peer.work`), and a
    line of both. Whatever a peer does, the bench goes on without its number."""
    numbers: dict[str, float] = {}
    for peer in installed():
        costs: list[tuple[float, float]] = []
        for calls in CALLS:
            theirs: list[float] = []
            own: list[float] = []
            for _ in range(RUNS):
                for who, run, found in (
                    (peer.name, peer.run, theirs),
                    (f"ours beside {peer.name}", ours[peer.work], own),
                ):
                    try:
                        found.append(run(calls))
                    except _FAULTS as error:
                        print(f"  {who}, {calls} calls: {error!r}", flush=True)
            if not theirs or not own:
                continue
            costs.append((min(theirs), min(own)))
            key = f"{peer.work}_{calls}"
            numbers[f"{peer.name.lower()}_{key}"] = min(theirs)
            numbers[f"ours_{key}"] = min(own)
            numbers[f"ratio_{peer.name.lower()}_{key}"] = min(theirs) / min(own)
        if len(costs) == len(CALLS):
            print(
                f"  {peer.name} {peer.version}, same machine, {peer.does}, "
                f"{'/'.join(map(str, CALLS))}: {'/'.join(f'{a:.3f}' for a, _ in costs)} CPU s per "
                f"call-minute: {'/'.join(f'{a / b:.1f}' for a, b in costs)} times ours",
                flush=True,
            )
    return numbers


def installed() -> Iterator[Peer]:
    """The peers on this machine; one line about each that is not."""
    asterisk = os.environ.get("CENTRALA_ASTERISK") or shutil.which("asterisk")
    if asterisk is None:
        print("  Asterisk is not installed (asterisk on PATH, or CENTRALA_ASTERISK): no comparison")
    else:
        yield Peer(
            "Asterisk",
            "rec_dtmf",
            _version([asterisk, "-V"]),
            "bridge + recording + DTMF",
            lambda calls: _run(calls, lambda folder, ends: _asterisk(asterisk, folder, ends)),
        )
    rtpengine = shutil.which("rtpengine")
    if rtpengine is None:
        print("  rtpengine is not installed (apt-get install rtpengine-daemon): no comparison")
    else:
        yield Peer(
            "rtpengine",
            "relay",
            _version([rtpengine, "--version"]),
            "user space, relay only",
            lambda calls: _run(calls, lambda folder, ends: _rtpengine(rtpengine, folder, ends)),
        )


def _version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "of unknown version"
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found[0] if found else "of unknown version"


# --- one run --------------------------------------------------------------------------------

_Carrier = Callable[[Path, list[int]], "contextlib.AbstractContextManager[tuple[int, list[int]]]"]
"""Given a folder and the phones' ports, carries calls between each two of them: the process, and
the ports that each phone has to send to."""


def _run(calls: int, carrier: _Carrier) -> float:
    with tempfile.TemporaryDirectory(prefix="peer") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        program = compile_phones(folder)
        write_voices(folder / "voices", 2 * calls)
        phones = stack.enter_context(
            _program(
                [str(program), str(SECONDS), str(WARM_S), str(folder / "voices"), str(2 * calls)],
                folder / "phones.log",
                talks=True,
            )
        )
        os.sched_setaffinity(phones.pid, cores()[1])
        ports = json.loads(_line(phones, REPLY_S))
        pid, targets = stack.enter_context(carrier(folder, ports))
        return _listened(calls, phones, pid, targets)


def _listened(calls: int, phones: subprocess.Popen[str], pid: int, targets: list[int]) -> float:
    assert phones.stdin is not None
    phones.stdin.write(" ".join(map(str, targets)) + "\n")
    phones.stdin.flush()
    time.sleep(2)
    before = _cpu_s(pid)
    time.sleep(SECONDS - 3)
    cpu = _cpu_s(pid) - before
    delivered = json.loads(_line(phones, SECONDS))
    if (
        delivered["received"] < MIN_DELIVERED * delivered["sent"]
        or delivered["wrong"]
        or delivered["delay_p50_ms"] > MAX_DELAY_MS
    ):
        raise PeerError(f"{calls} calls were not delivered: {delivered}")
    return cpu / calls / (SECONDS - 3) * 60


def _cpu_s(pid: int) -> float:
    """CPU of the process and of what it started (a wrapper's child is the real thing)."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _line(process: subprocess.Popen[str], patience: float) -> str:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], patience)[0]:
        raise PeerError(f"nothing from process {process.pid} within {patience:.0f} s")
    return process.stdout.readline()


@contextlib.contextmanager
def _program(command: list[str], log: Path, talks: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A program that is gone afterwards, with whatever it started, however it takes that."""
    with log.open("wb") as out, contextlib.nullcontext() if talks else _as_engine():
        process = subprocess.Popen(
            command,
            text=True,
            start_new_session=True,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else out,
            stderr=out,
        )
    try:
        yield process
    finally:
        leftovers = [process.pid]
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(process.pid).children(recursive=True)
            leftovers += [child.pid for child in found]
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        for pid in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _as_engine() -> Iterator[None]:
    """What is started within has the engine's cores and, where allowed, its kind of priority."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[0])
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)
        os.sched_setaffinity(0, everywhere)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " / ".join(line.strip() for line in lines[-4:] if line.strip())


def _offer(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
    )


def _audio_port(sdp: str) -> int:
    found = re.search(r"^m=audio (\d+)", sdp, re.MULTILINE)
    if found is None or found[1] == "0":
        raise PeerError(f"no audio was agreed: {sdp!r}")
    return int(found[1])


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    return sock


def _free_port() -> int:
    with _udp() as sock:
        return int(sock.getsockname()[1])


# --- rtpengine ------------------------------------------------------------------------------


def bencode(value: str | list[str] | Mapping[str, str | list[str]]) -> bytes:
    """The part of bencoding that the ng protocol's requests need."""
    if isinstance(value, str):
        data = value.encode()
        return b"%d:%s" % (len(data), data)
    if isinstance(value, list):
        return b"l" + b"".join(bencode(each) for each in value) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"


def bdecode(data: bytes) -> object:
    """Strings, numbers, lists and dictionaries. Raises ValueError for anything else."""

    def take(at: int) -> tuple[object, int]:
        kind = data[at : at + 1]
        if kind == b"i":
            end = data.index(b"e", at)
            return int(data[at + 1 : end]), end + 1
        if kind in (b"l", b"d"):
            items: list[object] = []
            at += 1
            while data[at : at + 1] != b"e":
                item, at = take(at)
                items.append(item)
            if kind == b"l":
                return items, at + 1
            return dict(zip(items[::2], items[1::2], strict=True)), at + 1
        colon = data.index(b":", at)
        end = colon + 1 + int(data[at:colon])
        if end > len(data):
            raise ValueError("cut off")
        return data[colon + 1 : end].decode(errors="replace"), end

    return take(0)[0]


class _Ng:
    """Requests to rtpengine's control port, one at a time."""

    def __init__(self, port: int) -> None:
        self._sock = _udp()
        self._sock.connect((HOST, port))
        self._sock.settimeout(0.5)
        self._count = 0

    def ask(self, request: Mapping[str, str | list[str]], patience: float = REPLY_S) -> Any:
        """Repeated until answered. Raises PeerError for a refusal and for silence."""
        self._count += 1
        cookie = b"bench%d " % self._count
        packet = cookie + bencode(request)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                self._sock.send(packet)
                data = self._sock.recv(65536)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(0.1)
                continue
            if not data.startswith(cookie):
                continue
            reply = bdecode(data[len(cookie) :])
            if not isinstance(reply, dict) or reply.get("result") not in ("ok", "pong"):
                raise PeerError(f"rtpengine said {reply!r} to {request['command']}")
            return reply
        raise PeerError(f"rtpengine did not answer {request['command']}")

    def close(self) -> None:
        self._sock.close()


@contextlib.contextmanager
def _rtpengine(program: str, folder: Path, ends: list[int]) -> Iterator[tuple[int, list[int]]]:
    control, log = _free_port(), folder / "rtpengine.log"
    command = [
        program,
        "--foreground",
        "--config-file=none",
        "--table=-1",
        f"--interface={HOST}",
        f"--listen-ng={HOST}:{control}",
        f"--port-min={RTP_PORTS[0]}",
        f"--port-max={RTP_PORTS[1]}",
        "--log-stderr",
        "--log-level=4",
    ]
    with _program(command, log) as process, contextlib.closing(_Ng(control)) as ng:
        try:
            ng.ask({"command": "ping"}, START_S)
            targets: list[int] = []
            for a, b in zip(ends[::2], ends[1::2], strict=True):
                call: dict[str, str | list[str]] = {
                    "call-id": f"call{a}",
                    "from-tag": "a",
                    "ICE": "remove",
                    "replace": ["origin", "session-connection"],
                }
                to_b = ng.ask(call | {"command": "offer", "sdp": _offer(a)})
                to_a = ng.ask(call | {"command": "answer", "to-tag": "b", "sdp": _offer(b)})
                targets += [_audio_port(to_a["sdp"]), _audio_port(to_b["sdp"])]
        except PeerError as error:
            raise PeerError(f"{error}; {_tail(log)}") from error
        yield process.pid, targets


# --- Asterisk -------------------------------------------------------------------------------

_CONFIGURATION = {
    "asterisk.conf": """\
[directories]
astetcdir => {folder}
astvarlibdir => {folder}
astdbdir => {folder}
astspooldir => {folder}
astrundir => {folder}
astlogdir => {folder}
[options]
nocolor = yes
systemname = bench
""",
    # Only these: others look up names on the network or take ports.
    "modules.conf": """\
[modules]
autoload = no
load = res_sorcery_config.so
load = res_sorcery_memory.so
load = res_sorcery_astdb.so
load = res_timing_timerfd.so
load = res_rtp_asterisk.so
load = res_pjproject.so
load = res_pjsip.so
load = res_pjsip_session.so
load = res_pjsip_sdp_rtp.so
load = res_pjsip_caller_id.so
load = res_pjsip_pubsub.so
load = res_pjsip_endpoint_identifier_ip.so
load = chan_pjsip.so
load = bridge_simple.so
load = bridge_native_rtp.so
load = bridge_softmix.so
load = bridge_builtin_features.so
load = codec_ulaw.so
load = format_wav.so
load = format_pcm.so
load = pbx_config.so
load = app_mixmonitor.so
load = app_dial.so
""",
    "logger.conf": "[logfiles]\nconsole => error\n",
    "rtp.conf": "[general]\nrtpstart = {low}\nrtpend = {high}\n",
    "pjsip.conf": """\
[loopback]
type = transport
protocol = udp
bind = {host}:{sip}

[phone]
type = endpoint
context = bench
disallow = all
allow = ulaw
direct_media = no
dtmf_mode = inband
identify_by = ip

[phone]
type = identify
endpoint = phone
match = {host}
""",
    "extensions.conf": """\
[bench]
exten => _X.,1,MixMonitor({folder}/${{EXTEN}}.wav)
 same => n,Dial(PJSIP/phone/sip:${{EXTEN}}@{host}:{phones},10,tT)
 same => n,Hangup()
""",
}


@contextlib.contextmanager
def _asterisk(program: str, folder: Path, ends: list[int]) -> Iterator[tuple[int, list[int]]]:
    log = folder / "asterisk.log"
    with contextlib.closing(_udp()) as sock:
        phones, sip = int(sock.getsockname()[1]), _free_port()
        for name, text in _CONFIGURATION.items():
            low, high = RTP_PORTS
            (folder / name).write_text(
                text.format(folder=folder, host=HOST, sip=sip, phones=phones, low=low, high=high)
            )
        command = [program, "-f", "-q", "-C", str(folder / "asterisk.conf")]
        with _program(command, log) as process:
            try:
                caller = _Caller(sock, sip)
                caller.wait_for_server(START_S)
                targets = [
                    port
                    for call, (a, b) in enumerate(zip(ends[::2], ends[1::2], strict=True))
                    for port in caller.call(f"{1000 + call}", a, b)
                ]
                bridges = subprocess.run(
                    [program, "-C", command[-1], "-rx", "bridge show all"],
                    capture_output=True,
                    text=True,
                    timeout=REPLY_S,
                ).stdout
                if bridges.count("simple_bridge") != len(ends) // 2:
                    raise PeerError(
                        f"not every call is bridged through the DTMF detector: {bridges}"
                    )
            except PeerError as error:
                raise PeerError(f"{error}; {_tail(log)}") from error
            yield process.pid, targets
            recorded = [file.stat().st_size for file in folder.glob("*.wav")]
            if len(recorded) != len(ends) // 2 or min(recorded) < SECONDS / 2 * RECORDED_BYTES:
                raise PeerError(f"{len(recorded)} recordings of {min(recorded, default=0)} bytes")


class _Caller:
    """As little SIP as two phones need behind one socket: one calls, the other answers at once."""

    def __init__(self, sock: socket.socket, server: int) -> None:
        self._sock = sock
        self._server = (HOST, server)
        self._own = f"{HOST}:{sock.getsockname()[1]}"

    def wait_for_server(self, patience: float) -> None:
        """Until OPTIONS is answered by anything at all."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            self._request("OPTIONS", "0", "up", "")
            if self._receive(0.3):
                return
        raise PeerError(f"Asterisk did not answer within {patience:.0f} s")

    def call(self, extension: str, a: int, b: int) -> tuple[int, int]:
        """A call from the phone at RTP port `a` to that at `b`: the ports to send to, of each."""
        self._request("INVITE", extension, extension, _offer(a))
        to_b, until = 0, time.monotonic() + REPLY_S
        while time.monotonic() < until:
            text = self._receive(until - time.monotonic())
            head, _, body = text.partition("\r\n\r\n")
            if text.startswith("INVITE "):
                to_b = _audio_port(body)
                self._answer(head, extension, b)
            elif re.match(r"SIP/2.0 [3-6]", text) and f"Call-ID: {extension}@" in head:
                raise PeerError(f"Asterisk refused call {extension}: {head.splitlines()[0]}")
            elif text.startswith("SIP/2.0 200") and f"Call-ID: {extension}@" in head:
                to = next(line for line in head.splitlines() if line.startswith("To:"))
                self._request("ACK", extension, extension, "", to)
                return _audio_port(body), to_b
        raise PeerError(f"call {extension} was not set up within {REPLY_S:.0f} s")

    def _receive(self, patience: float) -> str:
        if not select.select([self._sock], [], [], max(0.0, patience))[0]:
            return ""
        try:
            return self._sock.recv(65536).decode(errors="replace")
        except ConnectionRefusedError:
            time.sleep(0.1)
            return ""

    def _request(self, method: str, extension: str, call: str, body: str, to: str = "") -> None:
        uri = f"sip:{extension}@{HOST}:{self._server[1]}"
        self._send(
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK{method}{call}\r\n"
            f"{to or f'To: <{uri}>'}\r\nFrom: <sip:phone@{HOST}>;tag=a{call}\r\n"
            f"Call-ID: {call}@{self._own}\r\nCSeq: 1 {method}\r\n"
            f"Contact: <sip:phone@{self._own}>\r\nMax-Forwards: 70",
            body,
        )

    def _answer(self, head: str, extension: str, port: int) -> None:
        echoed = [
            line + (";tag=b" + extension if line.startswith("To:") else "")
            for line in head.splitlines()
            if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))
        ]
        contact = f"Contact: <sip:{extension}@{self._own}>"
        self._send("\r\n".join(["SIP/2.0 200 OK", *echoed, contact]), _offer(port))

    def _send(self, head: str, body: str) -> None:
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = f"{head}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        self._sock.sendto(text.encode(), self._server)
