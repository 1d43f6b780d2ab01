"""Arrays with one row per leg: they grow when more legs come, and windows slide along them."""

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


def windows(rows: _Rows, size: int) -> _Rows:
    """All windows of `size` along each row, (n, length - size + 1, size), for reading only; what
    `sliding_window_view` does, in a tenth of its time."""
    whole = np.ascontiguousarray(rows)
    count, length = whole.shape
    down, along = whole.strides
    shape = (count, length - size + 1, size)
    return cast(_Rows, np.ndarray(shape, whole.dtype, whole, 0, (down, along, along)))


def together(slots: npt.NDArray[np.int64]) -> Any:
    """Slots as a slice where they are neighbours in rising order: views instead of copies."""
    count = len(slots)
    if count and slots[-1] - slots[0] + 1 == count and (slots[1:] > slots[:-1]).all():
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots
