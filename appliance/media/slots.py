"""Arrays with one row per leg that grow when more legs come."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

_Rows = TypeVar("_Rows", bound=npt.NDArray[Any])


def widen(old: _Rows, capacity: int, value: float = 0) -> _Rows:
    """`old` with `capacity` rows; new rows hold `value`."""
    new = np.full((capacity, *old.shape[1:]), value, old.dtype)
    new[: len(old)] = old
    return cast(_Rows, new)


def together(slots: npt.NDArray[np.int64]) -> Any:
    """Slots as a slice where they are neighbours in rising order: views instead of copies."""
    count = len(slots)
    if count and slots[-1] - slots[0] + 1 == count and (slots[1:] > slots[:-1]).all():
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots
