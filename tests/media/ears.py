"""Sound for the detectors' tests, and the whole of `Hearing` over it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from appliance.media import g711, protocol
from appliance.media.dsp.hearing import Hearing, Wants
from tests.media import dtmf_corpus as corpus

Audio = npt.NDArray[np.float64]
ALL = Wants(sit=True, fax=True, machine=True, caller_id=True, level=False, agc=False)


def noise(count: int, dbm0: float, seed: int = 1) -> Audio:
    return np.random.default_rng(seed).normal(0, g711.dbm0_to_rms(dbm0), count)


def on_a_line(audio: Audio, dbm0: float = -55.0, start: int = 1234, seed: int = 1) -> Audio:
    """The sound after some silence and before more, with a line's noise under all."""
    whole = np.concatenate((np.zeros(start), audio, np.zeros(4000)))
    return whole + noise(len(whole), dbm0, seed)


def twisted(audio: Audio, db: float) -> Audio:
    """High tones that much louder than low ones, between 1200 and 2200 Hz."""
    hz = np.fft.rfftfreq(len(audio), 1 / corpus.RATE)
    tilt = np.clip((hz - 1700) / 1000, -0.8, 0.8) * db
    result: Audio = np.fft.irfft(np.fft.rfft(audio) * 10 ** (tilt / 20), len(audio))
    return result


def off_by(audio: Audio, share: float) -> Audio:
    """All frequencies higher by this share: the sender's clock is wrong."""
    at = np.arange(0, len(audio) - 1, 1 + share)
    result: Audio = np.interp(at, np.arange(len(audio)), audio)
    return result


def heard(audio: Audio, wants: Wants = ALL) -> list[tuple[protocol.Event, int]]:
    """All events of one leg, and after how many ms each."""
    return heard_all([audio], wants)[0]


def heard_all(streams: list[Audio], wants: Wants = ALL) -> list[list[tuple[protocol.Event, int]]]:
    """The same for several legs at once."""
    hearing = Hearing(len(streams))
    for slot in range(len(streams)):
        hearing.want(slot, slot, wants)
    ticks = max(len(stream) for stream in streams) // 160 + 1
    pcm = np.zeros((len(streams), ticks * 160), np.float32)
    for slot, stream in enumerate(streams):
        pcm[slot, : len(stream)] = corpus.code(stream)
    found: list[list[tuple[protocol.Event, int]]] = [[] for _ in streams]
    for tick in range(ticks):
        frame = np.ascontiguousarray(pcm[:, tick * 160 : (tick + 1) * 160])
        for event in hearing.listen(frame, tick):
            assert not isinstance(event, protocol.MediaStats)
            found[event.leg].append((event, (tick + 1) * 20))  # type: ignore[union-attr]
    return found
