"""A process that has everything loaded and does nothing but have a child do the work, again and
again: when the child dies, the next one is there in the time of a fork.

Starting Python and numpy takes a third of a second on a PC and more than one on a Raspberry Pi;
aiortc takes as much again, and in the middle of calls they would hear it. The kept code is shared
with the child, so it costs little memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Final, Never

log = logging.getLogger("centrala.media")

RESTART_S: Final = (0.0, 0.1, 0.3, 0.5, 1.0)
"""Waits before the next child; the last one repeats."""
SETTLED_S: Final = 30.0
"""A child that lived this long starts over with the first wait."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG: Final = 1


class Keeper:
    """`run` ends, with the child, after SIGTERM or SIGINT; `work` is the child's whole life."""

    def __init__(self, modules: Iterable[str], work: Callable[[], None]) -> None:
        self._modules = modules
        self._work = work
        self._child = 0
        self._stopping = False

    def run(self) -> None:
        for name in self._modules:
            importlib.import_module(name)
        # A collection in the child would touch, and so copy, all of what is shared.
        gc.collect()
        gc.freeze()
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        fails = 0
        while not self._stopping:
            started = time.monotonic()
            with _held():
                parent = os.getpid()
                self._child = os.fork()
                if self._child == 0:
                    self._live(parent)
            _, status = os.waitpid(self._child, 0)
            self._child = 0
            if self._stopping:
                return
            fails = 0 if time.monotonic() - started > SETTLED_S else fails + 1
            wait = RESTART_S[min(max(fails - 1, 0), len(RESTART_S) - 1)]
            code = os.waitstatus_to_exitcode(status)
            log.error("the audio process ended (%d); the next begins in %.1f s", code, wait)
            time.sleep(wait)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)

    def _live(self, parent: int) -> Never:
        code = 1
        try:
            # Killed with its keeper: the one that follows needs its ports at once.
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            if os.getppid() == parent:
                self._work()
            code = 0
        except Exception:
            log.exception("the audio process broke")
        finally:
            logging.shutdown()
            os._exit(code)


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals wait, so that none gets lost between the fork and the knowledge of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
