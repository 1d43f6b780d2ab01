"""The line echo canceller beside libspeexdsp's: how much echo is left, and what it costs.

Speex gets the delay of the echo for nothing (it has no search) and a filter of the same length; it
is measured where Debian's `libspeexdsp1` is installed. Costs are CPU nanoseconds per leg and tick.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np

from appliance.media.echo import TAIL, EchoCanceller
from tests.media import echo_corpus as corpus
from tests.media.echo_corpus import FRAME, HYBRIDS, Audio

SECONDS = 6.0
DELAY = 1200
_SET_RATE = 24
"""SPEEX_ECHO_SET_SAMPLING_RATE."""


def _speex() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError:
        return None
    library.speex_echo_state_init.restype = ctypes.c_void_p
    library.speex_echo_state_init.argtypes = [ctypes.c_int, ctypes.c_int]
    library.speex_echo_cancellation.argtypes = [ctypes.c_void_p] * 4
    library.speex_echo_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    library.speex_echo_state_destroy.argtypes = [ctypes.c_void_p]
    return library


def speex_cancel(library: ctypes.CDLL, far: Audio, back: Audio) -> Audio:
    state = library.speex_echo_state_init(FRAME, TAIL)
    rate = ctypes.c_int(8000)
    library.speex_echo_ctl(state, _SET_RATE, ctypes.byref(rate))
    said = np.concatenate([np.zeros(DELAY), corpus.through_ulaw(far)])[: len(back)].astype(np.int16)
    line = back.astype(np.int16)
    made = np.zeros_like(line)
    for at in range(0, len(line) - FRAME + 1, FRAME):
        where = [array.ctypes.data + 2 * at for array in (line, said, made)]
        library.speex_echo_cancellation(state, *where)
    library.speex_echo_state_destroy(state)
    return made.astype(np.float64)


def _talk(hybrid: corpus.Hybrid, far: Audio, near: Audio, seed: int) -> Audio:
    echo = corpus.echo_of(far, hybrid.taps(), DELAY)
    return corpus.through_ulaw(echo + near + corpus.hiss(len(far) / 8000, seed))


def run() -> dict[str, float]:
    library = _speex()
    numbers: dict[str, float] = {}
    spans = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, SECONDS))
    print(f"  {'ERLE in dB at seconds':<38}" + "".join(f"{a:>5}-{b:<5}" for a, b in spans))
    for signal in ("speech", "composite"):
        rows: dict[str, list[list[float]]] = {}
        for seed, hybrid in enumerate(HYBRIDS):
            make = corpus.speech if signal == "speech" else corpus.composite
            far = make(SECONDS, 10 + seed)
            back = _talk(hybrid, far, np.zeros(len(far)), seed)
            made = {
                "filter": corpus.cancel([far], [back], suppress=False)[0],
                "all": corpus.cancel([far], [back])[0],
            }
            if library is not None:
                made["speex"] = speex_cancel(library, far, back)
            for name, audio in made.items():
                values = [corpus.erle_db(back, audio, a, b) for a, b in spans]
                rows.setdefault(name, []).append(values)
                print(
                    f"  {signal:<10}{hybrid.name:<20}{name:<8}"
                    + "".join(f"{value:>11.1f}" for value in values)
                )
        for name, values in rows.items():
            numbers[f"echo_{signal}_{name}_1_2s_mean_db"] = float(np.mean([v[1] for v in values]))
            numbers[f"echo_{signal}_{name}_1_2s_least_db"] = float(np.min([v[1] for v in values]))
    numbers |= _double_talk(library) | _cost(library)
    return numbers


def _double_talk(library: ctypes.CDLL | None) -> dict[str, float]:
    """ERLE in the half second after 3 s of both sides."""
    after: dict[str, list[float]] = {}
    for seed, hybrid in enumerate(HYBRIDS):
        far = corpus.speech(9, 30 + seed)
        near = np.zeros(len(far))
        near[4 * 8000 : 7 * 8000] = corpus.speech(3, 50 + seed, -16, hz=190)
        back = _talk(hybrid, far, near, seed)
        made = {"filter": corpus.cancel([far], [back], suppress=False)[0]}
        if library is not None:
            made["speex"] = speex_cancel(library, far, back)
        for name, audio in made.items():
            after.setdefault(name, []).append(corpus.erle_db(back, audio, 7.1, 7.6))
    return {
        f"echo_after_double_talk_{name}_db": float(np.mean(values))
        for name, values in after.items()
    }


def _cost(library: ctypes.CDLL | None) -> dict[str, float]:
    """In the steady state, the office speaking all the time; and while everything is learnt."""
    numbers: dict[str, float] = {}
    ticks = SECONDS * 50
    for legs in (1, 8, 24):
        hybrids = [HYBRIDS[leg % 4] for leg in range(legs)]
        fars = [corpus.composite(SECONDS, leg) for leg in range(legs)]
        backs = [
            _talk(hybrid, far, np.zeros(len(far)), leg)
            for leg, (hybrid, far) in enumerate(zip(hybrids, fars, strict=True))
        ]
        canceller = EchoCanceller()
        for leg in range(legs):
            canceller.open(leg)
        for name in ("learning", "steady"):
            before = time.process_time()
            corpus.cancel(fars, backs, into=canceller)
            cpu = time.process_time() - before
            numbers[f"echo_{name}_{legs}_legs_ns"] = cpu / legs / ticks * 1e9
        if library is not None and legs == 8:
            before = time.process_time()
            for far, back in zip(fars, backs, strict=True):
                speex_cancel(library, far, back)
            numbers["echo_speex_ns"] = (time.process_time() - before) / legs / ticks * 1e9
    return numbers
