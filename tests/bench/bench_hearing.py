"""What each wish costs: nanoseconds of CPU for a leg and a tick, over speech and silence."""

from __future__ import annotations

import time

import numpy as np

from appliance.media import g711
from appliance.media.dsp.hearing import Hearing, Wants
from tests.media.ears import noise
from tests.media.test_media_dtmf import SENTENCES, espeak

LEGS = 64
TICKS = 400
WISHES = {
    "sit": Wants(sit=True),
    "fax": Wants(fax=True),
    "machine": Wants(machine=True),
    "caller_id": Wants(caller_id=True),
    "level": Wants(level=True),
    "agc": Wants(agc=True),
    "all": Wants(True, True, True, True, True, True),
}


def run() -> dict[str, float]:
    speech = np.resize(espeak(SENTENCES["en"], "en") / 2, LEGS * 1600 + TICKS * 160)
    legs = [speech[leg * 1600 :][: TICKS * 160] for leg in range(LEGS)]
    sounds = {"speech": np.stack(legs), "quiet": noise(LEGS * TICKS * 160, -60).reshape(LEGS, -1)}
    figures = {}
    for name, sound in sounds.items():
        pcm = sound.astype(np.float32).reshape(LEGS, TICKS, 160)
        for wish, wants in WISHES.items():
            figures[f"hearing_{wish}_{name}_ns"] = _cost(pcm, wants)
    return figures


def _cost(pcm: np.ndarray, wants: Wants) -> float:
    hearing = Hearing(LEGS)
    for slot in range(LEGS):
        hearing.want(slot, slot, wants)
    ulaw = np.full((LEGS, 160), g711.ULAW_SILENCE, np.uint8)
    frames = [np.ascontiguousarray(pcm[:, tick]) for tick in range(pcm.shape[1])]
    before = time.process_time()
    for tick, frame in enumerate(frames):
        hearing.listen(frame, tick)
        hearing.even(ulaw, frame)
    return (time.process_time() - before) / (LEGS * len(frames)) * 1e9
