"""G.711 tables against the recommendation's own numbers."""

from __future__ import annotations

import numpy as np

from appliance.media import g711

EVERY = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)


def test_known_codes_of_the_recommendation() -> None:
    # G.711 tables 2a and 1a: full scale, zero, and the sign bits.
    assert g711.ULAW_DECODE[0x80] == 32124
    assert g711.ULAW_DECODE[0x00] == -32124
    assert g711.ULAW_DECODE[0xFF] == 0
    assert g711.ALAW_DECODE[0xAA] == 32256
    assert g711.ALAW_DECODE[0xD5] == 8


def test_every_code_survives_decoding_and_encoding() -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = g711.ulaw_encode(g711.ulaw_decode(codes))
    # Mu-law has two zeros; the negative one comes back as the positive.
    assert (again[codes != 0x7F] == codes[codes != 0x7F]).all()
    assert again[0x7F] == 0xFF
    assert (g711.alaw_encode(g711.alaw_decode(codes)) == codes).all()


def test_each_of_the_65536_samples_gets_a_near_code_and_order_is_kept() -> None:
    for encode, table in (
        (g711.ulaw_encode, g711.ULAW_DECODE),
        (g711.alaw_encode, g711.ALAW_DECODE),
    ):
        steps = np.unique(table.astype(np.int32))
        clipped = np.clip(EVERY.astype(np.int32), steps[0], steps[-1])
        at = np.searchsorted(steps, clipped)
        near = np.minimum(
            np.abs(steps[np.minimum(at, len(steps) - 1)] - clipped),
            np.abs(steps[np.maximum(at - 1, 0)] - clipped),
        )
        error = np.abs(table[encode(EVERY)].astype(np.int32) - clipped)
        # Where a segment with coarser steps begins, the decision value is not in the middle; and
        # both laws work on fewer than 16 bits.
        assert (error <= 2 * near + 16).all()
        assert (np.diff(table[encode(EVERY)].astype(np.int32)) >= 0).all()


def test_transcoding_there_and_back_costs_at_most_one_step() -> None:
    codes = np.arange(256, dtype=np.uint8)
    back = g711.ALAW_TO_ULAW[g711.ULAW_TO_ALAW[codes]]
    there, here = g711.ULAW_DECODE[back].astype(int), g711.ULAW_DECODE[codes].astype(int)
    assert (np.abs(there - here) <= np.maximum(np.abs(here) * 0.07, 24)).all()
    assert bytes(codes).translate(g711.ULAW_TO_ALAW_BYTES) == g711.ULAW_TO_ALAW.tobytes()
