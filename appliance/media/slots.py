"""Arrays with one row per leg: they grow when more legs come, and windows slide along them."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt

_Rows = TypeVar("_Rows", bound=npt.NDArray[Any])


_ROOM: Final = 32


def room_for(count: int) -> int:
    """How many rows to make when `count` are needed: a few more, since all of them move, but not
    twice as many, since each is kilobytes."""
    return (count + count // 8 + _ROOM) // _ROOM * _ROOM


def widen(old: _Rows, capacity: int, value: float = 0) -> _Rows:
    """`old` with `capacity` rows; new rows hold `value`."""
    shape = (capacity, *old.shape[1:])
    # Zeros that are not written to take no memory.
    new = np.zeros(shape, old.dtype) if not value else np.full(shape, value, old.dtype)
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


class Views:
    """A memoryview of each row's first `size` bytes, made when it is asked for: kept, each is 200
    bytes."""

    __slots__ = ("_size", "_whole", "_width")

    def __init__(self, rows: npt.NDArray[np.uint8], size: int) -> None:
        self._whole = rows.reshape(-1).data
        self._width = rows.shape[1]
        self._size = size

    def __getitem__(self, row: int) -> memoryview:
        at = row * self._width
        return self._whole[at : at + self._size]


def together(slots: npt.NDArray[np.int64]) -> Any:
    """Slots as a slice where they are neighbours in rising order: views instead of copies."""
    count = len(slots)
    if count and slots[-1] - slots[0] + 1 == count and (slots[1:] > slots[:-1]).all():
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots
