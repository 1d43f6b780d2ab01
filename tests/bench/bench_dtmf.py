"""The whole table of `tests.media.dtmf_corpus`: keys found, keys too many, and what it costs."""

from __future__ import annotations

import time

from tests.media import dtmf_corpus as corpus

KEYS = 200


def run() -> dict[str, float]:
    made = [corpus.sequence(row, KEYS) for row in corpus.ROWS]
    before = time.process_time()
    heard = corpus.detect([audio for audio, _ in made])
    cpu = time.process_time() - before
    seconds = sum(len(audio) for audio, _ in made) / corpus.RATE
    failed = 0
    for row, (_, sent), digits in zip(corpus.ROWS, made, heard, strict=True):
        found, extra = corpus.score(sent, digits)
        wanted = {"must": (KEYS, 0), "mustnot": (0, 0)}.get(row.kind)
        wrong = wanted is not None and (found, extra) != wanted
        failed += wrong
        print(
            f"  {row.name:<46} {row.kind:<8} {found:>4}/{KEYS} +{extra}{'  WRONG' if wrong else ''}"
        )
    return {"dtmf_rows_failed": float(failed), "dtmf_ms_per_key_second": cpu / seconds * 1000}
