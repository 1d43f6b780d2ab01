"""A phone line on a V.253 voice modem: the serial port and the clock around `ModemCore`."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Mapping
from typing import Final

import serial

from appliance.lines.line import Caps, LineSink
from appliance.lines.modem_core import Audio, ModemCore, Reopen, Send
from appliance.lines.modem_port import PortError, carries_wide, close_port, open_port, usb_id
from appliance.lines.profiles import load_profiles

log = logging.getLogger("centrala.lines")

_READ_SIZE: Final = 4096
_MAX_UNSENT: Final = 8192
"""The core sends no more than its profile's latency ahead; a port that holds this much is stuck."""
_FIRST_RETRY_S: Final = 1.0
_LAST_RETRY_S: Final = 5.0
_PUT_DOWN_S: Final = 2.0


class ModemLine:
    """Implements `appliance.lines.line.Line`.

    Options: `device` (path of the port, a symlink may point elsewhere each time it is opened),
    `profile` ("auto" or a name of `hw/modems`), `cid_wait_s` (longest wait for caller ID, from the
    end of the first ring burst). Raises ValueError with a sentence for people when one is wrong.
    """

    def __init__(self, line_id: str, country: str, options: Mapping[str, str]) -> None:
        self.id = line_id
        self._device = options.get("device", "")
        if not self._device.startswith("/"):
            raise ValueError(f"Line '{line_id}' needs a device such as /dev/ttyACM0.")
        try:
            cid_wait_s = float(options.get("cid_wait_s", "3"))
        except ValueError:
            cid_wait_s = math.nan
        if not 0 <= cid_wait_s <= 60:
            raise ValueError(f"Line '{line_id}' needs a cid_wait_s from 0 to 60 seconds.")
        self._core = ModemCore(
            options.get("profile", "auto"),
            country,
            registry=load_profiles(),
            device=self._device,
            cid_wait_ms=round(cid_wait_s * 1000),
        )
        self._sink: LineSink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd: int | None = None
        self._unplugged: str | None = None
        self._closed: asyncio.Future[None] | None = None
        self._put_down: asyncio.Future[None] | None = None
        self._unsent = bytearray()
        self._writing = False
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0

    @property
    def caps(self) -> Caps:
        return self._core.caps

    @property
    def state(self) -> str:
        """Of the core: closed, waking, identifying, idle, ringing, answering, ..."""
        return self._core.state

    # --- Line --------------------------------------------------------------------------------

    async def run(self, sink: LineSink) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                port = await self._open()
            except PortError as error:
                # To a person "unplugged" says more than that there is still nothing there.
                reason = self._unplugged if error.absent else None
                self._core.lost(reason or str(error), self._now())
                self._flush()
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 1.5, _LAST_RETRY_S)
                continue
            try:
                worked = await self._serve(port)
            finally:
                self._release()
                # The node keeps its name only if it is closed before the modem comes back.
                await asyncio.to_thread(close_port, port)
            retry_s = _FIRST_RETRY_S if worked else min(retry_s * 1.5, _LAST_RETRY_S)
            await asyncio.sleep(retry_s)

    def answer(self) -> None:
        self._core.answer(self._now())
        self._flush()

    def dial(self, number: str) -> None:
        self._core.dial(number, self._now())
        self._flush()

    def hangup(self) -> None:
        self._core.hangup(self._now())
        self._flush()

    def send_keys(self, digits: str) -> bool:
        return self._core.send_keys(digits)

    def write(self, pcm: bytes) -> None:
        self._core.write(pcm, self._now())
        self._flush()

    # --- the port ----------------------------------------------------------------------------

    async def _open(self) -> serial.Serial:
        opening = asyncio.ensure_future(asyncio.to_thread(open_port, self._device))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise

    async def _serve(self, port: serial.Serial) -> bool:
        """Until the port is lost or the core wants it reopened; whether the modem was usable."""
        assert self._loop is not None
        self._fd = port.fileno()
        self._unplugged = None
        self._closed = self._loop.create_future()
        self._loop.add_reader(self._fd, self._readable)
        self._core.opened(self._now(), usb_id(self._device), wide=carries_wide(self._device))
        self._flush()
        try:
            await self._closed
        except asyncio.CancelledError:
            await self._go_on_hook()
            raise
        return self._core.served

    async def _go_on_hook(self) -> None:
        """Leave a call behind in order; closing the port ends it for a modem that does not obey."""
        if not self._core.in_call or self._loop is None:
            return
        self._put_down = self._loop.create_future()
        self.hangup()
        try:
            async with asyncio.timeout(_PUT_DOWN_S):
                await self._put_down
        except TimeoutError:
            log.warning("line %s: the modem did not hang up in time", self.id)

    def _release(self) -> None:
        """Stop everything that refers to the open port."""
        if self._fd is not None and self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self._fd = None
        self._writing = False
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _readable(self) -> None:
        if self._fd is None:
            return
        try:
            data = os.read(self._fd, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lost(f"The modem at {self._device} was unplugged. Plug it in again.")
            return
        self._core.receive(data, self._now())
        self._flush()

    def _write_unsent(self) -> None:
        if self._fd is None or self._loop is None:
            self._unsent.clear()
            return
        while self._unsent:
            try:
                sent = os.write(self._fd, self._unsent)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._lost(f"The modem at {self._device} was unplugged. Plug it in again.")
                return
            del self._unsent[:sent]
        if len(self._unsent) > _MAX_UNSENT:
            self._lost(f"The modem at {self._device} takes no more data. Unplug it and plug it in.")
        elif self._unsent and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._write_unsent)
        elif self._writing and not self._unsent:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _lost(self, reason: str) -> None:
        self._release()
        self._unplugged = reason
        self._core.lost(reason, self._now())
        self._end_service()
        self._flush()

    def _end_service(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # --- the core ----------------------------------------------------------------------------

    def _now(self) -> int:
        return 0 if self._loop is None else int(self._loop.time() * 1000)

    def _flush(self) -> None:
        """Do what the core wants done. The sink may call back into this line while it is told
        something; what comes of that is done after the rest, in order."""
        if self._flushing:
            return
        self._flushing = True
        try:
            while outputs := self._core.take():
                for output in outputs:
                    if isinstance(output, Send):
                        self._unsent += output.data
                    elif isinstance(output, Audio):
                        if self._sink is not None:
                            self._sink.line_audio(self.id, output.pcm)
                    elif isinstance(output, Reopen):
                        self._end_service()
                    elif self._sink is not None:
                        self._sink.line_event(self.id, output)
                self._write_unsent()
        finally:
            self._flushing = False
        if self._put_down is not None and not self._put_down.done() and not self._core.in_call:
            self._put_down.set_result(None)
        self._schedule()

    def _schedule(self) -> None:
        """One timer; it is left alone when it fires early enough, which is most of the time."""
        due = self._core.next_deadline()
        if due is None or self._loop is None or self._fd is None:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._core.tick(self._now())
        self._flush()


def _close_late(opening: asyncio.Future[serial.Serial]) -> None:
    """The line was taken down while its port was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        close_port(opening.result())
