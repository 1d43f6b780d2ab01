"""The media process: carries out the control process's commands and keeps the 20 ms beat.

Everything happens on one event loop: commands and devices between the ticks, and the tick itself,
which is driven by absolute deadlines and runs only while there are legs or recordings. RTP sockets
are not on the loop; the tick empties them. The only other threads write recordings and load sounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import numpy as np

from appliance import ipc
from appliance.browser.port import PeerStateName
from appliance.lines import line as port
from appliance.media import g711, memory, protocol, rtp
from appliance.media.beat import Beat
from appliance.media.doors import (
    LineDoor,
    LineFactory,
    PeerDoor,
    PeerFactory,
    browser_peer,
    line_factory,
    line_message,
)
from appliance.media.dsp.hearing import Wants
from appliance.media.engine import Engine, Leg
from appliance.media.library import Library
from appliance.media.packet_io import PacketIO, PortTaken
from appliance.media.quality import Far
from appliance.media.quality_watch import QualityWatch
from appliance.media.recorder import Recorder
from appliance.media.tones import plan_for
from appliance.media.wav import WavError

log = logging.getLogger("centrala.media")

TICK_S: Final = 0.02
RELAYS: Final = 4
"""Packets that are only passed on are so this often in a tick: every 5 ms."""
MAX_LATE_S: Final = 0.06
"""Later than this, what is due is skipped: calls would carry the delay for ever."""
ORPHAN_S: Final = 10.0
"""Calls go on for so long without the control process, which may be starting again."""
STATS_S: Final = 1.0
IDLE_STATS_S: Final = 5.0
PRIORITY: Final = 10
_COLLECT_TICKS: Final = 500


class MediaProcess:
    """One media process; `run` is its life. The factories are exchangeable for other doors."""

    def __init__(
        self,
        socket_path: Path,
        data: Path | None = None,
        *,
        lines: Callable[[str], LineFactory] = line_factory,
        peers: PeerFactory = browser_peer,
    ) -> None:
        self._socket_path = socket_path
        self._folder = data
        self._line_factory = lines
        self._peer_factory = peers
        self._stop = asyncio.Event()
        self._connection: ipc.Connection | None = None
        self._lines: dict[str, LineDoor] = {}
        self._peers: dict[str, PeerDoor] = {}
        self._recording: set[str] = set()
        self._work: list[float] = []
        self._late: list[float] = []
        self._deadline = 0.0
        self._ticking = False
        self._between = 0
        """Times to pass packets on before the next tick."""
        self._orphaned: asyncio.TimerHandle | None = None
        self._trimmed = 0
        """Legs that there was room for when memory was given back last."""
        self._commands: dict[type, Callable[[Any], None]] = {
            protocol.Setup: self._setup,
            protocol.OpenRtp: self._open_rtp,
            protocol.AimRtp: self._aim_rtp,
            protocol.OpenLine: self._open_line,
            protocol.OpenPeer: self._open_peer,
            protocol.CloseLeg: lambda c: self._close_leg(c.leg),
            protocol.Play: self._play,
            protocol.Music: self._music,
            protocol.PlayTone: lambda c: self._engine.tone(c.leg, c.tone),
            protocol.StopPlay: lambda c: self._engine.stop_play(c.leg),
            protocol.Listen: self._listen,
            protocol.SendKeys: lambda c: self._engine.send_keys(c.leg, c.digits),
            protocol.Bridge: lambda c: self._engine.bridge(c.bridge, c.a, c.b),
            protocol.Unbridge: lambda c: self._engine.unbridge(c.bridge),
            protocol.Room: lambda c: self._engine.room(c.room, c.members),
            protocol.StartRecording: self._start_recording,
            protocol.StopRecording: lambda c: self._stop_recording(c.recording),
            protocol.AnswerLine: lambda c: self._with_driver(c.line, lambda d: d.answer()),
            protocol.HangUpLine: lambda c: self._with_driver(c.line, lambda d: d.hangup()),
            protocol.DialLine: lambda c: self._with_driver(c.line, lambda d: d.dial(c.number)),
            protocol.OfferPeer: self._offer_peer,
            protocol.ClosePeer: self._close_peer,
        }

    # --- life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen until `stop` is called or the task is cancelled; then finish in order."""
        self._loop = asyncio.get_running_loop()
        self._recorder = Recorder(self._recording_closed, 0, self._folder)
        self._library = Library()
        self._engine = Engine(plan_for("de"), self._recorder)
        self._io = PacketIO(self._engine)
        self._quality = QualityWatch(self._engine, self._far_end)
        self._beat = Beat(self._loop, self._wake)
        memory.OWN.give_back()
        server: asyncio.Server | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                stats = tasks.create_task(self._report(), name="stats")
                server = await ipc.serve(self._socket_path, protocol.Command, self._serve)
                try:
                    await self._stop.wait()
                finally:
                    server.close()
                    stats.cancel()
                    await self._finish()
        finally:
            await asyncio.to_thread(self._recorder.close)
            self._library.close()

    def stop(self) -> None:
        self._stop.set()

    async def _finish(self) -> None:
        self._drop_legs()
        self._ticking = False
        self._beat.close()
        if self._orphaned is not None:
            self._orphaned.cancel()
        doors = list(self._peers.values())
        self._peers.clear()
        for line in self._lines.values():
            if line.task is not None:
                line.task.cancel()
        for door in doors:
            await door.close()
        if self._connection is not None:
            self._connection.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(self._guarded(work))

    @staticmethod
    async def _guarded(work: Coroutine[Any, Any, None]) -> None:
        """One job that breaks must not end the calls of all others."""
        try:
            await work
        except Exception:
            log.exception("a job of the media process broke")

    # --- the control process ----------------------------------------------------------------

    async def _serve(self, connection: ipc.Connection) -> None:
        """One control process at a time: the newest that has sent `Setup`, for an older one is a
        lost one. Who begins with anything else is none."""
        ours = False
        async for message in connection.messages():
            if not ours:
                if not isinstance(message.body, protocol.Setup):
                    log.warning("a connection that did not begin with Setup was cut")
                    return
                if self._connection is not None:
                    self._connection.close()
                self._connection, ours = connection, True
            elif connection is not self._connection:
                return
            try:
                self._commands[type(message.body)](message.body)
            except Exception:
                log.exception("command %s broke", type(message.body).__name__)
            self._post_events()
        if connection is self._connection:
            self._connection = None
            self._wait_for_control()

    def _wait_for_control(self) -> None:
        if self._orphaned is None and not self._stop.is_set():
            self._orphaned = self._loop.call_later(ORPHAN_S, self._abandon)

    def _abandon(self) -> None:
        self._orphaned = None
        log.warning("no control process for %.0f s: calls are closed", ORPHAN_S)
        self._drop_legs()
        for line in self._lines.values():
            if line.off_hook and line.driver is not None:
                line.driver.hangup()
        for name in list(self._peers):
            self._forget_peer(name)
        self._engine.take_events()

    def _post(self, event: protocol.Event) -> None:
        if self._connection is not None:
            self._connection.post(event)

    def _post_events(self) -> None:
        for event in self._engine.take_events():
            self._post(event)

    def _setup(self, command: protocol.Setup) -> None:
        if self._orphaned is not None:
            self._orphaned.cancel()
            self._orphaned = None
        self._quality.forget()
        self._drop_legs()
        self._engine.take_events()
        for name in list(self._peers):
            self._forget_peer(name)
        self._engine.use_plan(plan_for(command.country))
        self._recorder.reserve_bytes = command.reserve_bytes
        self._io.relay_legs = command.relay_legs
        self._set_lines({setup.line: setup for setup in command.lines})
        self._post(protocol.MediaReady(os.getpid()))
        for line in self._lines.values():
            if line.state is not None:
                message = line_message(line.name, line.state)
                if message is not None:
                    self._post(message)

    def _set_lines(self, wanted: dict[str, protocol.LineSetup]) -> None:
        """Run exactly these; a line that stays as it is keeps its driver."""
        ended: dict[str, asyncio.Task[None]] = {}
        for name, door in list(self._lines.items()):
            if wanted.get(name) == door.setup:
                if door.off_hook and door.driver is not None:
                    door.driver.hangup()
                continue
            del self._lines[name]
            if door.task is not None:
                door.task.cancel()
                ended[name] = door.task
        for name, setup in wanted.items():
            if name in self._lines:
                continue
            door = LineDoor(setup, self._line_event, self._line_audio)
            self._lines[name] = door
            door.start(self._line_factory)
            # The device may still be in the hands of any line that was there before.
            door.task = self._spawn(door.run(list(ended.values())))

    def _drop_legs(self) -> None:
        for recording in list(self._engine.recordings):
            self._stop_recording(recording)
        for number in list(self._engine.legs):
            self._close_leg(number)

    # --- legs -------------------------------------------------------------------------------

    def _open_leg(self, number: int, door: Any, name: str) -> Leg:
        self._close_leg(number)
        leg = self._engine.open(number, door, name)
        self._quality.open(leg)
        self._start_ticking()
        return leg

    def _close_leg(self, number: int) -> None:
        leg = self._engine.legs.get(number)
        if leg is None:
            return
        quality = self._quality.close(number)
        if quality is not None:
            self._post(quality)
        self._engine.close(number)
        if leg.door == "rtp":
            self._io.close(number)
        elif leg.door == "line":
            line = self._lines.get(leg.name)
            if line is not None and line.leg == number:
                line.leg = None
        else:
            peer = self._peers.get(leg.name)
            if peer is not None:
                peer.legs.discard(number)
                if not peer.legs and peer.peer is not None:
                    peer.peer.rest()

    def _far_end(self, leg: Leg) -> Far | None:
        """What is known of how a leg's other side hears us."""
        if leg.door == "rtp":
            return self._io.far_end(leg.number)
        door = self._peers.get(leg.name) if leg.door == "peer" else None
        if door is None or door.peer is None:
            return None
        said = door.peer.quality()
        # Until a report of ours came back nothing is known of what the page hears.
        reported = said.round_trip_ms is not None and said.far_packets > 0
        return Far(
            said.far_packets,
            min(1.0, max(0, said.far_lost) / said.far_packets) if reported else None,
            said.far_jitter_ms if reported else None,
            said.round_trip_ms,
            secure=True,
        )

    def _fail_leg(self, number: int, reason: str) -> None:
        self._close_leg(number)
        self._post_events()
        self._post(protocol.LegFailed(number, reason))

    def _open_rtp(self, command: protocol.OpenRtp) -> None:
        leg = self._open_leg(command.leg, "rtp", "")
        try:
            self._io.open(leg, command.host, command.port)
        except PortTaken as error:
            self._fail_leg(command.leg, str(error))

    def _aim_rtp(self, c: protocol.AimRtp) -> None:
        self._io.aim(
            c.leg,
            (c.remote_host, c.remote_port),
            c.payload_type,
            c.event_send,
            c.event_receive,
            c.send,
            c.receive,
            c.signalling_host,
            c.rtcp_port,
            c.rtcp_mux,
            c.srtp,
        )
        self._engine.even_out(c.leg, c.agc)

    def _open_line(self, command: protocol.OpenLine) -> None:
        self._close_leg(command.leg)
        line = self._lines.get(command.line)
        if line is None or line.driver is None:
            self._post(protocol.LegFailed(command.leg, f"There is no line '{command.line}'."))
            return
        if line.leg is not None:
            self._fail_leg(line.leg, f"Line '{command.line}' was given to another leg.")
        leg = self._open_leg(command.leg, "line", command.line)
        line.leg = command.leg
        line.pace.reset()
        driver = line.driver
        leg.send_keys = driver.send_keys
        leg.far_end_gone = lambda: self._far_end_gone(line)
        leg.device_keys = driver.caps.device_keys
        self._engine.even_out(command.leg, command.agc)
        self._follow_hook(line)

    def _open_peer(self, command: protocol.OpenPeer) -> None:
        self._close_leg(command.leg)
        peer = self._peers.get(command.peer)
        if peer is None:
            self._post(protocol.LegFailed(command.leg, f"There is no page '{command.peer}'."))
            return
        self._open_leg(command.leg, "peer", command.peer)
        peer.legs.add(command.leg)
        self._engine.expect_audio(command.leg, peer.connected)

    def _listen(self, c: protocol.Listen) -> None:
        more = Wants(c.tones, c.fax, c.machine, c.caller_id, c.level)
        self._engine.listen(c.leg, c.keys, c.tones, more)

    # --- sounds -----------------------------------------------------------------------------

    def _play(self, command: protocol.Play) -> None:
        if self._engine.play(command.leg, command.token, command.loop):
            self._spawn(self._load_play(command))

    async def _load_play(self, command: protocol.Play) -> None:
        audio = await self._load(command.files)
        self._engine.play_loaded(command.leg, command.token, audio)
        self._post_events()

    def _music(self, command: protocol.Music) -> None:
        leg = self._engine.legs.get(command.leg)
        if leg is None:
            return
        if command.file is None:
            leg.music_wanted = None
            self._engine.music(command.leg, None)
        else:
            leg.music_wanted = command.file
            self._spawn(self._load_music(leg, command.file))

    async def _load_music(self, leg: Leg, file: str) -> None:
        audio = await self._load((file,))
        if self._engine.legs.get(leg.number) is leg and leg.music_wanted == file:
            self._engine.music(leg.number, audio)

    async def _load(self, files: tuple[str, ...]) -> g711.Bytes | None:
        try:
            return await self._library.load(files)
        except (WavError, OSError) as error:
            log.warning("cannot play: %s", error)
            return None

    # --- recordings -------------------------------------------------------------------------

    def _start_recording(self, command: protocol.StartRecording) -> None:
        name = command.recording
        if name not in self._engine.recordings:
            path = Path(command.path)
            if not path.is_absolute() or not self._recorder.start(name, path):
                self._post(protocol.RecordingClosed(name, 0, "disk_full"))
                return
            self._recording.add(name)
        self._engine.recordings[name] = (command.left, command.right, *command.more)
        self._start_ticking()

    def _stop_recording(self, name: str) -> None:
        self._engine.flush(name)
        if self._engine.recordings.pop(name, None) is not None:
            self._recorder.stop(name)

    def _recording_closed(self, name: str, duration_ms: int, reason: str) -> None:
        """Called by the recorder's thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._say_closed, name, duration_ms, reason)

    def _say_closed(self, name: str, duration_ms: int, reason: str) -> None:
        self._engine.recordings.pop(name, None)
        if name in self._recording:
            self._recording.discard(name)
            self._post(protocol.RecordingClosed(name, duration_ms, reason))

    # --- lines ------------------------------------------------------------------------------

    def _with_driver(self, name: str, do: Callable[[port.Line], None]) -> None:
        line = self._lines.get(name)
        if line is not None and line.driver is not None:
            line.ended_by_tone = False
            do(line.driver)

    def _line_event(self, line: LineDoor, event: port.LineEvent) -> None:
        if self._lines.get(line.name) is not line:
            return
        match event:
            case port.Up() | port.Down():
                line.state = event
            case port.OffHook():
                line.off_hook, line.ended_by_tone = True, False
                line.pace.reset()
            case port.Ringing():
                line.ended_by_tone = False
            case port.DeviceKey(digit):
                leg = None if line.leg is None else self._engine.legs.get(line.leg)
                if leg is not None:
                    self._engine.key(leg, digit, "device")
                    self._post_events()
        said = line.ended_by_tone and isinstance(event, port.HungUp)
        if isinstance(event, port.HungUp | port.Down):
            line.off_hook = line.ended_by_tone = False
        self._follow_hook(line)
        message = line_message(line.name, event)
        if message is not None and not said:
            self._post(message)
        if isinstance(event, port.Down) and line.leg is not None:
            self._fail_leg(line.leg, event.reason)

    def _follow_hook(self, line: LineDoor) -> None:
        if line.leg is not None:
            self._engine.expect_audio(line.leg, line.off_hook)
            self._engine.watch_line(line.leg, line.off_hook)

    def _line_audio(self, line: LineDoor, pcm: bytes) -> None:
        leg = None if line.leg is None else self._engine.legs.get(line.leg)
        if leg is not None and self._lines.get(line.name) is line:
            samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.int16, copy=False)
            self._engine.ring.put_stream(leg.slot, g711.ulaw_encode(samples).tobytes())
            line.pace.came(len(samples))

    def _far_end_gone(self, line: LineDoor) -> None:
        if line.driver is None or not line.off_hook or line.ended_by_tone:
            return
        # Set first: a driver may report the hang-up from within `hangup`.
        line.ended_by_tone = True
        line.driver.hangup()
        self._post(protocol.LineHungUp(line.name, "tone"))

    # --- browsers ---------------------------------------------------------------------------

    def _offer_peer(self, command: protocol.OfferPeer) -> None:
        door = PeerDoor(command.peer, self)
        old = self._peers.get(command.peer)
        self._peers[command.peer] = door
        if old is not None:
            # The page came back: its legs go on with the new peer.
            door.legs, old.legs = old.legs, set()
            for number in door.legs:
                leg = self._engine.legs.get(number)
                if leg is not None:
                    self._engine.expect_audio(number, False)
                    self._engine.ring.reset(leg.slot)
            self._spawn(old.close())
        self._spawn(self._answer_peer(door, command))

    async def _answer_peer(self, door: PeerDoor, command: protocol.OfferPeer) -> None:
        if door.closed:
            return
        answer = await door.answer(self._peer_factory, command.ref, command.sdp)
        if self._peers.get(command.peer) is not door:
            await door.close()
            return
        self._post(answer)
        if answer.sdp is None:
            self._forget_peer(command.peer)

    def _close_peer(self, command: protocol.ClosePeer) -> None:
        self._forget_peer(command.peer)

    def _forget_peer(self, name: str) -> None:
        door = self._peers.pop(name, None)
        if door is None:
            return
        for number in list(door.legs):
            self._fail_leg(number, f"The page '{name}' is gone.")
        door.closed = True
        self._spawn(door.close())

    def peer_audio(
        self, door: PeerDoor, payload_type: int, sequence: int, timestamp: int, payload: bytes
    ) -> None:
        if payload_type not in (g711.PCMU, g711.PCMA):
            return
        packet = rtp.Packet(payload_type, False, sequence & 0xFFFF, timestamp, 1, payload)
        for number in door.legs:
            leg = self._engine.legs.get(number)
            if leg is not None:
                self._engine.ring.put(leg.slot, packet)

    def peer_key(self, door: PeerDoor, digit: str) -> None:
        for number in door.legs:
            leg = self._engine.legs.get(number)
            if leg is not None:
                self._engine.key(leg, digit, "page")
        self._post_events()

    def peer_state(self, door: PeerDoor, state: PeerStateName) -> None:
        door.connected = state == "connected"
        for number in door.legs:
            self._engine.expect_audio(number, door.connected)
        self._post(protocol.PeerState(door.name, state))
        if state in ("closed", "failed"):
            self._forget_peer(door.name)

    # --- the beat ---------------------------------------------------------------------------

    def _start_ticking(self) -> None:
        if not self._ticking and not self._stop.is_set():
            self._ticking = True
            self._between = 0
            self._deadline = self._loop.time() + TICK_S
            self._beat.at(self._deadline)

    def _wake(self) -> None:
        """A tick is due, or packets are to be passed on between two."""
        if not self._ticking:
            self._beat.at(None)
        elif self._between:
            self._io.pass_on()
            self._between -= 1
            self._beat.at(self._deadline - self._between * TICK_S / RELAYS)
        else:
            self._tick()

    def _tick(self) -> None:
        start = self._loop.time()
        late = start - self._deadline
        if late > MAX_LATE_S:
            missed = int(late / TICK_S)
            self._engine.skip(missed)
            self._io.skip(missed)
            for line in self._lines.values():
                line.pace.reset()
            self._deadline += missed * TICK_S
        engine = self._engine
        engine.begin_tick(late)
        self._io.receive()
        self._read_peers()
        engine.tick()
        self._io.send()
        self._write_doors()
        for quality in self._quality.tick():
            self._post(quality)
        self._post_events()
        self._work.append(self._loop.time() - start)
        self._late.append(late)
        if engine.now % _COLLECT_TICKS == 0:
            # The collector is off; what the last seconds left behind in cycles goes here.
            gc.collect(0)
            if engine.ring.capacity != self._trimmed:
                # Tables that grew have left their old ones behind.
                self._trimmed = engine.ring.capacity
                memory.OWN.give_back()
        if engine.legs or engine.recordings:
            self._deadline += TICK_S
            self._between = RELAYS - 1 if self._io.relaying else 0
            self._beat.at(self._deadline - self._between * TICK_S / RELAYS)
        else:
            self._ticking = False
            self._beat.at(None)
            gc.collect()
            memory.OWN.give_back()

    def _read_peers(self) -> None:
        # A list: what arrives may be the end of a peer.
        for door in list(self._peers.values()):
            if door.legs and door.peer is not None:
                door.peer.receive()

    def _write_doors(self) -> None:
        out = self._engine.out
        legs = self._engine.legs
        for line in self._lines.values():
            leg = legs.get(line.leg) if line.leg is not None else None
            if leg is not None and line.off_hook and line.driver is not None:
                pcm = line.pace.frame(g711.ULAW_DECODE[out[leg.slot]])
                line.driver.write(pcm.astype("<i2").tobytes())
        for door in self._peers.values():
            if door.connected and door.peer is not None:
                for number in door.legs:
                    leg = legs.get(number)
                    if leg is not None:
                        door.peer.write(out[leg.slot].tobytes())

    async def _report(self) -> None:
        said = 0.0
        while True:
            await asyncio.sleep(STATS_S)
            now = self._loop.time()
            # Half a second of grace: sleeps are never exact.
            if not self._ticking and now - said < IDLE_STATS_S - STATS_S / 2:
                self._post(protocol.Alive())
                continue
            if self._ticking and not self._work:
                # Calls and no tick that ended: whoever watches is not told that all is well.
                continue
            said = now
            work, self._work = self._work, []
            late, self._late = self._late, []
            self._post(
                protocol.MediaStats(
                    len(self._engine.legs),
                    len(self._engine.recordings),
                    _p99_ms(work),
                    _p99_ms(late),
                    self._recorder.allowed,
                    self._recorder.free_bytes,
                )
            )


def _p99_ms(values: list[float]) -> float:
    return float(np.percentile(values, 99) * 1000) if values else 0.0


def take_priority() -> bool:
    """Real-time priority for this thread; those that it starts stay ordinary. False if the system
    does not permit it: everything works then, with less certainty."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except (OSError, AttributeError):
        log.warning("no real-time priority: a busy machine may be heard (CAP_SYS_NICE is missing)")
        return False
    return True


def raise_limits() -> None:
    """Two sockets a leg: as many files as the system lets us open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(socket_path: Path, data: Path | None = None) -> None:
    """Run a media process until SIGTERM or SIGINT.

    `data` is the folder whose free space decides about recording until the first one starts.
    """

    async def live() -> None:
        process = MediaProcess(socket_path, data)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, process.stop)
        gc.collect()
        gc.freeze()
        gc.disable()
        take_priority()
        raise_limits()
        memory.OWN.lock()
        await process.run()

    memory.one_arena()
    # The selector loop: the browser peers' sockets are taken off it.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(live())
