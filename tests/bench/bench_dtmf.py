"""The whole table of `tests.media.dtmf_corpus`: keys found, keys too many, and what it costs; the
same with spandsp where it is installed (`apt-get install libspandsp2`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from appliance.media import g711
from tests.bench.spandsp import Spandsp
from tests.media import dtmf_corpus as corpus
from tests.media.test_media_dtmf import SENTENCES, espeak

_T = TypeVar("_T")

KEYS = 400
WORSE = 0.01
"""Of the keys of a row: so much less than spandsp finds is no worse."""
BETTER_REFUSED = ("freq reject", "short")
"""Rows whose keys are beside the standard: who finds more of them is no better."""
LEGS = 200
SPEECH_S = 20


def run() -> dict[str, float]:
    made = [corpus.sequence(row, KEYS) for row in corpus.ROWS]
    streams = [audio for audio, _ in made]
    heard, cpu = _timed(lambda: corpus.detect(streams))
    seconds = sum(len(audio) for audio in streams) / corpus.RATE
    numbers = {"dtmf_ms_per_key_second": cpu / seconds * 1000}
    try:
        peer = Spandsp()
    except OSError as error:
        print(f"  not compared: {error}")
        theirs = None
    else:
        theirs, cpu = _timed(lambda: [peer.detect(audio) for audio in streams])
        numbers["spandsp_ms_per_key_second"] = cpu / seconds * 1000
    failed = worse = 0
    for index, (row, (_, sent), digits) in enumerate(zip(corpus.ROWS, made, heard, strict=True)):
        found, extra = corpus.score(sent, digits)
        wanted = {"must": (KEYS, 0), "mustnot": (0, 0)}.get(row.kind)
        wrong = wanted is not None and (found, extra) != wanted
        failed += wrong
        line = f"  {row.name:<46} {row.kind:<8} {found:>4}/{KEYS} +{extra}"
        if theirs is not None:
            found_there, extra_there = corpus.score(sent, theirs[index])
            line += f"   spandsp {found_there:>4} +{extra_there}"
            better_there = found_there - found > WORSE * KEYS or extra > extra_there
            if better_there and not row.name.startswith(BETTER_REFUSED):
                worse += 1
                line += "  WORSE"
        print(line + ("  WRONG" if wrong else ""))
    numbers["dtmf_rows_failed"] = float(failed)
    if theirs is not None:
        numbers["dtmf_rows_worse_than_spandsp"] = float(worse)
    return numbers | _speech(None if theirs is None else peer)


def _speech(peer: Spandsp | None) -> dict[str, float]:
    """What it costs to listen to people who press nothing, and keys heard in what they say."""
    said = np.concatenate([corpus.code(espeak(text, voice)) for voice, text in SENTENCES.items()])
    streams: list[g711.Samples] = [
        np.resize(np.roll(said, 1777 * leg), SPEECH_S * corpus.RATE) for leg in range(LEGS)
    ]
    heard, cpu = _timed(lambda: corpus.detect(streams))
    seconds = LEGS * SPEECH_S
    numbers = {
        "dtmf_ms_per_speech_second": cpu / seconds * 1000,
        "dtmf_keys_in_speech": float(sum(map(len, heard))),
    }
    if peer is not None:
        digits, cpu = _timed(lambda: [peer.detect(audio) for audio in streams])
        numbers["spandsp_ms_per_speech_second"] = cpu / seconds * 1000
        numbers["spandsp_keys_in_speech"] = float(sum(map(len, digits)))
    return numbers


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    before = time.process_time()
    result = work()
    return result, time.process_time() - before
