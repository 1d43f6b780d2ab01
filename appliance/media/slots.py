"""Arrays with one row per leg that grow when more legs come."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

_Scalar = TypeVar("_Scalar", bound=np.generic)


def widen(
    old: np.ndarray[tuple[int, ...], np.dtype[_Scalar]], capacity: int, value: float = 0
) -> np.ndarray[tuple[int, ...], np.dtype[_Scalar]]:
    """`old` with `capacity` rows; new rows hold `value`."""
    new = np.full((capacity, *old.shape[1:]), value, old.dtype)
    new[: len(old)] = old
    return new
