"""The engine: one tick of 20 ms over all legs, in arrays.

A leg is a row (slot) of the arrays of `Jitter`, `DtmfDetector` and `ToneDetector`; slots are used
again, the lowest first, so that a tick works on one contiguous block. The tick reads what each leg
said, listens, and makes what each leg hears: its peer's bytes untouched where nothing is added,
else a sum. Only legs that play, beep or press keys cost a line of Python each.

The engine knows no sockets, devices, files or clocks. What arrives is put into `ring`; `tick`
leaves what is to be sent in `out`; events gather in `take_events`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from appliance.media import dtmf, g711, protocol
from appliance.media.dsp.hearing import NOTHING, Hearing, Wants
from appliance.media.echo import EchoCanceller
from appliance.media.jitter import FRAME, Jitter
from appliance.media.reel import Reel, Sides, Tape
from appliance.media.rooms import Mixer, Seat, add
from appliance.media.tones import ToneDetector, TonePlan, make_tone

TICK_MS: Final = 20
QUIET_MS: Final = 5000
"""Silence of a leg that should send is reported after this, and again each time it has passed."""
_QUIET_CHECK_TICKS: Final = 10
_SAME_KEY_TICKS: Final = 25
"""A telephone-event this soon after the same key in the audio is that key: 500 ms."""
_FIRST_CAPACITY: Final = 32

Door = Literal["rtp", "line", "peer"]
_I64 = npt.NDArray[np.int64]
_F32 = npt.NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Source:
    """Audio on its way to a leg; None until it is loaded."""

    audio: g711.Bytes | None
    loop: bool
    token: int = 0
    at: int = 0

    def frame(self, into: g711.Bytes) -> bool:
        """The next 160 mu-law samples; False when there was nothing left to give."""
        audio = self.audio
        if audio is None:
            into[:] = g711.ULAW_SILENCE
            return True
        if self.at >= len(audio) and not (self.loop and len(audio)):
            return False
        filled = 0
        while filled < FRAME:
            if self.at >= len(audio):
                if not self.loop:
                    break
                self.at = 0
            count = min(FRAME - filled, len(audio) - self.at)
            into[filled : filled + count] = audio[self.at : self.at + count]
            filled += count
            self.at += count
        into[filled:] = g711.ULAW_SILENCE
        return True


@dataclass(slots=True, eq=False)
class Leg:
    """One leg. `send_keys` is the door's own way to press keys, False when it has none now;
    `far_end_gone` is called when call progress tones say so."""

    number: int
    slot: int
    door: Door
    name: str = ""
    send_keys: Callable[[str], bool] | None = None
    far_end_gone: Callable[[], None] | None = None
    play: _Source | None = None
    music: _Source | None = None
    music_wanted: str | None = None
    """File of the music that is on or being loaded."""
    tone: _Source | None = None
    keys: _Source | None = None
    listen_keys: bool = False
    listen_tones: bool = False
    device_keys: bool = False
    watch_line: bool = False
    """The far end's hang-up is to be heard in the audio, whether or not anybody listens."""
    wants: Wants = NOTHING
    """What else is to be heard of it, and whether its level is evened out."""
    has_events: bool = False
    """Keys come as telephone-events: what the audio repeats of them is not heard again."""
    last_inband: tuple[str, int] = ("", -1)
    bridge: _Bridge | None = None
    peer: Leg | None = None
    room: int | None = None
    seat: protocol.Member | None = None
    """Its place in that room."""

    @property
    def together(self) -> bool:
        """Whether it hears other legs: prompts are added to those, music and tones wait."""
        return self.peer is not None or (self.seat is not None and self.seat.hears)

    @property
    def sounds(self) -> bool:
        return not (self.play is self.music is self.tone is self.keys is None)


@dataclass(slots=True, eq=False)
class _Bridge:
    number: int
    a: Leg
    b: Leg
    made: int
    live: bool = False


def _no_slots() -> _I64:
    return np.empty(0, np.int64)


def _index(slots: Iterable[int]) -> _I64:
    return np.fromiter(slots, np.int64)


@dataclass(slots=True)
class _Routes:
    """What the tick needs to know of legs and bridges, made anew when they change."""

    to: _I64 = field(default_factory=_no_slots)
    of: _I64 = field(default_factory=_no_slots)
    """Slot `to[i]` hears slot `of[i]`."""
    rooms: Mixer = field(default_factory=Mixer)
    through: tuple[_I64, _I64] = field(default_factory=lambda: (_no_slots(), _no_slots()))
    """Slots that are heard, and by whom, where nothing is added to their bytes."""
    sounding: list[Leg] = field(default_factory=list)
    keys: _I64 = field(default_factory=_no_slots)
    tones: _I64 = field(default_factory=_no_slots)


class Engine:
    """All legs of one media process. Commands that name an unknown leg do nothing."""

    def __init__(self, plan: TonePlan, tape: Tape) -> None:
        self.legs: dict[int, Leg] = {}
        self.recordings: dict[str, tuple[int | None, ...]] = {}
        """Legs on the left, on the right, and more of those on the right."""
        self.ring = Jitter(_FIRST_CAPACITY)
        self.high = 0
        """Slots below this may be in use."""
        self.now = 0
        """Number of the current tick."""
        self._free: list[int] = []
        self._by_slot: dict[int, Leg] = {}
        self._bridges: dict[int, _Bridge] = {}
        self._waiting: list[_Bridge] = []
        self._events: list[protocol.Event] = []
        self._routes = _Routes()
        self._stale = False
        self._expects = np.zeros(_FIRST_CAPACITY, np.bool_)
        self.held = np.zeros(_FIRST_CAPACITY, np.bool_)
        """Slots that are sent nothing in this tick, so what is played to them waits."""
        self._since = np.zeros(_FIRST_CAPACITY, np.int64)
        self._quiet_next = np.zeros(_FIRST_CAPACITY, np.int64)
        self._out = np.full((_FIRST_CAPACITY, FRAME), g711.ULAW_SILENCE, np.uint8)
        self._frame = np.empty(FRAME, np.uint8)
        self._reel = Reel(tape)
        self._known: dict[str, tuple[int | None, ...]] = {}
        """Recordings as the reel has them."""
        self.echo = EchoCanceller()
        self._dtmf = dtmf.DtmfDetector(_FIRST_CAPACITY)
        self.plan = plan
        self._tones = ToneDetector(plan, _FIRST_CAPACITY)
        self._hearing = Hearing(_FIRST_CAPACITY)

    def use_plan(self, plan: TonePlan) -> None:
        """Another country's tones; only while there are no legs."""
        self.plan = plan
        self._tones = ToneDetector(plan, self.ring.capacity)

    def take_events(self) -> list[protocol.Event]:
        events, self._events = self._events, []
        return events

    # --- legs -------------------------------------------------------------------------------

    def open(self, number: int, door: Door, name: str = "") -> Leg:
        """A new leg; one that had the number is closed."""
        self.close(number)
        if self._free:
            self._free.sort(reverse=True)
            slot = self._free.pop()
        else:
            slot = len(self._by_slot)
        self._reserve(slot + 1)
        self.high = max(self.high, slot + 1)
        self.ring.reset(slot, link=number >= protocol.LINK_NUMBERS)
        self._expects[slot] = self.held[slot] = False
        if door == "line":
            self.echo.open(slot)
        leg = Leg(number, slot, door, name)
        self.legs[number] = leg
        self._by_slot[slot] = leg
        self._stale = True
        return leg

    def close(self, number: int) -> None:
        leg = self.legs.get(number)
        if leg is None:
            return
        self.stop_play(number)
        del self.legs[number]
        if leg.bridge is not None:
            self.unbridge(leg.bridge.number)
        for recording, sides in self.recordings.items():
            self.recordings[recording] = tuple(None if n == number else n for n in sides)
        self.echo.close(leg.slot)
        self._by_slot.pop(leg.slot)
        self._free.append(leg.slot)
        self._hearing.forget(leg.slot)
        self._expects[leg.slot] = False
        if not self._by_slot:
            self._free.clear()
            self.high = 0
        self._stale = True

    def _reserve(self, count: int) -> None:
        if count <= self.ring.capacity:
            return
        self.ring.reserve(count)
        capacity = self.ring.capacity
        self._dtmf.reserve(capacity)
        self._tones.reserve(capacity)
        self._hearing.reserve(capacity)
        for name in ("_expects", "held", "_since", "_quiet_next"):
            old = getattr(self, name)
            new = np.zeros(capacity, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        self._out = np.full((capacity, FRAME), g711.ULAW_SILENCE, np.uint8)

    def expect_audio(self, number: int, expected: bool) -> None:
        """Whether this leg should be sending now: silence of one that should is reported."""
        leg = self.legs.get(number)
        if leg is not None and bool(self._expects[leg.slot]) != expected:
            self._expects[leg.slot] = expected
            self._since[leg.slot] = self.now
            self._quiet_next[leg.slot] = QUIET_MS

    def watch_line(self, number: int, on: bool) -> None:
        """Listen for the far end's hang-up on a line that is off-hook."""
        leg = self.legs.get(number)
        if leg is not None and leg.watch_line != on:
            leg.watch_line = on
            self._tones.reset(leg.slot)
            self._stale = True

    # --- what a leg hears --------------------------------------------------------------------

    def play(self, number: int, token: int, loop: bool) -> bool:
        """A prompt is coming (`play_loaded` brings it); what was playing stops. False: no leg."""
        leg = self.legs.get(number)
        if leg is None:
            return False
        self.stop_play(number)
        leg.play = _Source(None, loop, token)
        self._stale = True
        return True

    def play_loaded(self, number: int, token: int, audio: g711.Bytes | None) -> None:
        """The audio of a prompt that was announced; None when it cannot be played."""
        leg = self.legs.get(number)
        if leg is None or leg.play is None or leg.play.token != token:
            return
        if audio is None:
            self._end_play(leg, "failed")
        else:
            leg.play.audio = audio

    def stop_play(self, number: int) -> None:
        leg = self.legs.get(number)
        if leg is not None and leg.play is not None:
            self._end_play(leg, "stopped")

    def _end_play(self, leg: Leg, result: Literal["done", "stopped", "failed"]) -> None:
        assert leg.play is not None
        token = leg.play.token
        leg.play = None
        self._stale = True
        self._events.append(protocol.PlayEnded(leg.number, token, result))

    def music(self, number: int, audio: g711.Bytes | None) -> None:
        """Loop this; it waits while a prompt or a bridge is on."""
        leg = self.legs.get(number)
        if leg is not None:
            leg.music = None if audio is None or not len(audio) else _Source(audio, True)
            self._stale = True

    def tone(self, number: int, tone: protocol.Tone | None) -> None:
        leg = self.legs.get(number)
        if leg is not None:
            leg.tone = None if tone is None else _Source(make_tone(self.plan, tone), True)
            self._stale = True

    def send_keys(self, number: int, digits: str) -> None:
        """Press keys towards the leg: by its door's own way, else as tones in the audio."""
        leg = self.legs.get(number)
        if leg is None or (leg.send_keys is not None and leg.send_keys(digits)):
            return
        audio = dtmf.key_sequence(digits)
        if not len(audio):
            return
        if leg.keys is not None and leg.keys.audio is not None:
            audio = np.concatenate((leg.keys.audio[leg.keys.at :], audio))
        leg.keys = _Source(audio, False)
        self._stale = True

    # --- listening ---------------------------------------------------------------------------

    def listen(self, number: int, keys: bool, tones: bool, more: Wants = NOTHING) -> None:
        """What to hear of a leg; `more` without its gain control, which `even_out` switches."""
        leg = self.legs.get(number)
        if leg is None:
            return
        if keys and not leg.listen_keys:
            self._dtmf.reset(leg.slot)
        if tones and not leg.listen_tones and not leg.watch_line:
            self._tones.reset(leg.slot)
        leg.listen_keys, leg.listen_tones = keys, tones
        self._want(leg, replace(more, agc=leg.wants.agc))
        self._stale = True

    def even_out(self, number: int, on: bool) -> None:
        """Whether the leg's level is evened out for those who hear it."""
        leg = self.legs.get(number)
        if leg is not None:
            self._want(leg, replace(leg.wants, agc=on))

    def _want(self, leg: Leg, wants: Wants) -> None:
        if leg.wants != wants:
            leg.wants = wants
            self._stale = True
            self._hearing.want(leg.slot, leg.number, wants)

    def speech_level(self, number: int) -> float | None:
        """Active speech level of a leg that asked for it, dBm0; None while nobody has spoken."""
        leg = self.legs.get(number)
        return None if leg is None else self._hearing.speech_level(leg.slot)

    def key(self, leg: Leg, digit: str, source: protocol.Source, passed_on: bool = False) -> None:
        """A key that did not come as sound; in a bridge it is pressed on the other side too, as
        one in the audio would be heard there, unless it was passed on as it came."""
        if source in ("rfc4733", "page") and not leg.has_events:
            leg.has_events = True
            self._stale = True
            last, at = leg.last_inband
            if last == digit and self.now - at <= _SAME_KEY_TICKS:
                return
        if leg.listen_keys:
            self._events.append(protocol.Key(leg.number, digit, source))
        if leg.peer is not None and source != "device" and not passed_on:
            self.send_keys(leg.peer.number, digit)

    # --- bridges and rooms -------------------------------------------------------------------

    def bridge(self, number: int, a: int, b: int) -> None:
        first, second = self.legs.get(a), self.legs.get(b)
        self.unbridge(number)
        if first is None or second is None or first is second:
            return
        for leg in (first, second):
            if leg.bridge is not None:
                self.unbridge(leg.bridge.number)
            leg.room = leg.seat = None
        bridge = _Bridge(number, first, second, self.now)
        first.bridge = second.bridge = bridge
        first.peer, second.peer = second, first
        self._bridges[number] = bridge
        self._waiting.append(bridge)
        self._stale = True

    def unbridge(self, number: int) -> None:
        bridge = self._bridges.pop(number, None)
        if bridge is None:
            return
        for leg in (bridge.a, bridge.b):
            leg.bridge = leg.peer = None
        if bridge in self._waiting:
            self._waiting.remove(bridge)
        self._stale = True

    def room(self, number: int, members: tuple[protocol.Member, ...]) -> None:
        """These legs and no others are in the room now; nobody ends it."""
        for leg in self.legs.values():
            if leg.room == number:
                leg.room = leg.seat = None
        for member in members:
            found = self.legs.get(member.leg)
            if found is not None:
                if found.bridge is not None:
                    self.unbridge(found.bridge.number)
                found.room, found.seat = number, member
        self._stale = True

    # --- the tick ----------------------------------------------------------------------------

    @property
    def out(self) -> g711.Bytes:
        """What each slot is to hear now: (high, 160) mu-law."""
        return self._out[: self.high]

    def begin_tick(self, late_s: float = 0.0) -> None:
        """From here on what is put into `ring` belongs to the new tick, which is so late."""
        self.now += 1
        if self._stale or self.recordings != self._known:
            self._rewind()
        if self._stale:
            self._reroute()
        self.ring.begin_tick(self.now, late_s)

    @property
    def through(self) -> tuple[_I64, _I64]:
        """Slots that are heard, and by whom, where a listener hears one leg's bytes and nothing
        else in this tick."""
        return self._routes.through

    def hears(self, listener: int, speaker: int) -> bool:
        """Whether the leg in one slot hears the one in the other."""
        ear, mouth = self._by_slot.get(listener), self._by_slot.get(speaker)
        if ear is None or mouth is None:
            return False
        return ear.peer is mouth or (
            ear.together and ear.room is not None and ear.room == mouth.room
        )

    def tick(self) -> None:
        """Read, listen, mix. `begin_tick` and all that arrived came before."""
        ulaw, pcm = self.ring.read(self.high)
        self.echo.tick(ulaw, pcm, self._out, self.ring.missing(self.high))
        self._listen(ulaw, pcm)
        pcm = self._hearing.even(ulaw, pcm)
        self._mix(ulaw, pcm)
        self._reel.add(ulaw, self.now)
        if self._waiting:
            self._look_at_bridges()
        if self.now % _QUIET_CHECK_TICKS == 0:
            self._look_for_silence()

    def skip(self, ticks: int) -> None:
        """The clock moved on without us: what was due is lost, recordings keep their time."""
        self.now += ticks
        self.ring.skip(ticks, self.high)
        self.echo.skip(ticks)
        self._reel.skip(ticks)

    # --- recording ---------------------------------------------------------------------------

    def flush(self, recording: str | None = None) -> None:
        """Give the tape all that was said so far, of one recording or of all."""
        if recording is None:
            self._reel.hand_over_all()
        else:
            self._reel.hand_over(recording)

    def _rewind(self) -> None:
        """Recordings or legs have changed: from this tick on others speak."""
        self._known = dict(self.recordings)
        sides: dict[str, Sides] = {}
        for name, numbers in self._known.items():
            legs = [None if number is None else self.legs.get(number) for number in numbers]
            left = None if legs[0] is None else legs[0].slot
            sides[name] = left, tuple(leg.slot for leg in legs[1:] if leg is not None)
        self._reel.follow(sides, self.now)

    def _reroute(self) -> None:
        self._stale = False
        routes = _Routes()
        pairs = [(bridge.a.slot, bridge.b.slot) for bridge in self._bridges.values()]
        routes.to = np.array([slot for pair in pairs for slot in pair], np.int64)
        routes.of = np.array([slot for a, b in pairs for slot in (b, a)], np.int64)
        heard = [
            (one.slot, other.slot)
            for bridge in self._bridges.values()
            for one, other in ((bridge.a, bridge.b), (bridge.b, bridge.a))
            if other.play is None and other.keys is None and not one.wants.agc
        ]
        routes.through = (_index(slot for slot, _ in heard), _index(slot for _, slot in heard))
        routes.rooms = self._rooms()
        legs = self.legs.values()
        routes.sounding = [leg for leg in legs if leg.sounds]
        # In order, so that they are worked on in place.
        routes.keys = np.array(
            sorted(
                leg.slot
                for leg in legs
                if leg.listen_keys and not leg.device_keys and not leg.has_events
            ),
            np.int64,
        )
        routes.tones = np.array(
            [leg.slot for leg in legs if leg.listen_tones or leg.watch_line], np.int64
        )
        self._routes = routes

    def _rooms(self) -> Mixer:
        rooms: dict[int, list[Seat]] = {}
        for leg in self.legs.values():
            if leg.room is not None and leg.seat is not None:
                only = leg.seat.heard_by
                if only is not None:
                    only = tuple(self.legs[n].slot for n in only if n in self.legs)
                seat = Seat(leg.slot, None if only is None else frozenset(only), leg.seat.hears)
                rooms.setdefault(leg.room, []).append(seat)
        return Mixer(rooms.values())

    def _listen(self, ulaw: g711.Bytes, pcm: _F32) -> None:
        for slot, digit in self._dtmf.process(pcm, self._routes.keys, ulaw):
            leg = self._by_slot[slot]
            leg.last_inband = (digit, self.now)
            self._events.append(protocol.Key(leg.number, digit, "inband"))
        for slot, heard in self._tones.process(pcm, self._routes.tones, self.now):
            leg = self._by_slot[slot]
            if leg.listen_tones and not (heard.tone == "dial" and heard.ended):
                self._events.append(protocol.ToneHeard(leg.number, heard.tone))
            if heard.ended and leg.watch_line and leg.far_end_gone is not None:
                leg.far_end_gone()
        self._events += self._hearing.listen(pcm, self.now)
        for number in self._hearing.take_alerts():
            # Call waiting's caller ID comes once a telephone has said that it can take it.
            self.legs[number].keys = _Source(dtmf.key_sequence("D", 60, 0), False)
            self._stale = True

    def _mix(self, ulaw: g711.Bytes, pcm: _F32) -> None:
        out = self._out[: self.high]
        out[:] = g711.ULAW_SILENCE
        routes = self._routes
        if len(routes.to):
            out[routes.to] = ulaw[routes.of]
        routes.rooms.mix(pcm, out)
        for leg in routes.sounding:
            if not self.held[leg.slot]:
                self._sound(leg, out[leg.slot])

    def _sound(self, leg: Leg, out: g711.Bytes) -> None:
        """Add what is played to one leg to what it hears."""
        if leg.keys is not None:
            if leg.keys.frame(out):
                return
            leg.keys = None
            self._stale = True
        play = leg.play
        if play is not None:
            frame = self._frame
            if play.frame(frame):
                if not leg.together:
                    out[:] = frame
                elif play.audio is not None:
                    out[:] = add((out, frame))
                return
            self._end_play(leg, "done")
        if leg.together:
            return
        lasting = leg.tone or leg.music
        if lasting is not None:
            lasting.frame(out)

    def _look_at_bridges(self) -> None:
        for bridge in list(self._waiting):
            heard = self.ring.heard
            if min(heard[bridge.a.slot], heard[bridge.b.slot]) > bridge.made:
                bridge.live = True
                self._waiting.remove(bridge)
                self._events.append(protocol.BridgeLive(bridge.number))

    def _look_for_silence(self) -> None:
        high = self.high
        # Who said that nothing would come for a while is not missed.
        self._since[:high][self.ring.comforted(high)] = self.now
        last = np.maximum(self.ring.heard[:high], self._since[:high])
        quiet = (self.now - last) * TICK_MS
        heard = quiet < QUIET_MS
        self._quiet_next[:high][heard] = QUIET_MS
        for slot in np.flatnonzero(self._expects[:high] & (quiet >= self._quiet_next[:high])):
            self._quiet_next[slot] += QUIET_MS
            leg = self._by_slot[int(slot)]
            self._events.append(protocol.LegQuiet(leg.number, int(quiet[slot])))
