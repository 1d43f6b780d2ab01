"""spandsp's DTMF receiver by ctypes, where the library is installed: what ours is compared with."""

from __future__ import annotations

import ctypes
import ctypes.util

from appliance.media import g711

_BLOCK = 160
_MOST = 128
"""Digits that the receiver keeps until they are taken."""


class Spandsp:
    """Raises OSError where there is no libspandsp."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("spandsp")
        if name is None:
            raise OSError("libspandsp is not installed")
        self._lib = lib = ctypes.CDLL(name)
        lib.dtmf_rx_init.restype = ctypes.c_void_p
        lib.dtmf_rx_init.argtypes = [ctypes.c_void_p] * 3
        lib.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        lib.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        lib.dtmf_rx_get.restype = ctypes.c_size_t
        lib.dtmf_rx_free.argtypes = [ctypes.c_void_p]

    def detect(self, audio: g711.Samples) -> str:
        """The digits in this audio."""
        lib = self._lib
        state = lib.dtmf_rx_init(None, None, None)
        digits = ctypes.create_string_buffer(_MOST + 1)
        heard = ""
        first = audio.ctypes.data
        for start in range(0, len(audio), _BLOCK):
            count = min(_BLOCK, len(audio) - start)
            lib.dtmf_rx(state, first + 2 * start, count)
            if lib.dtmf_rx_get(state, digits, _MOST):
                heard += digits.value.decode()
        lib.dtmf_rx_free(state)
        return heard
