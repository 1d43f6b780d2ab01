"""One far end for each door of the real media processes, each with a voice of its own, and what
became of that voice on its way to another: how loud, how like, with which gaps.

    python -m tests.media.doors [MODEM ...]     tables of all pairs; PESQ with it if it is installed

MODEM is one of the emulator's, by default "conexant" (mu-law); "multitech" has nothing but 8-bit
linear samples.

Two media processes in their own right; the far ends are in this one: a caller on an analog line
(simulated exchange, modem emulator, the real driver), a phone, a phone that encrypts, a page with
G.711, one with Opus, and a phone at the second process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from appliance.media import g711
from appliance.media import protocol as p
from appliance.simulator.caller import Sound
from appliance.simulator.rig import Call, ExchangeRig
from appliance.simulator.speech import Speaker
from appliance.switch.ports import PortPool
from tests.browser import signals
from tests.browser_peer.page import Microphone, Page
from tests.media.endpoint import HOST, RtpEndpoint
from tests.media.processes import Processes
from tests.media.srtp_phone import SecurePhone, keys

Samples = npt.NDArray[np.int16]
Audio = npt.NDArray[np.float64]

LEAD_S = 0.4
"""Silence before and after what is said: doors have delays of their own."""
TEXTS = {
    "line": "Good morning, this is Anna. I ordered five yellow chairs on Tuesday.",
    "phone": "Welcome to the office, how may I help you? Please wait for a moment.",
    "secure": "The quick brown fox jumps over the lazy dog, and nobody saw it go.",
    "page": "Our people will call you back before noon, unless you are away today.",
    "opus": "She sells sea shells on the shore, and her brother mends the old boats.",
    "far": "Many thanks for your patience. Your number in the queue is now seven.",
}
DOORS = tuple(TEXTS)


class End:
    """The far end of one door: `say` once, and everything heard since `listen`."""

    name: str
    leg: int

    def say(self, pcm: Samples) -> None:
        raise NotImplementedError

    def listen(self) -> None:
        raise NotImplementedError

    def heard(self) -> Samples:
        raise NotImplementedError


class PhoneEnd(End):
    def __init__(self, name: str, leg: int, phone: RtpEndpoint) -> None:
        self.name, self.leg, self.phone = name, leg, phone

    def say(self, pcm: Samples) -> None:
        # Its loop is so long that it comes round in no test.
        quiet = np.full(8000 * 600, g711.ULAW_SILENCE, np.uint8)
        self.phone.audio = np.concatenate((g711.ulaw_encode(pcm), quiet))
        self.phone.at = 0

    def listen(self) -> None:
        self.phone.heard()

    def heard(self) -> Samples:
        return self.phone.heard()


class LineEnd(End):
    """A caller on the line."""

    def __init__(self, leg: int, call: Call) -> None:
        self.name, self.leg, self.call = "line", leg, call
        self._from = 0

    def say(self, pcm: Samples) -> None:
        self.call.caller.add(Sound(pcm))

    def listen(self) -> None:
        self._from = len(self.call.heard())

    def heard(self) -> Samples:
        return self.call.heard()[self._from :]


class _Voice(Microphone):
    """Says samples, as octets of G.711 or as frames for the page's own Opus."""

    def __init__(self, opus: bool) -> None:
        super().__init__()
        self._opus = opus
        self._pcm: Samples = np.zeros(0, np.int16)

    def say(self, pcm: Samples) -> None:
        self._pcm = pcm

    def _next(self) -> Samples:
        frame, self._pcm = self._pcm[:160], self._pcm[160:]
        return np.pad(frame, (0, 160 - len(frame)))

    async def recv(self) -> Any:
        packet = await super().recv()
        pcm = self._next()
        if not self._opus:
            made: Any = av.Packet(g711.ulaw_encode(pcm).tobytes())
        else:
            # Both channels: what makes two of one takes 3 dB off.
            made = av.AudioFrame.from_ndarray(np.repeat(pcm, 2)[None, :], "s16", "stereo")
            made.sample_rate = 8000
        made.pts, made.time_base = packet.pts, Fraction(1, 8000)
        return made


class PageEnd(End):
    def __init__(self, name: str, leg: int, opus: bool) -> None:
        self.name, self.leg, self.opus = name, leg, opus
        self.page = Page()
        self.voice = _Voice(opus)
        transceiver = self.page.connection.getTransceivers()[0]
        transceiver.sender.replaceTrack(self.voice)
        if opus:
            transceiver.setCodecPreferences([RTCRtpCodecCapability("audio/opus", 48000, 2)])

    def say(self, pcm: Samples) -> None:
        self.voice.say(pcm)

    def listen(self) -> None:
        self.page.heard.clear()

    def heard(self) -> Samples:
        raw = np.frombuffer(b"".join(self.page.heard), "<i2")
        if not self.opus:
            return raw.astype(np.int16)
        mono = raw.reshape(-1, 2).mean(axis=1) / 32768
        return (signals.resample(mono, 48000, 8000) * 32768).astype(np.int16)


@contextlib.contextmanager
def punctual() -> Iterator[None]:
    """Real-time priority below the media processes', if it is permitted: the far ends are to be
    in time although other tests run."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(5))
    except (OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@dataclass
class Office:
    """All far ends, connected."""

    both: Processes
    rig: ExchangeRig
    ends: dict[str, End]
    voices: dict[str, Samples]
    folder: Path
    rounds: int = 0
    late: list[float] = field(default_factory=list)

    def disturbed(self) -> str:
        """Why this machine was too busy to judge by what has been heard lately; empty if it was
        not. Nothing that the box does wrong on a machine with time to spare is in here."""
        stats = [e for e in self.both.events if isinstance(e, p.MediaStats)]
        worst = max((s.tick_late_ms_p99 for s in stats), default=0.0)
        late = max(self.late, default=0.0) * 1000
        if late > 15:
            return f"the far ends were {late:.0f} ms late"
        if worst > 15:
            return f"a tick was {worst:.0f} ms late"
        if self.rig.slips:
            return "the exchange was late"
        return ""

    def _fresh(self) -> None:
        self.late.clear()
        self.rig.slips = 0
        self.both.events.clear()

    async def watch(self) -> None:
        """How late this process is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            self.late.append(loop.time() - due)

    async def _talk(self, said: dict[str, Samples]) -> dict[str, Samples]:
        """Everybody says what is his; what each heard."""
        # Until the bridges are made, and what can be passed on is.
        await asyncio.sleep(0.6)
        self._fresh()
        for name in said:
            self.ends[name].listen()
        for name, pcm in said.items():
            self.ends[name].say(pcm)
        longest = max(len(pcm) for pcm in said.values()) / 8000
        await asyncio.sleep(longest + LEAD_S)
        return {name: self.ends[name].heard() for name in said}

    async def pairs(self, pairs: list[tuple[str, str]]) -> list[Way]:
        """Both ways of these pairs, bridged and recorded at once."""
        self.rounds += 1
        send, paths = self.both.send, []
        for n, (a, b) in enumerate(pairs):
            one, two = self.ends[a].leg, self.ends[b].leg
            paths.append(self.folder / f"{self.rounds}-{n}.wav")
            send(p.Bridge(n, one, two))
            send(p.StartRecording(paths[-1].stem, str(paths[-1]), one, two))
        said = {name: self.voices[name] for pair in pairs for name in pair}
        heard = await self._talk(said)
        for n, path in enumerate(paths):
            send(p.StopRecording(path.stem), p.Unbridge(n))
        closed: list[str] = []

        def all_closed() -> bool:
            closed[:] = [e.recording for e in self.both.events if isinstance(e, p.RecordingClosed)]
            return {path.stem for path in paths} <= set(closed)

        why = self.disturbed()
        await self.both.until(all_closed)
        ways = []
        for path, pair in zip(paths, pairs, strict=True):
            tape = g711.ULAW_DECODE[np.frombuffer(path.read_bytes()[58:], np.uint8).reshape(-1, 2)]
            for side, (speaker, listener) in enumerate((pair, pair[::-1])):
                ways.append(
                    Way(speaker, listener, self.voices[speaker], heard[listener], tape[:, side],
                        why)
                )  # fmt: skip
        return ways

    async def rooms(self, rooms: tuple[tuple[str, ...], ...]) -> list[Way]:
        """Rooms at once, in each of which they speak one after another; each heard by each other
        of the room."""
        for number, names in enumerate(rooms, 1):
            self.both.send(p.Room(number, tuple(p.Member(self.ends[name].leg) for name in names)))
        turn = max(len(self.voices[name]) for names in rooms for name in names) + 800
        said = {
            name: np.concatenate((np.zeros(turn * n, np.int16), self.voices[name]))
            for names in rooms
            for n, name in enumerate(names)
        }
        heard = await self._talk(said)
        for number in range(1, len(rooms) + 1):
            self.both.send(p.Room(number, ()))
        why = self.disturbed()
        return [
            Way(speaker, f"{listener} in a room", self.voices[speaker], heard[listener], None, why)
            for names in rooms
            for speaker in names
            for listener in names
            if listener != speaker
        ]


@dataclass
class Way:
    """What became of one voice on the way to one listener, and on the tape."""

    speaker: str
    listener: str
    said: Samples
    heard: Samples
    tape: Samples | None
    disturbed: str

    @cached_property
    def delay_s(self) -> float:
        """From the moment that everybody began to speak."""
        return signals.hear(_float(self.said), _float(self.heard)).delay_s

    @cached_property
    def placed(self) -> Audio:
        """What was heard, each piece of 200 ms where it belongs."""
        return _placed(self.said, self.heard, self.delay_s)

    @cached_property
    def level_db(self) -> float:
        """How much louder the loud frames became."""
        parts = _voiced(self.said)
        want = sum(float(np.sum(self.said[part].astype(float) ** 2)) for part in parts)
        got = sum(float(np.sum(self.placed[part] ** 2)) for part in parts)
        return 10 * float(np.log10(max(got, 1e-3) / want))

    @cached_property
    def snr_db(self) -> float:
        return segmental_snr_db(self.said, self.placed)

    @cached_property
    def distance_db(self) -> float:
        return spectral_distance_db(self.said, self.placed)

    @cached_property
    def gap_ms(self) -> float:
        return gap_ms(self.said, self.placed)

    def tape_spread_ms(self) -> float:
        """How far the voice's pieces on the tape are off a common delay; endless when half of them
        are not there."""
        assert self.tape is not None
        pieces = signals.find_pieces(_float(self.said), _float(self.tape))
        delays = [piece.delay_s for piece in pieces if piece.correlation > 0.9]
        if len(delays) <= len(pieces) / 2:
            return float("inf")
        return 1000 * (max(delays) - min(delays))

    def pesq(self) -> float:
        """Raises ImportError without the library."""
        return pesq(self.said, self.heard, self.delay_s)


def pesq(said: Samples, heard: Samples, delay_s: float = 0.0) -> float:
    """Narrow-band score of ITU-T P.862.1. Raises ImportError without the library."""
    from pesq import pesq as score

    start = max(0, round(delay_s * 8000) - 800)
    return float(score(8000, said, heard[start : start + len(said) + 1600], "nb"))


def _float(samples: Samples) -> Audio:
    return samples.astype(np.float64) / 32768


def _placed(said: Samples, heard: Samples, delay: float) -> Audio:
    out = np.zeros(len(said))
    signal, recording = _float(said), np.pad(_float(heard), (0, 1600))
    for at in range(0, len(said) - 1599, 1600):
        piece = signal[at : at + 1600]
        start = max(0, round(at + delay * 8000) - 160)
        near = recording[start : start + 1600 + 320]
        if len(near) == 1920 and np.mean(piece**2) > 1e-7:
            place = start + round(signals.find(piece, near).delay_s * 8000)
        else:
            place = round(at + delay * 8000)
        got = recording[place : place + 1600] if place >= 0 else np.zeros(0)
        out[at : at + len(got)] = got * 32768
    return out


def _voiced(said: Samples) -> list[slice]:
    """Frames of 20 ms that are loud, but for the ends of pieces."""
    loud = g711.dbm0_to_rms(-30)
    parts = [slice(at, at + 160) for at in range(0, len(said) - 159, 160)]
    return [x for x in parts if np.sqrt(np.mean(said[x].astype(float) ** 2)) > loud]


def segmental_snr_db(said: Samples, placed: Audio) -> float:
    """Median over the loud frames, each held between -10 and 35 dB."""
    found = []
    for part in _voiced(said):
        x = said[part].astype(float)
        noise = np.mean((x - placed[part]) ** 2) + 1e-3
        found.append(np.clip(10 * np.log10(np.mean(x**2) / noise), -10, 35))
    return float(np.median(found))


def spectral_distance_db(said: Samples, placed: Audio) -> float:
    """Log-spectral distance, 300 to 3400 Hz, mean over the loud frames."""
    window, found = np.hanning(256), []
    for part in _voiced(said):
        piece = slice(part.start - 48, part.start + 208)
        if piece.start >= 0 and piece.stop <= len(said):
            a, b = (
                np.abs(np.fft.rfft(x[piece] * window))[10:110] ** 2 + 1e8
                for x in (said.astype(float), placed)
            )
            found.append(np.sqrt(np.mean((10 * np.log10(a / b)) ** 2)))
    return float(np.mean(found))


def gap_ms(said: Samples, placed: Audio) -> float:
    """The longest run of loud frames of which next to nothing was heard (15 dB less)."""
    longest = run = 0
    last = -1
    for part in _voiced(said):
        power, want = np.mean(placed[part] ** 2), np.mean(said[part].astype(float) ** 2)
        gone = power < want / 30
        run = (run + 1 if last == part.start else 1) if gone else 0
        last = part.stop
        longest = max(longest, run)
    return longest * 20.0


async def voices() -> dict[str, Samples]:
    speaker = Speaker()
    quiet = np.zeros(round(LEAD_S * 8000), np.int16)
    return {
        name: np.concatenate((quiet, await speaker.say(text), quiet))
        for name, text in TEXTS.items()
    }


@asynccontextmanager
async def office(
    folder: Path, free_port: Callable[[], int], modem: str = "conexant"
) -> AsyncIterator[Office]:
    base = free_port()
    ports = PortPool(base + 2, base + 60)
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(ExchangeRig(folder / "lines", lines=1, variant=modem))
        options = {"device": str(rig.device(1)), "cid_wait_s": "1.0"}
        setup = p.LineSetup("1", "modem", "us", options)
        both = Processes(folder, ports, (setup,))
        tasks = [asyncio.create_task(both.listen(n)) for n in range(2)]

        async def cancel() -> None:
            # The modem that is to hang up is ours: nobody waits for it here.
            await asyncio.to_thread(both.end)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        stack.push_async_callback(cancel)
        it = Office(both, rig, {}, await voices(), folder)
        await both.until(lambda: both.pool.complete)
        for leg, (name, home) in enumerate((("phone", 0), ("secure", 0), ("far", 1)), 1):
            secret = name == "secure"
            phone = SecurePhone(np.full(160, 0xFF, np.uint8)) if secret else RtpEndpoint()
            stack.callback(phone.close)
            both.open(leg, home, phone, free_port(), keys() if secret else None)
            tasks.append(asyncio.create_task(phone.run()))
            it.ends[name] = PhoneEnd(name, leg, phone)
        for leg, name in enumerate(("page", "opus"), 4):
            both.fill(other=1)
            page = PageEnd(name, leg, name == "opus")
            stack.push_async_callback(page.page.close)
            both.send(p.OfferPeer(name, leg, await page.page.offer()))
            answer = await both.wait(p.PeerAnswer)
            assert answer.sdp is not None, answer.reason
            await page.page.answered(answer.sdp)
            await both.wait(p.PeerState)
            both.send(p.OpenPeer(leg, name))
            it.ends[name] = page
        await both.wait(p.LineUp)
        call = await rig.call(line=1)
        await both.wait(p.LineRinging)
        both.send(p.AnswerLine("1"), p.OpenLine(6, "1", agc=False))
        await both.wait(p.LineOffHook)
        await call.answered()
        it.ends["line"] = LineEnd(6, call)
        tasks.append(asyncio.create_task(it.watch()))
        # The pages' codecs are loaded with their first frames.
        await asyncio.sleep(1.0)
        yield it


def tournament(names: tuple[str, ...]) -> list[list[tuple[str, str]]]:
    """Everybody with everybody, all at once in each round."""
    first, others = names[0], list(names[1:])
    rounds = []
    for _ in others:
        circle = [first, *others]
        half = len(circle) // 2
        rounds.append(list(zip(circle[:half], reversed(circle[half:]), strict=True)))
        others = others[1:] + others[:1]
    return rounds


ROOMS = (("line", "phone", "page"), ("opus", "secure", "far"))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1]) & ~1


def as_coded(voice: Samples) -> Samples:
    return g711.ulaw_decode(g711.ulaw_encode(voice))


async def _table(modem: str) -> None:
    """Voices are G.711 before they set out, as every phone's is. What that alone does
    to them comes first: no box can do anything about it."""
    print(f"\n{modem}")
    print(f"{'from':8}{'to':18}{'level':>7}{'SNR':>6}{'LSD':>6}{'gap':>5}{'delay':>7}{'PESQ':>6}")
    with tempfile.TemporaryDirectory() as folder:
        async with office(Path(folder), _free_port, modem) as it:
            spoken = it.voices
            it.voices = {name: as_coded(pcm) for name, pcm in spoken.items()}
            ways = []
            for pairs in tournament(DOORS):
                ways += await it.pairs(pairs)
            ways += await it.rooms(ROOMS)
    for name, pcm in spoken.items():
        alone = _score(partial(pesq, pcm, as_coded(pcm)))
        print(f"{name:8}{'(G.711 alone)':18}{alone:>38}")
    for way in ways:
        score = _score(way.pesq)
        print(
            f"{way.speaker:8}{way.listener:18}{way.level_db:7.2f}{way.snr_db:6.1f}"
            f"{way.distance_db:6.2f}{way.gap_ms:5.0f}{way.delay_s * 1000:7.0f}{score:>6}"
            f"  {way.disturbed}",
            flush=True,
        )


def _score(pesq: Callable[[], float]) -> str:
    try:
        return f"{pesq():.2f}"
    except (ImportError, ValueError):
        # Not installed, or nothing was heard at all.
        return "-"


if __name__ == "__main__":
    with punctual():
        for _modem in sys.argv[1:] or ["conexant"]:
            asyncio.run(_table(_modem))
