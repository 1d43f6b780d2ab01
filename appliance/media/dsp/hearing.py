"""All that is heard on the legs besides keys and call progress tones, for the engine.

A leg says what it wants; each detector runs only over the legs that want it and exists only once
somebody did. `listen` is called once a tick with what the legs said and gives the protocol's
events; `even` then turns up or down what the others hear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from appliance.media import g711, protocol
from appliance.media.dsp import callerid
from appliance.media.dsp.activity import Activity
from appliance.media.dsp.answering import Answer, Greeting
from appliance.media.dsp.fsk import FskReceiver
from appliance.media.dsp.level import Agc, SpeechLevel
from appliance.media.dsp.signals import Signal, Signals
from appliance.media.dsp.spectrum import Look, Spectrum, level_dbm0
from appliance.media.dtmf import DtmfDetector

TICK_MS: Final = 20
LEVEL_TICKS: Final = 50
TONE_PURITY: Final = 0.92
"""A frame of so pure a tone is no speech: ringing that is on when a line counts as answered."""
BEEP_TICKS: Final = 3000
"""After a machine has been recognised its beep is waited for a minute."""

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Wants:
    """What one leg wants to be heard."""

    sit: bool = False
    fax: bool = False
    machine: bool = False
    caller_id: bool = False
    level: bool = False
    agc: bool = False


NOTHING: Final = Wants()


class _Detector(Protocol):
    def reserve(self, capacity: int) -> None: ...

    def reset(self, slot: int) -> None: ...


_D = TypeVar("_D", bound=_Detector)
_NEEDED: Final[dict[Callable[[int], _Detector], tuple[str, ...]]] = {
    Spectrum: ("sit", "fax", "machine", "caller_id"),
    Activity: ("machine", "level", "agc"),
    SpeechLevel: ("level",),
    Agc: ("agc",),
    FskReceiver: ("caller_id",),
    DtmfDetector: ("caller_id",),
}
"""Which detectors each wish needs."""


def _any(wants: Wants, names: tuple[str, ...]) -> bool:
    return any(getattr(wants, name) for name in names)


class Hearing:
    """`capacity` slots; a leg is a slot number and, in events, its own number."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._legs: dict[int, tuple[int, Wants]] = {}
        self._made: dict[Callable[[int], _Detector], Any] = {}
        self._signals = Signals()
        self._greetings: dict[int, Greeting] = {}
        self._beeps: dict[int, int] = {}
        """Ticks for which the beep of a machine is still waited for."""
        self._keys: dict[int, callerid.DtmfCallerId] = {}
        self._alerted: list[int] = []
        self._speech: _Bool = np.zeros(0, np.bool_)
        self._voice: _Bool = np.zeros(0, np.bool_)
        self._power: _F64 = np.zeros(0)
        self._route()

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        self._capacity = max(self._capacity, capacity)
        for detector in self._made.values():
            detector.reserve(self._capacity)

    def want(self, slot: int, leg: int, wants: Wants) -> None:
        """From now on this is heard of the leg in this slot; what it wanted before and wants still
        goes on undisturbed."""
        before = self._legs.get(slot, (leg, NOTHING))[1]
        if wants == NOTHING:
            self.forget(slot)
            return
        self._legs[slot] = leg, wants
        for kind, names in _NEEDED.items():
            if _any(wants, names) and not _any(before, names):
                self._get(kind).reset(slot)
                if kind is Spectrum:
                    self._signals.reset(slot)
        if wants.machine and not before.machine:
            self._greetings[slot] = Greeting()
        elif not wants.machine:
            self._greetings.pop(slot, None)
            self._beeps.pop(slot, None)
        if wants.caller_id and not before.caller_id:
            self._keys[slot] = callerid.DtmfCallerId()
        self._route()

    def forget(self, slot: int) -> None:
        """The leg is gone, or wants nothing any more."""
        if self._legs.pop(slot, None) is not None:
            self._greetings.pop(slot, None)
            self._beeps.pop(slot, None)
            self._keys.pop(slot, None)
            self._route()

    def speech_level(self, slot: int) -> float | None:
        """Active speech level of the leg since it asked for its level, dBm0 (ITU-T P.56)."""
        wants = self._legs.get(slot, (0, NOTHING))[1]
        return self._get(SpeechLevel).level(slot) if wants.level else None

    def take_alerts(self) -> list[int]:
        """Legs whose exchange has sounded the alert of call waiting's caller ID since the last
        call: they want the key D, for 60 ms, and then send it."""
        alerted, self._alerted = self._alerted, []
        return alerted

    def _get(self, kind: Callable[[int], _D]) -> _D:
        made: _D | None = self._made.get(kind)
        if made is None:
            made = self._made[kind] = kind(self._capacity)
        return made

    def _route(self) -> None:
        """The slots of each detector, in order."""

        def slots(kind: Callable[[int], _Detector]) -> _I64:
            legs = self._legs.items()
            return np.array(
                sorted(slot for slot, (_, wants) in legs if _any(wants, _NEEDED[kind])), np.int64
            )

        self._tonal = slots(Spectrum)
        self._voiced = slots(Activity)
        self._level = slots(SpeechLevel)
        self._agc = slots(Agc)
        self._told = slots(FskReceiver)

    # --- the tick ---------------------------------------------------------------------------

    def listen(self, pcm: npt.NDArray[Any], now: int) -> list[protocol.Event]:
        """What became certain in this tick; `pcm` is (slots, 160), `now` the tick's number."""
        events: list[protocol.Event] = []
        look = None
        if len(self._tonal):
            look = self._get(Spectrum).process(pcm, self._tonal)
            for slot, signal in self._signals.process(look, self._tonal, now):
                self._signal(slot, signal, events)
        if len(self._voiced):
            self._voices(pcm, look, events)
        if len(self._level):
            meter = self._get(SpeechLevel)
            meter.process(pcm, self._level)
            # Each leg at a tick of its own, so that a second's reports do not come all at once.
            for slot in self._level[(now + self._level) % LEVEL_TICKS == 0].tolist():
                events.append(self._report(slot, meter))
        if len(self._told):
            self._caller_ids(pcm, now, events)
        return events

    def _signal(self, slot: int, signal: Signal, events: list[protocol.Event]) -> None:
        leg, wants = self._legs[slot]
        if signal == "beep":
            if not wants.machine:
                return
            greeting = self._greetings.get(slot)
            if greeting is not None:
                self._answered(slot, greeting.beep(), events)
            if self._beeps.pop(slot, None) is not None:
                events.append(protocol.Beep(leg))
        elif signal == "cas":
            if wants.caller_id:
                self._alerted.append(leg)
        elif signal == "cng" or signal == "ced" or signal == "ansam":
            if wants.fax:
                events.append(protocol.FaxHeard(leg, signal))
        elif wants.sit:
            events.append(protocol.ToneHeard(leg, signal))

    def _voices(
        self, pcm: npt.NDArray[Any], look: Look | None, events: list[protocol.Event]
    ) -> None:
        frame = pcm[self._voiced]
        self._power = level_dbm0(np.einsum("ij,ij->i", frame, frame) / frame.shape[1])
        self._speech, self._voice = self._get(Activity).process(self._power, self._voiced)
        for slot, left in list(self._beeps.items()):
            self._beeps[slot] = left - 1
            if left <= 1:
                del self._beeps[slot]
        if not self._greetings or look is None:
            return
        for slot, greeting in list(self._greetings.items()):
            at = int(np.searchsorted(self._voiced, slot))
            purity = look.purity[int(np.searchsorted(self._tonal, slot))]
            answer = greeting.step(bool(self._speech[at]) and purity < TONE_PURITY)
            if answer is not None:
                self._answered(slot, answer, events)

    def _answered(self, slot: int, answer: Answer, events: list[protocol.Event]) -> None:
        leg = self._legs[slot][0]
        del self._greetings[slot]
        if answer.result != "human":
            self._beeps[slot] = BEEP_TICKS
        events.append(protocol.MachineHeard(leg, answer.result, answer.reason, answer.after_ms))

    def _report(self, slot: int, meter: SpeechLevel) -> protocol.LegLevel:
        leg, wants = self._legs[slot]
        gain = self._get(Agc).gain_db(slot) if wants.agc else 0.0
        speaking = bool(self._voice[int(np.searchsorted(self._voiced, slot))])
        return protocol.LegLevel(leg, meter.lately(slot), speaking, gain)

    def _caller_ids(self, pcm: npt.NDArray[Any], now: int, events: list[protocol.Event]) -> None:
        told: list[tuple[int, callerid.CallerInfo | None]] = [
            (slot, callerid.parse(message))
            for slot, message in self._get(FskReceiver).process(pcm, self._told)
        ]
        told += [
            (slot, self._keys[slot].key(digit, now * TICK_MS))
            for slot, digit in self._get(DtmfDetector).process(pcm, self._told)
        ]
        for slot, info in told:
            if info is not None:
                events.append(
                    protocol.CallerIdHeard(
                        self._legs[slot][0],
                        info.number,
                        info.name,
                        info.reason,
                        info.when,
                        info.waiting,
                    )
                )

    def even(self, ulaw: g711.Bytes, pcm: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn the legs that want it up or down; `listen` came before. `ulaw` is changed in place,
        what becomes of `pcm`, from which gaps are concealed later, is returned. The bytes of all
        others, and of those that are right as they are, stay what they were."""
        if not len(self._agc):
            return pcm
        at = np.searchsorted(self._voiced, self._agc)
        floor = self._get(Activity).floor(self._agc)
        changed, frames = self._get(Agc).process(
            pcm, self._agc, self._speech[at], self._power[at], floor
        )
        if not len(changed):
            return pcm
        samples = np.clip(np.rint(frames), -32768, 32767).astype(np.int16)
        ulaw[changed] = g711.ulaw_encode(samples)
        evened = pcm.copy()
        evened[changed] = samples
        return evened
